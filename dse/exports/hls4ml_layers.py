"""The layer list that hls4ml builds a project from, with the type of every number in it.

hls4ml casts each layer's sums once, from ``accum`` to ``result``. Where an activation follows, the layer before it gets
the exact sums as its result, and the activation's cast is the only one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.names import safe_names
from dse.exports.real_layers import CastLayer, RealLayer, WeightedLayer, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

INPUT_NAME: Final = "network_input"
_ROUNDING: Final = {
    "half-even": "RND_CONV",
    "half-up": "RND",
    "half-away": "RND_INF",
    "half-down": "RND_MIN_INF",
    "half-toward-zero": "RND_ZERO",
    "floor": "TRN",
    "toward-zero": "TRN_ZERO",
}
"""The manifest's words in those of ap_fixed, which has no rounding up."""
_ROLES: Final = ("pad", "sum", "below", "cut", "bound")
"""Nodes before the one that has a layer's own name."""
_HLS: Final = "export to hls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One layer of hls4ml's.

    Attributes:
        attributes: what hls4ml's layer list says of it, but for arrays.
        arrays: weights by hls4ml's attribute name, float64.
        config: its entry in the dictionary ``LayerName``.
    """

    attributes: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """A node that is still without a name; ``result`` is the type of its exact results."""

    role: str
    attributes: Mapping[str, Any]
    result: str = ""
    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


def hls4ml_nodes(layers: Sequence[RealLayer]) -> list[Node]:
    """The nodes of a network; the last node of each layer has the layer's own name.

    Raises:
        NotExportableError: for what hls4ml has no layer for.
    """
    return _Builder(layers).nodes


def fixed(unit: int, low: int, high: int, rules: str = "") -> str:
    """The narrowest ``ap_fixed`` or ``ap_ufixed`` for integers from ``low`` to ``high`` times ``2**unit``.

    >>> fixed(-4, 0, 15), fixed(2, -8, 7, ",RND_CONV,SAT")
    ('ap_ufixed<4,0>', 'ap_fixed<4,6,RND_CONV,SAT>')
    """
    signed = low < 0
    bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 1) + signed
    return f"ap_{'' if signed else 'u'}fixed<{bits},{bits + unit}{rules}>"


def type_of(values: NDArray[np.float64]) -> str:
    """The narrowest type that holds all of some numbers exactly.

    >>> type_of(np.array([0.75, -1.0]))
    'ap_fixed<3,1>'
    """
    unit = min((_lowest_bit(float(value)) for value in np.unique(values) if value), default=0)
    integers = np.ldexp(values, -unit)
    return fixed(unit, int(integers.min()), int(integers.max()))


def legal_reuse(inputs: int, outputs: int, wanted: int) -> int:
    """The largest reuse factor, not above the wanted one, that hls4ml's matrix product has.

    Those are the divisors of the inputs, and the inputs times divisors of the outputs (what
    ``FPGABackend.get_valid_reuse_factors`` of hls4ml 1.3.0 lists).

    >>> [legal_reuse(27, 4, wanted) for wanted in (1, 2, 8, 9, 53, 54, 200)]
    [1, 1, 3, 9, 27, 54, 108]
    """
    legal = {one for one in range(1, inputs + 1) if inputs % one == 0}
    legal |= {inputs * one for one in range(1, outputs + 1) if outputs % one == 0}
    return max(one for one in legal if one <= wanted)


class _Builder:
    def __init__(self, layers: Sequence[RealLayer]) -> None:
        self.nodes: list[Node] = []
        own = [layer.name for layer in layers]
        extra = [INPUT_NAME, *(f"{name}_{role}" for name in own for role in _ROLES)]
        self.names = safe_names([*own, *extra])
        self.last = {layer.name: layer.name for layer in layers}
        self.shapes = {layer.name: layer.shape for layer in layers}
        for layer in layers:
            self._add(layer)

    def _add(self, layer: RealLayer) -> None:
        inputs = [self.last[name] for name in layer.entry["inputs"]]
        match layer:
            case WeightedLayer():
                self._weighted(layer, inputs)
            case CastLayer(op="add"):
                self._cast(layer, {"class_name": "Merge", "op": "add"}, inputs)
            case CastLayer(op="activate"):
                self._cast(layer, None, inputs)
            case RealLayer(op="maxpool" | "averagepool"):
                self._pool(layer, inputs)
            case RealLayer(op="concat"):
                self._concat(layer, inputs)
            case RealLayer(op="input"):
                self.last[layer.name] = self.names[INPUT_NAME]
                attributes = {"class_name": "InputLayer", "input_shape": list(layer.shape)}
                self._node(self.last[layer.name], attributes, [], result=_edge(layer))
            case _:
                attributes = {"class_name": "Reshape", "target_shape": list(layer.shape)}
                self._node(layer.name, attributes, inputs, result=_edge(layer))

    def _node(
        self,
        name: str,
        attributes: Mapping[str, Any],
        inputs: Sequence[str],
        *,
        arrays: Mapping[str, NDArray[np.float64]] | None = None,
        config: Mapping[str, Any] | None = None,
        **types: str,
    ) -> None:
        settings = {"Precision": types, **(config or {})}
        self.nodes.append(
            Node(attributes={"name": name, "inputs": list(inputs), **attributes}, arrays=arrays or {}, config=settings)
        )

    def _cast(
        self,
        layer: CastLayer,
        attributes: Mapping[str, Any] | None,
        inputs: Sequence[str],
        *,
        arrays: Mapping[str, NDArray[np.float64]] | None = None,
        config: Mapping[str, Any] | None = None,
        **types: str,
    ) -> None:
        """A node that adds up, if any, and activations after it; the last of them casts, the others are exact."""
        stages = _activations(layer)
        if attributes is not None:
            exact = fixed(layer.sums.unit, layer.sums.low, layer.sums.high)
            stages.insert(0, _Stage(role="sum", attributes=attributes, result=exact, arrays=arrays or {}, types=types))
        for place, stage in enumerate(stages):
            is_last = place == len(stages) - 1
            name = layer.name if is_last else self.names[f"{layer.name}_{stage.role}"]
            result = _edge(layer) if is_last else stage.result
            settings = config if stage.role == "sum" else None
            self._node(
                name, stage.attributes, inputs, arrays=stage.arrays, config=settings, result=result, **stage.types
            )
            inputs = [name]

    def _weighted(self, layer: WeightedLayer, inputs: Sequence[str]) -> None:
        sums = layer.sums
        entry, weight = layer.entry, layer.weight
        arrays = {"weight_data": weight}
        types = {"weight": type_of(weight), "accum": fixed(sums.unit, sums.low, sums.high)}
        if layer.bias is not None:
            arrays["bias_data"], types["bias"] = layer.bias, type_of(layer.bias)
        depth, outputs = entry["depth"], entry["outputs"]
        wanted = outputs // entry.get("pe", outputs) * (depth // entry.get("simd", depth))
        if layer.op == "linear":
            attributes: dict[str, Any] = {"class_name": "Dense", "n_in": depth, "n_out": outputs}
        else:
            attributes = {"n_chan": self._source_shape(layer)[-1], "n_filt": outputs, **self._window(layer, "filt")}
            dimensions = f"{len(entry['kernel'])}D"
            if entry["groups"] == 1:
                attributes["class_name"] = f"Conv{dimensions}"
            elif layer.op == "depthwise" and entry["groups"] == outputs:
                attributes |= {"class_name": f"DepthwiseConv{dimensions}", "depth_multiplier": 1}
                arrays["depthwise_data"] = np.moveaxis(arrays.pop("weight_data"), -1, -2)
            else:
                raise refuse(
                    layer.name, f"it has {entry['groups']} groups of {depth} inputs and {outputs} outputs", _HLS
                )
        reuse = wanted if layer.op == "depthwise" else legal_reuse(depth, outputs, wanted)
        strategy = "Latency" if reuse == 1 or layer.op == "depthwise" else "Resource"
        config = {"ReuseFactor": reuse, "Strategy": strategy}
        self._cast(layer, attributes, inputs, arrays=arrays, config=config, **types)

    def _pool(self, layer: RealLayer, inputs: Sequence[str]) -> None:
        kind = "Max" if layer.op == "maxpool" else "Average"
        (source,) = layer.inputs
        if layer.entry["stride"] != layer.entry["kernel"]:
            sizes = f"windows of {layer.entry['kernel']} at a stride of {layer.entry['stride']}"
            raise refuse(layer.name, f"it pools {sizes}, and hls4ml's streams pool side by side", _HLS)
        window = self._window(layer, "pool")
        if any(window[side] for side in window if side.startswith("pad")):
            # Outside of the image hls4ml's own padding of a maximum is 1 << (width - 1), which for unsigned numbers is
            # large, and its streams have none. Zero is right unless a number may be below it.
            if kind == "Max" and source.low < 0:
                raise refuse(layer.name, "it pads a maximum of signed numbers, and hls4ml pads by 0", _HLS)
            inputs = [self._pad(layer, inputs, window)]
        attributes = {"class_name": f"{kind}Pooling{len(layer.entry['kernel'])}D", "n_filt": layer.shape[-1], **window}
        if isinstance(layer, CastLayer):
            # The accumulator holds the sum first and then what it is divided into.
            taps, sums = int(np.prod(layer.entry["kernel"])), layer.sums
            self._cast(layer, attributes, inputs, accum=fixed(sums.unit, sums.low * taps, sums.high * taps))
        else:
            accumulator = fixed(source.unit, source.low, source.high)
            self._node(layer.name, attributes, inputs, result=_edge(layer), accum=accumulator)

    def _pad(self, layer: RealLayer, inputs: Sequence[str], window: dict[str, Any]) -> str:
        """Zeros around a tensor, as a layer; the window then starts at the corner."""
        name = self.names[f"{layer.name}_pad"]
        sizes = [key.removeprefix("in_") for key in window if key.startswith("in_")]
        attributes = {key: window[key] for key in window if key.startswith(("in_", "pad_"))}
        sides = {"height": ("pad_top", "pad_bottom"), "width": ("pad_left", "pad_right")}
        for size in sizes:
            attributes[f"out_{size}"] = window[f"in_{size}"] + sum(window[side] for side in sides[size])
            window[f"in_{size}"] = attributes[f"out_{size}"]
        window |= dict.fromkeys((key for key in window if key.startswith("pad_")), 0)
        if "n_in" in window:
            window["n_in"] = window["in_width"]
        attributes |= {"class_name": f"ZeroPadding{len(sizes)}D", "n_chan": layer.shape[-1]}
        attributes["data_format"] = "channels_last"
        self._node(name, attributes, inputs)  # of its input's type, whatever is asked for
        return name

    def _window(self, layer: RealLayer, role: str) -> dict[str, Any]:
        """Sizes in hls4ml's words; ``role`` is how it calls the window of this kind of layer."""
        entry = layer.entry
        if any(step != 1 for step in entry["dilation"]):
            raise refuse(layer.name, f"its window is dilated by {entry['dilation']}", _HLS)
        before, after = self._source_shape(layer), layer.shape
        result: dict[str, Any] = {"data_format": "channels_last"}
        axes = ("height", "width")[-len(entry["kernel"]) :]
        for axis, size in enumerate(axes):
            first, last = ("pad_top", "pad_bottom") if size == "height" else ("pad_left", "pad_right")
            result |= {
                f"in_{size}": before[axis],
                f"out_{size}": after[axis],
                f"{role}_{size}": entry["kernel"][axis],
                f"stride_{size}": entry["stride"][axis],
                first: entry["padding"][axis][0],
                last: entry["padding"][axis][1],
            }
        if len(axes) == 1 and role == "pool":
            result |= {"n_in": before[0], "n_out": after[0]}
        return result

    def _source_shape(self, layer: RealLayer) -> tuple[int, ...]:
        return self.shapes[layer.entry["inputs"][0]]

    def _concat(self, layer: RealLayer, inputs: Sequence[str]) -> None:
        """Every part is cast as it is put in place."""
        axis, rank = layer.entry["axis"], len(layer.shape)
        if len(inputs) > 2:
            raise refuse(layer.name, f"it joins {len(inputs)} tensors, and hls4ml joins two", "join them two by two")
        attributes = {"class_name": "Concatenate", "op": f"concatenate{rank}d", "axis": axis + 1}
        self._node(layer.name, attributes, inputs, result=_edge(layer))


