"""How long a search may go on: until a deadline, or until control-C."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@dataclass(slots=True)
class Clock:
    """A deadline that can be brought forward; ``whole`` is the clock of which this one is a part."""

    deadline: float
    whole: Clock | None = None

    @classmethod
    def lasting(cls, seconds: float) -> Clock:
        """A clock that starts now."""
        return cls(time.monotonic() + seconds)

    def part(self, share: float) -> Clock:
        """A clock for a share of the time left; it ends when this one does."""
        return Clock(time.monotonic() + share * self.seconds_left, self)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, at least 0."""
        left = max(0.0, self.deadline - time.monotonic())
        return left if self.whole is None else min(left, self.whole.seconds_left)

    @property
    def has_time(self) -> bool:
        """Whether the deadline is still ahead."""
        return self.seconds_left > 0.0

    def stop(self) -> None:
        """Let the time be over now."""
        self.deadline = 0.0


@contextmanager
def stopped_by_control_c(clock: Clock) -> Iterator[None]:
    """Inside, the first control-C ends the clock, so that what is proven can be returned; a second one interrupts.

    Only the main thread hears signals; in any other one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: FrameType | None) -> None:
        clock.stop()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
