"""Sliding window generators: from a stream of positions to the operands of each step of an engine.

Two structures. The serial one keeps positions in a circular buffer and reads one word of one tap a cycle, window after
window, as often as the engine has passes; it writes and reads at the same time, and its buffer holds just enough that
neither side waits. The parallel one shifts positions through delay lines, so that all taps of a word are there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.accumulators import range_bits
from hwmodels.rtl.engine_streams import memory_features, source_ports
from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY
from hwmodels.rtl.unit import render
from hwmodels.rtl.window_shapes import runs, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.rtl.unit import Unit
    from hwmodels.rtl.window_shapes import Axis, WindowShape

SERIAL_WINDOW: Final = "serial window"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SerialPlan:
    """Counters and addresses of a serial window.

    Attributes:
        counters: names, bits and totals, the fastest first; those that never move are left out.
        moves: by what has ended, how far the address goes on, modulo the depth.
        depth: words of the buffer.
        positions: of the buffer.
        address_bits: of a word of the buffer.
        level_bits: of the number of positions held.
        row_done: counters that have ended with a row of taps.
        turn_done: the counter that ends with the window.
        control: the structure of all but what holds positions.
    """

    counters: tuple[tuple[str, int, int], ...]
    moves: Mapping[str, int]
    depth: int
    positions: int
    address_bits: int
    level_bits: int
    row_done: tuple[str, ...]
    turn_done: str
    control: Mapping[str, float]


def window_shape(parameters: Mapping[str, int]) -> WindowShape:
    """The shape of a window from an engine's parameters."""
    p = parameters
    return window_of(
        (p["height"], p["kernel_height"], p["stride_height"], p["top"], p["bottom"]),
        (p["width"], p["kernel_width"], p["stride_width"], p["left"], p["right"]),
    )


