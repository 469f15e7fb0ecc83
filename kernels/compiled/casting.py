"""Casts, encodings and decodings of arrays for any format: checks, then the loop that suits format and options.

`kernels.compiled.fixed` and `kernels.compiled.minifloat` are the doors. Beside operands and result, a cast needs no
memory (but its codes, where fixed point is cast on integers), an encoding chunks of up to 512 KiB, and inputs are
copied only if they are not contiguous.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.canaries import check_subnormals
from kernels.cast_constants import (
    CastConstants,
    CastOptions,
    cast_constants,
    check_cast,
    code_of_nan,
    encode_scalar,
    fixed_by_integers,
    saturates_only,
    symmetric_range,
    working_type,
)
from kernels.code_constants import (
    code_type,
    fixed_code_constants,
    float_code_constants,
)
from kernels.compiled import cast_loops, code_loops, half_even
from kernels.compiled.fixed_words import WordOptions, encode_words
from kernels.definitions.fixed import WRAPS
from kernels.extents import FLOAT32, FLOAT64, FloatType, check_holds, holds, value_of, width_of
from kernels.fields import OVERFLOW_WRAP, FixedFields, FloatFields
from kernels.half_even_constants import half_even_constants
from kernels.rounding import HALF_EVEN, STOCHASTIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from kernels.code_constants import FixedCodeConstants, FloatCodeConstants
    from kernels.half_even_constants import HalfEvenConstants

    Fields = FixedFields | FloatFields

_UNSIGNED: Final = {FLOAT32: np.uint32, FLOAT64: np.uint64}
_SIGNED: Final = {FLOAT32: np.int32, FLOAT64: np.int64}
_CHUNK: Final = 1 << 16
"""Values that an encoding rounds before it takes them apart: a block that stays in the cache."""
_NO_RANDOM_BITS: Final = np.zeros(1, dtype=np.uint32)


def code_dtype(width: int) -> np.dtype[Any]:
    """The narrowest unsigned type for codes of this width.

    >>> [code_dtype(width).name for width in (6, 9, 17, 33)]
    ['uint8', 'uint16', 'uint32', 'uint64']
    """
    return np.dtype(f"uint{max(8, 1 << (width - 1).bit_length())}")


def float_type_of(values: NDArray[Any]) -> FloatType:
    """The float type of an array of values.

    Raises:
        TypeError: for other types than float32 and float64.
    """
    for float_type in (FLOAT32, FLOAT64):
        if values.dtype == float_type.name:
            return float_type
    raise TypeError(f"values must be float32 or float64, got {values.dtype}: convert them first")


def cast_array(
    values: NDArray[Any],
    fields: Fields,
    options: CastOptions,
    random_bits: NDArray[Any] | None,
    out: NDArray[Any] | None,
) -> NDArray[Any]:
    """Round values to numbers of a format; see `kernels.compiled.minifloat.cast` and `kernels.compiled.fixed.cast`."""
    check_cast(fields, options)
    check_subnormals()
    values = np.asarray(values)
    float_type = float_type_of(values)
    check_holds(float_type, fields)
    random = _checked_random(values, options, random_bits)
    if out is None:
        out = np.empty(values.shape, dtype=values.dtype)
    elif out.shape != values.shape or out.dtype != values.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out of shape {out.shape} and type {out.dtype} must be C-contiguous, of shape {values.shape} and type "
            f"{values.dtype}"
        )
    flat = np.ascontiguousarray(values).reshape(-1)
    _cast(flat, out.reshape(-1), fields, options, random, _value_of_nan(fields, options))
    return out


def encode_array(
    values: NDArray[Any], fields: Fields, options: CastOptions, random_bits: NDArray[Any] | None
) -> NDArray[Any]:
    """Round values to codes; see `kernels.compiled.minifloat.encode` and `kernels.compiled.fixed.encode`."""
    check_cast(fields, options)
    check_subnormals()
    values = np.asarray(values)
    float_type = float_type_of(values)
    if isinstance(fields, FloatFields):
        check_holds(float_type, fields)
    random = _checked_random(values, options, random_bits)
    codes = np.empty(values.shape, dtype=code_dtype(width_of(fields)))
    flat, flat_codes = np.ascontiguousarray(values).reshape(-1), codes.reshape(-1)
    scratch_type = float_type if holds(float_type, fields) else FLOAT64
    if _plan(fields, options, scratch_type, math.nan).loop is None:
        _encode_by_words_or_definition(flat, flat_codes, fields, options, random)
        return codes
    size = min(flat.size, _CHUNK)
    scratch = np.empty(size, dtype=scratch_type.name)
    converted = None if scratch_type is float_type else np.empty_like(scratch)
    chosen = code_of_nan(fields, options)
    for start in range(0, flat.size, _CHUNK):
        stop = min(start + _CHUNK, flat.size)
        chunk = flat[start:stop]
        if converted is not None:
            converted[: stop - start] = chunk
            chunk = converted[: stop - start]
        part = random[start:stop] if options.rounding == STOCHASTIC else random
        _cast(chunk, scratch[: stop - start], fields, options, part, math.nan)
        _codes_of_values(scratch[: stop - start], flat_codes[start:stop], fields, chosen)
    return codes


def decode_array(codes: NDArray[Any], fields: Fields, dtype: DTypeLike) -> NDArray[Any]:
    """The values of codes; see `kernels.compiled.minifloat.decode` and `kernels.compiled.fixed.decode`."""
    check_cast(fields, CastOptions())
    check_subnormals()
    codes = np.asarray(codes)
    values = np.empty(codes.shape, dtype=dtype)
    float_type = float_type_of(values)
    check_holds(float_type, fields)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"codes must be integers, got {codes.dtype}")
    width = width_of(fields)
    if codes.size and (int(codes.min()) < 0 or int(codes.max()) >> width):
        raise ValueError(
            f"codes of {width} bits must lie in [0, {(1 << width) - 1}], got {codes.min()} to {codes.max()}"
        )
    flat = np.ascontiguousarray(codes).reshape(-1)
    _values_of_codes(flat, values.reshape(-1), fields)
    return values


def _checked_random(values: NDArray[Any], options: CastOptions, random_bits: NDArray[Any] | None) -> NDArray[np.uint32]:
    if options.rounding != STOCHASTIC:
        if random_bits is not None:
            raise ValueError("random_bits are for stochastic rounding: leave them out, or choose STOCHASTIC")
        return _NO_RANDOM_BITS
    most = (1 << options.random_width) - 1
    if random_bits is None:
        raise ValueError(f"stochastic rounding needs random_bits of shape {values.shape}, each 0 to {most}")
    random_bits = np.asarray(random_bits)
    if random_bits.shape != values.shape or random_bits.dtype.kind not in "iu":
        raise ValueError(
            f"random_bits must be integers of shape {values.shape}, got {random_bits.dtype} of shape "
            f"{random_bits.shape}"
        )
    if random_bits.size and not 0 <= int(random_bits.min()) <= int(random_bits.max()) <= most:
        raise ValueError(
            f"random_bits must be 0 to {most} for random_width {options.random_width}, got {random_bits.min()} to "
            f"{random_bits.max()}"
        )
    return np.ascontiguousarray(random_bits, dtype=np.uint32).reshape(-1)


def _has_loop(fields: Fields, options: CastOptions, float_type: FloatType) -> bool:
    """Whether a loop on floats serves; fixed point beyond has one on integers, minifloats the definition."""
    if isinstance(fields, FixedFields) and (
        options.saturation_bits
        or (options.overflow in WRAPS and (options.overflow != OVERFLOW_WRAP or options.rounding == STOCHASTIC))
    ):
        return False
    return working_type(fields, options, float_type) is not None and code_type(fields, float_type) is not None


@lru_cache(maxsize=4096)
def _value_of_nan(fields: Fields, options: CastOptions) -> float:
    """What NaN becomes in a cast; NaN itself where it will be refused."""
    chosen = code_of_nan(fields, options)
    value = math.nan if chosen is None else value_of(chosen, fields)
    return math.nan if math.isnan(value) else value


class _Arrays(NamedTuple):
    """Constants in the order that the loops state."""

    integers: NDArray[Any]
    floats: NDArray[Any]


def _arrays(
    constants: CastConstants | HalfEvenConstants | FloatCodeConstants | FixedCodeConstants,
    float_type: FloatType,
    integers: tuple[str, ...],
    floats: tuple[str, ...],
) -> _Arrays:
    return _Arrays(
        np.array([getattr(constants, name) for name in integers], dtype=_UNSIGNED[float_type]),
        np.array([getattr(constants, name) for name in floats], dtype=float_type.name),
    )


class _Plan(NamedTuple):
    """All that a cast of values of one type needs."""

    loop: Callable[..., bool] | None
    """A loop of `cast_loops` or `half_even`; None for fixed point on integers and for the definition."""
    arguments: tuple[Any, ...]
    """Of the loop, after values and result."""


@lru_cache(maxsize=4096)
def _plan(fields: Fields, options: CastOptions, float_type: FloatType, nan: float) -> _Plan:
    """Which loop casts values of this type, and its constants."""
    if isinstance(fields, FixedFields) and fixed_by_integers(fields, options, float_type):
        low, high = symmetric_range(fields, options)
        bounds = np.array([low, high, 0.0, 0.0, 0.0, nan], dtype=float_type.name)
        if options.overflow == OVERFLOW_WRAP:
            arguments = (bounds, fields.fraction_bits, fields.width, options.rounding)
            return _Plan(cast_loops.cast_fixed_wrapping, arguments)
        return _Plan(cast_loops.cast_fixed, (bounds, fields.fraction_bits, options.rounding))
    working = working_type(fields, options, float_type)
    if working is None or not _has_loop(fields, options, float_type):
        return _Plan(None, ())
    if options.rounding == HALF_EVEN and saturates_only(options):
        numbers = half_even_constants(fields, options, float_type, nan)
        names = half_even.PATTERNS, half_even.FLOATS
        return _Plan(half_even.cast_half_even, tuple(_arrays(numbers, float_type, *names)))
    constants = cast_constants(fields, options, working, nan)
    arrays = _arrays(constants, working, cast_loops.INTEGERS, cast_loops.FLOATS)
    if isinstance(fields, FixedFields) and options.overflow == OVERFLOW_WRAP:
        return _Plan(cast_loops.cast_wrapping, (*arrays, fields.width - fields.fraction_bits))
    if saturates_only(options):
        c = constants
        bounds = np.array([c.low, c.high, c.least, c.flushed, c.zero_addend, c.nan], dtype=float_type.name)
        return _Plan(cast_loops.cast_saturating, (bounds, *arrays))
    if options.rounding == STOCHASTIC:
        return _Plan(cast_loops.cast_stochastic, tuple(arrays))
    return _Plan(cast_loops.cast_any_mode, tuple(arrays))


def _cast(
    values: NDArray[Any],
    result: NDArray[Any],
    fields: Fields,
    options: CastOptions,
    random: NDArray[np.uint32],
    nan: float,
) -> None:
    """Cast contiguous values; NaN becomes ``nan`` if it has a code."""
    plan = _plan(fields, options, FLOAT32 if values.dtype == np.float32 else FLOAT64, nan)
    if plan.loop is None:
        codes = np.empty(values.shape, dtype=code_dtype(width_of(fields)))
        _encode_by_words_or_definition(values, codes, fields, options, random)
        _values_of_codes(codes, result, fields)
        return
    arguments = plan.arguments if options.rounding != STOCHASTIC else (*plan.arguments, random)
    if plan.loop(values, result, *arguments):
        if options.overflow in WRAPS:
            _refuse_infinities(values)
        _refuse_nan(values, fields, options)


def _refuse_nan(values: NDArray[Any], fields: Fields, options: CastOptions) -> None:
    count = int(np.isnan(values).sum())
    if count and code_of_nan(fields, options) is None:
        raise ValueError(
            f"{count} of {values.size} values are NaN, which has no code in {fields}: give nan_code to choose one, or "
            "remove them"
        )


def _refuse_infinities(values: NDArray[Any]) -> None:
    count = int(np.isinf(values).sum())
    if count:
        raise ValueError(
            f"{count} of {values.size} values are infinite and have no low bits to wrap around to: use a saturating "
            "overflow mode, or remove them"
        )


def _encode_by_words_or_definition(
    values: NDArray[Any], codes: NDArray[Any], fields: Fields, options: CastOptions, random: NDArray[np.uint32]
) -> None:
    if isinstance(fields, FixedFields):
        words = WordOptions(
            width=fields.width,
            fraction_bits=fields.fraction_bits,
            signed=fields.signed,
            rounding=options.rounding,
            overflow=options.overflow,
            saturation_bits=options.saturation_bits,
            random_width=options.random_width,
            nan_code=np.uint64(options.nan_code or 0),
        )
        nan_found, infinity_found = encode_words(values, codes, random, words)
        if infinity_found and options.overflow in WRAPS:
            _refuse_infinities(values)
        if nan_found:
            _refuse_nan(values, fields, options)
        return
    # Formats whose numbers end where float64's do leave it no room to round: rare enough for the definition.
    _refuse_nan(values, fields, options)
    for index, value in enumerate(values.tolist()):
        bits = int(random[index]) if options.rounding == STOCHASTIC else 0
        codes[index] = encode_scalar(value, fields, options, bits)


def _codes_of_values(values: NDArray[Any], codes: NDArray[Any], fields: Fields, nan_code: int | None) -> None:
    float_type = code_type(fields, FLOAT32 if values.dtype == np.float32 else FLOAT64) or FLOAT64
    arrays = _code_arrays(fields, float_type, nan_code)
    if isinstance(fields, FixedFields):
        code_loops.encode_fixed(values, codes, *arrays)
    else:
        code_loops.encode_floats(values, codes, *arrays)


def _values_of_codes(codes: NDArray[Any], values: NDArray[Any], fields: Fields) -> None:
    float_type = code_type(fields, FLOAT32 if values.dtype == np.float32 else FLOAT64)
    if float_type is None:
        values[...] = [value_of(code, fields) for code in codes.tolist()]
        return
    arrays = _code_arrays(fields, float_type, None)
    if isinstance(fields, FixedFields):
        code_loops.decode_fixed(codes, values, *arrays)
    else:
        code_loops.decode_floats(codes, values, *arrays)


@lru_cache(maxsize=4096)
def _code_arrays(fields: Fields, float_type: FloatType, nan_code: int | None) -> _Arrays:
    if isinstance(fields, FixedFields):
        # Integers are signed here: a code of 54 bits is far from the end of int64.
        fixed_constants = fixed_code_constants(fields, nan_code)
        names = code_loops.FIXED_INTEGERS, code_loops.FIXED_FLOATS
        integers, floats = _arrays(fixed_constants, float_type, *names)
        return _Arrays(integers.view(_SIGNED[float_type]), floats)
    constants = float_code_constants(fields, float_type, nan_code)
    return _arrays(constants, float_type, code_loops.MINIFLOAT_INTEGERS, code_loops.MINIFLOAT_FLOATS)
