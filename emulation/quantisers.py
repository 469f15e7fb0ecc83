"""Quantisers and datapaths: everything that decides the numbers of a tensor or of a layer.

A `Quantiser` is a choice (format, how to scale, how to round). Together with data it becomes a `ScaledQuantiser`, which
holds the *unit*: the real value of one integer step, so that ``value = v * unit`` for the integer v of a code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from emulation.formats import FixedPoint, Format, Specials, Subnormals, Zero
from kernels import rounding as rounding_rules
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Rounding(Enum):
    """How an exact number becomes a code; the rules are those of `kernels.rounding`."""

    HALF_EVEN = rounding_rules.HALF_EVEN
    HALF_UP = rounding_rules.HALF_UP
    HALF_AWAY = rounding_rules.HALF_AWAY
    FLOOR = rounding_rules.FLOOR


class Overflow(Enum):
    """What happens to numbers beyond the format. Hardware mode saturates (DESIGN section 6, rule 3)."""

    SATURATE = "saturate"


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
        if not self.format.smallest_integer <= zero_point <= self.format.largest_integer:
            raise ValueError(
                f"zero_point {zero_point} is no code of {self.format}: it must lie in "
                f"[{self.format.smallest_integer}, {self.format.largest_integer}]"
            )
        grid_of(self.format)  # raises for formats whose cast is not defined


class Product(Enum):
    """How two operands are multiplied."""

    EXACT = "exact"


class Accumulation(Enum):
    """How products are summed."""

    EXACT = "exact"
    """A wide integer that never rounds or overflows; the order of the products does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantisation:
    """How accumulators become codes: ``round(A * b * 2**-c)`` with b below ``2**multiplier_bits``."""

    multiplier_bits: int = 16
    rounding: Rounding = Rounding.HALF_EVEN

    def __post_init__(self) -> None:
        if not 2 <= self.multiplier_bits <= 31:
            raise ValueError(f"multiplier_bits must be 2 to 31, got {self.multiplier_bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Datapath:
    """All that decides the numbers of one engine: its operands, product, accumulator and requantisation.

    ``second`` is the weight, or the right-hand activation of a product of two activations.
    """

    activation: Quantiser
    second: Quantiser
    product: Product = Product.EXACT
    accumulation: Accumulation = Accumulation.EXACT
    requantisation: Requantisation = field(default_factory=Requantisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The integers v that the codes of a format mean, as the casts of `kernels` take them."""

    low: int
    high: int
    mantissa_bits: int


def grid_of(number_format: Format, zero_point: int = 0) -> Grid:
    """The grid of a format, zero point already taken off.

    Raises:
        ValueError: for minifloats whose subnormals or zero no cast is defined for yet.

    >>> from emulation.catalogue import parse
    >>> grid_of(parse("e2m1"))
    Grid(low=-12, high=12, mantissa_bits=1)
    """
    if isinstance(number_format, FixedPoint):
        return Grid(
            low=number_format.smallest_integer - zero_point,
            high=number_format.largest_integer - zero_point,
            mantissa_bits=INTEGER_GRID,
        )
    if number_format.subnormals is not Subnormals.GRADUAL or number_format.zero is not Zero.PRESENT:
        raise ValueError(
            f"no cast to {number_format} is defined: only minifloats with gradual underflow and a zero can be used here"
        )
    return Grid(
        low=number_format.smallest_integer,
        high=number_format.largest_integer,
        mantissa_bits=number_format.mantissa_bits,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledQuantiser:
    """A quantiser whose scale is known.

    ``unit`` has shape ``(1,)``, or ``(channels,)`` for per-channel weights: the real value of one integer step.
    """

    quantiser: Quantiser
    unit: NDArray[np.float64]

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
        """The integers its codes mean."""
        return grid_of(self.format, self.zero_point)

    def integers(self, values: NDArray[Any]) -> NDArray[Any]:
        """Cast values to the integers v their codes mean.

        Returns:
            float64 with exact integers, which every minifloat and every integer up to 53 bits allows.
        """
        from kernels.casts import cast_to_grid  # compiled: loaded when first needed

        grid = self.grid
        return cast_to_grid(values, self.unit, low=grid.low, high=grid.high, mantissa_bits=grid.mantissa_bits)

    def cast(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values after quantisation: ``integers(values) * unit`` (per-channel units run along axis 0)."""
        shape = (-1,) + (1,) * (values.ndim - 1) if self.unit.size > 1 else ()
        result: NDArray[np.float64] = self.integers(values) * self.unit.reshape(shape)
        return result


def code_of(integer: int, number_format: Format, zero_point: int = 0) -> int:
    """The stored code (bits as a non-negative integer) that means the integer v.

    Raises:
        ValueError: if no code of the format means it.

    >>> from emulation.catalogue import parse
    >>> code_of(-3, parse("int4")), code_of(12, parse("e2m1")), code_of(-1, parse("e2m1"))
    (13, 7, 9)
    """
    if isinstance(number_format, FixedPoint):
        code = integer + zero_point
        if not number_format.smallest_integer <= code <= number_format.largest_integer:
            raise ValueError(f"{integer} has no code in {number_format} with zero point {zero_point}")
        return code & ((1 << number_format.width) - 1)
    magnitude, mantissa_bits = abs(integer), number_format.mantissa_bits
    binade = max(magnitude.bit_length() - 1 - mantissa_bits, 0)
    exponent = 0 if magnitude < (1 << mantissa_bits) else binade + 1
    if number_format.subnormals is Subnormals.KEEP_EXPONENT:
        exponent = binade
    code = (exponent << mantissa_bits) | ((magnitude >> binade) & ((1 << mantissa_bits) - 1))
    negative = integer < 0
    is_finite = code <= number_format.largest_magnitude_code and number_format.magnitude_integer(code) == magnitude
    if not is_finite or (negative and number_format.smallest_integer == 0):
        raise ValueError(f"{integer} has no code in {number_format}")
    return code | (negative << (number_format.width - 1))


def integer_of(code: int, number_format: Format, zero_point: int = 0) -> int:
    """The integer v that a code means: the inverse of `code_of` (a minus zero, where there is one, means 0).

    Raises:
        ValueError: if the code is none of the format's, or means infinity or NaN.

    >>> from emulation.catalogue import parse
    >>> [integer_of(code, parse("int4")) for code in (13, 7, 8)], integer_of(0b1001, parse("e2m1"))
    ([-3, 7, -8], -1)
    """
    if not 0 <= code < 1 << number_format.width:
        raise ValueError(f"code {code} of {number_format} must lie in [0, {(1 << number_format.width) - 1}]")
    if isinstance(number_format, FixedPoint):
        signed = number_format.smallest_integer < 0 and code >> (number_format.width - 1)
        return code - (signed << number_format.width) - zero_point
    magnitude_bits = number_format.exponent_bits + number_format.mantissa_bits
    negative = code >> magnitude_bits
    magnitude_code = code & ((1 << magnitude_bits) - 1)
    minus_zero_is_nan = number_format.specials in (Specials.FNUZ, Specials.P3109)
    is_nan = negative and magnitude_code == 0 and minus_zero_is_nan
    if is_nan or magnitude_code > number_format.largest_magnitude_code:
        raise ValueError(f"code {code:#x} of {number_format} is not a finite number")
    magnitude = number_format.magnitude_integer(magnitude_code)
    return -magnitude if negative else magnitude
