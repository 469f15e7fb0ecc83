"""A design as an ONNX graph of real numbers with the quantisers of QONNX, whose float32 execution is exact.

Floats of 24 bits hold every sum that `dse.exports.real_layers` bounds by as many; scales are powers of two, so nothing
else rounds but the quantisers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.onnx_writer import DOMAIN, FLOAT_BITS, GraphWriter, onnx_weights, window
from dse.exports.real_layers import CastLayer, RealLayer, WeightedLayer, range_of, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

    from dse.exports.onnx_writer import Setting

_ROUNDING: Final = {"half-even": "ROUND", "floor": "FLOOR", "ceiling": "CEIL", "toward-zero": "DOWN"}
"""The manifest's words in QONNX's. Its HALF_UP and HALF_DOWN add a half in float32, which is not always exact."""
_HLS: Final = "export to hls"


def qonnx_graph(layers: Sequence[RealLayer]) -> ModelProto:
    """The model of a network, for a batch of one.

    Raises:
        NotExportableError: if a sum does not fit the significand of a float32, or QONNX lacks a rounding or format.
    """
    builder = _Builder(layers)
    for layer in layers:
        builder.add(layer)
    return builder.graph.model()


class _Builder:
    def __init__(self, layers: Sequence[RealLayer]) -> None:
        self.graph = GraphWriter([layer.entry for layer in layers])

    def add(self, layer: RealLayer) -> None:
        graph, entry = self.graph, layer.entry
        match layer:
            case RealLayer(op="input"):
                self._quantise(layer, graph.input(entry))
            case WeightedLayer():
                found = graph.multiplied(entry, self._weight(layer))
                if layer.bias is not None:
                    found = graph.node("Add", [found, graph.per_channel(entry, "bias", layer.bias)], entry, "sum")
                self._activate(layer, found)
            case CastLayer(op="add"):
                self._activate(layer, graph.node("Add", graph.inputs(entry), entry, "sum"))
            case CastLayer(op="averagepool"):
                if any(step != 1 for step in entry["dilation"]):
                    raise refuse(layer.name, f"its average is dilated by {entry['dilation']}", _HLS)
                settings = {**window(entry), "count_include_pad": 1}
                del settings["dilations"]  # which this version of the operator does not have
                self._activate(layer, graph.node("AveragePool", graph.inputs(entry), entry, "sum", **settings))
            case CastLayer():
                self._activate(layer, *graph.inputs(entry))
            case RealLayer(op="maxpool"):
                graph.node("MaxPool", graph.inputs(entry), entry, "", **window(entry))
            case RealLayer(op="concat"):
                # Every part is cast alike, so it does not matter that the cast comes after.
                axis = graph.axis(entry, entry["axis"])
                self._quantise(layer, graph.node("Concat", graph.inputs(entry), entry, "sum", axis=axis))
            case _:
                graph.reshaped(entry)

    def _weight(self, layer: WeightedLayer) -> str:
        """Weights through the quantiser of their format; those of a table stay as they are."""
        key, kind, weight = (
            f"{layer.name}_weight",
            layer.entry["weight"]["type"],
            onnx_weights(layer.entry, layer.weight),
        )
        values = self.graph.constant(f"{key}_values", weight)
        if kind["stored"] != "integer" and ("exponent_bits" not in kind or "subnormals" in kind):
            return values
        units = np.array(layer.weight_units)
        shape = [1] * weight.ndim
        shape[-1 if layer.op == "linear" else 0] = len(units)
        units = units.reshape(shape)
        return self._quantiser(key, values, shape=weight.shape, kind=kind, units=units, rounding="half-even")

    def _activate(self, layer: CastLayer, source: str) -> None:
        """What is done to the exact sums, and the quantiser behind it."""
        graph, entry, bits = self.graph, layer.entry, layer.sums.bits
        if layer.slopes is not None:
            bits += max(significant_bits(float(slope)) for slope in layer.slopes)
            slopes = graph.per_channel(entry, "slopes", layer.slopes)
            source = graph.node("PRelu", [source, slopes], entry, "sloped")
        # QONNX itself would cut off negative numbers of an unsigned format; tools look for the ReLU before it.
        elif layer.relu or layer.sums.low < 0 == layer.output.low:
            source = graph.node("Relu", [source], entry, "relu")
        if layer.ceiling is not None:
            source = graph.node("Clip", [source, "", graph.scalar(layer.ceiling)], entry, "bounded")
        if bits > FLOAT_BITS:
            raise refuse(
                layer.name,
                f"its sums need {bits} bits, and a float32 holds {FLOAT_BITS} exactly",
                "use narrower formats, or export to hls",
            )
        self._quantise(layer, source)

    def _quantise(self, layer: RealLayer, source: str) -> None:
        self._quantiser(
            layer.name,
            source,
            shape=self.graph.shape(layer.entry),
            kind=layer.output.type,
            units=np.array(layer.output.unit),
            rounding=layer.rounding,
        )

    def _quantiser(
        self,
        key: str,
        source: str,
        *,
        shape: Sequence[int],
        kind: Mapping[str, Any],
        units: NDArray[Any],
        rounding: str,
    ) -> str:
        """The node whose output is named after ``key``; numbers of the format are integers times ``2**units``."""
        graph = self.graph
        if rounding not in _ROUNDING:
            raise refuse(key, f"it rounds by {rounding}, and QONNX exactly by {', '.join(_ROUNDING)}", _HLS)
        settings: dict[str, Setting] = {"domain": DOMAIN, "rounding_mode": _ROUNDING[rounding]}
        if kind["stored"] == "integer":
            inputs = [source, graph.constant(f"{key}_scale", np.ldexp(1.0, units))]
            inputs += [graph.scalar(0), graph.scalar(kind["bits"])]
            return graph.named("Quant", inputs, key, shape, signed=int(kind["signed"]), narrow=0, **settings)
        inputs = [source, graph.constant(f"{key}_scale", np.ldexp(1.0, units - kind["unit_exponent"]))]
        # Without its largest value QONNX would take every exponent for one of ordinary numbers.
        largest = math.ldexp(range_of(kind)[1], kind["unit_exponent"])
        inputs += map(graph.scalar, (kind["exponent_bits"], kind["mantissa_bits"], kind["bias"], largest))
        properties = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1}
        return graph.named("FloatQuant", inputs, key, shape, **properties, **settings)


def significant_bits(value: float) -> int:
    """Binary digits from the first one to the last.

    >>> significant_bits(0.625), significant_bits(8.0)
    (3, 1)
    """
    numerator = abs(value.as_integer_ratio()[0])
    return numerator.bit_length() - (numerator & -numerator).bit_length() + 1
