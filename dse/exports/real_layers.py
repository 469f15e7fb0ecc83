"""A design as layers of real numbers, for tools that compute with values: possible where every scale is a power of two.

hls4ml and QONNX know no multipliers ``b * 2**-c``: an edge is a number times a scale, and a layer adds up exact
products of such numbers and casts once. A requantisation by a power of two says the same, the power being a matter of
where the binary point is. Whatever cannot be said so is refused here, by layer, with the reason and what would do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import NotExportableError
from dse.exports.decoding import decoded_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest

MOVING: Final = frozenset({"maxpool", "reshape", "transpose"})
"""Operations that keep the numbers of their input; a reshape or transpose keeps its stream too."""
WEIGHTED: Final = frozenset({"convolution", "depthwise", "linear"})
_KNOWN: Final = MOVING | WEIGHTED | {"input", "add", "concat", "averagepool", "activate"}
_WORD: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers of a tensor: integers from ``low`` to ``high`` times ``2**unit``, those a format has codes for."""

    type: Mapping[str, Any]
    unit: int
    low: int
    high: int

    @property
    def is_integer(self) -> bool:
        """Whether every integer in the range has a code; minifloats leave some out."""
        return bool(self.type["stored"] == "integer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Exact sums before the cast.

    Attributes:
        unit: all sums are multiples of ``2**unit``.
        low: the least sum, counted in ``2**unit``.
        high: the greatest.
        bits: every sum and every partial sum, in any order, is an integer of so many bits times a power of two (which
            may differ from channel to channel). A float whose significand has as many adds them exactly.
    """

    unit: int
    low: int
    high: int
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RealLayer:
    """One layer: the input, one that moves numbers, or a concatenation, which casts its parts.

    Attributes:
        entry: the layer's entry in the manifest: name, op, inputs, shape (channels last), window, folding.
        inputs: the numbers of its inputs.
        output: what its numbers are cast to.
        rounding: how, in the manifest's words.
    """

    entry: Mapping[str, Any]
    inputs: tuple[Numbers, ...]
    output: Numbers
    rounding: str = "half-even"

    @property
    def name(self) -> str:
        """The safe name."""
        return str(self.entry["name"])

    @property
    def op(self) -> str:
        """The operation, in the manifest's words."""
        return str(self.entry["op"])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output's stream, channels last."""
        return tuple(self.entry["shape"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CastLayer(RealLayer):
    """Exact sums, then an activation, then one cast.

    Attributes:
        sums: what the sums can be.
        relu: whether negative sums become 0 although the format has negative numbers.
        ceiling: what larger sums become, where the format has larger numbers.
        slopes: what negative sums are multiplied by, one for all channels or one for each.
    """

    sums: Sums
    relu: bool
    ceiling: float | None
    slopes: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedLayer(CastLayer):
    """A convolution or a matrix product.

    Attributes:
        weight: real weights in the manifest's layout, float64 and exact.
        weight_units: the weights of each output are integers times two to this.
        bias: real biases, if there are any.
    """

    weight: NDArray[np.float64]
    weight_units: tuple[int, ...]
    bias: NDArray[np.float64] | None


def real_layers(manifest: Manifest) -> list[RealLayer]:
    """All layers, each after those it reads.

    Raises:
        NotExportableError: if a scale is no power of two, a sum is not exact, or an operation is no sum and cast.
    """
    found: dict[str, RealLayer] = {}
    for entry in manifest.layers:
        inputs = tuple(found[name].output for name in entry["inputs"])
        found[entry["name"]] = _Reader(manifest, entry, inputs).layer()
    return list(found.values())


def refuse(name: str, problem: str, remedy: str) -> NotExportableError:
    """The refusal of a layer: what is in the way, and what would do."""
    return NotExportableError(f"layer {name}: {problem}; {remedy}")


def sum_ranges(weight: NDArray[Any], bias: NDArray[Any], low: int, high: int) -> tuple[list[int], list[int], list[int]]:
    """What sums of products with inputs from ``low`` to ``high``, or 0 where there is padding, can be.

    Args:
        weight: integers, outputs along the last axis.
        bias: integers, one for each output.
        low: the least input.
        high: the greatest.

    Returns:
        For each output the least and the greatest sum, and the greatest magnitude of a sum of some of the terms.

    >>> sum_ranges(np.array([[2], [-3]]), np.array([1]), 0, 15)
    ([-44], [31], [76])
    """
    columns = weight.reshape(-1, weight.shape[-1])
    least, most = min(low, 0), max(high, 0)
    magnitude = max(-least, most)
    if (int(np.abs(columns).max()) * magnitude * len(columns) + int(np.abs(bias).max())).bit_length() > _WORD:
        columns, bias = columns.astype(object), bias.astype(object)
    positive, negative = np.maximum(columns, 0).sum(axis=0), np.minimum(columns, 0).sum(axis=0)
    return (
        (positive * least + negative * most + bias).tolist(),
        (positive * most + negative * least + bias).tolist(),
        (np.abs(columns).sum(axis=0) * magnitude + np.abs(bias)).tolist(),
    )


class _Reader:
    """Reads one layer of a manifest."""

    def __init__(self, manifest: Manifest, entry: Mapping[str, Any], inputs: tuple[Numbers, ...]) -> None:
        self.manifest = manifest
        self.entry = entry
        self.inputs = inputs

    def layer(self) -> RealLayer:
        entry, op = self.entry, self.entry["op"]
        if op not in _KNOWN or "function" in entry:
            function = entry.get("function", op)
            raise self._refuse(f"{function} is more than exact sums and one cast", "export to hls")
        if "reorder_inputs" in entry or "input_order" in entry:
            raise self._refuse("its inputs are put into another order", "export to hls")
        output = self._numbers(entry["output"])
        if op == "input" or op in MOVING:
            return RealLayer(entry=entry, inputs=self.inputs, output=output)
        if op in WEIGHTED:
            return self._weighted(output)
        if op == "concat":
            for source, rule in zip(self.inputs, entry["parts"], strict=True):
                self._scales_agree(rule, source.unit, output)
                self._whole_range(rule, output)
            rounding = entry["parts"][0]["out_type"]["rounding"]
            return RealLayer(entry=entry, inputs=self.inputs, output=output, rounding=rounding)
        if op == "add":
            for source, factor in zip(self.inputs, entry["addend_multipliers"], strict=True):
                self._scales_agree({**entry, "mult": factor * entry["mult"]}, source.unit, output)
            unit = min(source.unit for source in self.inputs)
            low = sum(source.low << (source.unit - unit) for source in self.inputs)
            high = sum(source.high << (source.unit - unit) for source in self.inputs)
            return self._cast(output, _sums(unit, low, high))
        (source,) = self.inputs
        taps = 1
        if op == "averagepool":
            taps = int(np.prod(entry["kernel"]))
            if taps & (taps - 1):
                raise self._refuse(f"it averages {taps} numbers, and 1/{taps} is no power of two", _OTHER_WINDOW)
        halvings = taps.bit_length() - 1
        self._scales_agree(entry, source.unit - halvings, output)
        return self._cast(output, _sums(source.unit - halvings, source.low * taps, source.high * taps))

    def _weighted(self, output: Numbers) -> WeightedLayer:
        entry, (source,) = self.entry, self.inputs
        if "product" in entry:
            raise self._refuse(f"its products are {entry['product']['kind']}", _EXACT.format("product"))
        if entry["acc_type"]["overflow"] != "NEVER":
            raise self._refuse("its accumulator is not exact", _EXACT.format("accumulator"))
        if "scales" in entry["weight"]:
            kind = entry["weight"]["type"]["format"]
            raise self._refuse(f"its weights ({kind}) have a scale per block", "use weights with scales per channel")
        weight = decoded_weights(self.manifest, entry["weight"])
        outputs = weight.shape[-1]
        # A * mult * 2**-shift counts in the output's unit, so mult tells what the sums of each channel count in.
        units = np.array([output.unit + power - entry["shift"] for power in self._powers(entry, outputs)])
        bias = self.manifest.integers(entry["bias"]) if "bias" in entry else np.zeros(outputs, dtype=np.int64)
        low, high, largest = sum_ranges(weight, bias, source.low, source.high)
        unit = int(units.min())
        spread = [int(one) - unit for one in units]
        sums = Sums(
            unit=unit,
            low=min(value << places for value, places in zip(low, spread, strict=True)),
            high=max(value << places for value, places in zip(high, spread, strict=True)),
            bits=max(value.bit_length() for value in largest),
        )
        cast = self._cast(output, sums)
        return WeightedLayer(
            **{field.name: getattr(cast, field.name) for field in fields(cast)},
            weight=np.ldexp(weight.astype(np.float64), units - source.unit),
            weight_units=tuple((units - source.unit).tolist()),
            bias=np.ldexp(bias.astype(np.float64), units) if "bias" in entry else None,
        )

    def _cast(self, output: Numbers, sums: Sums) -> CastLayer:
        rule = self.entry["out_type"]
        slopes = None
        if "negative_mult" in self.entry:
            slopes = self.manifest.integers(self.entry["negative_mult"]) / self._multipliers(self.entry)
        if rule["low"] not in (0, output.low):
            raise self._refuse(f"its numbers start at {rule['low']}, its format at {output.low}", "use ReLU or none")
        return CastLayer(
            entry=self.entry,
            inputs=self.inputs,
            output=output,
            rounding=rule["rounding"],
            sums=sums,
            relu=output.low < 0 == rule["low"],
            ceiling=float(np.ldexp(rule["high"], output.unit)) if rule["high"] < output.high else None,
            slopes=slopes,
        )

    def _numbers(self, entry: Mapping[str, Any]) -> Numbers:
        kind = entry["type"]
        if kind["stored"] != "integer" and "exponent_bits" not in kind:
            raise self._refuse(f"its outputs are {kind['format']}", "use integers (or, for qonnx, minifloats)")
        if "subnormals" in kind:
            raise self._refuse(f"its outputs ({kind['format']}) have no gradual subnormals", "use a format that has")
        if entry["zero_point"]:
            raise self._refuse(f"its outputs have zero point {entry['zero_point']}", "use symmetric scaling")
        if entry["scale_exp"] is None:
            raise self._refuse(f"its outputs count in {entry['unit']}, no power of two", _POWER_OF_TWO)
        low, high = range_of(kind)
        return Numbers(type=kind, unit=entry["scale_exp"], low=low, high=high)

    def _whole_range(self, rule: Mapping[str, Any], output: Numbers) -> None:
        """Parts of a concatenation are cast and no more."""
        kind = rule["out_type"]
        if (kind["low"], kind["high"]) != (output.low, output.high) or "negative_mult" in rule:
            raise self._refuse("its parts have an activation", "apply it before or after the concatenation")

    def _multipliers(self, rule: Mapping[str, Any]) -> NDArray[Any]:
        multipliers = rule["mult"]
        return np.array([multipliers]) if isinstance(multipliers, int) else self.manifest.integers(multipliers)

    def _powers(self, rule: Mapping[str, Any], count: int) -> list[int]:
        """The exponents of multipliers, all of which are powers of two."""
        multipliers = [int(one) for one in self._multipliers(rule)]
        for one in multipliers:
            if one < 1 or one & (one - 1):
                raise self._refuse(f"its multiplier {one} * 2**-{rule['shift']} is no power of two", _POWER_OF_TWO)
        powers = [one.bit_length() - 1 for one in multipliers]
        return powers * count if len(powers) == 1 else powers

    def _scales_agree(self, rule: Mapping[str, Any], unit: int, output: Numbers) -> None:
        """The multiplier says how input and output units compare, where the units say it too."""
        for power in self._powers(rule, 1):
            if power - rule["shift"] != unit - output.unit:
                raise self._refuse(
                    f"it multiplies by 2**{power - rule['shift']}, and numbers in 2**{unit} become numbers in "
                    f"2**{output.unit}",
                    _POWER_OF_TWO,
                )

    def _refuse(self, problem: str, remedy: str) -> NotExportableError:
        return refuse(self.entry["name"], problem, remedy)


_POWER_OF_TWO: Final = 'set [formats] scale_kind = "power-of-two" in study.toml and explore again, or export to hls'
_OTHER_WINDOW: Final = "use a window of 2, 4, 8, ... numbers, or export to hls"
_EXACT: Final = "use an exact {}, or export to hls"


def _sums(unit: int, low: int, high: int) -> Sums:
    return Sums(unit=unit, low=low, high=high, bits=max(abs(low), abs(high)).bit_length())


def range_of(kind: Mapping[str, Any]) -> tuple[int, int]:
    """The least and greatest integer of a format."""
    if kind["stored"] == "integer":
        half = 1 << (kind["bits"] - 1)
        return (-half, half - 1) if kind["signed"] else (0, 2 * half - 1)
    exponent, fraction = divmod(kind["largest_magnitude_code"], 1 << kind["mantissa_bits"])
    largest = ((1 << kind["mantissa_bits"]) + fraction) << (exponent - 1) if exponent else fraction
    return (-largest if kind["signed"] else 0), largest
