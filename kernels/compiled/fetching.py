"""Requests to fetch memory before a loop reaches it: hints to the processor that change no result.

A loop that reads one large array and writes another waits for both: the lines to be written are read from memory
first. Processors fetch ahead by themselves, but less far, and not before the loop has been writing for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LINE_BYTES: Final = 64
"""What one request fetches: a line of the cache."""
_AHEAD_LINES: Final = 128
"""How far ahead of the loop, 8 KiB: for two arrays that is half of the smallest first-level caches."""
SPAN: Final = 128
"""Entries between two requests for as many: a few vectors, for which LLVM still makes an inner loop."""
_READ: Final = 0
_WRITE: Final = 1
_INTO_ALL_LEVELS: Final = 3
_DATA: Final = 1


def _request(purpose: int) -> Callable[[Any, Any], None]:
    """A function of an array and an index, which may lie behind the end of the array: that is no access."""

    def fetch(_context: Any, values: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            data = context.make_array(values)(context, builder, arguments[0]).data
            pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            address = builder.bitcast(builder.gep(data, [arguments[1]]), pointer)
            kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
            how = [ir.Constant(number, code) for code in (purpose, _INTO_ALL_LEVELS, _DATA)]
            builder.call(builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind), [address, *how])
            return context.get_dummy_value()

        return types.void(values, index), generate

    return intrinsic(fetch)  # type: ignore[no-any-return]  # numba is untyped


fetch_to_read = _request(_READ)
fetch_to_write = _request(_WRITE)


@intrinsic
def _per_line(_context: Any, values: Any) -> Any:
    """How many entries a line has: a constant, where the array's own ``itemsize`` is read from memory."""

    def generate(context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return context.get_constant(types.intp, _LINE_BYTES * 8 // values.dtype.bitwidth)

    return types.intp(values), generate


@numba.njit(forceinline=True)
def fetch_ahead(values: NDArray[Any], result: NDArray[Any], start: int, count: int) -> None:
    """Ask for ``count`` entries of two arrays some way after ``start``, line by line: one to be read, one written.

    The entries of ``result`` are not wider than those of ``values``.
    """
    step = _per_line(values)
    ahead = start + _AHEAD_LINES * step
    for index in range(ahead, ahead + count, step):
        fetch_to_read(values, index)
        fetch_to_write(result, index)
