"""Casts to listed levels by `kernels.definitions.tables`, on arrays; arguments as in `kernels.compiled.tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.canaries import check_subnormals
from kernels.definitions.tables import check_levels, check_levels_in, index_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from kernels.definitions.tables import Real


def table(levels: Sequence[Real], dtype: DTypeLike) -> tuple[Real, ...]:
    """Ascending levels for values of a dtype, checked."""
    check_levels(levels)
    check_levels_in(levels, np.dtype(dtype).name)
    return tuple(levels)


def cast(values: NDArray[Any], levels: Sequence[Real]) -> NDArray[Any]:
    """The nearest level of each value, ties to the smaller magnitude.

    >>> cast(np.array([-3.0, 0.0, 2.5, 2.6]), table([-1, 1, 4], np.float64))
    array([-1.,  1.,  1.,  4.])
    """
    return np.array([float(level) for level in levels], dtype=values.dtype)[_indices(values, levels)]


def encode(values: NDArray[Any], levels: Sequence[Real], *, codes: Sequence[int] | None = None) -> NDArray[Any]:
    """The code of the nearest level: its index, or its entry of ``codes``."""
    listed = np.array(range(len(levels)) if codes is None else codes)
    found: NDArray[Any] = listed[_indices(values, levels)]
    return found.astype(np.uint8 if listed.max() < 256 else np.uint16)


def decode(codes: NDArray[Any], levels: Sequence[Real], *, given: Sequence[int] | None = None) -> NDArray[np.float64]:
    """The levels of codes, in float64.

    >>> decode(np.array([2, 0, 1], np.uint8), table([-1, 1, 4], np.float64), given=[2, 0, 1])
    array([-1.,  1.,  4.])
    """
    meaning = dict(zip(range(len(levels)) if given is None else given, levels, strict=True))
    flat = codes.reshape(-1).tolist()
    unknown = [code for code in flat if code not in meaning]
    if unknown:
        raise ValueError(f"code {unknown[0]} belongs to none of the {len(levels)} levels")
    return np.array([float(meaning[code]) for code in flat], dtype=np.float64).reshape(codes.shape)


def _indices(values: NDArray[Any], levels: Sequence[Real]) -> NDArray[np.intp]:
    check_subnormals()
    return np.array([index_of(value, levels) for value in values.reshape(-1).tolist()], dtype=np.intp).reshape(
        values.shape
    )
