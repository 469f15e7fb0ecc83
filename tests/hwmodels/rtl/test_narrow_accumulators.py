"""Accumulators that drop bits, wrap or saturate, against the definition of an accumulator."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.narrow_accumulators import align_accumulate, minifloat_mac, narrow_accumulator
from kernels.definitions import dots
from kernels.fields import OVERFLOW_SATURATE, OVERFLOW_WRAP, AccumulatorFields, FixedFields
from kernels.rounding import FLOOR, HALF_EVEN
from tests.hwmodels.rtl.meanings import integer, named, running, started
from tests.hwmodels.rtl.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OPTIONS = [(half_even, saturate, bias) for half_even in (0, 1) for saturate in (0, 1) for bias in (0, 1)]


def _cast(start: int, term: int, accumulator: int, options: Mapping[str, int]) -> int:
    rule = AccumulatorFields(
        FixedFields(accumulator, 0, 1),
        HALF_EVEN if options["half_even"] else FLOOR,
        OVERFLOW_SATURATE if options["saturate"] else OVERFLOW_WRAP,
    )
    return int(dots.accumulate([Fraction(term, 1 << options["dropped"])], rule, initial=Fraction(start)))


@pytest.mark.parametrize("choices", OPTIONS)
@pytest.mark.parametrize("widths", [(8, 10, 0), (8, 6, 1), (9, 8, 3), (12, 5, 4), (20, 9, 14)])
def test_sum_is_cast_once(
    widths: tuple[int, int, int], choices: tuple[int, int, int], tool: Callable[[str], Path]
) -> None:
    term, accumulator, dropped = widths
    half_even, saturate, bias = choices
    options = {"dropped": dropped, "half_even": half_even, "saturate": saturate, "bias": bias}
    unit = narrow_accumulator(term=term, accumulator=accumulator, **options)
    rows = started(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        return _cast(start, row["value"], accumulator, options)

    assert [value for (value,) in simulate(unit, rows, tool)] == list(running(named(unit, rows), add))


@pytest.mark.parametrize(
    ("widths", "register"),
    [
        ((4, 3, 4, 3), (44, 0, 0, 0)),
        ((4, 3, 4, 3), (20, 0, 0, 0)),
        ((4, 3, 4, 3), (24, 16, 0, 0)),
        ((4, 3, 4, 3), (24, 16, 1, 1)),
        ((5, 2, 5, 2), (32, 34, 0, 1)),
        ((5, 2, 5, 2), (64, 7, 0, 1)),
        ((3, 2, 2, 3), (16, 5, 1, 0)),
        ((1, 3, 3, 0), (12, 2, 0, 1)),
        ((2, 1, 2, 1), (6, 6, 0, 0)),
    ],
)
def test_minifloat_multiply_accumulate(
    widths: tuple[int, int, int, int], register: tuple[int, int, int, int], tool: Callable[[str], Path]
) -> None:
    e_a, m_a, e_b, m_b = widths
    accumulator, dropped, half_even, saturate = register
    options = {"dropped": dropped, "half_even": half_even, "saturate": saturate, "bias": dropped % 2}
    unit = minifloat_mac(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, accumulator=accumulator, **options)
    rows = started(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        product = integer(row["a"], e_a, m_a) * integer(row["b"], e_b, m_b)
        return _cast(start, product, accumulator, options)

    assert [value for (value,) in simulate(unit, rows, tool)] == list(running(named(unit, rows), add))


@pytest.mark.parametrize("dropped", [0, 3])
def test_align_and_accumulate(dropped: int, tool: Callable[[str], Path]) -> None:
    options = {"dropped": dropped, "half_even": 0, "saturate": int(dropped > 0)}
    unit = align_accumulate(bits=5, least=1, most=12, accumulator=14, **options)
    rows = [row for row in started(unit) if 1 <= row[1] <= 12]
    rows[0] = (*rows[0][:3], 1, 1)

    def add(start: int, row: Mapping[str, int]) -> int:
        term = row["significand"] << row["place"] - 1
        return _cast(start, -term if row["negative"] else term, 14, options)

    assert [value for (value,) in simulate(unit, rows, tool)] == list(running(named(unit, rows), add))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="an accumulator has 2 to 2048 bits, got 1"):
        narrow_accumulator(term=8, accumulator=1)
    with pytest.raises(ValueError, match="got terms of 8 bits and 8 dropped"):
        narrow_accumulator(term=8, accumulator=8, dropped=8)
    with pytest.raises(ValueError, match="terms of 9 bits lose 0 to 8 of them, got 9 dropped"):
        align_accumulate(bits=4, least=1, most=6, accumulator=8, dropped=9)
    with pytest.raises(ValueError, match="of up to 1024, got 4 bits from 7 to 6"):
        align_accumulate(bits=4, least=7, most=6, accumulator=8)
    with pytest.raises(ValueError, match="got e0m3 and e4m3: use a minifloat dot product for other pairs"):
        minifloat_mac(e_a=0, m_a=3, e_b=4, m_b=3, accumulator=20)
