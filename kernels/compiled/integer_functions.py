"""Compiled twins of `kernels.definitions.integer_functions`: 64-bit loops over rows.

Every intermediate is bounded by the constants (``fields.widest_bits``); where a bound needs more than 62 bits the
definitions run instead, on Python integers, and the result is an object array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from kernels.definitions import integer_functions as definitions
from kernels.integer_constants import SAFE_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kernels.integer_constants import GeluFields, LayerNormFields, SoftmaxFields


@numba.njit(cache=True, nogil=True)
def _square_root(value: int) -> int:
    if value == 0:
        return 0
    bits = 0
    while value >> bits:
        bits += 1
    root = 1 << ((bits + 1) >> 1)
    while True:
        following = (root + value // root) >> 1
        if following >= root:
            return root
        root = following


@numba.njit(cache=True, nogil=True)
def _square_roots(values: NDArray[np.int64], result: NDArray[np.int64]) -> None:
    for index in range(values.size):
        result[index] = _square_root(values[index])


@numba.njit(cache=True, nogil=True)
def _softmax(
    rows: NDArray[np.int64],
    shift: int,
    lowest: int,
    log_two: int,
    offset: int,
    constant: int,
    drop: int,
    reciprocal_bits: int,
    result: NDArray[np.int64],
) -> None:
    count, length = rows.shape
    for row in range(count):
        largest = rows[row, 0]
        for column in range(1, length):
            largest = max(largest, rows[row, column])
        total = np.int64(0)
        for column in range(length):
            below = min(largest - rows[row, column], lowest) << shift
            halvings = below // log_two
            root = halvings * log_two - below + offset
            exponential = (root * root + constant) >> min(drop + halvings, 63)
            result[row, column] = exponential
            total += exponential
        reciprocal = (np.int64(1) << reciprocal_bits) // total
        for column in range(length):
            result[row, column] *= reciprocal


@numba.njit(cache=True, nogil=True)
def _layer_norm(
    rows: NDArray[np.int64], fraction_bits: int, epsilon: int, reciprocal_bits: int, result: NDArray[np.int64]
) -> None:
    count, length = rows.shape
    for row in range(count):
        total = np.int64(0)
        for column in range(length):
            total += rows[row, column]
        mean = (2 * (total << fraction_bits) + length) // (2 * length)
        squares = np.int64(0)
        for column in range(length):
            deviation = (rows[row, column] << fraction_bits) - mean
            result[row, column] = deviation
            squares += deviation * deviation
        root = max(_square_root(squares // length + epsilon), 1)
        reciprocal = (np.int64(1) << reciprocal_bits) // root
        for column in range(length):
            result[row, column] *= reciprocal


@numba.njit(cache=True, nogil=True)
def _gelu(values: NDArray[np.int64], shift: int, offset: int, constant: int, result: NDArray[np.int64]) -> None:
    for index in range(values.size):
        value = values[index]
        rest = offset - min(abs(value) << shift, offset)
        error_function = constant - rest * rest
        result[index] = value * (constant + (error_function if value >= 0 else -error_function))


def integer_square_root(values: NDArray[Any]) -> NDArray[Any]:
    """Floors of square roots.

    Args:
        values: integers >= 0, int64 or Python integers in an object array, any shape.

    Raises:
        ValueError: for a negative number.

    >>> integer_square_root(np.array([15, 16, 2**62])).tolist()
    [3, 4, 2147483648]
    """
    if values.size and values.min() < 0:
        raise ValueError(f"a square root needs numbers of at least 0, got {values.min()}")
    if values.dtype == object and _largest(values).bit_length() > SAFE_BITS:
        return _by_definition(definitions.integer_square_root, values)
    # Beyond 2**62 Newton's first sum would need a 64th bit.
    if _largest(values).bit_length() > SAFE_BITS:
        return _by_definition(definitions.integer_square_root, values).astype(np.int64)
    flat = np.ascontiguousarray(values, dtype=np.int64).reshape(-1)
    result = np.empty(flat.shape, dtype=np.int64)
    _square_roots(flat, result)
    return result.reshape(values.shape)


def integer_softmax(rows: NDArray[Any], fields: SoftmaxFields) -> NDArray[Any]:
    """Softmax over the last axis, in the unit ``2**-fields.reciprocal_bits``.

    Args:
        rows: integers, shape ``(*, fields.length)``.
        fields: the constants.

    Returns:
        int64 (Python integers in an object array where the constants need more than 62 bits), the shape of ``rows``.

    Raises:
        ValueError: for rows of another length or with magnitudes beyond those of the constants.
    """
    _check_rows(rows, fields.length, fields.magnitude)
    if fields.widest_bits > SAFE_BITS:
        return _rows_by_definition(lambda row: definitions.integer_softmax(row, fields), rows)
    table = np.ascontiguousarray(rows, dtype=np.int64).reshape(-1, fields.length)
    result = np.empty(table.shape, dtype=np.int64)
    _softmax(
        table,
        fields.shift,
        fields.lowest,
        fields.log_two,
        fields.offset,
        fields.constant,
        fields.drop,
        fields.reciprocal_bits,
        result,
    )
    return result.reshape(rows.shape)


def integer_layer_norm(rows: NDArray[Any], fields: LayerNormFields) -> NDArray[Any]:
    """Deviations over the standard deviation along the last axis, in the unit ``2**-fields.reciprocal_bits``.

    Args:
        rows: integers, shape ``(*, fields.length)``.
        fields: the constants.

    Returns:
        int64 (Python integers in an object array where the constants need more than 62 bits), the shape of ``rows``.

    Raises:
        ValueError: for rows of another length or with magnitudes beyond those of the constants.
    """
    _check_rows(rows, fields.length, fields.magnitude)
    if fields.widest_bits > SAFE_BITS:
        return _rows_by_definition(lambda row: definitions.integer_layer_norm(row, fields), rows)
    table = np.ascontiguousarray(rows, dtype=np.int64).reshape(-1, fields.length)
    result = np.empty(table.shape, dtype=np.int64)
    _layer_norm(table, fields.fraction_bits, fields.epsilon, fields.reciprocal_bits, result)
    return result.reshape(rows.shape)


def integer_gelu(values: NDArray[Any], fields: GeluFields) -> NDArray[Any]:
    """GELU with I-BERT's polynomial, in the unit of `kernels.integer_constants.gelu_unit`.

    Args:
        values: integers, any shape.
        fields: the constants.

    Returns:
        int64 (Python integers in an object array where the constants need more than 62 bits), the same shape.

    Raises:
        ValueError: for magnitudes beyond those of the constants.
    """
    if _largest(values) > fields.magnitude:
        raise ValueError(f"the constants allow magnitudes up to {fields.magnitude}, got {_largest(values)}")
    if fields.widest_bits > SAFE_BITS:
        return _by_definition(lambda value: definitions.integer_gelu(value, fields), values)
    flat = np.ascontiguousarray(values, dtype=np.int64).reshape(-1)
    result = np.empty(flat.shape, dtype=np.int64)
    _gelu(flat, fields.shift, fields.offset, fields.constant, result)
    return result.reshape(values.shape)


def look_up(values: NDArray[Any], integers: NDArray[Any], entries: NDArray[Any]) -> NDArray[Any]:
    """The entries of a table for integers v rather than codes.

    Args:
        values: integers, any shape; each one of ``integers``.
        integers: what the table's inputs mean, ascending, shape ``(inputs,)``.
        entries: the results, shape ``(inputs,)``.

    Raises:
        ValueError: for a value that is no input of the table.

    >>> look_up(np.array([[4, -1]]), np.array([-1, 0, 4]), np.array([7, 8, 9])).tolist()
    [[9, 7]]
    """
    places = np.minimum(np.searchsorted(integers, values), len(integers) - 1)
    strange = integers[places] != values
    if np.any(strange):
        raise ValueError(f"{int(np.sum(strange))} values are no input of the table, the first is {values[strange][0]}")
    result: NDArray[Any] = entries[places]
    return result


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


def _check_rows(rows: NDArray[Any], length: int, magnitude: int) -> None:
    if rows.shape[-1:] != (length,):
        raise ValueError(f"the constants are for rows of {length} values, got an array of shape {rows.shape}")
    if _largest(rows) > magnitude:
        raise ValueError(f"the constants allow magnitudes up to {magnitude}, got {_largest(rows)}")


def _by_definition(function: Callable[[int], int], values: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(values.size, dtype=object)
    result[:] = [function(int(value)) for value in values.reshape(-1).tolist()]
    return result.reshape(values.shape)


def _rows_by_definition(function: Callable[[list[int]], list[int]], rows: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(rows.shape, dtype=object).reshape(-1, rows.shape[-1])
    for index, row in enumerate(rows.reshape(-1, rows.shape[-1]).tolist()):
        result[index, :] = function(row)
    return result.reshape(rows.shape)
