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
}
"""Small and large units of each family."""

CASES = [(family, parameters) for family, found in UNITS.items() for parameters in found]


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
    registers = declared_registers(made.text)
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
    for width, names in re.findall(r"^ *reg (?:\[(\d+):0\] )?([\w, ]+);", text, flags=re.MULTILINE):
        bits += (int(width or 0) + 1) * len(names.split(","))
    return bits
