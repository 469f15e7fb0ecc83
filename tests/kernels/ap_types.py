"""Casts by the ap_types headers (in the hls4ml wheel), compiled with g++: an oracle for every mode of fixed point."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernels.fields import (
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    OVERFLOW_WRAP_SIGN_MAGNITUDE,
    FixedFields,
)
from kernels.rounding import FLOOR, HALF_AWAY, HALF_DOWN, HALF_EVEN, HALF_TOWARD_ZERO, HALF_UP, TOWARD_ZERO
from tests.missing_tools import folder_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTISATIONS = {
    FLOOR: "AP_TRN",
    TOWARD_ZERO: "AP_TRN_ZERO",
    HALF_UP: "AP_RND",
    HALF_TOWARD_ZERO: "AP_RND_ZERO",
    HALF_DOWN: "AP_RND_MIN_INF",
    HALF_AWAY: "AP_RND_INF",
    HALF_EVEN: "AP_RND_CONV",
}
OVERFLOWS = {
    OVERFLOW_SATURATE: "AP_SAT",
    OVERFLOW_SATURATE_ZERO: "AP_SAT_ZERO",
    OVERFLOW_SATURATE_SYMMETRIC: "AP_SAT_SYM",
    OVERFLOW_WRAP: "AP_WRAP",
    OVERFLOW_WRAP_SIGN_MAGNITUDE: "AP_WRAP_SM",
}


class ApType(NamedTuple):
    """One C++ type: a format and its modes."""

    fields: FixedFields
    rounding: int
    overflow: int
    saturation_bits: int

    def __str__(self) -> str:
        """The type's name in C++."""
        name = "ap_fixed" if self.fields.signed else "ap_ufixed"
        integer_bits = self.fields.width - self.fields.fraction_bits
        modes = f"{QUANTISATIONS[self.rounding]}, {OVERFLOWS[self.overflow]}, {self.saturation_bits}"
        return f"{name}<{self.fields.width}, {integer_bits}, {modes}>"


def all_modes(fields: FixedFields) -> list[ApType]:
    """Every type of a format: seven quantisations, every overflow mode, 0 to 3 and all saturation bits."""
    overflows = [(mode, 0) for mode in (OVERFLOW_SATURATE, OVERFLOW_SATURATE_ZERO, OVERFLOW_SATURATE_SYMMETRIC)]
    for bits in sorted({0, 1, 2, 3, fields.width} & set(range(fields.width + 1))):
        overflows.append((OVERFLOW_WRAP, bits))
        if fields.signed:
            overflows.append((OVERFLOW_WRAP_SIGN_MAGNITUDE, bits))
    return [ApType(fields, rounding, *overflow) for rounding in QUANTISATIONS for overflow in overflows]


def headers() -> Path:
    """The folder of the headers."""
    return folder_of("hls4ml", "its wheel holds the ap_types headers") / "templates" / "vivado" / "ap_types"


def cast_by_headers(
    compiler: Path, folder: Path, types: list[ApType], values: NDArray[np.float64]
) -> dict[ApType, NDArray[np.uint64]]:
    """The codes of the values in every type, by one compiled program."""
    program = folder / "casts"
    table = " ".join(f"CAST({name})" for name in types)
    definition = folder / "table.h"
    definition.write_text(f"#define TABLE {table}\n", encoding="utf-8")
    source = Path(__file__).with_name("ap_types.cpp")
    options = ["-std=c++14", "-O0", "-w", "-isystem", str(headers()), "-include", str(definition)]
    subprocess.run([str(compiler), *options, "-o", str(program), str(source)], check=True)
    output = subprocess.run([str(program)], input=values.tobytes(), capture_output=True, check=True).stdout
    codes = np.frombuffer(output, dtype=np.uint64).reshape(len(types), values.size)
    return dict(zip(types, codes, strict=True))
