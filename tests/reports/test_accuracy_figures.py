"""The figures about predicted losses: what they draw, and that losses of 0 can be drawn."""

import numpy as np
import pytest

from reports.accuracy_figures import LEAST, OURS, judged_figure, rivals_figure

JUDGED = np.array([[0.1, 0.12, 1.0], [0.0, 0.001, 1.0], [2.0, 3.0, 0.0]])


def drawn(axes):
    """Label to points of a panel."""
    return {one.get_label(): np.asarray(one.get_offsets()) for one in axes.collections}


def test_predictions_are_drawn_apart_near_the_float_network():
    (axes,) = judged_figure({"net": JUDGED}).axes
    found = drawn(axes)
    np.testing.assert_allclose(found["within 2 points of float"], [[0.1, 0.12], [LEAST, 0.001]])
    np.testing.assert_allclose(found["worse"], [[2.0, 3.0]])
    assert axes.get_title() == "net"
    ends = axes.lines[0].get_xydata()
    np.testing.assert_allclose(ends, [[LEAST, LEAST], [3.0, 3.0]])


def test_a_network_without_useless_designs_is_drawn():
    (axes,) = judged_figure({"net": JUDGED[:2]}).axes
    assert len(drawn(axes)["worse"]) == 0


def test_of_rivals_only_what_none_of_theirs_dominates_is_drawn():
    ours = np.array([[10.0, 1.0], [20.0, 2.0]])
    theirs = np.array([[30.0, 0.1], [10.0, 2.0], [20.0, 2.0], [20.0, 1.0], [40.0, 0.5], [10.0, 3.0]])
    other = np.array([[1.0, 1.0]])
    (axes,) = rivals_figure({"net": {OURS: ours, "random": theirs, "NSGA-II": other}}).axes
    found = drawn(axes)
    assert found[OURS] == pytest.approx(ours)
    assert found["random"] == pytest.approx(np.array([[10.0, 2.0], [20.0, 1.0], [30.0, 0.1]]))
    assert found["NSGA-II"] == pytest.approx(other)
