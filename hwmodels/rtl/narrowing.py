"""The shift inside a cast: a number that loses, stage by stage, the bits that cannot reach the code any more.

A number here has its half bit lowest and its sign beside it. What a stage moves below the half bit is or-ed into
``below``, what no later stage can bring down into the code is compared with the sign and or-ed into ``above``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hwmodels.rtl.shifters import stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.shifters import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A Verilog wire and what drives it."""

    name: str
    width: int
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """A stage of a runtime shift to the right by the port ``amount``.

    Attributes:
        index: of the stage; it reads ``number<index>``, ``above<index>`` and ``below<index>`` and makes the next ones.
        stage: of the shifter.
        before: bits of the number in front of it.
        after: bits behind it: what still can reach the code.
    """

    index: int
    stage: Stage
    before: int
    after: int

    @property
    def above_bits(self) -> int:
        """Bits that are compared with the sign after one shift or another."""
        return max(self.before - self.after, 0)

    @property
    def below_bits(self) -> int:
        """Bits that fall below the half bit after one shift or another."""
        return min(self.stage.choices[-1], self.before)

    def wires(self) -> list[Wire]:
        """The wires of the stage, in order.

        >>> [wire.name for wire in narrowings(before=9, field=4, shift_bits=1)[0].wires()]
        ['above0_1', 'above0_0', 'above1', 'below0_1', 'below1', 'number1']
        """
        i, places = self.index, list(self.stage.choices)
        found = []
        # After a larger shift there is less above: each test contains that of the next larger shift.
        so_far, above = f"above{i}", [""] * len(places)
        ends = [min(self.after + place, self.before) for place in places] + [self.before]
        for choice in reversed(range(len(places))):
            if ends[choice + 1] > ends[choice]:
                bits = f"number{i}[{ends[choice + 1] - 1}:{ends[choice]}]"
                test = f"{so_far} | ({bits} != {{{ends[choice + 1] - ends[choice]}{{fill}}}})"
                so_far = f"above{i}_{choice}"
                found.append(Wire(name=so_far, width=1, expression=test))
            above[choice] = so_far
        found.append(Wire(name=f"above{i + 1}", width=1, expression=self._choose(above)))
        below = [f"below{i}"]
        for choice, (last, place) in enumerate(pairwise(places), start=1):
            high = min(place, self.before)
            if high > last:
                test = f"{below[-1]} | (|number{i}[{high - 1}:{last}])"
                found.append(Wire(name=f"below{i}_{choice}", width=1, expression=test))
                below.append(found[-1].name)
            else:
                below.append(below[-1])
        found.append(Wire(name=f"below{i + 1}", width=1, expression=self._choose(below)))
        shifted = [self._shifted(place) for place in places]
        found.append(Wire(name=f"number{i + 1}", width=self.after, expression=self._choose(shifted)))
        return found

    def _shifted(self, places: int) -> str:
        missing = min(max(places + self.after - self.before, 0), self.after)
        if missing == self.after:
            return f"{{{missing}{{sign}}}}"
        bits = f"number{self.index}[{min(places + self.after, self.before) - 1}:{places}]"
        return f"{{{{{missing}{{sign}}}}, {bits}}}" if missing else bits

    def _choose(self, words: Sequence[str]) -> str:
        low = f"amount[{self.stage.low_bit}]"
        if len(words) == 2:
            return f"{low} ? {words[1]} : {words[0]}"
        high = f"amount[{self.stage.low_bit + 1}]"
        return f"{high} ? ({low} ? {words[3]} : {words[2]}) : ({low} ? {words[1]} : {words[0]})"


def narrowings(*, before: int, field: int, shift_bits: int) -> tuple[Narrowing, ...]:
    """The stages of a shift by 0 to ``2**shift_bits - 1`` of which the half bit and ``field`` bits above it are wanted.

    >>> [(found.before, found.after) for found in narrowings(before=40, field=8, shift_bits=4)]
    [(40, 12), (12, 9)]
    """
    found = []
    for index, stage in enumerate(stages(shift_bits)):
        after = min(before, 1 + field + stage.rest)
        found.append(Narrowing(index=index, stage=stage, before=before, after=after))
        before = after
    return tuple(found)