def _edge(layer: RealLayer) -> str:
    """The type a layer casts to."""
    if layer.rounding not in _ROUNDING:
        raise refuse(layer.name, f"it rounds by {layer.rounding}, and hls4ml by {', '.join(_ROUNDING)}", _HLS)
    if not layer.output.is_integer:
        raise refuse(layer.name, f"its outputs are {layer.output.type['format']}", "use integers, or export to hls")
    return fixed(layer.output.unit, layer.output.low, layer.output.high, f",{_ROUNDING[layer.rounding]},SAT")


def _activations(layer: CastLayer) -> list[_Stage]:
    """What happens between a layer's exact sums and its cast, as hls4ml's layers; all but the last are exact.

    hls4ml's streams have no bounded ReLU: the smaller of A and c is c - max(c - A, 0).
    """
    size = int(np.prod(layer.shape))
    relu = {"class_name": "Activation", "activation": "relu", "n_in": size}
    if layer.slopes is not None:
        slopes = np.broadcast_to(layer.slopes, layer.shape).reshape(-1).copy()
        attributes = {"class_name": "PReLU", "activation": "prelu", "n_in": size}
        types = {"param": type_of(layer.slopes)}
        return [_Stage(role="slopes", attributes=attributes, arrays={"param_data": slopes}, types=types)]
    stages = []
    if layer.ceiling is not None:
        unit = min(layer.sums.unit, _lowest_bit(layer.ceiling))
        places, ceiling = layer.sums.unit - unit, int(np.ldexp(layer.ceiling, -unit))
        low, high = layer.sums.low << places, layer.sums.high << places
        channels = layer.shape[-1]
        attributes = {"class_name": "BatchNormalization", "n_in": size, "n_filt": channels if layer.shape[1:] else -1}
        arrays = {"scale_data": np.full(channels, -1.0), "bias_data": np.full(channels, layer.ceiling)}
        types = {name.removesuffix("_data"): type_of(values) for name, values in arrays.items()}
        below, cut = fixed(unit, ceiling - high, ceiling - low), fixed(unit, 0, max(ceiling - low, 0))
        least = fixed(unit, min(low, ceiling), ceiling)
        stages += [
            _Stage(role="below", attributes=attributes, result=below, arrays=arrays, types=types),
            _Stage(role="cut", attributes=relu, result=cut),
            _Stage(role="bound", attributes=attributes, result=least, arrays=arrays, types=types),
        ]
    if layer.relu:
        stages.append(_Stage(role="relu", attributes=relu))
    if not stages and layer.op == "activate":
        stages.append(_Stage(role="cast", attributes={**relu, "activation": "linear"}))
    return stages


def _lowest_bit(value: float) -> int:
    """The exponent of the lowest one of a number's binary digits."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator & -numerator).bit_length() - denominator.bit_length()
