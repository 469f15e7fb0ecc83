"""Fixed point on the GPU: the casts of `kernels.definitions.fixed`, on integers.

A value is split into sign and magnitude, the magnitude is rounded in an unsigned word, overflow is judged on it, and
the two's complement code is put together last. The word has 32 bits where float32 and the format allow, else 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from kernels import fields as modes
from kernels import rounding as rules
from kernels.definitions import fixed as definition
from kernels.gpu.bits import SOURCES, leading_one, round_magnitude, split, stochastic_carry, word_of
from kernels.gpu.checks import check_codes, check_dtype, check_nan, check_random, check_values, code_dtype
from kernels.gpu.launching import kernel, launch_elementwise, tl

if TYPE_CHECKING:
    from kernels.fields import FixedFields

_NARROW_WIDTH: Final = 31
"""Widths whose integers and rounding carries an unsigned 32-bit word holds."""


@kernel
def saturate_or_wrap(
    magnitude: tl.tensor,
    beyond: tl.tensor,
    negative: tl.tensor,
    above: tl.tensor,
    FIELDS: tl.constexpr,
    OVERFLOW: tl.constexpr,
    N: tl.constexpr,
) -> tl.tensor:
    """The code of ``+-magnitude``, an unsigned word.

    Args:
        magnitude: the rounded integer, its low bits if ``beyond``.
        beyond: whether it exceeds the word.
        negative: its sign, the source's.
        above: bit ``width`` of the source's floor (for sign-magnitude wrap-around).
        FIELDS: the format.
        OVERFLOW: an overflow mode of fixed point.
        N: saturation bits.
    """
    HIGH: tl.constexpr = (1 << (FIELDS.width - FIELDS.signed)) - 1
    LOW: tl.constexpr = FIELDS.signed << (FIELDS.width - 1)
    MASK: tl.constexpr = (1 << FIELDS.width) - 1
    word = tl.where(negative, 0 - magnitude, magnitude) & MASK
    out = beyond | tl.where(negative, magnitude > LOW, magnitude > HIGH)
    if OVERFLOW == modes.OVERFLOW_SATURATE:
        code = tl.where(out, tl.where(negative, (word & 0) + LOW, (word & 0) + HIGH), word)
    elif OVERFLOW == modes.OVERFLOW_SATURATE_ZERO:
        code = tl.where(out, word & 0, word)
    elif OVERFLOW == modes.OVERFLOW_SATURATE_SYMMETRIC:
        # One bit has no negative number but -1, which ap_fixed keeps.
        LEAST: tl.constexpr = FIELDS.signed * (LOW + (1 if FIELDS.width > 1 else 0))
        code = tl.where(out, tl.where(negative, (word & 0) + LEAST, (word & 0) + HIGH), word)
        code = tl.where(code == LOW, (word & 0) + LEAST, code) if FIELDS.signed else code
    elif OVERFLOW == modes.OVERFLOW_WRAP:
        if N == 0:
            code = word
        else:
            KEPT: tl.constexpr = (1 << (FIELDS.width - N)) - 1
            SIGN: tl.constexpr = FIELDS.signed << (FIELDS.width - 1)
            ONES: tl.constexpr = MASK - KEPT - SIGN
            top = tl.where(negative, (word & 0) + (SIGN if FIELDS.signed else ONES), (word & 0) + ONES)
            code = tl.where(out, (word & KEPT) | top, word)
    else:
        tl.static_assert(OVERFLOW == modes.OVERFLOW_WRAP_SIGN_MAGNITUDE)
        TOP: tl.constexpr = 1 << (FIELDS.width - 1)
        if N == 0:
            sign = (word >> (FIELDS.width - 1)) != 0
            mirrored = (word ^ MASK) & (MASK - TOP)
            mirrored = tl.where(above, mirrored + TOP, mirrored)
            code = tl.where(out & (sign != above), mirrored, word)
        else:
            REST: tl.constexpr = (1 << (FIELDS.width - N)) - 1
            decisive = ((word >> (FIELDS.width - N)) & 1) != 0
            mirror = (decisive != negative) if N == 1 else (decisive == negative)
            kept = tl.where(mirror, word ^ MASK, word) & REST
            limit = tl.where(negative, (word & 0) + TOP, (word & 0) + (MASK - TOP - REST))
            code = tl.where(out, kept | limit, word)
    return code


@kernel
def encode_values(
    values: tl.tensor,
    random: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    ROUNDING: tl.constexpr,
    OVERFLOW: tl.constexpr,
    N: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
    WORD: tl.constexpr,
) -> tl.tensor:
    """Codes of numbers and infinities as unsigned words of WORD bits, 32 or 64; NaN gives anything."""
    negative, significand, unit = split(values, SOURCE)
    scale = unit + FIELDS.fraction_bits
    # Beyond a whole word nothing changes any more, except for the stochastic part, which looks at `scale` itself.
    right = tl.minimum(tl.maximum(-scale, 0), WORD - 1)
    left = tl.maximum(scale, 0)
    infinite = word_of(tl.abs(values)) >= ((1 << SOURCE.exponent_bits) - 1) << SOURCE.mantissa_bits
    beyond = infinite | ((scale > 0) & (leading_one(significand) + left >= WORD))
    signed = tl.where(negative, -significand, significand)
    depth = scale - FIELDS.width
    above = (depth <= 0) & (((signed >> tl.minimum(tl.maximum(-depth, 0), SOURCE.mantissa_bits + 8)) & 1) != 0)
    bits = significand.to(tl.uint64 if WORD == 64 else tl.uint32)
    right = right.to(bits.dtype)
    if ROUNDING == rules.STOCHASTIC:
        kept = bits >> right
        rest = (bits - (kept << right)).to(tl.int64)
        carry = stochastic_carry(rest, tl.maximum(-scale, 0).to(tl.int64), negative, random, RANDOM_WIDTH)
        rounded = tl.where(carry, kept + 1, kept)
    else:
        rounded = round_magnitude(bits, right, negative, ROUNDING)
    shifted = tl.where(left >= WORD, bits & 0, bits << tl.minimum(left, WORD - 1).to(bits.dtype))
    magnitude = tl.where(scale > 0, shifted, rounded)
    return saturate_or_wrap(magnitude, beyond, negative, above, FIELDS, OVERFLOW, N)


@kernel
def decode_codes(code: tl.tensor, SOURCE: tl.constexpr, FIELDS: tl.constexpr, STEP: tl.constexpr) -> tl.tensor:
    """Values of codes, unsigned words, in the float type of SOURCE; every step is exact."""
    if FIELDS.width > 31:
        word = code.to(tl.int64)
        integer = (word << (64 - FIELDS.width)) >> (64 - FIELDS.width) if FIELDS.signed else word
    else:
        word = code.to(tl.int32)
        integer = (word << (32 - FIELDS.width)) >> (32 - FIELDS.width) if FIELDS.signed else word
    return integer.to(tl.float64 if SOURCE.mantissa_bits == 52 else tl.float32) * STEP


@kernel
def encode_kernel(
    values: tl.tensor,
    random: tl.tensor,
    results: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    ROUNDING: tl.constexpr,
    OVERFLOW: tl.constexpr,
    N: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
    NAN_CODE: tl.constexpr,
    STEP: tl.constexpr,
    WORD: tl.constexpr,
    AS_VALUES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Values to codes, or (AS_VALUES is 1) to the values of their codes."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    value = tl.load(values + place, mask=inside, other=0.0)
    bits = tl.load(random + place, mask=inside, other=0) if ROUNDING == rules.STOCHASTIC else 0
    code = encode_values(value, bits, SOURCE, FIELDS, ROUNDING, OVERFLOW, N, RANDOM_WIDTH, WORD)
    code = tl.where(value != value, (code & 0) + NAN_CODE, code)  # noqa: PLR0124 - true of NaN only
    result = decode_codes(code, SOURCE, FIELDS, STEP) if AS_VALUES else code
    tl.store(results + place, result, mask=inside)


@kernel
def decode_kernel(
    codes: tl.tensor,
    results: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    FIELDS: tl.constexpr,
    STEP: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Codes to values."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    code = tl.load(codes + place, mask=inside, other=0)
    tl.store(results + place, decode_codes(code, SOURCE, FIELDS, STEP), mask=inside)


def encode(
    values: torch.Tensor,
    fields: FixedFields,
    *,
    rounding: int = rules.HALF_EVEN,
    overflow: int = modes.OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """The codes of values, by the rule of `kernels.definitions.fixed.encode_scalar`.

    Args:
        values: float32 or float64 of any shape, on a CUDA device (any, in the interpreter).
        fields: the format.
        rounding: a mode of `kernels.rounding`; STOCHASTIC looks at the two's complement number.
        overflow: SATURATE, WRAP, WRAP_SIGN_MAGNITUDE, SATURATE_ZERO or SATURATE_SYMMETRIC of `kernels.fields`.
        saturation_bits: ap_fixed's N, 0 to width, for the two wrapping modes.
        random_bits: for STOCHASTIC, integers below ``2**random_width`` in the shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN; None refuses NaN.

    Returns:
        Codes of the same shape in the narrowest unsigned dtype, two's complement masked to the width.

    Raises:
        ValueError: for options out of range, NaN without ``nan_code``, or an infinity that wraps.
    """
    definition.check_fields(fields, overflow=overflow, saturation_bits=saturation_bits)
    results = torch.empty(values.shape, dtype=code_dtype(fields.width), device=values.device)
    return _encode(values, results, fields, rounding, overflow, saturation_bits, random_bits, random_width, nan_code)


def cast(
    values: torch.Tensor,
    fields: FixedFields,
    *,
    rounding: int = rules.HALF_EVEN,
    overflow: int = modes.OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """The values of the codes of values: ``decode(encode(values))`` in one pass, in the dtype of the values.

    The arguments are those of `encode`.

    Raises:
        ValueError: as `encode`, and if the dtype does not hold all values of the format.
    """
    check_values(values)
    definition.check_fields(fields)
    check_dtype(values.dtype, fields)
    results = torch.empty_like(values, memory_format=torch.contiguous_format)
    return _encode(values, results, fields, rounding, overflow, saturation_bits, random_bits, random_width, nan_code)


def decode(codes: torch.Tensor, fields: FixedFields, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The values of codes, by the rule of `kernels.definitions.fixed.decode_scalar`.

    Args:
        codes: as `encode` returns them.
        fields: the format.
        dtype: float32 or float64.

    Raises:
        ValueError: if a code is out of range, or the dtype does not hold all values of the format.
    """
    definition.check_fields(fields)
    check_codes(codes, fields.width, dtype)
    check_dtype(dtype, fields)
    results = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    launch_elementwise(
        decode_kernel,
        codes.numel(),
        codes.contiguous(),
        results,
        SOURCE=SOURCES[dtype],
        FIELDS=fields,
        STEP=2.0**-fields.fraction_bits,
    )
    return results


