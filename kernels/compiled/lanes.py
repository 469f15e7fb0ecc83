"""Operations on single SIMD lanes that Numba has no spelling for.

Integers that stay as wide as they are, bit patterns of floats, and the round trip through half precision.

Numba widens 32-bit integer arithmetic to 64 bits, which halves the lanes of every vector; these do not. Those on
integers and `multiply_add` take vectors of `kernels.compiled.vectors` as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.compiled.vectors import LANES, Vector, lane_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Lane: TypeAlias = Any
"""A number, a NamedTuple of constants or a type inside compiled code: Numba gives it its type."""


def _binary(name: str) -> Callable[[Any, Any], Any]:
    """An LLVM integer instruction on two operands of one type, without widening (wrapping like hardware)."""

    def operation(_context: Lane, left: Lane, right: Lane) -> Lane:
        if left != right or not isinstance(lane_of(left), types.Integer):
            return None

        def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
            return getattr(builder, name)(*operands)

        return left(left, right), generate

    operation.__name__ = name
    return intrinsic(operation)  # type: ignore[no-any-return]  # numba is untyped


add = _binary("add")
sub = _binary("sub")
mul = _binary("mul")
shift_left = _binary("shl")
shift_right = _binary("ashr")
both = _binary("and_")
either = _binary("or_")
exclusive = _binary("xor")


@intrinsic
def choose(_context: Lane, condition: Lane, first: Lane, second: Lane) -> Lane:
    """``first if condition else second`` of one type, without a branch."""
    if condition != types.boolean or first != second:
        return None

    def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
        return builder.select(*operands)

    return first(condition, first, second), generate


@intrinsic
def multiply_add(_context: Lane, first: Lane, second: Lane, addend: Lane) -> Lane:
    """``first * second + addend``, rounded once; three floats, or vectors of floats, of one type."""
    if not isinstance(lane_of(first), types.Float) or first != second or first != addend:
        return None

    def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
        if not isinstance(first, Vector):
            return builder.fma(*operands)
        kind = operands[0].type
        name = f"llvm.fma.v{LANES}f{first.lane.bitwidth}"
        return builder.call(builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind] * 3)), operands)

    return first(first, second, addend), generate


@intrinsic
def bits_of(_context: Lane, value: Lane) -> Lane:
    """The bit pattern of a float32 or float64, as a signed integer of its width."""
    integer = types.int32 if value == types.float32 else types.int64

    def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
        return builder.bitcast(operands[0], ir.IntType(integer.bitwidth))

    return integer(value), generate


@intrinsic
def float_of(_context: Lane, pattern: Lane) -> Lane:
    """The float32 or float64 with the bit pattern of an int32 or int64."""
    real, target = (types.float32, ir.FloatType()) if pattern.bitwidth == 32 else (types.float64, ir.DoubleType())

    def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
        return builder.bitcast(operands[0], target)

    return real(pattern), generate


@intrinsic
def through_half(_context: Lane, _value: Lane) -> Lane:
    """A float32 rounded half to even to IEEE half precision (E5M10, subnormals and infinities included) and back."""

    def generate(_context: Lane, builder: Lane, _signature: Lane, operands: Lane) -> Lane:
        return builder.fpext(builder.fptrunc(operands[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.float32), generate


def cpu_converts_halves() -> bool:
    """Whether this processor converts half precision in hardware (F16C); without it LLVM would call a library."""
    return bool(llvm.get_host_cpu_features().get("f16c", False)) and numba.config.CPU_NAME in {None, ""}


@numba.njit(cache=True, nogil=True)
def _integers_in_place(patterns: NDArray[np.int64]) -> None:
    for index in range(patterns.size):
        patterns[index] = np.int64(float_of(patterns[index]))


def integers_in_place(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Turn integers held in float64 into int64 in the same memory, which must be contiguous.

    A fresh array of a result's size costs as much as a good part of the product that made it.

    >>> integers_in_place(np.array([3.0, -2.0]))
    array([ 3, -2])
    """
    patterns = values.view(np.int64)
    _integers_in_place(patterns.reshape(-1))
    return patterns
