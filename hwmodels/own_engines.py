"""The styles of our own engines, and their costs where a user's reports of whole engines correct them."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.corrections import UNCORRECTED, correcting, current_correction
from hwmodels.folding import LanesPerDsp, MultiplierStyle

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwmodels.costs import Cost
    from hwmodels.folding import Folding


class OwnStyle(Enum):
    """Our own engines, see `hwmodels.engines`."""

    LUT = "ours-lut"
    DSP = "ours-dsp"
    """Multiplications share a DSP where the device allows it."""
    DSP_ONE = "ours-dsp-one"


OWN_MULTIPLIERS: Final = MappingProxyType(
    {
        OwnStyle.LUT: (MultiplierStyle.LUT, LanesPerDsp.PACKED),
        OwnStyle.DSP: (MultiplierStyle.DSP, LanesPerDsp.PACKED),
        OwnStyle.DSP_ONE: (MultiplierStyle.DSP, LanesPerDsp.ONE),
    }
)


def style_of(folding: Folding) -> OwnStyle:
    """The style of an engine.

    >>> from hwmodels.folding import Folding
    >>> style_of(Folding(pe=1, simd=1)).value
    'ours-lut'
    """
    if folding.multipliers is MultiplierStyle.LUT:
        return OwnStyle.LUT
    return OwnStyle.DSP if folding.lanes_per_dsp is LanesPerDsp.PACKED else OwnStyle.DSP_ONE


def corrected_engine(folding: Folding, price: Callable[[Folding], Cost]) -> Cost:
    """The price of an engine under the correction in force.

    If engines of its style were reported whole, what its parts would be multiplied by does not count.
    """
    correction = current_correction()
    if not correction.families:
        return price(folding)
    style = style_of(folding).value
    if not correction.knows(style):
        return price(folding)
    with correcting(UNCORRECTED):
        cost = price(folding)
    return correction.whole(style, cost)
