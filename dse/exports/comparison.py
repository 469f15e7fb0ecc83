"""What was computed from an export, against the golden numbers of its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dse.exports.verification import SHOWN_DIFFERENCES, Difference, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction
    from typing import Any

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Counts values and collects the first differences, layer by layer.

    Attributes:
        values: how many were compared.
        differences: how many differed.
        layers: those of which something was compared.
        where: the first differences.
    """

    values: int = 0
    differences: int = 0
    layers: set[str] = field(default_factory=set)
    where: list[Difference] = field(default_factory=list)

    def add(self, layer: str, vectors: Sequence[str], expected: NDArray[Any], got: NDArray[Any]) -> None:
        """Compare outputs of a layer: any real numbers, vectors along the first axis, as many of them as names.

        Raises:
            ValueError: if there are not as many numbers as expected.
        """
        if expected.size != got.size:
            raise ValueError(f"{got.size} numbers came out, {expected.size} were expected")
        self.values += expected.size
        self.layers.add(layer)
        places = np.flatnonzero(expected.reshape(-1) != got.reshape(-1))
        self.differences += len(places)
        for place in places[: SHOWN_DIFFERENCES - len(self.where)].tolist():
            vector, element = divmod(place, expected.size // len(vectors))
            wanted, came = _plain(expected.item(place)), _plain(got.item(place))
            self.where.append(
                Difference(layer=layer, vector=vectors[vector], element=element, expected=wanted, got=came)
            )

    def outcome(self, text: str, problems: Sequence[str] = ()) -> Outcome:
        """What was compared, with the count of differences and whatever else went wrong."""
        return Outcome(
            status=Status.FAILED if self.differences or problems else Status.PASSED,
            text="; ".join([f"{text}, {self.differences} differences", *problems]),
            where=tuple(self.where),
        )


def _plain(number: float | Fraction) -> int | str:
    """A number as JSON holds it exactly."""
    return int(number) if number % 1 == 0 else str(number)


def compared(
    manifest: Manifest, tool: str, outputs: Mapping[str, NDArray[np.float64]], vectors: Sequence[int]
) -> Outcome:
    """Compare what another tool computed, in the order of the network: where it went wrong is the first that differs.

    Args:
        manifest: holds golden outputs of every layer for some vectors, and of the network for all.
        tool: says in the outcome who computed.
        outputs: integers by safe layer name, ``(len(vectors), values)`` in stream order; layers that a tool merges into
            others may be missing.
        vectors: which vectors were computed, by their place among all.
    """
    found = Comparison()
    last = manifest.entries["output"]["layer"]
    places = manifest.entries["vectors"]["golden"]
    shared = [place for place in places if place in vectors]
    own, golden = [list(vectors).index(place) for place in shared], [places.index(place) for place in shared]
    for layer in manifest.layers:
        if layer["name"] not in outputs:
            continue
        got = outputs[layer["name"]]
        if layer["name"] == last:
            expected = manifest.rows(manifest.entries["vectors"]["output"])[list(vectors)]
            found.add(last, [f"vector {place}" for place in vectors], expected, got)
        else:
            expected = manifest.rows(layer["golden"]["output"])[golden]
            found.add(layer["name"], [f"golden {place}" for place in golden], expected, got[own])
    return found.outcome(f"{tool}: {len(vectors)} vectors, {found.values} values of {len(found.layers)} layers")


def in_steps(manifest: Manifest, outputs: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Real numbers that layers computed, as integers of their edges; what is between two steps stays there."""
    return {
        layer["name"]: outputs[layer["name"]] / layer["output"]["unit"]
        for layer in manifest.layers
        if layer["name"] in outputs
    }
