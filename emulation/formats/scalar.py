"""Formats whose codes stand for themselves: fixed point and minifloat."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

MAXIMUM_FIXED_WIDTH: Final = 64
MAXIMUM_EXPONENT_BITS: Final = 8
MAXIMUM_MANTISSA_BITS: Final = 23


class Sign(Enum):
    """Whether a format has negative values."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"


class Specials(Enum):
    """Which codes of a minifloat are not finite numbers."""

    IEEE = "ieee"
    """The top exponent holds infinity and NaN, as in IEEE 754 and OCP E5M2."""
    FINITE_NAN = "finite-nan"
    """Only the all-ones magnitude is NaN, as in OCP E4M3."""
    NONE = "none"
    """Every code is a finite number, as in OCP E3M2, E2M3 and E2M1."""
    FNUZ = "fnuz"
    """The code of minus zero is the only NaN."""
    P3109 = "p3109"
    """NaN takes the code of minus zero, infinity the largest magnitude, as in the IEEE P3109 interim report.

    Without a sign NaN takes the last code and infinity the one before."""


class Subnormals(Enum):
    """What exponent field 0 of a minifloat means."""

    GRADUAL = "gradual"
    """No hidden one and the exponent of field 1: gradual underflow."""
    KEEP_EXPONENT = "keep-exponent"
    """A hidden one and its own exponent, like any other field (code 0 is still zero if the format has a zero)."""
    FLUSH = "flush"
    """All its codes mean zero."""


class Zero(Enum):
    """Whether magnitude code 0 is the number zero."""

    PRESENT = "present"
    ABSENT = "absent"


def _check_range(what: str, given: int, low: int, high: int, unit: str = "bits") -> None:
    if not low <= given <= high:
        raise ValueError(f"{what} must be {low} to {high} {unit}, got {given}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint:
    """Two's complement or unsigned fixed point; an integer has ``fraction_bits`` 0.

    ``value = code * 2**-fraction_bits``. The same format as ``ap_fixed<width, width - fraction_bits>``.

    Raises:
        ValueError: if width is not 1 to 64.

    >>> FixedPoint(width=8).largest_integer
    127
    """

    width: int
    fraction_bits: int = 0
    sign: Sign = Sign.SIGNED

    def __post_init__(self) -> None:
        _check_range("FixedPoint width", self.width, 1, MAXIMUM_FIXED_WIDTH)

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit: ``value = v * 2**u``."""
        return -self.fraction_bits

    @property
    def smallest_integer(self) -> int:
        """Least v a code can mean."""
        return -(1 << (self.width - 1)) if self.sign is Sign.SIGNED else 0

    @property
    def largest_integer(self) -> int:
        """Greatest v a code can mean."""
        return (1 << (self.width - (1 if self.sign is Sign.SIGNED else 0))) - 1

    def __str__(self) -> str:
        unsigned = "u" if self.sign is Sign.UNSIGNED else ""
        if self.fraction_bits == 0:
            return f"{unsigned}int{self.width}"
        return f"{unsigned}fixed<{self.width},{self.width - self.fraction_bits}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniFloat:
    """Floating point of a few bits: sign, exponent field, mantissa field.

    A magnitude code ``k`` has exponent field ``k >> mantissa_bits``; magnitudes grow with ``k``, so the largest finite
    code is the last one before the special ones.

    Raises:
        ValueError: if a width is out of range, no finite code but zero is left, or NaN takes the minus zero of a format
            without zero.

    >>> e4m3fn = MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FINITE_NAN)
    >>> e4m3fn.largest_integer * 2.0**e4m3fn.unit_exponent
    448.0
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    """None stands for ``2**(exponent_bits - 1) - 1`` and is replaced by it (1 for P3109 and fnuz above that)."""
    sign: Sign = Sign.SIGNED
    specials: Specials = Specials.NONE
    subnormals: Subnormals = Subnormals.GRADUAL
    zero: Zero = Zero.PRESENT

    def __post_init__(self) -> None:
        _check_range("MiniFloat exponent_bits", self.exponent_bits, 0, MAXIMUM_EXPONENT_BITS)
        _check_range("MiniFloat mantissa_bits", self.mantissa_bits, 0, MAXIMUM_MANTISSA_BITS)
        if self.bias is None:
            object.__setattr__(self, "bias", default_bias(self.exponent_bits, self.specials))
        if self.largest_magnitude_code < 0 or self.largest_integer == 0:
            raise ValueError(
                f"MiniFloat e{self.exponent_bits}m{self.mantissa_bits} with specials {self.specials.value!r} has no "
                "finite code but zero: use more bits or fewer special codes"
            )
        has_zero = self.zero is Zero.PRESENT or self.subnormals is not Subnormals.KEEP_EXPONENT
        if not has_zero and self.sign is Sign.SIGNED and self.specials in (Specials.FNUZ, Specials.P3109):
            raise ValueError(
                f"MiniFloat e{self.exponent_bits}m{self.mantissa_bits} with specials {self.specials.value!r} gives NaN "
                "the code of minus zero, and has no zero: use other specials, or a zero"
            )

    @property
    def resolved_bias(self) -> int:
        """The exponent bias as an integer."""
        if self.bias is None:  # not reachable: __post_init__ replaced None
            raise ValueError("MiniFloat bias is not set")
        return self.bias

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.exponent_bits + self.mantissa_bits + (1 if self.sign is Sign.SIGNED else 0)

    @property
    def largest_magnitude_code(self) -> int:
        """The code, without its sign bit, of the largest finite magnitude."""
        codes = 1 << (self.exponent_bits + self.mantissa_bits)
        if self.specials is Specials.IEEE:
            return codes - (1 << self.mantissa_bits) - 1
        if self.specials is Specials.P3109:
            return codes - (2 if self.sign is Sign.SIGNED else 3)
        return codes - (2 if self.specials is Specials.FINITE_NAN else 1)

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit: ``value = v * 2**u``; the spacing of the smallest numbers."""
        first_exponent = 0 if self.subnormals is Subnormals.KEEP_EXPONENT else 1
        return first_exponent - self.resolved_bias - self.mantissa_bits

    def magnitude_integer(self, magnitude_code: int) -> int:
        """The integer v >= 0 that a finite magnitude code means."""
        exponent, fraction = divmod(magnitude_code, 1 << self.mantissa_bits)
        hidden = 1 << self.mantissa_bits
        if magnitude_code == 0 and self.zero is Zero.PRESENT:
            return 0
        if self.subnormals is Subnormals.KEEP_EXPONENT:
            return (hidden + fraction) << exponent
        if exponent == 0:
            return 0 if self.subnormals is Subnormals.FLUSH else fraction
        return (hidden + fraction) << (exponent - 1)

    @property
    def largest_integer(self) -> int:
        """Greatest v a finite code can mean."""
        return self.magnitude_integer(self.largest_magnitude_code)

    @property
    def smallest_integer(self) -> int:
        """Least v a finite code can mean."""
        return -self.largest_integer if self.sign is Sign.SIGNED else self.magnitude_integer(0)

    def __str__(self) -> str:
        return _minifloat_name(self)


def default_bias(exponent_bits: int, specials: Specials) -> int:
    """The customary exponent bias: ``2**(e-1) - 1``, one more for the fnuz and P3109 kinds (ml_dtypes, P3109 draft)."""
    central = (1 << exponent_bits) >> 1
    return central if specials in (Specials.FNUZ, Specials.P3109) else max(central - 1, 0)


SUFFIX_OF_SPECIALS: Final = {
    Specials.NONE: "none",
    Specials.FINITE_NAN: "fn",
    Specials.FNUZ: "fnuz",
    Specials.IEEE: "ieee",
    Specials.P3109: "p3109",
}
SUFFIX_OF_SUBNORMALS: Final = {Subnormals.GRADUAL: "", Subnormals.FLUSH: "ftz", Subnormals.KEEP_EXPONENT: "keep"}
SUFFIX_OF_ZERO: Final = {Zero.PRESENT: "", Zero.ABSENT: "nz"}

E8M0: Final = MiniFloat(
    exponent_bits=8,
    mantissa_bits=0,
    sign=Sign.UNSIGNED,
    specials=Specials.FINITE_NAN,
    subnormals=Subnormals.KEEP_EXPONENT,
    zero=Zero.ABSENT,
)
"""OCP's scale of a block: ``2**(code - 127)``, the last code NaN."""
SHORT_NAMES: Final = {
    "bf16": MiniFloat(exponent_bits=8, mantissa_bits=7, specials=Specials.IEEE),
    "fp16": MiniFloat(exponent_bits=5, mantissa_bits=10, specials=Specials.IEEE),
    "tf32": MiniFloat(exponent_bits=8, mantissa_bits=10, specials=Specials.IEEE),
    "e8m0": E8M0,
}
"""Names that do not follow from the fields."""


