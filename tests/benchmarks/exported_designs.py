"""Designs of explored studies, exported: what each target makes of them, held against the study's hardware mode."""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dse.config import check_config
from dse.errors import NotExportableError
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.stimuli import spread
from dse.exports.streams import stream_orders
from dse.exports.targets import TARGETS, load_target, write_targets
from dse.exports.verification import Planned, Status, run_checks
from dse.study import open_or_create
from emulation.execution import BATCH, execute, execute_codes
from emulation.reference import execute_reference
from reports.files import replaced_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.designs import Design
    from dse.study import Study

REFERENCE_SAMPLES = 2
"""Validation samples that are executed in plain Python integers, too."""


class Case(NamedTuple):
    """A study to export designs of.

    ``shown`` designs are exported, spread over those that `bitfront front` lists, by rising utilisation; of them so
    many, spread again, are run through the checks of each target that can express them.
    """

    name: str
    workload: str
    scales: str
    shown: int
    checked: dict[str, int]


class Spent:
    """Seconds of this process and of those it waited for."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self.wall = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Times what happens inside."""
    spent, wall, cpu = Spent(), time.perf_counter(), _cpu()
    yield spent
    spent.wall, spent.cpu = time.perf_counter() - wall, _cpu() - cpu


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(kw_only=True)
class Kept:
    """Results of finished measurements in a file: a run that was stopped goes on where it was."""

    path: Path
    found: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Kept:
        """What a run before has finished."""
        return cls(path=path, found=json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})

    def put(self, key: str, result: Any) -> Any:
        """Keep a result, and give it back."""
        self.found[key] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_atomically(self.path) as stream:
            stream.write(json.dumps(self.found, indent=1).encode())
        return result


def explored(case: Case, folder: Path) -> Study:
    """The study of a case, explored as `bitfront explore` does; what is in the folder already is not done again."""
    settings = {"network": {"workload": case.workload}, "formats": {"scale_kind": case.scales}}
    study = open_or_create(folder, check_config(settings, source="the benchmark"))
    study.sweep()
    study.refine()
    study.front()
    study.measure()
    return study


def listed(study: Study) -> list[Design]:
    """The designs that `bitfront front` lists, or takes those it lists from: no other measured one beats them."""
    result = study.measure().result
    found = [one for one in result.designs if one.name in result.nondominated]
    return sorted(found, key=lambda one: one.utilisation)


def shown(study: Study, most: int) -> list[Design]:
    """At most so many of them, spread evenly."""
    found = listed(study)
    return [found[place] for place in spread(len(found), most)]


def measured(case: Case, folder: Path, most: int | None, say: Any) -> dict[str, Any]:
    """Every shown design of a case: exported, checked and timed.

    Args:
        case: the study.
        folder: of the study; results are kept beside it.
        most: designs at most, where fewer than the case shows will do.
        say: takes a line for each design.
    """
    with explored(case, folder / "study") as study:
        kept = Kept.read(folder / "designs.json")
        chosen, front = shown(study, min(case.shown, most or case.shown)), study.measure().result
        if kept.found.get("front") != front.key:  # of another front: measured anew
            kept.found = {"front": front.key}
        wanted = {
            name: {chosen[place].name for place in spread(len(chosen), min(count, most or count))}
            for name, count in case.checked.items()
        }
        for design in chosen:
            checked = [name for name in TARGETS if design.name in wanted.get(name, ())]
            if design.name not in kept.found or set(checked) - set(kept.found[design.name]["checked"]):
                kept.put(design.name, exported(study, design, checked))
            say(f"{case.name} {design.name}: {words(kept.found[design.name])}")
        best = study.chosen()
        return {
            "listed": len(listed(study)),
            "designs": {one.name: kept.found[one.name] for one in chosen},
            "chosen": [best.name, best.utilisation, best.validation.accuracy if best.validation else 0.0],
        }


def exported(study: Study, design: Design, checked: list[str]) -> dict[str, Any]:
    """Export one design, write every target that can express it, and run the checks of some."""
    scratch = Path(tempfile.mkdtemp(prefix="exports-"))
    try:
        folder = scratch / "design"
        with timed() as spent:
            export_design(study.prepared, study.device, design, folder, targets=["hls"])
        manifest = Manifest.read(folder)
        refused = {}
        for name in TARGETS:
            try:
                if name != "hls":
                    write_targets(folder, [load_target(name)])
            except NotExportableError as error:
                refused[name] = str(error)
                shutil.rmtree(folder / name)
        planned = [Planned(target="base", folder=folder, check=check) for check in BASE_CHECKS]
        for name in checked:
            if name not in refused:
                planned += [
                    Planned(target=name, folder=folder / name, check=one) for one in load_target(name).checks[:1]
                ]
        checks = {}
        for one in planned:
            with timed() as taken:
                (verdict,) = run_checks(manifest, [one])
            outcome = verdict.outcome
            checks[f"{one.target} {one.check.name}"] = {
                "passed": outcome.status is Status.PASSED,
                "verified": outcome.status is not Status.NOT_VERIFIED,
                "text": outcome.text,
                "cpu": taken.cpu,
                "wall": taken.wall,
            }
        return {
            "formats": design.summary,
            "export": [spent.cpu, spent.wall],
            "vectors": manifest.entries["vectors"]["count"],
            "recomputed": recomputed(study, design, manifest),
            "refused": refused,
            "checked": checked,
            "checks": checks,
        }
    finally:
        shutil.rmtree(scratch)


def recomputed(study: Study, design: Design, manifest: Manifest) -> dict[str, int]:
    """Outputs that the study's own hardware mode computes anew, against those in the folder.

    All vectors run from the integers in the folder; the validation samples among them from the images, as they did when
    the design was measured; a few of these in plain Python integers.
    """
    prepared, vectors = study.prepared, manifest.entries["vectors"]
    hardware = prepared.calibrated.lower(design.formats)
    network = prepared.network
    orders = stream_orders(network)
    promised = manifest.rows(vectors["output"])
    given = manifest.rows(vectors["input"])
    codes = np.empty_like(given)
    codes[:, orders[network.layers[0].name]] = given
    codes = codes.reshape(len(given), *network.layers[0].shape)
    parts = [execute_codes(hardware, codes[start : start + BATCH]) for start in range(0, len(codes), BATCH)]
    leaving = orders[network.output]
    found = np.concatenate([part.reshape(len(part), -1)[:, leaving] for part in parts])
    samples = prepared.validation.inputs[: vectors["validation"]]
    images = execute(hardware, samples).reshape(len(samples), -1)[:, leaving]
    plain = [execute_reference(hardware, one.reshape(-1).tolist()) for one in samples[:REFERENCE_SAMPLES]]
    differences = int((found != promised).sum()) + int((images != promised[: len(samples)]).sum())
    differences += int((np.array(plain)[:, leaving] != promised[: len(plain)]).sum())
    return {"values": found.size + images.size + np.array(plain).size, "differences": differences}


def words(result: dict[str, Any]) -> str:
    """A line for the terminal."""
    failed = [name for name, one in result["checks"].items() if one["verified"] and not one["passed"]]
    return (
        f"export {result['export'][0]:.1f} s, {result['recomputed']['differences']} of "
        f"{result['recomputed']['values']} outputs differ, {len(result['checks'])} checks, failed: "
        f"{', '.join(failed) or 'none'}"
    )
