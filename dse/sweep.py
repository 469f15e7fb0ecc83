"""The sweep: every probe measured once, committed as it finishes, on all cores; and the loss tables made of it."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import joblib
from threadpoolctl import threadpool_limits

from dse.errors import StudyError
from dse.progress import tracked
from dse.sensitivity_proxies import ProxyBench
from dse.store import Measurement
from emulation.datapaths import Arithmetic
from emulation.sensitivity import EdgeProbe, EngineProbe, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dse.preparation import Prepared
    from dse.sensitivity_metrics import SensitivityMetric
    from dse.store import Store
    from emulation.calibrated import Formats
    from emulation.formats import Format
    from emulation.losses import Losses
    from emulation.network import Network


Item: TypeAlias = tuple[Any, ...]
"""What a design is charged for: see `LossTable.items`."""


def subject_of(probe: Probe) -> str:
    """The key a probe's losses are stored under.

    >>> from emulation.catalogue import parse
    >>> subject_of(EngineProbe(layer="fc", activation=parse("uint4"), weight=None))
    '["engine", "fc", "uint4", "float"]'
    """
    if isinstance(probe, EdgeProbe):
        return json.dumps(["edge", probe.edge, str(probe.format)])
    weight = "float" if probe.weight is None else str(probe.weight)
    # The default arithmetic has no word: what was measured before there was a choice keeps its key.
    unusual = [] if probe.arithmetic == Arithmetic() else [str(probe.arithmetic)]
    return json.dumps(["engine", probe.layer, str(probe.activation), weight, *unusual])


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOutcome:
    """How a sweep went."""

    measured: int
    known_before: int
    seconds: float


def run_sweep(prepared: Prepared, store: Store, *, jobs: int) -> SweepOutcome:
    """Measure every probe that is not in the store yet.

    Args:
        prepared: the calibrated network and its samples.
        store: where rows are committed as they finish.
        jobs: probes measured at once.
    """
    started = time.perf_counter()
    probes = {subject_of(probe): probe for probe in prepared.probes()}
    known = store.proxies(prepared.sweep_context)
    absent = set(store.missing(prepared.sweep_context, probes))
    missing = [subject for subject in probes if subject in absent or subject not in known]
    if missing:
        try:
            _measure_all({subject: probes[subject] for subject in missing}, prepared, store, jobs=jobs)
        except ValueError as error:
            raise StudyError(str(error)) from error
    return SweepOutcome(
        measured=len(missing), known_before=len(probes) - len(missing), seconds=time.perf_counter() - started
    )


def _measure_all(probes: Mapping[str, Probe], prepared: Prepared, store: Store, *, jobs: int) -> None:
    # One thread each inside the linear algebra: the probes themselves fill the cores.
    with threadpool_limits(limits=1), one_torch_thread():
        samples = prepared.sensitivity
        bench = ProxyBench.of(prepared.bench(), samples.inputs, samples.labels)
        # The kernels are compiled (or loaded) once, before several threads ask for them.
        engine = next((probe for probe in probes.values() if isinstance(probe, EngineProbe)), None)
        _measure(bench, "", engine or next(iter(probes.values())))
        tasks = (joblib.delayed(_measure)(bench, subject, probe) for subject, probe in probes.items())
        rows = joblib.Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")(tasks)
        for row in tracked(rows, description="sensitivity", total=len(probes)):
            store.add(prepared.sweep_context, row)


def _measure(bench: ProxyBench, subject: str, probe: Probe) -> Measurement:
    started = time.perf_counter()
    response = bench.bench.respond(probe)
    losses = bench.bench.yardstick.losses(response.outputs)
    proxies = bench.values(probe, response)
    return Measurement(subject=subject, losses=losses, seconds=time.perf_counter() - started, proxies=proxies)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch on one thread for a while."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class PlaceKind(Enum):
    """What a format is chosen for."""

    EDGE = "edge"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tensor a format is chosen for: the edge of that name, or the weights of the layer of that name."""

    kind: PlaceKind
    name: str

    def of(self, formats: Formats) -> Format:
        """The format a design has there."""
        return (formats.edges if self.kind is PlaceKind.EDGE else formats.weights)[self.name]

    def __str__(self) -> str:
        return f"weights of {self.name}" if self.kind is PlaceKind.WEIGHT else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two places whose losses may not just add."""

    first: Place
    second: Place

    def __str__(self) -> str:
        return f"{self.first} x {self.second}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTable:
    """What each choice adds to a predicted loss (or another metric) of a design.

    A product of two activations has its right-hand one in place of the weight: what is charged is its arithmetic alone,
    the loss of the engine less that of the exact one on the same operands.

    ``edges[edge, format]`` is charged once for a tensor, whoever reads it. ``engines[layer, activation, weight,
    arithmetic]`` is what quantising the weights, and multiplying and summing that way, adds when the input is in
    ``activation`` already: the loss of the engine emulated exactly, less the loss of its quantised input alone. It may
    be negative. ``pairs[pair][first, second]`` comes on top where two places have these formats together.

    What adds up are losses to the power of ``exponent``: below 1, errors that come together lose more than each alone.
    """

    edges: Mapping[tuple[str, Format], float]
    engines: Mapping[tuple[str, Format, Format, Arithmetic], float]
    pairs: Mapping[Pair, Mapping[tuple[Format, Format], float]] = field(default_factory=dict)
    exponent: float = 1.0

    def items(self, network: Network, formats: Formats) -> Iterator[tuple[Item, float]]:
        """What a design is charged for, each once, with its value.

        An item is ``(edge, format)``, ``(layer, activation, weight, arithmetic)``, or ``(pair, first, second)``.
        """
        edges = formats.edges
        for edge in edges.items():
            yield edge, self.edges[edge]
        for layer in network.multiplying:
            operands = [edges[edge] for edge in network.input_edges(layer)]
            second = operands[1] if layer.weight is None else formats.weights[layer.name]
            engine = (layer.name, operands[0], second, formats.engines.get(layer.name, Arithmetic()))
            yield engine, self.engines[engine]
        for pair, values in self.pairs.items():
            both = pair.first.of(formats), pair.second.of(formats)
            yield (pair, *both), values[both]

    def total(self, network: Network, formats: Formats) -> float:
        """The prediction for a whole design, from the sum of what its formats and arithmetics add."""
        return self.of_sum(sum(value for _, value in self.items(network, formats)))

    def of_sum(self, added: float) -> float:
        """The loss that a sum of items stands for; gains stand for themselves.

        >>> LossTable(edges={}, engines={}, exponent=0.5).of_sum(0.5)
        0.25
        """
        return added if added <= 0 else added ** (1 / self.exponent)


def smooth_loss(losses: Losses) -> float:
    """The loss designs are judged by: Kullback-Leibler divergence from the float network, nats a sample."""
    return losses.divergence


def accuracy_change(losses: Losses) -> float:
    """The task metric: accuracy less the float network's; negative where accuracy is lost."""
    return losses.accuracy_change


