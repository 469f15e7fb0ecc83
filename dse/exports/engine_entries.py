"""Entries of the manifest that describe how an engine multiplies and sums, and what was seen of its sums."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.type_entries import rounding_grid
from emulation.block_tensors import BlockTensor
from emulation.datapaths import Product
from emulation.execution import accumulate, execute_layer
from emulation.formats import FixedPoint
from emulation.function_rules import GeluRule, LayerNormRule, LstmRule, SoftmaxRule
from emulation.grids import Grid, grid_of
from emulation.hardware import largest_product
from emulation.network import ENGINE_OPERATIONS, Add, AveragePool, Convolution, Relu
from emulation.rules import Overflow
from kernels.definitions.lmul import offset_exponent
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulation.engines import BlockSum, Engine, Register
    from emulation.execution import Tensor
    from emulation.hardware import HardwareLayer, HardwareNetwork, Requantiser
    from emulation.lmul_ranges import ProductRange

UNBOUNDED: Final = 1 << 60
"""Saturation bounds no calibration sample reaches; still 64-bit."""
_WIDE: Final = 48
"""Bits of a register beside which narrower ones are looked at for sums that wrap."""
_OVERFLOW: Final = {Overflow.SATURATE: "SAT", Overflow.WRAP: "WRAP"}


def takes_inputs_in_order(engine: Engine | None) -> bool:
    """Whether sums depend on the order of an output's inputs: blocks, and registers that round or saturate."""
    if engine is None:
        return False
    register = engine.register
    sums_in_order = register is not None and (register.overflow is not Overflow.WRAP or register.product_shift > 0)
    return engine.block_sum is not None or sums_in_order


def product_entry(engine: Engine | None) -> dict[str, Any]:
    """The product, if it is not exact: L-Mul with the mantissa bits of the activation and of the other operand.

    Mantissas are aligned to the wider m; ``f = mantissa_a + mantissa_b + 2**(m - offset_exponent)``. Products count in
    the unit of exact ones times two to the narrower mantissa's bits. Clamped products are 0 where the exponent, counted
    from the smallest normal numbers of both operands, is below ``exponent_low``; they count in the last mantissa bit of
    ``2**exponent_low``, and ``largest`` is the greatest one.
    """
    if engine is None or engine.product is Product.EXACT:
        return {}
    wide = max(engine.mantissa_bits)
    return {
        "product": {
            "kind": engine.product.value,
            "mantissa_bits": list(engine.mantissa_bits),
            "offset_exponent": offset_exponent(wide),
            **_limits(engine.limits),
        }
    }


def _limits(limits: ProductRange | None) -> dict[str, int]:
    return {} if limits is None else {"exponent_low": limits.exponent_low, "largest": limits.largest_integer}


def accumulator_entry(hardware: HardwareNetwork, hardware_layer: HardwareLayer) -> dict[str, Any]:
    """What a layer's requantiser reads.

    The declared width of an exact sum is the worst case of these weights; beside it the worst case of the formats
    alone. A narrow register and the sum over blocks have the width and the rule they were given; a register whose
    ``terms`` are blocks adds their exact dot products, scales included, where others add products.
    """
    layer, engine = hardware_layer.layer, hardware_layer.engine
    operands = [hardware.edges[edge].grid for edge in hardware.network.input_edges(layer)]
    if not isinstance(layer.operation, ENGINE_OPERATIONS):
        return exact_entry(_largest_sum(hardware_layer, [grid.largest for grid in operands]).bit_length() + 1)
    bits = hardware.accumulator_bits(hardware_layer)
    if engine is not None and engine.block_sum is not None and engine.block_sum.register is not None:
        return {"bits": bits, "signed": True, "terms": "blocks", **_register_entry(engine.block_sum.register)}
    if engine is not None and engine.block_sum is not None:
        return {
            "bits": engine.block_sum.bits,
            "signed": True,
            "overflow": "SAT",
            "block_shift": engine.block_sum.shift,
            "rounding": "floor",
        }
    if engine is not None and engine.register is not None:
        return {"bits": bits, "signed": True, **_register_entry(engine.register)}
    if hardware_layer.second is not None:
        operands.append(hardware_layer.second.grid)
    product = largest_product(engine, operands[0].largest, operands[1].largest)
    return exact_entry(bits, (hardware.network.depth(layer) * product).bit_length() + 1)


def part_accumulator_entry(hardware: HardwareNetwork, name: str) -> dict[str, Any]:
    """What the requantiser of a part of a concatenation reads: the integers of the layer ``name``."""
    return exact_entry(hardware.edges[hardware.network.edge_of(name)].grid.largest.bit_length() + 1)


def exact_entry(bits: int, worst_case_bits: int | None = None) -> dict[str, Any]:
    """An accumulator that holds every sum; without a worst case of its own, that is its width."""
    return {"bits": bits, "signed": True, "overflow": "NEVER", "worst_case_bits": worst_case_bits or bits}


