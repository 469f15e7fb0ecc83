"""Engines in integers: how products are formed and summed, with every constant decided (DESIGN section 6, 5 to 8, 11).

Accumulators count in ``unit of the activations * unit of the weights * 2**Engine.unit_exponent``, one unit per output
channel where the weights have one:

* exact: the unit of the products, exponent 0; L-Mul's products are multiples of a power of two, which goes in here
  (`emulation.lmul_ranges.product_unit_exponent`);
* narrow: the unit of the register's format, so that the register holds integers;
* blocks, aligned: a unit chosen here so that the largest sum calibration lets expect fits the accumulator's width,
  `BLOCK_ACCUMULATOR_BITS` unless the arithmetic says another (`AlignedAccumulator`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.block_reference import on_grid
from emulation.compatibility import block_size, engine_can_use, row_blocks
from emulation.datapaths import AlignedAccumulator, Arithmetic, NarrowAccumulator, Product
from emulation.formats import MiniFloat
from emulation.grids import Grid, grid_of
from emulation.lmul_ranges import operand_limits, product_unit_exponent
from emulation.network import MatMul
from emulation.rules import Overflow
from kernels.rounding import HALF_EVEN, INTEGER_GRID, as_dyadic, round_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.datapaths import Order
    from emulation.formats import Format, ScalarFormat
    from emulation.lmul_ranges import ProductRange
    from emulation.network import Layer
    from emulation.quantisers import ScaledQuantiser
    from emulation.rules import Rounding

BLOCK_ACCUMULATOR_BITS: Final = 32
"""Width of what sums the dot products of blocks where the arithmetic says exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A narrow accumulator: after every chunk of products its content is cast to ``grid`` once.

    A product p adds ``p * 2**-product_shift`` steps of the register; ``grid`` holds the integers of its ``format``.
    """

    format: ScalarFormat
    grid: Grid
    product_shift: int
    rounding: Rounding
    overflow: Overflow
    chunk: int
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSum:
    """The sum over blocks: each block's exact dot product p, scales included, is ``p * 2**-shift``.

    Without a register it is floored, all are added exactly, and the end saturates to ``bits`` bits (DESIGN section 6,
    rule 11). A ``register`` takes these numbers as it takes products elsewhere: ``chunk`` of them are added exactly,
    and one cast follows; the shift is its product_shift.
    """

    shift: int
    bits: int = BLOCK_ACCUMULATOR_BITS
    register: Register | None = None

    @property
    def largest(self) -> int:
        """The greatest sum; the least is its negative, of two's complement less one."""
        return (1 << (self.bits - 1)) - 1 if self.register is None else self.register.grid.high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engine:
    """How an engine multiplies and sums.

    Attributes:
        product: exact, or an L-Mul.
        mantissa_bits: of the activation and of the other operand; L-Mul needs them to take integers apart.
        limits: the range of clamped L-Mul products, exponents counted from both smallest normal numbers; else None.
        register: the narrow accumulator, None for an exact one.
        block_sum: the sum over blocks, None without block operands.
        weight_scales: integers of the scales of weights in blocks, shape of the weights with blocks for input channels.
        unit_exponent: accumulators count in the product of the operands' units times two to this power.
    """

    product: Product = Product.EXACT
    mantissa_bits: tuple[int, int] = (0, 0)
    limits: ProductRange | None = None
    register: Register | None = None
    block_sum: BlockSum | None = None
    weight_scales: NDArray[np.int64] | None = None
    unit_exponent: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it multiplies integers and adds them exactly."""
        return self.product is Product.EXACT and self.register is None and self.block_sum is None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedEngine:
    """An engine with its weights as integers, biases in the accumulator's unit, and that unit per output or for all."""

    engine: Engine
    weight: NDArray[Any]
    bias: tuple[int, ...] | None
    units: NDArray[np.float64]


