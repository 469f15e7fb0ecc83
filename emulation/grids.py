"""The integers that the codes of a format mean, as casts take them (DESIGN section 6, rules 4 and 10).

A format is one of three kinds of grid: all integers of a range, the integers of a minifloat, or listed levels. Numbers
are rounded to a minifloat's grid as if it had gradual underflow; what is then below its least magnitude (where it
flushes, or keeps the exponent of field 0) becomes 0, as in `kernels.definitions.minifloat`. Sums of powers of two and
codebooks are levels: a number goes to the nearest one, midpoints to the smaller magnitude, and the midpoint between
``-a`` and ``a`` to ``a``. A block format has the grid of its elements and, beside it, one of its scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    Format,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Subnormals,
    Zero,
)
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAXIMUM_LEVEL_BITS: Final = 12
"""The widest scale of blocks that is found by listing its numbers."""
MAXIMUM_ELEMENT_BITS: Final = 48
"""Elements of blocks reach at most this many bits as integers, so that 64-bit loops hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The integers v that the codes of a format mean: a range, a minifloat's, or ``levels`` (ascending).

    Rounded magnitudes below ``least`` become 0 (`flushed`): 1 unless a minifloat lacks subnormals.
    """

    low: int
    high: int
    mantissa_bits: int
    levels: tuple[int, ...] | None = None
    least: int = 1

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        return max(-self.low, self.high)


def flushed(integers: NDArray[Any], least: int) -> NDArray[Any]:
    """Rounded integers with those below the least magnitude of a grid replaced by 0.

    >>> flushed(np.array([-5, -3, 0, 3, 4]), 4)
    array([-5,  0,  0,  0,  4])
    """
    if least <= 1:
        return integers
    return np.where(np.abs(integers) < least, 0, integers)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGrid:
    """Elements and scales of a block format: ``value = v * scale`` in the tensor's static unit.

    Attributes:
        size: elements of a block.
        element: the grid of the elements.
        scale_levels: the integers of the scale, ascending: binary exponents if ``scale_unit`` is None (only the first
            and the last are listed), else integers in the unit ``2**scale_unit``.
        scale_unit: None where the scale is a power of two.
    """

    size: int
    element: Grid
    scale_levels: tuple[int, ...]
    scale_unit: int | None

    @property
    def top(self) -> int:
        """``floor(log2)`` of the largest element (of the smaller side, if two's complement has one more below)."""
        return self.element.high.bit_length() - 1


def grid_of(number_format: Format, zero_point: int = 0) -> Grid:
    """The grid of a format, zero point already taken off; of a block format, that of its elements.

    Raises:
        ValueError: for minifloats without a zero, and elements of blocks that hardware mode does not define.

    >>> from emulation.catalogue import parse
    >>> grid_of(parse("e2m1"))
    Grid(low=-12, high=12, mantissa_bits=1, levels=None, least=1)
    >>> grid_of(parse("pot3")).levels
    (-4, -2, -1, 0, 1, 2, 4)
    """
    if isinstance(number_format, MiniFloat):
        return _minifloat_grid(number_format)
    if isinstance(number_format, BlockScaled):
        return _element_grid(number_format)
    levels = None
    if isinstance(number_format, KHot):
        levels = number_format.levels
    elif isinstance(number_format, Codebook):
        levels = tuple(sorted(set(number_format.integers)))
    return Grid(
        low=number_format.smallest_integer - zero_point,
        high=number_format.largest_integer - zero_point,
        mantissa_bits=INTEGER_GRID,
        levels=levels,
    )


def block_grid_of(number_format: BlockScaled) -> BlockGrid:
    """The grids of a block format's elements and scales.

    Raises:
        ValueError: if hardware mode does not define its elements or scales.

    >>> from emulation.catalogue import parse
    >>> grid = block_grid_of(parse("mxfp4"))
    >>> grid.size, grid.top, grid.scale_levels, grid.scale_unit
    (32, 3, (-127, 127), None)
    >>> block_grid_of(parse("nvfp4")).scale_levels[:3], block_grid_of(parse("nvfp4")).scale_unit
    ((1, 2, 3), -9)
    """
    scale = number_format.scale
    element = _element_grid(number_format)
    if number_format.has_power_of_two_scale and scale.zero is Zero.ABSENT:
        low = -scale.resolved_bias
        limits = (low, low + scale.largest_magnitude_code)
        return BlockGrid(size=number_format.block_size, element=element, scale_levels=limits, scale_unit=None)
    if scale.width > MAXIMUM_LEVEL_BITS or element.low != -element.high:
        raise ValueError(
            f"blocks of {number_format} are not defined in hardware mode: a scale that is no power of two has at most "
            f"{MAXIMUM_LEVEL_BITS} bits, and its elements are symmetric"
        )
    levels = tuple(scale.magnitude_integer(code) for code in range(1, scale.largest_magnitude_code + 1))
    if scale.subnormals is not Subnormals.GRADUAL or scale.zero is not Zero.PRESENT:
        raise ValueError(f"blocks of {number_format} need a scale with gradual underflow and a zero, or a power of two")
    return BlockGrid(
        size=number_format.block_size, element=element, scale_levels=levels, scale_unit=scale.unit_exponent
    )


def _element_grid(number_format: BlockScaled) -> Grid:
    element = number_format.element
    gradual = True
    if isinstance(element, MiniFloat):
        grid, gradual = _minifloat_grid(element), element.subnormals is Subnormals.GRADUAL
    else:
        grid = Grid(low=element.smallest_integer, high=element.largest_integer, mantissa_bits=INTEGER_GRID)
    if not gradual or grid.low >= 0 or grid.high < 1 or grid.largest.bit_length() > MAXIMUM_ELEMENT_BITS:
        raise ValueError(
            f"blocks of {number_format} are not defined in hardware mode: elements have a sign, a number above 0, "
            f"gradual underflow, and at most {MAXIMUM_ELEMENT_BITS} bits as integers"
        )
    return grid


def _minifloat_grid(number_format: MiniFloat) -> Grid:
    if number_format.zero is not Zero.PRESENT:
        raise ValueError(f"no cast to {number_format} is defined here: only minifloats with a zero can be used")
    mantissa_bits = number_format.mantissa_bits
    first = 1 << mantissa_bits if number_format.subnormals is Subnormals.FLUSH else 1
    return Grid(
        low=number_format.smallest_integer,
        high=number_format.largest_integer,
        mantissa_bits=mantissa_bits,
        least=number_format.magnitude_integer(first),
    )


def is_blocked(number_format: Format) -> bool:
    """Whether a format has a dynamic scale per block; a dynamic fixed point tensor (block size 0) is scaled statically.

    >>> from emulation.catalogue import parse
    >>> is_blocked(parse("mxfp4")), is_blocked(parse("dfp8")), is_blocked(parse("int8"))
    (True, False, False)
    """
    return isinstance(number_format, BlockScaled) and number_format.block_size > 0


def is_learned(number_format: Format) -> bool:
    """Whether the levels of a format are learned from the values it codes."""
    return isinstance(number_format, LearnedCodebook | BinaryCoded)
