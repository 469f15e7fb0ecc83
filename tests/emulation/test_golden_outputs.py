"""Outputs of fixed designs, as hashes: numbers that stored measurements rest on do not change unnoticed.

Nothing here is calibrated and every unit is a power of two, so the outputs are integers that no machine may change.
``REGENERATE_GOLDEN=1 pytest tests/emulation/test_golden_outputs.py`` writes the file anew, after SEMANTICS was raised.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.execution import execute
from emulation.hardware import SEMANTICS
from emulation.network import PRelu, Relu
from emulation.quantisers import Requantisation, Rounding
from emulation.reference import execute_reference

if TYPE_CHECKING:
    from emulation.hardware import HardwareNetwork

GOLDEN = Path(__file__).with_name("golden_outputs.json")


def steps(*shape: int, modulus: int = 61) -> np.ndarray:
    """Eighths, both signs, from integer arithmetic alone."""
    count = int(np.prod(shape))
    return ((np.arange(count) * 37 + 11) % modulus - modulus // 2).reshape(shape) / 8.0


def image_design(build: Any, weights: str, activations: tuple[str, str, str], rounding: Rounding) -> HardwareNetwork:
    """Convolution, grouped and dilated convolution, residual addition, concatenation, both poolings, linear."""
    graph = build.Graph((2, 6, 5))
    ones = ((1, 1), (1, 1))
    first = graph.convolve("input", steps(4, 2, 3, 3), steps(4), activation=Relu(ceiling=6.0), padding=ones)
    depthwise = graph.convolve(
        first, steps(4, 1, 3, 3), activation=PRelu(slopes=(0.25, 0.5, -0.125, 0.1)), padding=ones, groups=4
    )
    joined = graph.join(depthwise, first, Relu())
    both = graph.concat((joined, first))
    pooled = graph.max_pool(both, (2, 2), stride=(2, 2), padding=((0, 0), (0, 1)))
    spread = graph.convolve(pooled, steps(4, 4, 2, 2), steps(4), dilation=(2, 1), groups=2, padding=((0, 1), (1, 0)))
    average = graph.average(spread, (2, 3), activation=PRelu(slopes=(0.3,)))
    last = graph.linear(
        graph.reshape(average, (int(np.prod(graph.shapes[average])),)), steps(5, graph.layers[-1].shape[0])
    )
    network = graph.network()
    formats = dict(zip((first, depthwise, joined), activations, strict=True))
    edges = {edge: build.scaled(parse(formats.get(edge, "int8")), 0.25) for edge in network.edges}
    edges["input"] = build.scaled(parse("int8"), 2.0**-4, 5)
    edges[last] = build.scaled(parse("int16"), 2.0**-6)
    per_channel = [2.0**-power for power in (2, 3, 2, 4)]
    units = {first: per_channel, depthwise: 0.25, spread: per_channel, last: 0.25}
    scaled = {layer: build.scaled(parse(weights), unit) for layer, unit in units.items()}
    return build.lower(network, edges, scaled, Requantisation(multiplier_bits=11, rounding=rounding))


def sequence_design(build: Any, weights: str, activations: str) -> HardwareNetwork:
    """One space axis, a product of two activations, transposition and a standalone activation."""
    graph = build.Graph((4, 7))
    keys = graph.convolve("input", steps(4, 4, 3), steps(4), stride=(2,), padding=((2, 1),))
    turned = graph.transpose(keys, (1, 0))
    values = graph.linear(turned, steps(3, 4), steps(3), Relu())
    product = graph.matmul(keys, values, Relu(ceiling=90.0))
    last = graph.activate(product, PRelu(slopes=(0.75,)))
    network = graph.network()
    edges = {edge: build.scaled(parse(activations), 0.125) for edge in network.edges}
    edges[product] = build.scaled(parse(activations), 2.0)
    edges[last] = build.scaled(parse("uint8"), 0.5, 17)
    return build.lower(network, edges, {name: build.scaled(parse(weights), 0.25) for name in (keys, values)})


def designs(build: Any) -> dict[str, HardwareNetwork]:
    image = {
        f"image {weights} {'/'.join(activations)} {rounding.name}": image_design(build, weights, activations, rounding)
        for weights, activations, rounding in (
            ("int4", ("uint6", "int8", "uint4"), Rounding.HALF_EVEN),
            ("int8", ("int7", "int5", "int8"), Rounding.HALF_UP),
            ("e2m1", ("e4m3fn", "e3m2", "uint8"), Rounding.HALF_AWAY),
            ("e5m2", ("e2m3", "int16", "e4m3fnuz"), Rounding.FLOOR),
        )
    }
    sequence = {
        f"sequence {weights} {activations}": sequence_design(build, weights, activations)
        for weights, activations in (("int3", "int8"), ("e3m2", "e5m2"), ("int16", "e7m0"))
    }
    return image | sequence


@pytest.fixture(scope="module")
def outputs(build: Any) -> dict[str, tuple[HardwareNetwork, np.ndarray, np.ndarray]]:
    result = {}
    for name, hardware in designs(build).items():
        samples = steps(6, *hardware.network.layers[0].shape, modulus=127).astype(np.float32)
        result[name] = (hardware, samples, execute(hardware, samples))
    return result


def test_results_have_not_changed(outputs: dict[str, tuple[HardwareNetwork, np.ndarray, np.ndarray]]) -> None:
    hashes = {
        name: hashlib.sha256(json.dumps([int(v) for v in integers.ravel()]).encode()).hexdigest()
        for name, (_, _, integers) in outputs.items()
    }
    if os.environ.get("REGENERATE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps({"semantics": SEMANTICS, "sha256": hashes}, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    changed = sorted(name for name in golden["sha256"] | hashes if golden["sha256"].get(name) != hashes.get(name))
    regenerate = "run REGENERATE_GOLDEN=1 pytest tests/emulation/test_golden_outputs.py"
    if changed and golden["semantics"] == SEMANTICS:
        pytest.fail(
            f"the outputs of {changed} changed: raise SEMANTICS in emulation/hardware.py above {SEMANTICS}, so that "
            f"stored measurements are not mixed with new ones, then {regenerate}"
        )
    assert golden["semantics"] == SEMANTICS, f"SEMANTICS was raised: {regenerate}"


def test_the_golden_outputs_are_the_references(
    outputs: dict[str, tuple[HardwareNetwork, np.ndarray, np.ndarray]],
) -> None:
    for name, (hardware, samples, integers) in outputs.items():
        for sample, result in zip(samples, integers, strict=True):
            assert execute_reference(hardware, sample.ravel().tolist()) == [int(v) for v in result.ravel()], name
        assert len(np.unique(integers)) > 2, f"{name} is too dull to notice a change"
