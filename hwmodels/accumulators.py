"""Accumulator widths: the exact worst case of a sum of products."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulation.formats import Format


def accumulator_bits(
    weight_format: Format,
    activation_format: Format,
    depth: int,
    *,
    weight_sum: int | None = None,
    bias: int = 0,
) -> int:
    """Bits of the narrowest two's complement integer that holds every sum a layer can make, its sign included.

    Codes mean integers in static units (see `emulation.formats`), so one rule serves all scalar formats; for
    minifloats the accumulator is the Kulisch integer. Zero points are not counted: they move the integers by at most
    one bit.

    Args:
        weight_format: of the weights.
        activation_format: of the activations.
        depth: products in one sum, at least 1.
        weight_sum: largest sum of ``|v_w|`` over the products of one output, from the real weights; None takes the
            worst weights the format has.
        bias: largest magnitude of a bias in the accumulator's unit.

    Raises:
        ValueError: if depth is below 1, or weight_sum or bias is negative.

    >>> from emulation.formats import FixedPoint
    >>> accumulator_bits(FixedPoint(width=8), FixedPoint(width=8), 64)
    22
    >>> accumulator_bits(FixedPoint(width=8), FixedPoint(width=8), 64, weight_sum=900)
    18
    """
    if depth < 1:
        raise ValueError(f"an accumulator sums at least 1 product, got depth {depth}")
    if bias < 0 or (weight_sum is not None and weight_sum < 0):
        raise ValueError(f"weight_sum and bias are magnitudes of at least 0, got {weight_sum} and {bias}")
    low, high = product_range(weight_format, activation_format)
    if weight_sum is None:
        low, high = depth * low, depth * high
    else:
        largest_activation = max(-activation_format.smallest_integer, activation_format.largest_integer)
        high = weight_sum * largest_activation
        low = -high
    return range_bits(min(low, 0) - bias, max(high, 0) + bias)


def product_range(weight_format: Format, activation_format: Format) -> tuple[int, int]:
    """Least and greatest product of the integers two formats mean."""
    corners = [
        weight * activation
        for weight in (weight_format.smallest_integer, weight_format.largest_integer)
        for activation in (activation_format.smallest_integer, activation_format.largest_integer)
    ]
    return min(corners), max(corners)


def range_bits(low: int, high: int) -> int:
    """Bits of a two's complement integer that holds ``low`` to ``high``.

    >>> range_bits(-128, 127), range_bits(-128, 128)
    (8, 9)
    """
    return max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + 1
