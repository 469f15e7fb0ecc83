"""A design as the graph that FINN turns into engines: integers from end to end, and thresholds between them.

FINN compares every exact sum with thresholds, one for each code of the output but the least. It would derive them from
quantisers itself, but rounds ties up; here they are computed from the manifest's own rule, so any rounding, multiplier,
ReLU, ceiling or PReLU is exact, and no scale has to be a power of two. The input's integers come in as they are. The
last layer's sums leave without a cast, which is a matter of a few numbers: a wide result would take as many thresholds
as it has codes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.decoding import decoded_weights
from dse.exports.interpreter import Interpreter
from dse.exports.onnx_writer import DOMAIN, FLOAT_BITS, GraphWriter, onnx_weights, window
from dse.exports.real_layers import range_of, refuse, sum_ranges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

    from dse.exports.manifest import Manifest
    from dse.exports.onnx_writer import Entry, Setting

LARGEST_WIDTH: Final = 10
"""Bits of an edge between layers: with one more there are twice as many thresholds, for each channel."""
_HLS: Final = "export to hls"
_WEIGHTED: Final = frozenset({"convolution", "depthwise", "linear"})
_KNOWN: Final = _WEIGHTED | {"input", "add", "averagepool", "activate", "maxpool", "reshape", "transpose", "concat"}


def finn_graph(manifest: Manifest) -> ModelProto:
    """The model of a network, for a batch of one.

    Raises:
        NotExportableError: for what FINN has no engine for, and for sums that float32, in which it stores thresholds,
            does not hold exactly.
    """
    import onnx

    builder = _Builder(manifest)
    for entry in manifest.layers:
        builder.add(entry)
    model = builder.graph.model()
    kind = manifest.layers[0]["output"]["type"]
    annotation = onnx.TensorAnnotation(tensor_name=builder.graph.first)
    annotation.quant_parameter_tensor_names.add(key="finn_datatype", value=_type_name(kind))
    model.graph.quantization_annotation.append(annotation)
    return model


def thresholds(
    manifest: Manifest, entry: Entry, rule: Mapping[str, Any], low: Sequence[int], high: Sequence[int]
) -> NDArray[np.int64]:
    """From which sum on the output is at least each of its codes.

    Args:
        manifest: holds the multipliers.
        entry: the layer.
        rule: how it is requantised.
        low: the least sum, of each channel or of all.
        high: the greatest.

    Returns:
        Shape ``(channels, codes - 1)``; what no sum reaches is one more than the greatest.
    """
    if "negative_mult" in rule and manifest.integers(rule["negative_mult"]).min() < 0:
        raise refuse(entry["name"], "larger sums become smaller outputs", f"use activations that never fall, or {_HLS}")
    interpreter, (least, most) = Interpreter(manifest), range_of(rule["out_type"])
    wanted = np.arange(least + 1, most + 1)[:, None]
    below = np.broadcast_to(np.array(low) - 1, (len(wanted), len(low))).copy()
    reached = np.broadcast_to(np.array(high) + 1, below.shape).copy()
    while (reached - below > 1).any():
        middle = (below + reached) // 2
        enough = np.asarray(interpreter.requantise(rule, middle)) >= wanted
        reached, below = np.where(enough, middle, reached), np.where(enough, below, middle)
    return np.ascontiguousarray(reached.T)


class _Builder:
    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.graph = GraphWriter(manifest.layers)

    def add(self, entry: Entry) -> None:
        graph, op = self.graph, entry["op"]
        self._check(entry)
        if op == "input":
            graph.input(entry, key=entry["name"])
        elif op in _WEIGHTED:
            self._weighted(entry)
        elif op == "add":
            self._add_up(entry)
        elif op == "averagepool":
            (source,), taps = self._ranges(entry), math.prod(entry["kernel"])
            self._cast(entry, self._sum_of_window(entry), [taps * min(source[0], 0)], [taps * source[1]])
        elif op == "activate":
            (source,) = self._ranges(entry)
            self._cast(entry, graph.inputs(entry)[0], [source[0]], [source[1]])
        elif op == "maxpool":
            graph.node("MaxPool", graph.inputs(entry), entry, "", **window(entry))
        elif op == "concat":
            self._concat(entry)
        else:
            graph.reshaped(entry)

    def _weighted(self, entry: Entry) -> None:
        graph, name = self.graph, entry["name"]
        if "product" in entry or entry["acc_type"]["overflow"] != "NEVER":
            raise refuse(name, "its products or its accumulator are not exact", f"use exact ones, or {_HLS}")
        if "scales" in entry["weight"]:
            raise refuse(name, "its weights have a scale per block", f"use weights with scales per channel, or {_HLS}")
        weight = decoded_weights(self.manifest, entry["weight"])
        outputs = weight.shape[-1]
        bias = self.manifest.integers(entry["bias"]) if "bias" in entry else np.zeros(outputs, dtype=np.int64)
        low, high, largest = sum_ranges(weight, bias, *self._ranges(entry)[0])
        self._check_bits(entry, max(largest))
        found = graph.multiplied(entry, self._weight(entry, onnx_weights(entry, weight)))
        self._cast(entry, found, low, high, bias)

    def _weight(self, entry: Entry, weight: NDArray[Any]) -> str:
        """Integers as wide as they are, whatever the format that stores them."""
        key, low, high = f"{entry['name']}_weight", int(weight.min()), int(weight.max())
        bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
        inputs = [self.graph.constant(f"{key}_values", weight.astype(np.float64))]
        inputs += map(self.graph.scalar, (1, 0, max(bits, 2)))  # one bit means -1 and 1 to QONNX
        settings = {"signed": 1, "narrow": 0}
        return self.graph.named("Quant", inputs, key, weight.shape, domain=DOMAIN, rounding_mode="ROUND", **settings)

    def _sum_of_window(self, entry: Entry) -> str:
        """A depthwise convolution by ones."""
        graph, channels = self.graph, entry["shape"][-1]
        weights = self._weight(entry, np.ones((channels, 1, *entry["kernel"]), dtype=np.int64))
        return graph.node("Conv", [*graph.inputs(entry), weights], entry, "product", **window(entry), group=channels)

    def _add_up(self, entry: Entry) -> None:
        """Sums of multiples; what the multipliers have in common goes to the thresholds."""
        graph, multipliers = self.graph, entry["addend_multipliers"]
        common = math.gcd(*multipliers)
        parts, low, high = [], 0, 0
        for place, (tensor, source, multiplier) in enumerate(
            zip(graph.inputs(entry), self._ranges(entry), multipliers, strict=True)
        ):
            factor = multiplier // common
            low, high = low + factor * source[0], high + factor * source[1]
            parts.append(
                tensor if factor == 1 else graph.node("Mul", [tensor, graph.scalar(factor)], entry, f"part_{place}")
            )
        rule = {**entry, "mult": entry["mult"] * common}
        self._cast(rule, graph.node("Add", parts, entry, "sum"), [low], [high])

    def _concat(self, entry: Entry) -> None:
        """Each part through thresholds of its own, unless it stays as it is; FINN joins streams, channels last."""
        graph, parts = self.graph, []
        for place, (name, source, rule) in enumerate(
            zip(entry["inputs"], self._ranges(entry), entry["parts"], strict=True)
        ):
            tensor, kept = graph.stream(name), np.arange(source[0], source[1] + 1)[:, None]
            if np.array_equal(Interpreter(self.manifest).requantise(rule, kept), kept):
                parts.append(tensor)
            else:
                key, shape = f"{entry['name']}_part_{place}", (1, *self.manifest.layer(name)["shape"])
                found = thresholds(self.manifest, entry, rule, [source[0]], [source[1]])
                parts.append(self._compare(key, tensor, found, rule["out_type"], shape, layout="NHWC"))
        graph.joined(entry, parts)

    def _cast(
        self, entry: Entry, source: str, low: Sequence[int], high: Sequence[int], bias: NDArray[np.int64] | None = None
    ) -> None:
        """Thresholds on sums between ``low`` and ``high``, a bias included that was not added yet; it moves them."""
        graph, name = self.graph, entry["name"]
        self._check_bits(entry, max(*map(abs, low), *map(abs, high)))
        if name == self.manifest.layers[-1]["name"]:
            graph.last = source
            if bias is not None and bias.any():
                graph.last = graph.node("Add", [source, graph.per_channel(entry, "bias", bias)], entry, "sum")
            return
        found = thresholds(self.manifest, entry, entry, low, high)
        if bias is not None:
            found -= bias[:, None]
        self._compare(name, source, found, entry["out_type"], graph.shape(entry))

    def _compare(
        self,
        key: str,
        source: str,
        found: NDArray[np.int64],
        kind: Mapping[str, Any],
        shape: Sequence[int],
        *,
        layout: str = "NCHW",
    ) -> str:
        inputs = [source, self.graph.constant(f"{key}_thresholds", found.astype(np.float64))]
        settings: dict[str, Setting] = {
            "out_scale": 1.0,
            "out_bias": float(range_of(kind)[0]),
            "out_dtype": _type_name(kind),
        }
        settings |= {"domain": DOMAIN, "data_layout": layout if len(shape) == 4 else "NC"}
        return self.graph.named("MultiThreshold", inputs, key, shape, **settings)

    def _ranges(self, entry: Entry) -> list[tuple[int, int]]:
        """The least and greatest integer of each input."""
        return [range_of(self.manifest.layer(name)["output"]["type"]) for name in entry["inputs"]]

    def _check_bits(self, entry: Entry, largest: int) -> None:
        bits = largest.bit_length()
        if bits > FLOAT_BITS:
            raise refuse(
                entry["name"], f"its sums need {bits} bits, and a float32 holds {FLOAT_BITS}", "use narrower formats"
            )

    def _check(self, entry: Entry) -> None:
        name, op, output = entry["name"], entry["op"], entry["output"]
        kind, is_last = output["type"], entry is self.manifest.layers[-1]
        if op not in _KNOWN or "function" in entry:
            raise refuse(name, f"FINN has no engine for {entry.get('function', op)}", _HLS)
        if "reorder_inputs" in entry or "input_order" in entry:
            raise refuse(name, "its inputs are put into another order", _HLS)
        if kind["stored"] != "integer" or output["zero_point"]:
            raise refuse(name, f"its outputs are {kind['format']}", f"use integers without zero point, or {_HLS}")
        if kind["bits"] > LARGEST_WIDTH and not is_last:
            count = (1 << kind["bits"]) - 1
            raise refuse(
                name, f"{kind['format']} takes {count} thresholds", f"use at most {LARGEST_WIDTH} bits, or {_HLS}"
            )
        if len(entry["shape"]) == 2:
            raise refuse(name, f"its outputs have shape {entry['shape']}", f"use images or vectors, or {_HLS}")
        if op in {"convolution", "depthwise"} and entry["groups"] not in {1, entry["outputs"]}:
            raise refuse(name, f"it has {entry['groups']} groups", f"use one, or one for each channel, or {_HLS}")
        if op == "maxpool" and any(step != 1 for step in entry["dilation"]):
            raise refuse(name, f"its maximum is dilated by {entry['dilation']}", _HLS)
        if op == "maxpool" and kind["signed"] and any(map(any, entry["padding"])):
            raise refuse(name, "it pads a maximum of signed numbers, and FINN pads by 0", _HLS)


def _type_name(kind: Mapping[str, Any]) -> str:
    """A type in FINN's words."""
    return f"{'' if kind['signed'] else 'U'}INT{kind['bits']}"
