"""Integer-only functions by Triton kernels, interpreted, against the definitions on Python integers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.definitions import integer_functions as definition
from kernels.gpu import integer_functions, launching
from kernels.integer_constants import SAFE_BITS, gelu_fields, layer_norm_fields, softmax_fields
from kernels.tensors import integer_functions as tensors
from tests.kernels.test_integer_functions import INPUTS, rows_of

LENGTHS = (1, 2, 10, 197)


def test_square_roots() -> None:
    random = np.random.default_rng(1)
    roots = np.concatenate([random.integers(1, 1 << 31, 20_000), 1 << np.arange(32), (1 << np.arange(1, 32)) - 1])
    squares = np.concatenate([roots * roots + change for change in (-1, 0, 1)])
    values = np.concatenate([np.arange(1 << 16), squares, [(1 << 63) - 1, (1 << 63) - 2, 3037000499**2]])
    expected = [math.isqrt(value) for value in values.tolist()]
    assert integer_functions.integer_square_root(torch.from_numpy(values)).tolist() == expected


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
@pytest.mark.parametrize("length", LENGTHS)
def test_softmax_equals_the_definition(unit: Fraction, magnitude: int, length: int) -> None:
    fields = softmax_fields(unit, length=length, magnitude=magnitude)
    rows = rows_of(2, 60, length, magnitude)
    if fields.widest_bits > SAFE_BITS:
        with pytest.raises(ValueError, match=f"need intermediates of {fields.widest_bits} bits, but tensors hold 62"):
            integer_functions.integer_softmax(torch.from_numpy(rows), fields)
        return
    expected = [definition.integer_softmax(row, fields) for row in rows.tolist()]
    assert integer_functions.integer_softmax(torch.from_numpy(rows), fields).tolist() == expected


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(1e-5)])
def test_layer_norm_equals_the_definition(unit: Fraction, magnitude: int, length: int, epsilon: Fraction) -> None:
    fields = layer_norm_fields(unit, length=length, magnitude=magnitude, epsilon=epsilon)
    rows = rows_of(4, 60, length, magnitude)
    if fields.widest_bits > SAFE_BITS:
        with pytest.raises(ValueError, match=f"need intermediates of {fields.widest_bits} bits, but tensors hold 62"):
            integer_functions.integer_layer_norm(torch.from_numpy(rows), fields)
        return
    expected = [definition.integer_layer_norm(row, fields) for row in rows.tolist()]
    assert integer_functions.integer_layer_norm(torch.from_numpy(rows), fields).tolist() == expected


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
def test_gelu_equals_the_definition(unit: Fraction, magnitude: int) -> None:
    fields = gelu_fields(unit, magnitude=magnitude)
    values = np.unique(np.concatenate([rows_of(6, 40, 50, magnitude).reshape(-1), [0, 1, -1]]))
    if fields.widest_bits > SAFE_BITS:
        with pytest.raises(ValueError, match=f"need intermediates of {fields.widest_bits} bits, but tensors hold 62"):
            integer_functions.integer_gelu(torch.from_numpy(values), fields)
        return
    expected = [definition.integer_gelu(value, fields) for value in values.tolist()]
    assert integer_functions.integer_gelu(torch.from_numpy(values), fields).tolist() == expected


def test_differences_beyond_the_lowest_do_not_overflow() -> None:
    """Shifted to the polynomial's unit, these would need 64 bits and more: they are cut off before."""
    fields = softmax_fields(Fraction(1), length=3, magnitude=1 << 52)
    assert fields.shift == 12
    rows = [[1 << 52, -(1 << 52), 0], [3, 5, -(1 << 51)], [-(1 << 52), 1 - (1 << 52), 4 - (1 << 52)]]
    expected = [definition.integer_softmax(row, fields) for row in rows]
    for twin in (integer_functions, tensors):
        assert twin.integer_softmax(torch.tensor(rows), fields).tolist() == expected


def test_rows_longer_than_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's program has 1,024 values, and rows are walked in pieces of so many; here a piece has 16."""
    monkeypatch.setattr("kernels.gpu.integer_functions.INTERPRETED_BLOCK", 16)
    rows = rows_of(3, 9, 197, 128)
    softmax = softmax_fields(Fraction(1, 16), length=197, magnitude=128)
    norm = layer_norm_fields(Fraction(1, 16), length=197, magnitude=128, epsilon=Fraction(1))
    tensor = torch.from_numpy(rows)
    expected = [definition.integer_softmax(row, softmax) for row in rows.tolist()]
    assert integer_functions.integer_softmax(tensor, softmax).tolist() == expected
    expected = [definition.integer_layer_norm(row, norm) for row in rows.tolist()]
    assert integer_functions.integer_layer_norm(tensor, norm).tolist() == expected


