"""What stands between an engine and its streams: the buffer that is read pass after pass, and the serialiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY, storage_structure
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

REPLAY_BUFFER: Final = "replay buffer"
SERIALISER: Final = "serialiser"


def source_ports(in_bits: int, data_bits: int) -> tuple[Port, ...]:
    """Ports of every source of operands.

    ``in_*`` is the stream that arrives. While ``issue_valid`` is 1 the next word can be taken; in a cycle of ``take``
    it is, and with the next cycle ``data`` holds it. ``data`` moves only where ``advance`` is 1.
    """
    return (
        Port(name="in_valid", width=1, direction=Direction.IN),
        Port(name="in_data", width=in_bits, direction=Direction.IN),
        Port(name="advance", width=1, direction=Direction.IN),
        Port(name="take", width=1, direction=Direction.IN),
        Port(name="in_ready", width=1, direction=Direction.OUT),
        Port(name="issue_valid", width=1, direction=Direction.OUT),
        Port(name="data", width=data_bits, direction=Direction.OUT),
    )


def replay_buffer(*, steps: int, bits: int, passes: int, memory: int = LUT_MEMORY) -> Unit:
    """The words of one position, read once per pass, while those of the next position arrive: two halves.

    The first pass follows the words as they come.

    Args:
        steps: words of a position.
        bits: of a word.
        passes: times a position is read.
        memory: 0 keeps the words in LUTs, 1 in block RAM.

    Raises:
        ValueError: if a number is out of range.

    >>> replay_buffer(steps=8, bits=32, passes=4).module
    'replay_buffer_steps8_bits32_passes4_memory0'
    """
    if steps < 1 or bits < 1 or passes < 2:
        raise ValueError(
            f"a replay buffer holds 1 or more words of 1 or more bits for 2 or more passes, got {steps} words of "
            f"{bits} bits, {passes} passes"
        )
    return render(
        "replay_buffer.v",
        family=REPLAY_BUFFER,
        parameters={"steps": steps, "bits": bits, "passes": passes, "memory": memory},
        ports=source_ports(bits, bits),
        step_bits=_bits(steps),
        pass_bits=_bits(passes),
        address_bits=_bits(2 * steps),
        level_bits=(2 * steps).bit_length(),
        style="block" if memory == BLOCK_MEMORY else "distributed",
    )


def replay_buffer_structure(*, steps: int, bits: int, passes: int, memory: int = LUT_MEMORY) -> dict[str, float]:
    """Counters, comparators, and LUTs that hold words.

    >>> replay_buffer_structure(steps=8, bits=32, passes=4)["counter_bits"]
    18
    """
    level, address, step, turn = (2 * steps).bit_length(), _bits(2 * steps), _bits(steps), _bits(passes)
    counted = level + 2 * address + (step if steps > 1 else 0) + turn
    return {
        "counter_bits": counted,
        "wrap_bits": address if steps & steps - 1 else 0,
        **memory_features(2 * steps, bits, memory),
        "word_bits": 0 if memory == BLOCK_MEMORY else bits,
        "one": 1,
    }


def memory_features(words: int, bits: int, memory: int) -> dict[str, float]:
    """The structure of a buffer's memory (`hwmodels.rtl.memories.storage_structure`) without its registers."""
    found = storage_structure(max(words, 2), bits, memory)
    del found["register_bits"]
    return found


def serialiser(*, lanes: int, at_once: int, bits: int) -> Unit:
    """Results of several lanes, handed on ``at_once`` at a time, lowest lanes first.

    Args:
        lanes: results that are loaded together.
        at_once: of them leave in a cycle; divides the lanes.
        bits: of a result.

    Raises:
        ValueError: if the lanes are not a multiple of what leaves at once, at least twice as many.

    >>> serialiser(lanes=8, at_once=2, bits=20).latency
    1
    """
    if at_once < 1 or lanes % at_once or lanes == at_once:
        raise ValueError(f"{lanes} lanes cannot leave {at_once} at a time: use a smaller divisor of the lanes")
    return render(
        "serialiser.v",
        family=SERIALISER,
        parameters={"lanes": lanes, "at_once": at_once, "bits": bits},
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="load", width=1, direction=Direction.IN),
            Port(name="results", width=lanes * bits, direction=Direction.IN),
            Port(name="values", width=at_once * bits, direction=Direction.OUT),
        ),
        latency=1,
    )


def serialiser_structure(*, lanes: int, at_once: int, bits: int) -> dict[str, float]:
    """Bits of two-to-one multiplexers and of registers.

    >>> serialiser_structure(lanes=8, at_once=2, bits=20)
    {'mux_bits': 120, 'register_bits': 160}
    """
    return {"mux_bits": (lanes - at_once) * bits, "register_bits": lanes * bits}


def _bits(count: int) -> int:
    return max((count - 1).bit_length(), 1)
