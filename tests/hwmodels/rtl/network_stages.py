"""Stages of a network in hardware, from a design in hardware mode: a module for each layer, with its integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emulation.network import Add, AveragePool, Convolution, Linear, MaxPool
from hwmodels.network_latency import LayerTiming, network_latency
from hwmodels.rtl.engine_content import EngineContent, multiplier_words, weight_words
from hwmodels.rtl.engine_shape import EngineShape
from hwmodels.rtl.engines import engine
from hwmodels.rtl.networks import Stage
from hwmodels.rtl.stream_layers import stream_add, stream_pool
from hwmodels.streaming import skip_fifo_depths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emulation.hardware import HardwareLayer, HardwareNetwork
    from hwmodels.rtl.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolding:
    """How a stage is folded: outputs and inputs at once of an engine, or channels at once of another layer."""

    pe: int = 1
    simd: int = 1
    style: int = 0
    lanes: int = 1


def identifier(name: str) -> str:
    """A layer's name as Verilog takes it."""
    return name.replace(".", "_")


class StageBuilder:
    """The stages of a design of integer formats without zero points."""

    def __init__(self, design: HardwareNetwork, foldings: Mapping[str, StageFolding]) -> None:
        self.design, self.network, self.foldings = design, design.network, foldings
        self.shapes: dict[str, EngineShape] = {}
        self.units: dict[str, Unit] = {}

    def stages(self) -> list[Stage]:
        """All stages, with FIFOs of the computed depth in front of a join."""
        found = []
        for layer in self.design.layers:
            operation = layer.layer.operation
            if isinstance(operation, (Convolution, Linear)):
                stage = self._engine(layer)
            elif isinstance(operation, (MaxPool, AveragePool)):
                stage = self._pool(layer)
            elif isinstance(operation, Add):
                stage = self._add(layer)
            else:
                assert layer.layer.kind in {"input", "reshape"}, layer.layer.kind
                continue
            self.units[stage.name] = stage.unit
            found.append(stage)
        return found

    def source(self, name: str) -> str:
        """The stage whose stream a layer's input is: reshaped tensors are their input's stream."""
        layer = self.network.by_name[name]
        if layer.kind == "reshape":
            return self.source(layer.inputs[0])
        return "input" if not layer.inputs else identifier(name)

    def bits(self, name: str) -> tuple[int, int]:
        """Bits of a tensor's integers, and whether they are signed."""
        grid = self.design.edges[self.network.edge_of(name)].grid
        signed = int(grid.low < 0)
        return max(grid.high, ~grid.low).bit_length() + signed, signed

    def _engine(self, layer: HardwareLayer) -> Stage:
        name, rule = layer.layer.name, layer.requantiser
        assert layer.weight is not None
        assert rule is not None
        folding = self.foldings[name]
        operation = layer.layer.operation
        in_bits, in_signed = self.bits(layer.layer.inputs[0])
        out_bits, out_signed = self.bits(name)
        weight_low, weight_high = int(layer.weight.min()), int(layer.weight.max())
        parameters = {
            "outputs": layer.layer.outputs,
            "pe": folding.pe,
            "simd": folding.simd,
            "style": folding.style,
            "weight_bits": max(weight_high, ~weight_low).bit_length() + 1,
            "activation_bits": in_bits,
            "activation_signed": in_signed,
            "accumulator": self.design.accumulator_bits(layer),
            "bias": int(layer.bias is not None),
            "scale": 2 if len(rule.multipliers) > 1 else 1,
            "shift": rule.shift,
            "output_bits": out_bits,
            "output_signed": out_signed,
            "relu": int(rule.low == 0 and out_signed),
        }
        if isinstance(operation, Convolution):
            channels, height, width = self.network.by_name[layer.layer.inputs[0]].shape
            window = operation.window
            (top, bottom), (left, right) = window.padding
            parameters |= {
                "channels": channels,
                "height": height,
                "width": width,
                "kernel_height": window.kernel[0],
                "kernel_width": window.kernel[1],
                "stride_height": window.stride[0],
                "stride_width": window.stride[1],
                "top": top,
                "bottom": bottom,
                "left": left,
                "right": right,
            }
            weights = layer.weight.transpose(0, 2, 3, 1).reshape(layer.layer.outputs, -1)
        else:
            parameters |= {"channels": layer.weight.shape[1]}
            weights = layer.weight[:, self._stream_order(layer.layer.inputs[0])]
        shape = EngineShape(**parameters)
        content = EngineContent(
            weights=[[int(value) for value in row] for row in weights],
            biases=list(layer.bias or ()),
            multipliers=list(rule.multipliers),
        )
        unit = engine(**parameters, content=content)
        tied = {}
        names = {port.name for port in unit.ports}
        if "weights_in" in names:
            tied["weights_in"] = weight_words(shape, content)[0]
        if "multipliers_in" in names:
            tied["multipliers_in"] = multiplier_words(shape, content)[0]
        self.shapes[name] = shape
        return Stage(name=identifier(name), unit=unit, inputs=(self.source(layer.layer.inputs[0]),), tied=tied)

    def _stream_order(self, name: str) -> NDArray[np.int64]:
        """Of a flattened image, the place in the network's order of each value of the stream."""
        layer = self.network.by_name[name]
        if layer.kind != "reshape":
            return np.arange(layer.elements)
        channels, *space = self.network.by_name[layer.inputs[0]].shape
        return np.arange(layer.elements).reshape(channels, -1).T.reshape(-1) if space else np.arange(channels)

    def _pool(self, layer: HardwareLayer) -> Stage:
        name, rule = layer.layer.name, layer.requantiser
        source = layer.layer.inputs[0]
        channels, height, width = self.network.by_name[source].shape
        window = layer.layer.operation.window
        bits, signed = self.bits(source)
        out_bits, out_signed = self.bits(name)
        parameters = {
            "height": height,
            "width": width,
            "kernel_height": window.kernel[0],
            "kernel_width": window.kernel[1],
            "channels": channels,
            "lanes": self.foldings[name].lanes,
            "bits": bits,
            "signed": signed,
        }
        tied = {}
        if rule is not None:
            parameters |= {"average": 1, "shift": rule.shift, "output": out_bits, "output_signed": out_signed}
            tied["multiplier"] = rule.multipliers[0]
        return Stage(name=identifier(name), unit=stream_pool(**parameters), inputs=(self.source(source),), tied=tied)

    def _add(self, layer: HardwareLayer) -> Stage:
        name, rule, lanes = layer.layer.name, layer.requantiser, self.foldings[layer.layer.name].lanes
        assert rule is not None
        (a, a_signed), (b, b_signed) = (self.bits(source) for source in layer.layer.inputs)
        output, output_signed = self.bits(name)
        unit = stream_add(
            lanes=lanes,
            a=a,
            b=b,
            multiplier_bits=16,
            shift=rule.shift,
            output=output,
            a_signed=a_signed,
            b_signed=b_signed,
            output_signed=output_signed,
            relu=int(rule.low == 0 and output_signed),
        )
        depths = skip_fifo_depths(self.network, layer.layer, lanes=lanes)
        words = tuple(
            math.ceil(depth / self._lanes(source)) for depth, source in zip(depths, layer.layer.inputs, strict=True)
        )
        first, second = layer.addend_multipliers
        return Stage(
            name=identifier(name),
            unit=unit,
            inputs=tuple(self.source(source) for source in layer.layer.inputs),
            fifo_words=words,
            tied={"a_multiplier": first, "b_multiplier": second},
        )

    def _lanes(self, name: str) -> int:
        """Values of a word of a stage's output."""
        width = next(port.width for port in self.units_of(name).ports if port.name == "out_data")
        return width // self.bits(name)[0]

    def units_of(self, name: str) -> Unit:
        """The unit of a stage that was made before."""
        return self.units[identifier(name)]

    def latency(self, input_lanes: int = 1) -> int:
        """Cycles from the network's first word, of so many values, to its last; `stages` must have been made."""
        timings = {name: LayerTiming(lanes=folding.lanes) for name, folding in self.foldings.items()}
        timings |= {name: LayerTiming.of_engine(shape) for name, shape in self.shapes.items()}
        return network_latency(self.network, timings, input_lanes=input_lanes)
