"""The figures of the page about the optimiser show what they are given."""

import numpy as np

from reports.optimiser_figures import EXACT, Timing, rivals_figure, timings_figure

PANELS = {
    "no caps": {EXACT: np.array([[1, 90], [5, 40], [20, 10]]), "uniform": np.array([[7, 80]])},
    "three caps": {EXACT: np.array([[3, 60], [30, 20]]), "uniform": np.zeros((0, 2), dtype=np.int64)},
}


def test_every_method_stands_in_every_panel():
    figure = rivals_figure(PANELS, ("loss", "LUTs"))
    assert [axes.get_title() for axes in figure.axes] == ["no caps", "three caps"]
    for axes, methods in zip(figure.axes, PANELS.values(), strict=True):
        (steps,) = axes.lines
        assert np.array_equal(steps.get_xydata(), methods[EXACT])
        (marks,) = axes.collections
        assert np.array_equal(marks.get_offsets(), methods["uniform"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [EXACT, "uniform"]


def test_times_are_drawn_from_top_to_bottom():
    timings = [Timing(name="small", taken=0.01, allowed=0.1), Timing(name="large", taken=2.0, allowed=5.0)]
    (axes,) = timings_figure(timings).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["large", "small"]
    ends = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert [list(pair) for pair in ends] == [[2.0, 5.0], [0.01, 0.1]]
