"""L-Mul dot products: straight from codes by the kernels made for them, and from integers where those do not reach."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.arrays import Array, as_dtype
from emulation.code_integers import TABLE_BITS, Side, in_memory, like_codes
from emulation.datapaths import Datapath, NarrowAccumulator, Order, Product
from emulation.format_fields import float_fields
from emulation.formats import MiniFloat
from emulation.lmul import factors
from emulation.lmul_ranges import clamped_range, operand_limits, product_unit_exponent
from emulation.lmul_sums import PANEL, clamped_products, clamped_sums
from emulation.matrix_sums import Summation, accumulator_fields, shifted, sums_of_products
from emulation.wide_integers import narrow, plus
from kernels.fields import (
    LMUL_FIELD,
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    ORDER_PAIRWISE,
    AccumulatorFields,
    LMulFields,
)
from kernels.twins import Twin, is_tensor, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.lmul_ranges import ProductRange

_KINDS: Final = {Product.LMUL_FORMULA: LMUL_FORMULA, Product.LMUL_FIELD: LMUL_FIELD}


def lmul_dot(left: Array, right: Array, datapath: Datapath, *, unit: int, twin: Twin) -> Array | None:
    """One matrix product of codes; None where no kernel is made for it: wide formats, trees over chunks, definition.

    Args:
        left: codes ``(m, k)``.
        right: codes ``(k, n)``.
        datapath: two minifloats, an L-Mul and an accumulator.
        unit: the exponent of the unit that exact sums come out in.
        twin: which implementation computes.
    """
    given = datapath.activation.format, datapath.second.format
    formats = [one for one in given if isinstance(one, MiniFloat) and one.width <= TABLE_BITS]
    accumulator = datapath.arithmetic.accumulator
    if twin is Twin.DEFINITION or len(formats) < len(given):
        return None
    grid = AccumulatorFields()
    if isinstance(accumulator, NarrowAccumulator):
        grid = accumulator_fields(accumulator)
        if accumulator.order is Order.PAIRWISE:
            if accumulator.chunk > 1:
                return None
            grid = grid._replace(order=ORDER_PAIRWISE)
    fields = _lmul_fields(formats[0], formats[1], datapath.arithmetic.product)
    device = str(left.device) if is_tensor(left) and twin is not Twin.COMPILED else "cpu"
    tables = [_operand_table(twin, one, device) for one in formats]
    codes = [
        as_dtype(one, "uint8" if number_format.width <= 8 else "uint16")
        for one, number_format in zip((left, right), formats, strict=True)
    ]
    found = run("lmul", "matmul_codes", *codes, *tables, fields, twin=twin, accumulator=grid)
    if isinstance(accumulator, NarrowAccumulator):
        return found
    product_unit = importlib.import_module(f"kernels.{twin.value}.lmul").product_unit
    return shifted(found, int(product_unit(*tables, fields)) - unit)


@lru_cache(maxsize=64)
def _operand_table(twin: Twin, number_format: MiniFloat, device: str) -> Any:  # noqa: ANN401 - the twin's own type
    fields = float_fields(number_format)
    if twin is Twin.GPU:  # its kernels take the fields themselves
        return fields
    operand_table = importlib.import_module(f"kernels.{twin.value}.lmul").operand_table
    return operand_table(fields, device) if twin is Twin.TENSORS else operand_table(fields)


def _lmul_fields(left: MiniFloat, right: MiniFloat, product: Product) -> LMulFields:
    if product is not Product.LMUL_FIELD_CLAMPED:
        return LMulFields(_KINDS[product], left.mantissa_bits, right.mantissa_bits)
    limits = clamped_range(left, right)
    return LMulFields(
        LMUL_FIELD_CLAMPED,
        left.mantissa_bits,
        right.mantissa_bits,
        limits.exponent_low,
        limits.exponent_high,
        limits.mantissa_high,
    )


def lmul_sums(
    sides: tuple[Side, Side], datapath: Datapath, *, static_unit: int, initial: Array | None, twin: Twin
) -> Array:
    """L-Mul dot products of integers v: any shape, format, accumulator and initial value.

    Args:
        sides: the operands in integers, shapes ``(..., m, k)`` and ``(..., k, n)``.
        datapath: two minifloats, an L-Mul and an accumulator.
        static_unit: the exponent of the unit that exact sums come out in.
        initial: what the accumulators start from, broadcasting to the result; None for 0.
        twin: which implementation adds.

    Raises:
        ValueError: if initial does not fit, or a tensor's products need more than 62 bits.
    """
    left_format, right_format = datapath.activation.format, datapath.second.format
    if not (isinstance(left_format, MiniFloat) and isinstance(right_format, MiniFloat)):
        raise TypeError(f"L-Mul takes two minifloats, got {left_format} and {right_format}")
    product = datapath.arithmetic.product
    like = sides[0].integers
    left, right = (_in_own_unit(one, own) for one, own in zip(sides, (left_format, right_format), strict=True))
    engine = Summation(
        accumulator=datapath.arithmetic.accumulator,
        terms=1,
        unit=product_unit_exponent(left_format, right_format, product),
        static_unit=static_unit,
        twin=twin,
    )
    mantissa_bits = left_format.mantissa_bits, right_format.mantissa_bits
    if product is Product.LMUL_FIELD_CLAMPED:
        limits = operand_limits(left_format, right_format)
        return _Clamped(engine, mantissa_bits, limits, like).sums(left, right, initial)
    pairs, spare = _reduced(factors(left, right, mantissa_bits, product))
    pairs = [(_on_device(one, like), _on_device(other, like)) for one, other in pairs]
    return sums_of_products(pairs, engine._replace(terms=len(pairs), unit=engine.unit + spare), initial)


def _in_own_unit(side: Side, number_format: MiniFloat) -> NDArray[Any]:
    """The integers v of a format: a wide one's were divided by a power of two, which hides what is normal."""
    integers: NDArray[Any] = in_memory(side.integers)
    places = side.unit - number_format.unit_exponent
    return integers.astype(object) << places if places else integers


