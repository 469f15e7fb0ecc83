"""Casts to formats whose codes are looked up: the nearest level, ties to the smaller magnitude (DESIGN 6, rule 10)."""

from __future__ import annotations

import importlib
import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from emulation.arrays import (
    FLOAT_TYPES,
    Array,
    as_dtype,
    checked,
    divided,
    dtype_name,
    is_nan,
    narrowed,
    scaled,
    scaled_to,
    where_nan,
    widened,
)
from emulation.cast_rules import CastRules, refuse_nan
from emulation.formats import BinaryCoded, Codebook, KHot, LearnedCodebook
from emulation.rules import Rounding
from kernels.twins import Twin, choose, is_tensor, run

if TYPE_CHECKING:
    from emulation.fitted_tables import FittedTable
    from emulation.formats import TableFormat


_TwinTable: TypeAlias = Any
"""A table as `kernels` make it: each twin has its own type."""


class Levels(NamedTuple):
    """The different levels of a table, ascending, and for each the least code that means it."""

    levels: tuple[float, ...]
    codes: tuple[int, ...]


def cast(values: Array, number_format: TableFormat, rules: CastRules) -> Array:
    """Quantise and dequantise; see `emulation.casting.cast`."""
    _check(number_format, rules)
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return _per_channel("cast", values, number_format, rules)
    levels = levels_of(number_format)
    if not rules.has_unit:
        _check_dtype(dtype_name(values), number_format, levels)
        return narrowed(_run("cast", widened(values), levels, number_format, rules), values)
    unit = rules.broadcast_unit(values)
    quotients = divided(widened(values), unit)
    return scaled(_run("cast", quotients, levels, number_format, rules), unit, values)


def encode(values: Array, number_format: TableFormat, rules: CastRules) -> Array:
    """Quantise to codes; see `emulation.casting.encode`."""
    _check(number_format, rules)
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return _per_channel("encode", values, number_format, rules)
    levels = levels_of(number_format)
    wide = widened(values)
    if rules.has_unit:
        wide = divided(wide, rules.broadcast_unit(values))
    elif not _holds(dtype_name(wide), levels):
        wide = as_dtype(wide, "float64")
    return _run("encode", wide, levels, number_format, rules)


def decode(codes: Array, number_format: TableFormat, dtype: str | None, rules: CastRules) -> Array:
    """The values of codes; see `emulation.casting.decode`."""
    codes = checked(codes, "codes")
    _check(number_format, rules)
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return _decode_learned(codes, number_format, dtype or "float32", rules)
    levels = levels_of(number_format)
    name = dtype or ("float32" if _holds("float32", levels) else "float64")
    if not rules.has_unit:
        _check_dtype(name, number_format, levels)
    values = _looked_up(codes, _values_by_code(number_format), number_format)
    if rules.has_unit:
        return scaled_to(values, rules.broadcast_unit(values), name)
    return as_dtype(values, name)


def levels_of(number_format: KHot | Codebook) -> Levels:
    """The levels of a format that lists them.

    >>> from emulation import parse
    >>> levels_of(parse("pot3"))
    Levels(levels=(-4, -2, -1, 0, 1, 2, 4), codes=(7, 6, 5, 0, 1, 2, 3))
    """
    listed = number_format.integers if isinstance(number_format, KHot) else number_format.levels
    return _distinct(tuple(listed))


@lru_cache(maxsize=256)
def _distinct(values: tuple[float | None, ...]) -> Levels:
    least: dict[float, int] = {}
    for code, value in enumerate(values):
        if value is not None:
            least.setdefault(value, code)
    levels = tuple(sorted(least))
    return Levels(levels=levels, codes=tuple(least[level] for level in levels))


@lru_cache(maxsize=64)
def _values_by_code(number_format: KHot | Codebook) -> tuple[float, ...]:
    """The value of every code, NaN where a code means nothing."""
    listed = number_format.integers if isinstance(number_format, KHot) else number_format.levels
    return tuple(math.nan if value is None else float(value) for value in listed)


def _check(number_format: TableFormat, rules: CastRules) -> None:
    if rules.rounding is not Rounding.HALF_EVEN:
        raise ValueError(
            f"casts to {number_format} go to the nearest level, ties to the smaller magnitude: no rounding can be "
            f"chosen, got {rules.rounding}"
        )
    learned = isinstance(number_format, LearnedCodebook | BinaryCoded)
    if learned and rules.table is None:
        raise ValueError(
            f"{number_format} has no levels of its own: give table=fit_table(values, number_format) of "
            "emulation.fitted_tables"
        )
    if rules.table is not None and rules.table.format != number_format:
        raise ValueError(f"the table was learned for {rules.table.format}, the cast is to {number_format}")
    if learned and rules.has_unit:
        raise ValueError(f"the table of {number_format} has units of its own: leave unit out, got {rules.unit}")


