"""All stages of a design: an engine, pool or sum per layer, FIFOs in front of joins, and where layers can be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse.errors import NotExportableError
from dse.exports.rtl.codes import Codes, codes_of, refuse
from dse.exports.rtl.engine_stages import engine_of
from dse.exports.rtl.graph import KNOWN, graph_of
from dse.exports.rtl.minifloat_streams import stream_cast, stream_decoder
from dse.exports.rtl.requantising import Requantising, requantising_of
from hwmodels.rtl.engine_shape import sample_interval
from hwmodels.rtl.networks import FEWEST_WORDS, Stage, network
from hwmodels.rtl.stream_layers import stream_add, stream_pool
from hwmodels.streaming import skip_fifo_depths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.exports.manifest import Manifest
    from emulation.network import Network
    from hwmodels.rtl.unit import Unit

_INPUT: Final = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Where the output of a layer passes.

    Attributes:
        layer: its safe name.
        stage: of which it is the output; ``input`` for the design's own input.
        codes: of its values.
        lanes: values in a word.
        low: no value is less.
    """

    layer: str
    stage: str
    codes: Codes
    lanes: int
    low: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A design as RTL.

    Attributes:
        unit: of all stages.
        input: what it reads.
        taps: the outputs of layers that have a stage of their own, in order; the last is the design's.
        sample_cycles: cycles in which a sample has certainly passed if nothing waits.
        stages: that it is made of, in order.
        every: where the output of each layer passes, by its safe name; layers without a stage share those before.
    """

    unit: Unit
    input: Tap
    taps: tuple[Tap, ...]
    sample_cycles: int
    stages: tuple[Stage, ...]
    every: Mapping[str, Tap]


def design_of(manifest: Manifest) -> Design:
    """The stages of a manifest, connected.

    Raises:
        NotExportableError: if a layer has no RTL.
    """
    return _Builder(manifest).design()


class _Builder:
    """Makes stages layer by layer."""

    def __init__(self, manifest: Manifest) -> None:
        unknown = next((layer for layer in manifest.layers if layer["op"] not in KNOWN), None)
        if unknown is not None:
            raise refuse(
                unknown["name"],
                f"{unknown['op']} has no RTL between streams: there are convolutions, linear layers, pools over "
                "windows side by side, sums of two tensors and activations by a cast",
            )
        self.manifest = manifest
        self.graph: Network = graph_of(manifest)
        self.stages: list[Stage] = []
        self.taps: dict[str, Tap] = {}
        self.sample_cycles = 0

    def design(self) -> Design:
        """Every stage, then all of them connected."""
        for layer in self.manifest.layers:
            self._check_order(layer)
            try:
                self.taps[layer["name"]] = self._tap(layer)
            except NotExportableError:
                raise
            except ValueError as error:
                raise refuse(
                    layer["name"], f"its RTL cannot be built: {error}", "choose another folding or width"
                ) from error
        given, last = (self.taps[name] for name in (self.manifest.names[0], self.manifest.entries["output"]["layer"]))
        try:
            unit = network(self.stages, in_width=given.lanes * given.codes.bits)
        except ValueError as error:
            raise refuse(last.layer, f"the stages cannot be connected: {error}", "choose another folding") from error
        taps = tuple(tap for name, tap in self.taps.items() if tap.layer == name and tap is not given)
        if not taps or taps[-1] is not last or any(last.stage in stage.inputs for stage in self.stages):
            raise refuse(last.layer, "a stream in RTL ends with the output, which nothing else reads")
        return Design(
            unit=unit,
            input=given,
            taps=taps,
            sample_cycles=self.sample_cycles,
            stages=tuple(self.stages),
            every=self.taps,
        )

    def _check_order(self, layer: Mapping[str, Any]) -> None:
        if any(order is not None for order in layer.get("reorder_inputs", [])) or layer.get("function"):
            what = f"the function {layer['function']}" if layer.get("function") else "a stream in another order"
            raise refuse(layer["name"], f"stages in RTL have no unit for {what}")

    def _tap(self, layer: Mapping[str, Any]) -> Tap:
        """The stages of a layer, and where its output passes."""
        if layer["op"] == "input":
            codes = codes_of(layer)
            return Tap(layer=layer["name"], stage=_INPUT, codes=codes, lanes=self._input_lanes(), low=codes.low)
        sources = [self.taps[name] for name in layer["inputs"]]
        match layer["op"]:
            case "reshape" | "transpose":
                return sources[0]
            case "maxpool":
                return self._maximum(layer, sources[0])
            case "averagepool":
                return self._mean(layer, sources[0])
            case "add":
                return self._add(layer, sources)
            case "activate":
                return self._cast(layer, sources[0], lanes=math.gcd(layer.get("lanes", 1), layer["out_size"]))
        built = engine_of(self.manifest, self.graph, layer, sources[0].codes)
        self.sample_cycles += 2 * sample_interval(built.shape)
        return self._made(layer, built.unit, [sources[0].stage], built.shape.at_once, tied=built.tied)

    def _input_lanes(self) -> int:
        """As many as the reader that takes most, as far as samples are made of them."""
        first, wanted = self.manifest.layers[0], [1]
        names = {first["name"]}
        for layer in self.manifest.layers:
            if names.intersection(layer["inputs"]):
                if layer["op"] in {"reshape", "transpose"}:
                    names.add(layer["name"])
                depthwise = layer["op"] == "depthwise"
                wanted.append(layer.get("pe", 1) if depthwise else layer.get("simd", layer.get("lanes", 1)))
        return math.gcd(max(wanted), first["out_size"])

    def _made(
        self,
        layer: Mapping[str, Any],
        unit: Unit,
        inputs: Sequence[str],
        lanes: int,
        *,
        fifo_words: tuple[int, ...] = (),
        tied: Mapping[str, int] | None = None,
    ) -> Tap:
        """The last stage of a layer."""
        name = self._stage(layer, unit, inputs, fifo_words=fifo_words, tied=tied)
        codes = codes_of(layer)
        low = layer["out_type"]["low"] if "out_type" in layer else self.taps[layer["inputs"][0]].low
        return Tap(layer=layer["name"], stage=name, codes=codes, lanes=lanes, low=low)

    def _stage(
        self,
        layer: Mapping[str, Any],
        unit: Unit,
        inputs: Sequence[str],
        *,
        fifo_words: tuple[int, ...] = (),
        tied: Mapping[str, int] | None = None,
    ) -> str:
        """Add a stage; its number keeps the names of all its wires apart from those of others."""
        name = f"s{len(self.stages)}_{layer['name']}"
        self.stages.append(
            Stage(name=name, unit=unit, inputs=tuple(inputs), fifo_words=fifo_words, tied=dict(tied or {}))
        )
        return name

    def _integers(self, layer: Mapping[str, Any], source: Tap, words: int = 0) -> tuple[str, Codes, tuple[int, ...]]:
        """A stage whose output are a source's values as integers, their width, and what FIFO its reader still needs."""
        if not source.codes.exponent_bits:
            return source.stage, source.codes, (words,)
        unit = stream_decoder(source.codes, source.lanes)
        name = self._stage(layer, unit, [source.stage], fifo_words=(words,))
        return name, source.codes.integers, (0,)

    def _pool(self, layer: Mapping[str, Any], codes: Codes, **rule: int) -> tuple[Unit, int]:
        """The unit of a pool over windows side by side, and the channels it takes at once."""
        *space, channels = self.manifest.layer(layer["inputs"][0])["shape"]
        kernel, padding = layer["kernel"], layer["padding"]
        if (
            len(space) > 2
            or layer["stride"] != kernel
            or any(before or after for before, after in padding)
            or set(layer["dilation"]) != {1}
        ):
            raise refuse(
                layer["name"],
                f"pools in RTL have windows side by side over one or two axes, got kernel {kernel}, stride "
                f"{layer['stride']}, padding {padding}, dilation {layer['dilation']}",
                "use a stride equal to the kernel",
            )
        lanes = math.gcd(layer["lanes"], channels)
        height, width = (1, *space)[-2:]
        kernel_height, kernel_width = (1, *kernel)[-2:]
        unit = stream_pool(
            height=height,
            width=width,
            kernel_height=kernel_height,
            kernel_width=kernel_width,
            channels=channels,
            lanes=lanes,
            bits=codes.bits,
            signed=int(codes.signed),
            **rule,
        )
        return unit, lanes

    def _maximum(self, layer: Mapping[str, Any], source: Tap) -> Tap:
        """Codes are in the order of their numbers, but for those of negative minifloats."""
        if not source.codes.exponent_bits or source.low >= 0:
            unit, lanes = self._pool(layer, source.codes)
            return self._made(layer, unit, [source.stage], lanes)
        stage, codes, _ = self._integers(layer, source)
        unit, lanes = self._pool(layer, codes)
        rule = Requantising(multipliers=(1,), shift=0, codes=source.codes, relu=False)
        pooled = self._stage(layer, unit, [stage])
        return self._made(layer, stream_cast(rule, bits=codes.bits, signed=True, lanes=lanes), [pooled], lanes)

    def _mean(self, layer: Mapping[str, Any], source: Tap) -> Tap:
        rule = requantising_of(self.manifest, layer)
        if not source.codes.exponent_bits and not rule.codes.exponent_bits and not rule.relu:
            unit, lanes = self._pool(
                layer,
                source.codes,
                average=1,
                multiplier_bits=rule.multiplier_bits,
                shift=rule.shift,
                output=rule.codes.bits,
                output_signed=int(rule.codes.signed),
            )
            return self._made(layer, unit, [source.stage], lanes, tied={"multiplier": rule.multipliers[0]})
        stage, codes, _ = self._integers(layer, source)
        bits = codes.bits + (math.prod(layer["kernel"]) - 1).bit_length()
        exact = {"multiplier_bits": 1, "shift": 0, "output": bits, "output_signed": int(codes.signed)}
        unit, lanes = self._pool(layer, codes, average=1, **exact)
        total = self._stage(layer, unit, [stage], tied={"multiplier": 1})
        return self._made(layer, stream_cast(rule, bits=bits, signed=codes.signed, lanes=lanes), [total], lanes)

    def _add(self, layer: Mapping[str, Any], sources: Sequence[Tap]) -> Tap:
        """Sums; FIFOs hold what one input is ahead of the other."""
        rule, factors = requantising_of(self.manifest, layer), layer["addend_multipliers"]
        lanes = math.gcd(layer["lanes"], layer["shape"][-1])
        depths = skip_fifo_depths(self.graph, self.graph.by_name[layer["name"]], lanes=lanes)
        read = [
            self._integers(layer, source, self._fifo(source, depth))
            for source, depth in zip(sources, depths, strict=True)
        ]
        (_, a, _), (_, b, _) = read
        is_plain = not rule.codes.exponent_bits and rule.multipliers == (1,)
        bits = (max(abs(a.low), a.high) * factors[0] + max(abs(b.low), b.high) * factors[1]).bit_length() + 1
        unit = stream_add(
            lanes=lanes,
            a=a.bits,
            b=b.bits,
            a_signed=int(a.signed),
            b_signed=int(b.signed),
            multiplier_bits=max(max(factors).bit_length(), 1),
            shift=rule.shift if is_plain else 0,
            output=rule.codes.bits if is_plain else bits,
            output_signed=int(rule.codes.signed) if is_plain else 1,
            relu=int(rule.relu and is_plain),
        )
        stages, words = [stage for stage, _, _ in read], tuple(depth for _, _, (depth,) in read)
        tied = {"a_multiplier": factors[0], "b_multiplier": factors[1]}
        if is_plain:
            return self._made(layer, unit, stages, lanes, fifo_words=words, tied=tied)
        total = self._stage(layer, unit, stages, fifo_words=words, tied=tied)
        return self._made(layer, stream_cast(rule, bits=bits, signed=True, lanes=lanes), [total], lanes)

    def _fifo(self, source: Tap, depth: int) -> int:
        """Words in front of a join; a stream with other readers always has a FIFO, so that none waits for itself."""
        words = math.ceil(depth / source.lanes)
        readers = sum(layer["inputs"].count(source.layer) for layer in self.manifest.layers)
        return max(words, FEWEST_WORDS) if readers > 1 else words

    def _cast(self, layer: Mapping[str, Any], source: Tap, lanes: int) -> Tap:
        rule = requantising_of(self.manifest, layer)
        stage, codes, _ = self._integers(layer, source)
        return self._made(layer, stream_cast(rule, bits=codes.bits, signed=codes.signed, lanes=lanes), [stage], lanes)
