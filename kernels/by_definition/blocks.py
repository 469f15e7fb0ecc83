"""Casts to block formats by `kernels.definitions.blocks`, on arrays; arguments as in `kernels.compiled.blocks`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.canaries import check_subnormals
from kernels.definitions import blocks
from kernels.definitions.block_grids import check_block_fields, check_dtype, check_random, element_grid
from kernels.fields import NAN_ERROR, SCALE_EXPONENT, WHOLE_TENSOR, BlockFields
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def cast(
    values: NDArray[Any],
    fields: BlockFields,
    *,
    tensor_scale: float = 1.0,
    **options: Any,  # noqa: ANN401 - those of `encode`
) -> NDArray[Any]:
    """Round values to numbers of the format: encode, then decode."""
    elements, scales = encode(values, fields, tensor_scale=tensor_scale, **options)
    return decode(elements, scales, fields, values.dtype, tensor_scale=tensor_scale)


def encode(
    values: NDArray[Any],
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Element codes and scale codes.

    >>> bfp4 = BlockFields(block_size=4, element_kind=1, magnitude_bits=3, scale_kind=1)
    >>> encode(np.array([1.0, -0.3, 0.125, 7.9, 0.3]), bfp4)
    (array([1, 8, 0, 7, 5], dtype=uint8), array([  2, 254], dtype=uint8))
    """
    check_subnormals()
    check_block_fields(fields, rounding=rounding, nan=nan)
    check_dtype(fields, values.dtype.name)
    check_random(given=random_bits is not None, random_width=random_width, rounding=rounding)
    rows, size = _rows(values, fields)
    random = None if random_bits is None else random_bits.reshape(rows.shape).tolist()
    per_row = -(-rows.shape[1] // size)
    elements = np.empty(rows.shape, dtype=_unsigned(element_grid(fields).width))
    scales = np.empty((len(rows), per_row), dtype=_unsigned(fields.scale_bits if _has_width(fields) else 8))
    for row, numbers in enumerate(rows.tolist()):
        for block in range(per_row):
            part = slice(block * size, (block + 1) * size)
            elements[row, part], scales[row, block] = blocks.encode_block(
                numbers[part],
                fields,
                rounding=rounding,
                random_bits=None if random is None else random[row][part],
                random_width=random_width,
                nan=nan,
                tensor_scale=tensor_scale,
            )
    return elements.reshape(values.shape), scales.reshape(_scale_shape(values.shape, per_row, fields))


def decode(
    elements: NDArray[Any],
    scales: NDArray[Any],
    fields: BlockFields,
    dtype: DTypeLike,
    *,
    tensor_scale: float = 1.0,
) -> NDArray[Any]:
    """The values of element codes and scale codes, rounded to the dtype where the format says so (E4M3 scales)."""
    check_subnormals()
    kind = np.dtype(dtype)
    check_dtype(fields, kind.name)
    rows, size = _rows(elements, fields)
    per_row = -(-rows.shape[1] // size)
    if scales.size != len(rows) * per_row:
        raise ValueError(f"{scales.size} scale codes for {len(rows)} rows of {per_row} blocks")
    codes_of_scales = scales.reshape(len(rows), per_row).tolist()
    values = np.empty(rows.shape, dtype=kind)
    for row, codes in enumerate(rows.tolist()):
        for block in range(per_row):
            part = slice(block * size, (block + 1) * size)
            exact = blocks.decode_block(codes[part], codes_of_scales[row][block], fields, tensor_scale=tensor_scale)
            values[row, part] = [_rounded(value, kind) for value in exact]
    return values.reshape(elements.shape)


def _rounded(value: Any, kind: np.dtype[Any]) -> float:  # noqa: ANN401 - a fraction or a float
    if isinstance(value, float) or kind != np.float32:
        return float(value)
    return float(blocks.to_float32(value))


def _rows(values: NDArray[Any], fields: BlockFields) -> tuple[NDArray[Any], int]:
    """Values as rows of blocks, and the size of a block."""
    if fields.block_size == WHOLE_TENSOR:
        return values.reshape(1, -1), max(values.size, 1)
    columns = values.shape[-1]
    return values.reshape(math.prod(values.shape[:-1]), columns), fields.block_size


def _scale_shape(shape: tuple[int, ...], per_row: int, fields: BlockFields) -> tuple[int, ...]:
    return (1,) if fields.block_size == WHOLE_TENSOR else (*shape[:-1], per_row)


def _has_width(fields: BlockFields) -> bool:
    return fields.scale_kind == SCALE_EXPONENT


def _unsigned(width: int) -> np.dtype[Any]:
    return np.dtype(f"uint{max(8, 1 << (width - 1).bit_length())}")
