"""Vectors for single layers reach the limits they are named after, and the plain Python reference agrees."""

from __future__ import annotations

import numpy as np
import pytest

from dse.exports.manifest import Manifest
from dse.exports.stimuli import LIMIT_OUTPUTS, limit_vectors, spread, taken, tensor_of
from emulation.block_tensors import BlockTensor
from emulation.execution import accumulate, execute_layer
from emulation.network import Convolution
from emulation.reference import _execute
from emulation.reference_codes import Blocks


def lowered(found, seed):
    design = found.design(seed)
    return found.prepared.calibrated.lower(design.formats)


def as_reference(tensor):
    if isinstance(tensor, BlockTensor):
        return Blocks(elements=tensor.elements[0].reshape(-1).tolist(), scales=tensor.scales[0].reshape(-1).tolist())
    return tensor[0].reshape(-1).tolist()


@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_sums_reach_the_bound_of_their_accumulator(bench, workload):
    """Of every output that is tried, no input makes a greater or a smaller sum where the window lies in the image."""
    hardware = lowered(bench(workload), 100)
    for layer in hardware.layers:
        if layer.engine is None:
            continue
        stimuli = limit_vectors(hardware, layer)
        sums = np.asarray(accumulate(layer, stimuli.inputs)).astype(object)
        grid = hardware.edges[hardware.network.input_edges(layer.layer)[0]].grid
        rows = layer.weight.astype(object).reshape(len(layer.weight), -1)
        bias = layer.bias or (0,) * len(rows)
        for name, own in zip(stimuli.names, sums, strict=True):
            word, _, output = name.partition("-")
            if not output.isdecimal():
                continue
            place = int(output)
            ends = (grid.high, grid.low) if word == "maximum" else (grid.low, grid.high)
            limit = sum(w * ends[0] if w > 0 else w * ends[1] for w in rows[place].tolist()) + bias[place]
            of_output = own[place] if isinstance(layer.layer.operation, Convolution) else own[..., place]
            best = of_output.max() if word == "maximum" else of_output.min()
            assert best == limit or _cut(layer), (layer.layer.name, name)


def _cut(layer):
    """Whether no position has its whole window within the image."""
    window, shape = getattr(layer.layer.operation, "window", None), layer.layer.shape[1:]
    return window is not None and any(size < kernel for size, kernel in zip(shape, window.kernel, strict=True))


def test_names_and_order_of_limit_vectors(bench):
    hardware = lowered(bench("digits"), 100)
    layer = next(one for one in hardware.layers if one.engine is not None and len(one.weight) > LIMIT_OUTPUTS)
    stimuli = limit_vectors(hardware, layer)
    reach = np.abs(layer.weight).reshape(len(layer.weight), -1).sum(axis=1)
    outputs = sorted({*spread(len(layer.weight), LIMIT_OUTPUTS - 1), int(reach.argmax())})
    wanted = [f"{word}-{output}" for output in outputs for word in ("maximum", "minimum")]
    assert list(stimuli.names) == [*wanted, "all-minimum", "all-maximum", "zero", "alternating"]
    grid = hardware.edges[hardware.network.input_edges(layer.layer)[0]].grid
    low, high, zero, alternating = stimuli.inputs[0][-4:]
    assert (low == grid.low).all()
    assert (high == grid.high).all()
    assert not zero.any()
    assert alternating.reshape(-1)[:4].tolist() == [grid.low, grid.high, grid.low, grid.high]


@pytest.mark.parametrize(
    ("workload", "formats", "arithmetic"),
    [
        ("digits-mlp", {"weights": ["mxfp4", "int4"], "activations": ["mx-e4m3fn", "int8"]}, {}),
        (
            "digits-mlp",
            {"weights": ["e4m3fn"], "activations": ["e4m3fn"]},
            {"products": ["l-mul-field"], "accumulators": ["e5m10 chunk 4"]},
        ),
        ("tests.dse.function_workloads:ATTENTION", {"weights": ["int4"], "activations": ["int8"]}, {}),
    ],
    ids=["blocks", "l-mul", "attention"],
)
def test_the_reference_computes_the_same_outputs(custom_bench, workload, formats, arithmetic):
    formats = {**formats, "mixed_families": True}
    found = custom_bench(
        workload, formats=formats, arithmetic=arithmetic, front={"max_lanes": 4}, device={"min_fps": 0.0}
    )
    hardware = lowered(found, 1)
    checked = 0
    for layer in hardware.layers:
        if layer.engine is None:
            continue
        stimuli = limit_vectors(hardware, layer)
        outputs = execute_layer(layer, stimuli.inputs)
        for vector in (0, 1, len(stimuli.names) - 1):
            sources = [as_reference(taken(one, [vector])) for one in stimuli.inputs]
            assert _execute(hardware, layer, sources) == as_reference(taken(outputs, [vector])), layer.layer.name
            checked += 1
    assert checked >= 6


def test_integers_beyond_64_bits_are_kept(bench):
    quantiser = lowered(bench("digits-mlp"), 0).input
    wide = tensor_of(np.array([[1 << 80, -3]], dtype=object), quantiser)
    assert wide.dtype == object
    assert tensor_of(np.array([[5, -3]], dtype=object), quantiser).dtype == np.int64


def test_the_manifest_lists_the_vectors_of_every_multiplying_layer(digits_export):
    manifest = Manifest.read(digits_export)
    engines = [layer for layer in manifest.layers if "weight" in layer]
    assert len(engines) > 5
    for layer in manifest.layers:
        assert ("limits" in layer) == ("weight" in layer)
        assert ("ties" in layer) == ("mult" in layer)
    for layer in engines:
        sums = manifest.rows(layer["limits"]["sums"])
        half = 1 << (layer["acc_type"]["bits"] - 1)
        assert -half <= sums.min() <= sums.max() < half
        assert max(-sums.min(), sums.max()) * 4 > half, "all but one bit of the width is needed"
        assert len(layer["limits"]["names"]) == len(sums)
