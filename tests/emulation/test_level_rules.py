"""Levels: sums of powers of two, codebooks, and tables learned from weights."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.calibration import EdgeRange, scale_edge, scale_weights
from emulation.catalogue import parse
from emulation.codes import code_in_table, code_of, integer_of
from emulation.formats import BinaryCoded, Codebook, KHot, LearnedCodebook
from emulation.grids import grid_of
from emulation.hardware import Requantiser
from emulation.level_casts import cast_to_levels
from emulation.network import Layer, Linear
from emulation.quantisers import AbsoluteMaximum, Granularity, Quantiser, Scaling, ZeroChannels
from emulation.reference_codes import nearest_level
from emulation.requantisation import requantise_tensor
from emulation.rules import Rounding
from emulation.table_fitting import learn_table
from kernels.definitions.codebooks import optimal_levels

NAMES = ("pot3", "pot6", "upot4", "2hot5", "apot2x2", "apot3x2", "nf4", "fp4")


def by_comparison(number: Fraction, levels: tuple[int, ...]) -> int:
    """The rule in words: nearest; of two equally near the smaller magnitude, of ``-a`` and ``a`` the positive one."""
    distance = min(abs(level - number) for level in levels)
    tied = [level for level in levels if abs(level - number) == distance]
    least = min(map(abs, tied))
    return max(level for level in tied if abs(level) == least)


@pytest.mark.parametrize("name", NAMES)
def test_every_midpoint_and_its_neighbours(name: str) -> None:
    levels = grid_of(parse(name)).levels
    assert levels is not None
    middles = np.array([(low + high) / 2 for low, high in itertools.pairwise(levels)])
    numbers = np.concatenate([middles, np.nextafter(middles, 1e9), np.nextafter(middles, -1e9), levels, [1e9, -1e9]])
    result = cast_to_levels(numbers, np.ones(1), [np.array(levels)])
    for number, level in zip(numbers.tolist(), result.tolist(), strict=True):
        assert level == by_comparison(Fraction(number), levels) == nearest_level(Fraction(number), levels)


@given(
    st.sets(st.integers(-(2**40), 2**40), min_size=2, max_size=17),
    st.lists(st.integers(-(2**61), 2**61) | st.integers(-99, 99), min_size=1, max_size=8),
    st.integers(-20, 70),
    st.integers(0, 3),
)
def test_requantising_to_any_levels(found: set[int], accumulators: list[int], shift: int, multiplier: int) -> None:
    levels = tuple(sorted(found))
    rule = Requantiser(
        multipliers=(multiplier,),
        negative_multipliers=None,
        shift=shift,
        low=levels[0],
        high=levels[-1],
        mantissa_bits=-1,
        rounding=Rounding.HALF_EVEN,
        levels=levels,
    )
    fast = requantise_tensor(rule, np.array([accumulators], dtype=np.int64), channel_axis=-1)
    exact = [Fraction(number * multiplier) / Fraction(2) ** shift for number in accumulators]
    assert fast[0].tolist() == [by_comparison(number, levels) for number in exact]


@pytest.mark.parametrize("name", NAMES)
def test_codes_of_levels(name: str) -> None:
    number_format = parse(name)
    levels = grid_of(number_format).levels or ()
    assert [integer_of(code_of(level, number_format), number_format) for level in levels] == list(levels)
    with pytest.raises(ValueError, match=r"has no code in"):
        code_of(max(levels) + 1, number_format)


def test_a_spare_code_means_nothing() -> None:
    number_format = KHot(terms=((0, 1),))
    with pytest.raises(ValueError, match=r"code 0x3 of khot.* names no exponent"):
        integer_of(3, number_format)
    with pytest.raises(ValueError, match=r"codes of codebook3 mean what each tensor's own table says"):
        integer_of(3, parse("codebook3"))


def test_the_integers_of_nf4() -> None:
    """Full scale is 127; each entry is the published level times 127, half to even."""
    nf4 = parse("nf4")
    assert isinstance(nf4, Codebook)
    assert nf4.integers == tuple(round(level * 127) for level in nf4.levels)
    assert (nf4.integers[0], nf4.integers[7], nf4.integers[15]) == (-127, 0, 127)


@pytest.mark.parametrize("name", ["pot4", "apot2x2", "nf4", "3hot4"])
def test_the_largest_level_covers_the_range(name: str) -> None:
    values = np.array([0.5, -6.0, 3.0], dtype=np.float32)
    edge_range = EdgeRange(minimum=-6.0, maximum=3.0, values=values)
    scaling = Scaling(range_rule=AbsoluteMaximum())
    exact = scale_edge(Quantiser(format=parse(name), scaling=scaling), edge_range)
    assert exact.cast(values).min() == -6.0
    searched = scale_edge(Quantiser(format=parse(name)), edge_range)
    error, least = (np.square(one.cast(values) - values).mean() for one in (exact, searched))
    assert least <= error


def weights(random: np.random.Generator) -> Layer:
    values = random.normal(size=(6, 40)) * random.uniform(0.1, 3, (6, 1))
    return Layer(name="fc", operation=Linear(), inputs=("x",), shape=(6,), weight=values)


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("name", ["codebook2", "codebook3x6", "codebook4", "bcq1", "bcq2", "bcq3x6", "bcq4"])
def test_learned_tables_of_weights(name: str, granularity: Granularity) -> None:
    layer, number_format = weights(np.random.default_rng(0)), parse(name)
    assert layer.weight is not None
    assert isinstance(number_format, LearnedCodebook | BinaryCoded)
    quantiser = scale_weights(Quantiser(format=number_format, scaling=Scaling(granularity=granularity)), layer)
    rows = 6 if granularity is Granularity.CHANNEL else 1
    assert quantiser.tables is not None
    assert quantiser.tables.shape == (rows, 1 << number_format.width)
    assert quantiser.unit.shape == (rows,)
    assert np.abs(quantiser.tables).max() <= number_format.largest_integer
    integers = quantiser.integers(layer.weight)
    for row in range(6):
        table = quantiser.tables[row % rows]
        unit = quantiser.unit[row % rows]
        nearest = [by_comparison(Fraction(w / unit), tuple(set(table.tolist()))) for w in layer.weight[row].tolist()]
        assert integers[row].tolist() == nearest
        assert all(table[code_in_table(v, table.tolist(), "the table")] == v for v in nearest)


@pytest.mark.parametrize("planes", [1, 2, 3, 5])
def test_binary_codes_are_sums_of_signed_coefficients(planes: int) -> None:
    values = np.random.default_rng(planes).normal(size=300)
    unit, table = learn_table(values, BinaryCoded(planes=planes))
    full = table[-1]
    alphas = [(full - table[-1 - (1 << plane)]) // 2 for plane in range(planes)]
    assert full == sum(alphas) <= 127
    for code, level in enumerate(table.tolist()):
        assert level == sum(alpha if code >> plane & 1 else -alpha for plane, alpha in enumerate(alphas))
    nearest = table[np.abs(values[:, None] / unit - table).argmin(axis=1)] * unit
    greedy = np.sign(values) * np.abs(values).mean()
    assert np.square(nearest - values).mean() <= np.square(greedy - values).mean() * 1.001


@pytest.mark.parametrize("name", ["codebook4", "codebook1", "bcq3", "bcq8x12"])
@pytest.mark.parametrize("scale", [1.0, 2.0**-900, 2.0**900])
def test_tables_scale_with_their_values(name: str, scale: float) -> None:
    """Powers of two change the unit only, also where squares of the values leave float64's range."""
    number_format = parse(name)
    assert isinstance(number_format, LearnedCodebook | BinaryCoded)
    values = np.random.default_rng(8).normal(size=(3, 50))
    unit, table = learn_table(values, number_format)
    scaled_unit, scaled_table = learn_table(values * scale, number_format)
    assert scaled_unit == unit * scale
    assert scaled_table.tolist() == table.tolist()


