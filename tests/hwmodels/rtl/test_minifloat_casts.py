"""Casts and requantisers to minifloats, against the definition of requantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.alignment import Order, align
from hwmodels.rtl.minifloat_casts import minifloat_cast, minifloat_requantiser
from hwmodels.rtl.signals import operand
from kernels.definitions import minifloat
from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import HALF_EVEN
from tests.hwmodels.rtl.meanings import fields, generator, integer
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CASTS = [
    (12, 0, 2, 1, 0),
    (12, 4, 2, 1, 0),
    (15, 3, 4, 3, 1),
    (15, 14, 4, 3, 0),
    (10, 12, 3, 2, 0),
    (15, 5, 3, 4, 16),
    (15, 1, 5, 2, 4),
    (9, 2, 1, 5, 0),
    (12, 3, 4, 0, 0),
    (40, 20, 4, 3, 8),
    (48, 10, 5, 2, 4),
    (56, 14, 5, 10, 1 << 10),
    (64, 24, 3, 2, 0),
    (150, 10, 8, 7, 1 << 7),
    (12, -1, 2, 1, 0),
    (8, -3, 4, 3, 0),
    (9, -6, 5, 2, 4),
    (15, -14, 5, 2, 0),
    (1, -2, 3, 2, 0),
    (32, -1, 5, 2, 0),
    (24, -9, 6, 3, 1),
]


def _expected(product: int, shift: int, number_format: tuple[int, int, int]) -> int:
    e, m, reserved = number_format
    known = fields(e, m, reserved=reserved)
    high = minifloat.magnitude_integer(minifloat.largest_magnitude_code(known), known)
    product <<= max(-shift, 0)
    return requantise_scalar(product, 1, shift=max(shift, 0), low=-high, high=high, rounding=HALF_EVEN, mantissa_bits=m)


@pytest.mark.parametrize("numbers", CASTS, ids=lambda numbers: "_".join(map(str, numbers)))
def test_cast_rounds_once_and_saturates(numbers: tuple[int, int, int, int, int], tool: Callable[[str], Path]) -> None:
    bits, shift, e, m, reserved = numbers
    unit = minifloat_cast(bits=bits, shift=shift, e=e, m=m, reserved=reserved)
    chosen = generator(bits)
    # Uniform magnitudes are nearly all large: others are cut to any length, and some end in many zeros (ties).
    rows = input_rows(unit)
    if bits > 16:
        rows = [(sign, (word >> chosen.randrange(bits)) & -(1 << chosen.randrange(bits))) for sign, word in rows]
        rows += [(sign, word >> chosen.randrange(bits)) for sign, word in input_rows(unit, seed=1)]
    for (negative, magnitude), (code,) in zip(rows, simulate(unit, rows, tool), strict=True):
        expected = _expected(-magnitude if negative else magnitude, shift, (e, m, reserved))
        assert integer(code, e, m) == expected, (negative, magnitude)
        assert code != 1 << e + m


@pytest.mark.parametrize(
    "numbers",
    [(8, 7, 5, 2, 1, 0), (8, 8, 8, 4, 3, 1), (9, 6, 6, 3, 2, 0), (20, 16, 14, 4, 3, 1), (32, 16, 20, 5, 2, 4)],
    ids=lambda numbers: "_".join(map(str, numbers)),
)
def test_requantiser_is_the_definition(
    numbers: tuple[int, int, int, int, int, int], tool: Callable[[str], Path]
) -> None:
    accumulator, bits, shift, e, m, reserved = numbers
    unit = minifloat_requantiser(
        accumulator=accumulator, multiplier_bits=bits, shift=shift, e=e, m=m, reserved=reserved
    )
    chosen = generator(0)
    rows = input_rows(unit)
    if accumulator + bits > 16:
        rows = [(x >> chosen.randrange(accumulator), multiplier) for x, multiplier in rows]
    for (x, multiplier), (code,) in zip(rows, simulate(unit, rows, tool), strict=True):
        assert integer(code, e, m) == _expected(x * multiplier, shift, (e, m, reserved)), (x, multiplier)
        assert code != 1 << e + m


def test_large_digits_first_take_fewer_multiplexers_where_few_columns_are_needed() -> None:
    x = operand("x", 32, signed=False)
    cells = {order: align(x, "by", most=31, first=27, columns=5, order=order).cells for order in Order}
    assert cells[Order.LARGE_FIRST] < cells[Order.SMALL_FIRST]


def test_numbers_out_of_range_are_refused() -> None:
    for bits, shift in ((0, 3), (8, 192), (8, -185)):
        given = f"1 to 192 bits whose lowest lies at most 191 .* less than 192 above it, got {bits} bits .* of {shift}"
        with pytest.raises(ValueError, match=given):
            minifloat_cast(bits=bits, shift=shift, e=4, m=3)
    with pytest.raises(ValueError, match="of 1 to 8 exponent and 0 to 23 mantissa bits, got 0 and 3"):
        minifloat_cast(bits=8, shift=3, e=0, m=3)
    with pytest.raises(ValueError, match="accumulators of 2 to 64 bits, got 65"):
        minifloat_requantiser(accumulator=65, multiplier_bits=8, shift=3, e=4, m=3)
