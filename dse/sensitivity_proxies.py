"""Sensitivity metrics that are computed beside the losses of a probe: output error, gradients, curvature, norms.

Formulas and sources: `dse.sensitivity_metrics.SensitivityMetric`. Gradients and traces are made once per network and
samples; a probe then costs a few passes over the tensor it changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from dse.sensitivity_metrics import SensitivityMetric
from emulation.float_execution import run_layer
from emulation.network import MOVING_OPERATIONS, Input
from emulation.sensitivity import EdgeProbe, place_of
from emulation.task_losses import summed_cross_entropy
from emulation.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emulation.calibrated import CalibratedNetwork
    from emulation.float_execution import Tensors
    from emulation.formats import Format
    from emulation.network import Layer, Network
    from emulation.sensitivity import EngineProbe, Probe, Response, SensitivityBench
    from emulation.tasks import Task

TRACE_SAMPLES = 128
"""Samples that Hessian traces are estimated on: HAWQ-V2 finds traces converged from 128 to 512 samples (section 4)."""
TRACE_DRAWS = 6
"""Draws of Hutchinson's estimator for each tensor; an edge's are averaged over the samples besides."""
TRACE_SEED = 0
"""Fixed, so that a sweep's numbers depend on the network and its samples alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """First and second derivatives of the cross-entropy to the labels.

    Attributes:
        gradients: of each sample's own loss with respect to each layer's output, shape ``(samples, *layer.shape)``.
        edge_traces: mean over samples of the trace of the Hessian with respect to a layer's output, over its elements.
        weight_traces: trace of the Hessian of the mean loss with respect to a layer's weights, over their number.
    """

    gradients: Mapping[str, torch.Tensor]
    edge_traces: Mapping[str, float]
    weight_traces: Mapping[str, float]


def slopes_of(
    network: Network, samples: NDArray[np.float32], labels: NDArray[np.int64], task: Task = CLASSIFICATION
) -> Slopes:
    """All derivatives of a float network on samples ``(samples, *sample)`` with the labels of the task."""
    shifts, _, loss = _loss(network, samples, labels, task)
    places = list(shifts)
    gradients = torch.autograd.grad(loss, [shifts[name] for name in places], allow_unused=True)
    first = np.linspace(0, len(samples) - 1, min(TRACE_SAMPLES, len(samples))).round().astype(np.int64)
    edge_traces, weight_traces = _traces(network, samples[first], labels[first], task)
    return Slopes(
        gradients={
            name: torch.zeros_like(shifts[name]) if found is None else found.detach()
            for name, found in zip(places, gradients, strict=True)
        },
        edge_traces=edge_traces,
        weight_traces=weight_traces,
    )


def _loss(
    network: Network, samples: NDArray[np.float32], labels: NDArray[np.int64], task: Task
) -> tuple[Tensors, Tensors, torch.Tensor]:
    """Zeros added to each layer's output, weights, and the sum of the losses as a function of both."""
    tensors: Tensors = {}
    shifts: Tensors = {}
    weights: Tensors = {}
    for layer in network.layers:
        if isinstance(layer.operation, Input):
            values = torch.from_numpy(np.ascontiguousarray(samples))
        else:
            parameters = None
            if layer.weight is not None:
                weights[layer.name] = torch.from_numpy(layer.weight.astype(np.float32)).requires_grad_()
                bias = None if layer.bias is None else torch.from_numpy(layer.bias.astype(np.float32))
                parameters = weights[layer.name], bias
            values = run_layer(layer, [tensors[name] for name in layer.inputs], parameters)
        if not isinstance(layer.operation, MOVING_OPERATIONS):
            shifts[layer.name] = torch.zeros_like(values, requires_grad=True)
            values = values + shifts[layer.name]
        tensors[layer.name] = values
    loss = summed_cross_entropy(tensors[network.output], labels, task)
    return shifts, weights, loss


