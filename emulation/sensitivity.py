"""What a format costs in accuracy, one tensor or one layer at a time.

A *probe* quantises one edge, or emulates one engine exactly, and leaves the rest of the network in float32. Only what
depends on it is recomputed. Losses are measured against the float network on the same samples. Several probes at once
show what their losses do not say one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from emulation.block_tensors import cast_blocks
from emulation.datapaths import Arithmetic
from emulation.engines import activation_engine, lower_engine, product_unit
from emulation.execution import accumulate, exact_integers
from emulation.float_execution import Tensors, apply_activation, rerun, run_float, run_layer
from emulation.function_lowering import lower_function
from emulation.function_operations import Lstm
from emulation.hardware import HardwareLayer
from emulation.losses import Losses, yardstick
from emulation.network import Convolution, Layer, MatMul
from emulation.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.calibrated import CalibratedNetwork
    from emulation.formats import Format
    from emulation.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeProbe:
    """Quantise one edge for all its readers."""

    edge: str
    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProbe:
    """Emulate one engine: its input in ``activation``, its weights in ``weight`` (None: float weights).

    Where it multiplies two activations, ``weight`` is the format of the right-hand one. ``arithmetic`` says how it
    multiplies and sums; with float weights it has no meaning.
    """

    layer: str
    activation: Format
    weight: Format | None
    arithmetic: Arithmetic = field(default_factory=Arithmetic)


Probe: TypeAlias = EdgeProbe | EngineProbe


def place_of(probe: Probe) -> str:
    """Name of the layer whose output a probe changes."""
    return probe.edge if isinstance(probe, EdgeProbe) else probe.layer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """What a probe does: the tensor it changes, shape ``(samples, *layer.shape)``, and the network's outputs."""

    changed: torch.Tensor
    outputs: NDArray[np.float32]


class SensitivityBench:
    """Measures probes on fixed samples; the tensors of the float run are kept, so a probe recomputes only a suffix.

    Probes may be measured from several threads at once.
    """

    def __init__(
        self,
        calibrated: CalibratedNetwork,
        samples: NDArray[np.float32],
        labels: NDArray[np.int64],
        task: Task = CLASSIFICATION,
    ) -> None:
        self.calibrated = calibrated
        self.network = calibrated.network
        self.tensors: Tensors = run_float(self.network, samples)
        self.yardstick = yardstick(self.tensors[self.network.output].numpy(), labels, task)

    def measure(self, probe: Probe) -> Losses:
        """Losses with only this probe quantised."""
        return self.yardstick.losses(self.respond(probe).outputs)

    def respond(self, probe: Probe) -> Response:
        """What becomes of the probe's own tensor and of the network's outputs."""
        layer = self.network.by_name[place_of(probe)]
        changed = self._values(probe, self.tensors)
        suffix = tuple(self.network.descendants(layer.name))
        tensors = rerun({**self.tensors, layer.name: changed}, suffix)
        return Response(changed=changed, outputs=tensors[self.network.output].numpy())

    def measure_together(self, probes: Sequence[Probe]) -> Losses:
        """Losses with several probes at once, each on what those before it left; at one place in the order given."""
        tensors = dict(self.tensors)
        touched: set[str] = set()
        for layer in self.network.layers:
            here = [probe for probe in probes if place_of(probe) == layer.name]
            if touched.intersection(layer.inputs):
                tensors = rerun(tensors, (layer,))
            elif not here:
                continue
            for probe in here:
                tensors[layer.name] = self._values(probe, tensors)
            touched.add(layer.name)
        return self.yardstick.losses(tensors[self.network.output].numpy())

    def _values(self, probe: Probe, tensors: Tensors) -> torch.Tensor:
        if isinstance(probe, EdgeProbe):
            return self._edge_values(probe, tensors)
        return self._engine_values(self.network.by_name[probe.layer], probe, tensors)

    def _edge_values(self, probe: EdgeProbe, tensors: Tensors) -> torch.Tensor:
        quantiser = self.calibrated.edge(probe.edge, probe.format)
        return torch.from_numpy(quantiser.cast(tensors[probe.edge].numpy()).astype(np.float32))

    def _product_values(self, layer: Layer, second: Format, probe: EngineProbe, tensors: Tensors) -> torch.Tensor:
        edges = self.network.input_edges(layer)
        sources = [self.calibrated.edge(*one) for one in zip(edges, (probe.activation, second), strict=True)]
        engine = activation_engine(layer, sources[0], sources[1], probe.arithmetic)
        hardware_layer = HardwareLayer(layer=layer, engine=engine, output=sources[0])
        inputs = [
            exact_integers(source.integers(tensors[name].numpy()))
            for source, name in zip(sources, layer.inputs, strict=True)
        ]
        real = accumulate(hardware_layer, inputs).astype(np.float64) * product_unit(layer, sources, engine)
        return apply_activation(layer.activation, torch.from_numpy(real.astype(np.float32)), channel_axis=-1)

    def _engine_values(self, layer: Layer, probe: EngineProbe, tensors: Tensors) -> torch.Tensor:
        if isinstance(layer.operation, MatMul) and probe.weight is not None:
            return self._product_values(layer, probe.weight, probe, tensors)
        if layer.weight is None:
            raise ValueError(
                f"layer {layer.name!r} ({layer.kind}) has no weights to emulate: "
                "measure the edges it reads with EdgeProbe"
            )
        source = self.calibrated.edge(self.network.input_edges(layer)[0], probe.activation)
        values = tensors[layer.inputs[0]].numpy()
        if probe.weight is None:
            return run_layer(layer, [torch.from_numpy(source.cast(values).astype(np.float32))])
        weights = self.calibrated.weights(layer.name, probe.weight)
        if isinstance(layer.operation, Lstm):
            rule = self.calibrated.scalings.requantisation
            recurrent = lower_function(layer, source, weights, source, rule)
            states = accumulate(recurrent, [source.integers(values)]).astype(np.float64)
            unit = 2.0**-layer.operation.formats.hidden.fraction_bits
            return torch.from_numpy((states * unit).astype(np.float32))
        lowered = lower_engine(layer, source, weights, probe.arithmetic)
        engine = HardwareLayer(
            layer=layer,
            weight=lowered.weight,
            bias=lowered.bias,
            engine=lowered.engine,
            output=source,
            second=weights,
        )
        inputs = source.integers(values) if source.blocks is None else cast_blocks(values, source)
        sums = accumulate(engine, [inputs]).astype(np.float64)
        channel_axis = 1 if isinstance(layer.operation, Convolution) else -1
        shape = [1] * sums.ndim
        shape[channel_axis] = -1
        real = sums * lowered.units.reshape(shape)
        return apply_activation(layer.activation, torch.from_numpy(real.astype(np.float32)), channel_axis=channel_axis)
