"""Folding: how many outputs and inputs of a layer are worked on at once, and in which hardware."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class MultiplierStyle(Enum):
    """What multiplies."""

    LUT = "lut"
    DSP = "dsp"


class LanesPerDsp(Enum):
    """Whether lanes in DSPs share one where their widths allow it."""

    PACKED = "packed"
    ONE = "one"


class MemoryStyle(Enum):
    """What holds the weights."""

    AUTO = "auto"
    """Whichever memory on the chip takes the smallest share of what the device may use."""
    LUTRAM = "lutram"
    BRAM = "bram"
    URAM = "uram"
    """UltraRAM, on devices that have it."""
    OFFCHIP = "offchip"
    """Off the chip: read again for every use, which bounds the interval (see `hwmodels.bandwidth`)."""


class FoldingError(ValueError):
    """A folding that does not divide its layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """Parallelism of an engine: ``pe`` outputs and ``simd`` inputs of each at once.

    ``lanes_per_dsp`` matters for multipliers in DSPs only.
    """

    pe: int = 1
    simd: int = 1
    multipliers: MultiplierStyle = MultiplierStyle.LUT
    weight_memory: MemoryStyle = MemoryStyle.AUTO
    lanes_per_dsp: LanesPerDsp = LanesPerDsp.PACKED

    def __post_init__(self) -> None:
        for name, value in (("pe", self.pe), ("simd", self.simd)):
            if value < 1:
                raise FoldingError(f"{name} must be at least 1, got {value}")

    @property
    def lanes(self) -> int:
        """Multiplications per cycle."""
        return self.pe * self.simd

    def __str__(self) -> str:
        alone = self.multipliers is MultiplierStyle.DSP and self.lanes_per_dsp is LanesPerDsp.ONE
        style = f"{self.multipliers.value}, one lane each" if alone else self.multipliers.value
        return f"pe {self.pe}, simd {self.simd}, {style}, weights in {self.weight_memory.value}"


def divisors(number: int) -> tuple[int, ...]:
    """All divisors in ascending order.

    Raises:
        ValueError: if the number is below 1.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    if number < 1:
        raise ValueError(f"only whole numbers of at least 1 have divisors here, got {number}")
    small = [candidate for candidate in range(1, int(number**0.5) + 1) if number % candidate == 0]
    large = [number // candidate for candidate in reversed(small) if candidate * candidate != number]
    return (*small, *large)


def foldings(
    outputs: int,
    depth: int,
    *,
    multipliers: tuple[MultiplierStyle, ...] = (MultiplierStyle.LUT, MultiplierStyle.DSP),
    weight_memories: tuple[MemoryStyle, ...] = (MemoryStyle.AUTO,),
    lanes_per_dsp: tuple[LanesPerDsp, ...] = (LanesPerDsp.PACKED,),
    groups: int = 1,
    max_lanes: int | None = None,
) -> tuple[Folding, ...]:
    """Every folding of a layer: pe divides the outputs, simd divides the depth (as FINN's matrix-vector units do).

    Args:
        outputs: values one position of the layer makes.
        depth: products summed into one of them: in_channels / groups times the taps of a convolution's kernel, so for a
            depthwise convolution the taps alone.
        multipliers: styles to offer.
        weight_memories: memories to offer.
        lanes_per_dsp: ways to fill DSPs to offer; multipliers in LUTs have one.
        groups: of a convolution. Outputs worked on at once either share their inputs or are channels of a depthwise
            convolution, so between these extremes pe must divide the outputs of one group.
        max_lanes: leave out foldings with more multiplications at once.

    >>> [str(folding) for folding in foldings(2, 1, multipliers=(MultiplierStyle.LUT,))]
    ['pe 1, simd 1, lut, weights in auto', 'pe 2, simd 1, lut, weights in auto']
    """
    return tuple(
        Folding(pe=pe, simd=simd, multipliers=style, weight_memory=memory, lanes_per_dsp=sharing)
        for pe in divisors(_pe_range(outputs, groups))
        for simd in divisors(depth)
        if max_lanes is None or pe * simd <= max_lanes
        for style in multipliers
        for memory in weight_memories
        for sharing in (lanes_per_dsp if style is MultiplierStyle.DSP else (LanesPerDsp.PACKED,))
    )


def check_folding(folding: Folding, outputs: int, depth: int, *, groups: int = 1) -> None:
    """Check that a folding divides its layer.

    Raises:
        FoldingError: if it does not, with what would.
    """
    if _pe_range(outputs, groups) % folding.pe == 0 and depth % folding.simd == 0:
        return
    for name, value, number, what in (
        ("pe", folding.pe, _pe_range(outputs, groups), "outputs" if groups in (1, outputs) else "outputs of one group"),
        ("simd", folding.simd, depth, "inputs of an output"),
    ):
        if number % value:
            allowed = ", ".join(str(divisor) for divisor in divisors(number))
            raise FoldingError(f"{name} {value} does not divide the {number} {what}: use one of {allowed}")


def _pe_range(outputs: int, groups: int) -> int:
    return outputs if groups in (1, outputs) else outputs // groups
