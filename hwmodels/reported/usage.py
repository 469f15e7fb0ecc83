"""What a report says of one instance, and a report as a whole."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from enum import Enum


class ReportError(ValueError):
    """A report that cannot be read, or lacks what is looked for; the message says what to do."""


class Stage(Enum):
    """What made the figures of a report."""

    SYNTHESISED = "synthesised"
    """Logic synthesis, placement or routing: counts of a netlist."""
    ESTIMATED = "estimated by HLS"
    """A C++ compiler's own estimate, before any logic synthesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources, by the names of `hwmodels.devices.RESOURCES`."""

    luts: int
    flip_flops: int
    dsps: int
    bram18s: int
    urams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance with all below it.

    Attributes:
        path: from the top, names joined by ``/``.
        module: of which it is an instance.
        usage: of the instance and all its children.
    """

    path: str
    module: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast a build is.

    Attributes:
        slack_ns: worst negative slack (WNS); negative if the clock is not reached.
        period_ns: of the clock asked for; None if several are, or none is named.
    """

    slack_ns: float
    period_ns: float | None

    @property
    def reached_mhz(self) -> float | None:
        """The clock the build would reach.

        >>> Timing(slack_ns=1.0, period_ns=5.0).reached_mhz
        250.0
        """
        return None if self.period_ns is None else 1000.0 / (self.period_ns - self.slack_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One utilisation report.

    Attributes:
        source: name of its file.
        tool: and version, as the report names them.
        part: as the report names it; empty if it does not.
        stage: what made the figures.
        instances: the top first.
        timing: if the report tells it.
    """

    source: str
    tool: str
    part: str
    stage: Stage
    instances: tuple[Instance, ...]
    timing: Timing | None = None

    @property
    def design(self) -> str:
        """Name of the top."""
        return self.instances[0].path

    def find(self, name: str) -> Instance:
        """The instance of a path, of the end of a path, or of a module that one instance has.

        Raises:
            ReportError: if there is none, or there are several that differ.
        """
        for fits in (
            [one for one in self.instances if one.path == name],
            [one for one in self.instances if one.path.endswith(f"/{name}")],
            [one for one in self.instances if one.module == name],
        ):
            if len({one.usage for one in fits}) > 1:
                raise ReportError(
                    f"report {self.source}: {name!r} names {len(fits)} instances: give more of the path, such as "
                    f"{fits[0].path} or {fits[1].path}"
                )
            if fits:
                return fits[0]
        paths = [one.path for one in self.instances]
        ends = {path.rsplit("/", maxsplit=1)[-1]: path for path in paths}
        close = [ends[end] for end in difflib.get_close_matches(name.rsplit("/", maxsplit=1)[-1], ends, n=3)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(paths[:8])}"
        raise ReportError(f"report {self.source} has no instance {name!r}: {hint}")

    def with_timing(self, timing: Timing) -> Report:
        """The report with the timing of another file."""
        return replace(self, timing=timing)
