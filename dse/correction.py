"""Correct a loss table by whole designs that were measured: deviations in logarithms, shrunk to the table.

A design's loss is modelled by the values v of its items (`dse.sweep.LossTable.items`) as

    loss = (sum of v) ** (1 / exponent),    v = (scale * t) ** exponent * exp(place + format + own)

where t is the table's value of the item, ``scale`` one number for all, ``place`` and ``format`` deviations of all items
of one tensor or layer and of one format, ``own`` one of the item alone. Errors that come together add up to more than
their losses do: the divergence grows with the square of the error, so errors of one direction have an exponent of 1/2,
independent ones 1. No deviation makes a value negative, since no optimiser would pass by a choice that seems to win
back what others lose. Errors count in logarithms, since good designs are told apart by small losses.

All deviations have a normal distribution around 0 beforehand: without evidence the table stands as it was measured.
How far they may go, and the exponent, are chosen by cross-validation, with the table alone among the choices.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from dse.audit import FLOOR, relative_error, scale_of
from dse.sweep import LossTable, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dse.sweep import Item
    from emulation.calibrated import Formats
    from emulation.formats import Format
    from emulation.network import Network

EXPONENTS = (1.0, 0.75, 0.5)
"""Exponents to choose from."""
STRENGTHS = (0.03, 0.1, 0.3, 1.0)
"""Variances to choose from, of each of the three deviations."""
SCATTER = 0.04
"""Variance of the logarithm of a loss around the model: designs with the same deviations differ by about a fifth."""
LEAST = FLOOR / 10
"""An item loses this many nats at least: what is swept as less, or as a gain, is below what samples resolve."""
STEPS = 40
"""Steps of a fit at most: L-BFGS, which then moves no loss noticeably."""
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
        table: losses in nats on the data the designs were measured on, to the power of its exponent.
        designs: designs it was fitted on.
        scale: measured over predicted loss of the table as it was.
        strength: variance of each deviation that cross-validation chose; 0 for the scale alone.
        error: relative error in cross-validation, root mean square.
        table_error: the same of the table with its scale alone.
    """

    table: LossTable
    designs: int
    scale: float
    strength: float
    error: float
    table_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What cross-validation chooses; a strength of 0 leaves the table and its scale."""

    exponent: float
    strength: float


def correct(
    network: Network, table: LossTable, designs: Sequence[Formats], losses: Sequence[float], *, seed: int
) -> Correction:
    """Fit a table to measured whole designs.

    Args:
        network: the network.
        table: values of one sensitivity metric in its own unit, pairs among them.
        designs: whole designs; without one the table is not scaled either.
        losses: their measured losses, nats.
        seed: decides the folds.

    Returns:
        The corrected table, in nats.
    """
    if not designs:
        return Correction(table=table, designs=0, scale=1.0, strength=0.0, error=float("inf"), table_error=float("inf"))
    with threadpool_limits(limits=1):  # many small products: threads would wait for each other
        return _corrected(_Fit(network, table, designs, losses), seed=seed)


def _corrected(fit: _Fit, *, seed: int) -> Correction:
    count = len(fit.losses)
    plain = _Choice(exponent=1.0, strength=0.0)
    choices = [plain]
    if count >= FEWEST:
        pairs = itertools.product(EXPONENTS, STRENGTHS)
        choices += [_Choice(exponent=exponent, strength=strength) for exponent, strength in pairs]
    errors = {choice: fit.cross_validated(choice, seed=seed) for choice in choices}
    best = min(choices, key=lambda choice: errors[choice])
    if errors[plain] - errors[best] <= LEAST_GAIN * max(errors[plain], LEAST_GAIN):
        best = plain
    values = fit.values(np.arange(count), best)
    return Correction(
        table=fit.table_of(values, best.exponent),
        designs=count,
        scale=fit.scale,
        strength=best.strength,
        error=errors[best],
        table_error=errors[plain],
    )


class _Fit:
    """Items of a table as columns, designs as rows."""

    def __init__(self, network: Network, table: LossTable, designs: Sequence[Formats], losses: Sequence[float]) -> None:
        self.every = dict(_all_items(table))
        position = {item: index for index, item in enumerate(self.every)}
        self.uses = np.zeros((len(designs), len(self.every)))
        for row, formats in enumerate(designs):
            for item, _ in table.items(network, formats):
                self.uses[row, position[item]] = 1.0
        worth = np.array(list(self.every.values()))
        self.losses = np.asarray(losses, dtype=np.float64)
        self.scale = scale_of(self.uses @ worth, self.losses)
        # Only pairs may win something back: they say what two places lose together beyond the sum.
        is_pair = np.array([isinstance(item[0], Pair) for item in self.every], dtype=bool)
        self.worth = np.where(is_pair, self.scale * worth, np.maximum(self.scale * worth, LEAST))
        groups = [_indicators([group(item) for item in self.every]) for group in (_place, _format)]
        self.groups = np.hstack(groups)

    def cross_validated(self, choice: _Choice, *, seed: int) -> float:
        """Root mean square of the relative error on designs that were left out."""
        count = len(self.losses)
        if count < FOLDS:
            return float("inf")
        fold = np.random.default_rng(seed).permutation(count) % FOLDS
        predicted = np.zeros(count)
        for one in range(FOLDS):
            values = self.values(np.flatnonzero(fold != one), choice)
            left_out = fold == one
            predicted[left_out] = _sums(self.uses[left_out], values) ** (1 / choice.exponent)
        return relative_error(predicted, self.losses)

    def values(self, rows: NDArray[np.intp], choice: _Choice) -> NDArray[np.float64]:
        """The corrected value of every item, to the power of the exponent, fitted on some rows."""
        start: NDArray[np.float64] = np.sign(self.worth) * np.abs(self.worth) ** choice.exponent
        uses, wanted = self.uses[rows], np.log(self.losses[rows] + FLOOR)
        # One factor for all, so that the typical design has the loss that was measured, whatever the exponent is.
        start = start * scale_of(_sums(uses, start) ** (1 / choice.exponent), self.losses[rows]) ** choice.exponent
        if choice.strength == 0.0:
            return start
        return start * np.exp(self._deviations(uses, start, wanted, choice))

    def _deviations(
        self, uses: NDArray[np.float64], start: NDArray[np.float64], wanted: NDArray[np.float64], choice: _Choice
    ) -> NDArray[np.float64]:
        """Of every item, the most likely ones: where the squared errors and the squared unknowns add up to least."""
        from scipy.optimize import minimize  # loaded when needed: studies that are only read do without

        spread, shared, least = math.sqrt(choice.strength), self.groups.shape[1], LEAST**choice.exponent

        def unfold(unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
            # The last one is of all items, for what the scale may still be off.
            deviations: NDArray[np.float64] = self.groups @ unknowns[:shared] + unknowns[shared:-1]
            return spread * deviations + float(unknowns[-1])

        def cost(unknowns: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            values = start * np.exp(unfold(unknowns))
            added = np.maximum(uses @ values, least)
            predicted = added ** (1 / choice.exponent)
            errors = (np.log(predicted + FLOOR) - wanted) / SCATTER
            slopes = values * (uses.T @ (errors * predicted / (predicted + FLOOR) / added / choice.exponent))
            back = np.concatenate([spread * (self.groups.T @ slopes), spread * slopes, [slopes.sum()]])
            return 0.5 * float(errors @ errors * SCATTER + unknowns @ unknowns), unknowns + back

        nothing = np.zeros(shared + len(start) + 1)
        found = minimize(cost, nothing, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        return unfold(np.asarray(found.x))

    def table_of(self, values: NDArray[np.float64], exponent: float) -> LossTable:
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
        return LossTable(edges=edges, engines=engines, pairs=pairs, exponent=exponent)


def _sums(uses: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the items' values, shape ``(designs,)``; terms of pairs may take away all there is, but no more."""
    return np.maximum(uses @ values, 0.0)


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
