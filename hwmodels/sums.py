"""From the products of an output to its accumulator: adder trees, block scaling, binary planes, registers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.datapaths import AlignedAccumulator, Arithmetic, NarrowAccumulator, Product
from emulation.formats import FixedPoint, MiniFloat
from emulation.lmul_ranges import product_unit_exponent
from emulation.rules import Rounding
from hwmodels.accumulators import accumulator_bits, product_range, range_bits
from hwmodels.block_units import BlockStage, block_stage, blocks_at_once, fits_blocks, scale_words
from hwmodels.composition import FIXED_LANE, MINIFLOAT_LANE
from hwmodels.folding import FoldingError
from hwmodels.lanes import lane
from hwmodels.lmul_units import largest_product
from hwmodels.operands import block_of
from hwmodels.registers import (
    FLOAT_GUARD_BITS,
    Register,
    exact_register,
    names_its_chunk,
    narrow_register,
    saturated_register,
)
from hwmodels.units import adder_tree, multiplier_luts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emulation.datapaths import Accumulator
    from emulation.formats import Format
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.lanes import Lane
    from hwmodels.table_units import TableScope

BLOCK_REGISTER_BITS: Final = 32
"""Width of a block engine's exact accumulator unless it is given (hardware mode's own default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SumCost:
    """What one output's sum takes beyond the lanes.

    Attributes:
        luts: by family.
        registers: bits behind the adders.
        levels: pipeline stages.
    """

    luts: dict[str, float]
    registers: int
    levels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How an engine sums: its lane, its register, and the stage its blocks go through.

    Attributes:
        lane: what multiplies.
        register: what holds the sum.
        stage: of blocks, else None.
        held_bits: bits per output between accumulation and requantisation.
        plane_bits: of the sum of one binary plane, 0 without planes.
        channels: input channels of a tap, along which blocks run.
    """

    lane: Lane
    register: Register
    stage: BlockStage | None
    held_bits: int
    plane_bits: int
    channels: int

    def cost(self, simd: int) -> SumCost:
        """The sum of ``simd`` products a cycle into one output."""
        if self.lane.planes is not None:
            luts, registers, levels = adder_tree(simd, self.lane.product_bits)
            planes = self.lane.planes.planes
            return SumCost(
                luts={FIXED_LANE: float(planes * (luts + self.plane_bits))}, registers=planes * registers, levels=levels
            )
        if self.stage is not None:
            return self._blocks(simd, self.stage)
        luts, registers, levels = adder_tree(simd, self.lane.product_bits, self.register.tree_bits)
        found = {self.lane.family: luts + self.register.adder_luts}
        _add(found, self.register.other_luts)
        return SumCost(luts=found, registers=registers + self.register.registers, levels=levels)

    def _blocks(self, simd: int, stage: BlockStage) -> SumCost:
        dot_bits = self.lane.product_bits + (stage.block - 1).bit_length()
        at_once = blocks_at_once(simd, self.channels, stage.block)
        each = min(simd, stage.block)
        luts, registers, levels = adder_tree(each, self.lane.product_bits)
        if not at_once:  # a block takes several cycles: its dot product has an accumulator of its own
            luts, registers = luts + dot_bits, registers + dot_bits
        dots = max(at_once, 1)
        join, join_registers, join_levels = adder_tree(dots, self.register.bits)
        found = {self.lane.family: float(dots * luts)}
        scaled = stage.luts(dot_bits, self.register.bits)
        if self.register.read_shift_bits and dots == 1:  # a floating-point register aligns what it adds by itself
            scaled = {MINIFLOAT_LANE: scaled[MINIFLOAT_LANE]}
        _add(found, {family: dots * count for family, count in scaled.items()})
        _add(found, {FIXED_LANE: join + self.register.adder_luts})
        _add(found, self.register.other_luts)
        waiting = stage.scaled_bits(dot_bits) + self.register.bits  # behind the scale product and the aligner
        return SumCost(
            luts=found,
            registers=dots * (registers + waiting) + join_registers + self.register.registers,
            levels=levels + 2 + join_levels,
        )

    def output_luts(self) -> float:
        """LUTs per requantiser that join binary planes, multiplications by alpha left out."""
        planes = self.lane.planes
        return 0.0 if planes is None else float(adder_tree(planes.planes, self.plane_bits + planes.alpha_bits)[0])

    def alpha_luts(self) -> float:
        """LUTs per requantiser of the multiplications by alpha."""
        planes = self.lane.planes
        return 0.0 if planes is None else planes.planes * multiplier_luts(self.plane_bits, planes.alpha_bits)


def sums_of(
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    arithmetic: Arithmetic,
    table_scope: TableScope,
    accumulator: int | None,
) -> Sums:
    """How an engine of these formats and this arithmetic sums.

    Args:
        shape: what is computed.
        weight_format: of the weights.
        activation_format: of the activations.
        arithmetic: product and accumulator.
        table_scope: what a learned codebook's table holds for.
        accumulator: bits of an exact accumulator; None takes the worst case of the formats, with a bias as large as the
            largest sum, and for blocks `BLOCK_REGISTER_BITS`. Aligned and narrow accumulators have their own width.

    Raises:
        ValueError: if a format or a combination has no cost model.
    """
    found = lane(weight_format, activation_format, arithmetic, table_scope)
    channels = shape.in_channels // shape.groups
    stage = block_stage(weight_format, activation_format, channels)
    narrow = arithmetic.accumulator if isinstance(arithmetic.accumulator, NarrowAccumulator) else None
    if stage is not None:
        if arithmetic.product is not Product.EXACT:
            raise ValueError(
                f"there is no cost model for {arithmetic} of {weight_format} x {activation_format}: products are exact "
                "within a block"
            )
        register = _block_register(arithmetic, stage, found, shape, accumulator)
    elif isinstance(arithmetic.accumulator, AlignedAccumulator):
        raise ValueError(
            f"there is no cost model for {arithmetic} of {weight_format} x {activation_format}: it aligns blocks, and "
            "neither has any"
        )
    elif narrow is not None:
        lanes = min(narrow.chunk, shape.depth)
        register = narrow_register(
            narrow,
            product_exponent=product_unit_exponent(weight_format, activation_format, arithmetic.product),
            sum_bits=found.product_bits + (lanes - 1).bit_length(),
            chunks=-(-shape.depth // lanes),
        )
    else:
        if accumulator is None:
            accumulator = _exact_bits(shape, weight_format, activation_format, arithmetic.product)
        register = exact_register(accumulator)
    plane_bits = found.product_bits + (shape.depth - 1).bit_length() if found.planes else 0
    held = found.planes.planes * plane_bits if found.planes else register.bits
    return Sums(lane=found, register=register, stage=stage, held_bits=held, plane_bits=plane_bits, channels=channels)


def _block_register(
    arithmetic: Arithmetic, stage: BlockStage, lane: Lane, shape: EngineShape, bits: int | None
) -> Register:
    """What adds the dot products of blocks.

    A fixed-point register is added to after the aligner, which cuts off below its last bit; a rounding other than the
    floor gets the bits that round (guard, round, sticky). A floating-point register normalises the dot product itself.
    """
    accumulator = arithmetic.accumulator
    if isinstance(accumulator, AlignedAccumulator):
        return saturated_register(accumulator.width)
    if not isinstance(accumulator, NarrowAccumulator):
        return saturated_register(bits or BLOCK_REGISTER_BITS)
    at_once = min(accumulator.chunk, scale_words(shape, stage.block))
    growth = (at_once - 1).bit_length()
    exponent = accumulator.format.unit_exponent
    if isinstance(accumulator.format, FixedPoint):
        kept = 0 if accumulator.rounding is Rounding.FLOOR else FLOAT_GUARD_BITS
        sum_bits = accumulator.format.width + kept + growth
    else:
        kept, sum_bits = 0, stage.scaled_bits(lane.product_bits + (stage.block - 1).bit_length()) + growth
    register = narrow_register(
        accumulator,
        product_exponent=exponent - kept,
        sum_bits=sum_bits,
        chunks=-(-scale_words(shape, stage.block) // at_once),
    )
    if at_once == 1:
        return register
    note = f"accumulator {accumulator}: the exact sum of {at_once} blocks is priced as wide as the register"
    return dataclasses.replace(register, notes=(*register.notes, note))


def _exact_bits(shape: EngineShape, weight: Format, activation: Format, product: Product) -> int:
    """Bits of an exact accumulator in the worst case of the formats, with a bias as large as the largest sum."""
    if product is not Product.EXACT and isinstance(weight, MiniFloat) and isinstance(activation, MiniFloat):
        most = shape.depth * largest_product(weight, activation, product)
        return range_bits(-most * (1 + shape.has_bias), most * (1 + shape.has_bias))
    bias = shape.depth * max(abs(v) for v in product_range(weight, activation))
    return accumulator_bits(weight, activation, shape.depth, bias=bias if shape.has_bias else 0)


def usable_foldings(
    foldings: Iterable[Folding],
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    arithmetic: Arithmetic,
) -> tuple[Folding, ...]:
    """The foldings under which an engine computes what its datapath says; there may be none.

    Accumulators that saturate or round take ``simd = chunk`` products at once (all, if an output has fewer); blocks
    take lanes that lie inside one block or are whole blocks (`hwmodels.block_units.fits_blocks`), and such accumulators
    ``chunk`` blocks at once.
    """
    return tuple(
        folding
        for folding in foldings
        if _why_not(folding, shape, weight_format, activation_format, arithmetic) is None
    )


def check_datapath(
    folding: Folding, shape: EngineShape, weight_format: Format, activation_format: Format, arithmetic: Arithmetic
) -> None:
    """Check that a folding computes what the datapath says.

    Raises:
        FoldingError: if it does not, with what would.
    """
    reason = _why_not(folding, shape, weight_format, activation_format, arithmetic)
    if reason is not None:
        raise FoldingError(reason)


def _why_not(
    folding: Folding, shape: EngineShape, weight_format: Format, activation_format: Format, arithmetic: Arithmetic
) -> str | None:
    narrow = arithmetic.accumulator
    stage = block_stage(weight_format, activation_format, shape.in_channels // shape.groups)
    if stage is not None:
        return _why_no_blocks(folding, shape, stage, (weight_format, activation_format), narrow)
    if isinstance(narrow, NarrowAccumulator) and names_its_chunk(arithmetic, weight_format, activation_format):
        wanted = min(narrow.chunk, shape.depth)
        if folding.simd != wanted:
            return f"simd {folding.simd} sums other chunks than accumulator {narrow}: use simd {wanted}"
    return None


def _why_no_blocks(
    folding: Folding,
    shape: EngineShape,
    stage: BlockStage,
    operands: tuple[Format, Format],
    accumulator: Accumulator,
) -> str | None:
    for blocks in map(block_of, operands):
        if blocks is not None and not fits_blocks(folding, shape, blocks.block_size):
            return (
                f"simd {folding.simd} cuts the blocks of {blocks} along {shape.in_channels // shape.groups} channels: "
                "use a divisor of every block, or whole blocks"
            )
    if isinstance(accumulator, NarrowAccumulator):
        found = max(blocks_at_once(folding.simd, shape.in_channels // shape.groups, stage.block), 1)
        wanted = min(accumulator.chunk, scale_words(shape, stage.block))
        if found != wanted:
            return (
                f"simd {folding.simd} adds {found} blocks at once, and accumulator {accumulator} takes {wanted}: use "
                f"simd {wanted * stage.block}" + (" or a divisor of it" if wanted == 1 else "")
            )
    return None


def _add(luts: dict[str, float], more: Mapping[str, float]) -> None:
    for family, count in more.items():
        luts[family] = luts.get(family, 0.0) + count
