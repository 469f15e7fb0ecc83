"""Lower a network and a choice of formats to integers (DESIGN section 6, rules 1 to 10 and 14 to 16).

All real numbers end here: units become dyadic multipliers, biases become integers of the accumulator's unit. From here
on nothing is rounded but by the requantisers.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.hardware import HardwareLayer, HardwareNetwork, Requantiser, dyadic
from emulation.network import (
    MOVING_OPERATIONS,
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MatMul,
    Network,
    PRelu,
    Relu,
)
from emulation.quantisers import Requantisation, ScaledQuantiser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The numbers of a whole design: a scaled quantiser per edge and per weight tensor.

    ``requantisation`` says how accumulators of every layer become codes.
    """

    edges: Mapping[str, ScaledQuantiser]
    weights: Mapping[str, ScaledQuantiser]
    requantisation: Requantisation = field(default_factory=Requantisation)


def lower(network: Network, assignment: Assignment) -> HardwareNetwork:
    """Turn every constant of a network into an integer.

    Args:
        network: the network as read.
        assignment: quantisers of all its edges and weights; edges have one unit each.

    Raises:
        ValueError: for a missing quantiser (the layer is named), or an operation hardware mode does not define.
    """
    missing = [edge for edge in network.edges if edge not in assignment.edges]
    missing += [
        layer.name for layer in network.layers if layer.weight is not None and layer.name not in assignment.weights
    ]
    if missing:
        raise ValueError(f"no quantiser is assigned to {missing}: every edge and every weight tensor needs one")
    layers = tuple(_lower_layer(network, layer, assignment) for layer in network.layers)
    return HardwareNetwork(network=network, layers=layers, edges=dict(assignment.edges))


def _lower_layer(network: Network, layer: Layer, assignment: Assignment) -> HardwareLayer:
    output = assignment.edges[network.edge_of(layer.name)]
    inputs = [assignment.edges[edge] for edge in network.input_edges(layer)]
    operation, rule = layer.operation, assignment.requantisation
    if isinstance(operation, (Input, *MOVING_OPERATIONS)):
        return HardwareLayer(layer=layer, output=output)
    if isinstance(operation, Convolution | Linear):
        return _lower_weights(layer, inputs[0], assignment.weights[layer.name], output, rule)
    if isinstance(operation, MatMul):
        scales = [float(inputs[0].unit[0] * inputs[1].unit[0] / output.unit[0])]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, AveragePool):
        scales = [float(inputs[0].unit[0] / (operation.window.taps * output.unit[0]))]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, Activate):
        scales = [float(inputs[0].unit[0] / output.unit[0])]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, Add):
        return _lower_add(layer, inputs, output, rule)
    if isinstance(operation, Concat):
        parts = tuple(_requantiser(layer, [float(part.unit[0] / output.unit[0])], output, rule) for part in inputs)
        return HardwareLayer(layer=layer, part_requantisers=parts, output=output)
    raise ValueError(f"hardware mode does not define {layer.kind} (layer {layer.name!r})")


def _lower_weights(
    layer: Layer,
    source: ScaledQuantiser,
    weights: ScaledQuantiser,
    output: ScaledQuantiser,
    rule: Requantisation,
) -> HardwareLayer:
    weight, bias = integer_weights(layer, source, weights)
    scales = [float(unit * source.unit[0] / output.unit[0]) for unit in weights.unit]
    return HardwareLayer(
        layer=layer,
        weight=weight,
        bias=bias,
        requantiser=_requantiser(layer, scales, output, rule),
        output=output,
        second=weights,
    )


def integer_weights(
    layer: Layer, source: ScaledQuantiser, weights: ScaledQuantiser
) -> tuple[NDArray[Any], tuple[int, ...] | None]:
    """The integers of a layer's weights, and of its biases in the accumulator's unit, half to even (rule 7)."""
    if layer.weight is None:
        raise ValueError(f"layer {layer.name!r} has no weights")
    integers = _as_integers(weights.integers(layer.weight))
    if layer.bias is None:
        return integers, None
    units = np.broadcast_to(weights.unit * source.unit[0], layer.bias.shape)
    return integers, tuple(round(float(value) / float(unit)) for value, unit in zip(layer.bias, units, strict=True))


def _as_integers(values: NDArray[np.float64]) -> NDArray[Any]:
    """int64 where it fits; Python integers for minifloats with a wider range."""
    if values.size == 0 or np.abs(values).max() < 2.0**62:
        return values.astype(np.int64)
    return np.array([int(value) for value in values.ravel()], dtype=object).reshape(values.shape)


def _lower_add(
    layer: Layer, inputs: Sequence[ScaledQuantiser], output: ScaledQuantiser, rule: Requantisation
) -> HardwareLayer:
    # The sum of v_i * b_i is the accumulator; its requantiser only shifts, rounds once and saturates.
    factors = dyadic([float(source.unit[0] / output.unit[0]) for source in inputs], rule.multiplier_bits)
    base = _requantiser(layer, [1.0], output, rule)
    # Without slopes the multiplier of the sum is 1: drop it, so that one shift remains.
    shift_only = {"multipliers": (1,), "shift": 0} if base.negative_multipliers is None else {}
    base = dataclasses.replace(base, **shift_only)  # type: ignore[arg-type]
    requantiser = dataclasses.replace(base, shift=base.shift + factors.shift)
    return HardwareLayer(layer=layer, addend_multipliers=factors.multipliers, requantiser=requantiser, output=output)


def _requantiser(layer: Layer, scales: Sequence[float], output: ScaledQuantiser, rule: Requantisation) -> Requantiser:
    """The requantiser for real factors ``scales`` (one, or one per output channel) and the layer's activation."""
    grid = output.grid
    low, high = grid.low, grid.high
    slopes: tuple[float, ...] = ()
    if isinstance(layer.activation, Relu):
        low = max(low, 0)
        if layer.activation.ceiling is not None:
            high = min(high, int(output.integers(np.array([layer.activation.ceiling]))[0]))
    elif isinstance(layer.activation, PRelu):
        slopes = layer.activation.slopes
        if len(slopes) > 1 and len(scales) == 1:
            scales = list(scales) * len(slopes)
    negative = [scale * slopes[index % len(slopes)] for index, scale in enumerate(scales)] if slopes else []
    # Slopes share the shift of the positive side; their sign is kept apart because dyadic numbers are not negative.
    factors = dyadic([*scales, *(abs(value) for value in negative)], rule.multiplier_bits)
    positive, rest = factors.multipliers[: len(scales)], factors.multipliers[len(scales) :]
    signed = tuple(int(math.copysign(b, value)) for b, value in zip(rest, negative, strict=True))
    return Requantiser(
        multipliers=positive,
        negative_multipliers=signed if slopes else None,
        shift=factors.shift,
        low=low,
        high=high,
        mantissa_bits=grid.mantissa_bits,
        rounding=rule.rounding,
    )
