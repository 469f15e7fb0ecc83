"""Fixed point against foreign implementations: the ap_types headers compiled with g++, and APyTypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from apytypes import APyFixedArray, OverflowMode, QuantizationMode

from kernels.compiled import fixed
from kernels.definitions.fixed import encode_scalar
from kernels.fields import OVERFLOW_SATURATE, OVERFLOW_SATURATE_SYMMETRIC, OVERFLOW_WRAP, FixedFields
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    TOWARD_ZERO,
)
from tests.kernels.ap_types import ApType, all_modes, cast_by_headers
from tests.kernels.twins import interesting_values

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APYTYPES_ROUNDINGS = {
    HALF_EVEN: QuantizationMode.TIES_EVEN,
    HALF_UP: QuantizationMode.TIES_POS,
    HALF_AWAY: QuantizationMode.TIES_AWAY,
    FLOOR: QuantizationMode.TO_NEG,
    CEILING: QuantizationMode.TO_POS,
    TOWARD_ZERO: QuantizationMode.TO_ZERO,
    HALF_DOWN: QuantizationMode.TIES_NEG,
    HALF_TOWARD_ZERO: QuantizationMode.TIES_ZERO,
}
REDUCED = [ApType(FixedFields(5, 2, 1), *rest) for _, *rest in all_modes(FixedFields(5, 2, 1))][::2]
FULL_FORMATS = [
    FixedFields(1, 0, 1),
    FixedFields(2, 1, 1),
    FixedFields(5, 2, 1),
    FixedFields(4, 6, 1),
    FixedFields(6, -2, 1),
    FixedFields(24, 10, 1),
    FixedFields(63, 30, 1),
    FixedFields(64, 20, 1),
    FixedFields(1, 1, 0),
    FixedFields(4, 1, 0),
    FixedFields(7, 9, 0),
    FixedFields(33, 16, 0),
    FixedFields(64, 32, 0),
]


def every_source(fields: FixedFields) -> np.ndarray:
    """Multiples of a sixteenth of the spacing over four times the range, and values far beyond."""
    spacing = 2.0**-fields.fraction_bits
    random = np.random.default_rng(fields.width)
    span = 4 << min(fields.width, 6)
    dense = np.arange(-16 * span, 16 * span + 1) * (spacing / 16)
    wide = np.ldexp(random.normal(size=400), random.integers(-6, fields.width + 4, 400)) * spacing
    far = np.ldexp(random.integers(-(2**20), 2**20, 200) / 2.0**7, random.integers(0, fields.width + 6, 200)) * spacing
    special = interesting_values(fields, np.float64)
    special = special[np.isfinite(special)]
    # The headers convert numbers of the order of the format; ends of the double range are judged by the definition.
    special = special[(np.abs(special) < spacing * 2.0**80) & ((np.abs(special) > spacing * 2.0**-40) | (special == 0))]
    return np.concatenate([dense, wide, far, special])


def judge(types: list[ApType], compiler: Path, folder: Path) -> int:
    """Compare our codes with the headers' in every type; the number of values compared."""
    compared = 0
    for fields in dict.fromkeys(kind.fields for kind in types):
        values = every_source(fields)
        chosen = [kind for kind in types if kind.fields == fields]
        for kind, expected in cast_by_headers(compiler, folder, chosen, values).items():
            options = {"rounding": kind.rounding, "overflow": kind.overflow, "saturation_bits": kind.saturation_bits}
            codes = fixed.encode(values, fields, **options)
            wrong = np.flatnonzero(codes != expected)
            assert not wrong.size, (str(kind), [(values[i], hex(codes[i]), hex(expected[i])) for i in wrong[:5]])
            # The definition itself, too, not by way of its twin.
            for index in range(0, values.size, 97):
                assert encode_scalar(float(values[index]), fields, **options) == expected[index], (str(kind), index)
            compared += values.size
    return compared


def test_modes_equal_the_ap_types_headers(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Every second combination of modes of one format."""
    assert judge(REDUCED, tool("g++"), tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("fields", FULL_FORMATS, ids=str)
def test_all_modes_and_widths_equal_the_ap_types_headers(
    fields: FixedFields, tool: Callable[[str], Path], tmp_path: Path
) -> None:
    assert judge(all_modes(fields), tool("g++"), tmp_path) > 40_000


@pytest.mark.parametrize(
    ("overflow", "foreign_overflow"), [(OVERFLOW_SATURATE, OverflowMode.SAT), (OVERFLOW_WRAP, OverflowMode.WRAP)]
)
@pytest.mark.parametrize("rounding", APYTYPES_ROUNDINGS)
@pytest.mark.parametrize(
    "fields", [FixedFields(8, 4, 1), FixedFields(6, 0, 1), FixedFields(3, 2, 1), FixedFields(9, -3, 1)], ids=str
)
def test_casts_equal_apytypes(
    fields: FixedFields, rounding: int, overflow: int, foreign_overflow: OverflowMode
) -> None:
    """Every 14-bit source with 10 fraction bits, shifted into the format's range."""
    sources = np.arange(-(1 << 13), 1 << 13)
    lift = 4 - fields.fraction_bits
    foreign = APyFixedArray([int(code) for code in sources], int_bits=4 + lift, frac_bits=10 - lift).cast(
        int_bits=fields.width - fields.fraction_bits,
        frac_bits=fields.fraction_bits,
        quantization=APYTYPES_ROUNDINGS[rounding],
        overflow=foreign_overflow,
    )
    mask = (1 << fields.width) - 1
    expected = np.array([int(bits) & mask for bits in foreign.to_bits()])
    values = np.ldexp(sources.astype(np.float32), lift - 10)
    codes = fixed.encode(values, fields, rounding=rounding, overflow=overflow)
    np.testing.assert_array_equal(codes, expected)


def test_one_bit_has_no_symmetric_range() -> None:
    """ap_fixed<1, 1> keeps -1 under AP_SAT_SYM, which the sentence "plus and minus the largest" does not give."""
    codes = fixed.encode(
        np.array([-3.0, -1.0, -0.2, 0.7, 5.0]), FixedFields(1, 0, 1), overflow=OVERFLOW_SATURATE_SYMMETRIC
    )
    assert codes.tolist() == [1, 1, 0, 0, 0]
