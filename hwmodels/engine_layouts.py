"""What a folding makes of an engine's shape, whatever its numbers: steps, words, windows, cycles.

All of it is that of our RTL's engine (`hwmodels.rtl.engine_shape`), asked for with nominal widths. Shapes of which
there is no RTL (dilated windows, three axes, groups between dense and depthwise, a streamed second operand) are laid
out alike: their windows are counted, and they say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.engine_shapes import WeightSource, requantisers_of
from hwmodels.folding import Folding, check_folding
from hwmodels.rtl import engine_shape as rtl
from hwmodels.windows import first_window_positions, held_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.network import Window
    from hwmodels.engine_shapes import EngineShape

_NOMINAL: Final = {"weight_bits": 2, "activation_bits": 2, "accumulator": 16}
"""Widths, on which no layout depends."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowLayout:
    """The window generator of an engine.

    Compared by identity, which makes it a quick key: `window_layout` gives equal ones the same object.

    Attributes:
        parameters: of its unit (`hwmodels.rtl.windows`, `hwmodels.rtl.parallel_windows`) but bits and memory; None if
            there is no RTL.
        is_parallel: whether a step reads several taps.
        counted_words: of a buffer that stands for it without RTL.
        counter_bits: of its counters without RTL.
    """

    parameters: tuple[tuple[str, int], ...] | None
    is_parallel: bool
    counted_words: int = 0
    counter_bits: int = 0


