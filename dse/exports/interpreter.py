"""Executes a manifest's layers from its files alone: NumPy and Python integers, streams with channels last.

It reads nothing but the manifest and the files it names, and shares no code with what wrote them. How engines multiply
and sum is in `dse.exports.interpreted_sums`, how numbers are rounded in `dse.exports.arithmetic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dse.exports.arithmetic import block_cast, fitting, largest, layer_norm, on_grid, power, softmax
from dse.exports.decoding import decode
from dse.exports.interpreted_functions import Lstm, check_width, gelu
from dse.exports.interpreted_sums import Blocks, Engine, common_integers, windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from dse.exports.interpreted_sums import Stream
    from dse.exports.manifest import Manifest


class Interpreter:
    """One exported folder.

    All methods raise ValueError if the layer's entry and files do not fit together.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._engines: dict[str, Engine] = {}

    def stream(self, layer: Mapping[str, Any], entry: Mapping[str, Any]) -> Stream:
        """A file of a layer's outputs, ``(vectors, *shape)``."""
        rows = self.manifest.rows(entry)
        elements = rows.reshape(len(rows), *layer["shape"])
        if "scales" not in entry:
            return elements
        return Blocks.stored(elements, self.manifest.rows(entry["scales"]), layer["output"]["type"])

    def run(self, given: Stream) -> Stream:
        """Outputs of the whole design for inputs of shape ``(vectors, *shape)``."""
        streams: dict[str, Stream] = {}
        for layer in self.manifest.layers:
            sources = [streams[name] for name in layer["inputs"]]
            streams[layer["name"]] = given if layer["op"] == "input" else self.execute(layer, sources)
        return streams[self.manifest.entries["output"]["layer"]]

    def execute(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> Stream:
        """One layer on the outputs of the layers it reads, shape ``(vectors, *shape)`` each."""
        return self._executed(layer, self._read(layer, sources)).reshape(len(sources[0]), *layer["shape"])

    def sums(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> NDArray[Any]:
        """The accumulators of a layer that has some, ``(vectors, *shape)``."""
        return self._accumulate(layer, self._read(layer, sources)).reshape(len(sources[0]), *layer["shape"])

    def _read(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> list[Stream]:
        """The inputs in the order in which the layer reads them."""
        places = layer.get("reorder_inputs", [None] * len(sources))
        return [
            source if one is None else self._reordered(source, one) for source, one in zip(sources, places, strict=True)
        ]

    def _reordered(self, source: Stream, entry: Mapping[str, Any]) -> Stream:
        return source.reshape(len(source), -1)[:, self.manifest.integers(entry)].reshape(len(source), *entry["shape"])

    def _executed(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> Stream:
        source = sources[0]
        match layer["op"]:
            case "reshape" | "transpose":
                return source
            case "select":
                return source.take(layer["index"], axis=layer["axis"] + 1)
            case "maxpool":
                return windows(layer, source, fill=int(source.min()) - 1).max(axis=-2)
            case "concat":
                return self._concat(layer, sources)
            case "activate" if "table" in layer:
                return self._table(layer, source)
        sums = self._accumulate(layer, sources)
        check_width(sums, layer["acc_type"])
        return self.requantise(layer, sums)

    def _accumulate(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> NDArray[Any]:
        source = sources[0]
        match layer["op"]:
            case "add":
                bound = sum(b * largest(one) for b, one in zip(layer["addend_multipliers"], sources, strict=True))
                first, second = (fitting(one, bound) for one in sources)
                left, right = layer["addend_multipliers"]
                return np.asarray(first * left + second * right)
            case "averagepool":
                return np.asarray(windows(layer, source, fill=0).sum(axis=-2))
            case "activate":
                return gelu(source, layer["constants"]) if "constants" in layer else np.asarray(source)
            case "lstm":
                return Lstm.of(layer, self.manifest).states(source)
            case "softmax":
                rows = [softmax(row, layer["constants"]) for row in _rows(source)]
                return np.array(rows, dtype=object).reshape(source.shape)
            case "layernorm":
                gains, offsets = (self.manifest.integers(layer[name]).tolist() for name in ("gains", "offsets"))
                normed = [layer_norm(row, layer["constants"]) for row in _rows(source)]
                rows = [[v * b + c for v, b, c in zip(row, gains, offsets, strict=True)] for row in normed]
                return np.array(rows, dtype=object).reshape(source.shape)
        if layer["name"] not in self._engines:
            self._engines[layer["name"]] = Engine.of(layer, self.manifest)
        engine = self._engines[layer["name"]]
        if layer["op"] == "matmul":
            pairs = zip(*(one.reshape(-1, *one.shape[-2:]) for one in sources), strict=True)
            return np.stack([engine.multiply(left, right, engine.bias) for left, right in pairs]).reshape(
                *source.shape[:-1], -1
            )
        if "input_order" in layer:
            source = source.reshape(len(source), -1)[:, self.manifest.integers(layer["input_order"])]
        return engine.sums(source)

    def requantise(self, rule: Mapping[str, Any], sums: NDArray[Any]) -> Stream:
        """Accumulators, channels along the last axis, as the integers or blocks that a rule makes of them."""
        numbers, kind = self._multiplied(rule, sums), rule["out_type"]
        if kind["grid"] != "integer" and "blocks" in kind["grid"]:
            return _into_blocks(numbers, rule)
        numerators, denominator = numbers.astype(object) << max(-rule["shift"], 0), 1 << max(rule["shift"], 0)
        bound = 4 * max(largest(numerators), denominator, abs(kind["low"]), abs(kind["high"]))
        result: NDArray[Any] = on_grid(fitting(numerators, bound), denominator, kind)
        return result

    def _multiplied(self, rule: Mapping[str, Any], sums: NDArray[Any]) -> NDArray[Any]:
        """The exact ``A * b``."""
        positive = self._multipliers(rule["mult"])
        negative = self._multipliers(rule["negative_mult"]) if "negative_mult" in rule else positive
        bound = largest(sums) * max(largest(positive), largest(negative))
        sums, positive, negative = (fitting(one, bound) for one in (sums, positive, negative))
        return np.asarray(np.where(sums < 0, sums * negative, sums * positive))

    def _multipliers(self, entry: int | Mapping[str, Any]) -> NDArray[Any]:
        return np.array([entry], dtype=object) if isinstance(entry, int) else self.manifest.integers(entry)

    def of_channel(self, rule: Mapping[str, Any], channels: NDArray[Any], sums: NDArray[Any]) -> NDArray[Any]:
        """Accumulators of listed channels one by one, shape ``(rows,)`` both, requantised."""
        picked = dict(rule)
        for name in ("mult", "negative_mult"):
            if isinstance(rule.get(name), dict):
                picked[name] = self.manifest.integers(rule[name])
        result = np.empty(len(sums), dtype=object)
        for channel in np.unique(channels).tolist():
            own = {**rule, **{n: int(v[channel]) for n, v in picked.items() if isinstance(v, np.ndarray)}}
            result[channels == channel] = self.requantise(own, sums[channels == channel][:, None])[:, 0]
        return result

    def _concat(self, layer: Mapping[str, Any], sources: Sequence[Stream]) -> Stream:
        """Blocks are cast once from the exact numbers of all parts."""
        rules, axis = layer["parts"], layer["axis"] + 1
        for rule, source in zip(rules, sources, strict=True):
            check_width(source, rule["acc_type"])
        grid = rules[0]["out_type"]["grid"]
        if grid == "integer" or "blocks" not in grid:
            parts = [self.requantise(rule, source) for rule, source in zip(rules, sources, strict=True)]
            return np.concatenate(parts, axis=axis)
        shift = max(rule["shift"] for rule in rules)
        numbers = [
            _relu_bounded(self._multiplied(rule, source), rule) << (shift - rule["shift"])
            for rule, source in zip(rules, sources, strict=True)
        ]
        free = {**rules[0], "shift": shift, "out_type": {**rules[0]["out_type"], "low": -1, "ceiling": None}}
        return _into_blocks(np.concatenate(numbers, axis=axis), free)

    def _table(self, layer: Mapping[str, Any], source: NDArray[Any]) -> NDArray[Any]:
        """By the stored code of each integer, which the type of the stream defines; the least code that means it."""
        entries, edge = self.manifest.integers(layer["table"]), self.manifest.layer(layer["inputs"][0])["output"]
        codes = reversed(range(1 << edge["type"]["bits"]))
        places = {decode(code, edge["type"]): code for code in codes}
        distinct, where = np.unique(source, return_inverse=True)
        found = np.array([entries[places[int(value) + edge["zero_point"]]] for value in distinct])
        return found[where.reshape(source.shape)]


def _relu_bounded(numbers: NDArray[Any], rule: Mapping[str, Any]) -> NDArray[Any]:
    """``A * b`` within the bounds of ReLU, which must not decide a scale."""
    numbers = numbers.astype(object)
    if rule["out_type"]["low"] == 0:
        numbers = np.maximum(numbers, 0)
    return numbers if rule["out_type"]["ceiling"] is None else np.minimum(numbers, rule["out_type"]["ceiling"])


def _into_blocks(numbers: NDArray[Any], rule: Mapping[str, Any]) -> Blocks:
    grid, step = rule["out_type"]["grid"]["blocks"], power(rule["shift"])
    elements: list[int] = []
    scales: list[Fraction] = []
    for row in _rows(_relu_bounded(numbers, rule)):
        for start in range(0, len(row), grid["size"]):
            block = [number / step for number in row[start : start + grid["size"]]]
            found, scale = block_cast(block, grid, rule["out_type"]["rounding"])
            elements += found
            scales.append(scale)
    integers, exponent = common_integers(scales)
    return Blocks(
        elements=np.array(elements, dtype=np.int64).reshape(numbers.shape),
        scales=integers.reshape(*numbers.shape[:-1], -1),
        exponent=exponent,
        size=grid["size"],
    )


def _rows(values: NDArray[Any]) -> list[list[int]]:
    rows: list[list[int]] = values.reshape(-1, values.shape[-1]).tolist()
    return rows
