"""Quantisers: everything that decides the numbers of a tensor.

A `Quantiser` is a choice (format, how to scale, how to round). Together with data it becomes a `ScaledQuantiser`, which
holds the *unit*: the real value of one integer step, so that ``value = v * unit`` for the integer v of a code.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from emulation.codes import code_of, integer_of
from emulation.formats import BlockScaled, FixedPoint, Format
from emulation.grids import BlockGrid, Grid, block_grid_of, flushed, grid_of
from emulation.rules import Overflow, Rounding
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "AbsoluteMaximum",
    "BlockGrid",
    "Granularity",
    "Grid",
    "MinimumError",
    "Percentile",
    "Quantiser",
    "RangeRule",
    "ScaleKind",
    "ScaledQuantiser",
    "Scaling",
    "ZeroChannels",
    "code_of",
    "grid_of",
    "integer_of",
]


class Granularity(Enum):
    """How many scales a tensor has."""

    TENSOR = "tensor"
    CHANNEL = "channel"


class ScaleKind(Enum):
    """Which scales are allowed."""

    REAL = "real"
    POWER_OF_TWO = "power-of-two"


class ZeroChannels(Enum):
    """What to do with a channel whose weights are all zero and which therefore has no scale of its own."""

    REFUSE = "refuse"
    KEEP = "keep"
    """Give it the largest scale among the other channels; its products are 0 whatever the scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteMaximum:
    """The range is the largest magnitude seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """The range is this percentile of the magnitudes, 0 < percent <= 100."""

    percent: float

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise ValueError(f"Percentile percent must be above 0 and at most 100, got {self.percent}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumError:
    """The range, among ``steps`` fractions of the largest magnitude, with the least mean squared cast error."""

    steps: int = 40

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"MinimumError steps must be at least 1, got {self.steps}")


RangeRule: TypeAlias = AbsoluteMaximum | Percentile | MinimumError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How values map to codes. ``zero_point`` is the code of value 0 (integers only)."""

    granularity: Granularity = Granularity.TENSOR
    kind: ScaleKind = ScaleKind.REAL
    range_rule: RangeRule = field(default_factory=MinimumError)
    zero_point: int = 0
    zero_channels: ZeroChannels = ZeroChannels.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiser:
    """A format, how values are scaled to it, and how they are cast."""

    format: Format
    scaling: Scaling = field(default_factory=Scaling)
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        zero_point = self.scaling.zero_point
        if zero_point and not isinstance(self.format, FixedPoint):
            raise ValueError(f"a zero point needs an integer format, got zero_point {zero_point} with {self.format}")
        if zero_point and not self.format.smallest_integer <= zero_point <= self.format.largest_integer:
            raise ValueError(
                f"zero_point {zero_point} is no code of {self.format}: it must lie in "
                f"[{self.format.smallest_integer}, {self.format.largest_integer}]"
            )
        grid_of(self.format)  # raises for formats whose cast is not defined
        if isinstance(self.format, BlockScaled):
            block_grid_of(self.format)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledQuantiser:
    """A quantiser whose scale is known.

    Attributes:
        quantiser: the choice it was made from.
        unit: the real value of one integer step, shape ``(1,)``, or ``(channels,)`` for per-channel weights. In a block
            format it is the step of an element whose scale is 1; in NVFP4 it holds the static scale of the tensor.
        tables: for learned levels, the integer each code means, shape ``(1, codes)`` or ``(channels, codes)``.
        block_axis: the axis, batch or output channels being axis 0, along which blocks run.
        reach: the largest magnitude that calibration saw; the static unit of a block accumulator rests on it.
    """

    quantiser: Quantiser
    unit: NDArray[np.float64]
    tables: NDArray[np.int64] | None = None
    block_axis: int = 1
    reach: float | None = None

    @property
    def format(self) -> Format:
        """The format of the codes."""
        return self.quantiser.format

    @property
    def zero_point(self) -> int:
        """The code of value 0."""
        return self.quantiser.scaling.zero_point

    @property
    def grid(self) -> Grid:
        """The integers its codes mean, without the least if overflow is symmetric; of learned levels, their range."""
        if self.tables is not None:
            return Grid(low=int(self.tables.min()), high=int(self.tables.max()), mantissa_bits=INTEGER_GRID)
        grid = grid_of(self.format, self.zero_point)
        if self.quantiser.overflow is Overflow.SATURATE_SYMMETRIC:
            return dataclasses.replace(grid, low=grid.low + 1)
        return grid

    @property
    def blocks(self) -> BlockGrid | None:
        """The grids of its blocks, None if it has none."""
        number_format = self.format
        if isinstance(number_format, BlockScaled) and number_format.block_size > 0:
            return block_grid_of(number_format)
        return None

    @property
    def largest_value(self) -> float:
        """A bound of the magnitudes it makes: proven by its grid, or for blocks the one calibration saw.

        Raises:
            ValueError: for blocks whose reach is not known.
        """
        if self.blocks is None:
            return float(self.grid.largest * self.unit.max())
        if self.reach is None:
            raise ValueError(f"an edge in {self.format} needs the reach that calibration saw: its scales have no bound")
        return self.reach

    def integers(self, values: NDArray[Any]) -> NDArray[Any]:
        """Cast values to the integers v their codes mean.

        Returns:
            float64 with exact integers, which every minifloat and every integer up to 53 bits allows.

        Raises:
            ValueError: for a block format, whose blocks `emulation.block_tensors.cast_blocks` makes.
        """
        from emulation.level_casts import cast_to_levels
        from kernels.casts import cast_to_grid  # compiled: loaded when first needed

        if self.blocks is not None:
            raise ValueError(f"{self.format} has blocks: integers alone do not tell its values")
        if self.tables is not None:
            rows = self.tables if self.unit.size == len(self.tables) else np.tile(self.tables, (self.unit.size, 1))
            return cast_to_levels(values, self.unit, [np.unique(row) for row in rows])
        grid = self.grid
        if grid.levels is not None:
            return cast_to_levels(values, self.unit, [np.array(grid.levels, dtype=np.float64)])
        rounded = cast_to_grid(values, self.unit, low=grid.low, high=grid.high, mantissa_bits=grid.mantissa_bits)
        return flushed(rounded, grid.least)

    def cast(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values after quantisation: ``integers(values) * unit`` (per-channel units run along axis 0)."""
        if self.blocks is not None:
            from emulation.block_tensors import cast_blocks

            return cast_blocks(values, self).values()
        shape = (-1,) + (1,) * (values.ndim - 1) if self.unit.size > 1 else ()
        result: NDArray[np.float64] = self.integers(values) * self.unit.reshape(shape)
        return result
