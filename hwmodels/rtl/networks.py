"""A network in hardware: layers as units between streams, forks, width adapters, and FIFOs that let branches wait.

Every layer is a module with valid and ready on both sides. Where neighbours take words of other widths, a width adapter
stands between them; where a tensor has several readers, each word is given to all of them in the same cycle, so that
FIFOs in front of them decide how far one may be ahead of the others.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.streams import FifoMemory, fifo, width_adapter
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.rtl.unit import Unit

NETWORK: Final = "network"
SHALLOW: Final = 64
"""FIFOs up to this depth are shift registers, deeper ones LUT memory."""
FEWEST_WORDS: Final = 2
"""Of a FIFO."""


class NetworkError(ValueError):
    """A network whose parts do not fit; the message names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One layer.

    Attributes:
        name: of the layer, a Verilog identifier.
        unit: with ports ``in_valid``, ``in_data``, ``in_ready`` (a second input ``in1_*``) and ``out_*``.
        inputs: names of earlier stages; ``input`` is the network's own.
        fifo_words: by input, words of a FIFO in front of it, of the width in which they come; 0 for none.
        tied: inputs that hold still, by port.
    """

    name: str
    unit: Unit
    inputs: tuple[str, ...]
    fifo_words: tuple[int, ...] = ()
    tied: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """A unit between a stage's output and a reader."""

    module: str
    name: str
    source: str
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """An input of a stage: what stands in front of it, and the wires it reads."""

    port: str
    source: str
    branch: str
    links: tuple[_Link, ...]
    final: str


def network(stages: Sequence[Stage], *, in_width: int) -> Unit:
    """The stages, connected; the last one's output is the network's.

    Args:
        stages: in an order in which every one follows its inputs.
        in_width: bits of a word of the network's input.

    Raises:
        NetworkError: if a stage reads one that is not there, or widths do not fit.
    """
    widths = {"input": in_width}
    parts: list[Unit] = []
    readers: dict[str, list[str]] = {"input": []}
    built = []
    for stage in stages:
        ins = []
        for index, source in enumerate(stage.inputs):
            if source not in widths:
                raise NetworkError(f"stage {stage.name!r} reads {source!r}, which is no stage before it")
            branch = f"{source}_to_{stage.name}{index}"
            readers[source].append(branch)
            words = stage.fifo_words[index] if stage.fifo_words else 0
            port = "in" if index == 0 else f"in{index}"
            links = _links(_port(stage, f"{port}_data").width, branch, widths[source], words)
            parts += [unit for _, unit in links]
            ins.append(
                _Reader(
                    port=port,
                    source=source,
                    branch=branch,
                    links=tuple(link for link, _ in links),
                    final=links[-1][0].name if links else branch,
                )
            )
        widths[stage.name] = _port(stage, "out_data").width
        readers[stage.name] = []
        parts.append(stage.unit)
        built.append((stage, ins))
    unread = [name for name, found in readers.items() if not found and name != stages[-1].name]
    if unread:
        raise NetworkError(f"nothing reads {unread[0]!r}: every stage but the last must have a reader")
    text = "\n".join(f"{stage.name} {stage.unit.module} {stage.inputs} {stage.fifo_words}" for stage in stages)
    checksum = zlib.crc32(text.encode())
    return render(
        "network.v",
        family=NETWORK,
        parameters={"layers": len(stages), "checksum": checksum},
        ports=(
            Port(name="in_valid", width=1, direction=Direction.IN),
            Port(name="in_data", width=in_width, direction=Direction.IN),
            Port(name="in_ready", width=1, direction=Direction.OUT),
            Port(name="out_valid", width=1, direction=Direction.OUT),
            Port(name="out_data", width=widths[stages[-1].name], direction=Direction.OUT),
            Port(name="out_ready", width=1, direction=Direction.IN),
        ),
        parts=tuple(parts),
        stages=built,
        widths=widths,
        readers=readers,
        last=stages[-1].name,
        port_width=lambda stage, name: _port(stage, name).width,
    )


def _links(wanted: int, branch: str, width: int, words: int) -> list[tuple[_Link, Unit]]:
    """What stands between a stream of one width and a reader of another: a FIFO, adapters; the first one first."""
    found, source = [], branch
    if words:
        depth = max(words, FEWEST_WORDS)
        memory = FifoMemory.SHIFT_REGISTER if depth <= SHALLOW else FifoMemory.LUT
        units = [(fifo(depth=depth, width=width, memory=memory), width)]
    else:
        units = []
    common = math.gcd(width, wanted)
    for before, after in ((width, common), (common, wanted)):
        if before != after:
            units.append((width_adapter(input=before, output=after), after))
    for index, (unit, bits) in enumerate(units):
        name = f"{branch}_{index}"
        found.append((_Link(module=unit.module, name=name, source=source, width=bits), unit))
        source = name
    return found


def _port(stage: Stage, name: str) -> Port:
    found = next((port for port in stage.unit.ports if port.name == name), None)
    if found is None:
        raise NetworkError(f"stage {stage.name!r} has no port {name!r}: {stage.unit.module} is no unit between streams")
    return found
