"""What checks of an export say, and running all that this machine allows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from dse.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dse.exports.manifest import Manifest

SHOWN_DIFFERENCES = 5
"""Differences listed one by one; the others are counted."""


class Extent(Enum):
    """How much checks compute that would take minutes for everything."""

    SOME = "some"
    """As much as some ten seconds allow; the check says how much that is."""
    ALL = "all"


class Status(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"
    NOT_EXPORTED = "not exported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a number is another one than expected.

    Attributes:
        layer: the layer's safe name.
        vector: which vector, counted from 0, with the set it belongs to: ``golden 3``, ``limits all-minimum``.
        element: the place in the layer's output stream.
        expected: what hardware mode computed.
        got: what was computed here.
    """

    layer: str
    vector: str
    element: int
    expected: int | str
    got: int | str

    def __str__(self) -> str:
        """One line.

        >>> str(Difference(layer="stem", vector="golden 3", element=17, expected=5, got=6))
        'layer stem, golden 3, element 17: expected 5, got 6'
        """
        return f"layer {self.layer}, {self.vector}, element {self.element}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check found.

    Attributes:
        status: how it ended.
        text: one sentence with counts: what was compared with what; for `Status.NOT_VERIFIED` why not, and which
            package would allow it; for `Status.NOT_EXPORTED` how to write what is to be checked.
        where: the first differences, at most `SHOWN_DIFFERENCES` are shown.
    """

    status: Status
    text: str
    where: tuple[Difference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        where = [
            {
                "layer": one.layer,
                "vector": one.vector,
                "element": one.element,
                "expected": one.expected,
                "got": one.got,
            }
            for one in self.where[:SHOWN_DIFFERENCES]
        ]
        return {"status": self.status.value, "text": self.text, "where": where}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that can be verified about an export.

    Attributes:
        name: a few words, unique within a target.
        run: takes the manifest and the target's folder (of checks of the base folder: the export's), changes neither,
            and says what it found. A tool that is missing is an outcome, not an exception.
        run_all: the same for `Extent.ALL`, where ``run`` leaves something out to save time.
    """

    name: str
    run: Callable[[Manifest, Path], Outcome]
    run_all: Callable[[Manifest, Path], Outcome] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A check of a target in a folder (``base`` for the base folder)."""

    target: str
    folder: Path
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one check of one target, and the wall time it took."""

    target: str
    check: str
    outcome: Outcome
    seconds: float


def run_checks(manifest: Manifest, planned: Sequence[Planned], extent: Extent = Extent.SOME) -> list[Verdict]:
    """Run checks in order, with a bar that names the one at work; one that fails does not stop the others."""
    verdicts = []
    with progress_bar() as progress:
        bar = progress.add_task("", total=len(planned))
        for one in planned:
            progress.update(bar, description=f"checking {one.target}: {one.check.name}")
            started = time.perf_counter()
            run = (one.check.run_all if extent is Extent.ALL else None) or one.check.run
            outcome = run(manifest, one.folder)
            seconds = time.perf_counter() - started
            verdicts.append(Verdict(target=one.target, check=one.check.name, outcome=outcome, seconds=seconds))
            progress.advance(bar)
    return verdicts


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing failed. What could not be verified is no failure, but is always listed."""
    return all(one.outcome.status is not Status.FAILED for one in verdicts)


def never_verified(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The targets of which no check could run at all, each with why."""
    why: dict[str, dict[str, None]] = {}
    for one in verdicts:
        if one.outcome.status is Status.NOT_VERIFIED:
            why.setdefault(one.target, {})[one.outcome.text] = None
    able = {one.target for one in verdicts if one.outcome.status is not Status.NOT_VERIFIED}
    return {target: "; ".join(texts) for target, texts in why.items() if target not in able}
