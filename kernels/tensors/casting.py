"""Casts, encodings and decodings of tensors for any format: the steps of the compiled loops, as torch operations.

`kernels.tensors.fixed` and `kernels.tensors.minifloat` are the doors. Everything runs on the tensor's device; each step
makes a new tensor, so the loops of `kernels.compiled` are faster on a CPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from kernels.canaries import check_subnormals
from kernels.cast_constants import (
    CastConstants,
    CastOptions,
    cast_constants,
    check_cast,
    code_of_nan,
    encode_scalar,
    working_type,
)
from kernels.code_constants import code_type, fixed_code_constants, float_code_constants
from kernels.definitions.fixed import WRAPS
from kernels.extents import FLOAT32, FLOAT64, FloatType, check_holds, holds, value_of, width_of
from kernels.fields import OVERFLOW_WRAP, FixedFields, FloatFields
from kernels.rounding import STOCHASTIC
from kernels.tensors.fixed_words import encode_words

if TYPE_CHECKING:
    Fields = FixedFields | FloatFields

_FLOATS: Final = {FLOAT32: torch.float32, FLOAT64: torch.float64}
_INTEGERS: Final = {FLOAT32: torch.int32, FLOAT64: torch.int64}
_CODES: Final = {8: torch.uint8, 16: torch.uint16, 32: torch.uint32, 64: torch.uint64}


def float_type_of(dtype: torch.dtype) -> FloatType:
    """The float type of a tensor's dtype.

    Raises:
        TypeError: for other types than float32 and float64.
    """
    for float_type, known in _FLOATS.items():
        if dtype == known:
            return float_type
    raise TypeError(f"values must be float32 or float64, got {str(dtype).removeprefix('torch.')}: convert them first")


def cast_tensor(
    values: torch.Tensor, fields: Fields, options: CastOptions, random_bits: torch.Tensor | None
) -> torch.Tensor:
    """Round values to numbers of a format; see `kernels.tensors.minifloat.cast` and `kernels.tensors.fixed.cast`."""
    values = values.detach()  # rounding has no gradient: whoever trains through it defines one
    float_type = _check(values, fields, options)
    check_holds(float_type, fields)
    random = _checked_random(values, options, random_bits)
    _refuse_specials(values, fields, options)
    if not _has_steps(fields, options, float_type):
        return _values_of_codes(_codes_without_floats(values, fields, options, random), fields, float_type)
    chosen = code_of_nan(fields, options)
    nan = math.nan if chosen is None else value_of(chosen, fields)
    return _cast(values, fields, options, random, float_type, nan)


def encode_tensor(
    values: torch.Tensor, fields: Fields, options: CastOptions, random_bits: torch.Tensor | None
) -> torch.Tensor:
    """Round values to codes; see `kernels.tensors.minifloat.encode` and `kernels.tensors.fixed.encode`."""
    values = values.detach()
    float_type = _check(values, fields, options)
    if isinstance(fields, FloatFields):
        check_holds(float_type, fields)
    random = _checked_random(values, options, random_bits)
    _refuse_specials(values, fields, options)
    if not holds(float_type, fields):
        float_type = FLOAT64
    if _has_steps(fields, options, float_type):
        on_grid = _cast(values.to(_FLOATS[float_type]), fields, options, random, float_type, math.nan)
        codes = _codes_of_values(on_grid, fields, code_of_nan(fields, options), float_type)
    else:
        codes = _codes_without_floats(values, fields, options, random)
    dtype = _CODES[max(8, 1 << (width_of(fields) - 1).bit_length())]
    return codes.view(dtype) if dtype == torch.uint64 else codes.to(dtype)


def decode_tensor(codes: torch.Tensor, fields: Fields, dtype: torch.dtype) -> torch.Tensor:
    """The values of codes; see `kernels.tensors.minifloat.decode` and `kernels.tensors.fixed.decode`."""
    check_cast(fields, CastOptions())
    check_subnormals()
    float_type = float_type_of(dtype)
    check_holds(float_type, fields)
    if codes.dtype.is_floating_point or codes.dtype.is_complex or codes.dtype == torch.bool:
        raise TypeError(f"codes must be integers, got {codes.dtype}")
    width = width_of(fields)
    # Where a float holds the format, its codes have at most 54 bits, so a larger uint64 is refused as negative.
    wide = codes.view(torch.int64) if codes.dtype == torch.uint64 else codes.to(torch.int64)
    if wide.numel() and not 0 <= int(wide.min()) <= int(wide.max()) < 1 << width:
        raise ValueError(
            f"codes of {width} bits must lie in [0, {(1 << width) - 1}], got {int(wide.min())} to {int(wide.max())}"
        )
    return _values_of_codes(wide, fields, float_type)


def _check(values: torch.Tensor, fields: Fields, options: CastOptions) -> FloatType:
    check_cast(fields, options)
    check_subnormals()
    return float_type_of(values.dtype)


def _checked_random(
    values: torch.Tensor, options: CastOptions, random_bits: torch.Tensor | None
) -> torch.Tensor | None:
    if options.rounding != STOCHASTIC:
        if random_bits is not None:
            raise ValueError("random_bits are for stochastic rounding: leave them out, or choose STOCHASTIC")
        return None
    most = (1 << options.random_width) - 1
    if random_bits is None:
        raise ValueError(f"stochastic rounding needs random_bits of shape {tuple(values.shape)}, each 0 to {most}")
    if random_bits.shape != values.shape or random_bits.dtype.is_floating_point:
        raise ValueError(
            f"random_bits must be integers of shape {tuple(values.shape)}, got {random_bits.dtype} of shape "
            f"{tuple(random_bits.shape)}"
        )
    wide = random_bits.to(torch.int64)
    if wide.numel() and not 0 <= int(wide.min()) <= int(wide.max()) <= most:
        raise ValueError(
            f"random_bits must be 0 to {most} for random_width {options.random_width}, got {int(wide.min())} to "
            f"{int(wide.max())}"
        )
    return wide


def _refuse_specials(values: torch.Tensor, fields: Fields, options: CastOptions) -> None:
    if code_of_nan(fields, options) is None:
        count = int(values.isnan().sum())
        if count:
            raise ValueError(
                f"{count} of {values.numel()} values are NaN, which has no code in {fields}: give nan_code to choose "
                "one, or remove them"
            )
    if isinstance(fields, FixedFields) and options.overflow in WRAPS:
        count = int(values.isinf().sum())
        if count:
            raise ValueError(
                f"{count} of {values.numel()} values are infinite and have no low bits to wrap around to: use a "
                "saturating overflow mode, or remove them"
            )


def _has_steps(fields: Fields, options: CastOptions, float_type: FloatType) -> bool:
    """Whether float arithmetic serves; fixed point beyond takes integers, minifloats beyond the definition."""
    if isinstance(fields, FixedFields) and (
        options.saturation_bits
        or (options.overflow in WRAPS and (options.overflow != OVERFLOW_WRAP or options.rounding == STOCHASTIC))
    ):
        return False
    return working_type(fields, options, float_type) is not None and code_type(fields, float_type) is not None


def _cast(
    values: torch.Tensor,
    fields: Fields,
    options: CastOptions,
    random: torch.Tensor | None,
    float_type: FloatType,
    nan: float,
) -> torch.Tensor:
    working = working_type(fields, options, float_type) or FLOAT64
    constants = cast_constants(fields, options, working, nan)
    wide = values.to(_FLOATS[working])
    if isinstance(fields, FixedFields) and options.overflow == OVERFLOW_WRAP:
        result = _wrap(wide, constants, math.ldexp(1.0, fields.width - fields.fraction_bits), working)
    else:
        clipped = wide.clamp(constants.low_clip, constants.high_clip)
        rounded = _round_magnitudes(clipped, random, constants, working)
        result = _judge_range(wide, clipped, rounded, constants)
    return torch.where(wide.isnan(), _like(wide, constants.nan), result).to(values.dtype)


def _like(values: torch.Tensor, number: float) -> torch.Tensor:
    """A number as a tensor without dimensions, of the values' type and device (a plain one could be narrowed)."""
    return values.new_full((), number)


