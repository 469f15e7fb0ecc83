"""Matrix products of block-scaled operands on torch tensors, on any device: exact, and by the hardware's aligned rule.

As in `kernels.compiled.block_dots`, exponents count from the least one of each row and column. Where the sums provably
fit 53 bits, the scaled elements are multiplied in float64 at once; beyond, they are cut into digits of 16 bits whose
float64 products are exact, and the sums come back in parts of 32 bits, however wide they are.

Extra memory: both operands in float64 (times their digits, where there are any), and the result once per part.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

from kernels.block_sums import (
    FLOAT64_BITS,
    PART_BITS,
    SAFE_BITS,
    AlignedExtent,
    BlockSums,
    check_blocks,
    check_elements,
    check_width,
)
from kernels.tensors.dots import ieee_products, largest_magnitude

DIGIT_BITS: Final = 16
DIGIT_DEPTH: Final = 1 << 20
"""So many products of two digits add up to less than ``2**52``."""
_MOST_DIGITS: Final = 256
"""Numbers of 4,096 bits; the sums of a place of so many products stay below ``2**62``."""
_FLOAT_SHIFT: Final = 400
"""Scaled elements and the bound of their sums stay far inside of float64's range up to here."""


class ScaledOperands(NamedTuple):
    """Two sides whose exponents have been reduced to shifts of at least 0, and how to multiply them."""

    left: torch.Tensor
    right: torch.Tensor
    left_shifts: torch.Tensor
    """Shape ``(m, blocks)``."""
    right_shifts: torch.Tensor
    """Shape ``(blocks, n)``."""
    row_exponents: torch.Tensor
    column_exponents: torch.Tensor
    digits: tuple[int, int]
    """Digits of each side; (0, 0) if one float64 product of the whole numbers is exact."""
    narrow: bool
    """Whether every sum stays below ``2**62``."""

    @property
    def places(self) -> int:
        """How many sums of digit products there are, one for each power of ``2**16``."""
        return max(sum(self.digits) - 1, 1)


def reduce_exponents(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
) -> ScaledOperands:
    """Count exponents from the least of each row and column, and find what holds the sums.

    Args:
        left: as for `block_matmul`.
        right: as for `block_matmul`.
        left_exponents: as for `block_matmul`.
        right_exponents: as for `block_matmul`.
        block: as for `block_matmul`.

    Raises:
        ValueError: as `block_matmul`.
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_elements(largest_magnitude(left), largest_magnitude(right))
    rows, row_shifts = _from_least(left_exponents.long(), 1)
    columns, column_shifts = _from_least(right_exponents.long(), 0)
    depth = left.shape[1]
    widths = [
        largest_magnitude(values).bit_length() + largest_magnitude(shifts)
        for values, shifts in ((left, row_shifts), (right, column_shifts))
    ]
    bound = _sum_bound(left, right, row_shifts, column_shifts, block) if max(widths) < _FLOAT_SHIFT else math.inf
    digits = (0, 0)
    # An element beyond 53 bits meets nothing but zeros if the bound stays below them, so its rounding does not matter.
    if bound >= 1 << FLOAT64_BITS:
        digits = -(-widths[0] // DIGIT_BITS), -(-widths[1] // DIGIT_BITS)
        if max(digits) * -(-depth // DIGIT_DEPTH) > _MOST_DIGITS:
            raise ValueError(
                f"elements and spreads of exponents of {widths[0]} and {widths[1]} bits in {depth} products: this twin "
                f"holds {_MOST_DIGITS * DIGIT_BITS} bits in up to {DIGIT_DEPTH} products; use "
                "kernels.compiled.block_dots"
            )
    return ScaledOperands(
        left.long(), right.long(), row_shifts, column_shifts, rows, columns, digits, bound < 1 << SAFE_BITS
    )


def _from_least(exponents: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The least exponent along an axis, 0 if there is none, and how far above it each is."""
    if not exponents.shape[axis]:
        return exponents.new_zeros(exponents.shape[1 - axis]), exponents
    least = exponents.amin(dim=axis, keepdim=True)
    return least.squeeze(axis), exponents - least


def _sum_bound(
    left: torch.Tensor, right: torch.Tensor, row_shifts: torch.Tensor, column_shifts: torch.Tensor, block: int
) -> int:
    """A bound of every partial sum: the left side's largest of each k times the magnitudes of a column."""
    if not left.numel() or not right.numel():
        return 0
    largest = scaled(left, row_shifts, block, 1).abs().amax(dim=0)
    sums = (scaled(right, column_shifts, block, 0).abs() * largest[:, None]).sum(dim=0)
    # The relative excess covers the rounding of these sums themselves.
    return math.ceil(float(sums.max()) * (1 + 2.0**-20))


def per_element(per_block: torch.Tensor, block: int, axis: int, depth: int) -> torch.Tensor:
    """What belongs to blocks, repeated for each of their elements along an axis of ``depth``."""
    return per_block.repeat_interleave(block, dim=axis).narrow(axis, 0, depth)


def scaled(values: torch.Tensor, shifts: torch.Tensor, block: int, axis: int) -> torch.Tensor:
    """Elements times ``2**shift`` in float64: exact for elements of at most 53 bits."""
    powers = ((per_element(shifts, block, axis, values.shape[axis]) + 1023) << 52).view(torch.float64)
    return values.double() * powers


