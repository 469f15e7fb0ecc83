"""Minifloats on the GPU: the casts of `kernels.definitions.minifloat`, on integers.

A magnitude is rounded to steps of its binade; steps and binade together are the magnitude code (a carry into the next
binade is right by itself), and magnitude codes are ordered like the numbers they mean, so the ends of the range are
comparisons of codes. What lies beyond the ends has codes that do not depend on the value: they are asked of the
definition, once per launch.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

import torch

from kernels import fields as modes
from kernels import rounding as rules
from kernels.definitions import minifloat as definition
from kernels.fields import (
    FLUSH_AFTER_ROUNDING,
    OVERFLOW_SATURATE,
    SUBNORMALS_KEEP_EXPONENT,
    FloatFields,
)
from kernels.gpu.bits import (
    SOURCES,
    leading_one,
    power_of_two,
    round_magnitude,
    split,
    stochastic_carry,
    with_sign,
    word_of,
)
from kernels.gpu.checks import check_codes, check_dtype, check_nan, check_random, check_values, code_dtype
from kernels.gpu.launching import kernel, launch_elementwise, tl
from kernels.rounding import HALF_EVEN

_HUGE: Final = Fraction(2) ** 2000
"""Beyond every format and every float64."""
_WIDEST_CODE_IN_32_BITS: Final = 28


class FloatTargets(NamedTuple):
    """Codes a kernel cannot compute, with signs in place; magnitude codes are counted on the gradual grid."""

    unit: int
    """Exponent of the spacing of the smallest numbers."""
    least: int
    """Magnitude code of the smallest number but zero."""
    largest: int
    """Magnitude code of the largest finite number."""
    offset: int
    """Magnitude code on the gradual grid less that of the format."""
    above: int
    """The code of finite numbers above the largest."""
    below: int
    """The code of finite numbers below minus the largest; in an unsigned format of all negative ones."""
    infinity: int
    minus_infinity: int
    zero: int
    minus_zero: int
    nan: int
    """-1 where NaN is refused."""
    infinity_code: int
    """The magnitude code that decodes to infinity; -1 without one."""
    minus_zero_is_nan: int
    wide: int
    """1 if magnitude codes need 64 bits in between."""


def targets(  # noqa: D103 - see FloatTargets
    fields: FloatFields, *, rounding: int, overflow: int, underflow: int, random_width: int, nan_code: int | None
) -> FloatTargets:
    def code(value: Fraction | float) -> int:
        return definition.encode_scalar(
            value,
            fields,
            rounding=rounding,
            overflow=overflow,
            underflow=underflow,
            random_width=random_width,
            nan_code=nan_code,
        )

    own_nan = definition.code_for_nan(fields, nan_code)
    keeps = fields.subnormals == SUBNORMALS_KEEP_EXPONENT
    offset = 1 << fields.mantissa_bits if keeps else 0
    infinity = definition.infinity_code(fields)
    return FloatTargets(
        unit=definition.unit_exponent(fields),
        least=definition.magnitude_code(definition.smallest_integer(fields), fields) + offset,
        largest=definition.largest_magnitude_code(fields) + offset,
        offset=offset,
        above=code(_HUGE),
        below=code(-_HUGE),
        infinity=code(float("inf")),
        minus_infinity=code(-float("inf")),
        zero=code(0.0),
        minus_zero=code(-0.0),
        nan=-1 if own_nan is None else own_nan,
        infinity_code=-1 if infinity is None else infinity,
        minus_zero_is_nan=int(
            bool(fields.signed) and definition.has_zero(fields) and not definition.has_minus_zero(fields)
        ),
        wide=int(fields.exponent_bits + fields.mantissa_bits > _WIDEST_CODE_IN_32_BITS),
    )


@kernel
def encode_values(
    values: tl.tensor,
    random: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    TARGETS: tl.constexpr,
    ROUNDING: tl.constexpr,
    UNDERFLOW: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
) -> tl.tensor:
    """Codes of any floats, as signed words."""
    negative, significand, unit = split(values, SOURCE)
    # The binade's distance from the smallest one of the grid; rounding counts its steps of 2**(binade - mantissa_bits).
    lowest = TARGETS.unit + FIELDS.mantissa_bits
    steps = tl.maximum(leading_one(significand) + unit - lowest, 0)
    shift = steps + (TARGETS.unit - unit)
    if TARGETS.wide:
        significand = significand.to(tl.int64)
        steps = steps.to(tl.int64)
        shift = shift.to(tl.int64)
    word_bits: tl.constexpr = 63 if significand.dtype == tl.int64 else 31
    right = tl.minimum(tl.maximum(shift, 0), word_bits)
    exact = significand << tl.minimum(tl.maximum(-shift, 0), FIELDS.mantissa_bits)
    kept = exact >> right
    if ROUNDING == rules.STOCHASTIC:
        rest = (exact - (kept << right)).to(tl.int64)
        carry = stochastic_carry(rest, tl.maximum(shift, 0).to(tl.int64), rest < 0, random, RANDOM_WIDTH)
        rounded = tl.where(carry, kept + 1, kept)
    else:
        rounded = round_magnitude(exact, right, negative, ROUNDING)
    binades = tl.minimum(steps, 1 << FIELDS.exponent_bits) << FIELDS.mantissa_bits
    magnitude = rounded + binades
    if FIELDS.subnormals == modes.SUBNORMALS_KEEP_EXPONENT and FIELDS.zero == 0:
        magnitude = tl.where(significand != 0, tl.maximum(magnitude, TARGETS.least), magnitude)
    elif FIELDS.subnormals != modes.SUBNORMALS_GRADUAL:
        judged = kept + binades if UNDERFLOW == modes.FLUSH_BEFORE_ROUNDING else magnitude
        magnitude = tl.where((judged < TARGETS.least) | (magnitude < TARGETS.least), 0, magnitude)
    sign: tl.constexpr = FIELDS.signed << (FIELDS.exponent_bits + FIELDS.mantissa_bits)
    finite = magnitude - TARGETS.offset
    code = tl.where(negative, finite + sign, finite)
    code = tl.where(magnitude > TARGETS.largest, TARGETS.above, code)
    beneath = negative & (magnitude > (TARGETS.largest if FIELDS.signed else 0))
    code = tl.where(beneath, TARGETS.below, code)
    code = tl.where(magnitude == 0, tl.where(negative, TARGETS.minus_zero, TARGETS.zero), code)
    bits = word_of(tl.abs(values))
    top = ((1 << SOURCE.exponent_bits) - 1) << SOURCE.mantissa_bits
    code = tl.where(bits == top, tl.where(negative, TARGETS.minus_infinity, TARGETS.infinity), code)
    return tl.where(bits > top, TARGETS.nan, code)


@kernel
def decode_codes(
    code: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    TARGETS: tl.constexpr,
) -> tl.tensor:
    """Values of codes (signed words without sign extension) in the float type of SOURCE."""
    magnitude = code & ((1 << (FIELDS.exponent_bits + FIELDS.mantissa_bits)) - 1)
    negative = magnitude != code
    steps = magnitude >> FIELDS.mantissa_bits
    if FIELDS.subnormals == modes.SUBNORMALS_KEEP_EXPONENT:
        significand = magnitude - (steps << FIELDS.mantissa_bits) + (1 << FIELDS.mantissa_bits)
        if FIELDS.zero:
            significand = tl.where(magnitude == 0, 0, significand)
    else:
        field = steps
        steps = tl.maximum(steps - 1, 0)
        significand = magnitude - (steps << FIELDS.mantissa_bits)
        if FIELDS.subnormals == modes.SUBNORMALS_FLUSH:
            significand = tl.where(field == 0, 0, significand)
    # Beyond the finite codes the product could overflow; it is replaced anyway.
    beyond = magnitude > TARGETS.largest - TARGETS.offset
    scale = power_of_two(steps + TARGETS.unit, SOURCE)
    value = tl.where(beyond, 0, significand).to(scale.dtype) * scale
    value = tl.where(beyond, float("nan"), value)
    value = tl.where(magnitude == TARGETS.infinity_code, float("inf"), value)
    if TARGETS.minus_zero_is_nan:
        value = tl.where(negative & (magnitude == 0), float("nan"), value)
        # Other codes that mean zero, of flushed field 0, have no minus zero to mean either.
        negative = negative & (value != 0)
    return with_sign(value, negative)


@kernel
def encode_kernel(
    values: tl.tensor,
    random: tl.tensor,
    results: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    TARGETS: tl.constexpr,
    ROUNDING: tl.constexpr,
    UNDERFLOW: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
    AS_VALUES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Values to codes, or (AS_VALUES is 1) to the values of their codes."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    value = tl.load(values + place, mask=inside, other=0.0)
    bits = tl.load(random + place, mask=inside, other=0) if ROUNDING == rules.STOCHASTIC else 0
    code = encode_values(value, bits, SOURCE, FIELDS, TARGETS, ROUNDING, UNDERFLOW, RANDOM_WIDTH)
    result = decode_codes(code, SOURCE, FIELDS, TARGETS) if AS_VALUES else code
    tl.store(results + place, result, mask=inside)


@kernel
def decode_kernel(
    codes: tl.tensor,
    results: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    TARGETS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Codes to values."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    code = tl.load(codes + place, mask=inside, other=0).to(tl.int64 if TARGETS.wide else tl.int32)
    tl.store(results + place, decode_codes(code, SOURCE, FIELDS, TARGETS), mask=inside)


def encode(
    values: torch.Tensor,
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """The codes of values, by the rule of `kernels.definitions.minifloat.encode_scalar`.

    Args:
        values: float32 or float64 of any shape, on a CUDA device (any, in the interpreter).
        fields: the format.
        rounding: a mode of `kernels.rounding`; STOCHASTIC rounds the magnitude.
        overflow: SATURATE, SATURATE_FINITE, INFINITY or NAN of `kernels.fields`.
        underflow: how a format without subnormals flushes.
        random_bits: for STOCHASTIC, integers below ``2**random_width`` in the shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN in a format without NaN; None refuses NaN there.

    Returns:
        Codes of the same shape in the narrowest unsigned dtype.

    Raises:
        ValueError: for options out of range, NaN without a code, or a dtype that lacks numbers of the format.
    """
    definition.check_fields(fields)
    results = torch.empty(values.shape, dtype=code_dtype(definition.code_width(fields)), device=values.device)
    return _encode(values, results, fields, rounding, overflow, underflow, random_bits, random_width, nan_code)


def cast(
    values: torch.Tensor,
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """The values of the codes of values: ``decode(encode(values))`` in one pass, in the dtype of the values.

    The arguments are those of `encode`.

    Raises:
        ValueError: as `encode`.
    """
    check_values(values)
    definition.check_fields(fields)
    results = torch.empty_like(values, memory_format=torch.contiguous_format)
    return _encode(values, results, fields, rounding, overflow, underflow, random_bits, random_width, nan_code)


def decode(codes: torch.Tensor, fields: FloatFields, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The values of codes, by the rule of `kernels.definitions.minifloat.decode_scalar`.

    Args:
        codes: as `encode` returns them.
        fields: the format.
        dtype: float32 or float64.

    Raises:
        ValueError: if a code is out of range, or the dtype does not hold all values of the format.
    """
    definition.check_fields(fields)
    check_codes(codes, definition.code_width(fields), dtype)
    check_dtype(dtype, fields)
    results = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    constants = targets(
        fields,
        rounding=HALF_EVEN,
        overflow=OVERFLOW_SATURATE,
        underflow=FLUSH_AFTER_ROUNDING,
        random_width=0,
        nan_code=None,
    )
    launch_elementwise(
        decode_kernel,
        codes.numel(),
        codes.contiguous(),
        results,
        SOURCE=SOURCES[dtype],
        FIELDS=fields,
        TARGETS=constants,
    )
    return results


def _encode(
    values: torch.Tensor,
    results: torch.Tensor,
    fields: FloatFields,
    rounding: int,
    overflow: int,
    underflow: int,
    random_bits: torch.Tensor | None,
    random_width: int,
    nan_code: int | None,
) -> torch.Tensor:
    check_values(values)
    check_dtype(values.dtype, fields)
    constants = targets(
        fields,
        rounding=rounding,
        overflow=overflow,
        underflow=underflow,
        random_width=random_width,
        nan_code=nan_code,
    )
    check_nan(values, constants.nan, str(fields))
    values = values.contiguous()
    launch_elementwise(
        encode_kernel,
        values.numel(),
        values,
        check_random(random_bits, values, rounding, random_width),
        results,
        SOURCE=SOURCES[values.dtype],
        FIELDS=fields,
        TARGETS=constants,
        ROUNDING=rounding,
        UNDERFLOW=underflow,
        RANDOM_WIDTH=random_width,
        AS_VALUES=int(results.dtype == values.dtype),
    )
    return results
