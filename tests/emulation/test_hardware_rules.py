"""Rules of hardware mode, worked out again in rationals from their words, without our rounding and products."""

from __future__ import annotations

import bisect
import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.datapaths import Requantisation
from emulation.execution import execute
from emulation.network import Identity, PRelu, Relu
from emulation.quantisers import integer_of
from emulation.reference import execute_reference
from emulation.rules import Rounding


@functools.cache
def numbers_of(name: str, zero_point: int = 0) -> list[int]:
    """Every integer a code of the format means, by decoding all its codes."""
    number_format = parse(name)
    found = set()
    for code in range(1 << number_format.width):
        try:
            found.add(integer_of(code, number_format, zero_point))
        except ValueError:  # infinity or NaN
            continue
    return sorted(found)


def nearest(exact: Fraction, allowed: list[int], rounding: Rounding) -> int:
    """Round once onto the listed integers and saturate."""
    if exact <= allowed[0]:
        return allowed[0]
    if exact >= allowed[-1]:
        return allowed[-1]
    place = bisect.bisect_right(allowed, exact)
    below = allowed[place - 1]
    if below == exact or rounding is Rounding.FLOOR:
        return below
    above = allowed[place]
    outward, inward = max(below, above, key=abs), min(below, above, key=abs)
    directed = {Rounding.CEILING: above, Rounding.TOWARD_ZERO: inward}
    if rounding in directed:
        return directed[rounding]
    if exact - below != above - exact:
        return below if exact - below < above - exact else above
    even = below if (below // (above - below)) % 2 == 0 else above
    at_ties = {
        Rounding.HALF_EVEN: even,
        Rounding.HALF_UP: above,
        Rounding.HALF_DOWN: below,
        Rounding.HALF_AWAY: outward,
        Rounding.HALF_TOWARD_ZERO: inward,
    }
    return at_ties[rounding]


def multipliers(scales: list[float], bits: int) -> tuple[list[int], int]:
    """Rule 1: b * 2**-c with one c, as large as keeps every b below 2**bits."""
    for shift in range(200, -200, -1):
        factors = [round(Fraction(scale) * Fraction(2) ** shift) for scale in scales]
        if max(factors) < 1 << bits:
            return factors, shift
    raise ValueError("no shift fits")


def cast(values: np.ndarray, unit: np.ndarray, allowed: list[int]) -> np.ndarray:
    """Samples and weights: the IEEE quotient, then half to even."""
    rows = np.broadcast_to(unit.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
    pairs = zip(values.ravel().tolist(), rows.ravel().tolist(), strict=True)
    integers = [nearest(Fraction(value / step), allowed, Rounding.HALF_EVEN) for value, step in pairs]
    result = np.empty(len(integers), dtype=object)
    result[:] = integers
    return result.reshape(values.shape)


FORMATS = [
    ("int8", "int4", "uint4", 0),
    ("uint8", "int8", "int8", 100),
    ("int6", "e2m1", "int5", -3),
    ("e3m2", "int3", "e2m3", 0),
    ("e4m3fn", "e3m2", "e4m3fn", 0),
    ("int16", "int16", "int12", 7),
    ("e5m2", "e2m1", "int2", 0),
]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("bits", [3, 16])
@pytest.mark.parametrize(("source", "weights", "target", "zero_point"), FORMATS)
@pytest.mark.parametrize("slope", [None, 0.3, -0.2])
def test_convolution_bias_activation_requantisation(
    *,
    build: Any,
    source: str,
    weights: str,
    target: str,
    zero_point: int,
    bits: int,
    rounding: Rounding,
    slope: float | None,
) -> None:
    random = np.random.default_rng(bits + len(source))
    in_channels, out_channels, size, taps, stride, pad = 3, 4, 7, 3, 2, (1, 2)
    samples = random.normal(size=(3, in_channels, size)).astype(np.float32)
    weight = random.normal(size=(out_channels, in_channels, taps))
    bias = random.normal(size=out_channels)
    units = {
        "input": np.array([2.2 / numbers_of(source)[-1]]),
        "weight": np.abs(weight).max(axis=(1, 2)) / numbers_of(weights)[-1] * 0.8,
        "output": np.array([2.0 / max(numbers_of(target)[-1], 2)]),  # too small a unit: some outputs saturate
    }

    graph = build.Graph((in_channels, size))
    activation = Relu() if slope is None else PRelu(slopes=(slope,))
    name = graph.convolve("input", weight, bias, activation=activation, stride=(stride,), padding=(pad,))
    edges = {
        "input": build.scaled(parse(source), units["input"]),
        name: build.scaled(parse(target), units["output"], zero_point),
    }
    rule = Requantisation(multiplier_bits=bits, rounding=rounding)
    hardware = build.lower(graph.network(), edges, {name: build.scaled(parse(weights), units["weight"])}, rule)
    result = execute(hardware, samples)

    scales = [float(w * units["input"][0] / units["output"][0]) for w in units["weight"]]
    negative = [] if slope is None else [scale * slope for scale in scales]
    factors, shift = multipliers(scales + [abs(scale) for scale in negative], bits)
    allowed = numbers_of(target, zero_point)
    if slope is None:
        allowed = [v for v in allowed if v >= 0]
    codes = cast(samples, units["input"], numbers_of(source))
    integers = cast(weight, units["weight"], numbers_of(weights))
    saturated = 0
    for sample, output, position in np.ndindex(*result.shape):
        total = round(float(bias[output]) / float(units["weight"][output] * units["input"][0]))
        for channel, tap in np.ndindex(in_channels, taps):
            place = position * stride + tap - pad[0]
            if 0 <= place < size:
                total += codes[sample, channel, place] * integers[output, channel, tap]
        factor = factors[output]
        if total < 0 and slope is not None:
            factor = int(math.copysign(factors[len(scales) + output], slope))
        expected = nearest(Fraction(total * factor) / Fraction(2) ** shift, allowed, rounding)
        saturated += expected == allowed[-1]
        assert int(result[sample, output, position]) == expected
    assert saturated


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(("left", "right", "target", "zero_point"), [*FORMATS, ("uint8", "int8", "int8", -40)])
@pytest.mark.parametrize("activation", [Identity(), Relu(), Relu(ceiling=1.1), PRelu(slopes=(0.35,))], ids=str)
def test_residual_addition_rounds_once(
    *, build: Any, left: str, right: str, target: str, zero_point: int, rounding: Rounding, activation: Any
) -> None:
    """Rule 14: (sum of v_i * b_i) * 2**-c, cast once."""
    graph = build.Graph((40,))
    weight = np.eye(40)
    branch = graph.linear("input", weight)
    join = graph.join("input", branch, activation)
    reach = {"input": 3.0, branch: 2.0, join: 2.5}
    names = {"input": left, branch: right, join: target}
    unit = {edge: reach[edge] / max(numbers_of(names[edge])[-1], 1) for edge in names}
    edges = {edge: build.scaled(parse(names[edge]), unit[edge], zero_point if edge == join else 0) for edge in names}
    rule = Requantisation(multiplier_bits=9, rounding=rounding)
    hardware = build.lower(graph.network(), edges, {branch: build.scaled(parse("int2"), 1.0)}, rule)
    samples = np.random.default_rng(9).normal(scale=1.6, size=(2, 40)).astype(np.float32)
    result = execute(hardware, samples)

    codes = cast(samples, np.array([unit["input"]]), numbers_of(left))
    (through,), through_shift = multipliers([float(1.0 * unit["input"] / unit[branch])], 9)
    (first, second), shift = multipliers([unit["input"] / unit[join], unit[branch] / unit[join]], 9)
    slopes = activation.slopes if isinstance(activation, PRelu) else (1.0,)
    (one, below_zero), slope_shift = multipliers([1.0, abs(slopes[0])], 9)
    allowed = numbers_of(target, zero_point)
    if isinstance(activation, Relu):
        allowed = [v for v in allowed if v >= 0]
        if activation.ceiling is not None:
            top = nearest(Fraction(activation.ceiling / unit[join]), allowed, Rounding.HALF_EVEN)
            allowed = [v for v in allowed if v <= top]
    for index in np.ndindex(*result.shape):
        value = int(codes[index])
        other = nearest(Fraction(value * through) / Fraction(2) ** through_shift, numbers_of(right), rounding)
        total = Fraction(value * first + other * second) / Fraction(2) ** shift
        if isinstance(activation, PRelu):
            total = total * (below_zero if total < 0 else one) / Fraction(2) ** slope_shift
        assert int(result[index]) == nearest(total, allowed, rounding)


def test_average_pooling_sums_and_rounds_once(build: Any) -> None:
    """Rule 15: three steps of 1 over four taps are 0.75, not the sum of four rounded quarters."""
    graph = build.Graph((1, 2, 2))
    name = graph.average("input", (2, 2))
    edges = {edge: build.scaled(parse("int8"), 1.0) for edge in ("input", name)}
    hardware = build.lower(graph.network(), edges, {})
    for values, expected in (([1, 1, 1, 0], 1), ([1, 1, 0, 0], 0), ([3, 3, 0, 0], 2), ([-1, -1, -1, 0], -1)):
        sample = np.array(values, np.float32).reshape(1, 1, 2, 2)
        assert execute(hardware, sample).item() == expected
        assert execute_reference(hardware, values) == [expected]


def test_padding_is_the_code_of_zero(build: Any) -> None:
    """Rule 5, with a zero point: padded positions add nothing."""
    graph = build.Graph((1, 1))
    name = graph.convolve("input", np.array([[[1.0, 1.0, 1.0]]]), padding=((1, 1),))
    edges = {"input": build.scaled(parse("uint4"), 1.0, 9), name: build.scaled(parse("int8"), 1.0)}
    hardware = build.lower(graph.network(), edges, {name: build.scaled(parse("int2"), 1.0)})
    assert execute(hardware, np.array([[[4.0]]], np.float32)).tolist() == [[[4]]]
    assert hardware.input.grid.low == -9


def test_max_pooling_never_takes_padding(build: Any) -> None:
    """Rule 15: padded positions lose even against the least code."""
    graph = build.Graph((1, 2))
    name = graph.max_pool("input", (2,), padding=((1, 1),))
    network = graph.network()
    hardware = build.lower(network, {"input": build.scaled(parse("int4"), 1.0)}, {})
    assert execute(hardware, np.array([[[-8.0, -7.0]]], np.float32)).tolist() == [[[-8, -7, -7]]]
    assert network.edge_of(name) == "input"


def test_concatenation_casts_each_part(build: Any) -> None:
    """Rule 14: parts of different units and formats meet in the unit of the output."""
    graph = build.Graph((2,))
    branch = graph.linear("input", np.array([[0.0, 1.0], [1.0, 0.0]]))
    name = graph.concat(("input", branch))
    edges = {
        "input": build.scaled(parse("int8"), 0.25),
        branch: build.scaled(parse("e2m1"), 0.5),
        name: build.scaled(parse("int4"), 0.5),
    }
    hardware = build.lower(graph.network(), edges, {branch: build.scaled(parse("int2"), 1.0)})
    # Steps of 0.5: 1.25 is 2.5, to even 2; 3.75 is 7.5, beyond 7. The branch holds 3.75 as 8 and 1.25 as 2 steps.
    assert execute(hardware, np.array([[1.25, 3.75]], np.float32)).tolist() == [[2, 7, 7, 2]]


def test_joins_of_wide_edges_do_not_overflow(build: Any) -> None:
    """52 bits times multipliers of 31 bits leave 64."""
    graph = build.Graph((3,))
    join = graph.join("input", "input")
    edges = {"input": build.scaled(parse("int53"), 1.0), join: build.scaled(parse("int16"), 2.0**38 * 1.1)}
    hardware = build.lower(graph.network(), edges, {}, Requantisation(multiplier_bits=31))
    sample = np.array([[2.0**52, -(2.0**51), 3.0**30]])
    exact = [round(2 * value / (2.0**38 * 1.1)) for value in sample[0]]
    assert execute(hardware, sample).tolist() == [exact]
    assert execute_reference(hardware, sample[0].tolist()) == exact


def test_sums_of_wide_minifloats_do_not_overflow(build: Any) -> None:
    """Four times 2**61 are beyond 64 bits although each is not."""
    graph = build.Graph((1, 4))
    name = graph.average("input", (4,))
    edges = {"input": build.scaled(parse("e6m1"), 1.0), name: build.scaled(parse("e6m1"), 1.0)}
    hardware = build.lower(graph.network(), edges, {})
    sample = np.full((1, 1, 4), 2.0**61)
    assert execute(hardware, sample).tolist() == [[[2**61]]]
    assert execute_reference(hardware, sample.ravel().tolist()) == [2**61]
