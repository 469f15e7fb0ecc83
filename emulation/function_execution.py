"""Tables, softmax, layer norm and recurrent layers on whole batches of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.function_rules import FunctionRule, GeluRule, LayerNormRule, LstmRule, SoftmaxRule, TableRule
from kernels.compiled.integer_functions import integer_gelu, integer_layer_norm, integer_softmax, look_up
from kernels.products import exact_matmul
from kernels.requantise import requantise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.formats import FixedPoint
    from emulation.hardware import HardwareLayer

_WORD: Final = 62


def table_integers(rule: TableRule, source: NDArray[Any]) -> NDArray[Any]:
    """The output's integers for integers of the input, any shape."""
    return look_up(source, _integers(rule.integers), _integers(rule.results))


def function_accumulators(hardware_layer: HardwareLayer, rule: FunctionRule, source: NDArray[Any]) -> NDArray[Any]:
    """What the layer's requantiser takes, shape ``(batch, *shape)``."""
    match rule:
        case SoftmaxRule(fields=fields, operation=operation):
            return integer_softmax(source, fields) if operation.mask is None else _masked_softmax(rule, source)
        case GeluRule(fields=fields):
            return integer_gelu(source, fields)
        case LayerNormRule():
            return _layer_norm(rule, source)
        case LstmRule():
            return _lstm(hardware_layer, rule, source)
        case TableRule():
            return table_integers(rule, source)


def _masked_softmax(rule: SoftmaxRule, source: NDArray[Any]) -> NDArray[Any]:
    """Every row is a softmax of the columns it shows."""
    result = np.zeros(source.shape, dtype=source.dtype if source.dtype == object else np.int64)
    rows = source.shape[-2] if source.ndim > 2 else 1
    tables, results = source.reshape(-1, rows, source.shape[-1]), result.reshape(-1, rows, source.shape[-1])
    for row in range(rows):
        columns = rule.operation.columns(row)
        fields = rule.fields._replace(length=len(columns))
        results[:, row, columns] = integer_softmax(tables[:, row, columns], fields)
    return result


def _layer_norm(rule: LayerNormRule, source: NDArray[Any]) -> NDArray[Any]:
    normalised = integer_layer_norm(source, rule.fields)
    multipliers, offsets = _integers(rule.multipliers), _integers(rule.offsets)
    return _sum_of_products([(normalised, multipliers)], offsets)


def _lstm(hardware_layer: HardwareLayer, rule: LstmRule, source: NDArray[Any]) -> NDArray[Any]:
    weight = hardware_layer.weight
    if weight is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    formats, hidden = rule.formats, weight.shape[0] // 4
    from_input, from_hidden = weight[:, : rule.features].T, weight[:, rule.features :].T
    input_multipliers, hidden_multipliers = _integers(rule.input_multipliers), _integers(rule.hidden_multipliers)
    biases = _integers(rule.biases)
    sigmoid, tanh, cell_tanh = (_integers(table) for table in (rule.sigmoid, rule.tanh, rule.cell_tanh))
    states = np.zeros((source.shape[0], hidden), dtype=np.int64)
    cells = np.zeros_like(states)
    input_sums = exact_matmul(source, from_input)
    steps = []
    for step in range(source.shape[1]):
        sums = _sum_of_products(
            [(input_sums[:, step], input_multipliers), (exact_matmul(states, from_hidden), hidden_multipliers)], biases
        )
        gates = _cast(rule, sums, rule.shift, formats.gate) - formats.gate.smallest_integer
        entering, forgetting, candidate, leaving = (gates[:, part * hidden : (part + 1) * hidden] for part in range(4))
        kept = _roomy(sigmoid[forgetting] * cells, rule.forget_shift) << rule.forget_shift
        added = _roomy(sigmoid[entering] * tanh[candidate], rule.candidate_shift) << rule.candidate_shift
        cells = _cast(rule, _roomy(kept, 1) + _roomy(added, 1), rule.cell_shift, formats.cell)
        index = _cast(rule, cells, rule.index_shift, formats.cell_index) - formats.cell_index.smallest_integer
        states = _cast(rule, sigmoid[leaving] * cell_tanh[index], rule.hidden_shift, formats.hidden)
        steps.append(states)
    return np.stack(steps, axis=1)


def _cast(rule: LstmRule, values: NDArray[Any], shift: int, number_format: FixedPoint) -> NDArray[Any]:
    ones = np.ones(values.shape[-1], dtype=np.int64)
    low, high = number_format.smallest_integer, number_format.largest_integer
    return requantise(values, ones, shift=shift, low=low, high=high, rounding=rule.rounding.value)


def _sum_of_products(terms: list[tuple[NDArray[Any], NDArray[Any]]], offsets: NDArray[Any]) -> NDArray[Any]:
    """Exactly ``sum(values * multipliers) + offsets``, in 64 bits where that provably fits."""
    bound = _largest(offsets) + sum(_largest(values) * _largest(multipliers) for values, multipliers in terms)
    if bound >= 1 << _WORD:
        terms = [(values.astype(object), multipliers.astype(object)) for values, multipliers in terms]
        offsets = offsets.astype(object)
    total: NDArray[Any] = offsets
    for values, multipliers in terms:
        total = values * multipliers + total
    return total


def _roomy(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """The values in a dtype that still holds them after they grew by so many bits."""
    return values if _largest(values).bit_length() + bits <= _WORD else values.astype(object)


def _integers(values: tuple[int, ...]) -> NDArray[Any]:
    """int64 where they fit, else Python integers."""
    fits = max(map(abs, values), default=0) < 1 << _WORD
    return np.array(values, dtype=np.int64 if fits else object)


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0
