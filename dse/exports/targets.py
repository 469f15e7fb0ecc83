"""Targets: what an export is translated into, each from the base folder alone."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse.errors import NotExportableError, StudyError
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.manifest import Manifest
from dse.exports.verification import Check, Extent, Outcome, Planned, Status, run_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dse.exports.verification import Verdict

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


def verify_folder(folder: Path, names: Sequence[str] = (), extent: Extent = Extent.SOME) -> list[Verdict]:
    """Run every check of an export; what this machine or this folder does not allow is among the verdicts, too.

    Args:
        folder: the export.
        names: targets of the user's own, beside the built-in ones that the folder holds.
        extent: whether checks that would take minutes compute everything.

    Raises:
        StudyError: if the folder is no export or not intact, or a target is unknown.
    """
    manifest = Manifest.read(folder)
    planned = [Planned(target="base", folder=folder, check=check) for check in BASE_CHECKS]
    for name in dict.fromkeys((*TARGETS, *names)):
        planned += _planned(folder, name)
    return run_checks(manifest, planned, extent)


def _planned(folder: Path, name: str) -> Iterator[Planned]:
    """The checks of a target; of one that the folder does not hold, a single one that says so."""
    if name in TARGETS and not (folder / name).is_dir():
        why = f"this export has no folder {name}: `bitfront export --to {name}` writes it"
        yield Planned(target=name, folder=folder, check=_absent(why))
        return
    target = load_target(name)
    own = folder / target.name
    checks = target.checks if own.is_dir() else (_absent(f"this export has no folder {target.name}"),)
    for check in checks:
        yield Planned(target=target.name, folder=own, check=check)


def _absent(why: str) -> Check:
    return Check(name="all", run=lambda *_: Outcome(status=Status.NOT_EXPORTED, text=why))


def write_targets(folder: Path, targets: Sequence[Target]) -> None:
    """Translate a base folder into targets, each into a sub-folder of its name.

    Raises:
        NotExportableError: naming every target that cannot express the design, with its reason.
        StudyError: if the base folder is not intact.
    """
    manifest = Manifest.read(folder)
    refusals: dict[str, list[str]] = {}
    for target in targets:
        own = folder / target.name
        own.mkdir()
        try:
            target.write(manifest, own)
        except NotExportableError as error:
            refusals.setdefault(str(error), []).append(target.name)
    if refusals:
        told = [f"{' and '.join(names)} cannot express this design: {why}" for why, names in refusals.items()]
        raise NotExportableError(
            f"{'; '.join(told)}. Nothing was written; leave these targets out of --to, or choose another design"
        )
