"""Hardware that several layers use, as marks of their choices: distinct items, and widths that follow the widest."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dse.decision_tables import SharedPart
from hwmodels.costs import Cost
from hwmodels.shared_engine import grown

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence


class Items:
    """Items that are there once each, however many layers use them."""

    def __init__(self, mark: str, items: Mapping[Hashable, tuple[str, Cost]]) -> None:
        """Items by what they are known by, each with its role as a part of a design and its cost."""
        self.mark = mark
        self._place = {key: place for place, key in enumerate(items)}
        self.parts = (
            SharedPart(
                mark=mark,
                roles=tuple(role for role, _ in items.values()),
                costs=tuple(cost for _, cost in items.values()),
            ),
        )

    def marks(self, key: Hashable) -> dict[str, int]:
        """The marks of a choice that uses an item."""
        return {self.mark: self._place[key]}


class Steps:
    """Something as wide as the widest choice needs, in several variants (arrays, word lengths) of which one is built.

    A mark per step: a choice of some width has the marks of all steps up to it, and each step costs what it takes
    beyond the one before. So the steps that any choice has together cost what the widest needs.
    """

    def __init__(self, mark: str, role: str, widths: Sequence[Sequence[int]], cost: Callable[[int, int], Cost]) -> None:
        """Steps of each variant.

        Args:
            mark: common beginning of the marks.
            role: as a part of a design.
            widths: by variant, those that choices may have, ascending.
            cost: of a variant (by position) at a width; made to grow with the width (`hwmodels.shared_engine.grown`).
        """
        self.mark, self._widths = mark, [list(one) for one in widths]
        costs = [grown([cost(variant, width) for width in own]) for variant, own in enumerate(self._widths)]
        self.parts = tuple(
            SharedPart(
                mark=f"{mark} {step}",
                roles=(role,) * len(costs),
                costs=tuple(_step(own, step) for own in costs),
            )
            for step in range(max(map(len, costs), default=0))
        )

    def marks(self, variant: int, width: int) -> dict[str, int]:
        """The marks of a choice that needs a width in a variant."""
        return {f"{self.mark} {step}": variant for step in range(self._widths[variant].index(width) + 1)}


def _step(costs: Sequence[Cost], step: int) -> Cost:
    """What one width takes beyond the one before; nothing where a variant has no more widths."""
    if step >= len(costs):
        return Cost()
    cost = costs[step]
    if not step:
        return cost
    before = costs[step - 1]
    return dataclasses.replace(
        cost,
        luts=cost.luts - before.luts,
        flip_flops=cost.flip_flops - before.flip_flops,
        dsps=cost.dsps - before.dsps,
        bram18s=cost.bram18s - before.bram18s,
        urams=cost.urams - before.urams,
        gates=cost.gates - before.gates,
    )