def _reduced(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[list[tuple[NDArray[Any], NDArray[Any]]], int]:
    """Pairs of wide integers without the power of two that all left ones, and all right ones, have in common."""
    lefts, rights = ([pair[place] for pair in pairs] for place in (0, 1))
    spares = [_spare(parts) if any(part.dtype == object for part in parts) else 0 for parts in (lefts, rights)]
    found = [(narrow(one >> spares[0]), narrow(other >> spares[1])) for one, other in pairs]
    return found, sum(spares)


def _spare(parts: list[NDArray[Any]]) -> int:
    """How often two divides every integer; 0 if all are 0."""
    joined = 0
    for part in parts:
        for value in part.ravel().tolist():
            joined |= value
    return max((joined & -joined).bit_length() - 1, 0)


def _on_device(integers: NDArray[Any], like: Array) -> Array:
    if is_tensor(like) and integers.dtype == object:
        raise ValueError(
            "L-Mul products of these codes need more than the 62 bits of a tensor's integers: use NumPy arrays of "
            "codes, which give Python integers, or formats with fewer exponents"
        )
    return like_codes(integers, like)


class _Clamped(NamedTuple):
    """Sums of clamped products, which are formed one by one where no compiled loop adds them."""

    engine: Summation
    mantissa_bits: tuple[int, int]
    limits: ProductRange
    like: Array

    def sums(self, left: NDArray[Any], right: NDArray[Any], initial: Array | None) -> Array:
        """Matrix by matrix over the leading axes, shape ``(..., m, n)``."""
        leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        shape = (*leading, left.shape[-2], right.shape[-1])
        start = None if initial is None else _spread(initial, shape)
        is_exact = not isinstance(self.engine.accumulator, NarrowAccumulator)
        if is_exact and self.engine.twin is Twin.COMPILED:
            total = clamped_sums(left, right, self.mantissa_bits, self.limits)
            return plus(shifted(total, self.engine.unit - self.engine.static_unit), start)
        lefts = np.broadcast_to(left, (*leading, *left.shape[-2:]))
        rights = np.broadcast_to(right, (*leading, *right.shape[-2:]))
        rows = max(PANEL // max(right.shape[-2] * right.shape[-1], 1), 1)
        parts = [
            self._panel(lefts[place][inside], rights[place], None if start is None else start[place][inside])
            for place in np.ndindex(leading)
            for inside in (slice(first, first + rows) for first in range(0, max(shape[-2], 1), rows))
        ]
        if not parts:  # no matrix at all
            return like_codes(np.zeros(shape, dtype=np.int64), self.like)
        return _joined(parts).reshape(shape)

    def _panel(self, left: NDArray[Any], right: NDArray[Any], start: Array | None) -> Array:
        """Sums of a few rows: every product, times one."""
        depth, columns = right.shape
        products = clamped_products(left[:, None], right.T, self.mantissa_bits, self.limits)
        ((products, ones),), spare = _reduced(
            [(products.reshape(len(left) * columns, depth), np.ones((depth, 1), np.int64))]
        )
        engine = self.engine._replace(unit=self.engine.unit + spare)
        first = None if start is None else start.reshape(-1, 1)
        total = engine.sums(_on_device(products, self.like), _on_device(ones, self.like), first)
        return total.reshape(len(left), columns)


def _spread(initial: Array, shape: tuple[int, ...]) -> Array:
    given = tuple(initial.shape)
    try:
        fits = np.broadcast_shapes(given, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"initial values of shape {given} do not broadcast to the sums' shape {shape}")
    return initial.broadcast_to(shape) if is_tensor(initial) else np.broadcast_to(initial, shape)


def _joined(parts: list[Array]) -> Array:
    if is_tensor(parts[0]):
        import torch

        return torch.cat(parts)
    dtype = object if any(part.dtype == object for part in parts) else parts[0].dtype
    return np.concatenate([part.astype(dtype, copy=False) for part in parts])
