"""Dot products of codes whose blocks share scales: BFP, OCP MX, NVFP4, DFP.

* Exact: an element times the scale of its block is an integer in a unit that fits all blocks at hand, so the whole sum
  is one exact product of integer matrices (a Kulisch accumulator). Only then the result moves to the unit asked for.
* In a register (`NarrowAccumulator`): the exact dot product of each block, scales included, is what the register adds
  and is cast after, as `kernels.definitions.dots.block_dot` says. Both sides have one block size. Where no side has
  blocks but one scale for the whole tensor (DFP), every product is a term.
* Aligned (`AlignedAccumulator`): DESIGN section 6, rule 11, by `kernels.definitions.dots.block_dot_aligned`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.arrays import Array, check_shapes
from emulation.block_casts import BlockCodes
from emulation.block_operands import Operand, in_blocks, is_power_of_two, operand_of, with_scales
from emulation.code_integers import WORD, in_memory
from emulation.datapaths import (
    Accumulator,
    AlignedAccumulator,
    Datapath,
    ExactAccumulator,
    NarrowAccumulator,
    Product,
)
from emulation.formats import BlockScaled, FixedPoint, Format, MiniFloat
from emulation.matrix_sums import ORDERS, Summation, accumulator_fields, broadcast, sums_of_products
from kernels.block_sums import BlockSums
from kernels.twins import Twin, choose, is_tensor, run

if TYPE_CHECKING:
    from numpy.typing import NDArray


def block_dot(
    left: Array | BlockCodes,
    right: Array | BlockCodes,
    datapath: Datapath,
    *,
    initial: Array | None,
    unit_exponent: int | None,
    twin: Twin | None,
) -> Array:
    """The sums of products where one side or both are in blocks; see `emulation.dots.dot`."""
    _check_datapath(datapath, unit_exponent)
    first = operand_of(left, datapath.activation, axis=-1, what="left")
    second = operand_of(right, datapath.second, axis=-2, what="right")
    check_shapes(first.integers, np.swapaxes(second.integers, -1, -2))
    tensor = left.elements if isinstance(left, BlockCodes) else left
    formats = datapath.activation.format, datapath.second.format
    if not isinstance(datapath.arithmetic.accumulator, ExactAccumulator):
        return _block_by_block((first, second), datapath, initial, unit_exponent, tensor=tensor, twin=twin)
    chosen = choose(tensor, "dots", twin)
    target = exact_unit_exponent(*formats) if unit_exponent is None else unit_exponent
    result: NDArray[Any] | None = None
    if chosen is not Twin.DEFINITION and initial is None:
        result = _by_exponents((first, second), formats, target, tensor=tensor, twin=twin)
    if result is None:
        left_integers, left_unit = with_scales(first, formats[0])
        right_integers, right_unit = with_scales(second, formats[1])
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


def _check_datapath(datapath: Datapath, unit_exponent: int | None) -> None:
    arithmetic, formats = datapath.arithmetic, (datapath.activation.format, datapath.second.format)
    if arithmetic.product is not Product.EXACT:
        raise ValueError(
            f"products of elements are exact within a block, got {arithmetic} for {formats[0]} and {formats[1]}: use "
            "Product.EXACT"
        )
    if not all(isinstance(one, BlockScaled | FixedPoint | MiniFloat) for one in formats):
        raise ValueError(
            f"a block format goes with a block format, fixed point or a minifloat, got {formats[0]} and {formats[1]}"
        )
    accumulator = arithmetic.accumulator
    if isinstance(accumulator, NarrowAccumulator) and unit_exponent is not None:
        raise ValueError(
            f"unit_exponent {unit_exponent} is for exact and aligned accumulators, got {accumulator}, which has a unit"
        )
    if isinstance(accumulator, AlignedAccumulator) and unit_exponent is None:
        raise ValueError(
            f"accumulator {accumulator} aligns blocks to a unit that calibration chooses for a network: give "
            "unit_exponent, the binary exponent of the unit to count in"
        )
    if not isinstance(accumulator, ExactAccumulator):
        _block_size(formats, accumulator)
    whole = not any(isinstance(one, BlockScaled) and one.block_size for one in formats)
    if isinstance(accumulator, AlignedAccumulator) and whole:
        raise ValueError(
            f"accumulator {accumulator} aligns blocks, and {formats[0]} and {formats[1]} have one scale for the whole "
            "tensor: use an exact accumulator or a format"
        )


def _block_size(formats: tuple[Format, Format], accumulator: Accumulator) -> int:
    """Elements whose products an accumulator other than the exact one takes together."""
    sizes = {one.block_size for one in formats if isinstance(one, BlockScaled) and one.block_size}
    if len(sizes) > 1:
        raise ValueError(
            f"accumulator {accumulator} adds block by block, and {formats[0]} and {formats[1]} have blocks of "
            f"{' and '.join(map(str, sorted(sizes)))}: use one size, or an exact accumulator"
        )
    return max(sizes, default=1)


def _block_by_block(
    operands: tuple[Operand, Operand],
    datapath: Datapath,
    initial: Array | None,
    unit_exponent: int | None,
    *,
    tensor: Array,
    twin: Twin | None,
) -> Array:
    """Every matrix over the leading axes in a register, or aligned to ``2**unit_exponent``."""
    accumulator, formats = datapath.arithmetic.accumulator, (datapath.activation.format, datapath.second.format)
    size = _block_size(formats, accumulator)
    sides = [in_blocks(one, number_format, size) for one, number_format in zip(operands, formats, strict=True)]
    leading = np.broadcast_shapes(*(integers.shape[:-2] for integers, _ in sides))
    shape = (*leading, sides[0][0].shape[-2], sides[1][0].shape[-2])
    start = None if initial is None else broadcast(in_memory(initial), shape)
    matrices = [np.broadcast_to(one, (*leading, *one.shape[-2:])) for side in sides for one in side]
    options: dict[str, Any] = {"block": size}
    if isinstance(accumulator, NarrowAccumulator):
        operation, function = "block_registers", "matmul"
        fields = accumulator_fields(accumulator)._replace(order=ORDERS[accumulator.order], chunk=1)
        options |= {"accumulator": fields, "blocks_per_term": accumulator.chunk}
    elif isinstance(accumulator, AlignedAccumulator):
        operation, function = "block_dots", "block_matmul_aligned"
        options |= {"unit": unit_exponent, "width": accumulator.width}
    else:
        raise TypeError(f"accumulator {accumulator} adds no blocks one by one")
    chosen = choose(tensor, operation, twin)
    if chosen in {Twin.TENSORS, Twin.GPU} and object in {one.dtype for one in matrices}:
        chosen = Twin.COMPILED  # integers wider than a tensor's; they are in memory already
    parts = []
    for index in np.ndindex(*leading):
        left, left_exponents, right, right_exponents = (one[index] for one in matrices)
        arrays = [one if one.dtype == object else _on_device(one, tensor, chosen) for one in (left, right.T)]
        arrays += [_on_device(one, tensor, chosen) for one in (left_exponents, right_exponents.T)]
        given = {} if start is None else {"initial": _on_device(start[index], tensor, chosen)}
        parts.append(in_memory(run(operation, function, *arrays, twin=chosen, **options, **given)))
    is_float = isinstance(accumulator, NarrowAccumulator) and isinstance(accumulator.format, MiniFloat)
    wide = not is_tensor(tensor) and any(part.dtype == object for part in parts)
    found = np.array(parts, dtype=np.float64 if is_float else object if wide else np.int64).reshape(shape)
    if not is_tensor(tensor):
        return found
    import torch

    return torch.from_numpy(found).to(tensor.device)


def _on_device(values: NDArray[Any], tensor: Array, twin: Twin) -> Array:
    """An array as a twin on the tensor's device takes it."""
    if twin not in {Twin.TENSORS, Twin.GPU} or not is_tensor(tensor):
        return values
    import torch

    # Tensors share the memory of an array; one that must not be written is copied.
    usable = np.ascontiguousarray(values) if values.flags.writeable else values.copy()
    return torch.from_numpy(usable).to(tensor.device)


