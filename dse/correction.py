"""Correct a loss table by whole designs that were measured: ridge regression, shrunk to the table.

A design's loss is modelled as the sum over its items (`dse.sweep.LossTable.items`) of

    scale * t * (1 + place + format) + own * s

where t is the table's value of the item, ``scale`` one number for all, ``place`` and ``format`` deviations of all items
of one tensor or layer and of one format, ``own`` one of the item alone, and s the item's size, ``scale * |t|`` and a
little. All deviations are ridge coefficients: without evidence they are 0 and the table stands as it was measured.
Errors count relatively, since good designs are told apart by small losses. How much deviations may cost is chosen by
cross-validation, with the table alone among the choices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.audit import FLOOR, relative_error, scale_of
from dse.sweep import LossTable, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dse.sweep import Item
    from emulation.calibrated import Formats
    from emulation.formats import Format
    from emulation.network import Network

STRENGTHS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Variances of the shared deviations (place and format) to choose from; 0 leaves only the scale."""
OWN_SHARES = (0.1, 1.0)
"""Variances of an item's own deviation to choose from, as a share of the shared ones'."""
FOLDS = 5
"""Folds of the cross-validation."""
LEAST_GAIN = 0.01
"""Deviations must make the error smaller by this share, or the table stands but for its scale."""
FEWEST = 15
"""With fewer measured designs only the scale is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A corrected table and how it came about.

    Attributes:
        table: losses in nats on the data the designs were measured on.
        designs: designs it was fitted on.
        scale: measured over predicted loss.
        strength: variance of the shared deviations that cross-validation chose; 0 for the scale alone.
        own_share: variance of an item's own deviation, as a share of it.
        error: relative error in cross-validation, root mean square.
        table_error: the same of the table with its scale alone.
    """

    table: LossTable
    designs: int
    scale: float
    strength: float
    own_share: float
    error: float
    table_error: float


def correct(
    network: Network, table: LossTable, designs: Sequence[Formats], losses: Sequence[float], *, seed: int
) -> Correction:
    """Fit a table to measured whole designs.

    Args:
        network: the network.
        table: values of one sensitivity metric in its own unit, pairs among them.
        designs: whole designs, at least one.
        losses: their measured losses, nats.
        seed: decides the folds.

    Returns:
        The corrected table, in nats.
    """
    fit = _Fit(network, table, designs)
    target = np.asarray(losses, dtype=np.float64)
    every = np.arange(len(target))
    choices = [(0.0, 0.0)]
    if len(target) >= FEWEST:
        choices += list(itertools.product((one for one in STRENGTHS if one), OWN_SHARES))
    errors = {choice: fit.cross_validated(target, *choice, seed=seed) for choice in choices}
    best = min(choices, key=lambda choice: errors[choice])
    if errors[0.0, 0.0] - errors[best] <= LEAST_GAIN * max(errors[0.0, 0.0], LEAST_GAIN):
        best = (0.0, 0.0)
    scale, values = fit.values(every, target, *best)
    return Correction(
        table=fit.table_of(values),
        designs=len(target),
        scale=scale,
        strength=best[0],
        own_share=best[1],
        error=errors[best],
        table_error=errors[0.0, 0.0],
    )


class _Fit:
    """Items of a table as columns, designs as rows."""

    def __init__(self, network: Network, table: LossTable, designs: Sequence[Formats]) -> None:
        self.every = dict(_all_items(table))
        self.position = {item: index for index, item in enumerate(self.every)}
        self.worth = np.array(list(self.every.values()))
        self.uses = np.zeros((len(designs), len(self.every)))
        for row, formats in enumerate(designs):
            for item, _ in table.items(network, formats):
                self.uses[row, self.position[item]] = 1.0
        self.places = _indicators([_place(item) for item in self.every])
        self.formats = _indicators([_format(item) for item in self.every])

    def cross_validated(self, target: NDArray[np.float64], strength: float, own_share: float, *, seed: int) -> float:
        """Root mean square of the relative error on designs that were left out."""
        if len(target) < FOLDS:
            return float("inf")
        fold = np.random.default_rng(seed).permutation(len(target)) % FOLDS
        predicted = np.zeros(len(target))
        for one in range(FOLDS):
            _, values = self.values(np.flatnonzero(fold != one), target, strength, own_share)
            left_out = fold == one
            predicted[left_out] = self.uses[left_out] @ values
        return relative_error(predicted, target)

    def values(
        self, rows: NDArray[np.intp], target: NDArray[np.float64], strength: float, own_share: float
    ) -> tuple[float, NDArray[np.float64]]:
        """The scale, and the corrected value of every item, fitted on some rows."""
        uses, wanted = self.uses[rows], target[rows]
        scale = scale_of(uses @ self.worth, wanted)
        values = scale * self.worth
        if strength == 0.0:
            return scale, values
        from sklearn.linear_model import Ridge  # loaded when needed: studies that are only read do without

        size = np.abs(values) + FLOOR / 10
        shared = np.sqrt(strength) * np.hstack([values[:, None] * self.places, values[:, None] * self.formats])
        own = np.sqrt(strength * own_share) * size
        importance = 1.0 / (wanted + FLOOR)
        columns = np.hstack([uses @ shared, uses * own]) * importance[:, None]
        model = Ridge(alpha=1.0, fit_intercept=False).fit(columns, (wanted - uses @ values) * importance)
        found = np.asarray(model.coef_, dtype=np.float64)
        return scale, values + shared @ found[: shared.shape[1]] + own * found[shared.shape[1] :]

    def table_of(self, values: NDArray[np.float64]) -> LossTable:
        """The table with these values."""
        edges, engines = {}, {}
        pairs: dict[Pair, dict[tuple[Format, Format], float]] = {}
        for item, value in zip(self.every, values.tolist(), strict=True):
            if isinstance(item[0], Pair):
                pairs.setdefault(item[0], {})[item[1], item[2]] = value
            elif len(item) == 2:
                edges[item] = value
            else:
                engines[item] = value
        return LossTable(edges=edges, engines=engines, pairs=pairs)


def _all_items(table: LossTable) -> Iterator[tuple[Item, float]]:
    yield from table.edges.items()
    yield from table.engines.items()
    for pair, values in table.pairs.items():
        yield from (((pair, *formats), value) for formats, value in values.items())


def _place(item: Item) -> str:
    """Edges and layers may have one name, but are two places."""
    return f"{'edge' if len(item) == 2 else 'engine'} {item[0]}"


def _format(item: Item) -> str:
    """The format that an item is about: an edge's, an engine's weights; pairs share one deviation."""
    if isinstance(item[0], Pair):
        return "pair"
    return f"edge {item[1]}" if len(item) == 2 else f"engine {item[2]} {item[3]}"


def _indicators(groups: Sequence[str]) -> NDArray[np.float64]:
    """A column per group, shape ``(items, groups)``, 1 where an item belongs to it."""
    names: Mapping[str, int] = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    found = np.zeros((len(groups), len(names)))
    found[np.arange(len(groups)), [names[group] for group in groups]] = 1.0
    return found
