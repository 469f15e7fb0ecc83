"""Checks of the base folder: every file, and every layer executed again by an interpreter that shares no code."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dse.exports.arithmetic import power
from dse.exports.comparison import Comparison
from dse.exports.interpreted_sums import Blocks
from dse.exports.interpreter import Interpreter
from dse.exports.manifest import file_entries
from dse.exports.verification import Check, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dse.exports.interpreted_sums import Stream
    from dse.exports.manifest import Manifest

_Compared: TypeAlias = "tuple[Sequence[str], Stream, Stream]"
"""Names of vectors, what was expected of them, and what came out; vectors along the first axis."""
_UNREADABLE: Final = (ValueError, LookupError, TypeError)
"""What entries and files that do not fit together raise."""
_PRODUCTS: Final = 100_000_000
"""Unusual products (L-Mul, registers, blocks) that a check of the whole design computes at most: some ten seconds."""


def _files(manifest: Manifest, _: Path) -> Outcome:
    """What `Manifest.read` has checked, in words."""
    files = sum(1 for _ in file_entries(manifest.entries))
    return Outcome(
        status=Status.PASSED,
        text=f"manifest.json follows the schema and is as it was written, and so are the {files} files it names",
    )


def _types(manifest: Manifest, _: Path) -> Outcome:
    wrong, count = [], 0
    for entry in file_entries(manifest.entries):
        values = manifest.rows(entry) if "rows" in entry else manifest.integers(entry)
        count += values.size
        problem = _misfit(values, entry)
        if problem:
            wrong.append(f"{entry['file']} {problem}")
    if wrong:
        return Outcome(status=Status.FAILED, text="; ".join(wrong))
    return Outcome(status=Status.PASSED, text=f"{count} integers are as many as declared and fit their declared types")


def _misfit(values: NDArray[Any], entry: Mapping[str, Any]) -> str:
    shape = (entry["rows"], entry["columns"]) if "rows" in entry else (entry["count"],)
    if values.shape != shape:
        found, declared = (" x ".join(map(str, one)) for one in (values.shape, shape))
        return f"holds {found} integers, declared are {declared}"
    kind = entry["type"]
    signed = kind["signed"] and kind.get("stored") != "code"
    low, high = (-(1 << (kind["bits"] - 1)) if signed else 0), (1 << (kind["bits"] - signed)) - 1
    beyond = values[(values < low) | (values > high)]
    return f"holds {beyond.flat[0]}, its type allows [{low}, {high}]" if beyond.size else ""


def _golden(manifest: Manifest, _: Path) -> Outcome:
    def of_layer(interpreter: Interpreter, layer: dict[str, Any]) -> Iterator[_Compared]:
        if layer["op"] == "input":
            return
        sources = [manifest.layer(name) for name in layer["inputs"]]
        inputs = [interpreter.stream(source, source["golden"]["output"]) for source in sources]
        names = [f"golden {place}" for place in range(layer["golden"]["count"])]
        yield from _executed(interpreter, layer, layer["golden"], inputs, names)

    return _each_layer(manifest, of_layer, "outputs and sums of golden vectors")


def _limits(manifest: Manifest, _: Path) -> Outcome:
    def of_layer(interpreter: Interpreter, layer: dict[str, Any]) -> Iterator[_Compared]:
        if "limits" not in layer:
            return
        limits, sources = layer["limits"], [manifest.layer(name) for name in layer["inputs"]]
        inputs = [interpreter.stream(source, entry) for source, entry in zip(sources, limits["inputs"], strict=True)]
        yield from _executed(interpreter, layer, limits, inputs, [f"limits {name}" for name in limits["names"]])

    return _each_layer(manifest, of_layer, "outputs and sums of vectors that drive sums to their limits")


def _executed(
    interpreter: Interpreter,
    layer: Mapping[str, Any],
    entry: Mapping[str, Any],
    inputs: Sequence[Stream],
    names: Sequence[str],
) -> Iterator[_Compared]:
    """Accumulators, where the manifest has them, and outputs of one layer."""
    if "sums" in entry:
        sums = [f"{name}, sums" for name in names]
        yield sums, interpreter.stream(layer, entry["sums"]), interpreter.sums(layer, inputs)
    yield names, interpreter.stream(layer, entry["output"]), interpreter.execute(layer, inputs)


def _ties(manifest: Manifest, _: Path) -> Outcome:
    def of_layer(interpreter: Interpreter, layer: dict[str, Any]) -> Iterator[_Compared]:
        for place, rule in enumerate([layer, *layer.get("parts", [])]):
            if "ties" not in rule:
                continue
            rows, entry = manifest.rows(rule["ties"]["accumulators"]), rule["ties"]["output"]
            expected: Stream = manifest.rows(entry)
            part = f" of part {place - 1}" if place else ""
            if "scales" in entry:
                expected = Blocks.stored(expected, manifest.rows(entry["scales"]), layer["output"]["type"])
                names = [f"ties{part} position {row}" for row in range(len(rows))]
                yield names, expected, interpreter.requantise(rule, rows)
            else:
                names = [f"ties{part} channel {channel} accumulator {value}" for channel, value in rows.tolist()]
                yield names, expected, interpreter.of_channel(rule, rows[:, 0], rows[:, 1])[:, None]

    return _each_layer(manifest, of_layer, "accumulators around ties and bounds of requantisers")


def _network(manifest: Manifest, _: Path, products: int = _PRODUCTS) -> Outcome:
    interpreter, vectors, found = Interpreter(manifest), manifest.entries["vectors"], Comparison()
    output = manifest.layer(manifest.entries["output"]["layer"])
    slow = sum(layer["out_size"] * layer["depth"] for layer in manifest.layers if _is_unusual(layer))
    count = min(vectors["count"], max(products // slow, 1)) if slow else vectors["count"]
    others = (place for place in range(vectors["count"]) if place not in vectors["golden"])
    chosen = sorted([*vectors["golden"], *others][:count])
    try:
        got = interpreter.run(interpreter.stream(manifest.layers[0], vectors["input"])[chosen])
        expected = interpreter.stream(output, vectors["output"])[chosen]
        _compare(found, output["name"], [f"vector {place}" for place in chosen], expected, got)
    except _UNREADABLE as error:
        return Outcome(status=Status.FAILED, text=f"the layers cannot be executed one after the other: {error}")
    part = "" if len(chosen) == vectors["count"] else f" of {vectors['count']} (--all for all)"
    return found.outcome(f"outputs of {len(chosen)}{part} vectors through all layers")


def _is_unusual(layer: Mapping[str, Any]) -> bool:
    rule = layer.get("acc_type", {})
    return "product" in layer or "chunk" in rule or "block_shift" in rule


def _each_layer(
    manifest: Manifest, of_layer: Callable[[Interpreter, dict[str, Any]], Iterator[_Compared]], what: str
) -> Outcome:
    interpreter, found, broken, vectors = Interpreter(manifest), Comparison(), list[str](), 0
    for layer in manifest.layers:
        try:
            for names, expected, got in of_layer(interpreter, layer):
                _compare(found, layer["name"], names, expected, got)
                vectors += len(names)
        except _UNREADABLE as error:
            broken.append(f"layer {layer['name']} cannot be executed from its files: {error}")
    return found.outcome(f"{vectors} {what} of {len(found.layers)} layers", broken)


def _compare(found: Comparison, layer: str, names: Sequence[str], expected: Stream, got: Stream) -> None:
    """Compare two streams; of blocks, elements and exact scales."""
    if isinstance(expected, Blocks) and isinstance(got, Blocks):
        found.add(layer, names, expected.elements, got.elements)
        names = [f"{name}, scales" for name in names]
        expected, got = (one.scales * power(one.exponent) for one in (expected, got))
    found.add(layer, names, expected, got)


BASE_CHECKS: Final = (
    Check(name="files", run=_files),
    Check(name="types", run=_types),
    Check(name="golden", run=_golden),
    Check(name="limits", run=_limits),
    Check(name="ties", run=_ties),
    Check(name="network", run=_network, run_all=partial(_network, products=sys.maxsize)),
)
"""What needs no tool."""
