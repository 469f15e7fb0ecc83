"""Tables, softmax, layer norm and LSTMs in hardware mode: fast execution is the Python-integer reference."""

from __future__ import annotations

import dataclasses
import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.codes import integer_of
from emulation.datapaths import Requantisation
from emulation.execution import execute, trace
from emulation.fine_tuning import FineTuningModule
from emulation.float_execution import run_float
from emulation.formats import FixedPoint
from emulation.function_lowering import lower_function
from emulation.function_operations import Gelu, GeluForm, LayerNorm, Lstm, RecurrentFormats, Sigmoid
from emulation.function_rules import LstmRule, SoftmaxRule, TableRule
from emulation.network import Activate, Layer, MatMul, Network, Select
from emulation.quantisers import ScaleKind, Scaling
from emulation.read_torch import read_torch
from emulation.reference import execute_reference
from tests.emulation.function_networks import NETWORKS, LastState, Recurrent, TransformerBlock, perceptron

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulation.formats import Format
    from emulation.hardware import HardwareLayer

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLES = 100


def samples_of(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (np.random.default_rng(1).normal(size=(SAMPLES, *shape)) * 2).astype(np.float32)


@functools.cache
def read(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[Network, nn.Module]:
    torch.manual_seed(0)
    module = build().eval()
    return read_torch(module, samples_of(shape), name="functions"), module


def calibrate(network: Network, scalings: Scalings | None = None) -> CalibratedNetwork:
    tensors = run_float(network, samples_of(network.layers[0].shape))
    ranges = edge_ranges(network, {name: tensor.numpy() for name, tensor in tensors.items()})
    return CalibratedNetwork(network=network, ranges=ranges, scalings=scalings or Scalings())


def formats_of(calibrated: CalibratedNetwork, edges: str, weights: str, output: str = "int16") -> Formats:
    network = calibrated.network
    last = network.edge_of(network.output)
    return Formats(
        edges={
            edge: parse(output) if edge == last else calibrated.edge_format(edge, parse(edges))
            for edge in network.edges
        },
        weights={layer.name: parse(weights) for layer in network.layers if layer.weight is not None},
    )


def check(hardware: Any, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Both executions of all samples, which must not differ anywhere."""
    fast = execute(hardware, samples)
    for sample, found in zip(samples, fast, strict=True):
        assert execute_reference(hardware, sample.reshape(-1).tolist()) == found.reshape(-1).tolist()
    return fast


def replaced(network: Network, name: str, **changes: Any) -> Network:
    layers = tuple(dataclasses.replace(each, **changes) if each.name == name else each for each in network.layers)
    return Network(name=network.name, layers=layers, output=network.output)


def lower_one(calibrated: CalibratedNetwork, name: str, source: Format, output: Format) -> HardwareLayer:
    """One layer by itself, whatever the edges of a network may be."""
    layer = calibrated.network.by_name[name]
    quantisers = calibrated.edge(layer.inputs[0], source), calibrated.edge(name, output)
    return lower_function(layer, quantisers[0], None, quantisers[1], Requantisation())


@pytest.mark.parametrize("name", NETWORKS)
def test_float_execution_is_torch(name: str) -> None:
    network, module = read(*NETWORKS[name])
    samples = samples_of(network.layers[0].shape)
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    found = run_float(network, samples)[network.output].numpy()
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("edges", "weights"),
    [
        ("int8", "int8"),
        ("e4m3fn", "e4m3fn"),
        pytest.param("int10", "int4", marks=pytest.mark.slow),
        pytest.param("e3m2", "int5", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_fast_execution_is_the_reference(name: str, edges: str, weights: str) -> None:
    network, module = read(*NETWORKS[name])
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, edges, weights))
    samples = samples_of(network.layers[0].shape)
    found = check(hardware, samples) * hardware.output_unit
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < {"int8": 0.06, "int10": 0.2, "e4m3fn": 0.2, "e3m2": 0.5}[edges]
    assert len(np.unique(found)) > 20


def test_tables_hold_the_function_of_every_code() -> None:
    network, _ = read(lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2)), (3,))
    calibrated = calibrate(network)
    for edges in ("int8", "uint5", "e4m3fn", "e5m2", "e2m1"):
        formats = formats_of(calibrated, "e4m3fn", "int8")
        before, after = network.layers[1].name, network.layers[2].name
        chosen = dataclasses.replace(formats, edges={**formats.edges, before: parse(edges), after: parse("int8")})
        hardware = calibrated.lower(chosen)
        rule = hardware.layers[2].function
        assert isinstance(rule, TableRule)
        source, output = hardware.edges[before], hardware.edges[after]
        assert len(rule.entries) == 1 << parse(edges).width
        for code, entry in enumerate(rule.entries):
            try:
                integer = integer_of(code, parse(edges))
            except ValueError:
                assert entry == 0
                continue
            real = 1 / (1 + math.exp(-integer * float(source.unit[0]))) / float(output.unit[0])
            assert abs(entry - min(max(real, -128), 127)) <= 0.5 + 1e-9


def test_an_activation_with_a_table_is_never_fused() -> None:
    network, _ = read(perceptron, (6,))
    for layer in network.layers:
        if isinstance(layer.activation, Sigmoid | Gelu):
            assert isinstance(layer.operation, Activate)
    assert len(network.edges) == 11


@pytest.mark.parametrize("wide", ["int11", "int16", "bf16"])
def test_wide_codes_do_not_index_a_table(wide: str) -> None:
    network, _ = read(perceptron, (6,))
    calibrated = calibrate(network)
    formats = formats_of(calibrated, "int8", "int8")
    with pytest.raises(ValueError, match="codes that index the table of an activation have at most 10 bits"):
        calibrated.lower(dataclasses.replace(formats, edges={**formats.edges, "0": parse(wide)}))
    message = f"layer '1' is a table indexed by codes of at most 10 bits, but it reads {wide}: give the edge of '0' a"
    with pytest.raises(ValueError, match=message):
        lower_one(calibrated, "1", parse(wide), parse("int8"))
    assert not calibrated.edge_can_have("0", parse(wide))
    assert calibrated.edge_can_have("0", parse("int10"))
    assert calibrated.edge_can_have("1", parse(wide))  # a table's own edge is read by a linear layer


def test_tables_are_not_rounded_to_listed_levels() -> None:
    network, _ = read(perceptron, (6,))
    calibrated = calibrate(network)
    with pytest.raises(ValueError, match="layer '1' is a table of integers or minifloats, but its edge is pot4"):
        lower_one(calibrated, "1", parse("int8"), parse("pot4"))
    assert not calibrated.edge_can_have("1", parse("pot4"))


@pytest.mark.parametrize("edges", ["int8", "int16", "fixed<20,8>", "e5m2"])
def test_gelu_by_polynomial(edges: str) -> None:
    """I-BERT's GELU takes codes of any width."""
    network, module = read(lambda: nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 3)), (6,))
    network = replaced(network, "1", activation=Gelu(form=GeluForm.POLYNOMIAL))
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, edges, "int8"))
    samples = samples_of((6,))
    found = check(hardware, samples) * hardware.output_unit
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    assert np.abs(found - expected).max() < (0.15 if edges == "e5m2" else 0.05) * np.abs(expected).max()


