"""Hardware mode in plain Python integers: the definition that every fast execution must equal.

Nothing here is vectorised and nothing is rounded but in `kernels.requantise.requantise_scalar`. Edges hold *codes*, so
every value is shown to be representable; layers decode them, accumulate and encode. Tensors are flat lists in row-major
order. It is slow by design (some million multiply-accumulates a second).
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING, TypeVar

from emulation.engine_reference import engine_sums
from emulation.function_reference import function_sums, table_codes
from emulation.function_rules import TableRule
from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    Multiply,
    Network,
    Repeat,
    Reshape,
    Select,
    Slice,
    Transpose,
    Window,
)
from emulation.reference_codes import Codes, Integers, block_integers, decode, encode, nearest_level, plain
from emulation.windows import window_taps
from kernels.casts import cast_scalar
from kernels.requantise import requantise_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emulation.hardware import HardwareLayer, HardwareNetwork, Requantiser
    from emulation.quantisers import ScaledQuantiser


Number = TypeVar("Number", int, Fraction)


def execute_reference(hardware: HardwareNetwork, sample: Sequence[float]) -> list[int]:
    """Run one sample, flat in row-major order, through a design.

    Returns:
        The integers of the output edge, flat; the same as `emulation.execution.execute` gives for that sample.
    """
    network = hardware.network
    codes: dict[str, Codes] = {}
    for hardware_layer in hardware.layers:
        layer = hardware_layer.layer
        if isinstance(layer.operation, Input):
            integers = _cast_sample(hardware.input, sample, layer.shape)
        else:
            sources = [
                decode(codes[name], hardware.edges[edge])
                for name, edge in zip(layer.inputs, network.input_edges(layer), strict=True)
            ]
            integers = _execute(hardware, hardware_layer, sources)
        codes[layer.name] = encode(integers, hardware_layer.output)
    return plain(decode(codes[network.output], hardware.edges[network.edge_of(network.output)]))


def _cast_sample(quantiser: ScaledQuantiser, sample: Sequence[float], shape: tuple[int, ...]) -> Integers:
    grid, unit = quantiser.grid, float(quantiser.unit[0])
    if quantiser.blocks is not None:
        numbers = [Fraction(float(value) / unit) for value in sample]
        return block_integers(numbers, quantiser.blocks, shape=shape, axis=quantiser.block_axis)
    if grid.levels is not None:
        quotients = (min(max(float(value) / unit, grid.low), grid.high) for value in sample)
        return [nearest_level(Fraction(quotient), grid.levels) for quotient in quotients]
    rounded = (
        cast_scalar(float(value), unit, low=grid.low, high=grid.high, mantissa_bits=grid.mantissa_bits)
        for value in sample
    )
    return [integer if abs(integer) >= grid.least else 0 for integer in rounded]


def _execute(hardware: HardwareNetwork, hardware_layer: HardwareLayer, sources: Sequence[Integers]) -> Integers:
    network = hardware.network
    engine, requantiser = hardware_layer.engine, hardware_layer.requantiser
    if isinstance(hardware_layer.function, TableRule):
        edge = network.input_edges(hardware_layer.layer)[0]
        return table_codes(hardware_layer.function, plain(sources[0]), hardware.edges[edge])
    if hardware_layer.function is not None:
        sums = function_sums(hardware_layer, hardware_layer.function, plain(sources[0]))
    elif isinstance(hardware_layer.layer.operation, Concat):
        return _concat(network, hardware_layer, [plain(source) for source in sources])
    elif engine is not None and not engine.is_plain:
        sums = engine_sums(hardware, hardware_layer, engine, sources)
    elif requantiser is not None and requantiser.blocks is not None:
        sums = _accumulate(network, hardware_layer, [plain(source) for source in sources])
    else:
        return _execute_layer(network, hardware_layer, [plain(source) for source in sources])
    return _requantise_all(requantiser, sums, hardware_layer)


def _requantise_all(requantiser: Requantiser | None, sums: list[int], hardware_layer: HardwareLayer) -> Integers:
    layer = hardware_layer.layer
    if requantiser is None:
        raise ValueError(f"layer {layer.name!r} ({layer.kind}) has no requantiser")
    channels = (_channel_of(layer, index) for index in range(len(sums)))
    if requantiser.blocks is None:
        return [_requantise(requantiser, value, channel) for value, channel in zip(sums, channels, strict=True)]
    numbers = [_exact_number(requantiser, value, channel) for value, channel in zip(sums, channels, strict=True)]
    return block_integers(numbers, requantiser.blocks, shape=layer.shape, axis=requantiser.block_axis)


def _exact_number(requantiser: Requantiser, accumulator: int, channel: int) -> Fraction:
    """What blocks are cast from: ``A * b * 2**-shift`` within the bounds of ReLU."""
    product = _product(requantiser, accumulator, channel)
    if requantiser.low == 0:
        product = max(product, 0)
    if requantiser.ceiling is not None:
        product = min(product, requantiser.ceiling)
    return product / Fraction(2) ** requantiser.shift


def _execute_layer(network: Network, hardware_layer: HardwareLayer, sources: Sequence[list[int]]) -> list[int]:
    layer, requantiser = hardware_layer.layer, hardware_layer.requantiser
    match layer.operation:
        case Reshape():
            return sources[0]
        case Transpose(order=order):
            return _transpose(sources[0], network.by_name[layer.inputs[0]].shape, order)
        case Select(axis=axis, index=index):
            return _select(sources[0], network.by_name[layer.inputs[0]].shape, axis, index)
        case Slice() | Repeat():
            return _gather(sources[0], network.by_name[layer.inputs[0]].shape, layer)
        case MaxPool(window=window):
            taps = _pooling_taps(network, layer, window)
            return [max(sources[0][index] for index in tap if index is not None) for tap in taps]
    if requantiser is None:
        raise ValueError(f"layer {layer.name!r} ({layer.kind}) has no requantiser")
    sums = _accumulate(network, hardware_layer, sources)
    return [_requantise(requantiser, value, _channel_of(layer, index)) for index, value in enumerate(sums)]


def _channel_of(layer: Layer, index: int) -> int:
    """The channel of the element at a flat index: axis 0, or the last axis of matrix products."""
    if isinstance(layer.operation, Linear | MatMul):
        return index % layer.shape[-1]
    return index // math.prod(layer.shape[1:])


def _multiplier(requantiser: Requantiser, accumulator: int, channel: int) -> int:
    multipliers = requantiser.multipliers
    if accumulator < 0 and requantiser.negative_multipliers is not None:
        multipliers = requantiser.negative_multipliers
    return multipliers[channel % len(multipliers)]


def _product(requantiser: Requantiser, accumulator: int, channel: int) -> int:
    return accumulator * _multiplier(requantiser, accumulator, channel)


def _requantise(requantiser: Requantiser, accumulator: int, channel: int) -> int:
    if requantiser.levels is not None:
        number = _product(requantiser, accumulator, channel) / Fraction(2) ** requantiser.shift
        return min(max(nearest_level(number, requantiser.levels), requantiser.low), requantiser.high)
    rounded = requantise_scalar(
        accumulator,
        _multiplier(requantiser, accumulator, channel),
        shift=requantiser.shift,
        low=requantiser.low,
        high=requantiser.high,
        rounding=requantiser.rounding.value,
        mantissa_bits=requantiser.mantissa_bits,
    )
    return rounded if abs(rounded) >= requantiser.least else 0


def _accumulate(network: Network, hardware_layer: HardwareLayer, sources: Sequence[list[int]]) -> list[int]:
    layer = hardware_layer.layer
    match layer.operation:
        case Convolution():
            return _convolve(network, hardware_layer, sources[0])
        case Linear():
            return _multiply_weights(hardware_layer, sources[0])
        case MatMul():
            return _multiply(network, layer, sources[0], sources[1])
        case AveragePool(window=window):
            taps = _pooling_taps(network, layer, window)
            return [sum(sources[0][index] for index in tap if index is not None) for tap in taps]
        case Add():
            first, second = hardware_layer.addend_multipliers
            return [left * first + right * second for left, right in zip(sources[0], sources[1], strict=True)]
        case Multiply():
            return _multiply_values(network, layer, sources[0], sources[1])
        case Activate():
            return sources[0]
    raise ValueError(f"hardware mode does not define {layer.kind} (layer {layer.name!r})")


def _pooling_taps(network: Network, layer: Layer, window: Window) -> Iterator[list[int | None]]:
    channels, *space = network.by_name[layer.inputs[0]].shape
    taps = list(window_taps(window, tuple(space)))
    area = math.prod(space)
    for channel in range(channels):
        for tap in taps:
            yield [None if index is None else channel * area + index for index in tap]


def _weight_rows(hardware_layer: HardwareLayer) -> list[list[int]]:
    if hardware_layer.weight is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    rows = hardware_layer.weight.reshape(hardware_layer.weight.shape[0], -1).tolist()
    return [[int(value) for value in row] for row in rows]


def _convolve(network: Network, hardware_layer: HardwareLayer, source: list[int]) -> list[int]:
    layer = hardware_layer.layer
    operation = layer.operation
    if not isinstance(operation, Convolution):
        raise TypeError(f"layer {layer.name!r} is no convolution")
    channels, *space = network.by_name[layer.inputs[0]].shape
    area, per_group = math.prod(space), channels // operation.groups
    taps = list(window_taps(operation.window, tuple(space)))
    gathered = []  # per group and position: the values under the window, input channel by input channel
    for group in range(operation.groups):
        bases = [(group * per_group + channel) * area for channel in range(per_group)]
        gathered.append(
            [[0 if index is None else source[base + index] for base in bases for index in tap] for tap in taps]
        )
    rows = _weight_rows(hardware_layer)
    biases = hardware_layer.bias or (0,) * len(rows)
    outputs_per_group = len(rows) // operation.groups
    return [
        sum(map(mul, row, values), bias)
        for output, (row, bias) in enumerate(zip(rows, biases, strict=True))
        for values in gathered[output // outputs_per_group]
    ]


def _multiply_weights(hardware_layer: HardwareLayer, source: list[int]) -> list[int]:
    rows = _weight_rows(hardware_layer)
    depth = len(rows[0])
    biases = hardware_layer.bias or (0,) * len(rows)
    return [
        sum(map(mul, row, source[start : start + depth]), bias)
        for start in range(0, len(source), depth)
        for row, bias in zip(rows, biases, strict=True)
    ]


def _multiply(network: Network, layer: Layer, left: list[int], right: list[int]) -> list[int]:
    *leading, rows, depth = network.by_name[layer.inputs[0]].shape
    columns = layer.shape[-1]
    result = []
    for matrix in range(math.prod(leading)):
        first, second = left[matrix * rows * depth :], right[matrix * depth * columns :]
        for row in range(rows):
            values = first[row * depth : (row + 1) * depth]
            result += [sum(map(mul, values, second[column : depth * columns : columns])) for column in range(columns)]
    return result


def _multiply_values(network: Network, layer: Layer, left: list[int], right: list[int]) -> list[int]:
    shape = network.by_name[layer.inputs[1]].shape
    strides = [0 if size == 1 else math.prod(shape[axis + 1 :]) for axis, size in enumerate(shape)]
    places = itertools.product(*(range(size) for size in layer.shape))
    return [value * right[sum(map(mul, place, strides))] for value, place in zip(left, places, strict=True)]


def _transpose(source: list[int], shape: tuple[int, ...], order: tuple[int, ...]) -> list[int]:
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return [
        source[sum(place * strides[axis] for place, axis in zip(places, order, strict=True))]
        for places in itertools.product(*(range(shape[axis]) for axis in order))
    ]


def _select(source: list[int], shape: tuple[int, ...], axis: int, index: int) -> list[int]:
    inner = math.prod(shape[axis + 1 :])
    blocks = range(index * inner, len(source), shape[axis] * inner)
    return [value for start in blocks for value in source[start : start + inner]]


def _gather(source: list[int], shape: tuple[int, ...], layer: Layer) -> list[int]:
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    places = [list(range(size)) for size in layer.shape]
    operation = layer.operation
    if isinstance(operation, Slice):
        places[operation.axis] = list(range(operation.start, operation.stop, operation.step))
    elif isinstance(operation, Repeat):
        places = [[place // times for place in axis] for axis, times in zip(places, operation.times, strict=True)]
    return [source[sum(map(mul, place, strides))] for place in itertools.product(*places)]


def _concat(network: Network, hardware_layer: HardwareLayer, sources: Sequence[list[int]]) -> Integers:
    layer, rules = hardware_layer.layer, hardware_layer.part_requantisers
    blocks = rules[0].blocks
    if blocks is None:
        parts = [[_requantise(rule, value, 0) for value in own] for rule, own in zip(rules, sources, strict=True)]
        return _joined(network, layer, parts)
    numbers = [[_exact_number(rule, value, 0) for value in own] for rule, own in zip(rules, sources, strict=True)]
    return block_integers(_joined(network, layer, numbers), blocks, shape=layer.shape, axis=rules[0].block_axis)


def _joined(network: Network, layer: Layer, parts: Sequence[list[Number]]) -> list[Number]:
    operation = layer.operation
    if not isinstance(operation, Concat):
        raise TypeError(f"layer {layer.name!r} is no concatenation")
    outer = math.prod(layer.shape[: operation.axis])
    sizes = [math.prod(network.by_name[name].shape[operation.axis :]) for name in layer.inputs]
    return [
        value
        for block in range(outer)
        for part, size in zip(parts, sizes, strict=True)
        for value in part[block * size : (block + 1) * size]
    ]
