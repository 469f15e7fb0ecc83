"""The order in which fast loops walk over blocks: in chunks that stay in the first-level cache, by three passes each.

The first pass finds the largest magnitude of every block of a chunk, 16 blocks at once in the lanes of a vector; the
second derives the numbers of every block's scale, one block per lane; the third rounds the values. So nothing waits
for the steps of a single block. While a chunk is written the values after it are fetched: alone, a pass that only reads
would wait for memory, and then a pass that only writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.fetching import fetch_ahead
from kernels.compiled.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Scalar: TypeAlias = Any
"""A float or an unsigned integer of the width of the values: the loops compile for both widths."""
_CHUNK: Final = 1024
"""Values of a chunk, so 4 or 8 KiB."""
NUMBERS: Final = 4
"""Numbers per block that the second pass may leave to the third."""


def _vector(context: Any, builder: Any, values: Any, array: Any, start: Any) -> Any:
    """A pointer to 16 entries of an array of floats, as integers of their width."""
    data = context.make_array(values)(context, builder, array).data
    word = ir.IntType(values.dtype.bitwidth)
    return builder.bitcast(builder.gep(data, [start]), ir.VectorType(word, LANES).as_pointer())


def _magnitudes(builder: Any, pointer: Any) -> Any:
    """The 16 entries without their signs."""
    vector = pointer.type.pointee
    lanes = builder.load(pointer)
    lanes.align = vector.element.width // 8
    mask = ir.Constant(vector.element, (1 << (vector.element.width - 1)) - 1)
    return builder.and_(lanes, ir.Constant(vector, [mask] * LANES))


@intrinsic
def _largest_of_lanes(_context: Any, values: Any, start: Any) -> Any:
    """The largest magnitude, as bits, of 16 values from a flat position on, as one vector operation.

    LLVM unrolls short loops before it looks for vectors, so a plain loop over a block compares one value at a time.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes = _magnitudes(builder, _vector(context, builder, values, arguments[0], arguments[1]))
        word = lanes.type.element
        kind = ir.FunctionType(word, [lanes.type])
        name = f"llvm.vector.reduce.umax.v{LANES}i{word.width}"
        return builder.call(builder.module.declare_intrinsic(name, fnty=kind), [lanes])

    word = types.uint32 if values.dtype == types.float32 else types.uint64
    return word(values, start), generate


@intrinsic(prefer_literal=True)
def _largest_of_sixteen_blocks(_context: Any, values: Any, start: Any, vectors: Any, largest: Any, first: Any) -> Any:
    """The largest magnitudes of 16 blocks of 16 * ``vectors`` values each (a literal), into 16 entries of ``largest``.

    Neighbouring lanes are compared, and what is left of two vectors joined to one: after four rounds lane k belongs to
    block k. That takes a third of the steps of 16 separate reductions.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def larger(left: Any, right: Any) -> Any:
            return builder.select(builder.icmp_unsigned(">", left, right), left, right)

        def every_second(left: Any, right: Any, odd: int) -> Any:
            index = ir.IntType(32)
            lanes = [ir.Constant(index, 2 * lane + odd) for lane in range(LANES)]
            return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(index, LANES), lanes))

        def at(place: int) -> Any:
            position = builder.add(arguments[1], ir.Constant(arguments[1].type, place * LANES))
            return _magnitudes(builder, _vector(context, builder, values, arguments[0], position))

        def join(first_block: int, blocks: int) -> Any:
            if blocks > 1:
                half = blocks // 2
                left, right = join(first_block, half), join(first_block + half, half)
                return larger(every_second(left, right, 0), every_second(left, right, 1))
            found = at(first_block * vectors.literal_value)
            for place in range(1, vectors.literal_value):
                found = larger(found, at(first_block * vectors.literal_value + place))
            return found

        target = _vector(context, builder, signature.args[3], arguments[3], arguments[4])
        builder.store(join(0, LANES), target).align = values.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(values, start, vectors, largest, first), generate


@numba.njit(forceinline=True)
def largest_magnitude(values: NDArray[Any], start: int, size: int) -> Scalar:
    """The bits of the largest magnitude of a block."""
    largest = to_bits(convert(0, values[start]))
    groups = size // LANES
    for group in range(groups):
        largest = max(largest, _largest_of_lanes(values, start + group * LANES))
    for place in range(groups * LANES, size):
        largest = max(largest, to_bits(abs(values[np.uintp(start + place)])))
    return largest


@numba.njit(forceinline=True)
def _largest_magnitudes(values: NDArray[Any], start: int, count: int, size: int, largest: NDArray[Any]) -> None:
    """Those of ``count`` blocks, as floats."""
    together = count - count % LANES if size in (LANES, 2 * LANES) else 0
    for first in range(0, together, LANES):
        if size == LANES:
            _largest_of_sixteen_blocks(values, start + first * size, 1, largest, first)
        else:
            _largest_of_sixteen_blocks(values, start + first * size, 2, largest, first)
    for block in range(together, count):
        largest[block] = from_bits(largest_magnitude(values, start + block * size, size), values[start])


def find_scales(
    largest: NDArray[Any],
    numbers: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    index: int,
    count: int,
    constants: Any,
) -> Any:
    """The second pass; `overload` gives it a meaning by the types of constants and result, before the loops compile.

    Takes the largest magnitudes (floats), numbers (shape (`NUMBERS`, blocks), to be written), the result, codes of the
    scales (to be written from an index on, if the result holds codes), that index, the count of blocks and the
    constants; returns how many of these blocks the loop is not made for.
    """
    raise NotImplementedError("for compiled code only")


def round_block(
    values: NDArray[Any],
    result: NDArray[Any],
    start: int,
    size: int,
    numbers: NDArray[Any],
    block: int,
    constants: Any,
) -> bool:
    """The third pass: one block, whose numbers are in a column; returns whether it was uncertain. As `find_scales`."""
    raise NotImplementedError("for compiled code only")


def meaning_of(stub: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what gives `find_scales` or `round_block` its meaning for some types (see `numba.extending.overload`).

    Functions passed to a loop's maker would do the same, but Numba's cache on disk never finds a function again that
    holds others in its closure.
    """
    decorator: Callable[..., Any] = overload(
        stub, strict=False, jit_options={"forceinline": True, "error_model": "numpy"}
    )
    return decorator


