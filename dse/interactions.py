"""Where losses do not add: pairs of places that share an edge or a residual, measured together.

A place is an edge or a layer's weights (`dse.sweep.Place`). Additivity is tested on every such pair with formats that
hurt noticeably but not hopelessly; pairs that fail are measured in all their formats, on calibration data like the
table, and what they lose beyond the sum of both is charged in the tables the solver sees.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import joblib
from threadpoolctl import threadpool_limits

from dse.errors import StudyError
from dse.progress import tracked
from dse.store import Measurement
from dse.sweep import Pair, Place, PlaceKind, one_torch_thread, subject_of
from emulation.datapaths import Arithmetic
from emulation.network import Add
from emulation.sensitivity import EdgeProbe, EngineProbe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dse.preparation import Prepared
    from dse.store import Store
    from dse.sweep import LossTable
    from emulation.formats import Format
    from emulation.losses import Losses
    from emulation.network import Layer, Network
    from emulation.sensitivity import Probe, SensitivityBench

TEST_LOSS = 1e-2
"""Additivity is tested with the format of each place whose loss is nearest to this many nats, by ratio: where designs
are worth telling apart, and far above the resolution of a loss."""
FAILS_ABOVE = 0.25
"""A pair whose loss together differs from the sum by more than this share of it is measured in all formats. Predictions
of whole designs scatter by about as much around an additive table (README of this folder)."""
MOST_PAIRS = 6
"""Pairs measured in all formats at most, those that fail by most nats: each makes the solver's problem harder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTest:
    """What a test of additivity found.

    Attributes:
        pair: the two places.
        formats: which formats they had, as text.
        apart: the sum of their losses, each alone, nats.
        together: the loss of both at once.
        fails: whether it is measured in all formats.
    """

    pair: str
    formats: tuple[str, str]
    apart: float
    together: float
    fails: bool

    @property
    def excess(self) -> float:
        """What both lose together beyond the sum, as a share of the sum."""
        return (self.together - self.apart) / self.apart if self.apart > 0 else 0.0


def structural_pairs(network: Network) -> tuple[Pair, ...]:
    """Pairs that meet in the network, each once.

    The weights of a layer with the edge they make, the weights of two layers with an edge between them, and both
    operands of a residual sum with the weights that made them.
    """
    found: dict[Pair, None] = {}
    weighted = {layer.name for layer in network.layers if layer.weight is not None}
    for layer in network.layers:
        edges = network.input_edges(layer)
        if layer.name in weighted:
            if layer.name in network.edges and layer.name != network.edge_of(network.output):
                found[_pair(_weights(layer.name), _edge(layer.name))] = None
            if edges[0] in weighted:
                found[_pair(_weights(edges[0]), _weights(layer.name))] = None
        if isinstance(layer.operation, Add) and edges[0] != edges[1]:
            found[_pair(_edge(edges[0]), _edge(edges[1]))] = None
            if edges[0] in weighted and edges[1] in weighted:
                found[_pair(_weights(edges[0]), _weights(edges[1]))] = None
    return tuple(found)


def _pair(first: Place, second: Place) -> Pair:
    return Pair(first=first, second=second)


def _weights(name: str) -> Place:
    return Place(kind=PlaceKind.WEIGHT, name=name)


def _edge(name: str) -> Place:
    return Place(kind=PlaceKind.EDGE, name=name)


def measure_pairs(
    prepared: Prepared, store: Store, losses: LossTable, *, jobs: int
) -> tuple[tuple[PairTest, ...], dict[Pair, dict[tuple[Format, Format], float]]]:
    """Test all structural pairs, and measure those in all formats that fail.

    Args:
        prepared: the calibrated network and its samples.
        store: where rows are committed as they finish; nothing is measured twice.
        losses: the table of divergences.
        jobs: measurements made at once.

    Returns:
        The tests, and by pair and formats what comes on top of both losses, nats: 0 for formats that cannot meet.
    """
    bench = _PairBench(prepared=prepared, store=store, losses=losses)
    trials = {pair: bench.trial(pair) for pair in structural_pairs(prepared.network)}
    known = bench.measured(trials.items(), jobs=jobs)
    tests = []
    for pair, formats in trials.items():
        probes = bench.probes(pair, formats)
        if probes is not None:
            apart, together = bench.apart(probes), known[pair, formats]
            fails = apart > 0 and abs(together - apart) > FAILS_ABOVE * apart
            names = (str(formats[0]), str(formats[1]))
            tests.append((pair, PairTest(pair=str(pair), formats=names, apart=apart, together=together, fails=fails)))
    failing = sorted((one for one in tests if one[1].fails), key=lambda one: -abs(one[1].together - one[1].apart))
    kept = [pair for pair, _ in failing[:MOST_PAIRS]]
    every = [(pair, formats) for pair in kept for formats in itertools.product(*bench.menus(pair))]
    found = bench.measured(every, jobs=jobs)
    excess: dict[Pair, dict[tuple[Format, Format], float]] = {pair: {} for pair in kept}
    for pair, formats in every:
        probes = bench.probes(pair, formats)
        excess[pair][formats] = 0.0 if probes is None else found[pair, formats] - bench.apart(probes)
    return tuple(test for _, test in tests), excess


