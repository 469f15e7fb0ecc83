"""Whole designs drawn at random: formats only, from nearly as good as float to useless, as the loss table sees them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from dse.errors import StudyError
from emulation.calibrated import Formats
from emulation.datapaths import Arithmetic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.preparation import Prepared
    from dse.sweep import LossTable
    from emulation.formats import Format
    from emulation.network import Layer

Choice = TypeVar("Choice")

TEMPERATURES = (-6.0, -0.5)
"""Decimal exponents of the temperatures designs are drawn at, nats per tensor: about half of the designs are
useful then, on networks of 7 and of 22 layers alike."""
TRIES = 2000
"""Assignments drawn for one design before giving up: layers may accept few pairs of formats."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignDraw:
    """Draws designs: each tensor's format with weight exp(-loss / temperature), one temperature per design.

    The temperature is drawn log-uniformly, so that designs of every quality appear, good ones among them; formats alone
    drawn evenly would nearly always have one tensor that spoils the network.
    """

    prepared: Prepared
    losses: LossTable
    _datapaths: dict[str, list[tuple[Format, Format, Arithmetic]]] = field(default_factory=dict, repr=False)

    def distinct(self, count: int, *, seed: int, without: Sequence[str] = ()) -> list[Formats]:
        """Up to ``count`` designs, no two with the same formats, and none whose text is in ``without``.

        There are fewer where the menus allow fewer. The same seed gives the same designs.
        """
        draw = random.Random(seed)  # noqa: S311 - not for secrets
        known = set(without)
        found: list[Formats] = []
        for _ in range(20 * count):
            if len(found) == count:
                break
            formats = self.one(draw)
            if formats.text not in known:
                known.add(formats.text)
                found.append(formats)
        return found

    def one(self, draw: random.Random) -> Formats:
        """One design.

        Raises:
            StudyError: if no assignment was found that every layer accepts.
        """
        temperature = 10 ** draw.uniform(*TEMPERATURES)
        network = self.prepared.network
        for _ in range(TRIES):
            edges = {edge: self._edge(edge, temperature, draw) for edge in network.edges}
            weights: dict[str, Format] = {}
            engines: dict[str, Arithmetic] = {}
            for layer in network.multiplying:
                choice = self._engine(layer, edges, temperature, draw)
                if choice is None:
                    break
                second, arithmetic = choice
                if layer.weight is not None:
                    weights[layer.name] = second
                if arithmetic != Arithmetic():
                    engines[layer.name] = arithmetic
            else:
                return Formats(edges=edges, weights=weights, engines=engines)
        raise StudyError(
            f"no whole design was found in {TRIES} draws: layers accept few pairs of the formats in [formats]; set "
            "[accuracy] audit_designs = 0, or offer formats of fewer families"
        )

    def _edge(self, edge: str, temperature: float, draw: random.Random) -> Format:
        menu = self.prepared.edge_menu(edge)
        return _choose(menu, [self.losses.edges[edge, one] for one in menu], temperature, draw)

    def _engine(
        self, layer: Layer, edges: Mapping[str, Format], temperature: float, draw: random.Random
    ) -> tuple[Format, Arithmetic] | None:
        if layer.name not in self._datapaths:
            self._datapaths[layer.name] = list(self.prepared.datapaths(layer))
        operands = [edges[edge] for edge in self.prepared.network.input_edges(layer)]
        fitting = [
            one
            for one in self._datapaths[layer.name]
            if one[0] == operands[0] and (layer.weight is not None or one[1] == operands[1])
        ]
        if not fitting:
            return None
        losses = [self.losses.engines[layer.name, *one] for one in fitting]
        _, second, arithmetic = _choose(fitting, losses, temperature, draw)
        return second, arithmetic


def _choose(choices: Sequence[Choice], losses: Sequence[float], temperature: float, draw: random.Random) -> Choice:
    least = min(losses)  # one choice at least has a weight of 1, however cold it is
    return draw.choices(choices, [math.exp(-max(loss - least, 0.0) / temperature) for loss in losses])[0]
