"""Codes in words: every code of every format against ml_dtypes, and back."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from dse.exports.rtl.codes import Codes, narrowest

MINIFLOATS = {
    "float8_e4m3fn": Codes(bits=8, signed=True, exponent_bits=4, reserved=1),
    "float8_e5m2": Codes(bits=8, signed=True, exponent_bits=5, reserved=4),
    "float6_e3m2fn": Codes(bits=6, signed=True, exponent_bits=3),
    "float6_e2m3fn": Codes(bits=6, signed=True, exponent_bits=2),
    "float4_e2m1fn": Codes(bits=4, signed=True, exponent_bits=2),
    "bfloat16": Codes(bits=16, signed=True, exponent_bits=8, reserved=128),
}


@pytest.mark.parametrize("name", MINIFLOATS)
def test_every_minifloat_is_an_integer_of_its_smallest_number(name: str) -> None:
    codes, kind = MINIFLOATS[name], np.dtype(getattr(ml_dtypes, name))
    places = np.arange(1 << codes.bits).astype(np.uint16 if codes.bits > 8 else np.uint8)
    with np.errstate(invalid="ignore"):
        values = places.view(kind).astype(np.float64)
    finite = np.isfinite(values)
    smallest = values[finite & (values > 0)].min()
    expected = [int(value) for value in (values[finite] / smallest).tolist()]
    assert [codes.integer(int(code)) for code in places[finite]] == expected
    assert (codes.low, codes.high) == (min(expected), max(expected))
    positive_zero = [code for code in places[finite].tolist() if code != 1 << (codes.bits - 1)]
    assert [codes.code(codes.integer(code)) for code in positive_zero] == positive_zero


@pytest.mark.parametrize(
    "codes", [Codes(bits=5, signed=True), Codes(bits=5, signed=False), MINIFLOATS["float6_e3m2fn"]]
)
@pytest.mark.parametrize("lanes", [1, 3])
def test_words_hold_values_the_first_lowest(codes: Codes, lanes: int) -> None:
    values = [codes.integer(code) for code in range(1 << codes.bits) if code != 1 << (codes.bits - 1)]
    rows = np.array(values[: len(values) // 3 * 3]).reshape(3, -1)
    words = codes.words(rows, lanes)
    assert len(words) == rows.size // lanes
    assert words[0] & (1 << codes.bits) - 1 == codes.code(int(rows[0, 0]))
    assert np.array_equal(codes.values(words, lanes), rows.reshape(-1))


def test_what_has_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="17 has no code among"):
        MINIFLOATS["float4_e2m1fn"].code(17)
    with pytest.raises(ValueError, match="5 has no code among"):
        MINIFLOATS["float4_e2m1fn"].code(5)
    with pytest.raises(ValueError, match="-1 has no code among"):
        Codes(bits=4, signed=False).code(-1)


def test_the_narrowest_integers() -> None:
    for bits in range(2, 9):
        half = 1 << (bits - 1)
        assert narrowest([-half, half - 1]) == bits == narrowest([-half]) == narrowest([0, half - 1])
