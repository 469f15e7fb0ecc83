"""A study's results as the data frames that `reports` draws."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dse.accuracy_report import trust_data
from dse.designs import ARRAY
from dse.menus import arithmetic_in_words
from emulation.datapaths import Arithmetic
from hwmodels.corrections import CALIBRATED, OUR_RTL
from hwmodels.costs import Cost, total
from hwmodels.energy import energy_words
from hwmodels.timing import DELAY_WORDS
from reports import ReportData
from reports.data import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.confidence import Band
    from dse.designs import Design, Part
    from dse.preparation import Prepared
    from dse.refinement_results import Refinement
    from dse.results import FrontResult
    from emulation.losses import Losses
    from hwmodels.devices import Device

_VERSIONS = ("bitfront", "numpy", "torch", "numba", "pyomo", "highspy", "scikit-learn")


def report_data(
    prepared: Prepared, device: Device, result: FrontResult, *, refined: Refinement | None, bands: Sequence[Band]
) -> ReportData:
    """Everything the report shows of a finished exploration, and what was learned about its losses, if anything."""
    designs = [*result.designs, *result.uniform]
    nondominated = result.nondominated
    rows: list[dict[str, Any]] = [
        design_row(prepared, design, nondominated=design.name in nondominated) for design in designs
    ]
    blank: dict[str, Any] = {column: "" if column == "array" else math.nan for column in (rows[0] if rows else ())}
    rows.append(blank | _float_row(result))
    resources = _device_frame(device)
    absent = [name for name in RESOURCES if name not in set(resources["resource"])]
    layers = pd.DataFrame([row for design in designs for row in layer_rows(prepared, design)])
    return ReportData(
        designs=pd.DataFrame(rows).drop(columns=absent),
        layers=layers.drop(columns=absent),
        device=resources,
        title=f"{prepared.network.name} on {device.name}",
        facts=facts(prepared, device, result),
        notes=notes(result, device),
        trust=trust_data(refined, bands),
    )


def design_row(prepared: Prepared, design: Design, *, nondominated: bool) -> dict[str, Any]:
    """One row of front.csv."""
    return {
        "design": design.name,
        "kind": design.kind.value,
        "name": design.summary,
        "nondominated": nondominated,
        "predicted_loss": design.predicted_loss,
        "measured_loss": math.nan if design.validation is None else design.validation.divergence,
        "validation_accuracy": _accuracy(design.validation),
        "test_accuracy": _accuracy(design.test),
        "utilisation": design.utilisation,
        **_counts(design.total),
        "interval_cycles": design.interval_cycles,
        "latency_cycles": design.latency_cycles,
        **_energies(design.total),
        "relative_delay": design.total.relative_delay,
        "frames_per_second": prepared.config.device.clock_mhz * 1e6 / design.interval_cycles,
        "status": design.proof.status,
        "predicted_accuracy_change": design.predicted_accuracy_change,
        "bound": _bound_in_unit(design),
        "luts_error_band": design.total.error_band,
        "out_of_range": "; ".join(design.total.out_of_range),
        "arithmetic": design.arithmetic_in_words,
        "assignment": design.formats.text,
    } | _architecture_cells(prepared, design)


def _counts(cost: Cost) -> dict[str, float]:
    """Resources by the columns of the report, whether or not the device has them."""
    return {name: float(getattr(cost, name)) if name == "brams" else getattr(cost, name) for name in RESOURCES}


def _energies(cost: Cost) -> dict[str, float]:
    return {"energy_pj": cost.energy_pj, "memory_pj": cost.memory_pj, "offchip_pj": cost.offchip_pj}


def _architecture_cells(prepared: Prepared, design: Design) -> dict[str, Any]:
    """Further cells of studies that share an array or say where weights lie."""
    section = prepared.config.architecture
    cells: dict[str, Any] = {}
    if section.kind == "shared-engine":
        cells["array"] = str(design.array or "")
    if section.weight_memories != ("auto",):
        cells |= {"urams": design.total.urams, "offchip_bits": design.total.offchip_bits}
    return cells


def _bound_in_unit(design: Design) -> float:
    """The solver's bound in the unit of what it minimised: a fraction of the device, nats, or cycles."""
    proof = design.proof
    if proof.minimised == "loss":  # items add as powers of 1/2 at least: the square of the share bounds the loss
        share = proof.bound / proof.objective if proof.objective else 1.0
        return design.predicted_loss * share * abs(share)
    return proof.bound * (1e-6 if proof.minimised == "utilisation" else 1.0)


