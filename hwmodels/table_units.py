"""Formats that are looked up: decoders, binary planes, and the search that finds a level.

All of it is counted by structure: nothing of this kind was synthesised, so every cost made of it says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from emulation.formats import BinaryCoded, Codebook, KHot, LearnedCodebook
from hwmodels.memory import Access, lut_memory_count

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

    def luts(self, channels: int) -> int:
        """LUTs of one decoder that serves ``channels`` output channels in turn: one read-only memory in LUTs.

        >>> LookUp(index_bits=4, entry_bits=8).luts(1)  # 16 words of 8 bits, two bits in a LUT
        4
        """
        tables = channels if self.scope is TableScope.CHANNEL else 1
        return lut_memory_count(tables << self.index_bits, self.entry_bits, Access.READ_ONLY)


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

    Equal to multiplying by the integers ``v = sum alpha_i * b_i`` and adding, since both are exact. Each plane has a
    tree of additions whose operands a weight bit negates (the exclusive-or shares the adder's LUT: a bit of a sum of
    two numbers and their two signs is a function of four inputs), and a sum as wide as activations and depth need. At
    the end each output takes one multiplication by alpha per plane and the sum over the planes.

    Attributes:
        planes: binary digits of a weight.
        alpha_bits: of an alpha.
    """

    planes: int
    alpha_bits: int


def level_search_luts(levels: int, bits: int) -> float:
    """LUTs that find the nearest of ``levels`` sorted levels: a binary search over their midpoints, one stage a digit.

    A stage compares with a midpoint (a subtraction: the measured adder, a LUT a bit), which it reads from a table of as
    many midpoints as the stages before have told apart.
    """
    stages = max(levels - 1, 1).bit_length()
    tables = sum(lut_memory_count(1 << stage, bits, Access.READ_ONLY) for stage in range(stages))
    return float(stages * bits + tables)


def level_count(number_format: KHot | Codebook) -> int:
    """Different integers a table format has."""
    return len(set(number_format.integers) - {None})


def code_table_luts(number_format: KHot | Codebook) -> int:
    """LUTs of the table from the rank of a level to its code; ranks are the codes of sorted codebooks."""
    if isinstance(number_format, Codebook):
        return 0
    ranks = 1 << math.ceil(math.log2(level_count(number_format)))
    return lut_memory_count(ranks, number_format.width, Access.READ_ONLY)
