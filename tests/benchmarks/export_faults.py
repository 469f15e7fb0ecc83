"""Families of formats in C++, a small network in RTL, and faults planted in what a target is made from."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import NotExportableError
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.hls.simulation import simulate
from dse.exports.interpreter import Interpreter
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.rtl.simulation import Bench
from dse.exports.rtl.stages import design_of
from dse.exports.targets import TARGETS, load_target, write_targets
from dse.exports.verification import Planned, Status, run_checks
from tests.dse.conftest import make_bench
from tests.dse.exports import faults
from tests.dse.exports.folder_checks import entries_of, rehashed
from tests.dse.test_all_families import uniform

if TYPE_CHECKING:
    from dse.designs import Design
    from dse.exports.verification import Outcome
    from dse.study import Study

FAMILIES: Final = {
    "integers and fixed point": [
        ("int4", "uint8", "exact / exact"),
        ("fixed<6,2>", "int8", "exact / int20 wrap"),
        ("int8", "int8", "exact / int16 chunk 4"),
    ],
    "minifloats E4M3, E5M2, E3M2, E2M1": [
        ("e4m3fn", "e4m3fn", "exact / exact"),
        ("e5m2", "e5m2", "exact / e5m10 chunk 4"),
        ("e3m2", "e2m1", "exact / exact"),
    ],
    "BFP, MX and NVFP4": [
        ("bfp6/16", "bfp6/16", "exact / exact"),
        ("mxfp4", "mx-e4m3fn", "exact / exact"),
        ("mxint8", "int8", "exact / exact"),
        ("nvfp4", "nvfp4", "exact / exact"),
    ],
    "powers of two and K-hot": [
        ("pot4", "int8", "exact / exact"),
        ("2hot4", "int8", "exact / int20 wrap"),
        ("apot2x2", "pot4", "exact / exact"),
    ],
    "codebooks and binary codes": [
        ("nf4", "int8", "exact / exact"),
        ("codebook4", "int8", "exact / exact"),
        ("bcq3", "int8", "exact / exact"),
    ],
    "L-Mul, formula and field addition": [
        ("e4m3fn", "e4m3fn", "l-mul-formula / exact"),
        ("e4m3fn", "e4m3fn", "l-mul-field / exact"),
        ("e4m3fn", "e4m3fn", "l-mul-field-clamped / exact"),
    ],
}
"""Weights, activations and arithmetic of each design."""
IMAGES: Final = 1024
STALLS: Final = (0, 45)
SMALL: Final = {
    "integers": {"weights": ["int3", "int4"], "activations": ["int4", "int6"]},
    "minifloats": {"weights": ["e2m1", "e3m2"], "activations": ["e4m3fn", "e3m2"]},
}
"""Menus of the reduced digits network in RTL."""
CONVOLUTION, LINEAR = "mix_convolution", "hidden"
"""Layers of digits that get faults."""
FAULTS: Final = {
    "rounding: halves up": (CONVOLUTION, faults.other_rounding),
    "rounding: down": (CONVOLUTION, faults.truncation),
    "dropped bias": (CONVOLUTION, faults.dropped_bias),
    "transposed weights": (LINEAR, faults.transposed_weights),
    "swapped layout": (CONVOLUTION, faults.swapped_layout),
    "one weight": (LINEAR, faults.one_weight),
    "one shift": (CONVOLUTION, faults.one_shift),
}


def family(name: str) -> list[dict[str, Any]]:
    """Designs of digits-mlp in the formats of a family, in C++: formats, numbers compared, numbers that differ."""
    cases = FAMILIES[name]
    arithmetics = [arithmetic.split(" / ") for *_, arithmetic in cases]
    found = make_bench(
        "digits-mlp",
        formats={
            "weights": list(dict.fromkeys(weight for weight, *_ in cases)),
            "activations": list(dict.fromkeys(activation.removeprefix("u") for _, activation, _ in cases)),
            "mixed_families": True,
        },
        arithmetic={
            "products": list(dict.fromkeys(product for product, _ in arithmetics)),
            "accumulators": list(dict.fromkeys(accumulator for _, accumulator in arithmetics)),
        },
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )
    results = []
    for weight, activation, arithmetic in cases:
        design = found.design(1, uniform(found, weight, activation, arithmetic))
        with tempfile.TemporaryDirectory(prefix="exports-") as scratch:
            folder = Path(scratch) / "design"
            export_design(found.prepared, found.tables.device, design, folder, targets=["hls"])
            outcome = simulate(Manifest.read(folder), folder / "hls")
        counted = re.search(r"(\d+) of (\d+) numbers differ", outcome.text)
        results.append(
            {
                "design": f"w {weight}, a {activation}, {arithmetic}",
                "passed": outcome.status is Status.PASSED,
                "differences": int(counted[1]) if counted else None,
                "numbers": int(counted[2]) if counted else None,
                "text": outcome.text,
            }
        )
    return results


def small_rtl(menu: str) -> dict[str, Any]:
    """The reduced digits network on random images, against the interpreter of the manifest, with and without stalls."""
    formats = SMALL[menu]
    found = make_bench(
        "tests.dse.exports.rtl.small_networks:RESIDUAL",
        formats=formats,
        front={"max_lanes": 16},
        device={"min_fps": 0.0},
    )
    with tempfile.TemporaryDirectory(prefix="exports-") as scratch:
        folder = Path(scratch) / "design"
        export_design(found.prepared, found.tables.device, found.design(3), folder, targets=["rtl"])
        manifest = Manifest.read(folder)
        design = design_of(manifest)
        codes = design.input.codes
        known = [value for value in map(codes.integer, range(1 << codes.bits)) if codes.low <= value <= codes.high]
        draw = np.random.default_rng(4)
        inputs = draw.choice(np.array(known), size=(IMAGES, 64)) * (
            draw.random((IMAGES, 64)) < draw.random((IMAGES, 1))
        )
        outputs = np.asarray(Interpreter(manifest).run(inputs.reshape(IMAGES, 8, 8, 1))).reshape(IMAGES, -1)
        bench = Bench(design=design, folder=Path(scratch) / "bench")
        bench.folder.mkdir()
        bench.build(folder / "rtl")
        runs = {stall: bench.run(inputs, outputs, stall=stall, seed=5) for stall in STALLS}
        last = design.taps[-1].layer
        differences = {
            stall: int((run.seen[last].reshape(-1)[: outputs.size] != outputs.reshape(-1)).sum())
            if run.seen[last].size == outputs.size
            else outputs.size
            for stall, run in runs.items()
        }
    return {
        "images": IMAGES,
        "distinct": len(np.unique(outputs, axis=0)),
        "passed": all(run.passed for run in runs.values()) and not any(differences.values()),
        "differences": sum(differences.values()),
        "verdicts": {str(stall): run.verdict for stall, run in runs.items()},
    }


def planted(study: Study, design: Design, name: str) -> dict[str, str]:
    """What the checks of each target say of a fault: whether it was found in its layer, or why it was not."""
    layer, fault = FAULTS[name]
    with tempfile.TemporaryDirectory(prefix="exports-") as scratch:
        good, bad = Path(scratch) / "good", Path(scratch) / "bad"
        export_design(study.prepared, study.device, design, good)
        shutil.copytree(good, bad)
        entries = entries_of(bad)
        fault(bad, next(one for one in entries["layers"] if one["name"] == layer))
        rehashed(bad, entries)
        planned = [Planned(target="base", folder=bad, check=check) for check in BASE_CHECKS]
        own = [one.outcome for one in run_checks(Manifest.read(bad), planned) if one.check != "network"]
        manifest = Manifest.read(good)
        return {
            "base": _where([one for one in own if one.status is Status.FAILED], layer),
            **{target: _in_target(manifest, bad, target, layer) for target in TARGETS},
        }


def _in_target(manifest: Manifest, bad: Path, name: str, layer: str) -> str:
    """A target made from the folder with the fault, judged by the manifest without."""
    target = load_target(name)
    try:
        write_targets(bad, [target])
    except NotExportableError as error:
        return "refused" if f"layer {layer}:" in str(error) else f"refused elsewhere: {error}"
    planned = [Planned(target=name, folder=bad / name, check=target.checks[0])]
    outcomes = [one.outcome for one in run_checks(manifest, planned)]
    return _where([one for one in outcomes if one.status is Status.FAILED], layer) or outcomes[0].text


def _where(failed: list[Outcome], layer: str) -> str:
    """``found`` if the first difference of any check is in the layer."""
    layers = [one.where[0].layer for one in failed if one.where]
    if layer in layers:
        return "found"
    return f"found in {layers[0]}" if layers else ""
