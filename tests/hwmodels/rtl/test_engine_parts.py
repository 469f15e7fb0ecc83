"""Parts of engines, one by one: products in DSPs, trees that take borrows, sums, memories, buffers."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.adder_trees import adder_tree
from hwmodels.rtl.dsp_multipliers import (
    dsp_multiplier,
    fields_per_dsp,
    packed_bits,
    packed_multiplier,
    packed_spacing,
    packed_weights,
)
from hwmodels.rtl.engine_control import engine_control
from hwmodels.rtl.engine_memories import parameter_memory, seeded_words
from hwmodels.rtl.engine_streams import replay_buffer, serialiser
from hwmodels.rtl.engine_sums import accumulator, magnitude
from hwmodels.rtl.unit import Direction
from tests.hwmodels.rtl.meanings import wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hwmodels.rtl.unit import Unit

ROWS = 3000


def _rows(unit: Unit, **values: list[int]) -> list[tuple[int, ...]]:
    """Rows of inputs by name; ports that are not named are enabled."""
    names = [port.name for port in unit.ports if port.direction is Direction.IN]
    count = max(len(found) for found in values.values())
    return [tuple(values[name][row] if name in values else 1 for name in names) for row in range(count)]


@pytest.mark.parametrize(
    ("fields", "weight", "activation", "signed"),
    [(2, 8, 8, 1), (2, 8, 8, 0), (1, 8, 8, 1), (4, 4, 4, 1), (4, 4, 4, 0), (3, 4, 4, 0), (4, 3, 4, 1), (4, 4, 3, 0)],
)
def test_packed_products_are_exact(
    fields: int, weight: int, activation: int, signed: int, tool: Callable[[str], Path]
) -> None:
    spacing = packed_spacing(max(fields, fields_per_dsp(weight, activation, signed)))
    unit = packed_multiplier(
        fields=fields, spacing=spacing, weight=weight, activation=activation, activation_signed=signed
    )
    chosen = random.Random(1)
    low, high = -(1 << weight - 1), (1 << weight - 1) - 1
    ends = list(itertools.product((low, -1, 0, high), repeat=fields))
    weights = [
        chosen.choice(ends) if chosen.random() < 0.3 else tuple(chosen.randint(low, high) for _ in range(fields))
        for _ in range(ROWS)
    ]
    least = -(1 << activation - 1) if signed else 0
    activations = [chosen.randint(least, least + (1 << activation) - 1) for _ in range(ROWS)]
    words = [packed_weights(found, weight) for found in weights]
    assert max(words) < 1 << packed_bits(fields, weight)
    rows = _rows(unit, weights=words, activation_in=activations)
    for found, value, (products, borrows) in zip(weights, activations, simulate(unit, rows, tool), strict=True):
        bits = weight + activation
        parts = [wrapped(products >> bits * field, bits) + (borrows >> field & 1) for field in range(fields)]
        assert parts == [one * value for one in found]


def test_packed_products_of_four_bits_exhaustively(tool: Callable[[str], Path]) -> None:
    # Two neighbours decide each other's borrow: all pairs of weights, all activations.
    unit = packed_multiplier(fields=2, spacing=7, weight=4, activation=4, activation_signed=0)
    every = list(itertools.product(range(-8, 8), range(-8, 8), range(16)))
    rows = _rows(unit, weights=[packed_weights(row[:2], 4) for row in every], activation_in=[row[2] for row in every])
    for (first, second, value), (products, borrows) in zip(every, simulate(unit, rows, tool), strict=True):
        assert wrapped(products, 8) == first * value
        assert wrapped(products >> 8, 8) + (borrows >> 1) == second * value


@pytest.mark.parametrize(
    ("a", "b", "b_signed"), [(8, 8, 1), (24, 16, 0), (16, 24, 1), (27, 16, 0), (30, 16, 0), (44, 16, 0)]
)
def test_product_in_dsps_is_exact(a: int, b: int, b_signed: int, tool: Callable[[str], Path]) -> None:
    unit = dsp_multiplier(a=a, b=b, b_signed=b_signed)
    rows = [(1, *row[1:]) for row in input_rows(unit)]
    assert simulate(unit, rows, tool) == [(x * y,) for _, x, y in rows]


@pytest.mark.parametrize(("lanes", "carries"), [(1, 1), (2, 1), (3, 0), (5, 1), (8, 1), (13, 0), (16, 1)])
def test_tree_adds_all_terms_and_all_carries_but_one(lanes: int, carries: int, tool: Callable[[str], Path]) -> None:
    unit = adder_tree(lanes=lanes, width=6, carries=carries)
    chosen = random.Random(2)
    terms = [[chosen.randint(-32, 31) for _ in range(lanes)] for _ in range(ROWS)]
    words = [sum((value & 63) << 6 * lane for lane, value in enumerate(row)) for row in terms]
    bits = [chosen.getrandbits(lanes) for _ in range(ROWS)]
    rows = _rows(unit, terms=words, carries=bits) if carries else _rows(unit, terms=words)
    for row, carry, found in zip(terms, bits, simulate(unit, rows, tool), strict=True):
        assert sum(found) == sum(row) + (carry.bit_count() if carries else 0)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("carry", [0, 1])
def test_sum_starts_from_its_bias(steps: int, bias: int, carry: int, tool: Callable[[str], Path]) -> None:
    unit = accumulator(term=5, bits=9, bias=bias, carry=carry, steps=steps)
    names = [port.name for port in unit.ports if port.direction is Direction.IN]
    rows = input_rows(unit) if sum(port.width for port in unit.ports[:-1]) > 16 else input_rows(unit)[:ROWS]
    first = [tuple(1 if name in {"first", "enable"} else value for name, value in zip(names, rows[0], strict=True))]
    rows = [*first, *rows]
    total = 0
    for row, (found,) in zip(rows, simulate(unit, rows, tool), strict=True):
        given: Mapping[str, int] = dict(zip(names, row, strict=True))
        if given["enable"]:
            start = total if steps > 1 and not given["first"] else given.get("bias_in", 0)
            total = wrapped(start + given["term_in"] + given.get("carry_in", 0), 9)
        assert found == total


def test_magnitude_of_every_number(tool: Callable[[str], Path]) -> None:
    unit = magnitude(bits=9)
    rows = [(1, value) for value in range(-256, 256)]
    assert simulate(unit, rows, tool) == [(abs(value), int(value < 0)) for _, value in rows]


@pytest.mark.parametrize(("words", "bits", "style"), [(2, 3, 0), (5, 40, 0), (64, 9, 1), (300, 7, 0), (144, 5, 0)])
def test_memory_reads_its_content(words: int, bits: int, style: int, tool: Callable[[str], Path]) -> None:
    content = seeded_words(words, bits, 1)
    for unit in (
        parameter_memory(words=words, bits=bits, style=style),
        parameter_memory(words=words, bits=bits, style=style, content=content),
    ):
        rows = [(1, address) for address in range(words)]
        assert simulate(unit, rows, tool) == [(word,) for word in content]


def test_results_leave_lowest_first(tool: Callable[[str], Path]) -> None:
    unit = serialiser(lanes=6, at_once=2, bits=4)
    rows = [(1, int(cycle % 3 == 0), 0x654321 + cycle) for cycle in range(30)]
    for cycle, (found,) in enumerate(simulate(unit, rows, tool)):
        loaded = rows[cycle - cycle % 3][2]
        assert found == loaded >> 8 * (cycle % 3) & 0xFF


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: packed_multiplier(fields=2, spacing=18, weight=12, activation=8), "do not fit 18 bits apart"),
        (lambda: dsp_multiplier(a=24, b=19), "up to 53 and 18 bits .* got 24 and 19: multiply in LUTs"),
        (lambda: adder_tree(lanes=0, width=4), "an adder tree has 1 to 1024 lanes, got 0"),
        (lambda: accumulator(term=9, bits=8), "got 8 bits and terms of 9"),
        (lambda: magnitude(bits=1), "a magnitude is taken of 2 to 128 bits, got 1"),
        (lambda: parameter_memory(words=1, bits=8), "2 or more words .* got 1 words of 8 bits"),
        (lambda: parameter_memory(words=2, bits=2, content=[1, 4]), "does not fill 2 words of 2 bits"),
        (lambda: replay_buffer(steps=4, bits=8, passes=1), "for 2 or more passes, got 4 words of 8 bits, 1 passes"),
        (lambda: serialiser(lanes=4, at_once=3, bits=8), "4 lanes cannot leave 3 at a time"),
        (lambda: engine_control(steps=2, passes=1, stages=2, beats=3), "3 beats would meet the next one after 2 steps"),
        (lambda: engine_control(steps=0, passes=1, stages=2), "steps of an engine must be at least 1, got 0"),
    ],
)
def test_part_that_cannot_be_built_is_refused(make: Callable[[], Unit], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_as_many_share_a_dsp_as_fit() -> None:
    assert [fields_per_dsp(bits, bits) for bits in (2, 3, 4, 5, 8, 9)] == [4, 4, 4, 2, 2, 1]
