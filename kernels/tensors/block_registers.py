"""Torch version of `kernels.compiled.block_registers`, on any device: a matrix product, a sum and a cast per block."""

from __future__ import annotations

import torch

from kernels.block_sums import check_blocks
from kernels.definitions.dots import check_options
from kernels.dot_bounds import check_terms, register_exponent, register_sums_are_exact_in_float64, wraps_by_remainder
from kernels.fields import ORDER_ASCENDING, ORDER_CHUNKS_EXACT, AccumulatorFields, FixedFields
from kernels.orders import ordered_sum
from kernels.tensors.dots import (
    add_to_odd,
    cast_tensor,
    first_values,
    ieee_products,
    largest_magnitude,
    scale,
)

_LARGEST_EXPONENT = 400
_FLOAT64_BITS = 53


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

    Arguments as in `kernels.compiled.block_registers.matmul`, on one device.

    Returns:
        int64 in the format's unit, or float64 values for a float accumulator.

    Raises:
        ValueError: if shapes or options do not fit, or float64 does not provably hold the sums.

    >>> from kernels.fields import FixedFields
    >>> one, register = torch.zeros((1, 1), dtype=torch.int64), AccumulatorFields(FixedFields(6, 0, 1))
    >>> matmul(torch.tensor([[3, 5]]), torch.tensor([[6], [7]]), one, one, block=2, accumulator=register)
    tensor([[31]])
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_options(None, accumulator)
    exponent = register_exponent(accumulator)
    check_terms(blocks_per_term)
    check_exact(left, right, left_exponents, right_exponents, block, accumulator)
    count = blocks_per_term
    if accumulator.order == ORDER_CHUNKS_EXACT:
        count, accumulator = count * accumulator.chunk, accumulator._replace(order=ORDER_ASCENDING, chunk=1)
    first = first_values(initial, (left.shape[0], right.shape[1]), accumulator, left.device)
    grid = accumulator.grid
    is_fixed = isinstance(grid, FixedFields)
    span = 2.0 ** (grid.width + exponent) if isinstance(grid, FixedFields) and wraps_by_remainder(accumulator) else None
    scaled, others = left.double(), right.double()

    def block_sums(index: int) -> torch.Tensor:
        inside = slice(index * block, (index + 1) * block)
        with ieee_products():
            integers = scaled[:, inside] @ others[inside]
        return integers * _powers(left_exponents[:, index, None]) * _powers(right_exponents[None, index])

    blocks = left_exponents.shape[1]

    def term(index: int) -> torch.Tensor:
        found = block_sums(index * count)
        for place in range(index * count + 1, min((index + 1) * count, blocks)):
            found = exact_sum(found, block_sums(place), count)
        return found if span is None else found - torch.trunc(found / span) * span

    result = ordered_sum(
        term,
        -(-blocks // count),
        accumulator,
        initial=scale(first.double(), exponent) if is_fixed else first,
        zero=torch.zeros_like(first, dtype=torch.float64),
        exact_sum=torch.add,
        cast_sum=lambda total, added: cast_tensor(add_to_odd(total, added), accumulator),
    )
    return scale(result, -exponent).long() if is_fixed else result


def check_exact(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    block: int,
    accumulator: AccumulatorFields,
) -> None:
    """Refuse sums of blocks that float64 does not provably hold.

    Raises:
        ValueError: with the largest sum and scale.
    """
    largest = min(block, max(left.shape[1], 1)) * largest_magnitude(left) * largest_magnitude(right)
    reach = max(largest_magnitude(left_exponents), largest_magnitude(right_exponents))
    if (
        largest.bit_length() > _FLOAT64_BITS
        or reach > _LARGEST_EXPONENT
        or not register_sums_are_exact_in_float64(accumulator)
    ):
        raise ValueError(
            f"sums of blocks up to {largest} with scales up to 2**{reach} in {accumulator.grid} are not provably exact "
            "in the 53 bits of float64: use kernels.compiled.block_registers"
        )


def _powers(exponents: torch.Tensor) -> torch.Tensor:
    """Powers of two in float64, by their bits (torch.ldexp takes the power in float32)."""
    return ((exponents.long() + 1023) << 52).view(torch.float64)


def exact_sum(total: torch.Tensor, added: torch.Tensor, count: int) -> torch.Tensor:
    """The float64 sum of two blocks' sums, two of ``count`` that make one term.

    Raises:
        ValueError: if float64 does not hold it.
    """
    found = total + added
    moved = found - total
    if bool(((total - (found - moved)) + (added - moved)).any()):
        raise ValueError(
            f"the exact sum of {count} blocks needs more than the 53 bits of float64, because their scales are too far "
            "apart: use kernels.compiled.block_registers, or one block per term"
        )
    return found
