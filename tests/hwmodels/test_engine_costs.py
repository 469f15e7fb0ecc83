"""Engines: interval cycles against FINN, DSP packing, memories, monotonicity, windows, notes."""

import math
from itertools import pairwise

import numpy as np
import pytest

from emulation.formats import FixedPoint, MiniFloat
from emulation.network import Add, Convolution, Input, Layer, Linear, MatMul, Network, Window
from hwmodels.composition import ASSUMED_ERRORS
from hwmodels.devices import load_device
from hwmodels.engine_layouts import engine_layouts
from hwmodels.engine_shapes import EngineShape, WeightSource, requantisers
from hwmodels.engines import engine_cost, engine_costs
from hwmodels.folding import Folding, FoldingError, MemoryStyle, MultiplierStyle, foldings
from hwmodels.memory import bram18_count
from hwmodels.requantisers import RequantiseScale
from hwmodels.units import cast_of_product, priced, requantising_multiplier

Z020, ZU7 = load_device("xc7z020"), load_device("xczu7ev")
INT2, INT4, INT8 = (FixedPoint(width=width) for width in (2, 4, 8))
E4M3 = MiniFloat(exponent_bits=4, mantissa_bits=3)
LUT, DSP = MultiplierStyle.LUT, MultiplierStyle.DSP


def dense(outputs, depth, positions=1, *, bias=False):
    return EngineShape(outputs=outputs, depth=depth, positions=positions, in_channels=depth, has_bias=bias)


def price(shape, folding, weight=INT8, activation=INT8, device=ZU7, **options):
    return engine_cost(
        shape, weight_format=weight, activation_format=activation, folding=folding, device=device, **options
    )


def square(kernel, padding=0, stride=1, dilation=1):
    return Window(
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        dilation=(dilation, dilation),
    )


