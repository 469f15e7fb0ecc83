"""How a manifest's LSTMs and polynomial GELUs compute, on arrays of exact integers; see `dse.exports.interpreter`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dse.exports.arithmetic import fitting, largest, on_grid
from dse.exports.decoding import decoded_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest


def check_width(sums: NDArray[Any], rule: Mapping[str, Any]) -> None:
    """Whether accumulators fit the declared width.

    Raises:
        ValueError: if they do not.
    """
    half = 1 << (rule["bits"] - 1)
    low, high = rule.get("low", -half), rule.get("high", half - 1)
    beyond = sums[(sums < low) | (sums > high)]
    if beyond.size:
        raise ValueError(f"{beyond.size} of {sums.size} accumulators do not fit [{low}, {high}], {beyond[0]} is one")


def gelu(source: NDArray[Any], constants: Mapping[str, int]) -> NDArray[Any]:
    """GELU with a polynomial for erf; `kernels.integer_constants` says what the constants mean.

    >>> gelu(np.array([-128, 0, 128]), {"magnitude": 128, "shift": 6, "offset": 2561, "constant": 7261606}).tolist()
    [0, 0, 1858971136]
    """
    offset, constant = constants["offset"], constants["constant"]
    numbers: NDArray[Any] = source.astype(object)
    distance = offset - np.minimum(abs(numbers) * (1 << constants["shift"]), offset)
    error_function = constant - distance * distance
    return np.asarray(numbers * (constant + np.where(numbers < 0, -1, 1) * error_function))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lstm:
    """A recurrent layer with its constants.

    Attributes:
        rule: the ``lstm`` of its entry.
        weight: integers, ``(features + hidden, 4 * hidden)``.
        files: the integers of the files that the rule names, by its keys.
    """

    rule: Mapping[str, Any]
    weight: NDArray[Any]
    files: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, layer: Mapping[str, Any], manifest: Manifest) -> Self:
        """The LSTM of a layer's entry, its constants read from the files."""
        rule = layer["lstm"]
        named = {key: manifest.integers(one) for key, one in rule.items() if isinstance(one, dict) and "file" in one}
        return cls(rule=rule, weight=decoded_weights(manifest, layer["weight"]), files=named)

    def states(self, source: NDArray[Any]) -> NDArray[Any]:
        """The states h after every step, ``(vectors, steps, hidden)``, from those of 0 before the first.

        Args:
            source: integers, ``(vectors, steps, features)`` in any shape.

        Raises:
            ValueError: if sums do not fit their declared widths.
        """
        rule, count = self.rule, self.rule["hidden"]
        inputs = source.reshape(len(source), rule["steps"], rule["features"])
        state = cell = np.zeros((len(source), count), dtype=np.int64)
        found = []
        for step in range(rule["steps"]):
            gates = self._gates(inputs[:, step], state)
            entering, forgetting, candidate, leaving = (gates[:, place : place + count] for place in self._places)
            cell = self._cell(cell, entering=entering, forgetting=forgetting, candidate=candidate)
            state = self._state(cell, leaving)
            found.append(state)
        return np.stack(found, axis=1)

    @property
    def _places(self) -> range:
        """Where the rows of each gate begin: input, forget, cell, output."""
        return range(0, 4 * self.rule["hidden"], self.rule["hidden"])

    def _gates(self, inputs: NDArray[Any], state: NDArray[Any]) -> NDArray[Any]:
        split, total = self.rule["features"], self.files["bias"].astype(object)
        for numbers, weight, key in ((inputs, self.weight[:split], "input"), (state, self.weight[split:], "state")):
            bound = largest(numbers) * largest(weight) * len(weight)
            sums = fitting(numbers, bound) @ fitting(weight, bound)
            check_width(sums, self.rule[f"{key}_sums"])
            total = total + sums.astype(object) * self.files[f"{key}_mult"]
        return self._cast(total, self.rule["shift"], "gate")

    def _cell(
        self, cell: NDArray[Any], *, entering: NDArray[Any], forgetting: NDArray[Any], candidate: NDArray[Any]
    ) -> NDArray[Any]:
        kept = self._looked_up("sigmoid", forgetting, "gate") * cell
        added = self._looked_up("sigmoid", entering, "gate") * self._looked_up("tanh", candidate, "gate")
        # Both count in two to minus the fraction bits of their factors; the finer of the two is the unit of the sum.
        behind = [self._fraction("cell"), self._fraction("tanh")]
        finer = max(behind)
        total = (kept << (finer - behind[0])) + (added << (finer - behind[1]))
        return self._cast(total, self._fraction("sigmoid") + finer - self._fraction("cell"), "cell")

    def _state(self, cell: NDArray[Any], leaving: NDArray[Any]) -> NDArray[Any]:
        index = self._cast(cell, self._fraction("cell") - self._fraction("cell_index"), "cell_index")
        product = self._looked_up("sigmoid", leaving, "gate") * self._looked_up("cell_tanh", index, "cell_index")
        shift = self._fraction("sigmoid") + self._fraction("tanh") - self._fraction("hidden")
        return self._cast(product, shift, "hidden")

    def _fraction(self, name: str) -> int:
        return int(self.rule["formats"][name]["fraction_bits"])

    def _looked_up(self, table: str, index: NDArray[Any], kind: str) -> NDArray[Any]:
        """Entries of a table that begins with the least integer of a format."""
        entries: NDArray[Any] = self.files[table].astype(object)[index - self._bounds(kind)[0]]
        return entries

    def _bounds(self, name: str) -> tuple[int, int]:
        kind = self.rule["formats"][name]
        half = 1 << (kind["bits"] - 1)
        return (-half, half - 1) if kind["signed"] else (0, 2 * half - 1)

    def _cast(self, numbers: NDArray[Any], shift: int, name: str) -> NDArray[Any]:
        low, high = self._bounds(name)
        grid = {"grid": "integer", "low": low, "high": high, "rounding": self.rule["rounding"]}
        numerators, denominator = numbers.astype(object) << max(-shift, 0), 1 << max(shift, 0)
        bound = 4 * max(largest(numerators), denominator, high - low)
        cast: NDArray[Any] = on_grid(fitting(numerators, bound), denominator, grid)
        return cast.astype(np.int64)