def _by_exponents(
    operands: tuple[Operand, Operand],
    formats: tuple[Format, Format],
    target: int,
    *,
    tensor: Array,
    twin: Twin | None,
) -> NDArray[Any] | None:
    """One product of matrices by the kernel for power-of-two scales; None where it is not made for them."""
    first, second = operands
    sizes = {one.block for one in operands if one.scales is not None}
    scales = [one.scale for one in formats if isinstance(one, BlockScaled)]
    plain = first.integers.ndim == second.integers.ndim == 2 and first.integers.shape[1] == second.integers.shape[1]
    if len(sizes) != 1 or not plain or not all(map(is_power_of_two, scales)):
        return None
    if object in {first.integers.dtype, second.integers.dtype}:
        return None
    chosen = choose(tensor, "block_dots", twin)
    (size,) = sizes
    blocks = -(-first.integers.shape[1] // size)
    exponents = [
        np.zeros((len(one.integers), blocks), dtype=np.int64) if one.scales is None else one.scales for one in operands
    ]
    arrays = (first.integers, second.integers.T, exponents[0], exponents[1].T)
    found = run(
        "block_dots", "block_matmul", *(_on_device(one, tensor, chosen) for one in arrays), twin=chosen, block=size
    )
    sums = BlockSums(*map(in_memory, found))
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
