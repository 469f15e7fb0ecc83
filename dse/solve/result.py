"""What the optimiser returns: points with certificates, fronts that say what they proved, and proven refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.evaluate import Selection


class SolverVersionError(RuntimeError):
    """The installed solver is known to return wrong optima."""


class PrecisionError(RuntimeError):
    """The solver kept returning selections that break a limit when recomputed in integers."""


class Status(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is proven about one point.

    Attributes:
        method: How it was found: ``milp`` (Pyomo model, HiGHS).
        status: OPTIMAL when the solver closed the gap of every stage.
        minimised: The objective that was minimised first.
        then: Those minimised next, in order.
        at_most: Bounds on objectives under which that was done (epsilons and thresholds).
        objective: Value of ``minimised`` at the point, recomputed in Python integers.
        bound: Proven lower bound of ``minimised`` under ``at_most``.
        gap: ``objective - bound``; 0 means proven minimal.
        efficient: Proven: no design is as good in every objective and better in one.
        tolerance: Feasibility tolerance of the solver.
        seconds: Solver time spent on the point.
        solves: Solver calls spent on the point.
        rechecked: Objectives, caps and couplings were recomputed in Python integers.
    """

    method: str
    status: Status
    minimised: str
    then: tuple[str, ...]
    at_most: Mapping[str, int]
    objective: int
    bound: int
    gap: int
    efficient: bool
    tolerance: float
    seconds: float
    solves: int
    rechecked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One design: option index per layer, exact objective values by name, and what is proven about it."""

    selection: Selection
    objectives: Mapping[str, int]
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """No design within the bounds: proven when ``status`` is INFEASIBLE, not found in time when TIME_LIMIT."""

    status: Status
    at_most: Mapping[str, int]
    seconds: float
    solves: int

    def __str__(self) -> str:
        bounds = ", ".join(f"{name} <= {bound}" for name, bound in self.at_most.items()) or "the caps alone"
        if self.status is Status.INFEASIBLE:
            return f"no design satisfies the caps and couplings with {bounds}"
        return f"no design was found within the time limit for {bounds}; give more time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One change that makes the caps satisfiable while everything else stays as it is."""

    resource: str
    limit: int
    needed: int

    def __str__(self) -> str:
        extra = self.needed - self.limit
        share = f" (+{100 * extra / self.limit:.1f} %)" if self.limit > 0 else ""
        return f"raise {self.resource!r} from {self.limit} to {self.needed}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """The least of a resource that any design needs, other caps put aside, against its cap."""

    resource: str
    limit: int
    least: int

    @property
    def missing(self) -> int:
        """How much is missing, in the resource's own unit; 0 when the cap alone could be met."""
        return max(0, self.least - self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasibility:
    """Why no design meets all caps, and what would change that.

    Attributes:
        shortages: One per cap.
        relaxation_ppm: Smallest factor, in parts per million of the present limits, by which all caps on sums
            together must grow; None when that cannot help or was not found in time.
        levers: Single changes, each sufficient on its own.
        couplings_clash: No design satisfies the couplings even without any cap.
    """

    shortages: tuple[Shortage, ...]
    relaxation_ppm: int | None
    levers: tuple[Lever, ...]
    couplings_clash: bool

    def __str__(self) -> str:
        if self.couplings_clash:
            return (
                "No selection satisfies all couplings together, whatever the caps: some layers share no common "
                "attribute value along a path. Add options with a value that their neighbours offer."
            )
        short = [
            f"{s.resource!r} needs at least {s.least} and is capped at {s.limit} ({s.missing} short)"
            for s in self.shortages
            if s.missing
        ]
        parts = [
            "No design meets the caps: " + "; ".join(short) + "."
            if short
            else "No design meets the caps together, although each alone could be met: "
            + ", ".join(f"{s.resource!r} {s.least} of {s.limit}" for s in self.shortages)
            + "."
        ]
        if self.relaxation_ppm is not None:
            percent = (self.relaxation_ppm - 1_000_000) / 10_000
            parts.append(f"Growing every cap that adds up by {percent:.2f} % would suffice.")
        if self.levers:
            parts.append("Any one of these would suffice: " + "; ".join(map(str, self.levers)) + ".")
        elif self.relaxation_ppm is None:
            parts.append("No single cap can be raised to make it feasible: more than one has to grow.")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Nondominated designs and what is proven about the set.

    Attributes:
        points: Sorted by their objective vectors; one design per vector.
        objectives: Names, in the problem's order.
        complete: Proven: every nondominated objective vector is among the points.
        why_incomplete: Empty when complete, else one sentence.
        gap: In units of ``gap_objective``: every design is matched by a point no worse in the other objective and worse
            by at most this in that one; 0 when complete, None when not bounded (three objectives and not complete, or
            an end of the front not solved).
        gap_objective: The objective that was minimised first throughout.
        open_regions: Regions of objective space that may hold further points and were not looked into.
        solves: Solver calls made.
        seconds: Wall time.
        infeasibility: Set when no design meets the caps; the front is then empty and complete.
    """

    points: tuple[Point, ...]
    objectives: tuple[str, ...]
    complete: bool
    why_incomplete: str
    gap: int | None
    gap_objective: str
    open_regions: int
    solves: int
    seconds: float
    infeasibility: Infeasibility | None = None

    def vectors(self) -> tuple[tuple[int, ...], ...]:
        """Objective values of each point, in the order of ``objectives``."""
        return tuple(tuple(point.objectives[name] for name in self.objectives) for point in self.points)
