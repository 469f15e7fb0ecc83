"""Correctly rounded tables of activation functions: the integer nearest to the exact real result, and proven so.

An entry is ``saturate(round(f(v * input_unit) / output_unit))`` for an exact real function f. The functions are
enclosed between two rationals by integer arithmetic (Taylor series with bounded tails, every step rounded outwards),
and the enclosure is narrowed until no midpoint between two outputs lies inside it: then the rounding is decided. The
ends themselves are never the value (a tail that is left out is positive, and e**x is irrational), so an end may be a
midpoint: that decides sigmoid, GELU and SiLU where they are all but saturated. Where f is rational (at 0, and the two
hard functions everywhere) it is taken exactly, and only there a tie can arise.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIGMOID: Final = 0
"""``1 / (1 + e**-x)``."""
TANH: Final = 1
"""``(e**x - e**-x) / (e**x + e**-x)``."""
GELU: Final = 2
"""``x / 2 * (1 + erf(x / sqrt(2)))``, the definition (Hendrycks and Gimpel, arXiv 1606.08415)."""
GELU_TANH: Final = 3
"""``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``, the same paper's approximation, of its own right."""
SILU: Final = 4
"""``x / (1 + e**-x)``."""
EXPONENTIAL: Final = 5
"""``e**x``."""

HARD_SIGMOID: Final = 6
"""``min(max(x / 6 + 1 / 2, 0), 1)``, rational everywhere (Howard et al., arXiv 1905.02244)."""
HARD_SWISH: Final = 7
"""``x * min(max(x / 6 + 1 / 2, 0), 1)``, of the same paper."""

FUNCTION_NAMES: Final = (
    "sigmoid",
    "tanh",
    "gelu",
    "gelu-tanh",
    "silu",
    "exponential",
    "hard-sigmoid",
    "hard-swish",
)
"""Names by code, for messages."""

FIRST_BITS: Final = 64
"""Fraction bits of the first enclosure; doubled while it does not decide."""
MOST_BITS: Final = 1 << 15
"""Fraction bits at which the search gives up: no result of up to 64 bits comes near to needing them."""
TANH_FORM_CUBE: Final = Fraction(44715, 1_000_000)
"""The cubic coefficient of GELU's tanh form, the decimal 0.044715 exactly."""

Enclosure = tuple[Fraction, Fraction]


def function_table(
    function: int,
    integers: Sequence[int],
    *,
    input_unit: Fraction,
    output_unit: Fraction,
    low: int,
    high: int,
    mantissa_bits: int = INTEGER_GRID,
) -> list[int]:
    """The table of a function over some integers, usually those that the codes 0, 1, 2 ... of the input mean.

    Args:
        function: a code of this module.
        integers: the inputs v, each meaning ``v * input_unit``.
        input_unit: real value of one integer step of the input, > 0, exact.
        output_unit: real value of one integer step of the output, > 0, exact.
        low: least integer of the output (saturation).
        high: greatest integer of the output.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of the output minifloat's grid.

    Returns:
        One integer of the output for each input; ties, which only rational results have, go to even.

    Raises:
        ValueError: for a unit that is not positive or an unknown function.

    >>> function_table(SIGMOID, [-4, 0, 4], input_unit=Fraction(1, 2), output_unit=Fraction(1, 256), low=0, high=255)
    [31, 128, 225]
    """
    if input_unit <= 0 or output_unit <= 0:
        raise ValueError(
            f"units must be above 0, got {float(input_unit)} for inputs and {float(output_unit)} for outputs"
        )
    if not 0 <= function < len(FUNCTION_NAMES):
        raise ValueError(
            f"function {function} is not known: it must be 0 to {len(FUNCTION_NAMES) - 1} {FUNCTION_NAMES}"
        )
    return [_entry(function, integer * input_unit, output_unit, low, high, mantissa_bits) for integer in integers]


def round_to_grid(value: Fraction, mantissa_bits: int) -> int:
    """Round an exact number to the nearest integer, or the nearest on a minifloat's grid; ties to even.

    >>> round_to_grid(Fraction(5, 2), INTEGER_GRID), round_to_grid(Fraction(11), 1)
    (2, 12)
    """
    spacing = _spacing(value, mantissa_bits)
    return round(value / spacing) * spacing


def _round_beside(end: Fraction, mantissa_bits: int, *, upwards: int) -> int:
    """What a number just above ``end`` (``upwards`` 1) or just below it (0) rounds to: a midpoint is no tie then."""
    spacing = _spacing(end, mantissa_bits)
    steps = end / spacing
    half = Fraction(1, 2)
    return (math.floor(steps + half) if upwards else math.ceil(steps - half)) * spacing


