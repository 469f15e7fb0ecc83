"""What the logic of a family of devices is made of: LUTs, carry chains and memory primitives.

One file a family in ``devices/fabrics``; a device names its family, or brings a fabric of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class LutOutputs(Enum):
    """How many functions one LUT computes."""

    ONE = "one"
    TWO = "two"
    """Two functions of five shared inputs (AMD since the 7 series)."""


class DistributedMemory(Enum):
    """What memories in LUTs are built of, which decides how `hwmodels.memory` counts them."""

    LUT6 = "lut6"
    """A LUT is a 64 x 1 or 32 x 2 memory or a 32-deep shift register; four make RAM64M or RAM32M."""
    LUT4 = "lut4"
    """A LUT is a 16 x 1 read-only memory; six make a 16 x 4 memory with a write and a read port (ECP5)."""


class StartContent(Enum):
    """What a memory holds when the device has been configured."""

    CONFIGURED = "configured"
    """Whatever the design asks for."""
    ZERO = "zero"
    """Zeros: weights are written at the start of operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RamPrimitive:
    """A memory block: its (words, bits) shapes with one read port, and what it holds at the start."""

    primitive: str
    shapes: tuple[tuple[int, int], ...]
    content: StartContent
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The logic of a family.

    Attributes:
        carry: name of the carry primitive, ``carry_bits`` bits long.
        block: memory blocks of 18 kbit.
        ultra: memory blocks of 288 kbit; None if the family has none.
    """

    family: str
    lut_inputs: int
    lut_outputs: LutOutputs
    carry: str
    carry_bits: int
    source: str
    verified: bool
    distributed: DistributedMemory
    distributed_source: str
    block: RamPrimitive
    ultra: RamPrimitive | None
