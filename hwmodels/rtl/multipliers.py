"""Integer multipliers in LUTs, built as FPGA flows build them: rows of paired partial products, then a tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.signals import Operator, Signal, Sum, operand, tree
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

MULTIPLIER: Final = "multiplier"
MAXIMUM_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Partial products of one or two bits of the narrower operand; of two, the upper is subtracted if it is a sign."""

    signal: Signal
    low_bit: int
    high_bit: int | None
    subtracts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A multiplier's rows and the tree that sums them."""

    first: Signal
    second: Signal
    wide: Signal
    narrow: Signal
    rows: tuple[_Row, ...]
    sums: tuple[Sum, ...]
    total: Signal
    product: Signal


def multiplier(*, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> Unit:
    """A multiplier of two integers, ``p = a * b`` exactly; combinational.

    Each row adds the products of ``a`` with two neighbouring bits of ``b``, which is what fits one carry chain with a
    dual-output LUT a bit; rows are summed by a binary tree whose low bits pass by. The narrower operand gives the rows.

    Args:
        a: bits of the first operand, 1 to 64.
        b: bits of the second operand, 1 to 64.
        a_signed: 1 if the first operand is two's complement, else 0.
        b_signed: 1 if the second operand is two's complement, else 0.

    Raises:
        ValueError: if a width or a sign is out of range.

    >>> multiplier(a=8, b=4).module
    'multiplier_a8_b4_a_signed1_b_signed1'
    """
    plan = _plan(a, b, bool(a_signed), bool(b_signed))
    ports = (
        Port(name="a", width=a, direction=Direction.IN, signed=plan.first.signed),
        Port(name="b", width=b, direction=Direction.IN, signed=plan.second.signed),
        Port(name="p", width=plan.product.width, direction=Direction.OUT, signed=plan.product.signed),
    )
    return render(
        "multiplier.v",
        family=MULTIPLIER,
        parameters={"a": a, "b": b, "a_signed": int(bool(a_signed)), "b_signed": int(bool(b_signed))},
        ports=ports,
        wide=plan.wide,
        narrow=plan.narrow,
        rows=plan.rows,
        sums=plan.sums,
        total=plan.total,
        product=plan.product,
    )


@lru_cache(maxsize=1 << 14)
def multiplier_structure(*, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> dict[str, float]:
    """What a multiplier is made of: bits of the adders of paired rows, of the sums of the tree, and rows alone.

    Two things save LUTs. The lowest bit of a row is a single AND, which the next adder absorbs in all rows but the
    first. And where the top bit of a chain would be alone in the last carry primitive of four bits, it becomes a
    function of its own, which may join another one's LUT.

    >>> multiplier_structure(a=8, b=5)
    {'row_bits': 20, 'tree_bits': 19, 'single_row_bits': 8, 'absorbed_bits': 1, 'lone_tops': 3, 'one': 1}
    """
    plan = _plan(a, b, bool(a_signed), bool(b_signed))
    # The range of the last sum, bit by bit, may be wider than that of the product, whose bits are all that is kept.
    unused = max(plan.total.width - plan.product.width, 0) if plan.sums else 0
    paired = [row.signal for row in plan.rows if row.high_bit is not None]
    chains = [signal.width - 1 for signal in paired] + [found.total.width - found.shift for found in plan.sums]
    if plan.sums:
        chains[-1] -= unused
    return {
        # The carry out of a row that cannot be negative is a wire.
        "row_bits": sum(signal.width - (not signal.signed) for signal in paired),
        "tree_bits": sum(found.luts for found in plan.sums) - unused,
        "single_row_bits": sum(row.signal.width for row in plan.rows if row.high_bit is None),
        "absorbed_bits": max(len(paired) - 1, 0),
        "lone_tops": sum(length % 4 == 1 for length in chains),
        "one": 1,
    }


@lru_cache(maxsize=1 << 14)
def multiplier_part(*, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> dict[str, float]:
    """The structure of a multiplier inside another unit, whose adder bits are counted with those of the unit.

    >>> multiplier_part(a=8, b=5)
    {'adder_bits': 39, 'single_row_bits': 8, 'absorbed_bits': 1, 'lone_tops': 3}
    """
    found = multiplier_structure(a=a, b=b, a_signed=a_signed, b_signed=b_signed)
    return {
        "adder_bits": found["row_bits"] + found["tree_bits"],
        **{name: found[name] for name in ("single_row_bits", "absorbed_bits", "lone_tops")},
    }


@lru_cache(maxsize=1 << 12)
def _plan(a: int, b: int, a_signed: bool, b_signed: bool) -> _Plan:  # noqa: FBT001 - a cache takes positions
    for name, width in (("a", a), ("b", b)):
        if not 1 <= width <= MAXIMUM_BITS:
            raise ValueError(f"operand {name} of a multiplier has 1 to {MAXIMUM_BITS} bits, got {width}")
    first, second = operand("a", a, signed=a_signed), operand("b", b, signed=b_signed)
    wide, narrow = (first, second) if a >= b else (second, first)
    rows = tuple(_row(index, wide, narrow) for index in range((narrow.width + 1) // 2))
    sign_alone = narrow.signed and narrow.width % 2 == 1 and narrow.width > 1
    last = Operator.SUBTRACT if sign_alone else Operator.ADD
    sums, total = tree("sum", [row.signal for row in rows], shift=2, last=last)
    corners = [x * y for x in (first.low, first.high) for y in (second.low, second.high)]
    product = Signal(name="p", low=min(corners), high=max(corners))
    return _Plan(
        first=first,
        second=second,
        wide=wide,
        narrow=narrow,
        rows=rows,
        sums=tuple(sums),
        total=total,
        product=product,
    )


def _row(index: int, wide: Signal, narrow: Signal) -> _Row:
    low_bit = 2 * index
    high_bit = low_bit + 1 if low_bit + 1 < narrow.width else None
    top = low_bit if high_bit is None else high_bit
    # The single row of a sign bit is subtracted where it joins the tree; only if it is the whole product, here.
    subtracts = narrow.signed and top == narrow.width - 1 and (high_bit is not None or narrow.width == 1)
    digits = [-1 if subtracts else 1, 0] if high_bit is None else ([-2, -1, 0, 1] if subtracts else [0, 1, 2, 3])
    corners = [value * digit for value in (wide.low, wide.high) for digit in digits]
    signal = Signal(name=f"row{index}", low=min(corners), high=max(corners))
    return _Row(signal=signal, low_bit=low_bit, high_bit=high_bit, subtracts=subtracts)
