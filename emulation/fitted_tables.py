"""Levels learned from values, for the formats that have none of their own: codebooks and binary codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.arrays import Array, checked, dtype_name, nan_report, widened
from emulation.cast_rules import checked_format
from emulation.formats import BinaryCoded, LearnedCodebook
from kernels.twins import is_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedTable:
    """What the codes of a learned format mean: ``value = integers[channel, code] * units[channel]``.

    ``integers`` has shape ``(channels, 2**width)``, ``units`` shape ``(channels,)``; one channel stands for the whole
    tensor (``axis`` None), else there is one per entry of ``axis``.
    """

    format: LearnedCodebook | BinaryCoded
    integers: NDArray[np.int64]
    units: NDArray[np.float64]
    axis: int | None


def fit_table(values: Array, number_format: Format, axis: int | None = 0) -> FittedTable:
    """Learn the levels of a format from values (`emulation.table_fitting` says how; nothing is drawn at random).

    Args:
        values: array or tensor of real numbers.
        number_format: a `LearnedCodebook` (``codebook4``) or `BinaryCoded` (``bcq3``).
        axis: learn one table per entry of this axis; None learns one for all values.

    Raises:
        ValueError: if the format has no table to learn, or the values (of a channel) are empty, all zero or not finite.

    >>> from emulation import parse
    >>> table = fit_table(np.array([[-1.0, -1.0, 0.25, 0.25, 1.0]]), parse("codebook2"))
    >>> table.integers.shape, int(abs(table.integers).max()), table.units.shape
    ((1, 4), 127, (1,))
    """
    checked_format(number_format)
    if not isinstance(number_format, LearnedCodebook | BinaryCoded):
        raise ValueError(  # noqa: TRY004 - a format of another kind, not another type of argument
            f"{number_format} has no table to learn: learned formats are codebookN and bcqN"
        )
    from emulation.table_fitting import learn_table

    given = widened(checked(values))
    array: NDArray[Any] = given.detach().cpu().numpy() if is_tensor(given) else given
    if not np.isfinite(array).all():
        what = nan_report(array) or f"{int(np.isinf(array).sum())} of {array.size} values are infinite"
        raise ValueError(f"{what}: a table of {number_format} is learned from finite values")
    if not array.size:
        raise ValueError(f"values of shape {array.shape} hold nothing to learn the levels of {number_format} from")
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis {axis} is none of values of shape {array.shape}, dtype {dtype_name(values)}")
    rows = array.reshape(1, -1) if axis is None else np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    empty = [channel for channel, row in enumerate(rows) if not row.any()]
    if empty or not len(rows):
        where = f"channel {empty[0]} of {len(rows)}" if axis is not None and empty else "the tensor"
        raise ValueError(f"{where} holds nothing but zeros: there is no scale to learn for {number_format}")
    learned = [learn_table(row, number_format) for row in rows]
    return FittedTable(
        format=number_format,
        integers=np.stack([integers for _, integers in learned]),
        units=np.array([unit for unit, _ in learned]),
        axis=axis,
    )
