"""Tensors in blocks: elements as integers, and a scale per block (DESIGN section 6, rules 11 and 12).

A block's scale follows from its largest magnitude, its elements are cast once with it, half to even, and saturate:

* power of two: the exponent of the largest magnitude's leading one, less that of the largest element (the floor rule of
  the OCP MX specification 1.0, section 6.3, and of block floating point), kept within the scale format's exponents; an
  element that rounds beyond the largest one becomes the largest;
* a minifloat scale (NVFP4): the positive number of the scale format nearest to largest magnitude / largest element,
  half to even; elements by comparison with the midpoints times the scale, no division.

A block of zeros takes the smallest scale; the tail of a row is filled with zeros. All of it is exact, on float64
numbers as on integers; `emulation.block_reference` says the same in Python integers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.grids import BlockGrid, Grid
    from emulation.quantisers import ScaledQuantiser

_WORD: Final = 62
"""Integers below ``2**_WORD`` go through 64-bit arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockTensor:
    """Integers in blocks along one axis.

    Attributes:
        elements: int64 integers v, the tensor's shape.
        scales: int64, the same shape but for ``axis``, along which there is one per block: binary exponents, or the
            integers of minifloat scales.
        axis: the axis along which blocks run.
        grid: the grids of elements and scales.
        unit: the real value of one integer step of an element whose scale is 1.
    """

    elements: NDArray[np.int64]
    scales: NDArray[np.int64]
    axis: int
    grid: BlockGrid
    unit: float

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.elements.shape

    def values(self) -> NDArray[np.float64]:
        """The real values, float64 (exact up to the product with the unit)."""
        scales = self.scales.astype(np.float64)
        factors = np.ldexp(1.0, self.scales) if self.grid.scale_unit is None else np.ldexp(scales, self.grid.scale_unit)
        spread = np.repeat(factors, self.grid.size, axis=self.axis)
        inside = [slice(None)] * self.elements.ndim
        inside[self.axis] = slice(self.elements.shape[self.axis])
        result: NDArray[np.float64] = self.elements * spread[tuple(inside)] * self.unit
        return result


EdgeTensor: TypeAlias = "NDArray[Any] | BlockTensor"
"""What an edge holds: integers of its shape, int64 or Python integers, or blocks of them."""


def cast_blocks(values: NDArray[Any], quantiser: ScaledQuantiser) -> BlockTensor:
    """Cast real values, with blocks along the quantiser's axis; the quotient by the unit is rounded once, as always.

    Raises:
        ValueError: if a value is NaN or infinite, or the format has no blocks.
    """
    grid = quantiser.blocks
    if grid is None:
        raise ValueError(f"{quantiser.format} has no blocks")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} values are NaN or infinite: blocks need finite ones"
        )
    unit = float(quantiser.unit[0])
    return blocks_of(np.asarray(values, dtype=np.float64) / unit, 0, grid, axis=quantiser.block_axis, unit=unit)


