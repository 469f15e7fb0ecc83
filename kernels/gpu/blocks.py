"""Block formats on the GPU: casts of `kernels.definitions.blocks`, one pass over the values.

Blocks run along the last axis; the last one of a row may be shorter. For a whole-tensor block the largest magnitude is
found first.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

from kernels.definitions.block_grids import (
    carry_threshold,
    check_block_fields,
    check_dtype,
    check_tensor_scale,
    element_grid,
    scale_exponents,
    top_exponent,
)
from kernels.definitions.block_grids import check_random as check_random_options
from kernels.fields import (
    ARITHMETIC_EXACT,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_EXPONENT,
    SPECIALS_IEEE,
    WHOLE_TENSOR,
    BlockFields,
)
from kernels.gpu.bits import BINARY32, BINARY64, SOURCES
from kernels.gpu.block_kernels import BlockConstants, decode_kernel, encode_kernel
from kernels.gpu.checks import check_codes, check_random, check_values, code_dtype
from kernels.gpu.launching import elements_per_program, launch
from kernels.rounding import HALF_EVEN

_SHARED_CHUNK: Final = 1024
_SCALE_WIDTHS: Final = {SCALE_E4M3: 7}


def block_constants(fields: BlockFields, *, rounding: int, dtype: torch.dtype) -> BlockConstants:
    """The constants of a format for values of a dtype."""
    grid = element_grid(fields)
    power = fields.scale_kind != SCALE_E4M3
    low, high = scale_exponents(fields) if power else (0, 0)
    element = fields.element
    infinite = element is not None and element.specials == SPECIALS_IEEE
    return BlockConstants(
        mantissa_bits=grid.mantissa_bits,
        minimum_exponent=grid.minimum_exponent,
        largest_code=grid.largest_code,
        width=grid.width,
        extra_negative=grid.extra_negative,
        twos_complement=int(fields.element_kind not in (ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE)),
        infinity_code=grid.largest_code + 1 if infinite else -1,
        scale_kind=fields.scale_kind,
        arithmetic=fields.arithmetic,
        threshold=carry_threshold(fields, rounding, SOURCES[dtype].mantissa_bits) if power else 0,
        top=top_exponent(grid),
        low=low,
        high=high,
        scale_bits=fields.scale_bits,
        scale_minimum=fields.scale_minimum,
    )


def cast(
    values: torch.Tensor,
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
) -> torch.Tensor:
    """Quantise and dequantise: the values that the codes of a block format mean.

    Args:
        values: float32 or float64, shape ``(..., columns)``, finite (NaN if ``nan`` is `NAN_BLOCK`), on a CUDA device
            (any, in the interpreter).
        fields: the format.
        rounding: of the elements: HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO or STOCHASTIC.
        random_bits: for STOCHASTIC, integers below ``2**random_width`` in the shape of the values.
        random_width: bits of each of them, 1 to 23.
        nan: what a NaN does.
        tensor_scale: the float32 scale of the whole tensor (E4M3 scales only).

    Returns:
        Shape and dtype of the values.

    Raises:
        ValueError: for infinity and refused NaN, for a format whose values the dtype does not hold, and for options
            that contradict each other.
    """
    check_values(values)
    results = torch.empty_like(values, memory_format=torch.contiguous_format)
    none = torch.empty(0, dtype=torch.uint8, device=values.device)
    _encode(values, results, none, fields, rounding, random_bits, random_width, nan, tensor_scale)
    if bool(results.isinf().any()):
        raise ValueError(
            f"a value of magnitude up to {float(values.abs().max())} rounds beyond the largest {values.dtype}: cast to "
            "float64 first, or use a scale rule that rounds down"
        )
    return results


def encode(
    values: torch.Tensor,
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: torch.Tensor | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise to codes; arguments and errors as for `cast`.

    Returns:
        Element codes in the shape of the values and scale codes, shape ``(..., blocks)`` (``(1,)`` for a whole-tensor
        block); each in the narrowest unsigned dtype.
    """
    check_values(values)
    check_block_fields(fields, rounding=rounding)
    elements = torch.empty(values.shape, dtype=code_dtype(element_grid(fields).width), device=values.device)
    scales = torch.empty(
        scale_shape(values.shape, fields), dtype=code_dtype(_scale_width(fields)), device=values.device
    )
    if fields.block_size == WHOLE_TENSOR and not values.numel():
        scales.zero_()
    _encode(values, elements, scales, fields, rounding, random_bits, random_width, nan, tensor_scale)
    return elements, scales


