"""Block-scaled matrix products in a register that is cast for every block: `kernels.definitions.dots.block_dot`.

The dot products of a block are one BLAS product of integers; both scales make them exact float64 numbers. Each is added
to the register rounded to odd and cast at once, over whole panels of the result. What float64 does not provably hold
goes to the definition, element by element: elements whose block's sums exceed 53 bits, terms of several blocks whose
scales are too far apart, scales beyond ``2**400``, and registers wider than 48 bits.

Extra memory: both operands in floating point, the result, and a few panels of `_ROWS` rows of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.block_sums import check_blocks
from kernels.by_definition import block_registers as by_definition
from kernels.compiled.dot_panels import add_to_odd, cast_array, largest_magnitude
from kernels.compiled.dots import first_values
from kernels.definitions.dots import check_options
from kernels.dot_bounds import check_terms, register_exponent, register_sums_are_exact_in_float64, wraps_by_remainder
from kernels.fields import ORDER_ASCENDING, ORDER_CHUNKS_EXACT, AccumulatorFields, FixedFields
from kernels.orders import ordered_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS: Final = 128
_LARGEST_EXPONENT: Final = 400
"""Powers of two of both scales are normal float64 numbers, and so are their products with 53-bit integers."""


class _Blocks(NamedTuple):
    """Both operands, and the exponents of their blocks' units."""

    left: NDArray[Any]
    right: NDArray[Any]
    left_exponents: NDArray[np.int64]
    right_exponents: NDArray[np.int64]
    size: int

    @property
    def blocks(self) -> int:
        """How many there are along k."""
        return int(self.left_exponents.shape[1])

    def rows(self, rows: slice) -> _Blocks:
        """Some rows of the left operand, with all of the right one."""
        return self._replace(left=self.left[rows], left_exponents=self.left_exponents[rows])

    def sums(self, index: int) -> NDArray[np.float64]:
        """The dot products of one block, times its scales: exact."""
        inside = slice(index * self.size, (index + 1) * self.size)
        found: NDArray[np.float64] = np.matmul(self.left[:, inside], self.right[inside]).astype(np.float64)
        found *= np.ldexp(1.0, self.left_exponents[:, index])[:, None]
        found *= np.ldexp(1.0, self.right_exponents[index])[None, :]
        return found

    def term(self, index: int, count: int) -> NDArray[np.float64] | None:
        """The exact sums of ``count`` blocks; None where float64 does not hold one of them."""
        total = self.sums(index * count)
        for place in range(index * count + 1, min((index + 1) * count, self.blocks)):
            added = self.sums(place)
            found = total + added
            moved = found - total
            if ((total - (found - moved)) + (added - moved)).any():
                return None
            total = found
        return total


def matmul(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
    accumulator: AccumulatorFields,
    blocks_per_term: int = 1,
    initial: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Multiply block-scaled matrices, each element of the result one `kernels.definitions.dots.block_dot`.

    Args:
        left: element integers in any numeric dtype, or Python integers; shape ``(m, k)``.
        right: the same, shape ``(k, n)``.
        left_exponents: binary exponent of each block's unit, shape ``(m, ceil(k / block))``.
        right_exponents: the same, shape ``(ceil(k / block), n)``.
        block: elements per block along k; the last block may be shorter.
        accumulator: format, rounding, overflow; order and chunk count terms.
        blocks_per_term: blocks whose sums are added exactly to one term.
        initial: the register's first values, numbers of its format: integers in its unit, or float values, of a shape
            that broadcasts to ``(m, n)``; 0 if None.

    Returns:
        Shape ``(m, n)``. Fixed point: integers in the format's unit, int64, or Python integers beyond 62 bits. Float:
        float64 values, +0 for every zero.

    Raises:
        ValueError: if shapes or options do not fit, the accumulator is exact, or an initial value is no number of it.

    >>> exponents = np.zeros((1, 1), np.int64)
    >>> register = AccumulatorFields(FixedFields(6, 0, 1))
    >>> matmul(np.array([[3, 5]]), np.array([[6], [7]]), exponents, exponents, block=2, accumulator=register)
    array([[31]])
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_options(None, accumulator)
    exponent = register_exponent(accumulator)
    check_terms(blocks_per_term)
    first = first_values(initial, (left.shape[0], right.shape[1]), accumulator)
    operands = _Blocks(left, right, left_exponents, right_exponents, block)
    result = None
    if register_sums_are_exact_in_float64(accumulator) and _is_small(operands) and first.dtype != object:
        result = _by_panels(operands, blocks_per_term, accumulator, first, exponent)
    if result is not None:
        return result
    return by_definition.matmul(
        left,
        right,
        left_exponents,
        right_exponents,
        block=block,
        accumulator=accumulator,
        blocks_per_term=blocks_per_term,
        initial=first,
    )


def _is_small(operands: _Blocks) -> bool:
    if object in {operands.left.dtype, operands.right.dtype}:
        return False
    exponents = max(largest_magnitude(operands.left_exponents), largest_magnitude(operands.right_exponents))
    return exponents <= _LARGEST_EXPONENT and _block_bound(operands) < 1 << 53


def _block_bound(operands: _Blocks) -> int:
    """No partial sum of a block is larger."""
    depth = min(operands.size, max(operands.left.shape[1], 1))
    return int(depth * largest_magnitude(operands.left) * largest_magnitude(operands.right))


def _by_panels(
    operands: _Blocks, blocks_per_term: int, accumulator: AccumulatorFields, first: NDArray[Any], exponent: int
) -> NDArray[Any] | None:
    dtype = np.float32 if _block_bound(operands) < 1 << 24 else np.float64
    operands = operands._replace(left=operands.left.astype(dtype), right=operands.right.astype(dtype))
    count = blocks_per_term
    if accumulator.order == ORDER_CHUNKS_EXACT:
        count, accumulator = count * accumulator.chunk, accumulator._replace(order=ORDER_ASCENDING, chunk=1)
    is_fixed = isinstance(accumulator.grid, FixedFields)
    start = np.ldexp(first.astype(np.float64), exponent) if is_fixed else first
    span = None
    if isinstance(accumulator.grid, FixedFields) and wraps_by_remainder(accumulator):
        span = 2.0 ** (accumulator.grid.width + exponent)
    result = np.empty(first.shape, dtype=np.float64)
    for row in range(0, len(result), _ROWS):
        panel = _panel(operands.rows(slice(row, row + _ROWS)), count, accumulator, start[row : row + _ROWS], span)
        if panel is None:
            return None
        result[row : row + _ROWS] = panel
    return np.ldexp(result, -exponent).astype(np.int64) if is_fixed else result


class _TooWideError(Exception):
    """Float64 does not hold a term."""


def _panel(
    operands: _Blocks, count: int, accumulator: AccumulatorFields, start: NDArray[np.float64], span: float | None
) -> NDArray[np.float64] | None:
    def term(index: int) -> NDArray[np.float64]:
        found = operands.term(index, count)
        if found is None:
            raise _TooWideError
        # Exact; what wraps needs no more of a number than this.
        return found if span is None else found - np.trunc(found / span) * span

    def cast_sum(total: NDArray[np.float64], added: NDArray[np.float64]) -> NDArray[np.float64]:
        return cast_array(add_to_odd(total, added), accumulator)

    panel = np.ascontiguousarray(start)
    try:
        return ordered_sum(
            term,
            -(-operands.blocks // count),
            accumulator,
            initial=panel,
            zero=np.zeros_like(panel),
            exact_sum=np.add,
            cast_sum=cast_sum,
        )
    except _TooWideError:
        return None
