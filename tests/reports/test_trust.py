"""How far losses can be trusted: what the frames must hold, what the page and the figures make of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from reports import figures, trust_frames, write_html
from reports.checks import ReportDataError
from reports.figure_style import style
from reports.trust_data import TRUST_COLUMNS, TrustData
from reports.trust_frames import BEATEN, CORRECTED, SURE, UNSURE
from reports.trust_section import trust_section
from tests.reports.conftest import HOSTILE_METRIC, METRICS

if TYPE_CHECKING:
    from pathlib import Path

    from reports.data import ReportData


class _Tables(HTMLParser):
    """The cells of every table, and the texts between them, as a browser's parser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.texts: list[str] = []
        self.marked: list[str] = []
        self._row_class = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self._row_class = dict(attrs).get("class") or ""
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "p":
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "th"):
            self.tables[-1][-1][-1] += data
            if self._row_class == "chosen" and len(self.tables[-1][-1]) == 1:
                self.marked.append(data)
        elif self._inside == "p":
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside if tag != self._inside else ""


@pytest.fixture(scope="module")
def section(trusted_report_data: ReportData) -> _Tables:
    return _Tables(trust_section(trusted_report_data))


@pytest.fixture(scope="module")
def html_file(trusted_report_data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(trusted_report_data, tmp_path_factory.mktemp("trust") / "report.html")


@pytest.mark.parametrize(("frame", "column"), [(name, one) for name in TRUST_COLUMNS for one in TRUST_COLUMNS[name]])
def test_every_missing_column_is_named(trusted_report_data: ReportData, frame: str, column: str) -> None:
    short = getattr(trusted_report_data.trust, frame).drop(columns=column)
    with pytest.raises(ReportDataError, match=re.escape(f"TrustData.{frame} lacks the columns '{column}'; it has")):
        replace(trusted_report_data.trust, **{frame: short})


@pytest.mark.parametrize(
    ("frame", "column", "value", "message"),
    [
        (
            "metrics",
            "chosen",
            "yes",
            "TrustData.metrics column 'chosen' holds 'yes'; allowed are True or False (1",
        ),
        (
            "points",
            "measured",
            np.inf,
            "TrustData.points column 'measured' holds inf; allowed are finite numbers (1",
        ),
        ("rounds", "round", 1.5, "TrustData.rounds column 'round' holds 1.5; allowed are whole numbers (1 of 3 rows"),
        ("pairs", "pair", 3, "TrustData.pairs column 'pair' holds 3; allowed are text (1 of 3 rows are wrong)"),
        ("bands", "low", np.nan, "column 'low' of design"),
    ],
)
def test_wrong_cells_are_named(
    trusted_report_data: ReportData, frame: str, column: str, value: object, message: str
) -> None:
    changed = getattr(trusted_report_data.trust, frame).astype({column: object})
    changed.loc[0, column] = value
    with pytest.raises(ReportDataError, match=re.escape(message)):
        replace(trusted_report_data.trust, **{frame: changed})


def test_bands_are_of_designs_that_are_there(trusted_report_data: ReportData) -> None:
    strange = trusted_report_data.trust.bands.assign(design="z9")
    message = "TrustData.bands names designs that ReportData.designs does not have: 'z9'"
    with pytest.raises(ReportDataError, match=re.escape(message)):
        replace(trusted_report_data, trust=replace(trusted_report_data.trust, bands=strange))


def test_bands_come_in_order_and_say_how_sure_they_are(trusted_report_data: ReportData) -> None:
    frame = trust_frames.band_frame(trusted_report_data)
    assert frame["loss"].is_monotonic_increasing
    wanted = [BEATEN, *(UNSURE if place % 2 else SURE for place in range(1, len(frame) - 1)), SURE]
    assert list(frame["standing"]) == wanted
    assert frame.loc[1, "next"] == frame.loc[2, "design"]
    assert frame.loc[0, "beaten"] == frame.loc[1, "design"]


def test_losses_that_no_axis_can_show_are_drawn_at_the_floor(trusted_report_data: ReportData) -> None:
    frame = trust_frames.audit_frame(trusted_report_data.trust)
    floor = 0.5 * frame["measured"].min()
    task = frame[frame["metric"] == "task"]
    assert task["predicted"].iloc[0] < 0
    assert task["drawn_predicted"].iloc[0] == floor
    assert frame["drawn_measured"].equals(frame["measured"])
    assert trust_frames.audit_floor(TrustData()) == 1e-6


def test_the_table_of_metrics_holds_them_all_and_marks_the_one_used(section: _Tables) -> None:
    metrics = section.tables[0]
    assert [row[0] for row in metrics[1:]] == [
        "divergence", "hessian (used)", HOSTILE_METRIC, "norm", "task",
    ]  # fmt: skip
    assert metrics[2] == ["hessian (used)", "0.888", "0.800", "0.800", "0.00123", "2.5", "35.0 %"]
    assert metrics[5][2] == "\N{EN DASH}"
    assert section.marked == ["hessian (used)"]
    assert section.texts[1].startswith("12 designs were drawn at random and executed whole.")


def test_the_table_of_rounds_holds_every_round(section: _Tables) -> None:
    rounds = section.tables[1]
    dash = "\N{EN DASH}"
    assert rounds[1] == ["1", "15", "6", "0.950", "1.1", "0", "0.5100", dash, dash]
    assert rounds[3] == ["3", "15", "0", dash, "1.1", "2", "0.5300", "30.0 %", "20.0 %"]
    assert "The rounds ended: the front stood still." in section.texts[4]


def test_only_pairs_that_fail_are_listed_the_worst_first(section: _Tables) -> None:
    pairs = section.tables[2]
    assert [row[0][0] for row in pairs[1:]] == ["c", "a"]
    assert pairs[1] == ["c x <script>alert('x')</script>", "int2", "int3", "0.02", "0.04", "+100 %"]
    assert section.texts[5] == (
        "Predictions add the losses of single places; 3 pairs of neighbours were tested, and 2 lose noticeably more or "
        "less together than the sum. Terms of pairs are used <b>here</b>."
    )


def test_the_words_about_bands_count_them(section: _Tables, trusted_report_data: ReportData) -> None:
    standing = trust_frames.band_frame(trusted_report_data)["standing"]
    unsure = int((standing == UNSURE).sum())
    assert "in 95 % of resamples" in section.texts[0]
    assert f"That is so for {unsure} of {len(standing)} designs, so" in section.texts[0]
    assert "Dominated beyond noise: 1." in section.texts[0]


def test_pairs_that_all_add_are_a_sentence(trusted_report_data: ReportData) -> None:
    trust = trusted_report_data.trust
    data = replace(trusted_report_data, trust=replace(trust, pairs=trust.pairs.assign(fails=False)))
    assert "3 pairs of neighbours were tested, and all of them add." in trust_section(data)


def test_what_nobody_measured_is_said(chromium: Any, report_data: ReportData, tmp_path: Path) -> None:
    chromium.open(write_html(report_data, tmp_path / "report.html").as_uri())
    assert chromium.complaints() == []
    text = chromium.evaluate("document.getElementById('trust').textContent")
    for words in ("No bands: ", "Not audited: ", "No rounds: ", "Not tested: "):
        assert words in text
    for setting in ("resamples = 0", "audit_designs = 0", "rounds = 0", 'pairs = "off"'):
        assert f"unless [accuracy] says {setting}." in text
    assert chromium.evaluate("document.querySelectorAll('#trust svg, #trust table').length") == 0


def test_the_page_draws_every_point_round_and_band(opened: Any, trusted_report_data: ReportData) -> None:
    assert opened.complaints() == []

    def marks(place: str, kind: str) -> int:
        return opened.evaluate(
            f"""[...document.querySelectorAll('#{place} g.mark-{kind}.role-mark')]
            .map(group => [...group.children].filter(mark => mark.__data__.datum.{
                "metric" if place == "audit" else "design" if place == "bands" else "round"
            } !== undefined).length).reduce((a, b) => a + b, 0)"""
        )

    bands = len(trusted_report_data.trust.bands)
    assert marks("audit", "symbol") == len(trusted_report_data.trust.points)
    assert marks("bands", "symbol") == bands + 1  # and the ring of the chosen design
    assert marks("bands", "rule") == bands
    titles = opened.evaluate("[...document.querySelectorAll('#audit .role-column-title, #audit text')]"
                             ".map(text => text.textContent)")  # fmt: skip
    for heading in trust_frames.panels(trusted_report_data.trust).values():
        assert any(text.startswith(heading[:20]) for text in titles)
    per_panel = opened.evaluate(
        """[...document.querySelectorAll('#audit g.mark-symbol.role-mark')]
        .map(group => new Set([...group.children].map(mark => mark.__data__.datum.metric)).size)"""
    )
    assert per_panel == [1] * len(METRICS)
    front = opened.evaluate("document.querySelectorAll('#charts g.mark-rule[class*=front_layer] line').length")
    assert front >= bands


def test_a_band_that_is_clicked_chooses_its_design_everywhere(opened: Any, trusted_report_data: ReportData) -> None:
    design = trust_frames.band_frame(trusted_report_data)["design"].iloc[3]
    opened.evaluate("document.getElementById('bands').scrollIntoView()")
    spot = opened.evaluate(
        f"""(() => {{ const mark = [...document.querySelectorAll('#bands g.mark-symbol.role-mark > *')]
        .find(mark => mark.__data__.datum.design === {json.dumps(design)} && mark.__data__.cursor === 'pointer');
        const box = mark.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2]; }})()"""
    )
    opened.click(*spot)
    opened.wait_for(f"document.body.dataset.design === {json.dumps(design)}")
    assert opened.evaluate("document.querySelector('#chooser select').value") == design
    rings = """[...document.querySelectorAll('#bands g.mark-symbol.role-mark > *')]
        .filter(mark => mark.__data__.cursor !== 'pointer').map(mark => mark.__data__.datum.design)"""
    opened.wait_for(f"JSON.stringify({rings}) === JSON.stringify([{json.dumps(design)}])")
    assert opened.complaints() == []


@pytest.mark.parametrize("width", [1280, 420])
def test_pictures_scroll_and_the_page_does_not(chromium: Any, html_file: Path, width: int) -> None:
    chromium.open(html_file.as_uri(), width=width)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    scale = chromium.evaluate(
        """Math.min(...[...document.querySelectorAll('#trust .chart svg')]
        .map(svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""
    )
    assert scale > 0.95  # texts keep their size


def test_hostile_names_stay_texts(opened: Any) -> None:
    assert opened.evaluate("document.scripts.length") == 3
    assert opened.evaluate("document.querySelectorAll('#trust img, #trust b, #trust script').length") == 0
    assert HOSTILE_METRIC in opened.evaluate("document.getElementById('trust').textContent")


def test_figures_show_every_point_and_band(trusted_report_data: ReportData) -> None:
    trust = trusted_report_data.trust
    with style():
        audit = figures.FIGURES["audit"](trusted_report_data)
        bands = figures.FIGURES["bands"](trusted_report_data)
        rounds = figures.FIGURES["rounds"](trusted_report_data)
    assert audit is not None
    assert bands is not None
    assert rounds is not None
    drawn = [axes for axes in audit.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in drawn] == list(trust_frames.panels(trust).values())
    for axes, metric in zip(drawn, METRICS, strict=True):
        assert list(axes.lines[1].get_ydata()) == list(trust.points.loc[trust.points["metric"] == metric, "measured"])
    (axes,) = bands.axes
    ends = np.array([segment[:, 1] for segment in axes.collections[0].get_segments()])
    frame = trust_frames.band_frame(trusted_report_data)
    np.testing.assert_allclose(ends, frame[["low", "high"]].to_numpy())
    looks = {line.get_label(): line for line in axes.lines}
    assert looks[UNSURE].get_markerfacecolor() == "white" != looks[SURE].get_markerfacecolor()
    assert len(looks[UNSURE].get_xdata()) == int((frame["standing"] == UNSURE).sum())
    volume, error, designs = rounds.axes
    assert list(volume.lines[0].get_ydata()) == list(trust.rounds["hypervolume"])
    corrected = next(line for line in error.lines if line.get_label() == CORRECTED)
    np.testing.assert_allclose(corrected.get_ydata(), [np.nan, 20.0, 20.0])
    assert [bar.get_height() for bar in designs.patches] == [6, 3, 0, 0, 1, 2]


def test_figures_of_an_earlier_report_do_not_outlive_it(trusted_report_data: ReportData, tmp_path: Path) -> None:
    figures.write_figures(trusted_report_data, tmp_path)
    assert (tmp_path / "audit.png").is_file()
    written = figures.write_figures(replace(trusted_report_data, trust=TrustData()), tmp_path)
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    assert not [path for path in written if path.stem in ("audit", "rounds", "bands")]


@pytest.mark.parametrize("frame", ["metrics", "rounds", "pairs", "bands"])
@pytest.mark.filterwarnings("error")
def test_each_part_may_be_missing(trusted_report_data: ReportData, frame: str) -> None:
    empty = {frame: pd.DataFrame()} | ({"points": pd.DataFrame()} if frame == "metrics" else {})
    data = replace(trusted_report_data, trust=replace(trusted_report_data.trust, **empty))
    assert len(_Tables(trust_section(data)).tables) == (3 if frame == "bands" else 2)
    with style():
        drawn = {name for name, draw in figures.FIGURES.items() if draw(data) is not None}
    missing = {"metrics": {"audit"}, "rounds": {"rounds"}, "bands": {"bands"}, "pairs": set()}[frame]
    assert drawn == set(figures.FIGURES) - missing
