"""How numbers become codes: rounding, overflow and underflow, the names of the rules that `kernels` define."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kernels import fields
from kernels import rounding as rounding_rules


class Rounding(Enum):
    """How an exact number becomes a code; the rules are those of `kernels.rounding`."""

    HALF_EVEN = rounding_rules.HALF_EVEN
    HALF_UP = rounding_rules.HALF_UP
    HALF_AWAY = rounding_rules.HALF_AWAY
    FLOOR = rounding_rules.FLOOR
    CEILING = rounding_rules.CEILING
    TOWARD_ZERO = rounding_rules.TOWARD_ZERO
    HALF_DOWN = rounding_rules.HALF_DOWN
    HALF_TOWARD_ZERO = rounding_rules.HALF_TOWARD_ZERO


class Overflow(Enum):
    """What happens to numbers beyond the format. Edges and weights saturate (DESIGN section 6, rule 3)."""

    SATURATE = fields.OVERFLOW_SATURATE
    """The nearest end of the range, also for infinity."""
    SATURATE_FINITE = fields.OVERFLOW_SATURATE_FINITE
    """Minifloats: finite numbers saturate, infinity stays infinity, or becomes NaN, or saturates without either."""
    INFINITY = fields.OVERFLOW_INFINITY
    """Minifloats: as IEEE 754; NaN where there is no infinity, the largest number where there is neither (e2m1)."""
    NAN = fields.OVERFLOW_NAN
    """Minifloats: NaN; refused for formats without one."""
    WRAP = fields.OVERFLOW_WRAP
    """Fixed point: the low bits (AP_WRAP)."""
    WRAP_SIGN_MAGNITUDE = fields.OVERFLOW_WRAP_SIGN_MAGNITUDE
    """Fixed point: AP_WRAP_SM."""
    SATURATE_ZERO = fields.OVERFLOW_SATURATE_ZERO
    """Fixed point: 0 (AP_SAT_ZERO)."""
    SATURATE_SYMMETRIC = fields.OVERFLOW_SATURATE_SYMMETRIC
    """Fixed point: the nearest end of the range without the least code (AP_SAT_SYM)."""


class Underflow(Enum):
    """When a minifloat without subnormals flushes to zero."""

    AFTER_ROUNDING = fields.FLUSH_AFTER_ROUNDING
    """Round on the grid with subnormals, then flush what is below the first normal number."""
    BEFORE_ROUNDING = fields.FLUSH_BEFORE_ROUNDING
    """Flush every number below the first normal one, then round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stochastic:
    """Rounding with given random bits: the first ``bits`` bits of what is cut off, plus a random number, carry out.

    The random numbers come with each call, one per value, from 0 to ``2**bits - 1``.

    Raises:
        ValueError: if bits is not 1 to 24.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 24:
            raise ValueError(f"Stochastic bits must be 1 to 24, got {self.bits}")


class ScaleRule(Enum):
    """How the power of two that a block shares follows from ``amax``, the largest magnitude of the block.

    Let ``emax`` be the exponent of the largest element (8 for e4m3fn, 2 for e2m1, 0 for BFP and int8).
    """

    FLOOR = fields.SCALE_RULE_FLOOR
    """``floor(log2(amax)) - emax``: OCP MX specification 1.0, section 6.3. Elements may saturate."""
    CEILING = fields.SCALE_RULE_CEIL
    """``ceil(log2(amax)) - emax``."""
    ROUND_CEILING = fields.SCALE_RULE_RCEIL
    """``ceil(log2(amax / largest element))``: no element saturates (PTX ``cvt.rp.ue8m0``)."""
    EVEN = fields.SCALE_RULE_EVEN
    """Half a step of the element's mantissa is added to amax, then FLOOR (as torchao's EVEN)."""


class Carry(Enum):
    """What happens where the largest magnitude of a block rounds beyond the largest element."""

    CLIP = fields.CARRY_CLIP
    """It becomes the largest element."""
    BUMP = fields.CARRY_BUMP
    """The shared exponent is one more."""


class ScaleArithmetic(Enum):
    """How values are divided by the two-level scale of NVFP4, ``tensor scale * block scale``."""

    EXACT = fields.ARITHMETIC_EXACT
    """The exact quotient, rounded once: the definition in hardware mode, by thresholds and without a division."""
    RECIPROCAL = fields.ARITHMETIC_RECIPROCAL
    """Float32 steps ``x * ((1 / tensor scale) / block scale)``, as torchao does."""
    DIVISION = fields.ARITHMETIC_DIVISION
    """Float32 steps ``x / (tensor scale * block scale)``."""


class LeastScale(Enum):
    """The smallest scale a block of NVFP4 takes, an e4m3fn code."""

    SMALLEST = 1
    """The smallest number above zero, ``2**-9``."""
    SMALLEST_NORMAL = 8
    """The smallest normal number, ``2**-6``, as torchao does."""


class NanInBlock(Enum):
    """What a NaN does to its block."""

    REFUSE = fields.NAN_ERROR
    """It is an error."""
    WHOLE_BLOCK = fields.NAN_BLOCK
    """The scale becomes NaN, and so every value of the block (OCP MX specification 1.0, section 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRules:
    """How blocks find their scales. ``arithmetic`` and ``least_scale`` matter to NVFP4 only."""

    scale: ScaleRule = ScaleRule.FLOOR
    carry: Carry = Carry.CLIP
    arithmetic: ScaleArithmetic = ScaleArithmetic.EXACT
    least_scale: LeastScale = LeastScale.SMALLEST
    nan: NanInBlock = NanInBlock.REFUSE


class RequantisationRule(Enum):
    """How an accumulator is multiplied by a real scale in integers."""

    DYADIC = "dyadic"
    """``round(A * b * 2**-c)``, one rounding of the exact product (DESIGN section 6, rule 10; HAWQ-V3)."""
    GEMMLOWP_DOUBLE_ROUNDING = "gemmlowp-double-rounding"
    """gemmlowp and older TFLite: a saturating rounding doubling high multiply (ties to plus infinity), then a rounding
    divide by a power of two (ties away from zero). b is a Q31 number, the shift is to the left."""
    TFLITE_SINGLE_ROUNDING = "tflite-single-rounding"
    """Newer TFLite (TFLITE_SINGLE_ROUNDING): ``(A * b + 2**(30 - s)) >> (31 - s)``, b a Q31 number, s to the left."""
