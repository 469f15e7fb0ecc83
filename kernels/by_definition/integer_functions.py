"""Integer-only functions by `kernels.definitions.integer_functions`, on arrays as `kernels.compiled` takes them.

Results are int64, or Python integers in an object array where the constants need more than 62 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions import integer_functions as definition
from kernels.integer_constants import SAFE_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from kernels.integer_constants import GeluFields, LayerNormFields, SoftmaxFields


def integer_square_root(values: NDArray[Any]) -> NDArray[Any]:
    """Floors of square roots.

    >>> integer_square_root(np.array([15, 16, 2**62])).tolist()
    [3, 4, 2147483648]
    """
    return _each(definition.integer_square_root, values, dtype=values.dtype)


def integer_softmax(rows: NDArray[Any], fields: SoftmaxFields) -> NDArray[Any]:
    """Softmax over the last axis, in the unit ``2**-fields.reciprocal_bits``."""
    return _rows(lambda row: definition.integer_softmax(row, fields), rows, fields)


def integer_layer_norm(rows: NDArray[Any], fields: LayerNormFields) -> NDArray[Any]:
    """Deviations over the standard deviation along the last axis, in the unit ``2**-fields.reciprocal_bits``."""
    return _rows(lambda row: definition.integer_layer_norm(row, fields), rows, fields)


def integer_gelu(values: NDArray[Any], fields: GeluFields) -> NDArray[Any]:
    """GELU with I-BERT's polynomial, in the unit of `kernels.integer_constants.gelu_unit`."""
    dtype = np.int64 if fields.widest_bits <= SAFE_BITS else object
    return _each(lambda value: definition.integer_gelu(value, fields), values, dtype=dtype)


def look_up(values: NDArray[Any], integers: NDArray[Any], entries: NDArray[Any]) -> NDArray[Any]:
    """The entries of a table for integers v rather than codes.

    >>> look_up(np.array([[4, -1]]), np.array([-1, 0, 4]), np.array([7, 8, 9])).tolist()
    [[9, 7]]
    """
    table = dict(zip(integers.tolist(), entries.tolist(), strict=True))
    strange = [value for value in values.reshape(-1).tolist() if value not in table]
    if strange:
        raise ValueError(f"{len(strange)} values are no input of the table, the first is {strange[0]}")
    return _each(table.__getitem__, values, dtype=entries.dtype)


def _each(function: Callable[[int], int], values: NDArray[Any], *, dtype: DTypeLike) -> NDArray[Any]:
    result = np.empty(values.size, dtype=object)
    result[:] = [function(value) for value in values.reshape(-1).tolist()]
    return result.reshape(values.shape).astype(dtype)


def _rows(
    function: Callable[[list[int]], list[int]], rows: NDArray[Any], fields: SoftmaxFields | LayerNormFields
) -> NDArray[Any]:
    if rows.shape[-1:] != (fields.length,):
        raise ValueError(f"the constants are for rows of {fields.length} values, got an array of shape {rows.shape}")
    result = np.empty((rows.size // fields.length, fields.length), dtype=object)
    for index, row in enumerate(rows.reshape(-1, fields.length).tolist()):
        result[index, :] = function(row)
    return result.reshape(rows.shape).astype(np.int64 if fields.widest_bits <= SAFE_BITS else object)