window_layout: Final = lru_cache(maxsize=1 << 14)(WindowLayout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An engine without its numbers.

    Attributes:
        steps: cycles of a sum.
        passes: sums of a lane per position.
        at_once: requantisers.
        input_lanes: activations of an input word.
        operands: activations that a step reads.
        has_replay: whether operands are kept for several passes outside of a window generator.
        window: the generator; None if positions neither overlap nor are skipped.
        interval: cycles between two samples.
        first: cycles from the first input word to the last step of the first result.
        notes: what has no RTL.
    """

    steps: int
    passes: int
    at_once: int
    input_lanes: int
    operands: int
    has_replay: bool
    window: WindowLayout | None
    interval: int
    first: int
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        """Of the weights."""
        return self.steps * self.passes


class Layouts(dict[tuple[int, int], Layout]):
    """The layouts of one shape by pe and simd, each checked and made when it is first asked for."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__()
        self._shape = shape

    def __missing__(self, folding: tuple[int, int]) -> Layout:
        pe, simd = folding
        shape = self._shape
        check_folding(Folding(pe=pe, simd=simd), shape.outputs, shape.depth, groups=shape.groups)
        known = rtl_engine(shape, pe, simd)
        found = self[folding] = _counted(shape, pe, simd) if known is None else _built(known)
        return found


@lru_cache(maxsize=1 << 10)
def engine_layouts(shape: EngineShape) -> Layouts:
    """The layouts of the foldings that divide a shape."""
    return Layouts(shape)


def _built(shape: rtl.EngineShape) -> Layout:
    window = None
    if shape.is_window:
        window = window_layout(tuple(shape.window_parameters.items()), shape.is_parallel)
    return Layout(
        steps=shape.steps,
        passes=shape.passes,
        at_once=shape.at_once,
        input_lanes=shape.input_lanes,
        operands=shape.operands,
        has_replay=shape.has_replay,
        window=window,
        interval=rtl.sample_interval(shape),
        first=rtl.last_step(shape),
    )


def rtl_engine(shape: EngineShape, pe: int, simd: int) -> rtl.EngineShape | None:
    """The RTL's engine, with nominal widths; None if there is none."""
    if shape.weights is WeightSource.STREAMED:
        return None
    if shape.window is None:
        return rtl.EngineShape(
            outputs=shape.outputs, channels=shape.depth, pe=pe, simd=simd, height=shape.positions, **_NOMINAL
        )
    window = shape.window
    depthwise = shape.is_depthwise and shape.outputs == shape.in_channels and window.taps > 1
    axes = _two_axes(window, shape.space)
    if axes is None or (shape.groups > 1 and not depthwise):
        return None
    found = rtl.EngineShape(
        outputs=shape.outputs,
        channels=shape.in_channels,
        pe=pe,
        simd=simd,
        depthwise=int(depthwise),
        **axes,
        **_NOMINAL,
    )
    return found if not found.is_window or not found.is_parallel or _moves_inside(found) else None


def pool_window(window: Window, space: tuple[int, ...], groups: int) -> WindowLayout | None:
    """The window generator of a pool whose windows overlap, ``groups`` words a position; None without RTL."""
    axes = _two_axes(window, space)
    if axes is None:
        return None
    return window_layout((*axes.items(), ("words", groups), ("passes", 1), ("depthwise", 1)), is_parallel=False)


@lru_cache(maxsize=1 << 10)
def _two_axes(window: Window, space: tuple[int, ...]) -> Mapping[str, int] | None:
    """The parameters of a window over rows and columns, of which a single axis is the columns; None if it is none."""
    if len(space) > 2 or any(step > 1 for step in window.dilation):
        return None
    alone = len(space) == 1
    padding = ((0, 0), *window.padding) if alone else window.padding
    kernel, stride = ((1, *window.kernel), (1, *window.stride)) if alone else (window.kernel, window.stride)
    if any(max(pair) >= taps for pair, taps in zip(padding, kernel, strict=True)):
        return None
    (top, bottom), (left, right) = padding
    return MappingProxyType(
        {
            "height": 1 if alone else space[0],
            "width": space[-1],
            "kernel_height": kernel[0],
            "kernel_width": kernel[1],
            "stride_height": stride[0],
            "stride_width": stride[1],
            "top": top,
            "bottom": bottom,
            "left": left,
            "right": right,
        }
    )


def _moves_inside(shape: rtl.EngineShape) -> bool:
    """Whether a parallel window moves over its own input: there is no other."""
    axes = (shape.window.rows, shape.window.columns)
    return all(axis.size >= axis.kernel and (axis.windows - 1) * axis.stride < axis.size for axis in axes)


def _counted(shape: EngineShape, pe: int, simd: int) -> Layout:
    steps, passes = shape.depth // simd, shape.outputs // pe
    lanes = shape.input_lanes_of(pe, simd)
    compute = passes * steps * shape.positions
    arrive = -(-shape.input_elements // lanes)
    if shape.weights is WeightSource.STREAMED:
        arrive = max(arrive, shape.weight_sets * shape.outputs * steps)
        notes: tuple[str, ...] = ("engine of two activations: the buffer that is loaded has no RTL",)
    else:
        notes = (f"engine of {_what(shape)}: its window has no RTL, a buffer and counters are counted",)
    first, window = steps - 1, None
    if shape.window is not None:
        first += first_window_positions(shape.window, shape.space) * (shape.in_channels // lanes)
        if shape.window.taps > 1 or any(step > 1 for step in shape.window.stride):
            # Where the next value is written, which window is read and which of its taps.
            counters = 2 * sum(size.bit_length() for size in shape.space)
            counters += sum(size.bit_length() for size in shape.window.kernel)
            words = held_positions(shape.window, shape.space) * (shape.in_channels // lanes)
            window = window_layout(None, is_parallel=False, counted_words=words, counter_bits=counters)
    return Layout(
        steps=steps,
        passes=passes,
        at_once=requantisers_of(pe, steps),
        input_lanes=lanes,
        operands=pe * simd if shape.is_depthwise else simd,
        has_replay=passes > 1 and not shape.is_depthwise and window is None,
        window=window,
        interval=max(compute, arrive),
        first=first,
        notes=notes,
    )


def _what(shape: EngineShape) -> str:
    if shape.window is None:
        return "a linear layer"
    words = [f"{shape.groups} groups"] if shape.groups > 1 else []
    words += [f"dilation {max(shape.window.dilation)}"] if max(shape.window.dilation) > 1 else []
    words += [f"{len(shape.space)} axes"] if len(shape.space) > 2 else []
    kernel = " x ".join(map(str, shape.window.kernel))
    return f"a window of {kernel}" + (f", {', '.join(words)}" if words else f" over {math.prod(shape.space)} positions")