@pytest.mark.parametrize("kind", ScaleKind)
def test_power_of_two_units(kind: ScaleKind) -> None:
    network, _ = read(TransformerBlock, (3, 8))
    scaling = Scaling(kind=kind)
    calibrated = calibrate(network, Scalings(activation=scaling, weight=scaling))
    check(calibrated.lower(formats_of(calibrated, "int8", "int6")), samples_of((3, 8))[:20])


@pytest.mark.parametrize(("gain", "offset"), [(0.0, 0.5), (-1.5, 0.0), (1e-6, 100.0), (3.0, -1e-9)])
def test_layer_norm_gains_and_offsets(gain: float, offset: float) -> None:
    """Of either sign, all zero, and so small beside the offset that sums need more than 64 bits."""
    network, _ = read(lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 2)), (6,))
    norm = LayerNorm(epsilon=1e-5, gain=(gain,) * 5 + (gain * 1.25,), offset=(offset,) * 6)
    network = replaced(network, network.layers[1].name, operation=norm)
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, "int8", "int8"))
    samples = samples_of((6,))
    check(hardware, samples)
    layer = network.layers[1].name
    tensors = trace(hardware, hardware.input.integers(samples))
    unit = float(hardware.edges[layer].unit[0])
    expected = run_float(network, samples)[layer].numpy()
    assert np.abs(tensors[layer] * unit - expected).max() <= 0.05 * np.abs(expected).max() + unit


