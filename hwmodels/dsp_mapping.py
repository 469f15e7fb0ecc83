"""How multiplications go into DSPs: port widths, several products in one DSP, and what stays in LUTs.

Three ways share a DSP. Products that share an operand lie side by side in one wide multiplication (AMD WP486 for eight
bits; DSP-Packing, arXiv 2203.11028, for four). Products of one sum may be summed inside (the dot product of a DSP58,
AMD AM004). Anything else takes a DSP of its own, and below a minimum size none at all, because synthesis puts small
products into LUTs. Which of them a DSP offers is data: ``devices/dsps/*.toml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from hwmodels.folding import LanesPerDsp
from hwmodels.toml_tables import DeviceError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Combining(Enum):
    """What the lanes of an engine have in common, which decides whether they may share a DSP."""

    OPERAND = "operand"
    """Lanes of several outputs read the same activation."""
    SUM = "sum"
    """Products of one output are only added up, so nothing else needs them one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DspPacking:
    """Several multiplications that share one operand in one DSP, up to these operand widths (in either order)."""

    max_wide_bits: int
    max_narrow_bits: int
    multiplications: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DotProduct:
    """Several products that one DSP sums up, up to these operand widths (in either order)."""

    max_wide_bits: int
    max_narrow_bits: int
    products: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DspMinimum:
    """The smallest multiplication that synthesis puts into a DSP: bits of the narrow operand and of the product."""

    operand_bits: int
    product_bits: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DspKind:
    """One DSP slice: its signed multiplier's operand widths and what may share it.

    Attributes:
        packings: exact ones.
        dot_product: None if it has no such mode.
        minimum: of a multiplication that has a DSP to itself. Packed ones are instantiated, so only the width of an
            operand counts there.
        verified: whether the widths were checked against ``source``.
    """

    kind: str
    wide_bits: int
    narrow_bits: int
    accumulator_bits: int
    packings: tuple[DspPacking, ...]
    dot_product: DotProduct | None
    minimum: DspMinimum
    source: str
    verified: bool

    def multiplications_per_dsp(self, first_bits: int, second_bits: int) -> int:
        """Multiplications that share an operand in one DSP; 0 if they do not fit or are below the minimum.

        >>> from hwmodels.devices import load_device
        >>> dsp = load_device("xczu7ev").dsp
        >>> [dsp.multiplications_per_dsp(bits, bits) for bits in (1, 4, 8, 9, 19)]
        [0, 4, 2, 1, 0]
        """
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        if narrow < self.minimum.operand_bits:
            return 0
        packed = [
            packing.multiplications
            for packing in self.packings
            if wide <= packing.max_wide_bits and narrow <= packing.max_narrow_bits
        ]
        return max(packed, default=self.alone(first_bits, second_bits))

    def alone(self, first_bits: int, second_bits: int) -> int:
        """1 if a multiplication that shares nothing goes into a DSP, else 0."""
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        fits = wide <= self.wide_bits and narrow <= self.narrow_bits
        is_large = narrow >= self.minimum.operand_bits and wide + narrow >= self.minimum.product_bits
        return int(fits and is_large)

    def summed(self, first_bits: int, second_bits: int) -> int:
        """Products of these widths that one DSP sums up; 1 without such a mode."""
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        mode = self.dot_product
        if mode is None or wide > mode.max_wide_bits or narrow > mode.max_narrow_bits:
            return 1
        return mode.products if narrow >= self.minimum.operand_bits else 1

    def refusal(self, first_bits: int, second_bits: int) -> str:
        """Why a multiplication is not in a DSP."""
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        name = f"multiplier {first_bits}x{second_bits}"
        if wide > self.wide_bits or narrow > self.narrow_bits:
            return f"{name} fits no {self.kind}: priced in LUTs"
        smallest = f"{self.minimum.product_bits}-bit products of operands of {self.minimum.operand_bits} bits"
        return f"{name} is below the {smallest} that go into a {self.kind}: priced in LUTs"

    @property
    def exists(self) -> bool:
        """Whether there is a multiplier at all."""
        return self.wide_bits > 0

    def require(self) -> None:
        """Nothing, if there is a multiplier.

        Raises:
            DeviceError: if there is none.
        """
        if not self.exists:
            raise DeviceError("this device has no DSPs: choose multipliers in LUTs")

    def tiles(self, first_bits: int, second_bits: int) -> int:
        """DSPs of one multiplication of any width: both operands cut into pieces of the port width less a sign bit.

        Raises:
            DeviceError: if there is no multiplier.
        """
        self.require()
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        wide_pieces = max(1, -(-(wide - 1) // (self.wide_bits - 1)))
        narrow_pieces = max(1, -(-(narrow - 1) // (self.narrow_bits - 1)))
        return wide_pieces * narrow_pieces


NO_DSP: Final = DspKind(
    kind="none",
    wide_bits=0,
    narrow_bits=0,
    accumulator_bits=0,
    packings=(),
    dot_product=None,
    minimum=DspMinimum(operand_bits=1, product_bits=1, source="there is no multiplier"),
    source="there is no multiplier",
    verified=True,
)
"""Of a device without DSPs: no multiplication fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneMapping:
    """How the lanes of an engine go into DSPs.

    Attributes:
        outputs: lanes of different outputs in one DSP.
        inputs: lanes of one output in one DSP, of which only the sum leaves it.
        corrections: LUTs a lane takes beside a DSP. Products beside each other borrow from each other's sign: one LUT
            each to correct, assumed.
    """

    outputs: int
    inputs: int = 1
    corrections: int = 0

    def dsps(self, pe: int, simd: int) -> int:
        """DSPs of an engine: FINN's matrix-vector unit counts the same for the widths it packs."""
        return -(-pe // self.outputs) * -(-simd // self.inputs)


def lane_mapping(
    kind: DspKind,
    operand_bits: tuple[int, int],
    *,
    combining: AbstractSet[Combining],
    lanes_per_dsp: LanesPerDsp = LanesPerDsp.PACKED,
) -> LaneMapping | None:
    """The mapping that takes the fewest DSPs per lane; None leaves the multiplications in LUTs.

    Args:
        kind: of the device.
        operand_bits: of a lane's multiplier.
        combining: what lanes have in common. Those of a depthwise convolution share no operand.
        lanes_per_dsp: whether lanes may share a DSP at all.

    >>> from hwmodels.devices import load_dsp
    >>> both = {Combining.OPERAND, Combining.SUM}
    >>> lane_mapping(load_dsp("DSP58"), (8, 8), combining=both).dsps(4, 16)  # PE * ceil(SIMD / 3)
    24
    """
    alone = LaneMapping(outputs=1) if kind.alone(*operand_bits) else None
    if lanes_per_dsp is LanesPerDsp.ONE:
        return alone
    found = [alone] if alone else []
    packed = kind.multiplications_per_dsp(*operand_bits)
    if Combining.OPERAND in combining and packed > 1:
        found.append(LaneMapping(outputs=packed, corrections=1))
    summed = kind.summed(*operand_bits)
    if Combining.SUM in combining and summed > 1:
        found.append(LaneMapping(outputs=1, inputs=summed))
    return max(found, key=lambda mapping: mapping.outputs * mapping.inputs, default=None)
