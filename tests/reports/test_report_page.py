"""The page in a real browser: what is drawn, what a click changes, and that nothing a model is named gets to run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from reports import frames, page, write_html
from reports.charts import specification
from reports.palette import format_colour

if TYPE_CHECKING:
    from pathlib import Path

    from reports.data import ReportData

MAXIMUM_BYTES = 2_000_000


@pytest.fixture(scope="module")
def html_file(report_data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(report_data, tmp_path_factory.mktemp("report") / "report.html")


def _layers(data: ReportData, design: str) -> pd.DataFrame:
    return data.layers[data.layers["design"] == design].sort_values("position")


def _column(browser: Any, view: str) -> list[str]:
    """The texts of a view from top to bottom."""
    return browser.evaluate(
        f"""[...document.querySelectorAll('#charts g[class*="{view}_layer"] text')]
        .map(text => [text.getBoundingClientRect().top, text.textContent]).sort((a, b) => a[0] - b[0])
        .map(pair => pair[1])"""
    )


def _check_shows(browser: Any, data: ReportData, design: str) -> None:
    """Every view that follows the choice shows ``design``."""
    layers = _layers(data, design)
    name = data.designs.set_index("design").loc[design, "name"]
    assert browser.evaluate("document.body.dataset.design") == design
    assert browser.evaluate("decodeURIComponent(location.hash.slice(1))") in (design, "")
    assert _column(browser, "headline")[0] == f"{design} \N{MIDDLE DOT} {name}"
    assert _column(browser, "words_label") == [frames.shortened(layer) for layer in layers["layer"]]
    for field in ("input_format", "weight_format", "output_format"):
        assert _column(browser, f"tiles_{field}") == [text for text in layers[field] if text]
    times = "\N{MULTIPLICATION SIGN}"
    folding = [f"{pe} {times} {simd}" if pe else "" for pe, simd in zip(layers["pe"], layers["simd"], strict=True)]
    assert _column(browser, "words_folding") == folding
    assert _column(browser, "bars_luts") == [f"{count:,}" for count in layers["luts"]]
    usage = frames.usage_frame(data)
    assert _column(browser, "device") == usage.loc[usage["design"] == design, "text"].tolist()
    assert browser.evaluate("document.querySelector('#chooser select').value") == design
    chosen = browser.evaluate("[...document.querySelectorAll('tr.chosen')].map(row => row.dataset.design)")
    assert chosen == [design]


def _marks(browser: Any, view: str) -> list[dict[str, Any]]:
    """Centres of the clickable marks of a view and the designs they stand for."""
    return browser.evaluate(
        f"""[...[...document.querySelectorAll('#charts g.mark-symbol[class*="{view}_layer"]')].at(-1).children]
        .filter(mark => mark.__data__.cursor === 'pointer').map(mark => {{
          const box = mark.getBoundingClientRect();
          return {{x: box.left + box.width / 2, y: box.top + box.height / 2, design: mark.__data__.datum.design}};
        }})"""
    )


def test_the_page_opens_with_every_design_and_no_complaint(
    opened: Any, report_data: ReportData, html_file: Path
) -> None:
    assert opened.complaints() == []
    assert opened.requests() == [html_file.as_uri()]
    designs = set(frames.design_frame(report_data)["design"])
    for view in ("front", "accuracy", "predicted"):
        assert {mark["design"] for mark in _marks(opened, view)} == designs
        assert len(_marks(opened, view)) == 40
    titles = opened.evaluate("[...document.querySelectorAll('#charts .role-axis-title text')].map(t => t.textContent)")
    assert sorted(titles) == sorted(
        [
            "Measured loss (nats per image)",
            "Validation accuracy (%)",
            "Utilisation: largest share of a usable resource (%)",
            "Predicted loss (nats per image)",
            "Measured loss (nats per image)",
        ]
    )
    _check_shows(opened, report_data, frames.initial_design(report_data))


def test_points_lie_where_their_numbers_say(opened: Any, report_data: ReportData) -> None:
    given = frames.design_frame(report_data).set_index("design")
    for view, x, y in (
        ("front", "utilisation_percent", "drawn_measured"),
        ("predicted", "drawn_predicted", "drawn_measured"),
    ):
        marks = pd.DataFrame(_marks(opened, view)).set_index("design").loc[given.index]
        for pixels, values, sign in ((marks["x"], given[x], 1), (marks["y"], given[y], -1)):
            logs = np.log(values.to_numpy(float))
            slope, start = np.polyfit(logs, pixels.to_numpy(float), 1)
            assert sign * slope > 10
            np.testing.assert_allclose(start + slope * logs, pixels, atol=0.6)


@pytest.mark.parametrize("view", ["front", "accuracy", "predicted"])
def test_a_click_chooses_a_design_everywhere(opened: Any, report_data: ReportData, view: str) -> None:
    marks = _marks(opened, view)
    # A mark that no other covers: the farthest from its neighbours.
    places = np.array([[mark["x"], mark["y"]] for mark in marks])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(len(marks))
    lonely = marks[int(apart.min(axis=1).argmax())]
    assert lonely["design"] != frames.initial_design(report_data)
    opened.click(lonely["x"], lonely["y"])
    opened.wait_for(f"document.body.dataset.design === {json.dumps(lonely['design'])}")
    _check_shows(opened, report_data, lonely["design"])
    opened.click(5, 5)  # beside everything: the choice stays
    _check_shows(opened, report_data, lonely["design"])
    assert opened.complaints() == []


def test_a_design_can_be_chosen_without_a_mouse(opened: Any, report_data: ReportData, html_file: Path) -> None:
    opened.evaluate(
        """(() => { const list = document.querySelector('#chooser select'); list.value = 'u11';
        list.dispatchEvent(new Event('change', {bubbles: true}));
        list.dispatchEvent(new Event('input', {bubbles: true})); })()"""
    )
    opened.wait_for("document.body.dataset.design === 'u11'")
    _check_shows(opened, report_data, "u11")
    opened.evaluate("document.querySelector('a[href=\"#d02\"]').click()")
    opened.wait_for("document.body.dataset.design === 'd02'")
    _check_shows(opened, report_data, "d02")
    opened.open(f"{html_file.as_uri()}#d30")
    _check_shows(opened, report_data, "d30")
    opened.open(f"{html_file.as_uri()}#no%20such%20design")
    assert opened.evaluate("document.body.dataset.design") == frames.initial_design(report_data)


def test_tiles_have_the_colours_of_their_formats(opened: Any, report_data: ReportData) -> None:
    fills = opened.evaluate(
        """[...document.querySelectorAll('#charts g[class*="tiles_weight_format_layer_0"] path')]
        .map(tile => tile.getAttribute('fill'))"""
    )
    formats = _layers(report_data, frames.initial_design(report_data))["weight_format"]
    assert fills == [format_colour(text) for text in formats if text]


def test_nothing_on_the_page_overlaps_or_leaves_it(opened: Any) -> None:
    """Texts of the charts stay apart and inside the picture at 1280 pixels; the page needs no sideways scrolling."""
    boxes = opened.evaluate(
        """[...document.querySelectorAll('#charts text')].filter(text => text.textContent.trim() !== '').map(text => {
        const box = text.getBoundingClientRect();
        return [box.left, box.top, box.right, box.bottom, text.textContent, text.getAttribute('stroke') || '']; })"""
    )
    outer = opened.evaluate("(() => { const b = document.querySelector('#charts svg').getBoundingClientRect();"
                            "return [b.left, b.top, b.right, b.bottom]; })()")  # fmt: skip
    assert len(boxes) > 100
    texts = [box for box in boxes if box[5] != "white"]  # the white halo of a name lies below the name
    for left, top, right, bottom, text, _ in texts:
        assert left >= outer[0] - 1, text
        assert right <= outer[2] + 1, text
        assert top >= outer[1] - 1, text
        assert bottom <= outer[3] + 1, text
    for index, one in enumerate(texts):
        for other in texts[index + 1 :]:
            wide = min(one[2], other[2]) - max(one[0], other[0])
            high = min(one[3], other[3]) - max(one[1], other[1])
            assert wide <= 1 or high <= 3, (one[4], other[4])
    assert opened.evaluate("document.documentElement.scrollWidth") <= 1280


class _Inventory(HTMLParser):
    """Elements and attributes of a page, as a browser's parser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_hostile_names_stay_texts(opened: Any, html_file: Path) -> None:
    text = html_file.read_text(encoding="utf-8")
    inventory = _Inventory()
    inventory.feed(text)
    assert [tag for tag, _ in inventory.elements].count("script") == 3
    assert not {"img", "link", "iframe", "object"} & {tag for tag, _ in inventory.elements}
    assert not [name for _, attributes in inventory.elements for name in attributes if name.startswith(("on", "src"))]
    assert opened.evaluate("document.scripts.length") == 3
    assert opened.evaluate("document.querySelectorAll('#charts img, #charts script, .facts i').length") == 0
    assert opened.evaluate("document.querySelector('h1').textContent") == "digits on xc7z020 <b>&</b>"
    assert "<i>abc123</i>" in opened.evaluate("document.querySelector('.facts').textContent")
    assert not [complaint for complaint in opened.complaints() if "dialog" in complaint]


