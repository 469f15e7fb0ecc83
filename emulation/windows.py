"""Which values lie under a sliding window: the order of products, in Python integers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulation.network import Window


def window_taps(window: Window, space: tuple[int, ...]) -> Iterator[list[int | None]]:
    """For each position in order, the flat index in ``space`` under each tap in order, None in the padding."""
    for position in itertools.product(*(range(size) for size in window.output_space(space))):
        indices: list[int | None] = []
        for tap in itertools.product(*(range(size) for size in window.kernel)):
            index: int | None = 0
            for axis, size in enumerate(space):
                place = (
                    position[axis] * window.stride[axis] - window.padding[axis][0] + tap[axis] * window.dilation[axis]
                )
                index = index * size + place if index is not None and 0 <= place < size else None
            indices.append(index)
        yield indices
