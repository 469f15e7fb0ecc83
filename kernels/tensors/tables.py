"""Casts to listed levels on torch tensors of any device: cast, encode and decode, as `kernels.definitions.tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from kernels.canaries import check_subnormals
from kernels.definitions.tables import check_levels_in, thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernels.definitions.tables import Real


class Table(NamedTuple):
    """Levels and thresholds of one or more tables, on the values' device and in their dtype; made by `table`."""

    levels: torch.Tensor
    """Shape (tables, levels), ascending."""
    thresholds: torch.Tensor
    """Shape (tables, levels - 1)."""


def table(levels: Sequence[Sequence[Real]], dtype: torch.dtype, device: torch.device | str = "cpu") -> Table:
    """Prepare tables for values of a dtype on a device.

    Args:
        levels: one table of ascending numbers, or one per channel, equally long.
        dtype: float32 or float64.
        device: where the values are.

    Raises:
        ValueError: as `kernels.compiled.tables.table`.

    >>> table([[-1, 1, 4]], torch.float64).thresholds[0, 1].item()
    2.5
    """
    name = str(dtype).removeprefix("torch.")
    if dtype not in {torch.float32, torch.float64}:
        raise ValueError(f"tables hold float32 or float64 values, got {name}: widen them first")
    lengths = {len(row) for row in levels}
    if len(lengths) != 1:
        raise ValueError(f"all tables need the same number of levels, got {sorted(lengths)}")
    for row in levels:
        check_levels_in(row, name)
    return Table(
        levels=torch.tensor([[float(level) for level in row] for row in levels], dtype=dtype, device=device),
        thresholds=torch.tensor([thresholds(row, name) for row in levels], dtype=dtype, device=device),
    )


def cast(values: torch.Tensor, levels: Table) -> torch.Tensor:
    """The nearest level of each value; as `kernels.compiled.tables.cast`.

    >>> cast(torch.tensor([-3.0, 0.0, 2.5, 2.6]), table([[-1, 1, 4]], torch.float32))
    tensor([-1.,  1.,  1.,  4.])
    """
    indices = _indices(values, levels)
    return torch.gather(levels.levels, 1, indices).reshape(values.shape)


def encode(values: torch.Tensor, levels: Table, *, codes: Sequence[int] | None = None) -> torch.Tensor:
    """The code of the nearest level; as `kernels.compiled.tables.encode`.

    >>> encode(torch.tensor([-3.0, 0.0, 2.5, 2.6]), table([[-1, 1, 4]], torch.float32), codes=[2, 0, 1])
    tensor([2, 0, 0, 1], dtype=torch.uint8)
    """
    listed = _codes(levels.levels.shape[1], codes)
    translation = torch.tensor(listed, device=values.device)
    return translation[_indices(values, levels)].reshape(values.shape).to(_unsigned(listed))


def decode(codes: torch.Tensor, levels: Table, *, given: Sequence[int] | None = None) -> torch.Tensor:
    """The levels of codes; as `kernels.compiled.tables.decode`.

    >>> decode(torch.tensor([2, 0, 1]).to(torch.uint8), table([[-1, 1, 4]], torch.float64), given=[2, 0, 1])
    tensor([-1.,  1.,  4.], dtype=torch.float64)
    """
    tables, count = levels.levels.shape
    listed = torch.tensor(_codes(count, given), device=codes.device)
    wide = codes.to(torch.int64)
    unknown = ~torch.isin(wide, listed)
    if bool(unknown.any()):
        raise ValueError(f"code {int(wide[unknown][0])} belongs to none of the {count} levels")
    index = torch.zeros(int(listed.max()) + 1, dtype=torch.int64, device=codes.device)
    index[listed] = torch.arange(count, device=codes.device)
    _check_channels(codes.shape, tables)
    return torch.gather(levels.levels, 1, index[wide].reshape(tables, -1)).reshape(codes.shape)


def _indices(values: torch.Tensor, levels: Table) -> torch.Tensor:
    """How many thresholds lie below each value, shape (tables, values of a table)."""
    check_subnormals()
    if values.dtype != levels.levels.dtype:
        raise ValueError(f"the table was made for {levels.levels.dtype} values, got {values.dtype}: make one for them")
    missing = int(torch.isnan(values).sum())
    if missing:
        position = tuple(int(axis) for axis in torch.nonzero(torch.isnan(values))[0])
        raise ValueError(
            f"{missing} of {values.numel()} values are NaN, the first at {position}: a table has no level for NaN"
        )
    tables = levels.levels.shape[0]
    _check_channels(values.shape, tables)
    return torch.searchsorted(levels.thresholds, values.reshape(tables, -1).contiguous(), side="left")


def _codes(count: int, codes: Sequence[int] | None) -> list[int]:
    listed = list(range(count)) if codes is None else list(codes)
    if len(listed) != count or len(set(listed)) != count or min(listed) < 0 or max(listed) > 0xFFFF:
        raise ValueError(f"{count} levels need {count} different codes from 0 to 65535, got {listed}")
    return listed


def _unsigned(codes: list[int]) -> torch.dtype:
    return torch.uint8 if max(codes) < 256 else torch.uint16


def _check_channels(shape: torch.Size, tables: int) -> None:
    if tables > 1 and (not shape or shape[0] != tables):
        raise ValueError(f"{tables} tables need values of shape ({tables}, ...), got {tuple(shape)}")
