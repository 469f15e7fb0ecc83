"""Bands and orders: against what statistics say of known samples, and of a real study."""

from dataclasses import dataclass

import numpy as np
import pytest

from dse.confidence import SURE, Band, bands_of, dominating, resampled
from dse.study import Study


@dataclass(frozen=True)
class Stub:
    """What dominance asks of a design."""

    utilisation: float
    interval_cycles: int


def test_bands_of_a_mean_are_those_of_the_central_limit():
    draw = np.random.default_rng(0)
    losses = draw.exponential(1.0, size=(1, 1, 2000))
    drawn = resampled(losses, resamples=4000, seed=1)
    assert drawn.shape == (4001, 1)
    assert drawn[0, 0] == pytest.approx(losses.mean())
    low, high = np.quantile(drawn[:, 0], [1 - SURE, SURE])
    width = 2 * 1.96 * losses.std() / np.sqrt(2000)
    assert high - low == pytest.approx(width, rel=0.06)
    assert low < losses.mean() < high


def test_other_calibrations_widen_the_band():
    losses = np.ones((3, 1, 50))
    losses[1] *= 2
    losses[2] *= 3
    drawn = resampled(losses, resamples=300, seed=0)
    assert drawn[0, 0] == 1
    assert set(drawn[1:, 0].round(9)) == {1.0, 2.0, 3.0}


def test_designs_are_compared_on_the_same_samples():
    """A difference that is the same for every sample is sure, however much samples differ."""
    each = np.random.default_rng(0).exponential(1.0, size=200)
    drawn = resampled(np.stack([each, each + 0.01])[None], resamples=500, seed=0)
    assert (drawn[:, 0] < drawn[:, 1]).all()
    designs = [Stub(0.1, 10), Stub(0.1, 10)]
    assert dominating(1, designs, drawn) == [0]
    assert dominating(0, designs, drawn) == []


def test_nothing_dominates_that_costs_more_or_is_slower_or_is_not_surely_better():
    each = np.random.default_rng(0).normal(1.0, 0.3, size=(2, 200))
    each[1] += 0.5
    better = resampled(each[None], resamples=300, seed=0)
    assert dominating(1, [Stub(0.2, 10), Stub(0.1, 10)], better) == []
    assert dominating(1, [Stub(0.1, 11), Stub(0.1, 10)], better) == []
    assert dominating(1, [Stub(0.1, 10), Stub(0.1, 10)], better) == [0]
    each[1] += 0.02 - (each[1] - each[0]).mean()
    unsure = resampled(each[None], resamples=300, seed=0)
    assert unsure[0, 0] < unsure[0, 1]
    assert dominating(1, [Stub(0.1, 10), Stub(0.1, 10)], unsure) == []


def test_without_resamples_means_decide():
    means = np.array([[0.2, 0.3, 0.1]])
    assert dominating(1, [Stub(0.1, 10)] * 3, means) == [2, 0]
    assert dominating(2, [Stub(0.1, 10)] * 3, means) == []


def test_many_rivals_do_not_make_a_design_look_dominated():
    """Forty designs that truly lose the same: tests of pairs at 2.5 % would call about a third of them dominated."""
    draw = np.random.default_rng(3)
    designs = [Stub(float(cost), 10) for cost in range(40)]
    pairwise = together = 0
    for repetition in range(10):
        drawn = resampled(draw.exponential(1.0, size=(1, 40, 300)), resamples=300, seed=repetition)
        for index in range(1, 40):
            pairwise += bool((np.mean(drawn[:, :index] < drawn[:, [index]], axis=0) >= SURE).any())
            together += bool(dominating(index, designs, drawn))
    assert pairwise / 390 > 0.2
    assert together / 390 < 0.06


def test_a_design_that_loses_surely_more_is_found_among_many_rivals():
    draw = np.random.default_rng(4)
    losses = draw.exponential(1.0, size=(1, 40, 300))
    losses[0, -1] *= 1.5
    designs = [Stub(float(cost), 10) for cost in range(40)]
    assert dominating(39, designs, resampled(losses, resamples=300, seed=0))


def test_a_study_has_bands_that_hold_what_was_measured(explored_folder):
    with Study.open(explored_folder) as study:
        designs = study.front().result.designs
        bands = study.confidence()
        prepared = study.prepared
    assert [one.design for one in bands] == [one.name for one in designs]
    order = sorted(bands, key=lambda one: one.loss)
    for band, design in zip(bands, designs, strict=True):
        assert band.loss == pytest.approx(design.validation.divergence, rel=1e-12)
        assert band.low <= band.high
        assert len(band.calibrations) == 1
        assert Band.from_json(band.to_json()) == band
        if band.unsure_against:
            following = next(one for one in order if one.loss > band.loss)
            assert band.unsure_against in {one.design for one in order if one.loss == following.loss}
        assert band.dominated_by != design.name
    assert order[-1].unsure_against == ""
    other = prepared.recalibrated(0)
    assert other.sweep_context != prepared.sweep_context
    assert other.recalibrated(0).sweep_context != other.sweep_context
    assert prepared.recalibrated(0).sweep_context == other.sweep_context
    for edge in prepared.network.edges:
        assert prepared.edge_menu(edge) == tuple(
            one for one in prepared.edge_menu(edge) if other.calibrated.edge_can_have(edge, one)
        )


def test_bands_are_stored(explored_folder, monkeypatch, tmp_path):
    import shutil

    shutil.copytree(explored_folder, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        monkeypatch.setattr("dse.study.bands_of", None)
        first = study.confidence()
        monkeypatch.undo()
        again = bands_of(study.prepared, study.store, study.front().result.designs, jobs=1)
    assert first == again