def test_codebooks_of_few_different_values_hold_them() -> None:
    """More codes than values: the last codes mean the largest one too."""
    unit, table = learn_table(np.array([0.5, -0.25, 0.5, 0.0]), LearnedCodebook(index_bits=3))
    assert table.tolist() == [-64, 0, *([127] * 6)]
    assert unit == 0.5 / 127
    unit, table = learn_table(np.full(4, -3.0), LearnedCodebook(index_bits=1))
    assert (unit, table.tolist()) == (3 / 127, [-127, -127])
    unit, table = learn_table(np.full(4, -3.0), BinaryCoded(planes=2))
    assert table.tolist() == [-127, 127, -127, 127]


def test_a_codebook_of_hardware_mode_is_near_the_best_one() -> None:
    """The optimum of 60 values in rationals, rounded to 8 bits: the fit loses no more than that rounding."""
    values = np.random.default_rng(9).standard_t(3, size=60)
    best = [float(level) for level in optimal_levels(values.tolist(), 8)]
    _, table = learn_table(values, LearnedCodebook(index_bits=3))
    assert table.tolist() == [round(level / (max(map(abs, best)) / 127)) for level in best]


def test_a_codebook_beats_equal_steps() -> None:
    """Weights in four clusters: a 2-bit codebook finds them, a 2-bit integer cannot."""
    random = np.random.default_rng(5)
    values = random.choice([-1.0, -0.1, 0.05, 0.6], 200) + random.normal(size=200) * 1e-3
    unit, table = learn_table(values, LearnedCodebook(index_bits=2))
    np.testing.assert_allclose(table * unit, [-1.0, -0.1, 0.05, 0.6], atol=0.01)


def test_channels_of_zeros_have_empty_tables() -> None:
    layer = weights(np.random.default_rng(1))
    assert layer.weight is not None
    layer.weight[2] = 0
    scaling = Scaling(granularity=Granularity.CHANNEL, zero_channels=ZeroChannels.KEEP)
    quantiser = scale_weights(Quantiser(format=parse("bcq2"), scaling=scaling), layer)
    assert quantiser.integers(layer.weight)[2].tolist() == [0] * 40
    refused = Quantiser(format=parse("bcq2"), scaling=Scaling(granularity=Granularity.CHANNEL))
    with pytest.raises(ValueError, match="all weights of output channel 2 of layer 'fc'"):
        scale_weights(refused, layer)


@pytest.mark.parametrize("name", ["codebook4", "bcq2"])
def test_learned_levels_are_for_weights(name: str) -> None:
    edge_range = EdgeRange(minimum=0.0, maximum=1.0, values=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="learns its levels from the values it codes, so it is for weights"):
        scale_edge(Quantiser(format=parse(name)), edge_range)


def test_an_edge_needs_a_zero_among_its_levels(build: Any) -> None:
    graph = build.Graph((2,))
    name = graph.linear("input", np.eye(2))
    levels = Codebook(name="no_zero", levels=(-1.0, 1.0))
    edges = {"input": build.scaled(levels, 1.0), name: build.scaled(parse("int8"), 1.0)}
    with pytest.raises(ValueError, match=r"the edge of layer 'input' cannot be .*no_zero.* need a 0 for padding"):
        build.lower(graph.network(), edges, {name: build.scaled(parse("int8"), 1.0)})
