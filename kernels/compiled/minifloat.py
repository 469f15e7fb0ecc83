"""Casts to minifloats on arrays: the twin of `kernels.definitions.minifloat`, equal to it bit for bit.

Half to even with saturation, the common case, runs at the speed of copying memory. The algorithm is that of
`kernels.cast_constants`; formats and options that float64 arithmetic cannot serve take the definition itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.cast_constants import CastOptions
from kernels.compiled.casting import cast_array, decode_array, encode_array
from kernels.fields import FLUSH_AFTER_ROUNDING, OVERFLOW_SATURATE, FloatFields
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def cast(
    values: NDArray[Any],
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Round values to numbers of a minifloat (quantise and dequantise at once).

    Args:
        values: float32 or float64, any shape.
        fields: the format; all its finite numbers must be numbers of the values' type.
        rounding: a mode of `kernels.rounding`.
        overflow: SATURATE, SATURATE_FINITE, INFINITY or NAN of `kernels.fields`.
        underflow: how a format without subnormals flushes.
        random_bits: for STOCHASTIC, integers from 0 to ``2**random_width - 1``, shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN in a format without NaN; None refuses NaN there.
        out: an array of the values' shape and type for the result; the values themselves are allowed.

    Returns:
        An array of the values' shape and type; equal to decoding `encode`.

    Raises:
        TypeError: if the values are neither float32 nor float64.
        ValueError: for a format or options that do not exist, NaN without a code, a type that does not hold the
            format, or random bits that do not fit.
        RuntimeError: if this thread flushes subnormal numbers (see `kernels.canaries`).

    >>> e2m1 = FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1)
    >>> cast(np.array([0.3, 1.25, -2.5, 100.0], dtype=np.float32), e2m1)
    array([ 0.5,  1. , -2. ,  6. ], dtype=float32)
    """
    options = CastOptions(rounding, overflow, 0, underflow, random_width, nan_code)
    return cast_array(values, fields, options, random_bits, out)


def encode(
    values: NDArray[Any],
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> NDArray[Any]:
    """Round values to codes of a minifloat: arguments and errors as in `cast`.

    Returns:
        Codes in the narrowest unsigned type that holds them, of the values' shape.

    >>> e2m1 = FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1)
    >>> encode(np.array([0.3, 1.25, -2.5, 100.0], dtype=np.float32), e2m1)
    array([ 1,  2, 12,  7], dtype=uint8)
    """
    options = CastOptions(rounding, overflow, 0, underflow, random_width, nan_code)
    return encode_array(values, fields, options, random_bits)


def decode(codes: NDArray[Any], fields: FloatFields, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """The values of codes of a minifloat.

    Args:
        codes: integers from 0 to ``2**width - 1``, any shape.
        fields: the format.
        dtype: float32 or float64, whichever holds every number of the format.

    Raises:
        TypeError: if codes are no integers, or dtype is another type.
        ValueError: if a code is out of range or the type does not hold the format.

    >>> decode(np.array([1, 2, 12, 7]), FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1))
    array([ 0.5,  1. , -2. ,  6. ], dtype=float32)
    """
    return decode_array(codes, fields, dtype)
