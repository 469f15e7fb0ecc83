"""Small studies shared by the tests of dse, random valid designs, and the command line in this process."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from dse.config import StudyConfig, check_config
from dse.decoding import design_of
from dse.designs import DesignKind
from dse.options import build_tables
from dse.preparation import Prepared, prepare
from dse.solve.evaluate import evaluate
from dse.solve.result import Certificate, Point, Status
from dse.study import Study
from dse.sweep import LossTable
from emulation.datapaths import Arithmetic
from hwmodels.devices import load_device
from tests.dse.families import ARITHMETIC, EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.decision_tables import DecisionTables
    from dse.designs import Design
    from emulation.calibrated import Formats
    from emulation.formats import Format

TINY_MENU = {"weights": ["int2", "int4", "int8"], "activations": ["int2", "int4", "int8"]}
MIXED_MENU = {
    "weights": ["int2", "int4", "e3m2"],
    "activations": ["int4", "int8", "e4m3fn"],
    "mixed_families": True,
}

SMALL_MIXED_MENU = {"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"], "mixed_families": True}


def settings_of(workload: str, **sections: Any) -> StudyConfig:
    """A study of a workload with few samples, the tiny menu and few folds unless ``sections`` say otherwise."""
    content: dict[str, Any] = {
        "network": {"workload": workload},
        "data": {"sensitivity_samples": 60, "validation_samples": 80, "test_samples": 70},
        "formats": TINY_MENU,
        "front": {"solves": 14, "max_lanes": 64},
        "accuracy": {"audit_designs": 16, "rounds": 1, "round_solves": 5, "calibrations": 1, "resamples": 50},
    }
    return check_config(content | sections, source="the test")


@dataclass(frozen=True, eq=False)
class Bench:
    """A prepared workload with tables made of invented losses: designs can be drawn without a sweep or a solver."""

    prepared: Prepared
    losses: LossTable
    tables: DecisionTables

    def selection(self, seed: int, formats: Formats | None = None) -> tuple[int, ...]:
        """Option indices of a random valid design: formats are drawn first, if not given, then foldings for them."""
        draw = random.Random(seed)
        network = self.prepared.network
        edges = dict(formats.edges) if formats is not None else self._edges(draw)
        counts: dict[str, int] = {}
        selection = []
        for table in self.tables.tables:
            layer = network.by_name[table.layer]
            inputs = tuple(edges[edge] for edge in network.input_edges(layer))
            weight, arithmetic = None, Arithmetic()
            if table.role == "engine" and formats is not None:
                weight = formats.weights.get(layer.name)
                arithmetic = formats.engines.get(layer.name, Arithmetic())
            elif table.role == "engine":
                offered = dict.fromkeys((one.weight, one.arithmetic) for one in table.choices if one.inputs == inputs)
                weight, arithmetic = draw.choice(list(offered))
            fitting = [
                index
                for index, choice in enumerate(table.choices)
                if (not choice.inputs or choice.inputs == inputs)
                and (table.role != "engine" or (choice.weight, choice.arithmetic) == (weight, arithmetic))
                and (choice.output is None or choice.output == edges[table.layer])
                and (table.role != "output" or choice.requantisers == counts[table.layer])
            ]
            selection.append(draw.choice(fitting))
            counts[table.layer] = table.choices[selection[-1]].requantisers
        return tuple(selection)

    def _edges(self, draw: random.Random) -> dict[str, Format]:
        """Formats of all edges that leave every layer with weights a datapath that some folding has."""
        prepared, network = self.prepared, self.prepared.network
        engines = [table for table in self.tables.tables if table.role == "engine"]
        offered = {table.layer: {one.inputs for one in table.choices} for table in engines}
        while True:
            edges = {edge: draw.choice(prepared.edge_menu(edge)) for edge in network.edges}
            inputs = {one.name: tuple(edges[edge] for edge in network.input_edges(one)) for one in network.engines}
            if all(found in offered[name] for name, found in inputs.items()):
                return edges

    def design(self, seed: int, formats: Formats | None = None) -> Design:
        """The design of a random selection."""
        selection = self.selection(seed, formats)
        worth = evaluate(self.tables.problem(), selection)
        broken = [one for one in worth.violations if "coupling" in one]
        assert not broken, broken
        return design_of(
            self.prepared,
            self.tables,
            Point(selection=selection, objectives=worth.objectives, certificate=CERTIFICATE),
            name=f"r{seed}",
            kind=DesignKind.FRONT,
        )


CERTIFICATE = Certificate(
    method="drawn",
    status=Status.OPTIMAL,
    minimised="utilisation",
    then=(),
    at_most={},
    objective=0,
    bound=0,
    gap=0,
    efficient=False,
    tolerance=1e-9,
    seconds=0.0,
    solves=0,
    rechecked=True,
)


def make_bench(workload: str, **sections: Any) -> Bench:
    prepared = prepare(settings_of(workload, **sections))
    draw = random.Random(workload)
    network = prepared.network
    edges = {(edge, one): draw.uniform(0.0, 0.1) for edge in network.edges for one in prepared.edge_menu(edge)}
    engines = {
        (layer.name, *datapath): 0.0
        if layer.weight is None and datapath[2] == Arithmetic()
        else draw.uniform(-0.01, 0.1)
        for layer in network.multiplying
        for datapath in prepared.datapaths(layer)
    }
    losses = LossTable(edges=edges, engines=engines)
    return Bench(
        prepared=prepared, losses=losses, tables=build_tables(prepared, losses, losses, load_device("xczu7ev"))
    )


@pytest.fixture(scope="session")
def settings() -> Callable[..., StudyConfig]:
    return settings_of


@pytest.fixture(scope="session")
def bench() -> Callable[[str], Bench]:
    """A bench of a built-in workload with integers and minifloats, made once."""
    made: dict[str, Bench] = {}

    def find(workload: str) -> Bench:
        if workload not in made:
            menu = SMALL_MIXED_MENU if workload == "digits-deep" else MIXED_MENU
            made[workload] = make_bench(workload, formats=menu, front={"max_lanes": 8}, device={"min_fps": 0.0})
        return made[workload]

    return find


@pytest.fixture(scope="session")
def custom_bench() -> Callable[..., Bench]:
    return make_bench


@pytest.fixture(scope="session")
def everything() -> Callable[[str], Bench]:
    """A bench of a workload with all families of formats and arithmetics, made once."""
    made: dict[str, Bench] = {}

    def find(workload: str) -> Bench:
        if workload not in made:
            menus = {"formats": EVERYTHING, "arithmetic": ARITHMETIC, "front": {"max_lanes": 4}}
            made[workload] = make_bench(workload, device={"min_fps": 0.0}, **menus)
        return made[workload]

    return find


@pytest.fixture(scope="session")
def explored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small digits-mlp study after all its steps; tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("studies") / "mlp"
    with Study.create(folder, settings_of("digits-mlp")) as study:
        study.sweep(jobs=1)
        study.refine(jobs=1)
        study.front(jobs=1)
        study.measure(jobs=1)
        study.confidence(jobs=1)
        study.report()
        study.export(study.chosen().name)
    return folder


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self, *words: str) -> None:
        """Checks for exit code 2, nothing on standard output, and one paragraph of error that says these words."""
        assert self.code == 2
        assert self.out == ""
        self.paragraph(*words)

    def paragraph(self, *words: str) -> None:
        """Checks that standard error is one paragraph that says these words."""
        assert self.err.startswith("bitfront: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        assert [word for word in words if word not in self.err] == [], self.err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``bitfront`` with some arguments, run in this process through the same entry as the installed command."""

    def run(*arguments: object) -> Outcome:
        from dse.cli import main

        monkeypatch.setattr(sys, "argv", ["bitfront", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Outcome(code=int(stop.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture(scope="session")
def process() -> Callable[..., Outcome]:
    """A program with some arguments, in a process of its own."""

    def run(*arguments: object, **options: Any) -> Outcome:
        words = list(map(str, arguments))
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, **options)
        return Outcome(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    return run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder, with a module of workloads on the path."""
    library = tmp_path / "library"
    library.mkdir()
    shutil.copy(Path(__file__).with_name("strange_workloads.py"), library)
    monkeypatch.syspath_prepend(library)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"