@settings(max_examples=40)
@given(
    unit=st.fractions(Fraction(1, 1 << 20), 64),
    row=st.lists(st.integers(-(1 << 17), 1 << 17), min_size=1, max_size=20),
    epsilon=st.fractions(0, 10),
)
def test_any_unit(unit: Fraction, row: list[int], epsilon: Fraction) -> None:
    magnitude = max(*map(abs, row), 1)
    softmax = softmax_fields(unit, length=len(row), magnitude=magnitude)
    norm = layer_norm_fields(unit, length=len(row), magnitude=magnitude, epsilon=epsilon)
    gelu = gelu_fields(unit, magnitude=magnitude)
    cases: list[tuple[str, Any, Any]] = [
        ("integer_softmax", softmax, definition.integer_softmax),
        ("integer_layer_norm", norm, definition.integer_layer_norm),
        ("integer_gelu", gelu, lambda values, fields: [definition.integer_gelu(value, fields) for value in values]),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        for name, fields, rule in cases:
            if fields.widest_bits <= SAFE_BITS:
                assert getattr(integer_functions, name)(torch.tensor(row), fields).tolist() == rule(row, fields)


@pytest.mark.parametrize("count", [1, 2, 7, 16, 17, 255])
def test_tables_by_integers(count: int) -> None:
    random = np.random.default_rng(count)
    integers = np.sort(random.choice(5000, count, replace=False) - 2500)
    entries = random.integers(-(1 << 40), 1 << 40, count)
    values = random.choice(integers, (3, 50))
    table = dict(zip(integers.tolist(), entries.tolist(), strict=True))
    found = integer_functions.look_up(*map(torch.from_numpy, (values, integers, entries)))
    assert found.tolist() == [[table[value] for value in row] for row in values.tolist()]
    for value in {-2501, 2500, *(integers[::32] + 1).tolist()} - set(integers.tolist()):
        with pytest.raises(ValueError, match=f"1 values are no input of the table, the first is {value}"):
            integer_functions.look_up(torch.tensor([integers[0], value]), *map(torch.from_numpy, (integers, entries)))


def test_shapes_are_kept() -> None:
    fields = softmax_fields(Fraction(1, 8), length=5, magnitude=100)
    cube = torch.from_numpy(rows_of(7, 24, 5, 100)).reshape(2, 3, 4, 5)
    result = integer_functions.integer_softmax(cube, fields)
    assert result.shape == (2, 3, 4, 5)
    across = cube.permute(2, 0, 1, 3)
    assert torch.equal(integer_functions.integer_softmax(across, fields), result.permute(2, 0, 1, 3))
    assert integer_functions.integer_softmax(cube[:0], fields).shape == (0, 3, 4, 5)
    gelu = gelu_fields(Fraction(1), magnitude=100)
    assert integer_functions.integer_gelu(cube[:, :0], gelu).shape == (2, 0, 4, 5)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert integer_functions.look_up(nothing, nothing, nothing).shape == (0,)


SOFTMAX = softmax_fields(Fraction(1), length=3, magnitude=7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: integer_functions.integer_softmax(torch.tensor([[1, 2]]), SOFTMAX),
            r"the constants are for rows of 3 values, got a tensor of shape \(1, 2\)",
        ),
        (
            lambda: integer_functions.integer_softmax(torch.tensor([[1, 2, -8]]), SOFTMAX),
            "the constants allow magnitudes up to 7, got 8",
        ),
        (
            lambda: integer_functions.integer_gelu(torch.ones(3), gelu_fields(Fraction(1), magnitude=7)),
            r"take tensors of torch\.int64, got torch\.float32: convert them first",
        ),
        (
            lambda: integer_functions.integer_square_root(torch.tensor([4, -1])),
            "a square root needs numbers of at least 0, got -1",
        ),
        (
            lambda: integer_functions.look_up(torch.tensor([4]), *[torch.zeros(0, dtype=torch.int64)] * 2),
            "1 values are no input of the table, the first is 4",
        ),
    ],
)
def test_errors_say_what_was_given(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_without_the_interpreter_a_device_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    assert not launching.interpreting()
    with pytest.raises(ValueError, match="Triton kernels run on CUDA tensors, got a tensor on cpu"):
        integer_functions.integer_softmax(torch.tensor([[1, 2, 3]]), SOFTMAX)
