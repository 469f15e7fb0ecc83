"""Operands of dot products in blocks: codes of elements and scales become integers and exponents."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emulation.arrays import Array, checked
from emulation.block_casts import BlockCodes
from emulation.code_integers import TABLE_BITS, WORD, in_memory, side
from emulation.codes import integer_of
from emulation.formats import BlockScaled, Format, MiniFloat, Subnormals, Zero
from emulation.wide_integers import largest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.quantisers import Quantiser


class Operand(NamedTuple):
    """One side with k along the last axis: elements in units of ``2**unit``, and what scales each block of them.

    ``scales`` holds the exponents of power-of-two scales, the integers of others, both counted from the scale's
    smallest number; None without scales.
    """

    integers: NDArray[Any]
    scales: NDArray[Any] | None
    unit: int
    block: int


def operand_of(codes: Array | BlockCodes, quantiser: Quantiser, *, axis: int, what: str) -> Operand:
    """One side of a product, k moved to the last axis.

    Args:
        codes: `BlockCodes` of a block format, else integers, shape ``(..., rows, k)`` or ``(..., k, columns)``.
        quantiser: whose codes they are.
        axis: of k, -1 or -2.
        what: "left" or "right", for messages.

    Raises:
        TypeError: if a block format comes without its scales, or codes are no integers.
        ValueError: if blocks do not run along k, shapes do not fit, or a code means no finite number.
    """
    number_format = quantiser.format
    if not isinstance(number_format, BlockScaled):
        found = side(in_memory(checked(codes, f"{what} codes")), quantiser, None, axis=-1 if axis == -2 else -2)
        integers = found.integers if axis == -1 else np.swapaxes(found.integers, -1, -2)
        return Operand(integers, None, found.unit, 0)
    if not isinstance(codes, BlockCodes):
        raise TypeError(
            f"{what} codes of {number_format} are elements and scales: give the BlockCodes that encode returned, got a "
            f"{type(codes).__name__}"
        )
    elements, scales = in_memory(codes.elements), in_memory(codes.scales)
    if number_format.block_size and codes.axis % elements.ndim != axis % elements.ndim:
        raise ValueError(
            f"blocks of the {what} codes must run along k, axis {axis}, got axis {codes.axis}: encode them with "
            f"axis={axis}"
        )
    if elements.ndim < 2:
        raise ValueError(f"{what} codes of shape {elements.shape} have no matrix product: give at least two axes")
    if axis == -2:
        elements = np.swapaxes(elements, -1, -2)
        scales = np.swapaxes(scales, -1, -2) if number_format.block_size else scales
    depth, size = elements.shape[-1], number_format.block_size
    blocks = -(-depth // size) if size else 1
    if size and scales.shape != (*elements.shape[:-1], blocks):
        raise ValueError(
            f"{what} scale codes of shape {scales.shape} do not belong to elements of shape {elements.shape} in "
            f"{number_format}"
        )
    if not size:  # one scale for the tensor is a block as deep as it
        size, scales = max(depth, 1), np.broadcast_to(scales.reshape(-1), (*elements.shape[:-1], 1))
    integers = _looked_up(elements, number_format)
    return Operand(integers, _looked_up(scales, number_format.scale), number_format.unit_exponent, size)


def _looked_up(codes: NDArray[Any], number_format: Format) -> NDArray[Any]:
    """The integers of codes; of a power-of-two scale, whose integers are powers of two, their exponents."""
    is_exponent = isinstance(number_format, MiniFloat) and is_power_of_two(number_format)
    if number_format.width > TABLE_BITS:
        distinct, places = np.unique(codes, return_inverse=True)
        integers = [integer_of(code, number_format) for code in distinct.tolist()]
        return np.array(integers, dtype=np.int64)[places.reshape(codes.shape)]
    table, missing = _tables(number_format)
    largest = int(codes.max(initial=0))
    if largest >= len(table):
        raise ValueError(f"codes of {number_format} must lie in [0, {len(table) - 1}], got {largest}")
    if missing is not None and missing[codes].any():
        code = int(codes[missing[codes]][0])
        raise ValueError(f"code {code:#x} of {number_format} means no finite number: a dot product takes finite ones")
    exponents: NDArray[Any] = codes.astype(np.int64) if is_exponent else table[codes]
    return exponents


@lru_cache(maxsize=64)
def _tables(number_format: Format) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """The integer of every code (0 for powers of two, which are not looked up), and which codes mean none."""
    count = 1 << number_format.width
    table, missing = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    exponent_only = isinstance(number_format, MiniFloat) and is_power_of_two(number_format)
    for code in range(count):
        try:
            integer = integer_of(code, number_format)
        except ValueError:
            missing[code] = True
        else:
            table[code] = 0 if exponent_only else integer
    return table, missing if missing.any() else None


def is_power_of_two(scale: MiniFloat) -> bool:
    """Whether every code of a scale means a power of two."""
    return scale.mantissa_bits == 0 and scale.zero is Zero.ABSENT and scale.subnormals is Subnormals.KEEP_EXPONENT


def with_scales(operand: Operand, number_format: Format) -> tuple[NDArray[Any], int]:
    """Elements times their scales as integers, and the exponent of their unit."""
    integers, factors = operand.integers, operand.scales
    if factors is None or not isinstance(number_format, BlockScaled):
        return integers, operand.unit
    unit = operand.unit + number_format.scale.unit_exponent
    per_element = np.repeat(factors, operand.block, axis=-1)[..., : integers.shape[-1]]
    if not is_power_of_two(number_format.scale):
        return integers * per_element, unit
    least = int(factors.min(initial=1 << 30)) if factors.size else 0
    shifts = per_element - least
    if largest(integers).bit_length() + int(shifts.max(initial=0)) > WORD:
        return integers.astype(object) << shifts.astype(object), unit + least
    return integers << shifts, unit + least


def in_blocks(operand: Operand, number_format: Format, size: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Integers and, for every ``size`` of them along k, the exponent of their unit.

    Scales that are no powers of two go into the integers. The operand's own blocks have that size, or are as deep as k.
    """
    integers, scales = operand.integers, operand.scales
    shape = (*integers.shape[:-1], -(-integers.shape[-1] // size))
    if scales is None or not isinstance(number_format, BlockScaled) or not is_power_of_two(number_format.scale):
        integers, unit = with_scales(operand, number_format)
        return integers, np.full(shape, unit, dtype=np.int64)
    exponents = scales + (operand.unit + number_format.scale.unit_exponent)
    return integers, np.broadcast_to(exponents, shape)
