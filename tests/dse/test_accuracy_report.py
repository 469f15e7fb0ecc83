"""What was learned, in words and frames: nothing is lost on the way, and a study without it has empty ones."""

import math
from dataclasses import replace

import pytest

from dse.accuracy_report import (
    audit_frame,
    audit_points,
    band_words,
    bands_frame,
    pairs_frame,
    refinement_words,
    rounds_frame,
    trust_data,
)
from dse.confidence import LEVEL, Band
from dse.interactions import PairTest
from dse.refinement_results import Refinement, Round
from dse.study import Study
from dse.sweep import LossTable


@pytest.fixture(scope="module")
def learned(explored_folder):
    with Study.open(explored_folder) as study:
        return study.refinement, study.confidence()


def test_frames_hold_what_was_found(learned):
    refined, bands = learned
    metrics = audit_frame(refined).set_index("metric")
    assert list(metrics.index[metrics["chosen"]]) == [refined.audit.chosen]
    for one in refined.audit.verdicts:
        assert metrics.loc[one.metric, "spearman"] == pytest.approx(one.spearman, nan_ok=True)
        assert metrics.loc[one.metric, "regret"] == one.regret
    points = audit_points(refined)
    assert len(points) == len(refined.audit.verdicts) * refined.audit.designs
    own = points[points["metric"] == refined.audit.chosen]
    assert list(own["measured"]) == list(refined.audit.measured)
    assert list(rounds_frame(refined)["unseen"]) == [one.unseen for one in refined.rounds]
    assert list(pairs_frame(refined)["excess"]) == [one.excess for one in refined.pair_tests]
    frame = bands_frame(bands)
    assert list(frame["design"]) == [one.design for one in bands]
    assert (frame["low"] <= frame["high"]).all()
    assert (frame["least_calibration"] == frame["most_calibration"]).all()  # this study has one


def test_words_say_who_won_and_how_rounds_went(learned):
    refined, bands = learned
    words = refinement_words(refined)
    assert words[0].startswith(f"audit: {refined.audit.chosen} orders {refined.audit.designs} measured designs with")
    assert all(one.metric in words[0] for one in refined.audit.verdicts)
    assert words[-2].startswith(f"round 1: {refined.rounds[0].designs} designs, {refined.rounds[0].unseen} of them new")
    assert words[-1] == f"rounds ended: {refined.stopped}"
    assert f"of {len(bands)} designs are within noise" in band_words(bands)


ROUND = Round(
    designs=5,
    unseen=2,
    spearman=math.nan,
    useful_spearman=math.nan,
    useful=1,
    ratio=1.5,
    dominated=0,
    hypervolume=0.25,
    fitted_on=9,
    strength=0.0,
    error=0.2,
    table_error=0.3,
    seconds=1.0,
)


def test_what_is_missing_is_said_or_left_out():
    pair = PairTest(pair="a x b", formats=("int2", "int4"), apart=0.1, together=0.3, fails=True)
    bare = Refinement(
        key="",
        audit=None,
        pair_tests=(pair,),
        pairs_used=False,
        rounds=(ROUND,),
        stopped="done",
        table=LossTable(edges={}, engines={}),
    )
    assert refinement_words(bare) == [
        (
            "pairs: 1 of 1 do not add; terms of pairs are not used, because whole designs are predicted no better with "
            "them"
        ),
        (
            "round 1: 5 designs, 2 of them new (too few to judge), measured over predicted 1.50, 0 dominated beyond "
            "noise, hypervolume 0.2500, error of predictions 30% scaled and 20% corrected"
        ),
        "rounds ended: done",
    ]
    few = replace(bare, pair_tests=(replace(pair, fails=False),), rounds=(replace(ROUND, error=math.inf),))
    assert refinement_words(few)[0] == "pairs: 0 of 1 do not add"
    assert refinement_words(few)[1].endswith("hypervolume 0.2500, too few designs to judge predictions")
    assert audit_frame(bare).empty
    assert audit_points(bare).empty
    assert pairs_frame(bare)["excess"].item() == pytest.approx(2.0)
    assert bands_frame([]).empty
    assert band_words([]) == ""


def test_the_report_gets_all_of_it(learned):
    refined, bands = learned
    trust = trust_data(refined, bands)
    assert list(trust.metrics["metric"]) == [one.metric for one in refined.audit.verdicts]
    assert set(trust.metrics["useful"]) == {refined.audit.useful}
    assert len(trust.points) == len(refined.audit.verdicts) * refined.audit.designs
    assert (len(trust.rounds), len(trust.pairs)) == (len(refined.rounds), len(refined.pair_tests))
    assert list(trust.bands["design"]) == [one.design for one in bands]
    assert (trust.band_level, trust.stopped) == (LEVEL, refined.stopped)
    nothing = trust_data(None, ())
    assert not any(len(getattr(nothing, name)) for name in ("metrics", "points", "rounds", "pairs", "bands"))


def test_the_page_and_figures_of_a_study_show_it(explored_folder, learned):
    refined, bands = learned
    page = (explored_folder / "report.html").read_text(encoding="utf-8")
    assert f"{refined.audit.designs} designs were drawn at random and executed whole." in page
    assert f"<td>{refined.audit.chosen} (used)</td>" in page
    assert f" of {len(bands)} designs, so do not choose" in page
    for name in ("bands", "audit", "rounds"):
        assert (explored_folder / "figures" / f"{name}.png").is_file()


def test_without_resamples_there_are_no_bands(explored_folder, monkeypatch):
    with Study.open(explored_folder) as study:
        kept = study.confidence()
        accuracy = study.config.accuracy.model_copy(update={"resamples": 0})
        monkeypatch.setattr(study, "_measured", lambda: None)
        study.config = study.config.model_copy(update={"accuracy": accuracy})
        assert kept
        assert study.confidence() == ()


def test_dominated_designs_are_named():
    band = Band(design="d01", loss=0.1, low=0.05, high=0.2, calibrations=(), unsure_against="d02", dominated_by="d03")
    assert band_words([band]) == (
        "confidence: 1 of 1 designs are within noise of the next one's loss; 1 are dominated beyond noise (d01)"
    )
