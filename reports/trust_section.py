"""The section of the page that says how far losses can be trusted: tables, and places for the pictures."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from reports.frames import LOSS_FLOOR, UNKNOWN, amount, percentage, small
from reports.trust_frames import BEATEN, UNSURE, audit_floor, band_frame, correlation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.data import ReportData
    from reports.trust_data import TrustData


def trust_section(data: ReportData) -> str:
    """The section as HTML; what nobody measured is said to be missing."""
    parts = {
        "How sure the measured losses are": _bands(data),
        "Which prediction to trust: the audit": _audit(data.trust),
        "What measuring whole designs corrected, round by round": _rounds(data.trust),
        "Places whose losses do not add": _pairs(data.trust),
    }
    return "".join(f"<h3>{heading}</h3>{content}" for heading, content in parts.items())


def _bands(data: ReportData) -> str:
    frame = band_frame(data)
    if frame.empty:
        return _text(
            "No bands: the measured designs were not resampled. bitfront explore does that, unless [accuracy] says "
            "resamples = 0."
        )
    unsure, beaten = (int((frame["standing"] == one).sum()) for one in (UNSURE, BEATEN))
    calibrated = "Orange: the least and the most it loses when ranges are calibrated on other draws of the data."
    if frame["drawn_least"].isna().all():
        calibrated = "No other calibrations were tried."
    level = f"{100 * data.trust.band_level:g} %"
    floored = (frame["low"] < LOSS_FLOOR).any()
    floor = f" Losses below {LOSS_FLOOR:g} nats are drawn at {LOSS_FLOOR:g}." if floored else ""
    return _picture("bands") + _text(
        "Every design of the front, by measured loss. Pale bar: where the loss lies in "
        f"{level} of resamples of the validation data and of the calibrations; the thin lines in "
        f"the front above are the same. {calibrated} A hollow mark is within noise of the next design: on other data "
        f"the two might change places. That is so for {unsure} of {len(frame)} designs, so do not choose between "
        f"neighbours by loss alone. Dominated beyond noise: {beaten}.{floor}"
    )


def _audit(trust: TrustData) -> str:
    if trust.metrics.empty:
        return _text(
            "Not audited: no designs were drawn at random and measured to judge the sensitivity metrics. bitfront "
            "explore does that, unless [accuracy] says audit_designs = 0."
        )
    first = trust.metrics.iloc[0]
    text = _text(
        f"{amount(float(first['designs']))} designs were drawn at random and executed whole. Each metric predicts "
        "their losses by adding up what it says of single layers and tensors; the better it orders them, the better "
        "the designs that a solver finds by it. The metric marked as used predicts the losses of this study."
    )
    headings = {
        "Metric": "",
        "Rank correlation": "Spearman",
        "Of the useful": f"{amount(float(first['useful']))} designs",
        "Kendall's tau": "",
        "Regret": "nats",
        "Measured / predicted": "median",
        "Error when scaled": "root mean square",
    }
    rows = [
        [
            f"{row['metric']}{' (used)' if row['chosen'] else ''}",
            *(correlation(float(row[column])) for column in ("spearman", "useful_spearman", "kendall")),
            *(small(float(row[column])) for column in ("regret", "scale")),
            _share(float(row["error"])),
        ]
        for _, row in trust.metrics.iterrows()
    ]
    explained = _text(
        "A point is a measured design, a panel a metric with its rank correlation; predictions are multiplied by "
        "the metric's median of measured over predicted. On the dashed line both are equal: a cloud along it orders "
        f"designs well, one across it does not. Losses below {small(audit_floor(trust))} nats are drawn there. "
        "Useful designs are those near the float network's accuracy. Regret: what the design predicted best within "
        "a budget of bit operations loses beyond the best one there, on average over budgets."
    )
    return text + _table(headings, rows, words=1, marked=list(trust.metrics["chosen"])) + _picture("audit") + explained


def _rounds(trust: TrustData) -> str:
    if trust.rounds.empty:
        return _text(
            "No rounds: no fronts were measured to correct predicted losses. bitfront explore does that, unless "
            "[accuracy] says rounds = 0."
        )
    headings = {
        "Round": "",
        "Designs": "",
        "New": "not yet measured",
        "Rank correlation": "of the new",
        "Measured / predicted": "of the new",
        "Dominated": "beyond noise",
        "Hypervolume": "of 1",
        "Error, scaled": "root mean square",
        "Error, corrected": "root mean square",
    }
    rows = [
        [
            *(amount(float(row[column])) for column in ("round", "designs", "unseen")),
            correlation(float(row["spearman"])),
            small(float(row["ratio"])),
            amount(float(row["dominated"])),
            f"{float(row['hypervolume']):.4f}",
            *(_share(float(row[column])) for column in ("table_error", "error")),
        ]
        for _, row in trust.rounds.iterrows()
    ]
    text = _text(
        "In each round a front was solved by the losses known then, all its designs were executed whole, and the "
        "losses of layers and tensors corrected by all designs measured so far."
    )
    ended = f" The rounds ended: {trust.stopped}." if trust.stopped else ""
    explained = _text(
        "Hypervolume is the share of a fixed box that the measured front dominates: when it stands still, so does "
        "the front. Error is that of predicting designs left out of the fit, once with predictions merely scaled "
        f"and once corrected: the gap is what correcting is worth. A dash: too few designs to tell.{ended}"
    )
    return text + _table(headings, rows, words=0) + _picture("rounds") + explained


def _pairs(trust: TrustData) -> str:
    if trust.pairs.empty:
        return _text(
            "Not tested: no two neighbouring places were put into narrow formats together. bitfront explore does that "
            'with an audit, unless [accuracy] says pairs = "off".'
        )
    failing = trust.pairs[trust.pairs["fails"].astype(bool)].sort_values("excess", ascending=False, kind="stable")
    tested = f"Predictions add the losses of single places; {amount(len(trust.pairs))} pairs of neighbours were tested"
    if failing.empty:
        return _text(f"{tested}, and all of them add.")
    headings = {
        "Pair": "",
        "First": "",
        "Second": "",
        "Sum of both": "nats",
        "Together": "nats",
        "Excess": "of the sum",
    }
    rows = [
        [
            *(row[column] for column in ("pair", "first", "second")),
            *(small(float(row[column])) for column in ("apart", "together")),
            f"{100 * float(row['excess']):+.0f} %",
        ]
        for _, row in failing.iterrows()
    ]
    use = f" Terms of pairs are {trust.pairs_use}." if trust.pairs_use else ""
    text = _text(f"{tested}, and {amount(len(failing))} lose noticeably more or less together than the sum.{use}")
    return text + _table(headings, rows, words=3)


def _picture(name: str) -> str:
    """A place that the page's script draws into."""
    return f'<div class="chart" id="{name}"></div>'


def _text(text: str) -> str:
    return f'<p class="caption">{escape(text, quote=False)}</p>'


def _share(number: float) -> str:
    return percentage(number) if math.isfinite(number) else UNKNOWN


def _table(headings: dict[str, str], rows: Iterable[Sequence[str]], *, words: int, marked: Sequence[bool] = ()) -> str:
    """A table whose first ``words`` columns are texts and all others numbers; ``marked`` rows are tinted.

    Args:
        headings: name to unit of every column.
        rows: texts of the cells.
        words: how many columns hold texts.
        marked: which rows to tint; none if empty.
    """
    kinds = ["" if place < words else ' class="number"' for place in range(len(headings))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}<small>{escape(unit)}</small></th>'
        for kind, (name, unit) in zip(kinds, headings.items(), strict=True)
    )
    body = ""
    for place, row in enumerate(rows):
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        body += f'<tr class="chosen">{cells}</tr>' if marked and marked[place] else f"<tr>{cells}</tr>"
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