def _choose(condition: torch.Tensor, then: float, otherwise: float, like: torch.Tensor) -> torch.Tensor:
    return torch.where(condition, _like(like, then), _like(like, otherwise))


def _round_magnitudes(
    clipped: torch.Tensor, random: torch.Tensor | None, constants: CastConstants, working: FloatType
) -> torch.Tensor:
    """Truncate the magnitudes on the grid, and leave for the next point beyond the threshold."""
    integer, floating = _INTEGERS[working], _FLOATS[working]
    exponent = (clipped.view(integer) & constants.exponent_mask).clamp(min=constants.least_exponent)
    magic = (exponent + constants.magic_offset).view(floating)
    spacing = (exponent - constants.spacing_offset).view(floating)
    magnitude, negative = clipped.abs(), clipped.signbit()
    nearest = (magnitude + magic) - magic
    truncated = torch.where(nearest > magnitude, nearest - spacing, nearest)
    threshold = _choose(negative, constants.threshold_negative, constants.threshold_positive, clipped)
    if random is not None:
        share = _choose(negative, constants.random_negative, constants.random_positive, clipped)
        threshold = threshold + random.to(floating) * share
    border = threshold * spacing
    rest = magnitude - truncated
    leaves_at = _choose(negative, constants.leaves_at_negative, constants.leaves_at_positive, clipped) != 0
    odd = ((truncated + magic).view(integer) & constants.leaves_if_odd) != 0
    leaves = (rest > border) | ((rest == border) & (leaves_at | odd))
    return torch.where(leaves, truncated + spacing, truncated)


