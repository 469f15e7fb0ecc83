"""What an engine is asked to be, in integers, and all that follows from it: widths, stages, words, cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.adder_trees import adder_tree_width
from hwmodels.rtl.dsp_multipliers import MOST_FIELDS, REGISTERS, dsp_multiplier_structure, fields_per_dsp
from hwmodels.rtl.engine_lanes import Lane, lane
from hwmodels.rtl.multipliers import MULTIPLIER
from hwmodels.rtl.replay_intervals import replayed_interval
from hwmodels.rtl.window_shapes import WindowShape, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LUT_STYLE: Final = 0
DSP_STYLE: Final = 1
PACKED_STYLE: Final = 2
STYLES: Final = {LUT_STYLE: "LUTs", DSP_STYLE: "a DSP each", PACKED_STYLE: "packed into DSPs"}
NO_SCALE: Final = 0
TENSOR_SCALE: Final = 1
CHANNEL_SCALE: Final = 2


class EngineError(ValueError):
    """An engine that cannot be built; the message says what was given, what is allowed, what to do."""


@dataclass(frozen=True, slots=False, kw_only=True)
class EngineShape:
    """One layer's engine. A linear layer is a window of one tap over ``height`` rows, a row per position.

    Attributes:
        outputs: values one position makes.
        channels: of the input; those of a depthwise convolution equal the outputs.
        pe: outputs at once; divides them.
        simd: products of an output at once; divides the taps times the channels (depthwise: the taps).
        weight_bits: of a weight, two's complement.
        activation_bits: of an activation.
        activation_signed: 1 if activations are two's complement, else 0.
        weight_exponent: exponent bits of a minifloat weight (`hwmodels.rtl.minifloats`), 0 for an integer.
        activation_exponent: the same of an activation.
        weight_places: of a weight that is a power of two (`hwmodels.rtl.powers_of_two`), else 0.
        lmul: 1 if products of minifloats are the L-Mul of their fields, 2 if that of its formula, 0 if they are exact.
        accumulator: bits that hold every sum of an output.
        bias: 1 if sums start from a bias, else 0.
        scale: 0 for none (sums leave as they are), 1 for one multiplier, 2 for one per output.
        multiplier_bits: of an unsigned requantisation multiplier.
        shift: by which its product is shifted right.
        output_bits: of a code.
        output_signed: 1 if codes are two's complement, else 0.
        output_exponent: exponent bits of a minifloat code, 0 for an integer.
        output_reserved: magnitude codes at its top that are no finite numbers.
        zero_point: added before codes saturate.
        relu: 1 if codes below the zero point become it.
        style: 0 multiplies in LUTs, 1 in a DSP each, 2 packed into DSPs.
        memory: 0 keeps weights in LUTs, 1 in block RAM.
        buffer_memory: the same of activations.
        height: rows of the input.
        width: columns of the input.
        kernel_height: rows of a window.
        kernel_width: columns of a window.
        stride_height: rows from a window to the next.
        stride_width: columns from a window to the next.
        top: rows of padding above.
        bottom: rows of padding below.
        left: columns of padding before.
        right: columns of padding behind.
        depthwise: 1 if every output reads one channel.
    """

    outputs: int
    channels: int
    pe: int
    simd: int
    weight_bits: int
    activation_bits: int
    activation_signed: int = 1
    weight_exponent: int = 0
    activation_exponent: int = 0
    weight_places: int = 0
    lmul: int = 0
    accumulator: int
    bias: int = 1
    scale: int = CHANNEL_SCALE
    multiplier_bits: int = 16
    shift: int = 16
    output_bits: int = 8
    output_signed: int = 1
    output_exponent: int = 0
    output_reserved: int = 0
    zero_point: int = 0
    relu: int = 0
    style: int = LUT_STYLE
    memory: int = 0
    buffer_memory: int = 0
    height: int = 1
    width: int = 1
    kernel_height: int = 1
    kernel_width: int = 1
    stride_height: int = 1
    stride_width: int = 1
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    depthwise: int = 0

    def __post_init__(self) -> None:
        if min(self.outputs, self.channels, self.pe, self.simd, self.weight_bits, self.activation_bits) < 1:
            raise EngineError(f"outputs, channels, pe, simd and widths of an engine are at least 1, got {self}")
        if self.depthwise and self.channels != self.outputs:
            raise EngineError(
                f"a depthwise engine has as many outputs as channels, got {self.outputs} and {self.channels}"
            )
        for name, value, number, what in (
            ("pe", self.pe, self.outputs, "outputs"),
            ("simd", self.simd, self.depth, "inputs of an output"),
        ):
            if number % value:
                raise EngineError(f"{name} {value} does not divide the {number} {what}: use a divisor")
        if self.style not in STYLES:
            known = ", ".join(f"{code} ({name})" for code, name in STYLES.items())
            raise EngineError(f"multipliers of an engine are in style {known}, got {self.style}")
        if self.style != LUT_STYLE and self.lane.family != MULTIPLIER:
            raise EngineError("DSPs multiply integers: use style 0 for minifloats and powers of two")
        if self.output_exponent and (self.zero_point or self.style != LUT_STYLE):
            raise EngineError("codes that are minifloats have no zero point, and are made in style 0")
        if self.depthwise and self.style == PACKED_STYLE:
            raise EngineError("lanes of a depthwise engine share no operand: use style 0 or 1")
        if self.depthwise and self.taps == 1:
            raise EngineError("a depthwise window of one tap sums nothing: use a linear layer of its own")

    @property
    def taps(self) -> int:
        """Of a window."""
        return self.kernel_height * self.kernel_width

    @property
    def depth(self) -> int:
        """Products in a sum."""
        return self.taps if self.depthwise else self.taps * self.channels

    @property
    def steps(self) -> int:
        """Cycles of a sum."""
        return self.depth // self.simd

    @property
    def passes(self) -> int:
        """Sums of a lane per position."""
        return self.outputs // self.pe

    @property
    def is_window(self) -> bool:
        """Whether positions overlap or are skipped, so that they pass through a window generator."""
        return self.taps > 1 or self.stride_height > 1 or self.stride_width > 1

    @cached_property
    def window(self) -> WindowShape:
        """The window; of a linear layer a single tap."""
        return window_of(
            (self.height, self.kernel_height, self.stride_height, self.top, self.bottom),
            (self.width, self.kernel_width, self.stride_width, self.left, self.right),
        )

    @property
    def positions(self) -> int:
        """Of the output."""
        return self.window.windows

    @property
    def input_lanes(self) -> int:
        """Activations of an input word."""
        if self.depthwise:
            return self.pe
        return math.gcd(self.simd, self.channels)

    @property
    def input_words(self) -> int:
        """Words of an input position."""
        return self.channels // self.input_lanes

    @property
    def taps_at_once(self) -> int:
        """Taps that a step reads."""
        return self.simd if self.depthwise else self.simd // self.input_lanes

    @property
    def is_parallel(self) -> bool:
        """Whether a step reads several taps."""
        return self.taps_at_once > 1

    @property
    def window_parameters(self) -> dict[str, int]:
        """Of the window generator, parallel or serial, but for bits and memory."""
        axes = ("height", "width", "kernel_height", "kernel_width", "stride_height", "stride_width")
        found = {name: getattr(self, name) for name in (*axes, "top", "bottom", "left", "right")}
        found["words"] = self.input_words
        if self.is_parallel:
            return found | {"taps": self.taps_at_once}
        return found | {"passes": 1 if self.depthwise else self.passes, "depthwise": self.depthwise}

    @property
    def has_replay(self) -> bool:
        """Whether operands are kept for several passes outside of a window generator."""
        return self.passes > 1 and not self.depthwise and (self.is_parallel or not self.is_window)

    @property
    def operands(self) -> int:
        """Activations that a step reads."""
        return self.pe * self.simd if self.depthwise else self.simd

    @property
    def fields(self) -> int:
        """Products in a DSP."""
        if self.style != PACKED_STYLE:
            return 1
        found = fields_per_dsp(self.weight_bits, self.activation_bits, self.activation_signed)
        return min(found, self.pe) if found < MOST_FIELDS or self.pe > 2 else min(2, self.pe)

    @property
    def groups(self) -> tuple[int, ...]:
        """Lanes of each DSP along the outputs: full ones and a rest."""
        full, rest = divmod(self.pe, self.fields)
        return (self.fields,) * full + ((rest,) if rest else ())

    @property
    def lane(self) -> Lane:
        """What multiplies in LUTs."""
        return lane(
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            activation_signed=self.activation_signed,
            weight_exponent=self.weight_exponent,
            activation_exponent=self.activation_exponent,
            weight_places=self.weight_places,
            lmul=self.lmul,
        )

    @property
    def carries(self) -> tuple[int, ...]:
        """By output at once, whether a bit is added beside each of its products.

        Products of minifloats are complemented and lack a one; those that lie above others in a DSP lent one to these.
        """
        if self.lane.carries:
            return (1,) * self.pe
        return tuple(int(index > 0) for group in self.groups for index in range(group))

    @property
    def product_bits(self) -> int:
        """Of a product."""
        return self.lane.term_bits

    @property
    def multiply_stages(self) -> int:
        """Registers of a product behind its operands."""
        return 1 if self.style == LUT_STYLE else REGISTERS

    @property
    def tree_levels(self) -> int:
        """Registers of the adder tree."""
        return (self.simd - 1).bit_length()

    def term_bits(self, carries: int) -> int:
        """Of what a step adds; an accumulator of the real weights' sums may be narrower, and drops the rest."""
        width = adder_tree_width(lanes=self.simd, width=self.product_bits, carries=carries)
        return min(width, self.accumulator)

    @property
    def at_once(self) -> int:
        """Requantisers: the fewest that divide the lanes and finish before the next result."""
        least = -(-self.pe // self.steps)
        return next(count for count in range(least, self.pe + 1) if self.pe % count == 0)

    @property
    def beats(self) -> int:
        """Output words of a result."""
        return self.pe // self.at_once

    @property
    def tables(self) -> int:
        """Words of requantisation multipliers."""
        return self.outputs // self.at_once if self.scale == CHANNEL_SCALE else 1

    @property
    def finish_stages(self) -> int:
        """Registers of a requantiser."""
        if self.scale == NO_SCALE:
            return 0
        return 2 + (self.output_exponent > 0) if self.style == LUT_STYLE else REGISTERS + 1

    @property
    def word_bits(self) -> int:
        """Stored bits of the weights of a step."""
        if self.style == PACKED_STYLE:
            return self.simd * sum(group * (self.weight_bits + 1) - 1 for group in self.groups)
        return self.pe * self.simd * self.weight_bits

    @property
    def output_word_bits(self) -> int:
        """Bits of an output word."""
        return self.at_once * (self.accumulator if self.scale == NO_SCALE else self.output_bits)

    @property
    def dsps(self) -> int:
        """DSP slices."""
        if self.style == LUT_STYLE:
            return 0
        multipliers = 0
        if self.scale != NO_SCALE:
            found = dsp_multiplier_structure(a=self.accumulator, b=self.multiplier_bits, b_signed=0)
            multipliers = self.at_once * int(found["dsps"])
        return self.simd * len(self.groups) + multipliers

    @property
    def parameters(self) -> dict[str, int]:
        """All fields by name; ``lmul`` where it is not 0: the names of engines without it were there before."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if name != "lmul" or value}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCycles:
    """What an engine takes per sample with inputs always at hand and outputs never held up.

    Attributes:
        interval: cycles between two samples.
        fill: cycles from the first input word of a sample to its first output word, both counted as the cycle in which
            they pass; from an empty engine.
    """

    interval: int
    fill: int


def engine_cycles(shape: EngineShape) -> EngineCycles:
    """Interval and fill of an engine.

    >>> engine_cycles(EngineShape(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4,
    ...     accumulator=16))
    EngineCycles(interval=16, fill=11)
    """
    return EngineCycles(interval=sample_interval(shape), fill=last_step(shape) + pipeline_cycles(shape))


def sample_interval(shape: EngineShape) -> int:
    """Cycles between two samples; see `engine_cycles`."""
    arrive = shape.window.positions * shape.input_words
    compute = shape.positions * shape.passes * shape.steps
    if not (shape.is_window and shape.is_parallel):
        return max(arrive, compute)
    groups = shape.taps // shape.taps_at_once
    if not shape.has_replay:
        # Positions that complete no window pass by in a cycle a word.
        return arrive + shape.positions * shape.input_words * (groups - 1)
    return replayed_interval(shape.window, steps=shape.steps, words=shape.input_words, turn=shape.passes * shape.steps)


def pipeline_cycles(shape: EngineShape) -> int:
    """Cycles from the last step of a result to its first output word.

    >>> pipeline_cycles(EngineShape(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4,
    ...     accumulator=16))
    7
    """
    return 1 + shape.multiply_stages + shape.tree_levels + 1 + (shape.beats > 1) + shape.finish_stages


def last_step(shape: EngineShape) -> int:
    """Cycles from the first input word of a sample to the last step of its first result."""
    if not shape.is_window:
        return shape.steps - 1 + int(shape.has_replay)
    first = shape.window.first_needed
    if not shape.is_parallel:
        return first * shape.input_words + shape.steps - 1
    return (first - 1) * shape.input_words + shape.steps + int(shape.has_replay) * 2


@lru_cache(maxsize=1 << 14)
def _shape(parameters: tuple[tuple[str, int], ...]) -> EngineShape:
    return EngineShape(**dict(parameters))


def engine_shape(parameters: Mapping[str, int]) -> EngineShape:
    """The shape of these parameters, cached."""
    return _shape(tuple(sorted(parameters.items())))