def customary_specials(exponent_bits: int, mantissa_bits: int) -> Specials:
    """What a minifloat name without a suffix means.

    IEEE conventions for e5m2, e4m3 and e3m4, as OCP and ml_dtypes name them; no special codes for every other split, as
    in OCP's FP6 and FP4.
    """
    return Specials.IEEE if (exponent_bits, mantissa_bits) in ((5, 2), (4, 3), (3, 4)) else Specials.NONE


def _minifloat_name(number_format: MiniFloat) -> str:
    for name, known in SHORT_NAMES.items():
        if number_format == known:
            return name
    exponent_bits, mantissa_bits, specials = (
        number_format.exponent_bits,
        number_format.mantissa_bits,
        number_format.specials,
    )
    is_customary = number_format.bias == default_bias(exponent_bits, specials)
    prefix = "u" if number_format.sign is Sign.UNSIGNED else ""
    ending = SUFFIX_OF_SUBNORMALS[number_format.subnormals] + SUFFIX_OF_ZERO[number_format.zero]
    if specials is Specials.P3109 and is_customary and not ending and exponent_bits:
        return f"{prefix}binary{number_format.width}p{mantissa_bits + 1}"
    fields = f"{prefix}e{exponent_bits}m{mantissa_bits}" + ("" if is_customary else f"b{number_format.bias}")
    # A bare name that is taken already (e8m0 is OCP's scale) spells its specials.
    unsaid = specials is customary_specials(exponent_bits, mantissa_bits) and fields not in SHORT_NAMES
    return fields + ("" if unsaid else SUFFIX_OF_SPECIALS[specials]) + ending
