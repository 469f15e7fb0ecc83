"""Concatenations that write blocks: one cast from the exact numbers of all parts, whatever their formats."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.block_reference import encode_block
from emulation.block_tensors import BlockTensor
from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.execution import execute, trace
from emulation.float_execution import run_float
from emulation.grids import block_grid_of
from emulation.reference import execute_reference

if TYPE_CHECKING:
    from emulation.network import Network

BLOCKS = ("mxint8/4", "bfp4/3", "mxfp4/8", "nvfp4/2", "bfp8e5/4")


@pytest.fixture(scope="module", params=["channels", "rows", "vector"])
def network(build: Any, request: pytest.FixtureRequest) -> Network:
    """Parts of 3, 5 and 3 channels (blocks span them), parts one above the other, and a vector for a linear layer."""
    random = np.random.default_rng(3)
    if request.param == "vector":
        graph = build.Graph((6,))
        parts = tuple(graph.linear("input", random.normal(size=(n, 6)), random.normal(size=n)) for n in (3, 5))
        graph.linear(graph.concat(parts), random.normal(size=(4, 8)))
        return graph.network()
    graph = build.Graph((2, 4, 4))
    outputs = (3, 5) if request.param == "channels" else (3, 3)
    parts = tuple(graph.convolve("input", random.normal(size=(n, 2, 1, 1)), random.normal(size=n)) for n in outputs)
    joined = graph.concat((*parts, parts[0]), axis=0 if request.param == "channels" else 1)
    graph.convolve(joined, random.normal(size=(4, graph.shapes[joined][0], 2, 2)))
    return graph.network()


def calibrated(network: Network, samples: np.ndarray) -> CalibratedNetwork:
    tensors = {name: tensor.numpy() for name, tensor in run_float(network, samples).items()}
    return CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=Scalings())


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("parts", [("int8", "int6"), ("e4m3fn", "int5"), ("bf16", "pot4")])
def test_blocks_are_cast_from_exact_numbers(network: Network, name: str, parts: tuple[str, str]) -> None:
    samples = np.random.default_rng(len(name)).normal(size=(5, *network.layers[0].shape)).astype(np.float32)
    found = calibrated(network, samples[:3])
    concat = next(layer for layer in network.layers if layer.kind == "concat")
    wanted = dict(zip(dict.fromkeys(concat.inputs), parts, strict=True))
    wanted |= {"input": "int8", concat.name: name, network.output: "int16"}
    edges = {edge: parse(wanted[edge]) for edge in network.edges}
    weights = {layer.name: parse("int8") for layer in network.engines}
    hardware = found.lower(Formats(edges=edges, weights=weights))
    fast = execute(hardware, samples)
    for sample, outputs in zip(samples, fast, strict=True):
        assert outputs.ravel().tolist() == execute_reference(hardware, sample.ravel().tolist())
    tensors = trace(hardware, hardware.cast_samples(samples))
    blocks = tensors[concat.name]
    assert isinstance(blocks, BlockTensor)
    rules = next(one for one in hardware.layers if one.layer is concat).part_requantisers
    exact = [
        np.vectorize(lambda v, rule=rule: int(v) * Fraction(rule.multipliers[0]) / Fraction(2) ** rule.shift)(
            tensors[own]
        )
        for rule, own in zip(rules, concat.inputs, strict=True)
    ]
    numbers = np.moveaxis(np.concatenate(exact, axis=concat.operation.axis + 1), 1, -1)  # type: ignore[union-attr]
    number_format = parse(name)
    grid = block_grid_of(number_format)  # type: ignore[arg-type]
    elements, scales = np.moveaxis(blocks.elements, 1, -1), np.moveaxis(blocks.scales, 1, -1)
    for place in np.ndindex(numbers.shape[:-1]):
        for block, scale in enumerate(scales[place].tolist()):
            inside = slice(block * grid.size, (block + 1) * grid.size)
            assert (elements[place][inside].tolist(), scale) == encode_block(numbers[place][inside].tolist(), grid)
    assert len(np.unique(elements)) > 3


def test_concatenations_that_only_convolutions_and_linear_layers_read_have_blocks(build: Any) -> None:
    graph = build.Graph((2, 4, 4))
    both = graph.concat(("input", "input"))
    graph.convolve(both, np.ones((3, 4, 1, 1)))
    again = graph.concat((graph.layers[-1].name, graph.layers[-1].name))
    pooled = graph.max_pool(again, (2, 2))
    graph.convolve(pooled, np.ones((2, 6, 1, 1)))
    network = graph.network()
    found = calibrated(network, np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32))
    assert found.edge_can_have(both, parse("mxint8/4"))
    assert not found.edge_can_have(again, parse("mxint8/4"))
    assert not found.edge_can_have("input", parse("mxint8/4")), "joins read no blocks"
