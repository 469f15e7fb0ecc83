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
    better = np.zeros((100, 2))
    better[:, 1] = 1.0
    assert dominating(1, [Stub(0.2, 10), Stub(0.1, 10)], better) == []
    assert dominating(1, [Stub(0.1, 11), Stub(0.1, 10)], better) == []
    assert dominating(1, [Stub(0.1, 10), Stub(0.1, 10)], better) == [0]
    better[:10, 0] = 2.0  # one resample in ten says otherwise
    assert dominating(1, [Stub(0.1, 10), Stub(0.1, 10)], better) == []


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
