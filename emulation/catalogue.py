"""The names of formats: what `parse` reads and `str(format)` prints.

Well-known names are lines of `CATALOGUE`; every other width follows from the grammar:

* ``int8``, ``uint4``: integers;
* ``fixed<16,6>``, ``ufixed<8,3>``: width and integer bits, as ``ap_fixed`` counts them;
* ``e4m3fn``, ``e3m1``, ``e4m3b11fnuz``: exponent and mantissa bits, an optional bias, and a suffix for the special
  codes: ``fn`` one NaN magnitude, ``fnuz`` NaN in place of minus zero, ``ieee`` infinity and NaN, ``p3109``, ``none``.
  Without a suffix the customary meaning holds (`emulation.formats.customary_specials`): ``e5m2`` is OCP's, with
  infinity; ``e3m1`` has no special codes.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Final

from emulation.formats import (
    SHORT_NAMES,
    SUFFIX_OF_SPECIALS,
    FixedPoint,
    Format,
    MiniFloat,
    Sign,
    Specials,
    customary_specials,
)

_OCP_FP8: Final = "OCP 8-bit Floating Point Specification (OFP8) 1.0"
_OCP_MX: Final = "OCP Microscaling Formats (MX) Specification 1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One catalogue line: a name, the format it means, and where that is written down."""

    name: str
    format: Format
    source: str

    @property
    def epsilon(self) -> float:
        """Distance from 1.0 to the next number for minifloats; the (constant) step for fixed point."""
        if isinstance(self.format, FixedPoint):
            return math.ldexp(1.0, self.format.unit_exponent)
        return math.ldexp(1.0, -self.format.mantissa_bits)

    @property
    def finite_codes(self) -> int:
        """Codes that mean finite numbers; minus zero counts."""
        if isinstance(self.format, FixedPoint):
            return 1 << self.format.width
        magnitudes = self.format.largest_magnitude_code + 1
        both_signs = self.format.sign is Sign.SIGNED
        has_minus_zero = self.format.specials not in (Specials.FNUZ, Specials.P3109)
        return magnitudes * (2 if both_signs else 1) - (1 if both_signs and not has_minus_zero else 0)


def _entry(name: str, exponent_bits: int, mantissa_bits: int, specials: Specials, source: str) -> Entry:
    return Entry(
        name=name,
        format=MiniFloat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, specials=specials),
        source=source,
    )


CATALOGUE: Final[tuple[Entry, ...]] = (
    *(
        Entry(
            name=f"{prefix}int{width}",
            format=FixedPoint(width=width, sign=sign),
            source="two's complement" if sign is Sign.SIGNED else "unsigned binary",
        )
        for prefix, sign in (("", Sign.SIGNED), ("u", Sign.UNSIGNED))
        for width in (2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
    ),
    _entry("e2m1", 2, 1, Specials.NONE, _OCP_MX),
    _entry("e2m3", 2, 3, Specials.NONE, _OCP_MX),
    _entry("e3m2", 3, 2, Specials.NONE, _OCP_MX),
    _entry("e4m3fn", 4, 3, Specials.FINITE_NAN, _OCP_FP8),
    _entry("e5m2", 5, 2, Specials.IEEE, _OCP_FP8),
    _entry("e3m4", 3, 4, Specials.IEEE, "ml_dtypes float8_e3m4 (IEEE 754 conventions)"),
    _entry("e4m3", 4, 3, Specials.IEEE, "ml_dtypes float8_e4m3 (IEEE 754 conventions)"),
    _entry("e4m3fnuz", 4, 3, Specials.FNUZ, "ml_dtypes float8_e4m3fnuz"),
    _entry("e5m2fnuz", 5, 2, Specials.FNUZ, "ml_dtypes float8_e5m2fnuz"),
    _entry("bf16", *SHORT_NAMES["bf16"], Specials.IEEE, "bfloat16: the upper half of IEEE 754 binary32"),
    _entry("fp16", *SHORT_NAMES["fp16"], Specials.IEEE, "IEEE 754 binary16"),
)

_BY_NAME: Final = {entry.name: entry.format for entry in CATALOGUE}
_SPECIALS_OF_SUFFIX: Final = {suffix: specials for specials, suffix in SUFFIX_OF_SPECIALS.items()}

_INTEGER: Final = re.compile(r"(u?)int(\d+)")
_FIXED: Final = re.compile(r"(u?)fixed<(\d+),(-?\d+)>")
_MINIFLOAT: Final = re.compile(r"(u?)e(\d)m(\d+)(?:b(-?\d+))?(fnuz|fn|ieee|p3109|none)?")


class UnknownFormatError(ValueError):
    """A text that no format answers to."""


def parse(text: str) -> Format:
    """Read a format from its name.

    Args:
        text: a catalogue name or any other width by the grammar of this module; case and spaces do not matter.

    Returns:
        The format; ``parse(str(format)) == format`` for every format with default subnormals and zero.

    Raises:
        UnknownFormatError: if the text follows no rule of the grammar.
        ValueError: if it does, with a width that is out of range.

    >>> parse("e4m3fn").width, parse("fixed<16,6>").fraction_bits, str(parse("E3M1"))
    (8, 10, 'e3m1')
    """
    name = text.strip().lower().replace(" ", "")
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    if found := _INTEGER.fullmatch(name):
        return FixedPoint(width=int(found[2]), sign=_sign(found[1]))
    if found := _FIXED.fullmatch(name):
        return FixedPoint(width=int(found[2]), fraction_bits=int(found[2]) - int(found[3]), sign=_sign(found[1]))
    if found := _MINIFLOAT.fullmatch(name):
        return MiniFloat(
            exponent_bits=int(found[2]),
            mantissa_bits=int(found[3]),
            bias=None if found[4] is None else int(found[4]),
            sign=_sign(found[1]),
            specials=_SPECIALS_OF_SUFFIX[found[5]] if found[5] else customary_specials(int(found[2]), int(found[3])),
        )
    close = difflib.get_close_matches(name, _BY_NAME, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UnknownFormatError(
        f"{text!r} is not a format. Allowed are intN, uintN, fixed<W,I>, ufixed<W,I>, eXmY with an optional suffix "
        f"fn, fnuz, ieee, p3109 or none, and the names that `bitfront formats` lists.{hint}"
    )


def _sign(prefix: str) -> Sign:
    return Sign.UNSIGNED if prefix else Sign.SIGNED
