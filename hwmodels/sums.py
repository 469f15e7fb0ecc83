"""From the products of an output to its accumulator: adder trees, block scaling, binary planes, registers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.datapaths import AlignedAccumulator, Arithmetic, NarrowAccumulator, Product
from emulation.formats import FixedPoint, MiniFloat
from emulation.lmul_ranges import product_unit_exponent
from emulation.rules import Rounding
from hwmodels.accumulators import accumulator_bits, product_range, range_bits
from hwmodels.block_units import BlockStage, block_stage, blocks_at_once, fits_blocks, scale_words
from hwmodels.folding import FoldingError
from hwmodels.lanes import lane
from hwmodels.lmul_lanes import largest_product
from hwmodels.operands import block_of
from hwmodels.registers import (
    FLOAT_GUARD_BITS,
    Register,
    exact_register,
    names_its_chunk,
    narrow_register,
)
from hwmodels.rtl.binary_planes import PLANE_SCALE, PLANE_SUM
from hwmodels.rtl.lanes import MAXIMUM_LANES
from hwmodels.units import Priced, adder_tree, priced, tree_bits
from hwmodels.units import accumulator as exact_accumulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulation.formats import BlockScaled, Format
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.lanes import Lane
    from hwmodels.table_units import Planes, TableScope

BLOCK_REGISTER_BITS: Final = 32
"""Width of a block engine's exact accumulator unless it is given (hardware mode's own default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SumCost:
    """What one output's sum takes.

    Attributes:
        units: and how many of each.
        registers: bits behind adders, besides those inside the units.
        chosen_bits: bits of multiplexers without RTL.
        levels: pipeline stages before the accumulator.
        holds_lanes: whether the lanes are inside the units.
    """

    units: tuple[tuple[Priced, float], ...]
    registers: int = 0
    chosen_bits: int = 0
    levels: int = 0
    holds_lanes: bool = False

    @property
    def luts(self) -> float:
        """Of all units."""
        return sum(count * unit.luts for unit, count in self.units)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """How an engine sums: its lane, its register, and the stage its blocks go through.

    Compared by identity, which makes it a quick key: `sums_of` gives engines that sum alike the same object.

    Attributes:
        lane: what multiplies.
        register: what holds the sum.
        stage: of blocks, else None.
        held_bits: bits per output between accumulation and requantisation.
        plane_bits: of the sum of one binary plane, 0 without planes.
        channels: input channels of a tap, along which blocks run; 0 without blocks.
        bias: 1 if sums start from a bias.
    """

    lane: Lane
    register: Register
    stage: BlockStage | None
    held_bits: int
    plane_bits: int
    channels: int
    bias: int

    def cost(
        self, simd: int, *, several: bool, in_dsps: bool = False, dsp_inputs: int = 1, carries: int = 0
    ) -> SumCost:
        """The sum of ``simd`` products a cycle into one output.

        Args:
            simd: products at once.
            several: whether a sum takes more than one cycle.
            in_dsps: whether DSPs multiply, so that the lanes are not in LUTs.
            dsp_inputs: products that leave a DSP as one sum.
            carries: 1 if what DSPs lent each other is added with the products.
        """
        if self.lane.planes is not None:
            return self._planes(simd, self.lane.planes)
        if self.stage is not None:
            return self._blocks(simd, self.stage, several=several, in_dsps=in_dsps)
        carries = max(carries, self.lane.carries)
        bits = self.lane.product_bits + (dsp_inputs - 1).bit_length()
        if self.register.tree_bits is not None:
            bits = min(bits, self.register.tree_bits)
        terms = -(-simd // dsp_inputs)
        sum_bits = tree_bits(terms, bits, carries)
        units = self.register.units(sum_bits, carry=carries, bias=self.bias, several=several)
        found = [(unit, 1.0) for unit in units]
        if terms > 1:
            found.insert(0, (adder_tree(terms, bits, carries), 1.0))
        return SumCost(
            units=tuple(found),
            registers=self.register.registers,
            chosen_bits=self.register.chosen_bits,
            levels=(terms - 1).bit_length(),
        )

    def _planes(self, simd: int, planes: Planes) -> SumCost:
        known = min(simd, MAXIMUM_LANES)
        unit = priced(
            PLANE_SUM,
            lanes=known,
            width=planes.activation_bits,
            a_signed=planes.activation_signed,
            accumulator=self.plane_bits,
            bias=0,
        )
        unit = unit if known == simd else unit.times(simd / known, "lanes")
        return SumCost(units=((unit, float(planes.planes)),), holds_lanes=True)

    def _blocks(self, simd: int, stage: BlockStage, *, several: bool, in_dsps: bool) -> SumCost:
        dot_bits = self.lane.product_bits + (stage.block - 1).bit_length()
        at_once = blocks_at_once(simd, self.channels, stage.block)
        each, dots = min(simd, stage.block), max(at_once, 1)
        inner: list[tuple[Priced, float]] = []
        if not at_once:  # a block takes several cycles: its dot product has an accumulator of its own
            term = tree_bits(each, self.lane.product_bits, self.lane.carries)
            inner.append((exact_accumulator(term, dot_bits, bias=0, carry=0, several=True), 1.0))
        exact = self.register.narrow is None and not self.register.composed
        whole = None
        if exact and not in_dsps and not self.lane.weight_decoder and not self.lane.activation_decoder:
            whole = stage.whole(each, self.register.bits)
        if whole is not None:
            return SumCost(units=((whole, float(dots)), *inner), holds_lanes=True)
        parts = stage.parts(dot_bits, self.register.bits)
        if self.register.composed and dots == 1:  # a floating-point register aligns what it adds by itself
            parts = parts[:-1]
        found = [*inner, *((unit, float(dots)) for unit in parts)]
        if each > 1:
            found.append((adder_tree(each, self.lane.product_bits, self.lane.carries), float(dots)))
        if dots > 1:
            found.append((adder_tree(dots, self.register.bits), 1.0))
        found += [
            (unit, 1.0) for unit in self.register.units(self.register.bits, carry=0, bias=self.bias, several=several)
        ]
        waiting = stage.scaled_bits(dot_bits) + self.register.bits  # behind the scale product and the aligner
        return SumCost(
            units=tuple(found),
            registers=dots * waiting + self.register.registers,
            chosen_bits=self.register.chosen_bits,
            levels=(each - 1).bit_length() + 2 + (dots - 1).bit_length(),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is composed or assumed of the sums, the lane left out."""
        if self.stage is None:
            return self.register.notes
        if self.stage.is_measured and self.register.narrow is None and not self.register.composed:
            return self.register.notes
        return (*self.register.notes, "blocks: scale product and aligner have no RTL beside this register: composed")

    def joined_planes(self) -> Priced | None:
        """Per requantiser, the multiplications of binary planes by alpha and their sum; None without planes."""
        planes = self.lane.planes
        if planes is None:
            return None
        return priced(PLANE_SCALE, planes=planes.planes, width=self.plane_bits, alpha=planes.alpha_bits)


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
    return _known_sums(
        lane=found,
        register=register,
        stage=stage,
        held_bits=held,
        plane_bits=plane_bits,
        channels=0 if stage is None else channels,
        bias=int(shape.has_bias),
    )


_known_sums: Final = lru_cache(maxsize=1 << 12)(Sums)


def _block_register(
    arithmetic: Arithmetic, stage: BlockStage, lane: Lane, shape: EngineShape, bits: int | None
) -> Register:
    """What adds the dot products of blocks.

    A fixed-point register is added to after the aligner, which cuts off below its last bit; a rounding other than the
    floor gets the bits that round (guard, round, sticky). A floating-point register normalises the dot product itself.
    """
    accumulator = arithmetic.accumulator
    if isinstance(accumulator, AlignedAccumulator):
        return exact_register(accumulator.width)
    if not isinstance(accumulator, NarrowAccumulator):
        return exact_register(bits or BLOCK_REGISTER_BITS)
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
    rule = ChunkRule.of(shape, weight_format, activation_format, arithmetic)
    return tuple(folding for folding in foldings if rule.why_not(folding) is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRule:
    """Which foldings compute what a datapath says.

    Attributes:
        shape: what is computed.
        blocks: those of the operands, if there are any.
        stage: of blocks, else None.
        narrow: an accumulator whose sums depend on how many terms are added at once, else None.
    """

    shape: EngineShape
    blocks: tuple[BlockScaled, ...]
    stage: BlockStage | None
    narrow: NarrowAccumulator | None

    @classmethod
    def of(
        cls, shape: EngineShape, weight_format: Format, activation_format: Format, arithmetic: Arithmetic
    ) -> ChunkRule:
        """The rule of a datapath."""
        stage = block_stage(weight_format, activation_format, shape.in_channels // shape.groups)
        found = [block_of(one) for one in (weight_format, activation_format)]
        narrow = arithmetic.accumulator if isinstance(arithmetic.accumulator, NarrowAccumulator) else None
        if stage is None and not names_its_chunk(arithmetic, weight_format, activation_format):
            narrow = None
        return cls(shape=shape, blocks=tuple(one for one in found if one is not None), stage=stage, narrow=narrow)

    @property
    def takes_any(self) -> bool:
        """Whether every folding does."""
        return self.stage is None and self.narrow is None

    def check(self, folding: Folding) -> None:
        """Check one folding.

        Raises:
            FoldingError: if it computes something else, with what would do.
        """
        reason = self.why_not(folding)
        if reason is not None:
            raise FoldingError(reason)

    def why_not(self, folding: Folding) -> str | None:
        """Why a folding computes something else; None if it does not."""
        if self.stage is not None:
            return self._why_no_blocks(folding, self.stage)
        if self.narrow is not None:
            wanted = min(self.narrow.chunk, self.shape.depth)
            if folding.simd != wanted:
                return f"simd {folding.simd} sums other chunks than accumulator {self.narrow}: use simd {wanted}"
        return None

    def _why_no_blocks(self, folding: Folding, stage: BlockStage) -> str | None:
        shape, channels = self.shape, self.shape.in_channels // self.shape.groups
        for blocks in self.blocks:
            if not fits_blocks(folding, shape, blocks.block_size):
                return (
                    f"simd {folding.simd} cuts the blocks of {blocks} along {channels} channels: use a divisor of "
                    "every block, or whole blocks"
                )
        if self.narrow is not None:
            found = max(blocks_at_once(folding.simd, channels, stage.block), 1)
            wanted = min(self.narrow.chunk, scale_words(shape, stage.block))
            if found != wanted:
                return (
                    f"simd {folding.simd} adds {found} blocks at once, and accumulator {self.narrow} takes {wanted}: "
                    f"use simd {wanted * stage.block}" + (" or a divisor of it" if wanted == 1 else "")
                )
        return None
