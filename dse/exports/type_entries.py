"""Entries of the manifest that describe numbers: formats, edges, grids, and the geometry of layers.

A weight or vector file holds what ``stored`` says: ``integer``, the number itself, or ``code``, the bits of a format as
a non-negative integer. How a code becomes an integer stands in the same entry: the fields of a minifloat, sign and
magnitude, or a table by code. A block's value is its element's integer times its scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from emulation.codes import code_in_table, code_of
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    Format,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Sign,
    SignMagnitude,
    Subnormals,
)
from emulation.network import AveragePool, Convolution, Layer, MaxPool, Select, Transpose
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.designs import Part
    from emulation.grids import BlockGrid, Grid
    from emulation.quantisers import ScaledQuantiser


def type_entry(number_format: Format | SignMagnitude) -> dict[str, Any]:
    """A format as fields: integers hold their value, all others their code."""
    entry: dict[str, Any] = {"format": str(number_format), "bits": number_format.width}
    if isinstance(number_format, FixedPoint):
        return entry | {"signed": number_format.sign is Sign.SIGNED, "stored": "integer"}
    entry |= {"signed": number_format.smallest_integer < 0, "stored": "code"}
    match number_format:
        case MiniFloat():
            return entry | _minifloat_fields(number_format)
        case SignMagnitude():
            return entry | {"encoding": "sign-magnitude"}
        case KHot() | Codebook():
            return entry | {"table": list(number_format.integers)}
        case LearnedCodebook() | BinaryCoded():
            return entry | {"table": "in the weight's own entry"}
        case BlockScaled() if number_format.block_size == 0:
            return type_entry(number_format.element) | {"format": str(number_format)}
        case BlockScaled():
            return entry | {
                "block_size": number_format.block_size,
                "element": type_entry(number_format.element),
                "scale": _scale_entry(number_format),
            }


def _minifloat_fields(number_format: MiniFloat) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "exponent_bits": number_format.exponent_bits,
        "mantissa_bits": number_format.mantissa_bits,
        "bias": number_format.resolved_bias,
        "unit_exponent": number_format.unit_exponent,
        "largest_magnitude_code": number_format.largest_magnitude_code,
    }
    if number_format.subnormals is not Subnormals.GRADUAL:
        fields["subnormals"] = number_format.subnormals.value
    return fields


def _scale_entry(number_format: BlockScaled) -> dict[str, Any]:
    """A power of two is ``2**(code - bias)``, any other scale a minifloat."""
    scale = number_format.scale
    if not number_format.has_power_of_two_scale:
        return type_entry(scale)
    return {
        "format": str(scale),
        "bits": scale.width,
        "stored": "code",
        "encoding": "power-of-two",
        "bias": scale.resolved_bias,
        "largest_code": scale.largest_magnitude_code,
    }


def edge_entry(quantiser: ScaledQuantiser) -> dict[str, Any]:
    """The format of a tensor, and the real value of one integer step for people (of an element, its scale being 1)."""
    unit = float(quantiser.unit[0])
    entry: dict[str, Any] = {
        "type": type_entry(quantiser.format),
        "zero_point": quantiser.zero_point,
        "unit": unit,
        "scale_exp": _power_of_two(unit),
    }
    if quantiser.blocks is not None:
        entry["blocks_along"] = "the last axis of the stream"
    return entry


def _power_of_two(unit: float) -> int | None:
    """The exponent of a unit that is a power of two, which targets without dyadic multipliers ask for."""
    mantissa, exponent = math.frexp(unit)
    return exponent - 1 if mantissa == 0.5 else None


def stored(integers: NDArray[Any], quantiser: ScaledQuantiser) -> list[int]:
    """What a weight file holds of integers whose last axis runs over the output channels, flat in row-major order."""
    number_format, flat = quantiser.format, [int(value) for value in integers.reshape(-1).tolist()]
    if isinstance(number_format, FixedPoint):
        return [value + quantiser.zero_point for value in flat]
    if quantiser.tables is not None:
        tables, channels = quantiser.tables.tolist(), integers.shape[-1]
        name = str(number_format)
        return [
            code_in_table(value, tables[place % channels if len(tables) > 1 else 0], name)
            for place, value in enumerate(flat)
        ]
    return [code_of(value, number_format) for value in flat]


def grid_entry(grid: Grid) -> str | dict[str, Any]:
    """To what numbers are rounded: integers, a minifloat's integers, or the nearest of listed levels."""
    if grid.levels is not None:
        return {"levels": list(grid.levels)}
    return rounding_grid(grid.mantissa_bits, grid.least)


def rounding_grid(mantissa_bits: int, least: int = 1) -> str | dict[str, Any]:
    """The same for a grid without levels; what is rounded to less than ``least``, if that is named, becomes 0."""
    if mantissa_bits == INTEGER_GRID:
        return "integer"
    return {"mantissa_bits": mantissa_bits} | ({"least": least} if least > 1 else {})


def block_grid_entry(grid: BlockGrid) -> dict[str, Any]:
    """How exact numbers become blocks: see `emulation.block_tensors` for the rule.

    A scale without ``unit_exponent`` is a power of two between two exponents: that of the largest magnitude's leading
    one, less ``top``. Any other is the nearest of ``levels``, integers of ``2**unit_exponent``, to the largest
    magnitude over the largest element, halfway the even one counting from 1.
    """
    scale: dict[str, Any] = {"lowest_exponent": grid.scale_levels[0], "highest_exponent": grid.scale_levels[-1]}
    if grid.scale_unit is not None:
        scale = {"levels": list(grid.scale_levels), "unit_exponent": grid.scale_unit}
    return {
        "size": grid.size,
        "top": grid.top,
        "element": {"low": grid.element.low, "high": grid.element.high, "grid": grid_entry(grid.element)},
        "scale": scale,
    }


def geometry(layer: Layer) -> dict[str, Any]:
    """Windows, groups, orders of axes, and what is selected."""
    operation = layer.operation
    entry: dict[str, Any] = {}
    if isinstance(operation, Convolution | MaxPool | AveragePool):
        window = operation.window
        entry |= {
            "kernel": list(window.kernel),
            "stride": list(window.stride),
            "padding": [list(sides) for sides in window.padding],
            "dilation": list(window.dilation),
        }
    if isinstance(operation, Convolution):
        entry["groups"] = operation.groups
    if isinstance(operation, Transpose):
        entry["order"] = list(operation.order)
    if isinstance(operation, Select):
        entry["index"] = operation.index
    return entry


def resources(parts: Sequence[Part]) -> Mapping[str, float]:
    """The sum of what parts of a design take."""
    return {
        "luts": sum(part.cost.luts for part in parts),
        "flip_flops": sum(part.cost.flip_flops for part in parts),
        "dsps": sum(part.cost.dsps for part in parts),
        "bram18s": sum(part.cost.bram18s for part in parts),
    }
