"""Exact dot products of codes whose blocks share scales: BFP, OCP MX, NVFP4, DFP.

An element times the scale of its block is an integer in a unit that fits all blocks at hand, so the whole sum is one
exact product of integer matrices (a Kulisch accumulator). Only then the result moves to the unit asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emulation.arrays import Array, check_shapes, checked
from emulation.block_casts import BlockCodes
from emulation.code_integers import TABLE_BITS, WORD, in_memory, side
from emulation.codes import integer_of
from emulation.datapaths import Datapath, ExactAccumulator, Product
from emulation.formats import BlockScaled, FixedPoint, Format, MiniFloat, Subnormals, Zero
from emulation.matrix_sums import Summation, sums_of_products
from kernels.twins import Twin, choose, is_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.quantisers import Quantiser


class _Operand(NamedTuple):
    """One side with k along the last axis: elements in units of ``2**unit``, and what scales each block of them.

    ``scales`` holds the exponents of power-of-two scales, the integers of others, both counted from the scale's
    smallest number; None without scales.
    """

    integers: NDArray[Any]
    scales: NDArray[Any] | None
    unit: int
    block: int


def block_dot(
    left: Array | BlockCodes,
    right: Array | BlockCodes,
    datapath: Datapath,
    *,
    initial: Array | None,
    unit_exponent: int | None,
    twin: Twin | None,
) -> Array:
    """The exact sums of products where one side or both are in blocks; see `emulation.dots.dot`."""
    _check_datapath(datapath)
    first = _operand(left, datapath.activation, axis=-1, what="left")
    second = _operand(right, datapath.second, axis=-2, what="right")
    check_shapes(first.integers, np.swapaxes(second.integers, -1, -2))
    tensor = left.elements if isinstance(left, BlockCodes) else left
    chosen = choose(tensor, "dots", twin)
    formats = datapath.activation.format, datapath.second.format
    target = exact_unit_exponent(*formats) if unit_exponent is None else unit_exponent
    result: NDArray[Any] | None = None
    if chosen is not Twin.DEFINITION and initial is None:
        result = _by_exponents(first, second, formats, target)
    if result is None:
        left_integers, left_unit = _with_scales(first, formats[0])
        right_integers, right_unit = _with_scales(second, formats[1])
        engine = Summation(
            accumulator=ExactAccumulator(),
            terms=1,
            unit=left_unit + right_unit,
            static_unit=target,
            twin=chosen if chosen is Twin.DEFINITION else Twin.COMPILED,
        )
        start = None if initial is None else in_memory(initial)
        result = sums_of_products([(left_integers, np.swapaxes(right_integers, -1, -2))], engine, start)
    if not is_tensor(tensor):
        return result
    if result.dtype == object:
        raise ValueError(
            f"sums in units of 2**{target} need more than 62 bits, and a tensor has int64: choose a larger "
            "unit_exponent, or use NumPy arrays, which give Python integers"
        )
    import torch

    return torch.from_numpy(result).to(tensor.device)


@lru_cache(maxsize=256)
def exact_unit_exponent(activation: Format, second: Format) -> int:
    """The exponent of the unit that every exact sum of products is a multiple of, whatever the scales.

    >>> from emulation.catalogue import parse
    >>> exact_unit_exponent(parse("mxfp4"), parse("mxfp4")), exact_unit_exponent(parse("nvfp4"), parse("int8"))
    (-256, -10)
    """
    return sum(_least_unit(one) for one in (activation, second))


def _least_unit(number_format: Format) -> int:
    scale = number_format.scale.unit_exponent if isinstance(number_format, BlockScaled) else 0
    return number_format.unit_exponent + scale


def _check_datapath(datapath: Datapath) -> None:
    arithmetic, formats = datapath.arithmetic, (datapath.activation.format, datapath.second.format)
    if arithmetic.product is not Product.EXACT or not isinstance(arithmetic.accumulator, ExactAccumulator):
        raise ValueError(
            f"dot products of blocks have exact products and an exact accumulator, got {arithmetic} for {formats[0]} "
            f"and {formats[1]}"
        )
    if not all(isinstance(one, BlockScaled | FixedPoint | MiniFloat) for one in formats):
        raise ValueError(
            f"a block format goes with a block format, fixed point or a minifloat, got {formats[0]} and {formats[1]}"
        )


def _operand(codes: Array | BlockCodes, quantiser: Quantiser, *, axis: int, what: str) -> _Operand:
    number_format = quantiser.format
    if not isinstance(number_format, BlockScaled):
        found = side(in_memory(checked(codes, f"{what} codes")), quantiser, None, axis=-1 if axis == -2 else -2)
        integers = found.integers if axis == -1 else np.swapaxes(found.integers, -1, -2)
        return _Operand(integers, None, found.unit, 0)
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
    return _Operand(integers, _looked_up(scales, number_format.scale), number_format.unit_exponent, size)


def _looked_up(codes: NDArray[Any], number_format: Format) -> NDArray[Any]:
    """The integers of codes; of a power-of-two scale, whose integers are powers of two, their exponents."""
    is_exponent = isinstance(number_format, MiniFloat) and _is_power_of_two(number_format)
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
    exponent_only = isinstance(number_format, MiniFloat) and _is_power_of_two(number_format)
    for code in range(count):
        try:
            integer = integer_of(code, number_format)
        except ValueError:
            missing[code] = True
        else:
            table[code] = 0 if exponent_only else integer
    return table, missing if missing.any() else None


def _is_power_of_two(scale: MiniFloat) -> bool:
    return scale.mantissa_bits == 0 and scale.zero is Zero.ABSENT and scale.subnormals is Subnormals.KEEP_EXPONENT


def _with_scales(operand: _Operand, number_format: Format) -> tuple[NDArray[Any], int]:
    """Elements times their scales as integers, and the exponent of their unit."""
    integers, factors = operand.integers, operand.scales
    if factors is None or not isinstance(number_format, BlockScaled):
        return integers, operand.unit
    unit = operand.unit + number_format.scale.unit_exponent
    per_element = np.repeat(factors, operand.block, axis=-1)[..., : integers.shape[-1]]
    if not _is_power_of_two(number_format.scale):
        return integers * per_element, unit
    least = int(factors.min(initial=1 << 30)) if factors.size else 0
    shifts = per_element - least
    if _largest(integers).bit_length() + int(shifts.max(initial=0)) > WORD:
        return integers.astype(object) << shifts.astype(object), unit + least
    return integers << shifts, unit + least


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


def _by_exponents(
    first: _Operand, second: _Operand, formats: tuple[Format, Format], target: int
) -> NDArray[Any] | None:
    """One product of matrices by the kernel for power-of-two scales; None where it is not made for them."""
    sizes = {one.block for one in (first, second) if one.scales is not None}
    scales = [one.scale for one in formats if isinstance(one, BlockScaled)]
    plain = first.integers.ndim == second.integers.ndim == 2 and first.integers.shape[1] == second.integers.shape[1]
    if len(sizes) != 1 or not plain or not all(map(_is_power_of_two, scales)):
        return None
    if object in {first.integers.dtype, second.integers.dtype}:
        return None
    from kernels.compiled.block_dots import block_matmul

    (size,) = sizes
    blocks = -(-first.integers.shape[1] // size)
    exponents = [
        np.zeros((len(one.integers), blocks), dtype=np.int64) if one.scales is None else one.scales
        for one in (first, second)
    ]
    sums = block_matmul(first.integers, second.integers.T, exponents[0], exponents[1].T, block=size)
    unit = first.unit + second.unit + sum(scale.unit_exponent for scale in scales) - target
    shifts = sums.row_exponents[:, None] + sums.column_exponents[None, :] + unit
    return _shifted_each(sums.integers(), shifts)


def _shifted_each(integers: NDArray[Any], shifts: NDArray[np.int64]) -> NDArray[Any]:
    """``integers * 2**shifts``, exactly."""
    negative = np.minimum(shifts, 0)
    if negative.any():
        if (integers & ((np.ones_like(integers) << -np.maximum(negative, -WORD)) - 1)).any():
            raise ValueError(
                f"sums are multiples of units up to 2**{int(-negative.min())} times smaller than the unit asked for: "
                f"choose a unit_exponent that is {int(-negative.min())} lower, or leave it out"
            )
        integers = integers >> -np.maximum(negative, -WORD)
    positive = np.maximum(shifts, 0)
    lengths = np.frexp(np.abs(integers).astype(np.float64))[1] + positive
    if integers.dtype == object or int(lengths.max(initial=0)) > WORD:
        shifted: NDArray[Any] = integers.astype(object) << positive.astype(object)
        return shifted
    return integers << positive
