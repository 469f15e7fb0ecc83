"""Designs drawn at random are whole, valid, different, and of every quality."""

import dataclasses

import numpy as np
import pytest

from dse.errors import StudyError
from dse.sampling import DesignDraw


@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_designs_can_be_executed_and_follow_the_menus(bench, workload):
    found = bench(workload)
    prepared = found.prepared
    designs = DesignDraw(prepared=prepared, losses=found.losses).distinct(5, seed=0)
    assert len({one.text for one in designs}) == 5
    for design in designs:
        prepared.calibrated.lower(design)
        for edge, number_format in design.edges.items():
            assert number_format in prepared.edge_menu(edge)
        for layer in prepared.network.engines:
            edge = prepared.network.input_edges(layer)[0]
            if layer.weight is not None:
                assert prepared.offers(
                    layer.name, design.edges[edge], design.weights[layer.name], next(prepared.datapaths(layer))[2]
                )


def test_the_seed_decides_and_known_designs_are_left_out(bench):
    found = bench("digits-mlp")
    draw = DesignDraw(prepared=found.prepared, losses=found.losses)
    texts = [one.text for one in draw.distinct(8, seed=3)]
    assert texts == [one.text for one in draw.distinct(8, seed=3)]
    assert texts != [one.text for one in draw.distinct(8, seed=4)]
    assert not set(texts[:4]) & {one.text for one in draw.distinct(8, seed=3, without=texts[:4])}


def test_designs_are_of_every_quality(bench):
    found = bench("digits")
    draw = DesignDraw(prepared=found.prepared, losses=found.losses)
    losses = [found.losses.total(found.prepared.network, one) for one in draw.distinct(60, seed=0)]
    assert np.quantile(losses, 0.9) > 2 * np.quantile(losses, 0.1)


def test_there_are_no_more_designs_than_the_menus_allow(custom_bench):
    found = custom_bench("digits-mlp", formats={"weights": ["int4"], "activations": ["int8"]})
    assert len(DesignDraw(prepared=found.prepared, losses=found.losses).distinct(5, seed=0)) == 1


def test_menus_that_never_meet_are_refused(bench, monkeypatch):
    found = bench("digits-mlp")
    prepared = dataclasses.replace(found.prepared)
    monkeypatch.setattr(type(prepared), "datapaths", lambda *_: iter(()))
    with pytest.raises(StudyError, match=r"no whole design was found in 2000 draws: .* \[accuracy\] audit_designs = 0"):
        DesignDraw(prepared=prepared, losses=found.losses).distinct(1, seed=0)
