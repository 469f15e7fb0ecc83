"""Casts to minifloats on tensors: the twin of `kernels.definitions.minifloat`, equal to it bit for bit.

The algorithm is that of `kernels.cast_constants`, in torch operations on the tensor's device. Only formats whose
numbers end where float64's do take the definition, value by value.
"""

from __future__ import annotations

import torch

from kernels.cast_constants import CastOptions
from kernels.fields import FLUSH_AFTER_ROUNDING, OVERFLOW_SATURATE, FloatFields
from kernels.rounding import HALF_EVEN
from kernels.tensors.casting import cast_tensor, decode_tensor, encode_tensor


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
    """Round values to numbers of a minifloat (quantise and dequantise at once).

    Args:
        values: float32 or float64, any shape and device.
        fields: the format; all its finite numbers must be numbers of the values' type.
        rounding: a mode of `kernels.rounding`.
        overflow: SATURATE, SATURATE_FINITE, INFINITY or NAN of `kernels.fields`.
        underflow: how a format without subnormals flushes.
        random_bits: for STOCHASTIC, integers from 0 to ``2**random_width - 1``, shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN in a format without NaN; None refuses NaN there.

    Returns:
        A tensor of the values' shape, type and device; equal to decoding `encode`.

    Raises:
        TypeError: if the values are neither float32 nor float64.
        ValueError: for a format or options that do not exist, NaN without a code, a type that does not hold the
            format, or random bits that do not fit.
        RuntimeError: if this thread flushes subnormal numbers (see `kernels.canaries`).

    >>> e2m1 = FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1)
    >>> cast(torch.tensor([0.3, 1.25, -2.5, 100.0]), e2m1)
    tensor([ 0.5000,  1.0000, -2.0000,  6.0000])
    """
    options = CastOptions(rounding, overflow, 0, underflow, random_width, nan_code)
    return cast_tensor(values, fields, options, random_bits)


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
    """Round values to codes of a minifloat: arguments and errors as in `cast`.

    Returns:
        Codes in the narrowest unsigned type that holds them, of the values' shape.

    >>> e2m1 = FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1)
    >>> encode(torch.tensor([0.3, 1.25, -2.5, 100.0]), e2m1)
    tensor([ 1,  2, 12,  7], dtype=torch.uint8)
    """
    options = CastOptions(rounding, overflow, 0, underflow, random_width, nan_code)
    return encode_tensor(values, fields, options, random_bits)


def decode(codes: torch.Tensor, fields: FloatFields, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The values of codes of a minifloat.

    Args:
        codes: integers from 0 to ``2**width - 1``, any shape.
        fields: the format.
        dtype: float32 or float64, whichever holds every number of the format.

    Raises:
        TypeError: if codes are no integers, or dtype is another type.
        ValueError: if a code is out of range or the type does not hold the format.

    >>> decode(torch.tensor([1, 2, 12, 7]), FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1))
    tensor([ 0.5000,  1.0000, -2.0000,  6.0000])
    """
    return decode_tensor(codes, fields, dtype)
