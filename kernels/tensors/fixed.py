"""Casts to fixed point on tensors: the twin of `kernels.definitions.fixed`, equal to it bit for bit.

Formats that float32 or float64 arithmetic can round (up to 23 and 52 bits wide) share the steps of minifloats; wider
ones and the wrapping modes with saturation bits take integers.
"""

from __future__ import annotations

import torch

from kernels.cast_constants import CastOptions
from kernels.fields import FLUSH_AFTER_ROUNDING, OVERFLOW_SATURATE, FixedFields
from kernels.rounding import HALF_EVEN
from kernels.tensors.casting import cast_tensor, decode_tensor, encode_tensor


def cast(
    values: torch.Tensor,
    fields: FixedFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """Round values to multiples of ``2**-fraction_bits`` within the range (quantise and dequantise at once).

    Args:
        values: float32 or float64, any shape and device.
        fields: the format; all its numbers must be numbers of the values' type.
        rounding: a mode of `kernels.rounding`.
        overflow: SATURATE, WRAP, WRAP_SIGN_MAGNITUDE, SATURATE_ZERO or SATURATE_SYMMETRIC of `kernels.fields`.
        saturation_bits: ap_fixed's N, 0 to width, for the two wrapping modes.
        random_bits: for STOCHASTIC, integers from 0 to ``2**random_width - 1``, shape of the values.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN; None refuses NaN.

    Returns:
        A tensor of the values' shape, type and device, without minus zero; equal to decoding `encode`.

    Raises:
        TypeError: if the values are neither float32 nor float64.
        ValueError: for a format or options that do not exist, NaN without a code, an infinity that wraps, a type that
            does not hold the format, or random bits that do not fit.
        RuntimeError: if this thread flushes subnormal numbers (see `kernels.canaries`).

    >>> cast(torch.tensor([0.3, -0.03, 7.97, 100.0]), FixedFields(width=8, fraction_bits=4, signed=1))
    tensor([0.3125, 0.0000, 7.9375, 7.9375])
    """
    options = CastOptions(rounding, overflow, saturation_bits, FLUSH_AFTER_ROUNDING, random_width, nan_code)
    return cast_tensor(values, fields, options, random_bits)


def encode(
    values: torch.Tensor,
    fields: FixedFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> torch.Tensor:
    """Round values to codes of fixed point, of any width up to 64: arguments and errors as in `cast`.

    Returns:
        Codes (two's complement masked to the width) in the narrowest unsigned type that holds them.

    >>> encode(torch.tensor([0.3, -0.06, 7.97, 100.0]), FixedFields(width=8, fraction_bits=4, signed=1))
    tensor([  5, 255, 127, 127], dtype=torch.uint8)
    """
    options = CastOptions(rounding, overflow, saturation_bits, FLUSH_AFTER_ROUNDING, random_width, nan_code)
    return encode_tensor(values, fields, options, random_bits)


def decode(codes: torch.Tensor, fields: FixedFields, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The values of codes of fixed point.

    Args:
        codes: integers from 0 to ``2**width - 1``, any shape.
        fields: the format.
        dtype: float32 or float64, whichever holds every number of the format.

    Raises:
        TypeError: if codes are no integers, or dtype is another type.
        ValueError: if a code is out of range or the type does not hold the format.

    >>> decode(torch.tensor([5, 255, 127]), FixedFields(width=8, fraction_bits=4, signed=1))
    tensor([ 0.3125, -0.0625,  7.9375])
    """
    return decode_tensor(codes, fields, dtype)
