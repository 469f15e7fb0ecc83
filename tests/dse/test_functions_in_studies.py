"""Studies of networks with softmax, layer norm and tables: their options, costs and exports; LSTMs are refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dse.errors import StudyError
from dse.export import export_design
from dse.manifest_functions import function_entry
from dse.streams import stream_orders
from emulation.catalogue import parse
from emulation.codes import integer_of
from emulation.execution import execute
from emulation.function_operations import Lstm
from emulation.function_rules import LstmRule
from emulation.hardware import HardwareLayer
from emulation.network import Input, Layer, Network, Select
from tests.dse.manifest_interpreter import Interpreter, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.dse.conftest import Bench

pytestmark = pytest.mark.filterwarnings("ignore")
MENU = {"weights": ["int4", "e3m2"], "activations": ["int8", "int12", "e4m3fn"], "mixed_families": True}


class FunctionInterpreter(Interpreter):
    """Knows the operations of these networks too, in Python integers, from what the manifest says of them.

    A transpose leaves the stream as it is and its reader reorders it; here tensors are kept in the network's own order.
    """

    def run(self, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
        vectors = self.manifest["vectors"]
        given = self._input(vectors["input"], most)
        expected = np.loadtxt(self.folder / vectors["output"]["file"], dtype=np.int64, ndmin=2)[:most]
        streams: dict[str, Stream] = {}
        for layer in self.manifest["layers"]:
            sources = [streams[name] for name in layer["inputs"]]
            values = given if layer["op"] == "input" else self._layer(layer, sources)
            moved = layer["op"] == "transpose"
            streams[layer["name"]] = values if moved else values.reshape(len(given), *layer["shape"])
        return streams[self.manifest["output"]["layer"]].reshape(len(given), -1), expected

    def _layer(self, layer: dict[str, Any], sources: list[Stream]) -> Stream:
        source = sources[0]
        match layer["op"]:
            case "select":
                return source.take(layer["index"], axis=layer["axis"] + 1)
            case "transpose":
                return source.transpose(0, *(axis + 1 for axis in layer["order"]))
            case "activate":
                return self._table(layer, source)
            case "matmul":
                return self._requantise(layer, self._product(layer, source, sources[1]))
        return super()._layer(layer, sources)

    def _accumulate(self, layer: dict[str, Any], sources: list[Stream]) -> NDArray[Any]:
        match layer["op"]:
            case "softmax":
                rows = [self._softmax(row, layer["constants"]) for row in _rows(sources[0])]
            case "layernorm":
                gains, offsets = self._integers(layer["gains"]).tolist(), self._integers(layer["offsets"]).tolist()
                normed = [self._norm(row, layer["constants"]) for row in _rows(sources[0])]
                rows = [[v * b + c for v, b, c in zip(row, gains, offsets, strict=True)] for row in normed]
            case _:
                return super()._accumulate(layer, sources)
        return np.array(rows, dtype=object).reshape(sources[0].shape)

    def _product(self, layer: dict[str, Any], left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        if "product" not in layer and "chunk" not in layer["acc_type"]:
            return left @ right
        found = np.empty((*left.shape[:-1], right.shape[-1]), dtype=object)
        for *matrix, row, column in np.ndindex(found.shape):
            operands = left[(*matrix, row)], right[(*matrix, slice(None), column)]
            found[(*matrix, row, column)] = self._sum(layer, *([one.tolist()] for one in operands), 0, [], 0)
        return found

    def _table(self, layer: dict[str, Any], source: NDArray[Any]) -> NDArray[Any]:
        """By the stored code of each integer, which the producer's type defines."""
        entries = self._integers(layer["table"])
        producer = next(one for one in self.manifest["layers"] if one["name"] == layer["inputs"][0])
        kind = parse(producer["output"]["type"]["format"])
        meanings = {}
        for code in reversed(range(1 << kind.width)):  # minus zero is stored as zero, the lesser code
            with contextlib.suppress(ValueError):  # not a number
                meanings[integer_of(code, kind)] = code
        return np.array([entries[meanings[value]] for value in source.reshape(-1).tolist()]).reshape(source.shape)

    @staticmethod
    def _softmax(row: list[int], constants: dict[str, int]) -> list[int]:
        exponentials = []
        for value in row:
            below = min(max(row) - value, constants["lowest"]) * 2 ** constants["shift"]
            halvings, rest = divmod(below, constants["log_two"])
            square = (constants["offset"] - rest) ** 2 + constants["constant"]
            exponentials.append(square // 2 ** (constants["drop"] + halvings))
        reciprocal = 2 ** constants["reciprocal_bits"] // sum(exponentials)
        return [value * reciprocal for value in exponentials]

    @staticmethod
    def _norm(row: list[int], constants: dict[str, int]) -> list[int]:
        shifted = [value * 2 ** constants["fraction_bits"] for value in row]
        mean = (2 * sum(shifted) + len(row)) // (2 * len(row))
        variance = sum((value - mean) ** 2 for value in shifted) // len(row) + constants["epsilon"]
        deviation = 0
        while (deviation + 1) ** 2 <= variance:  # a slow square root, of small numbers
            step = 1
            while (deviation + 2 * step) ** 2 <= variance:
                step *= 2
            deviation += step
        return [(value - mean) * (2 ** constants["reciprocal_bits"] // max(deviation, 1)) for value in shifted]


def _rows(values: NDArray[Any]) -> list[list[int]]:
    rows: list[list[int]] = values.reshape(-1, values.shape[-1]).tolist()
    return rows


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
    interpreter = FunctionInterpreter(tmp_path / "out")
    names = {layer.get("function") for layer in interpreter.manifest["layers"]}
    assert {"softmax", "layer-norm", "gelu-erf", "sigmoid"} <= names
    ours, golden = interpreter.run(most=6)
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


def test_recurrent_layers_are_not_exported_and_say_so() -> None:
    layer = Layer(name="memory", operation=Lstm(hidden=2), inputs=("input",), shape=(3, 2))
    rule = object.__new__(LstmRule)
    hardware_layer = HardwareLayer(layer=layer, function=rule, output=None)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"layer 'memory' \(lstm\) cannot be exported: its integer execution"):
        function_entry(hardware_layer, lambda *_: {})
