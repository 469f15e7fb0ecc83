"""Engines of a design alone, and their casts alone, with what drives them to limits and through ties."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.exports.rtl.codes import Codes
from dse.exports.rtl.requantising import requantising_of
from dse.exports.rtl.stages import Tap
from hwmodels.rtl.networks import Stage, network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest
    from dse.exports.rtl.stages import Design
    from hwmodels.rtl.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The units that make a code of a sum, as an engine has them.

    Attributes:
        module: the one that holds them.
        multiply: the module that multiplies.
        clocked: whether it has registers.
        cast: the module that rounds and saturates.
        magnitude: the one that takes the sign off, for minifloats, else nothing.
        accumulator: bits of a sum.
        in_width: bits of a sum and a multiplier.
        bits: of a code.
        signed: whether a code has a sign.
        relu: whether codes below 0 become 0.
    """

    module: str
    multiply: str
    clocked: bool
    cast: str
    magnitude: str
    accumulator: int
    in_width: int
    bits: int
    signed: bool
    relu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LonePart:
    """Something to be fed alone.

    Attributes:
        layer: whose it is, by its safe name.
        module: what is instantiated.
        text: the Verilog of the module where it is not a `Cast`.
        cast: what a cast is made of, else None.
        input: what it reads.
        output: what it writes.
        names: of the vectors.
        given: integers, ``(vectors, values)``.
        expected: what must come out, likewise.
    """

    layer: str
    module: str
    text: str = ""
    cast: Cast | None = None
    input: Tap
    output: Tap
    names: Sequence[str]
    given: NDArray[Any]
    expected: NDArray[Any]

    @property
    def in_width(self) -> int:
        """Bits of a word it reads."""
        return self.input.lanes * self.input.codes.bits

    @property
    def out_width(self) -> int:
        """Bits of a word it writes."""
        return self.output.lanes * self.output.codes.bits


class UnknownTextError(ValueError):
    """Verilog in which a part of the design is not found; the message says which."""


def lone_parts(manifest: Manifest, design: Design, *, units: str, wiring: str) -> list[LonePart]:
    """Every engine with the vectors of its limits, and its cast with its ties, in the order of the layers.

    Args:
        manifest: of the design.
        design: as RTL.
        units: the Verilog of all units that is to be judged.
        wiring: that of the network, which says what the units of each stage are.

    Raises:
        UnknownTextError: if a stage or its cast is not there.
    """
    stages = {stage.name: stage for stage in design.stages}
    found = []
    for layer in manifest.layers:
        if "limits" not in layer:
            continue
        source, output = design.every[layer["inputs"][0]], design.every[layer["name"]]
        stage = stages[output.stage]
        module, tied = _instance(wiring, stage.name)
        body = _found(rf"module {module} \(.*?endmodule", units, f"module {module}")[0]
        unit = _alone(stage, source, module, tied)
        found += [_engine(manifest, layer, unit, source, output), _cast(manifest, layer, body, output)]
    return found


def _found(pattern: str, text: str, what: str) -> re.Match[str]:
    found = re.search(pattern, text, re.DOTALL)
    if found is None:
        raise UnknownTextError(f"{what} is not in the Verilog")
    return found


def _instance(wiring: str, stage: str) -> tuple[str, dict[str, str]]:
    """The module of a stage, and its inputs that hold still."""
    found = _found(rf"(\w+) {stage} \((.*?)\);", wiring, f"stage {stage}")
    return found[1], dict(re.findall(r"\.(\w+)\((\d+'h[0-9a-f]+)\)", found[2]))


def _alone(stage: Stage, source: Tap, module: str, tied: Mapping[str, str]) -> Unit:
    """A network of one stage, which is of a module and has still inputs as the Verilog to be judged says."""
    alone = Stage(name=stage.name, unit=stage.unit, inputs=("input",), tied=stage.tied)
    unit = network([alone], in_width=source.lanes * source.codes.bits)
    text = re.sub(rf"\w+ {stage.name} \(", f"{module} {stage.name} (", unit.text)
    for port, value in tied.items():
        text = re.sub(rf"\.{port}\([^)]*\)", f".{port}({value})", text)
    return dataclasses.replace(unit, text=text)


def _engine(manifest: Manifest, layer: Mapping[str, Any], unit: Unit, source: Tap, output: Tap) -> LonePart:
    limits = layer["limits"]
    return LonePart(
        layer=layer["name"],
        module=unit.module,
        text=unit.text,
        input=source,
        output=output,
        names=[f"limits {name}" for name in limits["names"]],
        given=manifest.rows(limits["inputs"][0]),
        expected=manifest.rows(limits["output"]),
    )


def _cast(manifest: Manifest, layer: Mapping[str, Any], engine: str, output: Tap) -> LonePart:
    rule, accumulator = requantising_of(manifest, layer), int(layer["acc_type"]["bits"])
    width = accumulator + rule.multiplier_bits
    units = {role: re.search(rf"(\w+) {role}0 \((\.clk)?", engine) for role in ("scale", "cast", "magnitude")}
    multiply, cast, magnitude = units["scale"], units["cast"], units["magnitude"]
    if multiply is None or cast is None:
        raise UnknownTextError(f"the cast of {layer['name']} is not in the Verilog")
    held = Cast(
        module=f"cast_of_{layer['name']}",
        multiply=multiply[1],
        clocked=multiply[2] is not None,
        cast=cast[1],
        magnitude="" if magnitude is None else magnitude[1],
        accumulator=accumulator,
        in_width=width,
        bits=rule.codes.bits,
        signed=rule.codes.signed,
        relu=rule.relu,
    )
    ties = manifest.rows(layer["ties"]["accumulators"])
    multipliers = np.array(rule.multipliers, dtype=object)[ties[:, 0] if len(rule.multipliers) > 1 else ties[:, 0] * 0]
    sums = ties[:, 1].astype(object) % (1 << accumulator)
    return LonePart(
        layer=layer["name"],
        module=held.module,
        cast=held,
        input=Tap(layer=layer["name"], stage="", codes=Codes(bits=width, signed=False), lanes=1, low=0),
        output=Tap(layer=layer["name"], stage="", codes=output.codes, lanes=1, low=output.low),
        names=[f"ties channel {channel} accumulator {value}" for channel, value in ties.tolist()],
        given=(sums + (multipliers << accumulator))[:, None],
        expected=manifest.rows(layer["ties"]["output"]),
    )
