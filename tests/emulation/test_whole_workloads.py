"""One whole design of each built-in workload: fast hardware mode against the definition, on validation images."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.float_execution import run_float
from emulation.read_torch import read_torch
from emulation.reference import execute_reference
from emulation.workloads.catalogue import load_workload, workload_names

if TYPE_CHECKING:
    from emulation.hardware import HardwareNetwork

EDGES = ("int8", "e4m3fn", "int6", "e3m2", "int8", "e5m2")
WEIGHTS = ("e2m1", "int4", "e3m2", "int8", "int3", "e4m3fn")


@functools.cache
def mixed_design(name: str) -> tuple[HardwareNetwork, np.ndarray, np.ndarray]:
    """The design, validation images and labels; integers and minifloats alternate along the network."""
    loaded = load_workload(name)
    calibration, validation = loaded.splits.calibration, loaded.splits.validation
    network = read_torch(loaded.network, calibration.inputs[:1], name=name)
    tensors = {layer: tensor.numpy() for layer, tensor in run_float(network, calibration.inputs[:200]).items()}
    calibrated = CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=Scalings())
    weighted = [layer.name for layer in network.layers if layer.weight is not None]
    edges = {edge: parse(EDGES[index % len(EDGES)]) for index, edge in enumerate(network.edges)}
    formats = Formats(
        edges={edge: calibrated.edge_format(edge, number_format) for edge, number_format in edges.items()},
        weights={layer: parse(WEIGHTS[index % len(WEIGHTS)]) for index, layer in enumerate(weighted)},
    )
    return calibrated.lower(formats), validation.inputs, validation.labels


def differing_outputs(name: str, images: slice) -> int:
    hardware, inputs, _ = mixed_design(name)
    fast = execute(hardware, inputs[images])
    return sum(
        int(fast_value) != exact
        for sample, outputs in zip(inputs[images], fast, strict=True)
        for fast_value, exact in zip(outputs.ravel(), execute_reference(hardware, sample.ravel().tolist()), strict=True)
    )


@pytest.mark.parametrize("name", workload_names())
def test_ten_images(name: str) -> None:
    assert differing_outputs(name, slice(0, 10)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", workload_names())
def test_a_hundred_images(name: str) -> None:
    assert differing_outputs(name, slice(10, 110)) == 0


@pytest.mark.parametrize("name", workload_names())
def test_the_design_still_recognises_digits(name: str) -> None:
    """Equal outputs would prove little if all of them were saturated or zero."""
    hardware, inputs, labels = mixed_design(name)
    outputs = execute(hardware, inputs)
    assert np.mean(outputs.argmax(axis=1) == labels) > 0.7
    assert len(np.unique(outputs)) > 10
