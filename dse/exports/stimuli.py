"""Integers to feed a design and its layers with: samples, random codes, and what drives sums to their limits."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulation.block_tensors import BlockTensor, blocks_of
from emulation.codes import integer_of
from emulation.execution import exact_integers
from emulation.formats import FixedPoint
from emulation.function_operations import Lstm
from emulation.network import Convolution, MatMul

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulation.block_tensors import EdgeTensor
    from emulation.hardware import HardwareLayer, HardwareNetwork
    from emulation.network import Window
    from emulation.quantisers import ScaledQuantiser

VECTORS: Final = 512
"""Vectors for the whole design."""
VALIDATION_VECTORS: Final = 256
"""At most so many of them are validation samples; the others are random codes and edges."""
VECTOR_SEED: Final = 0
"""Seed of the random codes."""
EDGES: Final = ("all-minimum", "all-maximum", "zero", "alternating")
"""The last vectors, in this order; the last one alternates between minimum and maximum along the tensor."""
LIMIT_OUTPUTS: Final = 16
"""At most so many outputs of an engine are driven to their limits."""
_WORD: Final = 62
_BINADES: Final = 12
"""Powers of two over which the magnitudes of random blocks spread."""


class Extremes(NamedTuple):
    """The least and the greatest number of an edge in its unit, and the one nearest to 0: integers but for blocks."""

    low: float
    high: float
    zero: float


class Stimuli(NamedTuple):
    """Inputs of a layer, batch first, and a name for each vector."""

    inputs: tuple[EdgeTensor, ...]
    names: tuple[str, ...]


def extremes(quantiser: ScaledQuantiser) -> Extremes:
    """The ends of what an edge holds.

    Of blocks, whose scales reach far beyond any sample, the largest magnitude that calibration saw.
    """
    if quantiser.blocks is None:
        grid = quantiser.grid
        return Extremes(grid.low, grid.high, int(quantiser.integers(np.zeros(1))[0]))
    reach = quantiser.largest_value / float(quantiser.unit[0])
    return Extremes(-reach, reach, 0.0)


def tensor_of(numbers: NDArray[Any], quantiser: ScaledQuantiser) -> EdgeTensor:
    """Numbers in the unit of an edge as what it holds: the integers themselves, or blocks cast from them."""
    if quantiser.blocks is not None:
        unit = float(quantiser.unit[0])
        return blocks_of(numbers.astype(np.float64), 0, quantiser.blocks, axis=quantiser.block_axis, unit=unit)
    largest = max(abs(int(numbers.max())), abs(int(numbers.min())))
    return numbers.astype(np.int64 if largest < 1 << _WORD else object)


def taken(tensor: EdgeTensor, vectors: Sequence[int] | slice) -> EdgeTensor:
    """Some vectors of a batch."""
    if isinstance(tensor, BlockTensor):
        return dataclasses.replace(tensor, elements=tensor.elements[vectors], scales=tensor.scales[vectors])
    return tensor[vectors]


def network_vectors(hardware: HardwareNetwork, samples: NDArray[np.float32]) -> EdgeTensor:
    """`VECTORS` inputs of a design: samples, then random codes of the input's format, then `EDGES`.

    Args:
        hardware: the lowered design.
        samples: validation samples, of which at most `VALIDATION_VECTORS` are taken, in order.
    """
    quantiser, shape = hardware.input, hardware.network.layers[0].shape
    validated = exact_integers(hardware.cast_samples(samples[:VALIDATION_VECTORS]))
    missing = VECTORS - validated.shape[0] - len(EDGES)
    drawn = _random_codes(quantiser, (missing, *shape))
    return _joined([validated, drawn, tensor_of(_edges(extremes(quantiser), shape), quantiser)])


def _joined(tensors: Sequence[EdgeTensor]) -> EdgeTensor:
    blocks = [tensor for tensor in tensors if isinstance(tensor, BlockTensor)]
    if not blocks:
        return np.concatenate(list(tensors))
    return dataclasses.replace(
        blocks[0],
        elements=np.concatenate([one.elements for one in blocks]),
        scales=np.concatenate([one.scales for one in blocks]),
    )


def _edges(ends: Extremes, shape: tuple[int, ...]) -> NDArray[Any]:
    """The vectors of `EDGES`, ``(4, *shape)``."""
    alternating = np.array([ends.low, ends.high], dtype=object)[np.arange(math.prod(shape)).reshape(shape) % 2]
    filled = [np.full(shape, end, dtype=object) for end in (ends.low, ends.high, ends.zero)]
    return np.stack([*filled, alternating])


def _random_codes(quantiser: ScaledQuantiser, shape: tuple[int, ...]) -> EdgeTensor:
    """Every code of the edge's format is equally likely; blocks are cast from numbers of very different magnitudes."""
    draw = np.random.default_rng(VECTOR_SEED)
    number_format = quantiser.format
    if quantiser.blocks is not None:
        vectors = (shape[0], *(1 for _ in shape[1:]))
        numbers = draw.uniform(-1.0, 1.0, shape) * np.ldexp(1.0, -draw.integers(0, _BINADES, vectors))
        return tensor_of(numbers * extremes(quantiser).high, quantiser)
    if isinstance(number_format, FixedPoint):
        grid = quantiser.grid
        return tensor_of(draw.integers(grid.low, grid.high, shape, endpoint=True), quantiser)
    found: list[int] = []
    count = math.prod(shape)
    while len(found) < count:
        for code in draw.integers(0, 1 << number_format.width, count).tolist():
            try:
                found.append(integer_of(code, number_format, quantiser.zero_point))
            except ValueError:  # a code that means no number
                continue
    return tensor_of(np.array(found[:count], dtype=object).reshape(shape), quantiser)


