"""Whatever hardware mode defines for a layer has a price, over the whole catalogue."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dse.exports.engine_entries import takes_inputs_in_order
from dse.menus import is_for_weights_only
from emulation.catalogue import CATALOGUE
from emulation.compatibility import edge_can_have, engine_can_use
from emulation.datapaths import parse_arithmetic
from emulation.engines import scalar_engine
from emulation.grids import is_blocked
from emulation.network import Convolution, Input, Layer, Network, Relu, Window
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_costs
from hwmodels.folding import foldings
from hwmodels.output_stage import output_stage_cost
from hwmodels.registers import names_its_chunk
from hwmodels.sums import usable_foldings

DEVICE = load_device("xczu7ev")
FORMATS = tuple(dict.fromkeys(entry.format for entry in CATALOGUE))
ARITHMETICS = [
    "exact / exact",
    "l-mul-formula / exact",
    "l-mul-field / int20 wrap",
    "l-mul-field-clamped / exact",
    "l-mul-field-clamped / fixed<24,8> wrap",
    "exact / fixed<24,8> floor chunk 4",
    "exact / e5m10 pairwise chunk 4",
]


def network():
    window = Window(kernel=(2, 2), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1))
    layers = (
        Layer(name="in", operation=Input(), inputs=(), shape=(8, 3, 3)),
        Layer(
            name="conv",
            operation=Convolution(window=window),
            inputs=("in",),
            shape=(4, 2, 2),
            weight=np.ones((4, 8, 2, 2)),
            activation=Relu(),
        ),
    )
    return Network(name="small", layers=layers, output="conv")


@pytest.mark.parametrize("arithmetic", [*ARITHMETICS, "exact / aligned24"])
def test_every_datapath_of_the_catalogue_has_a_price(arithmetic):
    small = network()
    layer, chosen = small.by_name["conv"], parse_arithmetic(arithmetic)
    shape = EngineShape.from_layer(small, layer)
    offered = foldings(shape.outputs, shape.depth, max_lanes=32)  # four taps, each with a block of its own
    priced = 0
    for weight, activation in itertools.product(FORMATS, FORMATS):
        if not edge_can_have(small, "in", activation) or not engine_can_use(layer, activation, weight, chosen):
            continue
        usable = usable_foldings(offered, shape, weight_format=weight, activation_format=activation, arithmetic=chosen)
        assert usable, (str(weight), str(activation))
        costs = engine_costs(
            shape,
            weight_format=weight,
            activation_format=activation,
            foldings=(usable[0], usable[-1]),
            device=DEVICE,
            arithmetic=chosen,
        )
        assert all(cost.luts > 0 and cost.flip_flops > 0 and 0 < cost.error_band < 1 for cost in costs)
        assert all(cost.interval_cycles > 0 for cost in costs)
        priced += 1
    assert priced > 100


@pytest.mark.parametrize(
    "arithmetic", [*ARITHMETICS, "exact / int20 wrap", "exact / fixed<40,20> wrap", "exact / int20"]
)
def test_sums_that_depend_on_their_order_are_offered_in_their_chunks_only(arithmetic):
    """The costs' rule, which reads formats alone, covers every engine whose register rounds or saturates."""
    layer, chosen = network().by_name["conv"], parse_arithmetic(arithmetic)
    seen = set()
    for weight, activation in itertools.product(FORMATS, FORMATS):
        if is_blocked(weight) or is_blocked(activation) or not engine_can_use(layer, activation, weight, chosen):
            continue
        ordered = takes_inputs_in_order(scalar_engine(activation, weight, chosen))
        assert names_its_chunk(chosen, weight, activation) == ordered, (str(weight), str(activation))
        seen.add(ordered)
    assert seen


def test_every_edge_of_the_catalogue_has_an_output_stage():
    small = network()
    found = [one for one in FORMATS if edge_can_have(small, "in", one)]
    assert len(found) > 20
    assert not any(is_for_weights_only(one) for one in found)
    for one in found:
        assert output_stage_cost(one, requantisers=2, device=DEVICE).luts > 0, str(one)