def test_hostile_designs_and_formats_stay_texts(chromium: Any, report_data: ReportData, tmp_path: Path) -> None:
    hostile = "</script><script>alert('1')</script>'\"]; #%&\u2028"
    change = {"d21": hostile}
    data = replace(
        report_data,
        designs=report_data.designs.assign(
            design=report_data.designs["design"].replace(change), name="<img src=x onerror=alert(2)>", status="<u>"
        ),
        layers=report_data.layers.assign(
            design=report_data.layers["design"].replace(change),
            weight_format="<svg onload=alert(3)>",
            style="${alert(4)}",
        ),
    )
    path = write_html(data, tmp_path / "hostile.html")
    chromium.open(path.as_uri())
    assert chromium.complaints() == []
    assert chromium.evaluate("document.body.dataset.design") == hostile
    assert chromium.evaluate("document.scripts.length") == 3
    assert chromium.evaluate("document.querySelectorAll('img, u, main svg svg').length") == 0
    chromium.open(f"{path.as_uri()}#d30")
    assert chromium.evaluate("document.body.dataset.design") == "d30"
    chromium.open(f"{path.as_uri()}#{quote(hostile, safe='')}")
    assert chromium.evaluate("document.body.dataset.design") == hostile


def test_a_foreign_script_does_not_run(chromium: Any, html_file: Path, tmp_path: Path) -> None:
    """The policy in the page's head stops what is not ours, should an escape ever be forgotten."""
    injected = "<script>document.title='broken'</script><img src='https://example.org/x.png'></main>"
    path = tmp_path / "injected.html"
    path.write_text(html_file.read_text(encoding="utf-8").replace("</main>", injected), encoding="utf-8")
    chromium.open(path.as_uri())
    assert chromium.evaluate("document.title") != "broken"
    assert len([complaint for complaint in chromium.complaints() if "Content Security Policy" in complaint]) == 2