def _largest_sum(hardware_layer: HardwareLayer, largest: Sequence[int]) -> int:
    """The greatest magnitude a layer without an engine requantises, from those of its inputs."""
    match hardware_layer.function, hardware_layer.layer.operation:
        case SoftmaxRule(fields=fields), _:
            return 1 << fields.reciprocal_bits
        case LayerNormRule(fields=fields, multipliers=multipliers, offsets=offsets), _:
            return fields.largest_result * max(map(abs, multipliers)) + max(map(abs, offsets))
        case GeluRule(fields=fields), _:
            return fields.magnitude * 2 * fields.constant
        case LstmRule(formats=formats), _:
            return max(formats.hidden.largest_integer, -formats.hidden.smallest_integer)
        case _, AveragePool(window=window):
            return window.taps * largest[0]
        case _, Add():
            return sum(b * one for b, one in zip(hardware_layer.addend_multipliers, largest, strict=True))
    return largest[0]


def accumulator_grid(entry: Mapping[str, Any]) -> Grid:
    """The integers that an accumulator's entry lets it hold."""
    half = 1 << (entry["bits"] - 1)
    grid = entry.get("grid", "integer")
    return Grid(
        low=entry.get("low", -half),
        high=entry.get("high", half - 1),
        mantissa_bits=INTEGER_GRID if grid == "integer" else grid["mantissa_bits"],
    )


def _register_entry(register: Register) -> dict[str, Any]:
    return {
        "overflow": _OVERFLOW[register.overflow],
        "low": register.grid.low,
        "high": register.grid.high,
        "grid": rounding_grid(register.grid.mantissa_bits),
        "rounding": register.rounding.name.lower().replace("_", "-"),
        "product_shift": register.product_shift,
        "chunk": register.chunk,
        "order": register.order.value,
    }


def observed(hardware_layer: HardwareLayer, inputs: Sequence[Tensor], values: Tensor) -> dict[str, int]:
    """Extremes of a layer's integers on some samples, and how often its output or its register overflowed.

    Args:
        hardware_layer: the layer.
        inputs: its inputs, batch first.
        values: its output. Of blocks the elements are meant, and saturation is not counted: their scales follow them.
    """
    elements = values.elements if isinstance(values, BlockTensor) else values
    found = {"minimum": int(elements.min()), "maximum": int(elements.max())}
    rule = hardware_layer.requantiser
    if rule is None:
        return found
    sums = accumulate(hardware_layer, inputs)
    found |= {"acc_min": int(sums.min()), "acc_max": int(sums.max()), "samples": len(elements)}
    if rule.blocks is None:
        found["sat_count"] = _saturated(hardware_layer, rule, inputs)
    return found | {"wrap_count": _wrapped(hardware_layer, inputs)}


def _saturated(hardware_layer: HardwareLayer, rule: Requantiser, inputs: Sequence[Tensor]) -> int:
    """Values the format's bounds cut off; clipping by ReLU is no saturation.

    Without the bounds, and without levels, the same layer shows what they cut off.
    """
    grid = hardware_layer.output.grid
    open_rule = dataclasses.replace(rule, low=-UNBOUNDED, high=UNBOUNDED, levels=None)
    free = execute_layer(dataclasses.replace(hardware_layer, requantiser=open_rule), inputs)
    below = 0 if isinstance(hardware_layer.layer.activation, Relu) else int((free < grid.low).sum())
    return int((free > grid.high).sum()) + below


def _wrapped(hardware_layer: HardwareLayer, inputs: Sequence[Tensor]) -> int:
    """Sums that a wrapping register changed."""
    engine = hardware_layer.engine
    if engine is not None and engine.block_sum is not None:
        return _wrapped_blocks(hardware_layer, engine, engine.block_sum, inputs)
    register = None if engine is None else engine.register
    if engine is None or register is None or register.overflow is not Overflow.WRAP or register.product_shift > 0:
        return 0
    exact = dataclasses.replace(engine, register=None)
    bare = dataclasses.replace(hardware_layer, engine=exact, bias=None)
    sums = np.asarray(accumulate(bare, inputs)).astype(object) << -register.product_shift
    if hardware_layer.bias is not None:
        shape = [1] * sums.ndim
        shape[1 if isinstance(hardware_layer.layer.operation, Convolution) else -1] = -1
        sums = sums + np.array(hardware_layer.bias, dtype=object).reshape(shape)
    return int(((sums < register.grid.low) | (sums > register.grid.high)).sum())


def _wrapped_blocks(hardware_layer: HardwareLayer, engine: Engine, rule: BlockSum, inputs: Sequence[Tensor]) -> int:
    """Sums of blocks out of the range of a wrapping register, by one with the same step and more bits."""
    register = rule.register
    if register is None or register.overflow is not Overflow.WRAP or register.format.width >= _WIDE:
        return 0
    wide = FixedPoint(width=_WIDE, fraction_bits=-register.format.unit_exponent)
    roomy = dataclasses.replace(register, format=wide, grid=grid_of(wide), overflow=Overflow.SATURATE)
    block_sum = dataclasses.replace(rule, bits=_WIDE, register=roomy)
    bare = dataclasses.replace(hardware_layer, engine=dataclasses.replace(engine, block_sum=block_sum))
    sums = accumulate(bare, inputs)
    return int(((sums < register.grid.low) | (sums > register.grid.high)).sum())
