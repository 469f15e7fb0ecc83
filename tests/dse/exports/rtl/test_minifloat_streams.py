"""Decoders and casts between streams in Verilator: every code, random integers, stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dse.exports.rtl.codes import Codes
from dse.exports.rtl.minifloat_streams import stream_cast, stream_decoder
from dse.exports.rtl.requantising import Requantising
from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import HALF_EVEN, INTEGER_GRID
from tests.hwmodels.rtl.verilating import Run, verilate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = [
    Codes(bits=8, signed=True, exponent_bits=4, reserved=1),
    Codes(bits=8, signed=True, exponent_bits=5, reserved=4),
    Codes(bits=6, signed=True, exponent_bits=3),
    Codes(bits=4, signed=True, exponent_bits=2),
    Codes(bits=5, signed=True, exponent_bits=4),
]
WAITS = (np.random.default_rng(3).random(61) < 0.6).astype(int).tolist()


def packed(values: list[int], bits: int) -> int:
    return sum((value & (1 << bits) - 1) << place * bits for place, value in enumerate(values))


def test_decoders_on_every_code(tool: Callable[[str], Path]) -> None:
    runs, expected = [], []
    for codes in FORMATS:
        found = [code for code in range(1 << codes.bits) if abs(codes.integer(code)) <= codes.high]
        pairs = [[code, found[-1 - place]] for place, code in enumerate(found)]
        runs.append(
            Run(
                unit=stream_decoder(codes, 2),
                words=[packed(pair, codes.bits) for pair in pairs],
                outputs=len(pairs),
                accepted=WAITS,
            )
        )
        expected.append([packed([codes.integer(code) for code in pair], codes.integers.bits) for pair in pairs])
    for run, wanted, trace in zip(runs, expected, verilate(runs, tool), strict=True):
        assert list(trace.words) == wanted, run.unit.module


def cast_of(rule: Requantising, value: int) -> int:
    codes = rule.codes
    return codes.code(
        requantise_scalar(
            value,
            rule.multipliers[0],
            shift=rule.shift,
            low=0 if rule.relu else codes.low,
            high=codes.high,
            rounding=HALF_EVEN,
            mantissa_bits=codes.mantissa_bits if codes.exponent_bits else INTEGER_GRID,
        )
    )


TARGETS = [*FORMATS[:4], Codes(bits=6, signed=True), Codes(bits=6, signed=False)]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_casts_of_random_integers(tool: Callable[[str], Path], seed: int) -> None:
    chosen = np.random.default_rng(seed)
    runs, expected = [], []
    for place, codes in enumerate(TARGETS):
        bits, signed, relu = (11, 20, 33)[place % 3], place % 5 != 0, place % 2 == seed and codes.signed
        # So that some results saturate.
        shift = max(bits + 13 - codes.high.bit_length(), 0)
        rule = Requantising(multipliers=(int(chosen.integers(1 << 12, 1 << 15)),), shift=shift, codes=codes, relu=relu)
        sizes = chosen.integers(0, 1 << (bits - signed), 3000) >> chosen.integers(0, bits - 1, 3000)
        values = (np.where(chosen.random(3000) < 0.5, ~sizes, sizes) if signed else sizes).tolist()
        words = [packed(values[first : first + 3], bits) for first in range(0, len(values), 3)]
        unit = stream_cast(rule, bits=bits, signed=signed, lanes=3)
        runs.append(Run(unit=unit, words=words, outputs=len(words), accepted=WAITS))
        found = [cast_of(rule, value) for value in values]
        assert len(set(found)) > min(1 << codes.bits >> 2, 20)
        expected.append([packed(found[first : first + 3], codes.bits) for first in range(0, len(found), 3)])
    for run, wanted, trace in zip(runs, expected, verilate(runs, tool), strict=True):
        assert list(trace.words) == wanted, run.unit.module
