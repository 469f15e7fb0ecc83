"""The nodes of an ONNX graph that its output needs, in an order in which they can be read."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from emulation.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, NodeProto


def in_order(model: ModelProto, known: set[str]) -> list[NodeProto]:
    """The nodes that the output needs, each after those it reads, in the order of the file where there is a choice."""
    nodes = list(model.graph.node)
    maker: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in maker or name in known:
                raise NetworkError(f"tensor {name!r} is made twice, the second time by {label(node)}")
            maker[name] = place
    needed = _needed(nodes, maker, known, model.graph.output[0].name)
    waiting = {place: {maker[name] for name in nodes[place].input if name in maker} for place in needed}
    readers: dict[int, list[int]] = {}
    for place, sources in waiting.items():
        for source in sources:
            readers.setdefault(source, []).append(place)
    ready = [place for place, sources in waiting.items() if not sources]
    heapq.heapify(ready)
    ordered = []
    while ready:
        place = heapq.heappop(ready)
        ordered.append(nodes[place])
        for reader in readers.get(place, ()):
            waiting[reader].discard(place)
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(ordered) < len(needed):
        done = {id(node) for node in ordered}
        stuck = [label(nodes[place]) for place in sorted(needed) if id(nodes[place]) not in done]
        raise NetworkError(f"the graph has a cycle through {', '.join(stuck[:5])}: an ONNX graph may have none")
    return ordered


def _needed(nodes: Sequence[NodeProto], maker: Mapping[str, int], known: set[str], output: str) -> set[int]:
    if output not in maker and output not in known:
        raise NetworkError(f"no node makes the output {output!r}: the file is damaged or was cut wrongly")
    found: set[int] = set()
    pending = [maker[output]] if output in maker else []
    while pending:
        place = pending.pop()
        if place in found:
            continue
        found.add(place)
        for name in filter(None, nodes[place].input):
            if name in maker:
                pending.append(maker[name])
            elif name not in known:
                raise NetworkError(
                    f"{label(nodes[place])} reads {name!r}, which is no input, no constant and no node's output: the "
                    "file is damaged or was cut wrongly"
                )
    return found


def label(node: NodeProto) -> str:
    """A node in words, for messages."""
    return f"node {node.name!r} ({node.op_type})"
