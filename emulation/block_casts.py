"""Casts to formats whose blocks share a scale: BFP, OCP MX, NVFP4, DFP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from emulation.arrays import Array, as_dtype, dtype_name, is_nan, narrowed, where_nan, widened
from emulation.cast_rules import CastRules, refuse_nan
from emulation.format_fields import block_fields, scale_code_mask
from emulation.formats.blocks import E4M3FN
from emulation.rules import BlockRules, NanInBlock, Rounding, ScaleArithmetic, Stochastic
from kernels.twins import is_tensor, run

if TYPE_CHECKING:
    from emulation.formats import BlockScaled, Format

ROUNDINGS: Final = (Rounding.HALF_EVEN, Rounding.HALF_AWAY, Rounding.HALF_TOWARD_ZERO, Rounding.TOWARD_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockCodes:
    """The codes of a tensor in a block format, and all that is needed to decode them.

    Attributes:
        format: the format that elements and scales are codes of.
        elements: unsigned integers, the shape of the values.
        scales: unsigned integers, the shape of the values but for ``axis``, along which there is one code per block; a
            format with one scale for the whole tensor has shape ``(1,)``.
        axis: along which blocks run; the last block of a row may be shorter.
        tensor_scale: the second level of NVFP4, a float32 number; 1 for every other format.
        arithmetic: how NVFP4 multiplies element, block scale and tensor scale.
    """

    format: BlockScaled
    elements: Array
    scales: Array
    axis: int = -1
    tensor_scale: float = 1.0
    arithmetic: ScaleArithmetic = ScaleArithmetic.EXACT

    def check_format(self, number_format: Format, what: str = "codes") -> None:
        """Refuse to be read as codes of another format, whose numbers would be others.

        Raises:
            ValueError: naming both formats.
        """
        if self.format != number_format:
            raise ValueError(
                f"the {what} were encoded in {self.format}, not in {number_format}: give {self.format}, or encode the "
                f"values in {number_format}"
            )


_Encoded: TypeAlias = Any
"""What a kernel returns: an array, or those of elements and of scales."""


def tensor_scale_of(values: Array) -> float:
    """The usual second-level scale of NVFP4: ``amax / (448 * 6)`` in float32, within ``[2**-100, 2**100]``.

    >>> tensor_scale_of(np.array([1.0, -2688.0]))
    1.0
    """
    largest = float(abs(widened(values)).max()) if all(values.shape) else 0.0
    ratio = float(np.float32(largest) / np.float32(448 * 6))
    return min(max(ratio, 2.0**-100), 2.0**100)


def cast(values: Array, number_format: BlockScaled, rules: CastRules) -> Array:
    """Quantise and dequantise; see `emulation.casting.cast`."""
    _check(values, number_format, rules)
    axis = _axis(values, rules)
    rows = _prepared(values, rules, axis)
    options = _options(values, number_format, rules, axis)
    result = _run("cast", rows, number_format, rules, values=values, options=options)
    result = _moved(result, -1, axis)
    narrow = narrowed(result, values)
    if dtype_name(values) not in {"float16", "bfloat16"}:
        return narrow
    back = widened(narrow)
    lost = (as_dtype(back, dtype_name(result)) != result) & ~is_nan(result)
    if bool(lost.any()):
        raise ValueError(
            f"{dtype_name(values)} does not hold {int(lost.sum())} of the results in {number_format}: use float32"
        )
    return narrow


def encode(values: Array, number_format: BlockScaled, rules: CastRules) -> BlockCodes:
    """Quantise to codes; see `emulation.casting.encode`."""
    _check(values, number_format, rules)
    axis = _axis(values, rules)
    options = _options(values, number_format, rules, axis)
    rows = _prepared(values, rules, axis)
    elements, scales = _run("encode", rows, number_format, rules, values=values, options=options)
    mask = scale_code_mask(number_format)
    if mask:
        scales = scales ^ mask
    return BlockCodes(
        format=number_format,
        elements=_moved(elements, -1, axis),
        scales=scales if not number_format.block_size else _moved(scales, -1, axis),
        axis=axis,
        tensor_scale=options.get("tensor_scale", 1.0),
        arithmetic=rules.block_rules.arithmetic,
    )


def decode(codes: BlockCodes, number_format: BlockScaled, dtype: str | None, rules: CastRules) -> Array:
    """The values of codes; see `emulation.casting.decode`."""
    if not isinstance(codes, BlockCodes):
        raise TypeError(
            f"codes of {number_format} are elements and scales: give the BlockCodes that encode returned, got a "
            f"{type(codes).__name__}"
        )
    if rules.has_unit:
        raise ValueError(f"codes of {number_format} carry their scales: decode takes no unit for them")
    elements, scales = codes.elements, codes.scales
    if number_format.block_size:
        elements, scales = _moved(elements, codes.axis, -1), _moved(scales, codes.axis, -1)
    mask = scale_code_mask(number_format)
    fields = block_fields(number_format, BlockRules(arithmetic=codes.arithmetic))
    name = dtype or "float32"
    result = run(
        "blocks",
        "decode",
        elements,
        scales ^ mask if mask else scales,
        fields,
        twin=rules.twin,
        dtype="float64" if name == "float64" else "float32",
        **({"tensor_scale": codes.tensor_scale} if codes.tensor_scale != 1.0 else {}),
    )
    result = _moved(result, -1, codes.axis) if number_format.block_size else result
    narrow = as_dtype(result, name)
    if name in {"float16", "bfloat16"} and bool((as_dtype(narrow, "float32") != result).any()):
        raise ValueError(f"{name} does not hold every one of these values in {number_format}: use float32")
    return narrow


def _check(values: Array, number_format: BlockScaled, rules: CastRules) -> None:
    if isinstance(rules.rounding, Rounding) and rules.rounding not in ROUNDINGS:
        raise ValueError(
            f"elements of {number_format} round by {', '.join(one.name for one in ROUNDINGS)} or Stochastic, got "
            f"{rules.rounding.name}"
        )
    if rules.has_unit and number_format.scale != E4M3FN:
        raise ValueError(
            f"{number_format} finds its scales itself: unit must be 1, got {rules.unit} (only nvfp4 takes one, the "
            "scale of the whole tensor)"
        )
    if isinstance(rules.rounding, Stochastic) and rules.rounding.bits > 23:
        raise ValueError(f"elements of blocks take up to 23 random bits, got {rules.rounding.bits}")
    if not values.shape:
        raise ValueError(f"{number_format} needs at least one axis for its blocks, got a single number")


def _axis(values: Array, rules: CastRules) -> int:
    axis = -1 if rules.axis is None else rules.axis
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis {axis} is none of values of shape {tuple(values.shape)}")
    return axis


def _moved(values: Array, source: int, destination: int) -> Array:
    if source == destination:
        return values
    if is_tensor(values):
        return values.movedim(source, destination).contiguous()
    return np.ascontiguousarray(np.moveaxis(values, source, destination))


def _prepared(values: Array, rules: CastRules, axis: int) -> Array:
    wide = widened(values)
    if rules.nan is not None:
        wide = where_nan(wide, rules.nan)
    return _moved(wide, axis, -1)


def _options(values: Array, number_format: BlockScaled, rules: CastRules, axis: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "rounding": rules.rounding_code,
        "random_width": rules.random_width,
        "nan": rules.block_rules.nan.value,
    }
    if rules.random_numbers is not None:
        options["random_bits"] = _moved(rules.random_numbers, axis, -1)
    if number_format.scale == E4M3FN:
        options["tensor_scale"] = _tensor_scale(values, rules)
    return options


def _tensor_scale(values: Array, rules: CastRules) -> float:
    unit = rules.broadcast_unit(values)
    if not isinstance(unit, float):
        if unit.reshape(-1).shape[0] != 1:
            raise ValueError(f"nvfp4 takes one scale for the whole tensor as unit, got {tuple(unit.shape)}")
        unit = float(unit.reshape(-1)[0])
    return unit


def _run(
    function: str,
    rows: Array,
    number_format: BlockScaled,
    rules: CastRules,
    *,
    values: Array,
    options: dict[str, Any],
) -> _Encoded:
    fields = block_fields(number_format, rules.block_rules)
    try:
        return run("blocks", function, rows, fields, twin=rules.twin, **options)
    except ValueError as error:
        if rules.nan is None and rules.block_rules.nan is NanInBlock.REFUSE:
            refuse_nan(values, number_format, error)
        raise
