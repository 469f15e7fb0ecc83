"""How many positions a window's buffer holds: just enough that neither side ever waits, cycle by cycle."""

from __future__ import annotations

import itertools

import pytest

from hwmodels.rtl.window_shapes import Axis, WindowShape

SIZES = ((5, 6), (8, 7))
KERNELS = (1, 2, 3, 5)
STRIDES = (1, 2, 3)
PADDINGS = (0, 1, 2)
PACES = ((1, 1), (2, 2), (3, 2), (9, 1), (18, 2), (36, 4))
"""Cycles of a window and of a position."""


def _shape(size: tuple[int, int], kernel: int, stride: int, padding: int) -> WindowShape | None:
    if padding >= kernel or min(size) + 2 * padding < kernel:
        return None
    rows, columns = (Axis(size=one, kernel=kernel, stride=stride, before=padding, after=padding) for one in size)
    return WindowShape(rows=rows, columns=columns)


def _interval(shape: WindowShape, held: int, window_cycles: int, position_cycles: int) -> int:
    """Cycles between the ends of the last two of four samples, by playing both sides."""
    needed = shape.needed.tolist()
    released = [*shape.kept_from.tolist()[1:], shape.positions]
    samples, written, freed, done_windows, cycle = 4, 0, 0, 0, 0
    word = busy = 0
    ends: list[int] = []
    while len(ends) < samples:
        sample, window = divmod(done_windows, shape.windows)
        base = sample * shape.positions
        runs = busy > 0 or written >= base + needed[window]
        word += written - freed < held
        busy += runs
        if word == position_cycles:
            word, written = 0, written + 1
        if busy == window_cycles:
            busy, done_windows, freed = 0, done_windows + 1, base + released[window]
            if window == shape.windows - 1:
                ends.append(cycle)
        cycle += 1
        assert cycle < 100_000, "deadlock"
    return ends[-1] - ends[-2]


@pytest.mark.parametrize("kernel", KERNELS)
def test_buffer_never_makes_a_side_wait(kernel: int) -> None:
    checked = 0
    for size, stride, padding, pace in itertools.product(SIZES, STRIDES, PADDINGS, PACES):
        shape = _shape(size, kernel, stride, padding)
        if shape is None:
            continue
        held = shape.buffer_positions(*pace)
        assert _interval(shape, held, *pace) == max(shape.windows * pace[0], shape.positions * pace[1])
        checked += 1
    assert checked >= 36


def test_one_position_less_makes_a_side_wait() -> None:
    shape = WindowShape(
        rows=Axis(size=8, kernel=3, before=1, after=1), columns=Axis(size=8, kernel=3, before=1, after=1)
    )
    held = shape.buffer_positions(9, 1)
    assert _interval(shape, held - 1, 9, 1) > 64 * 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": 0}, "sizes, kernels and strides of windows are at least 1"),
        ({"before": 3}, "padding 3 is not below kernel 3: use less"),
        ({"size": 2, "before": 0, "after": 0}, "kernel 3 is wider than the padded input of 2"),
    ],
)
def test_axis_that_makes_no_sense_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Axis(**{"size": 8, "kernel": 3, "before": 1, "after": 1, **change})
