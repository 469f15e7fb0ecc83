"""Sums of products by definition, in Python integers: what `emulation.engine_execution` has to equal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING, Any

from emulation.block_reference import on_grid
from emulation.datapaths import Order, Product
from emulation.engines import fit_register
from emulation.lmul import lmul_product
from emulation.network import Convolution
from emulation.reference_codes import Blocks, Integers, plain
from emulation.windows import window_taps
from kernels.rounding import INTEGER_GRID, round_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.engines import BlockSum, Engine, Register
    from emulation.grids import BlockGrid
    from emulation.hardware import HardwareLayer, HardwareNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One side of a dot product, tap after tap: the integers of each tap's channels, and the scales of its blocks.

    ``scales`` is None without blocks; ``size`` counts the elements of a block; ``unit`` is None where scales are binary
    exponents, else they are integers in ``2**unit``.
    """

    taps: Sequence[Sequence[int]]
    scales: Sequence[Sequence[int]] | None = None
    size: int = 0
    unit: int | None = None

    def scale(self, tap: int, block: int) -> Fraction:
        """The scale of a block; 1 without blocks."""
        if self.scales is None:
            return Fraction(1)
        scale = self.scales[tap][block]
        return Fraction(2) ** scale if self.unit is None else scale * Fraction(2) ** self.unit


def dot(engine: Engine, left: Operand, right: Operand, bias: int) -> int:
    """One accumulator: the products of two operands, and the bias, as the engine forms and sums them."""
    if engine.block_sum is not None:
        return _sum_of_blocks(_block_products(left, right), engine.block_sum, bias)
    pairs = [
        pair for first, second in zip(left.taps, right.taps, strict=True) for pair in zip(first, second, strict=True)
    ]
    products = [_product(engine, *pair) for pair in pairs]
    if engine.register is None:
        return sum(products, bias)
    return _accumulate(products, engine.register, bias)


def _block_products(left: Operand, right: Operand) -> list[Fraction]:
    """The exact dot product of every block, scales included, tap after tap."""
    size = left.size or right.size
    products = []
    for tap, (first, second) in enumerate(zip(left.taps, right.taps, strict=True)):
        for block, start in enumerate(range(0, len(first), size)):
            part = sum(map(mul, first[start : start + size], second[start : start + size]))
            products.append(part * left.scale(tap, block) * right.scale(tap, block))
    return products


def _sum_of_blocks(products: Sequence[Fraction], rule: BlockSum, bias: int) -> int:
    if rule.register is not None:
        return _accumulate(products, rule.register, bias)
    total = sum((math.floor(product / Fraction(2) ** rule.shift) for product in products), bias)
    return min(max(total, -rule.largest - 1), rule.largest)


def _product(engine: Engine, left: int, right: int) -> int:
    if engine.product is Product.EXACT:
        return left * right
    return lmul_product(left, right, engine.mantissa_bits, engine.product, engine.limits)


def _accumulate(products: Sequence[int] | Sequence[Fraction], register: Register, bias: int) -> int:
    """A register's content after all products; sums are exact until they are cast (DESIGN section 6, rule 8)."""
    step = Fraction(2) ** -register.product_shift
    sums = [sum(products[start : start + register.chunk]) * step for start in range(0, len(products), register.chunk)]
    if register.order is Order.ASCENDING:
        total = bias
        for part in sums:
            total = _cast(total + part, register)
        return total
    while len(sums) > 1:
        joined = [Fraction(_cast(sums[place] + sums[place + 1], register)) for place in range(0, len(sums) - 1, 2)]
        sums = joined + sums[len(sums) - len(sums) % 2 :]
    return _cast(bias + sums[0], register)


def _cast(value: Fraction, register: Register) -> int:
    shift = value.denominator.bit_length() - 1
    if register.grid.mantissa_bits == INTEGER_GRID:
        return fit_register(round_shift(value.numerator, shift, register.rounding.value), register)
    return on_grid(value.numerator, shift, register.grid, register.rounding.value)


