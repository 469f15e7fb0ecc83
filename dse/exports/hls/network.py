"""All layers of a design, and the streams between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dse.errors import NotExportableError
from dse.exports.hls.arithmetic import reached_exponents
from dse.exports.hls.cpp import Alias, Piece, Struct, looked_up
from dse.exports.hls.engine_layers import beat_of, convolution, linear, matrix_product
from dse.exports.hls.formats import number_format
from dse.exports.hls.other_layers import activate, add, average_pool, concat, layer_norm, max_pool, select, softmax
from dse.exports.hls.outputs import edge_lanes
from dse.exports.hls.pipelines import Edge, Pipeline, Step, Stream
from dse.exports.hls.recurrent_layers import lstm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dse.exports.manifest import Manifest

_LAYERS: Final[Mapping[str, Callable[[Pipeline], None]]] = {
    "activate": activate,
    "add": add,
    "averagepool": average_pool,
    "concat": concat,
    "convolution": convolution,
    "depthwise": convolution,
    "layernorm": layer_norm,
    "linear": linear,
    "lstm": lstm,
    "matmul": matrix_product,
    "maxpool": max_pool,
    "select": select,
    "softmax": softmax,
}
_MOVES_NOTHING: Final = ("reshape", "transpose")
"""Operations that give a stream another shape, and leave it as it is."""
_SELECTS_CODES: Final = ("maxpool", "select")
"""Operations whose outputs are some of the codes of their input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCode:
    """One layer as a function.

    Attributes:
        entry: the layer in the manifest.
        pieces: what has to be defined before it.
        sources: the streams it reads, in order, as its parameters.
        edges: what these are.
        steps: the processes inside; the last one writes ``result``.
        storage: pragmas for its memories.
        edge: what it leaves.
    """

    entry: Mapping[str, Any]
    pieces: tuple[Piece, ...]
    sources: tuple[Stream, ...]
    edges: tuple[Edge, ...]
    steps: tuple[Step, ...]
    storage: tuple[str, ...]
    edge: Edge

    @property
    def name(self) -> str:
        """The layer's name."""
        found: str = self.entry["name"]
        return found

    @property
    def inner(self) -> tuple[Stream, ...]:
        """Streams between its processes."""
        return tuple(step.output for step in self.steps[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCode:
    """A design as functions.

    Attributes:
        input: what the top function reads.
        pieces: what has to be defined for it.
        layers: in order.
        streams: between layers, each with the words its FIFO holds.
        calls: of forks and layers, in order.
        output: what the top function writes.
    """

    input: Edge
    pieces: tuple[Piece, ...]
    layers: tuple[LayerCode, ...]
    streams: tuple[tuple[Stream, int], ...]
    calls: tuple[str, ...]
    output: Edge


def network_code(manifest: Manifest) -> NetworkCode:
    """Every layer of a design and how they are connected.

    Raises:
        NotExportableError: for a layer that has no template.
    """
    edges: dict[str, Edge] = {}
    layers: list[LayerCode] = []
    makers: dict[str, str] = {}
    first = manifest.layers[0]
    for entry in manifest.layers:
        name = entry["name"]
        if entry["op"] in _MOVES_NOTHING:
            source = edges[entry["inputs"][0]]
            edges[name] = Edge(
                stream=source.stream,
                number_format=source.number_format,
                shape=tuple(entry["shape"]),
                exponents=source.exponents,
            )
            makers[name] = makers[entry["inputs"][0]]
        elif entry is first:
            edges[name] = _input_edge(manifest)
            makers[name] = name
        else:
            code = _layer_code(manifest, entry, [edges[one] for one in entry["inputs"]])
            layers.append(code)
            edges[name] = code.edge
            makers[name] = name
    output = manifest.entries["output"]["layer"]
    streams, calls = _wired(layers, edges[first["name"]], makers, makers[output])
    return NetworkCode(
        input=edges[first["name"]],
        pieces=_edge_pieces(first["name"], edges[first["name"]]),
        layers=tuple(layers),
        streams=tuple(streams),
        calls=tuple(calls),
        output=edges[output],
    )


def _input_edge(manifest: Manifest) -> Edge:
    """The samples arrive in words of as many values as the first engine reads at once, if these divide a row."""
    entry = manifest.layers[0]
    simd = next((beat_of(one) for one in manifest.layers if "simd" in one), 1)
    edge = _edge(entry, (0, 0))
    row = math.prod(edge.shape[1:]) if len(edge.shape) > 2 else edge.shape[-1]
    blocks = edge.number_format.blocks
    return replace(
        edge,
        stream=replace(edge.stream, name="source", lanes=math.gcd(simd, row)),
        exponents=(0, 0) if blocks is None else blocks.exponents,
    )


def _edge(entry: Mapping[str, Any], exponents: tuple[int, int]) -> Edge:
    name, kind = entry["name"], entry["output"]
    return Edge(
        stream=Stream(
            name=f"{name}_stream", cpp=f"{name}_edge", count=math.prod(entry["shape"]), lanes=edge_lanes(entry)
        ),
        number_format=number_format(f"{name}_edge", kind["type"], kind["zero_point"]),
        shape=tuple(entry["shape"]),
        exponents=exponents,
    )


def _edge_pieces(name: str, edge: Edge) -> tuple[Piece, ...]:
    return (*edge.number_format.structs, Alias(name=f"{name}_edge", meaning=edge.number_format.cpp))


def _layer_code(manifest: Manifest, entry: Mapping[str, Any], edges: list[Edge]) -> LayerCode:
    build = _LAYERS.get(entry["op"])
    if build is None:
        raise NotExportableError(
            f"layer {entry['source_name']!r} ({entry['op']}) has no C++ template: they exist for "
            f"{', '.join(sorted((*_LAYERS, *_MOVES_NOTHING)))}"
        )
    sources = [
        Stream(name=f"source{place}", cpp=one.stream.cpp, count=one.stream.count, lanes=one.stream.lanes)
        for place, one in enumerate(edges)
    ]
    read = [
        Edge(stream=stream, number_format=one.number_format, shape=one.shape, exponents=one.exponents)
        for stream, one in zip(sources, edges, strict=True)
    ]
    pipeline = Pipeline(manifest=manifest, entry=entry, sources=read)
    edge = _edge(entry, _exponents(manifest, entry, edges))
    if entry["op"] in _SELECTS_CODES:
        edge = replace(edge, number_format=edges[0].number_format)
        pipeline.declare(Alias(name=f"{entry['name']}_edge", meaning=edges[0].stream.cpp))
    else:
        pipeline.declare(*_edge_pieces(entry["name"], edge))
    _reorder(pipeline)
    build(pipeline)
    last = pipeline.steps[-1]
    written = Stream(name="result", cpp=last.output.cpp, count=last.output.count, lanes=last.output.lanes)
    return LayerCode(
        entry=entry,
        pieces=tuple(pipeline.pieces),
        sources=tuple(sources),
        edges=tuple(read),
        steps=(*pipeline.steps[:-1], Step(call=last.call, output=written)),
        storage=tuple(pipeline.storage),
        edge=edge,
    )


def _exponents(manifest: Manifest, entry: Mapping[str, Any], edges: list[Edge]) -> tuple[int, int]:
    """Exponents of the scales of a layer's blocks."""
    if "block_size" not in entry["output"]["type"]:
        return (0, 0)
    rules = entry.get("parts", [entry] if "out_type" in entry else [])
    if not rules:
        return edges[0].exponents
    reached = [reached_exponents(rule, manifest) for rule in rules]
    return min(low for low, _ in reached), max(high for _, high in reached)


def _reorder(pipeline: Pipeline) -> None:
    """Put the inputs into the order that the layer reads."""
    orders = pipeline.entry.get("reorder_inputs", [])
    for place, order in enumerate(orders):
        if order is None:
            continue
        struct = Struct(
            name=f"{pipeline.name}_order{place}",
            functions=(looked_up("at", "int place", pipeline.manifest.integers(order)),),
        )
        pipeline.declare(struct)
        source = pipeline.sources[place]
        pipeline.sources[place] = Edge(
            stream=pipeline.reordered(source.stream, struct.name, source.stream.count),
            number_format=source.number_format,
            shape=tuple(order["shape"]),
            exponents=source.exponents,
        )


def _wired(
    layers: list[LayerCode], source: Edge, makers: Mapping[str, str], output: str
) -> tuple[list[tuple[Stream, int]], list[str]]:
    """Streams between layers and the calls that connect them; a stream with several readers is forked.

    Copies may wait for a whole sample: of paths that part and join again one may be slower than the other.
    """
    readers: dict[str, int] = {}
    for layer in layers:
        for name in layer.entry["inputs"]:
            readers[makers[name]] = readers.get(makers[name], 0) + 1
    readers[output] = readers.get(output, 0) + 1
    streams: list[tuple[Stream, int]] = []
    calls: list[str] = []
    copies: dict[str, list[str]] = {}

    def give(maker: str, stream: Stream) -> None:
        names = [f"{maker}_copy{copy}" for copy in range(readers.get(maker, 0))]
        if maker == output:
            names[-1:] = ["result"]
        copies[maker] = [stream.name] if len(names) < 2 else names
        rest = stream.name
        for place, name in enumerate(names[:-1]):
            other = names[-1] if place == len(names) - 2 else f"{maker}_rest{place}"
            calls.append(f"duplicate<{stream.cpp}, {stream.count}, {stream.lanes}>({rest}, {name}, {other});")
            made = [Stream(name=one, cpp=stream.cpp, count=stream.count, lanes=stream.lanes) for one in (name, other)]
            streams.extend((one, one.words) for one in made if one.name != "result")
            rest = other

    give(next(iter(makers.values())), source.stream)
    for layer in layers:
        taken = [copies[makers[name]].pop(0) for name in layer.entry["inputs"]]
        stream = layer.edge.stream
        last = layer.name == output and readers[output] == 1
        written = "result" if last else stream.name
        if not last:
            streams.append((stream, 2))
        calls.append(f"{layer.name}_layer({', '.join([*taken, written])});")
        give(layer.name, stream)
    return streams, calls
