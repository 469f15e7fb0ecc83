"""Blocks with scales: what a block's dot product goes through, where its scales are kept, which foldings keep them.

The dot product of a block's elements is exact. It is multiplied by the product of the scales' significands (1 for
powers of two), moved to the accumulator's static unit by the sum of their exponents, and added. With scales that are
powers of two and an exact register the whole is one measured unit (`hwmodels.rtl.blocks.block_dot`); all else is
composed of measured parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.operands import Significand, block_of, element_of, fields_of
from hwmodels.rtl.block_scales import BLOCK_SCALE_ADD
from hwmodels.rtl.blocks import BLOCK_DOT, MAXIMUM_LANES
from hwmodels.units import multiplier, priced, shifter

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.units import Priced

GUARD_BITS: Final = 2
"""Bits of a register of block products above the sum that is read, which saturates."""
UNIT_BITS: Final = 2
"""Bits a weight's scale is wider where it is stored: the difference to the accumulator's unit is already in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStage:
    """Scaling and alignment of one block's dot product.

    Attributes:
        block: products in a full block.
        elements: exponent and mantissa bits of both elements, as parameters; those of sums of powers are missing.
        scale_exponents: exponent bits of the activation's and the weight's scale; 0 for an operand without blocks.
        significand_bits: of the product of the scales' significands; 1 for powers of two.
        largest_shift: places the scales can move a dot product.
        scale_widths: of the weight's and the activation's scale; 0 for an operand without blocks.
    """

    block: int
    elements: tuple[tuple[str, int], ...]
    scale_exponents: tuple[int, int]
    significand_bits: int
    largest_shift: int
    scale_widths: tuple[int, int]

    @property
    def is_measured(self) -> bool:
        """Whether scales only move, and elements are integers or minifloats: that is a measured unit."""
        return self.significand_bits == 1 and len(self.elements) == 4

    def whole(self, lanes: int, register_bits: int) -> Priced | None:
        """One measured unit of lanes, tree, scales, aligner and an exact register; None if there is none so large."""
        if not self.is_measured or lanes > MAXIMUM_LANES or register_bits + GUARD_BITS > 128:
            return None
        return priced(
            BLOCK_DOT,
            lanes=lanes,
            **dict(self.elements),
            scale_a=max(self.scale_exponents[0], 1),
            scale_b=max(self.scale_exponents[1] + UNIT_BITS, 2),
            accumulator=register_bits + GUARD_BITS,
            output=register_bits,
            bias=0,  # shares the adder's LUTs
        )

    def parts(self, dot_bits: int, register_bits: int) -> tuple[Priced, ...]:
        """The same for one dot product of ``dot_bits`` bits, composed: scale, exponents, aligner."""
        scaled_bits = self.scaled_bits(dot_bits)
        # Beyond the register's width on either side every shift gives the same result.
        amount = min(self.largest_shift, scaled_bits + register_bits)
        exponents = priced(
            BLOCK_SCALE_ADD,
            scale_a=max(self.scale_exponents[0], 1),
            scale_b=max(self.scale_exponents[1] + UNIT_BITS, 2),
            largest=max(min(scaled_bits + register_bits, 1 << 16), 1),
        )
        found = (exponents, shifter(max(scaled_bits, register_bits), amount.bit_length()))
        if self.significand_bits == 1:
            return found
        return (multiplier(dot_bits, self.significand_bits, b_signed=0), *found)

    def scaled_bits(self, dot_bits: int) -> int:
        """Bits of a dot product times the scales' significands."""
        return dot_bits + (self.significand_bits if self.significand_bits > 1 else 0)


@lru_cache(maxsize=4096)
def block_stage(weight_format: Format, activation_format: Format, channels: int) -> BlockStage | None:
    """The stage behind the dot products of a pair of formats; None if neither has blocks.

    Args:
        weight_format: of the weights.
        activation_format: of the activations.
        channels: input channels; a block is never longer.

    Raises:
        ValueError: if both have blocks, of different sizes.
    """
    blocks = [block_of(one) for one in (weight_format, activation_format)]
    known = [one for one in blocks if one is not None]
    if not known:
        return None
    sizes = {one.block_size for one in known}
    if len(sizes) > 1:
        raise ValueError(
            f"blocks of {weight_format} and {activation_format} have different sizes {sorted(sizes)}: use equal ones"
        )
    scales = [Significand.of(one.scale) for one in known]
    fractional = [scale.bits for one, scale in zip(known, scales, strict=True) if one.scale.mantissa_bits]
    elements: list[tuple[str, int]] = []
    for place, one in (("a", activation_format), ("b", weight_format)):
        try:
            fields = fields_of(element_of(one))
        except ValueError:  # sums of powers of two beside blocks
            continue
        elements += [(f"e_{place}", fields.exponent_bits), (f"m_{place}", fields.mantissa_bits)]
    return BlockStage(
        block=min(known[0].block_size, channels),
        elements=tuple(elements),
        scale_exponents=(
            blocks[1].scale.exponent_bits if blocks[1] else 0,
            blocks[0].scale.exponent_bits if blocks[0] else 0,
        ),
        significand_bits=sum(fractional) or 1,
        largest_shift=sum(scale.largest_shift for scale in scales),
        scale_widths=(blocks[0].scale.width if blocks[0] else 0, blocks[1].scale.width if blocks[1] else 0),
    )


def fits_blocks(folding: Folding, shape: EngineShape, block_size: int) -> bool:
    """Whether the lanes of one cycle lie inside one block, or are whole blocks.

    Blocks run along the input channels of one kernel tap; the last one of a tap may be shorter. Inside a block, simd
    divides every block of a tap; several whole blocks at once divide the tap's blocks, or are whole taps.

    >>> from hwmodels.engine_shapes import EngineShape
    >>> from hwmodels.folding import Folding
    >>> shape = EngineShape(outputs=4, depth=64, in_channels=64)
    >>> [simd for simd in (1, 2, 4, 8, 16, 32, 64) if fits_blocks(Folding(simd=simd), shape, 16)]
    [1, 2, 4, 8, 16, 32, 64]
    """
    channels, simd = shape.in_channels // shape.groups, folding.simd
    block = min(block_size, channels)
    tail = channels % block
    if block % simd == 0 and (not tail or tail % simd == 0):
        return True
    if simd % channels == 0:
        return True
    return not tail and simd % block == 0 and channels % simd == 0


def blocks_at_once(simd: int, channels: int, block: int) -> int:
    """Blocks whose dot products end in one cycle; 0 if a block takes several cycles."""
    if simd >= channels:
        return simd // channels * -(-channels // block)
    return simd // block


def scale_words(shape: EngineShape, block: int) -> int:
    """Scales of one output's weights: one per block, blocks counted tap by tap."""
    channels = shape.in_channels // shape.groups
    return shape.depth // channels * -(-channels // block)
