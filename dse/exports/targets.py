"""Targets: what an export is translated into, each from the base folder alone."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse.errors import NotExportableError, StudyError
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.manifest import Manifest
from dse.exports.verification import Outcome, Status, Verdict, run_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dse.exports.verification import Check

TARGETS: Final[Mapping[str, str]] = {
    "hls": "dse.exports.hls:TARGET",
    "hls4ml": "dse.exports.hls4ml_project:TARGET",
    "qonnx": "dse.exports.qonnx_model:TARGET",
    "finn": "dse.exports.finn_build:TARGET",
    "rtl": "dse.exports.rtl:TARGET",
}
"""Where the built-in targets are; loaded when first needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something an export can be translated into.

    Attributes:
        name: also the name of its folder within the export.
        description: what it is and which tool builds it, a few words for the export's README.
        how_to_run: commands a user types in the target's folder, one per line.
        write: takes the manifest and the target's own empty folder, and writes files there. It reads nothing but the
            manifest and the files it names, and raises `dse.errors.NotExportableError` with layer, reason and remedy
            for a design the target cannot express.
        checks: what `bitfront verify` runs on the target's folder.
    """

    name: str
    description: str
    how_to_run: str
    write: Callable[[Manifest, Path], None]
    checks: tuple[Check, ...]


def load_target(name: str) -> Target:
    """A built-in target by name, or a user's own as ``package.module:name``.

    Raises:
        StudyError: if there is no such target.
    """
    place = TARGETS.get(name, name)
    module, separator, attribute = place.partition(":")
    if not separator:
        raise StudyError(
            f"there is no export target {name!r}: the built-in ones are {', '.join(TARGETS)}; your own is named "
            "package.module:name"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StudyError(
            f"export target {name!r} cannot be loaded ({error}): {module} must be importable and have {attribute}"
        ) from error
    if not isinstance(found, Target):
        raise StudyError(
            f"export target {name!r} is of type {type(found).__name__}: it must be a Target of dse.exports.targets"
        )
    return found


def verify_folder(folder: Path, names: Sequence[str] = ()) -> list[Verdict]:
    """Run every check of an export; what this machine or this folder does not allow is among the verdicts, too.

    Args:
        folder: the export.
        names: targets of the user's own, beside the built-in ones that the folder holds.

    Raises:
        StudyError: if the folder is no export or not intact, or a target is unknown.
    """
    manifest = Manifest.read(folder)
    found = run_checks("base", BASE_CHECKS, manifest, folder)
    for name in dict.fromkeys((*TARGETS, *names)):
        if name in TARGETS and not (folder / name).is_dir():
            found.append(_absent(name, f"this export has no folder {name}: `bitfront export --to {name}` writes it"))
            continue
        target = load_target(name)
        if (folder / target.name).is_dir():
            found += run_checks(target.name, target.checks, manifest, folder / target.name)
        else:
            found.append(_absent(target.name, f"this export has no folder {target.name}"))
    return found


def _absent(target: str, why: str) -> Verdict:
    return Verdict(target=target, check="all", outcome=Outcome(status=Status.NOT_VERIFIED, text=why))


def write_targets(folder: Path, targets: Sequence[Target]) -> None:
    """Translate a base folder into targets, each into a sub-folder of its name.

    Raises:
        NotExportableError: naming every target that cannot express the design, with its reason.
        StudyError: if the base folder is not intact.
    """
    manifest = Manifest.read(folder)
    refusals = []
    for target in targets:
        own = folder / target.name
        own.mkdir()
        try:
            target.write(manifest, own)
        except NotExportableError as error:
            refusals.append(f"{target.name} cannot express this design: {error}")
    if refusals:
        raise NotExportableError(
            f"{'; '.join(refusals)}. Nothing was written; leave these targets out of --to, or choose another design"
        )
