"""The few integers by which kernels know a format, and the codes of the options they take.

Kernels know no format types: compiled loops and GPU kernels take plain integers. `emulation` makes these tuples from
its formats and names the codes for people; the codes of rounding modes are in `kernels.rounding`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SPECIALS_IEEE: Final = 0
"""The top exponent field holds infinity (fraction 0) and NaN."""
SPECIALS_FINITE_NAN: Final = 1
"""Only the all-ones magnitude is NaN; there is no infinity."""
SPECIALS_NONE: Final = 2
"""Every code is finite."""
SPECIALS_FNUZ: Final = 3
"""The code of minus zero is NaN; there is no infinity."""
SPECIALS_P3109: Final = 4
"""The code of minus zero is NaN, the largest magnitude infinity."""

SUBNORMALS_GRADUAL: Final = 0
"""Exponent field 0 has no hidden one and the exponent of field 1."""
SUBNORMALS_KEEP_EXPONENT: Final = 1
"""Exponent field 0 has a hidden one and its own exponent."""
SUBNORMALS_FLUSH: Final = 2
"""All codes of exponent field 0 mean zero."""

OVERFLOW_SATURATE: Final = 0
"""Beyond the largest finite number, infinity included: the largest finite number."""
OVERFLOW_SATURATE_FINITE: Final = 1
"""Finite numbers saturate; infinity becomes infinity, or NaN where there is none."""
OVERFLOW_INFINITY: Final = 2
"""IEEE 754: what rounds beyond the largest number is infinity (NaN where there is none; saturation without either)."""
OVERFLOW_NAN: Final = 3
"""What rounds beyond the largest number is NaN."""

FLUSH_AFTER_ROUNDING: Final = 0
"""A format without subnormals rounds on the grid it would have with them, then numbers below the first normal are 0."""
FLUSH_BEFORE_ROUNDING: Final = 1
"""A format without subnormals takes every number below the first normal as 0, then rounds."""

OVERFLOW_WRAP: Final = 4
"""Fixed point: the low bits, as ap_fixed's AP_WRAP; with saturation bits the top ones saturate."""
OVERFLOW_WRAP_SIGN_MAGNITUDE: Final = 5
"""Fixed point: ap_fixed's AP_WRAP_SM."""
OVERFLOW_SATURATE_ZERO: Final = 6
"""Fixed point: out of range is 0 (AP_SAT_ZERO)."""
OVERFLOW_SATURATE_SYMMETRIC: Final = 7
"""Fixed point: saturate to plus and minus the largest number; the least code is never used (AP_SAT_SYM)."""


class FixedFields(NamedTuple):
    """Fixed point: ``value = code * 2**-fraction_bits``; 1 to 64 bits wide, two's complement if ``signed`` is 1."""

    width: int
    fraction_bits: int
    signed: int


class FloatFields(NamedTuple):
    """A minifloat: fields in order sign (if ``signed`` is 1), exponent, mantissa; codes of this module for the rest.

    ``zero`` is 1 if magnitude code 0 is the number zero, and 0 if it is a number like any other (E8M0).
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    signed: int
    specials: int
    subnormals: int
    zero: int


ELEMENT_FLOAT: Final = 0
"""Elements of a block are minifloats: `BlockFields.element`."""
ELEMENT_SIGN_MAGNITUDE: Final = 1
"""A sign bit above ``magnitude_bits`` bits; ``value = magnitude * 2**(1 - magnitude_bits)``; has a minus zero (BFP)."""
ELEMENT_TWOS_COMPLEMENT: Final = 2
"""Two's complement of ``magnitude_bits + 1`` bits, the same step; all codes are used, so -2 is a value (OCP MXINT8)."""
ELEMENT_SYMMETRIC: Final = 3
"""Two's complement whose least code is never used: saturation is symmetric."""

SCALE_RULE_FLOOR: Final = 0
"""``floor(log2 amax)`` less the exponent of the largest element (OCP MX specification 1.0, section 6.3)."""
SCALE_RULE_CEIL: Final = 1
"""``ceil(log2 amax)`` less the exponent of the largest element."""
SCALE_RULE_RCEIL: Final = 2
"""``ceil(log2(amax / largest element))``: no element saturates (``cvt.rp.ue8m0``)."""
SCALE_RULE_EVEN: Final = 3
"""amax plus half a step of the element's mantissa, then the floor rule."""
SCALE_RULE_RATIO: Final = 4
"""``amax / largest element`` rounded half to even to E4M3 (NVFP4)."""

CARRY_CLIP: Final = 0
"""Elements that round beyond the largest element become the largest."""
CARRY_BUMP: Final = 1
"""Where the largest magnitude rounds beyond the largest element, the shared exponent is one more; all round once."""

SCALE_E8M0: Final = 0
"""Scale code c means ``2**(c - 127)``; 0xFF is NaN (OCP MX)."""
SCALE_EXPONENT: Final = 1
"""The scale's exponent in two's complement of ``scale_bits`` bits, saturating at both ends."""
SCALE_E4M3: Final = 2
"""An OCP E4M3 number above zero, times a float32 scale of the whole tensor; 0x7F is NaN (NVFP4)."""

