"""Width adapters and FIFOs: nothing is lost, doubled or reordered, whoever stalls, and no cycle is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.streams import FifoMemory, fifo, width_adapter
from tests.hwmodels.rtl.packing import fields, packed
from tests.hwmodels.rtl.stalls import streamed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STALLS = pytest.mark.parametrize(
    ("send", "receive"), [(100, 100), (50, 50), (90, 20), (20, 90)], ids=["none", "both", "receiver", "sender"]
)
DEPTHS = [2, 3, 5, 16, 17, 32, 33, 64, 100]


def words_of(width: int, count: int, seed: int) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.getrandbits(width) for _ in range(count)]


@STALLS
@pytest.mark.parametrize("widths", [(8, 16), (1, 7), (4, 32), (16, 8), (9, 3), (40, 8), (6, 1)], ids=str)
def test_width_adapter(widths: tuple[int, int], send: int, receive: int, tool: Callable[[str], Path]) -> None:
    wide, narrow = max(widths), min(widths)
    ratio = wide // narrow
    outer = words_of(wide, 400, seed=wide)
    inner = [field for word in outer for field in fields(word, ratio, narrow, 0)]
    sent, expected = (inner, outer) if widths[1] > widths[0] else (outer, inner)
    unit = width_adapter(input=widths[0], output=widths[1])
    found = streamed(unit, sent, len(expected), tool, send_percent=send, receive_percent=receive)
    assert list(found.words) == expected
    if send == receive == 100:
        # A word a cycle on the narrow side, and one cycle on the way.
        assert found.cycles == len(inner)


@STALLS
@pytest.mark.parametrize("memory", list(FifoMemory), ids=[found.name.lower() for found in FifoMemory])
def test_fifo(memory: FifoMemory, send: int, receive: int, tool: Callable[[str], Path]) -> None:
    for depth in DEPTHS:
        unit = fifo(depth=depth, width=9, memory=memory)
        sent = words_of(9, 1000, seed=depth)
        found = streamed(unit, sent, len(sent), tool, send_percent=send, receive_percent=receive, seed=depth)
        assert list(found.words) == sent, unit.module
        if send == receive == 100:
            assert found.cycles == len(sent) + (memory is not FifoMemory.SHIFT_REGISTER), unit.module


@pytest.mark.parametrize("memory", list(FifoMemory), ids=[found.name.lower() for found in FifoMemory])
def test_a_fifo_holds_its_depth(memory: FifoMemory, tool: Callable[[str], Path]) -> None:
    for depth in DEPTHS:
        closed = depth + 20
        found = streamed(
            fifo(depth=depth, width=8, memory=memory), words_of(8, 300, 1), 300, tool, closed_cycles=closed
        )
        # The output register of a memory holds one more.
        assert sum(cycle < closed for cycle in found.accepted) == depth + (memory is not FifoMemory.SHIFT_REGISTER)


def test_adapters_undo_each_other() -> None:
    word = 0x1234_5678
    assert packed(fields(word, 4, 8, 0), 8) == word


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: width_adapter(input=8, output=12), r"a multiple of the other, got 8 to 12 bits: adapt in two steps"),
        (lambda: width_adapter(input=8, output=8), r"got 8 to 8 bits: .*leave equal widths alone"),
        (lambda: width_adapter(input=0, output=8), "input of a width adapter must be 1 to 8192 bits, got 0"),
        (lambda: fifo(depth=1, width=8), "depth of a FIFO must be 2 to 65536 words, got 1"),
        (lambda: fifo(depth=4, width=0), "width of a FIFO must be 1 to 8192 bits, got 0"),
        (
            lambda: fifo(depth=4, width=8, memory=3),
            r"memory of a FIFO must be 0 \(shift_register\), 1 \(lut\), 2 \(block\), got 3",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
