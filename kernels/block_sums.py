"""What the twins of products of blocks share: how wide sums are handed over, which shapes fit, and which sums do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from kernels.twins import Array

PART_BITS: Final = 32
"""A wide sum is ``sum part[i] * 2**(32 * i)``, each part an int64."""
SAFE_BITS: Final = 62
FLOAT64_BITS: Final = 53


class BlockSums(NamedTuple):
    """Exact sums of shape ``(m, n)``: ``sum(parts[p] * 2**(32 * p)) * 2**(row_exponents[i] + column_exponents[j])``.

    Arrays or tensors. ``parts`` has shape ``(p, m, n)``: int64, or Python integers in an object array (then there is
    one part). The twins choose their own number of parts; `integers` is what they agree on.
    """

    parts: Array
    row_exponents: Array
    column_exponents: Array

    def integers(self) -> Array:
        """The sums in the units of their rows and columns: int64, or Python integers where there are several parts.

        Raises:
            ValueError: if tensors come in several parts, as torch has no wider integers than 64 bits.

        >>> nothing = np.zeros(1, np.int64)
        >>> BlockSums(np.array([[[5]], [[1]]]), nothing, nothing).integers()
        array([[4294967301]], dtype=object)
        """
        if len(self.parts) == 1:
            return self.parts[0]
        if not isinstance(self.parts, np.ndarray):
            raise ValueError(  # noqa: TRY004 - the type is right, the numbers are too large for it
                f"sums of {len(self.parts)} parts need more than {SAFE_BITS} bits, and a tensor has int64: move the "
                "parts to NumPy arrays, which give Python integers"
            )
        total = self.parts[-1].astype(object)
        for part in self.parts[-2::-1]:
            total = (total << PART_BITS) + part.astype(object)
        return total


def check_blocks(
    left: Array,
    right: Array,
    left_exponents: Array,
    right_exponents: Array,
    block: int,
) -> None:
    """Refuse shapes of elements and exponents that do not fit.

    Raises:
        ValueError: with the shapes given and wanted.
    """
    shapes = [tuple(one.shape) for one in (left, right, left_exponents, right_exponents)]
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][0]:
        raise ValueError(
            f"operands of shapes {shapes[0]} and {shapes[1]} have no matrix product: give (m, k) and (k, n)"
        )
    if block < 1:
        raise ValueError(f"blocks of {block} elements: at least 1")
    blocks = -(-shapes[0][1] // block)
    wanted = (shapes[0][0], blocks), (blocks, shapes[1][1])
    if (shapes[2], shapes[3]) != wanted:
        raise ValueError(
            f"exponents of shapes {shapes[2]} and {shapes[3]} for {blocks} blocks of {block} along k = "
            f"{shapes[0][1]}: give {wanted[0]} and {wanted[1]}"
        )


def check_width(width: int) -> None:
    """Refuse results of blocks that no 64-bit word holds.

    Raises:
        ValueError: with the width.
    """
    if not 1 <= width <= 63:
        raise ValueError(f"a result of {width} bits: 1 to 63 are allowed")


class AlignedExtent(NamedTuple):
    """Numbers that bound the sums of the aligned rule, all of them Python integers."""

    largest_left: int
    largest_right: int
    depth: int
    block: int
    highest_shift: int
    """Greatest ``left exponent + right exponent - unit``."""
    largest_initial: int

    def part(self) -> int:
        """The greatest dot product of one block."""
        return min(self.block, max(self.depth, 1)) * self.largest_left * self.largest_right

    def bits(self) -> int:
        """Bits of the greatest sum of any blocks and the initial value, and of its partial sums."""
        if not self.part():
            return self.largest_initial.bit_length() + 2
        blocks = -(-self.depth // self.block)
        bits = self.part().bit_length() + max(self.highest_shift, 0) + blocks.bit_length() + 1
        return max(bits, self.largest_initial.bit_length() + 2)

    def check(self) -> None:
        """Refuse sums that tensors do not hold.

        Raises:
            ValueError: with the bits needed.
        """
        if self.part() >= 1 << FLOAT64_BITS or self.bits() > SAFE_BITS:
            raise ValueError(
                f"blocks of {self.block} products up to {self.largest_left * self.largest_right}, shifted up to "
                f"{max(self.highest_shift, 0)} bits to the left, need {self.part().bit_length()} bits each and "
                f"{self.bits()} in their sum: tensors hold {FLOAT64_BITS} and {SAFE_BITS}; choose a larger unit or "
                "shorter blocks, or use kernels.compiled.block_dots, which has Python integers"
            )


def check_elements(*largest: int) -> None:
    """Refuse element integers that tensors do not hold with a bit to spare.

    Args:
        largest: the greatest magnitude of each side.

    Raises:
        ValueError: with their bits.
    """
    bits = max(largest).bit_length()
    if bits > SAFE_BITS:
        raise ValueError(
            f"element integers of {bits} bits: tensors hold {SAFE_BITS}; use kernels.compiled.block_dots, which has "
            "Python integers"
        )
