"""Codebooks on the GPU: casts to listed levels, by the rule of `kernels.definitions.tables`.

A value's index is the number of thresholds below it, found by halving: as many look-ups as the index has bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kernels.gpu.checks import check_values
from kernels.gpu.launching import check_launchable, kernel, launch_elementwise, tl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernels.tensors.tables import Table


@kernel
def encode_kernel(
    values: tl.tensor,
    thresholds: tl.tensor,
    listed: tl.tensor,
    results: tl.tensor,
    per_table: tl.tensor,
    size: tl.tensor,
    COUNT: tl.constexpr,
    STEPS: tl.constexpr,
    PER_TABLE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Values to what is listed for their level: a code, or (one list per table if PER_TABLE is 1) the level."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    value = tl.load(values + place, mask=inside, other=0.0)
    table = place // per_table
    index = table * 0
    for step in tl.static_range(STEPS):
        probe = index + ((1 << (STEPS - 1 - step)) - 1)
        known = inside & (probe < COUNT - 1)
        threshold = tl.load(thresholds + table * (COUNT - 1) + probe, mask=known, other=0.0)
        index = tl.where(known & (threshold < value), probe + 1, index)
    start = table * COUNT if PER_TABLE else table * 0
    tl.store(results + place, tl.load(listed + start + index, mask=inside, other=0), mask=inside)


@kernel
def decode_kernel(
    codes: tl.tensor,
    indices: tl.tensor,
    levels: tl.tensor,
    results: tl.tensor,
    per_table: tl.tensor,
    size: tl.tensor,
    COUNT: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Codes to levels, by the index of each code."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    code = tl.load(codes + place, mask=inside, other=0).to(tl.int64)
    index = tl.load(indices + code, mask=inside, other=0)
    tl.store(
        results + place, tl.load(levels + (place // per_table) * COUNT + index, mask=inside, other=0.0), mask=inside
    )


def cast(values: torch.Tensor, levels: Table) -> torch.Tensor:
    """The nearest level of each value.

    Args:
        values: float32 or float64 without NaN, on a CUDA device (any, in the interpreter); shape ``(tables, ...)`` if
            there are several tables.
        levels: what `kernels.tensors.tables.table` made for the dtype and device of the values.

    Raises:
        ValueError: for NaN, another dtype than the table's, or shapes that do not fit.
    """
    results = torch.empty_like(values, memory_format=torch.contiguous_format)
    return _encode(values, levels, levels.levels.contiguous(), results, per_table=1)


def encode(values: torch.Tensor, levels: Table, *, codes: Sequence[int] | None = None) -> torch.Tensor:
    """The code of the nearest level; arguments and errors as for `cast`.

    Args:
        values: as for `cast`.
        levels: as for `cast`.
        codes: the codes of the levels, different numbers from 0 to 65535; their indices if None.

    Returns:
        Codes of the same shape, in the narrowest unsigned dtype.
    """
    listed = _codes(levels.levels.shape[1], codes)
    dtype = torch.uint8 if max(listed) < 1 << 8 else torch.uint16
    results = torch.empty(values.shape, dtype=dtype, device=values.device)
    return _encode(values, levels, torch.tensor(listed, device=values.device), results, per_table=0)


def decode(codes: torch.Tensor, levels: Table, *, given: Sequence[int] | None = None) -> torch.Tensor:
    """The levels of codes.

    Args:
        codes: as `encode` returns them.
        levels: the table.
        given: the codes of the levels, as for `encode`.

    Raises:
        ValueError: if a code belongs to no level, or shapes do not fit.
    """
    check_launchable(codes)
    tables, count = levels.levels.shape
    listed = torch.tensor(_codes(count, given), device=codes.device)
    wide = codes.to(torch.int64)
    unknown = ~torch.isin(wide, listed)
    if bool(unknown.any()):
        raise ValueError(f"code {int(wide[unknown][0])} belongs to none of the {count} levels")
    indices = torch.zeros(int(listed.max()) + 1, dtype=torch.int64, device=codes.device)
    indices[listed] = torch.arange(count, device=codes.device)
    results = torch.empty(codes.shape, dtype=levels.levels.dtype, device=codes.device)
    launch_elementwise(
        decode_kernel,
        codes.numel(),
        codes.contiguous(),
        indices,
        levels.levels.contiguous(),
        results,
        _values_per_table(codes.shape, tables),
        COUNT=count,
    )
    return results


def _encode(
    values: torch.Tensor, levels: Table, listed: torch.Tensor, results: torch.Tensor, *, per_table: int
) -> torch.Tensor:
    check_values(values)
    tables, count = levels.levels.shape
    if values.dtype != levels.levels.dtype:
        raise ValueError(f"the table was made for {levels.levels.dtype} values, got {values.dtype}: make one for them")
    missing = int(values.isnan().sum())
    if missing:
        raise ValueError(f"{missing} of {values.numel()} values are NaN: a table has no level for NaN")
    launch_elementwise(
        encode_kernel,
        values.numel(),
        values.contiguous(),
        levels.thresholds.contiguous(),
        listed,
        results,
        _values_per_table(values.shape, tables),
        COUNT=count,
        STEPS=(count - 1).bit_length(),
        PER_TABLE=per_table,
    )
    return results


def _values_per_table(shape: torch.Size, tables: int) -> int:
    if tables > 1 and (not shape or shape[0] != tables):
        raise ValueError(f"{tables} tables need values of shape ({tables}, ...), got {tuple(shape)}")
    return max(shape.numel() // tables, 1)


def _codes(count: int, codes: Sequence[int] | None) -> list[int]:
    listed = list(range(count)) if codes is None else list(codes)
    if len(listed) != count or len(set(listed)) != count or min(listed) < 0 or max(listed) > 0xFFFF:
        raise ValueError(f"{count} levels need {count} different codes from 0 to 65535, got {listed}")
    return listed