def _traces(
    network: Network, samples: NDArray[np.float32], labels: NDArray[np.int64], task: Task
) -> tuple[dict[str, float], dict[str, float]]:
    """Hutchinson: the mean of v^T H v over signs v at random is the trace.

    Each tensor has draws of its own: in one draw for all, what others contribute averages out only slowly.
    """
    shifts, weights, loss = _loss(network, samples, labels, task)
    variables = [*shifts.values(), *weights.values()]
    gradients = torch.autograd.grad(loss, variables, create_graph=True, allow_unused=True)
    draw = torch.Generator().manual_seed(TRACE_SEED)
    # A shift holds all samples' tensors and the loss is a sum: both traces are divided by the samples, and by elements.
    elements = [one.numel() // len(samples) for one in shifts.values()] + [one.numel() for one in weights.values()]
    means = [
        _trace(variable, gradient, draw) / len(samples) / count
        for variable, gradient, count in zip(variables, gradients, elements, strict=True)
    ]
    return dict(zip(shifts, means[: len(shifts)], strict=True)), dict(zip(weights, means[len(shifts) :], strict=True))


def _trace(variable: torch.Tensor, gradient: torch.Tensor | None, draw: torch.Generator) -> float:
    if gradient is None or not gradient.requires_grad:
        return 0.0
    total = 0.0
    for _ in range(TRACE_DRAWS):
        signs = torch.randint(0, 2, variable.shape, generator=draw) * 2.0 - 1.0
        (product,) = torch.autograd.grad(gradient, variable, signs, retain_graph=True, allow_unused=True)
        total += 0.0 if product is None else float((signs * product).sum())
    return total / TRACE_DRAWS


@dataclass(frozen=True, kw_only=True, eq=False)
class ProxyBench:
    """Computes the metrics that are no losses, for the probes of a bench; may be used from several threads at once."""

    bench: SensitivityBench
    slopes: Slopes
    _weights: dict[tuple[str, Format], dict[SensitivityMetric, float]] = field(default_factory=dict, repr=False)
    _edges: dict[tuple[str, Format], dict[SensitivityMetric, float]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, bench: SensitivityBench, samples: NDArray[np.float32], labels: NDArray[np.int64]) -> ProxyBench:
        """The proxies of a bench, on the samples it was made with."""
        return cls(bench=bench, slopes=slopes_of(bench.network, samples, labels, bench.yardstick.task))

    @property
    def _calibrated(self) -> CalibratedNetwork:
        return self.bench.calibrated

    @cached_property
    def _logit_energy(self) -> float:
        logits = self.bench.tensors[self.bench.network.output].double()
        return max(float(((logits - logits.mean(dim=0)) ** 2).sum()), 1e-300)

    def values(self, probe: Probe, response: Response) -> dict[str, float]:
        """Every proxy of a probe, by the name of its metric."""
        place = place_of(probe)
        with torch.inference_mode():
            change = (response.changed - self.bench.tensors[place]).flatten(1)
            slope = (self.slopes.gradients[place].flatten(1) * change).sum(dim=1).double()
            error = torch.from_numpy(response.outputs) - self.bench.tensors[self.bench.network.output]
            found = {
                SensitivityMetric.OUTPUT_ERROR: float((error.double() ** 2).sum()) / self._logit_energy,
                SensitivityMetric.FISHER: float((slope**2).mean()) / 2,
                SensitivityMetric.GRADIENT: float(slope.abs().mean()),
            }
        if isinstance(probe, EdgeProbe):
            found |= self._edge(probe.edge, probe.format)
        else:
            found |= self._engine(self.bench.network.by_name[probe.layer], probe)
        return {metric.value: value for metric, value in found.items()}

    def _engine(self, layer: Layer, probe: EngineProbe) -> dict[SensitivityMetric, float]:
        """Of its operands: how an engine multiplies and sums is not seen by these."""
        edges = self.bench.network.input_edges(layer)
        parts = [self._edge(edges[0], probe.activation)]
        if probe.weight is not None:
            parts.append(
                self._edge(edges[1], probe.weight) if layer.weight is None else self._weight(layer, probe.weight)
            )
        return {metric: sum(part[metric] for part in parts) for metric in parts[0]}

    def _edge(self, edge: str, number_format: Format) -> dict[SensitivityMetric, float]:
        key = edge, number_format
        if key not in self._edges:
            values = self.bench.tensors[edge].numpy()
            error = self._calibrated.edge(edge, number_format).cast(values) - values
            size = math.sqrt(float(np.mean(np.square(values, dtype=np.float64))) * values[0].size)
            self._edges[key] = {
                SensitivityMetric.HESSIAN: self.slopes.edge_traces[edge] * float(np.sum(error**2)) / len(values),
                SensitivityMetric.NORM: _norm(size, float(values.std()), number_format),
            }
        return self._edges[key]

    def _weight(self, layer: Layer, number_format: Format) -> dict[SensitivityMetric, float]:
        key = layer.name, number_format
        if key not in self._weights:
            values = layer.weight if layer.weight is not None else np.zeros(1)
            error = self._calibrated.weights(layer.name, number_format).cast(values) - values
            trace = self.slopes.weight_traces[layer.name]
            self._weights[key] = {
                SensitivityMetric.HESSIAN: trace * float(np.sum(error**2)),
                SensitivityMetric.NORM: _norm(float(np.linalg.norm(values)), float(values.std()), number_format),
            }
        return self._weights[key]


def _norm(size: float, deviation: float, number_format: Format) -> float:
    return size * deviation**2 * 4.0**-number_format.width
