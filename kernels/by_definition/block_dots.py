"""Products of blocks by `kernels.definitions.dots`, one element at a time; arguments as in the compiled twin."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.block_sums import BlockSums, check_blocks, check_width
from kernels.definitions.dots import block_dot, block_dot_aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def block_matmul(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
) -> BlockSums:
    """The exact product; one part of Python integers.

    >>> one, eight = np.array([[0, 3]]), np.array([[0], [0]])
    >>> block_matmul(np.array([[1, 1]]), np.array([[5], [1]]), one, eight, block=1).integers()
    array([[13]], dtype=object)
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    rows = np.array([min(some, default=0) for some in left_exponents.tolist()], dtype=np.int64)
    columns = np.array([min(some, default=0) for some in right_exponents.T.tolist()], dtype=np.int64)

    def integer(row: int, column: int, operands: tuple[list[int], ...]) -> int:
        unit = Fraction(2) ** int(rows[row] + columns[column])
        return int(block_dot(*operands, block=block) / unit)

    return BlockSums(_each(integer, left, right, left_exponents, right_exponents)[None], rows, columns)


def block_matmul_aligned(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
    unit: int,
    width: int,
    initial: NDArray[Any] | None = None,
) -> NDArray[np.int64]:
    """The hardware rule for blocks.

    >>> operands = np.array([[3, 1]]), np.array([[1], [-1]])
    >>> block_matmul_aligned(*operands, np.array([[-1, 0]]), np.array([[0], [0]]), block=1, unit=0, width=8)
    array([[0]])
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_width(width)
    first = np.broadcast_to(np.zeros((), np.int64) if initial is None else initial, (left.shape[0], right.shape[1]))

    def integer(row: int, column: int, operands: tuple[list[int], ...]) -> int:
        start = int(first[row, column])
        return block_dot_aligned(*operands, block=block, unit=unit, width=width, initial=start)

    return _each(integer, left, right, left_exponents, right_exponents).astype(np.int64)


def _each(
    rule: Callable[[int, int, tuple[list[int], ...]], int],
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
) -> NDArray[Any]:
    """The rule for every element of the result: its place, and both vectors with the exponents of their blocks."""
    lines = [_integers(left), _integers(right.T), _integers(left_exponents), _integers(right_exponents.T)]
    result = np.empty((len(left), right.shape[1]), dtype=object)
    for row, column in np.ndindex(*result.shape):
        result[row, column] = rule(row, column, (lines[0][row], lines[1][column], lines[2][row], lines[3][column]))
    return result


def _integers(values: NDArray[Any]) -> list[list[int]]:
    return [[int(value) for value in line] for line in values.tolist()]