def test_the_page_is_small_self_contained_and_the_same_each_time(report_data: ReportData, html_file: Path) -> None:
    content = html_file.read_bytes()
    assert len(content) < MAXIMUM_BYTES
    assert page.render(report_data).encode() == content
    addresses = set(re.findall(rb"https?://[^\s\"'`)<>\\]+", content))
    names = (b"http://www.w3.org/", b"https://vega.github.io/schema/")  # namespaces and schemas: nothing fetches them
    assert [address for address in addresses if not address.startswith(names)] == []


def test_a_big_exploration_stays_small(report_data: ReportData, tmp_path: Path) -> None:
    blocks = [report_data.layers.assign(position=report_data.layers["position"] + 8 * block) for block in range(8)]
    path = write_html(replace(report_data, layers=pd.concat(blocks)), tmp_path / "big.html")  # 40 designs of 64 layers
    assert path.stat().st_size < MAXIMUM_BYTES


def test_a_page_beyond_the_device_without_float_network_or_accuracies(
    chromium: Any, report_data: ReportData, tmp_path: Path
) -> None:
    one = report_data.designs[report_data.designs["design"] == "d21"]
    data = replace(
        report_data,
        designs=one.assign(utilisation=1.7, luts=1.7 * 37240, validation_accuracy=np.nan, test_accuracy=np.nan,
                           measured_loss=0.0, interval_cycles=0, bound=np.nan),
        layers=report_data.layers[report_data.layers["design"] == "d21"],
        facts={}, notes=(),
    )  # fmt: skip
    chromium.open(write_html(data, tmp_path / "one.html").as_uri())
    assert chromium.complaints() == []
    assert _column(chromium, "device")[0] == "63,308 of 37,240 (170 %)"
    bars = chromium.evaluate(
        """[...document.querySelectorAll('#charts g[class*="device_layer_1"] path')]
        .map(bar => [bar.getAttribute('fill'), bar.getBoundingClientRect().width])"""
    )
    tracks = chromium.evaluate(
        """[...document.querySelectorAll('#charts g[class*="device_layer_0"] path')]
        .map(bar => bar.getBoundingClientRect().width)"""
    )
    assert bars[0][0] == "#D55E00"
    assert bars[0][1] == pytest.approx(tracks[0], abs=1)
    assert "usable device" in _column(chromium, "front")
    assert "Losses below 1e-06 nats are drawn at 1e-06 (1 design)." in chromium.evaluate("document.body.textContent")


def test_the_data_of_the_charts_are_the_reports(report_data: ReportData) -> None:
    sets = specification(report_data)["datasets"]
    assert len(sets["designs"]) == 40
    assert len(sets["layers"]) == 320
    assert len(sets["usage"]) == 160
    given = report_data.designs.set_index("design")
    for row in sets["designs"]:
        assert row["measured_loss"] == pytest.approx(given.loc[row["design"], "measured_loss"], rel=1e-5)
    json.dumps(sets, allow_nan=False)


def test_the_chosen_designs_energy_is_shown_by_what_takes_it(opened: Any, report_data: ReportData) -> None:
    chosen = frames.initial_design(report_data)
    parts = frames.energy_frame(report_data)
    expected = list(parts.loc[parts["design"] == chosen, "text"])
    assert _column(opened, "energy")[:3] == expected
    layers = frames.layer_frame(report_data)
    assert _column(opened, "bars_energy")[: layers["position"].nunique()] == list(
        layers.loc[layers["design"] == chosen, "energy"]
    )


def test_a_page_for_an_asic_shows_gates(chromium: Any, asic_report_data: ReportData, tmp_path: Path) -> None:
    chromium.open(write_html(asic_report_data, tmp_path / "asic.html").as_uri())
    assert chromium.complaints() == []
    (used,) = _column(chromium, "device")
    assert used.split(" of ")[1].startswith("1,400,000 (")
    text = chromium.evaluate("document.body.textContent")
    assert "Gates" in text
    assert "BRAM36" not in text
