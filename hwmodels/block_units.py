"""Blocks with scales: what a block's dot product goes through, where its scales are kept, how outputs become blocks.

The dot product of a block's elements is exact. It is multiplied by the product of the scales' significands (1 for
powers of two), moved to the accumulator's static unit by the sum of their exponents, and added. Measured block-scaled
dot products hold lanes, tree and the adder of two 8-bit scales; the aligner is a measured shifter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.formats import BlockScaled, MiniFloat
from hwmodels.composition import LEADING_ONE, LOGIC, MEMORY, MINIFLOAT_LANE, REQUANTISER, SHIFTER
from hwmodels.leading_ones import leading_one_luts, leading_one_notes
from hwmodels.memory import Access, lut_memory_count
from hwmodels.minifloat_units import Significand
from hwmodels.operands import block_of
from hwmodels.units import SATURATE_LUTS_PER_BIT, multiplier_luts, shifter_luts

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding

CLIP_LUTS: Final = 8
"""Clipping of a shift distance to the width of the accumulator: one comparison of an 8-bit exponent; assumed."""
WAITING_BITS: Final = 48
"""Bits of an output that waits for its block's exponent: the exact product of a 32-bit accumulator and a 16-bit
multiplier, because its cast rounds once from the exact value."""
NVFP4_LEVELS: Final = 7
"""Positive magnitudes of E2M1, each told from the one below by one threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStage:
    """Scaling and alignment of one block's dot product.

    Attributes:
        block: products in a full block.
        exponent_luts: adders of scale exponents and clipping of the shift.
        significand_bits: of the product of the scales' significands; 1 for powers of two.
        largest_shift: places the scales can move a dot product.
        scale_widths: of the weight's and the activation's scale; 0 for an operand without blocks.
        notes: what is assumed.
    """

    block: int
    exponent_luts: float
    significand_bits: int
    largest_shift: int
    scale_widths: tuple[int, int]
    notes: tuple[str, ...]

    def luts(self, dot_bits: int, register_bits: int) -> dict[str, float]:
        """LUTs by family for one dot product of ``dot_bits`` bits into a register of ``register_bits`` bits."""
        scale = multiplier_luts(dot_bits, self.significand_bits) if self.significand_bits > 1 else 0.0
        scaled_bits = self.scaled_bits(dot_bits)
        width = max(scaled_bits, register_bits)
        # Beyond the register's width on either side every shift gives the same result.
        amount = min(self.largest_shift, scaled_bits + register_bits)
        return {
            MINIFLOAT_LANE: scale + self.exponent_luts,
            SHIFTER: shifter_luts(width, amount.bit_length()),
            LOGIC: float(CLIP_LUTS),
        }

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
    both = len(scales) == 2
    exponent_bits = max(scale.exponent_bits for scale in scales)
    fractional = [scale.bits for one, scale in zip(known, scales, strict=True) if one.scale.mantissa_bits]
    pair = f"{weight_format} x {activation_format}"
    return BlockStage(
        block=min(known[0].block_size, channels),
        # The sum of two 8-bit exponents is part of the measured dot products; the offset of the accumulator's unit is
        # already in the stored scale of the weights.
        exponent_luts=float(exponent_bits) if both else 0.0,
        significand_bits=sum(fractional) or 1,
        largest_shift=sum(scale.largest_shift for scale in scales),
        scale_widths=(blocks[0].scale.width if blocks[0] else 0, blocks[1].scale.width if blocks[1] else 0),
        notes=(f"blocks {pair}: aligner is a measured shifter, its clipping assumed; never measured together",),
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


def block_output_luts(output_format: BlockScaled, requantisers: int) -> dict[str, float]:
    """LUTs by family of the stage that turns requantised outputs into blocks.

    A double buffer holds a block of exact values; the largest magnitude is found as they arrive (the measured unit: OR
    of the magnitudes and leading one); each value is then shifted by the block's exponent, rounded and saturated. An
    NVFP4 element is compared with the thresholds of its magnitudes times the block's scale instead.
    """
    element, width = output_format.element, output_format.element.width
    words = -(-output_format.block_size // requantisers)
    luts = {
        LEADING_ONE: leading_one_luts(requantisers, WAITING_BITS),
        MEMORY: float(lut_memory_count(2 * words, requantisers * WAITING_BITS, Access.READ_WRITE)),
        LOGIC: requantisers * width / 2 + output_format.scale.width + 2 * words.bit_length(),
    }
    if not output_format.has_power_of_two_scale:
        number = Significand.of(output_format.scale)
        digits = WAITING_BITS.bit_length()
        # The scale: normalise the largest magnitude, divide by the element's largest (one constant product), round.
        luts[SHIFTER] = shifter_luts(WAITING_BITS, digits)
        luts[REQUANTISER] = multiplier_luts(number.bits + 4, number.bits) + number.bits
        # Thresholds are odd multiples of half a step: shifted sums of the scale; one comparison each.
        luts[LOGIC] += requantisers * NVFP4_LEVELS * (WAITING_BITS + number.bits)
        return luts
    digits = WAITING_BITS.bit_length()
    shifts = shifter_luts(WAITING_BITS, digits)
    if isinstance(element, MiniFloat):
        magnitude = element.largest_integer.bit_length()
        inner = Significand.of(element).largest_shift.bit_length()
        shifts += shifter_luts(magnitude, inner)
        luts[LOGIC] += requantisers * (magnitude / 5 + inner)
    luts[SHIFTER] = requantisers * shifts
    luts[REQUANTISER] = requantisers * (element.width + SATURATE_LUTS_PER_BIT * element.width)
    return luts


def block_output_flip_flops(output_format: BlockScaled, requantisers: int) -> int:
    """Bits of registers of that stage: waiting value, shifted value, code, and the block's largest magnitude."""
    return requantisers * (2 * WAITING_BITS + 2 * output_format.element.width) + WAITING_BITS


def block_output_notes(output_format: BlockScaled, requantisers: int) -> tuple[str, ...]:
    """What is assumed of that stage, in words."""
    return (
        f"output stage {output_format}: composed of measured shifters and leading ones and assumed logic",
        *leading_one_notes(requantisers, WAITING_BITS),
    )
