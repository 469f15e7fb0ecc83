"""Studies of networks with an LSTM: its probes against the definition, its options, a whole run, and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dse.errors import StudyError
from dse.shared_tables import build_shared_tables
from dse.study import Study
from emulation.catalogue import parse
from emulation.function_lowering import lower_function
from emulation.function_reference import function_sums
from emulation.sensitivity import EngineProbe
from hwmodels.devices import load_device
from tests.dse.exports.folder_checks import intact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse.config import StudyConfig
    from tests.dse.conftest import Bench

pytestmark = pytest.mark.filterwarnings("ignore")
WORKLOAD = "tests.dse.function_workloads:LSTM"


@pytest.fixture(scope="module")
def bench(custom_bench: Callable[..., Bench]) -> Bench:
    return custom_bench(WORKLOAD)


@pytest.mark.parametrize(("activation", "weight"), [("int8", "int4"), ("int4", "int8"), ("int2", "int2")])
def test_a_probe_is_the_definition(bench: Bench, activation: str, weight: str) -> None:
    prepared = bench.prepared
    calibrated, layer = prepared.calibrated, prepared.network.by_name["lstm"]
    edge = prepared.network.input_edges(layer)[0]
    probe = EngineProbe(layer="lstm", activation=calibrated.edge_format(edge, parse(activation)), weight=parse(weight))
    found = prepared.bench().respond(probe).changed.numpy()[:5]
    source = calibrated.edge(edge, probe.activation)
    hardware = lower_function(
        layer, source, calibrated.weights("lstm", parse(weight)), source, calibrated.scalings.requantisation
    )
    assert hardware.function is not None
    unit = 2.0**-layer.operation.formats.hidden.fraction_bits  # type: ignore[union-attr]
    for row, image in zip(found, prepared.sensitivity.inputs, strict=False):
        integers = [int(value) for value in source.integers(image[None]).ravel()]
        states = np.array(function_sums(hardware, hardware.function, integers), dtype=np.float64)
        assert np.array_equal(row.ravel(), (states * unit).astype(np.float32))


def test_every_folding_divides_rows_inputs_and_states(bench: Bench) -> None:
    (table,) = (one for one in bench.tables.tables if one.layer == "lstm" and one.role == "engine")
    assert len(table.choices) > 100
    for choice in table.choices:
        assert choice.folding is not None
        assert 48 % choice.folding.pe == 0  # four gates of 12 units
        assert 8 % choice.folding.simd == 12 % choice.folding.simd == 0
        assert choice.requantisers >= 1
    intervals = [choice.cost.interval_cycles for choice in table.choices]
    assert max(intervals) > 10 * min(intervals)


def test_a_whole_run(tmp_path: Path, settings: Callable[..., StudyConfig]) -> None:
    with Study.create(tmp_path / "study", settings(WORKLOAD)) as study:
        study.sweep(jobs=1)
        study.front(jobs=1)
        front = study.measure(jobs=1)
        assert (front.frame["energy_pj"] > 0).all()
        assert set(front[0].weights) == {"lstm", "head"}
        assert study.report().front_csv.is_file()
        manifest = intact(study.export(front[0].name).folder)
        (layer,) = (one for one in manifest.layers if one["op"] == "lstm")
        assert (layer["lstm"]["steps"], layer["lstm"]["features"], layer["lstm"]["hidden"]) == (8, 8, 12)


def test_an_lstm_shares_no_array(bench: Bench) -> None:
    with pytest.raises(StudyError, match=r"layer 'lstm' \(lstm\) cannot share an array: .* kind = \"streaming\""):
        build_shared_tables(bench.prepared, bench.losses, bench.losses, load_device("xczu7ev"))
