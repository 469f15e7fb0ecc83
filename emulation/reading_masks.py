"""Constant masks of attention: numbers or booleans of the user's graph as the columns that each row shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from emulation.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from emulation.reading import Place

Key = TypeVar("Key", bound="Hashable")

HIDDEN: Final = -1e4
"""Scores that this or less is added to have no weight: e**-10000 is 0 in float32 and in every format."""


def mask_of_scores(
    values: NDArray[np.float64] | None, shape: tuple[int, ...], place: Place[Key], *, is_boolean: bool
) -> tuple[int, ...] | None:
    """A constant mask of scores of some shape: booleans (true takes part), or numbers to add (0, or `HIDDEN` or less).

    Raises:
        NetworkError: for numbers that are neither, or a mask that differs between heads.
    """
    if values is None:
        return None
    shown = values != 0 if is_boolean else values > HIDDEN
    if not is_boolean and np.any(values[shown] != 0):
        raise NetworkError(
            f"{place.operation} in {place.where} adds numbers to the scores of a softmax: only a mask can be read, "
            f"which is 0 where a score takes part, and minus infinity (or {HIDDEN:g} and less) where not"
        )
    return mask_rows(shown, shape, place)


def mask_rows(shown: NDArray[np.bool_], shape: tuple[int, ...], place: Place[Key]) -> tuple[int, ...] | None:
    """By row of the scores, the columns that take part, as bits; None if all do."""
    rows, columns = shape[-2:] if len(shape) > 1 else (1, shape[-1])
    if any(size != 1 for size in shown.shape[:-2]):
        raise NetworkError(f"the mask of {place.operation} in {place.where} differs between heads: use one for all")
    table = np.broadcast_to(shown.reshape(shown.shape[-2:]), (rows, columns))
    if table.all():
        return None
    if not table.any(axis=1).all():
        row = int(np.argmin(table.any(axis=1)))
        raise NetworkError(f"the mask of {place.operation} in {place.where} hides all of row {row}: show one at least")
    return tuple(sum(1 << column for column in np.flatnonzero(line).tolist()) for line in table)
