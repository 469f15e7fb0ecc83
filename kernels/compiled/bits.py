"""Reinterpret floats as unsigned integers and back, inside compiled loops; and conversions that follow another value.

`to_bits` and `from_bits` are one machine instruction or none, unlike ``.view`` on scalars, and both widths share a
source: a loop written with them compiles for float32 and for float64, as its arguments say. They take vectors of
`kernels.compiled.vectors` as well.
"""

from __future__ import annotations

from typing import Any, Final

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.compiled.vectors import Vector, lane_of, like_lanes

_BITS_OF_FLOAT: Final = {types.float32: types.uint32, types.float64: types.uint64}


def _bitcast(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


@intrinsic
def to_bits(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 - Numba's protocol
    """The bits of a float32 as uint32, of a float64 as uint64; for compiled code only.

    >>> import numba, numpy as np
    >>> hex(numba.njit(lambda value: to_bits(value))(np.float32(1.0)))
    '0x3f800000'
    """
    lane = lane_of(value)
    if lane not in _BITS_OF_FLOAT:
        raise TypingError(f"to_bits takes float32 or float64, got {value}")
    return like_lanes(value, _BITS_OF_FLOAT[lane])(value), _bitcast


@intrinsic
def from_bits(typing_context: Any, bits: Any, like: Any) -> Any:  # noqa: ARG001 - Numba's protocol
    """The float, of the type of ``like``, with these bits; for compiled code only.

    Numba widens every integer operation to 64 bits; here the low 32 are taken for a float32, and LLVM narrows what led
    to them.

    >>> import numba, numpy as np
    >>> numba.njit(lambda bits, like: from_bits(bits, like))(0x3FC0_0000, np.float32(0))
    1.5
    """
    if isinstance(bits, Vector) and bits.lane == _BITS_OF_FLOAT.get(like):
        return Vector(like)(bits, like), _bitcast
    if like not in _BITS_OF_FLOAT or not isinstance(bits, types.Integer):
        raise TypingError(f"from_bits takes an integer and a float32 or float64, got {bits} and {like}")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow = context.cast(builder, arguments[0], signature.args[0], _BITS_OF_FLOAT[signature.return_type])
        return builder.bitcast(narrow, context.get_value_type(signature.return_type))

    return like(bits, like), generate


@intrinsic
def convert(typing_context: Any, value: Any, like: Any) -> Any:  # noqa: ARG001 - Numba's protocol
    """The number ``value`` in the type of ``like``, by C's rules (a float to an integer truncates); compiled only.

    >>> import numba, numpy as np
    >>> numba.njit(lambda value, like: convert(value, like))(np.float32(2.5), np.int32(0))
    2
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[0], signature.args[0], signature.return_type)

    return like(value, like), generate