def loss_table(prepared: Prepared, store: Store, metric: Callable[[Losses], float] = smooth_loss) -> LossTable:
    """The table of a finished sweep for one kind of loss.

    Raises:
        StudyError: if measurements are missing; says how many and what to run.
    """
    known = store.measurements(prepared.sweep_context)
    return _table(prepared, {subject: metric(losses) for subject, losses in known.items()})


def metric_table(prepared: Prepared, store: Store, metric: SensitivityMetric) -> LossTable:
    """The table of a finished sweep for one sensitivity metric, in the metric's own unit.

    Raises:
        StudyError: as `loss_table`.
    """
    known, proxies = store.measurements(prepared.sweep_context), store.proxies(prepared.sweep_context)
    return _table(
        prepared, {subject: metric.of(known[subject], proxies[subject]) for subject in known.keys() & proxies.keys()}
    )


def _table(prepared: Prepared, values: Mapping[str, float]) -> LossTable:
    probes = prepared.probes()
    missing = sum(subject_of(probe) not in values for probe in probes)
    if missing:
        raise StudyError(f"{missing} of {len(probes)} sensitivity measurements are missing: run `bitfront sweep` first")

    def loss(probe: Probe) -> float:
        return values[subject_of(probe)]

    edges = {(probe.edge, probe.format): loss(probe) for probe in probes if isinstance(probe, EdgeProbe)}
    engines = {}
    for probe in probes:
        if not isinstance(probe, EngineProbe) or probe.weight is None:
            continue
        if prepared.network.by_name[probe.layer].weight is not None:
            edge = prepared.network.input_edges(prepared.network.by_name[probe.layer])[0]
            alone = EngineProbe(layer=probe.layer, activation=probe.activation, weight=None)
            is_only_reader = prepared.reader_count(edge) == 1
            input_loss = edges[edge, probe.activation] if is_only_reader else loss(alone)
            engines[probe.layer, probe.activation, probe.weight, probe.arithmetic] = loss(probe) - input_loss
        elif probe.arithmetic != Arithmetic():
            exact = loss(dataclasses.replace(probe, arithmetic=Arithmetic()))
            engines[probe.layer, probe.activation, probe.weight, probe.arithmetic] = loss(probe) - exact
    for layer in prepared.network.engines:
        if layer.weight is None:
            datapaths = prepared.datapaths(layer)
            engines |= {(layer.name, *one): 0.0 for one in datapaths if one[2] == Arithmetic()}
    return LossTable(edges=edges, engines=engines)
