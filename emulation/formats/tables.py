"""Formats whose codes are looked up: sums of powers of two, codebooks, binary codes."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Final

LARGEST_EXPONENT: Final = 30
MAXIMUM_TABLE_BITS: Final = 12
MAXIMUM_ENTRY_BITS: Final = 16
_CODEBOOK_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class TermSigns(Enum):
    """Where the signs of a sum of powers of two are."""

    COMMON = "common"
    """One sign for the whole sum."""
    EACH = "each"
    """Every term has its own."""
    NONE = "none"
    """No term is negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KHot:
    """Sums of powers of two: each term is absent, or ``2**e`` with e out of the term's own exponents.

    One term is power of two (``pot4``); terms of equal exponents, each with its sign, are K-hot (``2hot8``); exponents
    interleaved under one sign are additive powers of two (``apot2x2``; Li et al., ICLR 2020). A code holds the sign, if
    it is common, then the terms in order, each with its sign, if every term has one, and the number of its exponent;
    number 0 is an absent term. Where several codes mean one value, the least of them is written.

    Raises:
        ValueError: if there is no term, an exponent is not 0 to 30, or a code takes more than 12 bits.

    >>> KHot(terms=((0, 1, 2),)).levels
    (-4, -2, -1, 0, 1, 2, 4)
    """

    terms: tuple[tuple[int, ...], ...]
    signs: TermSigns = TermSigns.COMMON

    def __post_init__(self) -> None:
        exponents = [exponent for term in self.terms for exponent in term]
        if not self.terms or not all(self.terms):
            raise ValueError(f"KHot needs at least one term, each with at least one exponent, got {self.terms}")
        if min(exponents) < 0 or max(exponents) > LARGEST_EXPONENT:
            raise ValueError(
                f"KHot exponents must be 0 to {LARGEST_EXPONENT}, got {min(exponents)} to {max(exponents)}"
            )
        if self.width > MAXIMUM_TABLE_BITS:
            raise ValueError(f"KHot codes must have at most {MAXIMUM_TABLE_BITS} bits, got {self.width}")

    @property
    def width(self) -> int:
        """Bits of a code."""
        signs = {TermSigns.COMMON: 1, TermSigns.EACH: len(self.terms), TermSigns.NONE: 0}[self.signs]
        return signs + sum(len(term).bit_length() for term in self.terms)

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit: values are the integers themselves."""
        return 0

    @property
    def integers(self) -> tuple[int | None, ...]:
        """The integer each code means, by code; None for codes that name no exponent of a term."""
        return _khot_integers(self)

    @property
    def levels(self) -> tuple[int, ...]:
        """The integers that have a code, ascending, each once."""
        return tuple(sorted({value for value in self.integers if value is not None}))

    @property
    def smallest_integer(self) -> int:
        """Least v a code can mean."""
        return self.levels[0]

    @property
    def largest_integer(self) -> int:
        """Greatest v a code can mean."""
        return self.levels[-1]

    def __str__(self) -> str:
        return _khot_name(self)


def power_of_two(width: int, signs: TermSigns = TermSigns.COMMON) -> KHot:
    """A sign and one power of two, all exponents a code of ``width`` bits has room for.

    Raises:
        ValueError: if there is room for no exponent, or for one above 30.
    """
    least = 2 if signs is TermSigns.COMMON else 1
    _check_range("power-of-two width", width, least, least + 4)
    return KHot(terms=(tuple(range((1 << (width - least + 1)) - 1)),), signs=signs)


def k_hot(terms: int, exponents: int) -> KHot:
    """Sums of ``terms`` signed powers of two, each with an exponent from 0 to ``exponents - 1``.

    Raises:
        ValueError: if there is no term, an exponent is above 30, or a code takes more than 12 bits.
    """
    _check_range("K-hot terms", terms, 1, MAXIMUM_TABLE_BITS // 2, "terms")
    _check_range("K-hot exponents", exponents, 1, LARGEST_EXPONENT + 1, "exponents")
    return KHot(terms=(tuple(range(exponents)),) * terms, signs=TermSigns.EACH)


def additive_powers(terms: int, bits: int, signs: TermSigns = TermSigns.COMMON) -> KHot:
    """Additive powers of two: ``terms`` terms of ``bits`` bits, exponents interleaved (Li et al., ICLR 2020, eq. 5).

    Raises:
        ValueError: if there is no term or no bit, an exponent is above 30, or a code takes more than 12 bits.

    >>> additive_powers(2, 2).terms
    ((5, 3, 1), (4, 2, 0))
    """
    _check_range("additive powers' terms", terms, 1, MAXIMUM_TABLE_BITS, "terms")
    _check_range("additive powers' term", bits, 1, 5)
    return KHot(terms=_interleaved(terms, bits), signs=signs)


def _interleaved(terms: int, bits: int) -> tuple[tuple[int, ...], ...]:
    steps = (1 << bits) - 1
    last = terms * steps - 1
    return tuple(tuple(last - term - terms * step for step in range(steps)) for term in range(terms))


@lru_cache(maxsize=256)
def _khot_integers(number_format: KHot) -> tuple[int | None, ...]:
    per_term: list[list[int | None]] = []
    for term in number_format.terms:
        slots = 1 << len(term).bit_length()
        positive = [0, *(1 << exponent for exponent in term), *[None] * (slots - 1 - len(term))]
        if number_format.signs is TermSigns.EACH:
            positive += [None if value is None else -value for value in positive]
        per_term.append(positive)
    sums = [None if None in parts else sum(parts) for parts in itertools.product(*per_term)]  # type: ignore[arg-type]
    if number_format.signs is TermSigns.COMMON:
        sums += [None if value is None else -value for value in sums]
    return tuple(sums)


_KHOT_PREFIX: Final = {TermSigns.COMMON: "", TermSigns.EACH: "s", TermSigns.NONE: "u"}


def _khot_name(number_format: KHot) -> str:
    terms, signs = number_format.terms, number_format.signs
    prefix = _KHOT_PREFIX[signs]
    count, slots = len(terms), len(terms[0])
    bits = slots.bit_length()
    if signs is TermSigns.EACH:
        if terms == (tuple(range(slots)),) * count:
            return f"{count}hot{slots}"
    elif terms == (tuple(range((1 << bits) - 1)),):
        return f"{prefix}pot{number_format.width}"
    elif terms == _interleaved(count, bits):
        return f"{prefix}apot{count}x{bits}"
    lists = ";".join(",".join(map(str, term)) for term in terms)
    return f"{_KHOT_PREFIX[signs]}khot<{lists}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codebook:
    """Listed values: code i means ``levels[i]``.

    In hardware mode the entries are integers of ``entry_bits`` bits, the largest magnitude full scale.

    Raises:
        ValueError: if the name is not made of small letters, digits and underscores, a letter first; the levels are not
            2 to 4096 finite numbers, a power of two of them, not all 0; or entry_bits is not 2 to 16.
    """

    name: str
    levels: tuple[float, ...]
    entry_bits: int = 8

    def __post_init__(self) -> None:
        if not _CODEBOOK_NAME.fullmatch(self.name):
            raise ValueError(
                f"a codebook's name is made of small letters, digits and underscores, a letter first, got {self.name!r}"
            )
        count = len(self.levels)
        if not all(map(math.isfinite, self.levels)):
            raise ValueError(f"codebook {self.name!r} must have finite levels, got {self.levels}")
        if count < 2 or count & (count - 1) or count > 1 << MAXIMUM_TABLE_BITS or not any(self.levels):
            raise ValueError(
                f"codebook {self.name!r} must have 2 to {1 << MAXIMUM_TABLE_BITS} levels, a power of two of them, not "
                f"all 0; got {count}"
            )
        _check_entry_bits(self.entry_bits)

    @property
    def width(self) -> int:
        """Bits of a code."""
        return (len(self.levels) - 1).bit_length()

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit of `integers`."""
        return 0

    @property
    def integers(self) -> tuple[int, ...]:
        """The table of hardware mode, by code: ``round(level / largest * (2**(entry_bits - 1) - 1))``, half to even.

        The quotient is exact; the largest magnitude becomes full scale.
        """
        return _codebook_integers(self)

    @property
    def smallest_integer(self) -> int:
        """Least v a code can mean."""
        return min(self.integers)

    @property
    def largest_integer(self) -> int:
        """Greatest v a code can mean."""
        return max(self.integers)

    def __str__(self) -> str:
        return _codebook_name(self)


