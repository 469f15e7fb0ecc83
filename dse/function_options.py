"""Choices for layers that are functions: recurrent layers, and activation functions by a polynomial."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

from dse.architecture import multiplier_styles, offered_foldings
from dse.decision_tables import Choice
from emulation.function_operations import Lstm
from hwmodels.polynomial import gelu_cost
from hwmodels.recurrent import LstmShape, cells_at_once, lstm_cost
from kernels.integer_constants import gelu_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dse.preparation import Prepared
    from dse.sweep import LossTable
    from emulation.network import Layer
    from hwmodels.devices import Device


def lstm_choices(prepared: Prepared, losses: LossTable, device: Device, layer: Layer) -> Iterator[Choice]:
    """An LSTM in every pair of formats under every folding that divides its rows, inputs and states.

    Raises:
        TypeError: for any other layer.
    """
    operation = layer.operation
    if not isinstance(operation, Lstm) or layer.weight is None:
        raise TypeError(f"layer {layer.name!r} ({layer.kind}) is no LSTM")
    steps, hidden = layer.shape
    features = layer.weight.shape[1] - hidden
    shape = LstmShape(steps=steps, features=features, hidden=hidden, formats=operation.formats)
    offered = [
        folding
        for folding in offered_foldings(prepared.config, shape.of_inputs, device, is_product=True)
        if hidden % folding.simd == 0
    ]
    for activation, weight, arithmetic in prepared.datapaths(layer):
        for folding in offered:
            cost = lstm_cost(
                shape,
                weight_format=weight,
                activation_format=activation,
                folding=folding,
                device=device,
                multiplier_bits=prepared.calibrated.scalings.requantisation.multiplier_bits,
            )
            yield Choice(
                inputs=(activation,),
                weight=weight,
                arithmetic=arithmetic,
                folding=folding,
                requantisers=cells_at_once(folding, shape),
                cost=cost,
                loss=losses.engines[layer.name, activation, weight, arithmetic],
            )


def polynomial_choices(prepared: Prepared, device: Device, layer: Layer, lanes: Sequence[int]) -> Iterator[Choice]:
    """A GELU by a polynomial in every format of its input, several values at once."""
    edge = prepared.network.input_edges(layer)[0]
    for number_format in prepared.edge_menu(edge):
        source = prepared.calibrated.edge(edge, number_format)
        fields = gelu_fields(Fraction(float(source.unit[0])), magnitude=source.grid.largest)
        for count, style in itertools.product(lanes, multiplier_styles(device)):
            cost = gelu_cost(
                number_format,
                fields,
                elements=layer.elements,
                lanes=count,
                device=device,
                multiplier_bits=prepared.calibrated.scalings.requantisation.multiplier_bits,
                multipliers=style,
            )
            yield Choice(inputs=(number_format,), lanes=count, requantisers=count, cost=cost)
