"""Runs an exported design from its folder: plain NumPy and Python integers, streams with channels last.

It reads nothing but the exported files and shares no code with what wrote them.
"""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.dse.manifest_rules import add_up, block_cast, decode, lmul, round_once, to_level

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Blocks(NamedTuple):
    """Elements, and the scale of each block along the last axis as a rational number."""

    elements: NDArray[Any]
    scales: NDArray[Any]
    size: int

    def reshape(self, *shape: int) -> Blocks:
        return Blocks(self.elements.reshape(shape), self.scales.reshape(*shape[:-1], -1), self.size)

    def __len__(self) -> int:
        return len(self.elements)


Stream = Any
"""An array of integers, or `Blocks`."""


class Interpreter:
    """One exported folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())

    def run(self, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Outputs computed and outputs expected, both ``(samples, values)``."""
        vectors = self.manifest["vectors"]
        given = self._input(vectors["input"], most)
        expected = np.loadtxt(self.folder / vectors["output"]["file"], dtype=np.int64, ndmin=2)[:most]
        streams: dict[str, Stream] = {}
        for layer in self.manifest["layers"]:
            sources = [streams[name] for name in layer["inputs"]]
            values = given if layer["op"] == "input" else self._layer(layer, sources)
            streams[layer["name"]] = values.reshape(len(given), *layer["shape"])
        return streams[self.manifest["output"]["layer"]].reshape(len(given), -1), expected

    def _input(self, entry: dict[str, Any], most: int) -> Stream:
        given = np.loadtxt(self.folder / entry["file"], dtype=np.int64, ndmin=2)[:most]
        if "scales" not in entry:
            return given
        shape = self.manifest["input"]["shape"]
        kind = self.manifest["input"]["type"]
        scales = np.loadtxt(self.folder / entry["scales"]["file"], dtype=np.int64, ndmin=2)[:most]
        unit = kind["scale"].get("unit_exponent")
        real = [Fraction(2) ** s if unit is None else s * Fraction(2) ** unit for s in scales.reshape(-1).tolist()]
        scales = np.array(real, dtype=object).reshape(len(given), *shape[:-1], -1)
        return Blocks(given.reshape(len(given), *shape), scales, kind["block_size"])

    def _layer(self, layer: dict[str, Any], sources: list[Stream]) -> Stream:
        assert "reorder_inputs" not in layer
        operation = layer["op"]
        if operation == "reshape":
            return sources[0]
        if operation == "maxpool":
            return self._windows(layer, sources[0], fill=-(2**62)).max(axis=(3, 4))
        if operation == "concat":
            return self._concat(layer, sources)
        return self._requantise(layer, self._accumulate(layer, sources))

    def _concat(self, layer: dict[str, Any], sources: list[Stream]) -> Stream:
        """Blocks are cast once from the exact numbers of all parts."""
        rules, axis = layer["parts"], layer["axis"] + 1
        grid = rules[0]["out_type"]["grid"]
        if not (isinstance(grid, dict) and "blocks" in grid):
            parts = [self._requantise(rule, part) for rule, part in zip(rules, sources, strict=True)]
            return np.concatenate(parts, axis=axis)
        shift = max(rule["shift"] for rule in rules)
        assert all(rule["out_type"]["low"] < 0 and rule["out_type"]["ceiling"] is None for rule in rules)
        numbers = [
            part.astype(object) * (rule["mult"] << (shift - rule["shift"]))
            for rule, part in zip(rules, sources, strict=True)
        ]
        return self._into_blocks(np.concatenate(numbers, axis=axis), {**rules[0], "shift": shift}, grid["blocks"])

    def _accumulate(self, layer: dict[str, Any], sources: list[Stream]) -> NDArray[Any]:
        match layer["op"]:
            case "add":
                return sum(b * source for b, source in zip(layer["addend_multipliers"], sources, strict=True))
            case "averagepool":
                return self._windows(layer, sources[0], fill=0).sum(axis=(3, 4))
            case "activate":
                return sources[0]
        weight = self._weights(layer["weight"])
        source = sources[0]
        if "input_order" in layer:
            source = source.reshape(len(source), -1)[:, self._integers(layer["input_order"])]
        bias = self._integers(layer["bias"]) if "bias" in layer else np.zeros(layer["outputs"], dtype=np.int64)
        rule = layer["acc_type"]
        if "product" in layer or "chunk" in rule or "block_shift" in rule:
            sums = self._unusual(layer, source, weight, bias.tolist())
        else:
            sums = self._plain(layer, source, weight) + bias
        assert rule["signed"]
        if "grid" not in rule:
            assert np.abs(sums).max() <= 1 << (rule["bits"] - 1)
        return sums

    def _plain(self, layer: dict[str, Any], source: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
        if layer["op"] == "linear":
            return source.reshape(len(source), *layer["shape"][:-1], -1) @ weight
        windows = self._windows(layer, source, fill=0)
        groups = layer["groups"]
        inputs, outputs = np.split(windows, groups, axis=-1), np.split(weight, groups, axis=-1)
        return np.concatenate(
            [np.tensordot(a, b, axes=([3, 4, 5], [0, 1, 2])) for a, b in zip(inputs, outputs, strict=True)], axis=-1
        )

    def _unusual(self, layer: dict[str, Any], source: Stream, weight: NDArray[Any], bias: list[int]) -> NDArray[Any]:
        """Every sum on its own: operands tap by tap, ``(positions, taps, channels)`` against ``(taps, channels)``."""
        groups = layer.get("groups", 1)
        scales = self._weight_scales(layer["weight"])
        if layer["op"] == "linear":
            rows, shape = self._rows(source), [*layer["shape"][:-1]]
        else:
            rows, shape = self._columns(layer, source), list(layer["shape"][:-1])
        count, outputs = len(bias) // groups, []
        for position in rows:
            for output, start in enumerate(bias):
                group = output // count
                left = [
                    tap[group * len(weight_tap) :][: len(weight_tap)]
                    for tap, weight_tap in zip(position.elements, _taps(weight), strict=True)
                ]
                right = [[row[output] for row in tap] for tap in _taps(weight)]
                sizes = (position.size, self._block_size(layer["weight"]))
                outputs.append(
                    self._sum(
                        layer,
                        left,
                        right,
                        start,
                        [position.scales, None if scales is None else [[row[output] for row in tap] for tap in scales]],
                        max(sizes),
                    )
                )
        return np.array(outputs, dtype=object).reshape(len(source), *shape, len(bias))

    @staticmethod
    def _sum(  # noqa: PLR0917 - all that one sum needs
        layer: dict[str, Any], left: Any, right: Any, bias: int, scales: list[Any], size: int
    ) -> int:
        rule = layer["acc_type"]
        if "block_shift" in rule or rule.get("terms") == "blocks":
            parts = []
            for tap, (first, second) in enumerate(zip(left, right, strict=True)):
                for block in range(-(-len(first) // size)):
                    inside = slice(block * size, (block + 1) * size)
                    part = Fraction(sum(int(a) * int(b) for a, b in zip(first[inside], second[inside], strict=True)))
                    for one in scales:
                        part *= 1 if one is None else one[tap][block]
                    parts.append(part)
            if "chunk" in rule:
                return add_up(parts, bias, rule)
            total = bias + sum(part // Fraction(2) ** rule["block_shift"] for part in parts)
            return min(max(total, -(1 << (rule["bits"] - 1))), (1 << (rule["bits"] - 1)) - 1)
        pairs = [
            (int(a), int(b))
            for first, second in zip(left, right, strict=True)
            for a, b in zip(first, second, strict=True)
        ]
        kind = layer.get("product")
        products = [a * b if kind is None else lmul(a, b, kind) for a, b in pairs]
        return add_up(products, bias, rule) if "chunk" in rule else bias + sum(products)

    @staticmethod
    def _rows(source: Stream) -> list[Position]:
        elements = source.elements if isinstance(source, Blocks) else source
        depth = elements.shape[-1]
        flat = elements.reshape(-1, depth).tolist()
        if not isinstance(source, Blocks):
            return [Position([row], None, 0) for row in flat]
        scales = source.scales.reshape(len(flat), -1).tolist()
        return [Position([row], [own], source.size) for row, own in zip(flat, scales, strict=True)]

    def _columns(self, layer: dict[str, Any], source: Stream) -> list[Position]:
        elements = source.elements if isinstance(source, Blocks) else source
        taps = int(np.prod(layer["kernel"]))
        found = self._windows(layer, elements, fill=0)
        found = found.reshape(-1, taps, found.shape[-1]).tolist()
        if not isinstance(source, Blocks):
            return [Position(position, None, 0) for position in found]
        scales = self._windows(layer, source.scales, fill=0)
        scales = scales.reshape(len(found), taps, -1).tolist()
        return [Position(position, own, source.size) for position, own in zip(found, scales, strict=True)]

    @staticmethod
    def _windows(layer: dict[str, Any], values: NDArray[Any], *, fill: int) -> NDArray[Any]:
        """``(samples, rows, columns, kernel rows, kernel columns, channels)``."""
        padded = np.pad(values, [(0, 0), *layer["padding"], (0, 0)], constant_values=fill)
        sizes = [
            (size - dilation * (kernel - 1) - 1) // stride + 1
            for size, dilation, kernel, stride in zip(
                padded.shape[1:3], layer["dilation"], layer["kernel"], layer["stride"], strict=True
            )
        ]
        found = np.empty((len(values), *sizes, *layer["kernel"], values.shape[-1]), dtype=values.dtype)
        for row, column in product(*map(range, layer["kernel"])):
            starts = [tap * dilation for tap, dilation in zip((row, column), layer["dilation"], strict=True)]
            rows, columns = (
                slice(start, start + stride * size, stride)
                for start, stride, size in zip(starts, layer["stride"], sizes, strict=True)
            )
            found[:, :, :, row, column, :] = padded[:, rows, columns, :][:, : sizes[0], : sizes[1]]
        return found

    def _integers(self, entry: dict[str, Any]) -> NDArray[np.int64]:
        return np.array([int(line) for line in (self.folder / entry["file"]).read_text().split()])

    def _weights(self, entry: dict[str, Any]) -> NDArray[Any]:
        kind, stored = entry["type"], self._integers(entry)
        assert entry["layout"].split(",")[-2:] == ["in", "out"]
        if "tables" in entry:
            tables, channels = self._integers(entry["tables"]).reshape(entry["tables"]["shape"]), entry["shape"][-1]
            rows = np.arange(len(stored)) % channels if len(tables) > 1 else np.zeros(len(stored), dtype=np.int64)
            stored = tables[rows, stored]
        elif kind["stored"] == "code":
            stored = np.array([decode(int(code), kind.get("element", kind)) for code in stored])
        return (stored - entry["zero_point"]).reshape(entry["shape"])

    def _weight_scales(self, entry: dict[str, Any]) -> Any:
        if "scales" not in entry:
            return None
        kind = entry["type"]["scale"]
        codes = self._integers(entry["scales"]).tolist()
        if kind.get("encoding") == "power-of-two":
            assert all(0 <= code <= kind["largest_code"] for code in codes)
            found = [Fraction(2) ** (code - kind["bias"]) for code in codes]
        else:
            found = [decode(code, kind) * Fraction(2) ** kind["unit_exponent"] for code in codes]
        return _taps(np.array(found, dtype=object).reshape(entry["scales"]["shape"]))

    @staticmethod
    def _block_size(entry: dict[str, Any]) -> int:
        return entry["type"].get("block_size", 0)

    def _requantise(self, rule: dict[str, Any], sums: NDArray[Any]) -> Stream:
        channels, kind = sums.shape[-1], rule["out_type"]
        positive = self._multipliers(rule["mult"], channels)
        negative = self._multipliers(rule.get("negative_mult", rule["mult"]), channels)
        flat = [
            int(value) * (negative[channel] if value < 0 else positive[channel])
            for row in sums.reshape(-1, channels)
            for channel, value in enumerate(row)
        ]
        assert (kind["rounding"], kind["overflow"]) == ("half-even", "SAT")
        grid = kind["grid"]
        if isinstance(grid, dict) and "blocks" in grid:
            return self._into_blocks(np.array(flat, dtype=object).reshape(sums.shape), rule, grid["blocks"])
        if isinstance(grid, dict) and "levels" in grid:
            step = Fraction(2) ** rule["shift"]
            levels = [one for one in grid["levels"] if kind["low"] <= one <= kind["high"]]
            found = [to_level(number / step, grid["levels"]) for number in flat]
            found = [min(max(one, levels[0]), levels[-1]) for one in found]
        else:
            found = [round_once(number, rule["shift"], kind) for number in flat]
        return np.array(found, dtype=np.int64).reshape(sums.shape)

    @staticmethod
    def _into_blocks(numbers: NDArray[Any], rule: dict[str, Any], grid: dict[str, Any]) -> Blocks:
        kind = rule["out_type"]
        if kind["low"] == 0:
            numbers = np.maximum(numbers, 0)
        if kind["ceiling"] is not None:
            numbers = np.minimum(numbers, kind["ceiling"])
        depth, step = numbers.shape[-1], Fraction(2) ** rule["shift"]
        elements, scales = [], []
        for row in numbers.reshape(-1, depth).tolist():
            for start in range(0, depth, grid["size"]):
                found, scale = block_cast([number / step for number in row[start : start + grid["size"]]], grid)
                elements += found
                scales.append(scale)
        whole = np.array(elements, dtype=np.int64).reshape(numbers.shape)
        return Blocks(whole, np.array(scales, dtype=object).reshape(*numbers.shape[:-1], -1), grid["size"])

    def _multipliers(self, entry: int | dict[str, Any], channels: int) -> list[int]:
        found = [entry] if isinstance(entry, int) else self._integers(entry).tolist()
        return found * channels if len(found) == 1 else found


class Position(NamedTuple):
    """The inputs of one output position, tap by tap, and the scales of their blocks."""

    elements: list[list[int]]
    scales: list[list[Fraction]] | None
    size: int


def _taps(weight: NDArray[Any]) -> list[Any]:
    """``(*kernel, in, out)`` as a list of taps."""
    return weight.reshape(-1, *weight.shape[-2:]).tolist()
