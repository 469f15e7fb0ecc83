"""Casts to listed levels: definition by exact distances, loops and tensors by thresholds; foreign codebooks."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats.tables import FP4, NF4, additive_powers, k_hot, power_of_two
from kernels.compiled import tables as compiled
from kernels.definitions import tables
from kernels.tensors import tables as tensors
from tests.missing_tools import foreign

FP4_LEVELS = sorted(set(FP4.levels))
FP4_CODES = [FP4.levels.index(level) for level in FP4_LEVELS]
LEVELS: dict[str, list[Any]] = {
    "nf4": list(NF4.levels),
    "fp4": FP4_LEVELS,
    "powers of two": list(power_of_two(4).levels),
    "two-hot": list(k_hot(2, 6).levels),
    "apot": list(additive_powers(2, 2).levels),
    "without zero": [-5, -3, -1, 1, 3, 5],
    "two": [-1, 1],
    "one side": [0.1, 0.25, 1e-3 + 1, 7.0],
    "integers of 8 bits": list(range(-128, 128)),
    "tiny": [-1e-310, -5e-324, 0, 5e-324, 1e-320, 1.0],
    "huge": [-1.7e308, -1e300, 0, 1.6e308, 1.7e308],
    "17": list(range(17)),
    "16": list(range(-3, 13)),
}


def inputs(levels: list[Any], dtype: Any) -> np.ndarray:
    """Levels, midpoints as near as floats come, the floats beside both, infinities and random values."""
    middles = [tables.midpoint(low, high) for low, high in itertools.pairwise(levels)]
    with np.errstate(over="ignore"):
        points = np.array([float(point) for point in (*levels, *middles)]).astype(dtype)
        points = np.concatenate([points, *(np.nextafter(points, dtype(end)) for end in (np.inf, -np.inf))])
        spread = np.random.default_rng(0).normal(size=500) * float(max(abs(level) for level in levels))
        points = np.concatenate([points, spread.astype(dtype), np.array([0.0, -0.0, np.inf, -np.inf], dtype)])
    return points[~np.isnan(points)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LEVELS)
def test_twins_take_the_nearest_level(name: str, dtype: Any) -> None:
    """Distances as rationals decide, ties to the smaller magnitude; every midpoint and its neighbours are tried."""
    levels = LEVELS[name]
    if dtype == np.float32 and name in {"tiny", "huge", "one side"}:
        with pytest.raises(ValueError, match="is not exact in float32: use integer levels and a unit, float64 values"):
            compiled.table(levels, dtype)
        with pytest.raises(ValueError, match="is not exact in float32"):
            tensors.table([levels], torch.float32)
        return
    values = inputs(levels, dtype)
    values = values[::5] if len(levels) > 100 else values
    expected = []
    for value in values.tolist():
        if math.isinf(value):
            expected.append(len(levels) - 1 if value > 0 else 0)
        else:
            exact = Fraction(value)
            # At 0 between -a and +a both keys are equal but for the sign: the positive level comes first.
            keys = [(abs(exact - Fraction(level)), abs(level), -level) for level in levels]
            expected.append(keys.index(min(keys)))
    assert [tables.index_of(value, levels) for value in values.tolist()] == expected
    table = compiled.table(levels, dtype)
    codes = compiled.encode(values, table)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, expected)
    wanted = np.array([float(levels[index]) for index in expected], dtype=dtype)
    np.testing.assert_array_equal(compiled.cast(values, table), wanted)
    np.testing.assert_array_equal(compiled.decode(codes, table), wanted)
    own = tensors.table([levels], torch.float32 if dtype == np.float32 else torch.float64)
    tensor = torch.from_numpy(values)
    np.testing.assert_array_equal(tensors.encode(tensor, own).numpy(), codes)
    np.testing.assert_array_equal(tensors.cast(tensor, own).numpy(), wanted)
    np.testing.assert_array_equal(tensors.decode(torch.from_numpy(codes), own).numpy(), wanted)


number = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    levels=st.lists(number, min_size=2, max_size=40, unique_by=lambda level: level + 0.0).map(sorted),
    values=st.lists(number, min_size=1, max_size=20),
)
def test_any_levels_and_values(levels: list[float], values: list[float]) -> None:
    for dtype in (np.float32, np.float64):
        table = compiled.table(levels, dtype)
        indices = compiled.encode(np.array(values, dtype), table).tolist()
        assert indices == [tables.index_of(value, levels) for value in values]
        own = tensors.table([levels], torch.float32 if dtype == np.float32 else torch.float64)
        assert tensors.encode(torch.from_numpy(np.array(values, dtype)), own).tolist() == indices


@given(number=st.fractions(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False).map(Fraction))
def test_the_float_at_most_a_number(number: Fraction) -> None:
    for dtype, kind in (("float32", np.float32), ("float64", np.float64)):
        if abs(number) >= Fraction(float(np.finfo(kind).max)):
            continue
        found = tables.float_at_most(number, dtype)
        assert kind(found) == found
        assert Fraction(found) <= number
        assert Fraction(float(np.nextafter(kind(found), kind(np.inf)))) > number


def test_one_table_for_each_channel() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(5, 3, 7)).astype(np.float32)
    for count in (4, 16, 33):
        levels = np.sort(random.normal(size=(5, count)).astype(np.float32), axis=1)
        table = compiled.table(levels, np.float32)
        cast, codes = compiled.cast(values, table), compiled.encode(values, table)
        for channel in range(5):
            single = compiled.table(levels[channel], np.float32)
            np.testing.assert_array_equal(cast[channel], compiled.cast(values[channel], single))
            np.testing.assert_array_equal(codes[channel], compiled.encode(values[channel], single))
        np.testing.assert_array_equal(compiled.decode(codes, table), cast)
        own = tensors.table(levels.tolist(), torch.float32)
        np.testing.assert_array_equal(tensors.cast(torch.from_numpy(values), own).numpy(), cast)
        np.testing.assert_array_equal(tensors.encode(torch.from_numpy(values), own).numpy(), codes)
        np.testing.assert_array_equal(tensors.decode(torch.from_numpy(codes), own).numpy(), cast)


def test_given_codes_and_layouts() -> None:
    table = compiled.table(FP4_LEVELS, np.float32)
    values = np.asfortranarray(np.random.default_rng(0).normal(size=(6, 50)).astype(np.float32) * 100)
    codes = compiled.encode(values, table, codes=FP4_CODES)
    indices = compiled.encode(values, table)
    np.testing.assert_array_equal(codes, np.array(FP4_CODES)[indices])
    np.testing.assert_array_equal(compiled.decode(codes, table, given=FP4_CODES), compiled.cast(values, table))
    own = tensors.table([FP4_LEVELS], torch.float32)
    on_tensors = tensors.encode(torch.from_numpy(values), own, codes=FP4_CODES)
    np.testing.assert_array_equal(on_tensors.numpy(), codes)
    np.testing.assert_array_equal(
        tensors.decode(on_tensors, own, given=FP4_CODES).numpy(), compiled.cast(values, table)
    )
    out = np.empty(values.shape, np.float32)
    assert compiled.cast(values, table, out=out) is out
    assert compiled.cast(np.empty((0, 3), np.float32), table).shape == (0, 3)
    assert compiled.encode(values, table, codes=range(1000, 1015)).dtype == np.uint16


def test_nf4_equals_torchao() -> None:
    """The levels, of which it writes four decimals, and the nearest of them for 100,000 values."""
    module = foreign("torchao.quantization.quantize_.workflows.nf4.nf4_tensor")
    made = module.NF4Tensor.from_tensor(torch.linspace(-1, 1, 64 * 256), 64, 256)
    np.testing.assert_allclose(made.nf4.numpy(), NF4.levels, atol=5.1e-5)
    values = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, 100_000).astype(np.float32))
    theirs = module.NF4Tensor.quantize_tensor_nearest(values, torch.tensor(NF4.levels))
    ours = compiled.encode(values.numpy(), compiled.table(NF4.levels, np.float32))
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_errors() -> None:
    table = compiled.table([-1, 1, 4], np.float32)
    own = tensors.table([[-1, 1, 4]], torch.float32)
    values = np.array([[0.0, np.nan], [np.nan, 1.0]], np.float32)
    for call in (
        lambda: compiled.cast(values, table),
        lambda: compiled.encode(values, table),
        lambda: tensors.cast(torch.from_numpy(values), own),
    ):
        with pytest.raises(ValueError, match=r"2 of 4 values are NaN, the first at \(0, 1\): a table has"):
            call()
    with pytest.raises(ValueError, match="a table has no level for NaN"):
        tables.index_of(math.nan, [0, 1])
    for levels, message in (
        ([1], "a table needs at least 2 levels, got 1"),
        ([0, math.inf], "levels must be finite, got inf at position 1"),
        ([0, 1, 1], "levels must ascend strictly, got 1 before 1 at position 2"),
        ([0.0, -0.0], r"got 0\.0 before -0\.0 at position 1"),
    ):
        with pytest.raises(ValueError, match=message):
            tables.check_levels(levels)
    with pytest.raises(ValueError, match=r"all tables need the same number of levels, got \[2, 3\]"):
        compiled.table([[0, 1], [0, 1, 2]], np.float32)
    with pytest.raises(ValueError, match="tables hold float32 or float64 values, got int32"):
        compiled.table([0, 1], np.int32)
    with pytest.raises(ValueError, match="the table was made for float32 values, got float64"):
        compiled.cast(np.zeros(3), table)
    with pytest.raises(ValueError, match=r"3 tables need values of shape \(3, ...\), got \(2, 2\)"):
        compiled.cast(np.zeros((2, 2)), compiled.table([[0, 1]] * 3, np.float64))
    with pytest.raises(ValueError, match=r"3 levels need 3 different codes from 0 to 65535, got \[1, 1, 2\]"):
        compiled.encode(np.zeros(2, np.float32), table, codes=[1, 1, 2])
    for decode, codes, made in (
        (compiled.decode, np.array([0, 3], np.uint8), table),
        (tensors.decode, torch.tensor([0, 3]), own),
    ):
        with pytest.raises(ValueError, match="code 3 belongs to none of the 3 levels"):
            decode(codes, made)
    with pytest.raises(ValueError, match=r"out must be contiguous, float32 of shape \(2,\), got float64 of \(2,\)"):
        compiled.cast(np.zeros(2, np.float32), table, out=np.zeros(2))
