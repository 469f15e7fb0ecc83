"""Fine-tuning modules: forward is hardware mode to the bit, backward the float network's, and training reads back."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.fine_tuning import FineTuningModule
from emulation.float_execution import run_float
from emulation.network import Relu
from emulation.quantisers import Granularity, ScaleKind, Scaling

SAMPLES = 12


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(7).normal(size=(SAMPLES, 3, 6, 6)).astype(np.float32)


def calibrated_network(build, samples, kind=ScaleKind.REAL):
    random = np.random.default_rng(3)
    graph = build.Graph((3, 6, 6))
    first = graph.convolve(
        "input", random.normal(size=(8, 3, 3, 3)), random.normal(size=8), activation=Relu(), padding=((1, 1), (1, 1))
    )
    second = graph.convolve(first, random.normal(size=(8, 8, 1, 1)), activation=Relu())
    joined = graph.join(first, second)
    pooled = graph.max_pool(joined, (2, 2), stride=(2, 2))
    flat = graph.reshape(pooled, (8 * 9,))
    graph.linear(flat, random.normal(size=(5, 72)), random.normal(size=5))
    network = graph.network()
    tensors = run_float(network, samples)
    ranges = edge_ranges(network, {name: tensor.numpy() for name, tensor in tensors.items()})
    scalings = Scalings(activation=Scaling(kind=kind), weight=Scaling(granularity=Granularity.CHANNEL, kind=kind))
    return CalibratedNetwork(network=network, ranges=ranges, scalings=scalings)


def formats_of(calibrated, weight, activation):
    network = calibrated.network
    names = [layer.name for layer in network.layers if layer.weight is not None]
    return Formats(
        edges={
            edge: parse("int16")
            if edge == network.edge_of(network.output)
            else calibrated.edge_format(edge, parse(activation))
            for edge in network.edges
        },
        weights={name: parse(weight) for name in names},
    )


@pytest.mark.parametrize(
    ("weight", "activation"),
    [
        ("int4", "int5"),
        ("e3m2", "e4m3fn"),
        ("pot4", "int6"),
        ("codebook3", "int6"),
        ("mxfp4", "int8"),
        ("int8", "e2m1"),
    ],
)
@pytest.mark.parametrize("kind", list(ScaleKind))
def test_an_untrained_module_computes_what_the_design_does(build, samples, weight, activation, kind):
    calibrated = calibrated_network(build, samples, kind)
    formats = formats_of(calibrated, weight, activation)
    hardware = calibrated.lower(formats)
    expected = (execute(hardware, samples) * hardware.output_unit).astype(np.float32)
    outputs = FineTuningModule(calibrated, formats)(torch.from_numpy(samples))
    assert np.array_equal(outputs.detach().numpy(), expected)


def test_training_changes_the_design_and_reads_back(build, samples):
    calibrated = calibrated_network(build, samples)
    module = FineTuningModule(calibrated, formats_of(calibrated, "int3", "int4"))
    inputs = torch.from_numpy(samples)
    targets = run_float(calibrated.network, samples)[calibrated.network.output].clone()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(module(inputs), targets)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.5 * losses[0]
    hardware = module.hardware()
    outputs = (execute(hardware, samples) * hardware.output_unit).astype(np.float32)
    assert np.array_equal(module(inputs).detach().numpy(), outputs)
    for layer in module.network().layers:
        before = calibrated.network.by_name[layer.name]
        assert (layer.weight is None) == (before.weight is None)
        if layer.weight is not None:
            assert not np.array_equal(layer.weight, before.weight)
    before = calibrated.lower(formats_of(calibrated, "int3", "int4"))
    assert any(
        not np.array_equal(new.weight, old.weight)
        for new, old in zip(hardware.layers, before.layers, strict=True)
        if new.weight is not None
    )


def one_edge(build, unit_kind=ScaleKind.REAL):
    """A network that only casts: its input, in int4, is read by an identity matrix."""
    graph = build.Graph((4,))
    graph.linear("input", np.eye(4))
    network = graph.network()
    values = np.array([[0.1, -0.26, 0.9, -3.0], [0.4, 0.33, -0.7, 5.0]], dtype=np.float32)
    tensors = run_float(network, values)
    ranges = edge_ranges(network, {name: tensor.numpy() for name, tensor in tensors.items()})
    scalings = Scalings(activation=Scaling(kind=unit_kind), weight=Scaling(kind=unit_kind))
    calibrated = CalibratedNetwork(network=network, ranges=ranges, scalings=scalings)
    formats = Formats(
        edges={edge: parse("int4" if edge == "input" else "int16") for edge in network.edges},
        weights={network.output: parse("int8")},
    )
    module = FineTuningModule(calibrated, formats)
    return module, values


def test_gradients_pass_straight_through_and_stop_where_the_cast_clips(build):
    module, values = one_edge(build)
    with torch.no_grad():
        module.edge_points["input"] += 1.5  # a smaller unit, so that the largest values clip
    quantiser = module.assignment().edges["input"]
    unit = float(quantiser.unit[0])
    inputs = torch.from_numpy(values).requires_grad_()
    module(inputs).sum().backward()
    inside = (values >= -8 * unit) & (values <= 7 * unit)
    assert inside.any()
    assert not inside.all()
    weight = float(module.hardware().layers[1].second.cast(np.eye(4))[0, 0])
    assert np.allclose(inputs.grad.numpy(), inside * weight, atol=1e-7)
    # ln 2 * (x - Q) inside, -ln 2 * Q where it clips, summed over the values that the point serves.
    cast = np.clip(np.rint(values / unit), -8, 7) * unit
    expected = math.log(2) * np.where(inside, values - cast, -cast).sum() * weight
    assert module.edge_points["input"].grad.item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_to_the_binary_point_is_the_slope_where_everything_clips(build):
    module, values = one_edge(build)
    with torch.no_grad():
        module.edge_points["input"] += 7.0  # everything clips: Q = bound * base * 2**-f exactly
    outputs = module(torch.from_numpy(values))
    outputs.sum().backward()
    slope = module.edge_points["input"].grad.item()
    output_step = float(module.assignment().edges["linear1"].unit[0])
    assert slope == pytest.approx(-math.log(2) * outputs.sum().item(), abs=outputs.numel() * output_step)
    assert abs(slope) > 20 * output_step


def test_power_of_two_scales_stay_powers_of_two(build):
    module, _ = one_edge(build, ScaleKind.POWER_OF_TWO)
    with torch.no_grad():
        for points in (module.edge_points, module.weight_points):
            for point in points.values():
                point.add_(0.7)
    for quantiser in module.assignment().edges.values():
        assert math.frexp(float(quantiser.unit[0]))[0] == 0.5


def test_layer_names_that_torch_does_not_allow_in_parameters(build, samples):
    calibrated = calibrated_network(build, samples)
    network = calibrated.network
    last = network.layers[-1]
    renamed = dataclasses.replace(
        network, layers=(*network.layers[:-1], dataclasses.replace(last, name="block.0%2e")), output="block.0%2e"
    )
    ranges = {**calibrated.ranges, "block.0%2e": calibrated.ranges[last.name]}
    again = CalibratedNetwork(network=renamed, ranges=ranges, scalings=calibrated.scalings)
    module = FineTuningModule(again, formats_of(again, "int4", "int4"))
    assert module(torch.from_numpy(samples)).shape == (SAMPLES, 5)
    assert np.array_equal(module.network().by_name["block.0%2e"].weight, last.weight)


def test_samples_of_any_floating_dtype_give_float32(build, samples):
    calibrated = calibrated_network(build, samples)
    module = FineTuningModule(calibrated, formats_of(calibrated, "int4", "int6"))
    coarse = torch.from_numpy(samples).to(torch.bfloat16)
    expected = module(coarse.float())
    for given in (coarse, coarse.double()):
        given.requires_grad_(True)
        outputs = module(given)
        assert outputs.dtype == torch.float32
        assert torch.equal(outputs, expected)
        outputs.sum().backward()
        assert given.grad.dtype == given.dtype
        assert given.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda given: given[:, :, :5], ValueError, "samples have shape (3, 5, 6), network 'graph' reads (3, 6, 6)"),
        (lambda given: given[0], ValueError, "samples have shape (6, 6), network 'graph' reads (3, 6, 6)"),
        (lambda given: given[:0], ValueError, "no samples were given: at least one is needed"),
        (lambda given: given * math.nan, ValueError, "values are NaN"),
        (lambda given: given.numpy(), TypeError, "samples must be a torch tensor, got a ndarray: use torch.as_tensor"),
    ],
)
def test_bad_samples_are_refused(build, samples, change, error, message):
    calibrated = calibrated_network(build, samples)
    module = FineTuningModule(calibrated, formats_of(calibrated, "int4", "int6"))
    with pytest.raises(error, match=re.escape(message)):
        module(change(torch.from_numpy(samples)))


def test_weights_that_diverged_and_formats_without_a_meaning_are_refused(build, samples):
    calibrated = calibrated_network(build, samples)
    module = FineTuningModule(calibrated, formats_of(calibrated, "int4", "bfp6/8"))
    with pytest.raises(ValueError, match="cannot be bfp6/8"):
        module(torch.from_numpy(samples))
    module = FineTuningModule(calibrated, formats_of(calibrated, "int4", "int6"))
    with torch.no_grad():
        next(iter(module.weights.values()))[0, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match=re.escape("weight[0, 0, 0, 0] of layer 'convolution1' is nan")):
        module.hardware()
