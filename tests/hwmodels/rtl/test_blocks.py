"""Units of block-scaled formats, against hardware mode's rules for blocks."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest

from emulation.block_reference import encode_block
from emulation.grids import BlockGrid, Grid
from hwmodels.rtl.block_scales import block_leading_one, block_scale_add
from hwmodels.rtl.blocks import block_dot, block_dot_bits, block_output
from kernels.definitions import dots, minifloat
from kernels.rounding import INTEGER_GRID
from tests.hwmodels.rtl.meanings import fields, generator, integer, lanes_of, named, started, wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("signed", [0, 1], ids=["magnitudes", "signed"])
@pytest.mark.parametrize(("lanes", "bits"), [(1, 2), (1, 12), (3, 5), (4, 4), (16, 8), (8, 48)])
def test_leading_one_of_the_largest_magnitude(lanes: int, bits: int, signed: int, tool: Callable[[str], Path]) -> None:
    unit = block_leading_one(lanes=lanes, bits=bits, x_signed=signed)
    chosen = generator(0)
    rows = [(word >> chosen.randrange(lanes * bits),) for (word,) in input_rows(unit)]
    if signed:
        # Blocks whose largest magnitude belongs to a small negative number, such as a power of two.
        small = [[-chosen.randrange(1 << chosen.randrange(bits)) for _ in range(lanes)] for _ in range(2000)]
        rows += [(sum(value % (1 << bits) << bits * lane for lane, value in enumerate(block)),) for block in small]
        rows = [(wrapped(word, bits) if lanes == 1 else word,) for (word,) in rows]
    for (word,), (place, found) in zip(rows, simulate(unit, rows, tool), strict=True):
        values = lanes_of(word % (1 << lanes * bits), lanes, bits)
        largest = max(abs(wrapped(value, bits)) if signed else value for value in values)
        assert found == (largest > 0)
        assert not found or place == largest.bit_length() - 1


@pytest.mark.parametrize(("scale_a", "scale_b", "largest"), [(4, 4, 9), (8, 8, 63), (3, 6, 100), (8, 10, 46)])
def test_scales_are_added_and_clipped(scale_a: int, scale_b: int, largest: int, tool: Callable[[str], Path]) -> None:
    unit = block_scale_add(scale_a=scale_a, scale_b=scale_b, largest=largest)
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(min(max(a + b, 0), largest),) for a, b in rows]


DOTS = [
    (4, 2, 1, 2, 1, 8, 10, 34, 32, 0),
    (2, 4, 3, 4, 3, 8, 10, 50, 32, 1),
    (3, 0, 7, 0, 7, 8, 9, 24, 24, 0),
    (4, 1, 3, 1, 3, 5, 7, 20, 16, 1),
    (1, 3, 2, 2, 3, 6, 8, 30, 28, 0),
]


@pytest.mark.parametrize("numbers", DOTS, ids=lambda numbers: "_".join(map(str, numbers)))
def test_block_dot_is_the_aligned_sum(numbers: tuple[int, ...], tool: Callable[[str], Path]) -> None:
    lanes, e_a, m_a, e_b, m_b, scale_a, scale_b, accumulator, output, bias = numbers
    shape = {"lanes": lanes, "e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b}
    unit = block_dot(**shape, scale_a=scale_a, scale_b=scale_b, accumulator=accumulator, output=output, bias=bias)
    bits = block_dot_bits(**shape)
    chosen = generator(1)
    rows = []
    names = [*named(unit, started(unit)[:1])[0]]
    for row in started(unit):
        known = dict(zip(names, row, strict=True))
        # Scales whose dot products end inside the register, most of the time.
        place = chosen.randrange(-3, bits + accumulator - 2 * (1 + m_a + m_b) - 4)
        known["scale_b"] = min(max(place - known["scale_a"], -(1 << scale_b - 1)), (1 << scale_b - 1) - 1)
        rows.append(tuple(known.values()))
    start, left, right, first_scales, second_scales = 0, [], [], [], []
    checked = 0
    for row, (found,) in zip(named(unit, rows), simulate(unit, rows, tool), strict=True):
        if row["enable"]:
            if row["first"] or len(first_scales) > 40:
                if not row["first"]:
                    continue
                start, left, right, first_scales, second_scales = row.get("bias", 0), [], [], [], []
            left += [integer(code, e_a, m_a) for code in lanes_of(row["a"], lanes, 1 + e_a + m_a)]
            right += [integer(code, e_b, m_b) for code in lanes_of(row["b"], lanes, 1 + e_b + m_b)]
            first_scales.append(row["scale_a"])
            second_scales.append(row["scale_b"])
        wide = dots.block_dot_aligned(
            left, right, first_scales, second_scales, block=lanes, unit=bits, width=200, initial=start
        )
        if wide == wrapped(wide, accumulator):
            checked += 1
            expected = dots.block_dot_aligned(
                left, right, first_scales, second_scales, block=lanes, unit=bits, width=output, initial=start
            )
            assert found == expected, row
    assert checked > 5000


OUTPUTS = [
    (1, 12, 0, 3, 0),
    (2, 20, 0, 7, 0),
    (1, 8, 0, 11, 0),
    (1, 12, 1, 3, 0),
    (2, 16, 2, 1, 0),
    (1, 24, 4, 3, 1),
    (1, 12, 2, 3, 0),
    (2, 48, 3, 2, 0),
    (1, 40, 5, 2, 4),
    (1, 6, 4, 3, 0),
    (1, 17, 4, 3, 0),
    (2, 18, 4, 3, 1),
    (1, 19, 4, 3, 0),
    (3, 20, 4, 3, 0),
    (2, 16, 5, 2, 0),
    (1, 12, 0, 11, 0),
    (2, 13, 0, 11, 0),
    (1, 2, 2, 1, 0),
]


def _grid(e: int, m: int, reserved: int) -> Grid:
    if e == 0:
        return Grid(low=-(1 << m), high=(1 << m) - 1, mantissa_bits=INTEGER_GRID)
    known = fields(e, m, reserved=reserved)
    high = minifloat.magnitude_integer(minifloat.largest_magnitude_code(known), known)
    return Grid(low=-high, high=high, mantissa_bits=m)


@pytest.mark.parametrize("numbers", OUTPUTS, ids=lambda numbers: "_".join(map(str, numbers)))
def test_block_output_casts_each_element_once(
    numbers: tuple[int, int, int, int, int], tool: Callable[[str], Path]
) -> None:
    lanes, bits, e, m, reserved = numbers
    unit = block_output(lanes=lanes, bits=bits, e=e, m=m, reserved=reserved)
    grid = BlockGrid(size=lanes + 1, element=_grid(e, m, reserved), scale_levels=(-400, 400), scale_unit=None)
    chosen = generator(2)
    rows, blocks = [], []
    for _ in range(10_000):
        place = chosen.randrange(bits)
        block = [chosen.randrange(2 << place) >> chosen.randrange(place + 1) for _ in range(lanes)]
        # One more element has the block's leading one; ties are numbers with few bits.
        block = [value & -(1 << chosen.randrange(place + 1) * chosen.randrange(2)) for value in block]
        signs = chosen.randrange(1 << lanes)
        rows.append((signs, sum(value << bits * lane for lane, value in enumerate(block)), place))
        blocks.append([Fraction(-value if signs >> lane & 1 else value) for lane, value in enumerate(block)])
    for (_, _, place), block, (word,) in zip(rows, blocks, simulate(unit, rows, tool), strict=True):
        expected, scale = encode_block([*block, Fraction(1 << place)], grid)
        assert scale == place - grid.top
        assert [integer(code, e, m) for code in lanes_of(word, lanes, 1 + e + m)] == expected[:lanes], (block, place)


@pytest.mark.parametrize(
    ("e", "m", "reserved", "dtype"),
    [
        (2, 1, 0, ml_dtypes.float4_e2m1fn),
        (2, 3, 0, ml_dtypes.float6_e2m3fn),
        (3, 2, 0, ml_dtypes.float6_e3m2fn),
        (4, 3, 1, ml_dtypes.float8_e4m3fn),
        (5, 2, 4, ml_dtypes.float8_e5m2),
    ],
    ids=["mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2"],
)
def test_elements_are_those_of_another_library(
    e: int, m: int, reserved: int, dtype: type, tool: Callable[[str], Path]
) -> None:
    """Every magnitude of 12 bits under every place, each sign."""
    bits = 12
    unit = block_output(lanes=1, bits=bits, e=e, m=m, reserved=reserved)
    rows = [(sign, value, place) for place in range(bits) for value in range(2 << place) for sign in (0, 1)]
    decoded = np.arange(1 << e + m, dtype=np.uint8).view(dtype).astype(np.float64)
    largest = decoded[np.isfinite(decoded)].max()
    top = math.frexp(largest)[1] - 1
    values = np.array([math.ldexp(value, top - place) * (-1) ** sign for sign, value, place in rows])
    codes = np.clip(values, -largest, largest).astype(dtype).view(np.uint8).astype(int)
    codes[codes == 1 << e + m] = 0  # -0
    assert [code for (code,) in simulate(unit, rows, tool)] == codes.tolist()


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="a leading one is found of 1 to 256 lanes, got 0"):
        block_leading_one(lanes=0, bits=8)
    with pytest.raises(ValueError, match="of numbers of 2 to 128 bits, got 1"):
        block_leading_one(lanes=4, bits=1)
    with pytest.raises(ValueError, match=r"scales have 1 to 16 bits \(unsigned\) and 2 to 16 .* got 8 and 1"):
        block_scale_add(scale_a=8, scale_b=1, largest=40)
    with pytest.raises(ValueError, match="the largest place is 1 to 65536, got 0"):
        block_scale_add(scale_a=8, scale_b=8, largest=0)
    with pytest.raises(ValueError, match="a register of up to 128 bits and an output of 2 to as many, got 16 and 20"):
        block_dot(lanes=2, e_a=2, m_a=1, e_b=2, m_b=1, scale_a=8, scale_b=8, accumulator=16, output=20)
    with pytest.raises(ValueError, match="magnitudes of a block output have 2 to 128 bits, got 1"):
        block_output(lanes=1, bits=1, e=2, m=1)
    with pytest.raises(
        ValueError, match="two's complement elements have 1 to 23 bits beside the sign and none reserved"
    ):
        block_output(lanes=1, bits=8, e=0, m=7, reserved=1)
