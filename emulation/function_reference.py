"""Tables, softmax, layer norm and recurrent layers in plain Python integers: the definition of their execution."""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

from emulation.codes import code_of
from emulation.function_rules import FunctionRule, GeluRule, LayerNormRule, LstmRule, SoftmaxRule, TableRule
from kernels.definitions.integer_functions import integer_gelu, integer_layer_norm, integer_softmax
from kernels.requantise import requantise_scalar
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from emulation.formats import FixedPoint
    from emulation.hardware import HardwareLayer
    from emulation.quantisers import ScaledQuantiser


def table_codes(rule: TableRule, source: list[int], quantiser: ScaledQuantiser) -> list[int]:
    """The output's integers: the codes of the input index the table."""
    return [rule.entries[code_of(value, quantiser.format, quantiser.zero_point)] for value in source]


def function_sums(hardware_layer: HardwareLayer, rule: FunctionRule, source: list[int]) -> list[int]:
    """What the layer's requantiser takes, flat in row-major order."""
    match rule:
        case SoftmaxRule(fields=fields):
            rows = _rows(source, fields.length)
            return [value for index, row in enumerate(rows) for value in _softmax(rule, row, index)]
        case GeluRule(fields=fields):
            return [integer_gelu(value, fields) for value in source]
        case LayerNormRule(fields=fields, multipliers=multipliers, offsets=offsets):
            return [
                value * multiplier + offset
                for row in _rows(source, fields.length)
                for value, multiplier, offset in zip(integer_layer_norm(row, fields), multipliers, offsets, strict=True)
            ]
        case LstmRule():
            return _lstm(hardware_layer, rule, source)
    raise ValueError(f"layer {hardware_layer.layer.name!r} is a table and has no accumulators")


def _rows(source: list[int], length: int) -> list[list[int]]:
    return [source[start : start + length] for start in range(0, len(source), length)]


def _softmax(rule: SoftmaxRule, row: list[int], index: int) -> list[int]:
    if rule.operation.mask is None:
        return integer_softmax(row, rule.fields)
    columns = rule.operation.columns(index)
    shown = integer_softmax([row[column] for column in columns], rule.fields._replace(length=len(columns)))
    found = dict(zip(columns, shown, strict=True))
    return [found.get(column, 0) for column in range(len(row))]


def _lstm(hardware_layer: HardwareLayer, rule: LstmRule, source: list[int]) -> list[int]:
    if hardware_layer.weight is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    weight = [[int(value) for value in row] for row in hardware_layer.weight.tolist()]
    count = len(weight) // 4
    states, cells = [0] * count, [0] * count
    sequence: list[int] = []
    for values in _rows(source, rule.features):
        gates = [_gate(rule, row, index, values, states) for index, row in enumerate(weight)]
        entering, forgetting, candidate, leaving = _rows(gates, count)
        cells = [
            _cell(rule, cell, forgetting[index], entering[index], candidate[index]) for index, cell in enumerate(cells)
        ]
        states = [_hidden(rule, cell, leaving[index]) for index, cell in enumerate(cells)]
        sequence += states
    return sequence


def _gate(rule: LstmRule, row: list[int], index: int, values: list[int], states: list[int]) -> int:
    total = (
        sum(map(mul, row[: rule.features], values)) * rule.input_multipliers[index]
        + sum(map(mul, row[rule.features :], states)) * rule.hidden_multipliers[index]
        + rule.biases[index]
    )
    return _cast(rule, total, rule.shift, rule.formats.gate)


def _cell(rule: LstmRule, cell: int, forgetting: int, entering: int, candidate: int) -> int:
    first = rule.formats.gate.smallest_integer
    kept = rule.sigmoid[forgetting - first] * cell << rule.forget_shift
    added = rule.sigmoid[entering - first] * rule.tanh[candidate - first] << rule.candidate_shift
    return _cast(rule, kept + added, rule.cell_shift, rule.formats.cell)


def _hidden(rule: LstmRule, cell: int, leaving: int) -> int:
    index = _cast(rule, cell, rule.index_shift, rule.formats.cell_index)
    opened = rule.sigmoid[leaving - rule.formats.gate.smallest_integer]
    product = opened * rule.cell_tanh[index - rule.formats.cell_index.smallest_integer]
    return _cast(rule, product, rule.hidden_shift, rule.formats.hidden)


def _cast(rule: LstmRule, value: int, shift: int, number_format: FixedPoint) -> int:
    return requantise_scalar(
        value,
        1,
        shift=shift,
        low=number_format.smallest_integer,
        high=number_format.largest_integer,
        rounding=rule.rounding.value,
        mantissa_bits=INTEGER_GRID,
    )
