"""The bars hardware costs are held to, and whether they are met: lines for pages and for `make bench`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.engine_models import LUT_FLOW
from hwmodels.peers import peer_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hwmodels.engine_models import EngineComparison, EngineErrors
    from hwmodels.models import ModelError, UnitModel
    from hwmodels.synthesis.measurements import Measurement
    from hwmodels.vendor_fits import Errors

MEDIAN_BAR: Final = 0.03
PERCENTILE_BAR: Final = 0.10
"""Unit models: median and 95th percentile of relative errors of LUTs, for every family."""
SHOWN_WAYS: Final = ("ours", "FINN-R", "bit operations")
COLUMN_WORDS: Final = {"luts": "LUTs", "flip_flops": "flip-flops", "dsps": "DSPs"}
MINUTES_BAR: Final = 90.0
"""Processor time the rows of all units take on one core; engines apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing found, and what it is held to.

    Attributes:
        what: was looked at.
        found: in words.
        bar: in words; empty if nothing was asked.
        met: None if nothing was asked.
    """

    what: str
    found: str
    bar: str = ""
    met: bool | None = None


def unit_bars(models: Sequence[UnitModel]) -> list[Bar]:
    """The worst families by kind of error: LUTs on xcup against the bars, whatever else is modelled without any."""
    by_column: dict[tuple[str, str], list[UnitModel]] = defaultdict(list)
    for model in models:
        by_column[model.flow, model.column].append(model)
    found = []
    for (flow, column), own in by_column.items():
        for words, name in (("a width left out", "left_out_widths"), ("a format left out", "left_out_formats")):
            errors = {model.family: error for model in own if (error := getattr(model, name)) is not None}
            if errors:
                what = f"{COLUMN_WORDS.get(column, column)} of {len(errors)} families ({flow}), {words}"
                found += _held(what, errors) if column == "luts" and flow == LUT_FLOW else [_shown(what, errors)]
    return found


def _held(what: str, errors: Mapping[str, ModelError]) -> list[Bar]:
    medians = {family: error.median for family, error in errors.items()}
    late = {family: error.percentile95 for family, error in errors.items()}
    return [
        Bar(
            what=f"{what}: {words}",
            found=_worst(shares),
            bar=f"at most {percent(bar)}",
            met=max(shares.values()) <= bar,
        )
        for words, shares, bar in (("median", medians, MEDIAN_BAR), ("95th percentile", late, PERCENTILE_BAR))
    ]


def _shown(what: str, errors: Mapping[str, ModelError]) -> Bar:
    medians = {family: error.median for family, error in errors.items()}
    late = {family: error.percentile95 for family, error in errors.items()}
    return Bar(what=what, found=f"median {_worst(medians)}, 95th percentile {_worst(late)}")


def _worst(shares: Mapping[str, float]) -> str:
    family = max(shares, key=lambda name: shares[name])
    return f"worst {percent(shares[family])} ({family})"


def percent(share: float) -> str:
    """A share as a person reads it.

    >>> percent(0.0314), percent(0.1)
    ('3.1 %', '10.0 %')
    """
    return f"{100 * share:.1f} %"


def effort_bar(rows: Iterable[Measurement]) -> Bar:
    """The processor time behind rows of units.

    Args:
        rows: of all flows, without engines.
    """
    kept = list(rows)
    minutes = sum(row.seconds for row in kept) / 60
    return Bar(
        what=f"processor time to measure {len(kept)} rows of units again",
        found=f"{minutes:.0f} minutes",
        bar=f"at most {MINUTES_BAR:g} minutes",
        met=minutes <= MINUTES_BAR,
    )


def engine_bars(errors: EngineErrors, engines: Sequence[EngineComparison]) -> list[Bar]:
    """Whole engines against the sums of their parts; flip-flops without a bar."""
    registers = [abs(one.predicted.flip_flops / one.flip_flops - 1.0) for one in engines] or [0.0]
    middle, late = np.percentile(registers, [50, 95])
    return [
        at_least("engines compared with the sum of their parts", errors.engines, 40),
        at_least("of them with DSPs", errors.with_dsps, 15),
        at_least("of them with block RAM", errors.with_bram, 15),
        at_most("engines, LUTs: median error", errors.median, 0.08, percent),
        at_most("engines, LUTs: 95th percentile", errors.percentile95, 0.20, percent),
        at_least("engines, LUTs: rank correlation (Spearman)", errors.spearman, 0.98, "{:.4f}".format),
        at_least("engines with DSPs whose DSPs are exact", errors.dsp_exact, 0.95, percent),
        at_least("engines with block RAM whose block RAM is exact", errors.bram_exact, 0.95, percent),
        Bar(what="engines, flip-flops", found=f"median error {percent(middle)}, 95th percentile {percent(late)}"),
    ]


def layer_bars() -> list[Bar]:
    """Vendor layers, each by a fit that has not seen it, and by peers; nothing was asked."""
    return [
        way_bar(f"vendor layers ({one.style.value})", one.peer, one.errors)
        for one in peer_errors()
        if one.peer in SHOWN_WAYS
    ]


def way_bar(what: str, way: str, errors: Errors) -> Bar:
    """How well one way to estimate LUTs does.

    Args:
        what: was estimated.
        way: ours, or a peer's.
        errors: of the estimates.
    """
    return Bar(
        what=f"{errors.rows} {what}, LUTs by {way}",
        found=f"median {percent(errors.median)}, nine in ten within {percent(errors.ninetieth)}",
    )


def at_least(what: str, value: float, bar: float, words: Callable[[float], str] = "{:g}".format) -> Bar:
    """A number that has to be as large as the bar.

    >>> at_least("engines", 48, 40)
    Bar(what='engines', found='48', bar='at least 40', met=True)
    """
    return Bar(what=what, found=words(value), bar=f"at least {words(bar)}", met=value >= bar)


def at_most(what: str, value: float, bar: float, words: Callable[[float], str] = "{:g}".format) -> Bar:
    """A number that has to be as small as the bar.

    >>> at_most("median error", 0.0914, 0.08, percent)
    Bar(what='median error', found='9.1 %', bar='at most 8.0 %', met=False)
    """
    return Bar(what=what, found=words(value), bar=f"at most {words(bar)}", met=value <= bar)
