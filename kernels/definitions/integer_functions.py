"""Integer-only functions on Python integers: square root, exponential, softmax, GELU, layer normalisation, average.

They take the constants of `kernels.integer_constants` and return integers in a stated unit, still to be requantised:
``saturate(round(result * b * 2**-c))`` is the one rounding to the output (DESIGN section 6, rule 10). Until then every
division and right shift rounds down, except the mean of a layer norm (nearest, ties up). Rules: I-BERT (ICML 2021),
algorithms 1 to 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.rounding import round_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernels.integer_constants import GeluFields, LayerNormFields, SoftmaxFields


def integer_square_root(value: int) -> int:
    """The floor of the square root by Newton's method from above (I-BERT, algorithm 4).

    Raises:
        ValueError: for a negative number.

    >>> [integer_square_root(n) for n in (0, 1, 15, 16, 2**62 - 1)]
    [0, 1, 3, 4, 2147483647]
    """
    if value < 0:
        raise ValueError(f"a square root needs a number of at least 0, got {value}")
    if value == 0:
        return 0
    root = 1 << -(-value.bit_length() // 2)
    while True:
        following = (root + value // root) >> 1
        if following >= root:
            return root
        root = following


def integer_exponential(difference: int, fields: SoftmaxFields) -> int:
    """``e**x`` for ``x = difference * unit <= 0``, scaled so that ``e**0`` is ``fields.largest_exponential``.

    The unit of the result is rarely a power of two; only quotients of exponentials matter.

    Raises:
        ValueError: for a positive difference.
    """
    if difference > 0:
        raise ValueError(f"the exponential is defined for differences of at most 0 (from a maximum), got {difference}")
    argument = max(difference, -fields.lowest) << fields.shift
    halvings = -argument // fields.log_two
    rest = argument + halvings * fields.log_two
    return ((rest + fields.offset) ** 2 + fields.constant) >> (fields.drop + halvings)


def integer_softmax(row: Sequence[int], fields: SoftmaxFields) -> list[int]:
    """Softmax of a row of integers, in the unit ``2**-fields.reciprocal_bits``; never above 1.

    Raises:
        ValueError: for a row of another length or with magnitudes beyond those of the constants.

    >>> from fractions import Fraction
    >>> from kernels.integer_constants import softmax_fields
    >>> fields = softmax_fields(Fraction(1, 16), length=3, magnitude=128)
    >>> [round(p / 2**fields.reciprocal_bits, 3) for p in integer_softmax([16, 0, -16], fields)]
    [0.665, 0.245, 0.09]
    """
    _check_row(row, fields.length, fields.magnitude)
    largest = max(row)
    exponentials = [integer_exponential(value - largest, fields) for value in row]
    reciprocal = (1 << fields.reciprocal_bits) // sum(exponentials)
    return [exponential * reciprocal for exponential in exponentials]


def integer_layer_norm(row: Sequence[int], fields: LayerNormFields) -> list[int]:
    """A row's deviations from its mean over its standard deviation, in the unit ``2**-fields.reciprocal_bits``.

    The mean is rounded to the nearest with ``fields.fraction_bits``, ties up; the variance (of the population), its
    square root and the reciprocal are rounded down; a standard deviation of 0 counts as 1 step.

    Raises:
        ValueError: for a row of another length or with magnitudes beyond those of the constants.

    >>> from fractions import Fraction
    >>> from kernels.integer_constants import layer_norm_fields
    >>> fields = layer_norm_fields(Fraction(1, 16), length=3, magnitude=128, epsilon=Fraction(0))
    >>> [round(value / 2**fields.reciprocal_bits, 3) for value in integer_layer_norm([16, 0, -16], fields)]
    [1.225, 0.0, -1.225]
    """
    _check_row(row, fields.length, fields.magnitude)
    count = fields.length
    mean = (2 * (sum(row) << fields.fraction_bits) + count) // (2 * count)
    deviations = [(value << fields.fraction_bits) - mean for value in row]
    variance = sum(value * value for value in deviations) // count + fields.epsilon
    reciprocal = (1 << fields.reciprocal_bits) // max(integer_square_root(variance), 1)
    return [value * reciprocal for value in deviations]


def integer_gelu(value: int, fields: GeluFields) -> int:
    """GELU with I-BERT's polynomial for erf (algorithm 1), in the unit of `kernels.integer_constants.gelu_unit`.

    At 0 it is 0; the polynomial itself jumps there (by 0.096 in erf), as in the paper.

    Raises:
        ValueError: for a magnitude beyond that of the constants.
    """
    if abs(value) > fields.magnitude:
        raise ValueError(f"the constants allow magnitudes up to {fields.magnitude}, got {value}")
    clipped = min(abs(value) << fields.shift, fields.offset)
    error_function = fields.constant - (fields.offset - clipped) ** 2
    return value * (fields.constant + (error_function if value >= 0 else -error_function))


def integer_average(values: Sequence[int], multiplier: int, shift: int, rounding: int) -> int:
    """The sum times ``multiplier * 2**-shift`` (which holds 1/n and the units), rounded once by a mode of the kernels.

    >>> from kernels.rounding import HALF_EVEN
    >>> integer_average([1, 2, 4], 21845, 16, HALF_EVEN)
    2
    """
    return round_shift(sum(values) * multiplier, shift, rounding)


def _check_row(row: Sequence[int], length: int, magnitude: int) -> None:
    if len(row) != length:
        raise ValueError(f"the constants are for rows of {length} values, got {len(row)}")
    largest = max(map(abs, row))
    if largest > magnitude:
        raise ValueError(f"the constants allow magnitudes up to {magnitude}, got {largest}")
