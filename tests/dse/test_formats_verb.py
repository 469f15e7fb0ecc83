"""`bitfront formats`: the catalogue, one format with its number line, JSON, figures, and what is refused."""

from __future__ import annotations

import io
import json
import math
import re

import pytest
from rich.console import Console

from dse.magnitudes import Side, Symmetry, binades, densities, magnitudes, symmetry
from dse.number_line import STRIP, describe, number_line
from dse.terminal import formats_table
from emulation.catalogue import CATALOGUE, Source, parse
from reports.number_line import COLOURS
from reports.palette import INK


def printed(content, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(content)
    return console.file.getvalue()


def test_the_catalogue_is_readable_at_100_columns():
    text = printed(formats_table(CATALOGUE))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    for entry in CATALOGUE:
        row = next(line for line in lines if line.split()[:1] == [entry.name])
        assert entry.family.value in row
        assert str(entry.finite_codes) in row
        assert entry.source.words in row
    assert "+-448" in text
    assert "2^-127 to 2^127" in text


def test_the_catalogue_as_json_has_range_epsilon_codes_and_source(command):
    rows = {row["name"]: row for row in json.loads(command("formats", "--json").out)}
    assert list(rows) == [entry.name for entry in CATALOGUE]
    assert rows["e4m3fn"] == {
        "name": "e4m3fn",
        "family": "minifloat",
        "bits": 8,
        "smallest": -448.0,
        "largest": 448.0,
        "smallest_positive": 2.0**-9,
        "epsilon": 0.125,
        "finite_codes": 254,
        "source": Source.OCP_FP8.reference,
    }


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_format_of_the_catalogue_can_be_described(entry):
    row = describe(entry.format)
    text = printed(number_line(entry.format))
    assert max(map(len, text.splitlines())) <= 100
    assert json.loads(json.dumps(row))["name"] == entry.name
    assert entry.source.reference[:30] in text
    line = magnitudes(entry.format)
    if line is None:
        assert "levels are learned" in text
        return
    assert sum(one.values * (one.last - one.first + 1) for one in binades(line)) == line.count
    assert sum(densities(line, STRIP)) == line.count
    assert line.real(line.count - 1) == row["largest"]
    assert line.real(0) == row["smallest_positive"]
    below = magnitudes(entry.format, Side.NEGATIVE)
    if below.count:
        assert sum(densities(below, STRIP)) == below.count
        assert -below.real(below.count - 1) == row["smallest"]
    else:
        assert row["smallest"] >= 0
    assert row["negative_half"] == symmetry(line, below).value
    assert "negative half" in text or "no negative numbers" in text


@pytest.mark.parametrize(
    ("name", "relation", "words"),
    [
        ("e4m3fn", Symmetry.MIRRORED, "The negative half mirrors it.\n"),
        ("fp4", Symmetry.MIRRORED, "The negative half mirrors it.\n"),
        ("2hot4", Symmetry.MIRRORED, "The negative half mirrors it.\n"),
        ("bfp4/16", Symmetry.MIRRORED, "The negative half mirrors it.\n"),
        ("e2m1keepnz", Symmetry.MIRRORED, "The negative half mirrors it.\n"),
        ("int8", Symmetry.ONE_MORE, "The negative half mirrors it, and has one number more: -128\n"),
        ("fixed<4,2>", Symmetry.ONE_MORE, "and has one number more: -2\n"),
        ("mxint8", Symmetry.ONE_MORE, "and has one number more: -2\n"),
        ("table<t:-2.0,-1.0,0.0,1.0>", Symmetry.ONE_MORE, "and has one number more: -2\n"),
        ("uint4", Symmetry.POSITIVE_ONLY, "There are no negative numbers.\n"),
        ("ue3m2", Symmetry.POSITIVE_ONLY, "There are no negative numbers.\n"),
        ("upot4", Symmetry.POSITIVE_ONLY, "There are no negative numbers.\n"),
        ("e8m0", Symmetry.POSITIVE_ONLY, "There are no negative numbers.\n"),
        ("nf4", Symmetry.OWN, "Number line, negative half\n"),
        ("int1", Symmetry.OWN, "First values: -1\n"),
        ("table<t:-3.0,0.0,1.0,2.0>", Symmetry.OWN, "First values: -3\n"),
        ("table<t:0.0,1.0,2.0,-1.0>", Symmetry.OWN, "First values: -1\n"),
    ],
)
def test_what_is_below_zero(command, name, relation, words):
    assert words in command("formats", name).out
    row = json.loads(command("formats", name, "--json").out)
    assert row["negative_half"] == relation.value
    assert ("negative_binades" in row) is ("negative_first_values" in row) is (relation is Symmetry.OWN)


def test_both_halves_of_nf4():
    nf4 = parse("nf4")
    row = describe(nf4)
    assert row["first_values"] == list(nf4.levels[8:])
    assert row["negative_first_values"] == list(reversed(nf4.levels[:7]))
    assert [(one["first"], one["last"], one["values"]) for one in row["negative_binades"]] == [
        (-4, -3, 1),
        (-2, -1, 2),
        (0, 0, 1),
    ]
    text = printed(number_line(nf4))
    assert max(map(len, text.splitlines())) <= 100
    strips = [line.split() for line in text.splitlines() if line.startswith("  0 ")]
    assert [line[-1] for line in strips] == ["1", "-1"]
    assert [sum(part.count("█") for part in line) for line in strips] == [8, 7]
    assert re.search(r"-2\^-2 +-2\^0 +2 each", text)


def test_a_codebook_without_positive_numbers(command):
    outcome = command("formats", "table<t:-1.0,-2.0>")
    assert "positive half" not in outcome.out
    assert "smallest above zero" not in outcome.out
    assert "First values: -1, -2\n" in outcome.out
    row = json.loads(command("formats", "table<t:-1.0,-2.0>", "--json").out)
    assert (row["smallest_positive"], row["first_values"], row["negative_first_values"]) == (None, [], [-1, -2])


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("nf4", [7, 1, 8]),
        ("e2m1", [0, 0, 7]),
        ("table<t:-1.0,-2.0>", [2, 0, 0]),
        ("table<t:-3.0,-1.0,1.0,2.0>", [2, 0, 2]),
    ],
)
def test_figures_have_a_tick_for_each_number_of_the_halves_they_draw(command, place, name, ticks):
    """Between two halves zero is drawn too, if it is a number of the format; colours tell them apart."""
    assert command("formats", name, "--figure", "line.svg").code == 0
    drawn = (place / "line.svg").read_text().lower()
    collections = re.findall(r'<g id="linecollection_\d+">(.*?)\n   </g>', drawn, re.DOTALL)
    colours = [one.lower() for one in (COLOURS[-1], INK, COLOURS[1])]
    assert [sum(text.count("<path") for text in collections if one in text) for one in colours] == ticks


