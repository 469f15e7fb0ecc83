"""Casts to listed levels on NumPy arrays: cast, encode and decode, as `kernels.definitions.tables`.

One table for all values, or one for each entry of axis 0 (learned codebooks of output channels). Up to 16 levels are
found by comparing with all thresholds at once, which needs no branches; more by binary search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np

from kernels.canaries import check_subnormals
from kernels.compiled.bits import convert
from kernels.definitions.tables import check_levels_in, thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from kernels.definitions.tables import Real

    Values = NDArray[np.float32] | NDArray[np.float64]

_FEW: Final = 16


class Table(NamedTuple):
    """Levels and thresholds of one or more tables in the values' dtype; made by `table`."""

    levels: NDArray[Any]
    """Shape (tables, levels), ascending."""
    thresholds: NDArray[Any]
    """Shape (tables, slots): one less than the levels, then infinity up to 15 or to one less than a power of two."""


def table(levels: Sequence[Real] | Sequence[Sequence[Real]], dtype: DTypeLike) -> Table:
    """Prepare levels for values of a dtype.

    Args:
        levels: ascending numbers (Python or NumPy ones), or a sequence of equally long tables, one per channel.
        dtype: float32 or float64, that of the values.

    Raises:
        ValueError: if levels do not ascend or are not exact in the dtype, or tables differ in length.

    >>> table([-1, 1, 4], np.float32).thresholds[0, :3]
    array([-1.4e-45,  2.5e+00,      inf], dtype=float32)
    """
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"tables hold float32 or float64 values, got {kind}: widen them first")
    rows: list[list[Real]] = _rows(levels)
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError(f"all tables need the same number of levels, got {sorted(lengths)}")
    for row in rows:
        check_levels_in(row, kind.name)
    count = lengths.pop()
    slots = _FEW - 1 if count <= _FEW else (1 << (count - 1).bit_length()) - 1
    limits = np.full((len(rows), slots), np.inf, dtype=kind)
    limits[:, : count - 1] = [thresholds(row, kind.name) for row in rows]
    return Table(levels=np.array([[float(level) for level in row] for row in rows], dtype=kind), thresholds=limits)


def _rows(levels: Any) -> list[list[Real]]:  # noqa: ANN401 - one table or several
    listed = levels.tolist() if isinstance(levels, np.ndarray) else list(levels)
    nested = bool(listed) and hasattr(listed[0], "__len__")
    rows = listed if nested else [listed]
    # NumPy's scalars are not Python's numbers, but know the one they are.
    return [[level.item() if isinstance(level, np.generic) else level for level in row] for row in rows]


@numba.njit(cache=True, nogil=True)
def _cast_few(values: NDArray[Any], levels: NDArray[Any], limits: NDArray[Any], result: NDArray[Any]) -> None:
    """Up to 16 levels: the last level whose threshold lies below the value, by 15 selections in registers."""
    v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = _sixteen(levels)
    t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, _ = _sixteen(limits)
    for place in range(values.size):
        value = values[place]
        level = v1 if value > t0 else v0
        level = v2 if value > t1 else level
        level = v3 if value > t2 else level
        level = v4 if value > t3 else level
        level = v5 if value > t4 else level
        level = v6 if value > t5 else level
        level = v7 if value > t6 else level
        level = v8 if value > t7 else level
        level = v9 if value > t8 else level
        level = v10 if value > t9 else level
        level = v11 if value > t10 else level
        level = v12 if value > t11 else level
        level = v13 if value > t12 else level
        level = v14 if value > t13 else level
        result[place] = v15 if value > t14 else level


@numba.njit(forceinline=True)
def _sixteen(numbers: NDArray[Any]) -> tuple[Any, ...]:
    """The first 16 entries, the last one repeated."""
    last = numbers.size - 1
    return (
        numbers[0],
        numbers[min(1, last)],
        numbers[min(2, last)],
        numbers[min(3, last)],
        numbers[min(4, last)],
        numbers[min(5, last)],
        numbers[min(6, last)],
        numbers[min(7, last)],
        numbers[min(8, last)],
        numbers[min(9, last)],
        numbers[min(10, last)],
        numbers[min(11, last)],
        numbers[min(12, last)],
        numbers[min(13, last)],
        numbers[min(14, last)],
        numbers[min(15, last)],
    )


@numba.njit(cache=True, nogil=True)
def _search(values: NDArray[Any], limits: NDArray[Any], translation: NDArray[Any], result: NDArray[Any]) -> None:
    """What the index of each value's level means in a translation: how many thresholds lie below, by halving."""
    top = (limits.size + 1) >> 1
    for place in range(values.size):
        value = values[place]
        index, step = np.int64(0), top
        while step:
            # The slots are one less than a power of two, so every probe is one of them.
            index += step * np.int64(value > limits[np.uintp(index + step - 1)])
            step >>= 1
        result[place] = translation[np.uintp(index)]


@numba.njit(cache=True, nogil=True)
def _count(values: NDArray[Any], limits: NDArray[Any], translation: NDArray[Any], result: NDArray[Any]) -> None:
    """The same for up to 16 levels, by counting all 15 comparisons."""
    t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, _ = _sixteen(limits)
    for place in range(values.size):
        value = values[place]
        low = np.int64(value > t0) + (value > t1) + (value > t2) + (value > t3) + (value > t4)
        middle = np.int64(value > t5) + (value > t6) + (value > t7) + (value > t8) + (value > t9)
        high = np.int64(value > t10) + (value > t11) + (value > t12) + (value > t13) + (value > t14)
        result[place] = translation[np.uintp(low + middle + high)]


