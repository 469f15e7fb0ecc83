"""Set-up costs: what options of several layers have in common and is paid once, however many of them are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Amounts: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaidOnce:
    """Items that chosen options use and that are paid once each.

    The value an option has in the column ``key`` is the item it uses: an index into the amounts, or any negative
    number for none. A layer without that column uses none. Whatever is used by at least one layer adds its amounts to
    the sums of the attributes they are given for. A cost that follows the largest of several values (the width of a
    shared register) is a row of such keys, one per step, with the increments as amounts.

    Args:
        key: Attribute of the layers that names the item.
        amounts: Attribute that adds up to its amount per item; all of one length, integers of at least 0.
        most: At most so many different items may be used; None for any number.

    Raises:
        ValueError: No amounts, amounts of different length, entries that are negative or no integers, or a negative
            ``most``.

    >>> adders = PaidOnce(key="adder", amounts={"luts": [40, 25]})
    >>> adders.total("luts", [1, -1, 1]), adders.total("luts", [1, 0]), adders.total("dsps", [1])
    (25, 65, 0)
    """

    key: str
    amounts: Mapping[str, Amounts | Sequence[int]]
    most: int | None = None

    def __post_init__(self) -> None:
        if not self.amounts:
            raise ValueError(f"items of {self.key!r} cost nothing: give the amounts of at least one attribute")
        if self.most is not None and self.most < 0:
            raise ValueError(f"at most {self.most} items of {self.key!r} may be used: give a number of at least 0")
        columns = {name: np.array(values) for name, values in self.amounts.items()}
        lengths = {name: values.size for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"items of {self.key!r} have amounts of different length: {lengths}; give one per item")
        for name, values in columns.items():
            if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
                raise ValueError(
                    f"amounts of {name!r} for items of {self.key!r} must be integers, one per item, got "
                    f"{values.dtype} of shape {values.shape}: scale them to integers first"
                )
            if values.size and int(values.min()) < 0:
                item = int(np.argmin(values))
                raise ValueError(
                    f"amount of {name!r} for item {item} of {self.key!r} is {int(values[item])}: what is paid once "
                    "must not be negative"
                )
        frozen = {name: values.astype(np.int64) for name, values in columns.items()}
        for values in frozen.values():
            values.flags.writeable = False
        object.__setattr__(self, "amounts", frozen)

    @property
    def item_count(self) -> int:
        """Number of items."""
        return len(next(iter(self.amounts.values())))

    def per_option(self, attribute: str, items: Amounts) -> Amounts:
        """The amount of each option's own item, shape ``(options,)``; 0 for options that use none."""
        if attribute not in self.amounts or not self.item_count:
            return np.zeros(len(items), dtype=np.int64)
        return np.where(items >= 0, np.asarray(self.amounts[attribute])[items], 0)

    def total(self, attribute: str, items: Iterable[int]) -> int:
        """What chosen options pay together, in Python integers; negative entries use no item."""
        if attribute not in self.amounts:
            return 0
        return sum(int(self.amounts[attribute][item]) for item in {int(item) for item in items} if item >= 0)
