"""The styles of our own engines, and their costs where a user's reports of whole engines correct them."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.corrections import UNCORRECTED, correcting, current_correction
from hwmodels.folding import LanesPerDsp, MultiplierStyle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def corrected_engines(foldings: Sequence[Folding], price: Callable[[Sequence[Folding]], list[Cost]]) -> list[Cost]:
    """The prices of engines under the correction in force.

    If engines of a style were reported whole, what their parts would be multiplied by does not count.
    """
    correction = current_correction()
    if not correction.families:
        return price(foldings)
    styles = [style_of(folding).value for folding in foldings]
    known = [correction.knows(style) for style in styles]
    with correcting(UNCORRECTED):
        whole = iter(price([folding for folding, is_known in zip(foldings, known, strict=True) if is_known]))
    parts = iter(price([folding for folding, is_known in zip(foldings, known, strict=True) if not is_known]))
    return [
        correction.whole(style, next(whole)) if is_known else next(parts)
        for style, is_known in zip(styles, known, strict=True)
    ]