def _spacing(value: Fraction, mantissa_bits: int) -> int:
    magnitude = abs(value)
    if mantissa_bits == INTEGER_GRID or magnitude < 1:
        return 1
    binade = (magnitude.numerator // magnitude.denominator).bit_length() - 1
    return 1 << max(binade - mantissa_bits, 0)


def _entry(function: int, argument: Fraction, unit: Fraction, low: int, high: int, mantissa_bits: int) -> int:
    if function in {HARD_SIGMOID, HARD_SWISH}:
        ramp = min(max(argument / 6 + Fraction(1, 2), Fraction(0)), Fraction(1))
        value = ramp * argument if function == HARD_SWISH else ramp
        return min(max(round_to_grid(value / unit, mantissa_bits), low), high)
    if argument == 0:
        at_zero = {SIGMOID: Fraction(1, 2), EXPONENTIAL: Fraction(1)}.get(function, Fraction(0))
        return min(max(round_to_grid(at_zero / unit, mantissa_bits), low), high)
    if function == EXPONENTIAL and argument > (high * unit).__ceil__().bit_length():
        return high  # e**x > 2**x > the largest output
    enclose = _ENCLOSURES[function]
    bits = FIRST_BITS
    while bits <= MOST_BITS:
        lower, upper = enclose(argument, bits)
        least = _round_beside(lower / unit, mantissa_bits, upwards=1)
        most = _round_beside(upper / unit, mantissa_bits, upwards=0)
        if min(max(least, low), high) == min(max(most, low), high):
            return min(max(least, low), high)
        bits *= 2
    raise ArithmeticError(
        f"{FUNCTION_NAMES[function]}({float(argument)}) lies nearer than 2**-{MOST_BITS} to a midpoint of outputs with "
        f"unit {float(unit)}, so its rounding is not decided: use units of a more usual ratio"
    )


def decaying_exponential(argument: Fraction, bits: int) -> Enclosure:
    """An enclosure of ``e**-x`` for x >= 0, at most ``2**-bits`` wide.

    >>> lower, upper = decaying_exponential(Fraction(1), 64)
    >>> lower < upper <= lower + Fraction(1, 2**64), float(lower) == math.exp(-1)
    (True, True)
    """
    if argument >= bits:
        return Fraction(0), Fraction(1, 1 << bits)  # e**-x < 2**-x
    # Halve the argument to below 1/16, sum the series, and square as often; a squaring doubles the error.
    halvings = (argument.numerator // argument.denominator).bit_length() + 4
    scale = bits + 2 * halvings + 16
    numerator, denominator = argument.numerator << scale, argument.denominator << halvings
    least = numerator // denominator
    most = least + 1
    term_low = term_high = 1 << scale
    low = high = 0
    order = 0
    while term_high > 1:
        if order % 2 == 0:
            low, high = low + term_low, high + term_high
        else:
            low, high = low - term_high, high - term_low
        order += 1
        term_low = (term_low * least >> scale) // order
        term_high = -(-(term_high * most) // (order << scale))
    # The rest alternates and shrinks, so it is smaller than its first term, which is at most one step.
    low, high = max(low - 1, 0), high + 1
    for _ in range(halvings):
        low, high = low * low >> scale, -(-(high * high) >> scale)
    return Fraction(low, 1 << scale), Fraction(high, 1 << scale)


def _sigmoid(argument: Fraction, bits: int) -> Enclosure:
    low, high = decaying_exponential(abs(argument), bits)
    if argument > 0:
        return 1 / (1 + high), 1 / (1 + low)
    return low / (1 + low), high / (1 + high)


def _tanh(argument: Fraction, bits: int) -> Enclosure:
    low, high = decaying_exponential(2 * abs(argument), bits)
    magnitudes = (1 - high) / (1 + high), (1 - low) / (1 + low)
    return magnitudes if argument > 0 else (-magnitudes[1], -magnitudes[0])


def _silu(argument: Fraction, bits: int) -> Enclosure:
    return _scaled(_sigmoid(argument, bits), argument)


def _exponential(argument: Fraction, bits: int) -> Enclosure:
    if argument < 0:
        return decaying_exponential(-argument, bits)
    # e**-x > 4**-x, so this many more bits keep the enclosure away from 0 and its inverse narrow.
    low, high = decaying_exponential(argument, bits + 4 * (argument.__ceil__() + 1))
    return 1 / high, 1 / low


def _gelu(argument: Fraction, bits: int) -> Enclosure:
    low, high = _normal_probability(argument, bits)
    return _scaled((low, high), argument)


def _gelu_tanh(argument: Fraction, bits: int) -> Enclosure:
    # x / 2 * (1 + tanh(u)) = x * sigmoid(2 u), and 2 u is a rational times sqrt(2 / pi)
    factor = 2 * (argument + TANH_FORM_CUBE * argument**3)
    low, high = _scaled(_root_two_over_pi(bits + 4 * abs(factor).__ceil__().bit_length()), factor)
    return _scaled((_sigmoid(low, bits)[0], _sigmoid(high, bits)[1]), argument)


def _normal_probability(argument: Fraction, bits: int) -> Enclosure:
    """The normal distribution function: ``1/2 + phi(x) * (x + x**3 / 3 + x**5 / 15 + ...)``, all terms of one sign."""
    square = argument * argument
    if square / 2 >= bits:  # the tail beyond x is below e**(-x**2 / 2) / 2
        tail = Fraction(1, 1 << (bits + 1))
        return (1 - tail, Fraction(1)) if argument > 0 else (Fraction(0), tail)
    scale = 3 * bits + 16  # the sum is below e**(x**2 / 2) < 2**(1.5 * bits)
    unit = 1 << scale
    least = (square.numerator << scale) // square.denominator
    low = high = term_low = term_high = unit
    order = 1
    while True:
        order += 2
        term_low = (term_low * least >> scale) // order
        term_high = -(-(term_high * (least + 1)) // (order << scale))
        low, high = low + term_low, high + term_high
        if 2 * least < order << scale and term_high <= 1:
            break
    high += term_high + 1  # from here each term is less than half of the one before
    density_low, density_high = decaying_exponential(square / 2, scale)
    root_low, root_high = _root_two_over_pi(scale)
    magnitude = abs(argument) / 2
    half_low = root_low * density_low * magnitude * Fraction(low, unit)
    half_high = root_high * density_high * magnitude * Fraction(high, unit)
    half = Fraction(1, 2)
    return (half + half_low, half + half_high) if argument > 0 else (half - half_high, half - half_low)


def _root_two_over_pi(bits: int) -> Enclosure:
    low, high = _pi(bits + 8)
    return _root(2 / high, bits + 4)[0], _root(2 / low, bits + 4)[1]


def _root(value: Fraction, bits: int) -> Enclosure:
    floor = math.isqrt((value.numerator << (2 * bits)) // value.denominator)
    return Fraction(floor, 1 << bits), Fraction(floor + 1, 1 << bits)


def _pi(bits: int) -> Enclosure:
    """Machin: ``pi = 16 * arctan(1/5) - 4 * arctan(1/239)``."""
    scale = bits + 16
    value = 16 * _inverse_tangent(5, scale) - 4 * _inverse_tangent(239, scale)
    error = 20 * 2 * scale  # fewer than 2 * scale roundings of at most one step in each series
    return Fraction(value - error, 1 << scale), Fraction(value + error, 1 << scale)


def _inverse_tangent(denominator: int, scale: int) -> int:
    """About ``arctan(1 / denominator) * 2**scale``; each of its terms is off by at most 2 steps."""
    power = (1 << scale) // denominator
    total, order, sign = 0, 1, 1
    while power:
        total += sign * (power // order)
        power //= denominator * denominator
        order, sign = order + 2, -sign
    return total


def logarithm_of_two(bits: int) -> Enclosure:
    """An enclosure of ln 2 with ``bits`` bits: ``2 * (1/3 + 1/(3 * 27) + 1/(5 * 243) + ...)``."""
    scale = bits + 16
    power = (1 << scale) // 3
    total, order = 0, 1
    while power:
        total += power // order
        power //= 9
        order += 2
    return Fraction(2 * total, 1 << scale), Fraction(2 * (total + 2 * order), 1 << scale)


def _scaled(enclosure: Enclosure, factor: Fraction) -> Enclosure:
    low, high = enclosure
    return (low * factor, high * factor) if factor >= 0 else (high * factor, low * factor)


_ENCLOSURES: Final[dict[int, Callable[[Fraction, int], Enclosure]]] = {
    SIGMOID: _sigmoid,
    TANH: _tanh,
    GELU: _gelu,
    GELU_TANH: _gelu_tanh,
    SILU: _silu,
    EXPONENTIAL: _exponential,
}
