"""L-Mul units against the definitions of L-Mul, on codes and on the integers of hardware mode."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

from emulation.datapaths import Product
from emulation.formats import MiniFloat, Specials
from emulation.lmul import lmul_product
from emulation.lmul_ranges import operand_limits
from hwmodels.rtl.lmul import Kind, lmul, lmul_clamped, lmul_dot, lmul_lane, offset_exponent
from kernels.definitions import lmul as definition
from kernels.definitions import minifloat
from kernels.fields import LMUL_FIELD, LMUL_FIELD_CLAMPED, LMulFields
from tests.hwmodels.rtl.meanings import fields, integer, lanes_of, named, running, started, wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from emulation.lmul_ranges import ProductRange

PAIRS = [(2, 1, 2, 1), (2, 3, 2, 3), (3, 2, 3, 2), (4, 3, 4, 3), (5, 2, 3, 4), (4, 3, 5, 2), (3, 0, 4, 2), (5, 5, 4, 1)]
FORMATS = [(2, 1, 0), (2, 3, 0), (3, 2, 0), (4, 3, 1), (4, 3, 8), (5, 2, 4), (3, 4, 0), (4, 0, 0), (8, 7, 1 << 7)]
PRODUCTS = {
    Kind.FIELD: Product.LMUL_FIELD,
    Kind.FORMULA: Product.LMUL_FORMULA,
    Kind.CLAMPED: Product.LMUL_FIELD_CLAMPED,
}


def _name(numbers: tuple[int, ...]) -> str:
    return "_".join(map(str, numbers))


def test_offset_is_that_of_the_definition() -> None:
    assert [offset_exponent(m) for m in range(24)] == [definition.offset_exponent(m) for m in range(24)]


@pytest.mark.parametrize("widths", PAIRS, ids=_name)
def test_raw_addition_of_normal_numbers(widths: tuple[int, int, int, int], tool: Callable[[str], Path]) -> None:
    e_a, m_a, e_b, m_b = widths
    unit = lmul(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    first, second = fields(e_a, m_a), fields(e_b, m_b)
    wide = max(m_a, m_b)
    rows = input_rows(unit)
    for (a, b), (negative, place, *rest) in zip(rows, simulate(unit, rows, tool), strict=True):
        left, right = definition.parts_of_code(a, first), definition.parts_of_code(b, second)
        if left.sign and right.sign:
            expected = definition.multiply(left, right, LMulFields(LMUL_FIELD, m_a, m_b))
            mantissa = rest[0] if wide else 0
            value = (1 << wide) + mantissa << place
            assert (-value if negative else value) == expected * 2 ** (wide + first.bias + second.bias), (a, b)


@pytest.mark.parametrize("numbers", FORMATS, ids=_name)
def test_clamped_addition_flushes_and_saturates(numbers: tuple[int, int, int], tool: Callable[[str], Path]) -> None:
    e, m, reserved = numbers
    known = fields(e, m, reserved=reserved)
    top, mantissa = divmod(minifloat.largest_magnitude_code(known), 1 << m)
    rule = LMulFields(
        LMUL_FIELD_CLAMPED, m, m, exponent_low=1 - known.bias, exponent_high=top - known.bias, mantissa_high=mantissa
    )
    unit = lmul_clamped(e=e, m=m, reserved=reserved)
    sign = 1 << e + m
    rows = [row for row in input_rows(unit) if max(code % sign for code in row) <= sign - 1 - reserved]
    for (a, b), (code,) in zip(rows, simulate(unit, rows, tool), strict=True):
        expected = definition.multiply(definition.parts_of_code(a, known), definition.parts_of_code(b, known), rule)
        assert code != sign
        assert minifloat.decode_scalar(code, known) == expected, (a, b)


@lru_cache(maxsize=64)
def _limits(e_a: int, m_a: int, e_b: int, m_b: int, reserved: int) -> ProductRange:
    return operand_limits(_format(e_a, m_a, reserved), _format(e_b, m_b, reserved))


def _format(e: int, m: int, reserved: int) -> MiniFloat:
    specials = {0: Specials.NONE, 1: Specials.FINITE_NAN, 1 << m: Specials.IEEE}[reserved]
    return MiniFloat(exponent_bits=e, mantissa_bits=m, specials=specials)


@lru_cache(maxsize=1 << 17)
def _expected(kind: Kind, widths: tuple[int, int, int, int], reserved: int, a: int, b: int) -> int:
    e_a, m_a, e_b, m_b = widths
    limits = _limits(*widths, reserved) if kind is Kind.CLAMPED else None
    return lmul_product(integer(a, e_a, m_a), integer(b, e_b, m_b), (m_a, m_b), PRODUCTS[kind], limits)


LANES = [
    *((Kind.FIELD, widths, 0) for widths in PAIRS[:7]),
    *((Kind.FORMULA, widths, 0) for widths in PAIRS[::2]),
    *((Kind.CLAMPED, (e, m, e, m), reserved) for e, m, reserved in FORMATS[1:8:2]),
]


@pytest.mark.parametrize(
    ("kind", "widths", "reserved", "exact"),
    [
        pytest.param(*lane, index % 2, marks=[pytest.mark.slow] if index % 3 == 2 else [])
        for index, lane in enumerate(LANES)
    ],
)
def test_lane_is_the_product_of_hardware_mode(
    kind: Kind, widths: tuple[int, int, int, int], reserved: int, exact: int, tool: Callable[[str], Path]
) -> None:
    e_a, m_a, e_b, m_b = widths
    unit = lmul_lane(kind=kind, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, reserved=reserved, exact=exact)
    rows = [
        (a, b)
        for a, b in input_rows(unit)
        if a % (1 << e_a + m_a) < (1 << e_a + m_a) - reserved and b % (1 << e_b + m_b) < (1 << e_b + m_b) - reserved
    ]
    for (a, b), values in zip(rows, simulate(unit, rows, tool), strict=True):
        assert sum(values) == _expected(kind, widths, reserved, a, b), (a, b)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("accumulator", [0, 44])
def test_dot_product_adds_up(kind: Kind, accumulator: int, tool: Callable[[str], Path]) -> None:
    widths, lanes = (4, 3, 4, 3), 3
    unit = lmul_dot(lanes=lanes, kind=kind, e_a=4, m_a=3, e_b=4, m_b=3, accumulator=accumulator)
    rows = started(unit) if accumulator else input_rows(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        pairs = zip(lanes_of(row["a"], lanes, 8), lanes_of(row["b"], lanes, 8), strict=True)
        return start + sum(_expected(kind, widths, 0, a, b) for a, b in pairs)

    known = named(unit, rows)
    expected = running(known, lambda start, row: wrapped(add(start, row), accumulator))
    found = [value for (value,) in simulate(unit, rows, tool)]
    assert found == (list(expected) if accumulator else [add(0, row) for row in known])


def test_operands_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="operands of L-Mul have 1 to 8 exponent bits, got 0"):
        lmul(e_a=0, m_a=3, e_b=4, m_b=3)
    with pytest.raises(ValueError, match="operands of L-Mul have 0 to 23 mantissa bits, got 24"):
        lmul(e_a=4, m_a=3, e_b=4, m_b=24)
    with pytest.raises(ValueError, match=r"kind of an L-Mul must be 0 \(field\), 1 \(formula\) or 2"):
        lmul_lane(kind=3, e_a=4, m_a=3, e_b=4, m_b=3)
    with pytest.raises(ValueError, match="clamped L-Mul products have one format, got e4m3 and e5m2"):
        lmul_lane(kind=2, e_a=4, m_a=3, e_b=5, m_b=2)
    with pytest.raises(ValueError, match="e4m3 has 128 magnitude codes, of which 0 to 126 may be reserved, got -1"):
        lmul_clamped(e=4, m=3, reserved=-1)
