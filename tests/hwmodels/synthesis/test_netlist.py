"""Counting netlists: hand-made cells whose packing is known."""

from __future__ import annotations

import pytest

from hwmodels.synthesis.netlist import count


def lut(inputs: list[int], output: int) -> dict[str, object]:
    pins = {f"I{index}": [net] for index, net in enumerate(inputs)}
    return {"type": f"LUT{len(inputs)}", "connections": {**pins, "O": [output]}}


def carry(select: list[int | str], data: list[int | str]) -> dict[str, object]:
    ends = {"CI": ["0"], "CYINIT": ["0"], "O": [90, 91, 92, 93], "CO": [94, 95, 96, 97]}
    return {"type": "CARRY4", "connections": {"S": select, "DI": data, **ends}}


def cells(*found: dict[str, object]) -> dict[str, object]:
    return {f"cell{index:02}": cell for index, cell in enumerate(found)}


def test_two_functions_of_five_signals_share_a_site() -> None:
    assert count(cells(lut([1, 2, 3], 10), lut([3, 4, 5], 11))).luts == 1


def test_six_signals_do_not_fit() -> None:
    assert count(cells(lut([1, 2, 3], 10), lut([3, 4, 5, 6], 11))).luts == 2


def test_functions_without_a_common_signal_are_not_paired() -> None:
    assert count(cells(lut([1, 2], 10), lut([3, 4], 11))).luts == 2


def test_a_full_lut_is_alone() -> None:
    assert count(cells(lut([1, 2, 3, 4, 5, 6], 10), lut([1, 2], 11))).luts == 2


def test_a_third_function_needs_a_second_site() -> None:
    assert count(cells(lut([1, 2], 10), lut([1, 3], 11), lut([1, 4], 12))).luts == 2


def test_carry_takes_its_select_and_data_functions() -> None:
    found = count(cells(carry([10, "0", "0", "0"], [11, "0", "0", "0"]), lut([1, 2, 3], 10), lut([3, 4, 5], 11)))
    assert (found.luts, found.lut_cells, found.carry_bits) == (1, 2, 4)


def test_data_function_that_does_not_fit_beside_select_has_its_own_site() -> None:
    found = count(cells(carry([10, "0", "0", "0"], [11, "0", "0", "0"]), lut([1, 2, 3], 10), lut([4, 5, 6], 11)))
    assert found.luts == 2


def test_select_without_function_is_routed_through_a_site() -> None:
    assert count(cells(carry([7, "0", "x", "1"], [8, "0", "x", "0"]))).luts == 1


def test_a_select_shared_by_two_positions_is_repeated() -> None:
    assert count(cells(carry([10, 10, "0", "0"], [1, 2, "0", "0"]), lut([3, 4], 10))).luts == 2


def test_inverters_are_absorbed() -> None:
    inverter = {"type": "INV", "connections": {"I": [1], "O": [20]}}
    assert count(cells(inverter, lut([20, 2, 3], 10), lut([1, 4, 5], 11))).luts == 1


def test_memories_registers_and_hard_blocks() -> None:
    hard = ["RAM32M", "SRL16E", "FDRE", "FDSE", "DSP48E2", "RAMB18E2", "RAMB36E2", "URAM288"]
    found = count(cells(*({"type": kind, "connections": {}} for kind in hard)))
    assert (found.luts, found.memory_luts, found.flip_flops, found.dsps) == (5, 5, 2, 1)
    assert (found.bram18s, found.urams) == (3, 1)


def test_an_unmapped_cell_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"cells that are not counted: \$mul"):
        count(cells({"type": "$mul", "connections": {}}))
