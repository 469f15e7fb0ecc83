"""Designs in powers of two as real numbers: what they compute, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from dse.exports.manifest import Manifest
from dse.exports.real_layers import CastLayer, WeightedLayer, real_layers, sum_ranges
from tests.dse.exports.faults import refusal


def windows(values, entry, fill):
    """``(vectors, *places, *kernel, channels)``."""
    axes = tuple(range(1, 1 + len(entry["kernel"])))
    padded = np.pad(values, [(0, 0), *entry["padding"], (0, 0)], constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, entry["kernel"], axis=axes)
    steps = tuple(slice(None, None, step) for step in entry["stride"])
    return np.moveaxis(found[(slice(None), *steps)], len(axes) + 1, -1)


def sums_of(layer, sources):
    """The sums of a layer, in real numbers."""
    entry = layer.entry
    if layer.op == "add":
        return sources[0] + sources[1]
    if layer.op == "linear":
        return sources[0] @ layer.weight
    taps = tuple(range(-1 - len(entry["kernel"]), -1))
    found = windows(sources[0], entry, 0.0)
    if layer.op == "averagepool":
        return found.mean(axis=taps)
    groups = zip(np.split(found, entry["groups"], -1), np.split(layer.weight, entry["groups"], -1), strict=True)
    parts = [np.tensordot(a, b, axes=([*taps, -1], list(range(len(taps) + 1)))) for a, b in groups]
    return np.concatenate(parts, axis=-1)


def computed(layer, sources):
    """What real numbers become: the definition, in float64, which holds all of them."""
    if layer.op in {"reshape", "transpose"}:
        return sources[0]
    if layer.op == "maxpool":
        found = windows(sources[0], layer.entry, -np.inf)
        return found.max(axis=tuple(range(-1 - len(layer.entry["kernel"]), -1)))
    if layer.op == "concat":
        numbers = np.concatenate(sources, axis=layer.entry["axis"] + 1)
    else:
        numbers = sums_of(layer, sources)
        numbers = numbers if getattr(layer, "bias", None) is None else numbers + layer.bias
        counted = numbers / 2.0**layer.sums.unit
        assert np.array_equal(counted, np.rint(counted))
        assert layer.sums.low <= counted.min() <= counted.max() <= layer.sums.high
        numbers = numbers if layer.slopes is None else np.where(numbers < 0, numbers * layer.slopes, numbers)
        numbers = np.maximum(numbers, 0) if layer.relu else numbers
        numbers = numbers if layer.ceiling is None else np.minimum(numbers, layer.ceiling)
    unit = 2.0**layer.output.unit
    return np.clip(np.rint(numbers / unit), layer.output.low, layer.output.high) * unit


def check(folder):
    """All layers on all vectors, against the golden outputs."""
    manifest = Manifest.read(folder)
    layers, streams = real_layers(manifest), {}
    vectors = manifest.entries["vectors"]
    for layer in layers:
        if layer.op == "input":
            found = manifest.rows(vectors["input"]) * 2.0**layer.output.unit
        else:
            found = computed(layer, [streams[name] for name in layer.entry["inputs"]])
        streams[layer.name] = found.reshape(-1, *layer.shape)
        golden = manifest.rows(layer.entry["golden"]["output"])
        own = streams[layer.name][vectors["golden"]].reshape(len(golden), -1)
        assert np.array_equal(own / 2.0**layer.output.unit, golden), layer.name
    last = layers[-1]
    expected = manifest.rows(vectors["output"])
    assert np.array_equal(streams[last.name].reshape(len(expected), -1) / 2.0**last.output.unit, expected)
    assert len(np.unique(expected)) > 100
    return layers


def test_real_numbers_give_the_golden_outputs(small_export):
    layers = check(small_export)
    casts = [layer for layer in layers if isinstance(layer, CastLayer)]
    assert {layer.op for layer in casts} == {"convolution", "depthwise", "linear", "add", "averagepool"}
    assert [layer.name for layer in casts if layer.slopes is not None] == ["widen"]
    assert [layer.name for layer in casts if layer.ceiling == 6.0] == ["depthwise"]
    assert sorted(layer.bias is None for layer in casts if isinstance(layer, WeightedLayer)) == [False] * 4 + [True]


def test_one_dimension_too(row_export):
    assert [len(layer.entry["kernel"]) for layer in check(row_export) if "kernel" in layer.entry] == [1] * 4


@pytest.mark.slow
def test_larger_networks_too(digits_export, deep_export):
    check(digits_export)
    assert "concat" in {layer.op for layer in check(deep_export)}


def test_bounds_of_sums_are_reached():
    draw = np.random.default_rng(0)
    weight, bias = draw.integers(-8, 8, (5, 3)), draw.integers(-50, 50, 3)
    low, high, largest = sum_ranges(weight, bias, -4, 7)
    inputs = np.array(np.meshgrid(*[[-4, 0, 7]] * 5)).reshape(5, -1).T
    sums = inputs @ weight + bias
    assert sums.min(axis=0).tolist() == low
    assert sums.max(axis=0).tolist() == high
    assert largest == (7 * np.abs(weight).sum(axis=0) + np.abs(bias)).tolist()


def test_bounds_beyond_64_bits_are_exact():
    weight = np.array([[1 << 60], [1 << 60]])
    assert sum_ranges(weight, np.array([1]), 0, 255) == ([1], [510 * (1 << 60) + 1], [510 * (1 << 60) + 1])


def real_scale(folder, layer):
    layer["output"] |= {"unit": 0.3, "scale_exp": None}


def odd_multiplier(folder, layer):
    layer["mult"] = 3


def zero_point(folder, layer):
    layer["output"]["zero_point"] = 5


def l_mul(folder, layer):
    layer["product"] = {"kind": "l-mul-formula", "mantissa_bits": [3, 3], "offset_exponent": 3}


def wrapping(folder, layer):
    layer["acc_type"]["overflow"] = "WRAP"


def table(folder, layer):
    layer["function"] = "sigmoid"


def other_order(folder, layer):
    layer["reorder_inputs"] = [None]


def codebook(folder, layer):
    layer["output"]["type"] = {"format": "nf4", "bits": 4, "signed": True, "stored": "code", "table": [0] * 16}


def flushed(folder, layer):
    fields = {"exponent_bits": 4, "mantissa_bits": 3, "bias": 7, "unit_exponent": -9, "largest_magnitude_code": 126}
    kind = {"format": "e4m3 flush", "bits": 8, "signed": True, "stored": "code", "subnormals": "flush", **fields}
    layer["output"]["type"] = kind


def nine(folder, layer):
    layer["kernel"] = [3, 3]


def unequal(folder, layer):
    layer["shift"] += 1


def half_open(folder, layer):
    layer["out_type"]["low"] = -5


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("mix", real_scale, 'its outputs count in 0.3, no power of two; set [formats] scale_kind = "power-of-two"'),
        ("mix", odd_multiplier, "its multiplier 3 * 2**-"),
        ("mix", zero_point, "its outputs have zero point 5; use symmetric scaling"),
        ("mix", l_mul, "its products are l-mul-formula; use an exact product, or export to hls"),
        ("mix", wrapping, "its accumulator is not exact; use an exact accumulator, or export to hls"),
        ("mix", table, "sigmoid is more than exact sums and one cast; export to hls"),
        ("mix", other_order, "its inputs are put into another order; export to hls"),
        ("mix", codebook, "its outputs are nf4; use integers (or, for qonnx, minifloats)"),
        ("mix", flushed, "its outputs (e4m3 flush) have no gradual subnormals; use a format that has"),
        ("mix", half_open, "its numbers start at -5, its format at -128; use ReLU or none"),
        ("average", nine, "it averages 9 numbers, and 1/9 is no power of two; use a window of 2, 4, 8, ... numbers"),
        ("average", unequal, "it multiplies by 2**"),
        ("add", unequal, "it multiplies by 2**"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_cannot_be_said_in_real_numbers_is_refused(small_export, changed, name, change, text):
    assert refusal(real_layers, changed(small_export, name, change)).startswith(f"layer {name}: {text}")
