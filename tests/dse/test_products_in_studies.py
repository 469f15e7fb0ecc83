"""Products of two activations in studies: their arithmetics, what these cost in accuracy and hardware, and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dse.config import check_config
from dse.errors import StudyError
from dse.exports.parameters import export_design
from dse.preparation import prepare
from dse.study import Study
from dse.sweep import loss_table, subject_of
from dse.uniform import uniform_pairs, uniform_rows
from emulation.datapaths import Arithmetic, parse_arithmetic
from emulation.execution import execute
from emulation.formats import MiniFloat
from emulation.network import MatMul
from emulation.reference import execute_reference
from emulation.sensitivity import EngineProbe
from tests.dse.exports.folder_checks import computed, intact

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dse.conftest import Bench

pytestmark = pytest.mark.filterwarnings("ignore")
WORKLOAD = "tests.dse.function_workloads:ATTENTION"
MENU = {"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"], "mixed_families": True}
ARITHMETIC = {"products": ["exact", "l-mul-field"], "accumulators": ["exact", "int14 wrap", "e5m10 chunk 2"]}


@pytest.fixture(scope="module")
def attention(custom_bench: Callable[..., Bench]) -> Bench:
    return custom_bench(WORKLOAD, formats=MENU, arithmetic=ARITHMETIC, front={"max_lanes": 8}, device={"min_fps": 0.0})


def products(found: Bench) -> list[str]:
    return [layer.name for layer in found.prepared.network.engines if isinstance(layer.operation, MatMul)]


def test_products_are_offered_every_arithmetic_that_their_operands_allow(attention: Bench) -> None:
    tables = {table.layer: table for table in attention.tables.tables if table.role == "engine"}
    assert len(products(attention)) == 2
    for name in products(attention):
        by_operands: dict[bool, set[str]] = {True: set(), False: set()}
        for choice in tables[name].choices:
            floats = all(isinstance(one, MiniFloat) for one in choice.inputs)
            by_operands[floats].add(str(choice.arithmetic))
            if "chunk 2" in str(choice.arithmetic):
                assert choice.folding is not None
                assert choice.folding.simd == 2
        accumulators = ("exact", "int14 wrap", "e5m10 chunk 2")
        assert by_operands[False] == {f"exact / {one}" for one in accumulators}
        assert by_operands[True] == by_operands[False] | {f"l-mul-field / {one}" for one in accumulators}
        costs = {
            str(choice.arithmetic): choice.cost.luts
            for choice in tables[name].choices
            if {str(one).lstrip("u") for one in choice.inputs} == {"int8"}
            and choice.folding is not None
            and (choice.folding.pe, choice.folding.simd, choice.folding.multipliers.value) == (1, 2, "lut")
        }
        assert costs["exact / int14 wrap"] < costs["exact / exact"] < costs["exact / e5m10 chunk 2"]


def test_only_unusual_arithmetics_are_measured_beside_the_exact_one(attention: Bench) -> None:
    prepared = attention.prepared
    for name in products(attention):
        probes = [one for one in prepared.probes() if isinstance(one, EngineProbe) and one.layer == name]
        pairs = {(one.activation, one.weight) for one in probes}
        exact = {(one.activation, one.weight) for one in probes if one.arithmetic == Arithmetic()}
        assert exact == pairs
        wanted = {one for one in prepared.datapaths(prepared.network.by_name[name]) if one[2] != Arithmetic()}
        assert {(one.activation, one.weight, one.arithmetic) for one in probes} >= wanted
    plain = prepare(check_config({"network": {"workload": WORKLOAD}, "formats": MENU}, source="here"))
    assert not [one for one in plain.probes() if isinstance(one, EngineProbe) and one.layer in products(attention)]


@pytest.mark.parametrize("seed", range(4))
def test_the_files_alone_compute_the_golden_outputs(attention: Bench, tmp_path: Any, seed: int) -> None:
    design = attention.design(seed)
    if seed == 0:
        assert any(str(design.engines.get(name)) != "None" for name in products(attention)), "choose another seed"
    export_design(attention.prepared, attention.tables.device, design, tmp_path / "out")
    intact(tmp_path / "out")
    ours, golden = computed(tmp_path / "out", 3)
    assert np.array_equal(ours, golden)
    hardware = attention.prepared.calibrated.lower(design.formats)
    samples = attention.prepared.validation.inputs[:3]
    assert np.array_equal(golden, execute(hardware, samples).reshape(3, -1))
    assert execute_reference(hardware, samples[0].reshape(-1).tolist()) == golden[0].tolist()


def test_uniform_designs_give_their_arithmetic_to_products(attention: Bench) -> None:
    prepared = attention.prepared
    found = {str(pair.arithmetic): pair for pair in uniform_pairs(prepared) if str(pair.activation) == "int8"}
    narrow, plain = found["exact / int14 wrap"], found["exact / exact"]
    assert plain.formats.engines == {}
    for name in products(attention):
        assert narrow.formats.engines[name] == parse_arithmetic("exact / int14 wrap")
    rows = uniform_rows(prepared, attention.tables, narrow.formats)
    assert rows is not None
    for table, own in zip(attention.tables.tables, rows, strict=True):
        if table.layer in products(attention) and table.role == "engine":
            assert {str(table.choices[index].arithmetic) for index in own} == {"exact / int14 wrap"}


def test_arithmetics_that_no_product_can_have_are_named() -> None:
    settings = {
        "network": {"workload": WORKLOAD},
        "formats": {"weights": ["mxint8/4"], "activations": ["int8"]},
        "arithmetic": {"accumulators": ["aligned24"]},
    }
    with pytest.raises(StudyError, match=r"accumulators = \['aligned24'\]: layer 'matmul' can use none of them"):
        prepare(check_config(settings, source="here"))


def test_a_study_measures_and_charges_the_arithmetic_of_products(tmp_path: Any) -> None:
    settings = {
        "network": {"workload": WORKLOAD},
        "data": {"sensitivity_samples": 30, "validation_samples": 30, "test_samples": 20},
        "formats": {"weights": ["int8"], "activations": ["int8"]},
        "arithmetic": {"accumulators": ["exact", "int12 wrap"]},
        "front": {"solves": 6, "max_lanes": 8},
        "device": {"min_fps": 0.0},
    }
    with Study.create(tmp_path / "study", check_config(settings, source="the test")) as study:
        study.sweep(jobs=2)
        prepared, store = study.prepared, study.store
        losses, known = loss_table(prepared, store), store.measurements(prepared.sweep_context)
        charged = 0
        for layer in prepared.network.engines:
            if layer.weight is not None:
                continue
            for left, right, arithmetic in prepared.datapaths(layer):
                loss = losses.engines[layer.name, left, right, arithmetic]
                probe = EngineProbe(layer=layer.name, activation=left, weight=right, arithmetic=arithmetic)
                exact = EngineProbe(layer=layer.name, activation=left, weight=right)
                difference = known[subject_of(probe)].divergence - known[subject_of(exact)].divergence
                assert loss == (difference if arithmetic != Arithmetic() else 0.0)
                charged += loss != 0.0
        assert charged == 2
        wrapped = next(pair for pair in uniform_pairs(prepared) if str(pair.arithmetic) == "exact / int12 wrap")
        by_hand = sum(losses.edges[one] for one in wrapped.formats.edges.items())
        by_hand += sum(value for key, value in losses.engines.items() if str(key[3]) == "exact / int12 wrap")
        assert losses.total(prepared.network, wrapped.formats) == pytest.approx(by_hand)
        study.front(jobs=2)
        front = study.measure(jobs=2)
    assert all(design.validation is not None for design in front)
