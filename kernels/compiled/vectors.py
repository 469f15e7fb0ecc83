"""Vectors of 16 lanes as values inside compiled loops, for the few where LLVM finds worse ones by itself.

It unrolls a loop over 16 values before it looks for vectors, and then takes half of what the processor has. These are
LLVM's own vectors: any processor runs them, in as many registers as it needs. They take ``+``, ``-`` and ``*``, the
integer operations of `kernels.compiled.lanes`, `kernels.compiled.bits` and what is here. All of these take scalars,
too, so one function serves the vectors of a block and the values that are left over.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

if TYPE_CHECKING:
    from collections.abc import Callable

LANES: Final = 16


class Vector(types.Type):  # type: ignore[misc]  # numba is untyped
    """The type, in compiled code, of 16 numbers of one type."""

    def __init__(self, lane: Any) -> None:
        self.lane = lane
        super().__init__(name=f"Vector({lane})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba is untyped
    def __init__(self, manager: Any, vector: Vector) -> None:
        lane = manager.lookup(vector.lane).get_value_type()
        super().__init__(manager, vector, ir.VectorType(lane, LANES))


def lane_of(kind: Any) -> Any:
    """The type of a vector's numbers; of a scalar its own."""
    return kind.lane if isinstance(kind, Vector) else kind


def like_lanes(kind: Any, lane: Any) -> Any:
    """The type of as many numbers as another type has, but of this type."""
    return Vector(lane) if isinstance(kind, Vector) else lane


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where 16 entries of an array begin, as a vector of their type."""
    data = context.make_array(kind)(context, builder, array).data
    lane = context.get_value_type(kind.dtype)
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(lane, LANES).as_pointer())


@intrinsic
def load(_context: Any, values: Any, index: Any) -> Any:
    """16 entries of a contiguous array from an index on."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes = builder.load(_pointer(context, builder, values, *arguments))
        lanes.align = values.dtype.bitwidth // 8
        return lanes

    return Vector(values.dtype)(values, index), generate


@intrinsic
def store(_context: Any, result: Any, index: Any, vector: Any) -> Any:
    """Write 16 entries of a contiguous array; integers are cut to the width of its own, which is not larger."""
    floats = isinstance(vector.lane, types.Float) or isinstance(result.dtype, types.Float)
    if vector.lane != result.dtype and (floats or vector.lane.bitwidth < result.dtype.bitwidth):
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, result, arguments[0], arguments[1])
        lanes = arguments[2]
        if vector.lane.bitwidth > result.dtype.bitwidth:
            lanes = builder.trunc(lanes, pointer.type.pointee)
        builder.store(lanes, pointer).align = result.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(result, index, vector), generate


@intrinsic
def spread(_context: Any, scalar: Any, like: Any) -> Any:
    """A number as often as another operand has lanes: a vector beside a vector, itself beside a scalar."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if not isinstance(like, Vector):
            return arguments[0]
        empty = ir.Constant(ir.VectorType(arguments[0].type, LANES), ir.Undefined)
        number = ir.IntType(32)
        first = builder.insert_element(empty, arguments[0], ir.Constant(number, 0))
        everywhere = ir.Constant(ir.VectorType(number, LANES), [ir.Constant(number, 0)] * LANES)
        return builder.shuffle_vector(first, empty, everywhere)

    return like_lanes(like, scalar)(scalar, like), generate


def _of_two(kind: type, generate: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operation on operands of one type, floats or integers; ``generate`` takes a builder and both."""

    def operation(_context: Any, left: Any, right: Any) -> Any:
        if left != right or not isinstance(lane_of(left), kind):
            return None
        return left(left, right), lambda _context, builder, _signature, operands: generate(builder, *operands)

    return intrinsic(operation)  # type: ignore[no-any-return]  # numba is untyped


def _float_operator(symbol: Any, instruction: str) -> None:
    apply = _of_two(types.Float, lambda builder, left, right: getattr(builder, instruction)(left, right))

    @overload(symbol, strict=False, jit_options={"forceinline": True})
    def _apply(left: Any, _right: Any) -> Any:
        # Numba takes a function of Python here, not an intrinsic.
        return (lambda left, _right: apply(left, _right)) if isinstance(left, Vector) else None  # noqa: PLW0108 - so


_float_operator(operator.add, "fadd")
_float_operator(operator.sub, "fsub")
_float_operator(operator.mul, "fmul")

smaller = _of_two(
    types.Float, lambda builder, left, right: builder.select(builder.fcmp_ordered("<", left, right), left, right)
)
"""The smaller of two floats; the second one if either is NaN."""
larger_bits = _of_two(
    types.Integer, lambda builder, left, right: builder.select(builder.icmp_unsigned(">", left, right), left, right)
)
"""The larger of two unsigned integers."""


@intrinsic
def any_reaches(_context: Any, left: Any, right: Any) -> Any:
    """Whether a float of the first operand is as large as its partner in the second, or larger."""
    if left != right:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        reached = builder.fcmp_ordered(">=", *arguments)
        if not isinstance(left, Vector):
            return reached
        kind = ir.FunctionType(ir.IntType(1), [reached.type])
        name = f"llvm.vector.reduce.or.v{LANES}i1"
        return builder.call(builder.module.declare_intrinsic(name, fnty=kind), [reached])

    return types.boolean(left, right), generate
