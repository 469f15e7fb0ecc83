"""Designs that are predicted to lose too much take no places, and what is said where nothing else is left."""

import dataclasses
import math

import numpy as np
import pytest

from dse.errors import InfeasibleError
from dse.preparation import prepare
from dse.solving import explained, problem_of, solve_front
from emulation.losses import yardstick


def with_worst_loss(found, worst_loss):
    """Prepared and tables of a bench whose study allows so much."""
    config = found.prepared.config
    front = config.front.model_copy(update={"worst_loss": worst_loss})
    return dataclasses.replace(found.prepared, config=config.model_copy(update={"front": front})), found.tables


def test_the_loss_of_guessing_is_what_answering_alike_loses():
    draw = np.random.default_rng(0)
    float_answers = yardstick(draw.normal(size=(500, 6)) * 3, draw.integers(0, 6, 500))
    alike = np.log(np.exp(float_answers.log_probabilities).mean(axis=0))
    guessed = float_answers.losses(np.tile(alike, (500, 1))).divergence
    assert float_answers.guessing_loss == pytest.approx(guessed, rel=1e-12)
    for _ in range(20):  # no other constant answer loses less
        other = alike + draw.normal(size=6) * 0.1
        assert float_answers.losses(np.tile(other, (500, 1))).divergence >= guessed


def test_the_bound_is_a_share_of_guessing(settings):
    for share, allowed in ((0.1, 0.1), (2, 2), ("off", math.inf)):
        prepared = prepare(settings("digits-mlp", front={"worst_loss": share}))
        guessing = prepared.float_yardstick(prepared.sensitivity).guessing_loss
        assert 1.5 < guessing < math.log(10)
        assert prepared.worst_loss == pytest.approx(allowed * guessing)


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_no_design_is_predicted_to_lose_more(bench, exponent):
    found = bench("digits-mlp")
    tables = dataclasses.replace(found.tables, losses=dataclasses.replace(found.losses, exponent=exponent))
    anything = solve_front(with_worst_loss(found, "off")[0], tables, solves=12, jobs=1).designs
    losses = sorted(design.predicted_loss for design in anything)
    middle = losses[len(losses) // 2]
    share = middle / found.prepared.float_yardstick(found.prepared.sensitivity).guessing_loss
    prepared, _ = with_worst_loss(found, share)
    kept = solve_front(prepared, tables, solves=12, jobs=1).designs
    assert max(design.predicted_loss for design in kept) <= middle < losses[-1]
    assert min(design.predicted_loss for design in kept) == pytest.approx(losses[0], abs=tables.loss_unit)
    assert {design.proof.status for design in kept} == {"optimal"}
    capped = problem_of(tables, worst_loss=middle).caps[-1]
    assert tables.nats(capped.limit) <= middle < tables.nats(capped.limit + 2)


def test_a_bound_below_every_design_is_explained_in_nats(bench):
    found = bench("digits-mlp")
    prepared, tables = with_worst_loss(found, 1e-5)
    with pytest.raises(InfeasibleError, match=r"'loss' needs at least \d+ and is capped at \d+ ") as raised:
        solve_front(prepared, tables, solves=6, jobs=1)
    assert "Of 'loss', which [front] worst_loss bounds, in nats: " in str(raised.value)
    assert f" is {tables.nats(math.floor(prepared.worst_loss / tables.loss_unit)):.3g}" in str(raised.value)
    assert "which [front] worst_loss bounds" in explained(prepared, tables, {})
    generous, _ = with_worst_loss(found, 1.0)
    assert f" of {generous.worst_loss:.3g} nats." in explained(generous, tables, {})
