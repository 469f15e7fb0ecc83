"""Vendor flows against the layers Vivado built: fits, left-out errors, DSPs, and how estimates move."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwmodels.devices import load_device
from hwmodels.folding import MemoryStyle, divisors
from hwmodels.vendor_fits import (
    TERMS,
    Figure,
    Leaving,
    accumulator_bits,
    errors,
    estimate,
    left_out_errors,
    vendor_fit,
)
from hwmodels.vendor_layers import VendorFlowError, vendor_cost, vendor_dsps
from hwmodels.vendor_rows import RowUse, VendorLayer, VendorStyle, fit_rows, vendor_rows, vendor_sources

DEVICES = {"xcup": load_device("xczu7ev"), "xc7": load_device("xc7z020")}
LAYER = VendorLayer(outputs=64, depth=288, pe=8, simd=8, weight_bits=8, activation_bits=8, style=VendorStyle.HLS_DSP)


def price(layer, family="xcup", positions=1):
    return vendor_cost(layer, positions=positions, device=DEVICES[family])


def test_rows_have_sources_and_valid_foldings():
    assert len(vendor_rows()) == 707
    assert {row.source for row in vendor_rows()} == set(vendor_sources())
    for row in vendor_rows():
        layer = row.layer
        assert layer.outputs % layer.pe == layer.depth % layer.simd == 0
        assert min(row.luts, row.flip_flops) > 0 <= min(row.dsps, row.bram18s)
    assert [len(fit_rows(style)) for style in VendorStyle] == [224, 273, 120]
    assert sum(row.use is RowUse.HOLDOUT for row in vendor_rows()) == 85


# Errors of layers no fit has seen, as the README states them.
@pytest.mark.parametrize(
    ("style", "median", "ninetieth"),
    [(VendorStyle.HLS_LUT, 0.05, 0.16), (VendorStyle.HLS_DSP, 0.05, 0.16), (VendorStyle.RTL_DSP, 0.065, 0.21)],
)
def test_luts_of_layers_left_out(style, median, ninetieth):
    found = left_out_errors(style, Figure.LUTS, Leaving.LAYER)
    assert found.median <= median
    assert found.ninetieth <= ninetieth
    assert left_out_errors(style, Figure.LUTS, Leaving.SOURCE).median <= 0.2


@pytest.mark.parametrize(
    ("style", "median"),
    [(VendorStyle.HLS_LUT, 0.05), (VendorStyle.HLS_DSP, 0.05), (VendorStyle.RTL_DSP, 0.16)],
)
def test_flip_flops_of_layers_left_out(style, median):
    assert left_out_errors(style, Figure.FLIP_FLOPS, Leaving.LAYER).median <= median


def test_holdout_with_thresholds_inside():
    rows = [row for row in vendor_rows() if row.use is RowUse.HOLDOUT and row.layer.output_bits is not None]
    found = errors([price(row.layer, row.family).luts for row in rows], [row.luts for row in rows])
    assert found.rows == 84
    assert found.median <= 0.1  # where all thresholds are constants, Vivado leaves out most of them


def test_dsps_and_block_ram_of_all_rows():
    costs = [price(row.layer, row.family) for row in vendor_rows()]
    assert all(cost.bram18s == row.bram18s for cost, row in zip(costs, vendor_rows(), strict=True))
    for style, share in ((VendorStyle.HLS_LUT, 1.0), (VendorStyle.HLS_DSP, 0.97), (VendorStyle.RTL_DSP, 1.0)):
        pairs = [
            (cost.dsps, row.dsps) for cost, row in zip(costs, vendor_rows(), strict=True) if row.layer.style is style
        ]
        assert sum(ours == theirs for ours, theirs in pairs) >= share * len(pairs)


def test_layers_short_of_dsps():
    rows = [row for row in vendor_rows() if row.is_short_of_dsps]
    assert len(rows) == 5
    for row in rows:
        cost = price(row.layer, row.family)
        assert cost.dsps == row.dsps == 220
        assert cost.luts == pytest.approx(row.luts, rel=0.27)
        assert f"{row.layer.lanes} DSPs wanted, xc7z020 has 220" in cost.out_of_range[0]


def test_accumulators():
    off = [
        accumulator_bits(row.layer) - row.accumulator_bits for row in vendor_rows() if row.accumulator_bits is not None
    ]
    assert sum(value == 0 for value in off) > 0.6 * len(off)
    assert sum(abs(value) <= 1 for value in off) >= len(off) - 2


@pytest.mark.parametrize(("style", "figure"), TERMS)
def test_coefficients(style, figure):
    coefficients = vendor_fit(style, figure).coefficients
    assert tuple(coefficients) == TERMS[style, figure]
    assert min(coefficients.values()) >= 0
    assert max(coefficients.values()) > 0


def test_dsps_of_styles():
    layer = dataclasses.replace(LAYER, pe=2, simd=6)
    packed = dataclasses.replace(layer, style=VendorStyle.RTL_DSP)
    four = dataclasses.replace(packed, weight_bits=4, activation_bits=4)
    assert [vendor_dsps(one, DEVICES["xcup"]) for one in (layer, packed, four)] == [12, 6, 6]
    assert vendor_dsps(dataclasses.replace(four, pe=8), DEVICES["xcup"]) == 12
    assert vendor_dsps(dataclasses.replace(packed, pe=1), DEVICES["xcup"]) == 6  # one output has nothing to share
    versal = dataclasses.replace(DEVICES["xcup"], dsp=dataclasses.replace(DEVICES["xcup"].dsp, kind="DSP58"))
    assert [vendor_dsps(one, versal) for one in (packed, dataclasses.replace(packed, simd=8))] == [4, 6]
    wide = dataclasses.replace(layer, weight_bits=20, activation_bits=20)
    assert vendor_dsps(wide, DEVICES["xcup"]) == 24


def test_sums_in_dsps_are_those_measured():
    assert [vendor_dsps(dataclasses.replace(LAYER, simd=simd), DEVICES["xcup"]) for simd in (4, 8, 9, 12, 16, 36)] == [
        32,
        80,
        80,
        96,
        152,
        320,
    ]
    assert vendor_dsps(LAYER, DEVICES["xc7"]) == 64
    assert vendor_dsps(dataclasses.replace(LAYER, depth=8), DEVICES["xcup"]) == 64  # nothing to accumulate


def test_styles_that_fall_back():
    wide = price(dataclasses.replace(LAYER, style=VendorStyle.RTL_DSP, weight_bits=12))
    assert wide.luts == price(dataclasses.replace(LAYER, weight_bits=12)).luts
    assert wide.out_of_range[0] == "FINN's RTL unit takes 2 to 8 bits, not 12x8: priced as hls-dsp"
    binary = price(dataclasses.replace(LAYER, weight_bits=1, activation_bits=1))
    assert (binary.dsps, binary.sources) == (0, ("vendor hls-lut",))
    assert binary.out_of_range[0].startswith("products of one bit are XNOR gates")


def test_what_is_flagged():
    assert price(dataclasses.replace(LAYER, weights=MemoryStyle.BRAM)).out_of_range == ()
    assert price(LAYER).out_of_range == ("auto memory: assumed in bram",)
    cost = price(dataclasses.replace(LAYER, weight_bits=3, pe=64, simd=288, style=VendorStyle.RTL_DSP), "xc7")
    assert cost.out_of_range[1:] == (
        "rtl-dsp 3x8: widths not measured, nearest 4x8",
        "rtl-dsp with 18432 lanes: beyond the measured 256",
        "rtl-dsp on xc7: 4 layers measured",
    )
    assert cost.error_band > price(dataclasses.replace(LAYER, style=VendorStyle.RTL_DSP)).error_band > 0
    assert "weights in uram: not measured" in price(dataclasses.replace(LAYER, weights=MemoryStyle.URAM)).out_of_range
    deep = price(dataclasses.replace(LAYER, output_bits=9, weights=MemoryStyle.BRAM))
    assert deep.out_of_range == ("thresholds of 9 bits: beyond the measured 8",)


def test_cycles():
    cost = price(LAYER, positions=7)
    assert cost.interval_cycles == 7 * (64 // 8) * (288 // 8)
    assert cost.fill_cycles == 36


def test_errors_of_devices_and_thresholds():
    with pytest.raises(VendorFlowError, match="vendor flows are measured on xc7 and xcup, and LFE5U-85F is ecp5"):
        vendor_cost(LAYER, positions=1, device=load_device("LFE5U-85F"))
    with pytest.raises(VendorFlowError, match="xc7z020 has no UltraRAM: put the weights into auto, lutram or bram"):
        price(dataclasses.replace(LAYER, weights=MemoryStyle.URAM), "xc7")
    with pytest.raises(VendorFlowError, match="FINN's RTL unit has no thresholds, and output_bits is 3"):
        price(dataclasses.replace(LAYER, style=VendorStyle.RTL_DSP, output_bits=3))


@st.composite
def layers(draw):
    outputs, depth = draw(st.integers(1, 256)), draw(st.integers(1, 1024))
    return VendorLayer(
        outputs=outputs,
        depth=depth,
        pe=draw(st.sampled_from(divisors(outputs))),
        simd=draw(st.sampled_from(divisors(depth))),
        weight_bits=draw(st.integers(1, 16)),
        activation_bits=draw(st.integers(1, 16)),
        style=draw(st.sampled_from(VendorStyle)),
        weights=draw(st.sampled_from((MemoryStyle.LUTRAM, MemoryStyle.BRAM, MemoryStyle.OFFCHIP, MemoryStyle.URAM))),
    )


@given(layers(), st.sampled_from(["xcup", "xc7"]))
def test_every_layer_has_a_sensible_price(layer, family):
    assume(not (family == "xc7" and layer.weights is MemoryStyle.URAM))
    cost = price(layer, family)
    assert cost.luts >= 1
    assert cost.flip_flops >= 1
    assert 0 < cost.error_band < 1
    assert math.isfinite(cost.error_band)
    assert 0 <= cost.dsps <= DEVICES[family].available("dsps")


@given(layers(), st.integers(1, 4), st.integers(1, 4))
def test_wider_operands_never_cost_fewer_luts(layer, more_weight, more_activation):
    assume(min(layer.weight_bits, layer.activation_bits) > 1)
    assume(layer.style is not VendorStyle.RTL_DSP)  # leaving the four-in-one packing makes the unit simpler
    wider = dataclasses.replace(
        layer,
        weight_bits=layer.weight_bits + more_weight,
        activation_bits=layer.activation_bits + more_activation,
        weights=MemoryStyle.BRAM,
    )
    narrow = dataclasses.replace(layer, weights=MemoryStyle.BRAM)
    assert estimate(wider, "xcup", Figure.LUTS) >= estimate(narrow, "xcup", Figure.LUTS)


@pytest.mark.parametrize(("style", "bits"), list(itertools.product(VendorStyle, (2, 4, 8))))
def test_more_lanes_cost_more(style, bits):
    base = dataclasses.replace(LAYER, style=style, weight_bits=bits, activation_bits=bits, weights=MemoryStyle.BRAM)
    for family in ("xcup", "xc7"):
        luts = [price(dataclasses.replace(base, pe=pe), family).luts for pe in (2, 4, 8, 16, 32)]
        assert luts == sorted(set(luts))
        luts = [price(dataclasses.replace(base, simd=simd), family).luts for simd in (4, 8, 16, 32, 96)]
        assert luts == sorted(set(luts))


def test_styles_are_ordered():
    """Multipliers in LUTs take the most LUTs; the packed unit half the DSPs of the other."""
    for bits in (4, 6, 8):
        one = dataclasses.replace(LAYER, weight_bits=bits, activation_bits=bits, simd=12)
        costs = [price(dataclasses.replace(one, style=style)) for style in VendorStyle]
        luts, dsps = [cost.luts for cost in costs], [cost.dsps for cost in costs]
        assert luts[0] > max(luts[1:])
        assert dsps[0] == 0 < dsps[2] <= dsps[1] / 2
