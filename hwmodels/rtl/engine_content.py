"""What an engine's memories hold: weights, biases and multipliers in the order in which the engine reads them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.rtl.dsp_multipliers import packed_weights
from hwmodels.rtl.engine_shape import CHANNEL_SCALE, NO_SCALE, PACKED_STYLE, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwmodels.rtl.engine_shape import EngineShape


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContent:
    """The integers of a layer.

    Attributes:
        weights: (outputs, depth), integers or codes, the depth in the order row, column, channel of the window.
        biases: (outputs,), in the unit of the sum; empty without biases.
        multipliers: (outputs,), or one for all; empty without requantisation.
    """

    weights: Sequence[Sequence[int]]
    biases: Sequence[int] = ()
    multipliers: Sequence[int] = ()


def seeded_content(shape: EngineShape, seed: int) -> EngineContent:
    """Pseudo-random integers of the engine's widths; sums stay inside the accumulator as far as its width allows."""
    chosen = random.Random(seed)  # noqa: S311 - stands for weights, hides nothing
    weights = [[_seeded_weight(shape, chosen) for _ in range(shape.depth)] for _ in range(shape.outputs)]
    largest = 1 << max(shape.accumulator - 3, 0)
    biases = [chosen.randint(-largest, largest - 1) for _ in range(shape.outputs)] if shape.bias else []
    count = {NO_SCALE: 0, CHANNEL_SCALE: shape.outputs}.get(shape.scale, 1)
    top = 1 << shape.multiplier_bits
    multipliers = [chosen.randrange(top // 2, top) for _ in range(count)]
    return EngineContent(weights=weights, biases=biases, multipliers=multipliers)


def _seeded_weight(shape: EngineShape, chosen: random.Random) -> int:
    if shape.weight_places:
        number = chosen.randint(0, shape.weight_places)
        return number | (chosen.getrandbits(1) << shape.weight_bits - 1 if number else 0)
    return chosen.randint(*code_range(shape))


def code_range(shape: EngineShape) -> tuple[int, int]:
    """Least and greatest weight: integers, or the codes of another format.

    Powers of two end with the last place.
    """
    if shape.weight_places:
        return 0, (1 << shape.weight_bits - 1) + shape.weight_places
    if shape.weight_exponent:
        return 0, (1 << shape.weight_bits) - 1
    return -(1 << shape.weight_bits - 1), (1 << shape.weight_bits - 1) - 1


def check_content(shape: EngineShape, content: EngineContent) -> None:
    """Check that integers fit an engine.

    Raises:
        EngineError: if there are too many or too few, or one exceeds its width.
    """
    rows = {len(row) for row in content.weights}
    if len(content.weights) != shape.outputs or rows != {shape.depth}:
        raise EngineError(
            f"an engine of {shape.outputs} outputs of depth {shape.depth} takes as many weights, got "
            f"{len(content.weights)} rows of {sorted(rows)}"
        )
    scales = {NO_SCALE: 0, CHANNEL_SCALE: shape.outputs}.get(shape.scale, 1)
    for name, values, count, (low, high) in (
        ("weights", [value for row in content.weights for value in row], None, code_range(shape)),
        ("biases", content.biases, shape.outputs if shape.bias else 0, _range(shape.accumulator)),
        ("multipliers", content.multipliers, scales, (0, (1 << shape.multiplier_bits) - 1)),
    ):
        if count is not None and len(values) != count:
            raise EngineError(f"an engine takes {count} {name}, got {len(values)}")
        outside = next((value for value in values if not low <= value <= high), None)
        if outside is not None:
            raise EngineError(f"{name} of this engine lie in {low} to {high}, got {outside}: use a wider format")


def _range(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


def input_index(shape: EngineShape, output: int, step: int, lane: int) -> int:
    """Which of an output's inputs (row, column, channel) a lane reads in a step of the output's pass."""
    if shape.depthwise:
        return step * shape.simd + lane
    words = shape.input_words
    del output
    if not shape.is_parallel:
        tap, word = divmod(step, words)
        return tap * shape.channels + word * shape.input_lanes + lane
    groups = shape.taps // shape.taps_at_once
    word, group = divmod(step, groups)
    tap, channel = divmod(lane, shape.input_lanes)
    return (group * shape.taps_at_once + tap) * shape.channels + word * shape.input_lanes + channel


def weight_words(shape: EngineShape, content: EngineContent) -> list[int]:
    """The words of the weight memory, pass after pass, step after step; lanes of an output side by side."""
    words = []
    for turn in range(shape.passes):
        for step in range(shape.steps):
            lanes = [
                [
                    content.weights[turn * shape.pe + one][input_index(shape, turn * shape.pe + one, step, lane)]
                    for lane in range(shape.simd)
                ]
                for one in range(shape.pe)
            ]
            words.append(_weight_word(shape, lanes))
    return words


def _weight_word(shape: EngineShape, lanes: Sequence[Sequence[int]]) -> int:
    bits = shape.weight_bits
    if shape.style != PACKED_STYLE:
        return joined((value, bits) for one in lanes for value in one)

    def parts() -> Iterator[tuple[int, int]]:
        first = 0
        for group in shape.groups:
            for lane in range(shape.simd):
                packed = packed_weights([lanes[first + index][lane] for index in range(group)], bits)
                yield packed, group * (bits + 1) - 1
            first += group

    return joined(parts())


def bias_words(shape: EngineShape, content: EngineContent) -> list[int]:
    """The words of the bias memory, one a pass."""
    rows = [content.biases[turn * shape.pe : (turn + 1) * shape.pe] for turn in range(shape.passes)]
    return [joined((value, shape.accumulator) for value in row) for row in rows]


def multiplier_words(shape: EngineShape, content: EngineContent) -> list[int]:
    """The words of the table of multipliers, one a beat; a single one for all requantisers if all share it."""
    bits, count = shape.multiplier_bits, shape.at_once
    if shape.scale != CHANNEL_SCALE:
        return [content.multipliers[0]]
    rows = [content.multipliers[first : first + count] for first in range(0, shape.outputs, count)]
    return [joined((value, bits) for value in row) for row in rows]


def joined(parts: Iterator[tuple[int, int]]) -> int:
    """Integers of given widths side by side, the first lowest.

    >>> hex(joined(iter([(-1, 4), (2, 4)])))
    '0x2f'
    """
    word, place = 0, 0
    for value, bits in parts:
        word |= (value & (1 << bits) - 1) << place
        place += bits
    return word