def _encode(
    values: torch.Tensor,
    results: torch.Tensor,
    fields: FixedFields,
    rounding: int,
    overflow: int,
    saturation_bits: int,
    random_bits: torch.Tensor | None,
    random_width: int,
    nan_code: int | None,
) -> torch.Tensor:
    check_values(values)
    definition.check_fields(fields, overflow=overflow, saturation_bits=saturation_bits)
    definition.check_rounding(rounding, random_width)
    if nan_code is not None and not 0 <= nan_code < 1 << fields.width:
        raise ValueError(f"nan_code must lie in [0, {(1 << fields.width) - 1}], got {nan_code}")
    check_nan(values, -1 if nan_code is None else nan_code, str(fields))
    if overflow in definition.WRAPS and values.numel() and bool(values.isinf().any()):
        raise ValueError(
            f"{int(values.isinf().sum())} of {values.numel()} values are infinite and have no low bits to wrap around "
            "to: use a saturating overflow mode"
        )
    as_values = results.dtype == values.dtype
    values = values.contiguous()
    launch_elementwise(
        encode_kernel,
        values.numel(),
        values,
        check_random(random_bits, values, rounding, random_width),
        results,
        SOURCE=SOURCES[values.dtype],
        FIELDS=fields,
        ROUNDING=rounding,
        OVERFLOW=overflow,
        N=saturation_bits,
        RANDOM_WIDTH=random_width,
        NAN_CODE=nan_code or 0,
        STEP=2.0**-fields.fraction_bits if as_values else 0.0,
        WORD=32 if values.dtype == torch.float32 and fields.width <= _NARROW_WIDTH else 64,
        AS_VALUES=int(as_values),
    )
    return results
