"""Block-scaled products in a register that is cast for every block, on the GPU: `kernels.definitions.dots.block_dot`.

One program per block multiplies its elements exactly and scales them; then each element of the result adds its terms to
its register, in the order asked for, rounded to odd and cast at once (`kernels.gpu.sums`). Extra memory: both operands
in float64, and the result once per term.
"""

from __future__ import annotations

from typing import Any

import torch

from kernels.block_sums import check_blocks
from kernels.definitions.dots import check_options
from kernels.dot_bounds import check_terms, register_exponent, wraps_by_remainder
from kernels.fields import (
    ORDER_ASCENDING,
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    AccumulatorFields,
    FixedFields,
)
from kernels.gpu.bits import BINARY64, power_of_two
from kernels.gpu.block_dots import grid_of, tiles_of
from kernels.gpu.launching import check_launchable, kernel, launch, launch_elementwise, tl
from kernels.gpu.sum_constants import cast_constants
from kernels.gpu.sums import cast_value, odd_sum
from kernels.tensors.block_registers import check_exact, exact_sum
from kernels.tensors.dots import first_values, scale


@kernel
def block_sums_kernel(
    left: tl.tensor,
    right: tl.tensor,
    left_exponents: tl.tensor,
    right_exponents: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    block: tl.tensor,
    blocks: tl.tensor,
    SOURCE: tl.constexpr,
    TILE: tl.constexpr,
    TILE_DEPTH: tl.constexpr,
) -> None:
    """The dot products of the block that the program's third number names, times its scales: exact."""
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    index = tl.program_id(2)
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
    exponent = tl.load(left_exponents + row * blocks + index, mask=row < rows, other=0)[:, None]
    exponent = exponent + tl.load(right_exponents + index * columns + column, mask=column < columns, other=0)[None, :]
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    place = (index * rows + row)[:, None] * columns + column[None, :]
    tl.store(results + place, part * power_of_two(exponent, SOURCE), mask=inside)


@kernel
def register_kernel(
    terms: tl.tensor,
    initial: tl.tensor,
    results: tl.tensor,
    count: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    SUM: tl.constexpr,
    CHUNK: tl.constexpr,
    ROUND_PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Add all terms to their register, k ascending; with ROUND_PARTS, chunks of them are added up and cast first."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    total = tl.load(initial + place, mask=inside, other=0.0)
    for start in range(0, count, CHUNK):
        part = tl.full([BLOCK], 0.0, tl.float64)
        for index in range(start, tl.minimum(start + CHUNK, count)):
            term = tl.load(terms + index * size + place, mask=inside, other=0.0)
            part = cast_value(odd_sum(part, term), SOURCE, SUM) if ROUND_PARTS else term
        total = cast_value(odd_sum(total, part), SOURCE, SUM)
    tl.store(results + place, total, mask=inside)


@kernel
def pairs_kernel(
    terms: tl.tensor,
    results: tl.tensor,
    per_term: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    SUM: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One level of a tree: the cast sums of neighbouring terms of ``per_term`` values each."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    first = place + (place // per_term) * per_term
    one = tl.load(terms + first, mask=inside, other=0.0)
    other = tl.load(terms + first + per_term, mask=inside, other=0.0)
    tl.store(results + place, cast_value(odd_sum(one, other), SOURCE, SUM), mask=inside)


def matmul(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
    accumulator: AccumulatorFields,
    blocks_per_term: int = 1,
    initial: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply block-scaled matrices, each element of the result one `kernels.definitions.dots.block_dot`.

    Args:
        left: element integers, shape ``(m, k)``, on a CUDA device (any, in the interpreter).
        right: the same, shape ``(k, n)``.
        left_exponents: binary exponent of each block's unit, shape ``(m, ceil(k / block))``.
        right_exponents: the same, shape ``(ceil(k / block), n)``.
        block: elements per block along k; the last block may be shorter.
        accumulator: format, rounding, overflow; order and chunk count terms.
        blocks_per_term: blocks whose sums are added exactly to one term.
        initial: the register's first values, numbers of its format: integers in its unit, or float values, of a shape
            that broadcasts to ``(m, n)``; 0 if None.

    Returns:
        int64 in the format's unit, or float64 values for a float accumulator.

    Raises:
        ValueError: if shapes or options do not fit, or float64 does not provably hold the sums.
    """
    check_launchable(left)
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_options(None, accumulator)
    exponent = register_exponent(accumulator)
    check_terms(blocks_per_term)
    check_exact(left, right, left_exponents, right_exponents, block, accumulator)
    count = blocks_per_term
    if accumulator.order == ORDER_CHUNKS_EXACT:
        count, accumulator = count * accumulator.chunk, accumulator._replace(order=ORDER_ASCENDING, chunk=1)
    first = first_values(initial, (left.shape[0], right.shape[1]), accumulator, left.device)
    is_fixed = isinstance(accumulator.grid, FixedFields)
    start = (scale(first.double(), exponent) if is_fixed else first).contiguous()
    terms = _terms(left, right, left_exponents, right_exponents, block=block, count=count)
    if isinstance(accumulator.grid, FixedFields) and wraps_by_remainder(accumulator):
        # Exact; what wraps needs no more of a number than this.
        span = 2.0 ** (accumulator.grid.width + exponent)
        terms = terms - torch.trunc(terms / span) * span
    result = _accumulated(terms, start, accumulator)
    return scale(result, -exponent).long() if is_fixed else result


def _terms(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
    count: int,
) -> torch.Tensor:
    """The exact sums of every ``count`` blocks, shape ``(terms, m, n)``."""
    rows, columns, depth, blocks = left.shape[0], right.shape[1], left.shape[1], left_exponents.shape[1]
    sums = torch.empty((blocks, rows, columns), dtype=torch.float64, device=left.device)
    tiles = tiles_of(rows, columns, min(block, depth))
    launch(
        block_sums_kernel,
        (*grid_of(rows, columns, tiles["TILE"]), blocks),
        left.to(torch.float64).contiguous(),
        right.to(torch.float64).contiguous(),
        left_exponents.to(torch.int64).contiguous(),
        right_exponents.to(torch.int64).contiguous(),
        sums,
        rows,
        columns,
        depth,
        block,
        blocks,
        SOURCE=BINARY64,
        **tiles,
    )
    if count == 1:
        return sums
    missing = -blocks % count
    grouped = torch.cat([sums, sums.new_zeros(missing, rows, columns)]).reshape(-1, count, rows, columns)
    terms = grouped[:, 0]
    for place in range(1, count):
        terms = exact_sum(terms, grouped[:, place], count)
    return terms.contiguous()


def _accumulated(terms: torch.Tensor, start: torch.Tensor, accumulator: AccumulatorFields) -> torch.Tensor:
    constants: dict[str, Any] = {"SOURCE": BINARY64, "SUM": cast_constants(accumulator, torch.float64)}
    size, rounded_parts = start.numel(), accumulator.order == ORDER_CHUNKS_ROUNDED
    if accumulator.order == ORDER_PAIRWISE:
        while len(terms) > 1:
            pairs = terms.new_empty((len(terms) // 2, *start.shape))
            launch_elementwise(pairs_kernel, pairs.numel(), terms, pairs, size, **constants)
            terms = torch.cat([pairs, terms[len(terms) - len(terms) % 2 :]])
    results = torch.empty_like(start)
    # Only rounded parts have several terms here: those of exact ones are one term by now.
    constants |= {"CHUNK": accumulator.chunk if rounded_parts else 1, "ROUND_PARTS": int(rounded_parts)}
    launch_elementwise(register_kernel, size, terms, start, results, len(terms), **constants)
    return results