def engine_sums(
    hardware: HardwareNetwork, hardware_layer: HardwareLayer, engine: Engine, sources: Sequence[Integers]
) -> list[int]:
    """The accumulators of an engine for one sample, flat, bias included."""
    layer, network = hardware_layer.layer, hardware.network
    shape = network.by_name[layer.inputs[0]].shape
    grid = hardware.edges[network.input_edges(layer)[0]].blocks
    if hardware_layer.weight is None:
        return _multiply(engine, plain(sources[0]), plain(sources[1]), shape, layer.shape[-1])
    weights = [_weight_operand(hardware_layer, engine, output) for output in range(layer.outputs)]
    biases = hardware_layer.bias or (0,) * len(weights)
    operation = layer.operation
    if isinstance(operation, Convolution):
        columns = _columns(sources[0], grid, shape, operation)
        outputs_per_group = len(weights) // operation.groups
        return [
            dot(engine, left, weight, bias)
            for output, (weight, bias) in enumerate(zip(weights, biases, strict=True))
            for left in columns[output // outputs_per_group]
        ]
    return [
        dot(engine, left, weight, bias)
        for left in _rows(sources[0], grid, shape[-1])
        for weight, bias in zip(weights, biases, strict=True)
    ]


def _rows(source: Integers, grid: BlockGrid | None, depth: int) -> list[Operand]:
    """The vectors along the last axis."""
    if not isinstance(source, Blocks) or grid is None:
        values = plain(source)
        return [Operand(taps=[values[start : start + depth]]) for start in range(0, len(values), depth)]
    count = -(-depth // grid.size)
    return [
        Operand(
            taps=[source.elements[row * depth : (row + 1) * depth]],
            scales=[source.scales[row * count : (row + 1) * count]],
            size=grid.size,
            unit=grid.scale_unit,
        )
        for row in range(len(source.elements) // depth)
    ]


def _columns(
    source: Integers, grid: BlockGrid | None, shape: tuple[int, ...], operation: Convolution
) -> list[list[Operand]]:
    """For each group and position, the values under the kernel; padding is 0."""
    channels, *space = shape
    area, per_group = math.prod(space), channels // operation.groups
    taps = list(window_taps(operation.window, tuple(space)))
    if not isinstance(source, Blocks) or grid is None:
        values = plain(source)
        return [
            [Operand(taps=_under(values, tap, range(first, first + per_group), area)) for tap in taps]
            for first in range(0, channels, per_group)
        ]
    blocks = range(-(-channels // grid.size))
    return [
        [
            Operand(
                taps=_under(source.elements, tap, range(channels), area),
                scales=_under(source.scales, tap, blocks, area),
                size=grid.size,
                unit=grid.scale_unit,
            )
            for tap in taps
        ]
    ]


def _under(values: Sequence[int], tap: Sequence[int | None], channels: range, area: int) -> list[list[int]]:
    return [[0 if place is None else values[channel * area + place] for channel in channels] for place in tap]


def _weight_operand(hardware_layer: HardwareLayer, engine: Engine, output: int) -> Operand:
    """The weights of one output, tap by tap."""
    weight, second = hardware_layer.weight, hardware_layer.second
    if weight is None or second is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    grid = second.blocks
    scales = None
    if grid is not None and engine.weight_scales is not None:
        scales = _by_tap(engine.weight_scales[output])
    size, unit = (0, None) if grid is None else (grid.size, grid.scale_unit)
    return Operand(taps=_by_tap(weight[output]), scales=scales, size=size, unit=unit)


def _by_tap(weights: NDArray[Any]) -> list[list[int]]:
    """``(channels, *kernel)`` to a list of taps of channels."""
    channels = [[int(value) for value in row] for row in weights.reshape(weights.shape[0], -1).tolist()]
    return [list(tap) for tap in zip(*channels, strict=True)]


def _multiply(engine: Engine, left: list[int], right: list[int], shape: tuple[int, ...], columns: int) -> list[int]:
    """Products of the matrices of two activations."""
    *leading, rows, depth = shape
    result = []
    for matrix in range(math.prod(leading)):
        first, second = left[matrix * rows * depth :], right[matrix * depth * columns : (matrix + 1) * depth * columns]
        for row in range(rows):
            operand = Operand(taps=[first[row * depth : (row + 1) * depth]])
            result += [dot(engine, operand, Operand(taps=[second[column::columns]]), 0) for column in range(columns)]
    return result
