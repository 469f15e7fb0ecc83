"""The page about hardware costs from invented frames: what it says, its figures, the same bytes, what is refused."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from reports.figure_style import style
from reports.hardware_data import COLUMNS, HardwareData, rank_correlation, spread
from reports.hardware_figures import FIGURES, errors_figure, families_figure
from reports.hardware_page import page_text, write_hardware_page

FAMILIES = ("adder", "minifloat multiply-accumulate", "empty")
PNG = b"\x89PNG\r\n\x1a\n"


def frame(name: str, rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame([list(row) for row in rows], columns=list(COLUMNS[name]))


@pytest.fixture
def data() -> HardwareData:
    units = [("xcup", "luts", "adder", "width", 10.0 * size, 10.0 * size * 1.02) for size in range(1, 8)]
    units += [("xcup", "luts", FAMILIES[1], "width", 50.0, 60.0), ("xcup", "luts", FAMILIES[1], "format", 50.0, 45.0)]
    models = [("xcup", "luts", family, 7, 2, "least squares", "trees", 0.2, "width 3-48") for family in FAMILIES[:2]]
    models += [("xcup", "flip_flops", "adder", 7, 0, "least squares", "", float("nan"), "width 3-48")]
    engines = [
        (kind, way, size, size * factor)
        for way, factor in (("ours", 1.05), ("FINN-R", 2.0), ("EBOPs", 0.3), ("bit operations", 40.0))
        for kind, size in (("LUTs", 500.0), ("LUTs", 900.0), ("a DSP each", 700.0))
    ]
    layers = [("hls-lut", way, size, size * 1.1) for way in ("ours", "FINN-R") for size in (300.0, 4000.0)]
    return HardwareData(
        units=frame("units", units),
        models=frame("models", models),
        engines=frame("engines", engines),
        layers=frame("layers", layers),
        delays=frame("delays", [("adder", "width=8", 0.4, 0.5), ("multiplier", "a=8;b=8", 1.0, 1.0)]),
        energies=frame("energies", [("int8 add", "45nm", 0.15, 0.14), ("fp16 multiply", "7nm", 4.9, 2.2)]),
        effort=frame(
            "effort", [("xcup", "units", 9, 1, 1260.0, "Yosys 0.70"), ("xcup", "engines", 3, 0, 60.0, "Yosys 0.70")]
        ),
        checks=frame("checks", [("a", "1", "at most 2", True), ("b", "3", "at most 2", False), ("c", "4", "", None)]),
        known_layers=5,
        assumptions=("Nobody measured the moon.",),
    )


def test_the_page_says_what_the_frames_say(data):
    text = page_text(data)
    assert "| a | 1 | at most 2 | met |" in text
    assert "| b | 3 | at most 2 | **missed** |" in text
    assert "| c | 4 |  |  |" in text
    assert "### LUTs, flow `xcup`" in text
    assert "| adder | 7 | 2 | 2.0 % / 2.0 % / 2.0 % |  | width 3-48 |" in text
    assert f"| {FAMILIES[1]} | 7 | 2 | 20.0 % / 20.0 % / 20.0 % | 10.0 % / 10.0 % / 10.0 % | width 3-48 |" in text
    assert "None in adder." in text  # no flip-flops
    assert "| all | ours | 3 | 5.0 % | 5.0 % | 5.0 % | 1.000 |" in text
    assert "| a DSP each | bit operations | 1 | 3900.0 % |" in text
    assert "2 of 5 matrix-vector layers" in text
    assert "2 LUTs, 1 a DSP each" in text
    assert "| int8 add | 45nm | 0.15 | 0.14 | 0.93 |" in text
    assert "9 rows of units took 21 minutes" in " ".join(text.split())
    assert "| xcup | engines | 3 | 0 | 1.0 |" in text
    assert text.count("* `xcup`: Yosys 0.70") == 1
    assert "* Nobody measured the moon." in text
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "*", "!"))) <= 118


def test_every_picture_of_the_page_is_written(data, tmp_path):
    written = write_hardware_page(data, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert names == {"hardware.md", *(f"hardware/{name}.png" for name in FIGURES)}
    text = written[0].read_text(encoding="utf-8")
    for path in written[1:]:
        assert path.read_bytes().startswith(PNG)
        assert f"({path.relative_to(tmp_path).as_posix()})" in text
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {path.name for path in written}


def test_the_same_data_gives_the_same_bytes(data, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_hardware_page(data, tmp_path / name)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_every_family_has_a_panel_and_a_line(data):
    with style():
        panels = [axes for axes in families_figure(data).axes if axes.get_visible()]
        assert [axes.get_title(loc="left").replace("-\n", "-").replace("\n", " ") for axes in panels] == list(
            FAMILIES[:2]
        )
        points = [len(found.get_offsets()) for axes in panels for found in axes.collections[1:]]
        assert points == [7, 0, 1, 1]
        labels = [text.get_text() for text in errors_figure(data).axes[0].get_yticklabels()]
    assert labels == list(FAMILIES[:2])  # the family with the largest error on top


@pytest.mark.parametrize("name", ["units", "engines", "layers", "delays", "energies", "effort", "checks", "models"])
def test_figures_and_page_of_empty_frames(data, tmp_path, name):
    empty = dataclasses.replace(data, **{name: getattr(data, name).iloc[:0]})
    assert write_hardware_page(empty, tmp_path)[0].is_file()


def test_errors_are_absolute_and_ranks_are_spearmans():
    found = spread(pd.DataFrame({"measured": [100.0, 100.0, 100.0], "estimated": [90.0, 102.0, 100.0]}))
    assert (found.count, found.median, found.largest) == (3, pytest.approx(0.02), pytest.approx(0.1))
    assert spread(pd.DataFrame({"measured": [], "estimated": []})) is None
    assert rank_correlation(pd.DataFrame({"measured": [1, 2, 3], "estimated": [3, 2, 1]})) == pytest.approx(-1)


def test_a_frame_without_a_column_is_refused(data):
    with pytest.raises(ValueError, match=r"frame 'engines' of the hardware page lacks column 'way': it has .*style"):
        dataclasses.replace(data, engines=data.engines.drop(columns="way"))


@pytest.mark.parametrize(("column", "value"), [("measured", 0.0), ("estimated", float("nan"))])
def test_numbers_that_cannot_be_compared_are_refused(data, column, value):
    layers = data.layers.assign(**{column: value})
    with pytest.raises(ValueError, match="frame 'layers': measured numbers must be above 0 and estimates finite"):
        dataclasses.replace(data, layers=layers)
