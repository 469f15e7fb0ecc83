"""The compiled loops between values on a format's grid and codes: fields taken apart and put together by shifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.code_constants import FixedCodeConstants, FloatCodeConstants
from kernels.compiled.bits import convert, from_bits, to_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALL: Final = np.int32(0)
"""Names the type of magnitude codes, of at most 31 bits, that vector units convert fastest."""


MINIFLOAT_INTEGERS: Final = (
    "first_normal_code",
    "mantissa_shift",
    "code_offset",
    "sign_shift",
    "magnitude_mask",
    "largest_code",
    "infinity_code",
    "infinity_bits",
    "nan_code",
    "minus_zero_nan",
)
"""The order of the integers of `FloatCodeConstants` in the array that loops take; see `cast_loops`."""
MINIFLOAT_FLOATS: Final = (
    "scale",
    "unit",
    "first_normal",
    "infinity",
    "nan",
    "zero_addend",
)
FIXED_INTEGERS: Final = (
    "mask",
    "sign_code",
    "nan_code",
)
FIXED_FLOATS: Final = (
    "scale",
    "unit",
)


@numba.njit(cache=True, nogil=True)
def _unpack_minifloat(integers: NDArray[Any], floats: NDArray[Any]) -> FloatCodeConstants:
    return FloatCodeConstants(
        first_normal_code=integers[0],
        mantissa_shift=integers[1],
        code_offset=integers[2],
        sign_shift=integers[3],
        magnitude_mask=integers[4],
        largest_code=integers[5],
        infinity_code=integers[6],
        infinity_bits=integers[7],
        nan_code=integers[8],
        minus_zero_nan=integers[9],
        scale=floats[0],
        unit=floats[1],
        first_normal=floats[2],
        infinity=floats[3],
        nan=floats[4],
        zero_addend=floats[5],
    )


@numba.njit(cache=True, nogil=True)
def _unpack_fixed(integers: NDArray[Any], floats: NDArray[Any]) -> FixedCodeConstants:
    return FixedCodeConstants(
        mask=integers[0], sign_code=integers[1], nan_code=integers[2], scale=floats[0], unit=floats[1]
    )


@numba.njit(cache=True, nogil=True)
def encode_floats(values: NDArray[Any], codes: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]) -> None:
    """Codes of values that are numbers of the format, infinities or NaN."""
    constants = _unpack_minifloat(integers, floats)
    sign_bit = to_bits(convert(-0.0, constants.scale))
    for index in range(values.size):
        value = convert(values[index], constants.scale)
        bits = to_bits(value)
        magnitude_bits = bits & ~sign_bit
        magnitude = from_bits(magnitude_bits, constants.scale)
        scaled = magnitude * constants.scale
        normal = (magnitude_bits >> constants.mantissa_shift) - constants.code_offset
        is_normal = magnitude >= constants.first_normal
        subnormal = convert(convert(constants.scale * 0 if is_normal else scaled, _SMALL), sign_bit)
        code = normal if is_normal else subnormal
        code = code if magnitude_bits < constants.infinity_bits else constants.infinity_code
        code |= (bits & sign_bit) >> constants.sign_shift
        codes[index] = convert(constants.nan_code if magnitude_bits > constants.infinity_bits else code, codes[0])


@numba.njit(cache=True, nogil=True)
def decode_floats(codes: NDArray[Any], values: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]) -> None:
    """Values of codes; exact in the type of the constants, and then in that of the values."""
    constants = _unpack_minifloat(integers, floats)
    sign_bit = to_bits(convert(-0.0, constants.scale))
    for index in range(codes.size):
        code = convert(codes[index], sign_bit)
        magnitude_code = code & constants.magnitude_mask
        normal = from_bits((magnitude_code + constants.code_offset) << constants.mantissa_shift, constants.scale)
        subnormal = convert(convert(magnitude_code, _SMALL), constants.scale) * constants.unit
        value = normal if magnitude_code >= constants.first_normal_code else subnormal
        special = constants.infinity if magnitude_code == constants.infinity_code else constants.nan
        value = value if magnitude_code <= constants.largest_code else special
        signed = from_bits(to_bits(value) | ((code << constants.sign_shift) & sign_bit), constants.scale)
        signed = constants.nan if code == constants.minus_zero_nan else signed
        values[index] = convert(signed + constants.zero_addend, values[0])


@numba.njit(cache=True, nogil=True)
def encode_fixed(values: NDArray[Any], codes: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]) -> None:
    """Codes of multiples of the spacing within the range, or NaN."""
    constants = _unpack_fixed(integers, floats)
    for index in range(values.size):
        value = convert(values[index], constants.scale)
        is_nan = value != value  # noqa: PLR0124 - the test for NaN
        integer = convert(constants.scale * 0 if is_nan else value * constants.scale, constants.mask)
        code = integer & constants.mask
        codes[index] = convert(constants.nan_code if is_nan else code, codes[0])


@numba.njit(cache=True, nogil=True)
def decode_fixed(codes: NDArray[Any], values: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]) -> None:
    """Values of codes."""
    constants = _unpack_fixed(integers, floats)
    for index in range(codes.size):
        code = convert(codes[index], constants.mask)
        # Flip the sign bit and subtract it: two's complement of any width.
        integer = (code ^ constants.sign_code) - constants.sign_code
        values[index] = convert(convert(convert(integer, constants.mask), constants.scale) * constants.unit, values[0])
