"""Features of cost models: the same names whatever the parameters, and registers as many as the Verilog has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.families import FAMILIES, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

UNITS: dict[str, list[dict[str, int]]] = {
    "multiplier": [{"a": 1, "b": 1}, {"a": 5, "b": 1, "b_signed": 0}, {"a": 9, "b": 7}],
    "adder": [{"width": 1}, {"width": 9, "signed": 0}],
    "mac": [{"a": 1, "b": 1, "accumulator": 2}, {"a": 9, "b": 4, "accumulator": 30, "a_signed": 0, "bias": 1}],
    "dot product": [{"lanes": 1, "a": 2, "b": 2}, {"lanes": 5, "a": 8, "b": 3, "accumulator": 20, "b_signed": 0}],
    "barrel shifter": [{"width": 4, "amount_bits": 1}, {"width": 20, "amount_bits": 5, "right": 1, "signed": 1}],
    "cast": [
        {"input": 4, "output": 8, "shift": 0},
        {"input": 40, "output": 8, "shift": 9, "shift_bits": 3, "zero_point": 4, "rounding": 1},
    ],
    "requantiser": [
        {"accumulator": 8, "multiplier": 1, "output": 4, "shift": 3},
        {"accumulator": 24, "multiplier": 16, "output": 8, "shift": 12, "shift_bits": 4, "output_signed": 0},
    ],
    "prelu": [
        {"accumulator": 8, "multiplier": 2, "output": 4, "shift": 3},
        {"accumulator": 20, "multiplier": 9, "output": 8, "shift": 3, "shift_bits": 2},
    ],
    "residual add": [
        {"a": 2, "b": 8, "multiplier": 3, "output": 4, "shift": 3},
        {"a": 8, "b": 8, "multiplier": 12, "output": 8, "shift": 11, "zero_point": -2},
    ],
    "relu": [{"width": 2}, {"width": 31}],
    "table activation": [{"index": 1, "entry": 1}, {"index": 10, "entry": 12}],
    "maximum": [{"inputs": 1, "width": 1, "running": 1}, {"inputs": 3, "width": 8}],
    "thresholds": [{"levels": 1, "width": 4}, {"levels": 31, "width": 20, "signed": 0}],
    "level search": [{"code_bits": 1, "width": 4}, {"code_bits": 9, "width": 12}],
    "width adapter": [{"input": 8, "output": 16}, {"input": 8, "output": 56}, {"input": 24, "output": 8}],
    "fifo": [{"depth": 2, "width": 1}, {"depth": 33, "width": 9}, {"depth": 2000, "width": 36, "memory": 2}],
    "written memory": [{"depth": 2, "width": 1}, {"depth": 300, "width": 9}],
    "minifloat exact product": [{"e_a": 1, "m_a": 0, "e_b": 0, "m_b": 3}, {"e_a": 5, "m_a": 2, "e_b": 4, "m_b": 3}],
    "minifloat rounded product": [{"e": 1, "m": 1}, {"e": 5, "m": 10, "reserved": 1 << 10}],
    "minifloat lane": [
        {"e_a": 1, "m_a": 2, "e_b": 0, "m_b": 3},
        {"e_a": 4, "m_a": 3, "e_b": 5, "m_b": 2, "exact": 1},
    ],
    "minifloat dot product": [
        {"lanes": 1, "e_a": 1, "m_a": 3, "e_b": 1, "m_b": 3},
        {"lanes": 5, "e_a": 4, "m_a": 3, "e_b": 2, "m_b": 1, "accumulator": 40, "bias": 1},
    ],
    "narrow accumulator": [
        {"term": 2, "accumulator": 2},
        {"term": 20, "accumulator": 16, "dropped": 6, "half_even": 1, "saturate": 1, "bias": 1},
    ],
    "align and accumulate": [
        {"bits": 1, "least": 0, "most": 1, "accumulator": 2},
        {"bits": 8, "least": 2, "most": 30, "accumulator": 24, "dropped": 12, "half_even": 1, "saturate": 1},
    ],
    "minifloat multiply-accumulate": [
        {"e_a": 2, "m_a": 0, "e_b": 1, "m_b": 1, "accumulator": 8},
        {"e_a": 4, "m_a": 3, "e_b": 5, "m_b": 2, "accumulator": 24, "dropped": 9, "saturate": 1, "bias": 1},
    ],
    "l-mul": [{"e_a": 1, "m_a": 0, "e_b": 1, "m_b": 0}, {"e_a": 5, "m_a": 2, "e_b": 4, "m_b": 6}],
    "l-mul with flush and saturation": [{"e": 1, "m": 1}, {"e": 8, "m": 7, "reserved": 1}],
    "l-mul lane": [
        {"kind": 0, "e_a": 2, "m_a": 1, "e_b": 3, "m_b": 0},
        {"kind": 1, "e_a": 4, "m_a": 3, "e_b": 5, "m_b": 2, "exact": 1},
        {"kind": 2, "e_a": 4, "m_a": 3, "e_b": 4, "m_b": 3, "reserved": 1},
    ],
    "l-mul dot product": [
        {"lanes": 1, "kind": 2, "e_a": 3, "m_a": 2, "e_b": 3, "m_b": 2},
        {"lanes": 6, "kind": 0, "e_a": 4, "m_a": 3, "e_b": 2, "m_b": 1, "accumulator": 30, "bias": 1},
    ],
    "power-of-two multiplier": [{"width": 1, "places": 1}, {"width": 12, "places": 15, "x_signed": 0}],
    "power-of-two lane": [{"width": 1, "places": 1}, {"width": 12, "places": 15, "x_signed": 0, "exact": 1}],
    "power-of-two dot product": [
        {"lanes": 1, "width": 2, "places": 3},
        {"lanes": 7, "width": 8, "places": 7, "accumulator": 24, "bias": 1},
    ],
    "k-hot multiplier": [{"width": 1, "terms": 2, "places": 1}, {"width": 10, "terms": 5, "places": 9, "x_signed": 0}],
    "binary plane lane": [{"width": 1, "a_signed": 0}, {"width": 9, "exact": 1}],
    "binary plane sum": [{"lanes": 1, "width": 2}, {"lanes": 9, "width": 6, "accumulator": 20, "bias": 1}],
    "binary plane scale": [{"planes": 1, "width": 4, "alpha": 2}, {"planes": 4, "width": 12, "alpha": 8}],
    "codebook multiplier": [{"index": 1, "entry": 2, "width": 1}, {"index": 8, "entry": 12, "width": 9, "x_signed": 0}],
    "minifloat cast": [
        {"bits": 1, "shift": 0, "e": 1, "m": 0},
        {"bits": 40, "shift": 12, "e": 5, "m": 2, "reserved": 4},
    ],
    "minifloat requantiser": [
        {"accumulator": 2, "multiplier_bits": 1, "shift": 0, "e": 1, "m": 1},
        {"accumulator": 24, "multiplier_bits": 16, "shift": 20, "e": 4, "m": 3, "reserved": 1},
    ],
    "block leading one": [{"lanes": 1, "bits": 2}, {"lanes": 33, "bits": 24, "x_signed": 1}],
    "block scale add": [{"scale_a": 1, "scale_b": 2, "largest": 1}, {"scale_a": 8, "scale_b": 10, "largest": 60}],
    "block dot product": [
        {
            "lanes": lanes,
            "e_a": e,
            "m_a": 2,
            "e_b": 0,
            "m_b": 3,
            "scale_a": 8,
            "scale_b": 10,
            "accumulator": 34,
            "output": output,
        }
        for lanes, e, output in ((1, 0, 34), (8, 3, 32))
    ],
    "block output": [
        {"lanes": 1, "bits": 8, "e": 0, "m": 3},
        {"lanes": 4, "bits": 48, "e": 4, "m": 3, "reserved": 1},
    ],
}
"""Small and large units of each family, but for parts of engines, which are whole engines' (`test_engines`)."""
ENGINE_PARTS = {
    "adder tree",
    "accumulator",
    "magnitude",
    "dsp multiplier",
    "packed multiplier",
    "engine control",
    "parameter memory",
    "replay buffer",
    "serialiser",
    "serial window",
    "parallel window",
    "engine",
}

