"""Formulas of peers, by hand, and against the measured layers beside our own estimates."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from hwmodels.folding import MemoryStyle
from hwmodels.peers import (
    bit_operations,
    effective_bit_operations,
    finn_bram18s,
    finn_dsps,
    finn_r_luts,
    peer_errors,
)
from hwmodels.vendor_rows import VendorLayer, VendorStyle, vendor_rows

LAYER = VendorLayer(
    outputs=16,
    depth=64,
    pe=2,
    simd=4,
    weight_bits=4,
    activation_bits=4,
    style=VendorStyle.HLS_LUT,
    weights=MemoryStyle.BRAM,
)


def test_finn_r():
    # four multipliers of 3 * 8, a tree of 8 * 7, an accumulator of ceil(6 + 8 - 2 + small + 1) = 14
    assert finn_r_luts(LAYER) == pytest.approx(300 + 1.1 * 2 * (4 * 24 + 56 + 14))
    assert finn_r_luts(dataclasses.replace(LAYER, style=VendorStyle.HLS_DSP)) == pytest.approx(300 + 2.2 * (56 + 14))
    lutram = dataclasses.replace(LAYER, weights=MemoryStyle.LUTRAM)
    assert finn_r_luts(lutram) - finn_r_luts(LAYER) == pytest.approx(8 * 4 * 2)  # 128 words
    thresholds = dataclasses.replace(LAYER, output_bits=2)
    assert finn_r_luts(thresholds) - finn_r_luts(LAYER) == pytest.approx(2.2 * (3 * 14 + 3 * 14))


def test_finn_counts():
    rtl = dataclasses.replace(LAYER, style=VendorStyle.RTL_DSP)
    assert [finn_dsps(dataclasses.replace(LAYER, style=style)) for style in VendorStyle] == [0, 8, 4]
    assert finn_dsps(dataclasses.replace(rtl, weight_bits=8)) == 4  # what Vivado builds takes as many here
    assert finn_bram18s(LAYER) == 1  # 128 words of 32 bits
    assert finn_bram18s(dataclasses.replace(LAYER, weights=MemoryStyle.LUTRAM)) == 0
    assert finn_bram18s(dataclasses.replace(LAYER, pe=1, simd=1)) == 1
    assert finn_bram18s(dataclasses.replace(LAYER, outputs=128, depth=576)) == 18  # 9,216 words of 32 bits


def test_bit_operations():
    assert effective_bit_operations(LAYER) == 8 * 16
    assert bit_operations(LAYER) == 16 * 64 * 16


def test_ours_beat_the_peers_on_layers_not_seen():
    found = peer_errors()
    for one in found:
        sys.stdout.write(
            f"{one.style.value:8} {one.peer:15} x {one.scale:6.2f}  median {one.errors.median:6.1%}  "
            f"nine in ten {one.errors.ninetieth:7.1%}\n"
        )
    for style in VendorStyle:
        medians = {one.peer: one.errors.median for one in found if one.style is style}
        ours = medians.pop("ours")
        assert len(medians) == 3
        assert ours < 0.07
        assert min(medians.values()) > 4 * ours


def test_finn_estimates_of_dsps_and_block_ram_against_rows():
    rtl = [row for row in vendor_rows() if row.layer.style is VendorStyle.RTL_DSP]
    assert sum(finn_dsps(row.layer) == row.dsps for row in rtl) < len(rtl) / 2
    blocks = [row for row in vendor_rows() if row.layer.weights is MemoryStyle.BRAM]
    assert sum(finn_bram18s(row.layer) == row.bram18s for row in blocks) < 0.9 * len(blocks)