@numba.njit(forceinline=True, error_model="numpy")
def _do_chunk(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    start: int,
    index: int,
    count: int,
    size: int,
    largest: NDArray[Any],
    numbers: NDArray[Any],
    doubts: NDArray[np.bool_],
    constants: Any,
) -> Any:
    _largest_magnitudes(values, start, count, size, largest)
    unusual = find_scales(largest, numbers, result, scales, index, count, constants)
    for block in range(count):
        place = start + block * size
        if size in (LANES, 2 * LANES):
            fetch_ahead(values, result, place, size)
        doubts[block] = round_block(values, result, place, size, numbers, block, constants)
    # Without a branch: Numba would count references to arrays around it.
    for block in range(min(count, uncertain.size)):
        uncertain[np.uintp(index + block)] = doubts[block]
    return unusual


@numba.njit(forceinline=True, error_model="numpy")
def _walk(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    columns: int,
    size: int,
    constants: Any,
) -> int:
    """Nothing in it is called, all is inlined: Numba would count references to all arrays around calls."""
    largest = np.empty(_CHUNK, values.dtype)
    numbers = np.empty((NUMBERS, _CHUNK), values.dtype)
    doubts = np.empty(_CHUNK, np.bool_)
    if columns % size == 0:
        columns = values.size
    most = max(_CHUNK // size, 1)
    full = columns - columns % size
    unusual, index = 0, 0
    for row in range(0, values.size, columns):
        for start in range(row, row + full, most * size):
            count = min(most, (row + full - start) // size)
            unusual += _do_chunk(
                values, result, scales, uncertain, start, index, count, size, largest, numbers, doubts, constants
            )
            index += count
        if full < columns:
            start, rest = row + full, columns - full
            unusual += _do_chunk(
                values, result, scales, uncertain, start, index, 1, rest, largest, numbers, doubts, constants
            )
            index += 1
    return unusual


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk_blocks_of_16(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    columns: int,
    _size: int,
    constants: Any,
) -> int:
    return _walk(values, result, scales, uncertain, columns, LANES, constants)  # type: ignore[no-any-return]  # untyped


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk_blocks_of_32(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    columns: int,
    _size: int,
    constants: Any,
) -> int:
    return _walk(values, result, scales, uncertain, columns, 2 * LANES, constants)  # type: ignore[no-any-return]  # untyped


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk_any_blocks(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    columns: int,
    size: int,
    constants: Any,
) -> int:
    return _walk(values, result, scales, uncertain, columns, size, constants)  # type: ignore[no-any-return]  # untyped


# Known sizes become whole vectors.
_WALKS: Final = {LANES: _walk_blocks_of_16, 2 * LANES: _walk_blocks_of_32}


def round_usual_rows(
    values: NDArray[Any],
    result: NDArray[Any],
    scales: NDArray[Any],
    uncertain: NDArray[np.bool_],
    columns: int,
    block_size: int,
    constants: Any,
) -> int:
    """Quantise half to even, to values or (where ``result`` holds unsigned integers) to codes.

    Args:
        values: flat, rows of ``columns`` values.
        result: flat.
        scales: the scales' codes, one per block, to be written; empty if values are wanted.
        uncertain: whether a block may have been rounded wrongly, one per block, to be written; empty if that cannot be.
        columns: values per row.
        block_size: values per block.
        constants: of the format, of a type that has a meaning (`meaning_of`).

    Returns:
        How many blocks the loop is not made for; their results are meaningless.
    """
    walk = _WALKS.get(block_size, _walk_any_blocks)
    return int(walk(values, result, scales, uncertain, columns, block_size, constants))
