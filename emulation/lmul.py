"""L-Mul on integers v (DESIGN section 6, rule 6): one product by definition, and sums of products as plain GEMMs.

An integer ``v = sign * significand << exponent`` of a minifloat with M mantissa bits has a leading one above its
mantissa if it is normal; zeros and subnormal numbers (``|v| < 2**M``) make the product 0. Mantissas are aligned to the
wider m; the products' unit is the product of the operands' units times ``2**min(M_a, M_b)``, in which a product is
``(2**m + f) << (e_a + e_b)`` (formula) or ``(2**m + f mod 2**m) << (e_a + e_b + floor(f / 2**m))`` (field addition),
with ``f = mantissa_a + mantissa_b + 2**(m - l(m))``. Clamped field additions (`emulation.lmul_sums` adds them up) are
kept to a range (`emulation.lmul_ranges`) and count in the last mantissa bit of its least number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.datapaths import Product
from kernels.definitions.lmul import offset_exponent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.lmul_ranges import ProductRange

_WORD: Final = 62
"""Integers below ``2**_WORD`` go through 64-bit arithmetic."""


def lmul_product(
    left: int, right: int, mantissa_bits: tuple[int, int], product: Product, limits: ProductRange | None = None
) -> int:
    """One product of two integers v, in Python integers.

    Args:
        left: an integer v of a minifloat.
        right: another one.
        mantissa_bits: of left and right.
        product: which L-Mul.
        limits: the range of clamped products (`emulation.lmul_ranges.operand_limits`), else None.

    Raises:
        ValueError: if the clamped product has no limits, or another one has them.

    >>> lmul_product(12, -14, (3, 3), Product.LMUL_FORMULA), lmul_product(12, -14, (3, 3), Product.LMUL_FIELD)
    (-19, -22)
    """
    if (product is Product.LMUL_FIELD_CLAMPED) is (limits is None):
        raise ValueError(
            f"product {product.value} with limits {limits}: l-mul-field-clamped needs them, no other product has them"
        )
    wide = max(mantissa_bits)
    exponents = [max(abs(v).bit_length() - 1 - bits, 0) for v, bits in zip((left, right), mantissa_bits, strict=True)]
    sums = 1 << (wide - offset_exponent(wide))
    for v, bits, exponent in zip((left, right), mantissa_bits, exponents, strict=True):
        if abs(v) < 1 << bits:
            return 0
        sums += ((abs(v) >> exponent) - (1 << bits)) << (wide - bits)
    carry, fraction = (0, sums) if product is Product.LMUL_FORMULA else divmod(sums, 1 << wide)
    exponent = sum(exponents) + carry
    if limits is None:
        magnitude = ((1 << wide) + fraction) << exponent
    elif exponent < limits.exponent_low:
        return 0
    else:
        magnitude = min(((1 << wide) + fraction) << (exponent - limits.exponent_low), limits.largest_integer)
    return magnitude if (left < 0) == (right < 0) else -magnitude


def factors(
    left: NDArray[Any], right: NDArray[Any], mantissa_bits: tuple[int, int], product: Product
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs of matrices whose plain products add up to the L-Mul product of two matrices, term by term in k.

    The formula takes two: with powers P and aligned significands X, ``P_b * (X_a - c * P_a) + P_a * X_b`` where
    ``c = 2**m - 2**(m - l)``. The field addition depends on both mantissas, so the narrower side is split by its
    mantissa: one pair for each of its values. Clamped products depend on both exponents, too, and have no factors.

    Args:
        left: integers v, shape ``(..., m, k)``.
        right: integers v, shape ``(..., k, n)``.
        mantissa_bits: of left and right.
        product: the formula or the field addition.

    Raises:
        ValueError: for another product.
    """
    if product not in (Product.LMUL_FORMULA, Product.LMUL_FIELD):
        raise ValueError(f"product {product.value} has no factors: l-mul-formula and l-mul-field have")
    wide = max(mantissa_bits)
    power_a, mantissa_a = _powers(left, mantissa_bits[0], wide)
    power_b, mantissa_b = _powers(right, mantissa_bits[1], wide)
    one, offset = 1 << wide, 1 << (wide - offset_exponent(wide))
    if product is Product.LMUL_FORMULA:
        # (2**m + M_a + M_b + offset) P_a P_b
        return [(power_a * (mantissa_a + (one + offset)), power_b), (power_a, power_b * mantissa_b)]
    if mantissa_bits[0] < mantissa_bits[1]:
        return [
            (power_a * (mantissa_a == value), power_b * _field_value(mantissa_b + int(value) + offset, wide))
            for value in _present(mantissa_a, power_a)
        ]
    return [
        (power_a * _field_value(mantissa_a + int(value) + offset, wide), power_b * (mantissa_b == value))
        for value in _present(mantissa_b, power_b)
    ]


def _present(mantissas: NDArray[Any], powers: NDArray[Any]) -> list[int]:
    """The mantissas of the numbers that are not 0; at least one, so that a sum of nothing has a shape."""
    found = np.unique(mantissas[powers != 0]).tolist()
    return [int(value) for value in found] or [0]


def _field_value(sums: NDArray[Any], wide: int) -> NDArray[Any]:
    result: NDArray[Any] = ((1 << wide) + (sums & ((1 << wide) - 1))) << (sums >> wide)
    return result


def _powers(values: NDArray[Any], mantissa_bits: int, wide: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Signed powers of two (0 for zeros and subnormal numbers) and aligned mantissas (int64) of integers v."""
    parts = parts_of(values, mantissa_bits)
    largest = int(parts.exponents.max(initial=0)) + mantissa_bits + 1
    ones = np.ones(values.shape, dtype=np.int64 if largest + wide + 4 <= _WORD else object)
    powers: NDArray[Any] = (ones << parts.exponents) * parts.signs
    return powers, parts.mantissas << (wide - mantissa_bits)


class Parts(NamedTuple):
    """Integers v taken apart (int64): signs 1 and -1, 0 for zeros and subnormal numbers, whose other parts are 0.

    Exponents count from the smallest normal number.
    """

    signs: NDArray[np.int64]
    exponents: NDArray[np.int64]
    mantissas: NDArray[np.int64]


def parts_of(values: NDArray[Any], mantissa_bits: int) -> Parts:
    """Integers v of a minifloat, any shape, int64 or Python integers, taken apart."""
    magnitudes = np.abs(values)
    if magnitudes.dtype == object:
        lengths = np.frompyfunc(int.bit_length, 1, 1)(magnitudes).astype(np.int64)
    else:
        # Numbers of a minifloat have few significant bits: float64 holds them exactly.
        lengths = np.frexp(magnitudes.astype(np.float64))[1].astype(np.int64)
        magnitudes = magnitudes.astype(np.int64)
    exponents = np.maximum(lengths - 1 - mantissa_bits, 0)
    normal = lengths > mantissa_bits
    mantissas = (magnitudes >> exponents).astype(np.int64) - (1 << mantissa_bits)
    return Parts(np.where(values < 0, -1, 1) * normal, exponents, np.where(normal, mantissas, 0))
