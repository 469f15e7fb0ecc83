"""The figures for papers, and the files around them."""

from __future__ import annotations

import io
import logging
import struct
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import reports.folder
from reports import figures, frames, tables
from reports.figure_style import style
from reports.files import replaced_atomically
from reports.page import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from reports.data import ReportData


@pytest.fixture(params=list(figures.FIGURES))
def drawn(request: pytest.FixtureRequest, trusted_report_data: ReportData) -> Figure:
    with style():
        figure = figures.FIGURES[request.param](trusted_report_data)
        assert figure is not None
        FigureCanvasAgg(figure).draw()
    return figure


def _texts(figure: Figure) -> list[tuple[Text, Bbox]]:
    """All texts that are drawn, with their places in pixels; an axis also holds labels of ticks beyond its ends."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if not low <= tick.get_loc() <= high:
                    beyond |= {tick.label1, tick.label2}
    shown = [text for text in figure.findobj(mpl.text.Text) if text.get_text().strip() and text.get_visible()]
    return [(text, text.get_window_extent()) for text in shown if text not in beyond]


def test_no_text_is_cut_off(drawn: Figure) -> None:
    texts = _texts(drawn)
    assert len(texts) > 5
    for text, box in texts:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= drawn.bbox.x1 + 1, text
        assert box.y1 <= drawn.bbox.y1 + 1, text


def test_upright_labels_do_not_overlap(drawn: Figure) -> None:
    upright = [(text.get_text(), box.extents) for text, box in _texts(drawn) if text.get_rotation() in (0, 90)]
    left, bottom, right, top = np.array([extents for _, extents in upright]).T
    wide = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    high = np.minimum.outer(top, top) - np.maximum.outer(bottom, bottom)
    pixels = np.triu(np.clip(wide, 0, None) * np.clip(high, 0, None), k=1)
    assert [(upright[one][0], upright[other][0]) for one, other in np.argwhere(pixels > 2)] == []


def test_every_axis_has_a_name(report_data: ReportData) -> None:
    with style():
        front = figures.front_figure(report_data)
        predicted = figures.predicted_measured_figure(report_data)
        resources = figures.resources_figure(report_data)
    drawn = (front, predicted, resources)
    names = [[(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] for figure in drawn]
    assert names[0] == [
        ("Utilisation of the usable device (%)", "Measured loss (nats per image)"),
        ("Utilisation of the usable device (%)", "Validation accuracy (%)"),
        ("", "Interval (cycles)"),
    ]
    assert names[1] == [("Predicted loss (nats per image)", "Measured loss (nats per image)")]
    assert names[2] == [("Front designs, in order of utilisation", "Used of usable (%)")]


def test_the_scatter_shows_every_design_where_it_is(report_data: ReportData) -> None:
    with style():
        axes = figures.predicted_measured_figure(report_data).axes[0]
    drawn = np.concatenate([collection.get_offsets() for collection in axes.collections])
    given = report_data.designs[report_data.designs["kind"] != "float"]
    wanted = given[["predicted_loss", "measured_loss"]].to_numpy(float)
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], wanted[np.lexsort(wanted.T)])
    assert len(axes.collections) == 3
    assert len({tuple(map(tuple, collection.get_paths()[0].vertices)) for collection in axes.collections}) == 3


def test_the_map_names_every_format_of_every_front_design(report_data: ReportData) -> None:
    with style():
        left, right = figures.formats_figure(report_data).axes
    front = frames.front_designs(report_data)
    for axes, field in ((left, "weight_format"), (right, "input_format")):
        cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
        wanted = {
            (row, layer["position"]): layer[field]
            for row, design in enumerate(front["design"])
            for layer in report_data.layers[report_data.layers["design"] == design].to_dict("records")
            if layer[field]
        }
        assert cells == wanted


def _one_design(data: ReportData) -> ReportData:
    keep = [frame[frame["design"] == "d00"] for frame in (data.designs, data.layers)]
    return replace(data, designs=keep[0], layers=keep[1])


def _deep(data: ReportData) -> ReportData:
    blocks = [data.layers.assign(position=data.layers["position"] + 8 * block) for block in range(12)]
    return replace(data, layers=pd.concat(blocks).assign(layer="$x_{1$"))


def _designs(**columns: object) -> Callable[[ReportData], ReportData]:
    return lambda data: replace(data, designs=data.designs.assign(**columns))


VARIATIONS: dict[str, Callable[[ReportData], ReportData]] = {
    "one design": _one_design,
    "96 layers, names like broken formulae": _deep,
    "no loss, nothing used": _designs(
        measured_loss=0.0, predicted_loss=0.0, utilisation=0.0, luts=0, flip_flops=0, dsps=0, brams=0
    ),
    "beyond the device": _designs(utilisation=np.geomspace(0.1, 9, 13)),
    "no accuracy, one interval": _designs(validation_accuracy=np.nan, test_accuracy=np.nan, interval_cycles=784),
}


@pytest.mark.parametrize("name", VARIATIONS)
@pytest.mark.filterwarnings("error")
def test_unusual_explorations_are_drawn(small_report_data: ReportData, name: str) -> None:
    data = VARIATIONS[name](small_report_data)
    with style():
        for figure in filter(None, (draw(data) for draw in figures.FIGURES.values())):
            figure.savefig(io.BytesIO(), format="png", dpi=30)


def test_files_are_the_same_each_time_and_as_promised(trusted_report_data: ReportData, tmp_path: Path) -> None:
    first = figures.write_figures(trusted_report_data, tmp_path / "a")
    with mpl.rc_context({"font.size": 30, "figure.facecolor": "red"}):  # a user's settings change nothing
        second = figures.write_figures(trusted_report_data, tmp_path / "b")
        assert mpl.rcParams["font.size"] == 30
    names = ("front", "predicted_measured", "formats", "resources", "bands", "audit", "rounds")
    wanted = {f"{name}.{suffix}" for name in names for suffix in ("pdf", "png")}
    assert {path.name for path in first} == wanted == {path.name for path in (tmp_path / "a").iterdir()}
    widths = dict.fromkeys(names, 1400) | {"predicted_measured": 700}
    for one, other in zip(first, second, strict=True):
        content = one.read_bytes()
        assert content == other.read_bytes()
        if one.suffix == ".png":
            assert struct.unpack(">I", content[16:20]) == (widths[one.stem],)
            assert b"tEXt" not in content
        else:
            assert b"/FontFile2" in content  # TrueType outlines, which editors and publishers accept
            assert b"/Type3" not in content
            assert b"CreationDate" not in content


def test_the_csv_keeps_columns_and_digits(report_data: ReportData, tmp_path: Path) -> None:
    path = tables.write_front_csv(report_data, tmp_path / "front.csv")
    read = pd.read_csv(path)
    assert list(read.columns) == list(report_data.designs.columns)
    for column in ("measured_loss", "predicted_loss", "utilisation", "validation_accuracy"):
        assert read[column].tolist()[:-1] == report_data.designs[column].tolist()[:-1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def write(text: bytes, error: Exception | None) -> None:
        with replaced_atomically(path) as stream:
            stream.write(text)
            if error is not None:
                raise error

    with pytest.raises(OSError, match="disk is full"):
        write(b"half", OSError("disk is full"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write(b"new", None)
    assert path.read_text() == "new"
    with pytest.raises(FileNotFoundError), replaced_atomically(tmp_path / "nowhere" / "page.html"):
        pass


def test_without_the_extra_the_rest_is_written(
    small_report_data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    for module in ("charts", "chart_style", "design_views", "layer_views"):
        monkeypatch.delitem(sys.modules, f"reports.{module}", raising=False)
        monkeypatch.delattr(f"reports.{module}", raising=False)
    with caplog.at_level(logging.WARNING):
        written = reports.folder.write_report(small_report_data, tmp_path)
    assert written.html is None
    assert "pip install 'bitfront[report]'" in written.message
    assert "needs altair" in caplog.text
    assert written.front_csv.exists()
    assert len(written.figures) == 8
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(MissingExtraError, match=r"report\.html needs altair, which is not installed"):
        reports.write_html(small_report_data, tmp_path / "report.html")


def test_the_names_of_the_package_load_when_used() -> None:
    for name in reports.__all__:
        assert getattr(reports, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'write_pdf'; it has MissingExtraError, ReportData"):
        _ = reports.write_pdf
