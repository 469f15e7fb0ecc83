"""Shares of an input that a first output needs, and skip FIFOs: small graphs by hand, and a simulation of tokens."""

from fractions import Fraction

import numpy as np
import pytest

from emulation.network import (
    Add,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MaxPool,
    Network,
    Reshape,
    Transpose,
    Window,
)
from hwmodels.streaming import first_output_share, skip_fifo_depths

SAME = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
POINT = Window(kernel=(1, 1), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1))
HALF = Window(kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))


def conv(name, source, window=SAME, shape=(4, 8, 8), channels=4):
    weight = np.ones((shape[0], channels, *window.kernel))
    return Layer(name=name, operation=Convolution(window=window), inputs=(source,), shape=shape, weight=weight)


def linear(name, source, outputs, depth):
    return Layer(name=name, operation=Linear(), inputs=(source,), shape=(outputs,), weight=np.ones((outputs, depth)))


def plain(name, operation, inputs, shape=(4, 8, 8)):
    return Layer(name=name, operation=operation, inputs=inputs, shape=shape)


def network(*layers):
    return Network(name="test", layers=layers, output=layers[-1].name)


def diamond():
    return network(
        plain("in", Input(), ()),
        conv("stem", "in"),
        conv("a", "stem"),
        conv("b", "a"),
        plain("add", Add(), ("b", "stem")),
    )


def test_shares():
    graph = network(
        plain("in", Input(), ()),
        conv("same", "in"),
        conv("point", "same", POINT),
        plain("pool", MaxPool(window=HALF), ("point",), (4, 4, 4)),
        plain("turn", Transpose(order=(1, 2, 0)), ("pool",), (4, 4, 4)),
        plain("flat", Reshape(), ("turn",), (64,)),
        linear("out", "flat", 10, 64),
    )
    shares = {layer.name: first_output_share(graph, layer) for layer in graph.layers}
    assert shares == {
        "in": 0,
        "same": Fraction(10, 64),
        "point": Fraction(1, 64),
        "pool": Fraction(10, 64),
        "turn": 1,
        "flat": 0,
        "out": 1,
    }


def test_skip_fifo_of_a_residual_block():
    # Two 3 x 3 windows of ten positions each and a position in each of two accumulators: 22 positions of 4 channels.
    graph = diamond()
    assert skip_fifo_depths(graph, graph.by_name["add"]) == (0, 22 * 4)
    with pytest.raises(ValueError, match=r"layer 'a' \(convolution\) is no join"):
        skip_fifo_depths(graph, graph.by_name["a"])


def test_skip_fifo_of_unequal_branches():
    graph = network(
        plain("in", Input(), ()),
        conv("stem", "in"),
        conv("short", "stem", POINT),
        conv("a", "stem"),
        conv("b", "a", shape=(8, 8, 8)),
        plain("join", Concat(axis=0), ("short", "b", "a"), (16, 8, 8)),
    )
    short, last, middle = skip_fifo_depths(graph, graph.by_name["join"])
    assert last == 0
    assert short == (22 - 2) * 4
    assert middle == 11 * 4


def test_equal_branches_hold_nothing():
    graph = network(plain("in", Input(), ()), conv("a", "in"), conv("b", "in"), plain("add", Add(), ("a", "b")))
    assert skip_fifo_depths(graph, graph.by_name["add"]) == (0, 0)


def held_at_most(needs, positions):
    """Most positions a skip branch holds while a chain of windows, one position a cycle each, catches up."""
    times = list(range(positions))
    for need in needs:
        out = []
        for j in range(positions):
            ready = times[min(j + need, positions - 1)]
            out.append(max(ready, out[-1] if out else -1) + 1)
        times = out
    # Position p of the input comes in cycle p; the join takes position j when the branch has made it.
    return max(min(positions, done + 1) - j for j, done in enumerate(times))


@pytest.mark.parametrize("convolutions", [1, 2, 3])
def test_skip_fifo_is_enough_for_a_simulated_stream(convolutions):
    names = [f"c{i}" for i in range(convolutions)]
    layers = [conv(name, source) for name, source in zip(names, ["in", *names], strict=False)]
    graph = network(plain("in", Input(), ()), *layers, plain("add", Add(), (names[-1], "in")))
    held = skip_fifo_depths(graph, graph.by_name["add"])[1]
    # A same-padded 3 x 3 window over rows of 8 trails its output by 9 positions.
    needed = held_at_most([9] * convolutions, 64)
    assert needed * 4 <= held <= (needed + 2 * convolutions) * 4
