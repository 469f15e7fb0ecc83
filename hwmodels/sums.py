"""From the products of an output to its accumulator: adder trees, block scaling, binary planes, registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic, NarrowAccumulator
from hwmodels.accumulators import accumulator_bits, product_range
from hwmodels.block_units import BlockStage, block_stage, blocks_at_once, fits_blocks
from hwmodels.composition import FIXED_LANE
from hwmodels.folding import FoldingError
from hwmodels.lanes import lane
from hwmodels.operands import block_of
from hwmodels.registers import Register, exact_register, names_its_chunk, narrow_register, saturated_register
from hwmodels.units import adder_tree, multiplier_luts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emulation.formats import Format
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.lanes import Lane
    from hwmodels.table_units import TableScope

BLOCK_REGISTER_BITS: Final = 32
"""Width of a block engine's accumulator unless it is given (hardware mode's own default)."""


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
            largest sum. A narrow accumulator has its own width.

    Raises:
        ValueError: if a format or a combination has no cost model.
    """
    found = lane(weight_format, activation_format, arithmetic, table_scope)
    channels = shape.in_channels // shape.groups
    stage = block_stage(weight_format, activation_format, channels)
    narrow = arithmetic.accumulator if isinstance(arithmetic.accumulator, NarrowAccumulator) else None
    if stage is not None:
        if arithmetic != Arithmetic():
            raise ValueError(
                f"there is no cost model for {arithmetic} of {weight_format} x {activation_format}: the products of "
                "blocks are exact and have an accumulator of their own"
            )
        register = saturated_register(accumulator or BLOCK_REGISTER_BITS)
    elif narrow is not None:
        lanes = min(narrow.chunk, shape.depth)
        register = narrow_register(
            narrow,
            weight_format=weight_format,
            activation_format=activation_format,
            sum_bits=found.product_bits + (lanes - 1).bit_length(),
            chunks=-(-shape.depth // lanes),
        )
    else:
        if accumulator is None:
            bias = shape.depth * max(abs(v) for v in product_range(weight_format, activation_format))
            accumulator = accumulator_bits(
                weight_format, activation_format, shape.depth, bias=bias if shape.has_bias else 0
            )
        register = exact_register(accumulator)
    plane_bits = found.product_bits + (shape.depth - 1).bit_length() if found.planes else 0
    held = found.planes.planes * plane_bits if found.planes else register.bits
    return Sums(lane=found, register=register, stage=stage, held_bits=held, plane_bits=plane_bits, channels=channels)


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
    take lanes that lie inside one block or are whole blocks (`hwmodels.block_units.fits_blocks`).
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
    if isinstance(narrow, NarrowAccumulator) and names_its_chunk(arithmetic, weight_format, activation_format):
        wanted = min(narrow.chunk, shape.depth)
        if folding.simd != wanted:
            return f"simd {folding.simd} sums other chunks than accumulator {narrow}: use simd {wanted}"
    for blocks in (block_of(weight_format), block_of(activation_format)):
        if blocks is not None and not fits_blocks(folding, shape, blocks.block_size):
            return (
                f"simd {folding.simd} cuts the blocks of {blocks} along {shape.in_channels // shape.groups} channels: "
                "use a divisor of every block, or whole blocks"
            )
    return None


def _add(luts: dict[str, float], more: Mapping[str, float]) -> None:
    for family, count in more.items():
        luts[family] = luts.get(family, 0.0) + count
