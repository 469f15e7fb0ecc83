"""Accumulators that show how a requantiser rounds: around ties of both signs, saturation bounds, zero and extremes.

A number ``A * b * 2**-shift`` halfway between two outputs asks for an accumulator A that may be no integer: then its
two neighbours are taken, else it and both of its neighbours. Exact ties are also looked for among the multiples of a
power of two, where a multiplier that is no power of two has them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.exports.stimuli import spread
from emulation.block_reference import encode_block, on_grid
from emulation.requantisation import requantise_tensor
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emulation.block_tensors import EdgeTensor
    from emulation.grids import Grid
    from emulation.hardware import Requantiser

CHANNELS: Final = 8
"""Channels whose multipliers are tried, evenly chosen."""
_NEAR: Final = 5
"""Outputs tried next to 0 and next to both ends."""
_BETWEEN: Final = 12
"""Outputs, binades or levels tried between them, evenly chosen."""
_EXACT_TIES: Final = 6
"""Odd multiples of the least accumulator that is an exact tie, of each sign and of the next coarser spacings."""
_WORD: Final = 62


class Ties(NamedTuple):
    """Accumulators and what becomes of them.

    Attributes:
        accumulators: shape ``(rows, 2)`` of channel and accumulator; for blocks ``(rows, channels)``, whole positions.
        outputs: ``(rows, 1)`` integers, or blocks of shape ``(rows, channels)``.
    """

    accumulators: NDArray[Any]
    outputs: EdgeTensor


def ties_of(rule: Requantiser, accumulator: Grid, *, channels: int) -> Ties:
    """What drives one requantiser through all of its cases.

    Args:
        rule: the requantiser.
        accumulator: what the declared accumulator can hold.
        channels: outputs of a position.
    """
    if rule.blocks is not None:
        rows = np.array(list(_positions(rule, accumulator, channels)), dtype=object)
        along = dataclasses.replace(rule, block_axis=1)
        return Ties(rows, requantise_tensor(along, _narrowed(rows), channel_axis=1))
    tried, outputs = list[NDArray[Any]](), list[Any]()
    for channel in spread(len(rule.multipliers), CHANNELS):
        own = _of_channel(rule, channel)
        numbers = np.array(_accumulators(own, accumulator), dtype=object)[:, None]
        tried.append(np.concatenate([np.full_like(numbers, channel), numbers], axis=1))
        outputs.append(requantise_tensor(own, _narrowed(numbers), channel_axis=1))
    return Ties(np.concatenate(tried), np.concatenate(outputs))


def _of_channel(rule: Requantiser, channel: int) -> Requantiser:
    negative = rule.negative_multipliers
    return dataclasses.replace(
        rule,
        multipliers=(rule.multipliers[channel],),
        negative_multipliers=None if negative is None else (negative[channel % len(negative)],),
    )


def _narrowed(numbers: NDArray[Any]) -> NDArray[Any]:
    """As int64 where all fit, which is what hardware mode computes with."""
    largest = max(abs(int(numbers.max())), abs(int(numbers.min())))
    return numbers.astype(np.int64) if largest < 1 << _WORD else numbers


def _accumulators(rule: Requantiser, accumulator: Grid) -> list[int]:
    """Of a requantiser with one channel, ascending."""
    wanted = {0, 1, -1, accumulator.low, accumulator.low + 1, accumulator.high - 1, accumulator.high}
    for boundary in _boundaries(rule):
        multiplier = _multiplier(rule, boundary)
        if multiplier:
            exact = boundary * Fraction(2) ** rule.shift / multiplier
            wanted |= {math.floor(exact), math.ceil(exact)}
            wanted |= {int(exact) - 1, int(exact) + 1} if exact.denominator == 1 else set()
    for sign in (1, -1):
        wanted.update(_exact_ties(rule.shift, _multiplier(rule, sign), sign))
    return sorted(_held(wanted, accumulator))


def _multiplier(rule: Requantiser, sign: Fraction | int) -> int:
    multipliers = rule.negative_multipliers if sign < 0 and rule.negative_multipliers else rule.multipliers
    return multipliers[0]


def _exact_ties(shift: int, multiplier: int, sign: int) -> Iterator[int]:
    """Accumulators A with ``A * multiplier * 2**-shift`` halfway between integers, and between multiples of 2 and 4."""
    if not multiplier:
        return
    least = shift - 1 - ((multiplier & -multiplier).bit_length() - 1)
    for coarser in range(3):
        if least + coarser >= 0:
            yield from (sign * odd << (least + coarser) for odd in range(1, 2 * _EXACT_TIES, 2))


def _held(numbers: Iterable[int], accumulator: Grid) -> set[int]:
    """What an accumulator can hold, those off its grid moved to it."""
    if accumulator.mantissa_bits != INTEGER_GRID:
        numbers = (on_grid(number, 0, accumulator) for number in numbers)
    return {number for number in numbers if accumulator.low <= number <= accumulator.high}


def _boundaries(rule: Requantiser) -> set[Fraction]:
    """Numbers halfway between neighbouring outputs, and between the last one and the next, which is missing."""
    if rule.levels is not None:
        pairs = list(itertools.pairwise(rule.levels))
        return {Fraction(sum(pairs[place]), 2) for place in spread(len(pairs), 4 * _BETWEEN)}
    return _midpoints(rule.low, rule.high, rule.mantissa_bits)


def _midpoints(low: int, high: int, mantissa_bits: int) -> set[Fraction]:
    """The same on a grid of integers or of a minifloat between two bounds."""
    magnitudes = set(range(_NEAR)) | {abs(low), high} | set(range(max(high - _NEAR, 0), high))
    if mantissa_bits == INTEGER_GRID:
        magnitudes |= {abs(low) - 1, *spread(high + 1, _BETWEEN)}
    else:
        binades = max(high.bit_length() - 1 - mantissa_bits, 0)
        firsts = [1 << (mantissa_bits + binade) for binade in spread(binades + 1, _BETWEEN)]
        magnitudes |= {first + offset for first in firsts for offset in (-1, 0, first >> 1, first - 1)}
    found = set()
    for magnitude in magnitudes:
        spacing = max(magnitude.bit_length() - 1 - mantissa_bits, 0) if mantissa_bits != INTEGER_GRID else 0
        number = magnitude >> spacing << spacing
        found |= {Fraction(2 * number + (1 << spacing), 2), Fraction(2 * number - (1 << spacing), 2)}
    return found | {-one for one in found}


def _positions(rule: Requantiser, accumulator: Grid, channels: int) -> Iterator[list[int]]:
    """Accumulators of whole positions, for blocks: the first of a block sets its scale, the others lie around ties."""
    grid = rule.blocks
    if grid is None:
        raise ValueError("positions are for requantisers that write blocks")
    for end in (0, accumulator.low, accumulator.high):
        yield [end] * channels
    midpoints = sorted(_midpoints(grid.element.low, grid.element.high, grid.element.mantissa_bits))
    multipliers = rule.multipliers * channels if len(rule.multipliers) == 1 else rule.multipliers
    bits = accumulator.high.bit_length()
    for row, (drop, sign) in enumerate(itertools.product(spread(bits, 2 * _BETWEEN), (1, -1))):
        first = sign * (accumulator.high >> drop)
        number = Fraction(first * multipliers[0]) / Fraction(2) ** rule.shift
        _, code = encode_block([number], grid)
        scale = Fraction(2) ** code if grid.scale_unit is None else code * Fraction(2) ** grid.scale_unit
        position = []
        for channel, multiplier in enumerate(multipliers):
            lead = channel % grid.size == 0
            wanted = number if lead else midpoints[(channel + row) % len(midpoints)] * scale
            exact = wanted * Fraction(2) ** rule.shift / multiplier if multiplier else Fraction(0)
            position.append(math.floor(exact) + (channel + row // 2) % 2)
        yield [on_grid(one, 0, accumulator) for one in position]
