"""Matrix products by `kernels.definitions.dots`, one element at a time; arguments as in `kernels.compiled.dots`."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernels.definitions import dots, minifloat
from kernels.definitions.dots import check_options
from kernels.fields import AccumulatorFields, FixedFields, FloatFields, ProductFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT: Final = AccumulatorFields()
_INT64_BITS: Final = 62


def matmul(
    left: NDArray[Any],
    right: NDArray[Any],
    *,
    unit: int = 0,
    product: ProductFields | None = None,
    accumulator: AccumulatorFields = _EXACT,
    initial: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Multiply integer matrices ``(m, k)`` and ``(k, n)``, each element one `kernels.definitions.dots.dot`.

    >>> matmul(np.array([[3, 5]]), np.array([[6], [7]]), accumulator=AccumulatorFields(FixedFields(6, 0, 1)))
    array([[31]])
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"operands of shapes {left.shape} and {right.shape} have no matrix product")
    check_options(product, accumulator)
    grid = accumulator.grid
    result_unit = _result_unit(unit, product, accumulator)
    shape = (left.shape[0], right.shape[1])
    first = np.broadcast_to(np.zeros((), np.int64) if initial is None else initial, shape)
    columns = right.T.tolist()
    exact = [
        [
            dots.dot(
                row, column, unit=unit, product=product, accumulator=accumulator, initial=Fraction(start) * result_unit
            )
            / result_unit
            for column, start in zip(columns, starts, strict=True)
        ]
        for row, starts in zip(left.tolist(), first.tolist(), strict=True)
    ]
    if isinstance(grid, FloatFields):
        return np.array([[float(value) for value in row] for row in exact], dtype=np.float64).reshape(shape)
    integers = [[int(value) for value in row] for row in exact]
    largest = max((abs(value) for row in integers for value in row), default=0)
    return np.array(integers, dtype=np.int64 if largest.bit_length() <= _INT64_BITS else object).reshape(shape)


def _result_unit(unit: int, product: ProductFields | None, accumulator: AccumulatorFields) -> Fraction:
    """What results count in: the accumulator's unit, or the products'; values of a float accumulator as they are."""
    if isinstance(accumulator.grid, FloatFields):
        return Fraction(1)
    grid = accumulator.grid or (product and product.grid)
    if isinstance(grid, FixedFields):
        return Fraction(2) ** -grid.fraction_bits
    return Fraction(2) ** (unit if grid is None else minifloat.unit_exponent(grid))