def lower_engine(
    layer: Layer, source: ScaledQuantiser, weights: ScaledQuantiser, arithmetic: Arithmetic
) -> WeightedEngine:
    """An engine with weights in integers; biases are rounded half to even (rule 7) and start the accumulator (rule 8).

    Raises:
        ValueError: if hardware mode does not define the arithmetic on these formats.
    """
    if layer.weight is None:
        raise ValueError(f"layer {layer.name!r} has no weights")
    if not engine_can_use(layer, source.format, weights.format, arithmetic):
        raise _undefined(layer, source.format, weights.format, arithmetic)
    if source.blocks is not None or weights.blocks is not None:
        return _block_engine(layer, layer.weight, source, weights, arithmetic)
    integers = _as_integers(weights.integers(layer.weight))
    engine = scalar_engine(source.format, weights.format, arithmetic)
    units = np.asarray(weights.unit * source.unit[0] * 2.0**engine.unit_exponent)
    return WeightedEngine(engine=engine, weight=integers, bias=_bias(layer, units, engine.register), units=units)


def activation_engine(layer: Layer, left: ScaledQuantiser, right: ScaledQuantiser, arithmetic: Arithmetic) -> Engine:
    """An engine that multiplies two activations.

    Raises:
        ValueError: if hardware mode does not define the arithmetic on these formats.
    """
    if not engine_can_use(layer, left.format, right.format, arithmetic):
        raise _undefined(layer, left.format, right.format, arithmetic)
    return scalar_engine(left.format, right.format, arithmetic)


def product_unit(layer: Layer, operands: Sequence[ScaledQuantiser], engine: Engine) -> float:
    """What the accumulators of a product of two activations count in, its constant factor included.

    Raises:
        TypeError: if the layer multiplies no two activations.
    """
    if not isinstance(layer.operation, MatMul):
        raise TypeError(f"layer {layer.name!r} ({layer.kind}) is no product of two activations")
    left, right = (float(one.unit[0]) for one in operands)
    return layer.operation.factor * left * right * 2.0**engine.unit_exponent


def _undefined(layer: Layer, activation: Format, second: Format, arithmetic: Arithmetic) -> ValueError:
    rules = (
        "L-Mul needs two minifloats; blocks need an ungrouped convolution or a linear layer, exact products, and one "
        "block size; alignedN needs blocks; see emulation.compatibility"
    )
    accumulator = arithmetic.accumulator
    if isinstance(accumulator, AlignedAccumulator) and (count := row_blocks(layer, activation, second)):
        rules += (
            f". {accumulator} adds at most {accumulator.most_blocks} blocks (k up to "
            f"{accumulator.most_blocks * block_size(activation, second)}), as each may lose a step by flooring; an "
            f"output of this layer has {count}: use aligned{(count + 2).bit_length() + 1} or wider"
        )
    return ValueError(
        f"layer {layer.name!r} cannot multiply {activation} by {second} with arithmetic {arithmetic} in hardware mode: "
        f"{rules}"
    )


def scalar_engine(activation: Format, second: Format, arithmetic: Arithmetic) -> Engine:
    """The constants of an engine without blocks: they follow from formats alone."""
    product, accumulator = arithmetic.product, arithmetic.accumulator
    mantissa_bits, limits = (0, 0), None
    if product is not Product.EXACT:
        first, other = _minifloat(activation), _minifloat(second)
        mantissa_bits = (first.mantissa_bits, other.mantissa_bits)
        limits = operand_limits(first, other) if product is Product.LMUL_FIELD_CLAMPED else None
    product_exponent = product_unit_exponent(activation, second, product)
    register = _register(accumulator, product_exponent) if isinstance(accumulator, NarrowAccumulator) else None
    return Engine(
        product=product,
        mantissa_bits=mantissa_bits,
        limits=limits,
        register=register,
        unit_exponent=product_exponent
        - (activation.unit_exponent + second.unit_exponent)
        + (0 if register is None else register.product_shift),
    )


def _minifloat(number_format: Format) -> MiniFloat:
    if not isinstance(number_format, MiniFloat):
        raise TypeError(f"L-Mul needs minifloats, got {number_format}")
    return number_format


def _register(accumulator: NarrowAccumulator, product_exponent: int) -> Register:
    return Register(
        format=accumulator.format,
        grid=grid_of(accumulator.format),
        product_shift=accumulator.format.unit_exponent - product_exponent,
        rounding=accumulator.rounding,
        overflow=accumulator.overflow,
        chunk=accumulator.chunk,
        order=accumulator.order,
    )


