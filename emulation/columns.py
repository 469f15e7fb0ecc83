"""Images as columns: what lies under a window, products in the order kernel taps, then input channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernels.products import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.network import Window


def columns_of(
    source: NDArray[Any], window: Window, groups: int, *, fill: int = 0
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """``(groups, batch * positions, taps * channels of a group)``, and the positions along each axis.

    Padded positions hold ``fill``.
    """
    views = windows(
        source,
        kernel=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        fill=fill,
    )
    axes = len(window.kernel)
    positions = views.shape[2 : 2 + axes]
    grouped = views.reshape(source.shape[0], groups, -1, *positions, *window.kernel)
    order = (1, 0, *range(3, 3 + 2 * axes), 2)
    per_group = grouped.shape[2]
    return grouped.transpose(order).reshape(groups, -1, window.taps * per_group), positions
