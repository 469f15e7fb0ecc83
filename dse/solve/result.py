"""What the optimiser returns: points with certificates, fronts that say what they proved, and proven refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.solve.evaluate import Selection
    from dse.solve.problem import Problem
    from dse.solve.subset import Choice
    from dse.solve.verify import Verification


class SolverVersionError(RuntimeError):
    """The installed solver is known to return wrong optima."""


class PrecisionError(RuntimeError):
    """The solver kept returning selections that break a limit when recomputed in integers."""


class GapKind(Enum):
    """What the gap of a front says; a front with gap 0 of any kind misses nothing of that kind.

    NONE: nothing is missing. HYPERVOLUME: no design outside the front adds more than this share to the hypervolume, in
    the box from the least values to the worst among the designs that have them. COVERAGE: every design is matched by
    one of the front that is no worse in the other objectives, and in one worse by at most this share of its range.
    SHORTFALL: the same, in units of that objective. UNKNOWN: nothing is proven about what is missing.
    """

    NONE = "none"
    HYPERVOLUME = "hypervolume"
    COVERAGE = "coverage"
    SHORTFALL = "shortfall"
    UNKNOWN = "unknown"


class Status(Enum):
    """How a solve ended.

    OPTIMAL: proven. INFEASIBLE: proven that there is none. WITHIN_GAP: nothing more than the gap allowed is missing.
    TIME_LIMIT: the clock ran out, or control-C. EFFORT_LIMIT: no more solver calls or labels were allowed, or the
    method asked for goes no further.
    """

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    WITHIN_GAP = "within the gap"
    TIME_LIMIT = "time limit"
    EFFORT_LIMIT = "effort limit"


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
    """No design within the bounds: proven when ``status`` is INFEASIBLE, else not found until a limit was reached."""

    status: Status
    at_most: Mapping[str, int]
    seconds: float
    solves: int

    def __str__(self) -> str:
        bounds = ", ".join(f"{name} <= {bound}" for name, bound in self.at_most.items()) or "the caps alone"
        if self.status is Status.INFEASIBLE:
            return f"no design satisfies the caps and couplings with {bounds}"
        more = "time" if self.status is Status.TIME_LIMIT else "solver calls"
        return f"no design was found within the {self.status.value} for {bounds}; give more {more}"


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
        clash: Resources whose caps (or couplings that) cannot be met together, none of which can be left out; empty if
            not found in time.
        nearest: A design that meets all caps once those on sums have grown by ``relaxation_ppm``.
    """

    shortages: tuple[Shortage, ...]
    relaxation_ppm: int | None
    levers: tuple[Lever, ...]
    couplings_clash: bool
    clash: tuple[str, ...] = ()
    nearest: Selection | None = None

    def __str__(self) -> str:
        if self.couplings_clash:
            which = "they" if not self.clash else f"{', '.join(self.clash[:6])}{' and more' * (len(self.clash) > 6)}"
            return (
                f"No selection satisfies all couplings together, whatever the caps: {which} contradict each other. Add "
                "options with a value that their neighbours offer, or leave out one of these couplings."
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
        if self.relaxation_ppm is not None and len(self.shortages) > 1:
            percent = (self.relaxation_ppm - 1_000_000) / 10_000
            parts.append(f"Growing every cap that adds up by {percent:.2f} % would suffice.")
        if len(self.clash) > 1:
            parts.append(f"The caps that clash are those on {', '.join(map(repr, self.clash))}.")
        if len(self.levers) == 1:
            parts.append(f"It would suffice to {self.levers[0]}.")
        elif self.levers:
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
        gap: What may be missing at most, as ``gap_kind`` says; 0 when complete, None when not bounded.
        gap_kind: What the gap means.
        gap_objective: The objective that a shortfall or a coverage is counted in.
        box_is_proven: The box that a hypervolume refers to is that of the proven optima of each objective; if not, it
            spans the points known, and a better end of the front may lie outside.
        open_regions: Regions of objective space that may hold further points and were not looked into.
        solves: Solver calls made.
        seconds: Wall time.
        problem: What was solved.
        method: How, in words.
        infeasibility: Set when no design meets the caps; the front is then empty and complete.
    """

    points: Sequence[Point]
    objectives: tuple[str, ...]
    complete: bool
    why_incomplete: str
    gap: float | None
    gap_kind: GapKind
    gap_objective: str
    open_regions: int
    solves: int
    seconds: float
    problem: Problem
    method: str
    box_is_proven: bool = True
    seed: int = 0
    infeasibility: Infeasibility | None = None

    @property
    def designs(self) -> tuple[Selection, ...]:
        """Option index per layer, of each point."""
        return tuple(point.selection for point in self.points)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """What is proven about each point."""
        return tuple(point.certificate for point in self.points)

    def vectors(self) -> tuple[tuple[int, ...], ...]:
        """Objective values of each point, in the order of ``objectives``."""
        from dse.solve.point_table import PointTable

        if isinstance(self.points, PointTable):
            return tuple(map(tuple, self.points.table.points.tolist()))
        return tuple(tuple(point.objectives[name] for name in self.objectives) for point in self.points)

    def subset(self, count: int, by: Choice | str = "coverage") -> Front:
        """At most ``count`` of the points for showing, see ``subset.choose``; the gap then counts those left out."""
        from dse.solve.subset import thinned

        return thinned(self, count, by)

    def polished(self, *, time_limit_seconds: float = 60.0) -> Front:
        """The points, each replaced by an efficient design that is no worse in any objective, see `polish.polished`."""
        from dse.solve.polish import polished

        return polished(self, time_limit_seconds=time_limit_seconds)

    def verify(self, sample: int = 20, *, time_limit_seconds: float = 600.0) -> Verification:
        """Solve points again with HiGHS on the declared model, see ``verify.verify``."""
        from dse.solve.verify import verify

        return verify(self, sample, time_limit_seconds=time_limit_seconds)
