"""Torch versions of `kernels.definitions.dots`, on any device: whole-array operations, a loop over k at most.

Exact sums run as float64 products of integers below ``2**53``, split into limbs beyond. TensorFloat-32 is switched off
around every product, as it would round operands to 11 bits.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import torch

from kernels.definitions.dots import cast_to_fields, check_options
from kernels.dot_bounds import Operands, initial_value, panels_are_exact, result_exponent
from kernels.fields import AccumulatorFields, FixedFields, FloatFields, ProductFields
from kernels.orders import ordered_sum

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXACT: Final = AccumulatorFields()
_INT64_BITS: Final = 62


@contextlib.contextmanager
def ieee_products() -> Iterator[None]:
    """Products in full precision inside: TensorFloat-32 off, and as it was afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def largest_magnitude(values: torch.Tensor) -> int:
    """The largest magnitude of a tensor of integers, 0 if it is empty."""
    return max(int(values.max()), -int(values.min())) if values.numel() else 0


def check_shapes(left: torch.Tensor, right: torch.Tensor) -> None:
    """Refuse operands that are no matrices or do not fit.

    Raises:
        ValueError: with both shapes.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(
            f"operands of shapes {tuple(left.shape)} and {tuple(right.shape)} have no matrix product: give (m, k) and "
            "(k, n)"
        )


def exact_matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The exact product of integer matrices, int64.

    Args:
        left: integers in any dtype that holds them, shape ``(m, k)``.
        right: the same, shape ``(k, n)``.

    Raises:
        ValueError: if the shapes do not fit, or sums may exceed 62 bits (with the k that would do).

    >>> exact_matmul(torch.tensor([[1 << 40, -1]]), torch.tensor([[1 << 20], [1]]))
    tensor([[1152921504606846975]])
    """
    check_shapes(left, right)
    depth = left.shape[1]
    largest = largest_magnitude(left), largest_magnitude(right)
    product = largest[0] * largest[1]
    if depth * product >= 1 << _INT64_BITS:
        raise ValueError(
            f"sums of {depth} products up to {product} may exceed {_INT64_BITS} bits: at most k = "
            f"{((1 << _INT64_BITS) - 1) // product} of them fit, or use kernels.compiled.dots, which has wider integers"
        )
    with ieee_products():
        if depth * product < 1 << 53:
            return (left.double() @ right.double()).long()
        bits = (52 - max(depth, 1).bit_length()) // 2
        total = torch.zeros((left.shape[0], right.shape[1]), dtype=torch.int64, device=left.device)
        for place, some in enumerate(_limbs(left.long(), bits, largest[0])):
            for other_place, others in enumerate(_limbs(right.long(), bits, largest[1])):
                total += (some @ others).long() << (bits * (place + other_place))
    return total


