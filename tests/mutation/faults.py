"""Faults that the tests must catch, as data: a text in a file and the wrong one in its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planted fault.

    ``original`` stands exactly once in ``file``; ``planted`` replaces it; one of ``tests`` must fail then.
    """

    name: str
    what: str
    file: str
    original: str
    planted: str
    tests: tuple[str, ...]

    def plant(self, text: str) -> str:
        """The text of the file with the fault in it.

        Raises:
            ValueError: if the original does not stand there exactly once.
        """
        count = text.count(self.original)
        if count != 1:
            raise ValueError(
                f"fault {self.name!r}: {self.original!r} stands {count} times in {self.file}, it must stand once: "
                "bring tests/mutation/faults.py up to date"
            )
        return text.replace(self.original, self.planted)


FAULTS: tuple[Fault, ...] = (
    Fault(
        name="tie-definition",
        what="half to even goes to the odd neighbour",
        file="kernels/rounding.py",
        original="HALF_EVEN: floor % 2 == 1,",
        planted="HALF_EVEN: floor % 2 == 0,",
        tests=("tests/kernels/test_rounding.py",),
    ),
    Fault(
        name="tie-compiled",
        what="half away from zero keeps ties of positive numbers down",
        file="kernels/cast_constants.py",
        original="HALF_AWAY: (_NEAREST_AWAY, _NEAREST_AWAY),",
        planted="HALF_AWAY: (_NEAREST_TOWARD, _NEAREST_AWAY),",
        tests=("tests/kernels/test_cast_twins.py",),
    ),
    Fault(
        name="overflow-border",
        what="the largest finite number overflows",
        file="kernels/definitions/minifloat.py",
        original="    if magnitude > magnitude_integer(largest_magnitude_code(fields), fields):",
        planted="    if magnitude >= magnitude_integer(largest_magnitude_code(fields), fields):",
        tests=("tests/kernels/test_cast_twins.py",),
    ),
    Fault(
        name="subnormal",
        what="compiled casts start the normal numbers one binade too high",
        file="kernels/cast_constants.py",
        original="least_exponent=(where.first_binade + lift) << precision,",
        planted="least_exponent=(where.first_binade + 1 + lift) << precision,",
        tests=("tests/kernels/test_cast_twins.py",),
    ),
    Fault(
        name="minus-zero",
        what="compiled casts lose the sign of zero",
        file="kernels/cast_constants.py",
        original="zero_addend=-0.0 if keeps_minus_zero else 0.0,",
        planted="zero_addend=0.0,",
        tests=("tests/kernels/test_cast_twins.py",),
    ),
    Fault(
        name="wrap-sign-magnitude",
        what="AP_WRAP_SM looks at the bit above the word after the rounding carry",
        file="kernels/definitions/fixed.py",
        original="above_before_carry = (math.floor(scaled) >> fields.width) & 1",
        planted="above_before_carry = (rounded >> fields.width) & 1",
        tests=("tests/kernels/test_cast_twins.py",),
    ),
    Fault(
        name="requantise-shift",
        what="single-rounding requantisation shifts by one place less",
        file="kernels/definitions/requantise.py",
        original="round_shift(accumulator * multiplier, 31 - shift, HALF_UP)",
        planted="round_shift(accumulator * multiplier, 30 - shift, HALF_UP)",
        tests=("tests/kernels/test_requantise_rules.py",),
    ),
    Fault(
        name="divide-by-power-tie",
        what="gemmlowp's division by a power of two rounds ties up instead of away from zero",
        file="kernels/definitions/requantise.py",
        original="return round_shift(value, exponent, HALF_AWAY)",
        planted="return round_shift(value, exponent, HALF_UP)",
        tests=("tests/kernels/test_requantise_rules.py",),
    ),
    Fault(
        name="sum-order",
        what="rounded accumulators take their products from the last to the first",
        file="kernels/compiled/sum_loops.py",
        original="            for k in range(depth):\n                a, b, c, d",
        planted="            for k in range(depth - 1, -1, -1):\n                a, b, c, d",
        tests=("tests/kernels/test_dots.py",),
    ),
    Fault(
        name="exact-bound",
        what="float32 products are believed exact up to 2**27",
        file="kernels/products.py",
        original="_FLOAT32_BOUND: Final = 1 << 24",
        planted="_FLOAT32_BOUND: Final = 1 << 27",
        tests=("tests/kernels/test_products.py",),
    ),
    Fault(
        name="round-to-odd",
        what="float accumulators round twice where the sum is not exact",
        file="kernels/compiled/float_sums.py",
        original="    if (error > 0.0 or error < 0.0) and both(pattern, np.int64(1)) == 0:",
        planted="    if (error > 0.0 and error < 0.0) and both(pattern, np.int64(1)) == 0:",
        tests=("tests/kernels/test_dots.py",),
    ),
    Fault(
        name="l-mul-offset",
        what="l(4) is 4",
        file="kernels/definitions/lmul.py",
        original="    return 3 if mantissa_bits == 4 else 4",
        planted="    return 4",
        tests=("tests/kernels/test_lmul.py",),
    ),
    Fault(
        name="l-mul-carry",
        what="field addition drops the carry into the exponent",
        file="kernels/definitions/lmul.py",
        original="exponent, mantissa = exponent + fraction // one, fraction % one",
        planted="exponent, mantissa = exponent, fraction % one",
        tests=("tests/kernels/test_lmul.py",),
    ),
    Fault(
        name="l-mul-flush",
        what="clamped products of the least exponent are flushed, too",
        file="emulation/lmul_sums.py",
        original="first.signs * second.signs * (exponents >= 0)",
        planted="first.signs * second.signs * (exponents > 0)",
        tests=("tests/emulation/test_lmul_clamped.py",),
    ),
    Fault(
        name="l-mul-clamp",
        what="clamped products saturate to all ones in the mantissa, beyond the largest number",
        file="emulation/lmul_ranges.py",
        original="((1 << self.mantissa_bits) + self.mantissa_high)",
        planted="((2 << self.mantissa_bits) - 1)",
        tests=("tests/emulation/test_lmul_clamped.py",),
    ),
    Fault(
        name="block-exponent",
        what="the floor rule of MX takes the exponent above",
        file="kernels/definitions/blocks.py",
        original="        exponent = floor_log2(amax) - top\n",
        planted="        exponent = floor_log2(amax) - top + 1\n",
        tests=("tests/kernels/test_blocks_oracles.py",),
    ),
    Fault(
        name="table-tie",
        what="midpoints go to the larger magnitude",
        file="kernels/definitions/tables.py",
        original="    return abs(Fraction(high)) <= abs(Fraction(low))",
        planted="    return abs(Fraction(high)) > abs(Fraction(low))",
        tests=("tests/kernels/test_tables.py",),
    ),
    Fault(
        name="block-alignment",
        what="blocks are shifted to the static unit by a ceiling, where sums have more than 53 bits",
        file="kernels/compiled/block_dots.py",
        original="part << shift if shift >= 0 else part >> min(-shift, 63)",
        planted="part << shift if shift >= 0 else -(-part >> min(-shift, 63))",
        tests=("tests/kernels/test_exact_dots.py",),
    ),
    Fault(
        name="hardware-level-tie",
        what="in hardware mode, midpoints of negative levels go to the larger magnitude",
        file="emulation/level_casts.py",
        original='np.searchsorted(lower, quotients, side="right")',
        planted='np.searchsorted(lower, quotients, side="left")',
        tests=("tests/emulation/test_level_rules.py",),
    ),
    Fault(
        name="register-first-value",
        what="registers start from 0 and forget the bias",
        file="emulation/register_execution.py",
        original="        initial = initial.astype(bias.dtype) + bias",
        planted="        initial = initial.astype(bias.dtype)",
        tests=("tests/emulation/test_engine_rules.py", "tests/emulation/test_families.py"),
    ),
    Fault(
        name="straight-through-bound",
        what="gradients pass where the cast clips",
        file="emulation/fine_tuning.py",
        original="        return gradient * inside, rows, None, None",
        planted="        return gradient, rows, None, None",
        tests=("tests/emulation/test_fine_tuning.py",),
    ),
    Fault(
        name="block-alignment-in-float",
        what="blocks are truncated to the static unit",
        file="kernels/compiled/block_dots.py",
        original="math.floor(np.float64(parts[row, column]) * (factor * columns[column]))",
        planted="math.trunc(np.float64(parts[row, column]) * (factor * columns[column]))",
        tests=("tests/kernels/test_exact_dots.py",),
    ),
)
