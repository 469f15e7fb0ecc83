"""Sums of products matrix by matrix: which kernel takes them, in which unit they come out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.arrays import as_dtype, checked, dtype_name
from emulation.code_integers import WORD, in_memory
from emulation.datapaths import Accumulator, NarrowAccumulator, Order, RoundedProduct
from emulation.format_fields import scalar_fields
from emulation.formats import FixedPoint
from kernels.dot_bounds import result_exponent
from kernels.fields import ORDER_ASCENDING, ORDER_CHUNKS_EXACT, ORDER_PAIRWISE, AccumulatorFields, ProductFields
from kernels.twins import Twin, is_tensor, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.arrays import Array


ORDERS: Final = {Order.ASCENDING: ORDER_ASCENDING, Order.PAIRWISE: ORDER_PAIRWISE}


def accumulator_fields(accumulator: NarrowAccumulator, products_per_term: int = 1) -> AccumulatorFields:
    """A register as `kernels` take it; ``products_per_term`` neighbours along k make one product of the engine."""
    chunk = accumulator.chunk * products_per_term
    return AccumulatorFields(
        grid=scalar_fields(accumulator.format),
        rounding=accumulator.rounding.value,
        overflow=accumulator.overflow.value,
        order=ORDER_ASCENDING if chunk == 1 else ORDER_CHUNKS_EXACT,
        chunk=chunk,
    )


def product_fields(product: RoundedProduct | None) -> ProductFields | None:
    """A rounded product as `kernels` take it."""
    if product is None:
        return None
    return ProductFields(scalar_fields(product.format), product.rounding.value, product.overflow.value)


def checked_initial(initial: Array, accumulator: Accumulator, like: Array) -> Array:
    """What accumulators start from, as the kind of the codes and where they are.

    Raises:
        TypeError: if an accumulator of integers starts from anything but integers.
        ValueError: if a value is no number of a narrow accumulator, naming the first.
    """
    array = in_memory(checked(initial, "initial values"))
    name = dtype_name(array)
    of_integers = name.startswith(("int", "uint")) or (
        array.dtype == object and all(isinstance(one, int) for one in array.reshape(-1).tolist())
    )
    counts = not isinstance(accumulator, NarrowAccumulator) or isinstance(accumulator.format, FixedPoint)
    if counts and not of_integers:
        raise TypeError(
            f"accumulator {accumulator} counts in integers of its unit, got initial values of dtype {name}: divide "
            "them by 2**accumulator_unit_exponent(datapath), round, and give integers"
        )
    if isinstance(accumulator, NarrowAccumulator):
        _check_numbers(array, accumulator)
    if not is_tensor(like):
        return array
    if array.dtype == object:
        raise ValueError("initial values of a tensor's accumulators must fit int64: use NumPy arrays of codes")
    import torch

    return torch.from_numpy(array.copy()).to(like.device)


def _check_numbers(initial: NDArray[Any], accumulator: NarrowAccumulator) -> None:
    number_format = accumulator.format
    if isinstance(number_format, FixedPoint):
        lost = (initial < number_format.smallest_integer) | (initial > number_format.largest_integer)
        allowed = f"integers from {number_format.smallest_integer} to {number_format.largest_integer}"
    else:
        values = as_dtype(initial, "float64")
        lost = ~np.isfinite(values)
        numbers = run(
            "minifloat", "cast", np.where(lost, 0.0, values), scalar_fields(number_format), twin=Twin.COMPILED
        )
        lost = lost | (numbers != values)
        allowed = f"finite numbers of {number_format}: cast them to it first"
    if lost.any():
        raise ValueError(
            f"{int(lost.sum())} of {initial.size} initial values, such as {initial[lost][0]}, are no numbers of "
            f"accumulator {accumulator}, which starts from {allowed}"
        )


def sums_of_products(pairs: list[tuple[Array, Array]], engine: Summation, initial: Array | None) -> Array:
    """Matrix by matrix over the leading axes; the pairs' products of one k are one product of the engine.

    Args:
        pairs: integers ``(..., m, k)`` and ``(..., k, n)``.
        engine: how they are summed.
        initial: what the accumulators start from, broadcasting to the result.

    Returns:
        Shape ``(..., m, n)``; see `emulation.dots.dot`.
    """
    left_shape, right_shape = tuple(pairs[0][0].shape), tuple(pairs[0][1].shape)
    leading = np.broadcast_shapes(left_shape[:-2], right_shape[:-2])
    shape = (*leading, left_shape[-2], right_shape[-1])
    left, right = _interleaved([pair[0] for pair in pairs], -1), _interleaved([pair[1] for pair in pairs], -2)
    if len(right_shape) == 2 and initial is None:
        rows = left.reshape(math.prod(left_shape[:-1]), left.shape[-1])
        return engine.sums(rows, right, None).reshape(shape)
    start = None if initial is None else broadcast(initial, shape)
    lefts, rights = (
        broadcast(left, (*leading, *left.shape[-2:])),
        broadcast(right, (*leading, *right.shape[-2:])),
    )
    parts = [
        engine.sums(lefts[index], rights[index], None if start is None else start[index])
        for index in np.ndindex(*leading)
    ]
    if not parts:
        return np.zeros(shape, dtype=np.int64) if not is_tensor(left) else left.new_zeros(shape)
    if is_tensor(parts[0]):
        import torch

        return torch.stack(parts).reshape(shape)
    if any(part.dtype == object for part in parts):
        parts = [part.astype(object) for part in parts]
    return np.stack(parts).reshape(shape)


def broadcast(values: Array, shape: tuple[int, ...]) -> Array:
    """Operands over the leading axes, or what accumulators start from in the shape of the sums.

    Raises:
        ValueError: with both shapes, if initial values do not broadcast; operands were checked.
    """
    given = tuple(values.shape)
    fits = len(given) <= len(shape) and all(
        own in {1, size} for own, size in zip(reversed(given), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(f"initial values of shape {given} do not broadcast to the sums' shape {shape}")
    return values.broadcast_to(shape) if is_tensor(values) else np.broadcast_to(values, shape)


def _interleaved(parts: list[Array], axis: int) -> Array:
    if len(parts) == 1:
        return parts[0]
    place = axis if axis == -1 else -2
    stacked: Array
    if is_tensor(parts[0]):
        import torch

        stacked = torch.stack(parts, dim=place)
    else:
        stacked = np.stack(parts, axis=place)
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return stacked.reshape(shape)


class Summation(NamedTuple):
    """How one matrix product is summed: ``terms`` neighbours along k make one product of the engine.

    Products count in ``2**unit``, exact sums come out in ``2**static_unit``. ``product`` is the format that every
    product is cast to first, None if they stay exact.
    """

    accumulator: Accumulator
    terms: int
    unit: int
    static_unit: int
    twin: Twin
    product: ProductFields | None = None

    def sums(self, left: Array, right: Array, initial: Array | None) -> Array:
        """One product of matrices ``(m, k)`` and ``(k, n)``."""
        accumulator = self.accumulator
        if not isinstance(accumulator, NarrowAccumulator):
            total = run("dots", "matmul", left, right, twin=self.twin, unit=self.unit, product=self.product)
            total = shifted(total, self._exact_unit() - self.static_unit)
            return total if initial is None else _sum(total, initial)
        fields = accumulator_fields(accumulator, self.terms)
        if accumulator.order is Order.PAIRWISE:
            left, right = self._chunks(left, right, fields.chunk)
            shape = tuple(left.shape[:2])
            fields = fields._replace(order=ORDER_PAIRWISE, chunk=1)
            flat = left.reshape(shape[0] * shape[1], left.shape[-1])
            start = None if initial is None else initial.reshape(-1, 1)
            engine = self
            if accumulator.chunk > 1:  # the chunks' sums are of cast products already
                engine = self._replace(unit=self._exact_unit(), product=None)
            return engine.narrow_sums(flat, right, fields, start).reshape(shape)
        return self.narrow_sums(left, right, fields, initial)

    def narrow_sums(self, left: Array, right: Array, fields: AccumulatorFields, initial: Array | None) -> Array:
        """One product of matrices in a register, ascending or by exact chunks or as a tree over k."""
        options: dict[str, Any] = {
            "unit": self.unit,
            "product": self.product,
            "accumulator": fields,
            "initial": initial,
        }
        return run("dots", "matmul", left, right, twin=self.twin, **options)

    def _exact_unit(self) -> int:
        """The exponent of the unit that exact sums of the products come out in."""
        return result_exponent(self.unit, self.product, AccumulatorFields())

    def _chunks(self, left: Array, right: Array, chunk: int) -> tuple[Array, Array]:
        """Exact sums of chunks, shape ``(m, n, chunks)``, and the column of ones that adds them up again."""
        depth = left.shape[-1]
        options: dict[str, Any] = {"unit": self.unit, "product": self.product} if chunk > 1 else {}
        parts = [
            run(
                "dots",
                "matmul",
                left[:, start : start + chunk],
                right[start : start + chunk],
                twin=self.twin,
                **options,
            )
            for start in range(0, depth, chunk)
        ]
        if is_tensor(left):
            import torch

            shape = (left.shape[0], right.shape[1], 0)
            stacked = torch.stack(parts, dim=-1) if parts else left.new_zeros(shape)
            return stacked, left.new_ones((len(parts), 1))
        if not parts:
            return np.zeros((left.shape[0], right.shape[1], 0), np.int64), np.ones((0, 1), np.int64)
        return np.stack(parts, axis=-1), np.ones((len(parts), 1), np.int64)


def shifted(total: Array, bits: int) -> Array:
    """``total * 2**bits``, exactly.

    Raises:
        ValueError: if a negative shift would lose bits.
    """
    if not bits:
        return total
    if bits < 0:
        # Words of 64 bits are shifted by 63 at most, which leaves nothing but a sign: only 0 comes back.
        places = -bits if total.dtype == object else min(-bits, WORD + 1)
        kept = total >> places
        if bool((kept << places != total).any()):
            raise ValueError(
                f"sums are multiples of a unit 2**{-bits} times smaller than the unit asked for: choose a "
                f"unit_exponent that is {-bits} lower, or leave it out"
            )
        return kept
    if not is_tensor(total) and largest_magnitude(total).bit_length() + bits > WORD:
        total = total.astype(object)
    shifted = total << bits
    if is_tensor(total) and bool((shifted >> bits != total).any()):
        raise ValueError("sums in the unit asked for need more than int64: choose a larger unit_exponent")
    return shifted


def _sum(total: Array, initial: Array) -> Array:
    if is_tensor(total):
        # In Python: neither the magnitude of the least int64 nor a sum of two fits int64.
        most = sum(max(int(one.max()), -int(one.min())) if one.numel() else 0 for one in (total, initial))
        if most.bit_length() > WORD:
            raise ValueError(
                f"sums and what they start from may need {most.bit_length() + 1} bits, and a tensor has int64: use "
                "NumPy arrays, which give Python integers, or a narrow accumulator"
            )
        return total + initial.to(total.dtype)
    if (
        object in {total.dtype, initial.dtype}
        or (largest_magnitude(total) + largest_magnitude(initial)).bit_length() > WORD
    ):
        return total.astype(object) + initial.astype(object)
    return total + initial


def largest_magnitude(values: NDArray[Any]) -> int:
    """The largest magnitude, 0 of nothing."""
    return max(int(values.max()), -int(values.min())) if values.size else 0
