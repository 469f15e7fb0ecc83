"""Weight memories as Vivado packed them, and the switch between LUTs and block RAM."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwmodels.folding import MemoryStyle
from hwmodels.vendor_memory import (
    auto_limit_bits,
    memory_bram18s,
    memory_luts,
    memory_shape,
    memory_urams,
    weights_in,
)
from hwmodels.vendor_rows import VendorLayer, VendorStyle, vendor_rows

LAYER = VendorLayer(
    outputs=64,
    depth=64,
    pe=4,
    simd=8,
    weight_bits=3,
    activation_bits=4,
    style=VendorStyle.HLS_LUT,
    weights=MemoryStyle.BRAM,
)


def test_block_ram_of_every_row():
    wrong = [row for row in vendor_rows() if memory_bram18s(row.layer) != row.bram18s]
    assert not wrong


def test_luts_of_rows_that_differ_in_the_memory_alone():
    def key(row):
        return row.source, dataclasses.replace(row.layer, weights=MemoryStyle.AUTO)

    blocks = {key(row): row for row in vendor_rows() if row.layer.weights is MemoryStyle.BRAM and row.family == "xc7"}
    found = [
        (memory_luts(row.layer, "xc7") - (row.luts - blocks[key(row)].luts)) / row.luts
        for row in vendor_rows()
        if row.layer.weights is MemoryStyle.LUTRAM and key(row) in blocks
    ]
    assert len(found) == 228
    assert np.abs(found).mean() < 0.012
    assert np.abs(found).max() < 0.06


def test_shapes():
    assert memory_shape(LAYER) == (128, 96)
    assert memory_shape(dataclasses.replace(LAYER, simd=1, pe=1)) == (4096, 8)  # three bits in a byte
    assert memory_bram18s(dataclasses.replace(LAYER, simd=1, pe=1)) == 2
    assert memory_bram18s(dataclasses.replace(LAYER, pe=64, simd=64)) == 0  # a single word is wiring


def test_auto_decides_by_bits():
    assert auto_limit_bits() == 11287  # between 4,608 bits seen in LUTs and 27,648 in block RAM
    small = dataclasses.replace(LAYER, weights=MemoryStyle.AUTO, outputs=8)
    large = dataclasses.replace(LAYER, weights=MemoryStyle.AUTO)
    assert weights_in(small) is MemoryStyle.LUTRAM
    assert weights_in(large) is MemoryStyle.BRAM
    assert memory_luts(small, "xcup") > 0 == memory_bram18s(small)
    assert memory_luts(large, "xcup") == 0 < memory_bram18s(large)


@pytest.mark.parametrize(
    ("outputs", "pe", "luts"),
    [(8, 4, 0.5), (32, 4, 1.0), (36, 4, 64 / 64 + 0.5 + 1), (36, 36, 0.5), (128, 4, 4), (12, 4, 0.5 + 0.5 + 1)],
)
def test_luts_per_bit(outputs, pe, luts):
    """16, 64, 72, 8, 256 and 24 words on UltraScale+."""
    layer = dataclasses.replace(LAYER, outputs=outputs, pe=pe, weights=MemoryStyle.LUTRAM)
    assert memory_luts(layer, "xcup") == luts * memory_shape(layer)[1]


def test_two_words_and_one():
    two = dataclasses.replace(LAYER, outputs=8, pe=4, simd=64, weights=MemoryStyle.LUTRAM)
    assert memory_luts(two, "xcup") == 0.5 * memory_shape(two)[1]
    assert memory_luts(dataclasses.replace(two, pe=8), "xcup") == 0


def test_ultra_ram():
    layer = dataclasses.replace(LAYER, weights=MemoryStyle.URAM)
    assert memory_urams(layer) == 2  # 96 bits
    assert memory_urams(dataclasses.replace(layer, depth=64 * 40)) == 4  # 5,120 words
    assert memory_urams(LAYER) == memory_bram18s(layer) == 0
