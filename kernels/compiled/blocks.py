"""Block formats on NumPy arrays: cast (quantise and dequantise), encode and decode, as `kernels.definitions.blocks`.

Values have shape ``(..., columns)``; blocks run along the last axis and the last block of a row may be shorter. Scale
codes have shape ``(..., ceil(columns / block_size))``. A `WHOLE_TENSOR` block has scale codes of shape ``(1,)``.
Besides its results a call takes no memory, but for inputs that are not contiguous, which are copied once, and 8 bytes
per block.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.canaries import check_subnormals
from kernels.compiled.block_chunks import round_usual_rows
from kernels.compiled.block_constants import block_constants
from kernels.compiled.block_loops import (
    DONE,
    NOT_FINITE,
    cast_rows,
    encode_rows,
    scale_rows,
)
from kernels.compiled.ratio_loops import (
    Constants,
    Ratio,
    ratio_rows,
    ratio_rows_again,
)
from kernels.definitions.block_grids import (
    E4M3_SCALE,
    SCALE_NAN_CODE,
    TENSOR_SCALE_EXPONENT,
    ElementGrid,
    check_block_fields,
    check_dtype,
    check_random,
    check_tensor_scale,
    element_grid,
    float_element_values,
)
from kernels.definitions.blocks import decode_scale, magnitude_of_code
from kernels.fields import (
    ARITHMETIC_EXACT,
    ARITHMETIC_RECIPROCAL,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    NAN_BLOCK,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_EXPONENT,
    WHOLE_TENSOR,
    BlockFields,
)
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from kernels.compiled.block_elements import Grid

    Values = NDArray[np.float32] | NDArray[np.float64]


def tensor_scale_of(values: Values) -> float:
    """The usual NVFP4 scale of a tensor: ``amax / (448 * 6)`` in float32, so that the largest block scale is 448.

    Clamped to the range a tensor's scale may have; so an all-zero tensor gets ``2**-100``.

    >>> tensor_scale_of(np.array([1.0, -2688.0], dtype=np.float32))
    1.0
    """
    amax = np.float32(np.abs(values).max(initial=0.0))
    bound = 2.0**TENSOR_SCALE_EXPONENT
    return float(min(max(float(amax / np.float32(448 * 6)), 1 / bound), bound))


def cast(
    values: Values,
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
    out: Values | None = None,
) -> Values:
    """Quantise and dequantise: the values that the codes of a block format mean.

    Args:
        values: float32 or float64, shape ``(..., columns)``, finite (NaN if ``nan`` is `NAN_BLOCK`).
        fields: the format.
        rounding: of the elements: HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO or STOCHASTIC.
        random_bits: for STOCHASTIC, integers below ``2**random_width`` in the shape of ``values``.
        random_width: bits of each of them, 1 to 23.
        nan: what a NaN does.
        tensor_scale: the float32 scale of the whole tensor (E4M3 scales only; see `tensor_scale_of`).
        out: where to write, contiguous, of the shape and dtype of ``values``; a new array if None.

    Returns:
        Shape and dtype of ``values``. Exact, but for E4M3 scales with a tensor's scale: rounded to the dtype as
        `BlockFields.arithmetic` says.

    Raises:
        ValueError: for infinity and refused NaN (with a position), for a format whose values the dtype does not hold,
            and for options that contradict each other.

    >>> bfp4 = BlockFields(block_size=4, element_kind=ELEMENT_SIGN_MAGNITUDE, magnitude_bits=3, scale_kind=1)
    >>> cast(np.array([1.0, -0.3, 0.125, 7.9, 0.3]), bfp4)
    array([ 1. , -0. ,  0. ,  7. ,  0.3125])
    """
    flat, columns, block_size = _prepared(values, fields, rounding, nan, tensor_scale)
    random = _random(random_bits, random_width, values.shape, rounding)
    result = _result(values, out)
    written = result.reshape(-1)
    if out is not None and np.may_share_memory(flat, written):
        flat = flat.copy()
    grid = block_constants(element_grid(fields), values.dtype, fields=fields, rounding=rounding, nan=nan)
    if not flat.size:
        return result
    no_codes, none, state = np.empty(0, np.uint8), np.empty(0, np.bool_), DONE
    if fields.scale_kind == SCALE_E4M3:
        constants = _ratio_constants(fields, grid, rounding, tensor_scale)
        uncertain, sizes = np.empty(scale_shape(values.shape, fields), np.bool_), (columns, block_size, constants)
        if not grid.half_even or round_usual_rows(flat, written, no_codes, uncertain.reshape(-1), *sizes):
            rows = (flat, written, no_codes, np.empty(0, np.float64), columns, block_size, random, random_width)
            state = ratio_rows(*rows, fields.arithmetic, *constants)
        elif uncertain.any():
            ratio_rows_again(flat, written, no_codes, np.flatnonzero(uncertain), *sizes)
    elif not grid.half_even or round_usual_rows(flat, written, no_codes, none, columns, block_size, grid):
        state = cast_rows(flat, written, columns, block_size, random, random_width, grid)
    _check_state(state, values, nan)
    return result


def encode(
    values: Values,
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Quantise to codes; arguments and errors as for `cast`.

    Returns:
        Element codes in the shape of ``values`` and scale codes, shape ``(..., blocks)``; each in the narrowest
        unsigned dtype.

    >>> bfp4 = BlockFields(block_size=4, element_kind=ELEMENT_SIGN_MAGNITUDE, magnitude_bits=3, scale_kind=1)
    >>> encode(np.array([1.0, -0.3, 0.125, 7.9, 0.3]), bfp4)
    (array([1, 8, 0, 7, 5], dtype=uint8), array([  2, 254], dtype=uint8))
    """
    flat, columns, block_size = _prepared(values, fields, rounding, nan, tensor_scale)
    random = _random(random_bits, random_width, values.shape, rounding)
    grid = block_constants(element_grid(fields), values.dtype, fields=fields, rounding=rounding, nan=nan)
    elements = np.empty(values.shape, dtype=_unsigned(grid.width))
    shape = scale_shape(values.shape, fields)
    codes = elements.reshape(-1)
    scale_codes = np.empty(shape, _unsigned(fields.scale_bits if fields.scale_kind == SCALE_EXPONENT else 8))
    if not flat.size:
        # A tensor without values may still have a scale: that of zeros.
        least = (grid.low + grid.scale_offset) & grid.scale_mask
        scale_codes.fill(fields.scale_minimum if fields.scale_kind == SCALE_E4M3 else least)
        return elements, scale_codes
    found = (flat, codes, scale_codes.reshape(-1))
    if fields.scale_kind == SCALE_E4M3:
        constants = _ratio_constants(fields, grid, rounding, tensor_scale)
        uncertain, nothing = np.empty(scale_codes.size, np.bool_), np.empty(0, values.dtype)
        if grid.half_even and not round_usual_rows(*found, uncertain, columns, block_size, constants):
            ratio_rows_again(flat, nothing, codes, np.flatnonzero(uncertain), columns, block_size, constants)
            return elements, scale_codes
        scales = np.empty(shape, np.float64)
        rows = (flat, nothing, codes, scales.reshape(-1), columns, block_size, random, random_width)
        _check_state(ratio_rows(*rows, fields.arithmetic, *constants), values, nan)
        known = np.array([float(magnitude_of_code(code, E4M3_SCALE)) for code in range(E4M3_SCALE.largest_code + 1)])
        # NaN sorts behind every number: it gets the next code, which is E4M3's NaN.
        return elements, np.searchsorted(known, scales).astype(np.uint8)
    if grid.half_even and not round_usual_rows(*found, np.empty(0, np.bool_), columns, block_size, grid):
        return elements, scale_codes
    exponents = np.empty(shape, np.int64)
    state = encode_rows(flat, codes, exponents.reshape(-1), columns, block_size, random, random_width, grid)
    _check_state(state, values, nan)
    # The exponent after the greatest one, which means NaN, becomes 0xFF by itself.
    return elements, ((exponents + grid.scale_offset) & grid.scale_mask).astype(scale_codes.dtype)