def _float_row(result: FrontResult) -> dict[str, Any]:
    return {
        "design": "float",
        "kind": "float",
        "name": "the float network",
        "nondominated": False,
        "predicted_loss": 0.0,
        "measured_loss": 0.0,
        "validation_accuracy": result.float_validation_accuracy,
        "test_accuracy": result.float_test_accuracy,
        **dict.fromkeys(
            ("utilisation", *RESOURCES, "interval_cycles", "latency_cycles", *_energies(Cost()), "relative_delay"),
            math.nan,
        ),
        "frames_per_second": math.nan,
        "status": "",
        "predicted_accuracy_change": 0.0,
        "bound": math.nan,
        "luts_error_band": math.nan,
        "out_of_range": "",
        "arithmetic": "",
        "assignment": "",
    }


def _accuracy(losses: Losses | None) -> float:
    return math.nan if losses is None else losses.accuracy


def layer_rows(prepared: Prepared, design: Design) -> list[dict[str, Any]]:
    """One row per layer that costs or decides anything, in the order of the network."""
    parts: dict[str, list[Part]] = {}
    for part in design.parts:
        parts.setdefault(part.layer, []).append(part)
    network = prepared.network
    named_memories = prepared.config.architecture.weight_memories != ("auto",)
    rows: list[dict[str, Any]] = []
    for position, layer in enumerate(network.layers):
        own = parts.get(layer.name)
        if own is None:
            continue
        folding = next((part.folding for part in own if part.folding is not None), None)
        lanes = max(part.lanes for part in own)
        cost = total(part.cost for part in own)
        inputs = [str(design.edges[edge]) for edge in network.input_edges(layer)]
        memory = {"weight_memory": folding.weight_memory.value if folding else ""} if named_memories else {}
        rows.append(
            memory
            | {
                "design": design.name,
                "layer": layer.name,
                "position": position,
                "kind": layer.kind,
                "input_format": " + ".join(inputs),
                "weight_format": str(design.weights[layer.name]) if layer.name in design.weights else "",
                "output_format": str(design.edges[network.edge_of(layer.name)]),
                "arithmetic": arithmetic_in_words(design.engines.get(layer.name, Arithmetic())),
                "pe": folding.pe if folding else lanes,
                "simd": folding.simd if folding else (1 if lanes else 0),
                "style": folding.multipliers.value if folding else "",
                **_counts(cost),
                "interval_cycles": cost.interval_cycles,
                **_energies(cost),
                "loss": sum(part.loss for part in own),
            }
        )
    return [*rows, *_array_rows(prepared, design)]


def _array_rows(prepared: Prepared, design: Design) -> list[dict[str, Any]]:
    """The array of a shared engine in the place of a layer behind the last: its resources, and the cycles of all."""
    if design.array is None:
        return []
    cost = total(part.cost for part in design.parts if part.layer == ARRAY)
    return [
        {
            "design": design.name,
            "layer": ARRAY,
            "position": len(prepared.network.layers),
            "kind": "array",
            "input_format": "",
            "weight_format": "",
            "output_format": "",
            "arithmetic": "",
            "pe": design.array.pe,
            "simd": design.array.simd,
            "style": design.array.multipliers.value,
            **_counts(cost),
            "interval_cycles": cost.interval_cycles,
            **_energies(cost),
            "loss": 0.0,
        }
    ]


def _device_frame(device: Device) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name in RESOURCES:
        counted, share = ("bram18s", 2) if name == "brams" else (name, 1)
        if counted in device.resources:
            available, usable = device.available(counted) / share, device.usable(counted) / share
            rows.append({"resource": name, "available": available, "usable": usable})
    return pd.DataFrame(rows)


