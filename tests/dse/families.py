"""Menus of all families of formats and arithmetics, designs drawn from them, and what those must compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.config import check_config
from dse.exports.parameters import export_design
from dse.study import Study
from dse.uniform import uniform_pairs
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.datapaths import parse_arithmetic
from emulation.execution import execute
from emulation.reference import execute_reference
from tests.dse.exports.folder_checks import computed, intact

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.designs import Design
    from tests.dse.conftest import Bench

WEIGHTS = ["int4", "int8", "fixed<6,2>", "e4m3fn", "pot4", "2hot4", "apot2x2", "nf4", "codebook4", "bcq3"]
BLOCK_WEIGHTS = ["mxfp4", "mxint8", "bfp6/16", "nvfp4", "dfp8"]
ACTIVATIONS = ["int4", "int8", "e4m3fn", "mx-e4m3fn", "bfp6/16", "nvfp4", "pot4", "nf4"]
ARITHMETIC = {
    "products": ["exact", "l-mul-formula", "l-mul-field", "l-mul-field-clamped"],
    "accumulators": ["exact", "int20 wrap", "int16 chunk 4", "e5m10 chunk 4"],
}
EVERYTHING = {"weights": WEIGHTS + BLOCK_WEIGHTS, "activations": ACTIVATIONS, "mixed_families": True}
SOME = {"weights": ["int4", "e3m2", "pot4", "bcq2", "mxfp4"], "activations": ["int8", "e4m3fn", "mxint8"]}
FEW_SAMPLES = {"sensitivity_samples": 40, "validation_samples": 60, "test_samples": 60}

UNIFORM = [
    ("int4", "uint8", "exact / exact"),
    ("fixed<6,2>", "int8", "exact / int20 wrap"),
    ("int8", "int8", "exact / int16 chunk 4"),
    ("int8", "int4", "exact / e5m10 chunk 4"),
    ("e4m3fn", "e4m3fn", "exact / exact"),
    ("e4m3fn", "e4m3fn", "l-mul-formula / exact"),
    ("e4m3fn", "e4m3fn", "l-mul-field / exact"),
    ("e4m3fn", "e4m3fn", "l-mul-field / e5m10 chunk 4"),
    ("e4m3fn", "e4m3fn", "l-mul-field-clamped / exact"),
    ("e4m3fn", "e4m3fn", "l-mul-field-clamped / int16 chunk 4"),
    ("pot4", "int8", "exact / exact"),
    ("2hot4", "int8", "exact / int20 wrap"),
    ("apot2x2", "pot4", "exact / exact"),
    ("nf4", "int8", "exact / exact"),
    ("int8", "nf4", "exact / exact"),
    ("codebook4", "int8", "exact / exact"),
    ("bcq3", "int8", "exact / exact"),
    ("bcq3", "int8", "exact / int16 chunk 4"),
    ("mxfp4", "mx-e4m3fn", "exact / exact"),
    ("mxint8", "int8", "exact / exact"),
    ("int8", "mx-e4m3fn", "exact / exact"),
    ("bfp6/16", "bfp6/16", "exact / exact"),
    ("nvfp4", "nvfp4", "exact / exact"),
    ("nvfp4", "bfp6/16", "exact / exact"),
    ("dfp8", "int8", "exact / exact"),
]
BLOCK_REGISTERS = [
    ("mxfp4", "mx-e4m3fn", "exact / e6m7 pairwise"),
    ("mxint8", "int8", "exact / int5 wrap"),
    ("nvfp4", "nvfp4", "exact / e6m7 pairwise"),
    ("bfp6/16", "bfp6/16", "exact / aligned18"),
]
"""Blocks that are added in registers."""


def deep_mixture(custom_bench: Callable[..., Bench]) -> Bench:
    """The network with depthwise layers, PReLU and concatenations, in formats of all kinds."""
    return custom_bench(
        "digits-deep",
        formats={
            "weights": ["int4", "e4m3fn", "apot2x2", "bcq2", "mxfp4", "nvfp4"],
            "activations": ["int8", "e4m3fn", "bfp6/16", "mx-e4m3fn", "nvfp4", "pot4"],
            "mixed_families": True,
        },
        arithmetic={"products": ["exact", "l-mul-field"], "accumulators": ["exact", "int20 wrap", "e5m10 chunk 3"]},
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )


def joined_in_blocks(custom_bench: Callable[..., Bench], name: str) -> tuple[Bench, Design, str]:
    """A design whose concatenation of 5 and 3 channels writes blocks of a format, and the name of that layer."""
    found = custom_bench(
        "tests.dse.function_workloads:JOINED",
        formats={"weights": ["int8"], "activations": ["int8", name], "mixed_families": True},
        arithmetic={"accumulators": ["exact", "e6m9"]},
        front={"max_lanes": 8},
        device={"min_fps": 0.0},
    )
    network = found.prepared.network
    concat = next(layer.name for layer in network.layers if layer.kind == "concat")
    edges = {edge: found.prepared.edge_menu(edge)[0] for edge in network.edges} | {concat: parse(name)}
    weights = {layer.name: parse("int8") for layer in network.engines}
    return found, found.design(2, Formats(edges=edges, weights=weights)), concat


def uniform(found, weight, activation, arithmetic):
    wanted = parse_arithmetic(arithmetic)
    for pair in uniform_pairs(found.prepared):
        same = (str(pair.weight), str(pair.activation).lstrip("u")) == (weight, activation.lstrip("u"))
        if same and pair.arithmetic == wanted:
            return pair.formats
    raise AssertionError(f"{weight} x {activation} by {arithmetic} is no uniform design")


def check_export(found, design, folder, *, most):
    """All checks of the folder hold; the fast execution and the Python-integer reference give its outputs too."""
    prepared = found.prepared
    export_design(prepared, found.tables.device, design, folder)
    intact(folder)
    ours, golden = computed(folder, most)
    assert np.array_equal(ours, golden)
    hardware = prepared.calibrated.lower(design.formats)
    samples = prepared.validation.inputs[:most]
    assert np.array_equal(golden, execute(hardware, samples).reshape(most, -1))
    for sample, row in zip(samples[:1], golden.tolist(), strict=False):
        assert execute_reference(hardware, sample.reshape(-1).tolist()) == row


def explore(folder, workload, formats, arithmetic, solves):
    settings = {
        "network": {"workload": workload},
        "data": FEW_SAMPLES,
        "formats": formats,
        "arithmetic": arithmetic,
        "front": {"solves": solves, "max_lanes": 64},
    }
    with Study.create(folder, check_config(settings, source="the test")) as study:
        study.sweep(jobs=2)
        study.front(jobs=2)
        front = study.measure(jobs=2)
        exported = study.export(study.chosen().name)
        prepared = study.prepared
        assert len(front) > 1
        for design in front:
            assert design.validation is not None
            hardware = prepared.calibrated.lower(design.formats)
            samples = prepared.validation.inputs[:2]
            outputs = execute(hardware, samples).reshape(len(samples), -1)
            for sample, row in zip(samples, outputs.tolist(), strict=True):
                assert execute_reference(hardware, sample.reshape(-1).tolist()) == row
    intact(exported.folder)
    return front
