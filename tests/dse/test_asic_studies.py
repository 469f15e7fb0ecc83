"""Studies and prices on an ASIC process: gates as the resource, energy as the objective, what it lacks refused."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from dse.architecture import explorable
from dse.config import check_config
from dse.errors import InfeasibleError, StudyError
from dse.study import Study
from hwmodels.devices import load_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse.config import StudyConfig

DEVICE = {"name": "asic-45nm", "clock_mhz": 500.0}
LAYERS = """outputs,depth,pe,simd,weight_bits,activation_bits,style,ram,name
64,128,4,8,4,4,ours-lut,auto,narrow
64,128,4,8,8,8,ours-lut,auto,wide
"""


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., StudyConfig]) -> Path:
    folder = tmp_path_factory.mktemp("asic") / "study"
    config = settings("digits-mlp", device=DEVICE, energy={"objective": True})
    with Study.create(folder, config) as study:
        study.sweep(jobs=1)
        study.front(jobs=1)
        study.measure(jobs=1)
        study.report()
    return folder


def test_designs_are_chosen_by_gates_and_energy(explored: Path) -> None:
    with Study.open(explored) as study:
        problem = study.tables.problem()
        assert problem.objective_names == ("utilisation", "loss", "energy_pj")
        assert [cap.resource for cap in problem.caps] == ["gates", "interval_cycles"]
        front = study.front()
        for design in front.result.designs:
            assert design.utilisation == pytest.approx(
                design.total.gates / load_device("asic-45nm").usable("gates"), rel=1e-4
            )
            assert (design.total.dsps, design.total.bram18s, design.total.urams) == (0, 0, 0)
            assert design.total.gates == sum(part.cost.gates for part in design.parts)
    with (explored / "front.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] != "float"]
    assert all(float(row["gates"]) > 0 < float(row["energy_pj"]) for row in rows)
    assert "luts" not in rows[0]
    page = (explored / "report.html").read_text(encoding="utf-8")
    assert "in two-input NAND gates of 0.798 square micrometres (45 nm)" in page
    assert "static power is not modelled" in page
    assert "never megahertz" in page


def test_a_cap_on_gates(explored: Path) -> None:
    with Study.open(explored) as study:
        assert "takes gates " in study.explain()
        assert "nJ a sample, slowest stage " in study.explain()
        assert "'gates' needs at least " in study.explain({"gates": 100})
        message = "--luts 3 limits nothing: the device of this study has gates"
        with pytest.raises(StudyError, match=message):
            study.explain({"luts": 3})


def test_too_small_an_area_has_no_design(tmp_path: Path, settings: Callable[..., StudyConfig]) -> None:
    built_in = load_device("asic-45nm")
    assert built_in.asic is not None
    with Study.create(tmp_path / "study", settings("digits-mlp", device=DEVICE)) as study:
        text = (tmp_path / "study" / "study.toml").read_text(encoding="utf-8")
        study.sweep(jobs=1)
    small = _asic_file().replace("count = 1000000", "count = 100")
    (tmp_path / "study" / "small.toml").write_text(small, encoding="utf-8")
    (tmp_path / "study" / "study.toml").write_text(text.replace("asic-45nm", "small.toml"), encoding="utf-8")
    with Study.open(tmp_path / "study") as study, pytest.raises(InfeasibleError, match="'gates'"):
        study.front(jobs=1)


def _asic_file() -> str:
    from hwmodels.device_files import FOLDER

    return (FOLDER / "asic-45nm.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"architecture": {"multipliers": ["dsp"]}},
            r"multipliers = \['dsp'\], but device asic-45nm is an ASIC process and has no DSPs: add \"lut\"",
        ),
        (
            {"architecture": {"weight_memories": ["auto", "uram"]}},
            r"weight_memories names 'uram', but device asic-45nm is an ASIC process, whose memories are counted by the",
        ),
        ({"costs": {"rows": "mine"}}, r"rows = 'mine' corrects LUTs, and device asic-45nm is an ASIC process"),
    ],
)
def test_what_an_asic_lacks_is_refused(sections, message) -> None:
    with pytest.raises(StudyError, match=message):
        explorable(load_device("asic-45nm"), check_config({"device": DEVICE} | sections, source="the test"))


class TestPrices:
    """`bitfront cost` on processes and parts."""

    @pytest.fixture
    def layers(self, tmp_path: Path) -> Path:
        path = tmp_path / "layers.csv"
        path.write_text(LAYERS, encoding="utf-8")
        return path

    def test_gates_and_areas(self, command, layers: Path) -> None:
        printed = command("cost", "--layers", str(layers), "--device", "asic-45nm", "--json")
        narrow, wide = json.loads(printed.out)
        assert 0 < narrow["gates"] < wide["gates"]
        assert wide["area_um2"] == pytest.approx(0.798 * wide["gates"])
        table = command("cost", "--layers", str(layers), "--device", "asic-45nm").out
        assert "kGE" in table
        assert "LUT " not in table

    def test_energy_by_what_takes_it(self, command, layers: Path) -> None:
        narrow, wide = json.loads(command("cost", "--layers", str(layers), "--json").out)
        assert wide["logic_pj"] + wide["memory_pj"] == pytest.approx(wide["energy_pj"])
        assert narrow["energy_pj"] < wide["energy_pj"]
        assert wide["relative_delay"] > 0
        assert (wide["energy_process"], wide["gates"]) == ("45nm", None)
        assert "static power is not modelled" in wide["energy_source"]
        assert "area_um2" not in wide

    def test_another_process(self, command, layers: Path) -> None:
        first, second = (
            json.loads(command("cost", "--layers", str(layers), "--process", process, "--json").out)[1]
            for process in ("45nm", "7nm")
        )
        assert second["logic_pj"] == pytest.approx(first["logic_pj"] * 0.07 / 0.2)
        refused = command("cost", "--layers", str(layers), "--process", "5nm")
        refused.refused("there is no process '5nm' to scale energies to: there are 45nm, 7nm")

    def test_the_table_says_what_energies_and_delays_are(self, command, layers: Path) -> None:
        words = " ".join(command("cost", "--layers", str(layers)).out.split())
        assert "energy: picojoules as standard cells of the 45 nm process" in words
        assert "Horowitz" in words
        assert "static power is not modelled" in words
        assert "relative to an 8-bit multiplication in LUTs, never megahertz" in words

    def test_vendor_layers_have_no_energy(self, command, layers: Path, tmp_path: Path) -> None:
        layers.write_text(LAYERS.replace("8,8,ours-lut", "8,8,hls-lut"), encoding="utf-8")
        written = tmp_path / "prices.csv"
        ours, vendor = json.loads(command("cost", "--layers", str(layers), "--csv", str(written), "--json").out)
        assert (vendor["energy_pj"], vendor["logic_pj"], vendor["relative_delay"]) == (None, None, None)
        with written.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == ["narrow", "wide"]
        assert float(rows[0]["energy_pj"]) == ours["energy_pj"]
        assert rows[1]["energy_pj"] == ""
        refused = command("cost", "--layers", str(layers), "--device", "asic-45nm")
        refused.refused("vendor flows are measured on xc7 and xcup, and asic-45nm is 45nm")

    def test_multipliers_of_a_process_are_logic(self, command, layers: Path) -> None:
        layers.write_text(LAYERS.replace("ours-lut", "ours-dsp"), encoding="utf-8")
        refused = command("cost", "--layers", str(layers), "--device", "asic-45nm")
        refused.refused("this device has no DSPs: choose multipliers in LUTs")

    def test_a_file_that_cannot_be_written(self, command, layers: Path, tmp_path: Path) -> None:
        refused = command("cost", "--layers", str(layers), "--csv", str(tmp_path / "no" / "prices.csv"))
        refused.refused("cannot be written (No such file or directory): name a file you may write")

    def test_devices_lists_its_gates(self, command) -> None:
        (asic,) = (one for one in json.loads(command("devices", "--json").out) if one["technology"] == "asic")
        assert asic["resources"]["gates"]["usable"] == 877_192
        assert "877 / 1253" in command("devices").out
