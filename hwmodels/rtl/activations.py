"""Activation functions between codes: ReLU, and tables that are indexed by a code."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Unit

RELU: Final = "relu"
TABLE_ACTIVATION: Final = "table activation"
MAXIMUM_BITS: Final = 128
MAXIMUM_INDEX: Final = 10
"""Bits of a code that indexes a table (DESIGN section 6, rule 16)."""


def relu(*, width: int) -> Unit:
    """``y = max(x, 0)`` of a two's complement integer, a bit narrower and unsigned; combinational.

    Where a cast into unsigned codes follows it needs no ReLU: saturation is one.

    Args:
        width: bits of ``x``, 2 to 128.

    Raises:
        ValueError: if the width is out of range.

    >>> [port.width for port in relu(width=8).ports]
    [8, 7]
    """
    if not 2 <= width <= MAXIMUM_BITS:
        raise ValueError(f"width of a ReLU must be 2 to {MAXIMUM_BITS} bits, got {width}")
    return render(
        "relu.v",
        family=RELU,
        parameters={"width": width},
        ports=(
            Port(name="x", width=width, direction=Direction.IN, signed=True),
            Port(name="y", width=width - 1, direction=Direction.OUT),
        ),
    )


def relu_structure(*, width: int) -> dict[str, float]:
    """Pairs of bits that are cleared, which is what a dual-output LUT holds.

    >>> relu_structure(width=8)
    {'pairs': 4}
    """
    return {"pairs": width // 2}


def table_activation(*, index: int, entry: int, seed: int = 1, content: Sequence[int] | None = None) -> Unit:
    """A function of codes: ``y = content[x]``, a read-only memory in LUTs; combinational.

    Args:
        index: bits of the code ``x``, 1 to 10.
        entry: bits of the code ``y``, 1 to 128.
        seed: of pseudo-random entries, where no content is given.
        content: ``2**index`` codes of 0 to ``2**entry - 1``; their checksum takes the place of the seed.

    Raises:
        ValueError: if a number is out of range or the content does not fit.

    >>> table_activation(index=2, entry=4, content=[0, 1, 4, 9]).parameters["seed"]
    1027000459
    """
    held = seeded_entries(index, entry, seed) if content is None else list(content)
    _check_table(index, entry, held)
    if content is not None:
        size = -(-entry // 8)
        seed = zlib.crc32(b"".join(word.to_bytes(size, "little") for word in held))
    return render(
        "table_activation.v",
        family=TABLE_ACTIVATION,
        parameters={"index": index, "entry": entry, "seed": seed},
        ports=(
            Port(name="x", width=index, direction=Direction.IN),
            Port(name="y", width=entry, direction=Direction.OUT),
        ),
        content=held,
        columns=columns(held, entry),
    )


def table_activation_structure(*, index: int, entry: int, seed: int = 1) -> dict[str, float]:
    """LUTs that hold entries: two bits each up to 32 entries, else one for every 64, and what joins these.

    The slice's own multiplexers join two LUTs (UG474, UG574). Of four and more, Yosys 0.70 joins each two by one more.

    >>> table_activation_structure(index=8, entry=8), table_activation_structure(index=4, entry=8)
    ({'pairs': 0, 'entry_luts': 48.0}, {'pairs': 4, 'entry_luts': 0.0})
    """
    del seed
    if index <= 5:
        return {"pairs": -(-entry // 2), "entry_luts": 0.0}
    pieces = 1 << index - 6
    return {"pairs": 0, "entry_luts": entry * (pieces * 1.5 if pieces > 2 else float(pieces))}


def seeded_entries(index: int, entry: int, seed: int) -> list[int]:
    """Pseudo-random entries of a table, the same for the same numbers everywhere.

    >>> seeded_entries(2, 8, 1) == seeded_entries(2, 8, 1)
    True
    """
    chosen = random.Random(seed)  # noqa: S311 - stands for content, hides nothing
    return [chosen.getrandbits(entry) for _ in range(1 << index)]


def columns(words: Sequence[int], bits: int) -> list[int]:
    """The bits of words, by place: bit i of column j is bit j of word i.

    Tables are written this way because a synthesis tool takes a ``case`` of constants for a memory, and moves the
    registers in front of it.

    >>> columns([0b01, 0b11, 0b10], 2)
    [3, 6]
    """
    return [sum((word >> bit & 1) << index for index, word in enumerate(words)) for bit in range(bits)]


def _check_table(index: int, entry: int, held: Sequence[int]) -> None:
    for name, value, most in (("index", index, MAXIMUM_INDEX), ("entry", entry, MAXIMUM_BITS)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} of a table must be 1 to {most} bits, got {value}")
    if len(held) != 1 << index:
        raise ValueError(f"a table indexed by {index} bits has {1 << index} entries, got {len(held)}")
    wrong = [word for word in held if not 0 <= word < 1 << entry]
    if wrong:
        raise ValueError(f"entries of {entry} bits are codes of 0 to {(1 << entry) - 1}, got {wrong[0]}")