def fit_register(value: int, register: Register) -> int:
    """An integer beyond the register's range, wrapped or saturated.

    >>> from emulation.catalogue import parse
    >>> from emulation.datapaths import Order
    >>> from emulation.rules import Rounding
    >>> rule = dict(product_shift=0, rounding=Rounding.HALF_EVEN, chunk=1, order=Order.ASCENDING)
    >>> rule |= dict(format=parse("int4"), grid=grid_of(parse("int4")))
    >>> [fit_register(9, Register(overflow=one, **rule)) for one in (Overflow.WRAP, Overflow.SATURATE)]
    [-7, 7]
    """
    low, high = register.grid.low, register.grid.high
    if register.overflow is Overflow.WRAP:
        return (value - low) % (high - low + 1) + low
    return min(max(value, low), high)


def _bias(layer: Layer, units: NDArray[np.float64], register: Register | None) -> tuple[int, ...] | None:
    """Biases in the accumulator's unit, half to even; in a register, numbers of its format."""
    if layer.bias is None:
        return None
    spread = np.broadcast_to(units, layer.bias.shape)
    quotients = [float(value) / float(unit) for value, unit in zip(layer.bias, spread, strict=True)]
    if register is None:
        return tuple(round(quotient) for quotient in quotients)
    return tuple(_register_bias(quotient, register) for quotient in quotients)


def _register_bias(quotient: float, register: Register) -> int:
    numerator, shift = as_dyadic(Fraction(quotient))
    if register.grid.mantissa_bits == INTEGER_GRID:
        return fit_register(round_shift(numerator, shift, HALF_EVEN), register)
    return on_grid(numerator, shift, register.grid)


def _block_engine(
    layer: Layer,
    weight: NDArray[np.float64],
    source: ScaledQuantiser,
    weights: ScaledQuantiser,
    arithmetic: Arithmetic,
) -> WeightedEngine:
    from emulation.block_tensors import cast_blocks

    scales, accumulator = None, arithmetic.accumulator
    if weights.blocks is None:
        integers = _as_integers(weights.integers(weight))
    else:
        tensor = cast_blocks(weight, weights)
        integers, scales = tensor.elements, tensor.scales
    units = np.asarray(weights.unit * source.unit[0])
    if isinstance(accumulator, NarrowAccumulator):
        register = _register(accumulator, source.format.unit_exponent + weights.format.unit_exponent)
        rule = BlockSum(shift=register.product_shift, bits=register.format.width, register=register)
    else:
        bits = accumulator.width if isinstance(accumulator, AlignedAccumulator) else BLOCK_ACCUMULATOR_BITS
        rule = BlockSum(shift=_aligned_shift(layer, weight, source, weights, bits=bits), bits=bits)
    engine = Engine(block_sum=rule, weight_scales=scales, unit_exponent=rule.shift)
    units = np.ldexp(units, rule.shift)
    return WeightedEngine(engine=engine, weight=integers, bias=_bias(layer, units, rule.register), units=units)


def _aligned_shift(
    layer: Layer, weight: NDArray[np.float64], source: ScaledQuantiser, weights: ScaledQuantiser, *, bits: int
) -> int:
    """The least shift with which the largest sum that calibration lets expect fits so many bits."""
    rows = np.abs(weights.cast(weight)).reshape(weight.shape[0], -1).sum(axis=1)
    reach = rows * source.largest_value + (0.0 if layer.bias is None else np.abs(layer.bias))
    # Every block may lose up to one step by flooring, and the bias half of one.
    largest = BlockSum(shift=0, bits=bits).largest - row_blocks(layer, source.format, weights.format) - 1
    return max(math.frexp(float(value))[1] for value in reach / (weights.unit * source.unit[0]) / largest)


def _as_integers(values: NDArray[np.float64]) -> NDArray[Any]:
    """int64 where it fits; Python integers for minifloats with a wider range."""
    if values.size == 0 or np.abs(values).max() < 2.0**62:
        return values.astype(np.int64)
    return np.array([int(value) for value in values.ravel()], dtype=object).reshape(values.shape)
