"""Why caps cannot be met and what would help, or what the cheapest design takes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse.errors import StudyError
from dse.solve import explain, solve_single
from dse.solve.evaluate import evaluate
from dse.solve.problem import Cap
from dse.solve.result import Point
from hwmodels.device_parts import GATES, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dse.solve.problem import Problem
    from dse.solve.result import Infeasibility


LOSS = "loss"
"""The cap that is not the device's; its limits are in steps that only `nats` makes sense of."""


def infeasible_in_words(why: Infeasibility, nats: Callable[[int], float]) -> str:
    """Why no design meets the caps, with every loss that is named in nats as well (`DecisionTables.nats`)."""
    words = str(why)
    steps = {step for one in why.shortages if one.resource == LOSS for step in (one.limit, one.least)}
    steps |= {one.needed for one in why.levers if one.resource == LOSS}
    if repr(LOSS) not in words:
        return words
    meaning = ", ".join(f"{step} is {nats(step):.3g}" for step in sorted(steps))
    return f"{words} Of {LOSS!r}, which [front] worst_loss bounds, in nats: {meaning}."


def explain_caps(
    problem: Problem,
    limits: Mapping[str, int],
    *,
    describe: Callable[[Point], str],
    nats: Callable[[int], float],
    time_limit_seconds: float,
) -> str:
    """A sentence or more on whether a problem's caps can be met.

    Args:
        problem: what is decided.
        limits: replace the limits of the caps they name.
        describe: the formats and arithmetics of a point in words.
        nats: what steps of loss are.
        time_limit_seconds: for finding the cheapest design, and again for the explanation if there is none.

    Raises:
        StudyError: for a limit of a resource that the problem has no cap of.
    """
    known = [cap.resource for cap in problem.caps if cap.resource in {*RESOURCES, GATES}]
    for name in limits:
        if name not in known:
            option = f"--{name.replace('_', '-')}"
            raise StudyError(f"{option} {limits[name]} limits nothing: the device of this study has {', '.join(known)}")
    caps = tuple(Cap(resource=cap.resource, limit=limits.get(cap.resource, cap.limit)) for cap in problem.caps)
    limited = problem.replace(caps=caps)
    cheapest = solve_single(limited, objective="utilisation", time_limit_seconds=time_limit_seconds)
    if not isinstance(cheapest, Point):
        return infeasible_in_words(explain(limited, time_limit_seconds=time_limit_seconds), nats)
    totals = evaluate(limited, cheapest.selection).totals
    needs = ", ".join(f"{cap.resource} {totals[cap.resource]} of {cap.limit}" for cap in caps if cap.resource != LOSS)
    needs += "".join(
        f", loss {nats(totals[LOSS]):.3g} of {nats(cap.limit):.3g} nats" for cap in caps if cap.resource == LOSS
    )
    return f"The caps can be met: the cheapest design ({describe(cheapest)}) takes {needs}."
