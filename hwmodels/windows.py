"""Sliding windows in a stream: what must be held, and how much must arrive before the first window is whole.

A tensor streams position after position (NHWC), all channels of a position together.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


@lru_cache(maxsize=1 << 10)
def needed_positions(window: Window, space: tuple[int, ...]) -> NDArray[np.int64]:
    """By window, in order, positions that have arrived when it is whole: shape (windows,); not to be written.

    >>> from emulation.network import Window
    >>> window = Window(kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    >>> needed_positions(window, (4, 4)).tolist()
    [6, 8, 14, 16]
    """
    found = np.zeros(1, dtype=np.int64)
    for windows, size, kernel, stride, (before, _), dilation in zip(
        window.output_space(space), space, window.kernel, window.stride, window.padding, window.dilation, strict=True
    ):
        last = np.arange(windows) * stride - before + dilation * (kernel - 1)
        found = (found[:, None] * size + np.clip(last, 0, size - 1)).reshape(-1)
    found = found + 1
    found.setflags(write=False)
    return found


def overlaps(window: Window) -> bool:
    """Whether windows share positions."""
    return any(
        stride < dilation * (kernel - 1) + 1
        for stride, kernel, dilation in zip(window.stride, window.kernel, window.dilation, strict=True)
    )


def _offset(index: list[int], space: tuple[int, ...]) -> int:
    return sum(place * math.prod(space[axis + 1 :]) for axis, place in enumerate(index))