@lru_cache(maxsize=256)
def _codebook_integers(number_format: Codebook) -> tuple[int, ...]:
    full = (1 << (number_format.entry_bits - 1)) - 1
    unit = max(abs(Fraction(level)) for level in number_format.levels) / full
    return tuple(round(Fraction(level) / unit) for level in number_format.levels)


def _codebook_name(number_format: Codebook) -> str:
    known = NAMED_CODEBOOKS.get(number_format.name)
    entries = "" if number_format.entry_bits == CUSTOMARY_ENTRY_BITS else f"x{number_format.entry_bits}"
    # Compared by repr: a level of minus zero is another level than zero, and equal to it.
    if known is not None and repr(known.levels) == repr(number_format.levels):
        return number_format.name + entries
    return f"table<{number_format.name}:{','.join(map(repr, number_format.levels))}>{entries}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedTable:
    """A table of ``2**width`` integers of ``entry_bits`` bits, learned from each tensor (or channel).

    Raises:
        ValueError: if entry_bits is not 2 to 16.
    """

    entry_bits: int = 8

    def __post_init__(self) -> None:
        _check_entry_bits(self.entry_bits)

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit."""
        return 0

    @property
    def smallest_integer(self) -> int:
        """Least v a code can mean."""
        return -self.largest_integer

    @property
    def largest_integer(self) -> int:
        """Greatest v a code can mean."""
        return (1 << (self.entry_bits - 1)) - 1

    def _named(self, name: str) -> str:
        return name + ("" if self.entry_bits == CUSTOMARY_ENTRY_BITS else f"x{self.entry_bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCodebook(LearnedTable):
    """A codebook whose entries are learned, in any order.

    Raises:
        ValueError: if index_bits is not 1 to 8 or entry_bits not 2 to 16.
    """

    index_bits: int

    def __post_init__(self) -> None:
        _check_range("LearnedCodebook index_bits", self.index_bits, 1, 8)
        LearnedTable.__post_init__(self)

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.index_bits

    def __str__(self) -> str:
        return self._named(f"codebook{self.index_bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryCoded(LearnedTable):
    """Binary-coded: ``v = sum alpha_i * b_i`` with b_i plus or minus 1 and integer alphas learned from each channel.

    Code bit i is 1 where b_i is plus 1 (Xu et al., ICLR 2018; Park et al., LUT-GEMM, ICLR 2024).

    Raises:
        ValueError: if planes is not 1 to 8 or entry_bits not 2 to 16.
    """

    planes: int

    def __post_init__(self) -> None:
        _check_range("BinaryCoded planes", self.planes, 1, 8)
        LearnedTable.__post_init__(self)

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.planes

    def __str__(self) -> str:
        return self._named(f"bcq{self.planes}")


def _check_entry_bits(entry_bits: int) -> None:
    _check_range("table entry_bits", entry_bits, 2, MAXIMUM_ENTRY_BITS)


def _check_range(what: str, given: int, low: int, high: int, unit: str = "bits") -> None:
    if not low <= given <= high:
        raise ValueError(f"{what} must be {low} to {high} {unit}, got {given}")


_NF4_LEVELS: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
NF4: Final = Codebook(name="nf4", levels=_NF4_LEVELS)
"""4-bit NormalFloat: quantiles of a normal distribution, scaled to [-1, 1] (Dettmers et al., QLoRA, appendix E)."""
_FP4_FIRST: Final = (0.0, 0.0052083334885537624, 0.6666666865348816, 1.0)
_FP4_MAGNITUDES: Final = (*_FP4_FIRST, 0.3333333432674408, 0.5, 0.1666666716337204, 0.25)
FP4: Final = Codebook(name="fp4", levels=_FP4_MAGNITUDES + tuple(-value for value in _FP4_MAGNITUDES))
"""bitsandbytes' FP4, a sign and three bits: 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 as float32 numbers."""
NAMED_CODEBOOKS: Final = {"nf4": NF4, "fp4": FP4}
CUSTOMARY_ENTRY_BITS: Final = 8
