"""Plans read from TOML, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.synthesis.plan import PlanError, read_plan

if TYPE_CHECKING:
    from pathlib import Path

FLOWS = ("xcup", "xc7")


def write(path: Path, text: str) -> Path:
    file = path / "plan.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_grid_points_and_order(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        [[units]]
        family = "multiplier"
        flows = ["xcup"]
        grid = { a = [4, 8], b = [4, 8] }
        descending = ["a", "b"]
        points = [{ a = 16, b = 2 }]
        seconds = 9

        [[units]]
        family = "multiplier"
        flows = ["xcup", "xc7"]
        points = [{ a = 8, b = 8 }]
        """,
    )
    found = read_plan(file, flows=FLOWS)
    widths = [(e.flow, e.unit.parameters["a"], e.unit.parameters["b"], e.seconds) for e in found]
    assert widths == [
        ("xcup", 4, 4, 9.0),
        ("xcup", 8, 4, 9.0),
        ("xcup", 8, 8, 9.0),
        ("xcup", 16, 2, 9.0),
        ("xc7", 8, 8, 120.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units = 3 x", "cannot be read as TOML"),
        ("[other]\na = 1", r"tables \[\[units\]\] and nothing else, got other"),
        ('[[units]]\nflows = ["xcup"]', "entry 1: key 'family' is missing"),
        ('[[units]]\nfamily = "multiplier"\nflows = ["vivado"]', "no flow 'vivado': flows are xcup, xc7"),
        ('[[units]]\nfamily = "multiplier"\nflows = ["xcup"]', "neither grid nor points"),
        ('[[units]]\nfamily = "multiplier"\nflows = ["xcup"]\nsize = 3', "unknown key 'size'; keys are family"),
        ('[[units]]\nfamily = "adding"\nflows = ["xcup"]\npoints = [{a = 1}]', "no family of units 'adding'"),
        ('[[units]]\nfamily = "multiplier"\nflows = ["xcup"]\npoints = [{w = 1}]', "does not take parameters"),
        ('[[units]]\nfamily = "multiplier"\nflows = ["xcup"]\npoints = [{a = 0, b = 4}]', "1 to 64 bits, got 0"),
        (
            '[[units]]\nfamily = "multiplier"\nflows = ["xcup"]\nseconds = 0\npoints = [{a = 4, b = 4}]',
            "seconds must be above 0, got 0",
        ),
        (
            '[[units]]\nfamily = "multiplier"\nflows = ["xcup"]\ngrid = {a = [4], b = [4]}\ndescending = ["c"]',
            "descending names 'c', which is no parameter of the grid",
        ),
    ],
)
def test_bad_plans_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        read_plan(write(tmp_path, text), flows=FLOWS)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"cannot be read as TOML: .*No such file"):
        read_plan(tmp_path / "none.toml", flows=FLOWS)