def folded(places: list[torch.Tensor], *, narrow: bool) -> torch.Tensor:
    """Sums of digit products, least place first, as the parts of `BlockSums`: shape ``(parts, m, n)``.

    Args:
        places: int64 ``(m, n)`` each, in units of ``2**16`` to the power of the place.
        narrow: whether the whole sums are known to fit one int64.
    """
    parts = [torch.zeros_like(places[0]) for _ in range((len(places) + 1) // 2 + 1)]
    mask = (1 << DIGIT_BITS) - 1
    for place, total in enumerate(places):
        index = place // 2
        if place % 2:
            parts[index] += (total & mask) << DIGIT_BITS
            parts[index + 1] += total >> DIGIT_BITS
        else:
            parts[index] += total
    if narrow:
        # What the shift drops are multiples of 2**64, and the sum wraps to the right one.
        return (parts[0] + (parts[1] << PART_BITS))[None]
    return torch.stack(parts)


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
        left: element integers up to 62 bits in any dtype that holds them, shape ``(m, k)``.
        right: the same, on the same device, shape ``(k, n)``.
        left_exponents: binary exponent of each block's unit, shape ``(m, ceil(k / block))``.
        right_exponents: the same for the right side, shape ``(ceil(k / block), n)``.
        block: elements per block along k; the last block may be shorter.

    Returns:
        One part of int64 where the sums provably fit 62 bits, else as many parts of 32 bits as they need.

    Raises:
        ValueError: if shapes do not fit, elements are too wide, or exponents of a row or column spread over more than
            some 4,000.

    >>> one, eight = torch.tensor([[0, 3]]), torch.tensor([[0], [0]])
    >>> sums = block_matmul(torch.tensor([[1, 1]]), torch.tensor([[5], [1]]), one, eight, block=1)
    >>> sums.integers()
    tensor([[13]])
    """
    given = reduce_exponents(left, right, left_exponents, right_exponents, block=block)
    exponents = given.row_exponents, given.column_exponents
    with ieee_products():
        if given.digits == (0, 0):
            sides = scaled(given.left, given.left_shifts, block, 1), scaled(given.right, given.right_shifts, block, 0)
            return BlockSums((sides[0] @ sides[1]).long()[None], *exponents)
        places = [
            torch.zeros(left.shape[0], right.shape[1], dtype=torch.int64, device=left.device)
            for _ in range(given.places)
        ]
        for start in range(0, left.shape[1], DIGIT_DEPTH):
            inside = slice(start, start + DIGIT_DEPTH)
            columns = _digits(given.left, given.left_shifts, block, 1, given.digits[0], inside)
            rows = _digits(given.right, given.right_shifts, block, 0, given.digits[1], inside)
            for place, some in enumerate(columns):
                for other_place, others in enumerate(rows):
                    places[place + other_place] += (some @ others).long()
    return BlockSums(folded(places, narrow=given.narrow), *exponents)


def _digits(
    values: torch.Tensor, shifts: torch.Tensor, block: int, axis: int, count: int, inside: slice
) -> list[torch.Tensor]:
    """The digits of ``values * 2**shifts`` between two k as float64, each with the sign of its number."""
    wide = per_element(shifts, block, axis, values.shape[axis])
    some, by = (values[:, inside], wide[:, inside]) if axis else (values[inside], wide[inside])
    sign, magnitude = some.sign(), some.abs()
    digits = []
    for place in range(count):
        moved = by - DIGIT_BITS * place
        left = torch.where(moved < DIGIT_BITS, magnitude << moved.clamp(0, DIGIT_BITS), 0)
        digit = torch.where(moved < 0, magnitude >> (-moved).clamp(0, 63), left) & ((1 << DIGIT_BITS) - 1)
        digits.append((sign * digit).double())
    return digits


def aligned_extent(
    left: torch.Tensor,
    right: torch.Tensor,
    left_exponents: torch.Tensor,
    right_exponents: torch.Tensor,
    *,
    block: int,
    unit: int,
    initial: torch.Tensor | None,
) -> AlignedExtent:
    """What bounds the sums of `block_matmul_aligned`."""
    return AlignedExtent(
        largest_left=largest_magnitude(left),
        largest_right=largest_magnitude(right),
        depth=left.shape[1],
        block=block,
        highest_shift=sum(int(one.max()) if one.numel() else 0 for one in (left_exponents, right_exponents)) - unit,
        largest_initial=0 if initial is None else largest_magnitude(initial),
    )


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

    >>> operands = torch.tensor([[3, 1]]), torch.tensor([[1], [-1]])
    >>> exponents = torch.tensor([[-1, 0]]), torch.tensor([[0], [0]])
    >>> block_matmul_aligned(*operands, *exponents, block=1, unit=0, width=8)
    tensor([[0]])
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_width(width)
    aligned_extent(left, right, left_exponents, right_exponents, block=block, unit=unit, initial=initial).check()
    shape = left.shape[0], right.shape[1]
    sums = torch.zeros(shape, dtype=torch.int64, device=left.device)
    if initial is not None:
        sums += initial.long()
    values, others = left.double(), right.double()
    row_shifts, column_shifts = left_exponents.long() - unit, right_exponents.long()
    with ieee_products():
        for index in range(left_exponents.shape[1]):
            inside = slice(index * block, (index + 1) * block)
            part = (values[:, inside] @ others[inside]).long()
            shifts = row_shifts[:, index, None] + column_shifts[index]
            sums += torch.where(shifts < 0, part >> (-shifts).clamp(0, 63), part << shifts.clamp(0, 63))
    limit = 1 << (width - 1)
    return sums.clamp(-limit, limit - 1)
