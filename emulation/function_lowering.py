"""Lower tables, softmax, layer norm and recurrent layers to integers (DESIGN section 6, rules 10 and 16)."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.codes import integer_of
from emulation.function_operations import (
    FUNCTION_ACTIVATIONS,
    TABLE_BITS,
    Gelu,
    GeluForm,
    HardSigmoid,
    HardSwish,
    LayerNorm,
    Lstm,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
    is_table,
)
from emulation.function_rules import GeluRule, LayerNormRule, LstmRule, SoftmaxRule, TableRule
from emulation.hardware import HardwareLayer, Requantiser, dyadic
from kernels.definitions import function_tables
from kernels.definitions.function_tables import function_table
from kernels.integer_constants import gelu_fields, gelu_unit, layer_norm_fields, softmax_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.datapaths import Requantisation
    from emulation.formats import FixedPoint, Format
    from emulation.network import Layer
    from emulation.quantisers import ScaledQuantiser
    from kernels.integer_constants import LayerNormFields, SoftmaxFields

_FUNCTIONS: Final[Mapping[object, int]] = {
    Sigmoid(): function_tables.SIGMOID,
    Tanh(): function_tables.TANH,
    Silu(): function_tables.SILU,
    HardSigmoid(): function_tables.HARD_SIGMOID,
    HardSwish(): function_tables.HARD_SWISH,
    Gelu(form=GeluForm.ERROR_FUNCTION): function_tables.GELU,
    Gelu(form=GeluForm.TANH): function_tables.GELU_TANH,
}


def is_function(layer: Layer) -> bool:
    """Whether a layer is one of those that this module lowers."""
    return isinstance(layer.operation, Softmax | LayerNorm | Lstm) or isinstance(layer.activation, FUNCTION_ACTIVATIONS)


def lower_function(
    layer: Layer,
    source: ScaledQuantiser,
    weights: ScaledQuantiser | None,
    output: ScaledQuantiser,
    rule: Requantisation,
) -> HardwareLayer:
    """The integer constants of a layer for which `is_function` holds.

    Args:
        layer: the layer.
        source: the quantiser of the edge it reads.
        weights: of its weights, None if it has none.
        output: the quantiser of its own edge.
        rule: width of multipliers and rounding.

    Raises:
        ValueError: for a format that the function does not take: blocks, learned levels, or codes too wide for a table.
    """
    if source.blocks is not None or output.blocks is not None:
        raise ValueError(
            f"layer {layer.name!r} ({layer.kind}) reads {source.format} and writes {output.format}: a function needs "
            "edges with one scale, so no blocks"
        )
    unit = Fraction(float(source.unit[0]))
    match layer.operation:
        case Softmax():
            fields = _softmax_fields(layer, source)
            requantiser = _requantiser(Fraction(1, 1 << fields.reciprocal_bits), output, rule)
            function: SoftmaxRule | GeluRule = SoftmaxRule(fields=fields, operation=layer.operation)
        case LayerNorm():
            return _lower_layer_norm(layer, layer.operation, source, output, rule)
        case Lstm():
            return _lower_lstm(layer, layer.operation, source, weights, output, rule)
        case _ if is_table(layer.activation):
            return HardwareLayer(layer=layer, function=_table(layer, source, output), output=output)
        case _:
            constants = gelu_fields(unit, magnitude=source.grid.largest)
            requantiser = _requantiser(gelu_unit(unit, constants), output, rule)
            function = GeluRule(fields=constants)
    return HardwareLayer(layer=layer, function=function, requantiser=requantiser, output=output)


def row_fields(layer: Layer, source: ScaledQuantiser) -> SoftmaxFields | LayerNormFields:
    """The constants of a softmax or layer norm that reads this edge, whose widths decide its hardware.

    Raises:
        TypeError: for any other layer.
    """
    if isinstance(layer.operation, LayerNorm):
        return _layer_norm_fields(layer, layer.operation, source)
    if isinstance(layer.operation, Softmax):
        return _softmax_fields(layer, source)
    raise TypeError(f"layer {layer.name!r} ({layer.kind}) is neither softmax nor layer norm")


def _softmax_fields(layer: Layer, source: ScaledQuantiser) -> SoftmaxFields:
    return softmax_fields(Fraction(float(source.unit[0])), length=layer.shape[-1], magnitude=source.grid.largest)


def _layer_norm_fields(layer: Layer, operation: LayerNorm, source: ScaledQuantiser) -> LayerNormFields:
    return layer_norm_fields(
        Fraction(float(source.unit[0])),
        length=layer.shape[-1],
        magnitude=source.grid.largest,
        epsilon=Fraction(operation.epsilon),
    )


def _requantiser(unit: Fraction, output: ScaledQuantiser, rule: Requantisation) -> Requantiser:
    """From accumulators in a unit to the output's integers."""
    scale = float(unit / Fraction(float(output.unit[0])))
    factors = dyadic([scale], rule.multiplier_bits)
    grid = output.grid
    return Requantiser(
        multipliers=factors.multipliers,
        negative_multipliers=None,
        shift=factors.shift,
        low=grid.low,
        high=grid.high,
        mantissa_bits=grid.mantissa_bits,
        rounding=rule.rounding,
        levels=grid.levels,
        least=grid.least,
    )


def code_integers(number_format: Format, zero_point: int) -> list[int | None]:
    """What each code of a format means, None where it is no number."""
    integers: list[int | None] = []
    for code in range(1 << number_format.width):
        try:
            integers.append(integer_of(code, number_format, zero_point))
        except ValueError:
            integers.append(None)
    return integers


