"""Products, accumulators and requantisers of the manifest as C++ types."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import NotExportableError
from dse.exports.hls.cpp import Array, Piece, Struct, constant, looked_up, number, signed_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.hls.formats import NumberFormat
    from dse.exports.manifest import Manifest

_ROUNDINGS: Final = {
    "half-even": "half_even",
    "half-up": "half_up",
    "half-away": "half_away",
    "half-down": "half_down",
    "half-toward-zero": "half_toward_zero",
    "floor": "round_floor",
    "ceiling": "ceiling",
    "toward-zero": "toward_zero",
}
_OVERFLOWS: Final = {"SAT": "saturate", "WRAP": "wrap"}
_LMULS: Final = {
    "l-mul-formula": "lmul_formula",
    "l-mul-field": "lmul_field",
    "l-mul-field-clamped": "lmul_field_clamped",
}
INTEGERS: Final = -1
"""Mantissa bits of a grid of integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A C++ type, what has to be defined before it, and the width of its numbers."""

    cpp: str
    pieces: tuple[Piece, ...] = ()
    bits: int


def multiplier_style(entry: Mapping[str, Any]) -> str:
    """What a layer multiplies integers with: DSP blocks or the fabric."""
    return "in_dsps" if entry.get("multipliers") == "dsp" else "in_fabric"


def product_type(
    entry: Mapping[str, Any], left: NumberFormat, right: NumberFormat, *, left_name: str = "source"
) -> Typed:
    """The multiplier of an engine.

    Args:
        entry: the layer.
        left: the format of the activations.
        right: that of the weights or of the second activation.
        left_name: of the type of activations, behind the layer's name.
    """
    name = entry["name"]
    operands = f"{name}_{left_name}, {name}_weight"
    exponents = left.most_exponent + right.most_exponent
    if "product" not in entry and right.terms:
        shift = int(right.structs[-1].constants["most_shift"])
        bits = left.significand_bits + left.most_exponent + shift + 1 + right.terms
        return Typed(cpp=f"shifted_product<{operands}>", bits=bits)
    if "product" not in entry:
        bits = left.significand_bits + right.significand_bits + exponents
        return Typed(cpp=f"exact_product<{operands}, {multiplier_style(entry)}>", bits=bits)
    rule = entry["product"]
    if left.mantissa_bits is None or right.mantissa_bits is None:
        raise NotExportableError(f"layer {name!r}: {rule['kind']} of formats that are no minifloats has no multiplier")
    wide = max(left.mantissa_bits, right.mantissa_bits)
    bits = wide + 5 + exponents
    offset = 1 << (wide - rule["offset_exponent"])
    largest = rule.get("largest", 0)
    limit = Struct(
        name=f"{name}_limit", functions=(constant("largest", f"ap_int<{signed_bits(0, largest)}>", largest),)
    )
    fields = f"{_LMULS[rule['kind']]}, {offset}, {rule.get('exponent_low', 0)}, {name}_limit"
    return Typed(cpp=f"lmul_product<{operands}, {fields}>", pieces=(limit,), bits=bits)


def grid_type(name: str, rule: Mapping[str, Any], number_bits: int = 0) -> Typed:
    """The numbers that sums or outputs are rounded to, with a struct ``name`` for their range.

    Args:
        name: of that struct.
        rule: ``low``, ``high``, ``grid``, and ``rounding`` and ``overflow`` if they are not half to even and SAT.
        number_bits: the least width of the result.
    """
    low, high, grid = rule["low"], rule["high"], rule["grid"]
    bits = max(signed_bits(low, high), number_bits)
    bounds = Struct(
        name=name,
        types={"number": f"ap_int<{bits}>"},
        functions=(constant("low", f"ap_int<{bits}>", low), constant("high", f"ap_int<{bits}>", high)),
    )
    mantissa, least = (INTEGERS, 1) if grid == "integer" else (grid["mantissa_bits"], grid.get("least", 1))
    rounding = _ROUNDINGS[rule.get("rounding", "half-even")]
    overflow = _OVERFLOWS[rule.get("overflow", "SAT")]
    return Typed(cpp=f"grid<{mantissa}, {least}, {rounding}, {overflow}, {name}>", pieces=(bounds,), bits=bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an accumulator adds up: products, or the dot products of blocks.

    Attributes:
        count: of a whole sum.
        beat: how many arrive at once, already added.
        bits: width of one of them, without their exponents.
        exponents: the least and the greatest exponent of one of them.
    """

    count: int
    beat: int
    bits: int
    exponents: tuple[int, int] = (0, 0)


