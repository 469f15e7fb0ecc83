"""Runs a unit in Icarus Verilog: rows of inputs in, rows of outputs back."""

from __future__ import annotations

import itertools
import random
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.rtl.unit import CLOCK, Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwmodels.rtl.unit import Port, Unit

EXHAUSTIVE_BITS = 16
"""Units with as many input bits or fewer are simulated on every input."""
RANDOM_ROWS = 10_000
HALF_PERIOD = 5


def input_rows(unit: Unit, *, seed: int = 0) -> list[tuple[int, ...]]:
    """Every input of a small unit; else random rows, a tenth of whose values are the ends of their range, 0 and 1."""
    ports = [port for port in unit.ports if port.direction is Direction.IN]
    if sum(port.width for port in ports) <= EXHAUSTIVE_BITS:
        return list(itertools.product(*(range(*_range(port)) for port in ports)))
    chosen = random.Random(seed)
    return [tuple(_value(port, chosen) for port in ports) for _ in range(RANDOM_ROWS)]


def simulate(
    unit: Unit, rows: Sequence[tuple[int, ...]], tool: Callable[[str], Path], *, skip: int = 0
) -> list[tuple[int, ...]]:
    """The outputs for each row of inputs, values in the order of the unit's ports.

    One row enters in each cycle; its outputs are read ``unit.latency`` cycles later. An output bit that is unknown
    fails, but for the first ``skip`` rows, whose outputs are not returned.
    """
    ins = [port for port in unit.ports if port.direction is Direction.IN]
    outs = [port for port in unit.ports if port.direction is Direction.OUT]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inputs.hex").write_text("".join(f"{_pack(ins, row):x}\n" for row in rows))
        (folder / "unit.v").write_text(unit.verilog)
        (folder / "bench.v").write_text(_bench(unit, ins, outs, len(rows)))
        compiler, runner = tool("iverilog"), tool("vvp")
        subprocess.run([compiler, "-g2012", "-o", "bench", "unit.v", "bench.v"], cwd=folder, check=True)
        subprocess.run([runner, "-n", "bench"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        lines = (folder / "outputs.hex").read_text().split()[skip:]
    unknown = [row for row, line in zip(rows[skip:], lines, strict=True) if set(line) & set("xXzZ")]
    assert not unknown, f"{unit.module}: unknown output bits for inputs {unknown[:3]}"
    return [_unpack(outs, int(line, 16)) for line in lines]


def _range(port: Port) -> tuple[int, int]:
    return (-(1 << port.width - 1), 1 << port.width - 1) if port.signed else (0, 1 << port.width)


def _value(port: Port, chosen: random.Random) -> int:
    low, high = _range(port)
    if chosen.random() < 0.1:
        return chosen.choice([low, high - 1, 0, min(1, high - 1)])
    return chosen.randrange(low, high)


def _pack(ports: Sequence[Port], row: tuple[int, ...]) -> int:
    word = 0
    for port, value in zip(ports, row, strict=True):
        low, high = _range(port)
        assert low <= value < high, f"{port.name} = {value} does not fit {port.declaration}"
        word = word << port.width | value & (1 << port.width) - 1
    return word


def _unpack(ports: Sequence[Port], word: int) -> tuple[int, ...]:
    values: list[int] = []
    for port in reversed(ports):
        value = word & (1 << port.width) - 1
        values.append(value - (1 << port.width) if port.signed and value >> port.width - 1 else value)
        word >>= port.width
    return tuple(reversed(values))


def _bench(unit: Unit, ins: Sequence[Port], outs: Sequence[Port], rows: int) -> str:
    in_width, out_width = sum(port.width for port in ins), sum(port.width for port in outs)
    slices, top = [], in_width
    for port in ins:
        slices.append(f".{port.name}(word[{top - 1}:{top - port.width}])")
        top -= port.width
    slices += [f".{port.name}({port.name})" for port in outs]
    if unit.clocked:
        slices.append(f".{CLOCK}({CLOCK})")
    wires = "\n".join(f"wire [{port.width - 1}:0] {port.name};" for port in outs)
    return f"""
module bench;
reg {CLOCK} = 0;
reg [{in_width - 1}:0] words [0:{rows - 1}];
reg [{in_width - 1}:0] word;
{wires}
wire [{out_width - 1}:0] result = {{{", ".join(port.name for port in outs)}}};
integer row, file;
{unit.module} unit ({", ".join(slices)});
initial begin
    $readmemh("inputs.hex", words);
    file = $fopen("outputs.hex", "w");
    for (row = 0; row < {rows + unit.latency}; row = row + 1) begin
        word = words[row < {rows} ? row : {rows - 1}];
        #{HALF_PERIOD};
        if (row >= {unit.latency}) $fdisplay(file, "%h", result);
        {CLOCK} = 1;
        #{HALF_PERIOD};
        {CLOCK} = 0;
    end
    $fclose(file);
    $finish;
end
endmodule
"""
