"""Block formats on torch tensors of any device: cast, encode and decode, as `kernels.definitions.blocks`.

Elementwise operations on whole tensors; the layout of blocks, scales and codes is that of `kernels.compiled.blocks`.
Rows are padded with zeros to whole blocks, which changes no result. Rows are cast in parts, so besides its results a
call takes as much memory again while it joins them; only a block of the `WHOLE_TENSOR` takes about ten times its own.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch

from kernels.canaries import check_subnormals
from kernels.definitions.block_grids import (
    E4M3_SCALE,
    SCALE_NAN_CODE,
    ElementGrid,
    carry_threshold,
    check_block_fields,
    check_dtype,
    check_random,
    check_tensor_scale,
    element_grid,
    float_element_values,
    scale_exponents,
    top_exponent,
)
from kernels.definitions.blocks import decode_scale, magnitude_of_code
from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_EXPONENT,
    WHOLE_TENSOR,
    BlockFields,
)
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, STOCHASTIC

_PART: Final = 1 << 16
"""Values that are cast at a time."""
_WORDS: Final = {torch.float32: torch.int32, torch.float64: torch.int64}
_MANTISSA_BITS: Final = {torch.float32: 23, torch.float64: 52}
_BIASES: Final = {torch.float32: 127, torch.float64: 1023}


class _Options(NamedTuple):
    rounding: int
    random_width: int
    nan: int
    tensor_scale: float


class _Cast(NamedTuple):
    """Rounded magnitudes of elements in blocks, their signs, and the scales, before they become values or codes."""

    magnitudes: torch.Tensor
    """Shape (rows, blocks, block size), in the dtype of the arithmetic."""
    negative: torch.Tensor
    scales: torch.Tensor
    """Exponents of power-of-two scales (int64) or E4M3 scales, shape (rows, blocks, 1)."""
    nan: torch.Tensor
    """Whether a block is NaN, of the same shape."""


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
    """Quantise and dequantise; arguments, result and errors as `kernels.compiled.blocks.cast`, on tensors.

    >>> bfp4 = BlockFields(block_size=4, element_kind=ELEMENT_SIGN_MAGNITUDE, magnitude_bits=3, scale_kind=1)
    >>> cast(torch.tensor([1.0, -0.3, 0.125, 7.9, 0.3]), bfp4)
    tensor([1.0000, -0.0000, 0.0000, 7.0000, 0.3125])
    """
    options = _Options(rounding, random_width, nan, tensor_scale)
    _check(values, fields, random_bits, options)
    parts = [_cast_rows(rows, fields, chances, options) for rows, chances in _parts(values, fields, random_bits)]
    return torch.cat(parts).reshape(values.shape) if len(parts) > 1 else parts[0].reshape(values.shape)


def _cast_rows(
    values: torch.Tensor, fields: BlockFields, random_bits: torch.Tensor | None, options: _Options
) -> torch.Tensor:
    found = _quantise(values, fields, random_bits, options)
    if fields.scale_kind == SCALE_E4M3:
        results = (found.magnitudes * (found.scales * options.tensor_scale)).to(values.dtype)
    else:
        results = _times_power(found.magnitudes, found.scales)
    if fields.element_kind in {ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE}:
        results = torch.where(found.negative, -results, results)
    else:
        results = torch.where(found.negative & (results != 0), -results, results)
    if bool(torch.isinf(results).any()):
        raise ValueError(
            f"a value of magnitude up to {values.abs().max().item()} rounds beyond the largest {values.dtype}: cast to "
            "float64 first, or use a scale rule that rounds down"
        )
    results = torch.where(found.nan, torch.full_like(results, torch.nan), results)
    return _unblocked(results, values.shape, fields)


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
    """Quantise to element codes and scale codes, as `kernels.compiled.blocks.encode`, on tensors.

    >>> bfp4 = BlockFields(block_size=4, element_kind=ELEMENT_SIGN_MAGNITUDE, magnitude_bits=3, scale_kind=1)
    >>> encode(torch.tensor([1.0, -0.3, 0.125, 7.9, 0.3]), bfp4)
    (tensor([1, 8, 0, 7, 5], dtype=torch.uint8), tensor([  2, 254], dtype=torch.uint8))
    """
    options = _Options(rounding, random_width, nan, tensor_scale)
    _check(values, fields, random_bits, options)
    parts = [_encode_rows(rows, fields, chances, options) for rows, chances in _parts(values, fields, random_bits)]
    elements, scales = (torch.cat(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True))
    return elements.reshape(values.shape), scales.reshape(_scale_shape(values.shape, fields))


def _encode_rows(
    values: torch.Tensor, fields: BlockFields, random_bits: torch.Tensor | None, options: _Options
) -> tuple[torch.Tensor, torch.Tensor]:
    found = _quantise(values, fields, random_bits, options)
    grid = element_grid(fields)
    codes = _magnitude_codes(found.magnitudes, grid)
    if fields.element_kind in {ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE}:
        codes = codes + (found.negative.to(torch.int64) << (grid.width - 1))
    else:
        codes = torch.where(found.negative, -codes, codes) & ((1 << grid.width) - 1)
    codes = torch.where(found.nan, 0, codes)
    if fields.scale_kind == SCALE_E4M3:
        scales = _magnitude_codes(found.scales, E4M3_SCALE)
        width = 8
    elif fields.scale_kind == SCALE_EXPONENT:
        scales = found.scales & ((1 << fields.scale_bits) - 1)
        width = fields.scale_bits
    else:
        scales = found.scales + 127
        width = 8
    scales = torch.where(found.nan, SCALE_NAN_CODE.get(fields.scale_kind, 0), scales)
    elements = _unblocked(codes, values.shape, fields).to(_unsigned(grid.width))
    return elements, scales.reshape(_scale_shape(values.shape, fields)).to(_unsigned(width))


def decode(
    elements: torch.Tensor,
    scales: torch.Tensor,
    fields: BlockFields,
    dtype: torch.dtype,
    *,
    tensor_scale: float = 1.0,
) -> torch.Tensor:
    """The values of element and scale codes, as `kernels.compiled.blocks.decode`, on tensors.

    >>> mxint8 = BlockFields(block_size=2, element_kind=2, magnitude_bits=7)
    >>> codes, scales = torch.tensor([64, 128, 255]).to(torch.uint8), torch.tensor([127, 130]).to(torch.uint8)
    >>> decode(codes, scales, mxint8, torch.float64)
    tensor([ 1.0000, -2.0000, -0.1250], dtype=torch.float64)
    """
    check_subnormals()
    check_block_fields(fields)
    check_tensor_scale(tensor_scale, fields)
    check_dtype(fields, _name(dtype))
    grid = element_grid(fields)
    expected = _scale_shape(elements.shape, fields) if elements.ndim else ()
    if not elements.ndim or tuple(scales.shape) != expected:
        raise ValueError(
            f"scales must have shape {expected} for elements of shape {tuple(elements.shape)} in blocks of "
            f"{fields.block_size}, got {tuple(scales.shape)}"
        )
    codes = _blocked(elements.to(torch.int64), fields)
    shaped = scales.to(torch.int64).reshape(*codes.shape[:2], 1)
    values = _element_values(codes, fields, grid, dtype)
    if fields.scale_kind == SCALE_E4M3:
        kind = torch.float64 if fields.arithmetic == ARITHMETIC_EXACT else torch.float32
        known = torch.tensor([float(decode_scale(code, fields)) for code in range(128)], dtype=kind)
        results = (values.to(kind) * (known.to(shaped.device)[shaped] * tensor_scale)).to(dtype)
    else:
        half = 1 << (fields.scale_bits - 1)
        exponents = (shaped ^ half) - half if fields.scale_kind == SCALE_EXPONENT else shaped - 127
        results = _times_power(values, exponents)
        if bool((torch.isinf(results) & ~torch.isinf(values)).any()):
            raise ValueError(f"a decoded value exceeds {_name(dtype)}: decode to float64")
    is_nan = shaped == SCALE_NAN_CODE.get(fields.scale_kind, -1)
    return _unblocked(torch.where(is_nan, torch.full_like(results, torch.nan), results), elements.shape, fields)


def _check(values: torch.Tensor, fields: BlockFields, random_bits: torch.Tensor | None, options: _Options) -> None:
    check_subnormals()
    check_block_fields(fields, rounding=options.rounding, nan=options.nan)
    check_tensor_scale(options.tensor_scale, fields)
    check_dtype(fields, _name(values.dtype))
    check_random(given=random_bits is not None, random_width=options.random_width, rounding=options.rounding)
    if not values.ndim:
        raise ValueError("values must have at least one axis for blocks to run along, got a scalar: reshape it to (1,)")
    if random_bits is not None and random_bits.shape != values.shape:
        raise ValueError(
            f"random_bits must be integers of shape {tuple(values.shape)}, got shape {tuple(random_bits.shape)}"
        )
    _check_finite(values, options.nan)


def _parts(
    values: torch.Tensor, fields: BlockFields, random_bits: torch.Tensor | None
) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Values, and their random bits, in parts of whole rows: intermediate tensors are as small as these."""
    if fields.block_size == WHOLE_TENSOR or values.numel() <= _PART:
        return [(values, random_bits)]
    columns = values.shape[-1]
    rows = max(_PART // columns, 1)
    flat = values.reshape(-1, columns)
    starts = range(0, flat.shape[0], rows)
    if random_bits is None:
        return [(flat[start : start + rows], None) for start in starts]
    chances = random_bits.reshape(-1, columns)
    return [(flat[start : start + rows], chances[start : start + rows]) for start in starts]


def _quantise(values: torch.Tensor, fields: BlockFields, random_bits: torch.Tensor | None, options: _Options) -> _Cast:
    grid = element_grid(fields)
    blocks = _blocked(values, fields)
    is_nan = torch.isnan(blocks).any(dim=-1, keepdim=True)
    magnitudes = torch.where(is_nan, torch.zeros_like(blocks), blocks.abs())
    largest = magnitudes.amax(dim=-1, keepdim=True)
    if fields.scale_kind == SCALE_E4M3:
        scaled, scales = _divide(magnitudes, largest, fields, options.tensor_scale)
    else:
        scales = _exponents(largest, fields, options.rounding)
        # A zero block has any scale: 0 keeps the factors normal.
        scaled = _times_power(magnitudes, torch.where(largest == 0, 0, -scales))
        scales = torch.where(largest == 0, scale_exponents(fields)[0], scales)
    negative = torch.signbit(blocks)
    limit = float(magnitude_of_code(grid.largest_code, grid))
    negative_limit = float(magnitude_of_code(grid.largest_code + grid.extra_negative, grid))
    clipped = torch.where(negative, scaled.clamp(max=negative_limit), scaled.clamp(max=limit))
    threshold: torch.Tensor | None = None
    if random_bits is not None:
        steps = (1 << options.random_width) - _blocked(random_bits.to(torch.int64), fields)
        threshold = steps.to(clipped.dtype) * 2.0**-options.random_width
    rounded = _round(clipped, grid, options.rounding, threshold)
    return _Cast(magnitudes=rounded, negative=negative, scales=scales, nan=is_nan)


def _exponents(largest: torch.Tensor, fields: BlockFields, rounding: int) -> torch.Tensor:
    """Exponents of the scales from the bits of the largest magnitudes, clamped to the scale format (int64)."""
    bits, bias = _MANTISSA_BITS[largest.dtype], _BIASES[largest.dtype]
    subnormal = largest < 2.0 ** (1 - bias)
    shift = bits + 1
    normal = torch.where(subnormal, largest * 2.0**shift, largest)
    addend = (1 << bits) - carry_threshold(fields, rounding, bits)
    field = (normal.view(_WORDS[largest.dtype]).to(torch.int64) + addend) >> bits
    exponents = field - bias - subnormal.to(torch.int64) * shift - top_exponent(element_grid(fields))
    low, high = scale_exponents(fields)
    return exponents.clamp(low, high)


def _divide(
    magnitudes: torch.Tensor, largest: torch.Tensor, fields: BlockFields, tensor_scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Magnitudes by their E4M3 scale and the tensor's, and the scales, in the dtype of the arithmetic."""
    kind = torch.float64 if fields.arithmetic == ARITHMETIC_EXACT else torch.float32
    grid = element_grid(fields)
    limit = float(magnitude_of_code(grid.largest_code, grid))
    whole = torch.tensor(tensor_scale, dtype=kind, device=magnitudes.device)
    top = largest.to(kind)
    quotient = top / (limit * whole) if fields.arithmetic == ARITHMETIC_EXACT else top / limit / whole
    low = float(magnitude_of_code(fields.scale_minimum, E4M3_SCALE))
    high = float(magnitude_of_code(E4M3_SCALE.largest_code, E4M3_SCALE))
    scales = _round(quotient.clamp(low, high), E4M3_SCALE, HALF_EVEN, None)
    if fields.arithmetic in {ARITHMETIC_EXACT, ARITHMETIC_DIVISION}:
        return magnitudes.to(kind) / (whole * scales), scales
    return magnitudes * ((1.0 / whole) / scales), scales


def _round(clipped: torch.Tensor, grid: ElementGrid, rounding: int, threshold: torch.Tensor | None) -> torch.Tensor:
    """Magnitudes to the grid: by adding the power of two whose last bit is the spacing, or down and then up."""
    word, bits, bias = _WORDS[clipped.dtype], _MANTISSA_BITS[clipped.dtype], _BIASES[clipped.dtype]
    exponent_mask = (2 * bias + 1) << bits
    field = (clipped.view(word) & exponent_mask).clamp(min=(grid.minimum_exponent + bias) << bits)
    magic = (field + ((bits - grid.mantissa_bits) << bits)).view(clipped.dtype)
    nearest = (clipped + magic) - magic
    if rounding == HALF_EVEN:
        return nearest
    spacing = (field - (grid.mantissa_bits << bits)).view(clipped.dtype)
    below = torch.where(nearest > clipped, nearest - spacing, nearest)
    rest = clipped - below
    if rounding == STOCHASTIC and threshold is not None:
        up = rest >= threshold * spacing
    elif rounding == HALF_AWAY:
        up = rest >= 0.5 * spacing
    elif rounding == HALF_TOWARD_ZERO:
        up = rest > 0.5 * spacing
    else:
        up = torch.zeros_like(rest, dtype=torch.bool)
    return torch.where(up, below + spacing, below)


def _magnitude_codes(magnitudes: torch.Tensor, grid: ElementGrid) -> torch.Tensor:
    """Codes of numbers of the grid: they grow by one at each number (int64)."""
    word, bits, bias = _WORDS[magnitudes.dtype], _MANTISSA_BITS[magnitudes.dtype], _BIASES[magnitudes.dtype]
    minimum = 2.0**grid.minimum_exponent
    first = (grid.minimum_exponent + bias) << bits
    drop = bits - grid.mantissa_bits
    subnormal = ((magnitudes + minimum).view(word).to(torch.int64) - first) >> drop
    normal = ((magnitudes.view(word).to(torch.int64) - first) >> drop) + (1 << grid.mantissa_bits)
    return torch.where(magnitudes < minimum, subnormal, normal)


def _times_power(values: torch.Tensor, exponents: torch.Tensor) -> torch.Tensor:
    """``values * 2**exponents`` by two factors, each a normal number; one rounding at most, at the end."""
    bits, bias, word = _MANTISSA_BITS[values.dtype], _BIASES[values.dtype], _WORDS[values.dtype]
    first = exponents >> 1
    halves = [((part + bias) << bits).to(word).view(values.dtype) for part in (first, exponents - first)]
    return values * halves[0] * halves[1]


def _element_values(codes: torch.Tensor, fields: BlockFields, grid: ElementGrid, dtype: torch.dtype) -> torch.Tensor:
    if fields.element_kind == ELEMENT_FLOAT:
        return torch.tensor(float_element_values(fields), dtype=dtype, device=codes.device)[codes]
    half = 1 << (grid.width - 1)
    unit = 2.0 ** (grid.minimum_exponent - grid.mantissa_bits)
    if fields.element_kind == ELEMENT_SIGN_MAGNITUDE:
        magnitudes = (codes & (half - 1)).to(dtype) * unit
        return torch.where(codes >= half, -magnitudes, magnitudes)
    return ((codes ^ half) - half).to(dtype) * unit


def _blocked(values: torch.Tensor, fields: BlockFields) -> torch.Tensor:
    """Shape (rows, blocks, block size), the tail filled with zeros."""
    if fields.block_size == WHOLE_TENSOR:
        return values.reshape(1, 1, -1) if values.numel() else values.new_zeros(1, 1, 1)
    rows = values.reshape(-1, values.shape[-1]) if values.numel() else values.new_zeros(0, values.shape[-1])
    padded = torch.nn.functional.pad(rows, (0, -values.shape[-1] % fields.block_size))
    return padded.reshape(rows.shape[0], -1, fields.block_size) if padded.numel() else padded.reshape(0, 0, 1)


def _unblocked(blocks: torch.Tensor, shape: torch.Size, fields: BlockFields) -> torch.Tensor:
    if fields.block_size == WHOLE_TENSOR or not shape.numel():
        return blocks.reshape(-1)[: shape.numel()].reshape(shape)
    return blocks.reshape(blocks.shape[0], -1)[:, : shape[-1]].reshape(shape)


def _scale_shape(shape: torch.Size, fields: BlockFields) -> tuple[int, ...]:
    if fields.block_size == WHOLE_TENSOR:
        return (1,)
    return (*shape[:-1], -(-shape[-1] // fields.block_size))


def _check_finite(values: torch.Tensor, nan: int) -> None:
    refused = ~torch.isfinite(values) if nan == NAN_ERROR else torch.isinf(values)
    count = int(refused.sum())
    if not count:
        return
    position = tuple(int(axis) for axis in torch.nonzero(refused)[0])
    first = values[position].item()
    raise ValueError(
        f"{count} of {values.numel()} values cannot be cast, the first is {first} at {position}: blocks take finite "
        "numbers" + (", and NaN with nan=NAN_BLOCK" if nan == NAN_ERROR and first != first else "")  # noqa: PLR0124 - NaN
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _unsigned(width: int) -> Any:  # noqa: ANN401 - a torch dtype
    return torch.uint8 if width <= 8 else torch.uint16 if width <= 16 else torch.uint32
