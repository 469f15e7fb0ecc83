"""A code that is looked up, times an integer: a read-only memory from index to entry, then an integer multiplier."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.activations import table_activation
from hwmodels.rtl.counted_luts import multiplier_luts
from hwmodels.rtl.multipliers import multiplier
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Unit

CODEBOOK_MULTIPLIER: Final = "codebook multiplier"
WHOLE_TABLE_BITS: Final = 6
"""Index bits of a table of one bit that fits a LUT6 (UG474, UG574); of fewer, two fit."""
JOINED_BY_A_LUT: Final = 3
"""How many wires fewer a four-to-one multiplexer leaves, which is one LUT6."""


def codebook_multiplier(
    *, index: int, entry: int, width: int, x_signed: int = 1, seed: int = 1, content: Sequence[int] | None = None
) -> Unit:
    """``p = x * entries[code]``; combinational.

    Args:
        index: bits of the code, 1 to 10.
        entry: bits of an entry, two's complement, 1 to 64.
        width: bits of the integer ``x``, 1 to 64.
        x_signed: 1 if ``x`` is two's complement, else 0.
        seed: of pseudo-random entries, where no content is given.
        content: ``2**index`` integers, the table of a format (`emulation.formats.Codebook.integers`); their checksum
            takes the place of the seed.

    Raises:
        ValueError: if a number is out of range or the content does not fit.

    >>> [(port.name, port.width) for port in codebook_multiplier(index=4, entry=8, width=8).ports]
    [('x', 8), ('code', 4), ('p', 16)]
    """
    words = None if content is None else [_word(value, entry) for value in content]
    table = table_activation(index=index, entry=entry, seed=seed, content=words)
    part = multiplier(a=width, b=entry, a_signed=x_signed, b_signed=1)
    product = part.ports[-1]
    return render(
        "codebook_multiplier.v",
        family=CODEBOOK_MULTIPLIER,
        parameters={
            "index": index,
            "entry": entry,
            "width": width,
            "x_signed": int(bool(x_signed)),
            "seed": table.parameters["seed"],
        },
        ports=(
            *inputs(signed=bool(x_signed), x=width),
            *inputs(code=index),
            *outputs(signed=product.signed, p=product.width),
        ),
        parts=(table, part),
        table=table,
        part=part,
    )


def _word(value: int, bits: int) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"entries of a codebook of {bits} bits lie from {-(1 << bits - 1)} on, got {value}")
    return value & (1 << bits) - 1


@lru_cache(maxsize=1 << 14)
def codebook_multiplier_structure(
    *, index: int, entry: int, width: int, x_signed: int = 1, seed: int = 1
) -> dict[str, float]:
    """LUTs that hold the table and LUTs of the multiplier, together.

    What joins the LUTs of a table of more than 64 entries is LUTs here, as other logic is mapped together with it.

    >>> codebook_multiplier_structure(index=4, entry=8, width=8)
    {'arithmetic_luts': 73.0}
    """
    del seed
    pieces = 1 << max(index - WHOLE_TABLE_BITS, 0)
    held = entry / 2 if index < WHOLE_TABLE_BITS else entry * (pieces + -(-(pieces - 1) // JOINED_BY_A_LUT))
    return {"arithmetic_luts": held + multiplier_luts(a=width, b=entry, a_signed=x_signed, b_signed=1)}