def facts(prepared: Prepared, device: Device, result: FrontResult) -> Mapping[str, str]:
    """Provenance and headline figures, as texts."""
    config = prepared.config
    saving = result.savings[0] if result.savings else None
    kept = sum(one.name in result.nondominated for one in result.designs)
    found = {
        "workload": f"{prepared.workload.name}: {prepared.workload.workload.description}",
        "device": f"{device.name} at {config.device.clock_mhz:g} MHz, at least {config.device.min_fps:g} frames/s",
        "costs": CALIBRATED if is_calibrated(result) else OUR_RTL,
        "energy": energy_words(config.energy.process),
        "delay": DELAY_WORDS,
        "complete": "yes" if result.complete else f"no: {result.why_incomplete}",
        "solver calls": f"{result.solves} in {result.solve_seconds:.1f} s, HiGHS through Pyomo, tolerance 1e-9",
        "samples": f"{len(prepared.calibration)} calibration ({len(prepared.sensitivity)} for sensitivity), "
        f"{len(prepared.validation)} validation, {len(prepared.test)} test",
        "Spearman, predicted and measured loss": f"{result.rank_correlation:.3f} over {len(result.designs)} designs",
        "nondominated by measurement": f"{kept} of {len(result.designs)}",
    }
    if saving is not None:
        found["best mixed against cheapest uniform"] = saving.describe()
    found["commit"] = _commit()
    found |= {f"{name} version": _version(name) for name in _VERSIONS}
    found["python"] = platform.python_version()
    found["seed"] = f"{config.accuracy.seed}, of the designs and resamples drawn; all other steps are deterministic"
    return found


def _commit() -> str:
    """The commit of the checkout bitfront runs from, and whether files differ from it."""
    git = shutil.which("git")
    home = Path(__file__).resolve().parent.parent
    if git is None or not (home / ".git").exists():
        return "not run from a checkout"

    def ask(*words: str) -> str:
        done = subprocess.run([git, "-C", str(home), *words], capture_output=True, text=True, check=False)  # noqa: S603 - words of ours
        return done.stdout.strip()

    changed = " with local changes" if ask("status", "--porcelain", "--untracked-files=no") else ""
    return (ask("rev-parse", "--short=12", "HEAD") or "unknown") + changed


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def is_calibrated(result: FrontResult) -> bool:
    """Whether a user's own reports have corrected the costs of a front."""
    return any(CALIBRATED in design.total.sources for design in result.designs)


def _whose_flow(result: FrontResult) -> str:
    if is_calibrated(result):
        return f", {CALIBRATED}: multiplied by factors fitted on rows you imported"
    return "; vendor flows and HLS differ until their reports are imported (bitfront characterise --import)"


def _cycles_in_words(result: FrontResult) -> str:
    if any(design.array for design in result.designs):
        return (
            "Modelled: cycles, by formula from the size of the array: layers take turns on it, so theirs add up to the "
            "interval. Its parts are shown in the place of one more layer, its energy with the layers it works for; "
            "clock frequency is a setting."
        )
    return "Modelled: interval and latency cycles, by formula from the folding; clock frequency is a setting."


def _resources_in_words(device: Device) -> str:
    if device.asic is not None:
        return (
            f"Modelled: gates, in two-input NAND gates of {float(device.asic.gate_um2):g} square micrometres "
            f"({device.asic.node_nm} nm), from the LUTs of synthesised units of bitfront's own RTL by what they took "
            "in open standard cells, memories by the bit; no layout"
        )
    return (
        "Modelled: LUTs, flip-flops, DSPs and block RAM, composed from synthesised units of bitfront's own RTL "
        "(UltraScale+ LUTs)"
    )


def notes(result: FrontResult, device: Device) -> tuple[str, ...]:
    """What is measured and what is modelled, in sentences."""
    shown = result.designs[0] if result.designs else None
    band = f" One standard deviation of the LUTs is about {shown.total.error_band:.0%}." if shown else ""
    return (
        (
            "Measured: losses and accuracies, by executing every design whole in hardware mode, bit for bit, on "
            "validation images; the test column was opened once, for the designs shown."
        ),
        f"{_resources_in_words(device)}{_whose_flow(result)}.{band}",
        _cycles_in_words(result),
        f"Modelled: energy per sample, {energy_words(device.energy_anchor)}.",
        f"Modelled: delay, {DELAY_WORDS}.",
        (
            "Predicted loss: the sum of per-tensor and per-layer losses on calibration images, corrected by whole "
            "designs measured on validation images if there were any rounds."
        ),
    )