def serial_window(
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
    passes: int,
    depthwise: int = 0,
    memory: int = LUT_MEMORY,
) -> Unit:
    """Windows read word by word from a circular buffer, in the order (pass, row, column, word) of each window.

    Each word of a depthwise window belongs to other outputs: the order is (word, row, column), and there is one pass.

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
        passes: times a window is read.
        depthwise: 1 if taps of a word follow each other, 0 if words of a tap do.
        memory: 0 keeps the buffer in LUTs, 1 in block RAM.

    Raises:
        ValueError: if a number is out of range.
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
        "passes": passes,
        "depthwise": depthwise,
        "memory": memory,
    }
    if min(words, bits, passes) < 1 or (depthwise and passes > 1):
        raise ValueError(
            f"a window has 1 or more words, bits and passes, and a depthwise one a single pass, got {words} words of "
            f"{bits} bits, {passes} passes"
        )
    shape = window_shape(parameters)
    plan = _serial_plan(shape, words, passes, depthwise)
    return render(
        "serial_window.v",
        family=SERIAL_WINDOW,
        parameters=parameters,
        ports=source_ports(bits, bits),
        plan=plan,
        start=-(top * width + left) * words % plan.depth,
        outside=_outside(shape),
        span=by_window(_spans(shape), plan.level_bits),
        signed=plan.level_bits > plan.positions.bit_length(),
        releases=_releases(shape, plan.level_bits),
        style="block" if memory == BLOCK_MEMORY else "distributed",
    )


def serial_window_structure(**parameters: int) -> dict[str, float]:
    """Bits of counters, of addresses and of the number held, comparators, and LUTs that hold positions."""
    shape, bits, memory = window_shape(parameters), parameters["bits"], parameters.get("memory", LUT_MEMORY)
    plan = _serial_plan(shape, parameters["words"], parameters["passes"], parameters.get("depthwise", 0))
    held = memory_features(plan.depth, bits, memory)
    return {
        **plan.control,
        "storage_luts": held["memory_luts"] + held["joins"],
        "block_joins": held["block_joins"],
        "word_bits": 0 if memory == BLOCK_MEMORY else bits,
        "one": 1,
    }


def _control(
    shape: WindowShape, words: int, counters: Sequence[tuple[str, int, int]], depth: int, level_bits: int
) -> dict[str, float]:
    """The structure of all but what holds positions."""
    address_bits = _bits(depth)
    is_wrapped = depth != 1 << address_bits
    return {
        "counter_bits": sum(width for _, width, _ in counters) + (_bits(words) if words > 1 else 0),
        # A comparison with a constant takes a LUT for six bits, then one for each five more.
        "compares": sum(-(-(width - 1) // 5) for _, width, _ in counters),
        "wraps": sum(total & total - 1 > 0 for _, _, total in counters),
        "address_bits": address_bits,
        "modulo_bits": address_bits if is_wrapped else 0,
        "modulo": int(is_wrapped),
        "level_bits": level_bits,
        "outside_bits": sum(_outside_bits(axis) for axis in (shape.rows, shape.columns)),
    }


def _outside_bits(axis: Axis) -> int:
    """Bits compared to tell which taps of an axis lie in the padding."""
    ends = sum((low > 0) + (high < axis.windows - 1) for _, low, high in axis.outside())
    return ends * _bits(axis.windows)


def serial_window_words(**parameters: int) -> int:
    """Words of ``bits`` that the buffer of a serial window holds."""
    shape = window_shape(parameters)
    return _serial_plan(shape, parameters["words"], parameters["passes"], parameters.get("depthwise", 0)).depth


@lru_cache(maxsize=1 << 14)
def _serial_plan(shape: WindowShape, words: int, passes: int, depthwise: int) -> _SerialPlan:
    rows, columns = shape.rows, shape.columns
    positions = shape.buffer_positions(shape.taps * words * passes, words)
    depth = positions * words
    inner = [("tap_x", columns.kernel), ("tap_y", rows.kernel)]
    order = [*inner, ("word", words)] if depthwise else [("word", words), *inner, ("turn", passes)]
    order += [("out_x", columns.windows), ("out_y", rows.windows)]
    # The start of a window moves on with each word of a depthwise one, and is behind by so much when it is done.
    moved = words - 1 if depthwise else 0
    last_x, last_y = (columns.windows - 1) * columns.stride, (rows.windows - 1) * rows.stride
    moves = {
        "tap": words if depthwise else 1,
        "row": (columns.size - columns.kernel + 1) * words - (0 if depthwise else words - 1),
        "turn": 1 if depthwise else 0,
        "column": columns.stride * words - moved,
        "line": (rows.stride * columns.size - last_x) * words - moved,
        "sample": ((rows.size - last_y) * columns.size - last_x) * words - moved,
    }
    counters = tuple((name, _bits(total), total) for name, total in order if total > 1)
    level_bits = _level_bits(shape, positions)
    return _SerialPlan(
        counters=counters,
        moves={name: move % depth for name, move in moves.items()},
        depth=depth,
        positions=positions,
        address_bits=_bits(depth),
        level_bits=level_bits,
        row_done=("tap_x",) if depthwise else ("word", "tap_x"),
        turn_done="word" if depthwise else "turn",
        control=MappingProxyType(_control(shape, words, counters, depth, level_bits)),
    )


def _spans(shape: WindowShape) -> list[list[int]]:
    """By row and column of the output, the positions from the first that is kept to the last of the window."""
    spans = (shape.needed - shape.kept_from).reshape(shape.rows.windows, shape.columns.windows)
    return [row.tolist() for row in spans]


def _releases(shape: WindowShape, bits: int) -> dict[str, str]:
    """What is let go of behind a window, negative: inside a row of windows, at its end, at the end of a sample."""
    kept = shape.kept_from.reshape(shape.rows.windows, shape.columns.windows).tolist()
    across = [[(row[i] - row[i + 1]) % (1 << bits) for i in range(len(row) - 1)] or [0] for row in kept]
    down = [(kept[i][-1] - kept[i + 1][0]) % (1 << bits) for i in range(len(kept) - 1)] or [0]
    rest = (kept[-1][-1] - shape.positions) % (1 << bits)
    return {"column": by_window(across, bits), "line": chosen("out_y", down, bits), "sample": f"{bits}'d{rest}"}


def _level_bits(shape: WindowShape, positions: int) -> int:
    """Bits of the number of positions held, two's complement where windows let go of what has not arrived yet."""
    ahead = shape.most_ahead
    return range_bits(-ahead, positions) if ahead > 0 else positions.bit_length()


def by_window(values: Sequence[Sequence[int]], bits: int) -> str:
    """The value that belongs to row and column of a window, as a Verilog expression."""
    return chosen("out_y", [chosen("out_x", row, bits) for row in values], bits)


def chosen(counter: str, values: Sequence[int | str], bits: int) -> str:
    """The value that belongs to a counter, as a Verilog expression; equal neighbours share one comparison.

    >>> chosen("x", [3, 4, 4], 3)
    "(x < 1 ? 3'd3 : 3'd4)"
    """
    found = runs(list(values))
    words = [value if isinstance(value, str) else f"{bits}'d{value}" for _, value in found]
    if len(found) == 1:
        return words[0]
    tests = "".join(f"{counter} < {end} ? {word} : " for (end, _), word in zip(found[:-1], words[:-1], strict=True))
    return f"({tests}{words[-1]})"


def _outside(shape: WindowShape) -> str:
    """Whether the tap that is read lies in the padding, as a Verilog expression."""
    tests = []
    for axis, tap, window in ((shape.rows, "tap_y", "out_y"), (shape.columns, "tap_x", "out_x")):
        for index, low, high in axis.outside():
            parts = [f"{window} < {low}"] if low > 0 else []
            parts += [f"{window} > {high}"] if high < axis.windows - 1 else []
            both = " | ".join(parts)
            inside_tap = f"{tap} == {index} & " if axis.kernel > 1 else ""
            tests.append(f"({inside_tap}({both}))" if axis.windows > 1 else f"({tap} == {index})")
    return " | ".join(tests) or "1'b0"


def _bits(count: int) -> int:
    return max((count - 1).bit_length(), 1)