ARITHMETIC_EXACT: Final = 0
"""Quotients by the scale and decoded values are exact and rounded once."""
ARITHMETIC_RECIPROCAL: Final = 1
"""Float32 steps, g the tensor's scale and s the block's: ``x * ((1 / g) / s)``, decoded ``q * (g * s)`` (torchao)."""
ARITHMETIC_DIVISION: Final = 2
"""Float32 steps with a division: ``x / (g * s)``, decoded ``q * (g * s)``."""

NAN_ERROR: Final = 0
"""A NaN is refused."""
NAN_BLOCK: Final = 1
"""A NaN makes the scale of its block NaN, and so every value of the block (OCP MX)."""

WHOLE_TENSOR: Final = 0
"""As a block size: all values of a tensor share one scale (dynamic fixed point)."""


class BlockFields(NamedTuple):
    """Blocks of elements that share a scale: ``value = element * scale``; codes of this module for the choices.

    Blocks run along the last axis; the last block of a row may be shorter. ``block_size`` may be `WHOLE_TENSOR`.
    ``magnitude_bits`` counts an integer element's bits without its sign (0 for minifloats, whose fields are
    ``element``). ``scale_bits`` is the width of a `SCALE_EXPONENT`. ``scale_minimum`` is the least E4M3 code a block's
    scale takes: 8 (the smallest normal number, as torchao) or 1 (the smallest number above zero).
    """

    block_size: int
    element_kind: int
    magnitude_bits: int = 0
    element: FloatFields | None = None
    scale_rule: int = SCALE_RULE_FLOOR
    carry: int = CARRY_CLIP
    scale_kind: int = SCALE_E8M0
    scale_bits: int = 8
    scale_minimum: int = 8
    arithmetic: int = ARITHMETIC_EXACT


ORDER_ASCENDING: Final = 0
"""Products are added one after the other with k ascending, each sum cast to the accumulator's format."""
ORDER_PAIRWISE: Final = 1
"""A binary tree: neighbours (2i, 2i + 1) are added and cast, a last one without neighbour passes on as it is, until one
is left; the initial value is added to it at the end, and cast."""
ORDER_CHUNKS_EXACT: Final = 2
"""`chunk` products are summed exactly, then added to the accumulator and cast once (DESIGN section 6, rule 8)."""
ORDER_CHUNKS_ROUNDED: Final = 3
"""Each chunk is summed ascending from zero in the accumulator's format; the chunks' sums are then added ascending."""

LMUL_FORMULA: Final = 0
"""L-Mul as its paper writes it: ``(1 + xm + ym + 2**-l) * 2**(xe + ye)``."""
LMUL_FIELD: Final = 1
"""L-Mul as an addition of fields whose carry goes into an exponent without bounds (DESIGN section 6, rule 6)."""
LMUL_FIELD_CLAMPED: Final = 2
"""The field addition within a format: underflow gives zero, overflow the largest number or infinity."""


class ProductFields(NamedTuple):
    """The format that every single product is rounded to before it is added.

    ``rounding`` is a mode of `kernels.rounding` without STOCHASTIC; ``overflow`` an OVERFLOW code that fits the grid;
    ``saturation_bits`` (fixed point) and ``underflow`` (float) are as in the casts.
    """

    grid: FixedFields | FloatFields
    rounding: int = 0
    overflow: int = OVERFLOW_SATURATE
    saturation_bits: int = 0
    underflow: int = FLUSH_AFTER_ROUNDING


class AccumulatorFields(NamedTuple):
    """What a sum of products is kept in: an exact accumulator if ``grid`` is None, else a format cast to at every step.

    ``order`` is an ORDER code; ``chunk`` counts the products of one step where the order has chunks, else it is 1.
    """

    grid: FixedFields | FloatFields | None = None
    rounding: int = 0
    overflow: int = OVERFLOW_SATURATE
    saturation_bits: int = 0
    underflow: int = FLUSH_AFTER_ROUNDING
    order: int = ORDER_ASCENDING
    chunk: int = 1


class LMulFields(NamedTuple):
    """An L-Mul: how (an LMUL code), the mantissa bits of the two operands, and the format of the clamped variant.

    The narrower mantissa is aligned to the left of the wider one. ``exponent_low`` and ``exponent_high`` (unbiased
    exponents of the least and greatest normal number), ``mantissa_high`` (the greatest mantissa field at
    ``exponent_high``, in the wider mantissa) and ``overflow`` (OVERFLOW_SATURATE or OVERFLOW_INFINITY) are read by
    LMUL_FIELD_CLAMPED only.
    """

    kind: int
    left_mantissa_bits: int
    right_mantissa_bits: int
    exponent_low: int = 0
    exponent_high: int = 0
    mantissa_high: int = 0
    overflow: int = OVERFLOW_SATURATE