def accumulator_type(entry: Mapping[str, Any], terms: Terms) -> Typed:
    """The accumulator of an engine."""
    name, rule = entry["name"], entry["acc_type"]
    bits = rule["bits"]
    low, high = terms.exponents
    if "block_shift" in rule:
        left = max(high - rule["block_shift"], 0)
        added = max(terms.bits + left, bits) + terms.count.bit_length() + 1
        return Typed(cpp=f"aligned_sum<{bits}, {rule['block_shift']}, {left}, {added}>", bits=bits)
    if "chunk" not in rule:
        return Typed(cpp=f"exact_sum<{bits}, 0>", bits=bits)
    of_blocks = rule.get("terms") == "blocks"
    shift = rule["product_shift"] - low
    if not of_blocks and is_order_free(rule):
        return Typed(cpp=f"exact_sum<{bits}, {-shift}>", bits=bits)
    template = "pairwise_sum" if rule["order"] == "pairwise" else "rounded_sum"
    span = high - low
    chunk_bits = terms.bits + span + rule["chunk"].bit_length()
    beats, in_all = -(-rule["chunk"] // terms.beat), -(-terms.count // terms.beat)
    grid = grid_type(f"{name}_register", rule)
    register = f"{template}<{grid.cpp}, {max(shift, 0)}, {max(-shift, 0)}, {beats}, {in_all}, {chunk_bits}>"
    cpp = f"exact_parts<{register}, {low}, {span}>" if of_blocks else register
    return Typed(cpp=cpp, pieces=grid.pieces, bits=grid.bits)


def is_order_free(rule: Mapping[str, Any]) -> bool:
    """Whether a register can be cast after every product as well as after every chunk: it wraps and drops no bits."""
    return bool(rule["overflow"] == "WRAP" and rule["grid"] == "integer" and rule["product_shift"] <= 0)


def cast_pieces(
    manifest: Manifest, name: str, output: str, rule: Mapping[str, Any], multiplier_bits: int = 0
) -> tuple[list[Piece], bool]:
    """The struct ``name`` that a requantiser is configured by.

    Args:
        manifest: where multipliers are.
        name: of the struct.
        output: the C++ type of the output's format.
        rule: the layer, or the part of a concatenation.
        multiplier_bits: the least width of a multiplier.

    Returns:
        What to define, and whether blocks are written: then the struct stops at the product.
    """
    kind, shift = rule["out_type"], rule["shift"]
    factors = _factors(manifest, rule["mult"])
    negative = _factors(manifest, rule["negative_mult"]) if "negative_mult" in rule else factors
    everything = [int(one) for one in (*factors, *negative)]
    pieces: list[Piece] = [Array(name=f"{name}_m", values=factors)]
    lookups = [f"long long multiplier(int channel) {{ return {name}_m[{_place(factors)}]; }}"]
    if "negative_mult" in rule:
        pieces.append(Array(name=f"{name}_n", values=negative))
        lookups.append(f"long long negative_multiplier(int channel) {{ return {name}_n[{_place(negative)}]; }}")
    else:
        lookups.append("long long negative_multiplier(int channel) { return multiplier(channel); }")
    types = {"output": output}
    grid = kind["grid"]
    in_blocks = isinstance(grid, dict) and "blocks" in grid
    if isinstance(grid, dict) and "levels" in grid:
        pieces.append(_levels(f"{name}_levels", grid["levels"], kind))
        types["cast"] = f"to_level<{name}_levels, {shift}>"
    elif not in_blocks:
        cast = grid_type(f"{name}_range", kind)
        pieces += cast.pieces
        types["cast"] = f"to_grid<{cast.cpp}, {shift}>"
    constants = {
        "accumulator_bits": rule["acc_type"]["bits"],
        "multiplier_bits": max(signed_bits(min(everything), max(everything)), multiplier_bits),
        "negative": "negative_mult" in rule,
    }
    pieces.append(Struct(name=name, types=types, constants=constants, functions=lookups))
    return pieces, in_blocks


def product_bits(rule: Mapping[str, Any], manifest: Manifest) -> int:
    """Width of an accumulator times its multiplier, as `cast_pieces` declares it."""
    factors = [_factors(manifest, rule[key]) for key in ("mult", "negative_mult") if key in rule]
    low, high = min(int(one.min()) for one in factors), max(int(one.max()) for one in factors)
    return int(rule["acc_type"]["bits"]) + signed_bits(low, high)


def _place(factors: NDArray[Any]) -> str:
    return "channel" if len(factors) > 1 else "0 * channel"


def _factors(manifest: Manifest, entry: int | Mapping[str, Any]) -> NDArray[Any]:
    return np.array([entry]) if isinstance(entry, int) else manifest.integers(entry)


def _levels(name: str, levels: list[int], kind: Mapping[str, Any]) -> Struct:
    """Midpoints belong to the level of smaller magnitude, between two opposite ones to the positive one."""
    up = [abs(high) < abs(low) or abs(high) == abs(low) for low, high in itertools.pairwise(levels)]
    bits = signed_bits(levels[0], levels[-1])
    return Struct(
        name=name,
        types={"number": f"ap_int<{bits}>"},
        constants={"count": len(levels)},
        functions=(
            looked_up("level", "int place", levels),
            looked_up("up", "int place", [int(one) for one in up] or [0]),
            f"ap_int<{bits}> low() {{ return {number(max(kind['low'], levels[0]))}; }}",
            f"ap_int<{bits}> high() {{ return {number(min(kind['high'], levels[-1]))}; }}",
        ),
    )


def block_cast(name: str, rule: Mapping[str, Any], output: str) -> Typed:
    """How exact numbers become blocks: the C++ type, its pieces named after the layer."""
    kind = rule["out_type"]
    grid, shift = kind["grid"]["blocks"], rule["shift"]
    element, scale = grid["element"], grid["scale"]
    if "levels" not in scale:
        cast = grid_type(f"{name}_elements", element)
        bounds = f"{scale['lowest_exponent']}, {scale['highest_exponent']}"
        cpp = f"power_blocks<{output}, {cast.cpp}, {shift}, {grid['top']}, {bounds}>"
        return Typed(cpp=cpp, pieces=cast.pieces, bits=cast.bits)
    magnitudes = _magnitudes(element)
    table = Struct(
        name=f"{name}_scales",
        constants={"levels": len(scale["levels"]), "magnitudes": len(magnitudes)},
        functions=(
            looked_up("level", "int place", scale["levels"]),
            looked_up("magnitude", "int place", magnitudes),
        ),
    )
    return Typed(cpp=f"level_blocks<{output}, {name}_scales, {shift}>", pieces=(table,), bits=0)


def _magnitudes(element: Mapping[str, Any]) -> list[int]:
    """The numbers of at least 0 that an element can be, ascending: the place of each is its magnitude code."""
    grid, high = element["grid"], element["high"]
    if grid == "integer":
        return list(range(high + 1))
    if "levels" in grid:
        return [level for level in grid["levels"] if level >= 0]
    one, found = 1 << grid["mantissa_bits"], [0]
    while found[-1] < high:
        exponent, fraction = divmod(len(found), one)
        found.append((one + fraction) << (exponent - 1) if exponent else fraction)
    return found


def reached_exponents(rule: Mapping[str, Any], manifest: Manifest) -> tuple[int, int]:
    """The least and the greatest exponent of scales that a requantiser into blocks can write, by its accumulator."""
    grid = rule["out_type"]["grid"]["blocks"]
    scale = grid["scale"]
    if "levels" in scale:
        return scale["unit_exponent"], scale["unit_exponent"]
    largest = product_bits(rule, manifest) - rule["shift"] - grid["top"]
    return scale["lowest_exponent"], min(max(largest, scale["lowest_exponent"]), scale["highest_exponent"])
