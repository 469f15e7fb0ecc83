"""A layer as a pipeline of processes that hand streams to each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.hls.cpp import Piece
    from dse.exports.hls.formats import NumberFormat
    from dse.exports.manifest import Manifest

SHALLOW = 2
"""Words that a FIFO between two processes of one layer holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Values of one sample on their way.

    Attributes:
        name: the C++ variable.
        cpp: the C++ type of the values' format.
        count: values of a sample.
        lanes: values of a word.
    """

    name: str
    cpp: str
    count: int
    lanes: int

    @property
    def words(self) -> int:
        """Words of a sample."""
        return self.count // self.lanes

    @property
    def word(self) -> str:
        """The C++ type of a word."""
        return f"word<{self.cpp}, {self.lanes}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What a layer leaves for others, as a tensor with channels last.

    Attributes:
        stream: its values.
        number_format: what a value is.
        shape: of which the stream is the row-major order.
        exponents: of blocks, the least and the greatest exponent that a scale can have.
    """

    stream: Stream
    number_format: NumberFormat
    shape: tuple[int, ...]
    exponents: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A process: a call of a template, and the stream it writes."""

    call: str
    output: Stream

    @property
    def text(self) -> str:
        """The call with its output."""
        return f"{self.call[:-1]}, {self.output.name});"


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """One layer under construction.

    Attributes:
        manifest: what it is built from.
        entry: the layer's own entry.
        sources: what it reads, as the layers before left it.
        pieces: what has to be defined before it.
        steps: its processes, in order; the last one writes the layer's output.
        storage: pragmas for its memories.
    """

    manifest: Manifest
    entry: Mapping[str, Any]
    sources: list[Edge]
    pieces: list[Piece] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    storage: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The layer's name."""
        found: str = self.entry["name"]
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return tuple(self.entry["shape"])

    def declare(self, *pieces: Piece) -> None:
        """Define something before the layer."""
        self.pieces += pieces

    def process(self, template: str, *arguments: Stream | str, cpp: str, count: int, lanes: int) -> Stream:
        """Append a process that reads streams and other arguments.

        Args:
            template: the function and its template arguments.
            arguments: streams, or names of constant arrays.
            cpp: format of what it writes.
            count: values it writes.
            lanes: values of a word it writes.
        """
        names = ", ".join(one if isinstance(one, str) else one.name for one in arguments)
        output = Stream(name=f"stage{len(self.steps)}", cpp=cpp, count=count, lanes=lanes)
        self.steps.append(Step(call=f"{template}({names})", output=output))
        return output

    def with_lanes(self, stream: Stream, lanes: int) -> Stream:
        """The stream in words of another width."""
        if stream.lanes == lanes:
            return stream
        template = f"repack<{stream.cpp}, {stream.count}, {stream.lanes}, {lanes}>"
        return self.process(template, stream, cpp=stream.cpp, count=stream.count, lanes=lanes)

    def reordered(self, stream: Stream, order: str, length: int) -> Stream:
        """The stream with each vector of so many values in the order that a struct names."""
        lanes = math.gcd(stream.lanes, length)
        taken = self.with_lanes(stream, lanes)
        template = f"reorder<{stream.cpp}, {order}, {stream.count}, {length}, {lanes}>"
        return self.process(template, taken, cpp=stream.cpp, count=stream.count, lanes=lanes)
