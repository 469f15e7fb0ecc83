"""Casts to fixed point on arrays: the twin of `kernels.definitions.fixed`, equal to it bit for bit.

Where the values' own type holds the format, saturating and plainly wrapping casts run at the speed of copying memory
for HALF_EVEN, HALF_UP, FLOOR, CEILING and TOWARD_ZERO; the other modes share the loops of minifloats. Wider formats,
and the wrapping modes with saturation bits, take a loop on integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.cast_constants import CastOptions
from kernels.compiled.casting import cast_array, decode_array, encode_array
from kernels.fields import FLUSH_AFTER_ROUNDING, OVERFLOW_SATURATE, FixedFields
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def cast(
    values: NDArray[Any],
    fields: FixedFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Round values to multiples of ``2**-fraction_bits`` within the range (quantise and dequantise at once).

    Args:
        values: float32 or float64, any shape.
        fields: the format; all its numbers must be numbers of the values' type.
        rounding: a mode of `kernels.rounding`.
        overflow: SATURATE, WRAP, WRAP_SIGN_MAGNITUDE, SATURATE_ZERO or SATURATE_SYMMETRIC of `kernels.fields`.
        saturation_bits: ap_fixed's N, 0 to width, for the two wrapping modes.
        random_bits: for STOCHASTIC, integers from 0 to ``2**random_width - 1``, shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN; None refuses NaN.
        out: an array of the values' shape and type for the result; the values themselves are allowed.

    Returns:
        An array of the values' shape and type, without minus zero; equal to decoding `encode`.

    Raises:
        TypeError: if the values are neither float32 nor float64.
        ValueError: for a format or options that do not exist, NaN without a code, an infinity that wraps, a type that
            does not hold the format, or random bits that do not fit.
        RuntimeError: if this thread flushes subnormal numbers (see `kernels.canaries`).

    >>> cast(np.array([0.3, -0.03, 7.97, 100.0]), FixedFields(width=8, fraction_bits=4, signed=1))
    array([0.3125, 0.    , 7.9375, 7.9375])
    """
    options = CastOptions(rounding, overflow, saturation_bits, FLUSH_AFTER_ROUNDING, random_width, nan_code)
    return cast_array(values, fields, options, random_bits, out)


def encode(
    values: NDArray[Any],
    fields: FixedFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> NDArray[Any]:
    """Round values to codes of fixed point, of any width up to 64: arguments and errors as in `cast`.

    Returns:
        Codes (two's complement masked to the width) in the narrowest unsigned type that holds them.

    >>> encode(np.array([0.3, -0.06, 7.97, 100.0]), FixedFields(width=8, fraction_bits=4, signed=1))
    array([  5, 255, 127, 127], dtype=uint8)
    """
    options = CastOptions(rounding, overflow, saturation_bits, FLUSH_AFTER_ROUNDING, random_width, nan_code)
    return encode_array(values, fields, options, random_bits)


def decode(codes: NDArray[Any], fields: FixedFields, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """The values of codes of fixed point.

    Args:
        codes: integers from 0 to ``2**width - 1``, any shape.
        fields: the format.
        dtype: float32 or float64, whichever holds every number of the format.

    Raises:
        TypeError: if codes are no integers, or dtype is another type.
        ValueError: if a code is out of range or the type does not hold the format.

    >>> decode(np.array([5, 255, 127]), FixedFields(width=8, fraction_bits=4, signed=1))
    array([ 0.3125, -0.0625,  7.9375], dtype=float32)
    """
    return decode_array(codes, fields, dtype)
