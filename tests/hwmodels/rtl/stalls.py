"""Runs a unit between two streams in Icarus Verilog while sender and receiver stall at random.

The bench holds the unit to its contract: ``out_valid`` is not withdrawn, and the word behind it does not change, before
it has passed; no output bit of a word that passes is unknown.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwmodels.rtl.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What came out, and when.

    Attributes:
        words: in order.
        cycles: from the first cycle without reset to the last word.
        accepted: the cycle in which each word entered.
    """

    words: tuple[int, ...]
    cycles: int
    accepted: tuple[int, ...]


def streamed(
    unit: Unit,
    words: Sequence[int],
    expected: int,
    tool: Callable[[str], Path],
    *,
    send_percent: int = 100,
    receive_percent: int = 100,
    closed_cycles: int = 0,
    seed: int = 1,
) -> Streamed:
    """Send words until so many have come out.

    Args:
        unit: with the ports of `hwmodels.rtl.streams.stream_ports`.
        words: to be sent.
        expected: words that come out; the bench goes on for some cycles to see that there are no more.
        tool: finds a program.
        send_percent: of cycles in which the sender has a new word.
        receive_percent: of cycles in which the receiver is ready.
        closed_cycles: at the start in which the receiver is not.
        seed: of the stalls.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "words.hex").write_text("".join(f"{word:x}\n" for word in words))
        (folder / "unit.v").write_text(unit.verilog)
        bench = _bench(
            unit,
            count=len(words),
            expected=expected,
            send_percent=send_percent,
            receive_percent=receive_percent,
            closed_cycles=closed_cycles,
            seed=seed,
        )
        (folder / "bench.v").write_text(bench)
        subprocess.run([tool("iverilog"), "-g2012", "-o", "bench", "unit.v", "bench.v"], cwd=folder, check=True)
        subprocess.run([tool("vvp"), "-n", "bench"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        lines = (folder / "seen.txt").read_text().split("\n")
    broken = [line for line in lines if line.startswith("BROKEN")]
    assert not broken, f"{unit.module}: {broken[:3]}"
    events = [line.split() for line in lines if line]
    left = [(int(cycle), int(word, 16)) for kind, cycle, word in events if kind == "out"]
    entered = [int(cycle) for kind, cycle, _ in events if kind == "in"]
    return Streamed(words=tuple(word for _, word in left), cycles=left[-1][0] if left else 0, accepted=tuple(entered))


def _bench(
    unit: Unit,
    *,
    count: int,
    expected: int,
    send_percent: int,
    receive_percent: int,
    closed_cycles: int,
    seed: int,
) -> str:
    widths = {port.name: port.width for port in unit.ports}
    most = 40 * (count + expected) * 100 // min(send_percent, receive_percent) + closed_cycles + 1000
    return f"""
module bench;
reg clk = 0, reset = 1, in_valid = 0, out_ready = 0;
reg [{widths["in_data"] - 1}:0] words [0:{count - 1}];
wire [{widths["in_data"] - 1}:0] in_data = in_valid ? words[sent] : {{{widths["in_data"]}{{1'bx}}}};
wire in_ready, out_valid;
wire [{widths["out_data"] - 1}:0] out_data;
reg [{widths["out_data"] - 1}:0] last_data;
reg waiting = 0;
integer sent = 0, got = 0, cycle = 0, quiet = 0, file, seed = {seed};
{unit.module} unit (.clk(clk), .reset(reset), .in_valid(in_valid), .in_data(in_data), .in_ready(in_ready),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data));
initial begin
    $readmemh("words.hex", words);
    file = $fopen("seen.txt", "w");
    #5 clk = 1; #5 clk = 0;
    reset = 0;
    while (quiet < 50) begin
        // Ready may depend on valid or not; valid never waits for ready.
        if (!in_valid && sent < {count}) in_valid = ($unsigned($random(seed)) % 100) < {send_percent};
        out_ready = cycle >= {closed_cycles} && ($unsigned($random(seed)) % 100) < {receive_percent};
        #5;
        if (in_ready === 1'bx || out_valid === 1'bx) $fdisplay(file, "BROKEN unknown handshake in cycle %0d", cycle);
        if (waiting && !(out_valid && out_data === last_data))
            $fdisplay(file, "BROKEN word withdrawn in cycle %0d", cycle);
        if (out_valid && ^out_data === 1'bx) $fdisplay(file, "BROKEN unknown word in cycle %0d", cycle);
        waiting = out_valid && !out_ready;
        last_data = out_data;
        if (out_valid && out_ready) begin $fdisplay(file, "out %0d %h", cycle, out_data); got = got + 1; end
        quiet = got < {expected} ? 0 : quiet + 1;
        if (in_valid && in_ready) $fdisplay(file, "in %0d %h", cycle, in_data);
        clk = 1;
        if (in_valid && in_ready) begin #1; in_valid = 0; sent = sent + 1; #4; end else #5;
        clk = 0;
        cycle = cycle + 1;
        if (cycle > {most}) begin $fdisplay(file, "BROKEN no end after %0d cycles", cycle); quiet = 50; end
    end
    $fclose(file);
    $finish;
end
endmodule
"""
