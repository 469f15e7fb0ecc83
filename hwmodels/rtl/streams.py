"""Units between streams: width adapters and FIFOs, with valid and ready on both sides.

A word passes in a cycle in which both ``valid`` and ``ready`` are 1. A sender that has raised ``valid`` keeps the word
until it has passed. ``reset``, synchronous, empties a unit; it must be 1 for a cycle before the first word.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY, join_luts, storage_structure
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

WIDTH_ADAPTER: Final = "width adapter"
FIFO: Final = "fifo"
MAXIMUM_WIDTH: Final = 8192
MAXIMUM_DEPTH: Final = 1 << 16
SHIFT_REGISTER_WORDS: Final = 32
"""Words of a shift register in one LUT (SRLC32E; UG474)."""
SHARED_COUNT_BITS: Final = 3
"""Bits of a counter up to which two of them read few enough signals, with enable and reset, to share a LUT6."""


class FifoMemory(IntEnum):
    """Where the words of a FIFO wait."""

    SHIFT_REGISTER = 0
    LUT = 1
    BLOCK = 2


def stream_ports(in_width: int, out_width: int) -> tuple[Port, ...]:
    """The ports of every unit between two streams.

    >>> [port.name for port in stream_ports(8, 8)]
    ['reset', 'in_valid', 'in_data', 'out_ready', 'in_ready', 'out_valid', 'out_data']
    """
    return (
        Port(name="reset", width=1, direction=Direction.IN),
        Port(name="in_valid", width=1, direction=Direction.IN),
        Port(name="in_data", width=in_width, direction=Direction.IN),
        Port(name="out_ready", width=1, direction=Direction.IN),
        Port(name="in_ready", width=1, direction=Direction.OUT),
        Port(name="out_valid", width=1, direction=Direction.OUT),
        Port(name="out_data", width=out_width, direction=Direction.OUT),
    )


def width_adapter(*, input: int, output: int) -> Unit:  # noqa: A002 - the name of the parameter in every row
    """A stream of words of one width becomes one of words of another; the lowest bits come first.

    No cycle is lost: the narrow side moves a word in every cycle if the wide side keeps up.

    Args:
        input: bits of a word that arrives, 1 to 8192.
        output: bits of a word that leaves; one width is a multiple of the other and not equal to it.

    Raises:
        ValueError: if a width is out of range or they do not fit.

    >>> width_adapter(input=8, output=32).module
    'width_adapter_input8_output32'
    """
    ratio, counter = _adapter(input, output)
    return render(
        "width_adapter_up.v" if output > input else "width_adapter_down.v",
        family=WIDTH_ADAPTER,
        parameters={"input": input, "output": output},
        ports=stream_ports(input, output),
        latency=1,
        ratio=ratio,
        counter=counter,
    )


def width_adapter_structure(*, input: int, output: int) -> dict[str, float]:  # noqa: A002 - as above
    """Pairs of bits that are loaded or shifted, bits of the counter of words, LUTs of a rising adapter, and registers.

    A rising adapter moves words by register enables and is all control: two LUTs a bit of its counter, one less in all
    (counted on adapters of ratios 2 to 16, Yosys 0.70), and a comparison if the ratio is no power of two.

    >>> found = width_adapter_structure(input=32, output=8)
    >>> found["pairs"], found["falling_count_bits"], found["register_bits"]
    (12.0, 2, 36)
    >>> width_adapter_structure(input=8, output=64)["rising_luts"]
    5
    """
    ratio, counter = _adapter(input, output)
    falls = int(input > output)
    # The second of two words is the last: there is nothing to count.
    held = 0 if falls and ratio == 2 else counter
    compared = (2 if counter <= SHARED_COUNT_BITS else 1) if ratio & ratio - 1 else 0
    return {
        "pairs": falls * (input - output) / 2,
        "falling_count_bits": falls * counter,
        "rising_luts": 0 if falls else max(2 * counter - 1, 2) + compared,
        "register_bits": max(input, output) + held + 1 + falls,
    }


def fifo(*, depth: int, width: int, memory: int = FifoMemory.SHIFT_REGISTER) -> Unit:
    """A buffer between streams that keeps their order; a word may enter and another leave in the same cycle.

    Args:
        depth: words it holds, 2 to 65536; one more in an output register beside LUT memory and block RAM.
        width: bits of a word, 1 to 8192.
        memory: `FifoMemory`: shift registers, LUT memory or block RAM.

    Raises:
        ValueError: if a number is out of range.

    >>> fifo(depth=32, width=8).module
    'fifo_depth32_width8_memory0'
    """
    _check_fifo(depth, width, memory)
    return render(
        "fifo_shift_register.v" if memory == FifoMemory.SHIFT_REGISTER else "fifo_memory.v",
        family=FIFO,
        parameters={"depth": depth, "width": width, "memory": int(memory)},
        ports=stream_ports(width, width),
        latency=1,
        address=(depth - 1).bit_length(),
        level=depth.bit_length(),
        wraps=depth & depth - 1 == 0,
        ram_style="block" if memory == FifoMemory.BLOCK else "distributed",
    )


def fifo_structure(*, depth: int, width: int, memory: int = FifoMemory.SHIFT_REGISTER) -> dict[str, float]:
    """LUTs that hold words and choose between them; bits of counters of either kind of FIFO, and of their wrapping.

    Four shift registers are joined by the slice's own multiplexers (UG474, UG574).

    >>> found = fifo_structure(depth=32, width=8)
    >>> found["memory_luts"], found["shift_counter_bits"], found["register_bits"]
    (8, 5, 6)
    """
    _check_fifo(depth, width, memory)
    address, level = (depth - 1).bit_length(), depth.bit_length()
    if memory == FifoMemory.SHIFT_REGISTER:
        pieces = -(-depth // SHIFT_REGISTER_WORDS)
        return {
            "memory_luts": width * pieces,
            "joins": width * join_luts(-(-pieces // 4)),
            "enables": 0,
            "block_joins": 0,
            "shift_counter_bits": address,
            "shift_control": 1,
            "counter_bits": 0,
            "wrap_bits": 0,
            "control": 0,
            "register_bits": address + 1,
        }
    stored = storage_structure(depth, width, BLOCK_MEMORY if memory == FifoMemory.BLOCK else LUT_MEMORY)
    return {
        **stored,
        "shift_counter_bits": 0,
        "shift_control": 0,
        "counter_bits": 2 * address + level,
        "wrap_bits": 0 if depth & depth - 1 == 0 else address,
        "control": 1,
        "register_bits": stored["register_bits"] + 2 * address + level + 1,
    }


def _adapter(in_width: int, out_width: int) -> tuple[int, int]:
    for name, width in (("input", in_width), ("output", out_width)):
        if not 1 <= width <= MAXIMUM_WIDTH:
            raise ValueError(f"{name} of a width adapter must be 1 to {MAXIMUM_WIDTH} bits, got {width}")
    wide, narrow = max(in_width, out_width), min(in_width, out_width)
    if wide % narrow or wide == narrow:
        raise ValueError(
            f"one width of an adapter is a multiple of the other, got {in_width} to {out_width} bits: adapt in two "
            "steps by way of a common divisor, or leave equal widths alone"
        )
    return wide // narrow, (wide // narrow - 1).bit_length()


def _check_fifo(depth: int, width: int, memory: int) -> None:
    if not 2 <= depth <= MAXIMUM_DEPTH:
        raise ValueError(f"depth of a FIFO must be 2 to {MAXIMUM_DEPTH} words, got {depth}")
    if not 1 <= width <= MAXIMUM_WIDTH:
        raise ValueError(f"width of a FIFO must be 1 to {MAXIMUM_WIDTH} bits, got {width}")
    if memory not in tuple(FifoMemory):
        known = ", ".join(f"{found.value} ({found.name.lower()})" for found in FifoMemory)
        raise ValueError(f"memory of a FIFO must be {known}, got {memory}")
