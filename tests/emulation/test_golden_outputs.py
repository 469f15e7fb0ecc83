"""Outputs of fixed designs, as hashes: numbers that stored measurements rest on do not change unnoticed.

No range is calibrated and every unit is a power of two, so the outputs are integers that no machine may change; tables
are learned by fits whose sums have a fixed order.
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
from emulation.compatibility import edge_can_have, engine_can_use
from emulation.datapaths import Requantisation, parse_arithmetic
from emulation.execution import execute
from emulation.formats import BinaryCoded, LearnedCodebook, MiniFloat
from emulation.grids import is_blocked
from emulation.hardware import SEMANTICS
from emulation.network import PRelu, Relu
from emulation.reference import execute_reference
from emulation.rules import Rounding
from emulation.table_fitting import learn_table

if TYPE_CHECKING:
    from emulation.formats import Format
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


def unit_of(number_format: Format, step: float) -> float:
    """A unit that suits the values of `steps`: blocks are absolute, minifloats count from their least number."""
    if is_blocked(number_format):
        return 2.0**number_format.unit_exponent
    return step * (2.0**number_format.unit_exponent if isinstance(number_format, MiniFloat) else 1.0)


def family_design(build: Any, weights: str, activations: str, arithmetic: str) -> HardwareNetwork:
    """Two convolutions and a linear layer; blocks, levels, L-Mul and narrow accumulators where they can be."""
    graph = build.Graph((5, 4, 4))
    pad = ((1, 1), (0, 1))
    first = graph.convolve("input", steps(7, 5, 3, 2), steps(7), activation=Relu(ceiling=40.0), padding=pad)
    second = graph.convolve(first, steps(6, 7, 2, 2), steps(6), activation=PRelu(slopes=(0.25,)), stride=(2, 2))
    flat = graph.reshape(second, (int(np.prod(graph.shapes[second])),))
    hidden = graph.linear(flat, steps(9, graph.layers[-1].shape[0]), steps(9), Relu())
    last = graph.linear(hidden, steps(4, 9))
    network = graph.network()
    chosen = {
        edge: parse(activations) if edge_can_have(network, edge, parse(activations)) else parse("int10")
        for edge in network.edges
    }
    levels = dict.fromkeys(network.edges, 4.0) | {"input": 0.25}
    edges = {
        edge: build.scaled(one, unit_of(one, levels[edge]), reach=64 * levels[edge]) for edge, one in chosen.items()
    }
    edges[last] = build.scaled(parse("int16"), 1.0)
    one = parse(weights)
    scaled = {}
    for layer in network.engines:
        if isinstance(one, LearnedCodebook | BinaryCoded):
            assert layer.weight is not None
            scaled[layer.name] = build.scaled(one, 2.0**-5, tables=learn_table(layer.weight, one)[1][None])
        else:
            scaled[layer.name] = build.scaled(one, unit_of(one, 0.5))
    wanted = parse_arithmetic(arithmetic)
    engines = {
        layer.name: wanted
        for layer in network.engines
        if engine_can_use(layer, chosen[network.input_edges(layer)[0]], one, wanted)
    }
    return build.lower(network, edges, scaled, engines=engines)


FAMILIES = (
    *(
        ("fixed<8,3>", "pot5", "exact / exact"),
        ("2hot5", "int8", "exact / exact"),
        ("apot2x2", "3hot4", "exact / exact"),
    ),
    *(("nf4", "fp4", "exact / exact"), ("codebook3", "uint8", "exact / exact"), ("bcq3", "int6", "exact / exact")),
    *(("bfp5/3", "bfp8/3", "exact / exact"), ("mxfp4/4", "mx-e4m3fn/4", "exact / exact")),
    *(("mxint8/2", "int8", "exact / exact"), ("int5", "mx-e3m2/4", "exact / exact")),
    *(("nvfp4/4", "nvfp4/4", "exact / exact"), ("dfp6", "dfp8", "exact / exact")),
    *(("e4m3fn", "e3m2", "l-mul-formula / exact"), ("e2m3", "bf16", "l-mul-field / exact")),
    *(("int6", "int7", "exact / int16 wrap chunk 3"), ("int8", "uint8", "exact / int15 chunk 2")),
    *(("fixed<8,2>", "fixed<8,5>", "exact / fixed<18,13> floor chunk 4"), ("e4m3fn", "e5m2", "exact / e5m10")),
    *(("e2m1", "int6", "exact / e6m5 chunk 2 pairwise"), ("e3m2", "e4m3fn", "l-mul-field / e8m7 chunk 4")),
    ("e4m3b12", "e3m4", "l-mul-field-clamped / exact"),
    ("e4m3fn", "e4m3b16", "l-mul-field-clamped / int14 chunk 3"),
)


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
    families = {
        f"{weights} x {activations}: {arithmetic}": family_design(build, weights, activations, arithmetic)
        for weights, activations, arithmetic in FAMILIES
    }
    return image | sequence | families


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
