"""Tables, softmax, layer norm and selections: memories as they pack, widths as the constants need them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from emulation.formats import FixedPoint, MiniFloat
from emulation.function_operations import LayerNorm, Softmax
from emulation.network import Input, Layer, Network, Select
from hwmodels.devices import load_device
from hwmodels.folding import MultiplierStyle
from hwmodels.functions import layer_norm_cost, row_cost, select_cost, softmax_cost, table_cost
from hwmodels.rtl.activations import TABLE_ACTIVATION
from hwmodels.rtl.shifters import BARREL_SHIFTER
from hwmodels.streaming import first_output_share
from kernels.integer_constants import layer_norm_fields, softmax_fields

DEVICE = load_device("xc7z020")
INT6, INT8, INT10 = (FixedPoint(width=width) for width in (6, 8, 10))
E4M3 = MiniFloat(exponent_bits=4, mantissa_bits=3)
SOFTMAX = softmax_fields(Fraction(1, 16), length=64, magnitude=128)
NORM = layer_norm_fields(Fraction(1, 16), length=64, magnitude=128, epsilon=Fraction(1, 100_000))


def table(index: Any, entry: Any, lanes: int = 4) -> Any:
    return table_cost(index, entry, elements=1024, lanes=lanes, device=DEVICE)


def test_a_table_is_a_memory_per_lane() -> None:
    one, four = table(INT6, INT8, lanes=1), table(INT6, INT8, lanes=4)
    assert four.luts - one.luts == pytest.approx(3 * 8, abs=3)  # counters are shorter
    assert (one.interval_cycles, four.interval_cycles) == (1024, 256)
    assert one.bram18s == four.bram18s == 0
    assert TABLE_ACTIVATION in one.sources
    assert one.out_of_range == ()


def test_a_table_of_ten_bits_is_a_block_ram() -> None:
    wide = table(INT10, FixedPoint(width=16))
    assert wide.bram18s == 4  # 1,024 x 16 bits fill one of 18 kbit in each lane
    assert table(E4M3, INT8).luts == pytest.approx(table(INT8, INT8).luts)


@pytest.mark.parametrize(("price", "fields"), [(softmax_cost, SOFTMAX), (layer_norm_cost, NORM)])
def test_rows_by_lanes(price: Any, fields: Any) -> None:
    def cost(lanes: int, **options: Any) -> Any:
        return price(INT8, fields, elements=4096, lanes=lanes, device=DEVICE, **options)

    one, four = cost(1), cost(4)
    assert 2 * one.luts < four.luts < 4 * one.luts
    assert four.interval_cycles <= one.interval_cycles
    assert one.interval_cycles >= 4096
    in_dsps = cost(4, multipliers=MultiplierStyle.DSP)
    assert in_dsps.dsps >= 4 * 4 - 4
    assert in_dsps.luts < four.luts / 2
    assert any("none was synthesised whole" in note for note in one.out_of_range)
    assert row_cost(INT8, fields, elements=4096, lanes=4, device=DEVICE) == four
    assert one.error_band > 0


def test_only_a_softmax_shifts_by_data() -> None:
    assert BARREL_SHIFTER in softmax_cost(INT8, SOFTMAX, elements=64, lanes=1, device=DEVICE).sources
    assert BARREL_SHIFTER not in layer_norm_cost(INT8, NORM, elements=64, lanes=1, device=DEVICE).sources


def test_minifloats_are_decoded() -> None:
    plain = softmax_cost(INT8, SOFTMAX, elements=64, lanes=2, device=DEVICE)
    assert softmax_cost(E4M3, SOFTMAX, elements=64, lanes=2, device=DEVICE).luts > plain.luts


def test_a_selection_lets_all_values_pass() -> None:
    cost = select_cost(INT8, elements=4096, lanes=8, device=DEVICE)
    assert cost.interval_cycles == 512
    assert 0 < cost.luts < 60


def test_what_must_be_seen_before_the_first_output() -> None:
    layers = (
        Layer(name="input", operation=Input(), inputs=(), shape=(5, 4)),
        Layer(name="softmax", operation=Softmax(), inputs=("input",), shape=(5, 4)),
        Layer(
            name="norm",
            operation=LayerNorm(epsilon=0.0, gain=(1.0,) * 4, offset=(0.0,) * 4),
            inputs=("softmax",),
            shape=(5, 4),
        ),
        Layer(name="last", operation=Select(axis=0, index=4), inputs=("norm",), shape=(4,)),
    )
    network = Network(name="n", layers=layers, output="last")
    shares = [first_output_share(network, layer) for layer in layers[1:]]
    assert shares == [Fraction(1, 5), Fraction(1, 5), Fraction(4, 5)]


def test_lanes_divide_the_values() -> None:
    with pytest.raises(ValueError, match="divide the values, got 3 lanes for 64 values"):
        softmax_cost(INT8, SOFTMAX, elements=64, lanes=3, device=DEVICE)
    with pytest.raises(ValueError, match="divide the values, got 0 lanes for 64 values"):
        layer_norm_cost(INT8, NORM, elements=64, lanes=0, device=DEVICE)
    with pytest.raises(ValueError, match="divide the values, got 5 lanes for 64 values"):
        table_cost(INT8, INT8, elements=64, lanes=5, device=DEVICE)
    with pytest.raises(ValueError, match="divide the values, got 7 lanes for 64 values"):
        select_cost(INT8, elements=64, lanes=7, device=DEVICE)
