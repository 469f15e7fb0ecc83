"""Codes to the integers they mean, on whole arrays and tensors (DESIGN section 6, rule 4)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.arrays import Array, dtype_name
from emulation.codes import integer_of
from emulation.formats import BinaryCoded, FixedPoint, Format, LearnedCodebook, Sign
from kernels.twins import is_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.fitted_tables import FittedTable
    from emulation.quantisers import Quantiser

WORD: Final = 62
"""Integers below ``2**62`` are kept in int64, as `kernels` do."""
TABLE_BITS: Final = 16
"""Codes up to this width are decoded by a table of all of them."""


class Side(NamedTuple):
    """One operand in integers: ``value = integers * 2**unit``."""

    integers: Array
    unit: int


def side(codes: Array, quantiser: Quantiser, table: FittedTable | None, *, axis: int) -> Side:
    """The integers that codes mean, zero point taken off, in the smallest unit that keeps them exact.

    Args:
        codes: unsigned integers, any shape, array or tensor.
        quantiser: format and zero point.
        table: for learned codebooks and binary codes; one of its rows for each entry of axis, or one for all.
        axis: of the channels.

    Raises:
        TypeError: if codes are no integers.
        ValueError: if a code is out of range or means no finite number, or a table is missing or superfluous.
    """
    number_format = quantiser.format
    if not dtype_name(codes).startswith(("int", "uint")):
        raise TypeError(f"codes of {number_format} must be integers, got {dtype_name(codes)}: encode the values first")
    learned = isinstance(number_format, LearnedCodebook | BinaryCoded)
    if learned != (table is not None):
        needed = "needs the table it was encoded with, from fit_table" if learned else "has no table to be given"
        raise ValueError(f"{number_format} {needed}")
    if table is not None:
        return Side(_from_rows(codes, table, axis), 0)
    if isinstance(number_format, FixedPoint):
        return Side(_from_fixed(codes, quantiser), number_format.unit_exponent)
    known = integers_of_codes(quantiser) if number_format.width <= TABLE_BITS else None
    check_codes(codes, quantiser)
    if known is not None and known.dtype != object:
        return Side(_looked_up(known, codes), number_format.unit_exponent)
    # A wide range of exponents: count in the largest unit that all numbers given are multiples of.
    distinct, places = np.unique(in_memory(codes), return_inverse=True)
    integers = [integer_of(code, number_format) for code in distinct.tolist()]
    spare = min((_trailing_zeros(integer) for integer in integers if integer), default=0)
    reduced = [integer >> spare for integer in integers]
    wide = max(map(abs, reduced), default=0).bit_length() > WORD
    found = np.array(reduced, dtype=object if wide else np.int64)[places.reshape(codes.shape)]
    return Side(like_codes(found, codes), number_format.unit_exponent + spare)


def _trailing_zeros(integer: int) -> int:
    return (integer & -integer).bit_length() - 1


@lru_cache(maxsize=64)
def _table_of(number_format: Format) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The integer of every code (0 for those without), and the codes that mean no finite number."""
    integers, missing = [], []
    for code in range(1 << number_format.width):
        try:
            integers.append(integer_of(code, number_format))
        except ValueError:
            integers.append(0)
            missing.append(code)
    return tuple(integers), tuple(missing)


def integers_of_codes(quantiser: Quantiser) -> NDArray[Any] | None:
    """The integer of every code, zero point taken off (0 where a code means no number); None beyond 62 bits.

    Learned formats have no table of their own: None.
    """
    number_format = quantiser.format
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return None
    return _integer_array(number_format, quantiser.scaling.zero_point)


@lru_cache(maxsize=64)
def _integer_array(number_format: Format, zero_point: int) -> NDArray[Any] | None:
    integers, _ = _table_of(number_format)
    if max(map(abs, integers)).bit_length() > WORD:
        return None
    table = np.array(integers, dtype=np.int64) - zero_point
    table.setflags(write=False)  # it is kept
    return table


