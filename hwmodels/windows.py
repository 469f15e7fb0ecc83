"""Sliding windows in a stream: what must be held, and how much must arrive before the first window is whole.

A tensor streams position after position (NHWC), all channels of a position together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulation.network import Window


def held_positions(window: Window, space: tuple[int, ...]) -> int:
    """Positions between the first and the last of one window, both counted.

    A window of 3 x 3 over rows of 8: two whole rows and three positions.

    >>> from emulation.network import Window
    >>> window = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    >>> held_positions(window, (8, 8))
    19
    """
    spans = [dilation * (kernel - 1) for kernel, dilation in zip(window.kernel, window.dilation, strict=True)]
    return _offset(spans, space) + 1


def first_window_positions(window: Window, space: tuple[int, ...]) -> int:
    """Positions that have arrived when the first window is whole; padding in front needs none.

    >>> from emulation.network import Window
    >>> window = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    >>> first_window_positions(window, (8, 8))
    10
    """
    last = [
        max(0, min(dilation * (kernel - 1) - before, size - 1))
        for kernel, dilation, (before, _), size in zip(
            window.kernel, window.dilation, window.padding, space, strict=True
        )
    ]
    return _offset(last, space) + 1


def held_rows(window: Window, space: tuple[int, ...]) -> tuple[int, int]:
    """Rows a parallel window delays, and positions of each: one row per step along the first axis.

    A window along one axis has none: it is made of registers.
    """
    if len(space) == 1:
        return 0, 0
    return window.dilation[0] * (window.kernel[0] - 1), math.prod(space[1:])


def _offset(index: list[int], space: tuple[int, ...]) -> int:
    return sum(place * math.prod(space[axis + 1 :]) for axis, place in enumerate(index))
