"""The integers that integer-only functions work with, derived from the unit of their inputs, and the widths they need.

Softmax, GELU and LayerNorm follow I-BERT (Kim et al., "I-BERT: Integer-only BERT Quantization", ICML 2021, algorithms 1
to 4): second-order polynomials whose coefficients become integers in the unit of the argument, and an integer square
root. Three things are fixed here that the paper leaves to its floating-point simulation:

* the argument is first shifted left until its unit is at most ``2**-unit_bits``, so that coefficients stay precise
  however coarse the codes are;
* exponentials are cut to a declared width by the same shift that divides by ``2**z``, so each is rounded (down) once;
* every quotient is an integer division rounded down, by a reciprocal of a declared width.

Units are exact rationals (a float unit is one: ``Fraction(unit)``). Every derived width is a property, and the fast
twins of the definitions compare it with 63 bits.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, NamedTuple

from kernels.definitions.function_tables import logarithm_of_two

SAFE_BITS: Final = 62
"""Widest magnitude for which compiled loops and tensors are used; wider numbers take Python integers."""

EXPONENTIAL_COEFFICIENTS: Final = (Fraction(3585, 10_000), Fraction(1353, 1000), Fraction(344, 1000))
"""``e**p = a * (p + b)**2 + c`` for ``-ln 2 < p <= 0`` (I-BERT, equation 13)."""
ERROR_FUNCTION_COEFFICIENTS: Final = (Fraction(2888, 10_000), Fraction(1769, 1000))
"""``erf(x) = sign(x) * (1 - a * (min(|x|, b) - b)**2)`` (I-BERT, equation 8, with the sign of a drawn out)."""


class SoftmaxFields(NamedTuple):
    """Constants of an integer softmax over rows of ``length`` integers of at most ``magnitude``.

    With ``d = max(q - max(q), -lowest) << shift``, ``z = -d // log_two`` and ``p = d + z * log_two``, an exponential is
    ``((p + offset)**2 + constant) >> (drop + z)``, and a probability is it times ``2**reciprocal_bits // sum``, in the
    unit ``2**-reciprocal_bits``.
    """

    magnitude: int
    length: int
    shift: int
    lowest: int
    log_two: int
    offset: int
    constant: int
    drop: int
    reciprocal_bits: int

    @property
    def largest_exponential(self) -> int:
        """The exponential of 0, which no other exceeds."""
        return (self.offset**2 + self.constant) >> self.drop

    @property
    def widest_bits(self) -> int:
        """Bits of the widest intermediate magnitude: differences, squares, the sum, the reciprocal and the products."""
        largest = (
            2 * self.magnitude,
            self.lowest << self.shift,
            self.offset**2 + self.constant,
            self.length * self.largest_exponential,
            1 << self.reciprocal_bits,  # also bounds each product: an exponential never exceeds the sum
        )
        return max(value.bit_length() for value in largest)


def softmax_fields(
    unit: Fraction,
    *,
    length: int,
    magnitude: int,
    unit_bits: int = 12,
    exponential_bits: int = 16,
    reciprocal_guard: int = 15,
) -> SoftmaxFields:
    """The constants of an integer softmax.

    Args:
        unit: real value of one integer step of the inputs, > 0.
        length: values in a row.
        magnitude: largest magnitude of an input integer.
        unit_bits: arguments of the polynomial have a unit of at most ``2**-unit_bits``.
        exponential_bits: width of an exponential; the largest uses all of them.
        reciprocal_guard: significant bits, at least, of the reciprocal of the sum.

    Raises:
        ValueError: for a unit or a count that is not positive.

    >>> softmax_fields(Fraction(1, 16), length=8, magnitude=128)
    SoftmaxFields(magnitude=128, length=8, shift=8, lowest=178, log_two=2839, offset=5541, constant=16098639, drop=10,
    reciprocal_bits=34)
    """
    _check_unit(unit)
    if length < 1 or magnitude < 1:
        raise ValueError(
            f"a softmax needs rows of at least 1 value and a magnitude of at least 1, got {length}, {magnitude}"
        )
    shift = max(_binade_above(unit) + unit_bits, 0)
    working = unit / (1 << shift)
    factor, offset, constant = EXPONENTIAL_COEFFICIENTS
    log_two = _floor_of_log_two(working)
    fields = SoftmaxFields(
        magnitude=magnitude,
        length=length,
        shift=shift,
        # A magnitude this far below the maximum is shifted out entirely, so nothing is lost by stopping there.
        lowest=-(-exponential_bits * log_two >> shift),
        log_two=log_two,
        offset=math.floor(offset / working),
        constant=math.floor(constant / (factor * working**2)),
        drop=0,
        reciprocal_bits=0,
    )
    drop = max(fields.largest_exponential.bit_length() - exponential_bits, 0)
    fields = fields._replace(drop=drop)
    total = length * fields.largest_exponential
    return fields._replace(reciprocal_bits=total.bit_length() + reciprocal_guard)


class GeluFields(NamedTuple):
    """Constants of an integer GELU of integers of at most ``magnitude``.

    It is ``q * (constant + sign(q) * e)``; ``e = constant - (offset - m)**2``, ``m = min(|q| << shift, offset)``.
    """

    magnitude: int
    shift: int
    offset: int
    constant: int

    @property
    def widest_bits(self) -> int:
        """Bits of the widest intermediate magnitude: the shifted argument, the square and the result."""
        largest = (self.magnitude << self.shift, self.offset**2, self.magnitude * 2 * self.constant)
        return max(value.bit_length() for value in largest)


def gelu_fields(unit: Fraction, *, magnitude: int, unit_bits: int = 10) -> GeluFields:
    """The constants of an integer GELU; see `gelu_unit` for what its results mean.

    Args:
        unit: real value of one integer step of the inputs, > 0.
        magnitude: largest magnitude of an input integer.
        unit_bits: the polynomial's argument has a unit of at most ``2**-unit_bits``.

    Raises:
        ValueError: for a unit or magnitude that is not positive.

    >>> gelu_fields(Fraction(1, 16), magnitude=128)
    GeluFields(magnitude=128, shift=6, offset=2561, constant=7261606)
    """
    _check_unit(unit)
    if magnitude < 1:
        raise ValueError(f"a GELU needs inputs with a magnitude of at least 1, got {magnitude}")
    shift = max(_binade_above(unit) + unit_bits, 0)
    working = unit / (1 << shift)
    factor, offset = ERROR_FUNCTION_COEFFICIENTS
    # The argument of erf is x / sqrt(2); floor(sqrt(r)) of a rational r is exact.
    return GeluFields(
        magnitude=magnitude,
        shift=shift,
        offset=math.isqrt(math.floor(2 * (offset / working) ** 2)),
        constant=math.floor(2 / (factor * working**2)),
    )


def gelu_unit(unit: Fraction, fields: GeluFields) -> Fraction:
    """The real value of one step of an integer GELU's result: half the unit times that of the error function."""
    factor, _ = ERROR_FUNCTION_COEFFICIENTS
    working = unit / (1 << fields.shift)
    return unit * factor * working**2 / 4


