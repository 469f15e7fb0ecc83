"""Block-scaled matrix products in a register, by `kernels.definitions.dots.block_dot`, one element at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions.dots import block_dot
from kernels.dot_bounds import initial_value, register_exponent
from kernels.fields import AccumulatorFields, FloatFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INT64_BITS = 62


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
    """Arguments and result as in `kernels.compiled.block_registers.matmul`.

    >>> from kernels.fields import FixedFields
    >>> exponents = np.zeros((1, 1), np.int64)
    >>> register = AccumulatorFields(FixedFields(6, 0, 1))
    >>> matmul(np.array([[3, 5]]), np.array([[6], [7]]), exponents, exponents, block=2, accumulator=register)
    array([[31]])
    """
    exponent = register_exponent(accumulator)
    is_float = isinstance(accumulator.grid, FloatFields)
    shape = left.shape[0], right.shape[1]
    first = np.broadcast_to(np.zeros((), np.int64) if initial is None else initial, shape)
    columns = [[int(value) for value in column] for column in right.T.tolist()]
    column_exponents = right_exponents.T.tolist()
    result = np.empty(shape, dtype=np.float64 if is_float else object)
    for row in range(shape[0]):
        elements, exponents = [int(value) for value in left[row].tolist()], left_exponents[row].tolist()
        for column in range(shape[1]):
            value = block_dot(
                elements,
                columns[column],
                exponents,
                column_exponents[column],
                block=block,
                blocks_per_term=blocks_per_term,
                accumulator=accumulator,
                initial=initial_value(first.item(row, column), exponent, accumulator),
            )
            result[row, column] = float(value) if is_float else int(value / initial_value(1, exponent, accumulator))
    if is_float:
        return result
    largest = max((abs(value) for value in result.reshape(-1).tolist()), default=0)
    return result.astype(np.int64) if largest.bit_length() <= _INT64_BITS else result
