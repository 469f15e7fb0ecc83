"""What checks of an export say, and running all that this machine allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from dse.progress import announced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from dse.exports.manifest import Manifest

SHOWN_DIFFERENCES = 5
"""Differences listed one by one; the others are counted."""


class Status(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"


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
            package would allow it.
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
    """

    name: str
    run: Callable[[Manifest, Path], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of one check of one target (``base`` for the base folder)."""

    target: str
    check: str
    outcome: Outcome


def run_checks(target: str, checks: Iterable[Check], manifest: Manifest, folder: Path) -> list[Verdict]:
    """Run checks in order; one that fails does not stop the others."""
    verdicts = []
    for check in checks:
        with announced(f"checking {target}: {check.name}"):
            verdicts.append(Verdict(target=target, check=check.name, outcome=check.run(manifest, folder)))
    return verdicts


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing failed. What could not be verified is no failure, but is always listed."""
    return all(one.outcome.status is not Status.FAILED for one in verdicts)