def _holds(name: str, levels: Levels) -> bool:
    float_type = FLOAT_TYPES[name]
    least = float_type.least_exponent - float_type.mantissa_bits
    for level in levels.levels:
        exact = abs(Fraction(level))
        if exact and (
            (exact / Fraction(2) ** least).denominator != 1
            or _significant_bits(exact) > float_type.mantissa_bits + 1
            or exact >= Fraction(2) ** (float_type.greatest_exponent + 1)
        ):
            return False
    return True


def _significant_bits(dyadic: Fraction) -> int:
    numerator = dyadic.numerator
    return (numerator // (numerator & -numerator)).bit_length()


@lru_cache(maxsize=256)
def _check_dtype(name: str, number_format: TableFormat, levels: Levels) -> None:
    if name not in FLOAT_TYPES or _holds(name, levels):
        return
    enough = [other for other in FLOAT_TYPES if _holds(other, levels)]
    raise ValueError(f"{name} does not hold every level of {number_format}: use {enough[0]}")


def _run(function: str, values: Array, levels: Levels, number_format: TableFormat, rules: CastRules) -> Array:
    if rules.nan is not None:
        values = where_nan(values, rules.nan)
    twin = choose(values, "tables", rules.twin)
    options: dict[str, Any] = {"codes": levels.codes} if function == "encode" else {}
    try:
        result = run("tables", function, values, _table(twin, levels, values), twin=twin, **options)
    except ValueError as error:
        refuse_nan(values, number_format, error)
        raise
    # The narrowest dtype of the format, even if the codes used would fit a narrower one.
    return as_dtype(result, "uint16") if function == "encode" and number_format.width > 8 else result


def _table(twin: Twin, levels: Levels, values: Array) -> _TwinTable:
    device = str(values.device) if is_tensor(values) else "cpu"
    return _made_table(twin, levels, dtype_name(values), device)


@lru_cache(maxsize=256)
def _made_table(twin: Twin, levels: Levels, dtype: str, device: str) -> _TwinTable:
    # The GPU kernels take the tables of the tensors' twin.
    folder = Twin.TENSORS if twin is Twin.GPU else twin
    module = importlib.import_module(f"kernels.{folder.value}.tables")
    if twin in (Twin.COMPILED, Twin.DEFINITION):
        return module.table(levels.levels, np.dtype(dtype))
    import torch

    return module.table([levels.levels], getattr(torch, dtype), device)


def _rows(values: Array, table: FittedTable) -> list[Array]:
    if table.axis is None:
        return [values]
    moved = values.movedim(table.axis, 0) if is_tensor(values) else np.moveaxis(values, table.axis, 0)
    if moved.shape[0] != len(table.integers):
        raise ValueError(
            f"the table has {len(table.integers)} channels along axis {table.axis}, values of shape "
            f"{tuple(values.shape)} have {moved.shape[0]}"
        )
    return list(moved)


def _joined(rows: list[Array], table: FittedTable) -> Array:
    if table.axis is None:
        return rows[0]
    if is_tensor(rows[0]):
        import torch

        return torch.stack(rows).movedim(0, table.axis).contiguous()
    return np.ascontiguousarray(np.moveaxis(np.stack(rows), 0, table.axis))


def _per_channel(function: str, values: Array, number_format: TableFormat, rules: CastRules) -> Array:
    table = rules.table
    if table is None:  # `_check` has refused it
        raise ValueError(f"{number_format} needs a table")
    wide = as_dtype(widened(values), "float64")
    rows = []
    for row, integers, unit in zip(_rows(wide, table), table.integers.tolist(), table.units.tolist(), strict=True):
        found = _run(function, row / unit, _distinct(tuple(integers)), number_format, rules)
        rows.append(found * unit if function == "cast" else found)
    result = _joined(rows, table)
    return narrowed(result, values) if function == "cast" else result


def _decode_learned(codes: Array, number_format: TableFormat, dtype: str, rules: CastRules) -> Array:
    table = rules.table
    if table is None:  # `_check` has refused it
        raise ValueError(f"{number_format} needs a table")
    rows = [
        _looked_up(row, tuple(map(float, integers)), number_format) * unit
        for row, integers, unit in zip(_rows(codes, table), table.integers.tolist(), table.units.tolist(), strict=True)
    ]
    return scaled_to(_joined(rows, table), 1.0, dtype)


def _looked_up(codes: Array, by_code: tuple[float, ...], number_format: TableFormat) -> Array:
    name = dtype_name(codes)
    if not name.startswith(("int", "uint")):
        raise TypeError(f"codes must be integers, got {name}")
    wide = as_dtype(codes, "int64")
    if math.prod(tuple(codes.shape)) and not 0 <= int(wide.min()) <= int(wide.max()) < len(by_code):
        raise ValueError(
            f"codes of {number_format} must lie in [0, {len(by_code) - 1}], got {int(wide.min())} to {int(wide.max())}"
        )
    values: Array
    if is_tensor(codes):
        import torch

        values = torch.tensor(by_code, dtype=torch.float64, device=codes.device)[wide]
    else:
        values = np.array(by_code)[wide]
    missing = is_nan(values)  # NaN stands for codes without a level
    if bool(missing.any()):
        raise ValueError(f"code {int(wide[missing][0])} of {number_format} means no number")
    return values
