"""Memories against a placement of every bit, and the rule that chooses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.devices import load_device
from hwmodels.folding import MemoryStyle
from hwmodels.memory import BRAM18_SHAPES, Access, MemoryCost, bram18_count, lut_memory_count, memory_cost

Z020 = load_device("xc7z020")


def placed(words, bits):
    """Blocks that hold at least one bit when all bits are placed one by one, for the best shape."""
    counts = []
    for depth, width in BRAM18_SHAPES:
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
    auto, lutram, bram = (memory_cost(words, bits, style=style, device=Z020, access=access) for style in MemoryStyle)
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
        for style in MemoryStyle:
            cost = memory_cost(words, bits, style=style, device=Z020, access=Access.READ_ONLY)
            assert cost == MemoryCost()
    with pytest.raises(ValueError, match="words and bits of at least 0, got -1 words of 8 bits"):
        memory_cost(-1, 8, style=MemoryStyle.AUTO, device=Z020, access=Access.SHIFT)