CASES = [(family, parameters) for family, found in UNITS.items() for parameters in found]


def test_every_family_is_here() -> None:
    assert set(UNITS) | ENGINE_PARTS == set(FAMILIES)


@pytest.mark.parametrize("family", UNITS)
def test_names_do_not_depend_on_parameters(family: str) -> None:
    found = [FAMILIES[family].structure(**parameters) for parameters in UNITS[family]]
    assert {frozenset(structure) for structure in found} == {frozenset(found[0])}
    assert all(count >= 0 for structure in found for count in structure.values())


@pytest.mark.parametrize(("family", "parameters"), CASES, ids=str)
def test_structures_take_all_parameters_of_a_unit(family: str, parameters: dict[str, int]) -> None:
    made = unit(family, parameters)
    assert FAMILIES[family].structure(**made.parameters) == FAMILIES[family].structure(**parameters)


@pytest.mark.parametrize(("family", "parameters"), CASES, ids=str)
def test_registers_are_those_of_the_verilog(family: str, parameters: dict[str, int]) -> None:
    made = unit(family, parameters)
    registers = declared_registers(made.verilog)
    if family == "fifo" and not made.parameters["memory"]:
        # The words are in shift registers, which are LUTs.
        registers -= made.parameters["depth"] * made.parameters["width"]
    if made.parameters.get("memory") == 2:
        registers -= made.parameters["width"]  # the block RAM's own
    assert registers == structure_registers(FAMILIES[family].structure(**parameters))


def structure_registers(structure: Mapping[str, float]) -> float:
    return structure.get("register_bits", 0)


def declared_registers(text: str) -> int:
    """Bits of all registers a module declares; memories are arrays and do not count."""
    bits = 0
    for width, names in re.findall(r"^ *reg (?:signed )?(?:\[(\d+):0\] )?([\w, ]+);", text, flags=re.MULTILINE):
        bits += (int(width or 0) + 1) * len(names.split(","))
    return bits
