"""Levels of K-hot formats and codebooks against their published definitions, and the integers of codebooks."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats import Codebook, KHot, TermSigns
from emulation.formats.tables import FP4, NF4, additive_powers, k_hot, power_of_two


def test_nf4_are_normal_quantiles() -> None:
    """The construction of the paper: 8 and 7 quantiles on either side of zero, scaled to 1 (offset as published)."""
    offset = 0.9677083
    normal = statistics.NormalDist()
    positive = [normal.inv_cdf(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    negative = [-normal.inv_cdf(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    levels = np.array(sorted([*positive, 0.0, *negative])) / max(positive)
    np.testing.assert_allclose(levels, NF4.levels, atol=2e-7)
    assert all(float(np.float32(level)) == level for level in NF4.levels)


def test_fp4_of_bitsandbytes() -> None:
    """Code by code: its comments give 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 for codes 0 to 7, and a sign bit."""
    published = [0, Fraction(1, 192), Fraction(2, 3), 1, Fraction(1, 3), Fraction(1, 2), Fraction(1, 6), Fraction(1, 4)]
    for code, value in enumerate(published):
        assert FP4.levels[code] == float(np.float32(float(value)))
        assert FP4.levels[code + 8] == -FP4.levels[code]


@pytest.mark.parametrize(("terms", "exponents"), [(1, 1), (1, 8), (2, 2), (2, 6), (3, 3), (2, 31)])
def test_k_hot_levels_are_all_sums_of_signed_powers(terms: int, exponents: int) -> None:
    choices = [0, *(sign << place for place in range(exponents) for sign in (1, -1))]
    sums = {sum(parts) for parts in itertools.combinations_with_replacement(choices, terms)}
    number_format = k_hot(terms, exponents)
    assert number_format.levels == tuple(sorted(sums))
    if terms == 1 and number_format.width == 5:
        assert number_format.levels == KHot(terms=(tuple(range(exponents)),)).levels


def product_by_shifts(integer: int, code: int, number_format: KHot) -> int:
    """What hardware does with the fields of a code: one shift per term that is present, signs, additions."""
    assert number_format.signs in (TermSigns.COMMON, TermSigns.EACH)
    total, own_sign = 0, number_format.signs is TermSigns.EACH
    for term in reversed(number_format.terms):
        bits = len(term).bit_length()
        slot, code = code & ((1 << bits) - 1), code >> bits
        shifted = integer << term[slot - 1] if slot else 0
        if own_sign:
            shifted, code = (-shifted if code & 1 else shifted), code >> 1
        total += shifted
    return -total if code else total


@pytest.mark.parametrize(
    "number_format",
    [power_of_two(3), power_of_two(6), k_hot(2, 3), k_hot(3, 3), additive_powers(2, 2), additive_powers(3, 2)],
    ids=str,
)
def test_the_fields_of_a_code_shift_and_add_to_its_product(number_format: KHot) -> None:
    for code, meaning in enumerate(number_format.integers):
        for integer in (-129, -1, 0, 1, 77):
            assert meaning is not None
            assert product_by_shifts(integer, code, number_format) == meaning * integer


def test_apot_levels_of_the_paper() -> None:
    """4 bits without a sign, two terms: the sets {0, 1, 1/4, 1/16} and {0, 1/2, 1/8, 1/32} of the paper's example."""
    first, second = (0, 1, Fraction(1, 4), Fraction(1, 16)), (0, Fraction(1, 2), Fraction(1, 8), Fraction(1, 32))
    expected = sorted({a + b for a in first for b in second})
    levels = additive_powers(2, 2).levels
    assert [level * Fraction(1, 32) for level in levels if level >= 0] == expected
    assert len(expected) == 16
    assert levels == tuple(-level for level in reversed(levels))
    assert additive_powers(2, 2, TermSigns.NONE).levels == levels[15:]


@pytest.mark.parametrize(("terms", "bits"), [(1, 3), (2, 1), (2, 3), (3, 2), (5, 2)])
def test_apot_levels_by_equation_5(terms: int, bits: int) -> None:
    """Term i of n is 0 or 2**-(i + j n) for j from 0 to 2**k - 2 (Li et al., ICLR 2020), here over the least power."""
    least = (terms - 1) + ((1 << bits) - 2) * terms
    choices = [
        [0, *(Fraction(1, 2 ** (term + step * terms)) for step in range((1 << bits) - 1))] for term in range(terms)
    ]
    magnitudes = {sum(parts, Fraction(0)) * 2**least for parts in itertools.product(*choices)}
    assert set(additive_powers(terms, bits).levels) == magnitudes | {-magnitude for magnitude in magnitudes}
    if terms == 1:
        assert additive_powers(1, bits).levels == power_of_two(bits + 1).levels


levels = st.lists(
    st.floats(-1e6, 1e6) | st.fractions(-9, 9, max_denominator=99).map(float), min_size=8, max_size=8
).filter(any)


@given(levels=levels, entry_bits=st.integers(2, 16))
def test_the_integers_of_a_codebook_are_the_nearest(levels: list[float], entry_bits: int) -> None:
    """In units of the largest magnitude over full scale, exactly, ties to the even integer."""
    full = (1 << (entry_bits - 1)) - 1
    unit = Fraction(max(map(abs, levels))) / full
    integers = Codebook(name="any", levels=tuple(levels), entry_bits=entry_bits).integers
    for integer, level in zip(integers, levels, strict=True):
        distance = abs(integer * unit - Fraction(level))
        assert distance < unit / 2 or (distance == unit / 2 and integer % 2 == 0)


def test_full_scale_of_codebooks() -> None:
    for book, bits in itertools.product((NF4, FP4), range(2, 17)):
        integers = dataclasses.replace(book, entry_bits=bits).integers
        assert (min(integers), max(integers)) == (-(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1)
    # Halves are ties, to the even integer; the float after a half is none.
    halves = Codebook(name="halves", levels=(1.0, 0.5, -0.5, math.nextafter(0.5, 1)), entry_bits=2)
    assert halves.integers == (1, 0, 0, 1)
