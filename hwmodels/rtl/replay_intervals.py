"""The pace of a replayed window: windows come out of the delay lines with gaps, into a buffer that holds two."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwmodels.rtl.window_shapes import WindowShape


def replayed_interval(window: WindowShape, *, steps: int, words: int, turn: int) -> int:
    """Cycles between two samples; the slower side waits for the other.

    Args:
        window: over the input.
        steps: words of a window.
        words: of a position of the input.
        turn: cycles in which all outputs of a window are made.
    """
    rows, columns = window.rows, window.columns
    row_end = (columns.windows - 1) * columns.stride + 1
    across = steps + (columns.stride - 1) * words
    down = steps + (rows.stride * columns.size - row_end) * words
    rest = steps + ((rows.size - (rows.windows - 1) * rows.stride) * columns.size - row_end) * words

    def row(state: _Replay) -> _Replay:
        return _repeated(state, columns.windows - 1, lambda one: one.window(across, turn)).window(down, turn)

    state, ends = _Replay(entered=0, before=0, done=0), []
    for _ in range(4):
        state = _repeated(state.window(rest, turn), rows.windows - 1, row)
        state = _repeated(state, columns.windows - 1, lambda one: one.window(across, turn))
        ends.append(state.done)
    return ends[-1] - ends[-2]


class _Replay(NamedTuple):
    """When the words of the last window began to enter the buffer, and the last two windows had been read."""

    entered: int
    before: int
    done: int

    def window(self, arrives: int, turn: int) -> _Replay:
        """One more window, whose words are there so long after those of the last one."""
        entered = max(self.entered + arrives, self.before)
        return _Replay(entered, self.done, max(self.done, entered) + turn)

    def later(self, cycles: int) -> _Replay:
        """The same at another time."""
        return _Replay(self.entered + cycles, self.before + cycles, self.done + cycles)


def _repeated(state: _Replay, times: int, change: Callable[[_Replay], _Replay]) -> _Replay:
    """A change so many times; once it does no more than move on in time, it is not tried again."""
    for count in range(times):
        after = change(state)
        moved = after.entered - state.entered
        if after == state.later(moved):
            return state.later(moved * (times - count))
        state = after
    return state
