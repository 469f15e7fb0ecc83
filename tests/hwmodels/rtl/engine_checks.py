"""What engines are checked against: the sums and casts of a layer in Python integers, and their claimed cycles."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulation.formats import KHot
from hwmodels.rtl.engine_content import joined, multiplier_words, seeded_content, weight_words
from hwmodels.rtl.engine_shape import CHANNEL_SCALE, NO_SCALE, EngineShape, engine_cycles
from hwmodels.rtl.engines import engine
from hwmodels.rtl.network_cycles import engine_latency
from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import HALF_EVEN, INTEGER_GRID
from tests.hwmodels.rtl.meanings import integer
from tests.hwmodels.rtl.verilating import ALWAYS, Run, verilate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hwmodels.rtl.engine_content import EngineContent
    from tests.hwmodels.rtl.verilating import Trace

SAMPLES = 4
SEED = 7
LATENCY_ERROR = 0.02
Image = list[list[list[int]]]
"""Integers by row, column and channel."""


def layer_output(shape: EngineShape, content: EngineContent, image: Image) -> Image:
    """What hardware mode makes of one sample (rules 5, 7, 8, 9 and 10), tap by tap."""
    window = shape.window
    return [
        [
            [_output(shape, content, image, (out_y, out_x), one) for one in range(shape.outputs)]
            for out_x in range(window.columns.windows)
        ]
        for out_y in range(window.rows.windows)
    ]


def _output(shape: EngineShape, content: EngineContent, image: Image, at: tuple[int, int], one: int) -> int:
    total = content.biases[one] if shape.bias else 0
    weights = [weight_value(shape, code) for code in content.weights[one]]
    index = 0
    for tap_y in range(shape.kernel_height):
        for tap_x in range(shape.kernel_width):
            y = at[0] * shape.stride_height - shape.top + tap_y
            x = at[1] * shape.stride_width - shape.left + tap_x
            inside = 0 <= y < shape.height and 0 <= x < shape.width
            for channel in [one] if shape.depthwise else range(shape.channels):
                total += weights[index] * (activation_value(shape, image[y][x][channel]) if inside else 0)
                index += 1
    half = 1 << shape.accumulator - 1
    total = (total + half) % (2 * half) - half
    if shape.scale == NO_SCALE:
        return total
    multiplier = content.multipliers[one if shape.scale == CHANNEL_SCALE else 0]
    if shape.output_exponent:
        return _minifloat_code(shape, total, multiplier)
    low = -(1 << shape.output_bits - 1) if shape.output_signed else 0
    high = (1 << shape.output_bits - shape.output_signed) - 1
    code = requantise_scalar(
        total,
        multiplier,
        shift=shape.shift,
        low=low - shape.zero_point,
        high=high - shape.zero_point,
        rounding=HALF_EVEN,
        mantissa_bits=INTEGER_GRID,
    )
    return max(code, 0) + shape.zero_point if shape.relu else code + shape.zero_point


def weight_value(shape: EngineShape, code: int) -> int:
    """The integer a weight means."""
    if shape.weight_places:
        return KHot(terms=(tuple(range(shape.weight_places)),)).integers[code] or 0
    return integer(code, shape.weight_exponent, shape.weight_bits - 1 - shape.weight_exponent)


def activation_value(shape: EngineShape, code: int) -> int:
    """The integer an activation means."""
    if not shape.activation_signed:
        return code
    return integer(code, shape.activation_exponent, shape.activation_bits - 1 - shape.activation_exponent)


def _minifloat_code(shape: EngineShape, total: int, multiplier: int) -> int:
    mantissa_bits = shape.output_bits - 1 - shape.output_exponent
    codes = (1 << shape.output_bits - 1) - shape.output_reserved
    found = {integer(code, shape.output_exponent, mantissa_bits): code for code in reversed(range(codes))}
    value = requantise_scalar(
        total,
        multiplier,
        shift=shape.shift,
        low=0 if shape.relu else -max(found),
        high=max(found),
        rounding=HALF_EVEN,
        mantissa_bits=mantissa_bits,
    )
    return found[abs(value)] + (1 << shape.output_bits - 1) * (value < 0)


def random_image(shape: EngineShape, chosen: random.Random) -> Image:
    """Codes, a tenth of which are the ends of their range."""
    low = -(1 << shape.activation_bits - 1) if shape.activation_signed else 0
    high = (1 << shape.activation_bits - shape.activation_signed) - 1

    def code() -> int:
        return chosen.choice([low, high]) if chosen.random() < 0.1 else chosen.randint(low, high)

    return [[[code() for _ in range(shape.channels)] for _ in range(shape.width)] for _ in range(shape.height)]


def to_words(image: Image, lanes: int, bits: int) -> list[int]:
    """A sample as a stream: position after position, ``lanes`` channels a word."""
    words = []
    for row in image:
        for values in row:
            words += [
                joined((value, bits) for value in values[first : first + lanes])
                for first in range(0, len(values), lanes)
            ]
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCase:
    """An engine, its samples, and the words that must leave it."""

    shape: EngineShape
    run: Run
    expected: list[int]


def engine_case(
    parameters: Mapping[str, int], offered: Sequence[int] = ALWAYS, accepted: Sequence[int] = ALWAYS
) -> EngineCase:
    """An engine of seeded content with random samples."""
    shape, chosen = EngineShape(**parameters), random.Random(SEED)
    content = seeded_content(shape, SEED)
    samples = [random_image(shape, chosen) for _ in range(SAMPLES)]
    words = [word for image in samples for word in to_words(image, shape.input_lanes, shape.activation_bits)]
    bits = shape.output_word_bits // shape.at_once
    expected = [
        word for image in samples for word in to_words(layer_output(shape, content, image), shape.at_once, bits)
    ]
    unit = engine(**parameters, content=content)
    tied = {}
    for port in unit.ports:
        if port.name == "weights_in":
            tied[port.name] = weight_words(shape, content)[0]
        if port.name == "multipliers_in":
            tied[port.name] = multiplier_words(shape, content)[0]
    run = Run(unit=unit, words=words, outputs=len(expected), offered=offered, accepted=accepted, tied=tied)
    return EngineCase(shape=shape, run=run, expected=expected)


def differences(case: EngineCase, trace: Trace) -> int:
    """Words that left and should have been others."""
    missing = abs(len(case.expected) - len(trace.words))
    return missing + sum(got != wanted for got, wanted in zip(trace.words, case.expected, strict=False))


def measured_cycles(case: EngineCase, trace: Trace) -> tuple[int, int, int]:
    """Interval of the last two samples, and cycles from the first word to the first output and the sample's last."""
    per_sample = len(case.expected) // SAMPLES
    began, ends = trace.arrived[0], trace.left[per_sample - 1 :: per_sample]
    return ends[-1] - ends[-2], trace.left[0] - began, ends[0] - began


def check_engines(cases: Sequence[EngineCase], tool: Callable[[str], Path], *, cycles: int = 100_000) -> None:
    """All words equal; where neighbours never wait, interval and fill in cycles as claimed, latency within 2 %."""
    for case, trace in zip(cases, verilate([case.run for case in cases], tool, cycles=cycles), strict=True):
        assert differences(case, trace) == 0, f"{case.shape}: {differences(case, trace)} of {len(case.expected)} words"
        if case.run.offered == ALWAYS and case.run.accepted == ALWAYS:
            claimed = engine_cycles(case.shape)
            interval, fill, latency = measured_cycles(case, trace)
            assert (interval, fill) == (claimed.interval, claimed.fill), case.shape
            assert abs(latency - engine_latency(case.shape)) <= LATENCY_ERROR * latency, case.shape
