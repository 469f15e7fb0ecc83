"""The grammar of format names: the inverse of ``str(format)``, for every format there is.

* ``int8``, ``uint4``: integers;
* ``fixed<16,6>``, ``ufixed<8,3>``: width and integer bits, as ``ap_fixed`` counts them;
* ``e4m3fn``, ``e3m1``, ``e4m3b11fnuz``, ``ue5m3fn``: exponent and mantissa bits, an optional bias, then suffixes.
  Special codes: ``fn`` one NaN magnitude, ``fnuz`` NaN in place of minus zero, ``ieee`` infinity and NaN, ``p3109``,
  ``none``; without a suffix the customary meaning holds (`emulation.formats.customary_specials`): ``e5m2`` is OCP's,
  with infinity, ``e3m1`` has no special codes. Exponent field 0: ``ftz`` is all zeros, ``keep`` has a hidden one like
  the other fields; ``nz``: code 0 is no zero. ``u`` in front: no sign;
* ``bf16``, ``fp16``, ``tf32``, ``e8m0`` (OCP's scale), ``binary8p3`` (P3109: width and precision);
* ``bfp8/32``, ``bfp8e5/32``: block floating point of sign-magnitude elements (the sign counts) in blocks of 32 with 8
  or other exponent bits; ``dfp8`` the same with one exponent for a tensor;
* ``mxfp4``, ``mxint8``, ``mx-e3m2``, ``mx-e2m1/16``: OCP MX and its kin, blocks of 32 unless said; ``nvfp4``;
  ``block<int8,e8m0,16>``: any element, scale and size (``sm8`` is a sign and 7 bits of magnitude);
* ``pot4``, ``upot3``: power of two; ``2hot8``: two signed powers of two out of eight; ``apot2x2``: additive powers of
  two, terms times bits; ``khot<0,2,4;1,3>``: the exponents of each term, with ``s`` in front a sign for each of them;
* ``nf4``, ``fp4``, ``nf4x6``: known codebooks, with entries of 8 or other bits; ``table<mine:-1.0,0.5>``: listed
  levels;
* ``codebook4``, ``codebook4x6``: 16 learned levels of 8 or other bits; ``bcq3``: three binary planes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emulation.formats import (
    MAXIMUM_EXPONENT_BITS,
    SHORT_NAMES,
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    Format,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Sign,
    SignMagnitude,
    Specials,
    TermSigns,
    customary_specials,
)
from emulation.formats.blocks import (
    CUSTOMARY_MX_BLOCK,
    E4M3FN,
    MXINT8_ELEMENT,
    NVFP4_BLOCK,
    NVFP4_ELEMENT,
    exponent_only,
)
from emulation.formats.scalar import E8M0, SUFFIX_OF_SPECIALS, SUFFIX_OF_SUBNORMALS, SUFFIX_OF_ZERO
from emulation.formats.tables import (
    CUSTOMARY_ENTRY_BITS,
    NAMED_CODEBOOKS,
    additive_powers,
    k_hot,
    power_of_two,
)

if TYPE_CHECKING:
    from collections.abc import Callable

GRAMMAR: Final = (
    "intN, uintN, fixed<W,I>, ufixed<W,I>, eXmY with an optional suffix fn, fnuz, ieee, p3109 or none, then ftz or "
    "keep, then nz, binaryWpP, bfpN/B, dfpN, mx-ELEMENT/B, block<ELEMENT,SCALE,B>, potN, KhotE, apotTxB, "
    "khot<EXPONENTS;...>, table<NAME:LEVELS>, codebookN, bcqN"
)
"""The rules in one line, for messages."""
ALIASES: Final = {
    "mxfp8-e4m3": "mx-e4m3fn",
    "mxfp8-e5m2": "mx-e5m2",
    "mxfp6-e3m2": "mx-e3m2",
    "mxfp6-e2m3": "mx-e2m3",
    "e2m1fn": "e2m1",
    "e3m2fn": "e3m2",
    "e2m3fn": "e2m3",
    "e8m0fnu": "e8m0",
}
"""Names that others use for formats with a name of ours: OCP MX (MXFP8, MXFP6) and ml_dtypes."""

_SPECIALS: Final = {suffix: specials for specials, suffix in SUFFIX_OF_SPECIALS.items()}
_SUBNORMALS: Final = {suffix: subnormals for subnormals, suffix in SUFFIX_OF_SUBNORMALS.items()}
_ZERO: Final = {suffix: zero for zero, suffix in SUFFIX_OF_ZERO.items()}
_TERM_SIGNS: Final = {"": TermSigns.COMMON, "s": TermSigns.EACH, "u": TermSigns.NONE}


def read_format(name: str) -> Format | None:
    """The format of a name without spaces, in small letters; None if no rule of the grammar fits.

    Raises:
        ValueError: if a rule fits, with numbers out of range.

    >>> str(read_format("mx-e4m3fn/16")), read_format("nonsense")
    ('mx-e4m3fn/16', None)
    """
    name = ALIASES.get(name, name)
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    for pattern, build in _RULES:
        if found := pattern.fullmatch(name):
            return build(found)
    return None


def _sign(prefix: str) -> Sign:
    return Sign.UNSIGNED if prefix else Sign.SIGNED


def _integer(found: re.Match[str]) -> Format:
    return FixedPoint(width=int(found[2]), sign=_sign(found[1]))


def _fixed(found: re.Match[str]) -> Format:
    return FixedPoint(width=int(found[2]), fraction_bits=int(found[2]) - int(found[3]), sign=_sign(found[1]))


def _minifloat(found: re.Match[str]) -> Format:
    exponent_bits, mantissa_bits = int(found[2]), int(found[3])
    return MiniFloat(
        exponent_bits=exponent_bits,
        mantissa_bits=mantissa_bits,
        bias=None if found[4] is None else int(found[4]),
        sign=_sign(found[1]),
        specials=_SPECIALS[found[5]] if found[5] else customary_specials(exponent_bits, mantissa_bits),
        subnormals=_SUBNORMALS[found[6] or ""],
        zero=_ZERO[found[7] or ""],
    )


def _binary(found: re.Match[str]) -> Format:
    sign, width, precision = _sign(found[1]), int(found[2]), int(found[3])
    exponent_bits = width - precision + (0 if sign is Sign.SIGNED else 1)
    if precision < 1 or not 0 <= exponent_bits <= MAXIMUM_EXPONENT_BITS:
        raise ValueError(
            f"{found[0]} has {exponent_bits} exponent bits and precision {precision}: binaryWpP takes a precision of "
            f"at least 1 that leaves 0 to {MAXIMUM_EXPONENT_BITS} exponent bits"
        )
    return MiniFloat(exponent_bits=exponent_bits, mantissa_bits=precision - 1, sign=sign, specials=Specials.P3109)


def _block_floating_point(found: re.Match[str]) -> Format:
    return BlockScaled(
        element=_sign_magnitude(found[1]),
        scale=exponent_only(E8M0.exponent_bits if found[2] is None else int(found[2])),
        block_size=_block_size(found[3]),
    )


def _dynamic_fixed_point(found: re.Match[str]) -> Format:
    return BlockScaled(element=_sign_magnitude(found[1]), scale=E8M0, block_size=0)


def _sign_magnitude(width: str) -> SignMagnitude:
    return SignMagnitude(magnitude_bits=int(width) - 1)


def _microscaling(found: re.Match[str]) -> Format | None:
    elements = {"fp4": NVFP4_ELEMENT, "int8": MXINT8_ELEMENT}
    element = elements[found[1]] if found[1] else read_format(found[2])
    if not isinstance(element, FixedPoint | MiniFloat):
        return None
    size = CUSTOMARY_MX_BLOCK if found[3] is None else _block_size(found[3])
    return BlockScaled(element=element, scale=E8M0, block_size=size)


def _nvfp4(found: re.Match[str]) -> Format:
    size = NVFP4_BLOCK if found[1] is None else _block_size(found[1])
    return BlockScaled(element=NVFP4_ELEMENT, scale=E4M3FN, block_size=size)


def _any_block(found: re.Match[str]) -> Format | None:
    of_magnitude = re.fullmatch(r"sm(\d+)", found[1])
    element = _sign_magnitude(of_magnitude[1]) if of_magnitude else read_format(found[1])
    scale = read_format(found[2])
    if isinstance(element, SignMagnitude | FixedPoint | MiniFloat) and isinstance(scale, MiniFloat):
        return BlockScaled(element=element, scale=scale, block_size=int(found[3]))
    return None


def _block_size(text: str) -> int:
    if int(text) < 1:
        raise ValueError(f"a block has at least 1 element, got /{text}; dfpN shares one exponent in the whole tensor")
    return int(text)


def _power_of_two(found: re.Match[str]) -> Format:
    return power_of_two(int(found[2]), _TERM_SIGNS[found[1]])


def _k_hot(found: re.Match[str]) -> Format:
    return k_hot(int(found[1]), int(found[2]))


def _additive_powers(found: re.Match[str]) -> Format:
    return additive_powers(int(found[2]), int(found[3]), _TERM_SIGNS[found[1]])


def _listed_terms(found: re.Match[str]) -> Format:
    terms = tuple(tuple(map(int, term.split(","))) for term in found[2].split(";"))
    return KHot(terms=terms, signs=_TERM_SIGNS[found[1]])


def _learned(found: re.Match[str]) -> Format:
    return LearnedCodebook(index_bits=int(found[1]), entry_bits=int(found[2] or CUSTOMARY_ENTRY_BITS))


def _binary_coded(found: re.Match[str]) -> Format:
    return BinaryCoded(planes=int(found[1]), entry_bits=int(found[2] or CUSTOMARY_ENTRY_BITS))


def _named_codebook(found: re.Match[str]) -> Format:
    known = NAMED_CODEBOOKS[found[1]]
    return Codebook(name=known.name, levels=known.levels, entry_bits=int(found[2] or CUSTOMARY_ENTRY_BITS))


def _listed_levels(found: re.Match[str]) -> Format | None:
    try:
        levels = tuple(map(float, found[2].split(",")))
    except ValueError:
        return None
    return Codebook(name=found[1], levels=levels, entry_bits=int(found[3] or CUSTOMARY_ENTRY_BITS))


_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Format | None]], ...]] = tuple(
    (re.compile(pattern), build)
    for pattern, build in (
        (r"(u?)int(\d+)", _integer),
        (r"(u?)fixed<(\d+),(-?\d+)>", _fixed),
        (r"(u?)e(\d)m(\d+)(?:b(-?\d+))?(fnuz|fn|ieee|p3109|none)?(ftz|keep)?(nz)?", _minifloat),
        (r"(u?)binary(\d+)p(\d+)", _binary),
        (r"bfp(\d+)(?:e(\d))?/(\d+)", _block_floating_point),
        (r"dfp(\d+)", _dynamic_fixed_point),
        (r"mx(?:(fp4|int8)|-([^/]+))(?:/(\d+))?", _microscaling),
        (r"nvfp4(?:/(\d+))?", _nvfp4),
        (r"block<(.+),([^,<>]+),(\d+)>", _any_block),
        (r"(u?)pot(\d+)", _power_of_two),
        (r"(\d+)hot(\d+)", _k_hot),
        (r"(u?)apot(\d+)x(\d+)", _additive_powers),
        (r"([su]?)khot<(\d+(?:[,;]\d+)*)>", _listed_terms),
        (rf"({'|'.join(NAMED_CODEBOOKS)})(?:x(\d+))?", _named_codebook),
        (r"table<(\w+):([^>]+)>(?:x(\d+))?", _listed_levels),
        (r"codebook(\d+)(?:x(\d+))?", _learned),
        (r"bcq(\d+)(?:x(\d+))?", _binary_coded),
    )
)
