"""`encode`, `decode` and `cast` of formats with levels: K-hot, codebooks, learned tables."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emulation import cast, decode, encode, parse
from emulation.fitted_tables import fit_table
from emulation.formats import BinaryCoded, Codebook, KHot, LearnedCodebook
from emulation.formats.tables import FP4, NF4
from emulation.rules import Rounding
from emulation.table_casts import levels_of
from kernels.twins import Twin

TWINS = (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS)
LISTED = ("pot3", "upot3", "pot4", "2hot4", "2hot8", "apot2x2", "apot3x2", "khot<0,2,7;1>", "nf4", "fp4")


def table_format(name: str) -> KHot | Codebook:
    number_format = parse(name)
    assert isinstance(number_format, KHot | Codebook)
    return number_format


def nearest(value: Fraction, levels: list[Fraction]) -> Fraction:
    """The rule in words: the nearest level; of two, the one of smaller magnitude; of -a and a, a."""
    return min(levels, key=lambda level: (abs(level - value), abs(level), -level))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LISTED)
def test_every_midpoint_and_its_neighbours(name: str, dtype: Any) -> None:
    number_format = table_format(name)
    levels = [Fraction(level) for level in levels_of(number_format).levels]
    middles = np.array([float((low + high) / 2) for low, high in itertools.pairwise(levels)], dtype)
    points = np.concatenate(
        [middles, np.array([float(level) for level in levels], dtype), np.array([0.0, -0.0], dtype)]
    )
    values = np.concatenate([points, np.nextafter(points, dtype(np.inf)), np.nextafter(points, dtype(-np.inf))])
    expected = [float(nearest(Fraction(value), levels)) for value in values.tolist()]
    for twin in TWINS:
        assert cast(values, number_format, twin=twin).tolist() == expected
        codes = encode(values, number_format, twin=twin)
        assert codes.dtype == (np.uint8 if number_format.width <= 8 else np.uint16)
        assert decode(codes, number_format).tolist() == expected
        tensor = encode(torch.from_numpy(values), number_format, twin=twin)
        assert tensor.tolist() == codes.tolist()
    ends = cast(np.array([-np.inf, np.inf, -1e30, 1e30]), number_format)
    assert ends.tolist() == [float(levels[0]), float(levels[-1])] * 2


@pytest.mark.parametrize("name", LISTED)
def test_every_code_decodes_and_the_least_code_is_written(name: str) -> None:
    number_format = table_format(name)
    listed = number_format.integers if isinstance(number_format, KHot) else number_format.levels
    for code, value in enumerate(listed):
        codes = np.array([code])
        if value is None:
            with pytest.raises(ValueError, match=f"code {code} of {re.escape(name)} means no number"):
                decode(codes, number_format)
            continue
        assert decode(codes, number_format)[0] == value
        assert encode(np.array([float(value)]), number_format)[0] == listed.index(value)


def test_nf4_and_fp4_are_the_published_float32_numbers() -> None:
    for book in (NF4, FP4):
        assert all(float(np.float32(level)) == level for level in book.levels)
    thirds = np.array([0.0, 1 / 192, 2 / 3, 1.0, 1 / 3, 1 / 2, 1 / 6, 1 / 4]).astype(np.float32).astype(float)
    assert FP4.levels[:8] == tuple(thirds.tolist())
    with pytest.raises(ValueError, match="float16 does not hold every level of nf4: use float32"):
        cast(np.float16([1.0]), NF4)


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=20), st.sampled_from(LISTED), st.floats(0.01, 10))
def test_units_scale_levels(values: list[float], name: str, unit: float) -> None:
    number_format = table_format(name)
    array = np.array(values)
    levels = [Fraction(level) for level in levels_of(number_format).levels]
    expected = [float(nearest(Fraction(value), levels)) * unit for value in (array / unit).tolist()]
    assert cast(array, number_format, unit=unit).tolist() == expected
    assert (
        decode(encode(array, number_format, unit=unit), number_format, unit=unit, dtype="float64").tolist() == expected
    )


@pytest.mark.parametrize("name", ["codebook2", "codebook4", "codebook3x5", "bcq1", "bcq3", "bcq4x6"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_learned_tables(name: str, axis: int | None) -> None:
    number_format = parse(name)
    assert isinstance(number_format, LearnedCodebook | BinaryCoded)
    values = np.random.default_rng(4).normal(size=(3, 50, 2)) * np.array([1.0, 5.0, 0.1])[:, None, None]
    table = fit_table(values, number_format, axis=axis)
    channels = 1 if axis is None else values.shape[axis]
    assert table.integers.shape == (channels, 1 << number_format.width)
    assert np.abs(table.integers).max() <= number_format.largest_integer
    quantised = cast(values, number_format, table=table)
    rows = [values] if axis is None else np.moveaxis(values, axis, 0)
    found = [quantised] if axis is None else np.moveaxis(quantised, axis, 0)
    for row, result, integers, unit in zip(rows, found, table.integers, table.units, strict=True):
        levels = [Fraction(int(integer)) for integer in integers]
        expected = [float(nearest(Fraction(value), levels)) * unit for value in (row / unit).reshape(-1).tolist()]
        assert result.reshape(-1).tolist() == expected
    for twin in TWINS:
        codes = encode(values, number_format, table=table, twin=twin)
        assert decode(codes, number_format, table=table, dtype="float64").tobytes() == quantised.tobytes()
        assert (
            cast(torch.from_numpy(values), number_format, table=table, twin=twin).numpy().tobytes()
            == quantised.tobytes()
        )
    if number_format.width > 1:
        assert np.square(quantised - values).mean() < np.square(values).mean() / 2


def test_tables_are_asked_for_by_name() -> None:
    values = np.array([[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=re.escape("codebook4 has no levels of its own: give table=fit_table(values")):
        cast(values, parse("codebook4"))
    with pytest.raises(ValueError, match="channel 1 of 2 holds nothing but zeros: there is no scale to learn for bcq2"):
        fit_table(values, parse("bcq2"))
    table = fit_table(values, parse("codebook2"), axis=None)
    with pytest.raises(ValueError, match="the table was learned for codebook2, the cast is to codebook3"):
        cast(values, parse("codebook3"), table=table)
    with pytest.raises(ValueError, match="the table of codebook2 has units of its own: leave unit out"):
        cast(values, parse("codebook2"), table=table, unit=0.5)
    per_column = fit_table(values, parse("codebook2"), axis=1)
    with pytest.raises(
        ValueError, match=re.escape("the table has 2 channels along axis 1, values of shape (2, 3) have 3")
    ):
        cast(np.ones((2, 3)), parse("codebook2"), table=per_column)
    with pytest.raises(ValueError, match="nf4 has no table to learn: learned formats are codebookN and bcqN"):
        fit_table(values, parse("nf4"))
    with pytest.raises(
        ValueError, match=re.escape("1 of 2 values are NaN, the first at (1,): a table of bcq2 is learned")
    ):
        fit_table(np.array([1.0, np.nan]), parse("bcq2"))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (
            np.ones(2),
            {"rounding": Rounding.FLOOR},
            "go to the nearest level, ties to the smaller magnitude: no rounding",
        ),
        (np.array([1.0, np.nan]), {}, "1 of 2 values are NaN, the first at (1,), and pot4 has no code for NaN"),
    ],
)
def test_bad_input_is_refused(values: np.ndarray, options: dict[str, Any], message: str) -> None:
    for twin in TWINS:
        with pytest.raises(ValueError, match=re.escape(message)):
            cast(values, parse("pot4"), twin=twin, **options)
    assert cast(np.array([1.0, np.nan]), parse("pot4"), nan=3.5).tolist() == [1.0, 4.0]


def test_codes_are_checked() -> None:
    with pytest.raises(ValueError, match=re.escape("codes of pot4 must lie in [0, 15], got 3 to 16")):
        decode(np.array([3, 16]), parse("pot4"))
    with pytest.raises(TypeError, match="codes must be integers, got float32"):
        decode(np.float32([3]), parse("pot4"))
