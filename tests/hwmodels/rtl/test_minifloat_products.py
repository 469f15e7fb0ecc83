"""Exact and rounded products of minifloats, against the definitions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.minifloat_products import exact_product, rounded_product
from hwmodels.rtl.minifloats import pair
from kernels.definitions import minifloat
from kernels.fields import FLUSH_BEFORE_ROUNDING, SUBNORMALS_FLUSH
from tests.hwmodels.rtl.meanings import fields, integer
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIRS = [
    (2, 1, 2, 1),
    (2, 3, 2, 3),
    (3, 2, 3, 2),
    (4, 3, 4, 3),
    (5, 2, 5, 2),
    (3, 4, 4, 3),
    (5, 2, 2, 1),
    (1, 6, 4, 3),
    (4, 3, 0, 7),
    (0, 3, 5, 2),
    (0, 4, 0, 3),
    (3, 0, 4, 0),
    (1, 3, 0, 2),
    (5, 10, 5, 10),
    (8, 7, 8, 7),
]
FORMATS = [(2, 1, 0), (2, 3, 0), (3, 2, 0), (4, 3, 1), (4, 3, 8), (5, 2, 4), (3, 4, 16), (1, 4, 0), (5, 10, 1 << 10)]


def _name(numbers: tuple[int, ...]) -> str:
    return "_".join(map(str, numbers))


@pytest.mark.parametrize("widths", PAIRS, ids=_name)
def test_exact_product_is_the_product_of_the_integers(
    widths: tuple[int, int, int, int], tool: Callable[[str], Path]
) -> None:
    e_a, m_a, e_b, m_b = widths
    unit = exact_product(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    names = [port.name for port in unit.ports][2:]
    least = pair(*widths).least_place
    rows = input_rows(unit)
    for (a, b), values in zip(rows, simulate(unit, rows, tool), strict=True):
        found = dict(zip(names, values, strict=True))
        product = found["significand"] << found.get("place", least) - least
        assert (-product if found.get("negative") else product) == integer(a, e_a, m_a) * integer(b, e_b, m_b), (a, b)


@pytest.mark.parametrize("numbers", FORMATS, ids=_name)
def test_rounded_product_rounds_once_flushes_and_saturates(
    numbers: tuple[int, int, int], tool: Callable[[str], Path]
) -> None:
    e, m, reserved = numbers
    known = fields(e, m, reserved=reserved, subnormals=SUBNORMALS_FLUSH)
    unit = rounded_product(e=e, m=m, reserved=reserved)
    magnitudes = minifloat.largest_magnitude_code(known)
    sign = 1 << e + m
    rows = [(a, b) for a, b in input_rows(unit) if max(a % sign, b % sign) <= magnitudes]
    for (a, b), (code,) in zip(rows, simulate(unit, rows, tool), strict=True):
        product = Fraction(minifloat.decode_scalar(a, known)) * Fraction(minifloat.decode_scalar(b, known))
        expected = minifloat.encode_scalar(product, known, underflow=FLUSH_BEFORE_ROUNDING)
        # Hardware mode has no minus zero.
        assert code == (0 if expected == sign else expected), (a, b)


def test_widths_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="operand a has 0 to 8 exponent bits, got 9"):
        exact_product(e_a=9, m_a=3, e_b=4, m_b=3)
    with pytest.raises(ValueError, match="operand b has 0 to 23 mantissa bits, got 24"):
        exact_product(e_a=4, m_a=3, e_b=4, m_b=24)
    with pytest.raises(ValueError, match="operand a has no exponent bit and no mantissa bit"):
        exact_product(e_a=0, m_a=0, e_b=4, m_b=3)
    with pytest.raises(ValueError, match="a rounded product has formats of 1 to 8 exponent and 1 to 23 mantissa bits"):
        rounded_product(e=4, m=0)
    with pytest.raises(ValueError, match="e2m1 has 8 magnitude codes, of which 0 to 6 may be reserved, got 7"):
        rounded_product(e=2, m=1, reserved=7)
