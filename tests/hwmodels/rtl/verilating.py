"""Runs units with streams in Verilator: words in, words out, and the cycles in which they passed."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.rtl.unit import verilog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwmodels.rtl.unit import Unit

ALWAYS = (1,)
"""A neighbour that never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One unit and what happens around it.

    Attributes:
        unit: with ports ``in_valid``, ``in_data``, ``in_ready`` and ``out_*`` alike.
        words: that are offered, in order.
        outputs: words after which it is done.
        offered: by cycle, repeated: whether a word is offered.
        accepted: by cycle, repeated: whether an output is accepted.
        tied: inputs that hold still, by name.
    """

    unit: Unit
    words: Sequence[int]
    outputs: int
    offered: Sequence[int] = ALWAYS
    accepted: Sequence[int] = ALWAYS
    tied: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What passed.

    Attributes:
        arrived: cycles in which words were taken.
        left: cycles in which words left.
        words: that left.
    """

    arrived: tuple[int, ...]
    left: tuple[int, ...]
    words: tuple[int, ...]


def verilate(runs: Sequence[Run], tool: Callable[[str], Path], *, cycles: int = 100_000) -> list[Trace]:
    """Simulate all runs side by side in one program; one that does not end within the cycles has fewer words left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "units.v").write_text(verilog([run.unit for run in runs]))
        (folder / "bench.v").write_text(_bench(runs, cycles))
        (folder / "main.cpp").write_text(_MAIN)
        for index, run in enumerate(runs):
            (folder / f"words{index}.hex").write_text("".join(f"{word:x}\n" for word in run.words))
        command = [tool("verilator"), "--cc", "--exe", "--build", "-O1", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
        command += [
            "--x-initial",
            "unique",
            "--top-module",
            "bench",
            "-CFLAGS",
            "-O1",
            "bench.v",
            "units.v",
            "main.cpp",
        ]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-3000:]
        subprocess.run([folder / "obj_dir" / "Vbench", "+verilator+rand+reset+2"], cwd=folder, check=True)
        return [_read(folder / f"trace{index}.txt") for index in range(len(runs))]


def _read(path: Path) -> Trace:
    arrived, left, words = [], [], []
    for line in path.read_text().splitlines():
        kind, cycle, *word = line.split()
        if kind == "i":
            arrived.append(int(cycle))
        else:
            left.append(int(cycle))
            words.append(int(word[0], 16))
    return Trace(arrived=tuple(arrived), left=tuple(left), words=tuple(words))


def _bench(runs: Sequence[Run], cycles: int) -> str:
    modules = "\n".join(_feeder(index, run) for index, run in enumerate(runs))
    wires = "\n".join(
        f"wire done{index}; feeder{index} f{index} (clk, cycle, done{index});" for index in range(len(runs))
    )
    done = " & ".join(f"done{index}" for index in range(len(runs)))
    return f"""{modules}
module bench (input wire clk);
integer cycle = 0;
{wires}
always @(posedge clk) begin
    cycle <= cycle + 1;
    if (({done}) | cycle == {cycles}) $finish;
end
endmodule
"""


def _feeder(index: int, run: Run) -> str:
    ports = {port.name: port for port in run.unit.ports}
    count = len(run.words)
    tied = "".join(f", .{name}({ports[name].width}'h{value:x})" for name, value in run.tied.items())
    offered, accepted = ("".join(str(bit) for bit in reversed(p)) for p in (run.offered, run.accepted))
    return f"""
module feeder{index} (input wire clk, input integer cycle, output wire done);
reg [{ports["in_data"].width - 1}:0] words [0:{count - 1}];
integer given = 0, got = 0, file;
wire [{len(offered) - 1}:0] offers = {len(offered)}'b{offered};
wire [{len(accepted) - 1}:0] accepts = {len(accepted)}'b{accepted};
reg waiting = 0;
wire valid = given < {count} & (waiting | offers[cycle % {len(offered)}]);
wire ready = accepts[cycle % {len(accepted)}];
wire in_ready, out_valid;
wire [{ports["out_data"].width - 1}:0] out_data;
{run.unit.module} unit (.clk(clk), .in_valid(valid), .in_data(words[given < {count} ? given : 0]), .in_ready(in_ready),
    .out_valid(out_valid), .out_ready(ready), .out_data(out_data){tied});
assign done = got >= {run.outputs};
initial begin
    $readmemh("words{index}.hex", words);
    file = $fopen("trace{index}.txt", "w");
end
final $fclose(file);
always @(posedge clk) begin
    waiting <= valid & ~in_ready;
    if (valid & in_ready) begin
        given <= given + 1;
        $fdisplay(file, "i %0d", cycle);
    end
    if (out_valid & ready & ~done) begin
        got <= got + 1;
        $fdisplay(file, "o %0d %h", cycle, out_data);
    end
end
endmodule
"""


_MAIN = """
#include "Vbench.h"
#include "verilated.h"
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vbench bench(&context);
    bench.clk = 0;
    while (!context.gotFinish()) {
        bench.eval();
        bench.clk = !bench.clk;
        context.timeInc(1);
    }
    bench.final();
    return 0;
}
"""
