"""What was learned, in words and frames: nothing is lost on the way, and a study without it has empty ones."""

import math

import pytest

from dse.accuracy_report import (
    audit_frame,
    audit_points,
    band_words,
    bands_frame,
    pairs_frame,
    refinement_words,
    rounds_frame,
)
from dse.confidence import Band
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
    assert audit_frame(bare).empty
    assert audit_points(bare).empty
    assert pairs_frame(bare)["excess"].item() == pytest.approx(2.0)
    assert bands_frame([]).empty
    assert band_words([]) == ""


def test_dominated_designs_are_named():
    band = Band(design="d01", loss=0.1, low=0.05, high=0.2, calibrations=(), unsure_against="d02", dominated_by="d03")
    assert band_words([band]) == (
        "confidence: 1 of 1 designs are within noise of the next one's loss; 1 are dominated beyond noise (d01)"
    )
