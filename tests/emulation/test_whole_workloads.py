"""One whole design of each workload on digits: fast hardware mode against the definition, on validation images."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.datapaths import parse_arithmetic
from emulation.execution import execute
from emulation.float_execution import run_float
from emulation.read_torch import read_torch
from emulation.reference import execute_reference
from emulation.workloads.catalogue import load_workload

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.hardware import HardwareNetwork

WORKLOADS = ("digits", "digits-deep", "digits-mlp")
EDGES = ("int8", "e4m3fn", "int6", "e3m2", "int8", "e5m2")
WEIGHTS = ("e2m1", "int4", "e3m2", "int8", "int3", "e4m3fn")


@functools.cache
def calibrated_workload(name: str) -> tuple[CalibratedNetwork, np.ndarray, np.ndarray]:
    """The network, validation images and labels."""
    loaded = load_workload(name)
    calibration, validation = loaded.splits.calibration, loaded.splits.validation
    network = read_torch(loaded.network, calibration.inputs[:1], name=name)
    tensors = {layer: tensor.numpy() for layer, tensor in run_float(network, calibration.inputs[:200]).items()}
    calibrated = CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=Scalings())
    return calibrated, validation.inputs, validation.labels


@functools.cache
def mixed_design(name: str) -> tuple[HardwareNetwork, np.ndarray, np.ndarray]:
    """The design, validation images and labels; integers and minifloats alternate along the network."""
    calibrated, inputs, labels = calibrated_workload(name)
    network = calibrated.network
    weighted = [layer.name for layer in network.layers if layer.weight is not None]
    edges = {edge: parse(EDGES[index % len(EDGES)]) for index, edge in enumerate(network.edges)}
    formats = Formats(
        edges={edge: calibrated.edge_format(edge, number_format) for edge, number_format in edges.items()},
        weights={layer: parse(WEIGHTS[index % len(WEIGHTS)]) for index, layer in enumerate(weighted)},
    )
    return calibrated.lower(formats), inputs, labels


FAMILIES = (
    *(("int8", "pot4", "exact / exact"), ("int8", "2hot4", "exact / exact"), ("pot5", "apot2x2", "exact / exact")),
    *(("int8", "nf4", "exact / exact"), ("nf4", "codebook4", "exact / exact"), ("int8", "bcq3", "exact / exact")),
    *(("bfp8/16", "bfp6/16", "exact / exact"), ("mxint8/16", "mxfp4/16", "exact / exact")),
    *(("mx-e4m3fn", "mx-e4m3fn", "exact / exact"), ("nvfp4", "nvfp4", "exact / exact")),
    *(("int8", "mxfp4/8", "exact / exact"), ("dfp8", "dfp8", "exact / exact")),
    *(("e4m3fn", "e4m3fn", "l-mul-formula / exact"), ("e5m2", "e4m3fn", "l-mul-field / exact")),
    *(("int8", "int8", "exact / int20 wrap"), ("int8", "int6", "exact / int16 chunk 4")),
    *(("e4m3fn", "e3m2", "exact / e5m10 chunk 4"), ("fixed<8,3>", "fixed<8,1>", "exact / fixed<18,9> floor")),
)


def family_design(name: str, activations: str, weights: str, arithmetic: str) -> HardwareNetwork:
    """Every edge, weight and engine that can is of the family; other edges are int8, the output int16."""
    calibrated, _, _ = calibrated_workload(name)
    network, wanted, weight = calibrated.network, parse_arithmetic(arithmetic), parse(weights)
    edges: dict[str, Format] = {}
    for edge in network.edges:
        can = edge != network.output and calibrated.edge_can_have(edge, parse(activations))
        chosen = parse(activations) if can else parse("int16" if edge == network.output else "int8")
        edges[edge] = calibrated.edge_format(edge, chosen)
    weighted, engines = {}, {}
    for layer in network.engines:
        source = edges[network.input_edges(layer)[0]]
        weighted[layer.name] = weight if calibrated.engine_can_use(layer.name, source, weight) else parse("int8")
        if calibrated.engine_can_use(layer.name, source, weighted[layer.name], wanted):
            engines[layer.name] = wanted
    return calibrated.lower(Formats(edges=edges, weights=weighted, engines=engines))


def family_differences(name: str, family: tuple[str, str, str], images: int) -> int:
    hardware = family_design(name, *family)
    _, inputs, labels = calibrated_workload(name)
    fast = execute(hardware, inputs)
    assert np.mean(fast.argmax(axis=1) == labels) > 0.7, "the design recognises nothing: equal outputs prove little"
    return sum(
        int(value) != exact
        for sample, outputs in zip(inputs[:images], fast[:images], strict=True)
        for value, exact in zip(outputs.ravel(), execute_reference(hardware, sample.ravel().tolist()), strict=True)
    )


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(
    "family", [("int8", "int8", "exact / exact"), ("e4m3fn", "e2m1", "exact / exact")], ids=" ".join
)
def test_multipliers_of_16_bits_suffice(name: str, family: tuple[str, str, str]) -> None:
    """One shift per layer leaves every channel's multiplier at least 8 significant bits."""
    hardware = family_design(name, *family)
    rules = [layer.requantiser for layer in hardware.layers if layer.weight is not None]
    multipliers = [
        b for rule in rules if rule is not None for b in (*rule.multipliers, *(rule.negative_multipliers or ()))
    ]
    assert multipliers
    assert min(abs(b) for b in multipliers) >= 1 << 7


@pytest.mark.parametrize("family", FAMILIES, ids=" ".join)
def test_a_family_on_one_image(family: tuple[str, str, str]) -> None:
    assert family_differences("digits-mlp", family, 1) == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=" ".join)
def test_a_family_on_twenty_images(family: tuple[str, str, str]) -> None:
    assert family_differences("digits", family, 20) == 0


def differing_outputs(name: str, images: slice) -> int:
    hardware, inputs, _ = mixed_design(name)
    fast = execute(hardware, inputs[images])
    return sum(
        int(fast_value) != exact
        for sample, outputs in zip(inputs[images], fast, strict=True)
        for fast_value, exact in zip(outputs.ravel(), execute_reference(hardware, sample.ravel().tolist()), strict=True)
    )


@pytest.mark.parametrize("name", WORKLOADS)
def test_ten_images(name: str) -> None:
    assert differing_outputs(name, slice(0, 10)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_hundred_images(name: str) -> None:
    assert differing_outputs(name, slice(10, 110)) == 0


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_design_still_recognises_digits(name: str) -> None:
    """Equal outputs would prove little if all of them were saturated or zero."""
    hardware, inputs, labels = mixed_design(name)
    outputs = execute(hardware, inputs)
    assert np.mean(outputs.argmax(axis=1) == labels) > 0.7
    assert len(np.unique(outputs)) > 10
