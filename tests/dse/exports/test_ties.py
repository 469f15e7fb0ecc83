"""Accumulators for requantisers: every kind of tie is among them, and the plain Python reference agrees."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from dse.exports.engine_entries import accumulator_grid
from dse.exports.ties import ties_of
from emulation.block_tensors import BlockTensor
from emulation.catalogue import parse
from emulation.grids import Grid, block_grid_of, grid_of
from emulation.hardware import Requantiser
from emulation.reference import _exact_number, _requantise
from emulation.reference_codes import block_integers
from emulation.rules import Rounding
from kernels.rounding import INTEGER_GRID


def requantiser(name, *, multipliers=(1,), shift=4, rounding=Rounding.HALF_EVEN, low=None, **others):
    grid = grid_of(parse(name))
    return Requantiser(
        multipliers=multipliers,
        negative_multipliers=others.pop("negative_multipliers", None),
        shift=shift,
        low=grid.low if low is None else low,
        high=grid.high,
        mantissa_bits=grid.mantissa_bits,
        rounding=rounding,
        levels=grid.levels,
        least=grid.least,
        **others,
    )


def integers(bits):
    return Grid(low=-(1 << (bits - 1)), high=(1 << (bits - 1)) - 1, mantissa_bits=INTEGER_GRID)


RULES = {
    "int8": requantiser("int8"),
    "channels": requantiser("int4", multipliers=(12, 7, 1, 40000), shift=12),
    "relu": requantiser("uint8", multipliers=(8,), shift=6, low=0),
    "left": requantiser("int8", multipliers=(3,), shift=-2),
    "prelu": requantiser("int8", multipliers=(6,), shift=9, negative_multipliers=(2,)),
    "int16": requantiser("int16", multipliers=(4095,), shift=14),
    "e4m3fn": requantiser("e4m3fn", multipliers=(5,), shift=7),
    "e2m1": requantiser("e2m1", multipliers=(1,), shift=3),
    "flushing": requantiser("e3m2ftz", multipliers=(3,), shift=5),
    "powers": requantiser("pot4", multipliers=(9,), shift=8),
    "codebook": requantiser("nf4", multipliers=(1,), shift=6),
    **{one.name: requantiser("int6", multipliers=(4,), shift=7, rounding=one) for one in Rounding},
}
ACCUMULATORS = {"14": integers(14), "24": integers(24), "e5m10": grid_of(parse("e5m10"))}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("width", ACCUMULATORS)
def test_the_reference_requantises_them_alike(rule, width):
    rule, accumulator = RULES[rule], ACCUMULATORS[width]
    found = ties_of(rule, accumulator, channels=len(rule.multipliers))
    rows = found.accumulators.tolist()
    assert found.outputs.shape == (len(rows), 1)
    for (channel, value), (output,) in zip(rows, found.outputs.tolist(), strict=True):
        assert accumulator.low <= value <= accumulator.high
        assert output == _requantise(rule, value, channel)
    assert {channel for channel, _ in rows} == set(range(len(rule.multipliers)))
    for channel in range(len(rule.multipliers)):
        own = [value for place, value in rows if place == channel]
        assert own == sorted(set(own))
        assert {0, accumulator.low, accumulator.high} <= set(own)


def test_exact_ties_of_both_signs_and_both_parities_are_there():
    rule = requantiser("int8", multipliers=(12, 7), shift=6)
    found = ties_of(rule, integers(20), channels=2)
    kinds = set()
    for channel, value in found.accumulators.tolist():
        number = Fraction(value * rule.multipliers[channel], 1 << rule.shift)
        if number.denominator == 2 and rule.low <= number <= rule.high:
            kinds.add((channel, number > 0, number.numerator // 2 % 2))
    assert kinds == set(itertools.product((0, 1), (False, True), (0, 1)))


def test_all_roundings_differ_on_them():
    """A wrong rounding rule shows itself, whichever it is."""
    outputs = {}
    for rounding in Rounding:
        rule = requantiser("int6", multipliers=(4,), shift=7, rounding=rounding)
        outputs[rounding] = ties_of(rule, integers(16), channels=1).outputs.reshape(-1).tolist()
    assert len({tuple(one) for one in outputs.values()}) == len(Rounding)


def test_bounds_are_met_from_both_sides():
    rule = requantiser("int4", multipliers=(1,), shift=4)
    found = ties_of(rule, integers(12), channels=1)
    pairs = dict(zip(found.accumulators[:, 1].tolist(), found.outputs[:, 0].tolist(), strict=True))
    # 7.5 and -8.5 are halfway to what the format lacks.
    assert {119: 7, 120: 7, 121: 7, -135: -8, -136: -8, -137: -8, 104: 6, 103: 6, 105: 7}.items() <= pairs.items()


@pytest.mark.parametrize("name", ["bfp6/4", "mxint8/4", "mxfp4/4", "nvfp4/4"])
@pytest.mark.parametrize(("low", "ceiling"), [(None, None), (0, None), (0, 5000)])
def test_whole_positions_for_blocks_agree_with_the_reference(name, low, ceiling):
    blocks = block_grid_of(parse(name))
    rule = Requantiser(
        multipliers=(3, 5, 7, 9, 2, 1),
        negative_multipliers=None,
        shift=6,
        low=blocks.element.low if low is None else low,
        high=blocks.element.high,
        mantissa_bits=blocks.element.mantissa_bits,
        rounding=Rounding.HALF_EVEN,
        blocks=blocks,
        ceiling=ceiling,
    )
    found = ties_of(rule, integers(16), channels=6)
    assert isinstance(found.outputs, BlockTensor)
    assert len(np.unique(found.outputs.scales)) > 8
    for row, elements, scales in zip(
        found.accumulators.tolist(), found.outputs.elements.tolist(), found.outputs.scales.tolist(), strict=True
    ):
        numbers = [_exact_number(rule, value, channel) for channel, value in enumerate(row)]
        expected = block_integers(numbers, blocks, shape=(6,), axis=-1)
        assert (elements, scales) == (expected.elements, expected.scales)


def test_what_an_entry_lets_an_accumulator_hold():
    assert accumulator_grid({"bits": 5}) == integers(5)
    register = {"bits": 17, "low": -65504, "high": 65504, "grid": {"mantissa_bits": 10}}
    assert accumulator_grid(register) == Grid(low=-65504, high=65504, mantissa_bits=10)
