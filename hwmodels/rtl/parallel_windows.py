"""Parallel window generators: delay lines that show all taps of a word at once, masked in the padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.engine_streams import source_ports
from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY
from hwmodels.rtl.unit import render
from hwmodels.rtl.windows import window_shape

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit
    from hwmodels.rtl.window_shapes import Axis, WindowShape

PARALLEL_WINDOW: Final = "parallel window"
SHIFT_REGISTER_WORDS: Final = 32
"""Depth of a shift register in a LUT (SRLC32E; UG574)."""
FEWEST_IN_LUTS: Final = 3
"""Shorter delays are flip-flops (``shreg_extract`` of Yosys' ``synth_xilinx``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mask:
    """A row or column of taps that lies in the padding of some windows: its index, and a condition on a counter."""

    index: int
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    groups: int
    tap_delay: int
    row_delay: int
    prime: int
    total: int
    row_masks: tuple[_Mask, ...]
    column_masks: tuple[_Mask, ...]


def parallel_window(
    *,
    height: int,
    width: int,
    kernel_height: int,
    kernel_width: int,
    stride_height: int,
    stride_width: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
    words: int,
    bits: int,
    taps: int,
    memory: int = LUT_MEMORY,
) -> Unit:
    """Windows of which ``taps`` taps of one word are handed out a cycle, in the order (word, group of taps).

    The words of a window pass through the delay lines once. Behind the last position of a sample the lines go on moving
    without input until its last window has left, unless the next sample pushes it out.

    Args:
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
        words: of a position.
        bits: of a word.
        taps: handed out at once; divides those of the kernel.
        memory: 0 keeps rows in shift registers, 1 in block RAM.

    Raises:
        ValueError: if a number is out of range, or the window does not move over its own input.
    """
    parameters = {
        "height": height,
        "width": width,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_height": stride_height,
        "stride_width": stride_width,
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
        "words": words,
        "bits": bits,
        "taps": taps,
        "memory": memory,
    }
    shape = window_shape(parameters)
    plan = _plan(shape, words, taps, memory)
    return render(
        "parallel_window.v",
        family=PARALLEL_WINDOW,
        parameters=parameters,
        ports=source_ports(bits, taps * bits),
        plan=plan,
        shape=shape,
        last_x=(shape.columns.windows - 1) * stride_width,
        last_y=(shape.rows.windows - 1) * stride_height,
        bit_count=_bits,
    )


def parallel_window_structure(**parameters: int) -> dict[str, float]:
    """LUTs of delays and block RAM, bits of multiplexers that choose taps, of counters, and masks."""
    shape = window_shape(parameters)
    words, bits, taps = parameters["words"], parameters["bits"], parameters["taps"]
    in_luts = parameters.get("memory", LUT_MEMORY) == LUT_MEMORY
    plan = _plan(shape, words, taps, parameters.get("memory", LUT_MEMORY))
    rows = shape.rows.kernel - 1
    lines = rows * bits if rows else 0
    short = shape.rows.kernel * (shape.columns.kernel - 1) * bits
    delays = [(plan.tap_delay, short)] + ([(plan.row_delay, lines)] if in_luts else [])
    shifts = sum(count * -(-delay // SHIFT_REGISTER_WORDS) for delay, count in delays if delay >= FEWEST_IN_LUTS)
    flip_flops = sum(count * delay for delay, count in delays if delay < FEWEST_IN_LUTS)
    counters = _bits(shape.columns.size) + _bits(shape.rows.size) + (_bits(words) if words > 1 else 0)
    counters += _bits(plan.groups) if plan.groups > 1 else 0
    if plan.prime:
        counters += _bits(plan.total) + plan.prime.bit_length()
    if rows and not in_luts:
        counters += _bits(plan.row_delay)
    phases = sum(_bits(axis.stride) for axis in (shape.rows, shape.columns) if axis.stride > 1)
    masks = len(plan.row_masks) + len(plan.column_masks)
    return {
        "delay_luts": shifts,
        # A LUT6 chooses among three bits or four, a further one among two more.
        "mux_luts": taps * bits * -(-(plan.groups - 1) // 2) if plan.groups > 1 else 0,
        "counter_bits": counters,
        "masks": masks,
        "register_bits": flip_flops + taps * bits + bits + phases + 1,
        "one": 1,
    }


def parallel_window_memory(**parameters: int) -> tuple[int, int]:
    """Words, and bits of each, that a parallel window delays by whole rows."""
    shape = window_shape(parameters)
    plan = _plan(shape, parameters["words"], parameters["taps"], parameters.get("memory", LUT_MEMORY))
    return plan.row_delay, (shape.rows.kernel - 1) * parameters["bits"]


@lru_cache(maxsize=1 << 12)
def _plan(shape: WindowShape, words: int, taps: int, memory: int) -> _Plan:
    rows, columns = shape.rows, shape.columns
    if taps < 1 or shape.taps % taps:
        raise ValueError(f"{taps} taps at once do not divide a window of {shape.taps}: use a divisor")
    row_delay = (columns.size - columns.kernel + 1) * words
    for name, axis in (("rows", rows), ("columns", columns)):
        if axis.size < axis.kernel or (axis.windows - 1) * axis.stride >= axis.size:
            raise ValueError(
                f"a parallel window moves over its own input: {axis.windows} windows of {axis.kernel} {name}, stride "
                f"{axis.stride}, leave the {axis.size} {name} there are; use one tap at once"
            )
    if memory == BLOCK_MEMORY and row_delay < 2:
        raise ValueError(f"rows of {row_delay} words are too short for block RAM: use shift registers")
    prime = (rows.kernel - 1 - rows.before) * columns.size + columns.kernel - 1 - columns.before
    return _Plan(
        groups=shape.taps // taps,
        tap_delay=words,
        row_delay=row_delay,
        prime=prime * words,
        total=shape.positions * words,
        row_masks=_masks(rows, "row"),
        column_masks=_masks(columns, "column"),
    )


def _masks(axis: Axis, counter: str) -> tuple[_Mask, ...]:
    found = []
    for tap, low, high in axis.outside():
        tests = [f"{counter} < {low * axis.stride}"] if low > 0 else []
        tests += [f"{counter} > {high * axis.stride}"] if high < axis.windows - 1 else []
        found.append(_Mask(index=tap, test=" | ".join(tests)))
    return tuple(found)


def _bits(count: int) -> int:
    return max((count - 1).bit_length(), 1)
