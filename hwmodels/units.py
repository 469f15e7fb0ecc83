"""Prices of units: LUTs and flip-flops by the models fitted on synthesised rows, as compositions add them up.

Every function here is one family of `hwmodels.rtl.families` under the parameters that compositions need. LUTs are real
numbers and are rounded up where a `Cost` is made. Widths beyond what a generator takes are priced in proportion, and
say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from hwmodels.asic_area import logic_gates, memory_gates
from hwmodels.models import measured_units, unit_model, whole
from hwmodels.rtl.activations import TABLE_ACTIVATION
from hwmodels.rtl.adder_trees import ADDER_TREE, MAXIMUM_LANES, adder_tree_width
from hwmodels.rtl.block_scales import BLOCK_LEADING_ONE
from hwmodels.rtl.casts import CAST
from hwmodels.rtl.dot_products import ADDER
from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER, PACKED_MULTIPLIER
from hwmodels.rtl.engine_memories import PARAMETER_MEMORY
from hwmodels.rtl.engine_streams import REPLAY_BUFFER
from hwmodels.rtl.engine_sums import ACCUMULATOR
from hwmodels.rtl.engine_sums import MAXIMUM_BITS as MOST_SUM_BITS
from hwmodels.rtl.families import FAMILIES
from hwmodels.rtl.memories import WRITTEN_MEMORY
from hwmodels.rtl.minifloat_casts import MINIFLOAT_CAST
from hwmodels.rtl.multipliers import MAXIMUM_BITS, MULTIPLIER
from hwmodels.rtl.parallel_windows import PARALLEL_WINDOW
from hwmodels.rtl.requantisers import REQUANTISER
from hwmodels.rtl.shifters import BARREL_SHIFTER
from hwmodels.rtl.shifters import MAXIMUM_BITS as MOST_SHIFTED_BITS
from hwmodels.rtl.streams import FIFO
from hwmodels.rtl.windows import SERIAL_WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwmodels.models import UnitModel

COUNTED_MEMORY: Final = "counted memory"
MEMORIES: Final = frozenset(
    {
        COUNTED_MEMORY,
        PARAMETER_MEMORY,
        WRITTEN_MEMORY,
        REPLAY_BUFFER,
        SERIAL_WINDOW,
        PARALLEL_WINDOW,
        FIFO,
        TABLE_ACTIVATION,
    }
)
"""Families that hold bits: `hwmodels.energy` prices their accesses, `hwmodels.asic_area` their cells."""
LUT_FLOW: Final = "xcup"
DSP_FLOW: Final = "xcup-dsp"
"""The flow that may use DSPs; units that are one are measured in it, all others make the same in both."""
IN_DSPS: Final = frozenset({DSP_MULTIPLIER, PACKED_MULTIPLIER})
MOST_FACTOR_BITS: Final = MAXIMUM_BITS
"""Of an operand of `hwmodels.rtl.multipliers`."""
MOST_TERM_BITS: Final = 64
"""Of a term of `hwmodels.rtl.adder_trees`."""
MOST_CAST_BITS: Final = 192
"""Of what `hwmodels.rtl.casts` and `hwmodels.rtl.minifloat_casts` take."""
MEASURED_SHIFT: Final = 14
"""Greatest constant shift among the rows of casts."""
REFERENCE_CODE: Final = 8
REFERENCE_PRODUCT: Final = 40
"""Bits of the code and of the product at which the price of a cast is parted in two: of a 24-bit accumulator and a
16-bit multiplier (see `cast_of_product`)."""


@lru_cache(maxsize=1 << 8)
def gates_a_lut(family: str) -> float:
    """Two-input NAND gates that a LUT of a family is worth as standard cells, or as macros if it holds bits."""
    return memory_gates(1.0) if family in MEMORIES else logic_gates({family: 1.0})


class Priced(NamedTuple):
    """What one unit takes.

    Attributes:
        family: of `hwmodels.rtl.families`.
        luts: LUT6 sites.
        flip_flops: inside the unit.
        spread: one standard deviation of ``luts``, in LUTs.
        outside: parameters that lie outside the measured range.
    """

    family: str
    luts: float
    flip_flops: float = 0.0
    spread: float = 0.0
    outside: tuple[str, ...] = ()

    def times(self, factor: float, *outside: str) -> Priced:
        """The price in proportion to some size, which lies outside what was measured."""
        return Priced(
            self.family,
            self.luts * factor,
            self.flip_flops * factor,
            self.spread * factor,
            tuple(dict.fromkeys((*self.outside, *outside))),
        )

    def less(self, other: Priced) -> Priced:
        """What a unit takes beyond another one of its family."""
        return Priced(
            self.family,
            self.luts - other.luts,
            self.flip_flops - other.flip_flops,
            abs(self.spread - other.spread),
            self.outside,
        )


@lru_cache(maxsize=1 << 17)
def priced(family: str, /, **parameters: int) -> Priced:
    """The price of a unit: what `hwmodels.models.unit_estimate` gives, without a search for the nearest unit.

    Args:
        family: of `hwmodels.rtl.families`.
        parameters: all of the family's own.

    Raises:
        ValueError: if there is no such unit, or its family has no rows.

    >>> priced("relu", width=8).luts
    4.0
    """
    known = _family(family)
    values = tuple(map(parameters.__getitem__, known.names))
    row = known.rows.get(values)
    if row is not None:
        return row
    ends = zip(known.names, values, *known.ends, strict=True)
    outside = [name for name, value, low, high in ends if not low <= value <= high]
    few = [name for name, most in known.edge_limits if parameters[name] <= most]
    structure = known.structure(**parameters)
    luts = flip_flops = 0.0
    for name, for_luts, for_flip_flops in known.edge_weights if few else known.weights:
        count = structure[name]
        luts += for_luts * count
        flip_flops += for_flip_flops * count
    luts = whole(luts)
    spread = luts * (known.luts.sigma_of(parameters) if few else known.sigma)
    return Priced(family, luts, whole(flip_flops), spread, tuple(dict.fromkeys(outside + few)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FamilyPrices:
    """What prices the units of a family.

    Attributes:
        luts: the model of LUTs.
        sigma: of units that are no edges.
        names: of its parameters.
        ends: the least measured value of each, and the greatest.
        rows: measured units by the values of their parameters.
        structure: of the family.
        weights: features with their coefficients of LUTs and of flip-flops.
        edge_weights: the same of edges.
        edge_limits: what makes a unit an edge (`hwmodels.rtl.family.Family.edge_limits`).
    """

    luts: UnitModel
    sigma: float
    names: tuple[str, ...]
    ends: tuple[tuple[int, ...], tuple[int, ...]]
    rows: Mapping[tuple[int, ...], Priced]
    structure: Callable[..., Mapping[str, float]]
    weights: tuple[tuple[str, float, float], ...]
    edge_weights: tuple[tuple[str, float, float], ...]
    edge_limits: tuple[tuple[str, int], ...]


@lru_cache(maxsize=1 << 8)
def _family(family: str) -> _FamilyPrices:
    flow = DSP_FLOW if family in IN_DSPS else LUT_FLOW
    luts, flip_flops, known = unit_model(family, flow, "luts"), unit_model(family, flow, "flip_flops"), FAMILIES[family]
    names = tuple(luts.ranges)
    return _FamilyPrices(
        luts=luts,
        sigma=luts.sigma,
        names=names,
        ends=(tuple(low for low, _ in luts.ranges.values()), tuple(high for _, high in luts.ranges.values())),
        rows={
            tuple(row.parameters[name] for name in names): Priced(family, row.values["luts"], row.values["flip_flops"])
            for row in measured_units(flow).get(family, {}).values()
        },
        structure=known.structure,
        weights=_side_by_side(luts.weights(is_edge=False), flip_flops.weights(is_edge=False)),
        edge_weights=_side_by_side(luts.weights(is_edge=True), flip_flops.weights(is_edge=True)),
        edge_limits=known.edge_limits,
    )


def _side_by_side(luts: Mapping[str, float], flip_flops: Mapping[str, float]) -> tuple[tuple[str, float, float], ...]:
    return tuple((name, luts.get(name, 0.0), flip_flops.get(name, 0.0)) for name in {**luts, **flip_flops})


def multiplier(a: int, b: int, *, a_signed: int = 1, b_signed: int = 1) -> Priced:
    """A product of two integers in LUTs.

    Raises:
        ValueError: if a width is below 1.

    >>> multiplier(8, 8).luts
    67.0
    """
    if min(a, b) < 1:
        raise ValueError(f"a multiplier needs operands of at least 1 bit, got {a} x {b}")
    narrow_a, narrow_b = min(a, MOST_FACTOR_BITS), min(b, MOST_FACTOR_BITS)
    found = priced(MULTIPLIER, a=narrow_a, b=narrow_b, a_signed=a_signed, b_signed=b_signed)
    if (narrow_a, narrow_b) == (a, b):
        return found
    return found.times(a * b / (narrow_a * narrow_b), "a", "b")


@lru_cache(maxsize=1 << 12)
def requantising_multiplier(accumulator_bits: int, multiplier_bits: int) -> Priced:
    """The multiplication of a requantiser; as wide as those of measured requantisers it counts as measured."""
    found = multiplier(accumulator_bits, multiplier_bits, b_signed=0)
    ranges = unit_model(REQUANTISER, LUT_FLOW, "luts").ranges
    wide = accumulator_bits <= ranges["accumulator"][1] and multiplier_bits <= ranges["multiplier"][1]
    return Priced(MULTIPLIER, found.luts, 0.0, found.spread) if wide else found


def adder(bits: int) -> Priced:
    """A sum of two integers of so many bits, with its carry out.

    >>> adder(8).luts
    9.0
    """
    return priced(ADDER, width=bits, signed=1)


@lru_cache(maxsize=1 << 14)
def adder_tree(lanes: int, width: int, carries: int = 0) -> Priced:
    """The sum of ``lanes`` integers with a register behind every level; of one lane, nothing.

    >>> adder_tree(1, 16).luts
    0.0
    """
    if lanes == 1:
        return Priced(ADDER_TREE, 0.0)
    if lanes > MAXIMUM_LANES:
        pieces = -(-lanes // MAXIMUM_LANES)
        part, rest = adder_tree(MAXIMUM_LANES, width, carries), tree_bits(MAXIMUM_LANES, width, carries)
        last = adder_tree(pieces, rest)
        factor = lanes / MAXIMUM_LANES
        whole = part.times(factor, "lanes")
        return Priced(
            ADDER_TREE,
            whole.luts + last.luts,
            whole.flip_flops + last.flip_flops,
            whole.spread + last.spread,
            whole.outside,
        )
    if width > MOST_TERM_BITS:
        return adder_tree(lanes, MOST_TERM_BITS, carries).times(width / MOST_TERM_BITS, "width")
    return priced(ADDER_TREE, lanes=lanes, width=width, signed=1, carries=carries)


@lru_cache(maxsize=1 << 14)
def tree_bits(lanes: int, width: int, carries: int = 0) -> int:
    """Bits of what leaves `adder_tree`."""
    if lanes > MAXIMUM_LANES or width > MOST_TERM_BITS:
        return width + (lanes - 1).bit_length()
    return adder_tree_width(lanes=lanes, width=width, carries=carries)


@lru_cache(maxsize=1 << 14)
def accumulator(term: int, bits: int, *, bias: int, carry: int, several: bool) -> Priced:
    """The exact sum of an output.

    Args:
        term: bits of what is added in a step; what exceeds the register is dropped.
        bits: of the register.
        bias: 1 if sums start from a bias.
        carry: 1 if a bit is added with every term.
        several: whether terms follow each other.
    """
    if bits > MOST_SUM_BITS:
        narrow = accumulator(min(term, MOST_SUM_BITS), MOST_SUM_BITS, bias=bias, carry=carry, several=several)
        return narrow.times(bits / MOST_SUM_BITS, "bits")
    return priced(
        ACCUMULATOR,
        term=min(term, bits),
        bits=bits,
        term_signed=1,
        bias=bias,
        carry=carry,
        steps=2 if several else 1,
    )


def shifter(width: int, amount_bits: int) -> Priced:
    """A shift by 0 to ``2**amount_bits - 1`` places; by no place at all, nothing."""
    if amount_bits < 1:
        return Priced(BARREL_SHIFTER, 0.0)
    known = min(width, MOST_SHIFTED_BITS)
    found = priced(BARREL_SHIFTER, width=known, amount_bits=min(amount_bits, 8), right=0, signed=0)
    return found if known == width else found.times(width / known, "width")


@lru_cache(maxsize=1 << 12)
def cast(product_bits: int, code_bits: int, *, code_signed: int = 1) -> Priced:
    """The last steps of a requantiser: shift, round, saturate.

    Bits above the code and bits below it are tested alike, so the shift hardly matters: it is a measured one.
    """
    known, code_bits = min(product_bits, MOST_CAST_BITS), max(code_bits, 1 + code_signed)
    found = priced(
        CAST,
        input=known,
        output=code_bits,
        shift=min(max(known - code_bits, 0), MEASURED_SHIFT),
        shift_bits=0,
        input_signed=1,
        output_signed=code_signed,
        rounding=0,
        zero_point=0,
    )
    return found if known == product_bits else found.times(product_bits / known, "input")


@lru_cache(maxsize=1 << 12)
def cast_of_product(product_bits: int) -> Priced:
    """What a cast of a product of some width takes beyond one of `REFERENCE_PRODUCT` bits; it may be less.

    An engine is priced without knowing the format of its edge. So the price of a cast is the sum of this and of what
    the code decides at the reference product (`hwmodels.output_stage`), which is exact for codes of `REFERENCE_CODE`
    bits; others differ by a LUT or two, since what tests the bits above and below grows with the product alone.
    """
    return cast(product_bits, REFERENCE_CODE).less(cast(REFERENCE_PRODUCT, REFERENCE_CODE))


def leading_one(bits: int) -> Priced:
    """The place of the leading one of a magnitude."""
    known = min(max(bits, 2), 128)
    found = priced(BLOCK_LEADING_ONE, lanes=1, bits=known, x_signed=0)
    return found if known >= bits else found.times(bits / known, "bits")


def minifloat_cast(bits: int, exponent_bits: int, mantissa_bits: int, reserved: int = 0) -> Priced:
    """A magnitude of so many bits to a minifloat, whose largest number is about as large as the magnitude."""
    known = min(bits, MOST_CAST_BITS)
    span = ((1 << exponent_bits) - 1) + mantissa_bits
    found = priced(
        MINIFLOAT_CAST,
        bits=known,
        shift=min(max(known - span, 0), MOST_CAST_BITS - 1),
        e=exponent_bits,
        m=mantissa_bits,
        reserved=reserved,
    )
    return found if known == bits else found.times(bits / known, "bits")
