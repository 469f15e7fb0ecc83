"""The manifest's entry of one layer, and the files it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.engine_entries import (
    accumulator_entry,
    accumulator_grid,
    part_accumulator_entry,
    product_entry,
    takes_inputs_in_order,
)
from dse.exports.function_entries import function_entry
from dse.exports.stimuli import limit_vectors
from dse.exports.streams import reordered_inputs, stream_axis, stream_shape, streamed_weight
from dse.exports.ties import ties_of
from dse.exports.type_entries import (
    block_grid_entry,
    edge_entry,
    geometry,
    resources,
    rounding_grid,
    stored,
    type_entry,
)
from emulation.codes import scale_code_of
from emulation.execution import accumulate, execute_layer
from emulation.formats import BlockScaled
from emulation.network import Concat, Layer, Linear, MatMul, Select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.designs import Part
    from dse.exports.files import IntegerFiles
    from emulation.hardware import HardwareLayer, HardwareNetwork, Requantiser
    from emulation.quantisers import ScaledQuantiser

TIES_OF_CHANNELS: Final = "channel accumulator"
"""Rows of ties: a channel, and an accumulator of it."""
TIES_OF_POSITIONS: Final = "accumulators of a position"
"""Rows of ties where blocks are written: an accumulator per channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEntries:
    """Describes the layers of one design.

    Attributes:
        hardware: the lowered design.
        parts: its pieces of hardware, for foldings and costs.
        files: where integers go.
    """

    hardware: HardwareNetwork
    parts: Sequence[Part]
    files: IntegerFiles

    def entry(self, hardware_layer: HardwareLayer) -> dict[str, Any]:
        """Everything about a layer but what was seen of its values.

        Raises:
            NotExportableError: for a layer that manifests do not describe.
        """
        layer, network, names, orders = hardware_layer.layer, self.hardware.network, self.files.names, self.files.orders
        entry: dict[str, Any] = {
            "name": names[layer.name],
            "source_name": layer.name,
            "op": layer.kind,
            "inputs": [names[name] for name in layer.inputs],
            "shape": list(stream_shape(layer, orders[layer.name])),
            "in_size": sum(network.by_name[name].elements for name in layer.inputs),
            "out_size": layer.elements,
            **geometry(layer),
            "output": edge_entry(hardware_layer.output),
        }
        if isinstance(layer.operation, Concat | Select):
            entry["axis"] = stream_axis(network, layer, orders)
        reordered = reordered_inputs(network, layer, orders)
        if any(one is not None for one in reordered):
            entry["reorder_inputs"] = [
                None
                if one is None
                else {**self._file(layer, f"r{place}", one.places.tolist()), "shape": list(one.shape)}
                for place, one in enumerate(reordered)
            ]
        if hardware_layer.function is not None:
            largest = self.hardware.edges[network.input_edges(layer)[0]].grid.largest
            entry |= function_entry(hardware_layer, hardware_layer.function, largest, self._file)
        entry |= product_entry(hardware_layer.engine)
        if hardware_layer.weight is not None and hardware_layer.second is not None:
            entry |= self._weights(hardware_layer, hardware_layer.weight, hardware_layer.second)
        elif isinstance(layer.operation, MatMul):
            entry["depth"] = network.depth(layer)
        if hardware_layer.addend_multipliers:
            entry["addend_multipliers"] = list(hardware_layer.addend_multipliers)
        if hardware_layer.requantiser is not None:
            accumulator = accumulator_entry(self.hardware, hardware_layer)
            entry |= {"acc_type": accumulator, **self._requantise(layer, hardware_layer.requantiser, accumulator, "")}
        if hardware_layer.part_requantisers:
            entry["parts"] = [
                self._part(layer, place, rule) for place, rule in enumerate(hardware_layer.part_requantisers)
            ]
        # A table has no sums, and what it holds by code is its limits.
        if hardware_layer.engine is not None or (hardware_layer.function and hardware_layer.requantiser):
            entry["limits"] = self._limits(hardware_layer)
        return entry | self._folding(layer)

    def _weights(
        self, hardware_layer: HardwareLayer, weight: NDArray[Any], quantiser: ScaledQuantiser
    ) -> dict[str, Any]:
        layer, engine = hardware_layer.layer, hardware_layer.engine
        order, entry = self.files.orders[layer.inputs[0]], dict[str, Any]()
        natural = np.arange(len(order))
        if takes_inputs_in_order(engine) and isinstance(layer.operation, Linear) and len(order) == weight.shape[1]:
            # Blocks and chunks count in the network's own order: inputs are put into it, not weights out of it.
            if not np.array_equal(order, natural):
                entry["input_order"] = self._file(layer, "i", np.argsort(order).tolist())
            order = natural
        streamed = streamed_weight(layer, weight, order)
        layout = "in,out" if streamed.ndim == 2 else ",".join(("kh", "kw")[: streamed.ndim - 2]) + ",in,out"
        described = {
            **self._file(layer, "w", stored(streamed, quantiser)),
            "type": type_entry(quantiser.format),
            "zero_point": quantiser.zero_point,
            "layout": layout,
            "shape": list(streamed.shape),
        }
        if quantiser.tables is not None:
            tables = self._file(layer, "t", quantiser.tables.reshape(-1).tolist())
            described["tables"] = {**tables, "layout": "channel,code", "shape": list(quantiser.tables.shape)}
        if engine is not None and engine.weight_scales is not None and isinstance(quantiser.format, BlockScaled):
            scales = streamed_weight(layer, engine.weight_scales, np.arange(engine.weight_scales.shape[1]))
            codes = [scale_code_of(int(scale), quantiser.format) for scale in scales.reshape(-1).tolist()]
            described["scales"] = {
                **self._file(layer, "s", codes),
                "layout": layout.replace("in", "block"),
                "shape": list(scales.shape),
            }
        entry |= {"outputs": layer.outputs, "depth": self.hardware.network.depth(layer), "weight": described}
        if hardware_layer.bias is not None:
            entry["bias"] = self._file(layer, "b", hardware_layer.bias)
        return entry

    def _part(self, layer: Layer, place: int, rule: Requantiser) -> dict[str, Any]:
        accumulator = part_accumulator_entry(self.hardware, layer.inputs[place])
        return {"acc_type": accumulator, **self._requantise(layer, rule, accumulator, str(place))}

    def _requantise(self, layer: Layer, rule: Requantiser, accumulator: dict[str, Any], part: str) -> dict[str, Any]:
        """``round(A * mult * 2**-shift)``, saturated: the multipliers, the shift and the type that results.

        Blocks are cast from the exact number instead, which ReLU bounds first: by 0 below, by ``ceiling`` above. Those
        of a concatenation may span two parts: no part has ties of its own then.
        """
        single = len(rule.multipliers) == 1
        entry: dict[str, Any] = {
            "mult": rule.multipliers[0] if single else self._file(layer, f"m{part}", rule.multipliers),
            "shift": rule.shift,
            "out_type": {
                **type_entry(self.hardware.edges[self.hardware.network.edge_of(layer.name)].format),
                "rounding": rule.rounding.name.lower().replace("_", "-"),
                "overflow": "SAT",
                "low": rule.low,
                "high": rule.high,
                "grid": rounding_grid(rule.mantissa_bits, rule.least),
            },
        }
        if rule.levels is not None:
            entry["out_type"]["grid"] = {"levels": list(rule.levels), "midpoints": "smaller magnitude, else positive"}
        if rule.blocks is not None:
            entry["out_type"]["grid"] = {"blocks": block_grid_entry(rule.blocks)}
            entry["out_type"]["ceiling"] = rule.ceiling
        if rule.negative_multipliers is not None:
            entry["negative_mult"] = self._file(layer, f"n{part}", rule.negative_multipliers)
        if rule.blocks is None or not part:
            entry["ties"] = self._ties(layer, rule, accumulator, part)
        return entry

    def _ties(self, layer: Layer, rule: Requantiser, accumulator: dict[str, Any], part: str) -> dict[str, Any]:
        channels = layer.shape[0 if rule.block_axis == 1 else -1]
        found = ties_of(rule, accumulator_grid(accumulator), channels=channels)
        path = f"{self.files.names[layer.name]}_ties{part}"
        return {
            "row": TIES_OF_CHANNELS if rule.blocks is None else TIES_OF_POSITIONS,
            "accumulators": self.files.rows(f"{path}_in.txt", found.accumulators),
            "output": self.files.tensor(f"{path}_out", found.outputs),
        }

    def _limits(self, hardware_layer: HardwareLayer) -> dict[str, Any]:
        layer, network = hardware_layer.layer, self.hardware.network
        found = limit_vectors(self.hardware, hardware_layer)
        path = f"{self.files.names[layer.name]}_limits"
        return {
            "names": list(found.names),
            "inputs": [
                self.files.stream(f"{path}_in{place}", network.by_name[name], tensor)
                for place, (name, tensor) in enumerate(zip(layer.inputs, found.inputs, strict=True))
            ],
            "sums": self.files.stream(f"{path}_sums", layer, accumulate(hardware_layer, found.inputs)),
            "output": self.files.stream(f"{path}_out", layer, execute_layer(hardware_layer, found.inputs)),
        }

    def _folding(self, layer: Layer) -> dict[str, Any]:
        parts = [part for part in self.parts if part.layer == layer.name]
        if not parts:
            return {}
        folding = next((part.folding for part in parts if part.folding is not None), None)
        lanes = max(part.lanes for part in parts)
        entry: dict[str, Any] = {"estimate": resources(parts)}
        if folding is not None:
            entry |= {
                "pe": folding.pe,
                "simd": folding.simd,
                "multipliers": folding.multipliers.value,
                "lanes_per_dsp": folding.lanes_per_dsp.value,
                "weight_memory": folding.weight_memory.value,
            }
        elif lanes:
            entry["lanes"] = lanes
        return entry

    def _file(self, layer: Layer, suffix: str, values: Sequence[int]) -> dict[str, Any]:
        return self.files.parameters(layer, suffix, values)