@lru_cache(maxsize=64)
def _missing(number_format: Format) -> NDArray[np.bool_] | None:
    """Which codes mean no finite number; None if all mean one."""
    _, missing = _table_of(number_format)
    if not missing:
        return None
    found = np.zeros(1 << number_format.width, dtype=np.bool_)
    found[list(missing)] = True
    return found


def check_codes(codes: Array, quantiser: Quantiser) -> None:
    """Refuse codes out of range, and codes that mean no finite number.

    Raises:
        ValueError: with how many there are, and the first.
    """
    number_format = quantiser.format
    _check_range(codes, number_format)
    if isinstance(number_format, FixedPoint | LearnedCodebook | BinaryCoded) or number_format.width > TABLE_BITS:
        return  # all codes mean numbers, or `integer_of` looks at each
    missing = _missing(number_format)
    if missing is None:
        return
    found = missing[in_memory(codes)]
    if found.any():
        position = np.unravel_index(int(found.reshape(-1).argmax()), found.shape)
        where = tuple(int(index) for index in position)
        code = int(in_memory(codes)[where])
        raise ValueError(
            f"{int(found.sum())} of {found.size} codes of {number_format} mean no finite number, the first, {code:#x}, "
            f"at {where}: a dot product takes finite operands only"
        )


def _check_range(codes: Array, number_format: Format) -> None:
    if not math.prod(tuple(codes.shape)):
        return
    array = in_memory(codes)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >> number_format.width:
        raise ValueError(
            f"codes of {number_format} must lie in [0, {(1 << number_format.width) - 1}], got {low} to {high}"
            + (": codes are bits as in hardware; encode the numbers, or view them as unsigned" if low < 0 else "")
        )


def _from_fixed(codes: Array, quantiser: Quantiser) -> Array:
    number_format = quantiser.format
    width, zero_point = number_format.width, quantiser.scaling.zero_point
    _check_range(codes, number_format)
    array = in_memory(codes)
    signed = isinstance(number_format, FixedPoint) and number_format.sign is Sign.SIGNED
    if width <= WORD:
        integers = array.astype(np.int64)
        if signed:
            integers = (integers << (64 - width)) >> (64 - width)
        return like_codes(integers - zero_point, codes)
    top = 1 << (width - 1)
    wide = [((code ^ top) - top if signed else code) - zero_point for code in array.reshape(-1).tolist()]
    fits = max(map(abs, wide), default=0).bit_length() <= WORD
    return like_codes(np.array(wide, dtype=np.int64 if fits else object).reshape(array.shape), codes)


def _from_rows(codes: Array, table: FittedTable, axis: int) -> Array:
    array = in_memory(codes)
    _check_range(codes, table.format)
    rows = len(table.integers)
    if rows == 1:
        return like_codes(table.integers[0][array], codes)
    if array.shape[axis] != rows:
        raise ValueError(f"a table of {rows} channels for codes of shape {array.shape}: axis {axis} must have {rows}")
    shape = [1] * array.ndim
    shape[axis] = rows
    return like_codes(table.integers[np.arange(rows).reshape(shape), array], codes)


def _looked_up(table: NDArray[Any], codes: Array) -> Array:
    if is_tensor(codes):
        import torch

        return torch.from_numpy(table.copy()).to(codes.device)[codes.long()]
    return table[codes]


def in_memory(values: Array) -> NDArray[Any]:
    """Values as a NumPy array; a tensor on the CPU keeps its memory."""
    return np.asarray(values.detach().cpu().numpy() if is_tensor(values) else values)


def like_codes(integers: NDArray[Any], codes: Array) -> Array:
    """Integers as the kind of the codes and where they are; Python integers stay in an object array."""
    if not is_tensor(codes) or integers.dtype == object:
        return integers
    import torch

    return torch.from_numpy(integers).to(codes.device)
