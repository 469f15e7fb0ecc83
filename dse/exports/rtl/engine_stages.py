"""Engines of convolutions and linear layers: the manifest's folding, formats and integers as the RTL takes them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse.exports.decoding import decoded_weights
from dse.exports.rtl.codes import Codes, narrowest, refuse
from dse.exports.rtl.requantising import requantising_of
from hwmodels.engine_layouts import rtl_engine
from hwmodels.engine_shapes import EngineShape
from hwmodels.rtl.dsp_multipliers import fields_per_dsp
from hwmodels.rtl.engine_content import EngineContent, multiplier_words, weight_words
from hwmodels.rtl.engine_memories import IN_BLOCK_RAM, IN_LUTS
from hwmodels.rtl.engine_shape import CHANNEL_SCALE, DSP_STYLE, LUT_STYLE, PACKED_STYLE, TENSOR_SCALE
from hwmodels.rtl.engines import engine
from hwmodels.rtl.multipliers import MULTIPLIER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.exports.manifest import Manifest
    from emulation.network import Network
    from hwmodels.rtl.engine_shape import EngineShape as RtlShape
    from hwmodels.rtl.unit import Unit

_LMUL: Final = {"l-mul-field": 1, "l-mul-formula": 2}


class BuiltEngine(NamedTuple):
    """An engine, what it was asked to be, and its inputs that hold still."""

    unit: Unit
    shape: RtlShape
    tied: dict[str, int]


class _Weights(NamedTuple):
    """Weights by output, in the order of the window, as integers or codes, and parameters that say what they are."""

    rows: list[list[int]]
    parameters: dict[str, int]


def engine_of(manifest: Manifest, graph: Network, layer: Mapping[str, Any], source: Codes) -> BuiltEngine:
    """The engine of a layer, with its weights, biases and multipliers.

    Args:
        manifest: of the design.
        graph: its network (`dse.exports.rtl.graph`).
        layer: a convolution or a linear layer.
        source: what it reads.

    Raises:
        NotExportableError: if there is no such engine in RTL.
        ValueError: from `hwmodels.rtl`, if a width is beyond what its units are made for.
    """
    name = layer["name"]
    if "input_order" in layer:
        raise refuse(name, "engines in RTL take their inputs in the order of the stream", "use exact sums")
    nominal = rtl_engine(EngineShape.from_layer(graph, graph.by_name[name]), layer["pe"], layer["simd"])
    if nominal is None:
        raise refuse(
            name,
            f"windows in RTL have one or two axes, no dilation, one group or as many as channels, and move over their "
            f"own input if a step reads several taps; this has kernel {layer.get('kernel')}, stride "
            f"{layer.get('stride')}, padding {layer.get('padding')}, dilation {layer.get('dilation')}, groups "
            f"{layer.get('groups')} and simd {layer['simd']}",
            "choose another folding or layer",
        )
    rule, weights = requantising_of(manifest, layer), _weights(manifest, layer, source)
    accumulator = _accumulator_bits(layer)
    parameters = {
        **weights.parameters,
        "activation_bits": source.bits,
        "activation_signed": int(source.signed),
        "activation_exponent": source.exponent_bits,
        "accumulator": accumulator,
        "bias": int("bias" in layer),
        "scale": CHANNEL_SCALE if len(rule.multipliers) > 1 else TENSOR_SCALE,
        "multiplier_bits": rule.multiplier_bits,
        "shift": rule.shift,
        "output_bits": rule.codes.bits,
        "output_signed": int(rule.codes.signed),
        "output_exponent": rule.codes.exponent_bits,
        "output_reserved": rule.codes.reserved,
        "relu": int(rule.relu),
        "memory": _memory(layer),
    }
    plain = dataclasses.replace(nominal, **parameters)
    shape = dataclasses.replace(plain, style=_style(layer, plain))
    biases = manifest.integers(layer["bias"]).tolist() if "bias" in layer else []
    content = EngineContent(
        weights=weights.rows,
        biases=[_wrapped(bias, accumulator) for bias in biases],
        multipliers=rule.multipliers,
    )
    unit = engine(**shape.parameters, content=content)
    words = {"weights_in": weight_words, "multipliers_in": multiplier_words}
    tied = {port.name: words[port.name](shape, content)[0] for port in unit.ports if port.name in words}
    return BuiltEngine(unit, shape, tied)


def _weights(manifest: Manifest, layer: Mapping[str, Any], source: Codes) -> _Weights:
    """Weights in the format of a lane: minifloats, single powers of two, or the integers that codes stand for."""
    name, entry = layer["name"], layer["weight"]
    if "scales" in entry:
        raise refuse(name, "engines in RTL have no scales of blocks", "use int8 or e4m3fn weights")
    rows = decoded_weights(manifest, entry).reshape(-1, layer["outputs"]).T.tolist()
    kind, used = entry["type"], sorted({value for row in rows for value in row})
    product = layer.get("product", {"kind": "exact"})["kind"]
    if product != "exact" and product not in _LMUL:
        raise refuse(name, f"engines in RTL multiply exactly or by {' or '.join(_LMUL)}, not by {product}")
    if kind.get("exponent_bits") and "subnormals" not in kind and source.signed:
        codes = Codes(bits=kind["bits"], signed=True, exponent_bits=kind["exponent_bits"])
        parameters = {"weight_bits": codes.bits, "weight_exponent": codes.exponent_bits}
        if product != "exact":
            parameters["lmul"] = _LMUL[product]
        return _encoded(rows, {value: codes.code(value) for value in used}, parameters)
    if product != "exact":
        raise refuse(name, f"{product} adds the fields of minifloats, got {kind['format']} weights")
    places = max(abs(used[0]), abs(used[-1])).bit_length()
    if "table" in kind and _are_powers(used) and not source.exponent_bits and places:
        sign = 1 << places.bit_length()
        known = {value: abs(value).bit_length() + (sign if value < 0 else 0) for value in used}
        return _encoded(rows, known, {"weight_bits": 1 + places.bit_length(), "weight_places": places})
    declared = kind["stored"] == "integer" and kind["signed"] and entry["zero_point"] == 0
    bits = max(kind["bits"] if declared else 0, narrowest(used))
    return _Weights(rows, {"weight_bits": bits})


def _are_powers(integers: Sequence[int]) -> bool:
    """Whether all are 0 or plus or minus a power of two."""
    return all(abs(value) & (abs(value) - 1) == 0 for value in integers)


def _encoded(rows: list[list[int]], known: Mapping[int, int], parameters: dict[str, int]) -> _Weights:
    return _Weights([[known[value] for value in row] for row in rows], parameters)


def _accumulator_bits(layer: Mapping[str, Any]) -> int:
    """Of a sum that is exact, or that wraps: it is exact modulo two to its bits in any order."""
    kind = layer["acc_type"]
    bits: int = kind["bits"]
    exact = kind["overflow"] == "NEVER"
    wraps = (
        kind["overflow"] == "WRAP"
        and kind.get("terms") is None
        and kind["product_shift"] == 0
        and kind["grid"] == "integer"
        and (kind["low"], kind["high"]) == (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    )
    if exact or wraps:
        return bits
    raise refuse(
        layer["name"],
        f"accumulators of engines in RTL are exact or wrap in whole units; this one is {kind['overflow']} of {bits} "
        f"bits on {kind.get('grid')}, products shifted by {kind.get('product_shift')}",
        "use an exact accumulator",
    )


def _wrapped(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def _style(layer: Mapping[str, Any], shape: RtlShape) -> int:
    """DSPs where the folding asks for them and there is a unit; packed where widths allow it."""
    if layer["multipliers"] == "lut" or shape.lane.family != MULTIPLIER or shape.output_exponent:
        return LUT_STYLE
    shares = layer["lanes_per_dsp"] == "packed" and not shape.depthwise
    if shares and fields_per_dsp(shape.weight_bits, shape.activation_bits, shape.activation_signed) > 1:
        return PACKED_STYLE
    return DSP_STYLE


def _memory(layer: Mapping[str, Any]) -> int:
    """Where weights lie; a memory that was chosen by the device is block RAM if the layer was counted any."""
    memory = layer["weight_memory"]
    if memory == "offchip":
        raise refuse(layer["name"], "engines in RTL hold their weights", "keep weights on the chip")
    if memory == "auto":
        return IN_BLOCK_RAM if layer.get("estimate", {}).get("bram18s") else IN_LUTS
    return IN_LUTS if memory == "lutram" else IN_BLOCK_RAM