def decode(
    elements: NDArray[Any],
    scales: NDArray[Any],
    fields: BlockFields,
    dtype: DTypeLike,
    *,
    tensor_scale: float = 1.0,
) -> NDArray[Any]:
    """The values of element and scale codes, in float32 or float64.

    Args:
        elements: unsigned codes, shape ``(..., columns)``.
        scales: unsigned codes, shape ``(..., blocks)``.
        fields: the format.
        dtype: float32 or float64.
        tensor_scale: as for `cast`.

    Raises:
        ValueError: if the shapes do not belong together, a code is out of range, or a value exceeds the dtype.

    >>> mxint8 = BlockFields(block_size=2, element_kind=2, magnitude_bits=7)
    >>> decode(np.array([64, 128, 255], np.uint8), np.array([127, 130], np.uint8), mxint8, np.float64)
    array([ 1.   , -2.   , -0.125])
    """
    kind = np.dtype(dtype)
    check_subnormals()
    check_block_fields(fields)
    check_tensor_scale(tensor_scale, fields)
    check_dtype(fields, kind.name)
    grid = element_grid(fields)
    _check_codes(elements, scales, fields, grid)
    columns, block_size = _blocking(elements.shape, fields)
    values = _element_values(elements, fields, grid, kind)
    if not values.size:
        return values
    if fields.scale_kind == SCALE_E4M3:
        return _decode_ratio(values, scales, columns, block_size, fields, tensor_scale)
    if fields.scale_kind == SCALE_EXPONENT:
        half = 1 << (fields.scale_bits - 1)
        exponents, nan_exponent = (scales.astype(np.int64) ^ half) - half, half
    else:
        exponents, nan_exponent = scales.astype(np.int64) - 127, SCALE_NAN_CODE[fields.scale_kind] - 127
    constants = block_constants(grid, kind, fields=fields, rounding=HALF_EVEN, nan=NAN_BLOCK)
    state = scale_rows(values.reshape(-1), exponents.reshape(-1), columns, block_size, nan_exponent, constants)
    if state != DONE:
        raise ValueError(f"a decoded value exceeds {kind.name}: decode to float64")
    return values