def decode(
    elements: torch.Tensor,
    scales: torch.Tensor,
    fields: BlockFields,
    dtype: torch.dtype = torch.float32,
    *,
    tensor_scale: float = 1.0,
) -> torch.Tensor:
    """The values of element and scale codes, in float32 or float64.

    Args:
        elements: as `encode` returns them, shape ``(..., columns)``.
        scales: as `encode` returns them, shape ``(..., blocks)``.
        fields: the format.
        dtype: float32 or float64.
        tensor_scale: as for `cast`.

    Raises:
        ValueError: if the shapes do not belong together, a code is out of range, or a value exceeds the dtype.
    """
    check_block_fields(fields)
    check_tensor_scale(tensor_scale, fields)
    check_codes(elements, element_grid(fields).width, dtype)
    check_codes(scales, _scale_width(fields), dtype)
    check_dtype(fields, str(dtype).removeprefix("torch."))
    if not elements.ndim or scales.shape != scale_shape(elements.shape, fields):
        raise ValueError(
            f"scales of shape {tuple(scales.shape)} do not belong to elements of shape {tuple(elements.shape)} in "
            f"blocks of {fields.block_size}"
        )
    results = torch.empty(elements.shape, dtype=dtype, device=elements.device)
    constants = block_constants(fields, rounding=HALF_EVEN, dtype=dtype)
    tiling = _tiling(elements.shape, fields)
    if not elements.numel():
        return results
    launch(
        decode_kernel,
        (-(-tiling.blocks // tiling.tile),),
        elements.contiguous(),
        scales.contiguous(),
        _tensor_scales(tensor_scale, fields, elements.device),
        results,
        tiling.columns,
        tiling.blocks,
        tiling.per_row,
        SOURCE=SOURCES[dtype],
        WORK=_work(fields),
        CONSTANTS=constants,
        BLOCK_SIZE=tiling.size,
        SHARED=int(fields.block_size == WHOLE_TENSOR),
        PADDED=tiling.padded,
        TILE=tiling.tile,
    )
    infinite = results.isinf()
    if constants.infinity_code >= 0:
        infinite &= (elements.to(torch.int64) & ((1 << (constants.width - 1)) - 1)) != constants.infinity_code
    if bool(infinite.any()):
        raise ValueError(f"a decoded value exceeds {str(dtype).removeprefix('torch.')}: decode to float64")
    return results


def scale_shape(shape: torch.Size, fields: BlockFields) -> tuple[int, ...]:
    """The shape of the scale codes that belong to values of a shape."""
    if fields.block_size == WHOLE_TENSOR:
        return (1,)
    return (*shape[:-1], -(-shape[-1] // fields.block_size))


def _scale_width(fields: BlockFields) -> int:
    return fields.scale_bits if fields.scale_kind == SCALE_EXPONENT else _SCALE_WIDTHS.get(fields.scale_kind, 8)


def _work(fields: BlockFields) -> object:
    return BINARY64 if fields.arithmetic == ARITHMETIC_EXACT else BINARY32


def _tensor_scales(tensor_scale: float, fields: BlockFields, device: torch.device) -> torch.Tensor:
    dtype = torch.float64 if fields.arithmetic == ARITHMETIC_EXACT else torch.float32
    return torch.full((1,), tensor_scale, dtype=dtype, device=device)


class Tiling(NamedTuple):
    """How blocks are laid out, and how many one program takes."""

    columns: int
    """Values per row."""
    size: int
    """Values per block."""
    per_row: int
    """Blocks per row."""
    blocks: int
    padded: int
    """The next power of two from the size."""
    tile: int
    """Blocks per program."""


def _tiling(shape: torch.Size, fields: BlockFields) -> Tiling:
    whole = fields.block_size == WHOLE_TENSOR
    columns = max(math.prod(shape) if whole else shape[-1], 1)
    size = min(_SHARED_CHUNK if whole else fields.block_size, columns)
    per_row = -(-columns // size)
    blocks = math.prod(shape) // columns * per_row
    padded = 1 << (size - 1).bit_length()
    tile = max(elements_per_program(blocks * padded) // padded, 1)
    return Tiling(columns, size, per_row, blocks, padded, tile)


def _encode(
    values: torch.Tensor,
    results: torch.Tensor,
    scales: torch.Tensor,
    fields: BlockFields,
    rounding: int,
    random_bits: torch.Tensor | None,
    random_width: int,
    nan: int,
    tensor_scale: float,
) -> None:
    check_block_fields(fields, rounding=rounding, nan=nan)
    check_tensor_scale(tensor_scale, fields)
    check_dtype(fields, str(values.dtype).removeprefix("torch."))
    check_random_options(given=random_bits is not None, random_width=random_width, rounding=rounding)
    _check_finite(values, nan)
    if not values.numel():
        return
    tiling = _tiling(values.shape, fields)
    shared = fields.block_size == WHOLE_TENSOR
    values = values.contiguous()
    launch(
        encode_kernel,
        (-(-tiling.blocks // tiling.tile),),
        values,
        check_random(random_bits, values, rounding, random_width),
        values.abs().max().reshape(1) if shared else values,
        _tensor_scales(tensor_scale, fields, values.device),
        results,
        scales,
        tiling.columns,
        tiling.blocks,
        tiling.per_row,
        SOURCE=SOURCES[values.dtype],
        WORK=_work(fields),
        CONSTANTS=block_constants(fields, rounding=rounding, dtype=values.dtype),
        ROUNDING=rounding,
        RANDOM_WIDTH=random_width,
        BLOCK_SIZE=tiling.size,
        SHARED=int(shared),
        AS_VALUES=int(results.dtype == values.dtype),
        PADDED=tiling.padded,
        TILE=tiling.tile,
    )


def _check_finite(values: torch.Tensor, nan: int) -> None:
    if not values.ndim:
        raise ValueError("values must have at least one axis for blocks to run along, got a scalar: reshape it to (1,)")
    refused = ~values.isfinite() if nan == NAN_ERROR else values.isinf()
    count = int(refused.sum())
    if count:
        position = tuple(int(axis) for axis in torch.nonzero(refused)[0])
        raise ValueError(
            f"{count} of {values.numel()} values cannot be cast, the first is {float(values[position])} at {position}: "
            "blocks take finite numbers"
            + (", and NaN with nan=NAN_BLOCK" if nan == NAN_ERROR and bool(values[position].isnan()) else "")
        )
