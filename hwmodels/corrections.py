"""Factors between what our models say and what a user's own tools reported, and where they apply.

A `CostCorrection` is fitted on rows a user imported (`hwmodels.reported`). Within `correcting`, `hwmodels.composition`
multiplies the LUTs of each family of units by its factor and its error band becomes the factor's own error. An engine
that was reported whole has a factor of its own for every resource (`CostCorrection.whole`).
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.device_parts import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hwmodels.costs import Cost

OUR_RTL: Final = "our RTL"
CALIBRATED: Final = "calibrated on your reports"
"""A source of every cost that a correction has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What reported figures are to estimates.

    Attributes:
        value: by which an estimate is multiplied.
        error: root mean square of the relative errors of rows left out in turn of the fit that corrects them.
        rows: that were fitted.
    """

    value: float
    error: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCorrection:
    """Factors by family and resource.

    Attributes:
        families: of units, of compositions of them, or of whole engines (words of the style column of layer files).
        everything: factors of whatever has none of its own, by resource.
        notes: what the user should know about all corrected costs, such as that the rows are of another device.
    """

    families: Mapping[str, Mapping[str, Factor]] = field(default_factory=lambda: MappingProxyType({}))
    everything: Mapping[str, Factor] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.families or self.everything)

    def factor(self, family: str, resource: str) -> Factor | None:
        """The factor of a family's resource, else the one of everything, else None: the estimate stays."""
        return self.families.get(family, {}).get(resource) or self.everything.get(resource)

    def knows(self, family: str) -> bool:
        """Whether a family has a factor of its own for its LUTs."""
        return "luts" in self.families.get(family, {})

    def whole(self, family: str, cost: Cost) -> Cost:
        """The cost of a whole engine or layer, by the factors of its family, else by those of everything.

        Resources are rounded up. Cycles stay, as does a resource that has no factor.
        """
        own = self.families[family] if self.knows(family) else self.everything
        if not own:
            return cost
        counts = {name: math.ceil(getattr(cost, name) * own[name].value - 1e-9) for name in RESOURCES if name in own}
        error = own["luts"].error if "luts" in own else cost.error_band
        return dataclasses.replace(
            cost,
            **counts,
            error_band=error,
            sources=(*cost.sources, CALIBRATED),
            out_of_range=(*cost.out_of_range, *self.notes),
        )

    @property
    def fingerprint(self) -> str:
        """All of it as a text that is the same for the same factors: part of the key of stored fronts."""
        named = {**self.families, "": self.everything}
        words = [
            f"{family}/{resource}={factor.value!r}+-{factor.error!r}"
            for family in sorted(named)
            for resource, factor in sorted(named[family].items())
        ]
        return "; ".join((*words, *self.notes))


UNCORRECTED: Final = CostCorrection()
"""Costs as our models say."""

_CURRENT: ContextVar[CostCorrection] = ContextVar("correction of costs", default=UNCORRECTED)


@contextmanager
def correcting(correction: CostCorrection) -> Iterator[None]:
    """Correct every cost composed within a ``with`` block, in this thread or task.

    >>> with correcting(CostCorrection(everything={"luts": Factor(value=1.5, error=0.1, rows=3)})):
    ...     current_correction().factor("shifter", "luts").value
    1.5
    """
    token = _CURRENT.set(correction)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_correction() -> CostCorrection:
    """The correction in force here."""
    return _CURRENT.get()