def _limbs(values: torch.Tensor, bits: int, largest: int) -> list[torch.Tensor]:
    """Signed digits in base ``2**bits`` as float64, least first."""
    sign, rest = values.sign(), values.abs()
    count = max(-(-largest.bit_length() // bits), 1)
    return [(sign * ((rest >> (bits * place)) & ((1 << bits) - 1))).double() for place in range(count)]


def add_to_odd(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Elementwise float64 sums rounded to odd: exact, or the neighbour whose last bit is 1."""
    total = left + right
    moved = total - left
    error = (left - (total - moved)) + (right - moved)
    pattern = total.view(torch.int64)
    # The error of an infinite or NaN sum is NaN, and compares as neither.
    inexact = ((error > 0) | (error < 0)) & ((pattern & 1) == 0)
    step = torch.where((error > 0) == (total > 0), 1, -1)
    return torch.where(inexact, pattern + step, pattern).view(torch.float64)


def cast_tensor(values: torch.Tensor, cast: ProductFields | AccumulatorFields) -> torch.Tensor:
    """`kernels.definitions.dots.cast_to_fields` for a float64 tensor."""
    from kernels.tensors import fixed, minifloat

    if cast.grid is None:
        return values
    if isinstance(cast.grid, FixedFields):
        result = fixed.cast(
            values, cast.grid, rounding=cast.rounding, overflow=cast.overflow, saturation_bits=cast.saturation_bits
        )
    else:
        result = minifloat.cast(
            values, cast.grid, rounding=cast.rounding, overflow=cast.overflow, underflow=cast.underflow
        )
    return result + 0.0


def scale(values: torch.Tensor, exponent: int) -> torch.Tensor:
    """``values * 2**exponent`` in float64, exact, in two steps where one factor would overflow."""
    half = exponent // 2
    return values * 2.0**half * 2.0 ** (exponent - half)


def matmul(
    left: torch.Tensor,
    right: torch.Tensor,
    *,
    unit: int = 0,
    product: ProductFields | None = None,
    accumulator: AccumulatorFields = _EXACT,
    initial: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply integer matrices, each element of the result one `kernels.definitions.dots.dot`.

    Args:
        left: integers in any dtype that holds them, shape ``(m, k)``.
        right: the same, on the same device, shape ``(k, n)``.
        unit: binary exponent of the products' unit.
        product: the format each product is rounded to; None keeps it exact.
        accumulator: format, rounding, overflow and order; exact by default.
        initial: first values in the result's unit (float values for a float accumulator), broadcasting to ``(m, n)``.

    Returns:
        int64 in the unit of `kernels.dot_bounds.result_exponent`, or float64 values for a float accumulator.

    Raises:
        ValueError: if shapes or options do not fit, or float64 does not provably hold the sums.

    >>> accumulator = AccumulatorFields(FixedFields(6, 0, 1))
    >>> matmul(torch.tensor([[3, 5]]), torch.tensor([[6], [7]]), accumulator=accumulator)
    tensor([[31]])
    """
    check_shapes(left, right)
    check_options(product, accumulator)
    shape = (left.shape[0], right.shape[1])
    is_float = isinstance(accumulator.grid, FloatFields)
    first = first_values(initial, shape, accumulator, left.device)
    if accumulator.grid is None and product is None:
        return exact_matmul(left, right) + first
    operands = Operands(
        largest_left=largest_magnitude(left),
        largest_right=largest_magnitude(right),
        left_bits=significant_bits(left),
        right_bits=significant_bits(right),
        depth=left.shape[1],
        largest_initial=float(first.abs().max()) if first.numel() else 0.0,
    )
    if not panels_are_exact(operands, unit=unit, product=product, accumulator=accumulator):
        raise ValueError(
            f"sums of {left.shape[1]} products of integers up to {operands.largest_left} and {operands.largest_right} "
            f"in {accumulator.grid} are not provably exact in the 53 bits of float64: use kernels.compiled.dots"
        )
    exponent = result_exponent(unit, product, accumulator)
    scaled, others = scale(left.double(), unit), right.double()

    def product_of(k: int) -> torch.Tensor:
        exact = scaled[:, k, None] * others[k]
        return exact if product is None else cast_tensor(exact, product)

    result = ordered_sum(
        product_of,
        left.shape[1],
        accumulator,
        initial=first if is_float else scale(first.double(), exponent),
        zero=torch.zeros(shape, dtype=torch.float64, device=left.device),
        exact_sum=torch.add,
        cast_sum=lambda total, added: cast_tensor(add_to_odd(total, added), accumulator),
    )
    return result if is_float else scale(result, -exponent).long()


def first_values(
    initial: torch.Tensor | None, shape: tuple[int, int], accumulator: AccumulatorFields, device: torch.device
) -> torch.Tensor:
    """What accumulators start from, in the shape of the result: float64 for a float accumulator, else int64.

    Raises:
        ValueError: if a value is no number of the accumulator's format.
    """
    dtype = torch.float64 if isinstance(accumulator.grid, FloatFields) else torch.int64
    if initial is None:
        return torch.zeros(shape, dtype=dtype, device=device)
    first = initial.to(dtype).broadcast_to(shape)
    _check_initial(first, accumulator)
    return first


def _check_initial(first: torch.Tensor, accumulator: AccumulatorFields) -> None:
    if accumulator.grid is None:
        return
    exponent = result_exponent(0, None, accumulator)
    for value in set(first.flatten().tolist()):
        exact = initial_value(value, exponent, accumulator)
        if cast_to_fields(exact, accumulator) != Fraction(exact):
            raise ValueError(
                f"the initial value {exact} is no number of the accumulator {accumulator.grid}: round it to one"
            )


def significant_bits(values: torch.Tensor) -> int:
    """An upper bound of the bits from the first to the last 1 of any integer of a tensor.

    >>> significant_bits(torch.tensor([5, -384]))
    3
    """
    if not values.numel():
        return 1
    largest = largest_magnitude(values)
    if largest.bit_length() > 53:
        return largest.bit_length()
    mantissas = values.double().reshape(-1).view(torch.int64) & ((1 << 52) - 1)
    trailing = [place + 1 for place in range(52) if bool(((mantissas >> place) & 1).any())]
    return 54 - min(trailing) if trailing else 1