def limit_vectors(hardware: HardwareNetwork, hardware_layer: HardwareLayer) -> Stimuli:
    """Inputs of one layer that drive its accumulators to their largest and smallest values.

    For each of up to `LIMIT_OUTPUTS` outputs the inputs under one position are the extremes that the signs of its
    weights ask for, all others 0; an LSTM reads them in every step, for rows of its gates; products of two activations
    take their extremes in all four combinations. The vectors of `EDGES` follow; functions without weights have these
    alone.
    """
    layer, network = hardware_layer.layer, hardware.network
    quantisers = [hardware.edges[edge] for edge in network.input_edges(layer)]
    shapes = [network.by_name[name].shape for name in layer.inputs]
    edges = [_edges(extremes(one), shape) for one, shape in zip(quantisers, shapes, strict=True)]
    if isinstance(layer.operation, MatMul):
        crossed = [edges[0][[0, 0, 1, 1, 2, 3]], edges[1][[0, 1, 0, 1, 2, 3]]]
        names = ("minimum-minimum", "minimum-maximum", "maximum-minimum", "maximum-maximum", *EDGES[2:])
        return Stimuli(tuple(tensor_of(one, own) for one, own in zip(crossed, quantisers, strict=True)), names)
    weight = hardware_layer.weight
    if weight is None:
        return Stimuli((tensor_of(edges[0], quantisers[0]),), EDGES)
    if isinstance(layer.operation, Lstm):
        weight = weight[:, : shapes[0][-1]]
    ends, shape = extremes(quantisers[0]), shapes[0]
    vectors, driven = list[NDArray[Any]](), list[str]()
    for output in _driven_outputs(weight):
        for word, up, down in (("maximum", ends.high, ends.low), ("minimum", ends.low, ends.high)):
            by_sign = np.array([ends.zero, up, down], dtype=object)
            wanted = by_sign[np.sign(weight[output]).astype(np.int64)]
            vectors.append(_placed(hardware_layer, output, wanted, shape, ends.zero))
            driven.append(f"{word}-{output}")
    numbers = np.concatenate([np.stack(vectors), edges[0]])
    return Stimuli((tensor_of(numbers, quantisers[0]),), (*driven, *EDGES))


def _driven_outputs(weight: NDArray[Any]) -> list[int]:
    """Evenly chosen ones, and the one whose weights reach farthest, which decides the accumulator's width."""
    if len(weight) <= LIMIT_OUTPUTS:
        return list(range(len(weight)))
    farthest = int(np.abs(weight.astype(object)).reshape(len(weight), -1).sum(axis=1).argmax())
    return sorted({*spread(len(weight), LIMIT_OUTPUTS - 1), farthest})


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of ``count`` places, evenly chosen, first and last among them.

    >>> spread(3, 16), spread(100, 4)
    ([0, 1, 2], [0, 33, 66, 99])
    """
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places


def _placed(
    hardware_layer: HardwareLayer, output: int, wanted: NDArray[Any], shape: tuple[int, ...], zero: float
) -> NDArray[Any]:
    """One sample with the wanted numbers under the window of a position in the middle, or in every row."""
    operation = hardware_layer.layer.operation
    if not isinstance(operation, Convolution):
        return np.broadcast_to(wanted, shape)
    sample = np.full(shape, zero, dtype=object)
    inputs = len(wanted)
    first = output // (hardware_layer.layer.outputs // operation.groups) * inputs
    start = _middle(operation.window, shape[1:])
    for tap in np.ndindex(*wanted.shape[1:]):
        place = tuple(
            begin + step * dilation for begin, step, dilation in zip(start, tap, operation.window.dilation, strict=True)
        )
        if all(0 <= axis < size for axis, size in zip(place, shape[1:], strict=True)):
            sample[(slice(first, first + inputs), *place)] = wanted[(slice(None), *tap)]
    return sample


def _middle(window: Window, space: tuple[int, ...]) -> list[int]:
    """Where the window of the position in the middle begins along each axis; it may begin in the padding."""
    return [
        (positions // 2) * stride - before
        for positions, stride, (before, _) in zip(
            window.output_space(space), window.stride, window.padding, strict=True
        )
    ]
