"""The drift check: which rows it chooses, and what it says of rows that have changed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from hwmodels.models import ROWS_FOLDER
from hwmodels.synthesis.characterise import characterise, rows_path
from hwmodels.synthesis.drift import choose_rows, measure_again
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import Measurement, read_rows
from tests.hwmodels.synthesis.pretended import Pretended, experiments

if TYPE_CHECKING:
    from pathlib import Path


def row(family: str, width: int, seconds: float = 1.0, status: Status = Status.OK) -> Measurement:
    values = {"luts": 1.0} if status is Status.OK else {}
    return Measurement(
        family=family, parameters={"a": width}, status=status, values=values, rtl="x", seconds=seconds, tool="t"
    )


@pytest.fixture
def rows(tmp_path: Path) -> list[Measurement]:
    list(characterise(experiments(4, 5, 6, 8), {"pretended": Pretended()}, tmp_path))
    return read_rows(rows_path(tmp_path, "pretended"))


def test_families_take_turns_and_choices_repeat() -> None:
    every = [row(family, width) for family in ("b", "a", "c") for width in range(3, 13)]
    chosen = choose_rows(every, 7)
    assert [one.family for one in chosen] == ["a", "b", "c", "a", "b", "c", "a"]
    assert chosen == choose_rows(list(reversed(every)), 7)
    assert len({(one.family, one.parameters["a"]) for one in chosen}) == 7
    assert choose_rows(every, 3) == chosen[:3]


def test_slow_and_failed_rows_are_left_out() -> None:
    every = [row("a", width, seconds=width) for width in range(1, 12)]
    failed = [row("a", width, seconds=0.1, status=Status.FAILED) for width in range(20, 30)]
    assert {one.parameters["a"] for one in choose_rows(every + failed, 99)} == {1, 2, 3, 4, 5, 6}


def test_fewer_rows_than_asked_for() -> None:
    assert choose_rows([], 5) == []
    with pytest.raises(ValueError, match="at least 1 row again, got 0"):
        choose_rows([], 0)


def test_nothing_has_changed(rows: list[Measurement]) -> None:
    checked = measure_again(Pretended(), rows)
    assert [one.differences for one in checked] == [()] * 4
    assert str(checked[0]) == "pretended: multiplier a=4;b=3;a_signed=1;b_signed=1: as committed"


def test_every_kind_of_change_is_told(rows: list[Measurement]) -> None:
    changed = [
        dataclasses.replace(rows[0], values={"luts": 6.0}),
        dataclasses.replace(rows[1], rtl="0123456789abcdef"),
        dataclasses.replace(rows[2], tool="pretended 0"),
        dataclasses.replace(rows[3], parameters={"a": 7, "b": 3}),
        dataclasses.replace(rows[3], parameters={"c": 7}),
        dataclasses.replace(rows[3], family="adderz"),
        rows[3],
    ]
    differences = [one.differences for one in measure_again(Pretended(), changed)]
    assert differences[0] == ("luts 6 -> 7",)
    assert differences[1] == (f"the Verilog has changed (0123456789abcdef -> {rows[1].rtl})",)
    assert differences[2] == ("the tool has changed (pretended 0 -> pretended 1)",)
    assert differences[3][0] == "failed: cannot do 7"
    assert differences[4][0].startswith("family 'multiplier' does not take parameters {'c': 7}")
    assert differences[5][0].startswith("there is no family of units 'adderz'")
    assert differences[6] == ()


def test_values_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    flow = Pretended(more_luts=1 / 3)
    list(characterise(experiments(4), {"pretended": flow}, tmp_path))
    rows = read_rows(rows_path(tmp_path, "pretended"))
    assert rows[0].values["luts"] == 7.33333
    assert measure_again(flow, rows)[0].differences == ()
    assert measure_again(Pretended(more_luts=0.334), rows)[0].differences == ("luts 7.33333 -> 7.334",)


def test_committed_rows_offer_enough_to_check() -> None:
    assert len(choose_rows(read_rows(rows_path(ROWS_FOLDER, "xcup")), 6)) == 6
