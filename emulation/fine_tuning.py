"""A design as a torch module to fine-tune: forward in hardware mode, backward through the float network.

The forward pass gives exactly what the hardware computes: the network is lowered to integers with the present weights
and executed, and every tensor has those values. The backward pass is that of the float network on the same values, each
cast being passed straight through where it did not clip (Bengio et al. 2013). Units learn as well: with
``unit = base * 2**-f`` the gradient of a cast to the binary point f is ``ln 2 * (x - Q(x))`` where it did not clip and
``-ln 2 * Q(x)`` where it did, which follows from passing the rounding straight through in
``Q(x) = clip(round(x * 2**f)) * 2**-f`` (QFX, Dai et al. 2024, trains binary points that way).
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from emulation.block_tensors import BlockTensor
from emulation.execution import check_samples, trace
from emulation.float_execution import run_layer
from emulation.lowering import Assignment, lower
from emulation.network import MOVING_OPERATIONS, Input
from emulation.quantisers import ScaledQuantiser, ScaleKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.calibrated import CalibratedNetwork, Formats
    from emulation.hardware import HardwareNetwork
    from emulation.network import Layer, Network


class FineTuningModule(torch.nn.Module):
    """A network in chosen formats whose weights, biases and binary points are trainable.

    Power-of-two scales stay powers of two: the forward pass rounds their binary points. Blocks have scales of their own
    and no binary point.

    Attributes:
        weights: a parameter per layer with weights, float64 as the network holds them, so that an untrained module
            equals the design bit for bit; the layer's shape ``(outputs, ...)``.
        biases: a parameter per layer with a bias, float64, shape ``(outputs,)``.
        edge_points: the binary point f of each edge's unit, ``unit = calibrated unit * 2**-f``, 0 at first: float64,
            shape ``(1,)``.
        weight_points: the same of each weight tensor's units, shape ``(1,)``, or ``(outputs,)`` where each output
            channel has one.
    """

    def __init__(self, calibrated: CalibratedNetwork, formats: Formats) -> None:
        """A module that computes what ``calibrated.lower(formats)`` does.

        Args:
            calibrated: the network with its ranges.
            formats: a format for each edge and weight tensor, and how engines multiply and sum.

        Raises:
            ValueError: if a format cannot be scaled to its edge or weights; what hardware mode does not define is
                refused by the first forward pass (`hardware`).
        """
        super().__init__()
        self._network = calibrated.network
        self._assignment = calibrated.assignment(formats)
        layers = [layer for layer in self._network.layers if layer.weight is not None]
        self.weights = torch.nn.ParameterDict({_key(layer.name): _parameter(layer.weight) for layer in layers})
        self.biases = torch.nn.ParameterDict(
            {_key(layer.name): _parameter(layer.bias) for layer in layers if layer.bias is not None}
        )
        self.edge_points = _binary_points(self._assignment.edges)
        self.weight_points = _binary_points(self._assignment.weights)

    def network(self) -> Network:
        """The float network with the present weights and biases, to be calibrated and measured again."""
        layers = tuple(
            dataclasses.replace(
                layer,
                weight=_read(self.weights, layer.name),
                bias=_read(self.biases, layer.name),
            )
            if _key(layer.name) in self.weights
            else layer
            for layer in self._network.layers
        )
        return dataclasses.replace(self._network, layers=layers)

    def assignment(self) -> Assignment:
        """The quantisers with the present units."""
        return dataclasses.replace(
            self._assignment,
            edges=_moved(self._assignment.edges, self.edge_points),
            weights=_moved(self._assignment.weights, self.weight_points),
        )

    def hardware(self) -> HardwareNetwork:
        """The design in integers with the present weights, biases and units: what `forward` executes.

        Raises:
            ValueError: if weights are not finite any more, or an edge or a weight tensor has no format, or one that
                hardware mode does not define there.
        """
        return lower(self.network(), self.assignment())

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Run samples through the design, with gradients.

        Args:
            samples: real numbers, shape ``(batch, *sample)``, any floating dtype (rounded to float32) and device.

        Returns:
            Real values of the network's output: float32, shape ``(batch, *output)``, on the samples' device; exactly
            the integers of `emulation.execution.execute` times ``hardware().output_unit``.

        Raises:
            TypeError: if samples are no tensor.
            ValueError: if a sample holds NaN or has the wrong shape, there is none, or `hardware` refuses the design.
        """
        if not isinstance(samples, torch.Tensor):
            raise TypeError(f"samples must be a torch tensor, got a {type(samples).__name__}: use torch.as_tensor")
        check_samples(self._network, tuple(samples.shape))
        samples = samples.float()
        hardware = self.hardware()
        inputs = samples.detach().cpu().numpy()
        exact = trace(hardware, hardware.cast_samples(inputs))
        tensors: dict[str, torch.Tensor] = {}
        for layer in self._network.layers:
            edge = self._network.edge_of(layer.name)
            if isinstance(layer.operation, Input):
                values = samples
            else:
                values = run_layer(
                    layer, [tensors[name] for name in layer.inputs], self._cast_parameters(layer, hardware)
                )
            if not isinstance(layer.operation, MOVING_OPERATIONS):
                quantiser = hardware.edges[edge]
                result = torch.from_numpy(_real(exact[layer.name], quantiser).astype(np.float32)).to(samples.device)
                values = _straight_through(values, result, quantiser, _point(self.edge_points, edge))
            tensors[layer.name] = values
        return tensors[self._network.output]

    def _cast_parameters(
        self, layer: Layer, hardware: HardwareNetwork
    ) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Weights as the hardware has them, and biases, both with gradients."""
        key = _key(layer.name)
        if key not in self.weights:
            return None
        weight = self.weights[key]
        quantiser = next(one.second for one in hardware.layers if one.layer.name == layer.name)
        if quantiser is None:
            raise ValueError(f"layer {layer.name!r} has no weight quantiser")
        exact = torch.from_numpy(quantiser.cast(weight.detach().cpu().numpy())).to(weight.device)
        cast = _straight_through(weight, exact, quantiser, _point(self.weight_points, layer.name))
        bias = self.biases[key].float() if key in self.biases else None
        return cast.float(), bias


class _Context(Protocol):
    """What torch keeps from a forward pass to the backward one, as `_StraightThrough` uses it."""

    saved_tensors: tuple[torch.Tensor, torch.Tensor]
    point_shape: torch.Size

    def save_for_backward(self, inside: torch.Tensor, slope: torch.Tensor) -> None: ...


class _StraightThrough(torch.autograd.Function):
    """A cast whose result is known: gradients as the module's docstring says."""

    @staticmethod
    def forward(
        context: _Context,
        values: torch.Tensor,
        point: torch.Tensor,
        result: torch.Tensor,
        bounds: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        low, high = bounds
        inside = (values >= low) & (values <= high)
        context.save_for_backward(inside, torch.where(inside, values.detach() - result, -result))
        context.point_shape = point.shape
        return result

    @staticmethod
    def backward(context: _Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inside, slope = context.saved_tensors
        (gradient,) = gradients
        moved = math.log(2.0) * gradient * slope
        shape = context.point_shape
        rows = moved.reshape(shape[0], -1).sum(dim=1) if shape.numel() > 1 else moved.sum().reshape(shape)
        return gradient * inside, rows, None, None


def _straight_through(
    values: torch.Tensor, result: torch.Tensor, quantiser: ScaledQuantiser, point: torch.Tensor | None
) -> torch.Tensor:
    """``result`` with gradients to the values and the binary point (blocks have no point and clip nothing)."""
    if point is None:
        point, low, high = torch.zeros(1), torch.tensor(-math.inf), torch.tensor(math.inf)
    else:
        unit = torch.from_numpy(quantiser.unit).to(values.device)
        unit = unit.reshape((-1,) + (1,) * (values.ndim - 1) if unit.numel() > 1 else ())
        low, high = unit * quantiser.grid.low, unit * quantiser.grid.high
    cast: torch.Tensor = _StraightThrough.apply(  # type: ignore[no-untyped-call]  # torch has no types here
        values, point, result.to(values.dtype), (low, high)
    )
    return cast


def _real(tensor: EdgeTensor, quantiser: ScaledQuantiser) -> NDArray[np.float64]:
    """Real values of a tensor of hardware mode."""
    if isinstance(tensor, BlockTensor):
        return tensor.values()
    real: NDArray[np.float64] = tensor.astype(np.float64) * quantiser.unit[0]
    return real


def _binary_points(quantisers: Mapping[str, ScaledQuantiser]) -> torch.nn.ParameterDict:
    return torch.nn.ParameterDict(
        {
            _key(name): torch.nn.Parameter(torch.zeros(quantiser.unit.size, dtype=torch.float64))
            for name, quantiser in quantisers.items()
            if quantiser.blocks is None
        }
    )


def _moved(quantisers: Mapping[str, ScaledQuantiser], points: torch.nn.ParameterDict) -> dict[str, ScaledQuantiser]:
    """The quantisers with their units divided by ``2**point``."""
    return {name: _with_point(quantiser, _point(points, name)) for name, quantiser in quantisers.items()}


def _with_point(quantiser: ScaledQuantiser, point: torch.Tensor | None) -> ScaledQuantiser:
    if point is None:
        return quantiser
    shift = point.detach().cpu().numpy()
    if quantiser.quantiser.scaling.kind is ScaleKind.POWER_OF_TWO:
        shift = np.rint(shift)
    return dataclasses.replace(quantiser, unit=quantiser.unit * np.exp2(-shift))


def _point(points: torch.nn.ParameterDict, name: str) -> torch.Tensor | None:
    found: torch.Tensor | None = points.get(_key(name))
    return found


def _parameter(values: NDArray[np.float64] | None) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.from_numpy(np.array(values, dtype=np.float64)))


def _read(parameters: torch.nn.ParameterDict, name: str) -> NDArray[np.float64] | None:
    key = _key(name)
    return parameters[key].detach().cpu().numpy().copy() if key in parameters else None


def _key(name: str) -> str:
    """A layer's name as torch allows it in parameters, which take dots for submodules."""
    return name.replace("%", "%25").replace(".", "%2e")
