"""What was learned about predicted losses, as sentences for the terminal and as data frames for the report."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from dse.confidence import LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from dse.confidence import Band
    from dse.refinement_results import Refinement
    from reports.trust_data import TrustData


def refinement_words(refined: Refinement) -> list[str]:
    """Audit, pairs and rounds in a few sentences.

    The first line of an audited study: which metric won, over how many designs, and what the next one reached.
    """
    words = []
    if refined.audit is not None:
        own = refined.audit.verdict(refined.audit.chosen)
        others = ", ".join(
            f"{one.metric} {one.spearman:.3f}" for one in refined.audit.verdicts if one.metric != own.metric
        )
        words.append(
            f"audit: {own.metric} orders {refined.audit.designs} measured designs with rank correlation "
            f"{own.spearman:.3f} ({own.useful_spearman:.3f} over the {refined.audit.useful} useful ones, regret "
            f"{own.regret:.2g} nats, measured over predicted {own.scale:.2f}); {others}"
        )
    failing = sum(one.fails for one in refined.pair_tests)
    if refined.pair_tests:
        use = f"; terms of pairs are {pairs_use(refined)}" if failing else ""
        words.append(f"pairs: {failing} of {len(refined.pair_tests)} do not add{use}")
    for number, one in enumerate(refined.rounds, start=1):
        judged = "too few to judge" if math.isnan(one.spearman) else f"rank correlation {one.spearman:.3f}"
        error = f"error of predictions {one.table_error:.0%} scaled and {one.error:.0%} corrected"
        if not math.isfinite(one.error + one.table_error):
            error = "too few designs to judge predictions"
        words.append(
            f"round {number}: {one.designs} designs, {one.unseen} of them new ({judged}), measured over predicted "
            f"{one.ratio:.2f}, {one.dominated} dominated beyond noise, hypervolume {one.hypervolume:.4f}, {error}"
        )
    if refined.rounds:
        words.append(f"rounds ended: {refined.stopped}")
    return words


def pairs_use(refined: Refinement) -> str:
    """What became of the terms of pairs that do not add, after "terms of pairs are"."""
    return "used" if refined.pairs_used else "not used, because whole designs are predicted no better with them"


def band_words(bands: Sequence[Band]) -> str:
    """How sure the measured front is, in a sentence; empty without designs."""
    if not bands:
        return ""
    unsure = sum(bool(one.unsure_against) for one in bands)
    beaten = [one.design for one in bands if one.dominated_by]
    names = f" ({', '.join(beaten)})" if beaten else ""
    return (
        f"confidence: {unsure} of {len(bands)} designs are within noise of the next one's loss; {len(beaten)} are "
        f"dominated beyond noise{names}"
    )


def audit_frame(refined: Refinement) -> pd.DataFrame:
    """A row per metric, with its verdict, whether it was chosen, and the designs and useful ones that judged it."""
    import pandas as pd

    audit = refined.audit
    if audit is None:
        return pd.DataFrame()
    return pd.DataFrame(
        [
            {
                "metric": one.metric,
                "chosen": one.metric == audit.chosen,
                "designs": audit.designs,
                "useful": audit.useful,
                "spearman": one.spearman,
                "kendall": one.kendall,
                "useful_spearman": one.useful_spearman,
                "regret": one.regret,
                "scale": one.scale,
                "error": one.error,
            }
            for one in audit.verdicts
        ]
    )


def audit_points(refined: Refinement) -> pd.DataFrame:
    """A row per metric and design: metric, predicted (scaled to nats), measured; to be drawn on logarithmic axes."""
    import pandas as pd

    audit = refined.audit
    if audit is None:
        return pd.DataFrame()
    return pd.DataFrame(
        [
            {"metric": one.metric, "predicted": one.scale * predicted, "measured": measured}
            for one in audit.verdicts
            for predicted, measured in zip(audit.predictions[one.metric], audit.measured, strict=True)
        ]
    )


def rounds_frame(refined: Refinement) -> pd.DataFrame:
    """A row per round, with the fields of `dse.refinement_results.Round` and its number."""
    import dataclasses

    import pandas as pd

    return pd.DataFrame(
        [{"round": number, **dataclasses.asdict(one)} for number, one in enumerate(refined.rounds, start=1)]
    )


def pairs_frame(refined: Refinement) -> pd.DataFrame:
    """A row per tested pair: pair, first, second (formats), apart, together (nats), excess (a share), fails."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "pair": one.pair,
                "first": one.formats[0],
                "second": one.formats[1],
                "apart": one.apart,
                "together": one.together,
                "excess": one.excess,
                "fails": one.fails,
            }
            for one in refined.pair_tests
        ]
    )


def bands_frame(bands: Sequence[Band]) -> pd.DataFrame:
    """A row per design: design, loss, low, high, least and most of other calibrations, unsure_against, dominated_by."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "design": one.design,
                "loss": one.loss,
                "low": one.low,
                "high": one.high,
                "least_calibration": min(one.calibrations, default=math.nan),
                "most_calibration": max(one.calibrations, default=math.nan),
                "unsure_against": one.unsure_against,
                "dominated_by": one.dominated_by,
            }
            for one in bands
        ]
    )


def trust_data(refined: Refinement | None, bands: Sequence[Band]) -> TrustData:
    """All frames for the report; those of a study that was not refined are empty."""
    from reports.trust_data import TrustData

    banded = TrustData(bands=bands_frame(bands), band_level=LEVEL)
    if refined is None:
        return banded
    return replace(
        banded,
        metrics=audit_frame(refined),
        points=audit_points(refined),
        rounds=rounds_frame(refined),
        pairs=pairs_frame(refined),
        pairs_use=pairs_use(refined),
        stopped=refined.stopped if refined.rounds else "",
    )
