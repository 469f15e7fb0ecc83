"""What another tool computed, against the golden integers of a manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dse.exports.verification import SHOWN_DIFFERENCES, Difference, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Counts values and collects the first differences, layer by layer.

    Attributes:
        values: how many were compared.
        differences: how many differed.
        layers: how many layers were compared.
        where: the first differences.
    """

    values: int = 0
    differences: int = 0
    layers: int = 0
    where: list[Difference] = field(default_factory=list)

    def add(self, layer: str, vectors: Sequence[str], expected: NDArray[Any], got: NDArray[np.float64]) -> None:
        """Compare outputs of a layer, ``(vectors, values)`` each; what is no integer differs too."""
        self.values += expected.size
        self.layers += 1
        places = np.argwhere(got != expected)
        self.differences += len(places)
        for vector, element in places[: SHOWN_DIFFERENCES - len(self.where)].tolist():
            number = float(got[vector, element])
            self.where.append(
                Difference(
                    layer=layer,
                    vector=vectors[vector],
                    element=element,
                    expected=int(expected[vector, element]),
                    got=int(number) if number.is_integer() else str(number),
                )
            )

    def outcome(self, tool: str, vectors: int) -> Outcome:
        """What it comes to."""
        return Outcome(
            status=Status.FAILED if self.differences else Status.PASSED,
            text=(
                f"{tool}: {vectors} vectors, {self.values} values of {self.layers} layers, "
                f"{self.differences} differences"
            ),
            where=tuple(self.where),
        )


def compared(
    manifest: Manifest, tool: str, outputs: Mapping[str, NDArray[np.float64]], vectors: Sequence[int]
) -> Outcome:
    """Compare the outputs of layers, in the order of the network: the first layer that differs is where it went wrong.

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
    return found.outcome(tool, len(vectors))


def in_steps(manifest: Manifest, outputs: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Real numbers that layers computed, as integers of their edges; what is between two steps stays there."""
    return {
        layer["name"]: outputs[layer["name"]] / layer["output"]["unit"]
        for layer in manifest.layers
        if layer["name"] in outputs
    }
