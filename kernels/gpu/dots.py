"""Matrix products on the GPU: the rules of `kernels.definitions.dots`.

Exact sums run in tensor cores (int8) or in float products whose every partial sum is an integer the type holds; the
bound is computed per call. Sums that are cast on the way run in `kernels.gpu.sums`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import torch

from kernels.definitions.dots import check_options
from kernels.fields import (
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    AccumulatorFields,
    FloatFields,
    ProductFields,
)
from kernels.gpu.bits import SOURCES
from kernels.gpu.launching import check_launchable, interpreting, kernel, launch, tl
from kernels.gpu.sum_constants import LMulConstants, cast_constants, first_values, grid_unit, work_dtype
from kernels.gpu.sums import ordered_kernel, tree_kernel

_EXACT: Final = AccumulatorFields()
_FLOAT32_BOUND: Final = 1 << 24
_FLOAT64_BOUND: Final = 1 << 53
_INT64_BOUND: Final = 1 << 63
_INT8_STEPS: Final = (1 << 31) // (128 * 128) - 256
"""Products of two int8 that an int32 holds for certain, 131,071, in whole tiles."""
_LARGEST_TREE: Final = 1 << 16
"""Products of a pairwise sum that one program holds."""


@kernel
def exact_kernel(
    left: tl.tensor,
    right: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    PART: tl.constexpr,
    PART_DEPTH: tl.constexpr,
    TILE: tl.constexpr,
    TILE_DEPTH: tl.constexpr,
) -> None:
    """Exact sums: parts of PART_DEPTH products in the type PART (int32, float32 or float64), added in int64."""
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    total = tl.full([TILE, TILE], 0, tl.int64)
    for start in range(0, depth, PART_DEPTH):
        part = tl.full([TILE, TILE], 0, PART)
        for first in range(start, tl.minimum(start + PART_DEPTH, depth), TILE_DEPTH):
            k = first + tl.arange(0, TILE_DEPTH)
            row_mask = (row < rows)[:, None] & (k < depth)[None, :]
            column_mask = (k < depth)[:, None] & (column < columns)[None, :]
            one = tl.load(left + row[:, None] * depth + k[None, :], mask=row_mask, other=0)
            other = tl.load(right + k[:, None].to(tl.int64) * columns + column[None, :], mask=column_mask, other=0)
            part = tl.dot(one, other, part, input_precision="ieee", out_dtype=PART)
        total += part.to(tl.int64)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    tl.store(results + row[:, None] * columns + column[None, :], total, mask=inside)


@kernel
def wide_kernel(
    left: tl.tensor,
    right: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    TILE: tl.constexpr,
) -> None:
    """Sums of int64 products, one k after the other."""
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    total = tl.full([TILE, TILE], 0, tl.int64)
    for k in range(depth):
        one = tl.load(left + row * depth + k, mask=row < rows, other=0)[:, None]
        other = tl.load(right + k * columns + column, mask=column < columns, other=0)[None, :]
        total += one * other
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    tl.store(results + row[:, None] * columns + column[None, :], total, mask=inside)


def exact_matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The exact product of integer matrices, int64.

    Args:
        left: integers in any integer or float dtype, shape ``(m, k)``, on a CUDA device (any, in the interpreter).
        right: the same, shape ``(k, n)``.

    Raises:
        ValueError: if the shapes do not fit, or a sum may exceed 63 bits (naming the k that would do).
    """
    _check_shapes(left, right)
    rows, columns, depth = left.shape[0], right.shape[1], left.shape[1]
    results = torch.zeros((rows, columns), dtype=torch.int64, device=left.device)
    if not depth or not results.numel():
        return results
    largest = _largest(left) * _largest(right)
    if left.dtype == right.dtype == torch.int8:
        kind, part, part_depth = torch.int8, "int32", _INT8_STEPS
    elif largest * depth < _FLOAT32_BOUND:
        kind, part, part_depth = torch.float32, "fp32", depth
    elif largest * depth < _FLOAT64_BOUND:
        kind, part, part_depth = torch.float64, "fp64", depth
    else:
        _check_bound(largest, depth)
        tile = _tile(rows, columns, 32)
        operands = [operand.to(torch.int64).contiguous() for operand in (left, right)]
        launch(wide_kernel, _grid(rows, columns, tile), *operands, results, rows, columns, depth, TILE=tile)
        return results
    tile, tile_depth = _tile(rows, columns, 64), 256 if interpreting() else 32
    launch(
        exact_kernel,
        _grid(rows, columns, tile),
        left.to(kind).contiguous(),
        right.to(kind).contiguous(),
        results,
        rows,
        columns,
        depth,
        PART={"int32": tl.int32, "fp32": tl.float32, "fp64": tl.float64}[part],
        PART_DEPTH=-(-part_depth // tile_depth) * tile_depth,
        TILE=tile,
        TILE_DEPTH=tile_depth,
    )
    return results


def sum_unit(unit: int, product: ProductFields | None, accumulator: AccumulatorFields) -> int | None:
    """The exponent of the unit that `matmul` counts its results in; None if they are float64 values.

    >>> from kernels.fields import FixedFields
    >>> sum_unit(-7, None, AccumulatorFields()), sum_unit(-7, None, AccumulatorFields(FixedFields(16, 4, 1)))
    (-7, -4)
    """
    if isinstance(accumulator.grid, FloatFields):
        return None
    if accumulator.grid is not None:
        return grid_unit(accumulator.grid)
    return unit if product is None else grid_unit(product.grid)


def matmul(
    left: torch.Tensor,
    right: torch.Tensor,
    *,
    unit: int = 0,
    product: ProductFields | None = None,
    accumulator: AccumulatorFields = _EXACT,
    initial: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply integer matrices, each element of the result one `kernels.definitions.dots.dot`.

    Args:
        left: integers in any dtype that holds them, shape ``(m, k)``, on a CUDA device (any, in the interpreter).
        right: the same, shape ``(k, n)``.
        unit: binary exponent of the products' unit.
        product: the format each product is rounded to; None keeps it exact.
        accumulator: format, rounding, overflow and order; exact by default.
        initial: the accumulators' first values in the result's unit (float values for a float accumulator), of a shape
            that broadcasts to ``(m, n)``; 0 if None.

    Returns:
        Exact: int64 in the unit of `sum_unit`. Fixed point: int64 in the accumulator's unit. Float: float64 values (+0
        for every zero).

    Raises:
        ValueError: if shapes, orders or options do not fit, an initial value is no number of the accumulator, or the
            bits of a sum exceed those of the kernels (53, or 63 for an exact accumulator of exact products).
    """
    _check_shapes(left, right)
    check_options(product, accumulator)
    shape = (left.shape[0], right.shape[1])
    result_unit = sum_unit(unit, product, accumulator)
    if accumulator.grid is None and product is None:
        result = exact_matmul(left, right)
        return result if initial is None else result + initial.to(torch.int64)
    first = first_values(initial, shape, accumulator, result_unit)
    largest = _largest(left) * _largest(right)
    dtype = work_dtype(
        unit=unit,
        largest=Fraction(largest) * Fraction(2) ** unit,
        digits=largest.bit_length(),
        depth=left.shape[1],
        product=product,
        accumulator=accumulator,
    )
    # Half of the unit's power goes into each side, so that neither leaves the range of the work type.
    powers = (2.0 ** (unit // 2), 2.0 ** (unit - unit // 2))
    operands = [(side.to(torch.float64) * power).to(dtype) for side, power in zip((left, right), powers, strict=True)]
    values = ordered_matmul(
        operands[0], operands[1], LMulConstants(), dtype=dtype, product=product, accumulator=accumulator, initial=first
    )
    return as_result(values, result_unit)


def as_result(values: torch.Tensor, unit: int | None) -> torch.Tensor:
    """Float64 values as integers of a unit, or as they are.

    Raises:
        ValueError: if a product overflowed to infinity or NaN on its way into an integer.
    """
    if unit is None:
        return values
    if not bool(values.isfinite().all()):
        raise ValueError("a rounded product is infinite or NaN, which no integer accumulator holds: saturate products")
    return (values * 2.0**-unit).to(torch.int64)


def ordered_matmul(
    left: torch.Tensor,
    right: torch.Tensor,
    lmul: LMulConstants,
    *,
    dtype: torch.dtype,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
    initial: torch.Tensor | None,
) -> torch.Tensor:
    """Launch the kernels of `kernels.gpu.sums`; operands are what their product takes, the result is float64."""
    rows, columns, depth = left.shape[0], right.shape[1], left.shape[1]
    results = torch.zeros((rows, columns), dtype=dtype, device=left.device)
    first = results.clone() if initial is None else initial.to(dtype).contiguous()
    constants = {
        "SOURCE": SOURCES[dtype],
        "LMUL": lmul,
        "PRODUCT": cast_constants(product, dtype),
        "SUM": cast_constants(accumulator, dtype),
    }
    tensors = (left.contiguous(), right.contiguous(), first, results, rows, columns, depth)
    if not depth:
        return first.to(torch.float64)
    if accumulator.order == ORDER_PAIRWISE:
        levels = (depth - 1).bit_length()
        if 1 << levels > _LARGEST_TREE:
            raise ValueError(f"pairwise sums on a GPU have at most {_LARGEST_TREE} products, got {depth}")
        tile = 1
        while (2 * tile) ** 2 << levels <= _LARGEST_TREE and 2 * tile <= max(rows, columns):
            tile *= 2
        launch(tree_kernel, _grid(rows, columns, tile), *tensors, **constants, LEVELS=levels, TILE=tile)
    else:
        tile = _tile(rows, columns, 32)
        launch(
            ordered_kernel,
            _grid(rows, columns, tile),
            *tensors,
            **constants,
            CHUNK=accumulator.chunk,
            ROUND_PARTS=int(accumulator.order == ORDER_CHUNKS_ROUNDED),
            TILE=tile,
        )
    return results.to(torch.float64)


def _tile(rows: int, columns: int, compiled: int) -> int:
    """Rows and columns per program; the interpreter's cost is per operation, but masked values cost like others."""
    return min(1 << (max(rows, columns, 1) - 1).bit_length(), 128) if interpreting() else compiled


def _grid(rows: int, columns: int, tile: int) -> tuple[int, int]:
    return -(-rows // tile), -(-columns // tile)


def _largest(values: torch.Tensor) -> int:
    return max(int(values.max()), -int(values.min())) if values.numel() else 0


def _check_shapes(left: torch.Tensor, right: torch.Tensor) -> None:
    check_launchable(left)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(
            f"matrices of shapes {tuple(left.shape)} and {tuple(right.shape)} have no product: (m, k) and (k, n) are "
            "needed"
        )


def _check_bound(largest: int, depth: int) -> None:
    if largest * depth >= _INT64_BOUND:
        raise ValueError(
            f"sums of {depth} products up to {largest} may exceed 63 bits: at most {_INT64_BOUND // largest - 1} "
            "products are allowed; split k, or use kernels.compiled"
        )