def _table(layer: Layer, source: ScaledQuantiser, output: ScaledQuantiser) -> TableRule:
    if source.format.width > TABLE_BITS:
        raise ValueError(
            f"layer {layer.name!r} is a table indexed by codes of at most {TABLE_BITS} bits, but it reads "
            f"{source.format}: give the edge of {layer.inputs[0]!r} a format of {TABLE_BITS} bits or fewer"
        )
    if output.grid.levels is not None:
        raise ValueError(
            f"layer {layer.name!r} is a table of integers or minifloats, but its edge is {output.format}: give it a "
            "fixed point format or a minifloat"
        )
    by_code = code_integers(source.format, source.zero_point)
    integers = sorted({integer for integer in by_code if integer is not None})
    grid = output.grid
    results = function_table(
        _FUNCTIONS[layer.activation],
        integers,
        input_unit=Fraction(float(source.unit[0])),
        output_unit=Fraction(float(output.unit[0])),
        low=grid.low,
        high=grid.high,
        mantissa_bits=grid.mantissa_bits,
    )
    results = [result if abs(result) >= grid.least else 0 for result in results]
    found = dict(zip(integers, results, strict=True))
    entries = tuple(0 if integer is None else found[integer] for integer in by_code)
    return TableRule(entries=entries, integers=tuple(integers), results=tuple(results))


def _lower_layer_norm(
    layer: Layer, operation: LayerNorm, source: ScaledQuantiser, output: ScaledQuantiser, rule: Requantisation
) -> HardwareLayer:
    fields = _layer_norm_fields(layer, operation, source)
    step = Fraction(float(output.unit[0]))
    scales = [float(Fraction(gain) / step / (1 << fields.reciprocal_bits)) for gain in operation.gain]
    # Gains that are all zero leave the offsets, in the shift that a gain of 1 would have.
    sizes = [abs(scale) for scale in scales] if any(scales) else [float(1 / step / (1 << fields.reciprocal_bits))]
    factors = dyadic(sizes, rule.multiplier_bits)
    multipliers = factors.multipliers if any(scales) else (0,) * len(scales)
    function = LayerNormRule(
        fields=fields,
        multipliers=tuple(int(math.copysign(b, scale)) for b, scale in zip(multipliers, scales, strict=True)),
        offsets=tuple(round(Fraction(offset) / step * Fraction(2) ** factors.shift) for offset in operation.offset),
    )
    requantiser = dataclasses.replace(_requantiser(step, output, rule), multipliers=(1,), shift=factors.shift)
    return HardwareLayer(layer=layer, function=function, requantiser=requantiser, output=output)


def _lower_lstm(  # noqa: PLR0917 - all that decides a layer with weights
    layer: Layer,
    operation: Lstm,
    source: ScaledQuantiser,
    weights: ScaledQuantiser | None,
    output: ScaledQuantiser,
    rule: Requantisation,
) -> HardwareLayer:
    if layer.weight is None or weights is None or weights.blocks is not None:
        given = "none" if weights is None else str(weights.format)
        raise ValueError(f"layer {layer.name!r} (lstm) needs weights with one scale per row or tensor, got {given}")
    formats, rows = operation.formats, layer.weight.shape[0]
    gate, hidden = _step(formats.gate), _step(formats.hidden)
    row_units = [Fraction(float(unit)) for unit in weights.unit]
    row_units = row_units * rows if len(row_units) == 1 else row_units
    scales = [float(unit * step / gate) for step in (Fraction(float(source.unit[0])), hidden) for unit in row_units]
    factors = dyadic(scales, rule.multiplier_bits)
    bias = [0.0] * rows if layer.bias is None else layer.bias.tolist()
    function = LstmRule(
        features=layer.weight.shape[1] - operation.hidden,
        input_multipliers=factors.multipliers[:rows],
        hidden_multipliers=factors.multipliers[rows:],
        biases=tuple(round(Fraction(value) / gate * Fraction(2) ** factors.shift) for value in bias),
        shift=factors.shift,
        sigmoid=_fixed_table(function_tables.SIGMOID, formats.gate, formats.sigmoid),
        tanh=_fixed_table(function_tables.TANH, formats.gate, formats.tanh),
        cell_tanh=_fixed_table(function_tables.TANH, formats.cell_index, formats.tanh),
        formats=formats,
        rounding=rule.rounding,
    )
    integers = weights.integers(layer.weight).astype(object)
    for index, value in enumerate(integers.flat):
        integers.flat[index] = int(value)
    largest = max((abs(value) for value in integers.flat), default=0)
    return HardwareLayer(
        layer=layer,
        weight=integers.astype("int64") if largest < 1 << 62 else integers,
        function=function,
        requantiser=_requantiser(hidden, output, rule),
        output=output,
        second=weights,
    )


def _step(number_format: FixedPoint) -> Fraction:
    return Fraction(2) ** -number_format.fraction_bits


@lru_cache(maxsize=64)
def _fixed_table(function: int, index: FixedPoint, entries: FixedPoint) -> tuple[int, ...]:
    return tuple(
        function_table(
            function,
            range(index.smallest_integer, index.largest_integer + 1),
            input_unit=_step(index),
            output_unit=_step(entries),
            low=entries.smallest_integer,
            high=entries.largest_integer,
        )
    )