@dataclass(frozen=True, kw_only=True, eq=False)
class _PairBench:
    """Measures pairs of probes; the bench itself is made only if something is missing."""

    prepared: Prepared
    store: Store
    losses: LossTable

    def menus(self, pair: Pair) -> tuple[tuple[Format, ...], tuple[Format, ...]]:
        return self._menu(pair.first), self._menu(pair.second)

    def _menu(self, place: Place) -> tuple[Format, ...]:
        if place.kind is PlaceKind.EDGE:
            return self.prepared.edge_menu(place.name)
        layer = self.prepared.network.by_name[place.name]
        return tuple(dict.fromkeys(weight for _, weight, _ in self.prepared.datapaths(layer)))

    def trial(self, pair: Pair) -> tuple[Format, Format]:
        """The formats additivity is tested with."""
        return self._trial(pair.first), self._trial(pair.second)

    def _trial(self, place: Place) -> Format:
        return min(self._menu(place), key=lambda one: self._distance(place, one))

    def _distance(self, place: Place, number_format: Format) -> float:
        probe = self._probe(place, number_format)
        if probe is None:
            return math.inf
        if isinstance(probe, EdgeProbe):
            loss = self.losses.edges[place.name, number_format]
        else:
            loss = self.losses.engines[place.name, probe.activation, number_format, probe.arithmetic]
        return abs(math.log(max(loss, 1e-9) / TEST_LOSS))

    def _probe(self, place: Place, number_format: Format) -> Probe | None:
        """Weights are probed with the activations that lose least among those they may be multiplied by."""
        if place.kind is PlaceKind.EDGE:
            return EdgeProbe(edge=place.name, format=number_format)
        layer: Layer = self.prepared.network.by_name[place.name]
        edge = self.prepared.network.input_edges(layer)[0]
        offered = [
            activation
            for activation, weight, arithmetic in self.prepared.datapaths(layer)
            if weight == number_format and arithmetic == Arithmetic()
        ]
        if not offered:
            return None
        best = min(offered, key=lambda one: self.losses.edges[edge, one])
        return EngineProbe(layer=place.name, activation=best, weight=number_format)

    def probes(self, pair: Pair, formats: tuple[Format, Format]) -> tuple[Probe, Probe] | None:
        first, second = self._probe(pair.first, formats[0]), self._probe(pair.second, formats[1])
        return None if first is None or second is None else (first, second)

    @cached_property
    def alone(self) -> dict[str, Losses]:
        """Losses of single probes."""
        return self.store.measurements(self.prepared.sweep_context)

    def apart(self, probes: Sequence[Probe]) -> float:
        return sum(self.alone[subject_of(probe)].divergence for probe in probes)

    def measured(
        self, wanted: Iterable[tuple[Pair, tuple[Format, Format]]], *, jobs: int
    ) -> Mapping[tuple[Pair, tuple[Format, Format]], float]:
        """Losses of pairs in formats; those that cannot meet are left out."""
        context = self.prepared.sweep_context
        subjects = dict(self._subjects(wanted))
        missing = self.store.missing(context, (subject for subject, _ in subjects.values()))
        probes = dict(subjects.values())
        if missing:
            try:
                with threadpool_limits(limits=1), one_torch_thread():
                    bench = self.prepared.bench()
                    self.store.add(context, _measure(bench, missing[0], probes[missing[0]]))
                    tasks = (joblib.delayed(_measure)(bench, subject, probes[subject]) for subject in missing[1:])
                    rows = joblib.Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")(tasks)
                    for row in tracked(rows, description="pairs", total=len(missing) - 1):
                        self.store.add(context, row)
            except ValueError as error:
                raise StudyError(str(error)) from error
        known = self.store.measurements(context)
        return {key: known[subject].divergence for key, (subject, _) in subjects.items()}

    def _subjects(
        self, wanted: Iterable[tuple[Pair, tuple[Format, Format]]]
    ) -> Iterator[tuple[tuple[Pair, tuple[Format, Format]], tuple[str, tuple[Probe, Probe]]]]:
        for pair, formats in wanted:
            probes = self.probes(pair, formats)
            if probes is not None:
                yield (pair, formats), (json.dumps(["together", *map(subject_of, probes)]), probes)


def _measure(bench: SensitivityBench, subject: str, probes: Sequence[Probe]) -> Measurement:
    started = time.perf_counter()
    losses = bench.measure_together(probes)
    return Measurement(subject=subject, losses=losses, seconds=time.perf_counter() - started)
