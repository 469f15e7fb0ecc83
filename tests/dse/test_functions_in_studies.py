"""Studies of networks with softmax, layer norm and tables: their options, costs and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dse.exports.parameters import export_design
from dse.exports.streams import stream_orders
from emulation.execution import execute
from emulation.network import Input, Layer, Network, Select
from tests.dse.exports.folder_checks import computed, intact

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dse.conftest import Bench

pytestmark = pytest.mark.filterwarnings("ignore")
MENU = {"weights": ["int4", "e3m2"], "activations": ["int8", "int12", "e4m3fn"], "mixed_families": True}


@pytest.fixture(scope="module")
def attention(custom_bench: Callable[..., Bench]) -> Bench:
    return custom_bench("tests.dse.function_workloads:ATTENTION", formats=MENU, front={"max_lanes": 8})


def test_codes_too_wide_for_a_table_are_not_in_the_menu(attention: Bench) -> None:
    network = attention.prepared.network
    indexing = {layer.inputs[0] for layer in network.layers if layer.kind == "activate"}
    assert len(indexing) == 2
    for edge in network.edges:
        widths = {one.width for one in attention.prepared.edge_menu(edge)}
        assert (12 in widths) == (edge not in indexing and edge != network.output)


@pytest.mark.parametrize("seed", range(3))
def test_the_files_alone_compute_the_golden_outputs(attention: Bench, tmp_path: Any, seed: int) -> None:
    design = attention.design(seed)
    export_design(attention.prepared, attention.tables.device, design, tmp_path / "out")
    names = {layer.get("function") for layer in intact(tmp_path / "out").layers}
    assert {"softmax", "layer-norm", "gelu-erf", "sigmoid"} <= names
    ours, golden = computed(tmp_path / "out", 6)
    assert np.array_equal(ours, golden)
    hardware = attention.prepared.calibrated.lower(design.formats)
    assert np.array_equal(golden, execute(hardware, attention.prepared.validation.inputs[:6]).reshape(6, -1))
    assert len(np.unique(golden)) > 10


def test_costs_of_functions_say_what_was_not_measured(attention: Bench) -> None:
    tables = {table.layer: table for table in attention.tables.tables if table.role in ("function", "table")}
    assert len(tables) == 4
    for table in tables.values():
        costs = [choice.cost for choice in table.choices]
        assert all(cost.interval_cycles > 0 and cost.luts > 0 for cost in costs)
        # More values at once cost more; a row of a softmax or norm still waits for its divider.
        assert len({cost.luts for cost in costs}) > 3
        assert (len({cost.interval_cycles for cost in costs}) > 1) == (table.role == "table")
        noted = any("none was synthesised whole" in note for cost in costs for note in cost.out_of_range)
        assert noted == (table.role == "function")


def test_a_selected_row_streams_as_it_comes() -> None:
    layers = (
        Layer(name="input", operation=Input(), inputs=(), shape=(4, 3)),
        Layer(name="row", operation=Select(axis=0, index=2), inputs=("input",), shape=(3,)),
        Layer(name="column", operation=Select(axis=1, index=1), inputs=("input",), shape=(4,)),
    )
    orders = stream_orders(Network(name="n", layers=layers, output="column"))
    assert orders["row"].tolist() == [0, 1, 2]
    assert orders["column"].tolist() == [0, 1, 2, 3]


def test_a_polynomial_takes_codes_that_are_too_wide_for_a_table(attention: Bench, custom_bench) -> None:
    found = custom_bench(
        "tests.dse.function_workloads:ATTENTION", formats=MENU | {"gelu": "polynomial"}, front={"max_lanes": 8}
    )
    gelu, sigmoid = (layer for layer in found.prepared.network.layers if layer.kind == "activate")
    widths = {edge: {one.width for one in found.prepared.edge_menu(edge)} for edge in (*gelu.inputs, *sigmoid.inputs)}
    assert [max(one) for one in widths.values()] == [12, 8]
    assert found.prepared.sweep_context != attention.prepared.sweep_context
    (table,) = (one for one in found.tables.tables if one.layer == gelu.name and one.role == "function")
    assert {choice.inputs[0].width for choice in table.choices} == {8, 12}
    assert all(choice.cost.luts > 0 for choice in table.choices)