def _judge_range(
    values: torch.Tensor, clipped: torch.Tensor, rounded: torch.Tensor, constants: CastConstants
) -> torch.Tensor:
    """Flush, give the sign back, and judge the range."""
    magnitude, negative = clipped.abs(), clipped.signbit()
    compared = magnitude if constants.flush_first else rounded
    rounded = torch.where(compared >= constants.least, rounded, _like(values, constants.flushed))
    signed = torch.where(negative, -rounded, rounded) + _like(values, constants.zero_addend)
    above = _choose(values < math.inf, constants.above, constants.above_infinite, values)
    below = _choose(values > -math.inf, constants.below, constants.below_infinite, values)
    result = torch.where(signed > constants.high, above, signed)
    result = torch.where(signed < constants.low, below, result)
    zero = _choose(negative, constants.minus_zero, constants.plus_zero, values)
    return torch.where(magnitude == 0, zero, result)


def _wrap(values: torch.Tensor, constants: CastConstants, modulus: float, working: FloatType) -> torch.Tensor:
    """Round, and keep the low bits; from the magic number on, a value is a multiple of the spacing already."""
    magic_exponent = (constants.least_exponent + constants.magic_offset) >> working.mantissa_bits
    magic = math.ldexp(1.0, magic_exponent - working.greatest_exponent)
    clipped = values.clamp(-magic, magic)
    rounded = _round_magnitudes(clipped, None, constants, working)
    rounded = torch.where(values.abs() < magic, torch.where(clipped.signbit(), -rounded, rounded), values)
    quotient = rounded * (1 / modulus)
    # A quotient beyond the type's range is a multiple of the modulus.
    rest = torch.where(quotient.isfinite(), quotient - quotient.floor(), _like(values, 0.0))
    if constants.low < 0:
        rest = torch.where(rest >= 0.5, rest - 1, rest)
    return rest * modulus


def _codes_of_values(values: torch.Tensor, fields: Fields, nan_code: int | None, float_type: FloatType) -> torch.Tensor:
    """Codes, as int64, of values that are numbers of the format, infinities or NaN."""
    working = code_type(fields, float_type) or FLOAT64
    wide = values.to(_FLOATS[working])
    is_nan = wide.isnan()
    if isinstance(fields, FixedFields):
        fixed_constants = fixed_code_constants(fields, nan_code)
        scaled = torch.where(is_nan, _like(wide, 0.0), wide * fixed_constants.scale)
        return torch.where(is_nan, fixed_constants.nan_code, scaled.to(torch.int64) & fixed_constants.mask)
    constants = float_code_constants(fields, working, nan_code)
    magnitude = wide.abs()
    pattern = magnitude.view(_INTEGERS[working]).to(torch.int64)
    normal = (pattern >> constants.mantissa_shift) - constants.code_offset
    is_normal = magnitude >= constants.first_normal
    scaled = torch.where(is_normal | is_nan, _like(wide, 0.0), magnitude * constants.scale)
    code = torch.where(is_normal, normal, scaled.to(torch.int64))
    code = torch.where(magnitude.isinf(), constants.infinity_code, code)
    sign = wide.signbit().to(torch.int64) << (fields.exponent_bits + fields.mantissa_bits)
    return torch.where(is_nan, constants.nan_code, code | sign)


def _values_of_codes(codes: torch.Tensor, fields: Fields, float_type: FloatType) -> torch.Tensor:
    """Values of int64 codes."""
    dtype = _FLOATS[float_type]
    working = code_type(fields, float_type)
    if working is None:
        numbers = [value_of(code, fields) for code in codes.reshape(-1).tolist()]
        return torch.tensor(numbers, dtype=dtype, device=codes.device).reshape(codes.shape)
    if isinstance(fields, FixedFields):
        fixed_constants = fixed_code_constants(fields, None)
        integers = (codes ^ fixed_constants.sign_code) - fixed_constants.sign_code
        return (integers.to(_FLOATS[working]) * fixed_constants.unit).to(dtype)
    constants = float_code_constants(fields, working, None)
    magnitude = codes & constants.magnitude_mask
    pattern = (magnitude + constants.code_offset) << constants.mantissa_shift
    normal = pattern.to(_INTEGERS[working]).view(_FLOATS[working])
    subnormal = magnitude.to(_FLOATS[working]) * constants.unit
    values = torch.where(magnitude >= constants.first_normal_code, normal, subnormal)
    special = _choose(magnitude == constants.infinity_code, math.inf, math.nan, values)
    values = torch.where(magnitude <= constants.largest_code, values, special)
    values = torch.where(codes > constants.magnitude_mask, -values, values) + _like(values, constants.zero_addend)
    return torch.where(codes == constants.minus_zero_nan, _like(values, math.nan), values).to(dtype)


def _codes_without_floats(
    values: torch.Tensor, fields: Fields, options: CastOptions, random: torch.Tensor | None
) -> torch.Tensor:
    """Codes as int64, by integers or, for formats that end where float64 does, by the definition."""
    if isinstance(fields, FixedFields):
        return encode_words(values.to(torch.float64), fields, options, random)
    bits = [0] * values.numel() if random is None else random.reshape(-1).tolist()
    codes = [
        encode_scalar(value, fields, options, random_bits)
        for value, random_bits in zip(values.reshape(-1).tolist(), bits, strict=True)
    ]
    return torch.tensor(codes, dtype=torch.int64, device=values.device).reshape(values.shape)
