"""Binary-coded products by `kernels.definitions.binary_coded`, on arrays; arguments as in the compiled twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions.binary_coded import (
    check_bound,
    check_group,
    check_lookup,
    check_patterns,
    pack_signs,
    product_by_lookup,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pack_planes(signs: NDArray[np.int8], group: int) -> NDArray[np.uint8]:
    """Signs, shape (planes, outputs, inputs), as the patterns of groups.

    >>> pack_planes(np.array([[[1, -1, 1, 1, 1]]], np.int8), 4)
    array([[[13,  1]]], dtype=uint8)
    """
    check_group(group)
    planes, outputs, inputs = signs.shape
    packed = [[pack_signs(row, group) for row in plane] for plane in signs.tolist()]
    return np.array(packed, dtype=np.uint8).reshape(planes, outputs, -(-inputs // group))


def binary_coded_matmul(
    activations: NDArray[Any], planes: NDArray[np.uint8], alphas: NDArray[Any], *, group: int = 8
) -> NDArray[np.int64]:
    """The exact product of integer activations and binary-coded weights.

    >>> binary_coded_matmul(np.array([[3, -1, 2, 7, 5]]), np.array([[[13, 1]]], np.uint8), np.array([[10]]), group=4)
    array([[180]])
    """
    check_lookup(activations.shape, planes.shape, alphas.shape, group)
    patterns = [number for plane in planes.tolist() for row in plane for number in row]
    check_patterns(min(patterns, default=0), max(patterns, default=0), group)
    rows, inputs = activations.shape
    largest = [
        max((abs(number) for row in some.tolist() for number in row), default=0) for some in (activations, alphas)
    ]
    check_bound(largest[0] * inputs * largest[1] * planes.shape[0], inputs, planes.shape[0])
    result = np.empty((rows, planes.shape[1]), dtype=np.int64)
    for row, output in np.ndindex(*result.shape):
        result[row, output] = product_by_lookup(
            activations[row].tolist(), planes[:, output].tolist(), alphas[:, output].tolist(), group
        )
    return result