class LayerNormFields(NamedTuple):
    """Constants of an integer layer normalisation over rows of ``length`` integers of at most ``magnitude``.

    Deviations have ``fraction_bits`` more than the inputs, ``epsilon`` is in the square of their unit, and the
    reciprocal of the standard deviation is ``2**reciprocal_bits // deviation``: results are in ``2**-reciprocal_bits``.
    """

    magnitude: int
    length: int
    fraction_bits: int
    epsilon: int
    reciprocal_bits: int

    @property
    def largest_result(self) -> int:
        """A bound of the results: none is more than ``2 * (sqrt(length) + 1)`` standard deviations from the mean."""
        return (1 << self.reciprocal_bits) * 2 * (math.isqrt(self.length) + 1)

    @property
    def widest_bits(self) -> int:
        """Bits of the widest intermediate magnitude: the sum of squares, the variance, and the results."""
        widest = self.magnitude << self.fraction_bits
        largest = (
            2 * self.length * widest + self.length,
            self.length * (widest**2 + 1),
            widest**2 + 1 + self.epsilon,
            self.largest_result,
        )
        return max(value.bit_length() for value in largest)


def layer_norm_fields(
    unit: Fraction,
    *,
    length: int,
    magnitude: int,
    epsilon: Fraction,
    deviation_bits: int = 20,
    reciprocal_guard: int = 15,
) -> LayerNormFields:
    """The constants of an integer layer normalisation.

    Args:
        unit: real value of one integer step of the inputs, > 0.
        length: values in a row.
        magnitude: largest magnitude of an input integer.
        epsilon: what is added to the variance, a real number >= 0.
        deviation_bits: inputs are shifted left to use this many bits, so that a small spread keeps its precision.
        reciprocal_guard: significant bits, at least, of the reciprocal of the standard deviation.

    Raises:
        ValueError: for a unit or a count that is not positive, or a negative epsilon.

    >>> layer_norm_fields(Fraction(1, 16), length=8, magnitude=128, epsilon=Fraction(1, 100_000))
    LayerNormFields(magnitude=128, length=8, fraction_bits=12, epsilon=42950, reciprocal_bits=35)
    """
    _check_unit(unit)
    if length < 1 or magnitude < 1 or epsilon < 0:
        raise ValueError(
            f"a layer norm needs rows of at least 1 value, a magnitude of at least 1 and an epsilon of at least 0, got "
            f"{length}, {magnitude} and {float(epsilon)}"
        )
    fraction_bits = max(deviation_bits - magnitude.bit_length(), 0)
    scaled = round(epsilon / (unit / (1 << fraction_bits)) ** 2)
    largest_deviation = math.isqrt((magnitude << fraction_bits) ** 2 + 1 + scaled)
    return LayerNormFields(
        magnitude=magnitude,
        length=length,
        fraction_bits=fraction_bits,
        epsilon=scaled,
        reciprocal_bits=largest_deviation.bit_length() + reciprocal_guard,
    )


def _check_unit(unit: Fraction) -> None:
    if unit <= 0:
        raise ValueError(f"the unit of the inputs must be above 0, got {float(unit)}")


def _binade_above(value: Fraction) -> int:
    """The least k with ``value <= 2**k``."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length() - 1
    while value > Fraction(2) ** exponent:
        exponent += 1
    return exponent


def _floor_of_log_two(working: Fraction) -> int:
    """``floor(ln 2 / working)``; ln 2 is irrational, so a narrow enough enclosure decides it."""
    bits = 64
    while True:
        low, high = logarithm_of_two(bits)
        if math.floor(low / working) == math.floor(high / working):
            return math.floor(low / working)
        bits *= 2
