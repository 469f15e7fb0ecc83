"""Casts to formats whose codes stand for themselves: fixed point and minifloats."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.arrays import (
    FLOAT_TYPES,
    Array,
    as_dtype,
    checked,
    divided,
    dtype_name,
    integers_beyond_float64,
    narrowed,
    scaled,
    scaled_to,
    where_nan,
    widened,
)
from emulation.cast_rules import CastRules, refuse_nan
from emulation.format_fields import scalar_fields
from emulation.formats import FixedPoint, MiniFloat, Sign
from kernels.extents import extent, holds
from kernels.twins import Twin, is_tensor, run

if TYPE_CHECKING:
    from emulation.formats import ScalarFormat


def operation_of(number_format: ScalarFormat) -> str:
    """The name of the kernels' module."""
    return "fixed" if isinstance(number_format, FixedPoint) else "minifloat"


def check_dtype(name: str, number_format: ScalarFormat) -> None:
    """Refuse a dtype that does not hold every finite number of a format.

    Raises:
        ValueError: naming the narrowest dtype that would do.
    """
    fields = scalar_fields(number_format)
    if name not in FLOAT_TYPES or holds(FLOAT_TYPES[name], fields):
        return
    enough = [other for other, float_type in FLOAT_TYPES.items() if holds(float_type, fields)]
    where = extent(fields)
    advice = f"use {enough[0]}" if enough else "no float dtype does; encode keeps its codes"
    raise ValueError(
        f"{name} does not hold every number of {number_format} ({where.significant_bits} significant bits, from "
        f"2**{where.unit} to 2**{where.binade}): {advice}"
    )


def cast(values: Array, number_format: ScalarFormat, rules: CastRules) -> Array:
    """Quantise and dequantise; see `emulation.casting.cast`."""
    if not rules.has_unit:
        check_dtype(dtype_name(values), number_format)
        return narrowed(_run("cast", widened(values), number_format, rules), values)
    unit = rules.broadcast_unit(values)
    quotients = divided(widened(values), unit)
    return scaled(_run("cast", quotients, number_format, rules), unit, values)


def encode(values: Array, number_format: ScalarFormat, rules: CastRules) -> Array:
    """Quantise to codes; see `emulation.casting.encode`."""
    if isinstance(number_format, FixedPoint) and not rules.has_unit and integers_beyond_float64(values):
        return _encode_integers(values, number_format, rules)
    wide = widened(values)
    if rules.has_unit:
        wide = divided(wide, rules.broadcast_unit(values))
    if isinstance(number_format, MiniFloat) and not holds(FLOAT_TYPES[dtype_name(wide)], scalar_fields(number_format)):
        wide = as_dtype(wide, "float64")
    return _run("encode", wide, number_format, rules)


def _encode_integers(values: Array, number_format: FixedPoint, rules: CastRules) -> Array:
    """Integers that no float holds, by the definition, which counts in Python integers."""
    given: Any = rules.random_numbers
    random_numbers = given.cpu() if is_tensor(given) else given
    by_definition = replace(rules, twin=Twin.DEFINITION, random_numbers=random_numbers, nan=None)
    codes = _run("encode", values.cpu() if is_tensor(values) else values, number_format, by_definition)
    return codes.to(values.device) if is_tensor(values) else codes


def decode(codes: Array, number_format: ScalarFormat, dtype: str | None, rules: CastRules) -> Array:
    """The values of codes; see `emulation.casting.decode`."""
    codes = checked(codes, "codes")
    fields = scalar_fields(number_format)
    name = dtype or ("float32" if holds(FLOAT_TYPES["float32"], fields) else "float64")
    in_float64 = holds(FLOAT_TYPES["float64"], fields)
    if rules.has_unit:
        working = "float64"
    elif in_float64:
        check_dtype(name, number_format)
        working = "float64" if name == "float64" else "float32"
    else:
        working = name = "float64"
    if isinstance(number_format, FixedPoint) and not in_float64:
        values = _decode_wide(codes, number_format)
    else:
        values = run(operation_of(number_format), "decode", codes, fields, twin=rules.twin, dtype=working)
    if rules.has_unit:
        return scaled_to(values, rules.broadcast_unit(values), name)
    return as_dtype(values, name)


def _decode_wide(codes: Array, number_format: FixedPoint) -> Array:
    """Codes of more bits than float64 has, as long as those given need no more than it has."""
    if is_tensor(codes):
        import torch

        if codes.device.type != "cpu":
            raise ValueError(f"codes of {number_format} are wider than float64: decode them on the CPU")
        return torch.from_numpy(_decode_wide(codes.numpy(), number_format))
    width, exponent = number_format.width, number_format.unit_exponent
    where = extent(scalar_fields(number_format))
    if where.unit < FLOAT_TYPES["float64"].least_exponent or where.binade > FLOAT_TYPES["float64"].greatest_exponent:
        raise ValueError(f"numbers of {number_format} go beyond float64: use kernels.definitions.fixed.decode_scalar")
    words = codes.astype(np.uint64) << np.uint64(64 - width)
    integers = words.view(np.int64) >> (64 - width) if number_format.sign is Sign.SIGNED else words >> (64 - width)
    floats = integers.astype(np.float64)
    lost = [i for i, real in zip(integers.reshape(-1).tolist(), floats.reshape(-1).tolist(), strict=True) if i != real]
    if lost:
        raise ValueError(
            f"{len(lost)} of {codes.size} codes of {number_format}, such as the integer {lost[0]}, have more than the "
            "53 significant bits of float64: use kernels.definitions.fixed.decode_scalar"
        )
    return np.ldexp(floats, exponent)


def _run(function: str, values: Array, number_format: ScalarFormat, rules: CastRules) -> Array:
    if rules.nan is not None:
        values = where_nan(values, rules.nan)
    options: dict[str, Any] = {
        "rounding": rules.rounding_code,
        "overflow": rules.overflow.value,
        "random_bits": rules.random_numbers,
        "random_width": rules.random_width,
    }
    if isinstance(number_format, FixedPoint):
        options["saturation_bits"] = rules.saturation_bits
    else:
        options["underflow"] = rules.underflow.value
    fields = scalar_fields(number_format)
    try:
        return run(operation_of(number_format), function, values, fields, twin=rules.twin, **options)
    except ValueError as error:
        refuse_nan(values, number_format, error)
        raise