def blocks_of(numbers: NDArray[Any], shift: int, grid: BlockGrid, *, axis: int, unit: float) -> BlockTensor:
    """Cast the exact numbers ``n * 2**-shift`` to blocks.

    Args:
        numbers: finite float64, int64, or Python integers.
        shift: a common binary exponent; 0 for float64.
        grid: the grids of elements and scales.
        axis: along which blocks run.
        unit: what the numbers count in; kept with the result.
    """
    rows = np.moveaxis(numbers, axis, -1)
    length = rows.shape[-1]
    count = -(-length // grid.size)
    padded = np.zeros((*rows.shape[:-1], count * grid.size), dtype=rows.dtype)
    if rows.dtype == object:
        padded[...] = 0
    padded[..., :length] = rows
    blocks = _narrowed(padded.reshape(*rows.shape[:-1], count, grid.size))
    largest = np.abs(blocks).max(axis=-1)
    if grid.scale_unit is None:
        scales = _shared_exponents(largest, shift, grid)
        elements = _shifted_to_grid(blocks, (shift + scales)[..., None], grid.element)
    else:
        # Numbers against doubled sums of neighbours times 2**point.
        point = grid.scale_unit - 1 + shift
        scales = _ratio_scales(_comparable(largest, point), grid)
        elements = _ratio_elements(blocks, scales, point, grid.element)
    flat = elements.reshape(*rows.shape[:-1], count * grid.size)[..., :length]
    return BlockTensor(
        elements=np.ascontiguousarray(np.moveaxis(flat, -1, axis)),
        scales=np.ascontiguousarray(np.moveaxis(scales, -1, axis)),
        axis=axis,
        grid=grid,
        unit=unit,
    )


def _narrowed(numbers: NDArray[Any]) -> NDArray[Any]:
    """Python integers as int64 where every one fits."""
    if numbers.dtype == np.int64 and numbers.size and _largest(numbers) >> (_WORD - 1):
        return numbers.astype(object)
    if numbers.dtype == object and not (_largest(numbers) >> (_WORD - 1)):
        return numbers.astype(np.int64)
    return numbers


def _largest(numbers: NDArray[Any]) -> int:
    return max(int(numbers.max()), -int(numbers.min())) if numbers.size else 0


def bit_length(magnitudes: NDArray[Any]) -> NDArray[np.int64]:
    """``floor(log2) + 1`` of numbers >= 0; 0 for 0."""
    if magnitudes.dtype == object:
        lengths: NDArray[np.int64] = np.frompyfunc(int.bit_length, 1, 1)(magnitudes).astype(np.int64)
        return lengths
    exponents: NDArray[np.int64] = np.frexp(magnitudes)[1].astype(np.int64)
    if magnitudes.dtype == np.float64:
        return exponents
    # Above 2**53 the conversion to float64 may have rounded up to the next power of two.
    too_large = (exponents > 0) & ((magnitudes >> np.maximum(exponents - 1, 0)) == 0)
    exact: NDArray[np.int64] = exponents - too_large
    return exact


def _shared_exponents(largest: NDArray[Any], shift: int, grid: BlockGrid) -> NDArray[np.int64]:
    low, high = grid.scale_levels
    exponents: NDArray[np.int64] = np.clip(bit_length(largest) - 1 - shift - grid.top, low, high)
    exponents[largest == 0] = low
    return exponents


def _shifted_to_grid(numbers: NDArray[Any], shifts: NDArray[np.int64], grid: Grid) -> NDArray[np.int64]:
    """``n * 2**-shift`` on a grid, half to even, saturating."""
    if numbers.dtype == np.float64:
        scaled = np.clip(np.ldexp(numbers, -shifts), grid.low, grid.high)
        if grid.mantissa_bits == INTEGER_GRID:
            return _as_int64(np.rint(scaled))
        spacing = np.maximum(bit_length(np.abs(scaled)) - 1 - grid.mantissa_bits, 0)
        return _as_int64(np.ldexp(np.rint(np.ldexp(scaled, -spacing)), spacing))
    lengths = bit_length(np.abs(numbers))
    spacing = np.zeros_like(lengths)
    if grid.mantissa_bits != INTEGER_GRID:
        spacing = np.maximum(lengths - 1 - shifts - grid.mantissa_bits, 0)
    right = np.maximum(shifts + spacing, 0)
    left = np.maximum(-(shifts + spacing), 0)
    if numbers.dtype != object:
        # A number shifted out or beyond the largest element stays so with a shift that 64 bits allow.
        right, left = np.minimum(right, _WORD), np.minimum(left, np.maximum(_WORD - 1 - lengths, 0))
    floor = numbers >> right
    doubled = (numbers - (floor << right)) * 2
    whole = np.left_shift(np.ones_like(numbers), right)
    rounded = floor + ((doubled > whole) | ((doubled == whole) & (floor % 2 == 1)))
    rounded = (rounded << left) << np.minimum(spacing, _WORD)
    return _as_int64(np.clip(rounded, grid.low, grid.high))


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    return values.astype(np.int64)


def _comparable(magnitudes: NDArray[Any], point: int) -> NDArray[Any]:
    """Numbers m with ``m > 2 * t`` where ``n > t * 2**point``, and ``m >= 2 * t`` where ``n >= t * 2**point``."""
    if magnitudes.dtype == np.float64:
        scaled: NDArray[np.float64] = np.ldexp(magnitudes, 1 - point)
        return scaled
    if point <= 0:
        numbers = magnitudes
        if numbers.dtype != object and _largest(numbers).bit_length() + 1 - point > _WORD:
            numbers = numbers.astype(object)
        return numbers << (1 - point)
    point = point if magnitudes.dtype == object else min(point, _WORD)
    floor = magnitudes >> point
    result: NDArray[Any] = 2 * floor + ((magnitudes - (floor << point)) != 0)
    return result


def _ratio_scales(largest: NDArray[Any], grid: BlockGrid) -> NDArray[np.int64]:
    """The scale nearest to largest / largest element; ``scale_levels`` start with code 1, ties go to the even code."""
    sums = np.array([low + high for low, high in itertools.pairwise(grid.scale_levels)], dtype=np.int64)
    thresholds = 2 * sums * grid.element.high
    # Threshold number i lies between the codes i + 1 and i + 2.
    at_or_above, above = thresholds[0::2], thresholds[1::2]
    if largest.dtype == object:
        at_or_above, above = at_or_above.astype(object), above.astype(object)
    passed = np.searchsorted(at_or_above, largest, side="right") + np.searchsorted(above, largest, side="left")
    scales: NDArray[np.int64] = np.array(grid.scale_levels, dtype=np.int64)[passed]
    return scales


def _ratio_elements(blocks: NDArray[Any], scales: NDArray[np.int64], point: int, grid: Grid) -> NDArray[np.int64]:
    levels = _magnitudes_of(grid)
    numbers = _comparable(np.abs(blocks), point)
    doubled = 2 * scales[..., None]
    codes = np.zeros(blocks.shape, dtype=np.int64)
    for code, (low, high) in enumerate(itertools.pairwise(levels)):
        threshold = doubled * (low + high)
        codes += numbers > threshold if code % 2 == 0 else numbers >= threshold  # ties go to the even code
    magnitudes = np.array(levels, dtype=np.int64)[codes]
    return np.where(blocks < 0, -magnitudes, magnitudes)


def _magnitudes_of(grid: Grid) -> tuple[int, ...]:
    """The numbers >= 0 of a grid, by magnitude code."""
    if grid.mantissa_bits == INTEGER_GRID:
        return tuple(range(grid.high + 1))
    levels, code = [0], 0
    while levels[-1] < grid.high:
        code += 1
        exponent, fraction = divmod(code, 1 << grid.mantissa_bits)
        levels.append(((1 << grid.mantissa_bits) + fraction) << (exponent - 1) if exponent else fraction)
    return tuple(levels)
