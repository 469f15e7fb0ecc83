"""Matrix products of block-scaled operands on the GPU: exact, and by the hardware's aligned rule.

The kernels shift elements to the unit of their row or column themselves, so no scaled copy of an operand is stored. An
exact product takes whole scaled numbers in float64 where every partial sum provably fits 53 bits; beyond, one program
per place of the result multiplies digits of 16 bits (`kernels.tensors.block_dots` has the same plan and proofs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from kernels.block_sums import FLOAT64_BITS, BlockSums, check_blocks, check_width
from kernels.gpu.launching import check_launchable, interpreting, kernel, launch, tl
from kernels.tensors.block_dots import DIGIT_BITS, DIGIT_DEPTH, aligned_extent, folded, reduce_exponents

if TYPE_CHECKING:
    from collections.abc import Mapping

_TILE: Final = 32


@kernel
def digit_of(values: tl.tensor, shifts: tl.tensor, place: tl.tensor, BITS: tl.constexpr) -> tl.tensor:
    """The digit of ``values * 2**shifts`` at a place in base ``2**BITS``, with the sign of the number, as float64."""
    magnitude = tl.abs(values)
    moved = shifts - place * BITS
    left = tl.where(moved < BITS, magnitude << tl.minimum(tl.maximum(moved, 0), BITS), 0)
    right = magnitude >> tl.minimum(tl.maximum(-moved, 0), 63)
    digit = tl.where(moved < 0, right, left) & ((1 << BITS) - 1)
    return tl.where(values < 0, -digit, digit).to(tl.float64)


@kernel
def digits_kernel(
    left: tl.tensor,
    right: tl.tensor,
    left_shifts: tl.tensor,
    right_shifts: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    block: tl.tensor,
    blocks: tl.tensor,
    left_digits: tl.tensor,
    right_digits: tl.tensor,
    BITS: tl.constexpr,
    PART_DEPTH: tl.constexpr,
    TILE: tl.constexpr,
    TILE_DEPTH: tl.constexpr,
) -> None:
    """The sum of all products of two digits whose places add up to the program's third number.

    Float64 holds the sums of PART_DEPTH products (whole tiles), which are added in int64. A single digit of 53 bits is
    the number itself.
    """
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    place = tl.program_id(2)
    total = tl.full([TILE, TILE], 0, tl.int64)
    for one_place in range(tl.maximum(place - right_digits + 1, 0), tl.minimum(place + 1, left_digits)):
        for start in range(0, depth, PART_DEPTH):
            part = tl.full([TILE, TILE], 0, tl.float64)
            for first in range(start, tl.minimum(start + PART_DEPTH, depth), TILE_DEPTH):
                k = (first + tl.arange(0, TILE_DEPTH)).to(tl.int64)
                row_mask = (row < rows)[:, None] & (k < depth)[None, :]
                column_mask = (k < depth)[:, None] & (column < columns)[None, :]
                one = tl.load(left + row[:, None] * depth + k[None, :], mask=row_mask, other=0)
                other = tl.load(right + k[:, None] * columns + column[None, :], mask=column_mask, other=0)
                index = k // block
                shift = tl.load(left_shifts + row[:, None] * blocks + index[None, :], mask=row_mask, other=0)
                other_shift = tl.load(
                    right_shifts + index[:, None] * columns + column[None, :], mask=column_mask, other=0
                )
                part = tl.dot(
                    digit_of(one, shift, one_place, BITS),
                    digit_of(other, other_shift, place - one_place, BITS),
                    part,
                    input_precision="ieee",
                    out_dtype=tl.float64,
                )
            total += part.to(tl.int64)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    tl.store(results + (place * rows + row)[:, None] * columns + column[None, :], total, mask=inside)


@kernel
def aligned_kernel(
    left: tl.tensor,
    right: tl.tensor,
    left_shifts: tl.tensor,
    right_shifts: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    block: tl.tensor,
    blocks: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    TILE: tl.constexpr,
    TILE_DEPTH: tl.constexpr,
) -> None:
    """Blocks one after the other: an exact product, shifted (floor), added; the end is saturated.

    ``results`` holds the first values; ``left_shifts`` are less the unit.
    """
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    target = row[:, None] * columns + column[None, :]
    total = tl.load(results + target, mask=inside, other=0)
    for index in range(blocks):
        start = index * block
        stop = tl.minimum(start + block, depth)
        part = tl.full([TILE, TILE], 0, tl.float64)
        for first in range(start, stop, TILE_DEPTH):
            k = (first + tl.arange(0, TILE_DEPTH)).to(tl.int64)
            row_mask = (row < rows)[:, None] & (k < stop)[None, :]
            column_mask = (k < stop)[:, None] & (column < columns)[None, :]
            one = tl.load(left + row[:, None] * depth + k[None, :], mask=row_mask, other=0.0)
            other = tl.load(right + k[:, None] * columns + column[None, :], mask=column_mask, other=0.0)
            part = tl.dot(one, other, part, input_precision="ieee", out_dtype=tl.float64)
        whole = part.to(tl.int64)
        shift = tl.load(left_shifts + row * blocks + index, mask=row < rows, other=0)[:, None]
        shift = shift + tl.load(right_shifts + index * columns + column, mask=column < columns, other=0)[None, :]
        moved_left = whole << tl.minimum(tl.maximum(shift, 0), 63)
        total += tl.where(shift < 0, whole >> tl.minimum(tl.maximum(-shift, 0), 63), moved_left)
    tl.store(results + target, tl.minimum(tl.maximum(total, low), high), mask=inside)


def block_matmul(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
) -> BlockSums:
    """The exact product of two block-scaled matrices, each element one `kernels.definitions.dots.block_dot`.

    Args:
        left: element integers up to 62 bits in any dtype that holds them, shape ``(m, k)``, on a CUDA device (any, in
            the interpreter).
        right: the same, shape ``(k, n)``.
        left_exponents: binary exponent of each block's unit, shape ``(m, ceil(k / block))``.
        right_exponents: the same for the right side, shape ``(ceil(k / block), n)``.
        block: elements per block along k; the last block may be shorter.

    Returns:
        One part of int64 where the sums provably fit 62 bits, else as many parts of 32 bits as they need.

    Raises:
        ValueError: if shapes do not fit, elements are too wide, or exponents of a row or column spread over more than
            some 4,000.
    """
    check_launchable(left)
    given = reduce_exponents(left, right, left_exponents, right_exponents, block=block)
    whole = given.digits == (0, 0)
    rows, columns, depth = left.shape[0], right.shape[1], left.shape[1]
    results = torch.zeros((given.places, rows, columns), dtype=torch.int64, device=left.device)
    tiles = tiles_of(rows, columns, depth)
    launch(
        digits_kernel,
        (*grid_of(rows, columns, tiles["TILE"]), given.places),
        given.left.contiguous(),
        given.right.contiguous(),
        given.left_shifts.contiguous(),
        given.right_shifts.contiguous(),
        results,
        rows,
        columns,
        depth,
        block,
        given.left_shifts.shape[1],
        *((1, 1) if whole else given.digits),
        BITS=FLOAT64_BITS if whole else DIGIT_BITS,
        # A whole sum fits float64; digits are summed in float64 so many at a time.
        PART_DEPTH=1 << 30 if whole else DIGIT_DEPTH,
        **tiles,
    )
    parts = results if whole else folded(list(results), narrow=given.narrow)
    return BlockSums(parts, given.row_exponents, given.column_exponents)


def block_matmul_aligned(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
    unit: int,
    width: int,
    initial: torch.Tensor | None = None,
) -> torch.Tensor:
    """The hardware rule for blocks, element by element `kernels.definitions.dots.block_dot_aligned`.

    Args:
        left: as for `block_matmul`.
        right: as for `block_matmul`.
        left_exponents: as for `block_matmul`.
        right_exponents: as for `block_matmul`.
        block: elements per block along k.
        unit: binary exponent of the result's unit.
        width: bits of the two's complement result, 1 to 63.
        initial: integers in the result's unit added before saturation, broadcasting to ``(m, n)``; 0 if None.

    Returns:
        int64, shape ``(m, n)``.

    Raises:
        ValueError: if shapes do not fit, the width is out of range, a block's product may exceed 53 bits, or the sum
            of all blocks 62.
    """
    check_launchable(left)
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_width(width)
    aligned_extent(left, right, left_exponents, right_exponents, block=block, unit=unit, initial=initial).check()
    rows, columns, depth = left.shape[0], right.shape[1], left.shape[1]
    results = torch.zeros((rows, columns), dtype=torch.int64, device=left.device)
    if initial is not None:
        results += initial.to(torch.int64)
    tiles = tiles_of(rows, columns, min(block, depth))
    limit = 1 << (width - 1)
    launch(
        aligned_kernel,
        grid_of(rows, columns, tiles["TILE"]),
        left.to(torch.float64).contiguous(),
        right.to(torch.float64).contiguous(),
        (left_exponents.to(torch.int64) - unit).contiguous(),
        right_exponents.to(torch.int64).contiguous(),
        results,
        rows,
        columns,
        depth,
        block,
        left_exponents.shape[1],
        -limit,
        limit - 1,
        **tiles,
    )
    return results


def tiles_of(rows: int, columns: int, depth: int) -> Mapping[str, Any]:
    """Tiles of a program; the interpreter's cost is per operation, but masked values cost like others."""
    if not interpreting():
        return {"TILE": _TILE, "TILE_DEPTH": 16}
    side = min(1 << (max(rows, columns, 1) - 1).bit_length(), 128)
    return {"TILE": side, "TILE_DEPTH": min(1 << (max(depth, 1) - 1).bit_length(), 256)}


def grid_of(rows: int, columns: int, tile: int) -> tuple[int, int]:
    """Programs along both axes of a result."""
    return -(-rows // tile), -(-columns // tile)