def test_number_line_of_e4m3fn(command):
    """Counted by hand: seven subnormals, 14 full binades, 256 to 448 in steps of 32."""
    row = describe(parse("e4m3fn"))
    assert row["smallest_normal"] == 2.0**-6
    assert row["smallest_subnormal"] == 2.0**-9
    assert [(one["first"], one["last"], one["values"]) for one in row["binades"]] == [
        (-9, -9, 1),
        (-8, -8, 2),
        (-7, -7, 4),
        (-6, 7, 8),
        (8, 8, 7),
    ]
    assert row["binades"][-1]["spacing"] == 32
    assert row["first_values"][:9] == [step * 2.0**-9 for step in range(1, 10)]
    outcome = command("formats", "E4M3FN")
    assert outcome.code == 0
    assert re.search(r"2\^-6 +2\^8 +8 each", outcome.out)
    assert json.loads(command("formats", "e4m3fn", "--json").out) == row


@pytest.mark.parametrize(
    ("name", "first", "largest"),
    [
        ("e2m1", [0.5, 1, 1.5, 2, 3, 4, 6], 6),
        ("e2m1ftz", [1, 1.5, 2, 3, 4, 6], 6),
        ("e2m1keep", [0.75, 1, 1.5, 2, 3, 4, 6], 6),
        ("e2m1keepnz", [0.5, 0.75, 1, 1.5, 2, 3, 4, 6], 6),
        ("fixed<4,2>", [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75], 1.75),
        ("bfp4/16", [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75], 1.75),
        ("pot3", [1, 2, 4], 4),
        ("apot2x1", [1, 2, 3], 3),
        ("nf4", list(parse("nf4").levels[8:]), 1),
    ],
)
def test_values_above_zero(name, first, largest):
    row = describe(parse(name))
    assert row["first_values"] == first
    assert row["largest"] == largest


def test_wide_formats_are_counted_not_listed():
    row = describe(parse("uint64"))
    assert sum(one["values"] for one in row["binades"]) == 2**64 - 1
    assert "44 more rows" in printed(number_line(parse("uint64")))
    beyond = describe(parse("e8m23b-900"))
    assert beyond["largest"] == math.inf
    assert "inf" in printed(number_line(parse("e8m23b-900")))


def test_scales_of_blocks_are_described(command):
    row = describe(parse("nvfp4"))
    assert (row["scale_smallest"], row["scale_largest"], row["bits_per_value"]) == (2.0**-9, 448, 4.5)
    assert "0.001953 to 448, one per block; 4.5 bits per value" in command("formats", "nvfp4").out
    assert "one per tensor" in command("formats", "dfp8").out


def test_a_number_line_in_ascii():
    text = printed(number_line(parse("e5m2"), ascii_only=True))
    assert text.isascii()
    assert "###" in text


@pytest.mark.parametrize("name", ["e4m3fm", "int8x", "posit8", "", "fixed<99,1>"])
def test_unknown_names_exit_with_2(command, name):
    outcome = command("formats", name)
    assert outcome.code == 2
    assert not outcome.out


def test_unknown_names_get_a_suggestion(command):
    command("formats", "e4m3fm").refused("'e4m3fm' is not a format", "Did you mean e4m3fn or e4m3")
    command("formats", "fixed<99,1>").refused("FixedPoint width must be 1 to 64 bits, got 99")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", ["e4m3fn", "int16", "nvfp4"])
def test_a_figure_is_written(command, place, name, suffix):
    outcome = command("formats", name, "--figure", f"line.{suffix}")
    assert outcome.code == 0
    assert outcome.out.endswith(f"wrote line.{suffix}\n")
    start = (place / f"line.{suffix}").read_bytes()[:5]
    assert start in {b"\x89PNG\r", b"<?xml", b"%PDF-"}
    assert [path.name for path in place.iterdir()] == [f"line.{suffix}"]


def test_figures_that_cannot_be_drawn(command, place):
    command("formats", "e4m3fn", "--figure", "line.gif").refused("a figure's file ends in .png, .svg, .pdf")
    command("formats", "codebook4", "--figure", "line.png").refused("the levels of codebook4 are learned from data")
    command("formats", "e4m3fn", "--figure", "nowhere/line.png").refused("nowhere")
    command("formats", "--figure", "line.png").refused("--figure draws one format: name it")
    assert not list(place.iterdir())