def test_layer_norm_of_equal_values_is_its_offset() -> None:
    network, _ = read(lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 2)), (6,))
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, "int8", "int8"))
    flat = np.full((1, 6), 1.5, dtype=np.float32)
    assert not trace(hardware, hardware.input.integers(flat))[network.layers[1].name].any()


def test_softmax_sums_to_one_but_for_its_rounding() -> None:
    network, _ = read(perceptron, (6,))
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, "int8", "int8", "uint8"))
    assert isinstance(hardware.layers[-1].function, SoftmaxRule)
    found = execute(hardware, samples_of((6,))) * hardware.output_unit
    assert found.min() >= 0
    assert np.abs(found.sum(axis=-1) - 1).max() < 0.03


ODD_FORMATS = RecurrentFormats(
    gate=FixedPoint(width=6, fraction_bits=3),
    sigmoid=FixedPoint(width=5, fraction_bits=4),
    tanh=FixedPoint(width=9, fraction_bits=8),
    cell=FixedPoint(width=7, fraction_bits=5),
    cell_index=FixedPoint(width=8, fraction_bits=6),
    hidden=FixedPoint(width=20, fraction_bits=15),
)


@pytest.mark.parametrize("formats", [RecurrentFormats(), ODD_FORMATS], ids=["default", "odd"])
def test_states_stay_in_their_formats(formats: RecurrentFormats) -> None:
    """Weights of some size drive gates and cells into saturation, in both executions alike."""
    network, _ = read(LastState, (9, 5))
    layer = network.layers[1]
    assert layer.weight is not None
    network = replaced(network, layer.name, operation=Lstm(hidden=6, formats=formats), weight=layer.weight * 9)
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, "int8", "int8"))
    found = check(hardware, samples_of((9, 5)))
    rule = hardware.layers[1].function
    assert isinstance(rule, LstmRule)
    assert len(rule.sigmoid) == 1 << formats.gate.width
    assert len(rule.cell_tanh) == 1 << formats.cell_index.width
    assert max(rule.sigmoid) <= formats.sigmoid.largest_integer
    assert np.abs(found * hardware.output_unit).max() > 0.8


def test_wider_states_come_nearer_to_torch() -> None:
    network, module = read(lambda: Recurrent(1), (12, 5))
    samples = samples_of((12, 5))
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    errors = []
    for formats in (ODD_FORMATS, RecurrentFormats()):
        changed = replaced(network, "lstm", operation=Lstm(hidden=6, formats=formats))
        calibrated = calibrate(changed)
        hardware = calibrated.lower(formats_of(calibrated, "int12", "int12"))
        errors.append(np.abs(execute(hardware, samples) * hardware.output_unit - expected).max())
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 4


