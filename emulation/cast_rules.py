"""How values become codes, gathered from the arguments of a cast and checked against the format."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from emulation.arrays import Array, Scale, as_float64, nan_report
from emulation.formats import BinaryCoded, BlockScaled, FixedPoint, Format, LearnedCodebook, MiniFloat, Sign, Specials
from emulation.formats.blocks import E4M3FN
from emulation.formats.scalar import E8M0
from emulation.rules import (
    BlockRules,
    Carry,
    LeastScale,
    NanInBlock,
    Overflow,
    Rounding,
    ScaleArithmetic,
    ScaleRule,
    Stochastic,
    Underflow,
)
from kernels import rounding as rounding_codes
from kernels.twins import Twin

if TYPE_CHECKING:
    from emulation.fitted_tables import FittedTable

FIXED_OVERFLOWS: Final = (
    Overflow.SATURATE,
    Overflow.WRAP,
    Overflow.WRAP_SIGN_MAGNITUDE,
    Overflow.SATURATE_ZERO,
    Overflow.SATURATE_SYMMETRIC,
)
FLOAT_OVERFLOWS: Final = (Overflow.SATURATE, Overflow.SATURATE_FINITE, Overflow.INFINITY, Overflow.NAN)
WRAPS: Final = (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CastRules:
    """All that a cast can be told beside the values and the format; see `emulation.casting.cast`."""

    rounding: Rounding | Stochastic = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE
    saturation_bits: int = 0
    underflow: Underflow = Underflow.AFTER_ROUNDING
    unit: Scale = 1.0
    axis: int | None = None
    nan: float | None = None
    random_numbers: Array | None = None
    block_rules: BlockRules = field(default_factory=BlockRules)
    table: FittedTable | None = None
    twin: Twin | None = None

    @property
    def rounding_code(self) -> int:
        """The code of the rounding mode for kernels."""
        return self.rounding.value if isinstance(self.rounding, Rounding) else rounding_codes.STOCHASTIC

    @property
    def random_width(self) -> int:
        """Random bits per value."""
        return self.rounding.bits if isinstance(self.rounding, Stochastic) else 0

    @property
    def has_unit(self) -> bool:
        """Whether values are scaled at all."""
        return not (isinstance(self.unit, float | int) and self.unit == 1)

    def check(self, number_format: Format) -> None:
        """Refuse rules that the format has no meaning for.

        Raises:
            TypeError: if a rule or the format is no object of its type.
            ValueError: saying what was given and what is allowed.
        """
        self.check_decoding(number_format)
        self._check_types()
        allowed: tuple[Overflow, ...] = (Overflow.SATURATE,)
        if isinstance(number_format, FixedPoint):
            allowed = FIXED_OVERFLOWS
        elif isinstance(number_format, MiniFloat):
            allowed = FLOAT_OVERFLOWS
        if self.overflow not in allowed:
            raise ValueError(
                f"{number_format} cannot overflow by {self.overflow.name}: use "
                f"{' or '.join(rule.name for rule in allowed)}"
            )
        if self.saturation_bits and self.overflow not in WRAPS:
            raise ValueError(
                f"saturation_bits {self.saturation_bits} is for overflow WRAP and WRAP_SIGN_MAGNITUDE of fixed point, "
                f"got {number_format} with {self.overflow.name}"
            )
        if isinstance(number_format, FixedPoint):
            self._check_wrap(number_format)
        has_no_nan = isinstance(number_format, MiniFloat) and number_format.specials is Specials.NONE
        if has_no_nan and self.overflow is Overflow.NAN:
            raise ValueError(
                f"{number_format} has no NaN for overflow to become: use SATURATE, or a format with NaN, such as e4m3fn"
            )
        if self.underflow is not Underflow.AFTER_ROUNDING and not isinstance(number_format, MiniFloat):
            raise ValueError(f"underflow {self.underflow.name} is for minifloats, got {number_format}")
        if isinstance(self.rounding, Stochastic) and self.random_numbers is None:
            raise ValueError(
                f"stochastic rounding takes its random numbers from the caller: give random_numbers of the values' "
                f"shape, integers from 0 to {(1 << self.rounding.bits) - 1}"
            )
        if self.random_numbers is not None and not isinstance(self.rounding, Stochastic):
            raise ValueError(f"random_numbers are for rounding Stochastic(bits=...), got {self.rounding}")
        if isinstance(number_format, BlockScaled):
            self._check_blocks(number_format)
        elif self.block_rules != BlockRules():
            raise ValueError(f"block_rules are for block formats, got {number_format}")

    def check_decoding(self, number_format: Format) -> None:
        """Refuse what codes of a format cannot be decoded with: the part of `check` that is not about rounding.

        Raises:
            TypeError: if the twin or the format is no object of its type.
            ValueError: for a table that the format has no use for, naming the formats that take one.
        """
        checked_format(number_format)
        if self.twin is not None:
            checked_rule("twin", self.twin, Twin)
        if self.table is not None and not isinstance(number_format, LearnedCodebook | BinaryCoded):
            raise ValueError(
                f"{number_format} has no table to be given: table is for learned formats, codebookN and bcqN"
            )

    def _check_types(self) -> None:
        for name, given, allowed in (
            ("rounding", self.rounding, (Rounding, Stochastic)),
            ("overflow", self.overflow, (Overflow,)),
            ("underflow", self.underflow, (Underflow,)),
            ("block_rules", self.block_rules, (BlockRules,)),
        ):
            checked_rule(name, given, *allowed)

    def _check_wrap(self, number_format: FixedPoint) -> None:
        if not 0 <= self.saturation_bits <= number_format.width:
            raise ValueError(
                f"saturation_bits must be 0 to {number_format.width} for {number_format}, got {self.saturation_bits}"
            )
        if self.overflow is Overflow.WRAP_SIGN_MAGNITUDE and number_format.sign is Sign.UNSIGNED:
            raise ValueError(
                f"{number_format} has no sign, and WRAP_SIGN_MAGNITUDE (AP_WRAP_SM) needs one: use WRAP, or a signed "
                "format"
            )

    def _check_blocks(self, number_format: BlockScaled) -> None:
        rules = self.block_rules
        if number_format.scale == E4M3FN:
            if rules.scale is not ScaleRule.FLOOR or rules.carry is not Carry.CLIP:
                raise ValueError(
                    f"the scales of {number_format} are amax / largest element rounded to e4m3fn: scale and carry of "
                    f"block_rules are for powers of two, got {rules.scale.name} and {rules.carry.name}"
                )
        elif rules.arithmetic is not ScaleArithmetic.EXACT or rules.least_scale is not LeastScale.SMALLEST:
            raise ValueError(
                f"the scales of {number_format} are powers of two and divide exactly: arithmetic and least_scale of "
                f"block_rules are for nvfp4, got {rules.arithmetic.name} and {rules.least_scale.name}"
            )
        if self.nan is not None and not math.isfinite(self.nan):
            raise ValueError(
                f"nan={self.nan} for {number_format}: blocks take finite numbers; give one, or let NaN become the NaN "
                "of its whole block by block_rules=BlockRules(nan=NanInBlock.WHOLE_BLOCK)"
            )
        if rules.nan is NanInBlock.WHOLE_BLOCK and number_format.scale not in (E8M0, E4M3FN):
            raise ValueError(
                f"{number_format} cannot make a block NaN: its scale {number_format.scale} has no code for NaN, which "
                "e8m0 and e4m3fn have; say by nan=... which value NaN becomes"
            )
        if self.nan is not None and rules.nan is not NanInBlock.REFUSE:
            raise ValueError(f"nan={self.nan:g} and block_rules' nan {rules.nan.name} exclude each other: give one")

    def broadcast_unit(self, values: Array, axis: int = 0) -> Scale:
        """The unit in float64, shaped to divide values: one number, an array of as many axes, or one per entry of axis.

        Raises:
            ValueError: if it has another shape, or is not above zero and finite.
        """
        unit = as_float64(self.unit, values)
        smallest, largest = (unit, unit) if isinstance(unit, float) else _limits(unit)
        if not (smallest > 0 and math.isfinite(largest)):
            raise ValueError(
                f"unit must be above 0 and finite, got {smallest:g}"
                + ("" if smallest == largest or math.isnan(smallest) else f" to {largest:g}")
            )
        if isinstance(unit, float) or unit.ndim == 0:
            return unit
        along = axis if self.axis is None else self.axis
        shapes = tuple(unit.shape), tuple(values.shape)
        is_axis = -values.ndim <= along < values.ndim
        if unit.ndim == values.ndim > 1 and all(own in {1, size} for own, size in zip(*shapes, strict=True)):
            return unit
        if unit.ndim != 1 or not is_axis or shapes[0][0] != shapes[1][along]:
            raise ValueError(
                f"unit of shape {shapes[0]} does not fit values of shape {shapes[1]}: give one number, one per entry "
                f"of axis {along}, or an array of {values.ndim} axes"
            )
        shape = [1] * values.ndim
        shape[along] = -1
        return unit.reshape(shape)


def _limits(unit: Array) -> tuple[float, float]:
    if not math.prod(tuple(unit.shape)):
        return 1.0, 1.0
    return float(unit.min()), float(unit.max())


def checked_format(number_format: Format) -> Format:
    """A format as it is.

    Raises:
        TypeError: for anything else, such as the name of one.

    >>> checked_format("e4m3fn")
    Traceback (most recent call last):
    TypeError: number_format must be a format, got a str: read its name by emulation.parse('e4m3fn')
    """
    if not isinstance(number_format, Format):
        advice = f"read its name by emulation.parse({number_format!r})" if isinstance(number_format, str) else ""
        raise TypeError(
            f"number_format must be a format, got a {type(number_format).__name__}: "
            f"{advice or 'use what emulation.parse returns'}"
        )
    return number_format


def checked_rule(name: str, given: object, *allowed: type) -> None:
    """Refuse a rule of another type, such as its name: it would match no rule and be taken for the last one.

    Raises:
        TypeError: with the type and its members.
    """
    if not isinstance(given, allowed):
        members = [f"{one.__name__}.{member.name}" for one in allowed if issubclass(one, Enum) for member in one]
        members += [f"{one.__name__}(...)" for one in allowed if not issubclass(one, Enum)]
        raise TypeError(f"{name} must be {' or '.join(members)}, got {given!r}")


def refuse_nan(values: Array, number_format: Format, cause: ValueError) -> None:
    """Raise the public error where a kernel refused NaN, or blocks infinity; return if something else was wrong.

    Raises:
        ValueError: with the count of them and the first position.
    """
    report = nan_report(values)
    if isinstance(number_format, BlockScaled):
        if report is not None:
            raise ValueError(
                f"{report}, and {number_format} has no code for NaN in a block of numbers: remove them, say by nan=... "
                "which value they become, or make their blocks NaN by "
                "block_rules=BlockRules(nan=NanInBlock.WHOLE_BLOCK)"
            ) from cause
        infinite = int((abs(values) == math.inf).sum())
        if infinite:
            raise ValueError(
                f"{infinite} of {math.prod(tuple(values.shape))} values are infinite, and the blocks of "
                f"{number_format} take their scale from the largest: clip the values to finite numbers first"
            ) from cause
    if report is not None:
        raise ValueError(
            f"{report}, and {number_format} has no code for NaN: remove them, or say by nan=... which value they become"
        ) from cause
