"""Barrel shifters: two bits of the amount a stage, which is the four-to-one multiplexer one LUT6 holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

BARREL_SHIFTER: Final = "barrel shifter"
MAXIMUM_BITS: Final = 256
MAXIMUM_AMOUNT_BITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One or two neighbouring bits of a shift amount.

    Attributes:
        low_bit: of the amount; the stage shifts by multiples of ``2**low_bit``.
        bits: 1 or 2.
        rest: the most that stages after this one can shift.
    """

    low_bit: int
    bits: int
    rest: int

    @property
    def unit(self) -> int:
        """Places of the smallest shift that is not 0."""
        return 1 << self.low_bit

    @property
    def choices(self) -> range:
        """Places the stage can shift by."""
        return range(0, self.unit << self.bits, self.unit)


def stages(amount_bits: int) -> tuple[Stage, ...]:
    """Stages of a shift by 0 to ``2**amount_bits - 1``, largest first; a single bit is left for the last one.

    Largest first is what lets a shifter narrow on its way: bits that no later stage can bring back need no multiplexer.

    >>> [(stage.low_bit, stage.bits, stage.rest) for stage in stages(5)]
    [(3, 2, 7), (1, 2, 1), (0, 1, 0)]
    """
    found = []
    left = amount_bits
    while left:
        bits = min(left, 2)
        left -= bits
        found.append(Stage(low_bit=left, bits=bits, rest=(1 << left) - 1))
    return tuple(found)


def barrel_shifter(*, width: int, amount_bits: int, right: int = 0, signed: int = 0) -> Unit:
    """``y`` is ``x`` shifted by ``amount``, in as many bits as ``x`` has; combinational.

    To the left, zeros come in and upper bits are lost. To the right the result is ``floor(x / 2**amount)``.

    Args:
        width: bits of ``x``, 1 to 256.
        amount_bits: bits of the amount, 1 to 8.
        right: 1 to shift to the right, 0 to the left.
        signed: 1 if ``x`` is two's complement, else 0.

    Raises:
        ValueError: if a number is out of range.

    >>> barrel_shifter(width=16, amount_bits=4).module
    'barrel_shifter_width16_amount_bits4_right0_signed0'
    """
    _check(width, amount_bits)
    return render(
        "barrel_shifter.v",
        family=BARREL_SHIFTER,
        parameters={
            "width": width,
            "amount_bits": amount_bits,
            "right": int(bool(right)),
            "signed": int(bool(signed)),
        },
        ports=(
            Port(name="x", width=width, direction=Direction.IN, signed=bool(signed)),
            Port(name="amount", width=amount_bits, direction=Direction.IN),
            Port(name="y", width=width, direction=Direction.OUT, signed=bool(signed)),
        ),
        stages=stages(amount_bits),
    )


@lru_cache(maxsize=1 << 12)
def barrel_shifter_structure(*, width: int, amount_bits: int, right: int = 0, signed: int = 0) -> dict[str, float]:
    """Bits of multiplexers that choose, that clear, and pairs of two-to-one ones (to the right, fewer share a LUT).

    Args:
        width: see `barrel_shifter`.
        amount_bits: see `barrel_shifter`.
        right: see `barrel_shifter`.
        signed: see `barrel_shifter`.

    >>> barrel_shifter_structure(width=16, amount_bits=3)
    {'choices': 14, 'cleared': 2, 'pairs': 8.0, 'right_pairs': 0.0}
    """
    del signed
    _check(width, amount_bits)
    choices = cleared = 0
    pairs = 0.0
    for stage in stages(amount_bits):
        if stage.bits == 1:
            pairs += width / 2
            continue
        # Of the lowest bits (the highest, to the right) only one choice is a bit of x.
        single = min(stage.unit, width)
        cleared += single
        choices += width - single
    return {"choices": choices, "cleared": cleared, "pairs": pairs, "right_pairs": pairs * bool(right)}


def _check(width: int, amount_bits: int) -> None:
    if not 1 <= width <= MAXIMUM_BITS:
        raise ValueError(f"width of a shifter must be 1 to {MAXIMUM_BITS} bits, got {width}")
    if not 1 <= amount_bits <= MAXIMUM_AMOUNT_BITS:
        raise ValueError(f"amount_bits of a shifter must be 1 to {MAXIMUM_AMOUNT_BITS}, got {amount_bits}")