def test_an_lstm_step_by_step() -> None:
    """The rule, written out once more with rationals for a cell of one unit."""
    network, _ = read(LastState, (3, 5))
    weight = np.array([[0.5, -1.25], [0.75, 0.5], [1.0, -0.5], [-0.25, 1.5]])
    bias = np.array([0.125, 1.0, -0.25, 0.5])
    layers = (
        dataclasses.replace(network.layers[0], shape=(3, 1)),
        Layer(name="lstm", operation=Lstm(hidden=1), inputs=("input",), shape=(3, 1), weight=weight, bias=bias),
    )
    network = Network(name="one", layers=layers, output="lstm")
    scalings = Scalings(activation=Scaling(kind=ScaleKind.POWER_OF_TWO), weight=Scaling(kind=ScaleKind.POWER_OF_TWO))
    calibrated = calibrate(network, scalings)
    hardware = calibrated.lower(formats_of(calibrated, "int12", "int12"))
    sample = np.array([[[0.5], [-1.25], [2.0]]], dtype=np.float32)

    def cast(value: Fraction, width: int, fraction_bits: int) -> Fraction:
        integer = round(value * (1 << fraction_bits))
        return Fraction(min(max(integer, -(1 << (width - 1))), (1 << (width - 1)) - 1), 1 << fraction_bits)

    def table(function: Callable[[float], float], index: Fraction) -> Fraction:
        return min(Fraction(round(function(float(index)) * 32768), 32768), Fraction(65535, 32768))

    def sigmoid(index: Fraction) -> Fraction:
        return table(lambda x: 1 / (1 + math.exp(-x)), index)

    hidden = cell = Fraction(0)
    expected = []
    for value in sample.reshape(-1).tolist():
        gates = [
            cast(Fraction(row[0]) * Fraction(value) + Fraction(row[1]) * hidden + Fraction(constant), 10, 6)
            for row, constant in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        candidate = min(table(math.tanh, gates[2]), Fraction(32767, 32768))
        cell = cast(sigmoid(gates[1]) * cell + sigmoid(gates[0]) * candidate, 16, 11)
        hidden = cast(sigmoid(gates[3]) * min(table(math.tanh, cast(cell, 10, 7)), Fraction(32767, 32768)), 16, 15)
        expected.append(hidden)
    unit = Fraction(hardware.output_unit)
    found = [int(value) * unit for value in execute(hardware, sample).reshape(-1)]
    assert [abs(one - other) <= unit / 2 for one, other in zip(found, expected, strict=True)] == [True] * 3


def test_indices_of_recurrent_tables_have_ten_bits() -> None:
    with pytest.raises(ValueError, match="gate indexes a table and has at most 10 bits, got int11"):
        RecurrentFormats(gate=FixedPoint(width=11))
    with pytest.raises(ValueError, match="cell_index indexes a table and has at most 10 bits, got int16"):
        RecurrentFormats(cell_index=FixedPoint(width=16))


def test_selected_steps_keep_their_codes() -> None:
    network, _ = read(Recurrent, (6, 5))
    select = next(layer for layer in network.layers if isinstance(layer.operation, Select))
    assert network.edge_of(select.name) == select.inputs[0]
    calibrated = calibrate(network)
    hardware = calibrated.lower(formats_of(calibrated, "int8", "int8"))
    tensors = trace(hardware, hardware.input.integers(samples_of((6, 5))))
    assert np.array_equal(tensors[select.name], tensors[select.inputs[0]][:, -1])


def test_a_constant_factor_is_part_of_a_matrix_product() -> None:
    network, _ = read(TransformerBlock, (3, 8))
    factors = [layer.operation.factor for layer in network.layers if isinstance(layer.operation, MatMul)]
    assert factors == [0.5, 1.0]


def test_blocks_do_not_reach_functions() -> None:
    network, _ = read(perceptron, (6,))
    calibrated = calibrate(network)
    assert not calibrated.edge_can_have("0", parse("mxint8"))
    assert not calibrated.edge_can_have("1", parse("mxint8"))
    formats = formats_of(calibrated, "int8", "int8")
    with pytest.raises(ValueError, match=r"cannot be mxint8\. Blocks need readers"):
        calibrated.lower(dataclasses.replace(formats, edges={**formats.edges, "0": parse("mxint8")}))
    with pytest.raises(ValueError, match="a function needs edges with one scale, so no blocks"):
        lower_one(calibrated, "1", parse("mxint8"), parse("int8"))


@pytest.mark.parametrize("name", ["transformer", "lstm", "perceptron"])
def test_functions_can_be_fine_tuned(name: str) -> None:
    """The module computes what hardware does, and gradients pass through every function to the first weights."""
    network, _ = read(*NETWORKS[name])
    calibrated = calibrate(network)
    formats = formats_of(calibrated, "int8", "int8")
    module = FineTuningModule(calibrated, formats)
    samples = samples_of(network.layers[0].shape)[:10]
    outputs = module(torch.from_numpy(samples))
    hardware = calibrated.lower(formats)
    expected = (execute(hardware, samples) * hardware.output_unit).astype(np.float32)
    assert np.array_equal(outputs.detach().numpy(), expected)
    outputs.square().sum().backward()
    first = next(iter(module.weights.values()))
    assert first.grad is not None
    assert bool(torch.isfinite(first.grad).all())
    assert float(first.grad.abs().max()) > 0