def scale_shape(shape: tuple[int, ...], fields: BlockFields) -> tuple[int, ...]:
    """The shape of the scale codes that belong to values of a shape."""
    if fields.block_size == WHOLE_TENSOR:
        return (1,)
    return (*shape[:-1], -(-shape[-1] // fields.block_size))


def _blocking(shape: tuple[int, ...], fields: BlockFields) -> tuple[int, int]:
    """Values per row and per block."""
    if fields.block_size == WHOLE_TENSOR:
        count = max(math.prod(shape), 1)
        return count, count
    return max(shape[-1], 1), fields.block_size


def _prepared(
    values: Values, fields: BlockFields, rounding: int, nan: int, tensor_scale: float
) -> tuple[Any, int, int]:
    check_subnormals()
    check_block_fields(fields, rounding=rounding, nan=nan)
    check_tensor_scale(tensor_scale, fields)
    check_dtype(fields, values.dtype.name)
    if not values.ndim:
        raise ValueError("values must have at least one axis for blocks to run along, got a scalar: reshape it to (1,)")
    return np.ascontiguousarray(values).reshape(-1), *_blocking(values.shape, fields)


def _result(values: Values, out: Values | None) -> Values:
    if out is None:
        return np.empty(values.shape, dtype=values.dtype)
    if out.shape != values.shape or out.dtype != values.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out must be contiguous, {values.dtype} of shape {values.shape}, got {out.dtype} of shape {out.shape}"
        )
    return out


def _random(random_bits: NDArray[Any] | None, width: int, shape: tuple[int, ...], rounding: int) -> NDArray[Any]:
    check_random(given=random_bits is not None, random_width=width, rounding=rounding)
    if random_bits is None:
        return np.empty(0, np.uint32)
    if random_bits.shape != shape or random_bits.dtype.kind not in "ui":
        raise ValueError(
            f"random_bits must be integers of shape {shape}, got {random_bits.dtype} of shape {random_bits.shape}"
        )
    if random_bits.size and (int(random_bits.max()) >> width or int(random_bits.min()) < 0):
        raise ValueError(
            f"random_bits must lie in [0, 2**{width}), got {int(random_bits.min())} to {int(random_bits.max())}"
        )
    return np.ascontiguousarray(random_bits, np.uint32).reshape(-1)


@lru_cache(maxsize=64)
def _ratio_constants(fields: BlockFields, grid: Grid, rounding: int, tensor_scale: float) -> Constants:
    exact = fields.arithmetic == ARITHMETIC_EXACT
    kind = np.dtype(np.float64 if exact else np.float32)
    work = block_constants(element_grid(fields), kind, fields=fields, rounding=rounding, nan=NAN_ERROR)
    tensor, limit = kind.type(tensor_scale), work.limit
    # Half a unit in the last place of a float32 quotient at each midpoint.
    halves = (0.0, 0.0, 0.0, 0.0) if exact else (2.0**-26, -(2.0**-25), 2.0**-24, -(2.0**-24))
    ratio = Ratio(
        tensor_scale=tensor,
        reciprocal=kind.type(1) / tensor,
        minimum=kind.type(float(magnitude_of_code(fields.scale_minimum, E4M3_SCALE))),
        maximum=kind.type(float(magnitude_of_code(E4M3_SCALE.largest_code, E4M3_SCALE))),
        first_divisor=limit * tensor if exact else limit,
        # A condition in the loops would make Numba count references; a division by 1 is exact.
        second_divisor=kind.type(1) if exact else tensor,
        scale_grid=block_constants(E4M3_SCALE, kind, fields=None, rounding=HALF_EVEN, nan=NAN_ERROR),
        # A magic number's last place is the spacing, and a rounding error is at most half of that.
        certain=(1.0 if fields.arithmetic == ARITHMETIC_RECIPROCAL else 0.5 - 2.0**-19) * 2.0**-grid.float_bits,
        midpoints=(0.25 + halves[0], 0.75 + halves[1], 1.25 + halves[2], 1.75 + halves[3]),
    )
    return grid, work, ratio


def _decode_ratio(
    values: NDArray[Any], scales: NDArray[Any], columns: int, block_size: int, fields: BlockFields, tensor_scale: float
) -> NDArray[Any]:
    """Element times scale: in float64, which is exact and rounded once; or in float32 steps."""
    kind = np.float64 if fields.arithmetic == ARITHMETIC_EXACT else np.float32
    table = np.array([float(decode_scale(code, fields)) for code in range(128)], dtype=kind)
    whole = table[scales.reshape(-1, -(-columns // block_size))] * kind(tensor_scale)
    rows = values.reshape(-1, columns)
    for block, start in enumerate(range(0, columns, block_size)):
        part = rows[:, start : start + block_size]
        part[:] = part.astype(kind, copy=False) * whole[:, block : block + 1]
    return values


def _element_values(
    elements: NDArray[Any], fields: BlockFields, grid: ElementGrid, kind: np.dtype[Any]
) -> NDArray[Any]:
    if fields.element_kind == ELEMENT_FLOAT:
        values: NDArray[Any] = np.array(float_element_values(fields), dtype=kind)[elements]
        return values
    half = 1 << (grid.width - 1)
    codes = elements.astype(np.int64)
    unit = kind.type(2.0 ** (grid.minimum_exponent - grid.mantissa_bits))
    if fields.element_kind == ELEMENT_SIGN_MAGNITUDE:
        magnitudes = (codes & (half - 1)).astype(kind) * unit
        values = np.copysign(magnitudes, np.where(codes & half, -1, 1).astype(kind))
    else:
        values = ((codes ^ half) - half).astype(kind) * unit
    return values


def _check_codes(elements: NDArray[Any], scales: NDArray[Any], fields: BlockFields, grid: ElementGrid) -> None:
    if not elements.ndim or scales.shape != scale_shape(elements.shape, fields):
        expected = scale_shape(elements.shape, fields) if elements.ndim else "none: elements need an axis"
        raise ValueError(
            f"scales must have shape {expected} for elements of shape {elements.shape} in blocks of "
            f"{fields.block_size}, got {scales.shape}"
        )
    scale_width = {SCALE_EXPONENT: fields.scale_bits, SCALE_E4M3: 7}.get(fields.scale_kind, 8)
    for what, codes, width in (("element", elements, grid.width), ("scale", scales, scale_width)):
        if codes.dtype.kind != "u":
            raise ValueError(f"{what} codes must be unsigned integers, got {codes.dtype}")
        if codes.size and int(codes.max()) >> width:
            raise ValueError(f"{what} codes must be below 2**{width}, got {int(codes.max())}")


def _check_state(state: int, values: Values, nan: int) -> None:
    if state == DONE:
        return
    if state & NOT_FINITE:
        refused = ~np.isfinite(values) if nan == NAN_ERROR else np.isinf(values)
        position = tuple(int(axis) for axis in np.unravel_index(int(np.argmax(refused)), values.shape))
        raise ValueError(
            f"{int(refused.sum())} of {values.size} values cannot be cast, the first is {values[position]} at "
            f"{position}: blocks take finite numbers"
            + (", and NaN with nan=NAN_BLOCK" if nan == NAN_ERROR and np.isnan(values[position]) else "")
        )
    raise ValueError(
        f"a value of magnitude up to {np.abs(values).max()} rounds beyond the largest {values.dtype}: cast to float64 "
        "first, or use a scale rule that rounds down"
    )


def _unsigned(width: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if width <= 8 else np.uint16 if width <= 16 else np.uint32