@numba.njit(cache=True, nogil=True)
def _any_nan(values: NDArray[Any]) -> Any:  # noqa: ANN401 - a flag of 32 bits
    found = convert(0, np.int32(0))
    for place in range(values.size):
        found |= convert(values[place] != values[place], np.int32(0))
    return found


def cast(values: Values, levels: Table, *, out: Values | None = None) -> Values:
    """The nearest level of each value, ties to the smaller magnitude.

    Args:
        values: float32 or float64, any shape; infinity goes to the end levels.
        levels: made by `table` for the dtype: one table, or one per entry of axis 0.
        out: where to write, contiguous, of the shape and dtype of ``values``; a new array if None.

    Raises:
        ValueError: for NaN, and if values, tables and out do not belong together.

    >>> cast(np.array([-3.0, 0.0, 2.5, 2.6]), table([-1, 1, 4], np.float64))
    array([-1.,  1.,  1.,  4.])
    """
    result = np.empty(values.shape, dtype=values.dtype) if out is None else out
    if result.shape != values.shape or result.dtype != values.dtype or not result.flags.c_contiguous:
        raise ValueError(
            f"out must be contiguous, {values.dtype} of shape {values.shape}, got {result.dtype} of {result.shape}"
        )
    few = levels.levels.shape[1] <= _FEW
    for row, own_levels, limits, target in _channels(values, levels, result):
        if few:
            _cast_few(row, own_levels, limits, target)
        else:
            _search(row, limits, own_levels, target)
    return result


def encode(values: Values, levels: Table, *, codes: Sequence[int] | None = None) -> NDArray[Any]:
    """The code of the nearest level: its index, or its entry of ``codes``.

    Args:
        values: as for `cast`.
        levels: as for `cast`.
        codes: one code per level, different and from 0 to 65535; the indices if None.

    Returns:
        Codes in the shape of ``values``, in the narrowest unsigned dtype.

    >>> encode(np.array([-3.0, 0.0, 2.5, 2.6]), table([-1, 1, 4], np.float64), codes=[2, 0, 1])
    array([2, 0, 0, 1], dtype=uint8)
    """
    translation = _translation(levels.levels.shape[1], codes)
    result = np.empty(values.shape, dtype=translation.dtype)
    few = levels.levels.shape[1] <= _FEW
    for row, _, limits, target in _channels(values, levels, result):
        (_count if few else _search)(row, limits, translation, target)
    return result


def decode(codes: NDArray[Any], levels: Table, *, given: Sequence[int] | None = None) -> NDArray[Any]:
    """The levels of codes, in the dtype of the table.

    Args:
        codes: unsigned, any shape; axis 0 as for `cast`.
        levels: made by `table`.
        given: the codes of the levels, as for `encode`; the indices if None.

    Raises:
        ValueError: for a code that no level has.

    >>> decode(np.array([2, 0, 1], np.uint8), table([-1, 1, 4], np.float64), given=[2, 0, 1])
    array([-1.,  1.,  4.])
    """
    count = levels.levels.shape[1]
    translation = _translation(count, given)
    if codes.dtype.kind != "u":
        raise ValueError(f"codes must be unsigned integers, got {codes.dtype}")
    unknown = ~np.isin(codes, translation)
    if unknown.any():
        raise ValueError(f"code {int(codes[unknown][0])} belongs to none of the {count} levels")
    index = np.zeros(int(translation.max()) + 1, dtype=np.intp)
    index[translation] = np.arange(count)
    tables = levels.levels.shape[0]
    if tables == 1:
        values: NDArray[Any] = levels.levels[0][index[codes]]
        return values
    _check_channels(codes.shape, tables)
    flat = index[codes].reshape(tables, -1)
    return np.take_along_axis(levels.levels, flat, axis=1).reshape(codes.shape)


def _translation(count: int, codes: Sequence[int] | None) -> NDArray[Any]:
    listed = range(count) if codes is None else codes
    if len(listed) != count or len(set(listed)) != count or min(listed) < 0 or max(listed) > 0xFFFF:
        raise ValueError(f"{count} levels need {count} different codes from 0 to 65535, got {list(listed)}")
    return np.array(listed, dtype=np.uint8 if max(listed) < 256 else np.uint16)


def _channels(values: Values, levels: Table, result: NDArray[Any]) -> Any:  # noqa: ANN401 - rows of a zip
    """Rows of values with their levels, thresholds and results, after checks."""
    check_subnormals()
    if values.dtype != levels.levels.dtype:
        raise ValueError(f"the table was made for {levels.levels.dtype} values, got {values.dtype}: make one for them")
    tables = levels.levels.shape[0]
    if tables > 1:
        _check_channels(values.shape, tables)
    flat = np.ascontiguousarray(values)
    if _any_nan(flat.reshape(-1)):
        position = tuple(int(axis) for axis in np.argwhere(np.isnan(values))[0])
        raise ValueError(
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN, the first at {position}: "
            "a table has no level for NaN"
        )
    size = values.size // tables
    return zip(flat.reshape(tables, size), levels.levels, levels.thresholds, result.reshape(tables, size), strict=True)


def _check_channels(shape: tuple[int, ...], tables: int) -> None:
    if not shape or shape[0] != tables:
        raise ValueError(f"{tables} tables need values of shape ({tables}, ...), got {shape}")
