"""The runner of plans with a flow that is no tool: batches, failures, resumption, unfinished files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.families import unit
from hwmodels.synthesis.characterise import characterise, missing, rows_path
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import RowsError, append_rows, read_rows
from tests.hwmodels.synthesis.pretended import Pretended, experiments

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_of_a_whole_plan(tmp_path: Path) -> None:
    flow = Pretended()
    reports = list(characterise(experiments(4, 5, 6, 8), {"pretended": flow}, tmp_path))
    assert [(report.done, report.total) for report in reports] == [(3, 4), (4, 4)]
    rows = read_rows(rows_path(tmp_path, "pretended"))
    assert [(row.parameters["a"], row.values["luts"], row.status) for row in rows] == [
        (4, 7.0, Status.OK),
        (5, 8.0, Status.OK),
        (6, 9.0, Status.OK),
        (8, 11.0, Status.OK),
    ]
    assert rows[0].rtl == unit("multiplier", {"a": 4, "b": 3}).fingerprint


def test_one_bad_unit_costs_no_other_its_row(tmp_path: Path) -> None:
    flow = Pretended()
    list(characterise(experiments(4, 7, 9), {"pretended": flow}, tmp_path))
    rows = read_rows(rows_path(tmp_path, "pretended"))
    assert [(row.status, dict(row.values), row.message) for row in rows] == [
        (Status.OK, {"luts": 7.0}, ""),
        (Status.FAILED, {}, "cannot do 7"),
        (Status.TIMEOUT, {}, "did not end within 2 s"),
    ]
    assert flow.batches == [3, 1, 1, 1]


def test_a_second_run_measures_only_what_is_missing(tmp_path: Path) -> None:
    list(characterise(experiments(4, 7), {"pretended": Pretended()}, tmp_path))
    flow = Pretended()
    list(characterise(experiments(4, 5, 7), {"pretended": flow}, tmp_path))
    assert flow.batches == [1]
    assert [row.parameters["a"] for row in read_rows(rows_path(tmp_path, "pretended"))] == [4, 7, 5]


def test_another_tool_measures_again(tmp_path: Path) -> None:
    list(characterise(experiments(4), {"pretended": Pretended()}, tmp_path))
    assert len(missing(experiments(4), {"pretended": Pretended(version="2")}, tmp_path)["pretended"]) == 1


def test_several_batches_at_once_make_the_same_rows(tmp_path: Path) -> None:
    widths = (4, 5, 6, 7, 8, 9, 10, 11, 12)
    list(characterise(experiments(*widths), {"pretended": Pretended()}, tmp_path / "one"))
    reports = list(characterise(experiments(*widths), {"pretended": Pretended()}, tmp_path / "more", jobs=3))
    assert [report.done for report in reports] == [3, 6, 9]
    one, more = (read_rows(rows_path(tmp_path / name, "pretended")) for name in ("one", "more"))
    assert len(more) == len(widths)
    assert {(row.rtl, row.status, row.values.get("luts"), row.message) for row in one} == {
        (row.rtl, row.status, row.values.get("luts"), row.message) for row in more
    }


def test_batches_not_begun_are_given_up_when_a_run_is_left(tmp_path: Path) -> None:
    flow = Pretended(batch_size=1)
    run = characterise(experiments(*range(10, 30)), {"pretended": flow}, tmp_path, jobs=1)
    next(run)
    run.close()
    assert flow.batches == [1]
    assert len(read_rows(rows_path(tmp_path, "pretended"))) == 1


def test_a_line_cut_short_by_a_kill_is_measured_again(tmp_path: Path) -> None:
    list(characterise(experiments(4, 5), {"pretended": Pretended()}, tmp_path))
    path = rows_path(tmp_path, "pretended")
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-9], encoding="utf-8")
    assert [row.parameters["a"] for row in read_rows(path)] == [4]
    list(characterise(experiments(4, 5), {"pretended": Pretended()}, tmp_path))
    assert [row.parameters["a"] for row in read_rows(path)] == [4, 5]


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = rows_path(tmp_path, "pretended")
    append_rows(path, ("luts", "area"), [])
    with pytest.raises(RowsError, match=r"has columns .*area.*: use another file"):
        list(characterise(experiments(4), {"pretended": Pretended()}, tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("family,luts\n", "line 1: column 'parameters' is missing"),
        (
            "family,parameters,status,luts,rtl,seconds,tool,message\nmultiplier,a=4,good,3,x,1,t,\n",
            "line 2: 'good' is not a valid Status",
        ),
        (
            "family,parameters,status,luts,rtl,seconds,tool,message\nmultiplier,a=4,ok,,x,1,t,\n",
            "line 2: column 'luts' is empty but status is ok",
        ),
        (
            "family,parameters,status,luts,rtl,seconds,tool,message\n\nmultiplier,a=4,ok,3,x\n",
            "line 3: 5 fields, not 8 as line 1 has",
        ),
    ],
)
def test_damaged_rows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RowsError, match=message):
        read_rows(path)
