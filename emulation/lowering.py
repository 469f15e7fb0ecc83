"""Lower a network and a choice of formats to integers (DESIGN section 6).

All real numbers end here: units become dyadic multipliers, biases become integers of the accumulator's unit. From here
on nothing is rounded but by the requantisers.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from emulation.compatibility import edge_can_have
from emulation.datapaths import Arithmetic, Requantisation
from emulation.engines import activation_engine, lower_engine, product_unit
from emulation.function_lowering import is_function, lower_function
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
    Multiply,
    Network,
    PRelu,
    Relu,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulation.quantisers import ScaledQuantiser


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The numbers of a whole design: a scaled quantiser per edge and per weight tensor.

    ``engines`` holds the arithmetic of engines by layer name (a missing one is exact), ``requantisation`` says how
    accumulators of every layer become codes.
    """

    edges: Mapping[str, ScaledQuantiser]
    weights: Mapping[str, ScaledQuantiser]
    engines: Mapping[str, Arithmetic] = field(default_factory=dict)
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
    for edge, quantiser in assignment.edges.items():
        if not edge_can_have(network, edge, quantiser.format):
            raise ValueError(
                f"the edge of layer {edge!r} cannot be {quantiser.format}. Blocks need readers that are all ungrouped "
                "convolutions or linear layers reading their channels directly, and a layer with accumulators (or the "
                "samples, or a concatenation) to write them, and the network's output has one scale; listed levels "
                "need a 0 for padding; levels that are learned are for weights; codes that index the table of an "
                "activation have at most 10 bits, and its results are integers or minifloats"
            )
    layers = tuple(_lower_layer(network, layer, assignment) for layer in network.layers)
    return HardwareNetwork(network=network, layers=layers, edges=dict(assignment.edges))


def _lower_layer(network: Network, layer: Layer, assignment: Assignment) -> HardwareLayer:
    output = assignment.edges[network.edge_of(layer.name)]
    inputs = [assignment.edges[edge] for edge in network.input_edges(layer)]
    operation, rule = layer.operation, assignment.requantisation
    if isinstance(operation, (Input, *MOVING_OPERATIONS)):
        return HardwareLayer(layer=layer, output=output)
    if is_function(layer):
        return lower_function(layer, inputs[0], assignment.weights.get(layer.name), output, rule)
    if isinstance(operation, Convolution | Linear):
        arithmetic = assignment.engines.get(layer.name, Arithmetic())
        return _lower_weights(layer, inputs[0], assignment.weights[layer.name], arithmetic, output, rule)
    if isinstance(operation, MatMul):
        engine = activation_engine(layer, inputs[0], inputs[1], assignment.engines.get(layer.name, Arithmetic()))
        scales = [product_unit(layer, inputs, engine) / float(output.unit[0])]
        requantiser = _requantiser(layer, scales, output, rule)
        return HardwareLayer(layer=layer, engine=engine, requantiser=requantiser, output=output)
    if isinstance(operation, AveragePool):
        scales = [float(inputs[0].unit[0] / (operation.window.taps * output.unit[0]))]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, Activate):
        scales = [float(inputs[0].unit[0] / output.unit[0])]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, Multiply):
        scales = [float(inputs[0].unit[0] * inputs[1].unit[0] / output.unit[0])]
        return HardwareLayer(layer=layer, requantiser=_requantiser(layer, scales, output, rule), output=output)
    if isinstance(operation, Add):
        return _lower_add(layer, inputs, output, rule)
    if isinstance(operation, Concat):
        parts = tuple(_requantiser(layer, [float(part.unit[0] / output.unit[0])], output, rule) for part in inputs)
        return HardwareLayer(layer=layer, part_requantisers=parts, output=output)
    raise ValueError(f"hardware mode does not define {layer.kind} (layer {layer.name!r})")


def _lower_weights(  # noqa: PLR0917 - all that decides a layer with weights
    layer: Layer,
    source: ScaledQuantiser,
    weights: ScaledQuantiser,
    arithmetic: Arithmetic,
    output: ScaledQuantiser,
    rule: Requantisation,
) -> HardwareLayer:
    lowered = lower_engine(layer, source, weights, arithmetic)
    scales = [float(unit / output.unit[0]) for unit in lowered.units]
    return HardwareLayer(
        layer=layer,
        weight=lowered.weight,
        bias=lowered.bias,
        engine=lowered.engine,
        requantiser=_requantiser(layer, scales, output, rule),
        output=output,
        second=weights,
    )


def _lower_add(
    layer: Layer, inputs: Sequence[ScaledQuantiser], output: ScaledQuantiser, rule: Requantisation
) -> HardwareLayer:
    # The sum of v_i * b_i is the accumulator; its requantiser only shifts, rounds once and saturates.
    factors = dyadic([float(source.unit[0] / output.unit[0]) for source in inputs], rule.multiplier_bits)
    base = _requantiser(layer, [1.0], output, rule)
    # Without slopes the multiplier of the sum is 1: drop it, so that one shift remains.
    shift_only = {"multipliers": (1,), "shift": 0} if base.negative_multipliers is None else {}
    base = dataclasses.replace(base, **shift_only)  # type: ignore[arg-type]
    shift = base.shift + factors.shift
    requantiser = dataclasses.replace(base, shift=shift, ceiling=_ceiling(layer, output, shift))
    return HardwareLayer(layer=layer, addend_multipliers=factors.multipliers, requantiser=requantiser, output=output)


def _requantiser(layer: Layer, scales: Sequence[float], output: ScaledQuantiser, rule: Requantisation) -> Requantiser:
    """The requantiser for real factors ``scales`` (one, or one per output channel) and the layer's activation.

    All channels share one shift (rule 10), so a channel with a small factor gets a multiplier of fewer bits. Measured
    on the built-in workloads with 16 bits, the least multiplier keeps 11 or more, and 31 bits change the mean error of
    the outputs by less than a fiftieth of itself. So the width is what the datapath says and never grows unasked.
    """
    grid = output.grid
    low, high = grid.low, grid.high
    slopes: tuple[float, ...] = ()
    if isinstance(layer.activation, Relu):
        low = max(low, 0)
        if layer.activation.ceiling is not None and output.blocks is None:
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
        levels=grid.levels,
        least=grid.least,
        blocks=output.blocks,
        block_axis=output.block_axis,
        ceiling=_ceiling(layer, output, factors.shift),
    )


def _ceiling(layer: Layer, output: ScaledQuantiser, shift: int) -> int | None:
    """The bound that ReLU6 sets to ``A * b`` before it is cast to blocks."""
    activation = layer.activation
    if output.blocks is None or not isinstance(activation, Relu) or activation.ceiling is None:
        return None
    return round(Fraction(activation.ceiling) / Fraction(float(output.unit[0])) * Fraction(2) ** shift)
