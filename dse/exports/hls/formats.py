"""Formats of the manifest as C++ types: how many bits a code has, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.hls.cpp import Struct, looked_up, signed_bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MOST_TERMS: Final = 2
"""Powers of two that a weight may add up from to be multiplied by shifts."""
_SUBNORMALS: Final = {"flush": "flush", "keep-exponent": "keep_exponent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """How a format scales its blocks.

    Attributes:
        size: elements of a block.
        factor_bits: width of a scale's factor: 2 for powers of two, whose factor is 1.
        exponents: the least and the greatest exponent of a scale.
        unit: exponent of the unit of scales that are no powers of two, else None.
    """

    size: int
    factor_bits: int
    exponents: tuple[int, int]
    unit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """A format in C++.

    Attributes:
        cpp: the type.
        structs: what it needs to be defined before.
        significand_bits: of a number taken apart.
        most_exponent: the greatest exponent of a number taken apart.
        number_bits: of a number as one integer.
        zero: the code of 0.
        lowest: the code of the least number.
        mantissa_bits: of a minifloat, else None.
        terms: of a weight that is multiplied by shifts, else 0.
        blocks: None without blocks.
    """

    cpp: str
    structs: tuple[Struct, ...] = ()
    significand_bits: int
    most_exponent: int = 0
    number_bits: int
    zero: int
    lowest: int
    mantissa_bits: int | None = None
    terms: int = 0
    blocks: Blocks | None = None


def number_format(name: str, kind: Mapping[str, Any], zero_point: int = 0) -> NumberFormat:
    """The format of an edge, of weights without tables of their own, or of elements.

    Args:
        name: prefix for what has to be defined.
        kind: a ``type`` of the manifest.
        zero_point: subtracted from an integer's code.
    """
    if "block_size" in kind:
        return _block_format(name, kind)
    if "table" in kind:
        return listed_format(name, kind["bits"], [kind["table"]])
    bits = kind["bits"]
    if kind.get("encoding") == "sign-magnitude":
        lowest = (1 << bits) - 1
        return NumberFormat(
            cpp=f"sign_magnitude_format<{bits}>", significand_bits=bits, number_bits=bits, zero=0, lowest=lowest
        )
    if "mantissa_bits" in kind:
        return _minifloat_format(kind)
    signed = bool(kind["signed"])
    width = bits + (not signed) + (zero_point != 0)
    return NumberFormat(
        cpp=f"integer_format<{bits}, {str(signed).lower()}, {zero_point}>",
        significand_bits=width,
        number_bits=width,
        zero=zero_point,
        lowest=-(1 << (bits - 1)) if signed else 0,
    )


def _minifloat_format(kind: Mapping[str, Any]) -> NumberFormat:
    exponent_bits, mantissa_bits = kind["exponent_bits"], kind["mantissa_bits"]
    signed, largest = bool(kind["signed"]), kind["largest_magnitude_code"]
    subnormals = _SUBNORMALS.get(kind.get("subnormals", ""), "gradual")
    field = largest >> mantissa_bits
    most = field if subnormals == "keep_exponent" else max(field - 1, 0)
    fields = f"{exponent_bits}, {mantissa_bits}, {str(signed).lower()}, {subnormals}, {largest}"
    return NumberFormat(
        cpp=f"minifloat_format<{fields}>",
        significand_bits=mantissa_bits + 2,
        most_exponent=most,
        number_bits=mantissa_bits + 2 + most,
        zero=0,
        lowest=largest | (1 << (exponent_bits + mantissa_bits)) if signed else 0,
        mantissa_bits=mantissa_bits,
    )


def listed_format(name: str, bits: int, tables: Sequence[Sequence[int | None]] | NDArray[Any]) -> NumberFormat:
    """Numbers listed by code, in one table for all channels or one for each; None where a code has no number."""
    rows = [[None if value is None else int(value) for value in row] for row in tables]
    first, shared = rows[0], len(rows) == 1
    numbers = [value for row in rows for value in row if value is not None]
    constants: dict[str, int | str] = {
        "bits": bits,
        "size": len(first),
        "number_bits": signed_bits(min(numbers), max(numbers)),
    }
    functions = [
        looked_up("of_channel", "int channel, int code", [[value or 0 for value in row] for row in rows]),
        f"int at(int channel, int code) {{ return of_channel({'0 * channel' if shared else 'channel'}, code); }}",
        looked_up("is_number", "int code", [int(value is not None) for value in first]),
    ]
    digits = [_signed_digits(value or 0) for value in first]
    terms = max(len(one) for one in digits) if shared else MOST_TERMS + 1
    most_shift = 0
    if terms <= MOST_TERMS:
        most_shift = max(shift for one in digits for _, shift in one)
        constants |= {"terms": terms, "most_shift": most_shift}
        padded = np.array([[*one, *([(0, 0)] * (terms - len(one)))] for one in digits])
        functions += [
            looked_up("sign", "int term, int code", padded[:, :, 0].T),
            looked_up("shift", "int term, int code", padded[:, :, 1].T),
        ]
    template = {1: "power_format", 2: "hot_format"}.get(terms, "table_format")
    return NumberFormat(
        cpp=f"{template}<{name}_table>",
        structs=(Struct(name=f"{name}_table", constants=constants, functions=functions),),
        significand_bits=2 if terms == 1 else int(constants["number_bits"]),
        most_exponent=most_shift if terms == 1 else 0,
        number_bits=int(constants["number_bits"]),
        zero=first.index(0) if 0 in first else 0,
        lowest=first.index(min(value for value in first if value is not None)),
        terms=terms if terms == MOST_TERMS else 0,
    )


def _signed_digits(value: int) -> list[tuple[int, int]]:
    """The signed powers of two (sign, exponent) that a number is the sum of, as few as possible: no two are neighbours.

    >>> _signed_digits(7), _signed_digits(-6)
    ([(-1, 0), (1, 3)], [(1, 1), (-1, 3)])
    """
    digits, shift = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((digit, shift))
            value -= digit
        value >>= 1
        shift += 1
    return digits


def _block_format(name: str, kind: Mapping[str, Any]) -> NumberFormat:
    element = number_format(f"{name}_element", kind["element"])
    scale, exponents, power = scale_format(kind)
    unit = None if power else exponents[0]
    cpp = f"block_format<{element.cpp}, {scale.cpp}, {str(power).lower()}, {unit or 0}, {kind['block_size']}>"
    return NumberFormat(
        cpp=cpp,
        structs=element.structs,
        significand_bits=element.significand_bits,
        most_exponent=element.most_exponent,
        number_bits=element.number_bits,
        zero=element.zero,
        lowest=element.lowest,
        blocks=Blocks(
            size=kind["block_size"],
            factor_bits=2 if power else scale.number_bits,
            exponents=exponents,
            unit=unit,
        ),
    )


def scale_format(kind: Mapping[str, Any]) -> tuple[NumberFormat, tuple[int, int], bool]:
    """The format of the scales of a block format, their exponents, and whether they are powers of two."""
    scale = kind["scale"]
    if scale.get("encoding") == "power-of-two":
        stored = {"bits": scale["bits"], "signed": False, "stored": "integer"}
        bias = scale["bias"]
        return number_format("", stored, bias), (-bias, scale["largest_code"] - bias), True
    return number_format("", scale), (scale["unit_exponent"], scale["unit_exponent"]), False