def convolution(channels, outputs, size, kernel=3, groups=1):
    return EngineShape(
        outputs=outputs,
        depth=channels // groups * kernel**2,
        positions=size**2,
        window=square(kernel, kernel // 2),
        space=(size, size),
        in_channels=channels,
        groups=groups,
        has_bias=False,
    )


@pytest.mark.parametrize(
    ("pe_simd", "cycles"),
    [
        (((1, 1), (1, 1), (1, 1)), (50176, 4096, 640)),
        (((4, 16), (1, 8), (1, 1)), (784, 512, 640)),
        (((8, 8), (1, 8), (1, 1)), (784, 512, 640)),
    ],
)
def test_interval_cycles_equal_finns_estimates(pe_simd, cycles):
    """784-64-64-10 through finn-plus 1.6.1's estimate_layer_cycles."""
    shapes = [dense(64, 784), dense(64, 64), dense(10, 64)]
    for (pe, simd), shape, expected in zip(pe_simd, shapes, cycles, strict=True):
        assert price(shape, Folding(pe=pe, simd=simd)).interval_cycles == expected


def test_convolution_interval():
    shape = convolution(16, 32, 8)
    assert price(shape, Folding(pe=4, simd=8)).interval_cycles == 8 * 18 * 64
    # Fully unrolled, one position a cycle; with one output a position, the inputs' arrival rules.
    assert price(shape, Folding(pe=32, simd=144)).interval_cycles == 64
    narrow = convolution(16, 1, 8)
    assert price(narrow, Folding(pe=1, simd=9 * 16)).interval_cycles == 64
    # simd 9 reads nine taps of one channel, so one channel arrives at once: 16 x 64 cycles for 16 x 64 products.
    assert price(narrow, Folding(pe=1, simd=9)).interval_cycles == 1024


def test_a_strided_window_waits_for_its_inputs():
    shape = EngineShape(
        outputs=1, depth=4, positions=4, window=square(2, stride=4), space=(8, 8), in_channels=1, has_bias=False
    )
    assert price(shape, Folding(simd=4)).interval_cycles == 64


def test_depthwise_interval():
    shape = convolution(16, 16, 8, groups=16)
    assert shape.is_depthwise
    for pe, simd in ((1, 1), (4, 3), (16, 9)):
        assert price(shape, Folding(pe=pe, simd=simd)).interval_cycles == (16 // pe) * (9 // simd) * 64


@pytest.mark.parametrize(
    ("device", "bits", "pe", "expected"),
    [
        (ZU7, 8, 8, 4 * 16),
        (ZU7, 8, 5, 3 * 16),
        (ZU7, 4, 8, 2 * 16),
        (ZU7, 4, 5, 2 * 16),
        (ZU7, 9, 8, 8 * 16),
        (Z020, 8, 8, 8 * 16),
        (Z020, 5, 8, 8 * 16),
        (Z020, 4, 8, 0),  # products of 8 bits stay in LUTs
    ],
)
def test_dsps_are_packed_as_finns_matrix_vector_unit_does(device, bits, pe, expected):
    number = FixedPoint(width=bits)
    cost = price(
        dense(40, 32), Folding(pe=pe, simd=16, multipliers=DSP), number, number, device, scale=RequantiseScale.NONE
    )
    assert cost.dsps == expected


def test_depthwise_lanes_share_no_operand():
    cost = price(convolution(16, 16, 8, groups=16), Folding(pe=4, simd=9, multipliers=DSP), scale=RequantiseScale.NONE)
    assert cost.dsps == 36


def test_requantisers_in_dsps():
    shape, folding = dense(16, 32), Folding(pe=8, simd=8, multipliers=DSP)
    bare = price(shape, folding, scale=RequantiseScale.NONE)
    full = price(shape, folding)
    assert requantisers(folding, shape) == 2
    # A 21-bit accumulator and a 17-bit signed multiplier fit one DSP each.
    assert full.dsps - bare.dsps == 2
    assert full.luts - bare.luts < 60
    wide = price(shape, folding, accumulator=40)
    assert wide.dsps - bare.dsps == 2 * 2


def test_widths_that_fit_no_dsp_fall_back_to_luts():
    wide = FixedPoint(width=20)
    shape, styles = dense(4, 8), (Folding(pe=2, simd=2, multipliers=DSP), Folding(pe=2, simd=2))
    in_dsps, in_luts = (price(shape, f, wide, wide, scale=RequantiseScale.NONE) for f in styles)
    assert in_dsps.dsps == 0
    assert in_dsps.luts == in_luts.luts
    assert "multiplier 20x20 fits no DSP48E2: priced in LUTs" in in_dsps.out_of_range


@pytest.mark.parametrize("style", [LUT, DSP])
@pytest.mark.parametrize("make", [lambda: dense(16, 36, bias=True), lambda: convolution(4, 16, 8)])
def test_more_lanes_take_more_logic_and_no_more_cycles(style, make):
    shape = make()
    for pe, simd in ((1, 1), (2, 2), (4, 4), (4, 12), (8, 12)):
        one = price(shape, Folding(pe=pe, simd=simd, multipliers=style), weight=INT4)
        for more in (
            Folding(pe=2 * pe, simd=simd, multipliers=style),
            Folding(pe=pe, simd=3 * simd, multipliers=style),
        ):
            if shape.depth % more.simd or shape.outputs % more.pe:
                continue
            other = price(shape, more, weight=INT4)
            assert other.interval_cycles <= one.interval_cycles
            assert other.flip_flops > one.flip_flops
            assert other.dsps >= one.dsps
            # Logic grows; memory may shrink, because fewer and wider words pack differently.
            assert other.luts + 400 * other.bram18s > 0.95 * one.luts


@pytest.mark.parametrize("folding", [Folding(pe=4, simd=4), Folding(pe=16, simd=36), Folding()], ids=str)
def test_wider_operands_cost_more(folding):
    shape = dense(16, 36)
    costs = [price(shape, folding, FixedPoint(width=w), FixedPoint(width=w)) for w in range(2, 17)]
    assert all(one.luts <= other.luts for one, other in pairwise(costs))
    assert all(one.flip_flops < other.flip_flops for one, other in pairwise(costs))


def test_minifloat_against_integer_lane():
    """An exact e4m3 multiply-accumulate takes more LUTs than an 8-bit one with 32 bits."""
    shape, folding = dense(16, 128), Folding(pe=4, simd=8)
    integer = price(shape, folding, scale=RequantiseScale.NONE)
    float8 = price(shape, folding, E4M3, E4M3, scale=RequantiseScale.NONE)
    assert 1.1 < float8.luts / integer.luts < 1.7
    assert not any("lane" in note for note in float8.out_of_range)


def test_parts_add_up():
    """A fully unrolled layer has no weight memory: lanes, trees, accumulators, requantisers, logic."""
    shape, folding = dense(4, 8), Folding(pe=4, simd=8)
    bare = price(shape, folding, scale=RequantiseScale.NONE)
    full = price(shape, folding, scale=RequantiseScale.TENSOR)
    each = requantising_multiplier(19, 16).luts + cast_of_product(35).luts
    control = [
        priced("engine control", steps=1, passes=1, stages=5, beats=1, finish=finish, bias=0, tables=1).luts
        for finish in (0, 2)
    ]
    assert full.luts - bare.luts == pytest.approx(4 * each + control[1] - control[0], abs=1)
    assert bare.bram18s == full.bram18s == 0
    assert set(bare.sources) == {"multiplier", "adder tree", "accumulator", "width adapter", "engine control"}
    assert not set(full.sources) & set(ASSUMED_ERRORS)
    assert 0.0 < full.error_band < 0.05


def test_weights_are_packed_as_words():
    shape = dense(64, 784)
    bram = Folding(pe=4, simd=16, weight_memory=MemoryStyle.BRAM)
    lutram = Folding(pe=4, simd=16, weight_memory=MemoryStyle.LUTRAM)
    in_bram, in_luts = (price(shape, f, scale=RequantiseScale.NONE) for f in (bram, lutram))
    assert in_bram.bram18s - in_luts.bram18s == bram18_count(784, 512) == 29
    # 784 words of 512 bits: 13 LUTs a bit, and what joins the slices' four.
    assert 512 * 13 < in_luts.luts - in_bram.luts < 512 * 20


def test_bias_and_scales_need_tables():
    shape, folding = dense(64, 64, bias=True), Folding(pe=1, simd=64)
    per_tensor = price(shape, folding, scale=RequantiseScale.TENSOR)
    per_channel = price(shape, folding, scale=RequantiseScale.CHANNEL)
    # 64 words of 16 bits, and the counter that reads them.
    assert 16 <= per_channel.luts - per_tensor.luts <= 16 + 12
    # Without a bias, a table of 64 words and one accumulator bit less.
    without = price(dense(64, 64), folding, scale=RequantiseScale.TENSOR)
    assert per_tensor.luts - without.luts > 23


def test_serial_and_parallel_windows():
    """Sequential taps: one buffer of two rows and three positions. Parallel taps: two rows and registers."""
    shape = convolution(16, 16, 32)
    serial, parallel = Folding(pe=1, simd=16), Folding(pe=1, simd=144)
    layouts = engine_layouts(shape)
    assert not layouts[1, 16].window.is_parallel
    assert layouts[1, 144].window.is_parallel
    assert shape.input_lanes(serial) == shape.input_lanes(parallel) == 16
    pointwise = convolution(16, 16, 32, kernel=1)
    line_bits = (2 * 32 + 3) * 16 * 8
    cost, bare = price(shape, serial), price(pointwise, Folding(pe=1, simd=16))
    added_bits = (cost.bram18s - bare.bram18s) * 18 * 1024 + (cost.luts - bare.luts) * 64
    assert added_bits > line_bits


def test_shapes_from_a_network():
    def layer(name, operation, inputs, shape, *parameters):
        weight, bias = (*parameters, None, None)[:2]
        return Layer(name=name, operation=operation, inputs=inputs, shape=shape, weight=weight, bias=bias)

    network = Network(
        name="mixed",
        layers=(
            layer("in", Input(), (), (3, 8, 8)),
            layer("conv", Convolution(window=square(3, 1)), ("in",), (16, 8, 8), np.ones((16, 3, 3, 3)), np.ones(16)),
            layer("dw", Convolution(window=square(3, 1), groups=16), ("conv",), (16, 8, 8), np.ones((16, 1, 3, 3))),
            layer("add", Add(), ("conv", "dw"), (16, 8, 8)),
            layer("linear", Linear(), ("add",), (16, 8, 10), np.ones((10, 8)), np.ones(10)),
            layer("square", MatMul(), ("add", "add"), (16, 8, 8)),
        ),
        output="linear",
    )
    shapes = {layer.name: EngineShape.from_layer(network, layer) for layer in network.engines}
    conv, depthwise, linear, matmul = (shapes[name] for name in ("conv", "dw", "linear", "square"))
    assert (conv.outputs, conv.depth, conv.positions, conv.in_channels) == (16, 27, 64, 3)
    assert (conv.has_bias, conv.space) == (True, (8, 8))
    assert (depthwise.depth, depthwise.is_depthwise, depthwise.has_bias) == (9, True, False)
    assert (linear.outputs, linear.depth, linear.positions, linear.input_elements) == (10, 8, 128, 1024)
    assert (matmul.outputs, matmul.depth, matmul.positions, matmul.weight_sets) == (8, 8, 128, 16)
    assert matmul.weights is WeightSource.STREAMED
    for shape in shapes.values():
        folding = Folding(pe=2, simd=3 if shape.depth % 2 else 2)
        products = shape.outputs * shape.depth * shape.positions
        assert price(shape, folding).interval_cycles >= products // folding.lanes
    with pytest.raises(ValueError, match=r"layer 'add' \(add\) does not multiply and has no engine"):
        EngineShape.from_layer(network, network.by_name["add"])
    with pytest.raises(ValueError, match=r"layer 'in' \(input\) does not multiply"):
        EngineShape.from_layer(network, network.by_name["in"])


def test_matmul_buffers_its_second_operand():
    stored = dense(32, 64, positions=16)
    streamed = EngineShape(
        outputs=32, depth=64, positions=16, in_channels=64, has_bias=False, weights=WeightSource.STREAMED
    )
    folding = Folding(pe=1, simd=64, weight_memory=MemoryStyle.BRAM)
    # Twice 32 words of 512 bits are still one row of block RAM; twice 512 words are not.
    assert price(streamed, folding).bram18s == price(stored, folding).bram18s == bram18_count(64, 512)
    tall = {"outputs": 512, "depth": 64, "positions": 1, "in_channels": 64, "has_bias": False}
    double = price(EngineShape(**tall, weights=WeightSource.STREAMED), folding, scale=RequantiseScale.NONE)
    single = price(EngineShape(**tall), folding, scale=RequantiseScale.NONE)
    assert double.bram18s - single.bram18s == bram18_count(1024, 512) - bram18_count(512, 512) == 14


def test_errors_and_batches():
    shape = dense(16, 8)
    with pytest.raises(FoldingError, match="pe 3 does not divide the 16 outputs"):
        price(shape, Folding(pe=3))
    with pytest.raises(ValueError, match="widths are at least 1 bit, got multiplier 0, accumulator None"):
        price(shape, Folding(), multiplier_bits=0)
    with pytest.raises(ValueError, match="depth of an engine must be at least 1, got 0"):
        dense(16, 0)
    offered = foldings(16, 8)
    batch = engine_costs(shape, weight_format=INT8, activation_format=INT4, foldings=offered, device=Z020)
    assert batch == [price(shape, f, INT8, INT4, Z020) for f in offered]
    assert all(math.isfinite(cost.error_band) for cost in batch)


def test_a_fused_prelu_pays_for_a_second_multiplier_table_and_a_selection_by_sign():
    shape = EngineShape(outputs=64, depth=32, in_channels=32)
    costs = [
        engine_cost(
            shape,
            weight_format=FixedPoint(width=4),
            activation_format=FixedPoint(width=4),
            folding=Folding(pe=1, simd=4),
            device=load_device("xc7z020"),
            scale=scale,
        )
        for scale in (RequantiseScale.TENSOR, RequantiseScale.CHANNEL, RequantiseScale.CHANNEL_AND_SIGN)
    ]
    assert costs[0].luts < costs[1].luts
    # 16 more bits in a table of 64 words (a LUT each), and the choice by sign: up to a LUT a bit as measured.
    assert 16 <= costs[2].luts - costs[1].luts <= 16 + 30
