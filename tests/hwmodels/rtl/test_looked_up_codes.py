"""Codebooks and binary planes against the integers that their codes mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulation.formats.tables import FP4, NF4
from hwmodels.rtl.activations import seeded_entries
from hwmodels.rtl.binary_planes import plane_lane, plane_scale, plane_sum
from hwmodels.rtl.codebooks import codebook_multiplier
from kernels.definitions.binary_coded import levels_of, pack_signs, product_by_lookup
from tests.hwmodels.rtl.meanings import lanes_of, named, running, started, wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from emulation.formats import Codebook


@pytest.mark.parametrize("book", [NF4, FP4], ids=["nf4", "fp4"])
@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
def test_codebook_of_a_format(book: Codebook, signed: int, tool: Callable[[str], Path]) -> None:
    unit = codebook_multiplier(index=book.width, entry=book.entry_bits, width=8, x_signed=signed, content=book.integers)
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(x * book.integers[code],) for x, code in rows]


@pytest.mark.parametrize(("index", "entry", "width"), [(2, 4, 4), (3, 6, 8), (6, 8, 6), (8, 12, 16)])
def test_seeded_codebook(index: int, entry: int, width: int, tool: Callable[[str], Path]) -> None:
    unit = codebook_multiplier(index=index, entry=entry, width=width)
    content = [wrapped(word, entry) for word in seeded_entries(index, entry, 1)]
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(x * content[code],) for x, code in rows]


@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
@pytest.mark.parametrize("exact", [0, 1])
def test_plane_lane(signed: int, exact: int, tool: Callable[[str], Path]) -> None:
    unit = plane_lane(width=7, a_signed=signed, exact=exact)
    rows = input_rows(unit)
    assert [sum(values) for values in simulate(unit, rows, tool)] == [a if b else -a for a, b in rows]


SUMS = [(1, 8, 1, 14, 0), (4, 4, 1, 12, 1), (5, 3, 0, 0, 0), (7, 6, 0, 10, 0), (2, 7, 1, 0, 0)]


@pytest.mark.parametrize("numbers", SUMS, ids=lambda numbers: "_".join(map(str, numbers)))
def test_plane_sum(numbers: tuple[int, int, int, int, int], tool: Callable[[str], Path]) -> None:
    lanes, width, signed, accumulator, bias = numbers
    unit = plane_sum(lanes=lanes, width=width, a_signed=signed, accumulator=accumulator, bias=bias)
    rows = started(unit) if accumulator else input_rows(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        activations = [wrapped(word, width) if signed else word for word in lanes_of(row["a"], lanes, width)]
        signs = [1 if bit else -1 for bit in lanes_of(row["b"], lanes, 1)]
        return start + product_by_lookup(activations, [pack_signs(signs, 4)], [1], 4)

    known = named(unit, rows)
    expected = running(known, lambda start, row: wrapped(add(start, row), accumulator))
    found = [value for (value,) in simulate(unit, rows, tool)]
    assert found == (list(expected) if accumulator else [add(0, row) for row in known])


@pytest.mark.parametrize(("planes", "width", "alpha"), [(1, 6, 4), (2, 4, 4), (3, 10, 8), (4, 12, 6)])
def test_planes_times_alphas(planes: int, width: int, alpha: int, tool: Callable[[str], Path]) -> None:
    unit = plane_scale(planes=planes, width=width, alpha=alpha)
    rows = input_rows(unit)
    expected = []
    for sums, alphas in rows:
        pairs = zip(lanes_of(sums, planes, width), lanes_of(alphas, planes, alpha), strict=True)
        expected.append((sum(wrapped(left, width) * wrapped(right, alpha) for left, right in pairs),))
    assert simulate(unit, rows, tool) == expected


def test_planes_equal_the_integers_of_the_codes(tool: Callable[[str], Path]) -> None:
    planes, lanes, width, alphas = 3, 6, 5, (9, -4, 2)
    summed = plane_sum(lanes=lanes, width=width)
    rows = input_rows(summed)
    scaled = plane_scale(planes=planes, width=summed.ports[-1].width, alpha=6)
    bits = [[row[1] * step % 64 for row in rows] for step in (1, 5, 11)]
    sums = [simulate(summed, [(row[0], b) for row, b in zip(rows, plane, strict=True)], tool) for plane in bits]
    size = summed.ports[-1].width
    words = [
        (
            sum((found[index][0] % (1 << size)) << size * plane for plane, found in enumerate(sums)),
            sum((alpha % 64) << 6 * plane for plane, alpha in enumerate(alphas)),
        )
        for index in range(len(rows))
    ]
    levels = levels_of(alphas)
    for index, (found,) in enumerate(simulate(scaled, words, tool)):
        activations = [wrapped(word, width) for word in lanes_of(rows[index][0], lanes, width)]
        codes = [sum((bits[plane][index] >> lane & 1) << plane for plane in range(planes)) for lane in range(lanes)]
        assert found == sum(x * levels[code] for x, code in zip(activations, codes, strict=True))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="activations of a binary plane have 1 to 64 bits, got 0"):
        plane_sum(lanes=4, width=0)
    with pytest.raises(ValueError, match="binary-coded weights have 1 to 8 planes, got 9"):
        plane_scale(planes=9, width=8, alpha=8)
    with pytest.raises(ValueError, match="entries of a codebook of 4 bits lie from -8 on, got 8"):
        codebook_multiplier(index=1, entry=4, width=8, content=[0, 8])
    with pytest.raises(ValueError, match="operand a of a multiplier has 1 to 64 bits, got 0"):
        codebook_multiplier(index=2, entry=4, width=0)
