"""Formats that are looked up: decoders, binary planes, and the search that finds a level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from emulation.formats import BinaryCoded, Codebook, KHot, LearnedCodebook
from hwmodels.rtl.activations import MAXIMUM_BITS, MAXIMUM_INDEX, TABLE_ACTIVATION
from hwmodels.rtl.comparators import LEVEL_SEARCH, MAXIMUM_CODE_BITS
from hwmodels.rtl.comparators import MAXIMUM_BITS as MOST_COMPARED_BITS
from hwmodels.rtl.engine_memories import PARAMETER_MEMORY
from hwmodels.units import Priced, priced

if TYPE_CHECKING:
    from emulation.formats import Format


class TableScope(Enum):
    """For what a learned table holds."""

    TENSOR = "tensor"
    """One table for all weights of a layer."""
    CHANNEL = "channel"
    """One per output channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """A read-only memory from a code to the integer it means.

    Attributes:
        index_bits: of the code.
        entry_bits: of the integer, two's complement.
        scope: whether the table changes with the output channel.
    """

    index_bits: int
    entry_bits: int
    scope: TableScope = TableScope.TENSOR

    def unit(self, channels: int) -> Priced:
        """One decoder that serves ``channels`` output channels in turn.

        >>> LookUp(index_bits=4, entry_bits=8).unit(1).luts  # 16 words of 8 bits, two bits in a LUT
        4.0
        """
        return table(self.index_bits, self.entry_bits, channels if self.scope is TableScope.CHANNEL else 1)


def table(index_bits: int, entry_bits: int, tables: int = 1) -> Priced:
    """A read-only memory in LUTs; several tables, or one of very many entries, are read by address."""
    if tables == 1 and index_bits <= MAXIMUM_INDEX and entry_bits <= MAXIMUM_BITS:
        return priced(TABLE_ACTIVATION, index=index_bits, entry=entry_bits, seed=1)
    return priced(PARAMETER_MEMORY, words=tables << index_bits, bits=entry_bits, style=0, seed=1)


def look_up(number_format: Format, scope: TableScope) -> LookUp | None:
    """The decoder a format needs before its integers can be multiplied; None if its codes need none.

    Listed codebooks are the same for all channels; the tables of learned and binary codes have the given scope, binary
    codes one per channel always.
    """
    if isinstance(number_format, Codebook):
        return LookUp(index_bits=number_format.width, entry_bits=number_format.entry_bits)
    if isinstance(number_format, LearnedCodebook):
        return LookUp(index_bits=number_format.width, entry_bits=number_format.entry_bits, scope=scope)
    if isinstance(number_format, BinaryCoded):
        return LookUp(index_bits=number_format.planes, entry_bits=number_format.entry_bits, scope=TableScope.CHANNEL)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Binary planes: ``sum over planes of alpha_i * (sum of plus or minus activations)``.

    Equal to multiplying by the integers ``v = sum alpha_i * b_i`` and adding, since both are exact. Each plane is a
    `hwmodels.rtl.binary_planes.plane_sum`; at the end each output takes a `plane_scale`.

    Attributes:
        planes: binary digits of a weight.
        alpha_bits: of an alpha.
        activation_bits: of an activation.
        activation_signed: 1 if activations are two's complement, else 0.
    """

    planes: int
    alpha_bits: int
    activation_bits: int
    activation_signed: int


def level_search(levels: int, bits: int) -> Priced:
    """The nearest of ``levels`` sorted levels: a binary search over their midpoints, one bit of the rank a stage."""
    code_bits = search_stages(levels)
    known = min(code_bits, MAXIMUM_CODE_BITS)
    width = min(max(bits, known), MOST_COMPARED_BITS)
    found = priced(LEVEL_SEARCH, code_bits=known, width=width, signed=1, seed=1)
    size = (1 << code_bits - known) * max(bits / width, 1.0)
    return found if size == 1 else found.times(size, "code_bits", "width")


def search_stages(levels: int) -> int:
    """Stages of `level_search`."""
    return max(levels - 1, 1).bit_length()


def level_count(number_format: KHot | Codebook) -> int:
    """Different integers a table format has."""
    return len(set(number_format.integers) - {None})


def code_table(number_format: KHot | Codebook) -> Priced:
    """The table from the rank of a level to its code; ranks are the codes of sorted codebooks, which need none."""
    if isinstance(number_format, Codebook):
        return Priced(TABLE_ACTIVATION, 0.0)
    return table(math.ceil(math.log2(level_count(number_format))), number_format.width)
