"""L-Mul on the GPU: matrix products of codes by the rules of `kernels.definitions.lmul`.

An operand becomes a word ``(exponent << m) + mantissa`` with the mantissa aligned to the wider of the two, doubled,
plus its sign bit; a zero or subnormal number becomes a word so low that no sum with it reaches a number. The field
addition is then one integer addition whose carry goes into the exponent by itself; the formula takes the fields apart
again.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import torch

from kernels.definitions import lmul as definition
from kernels.definitions import minifloat
from kernels.definitions.dots import check_options
from kernels.fields import (
    LMUL_FIELD_CLAMPED,
    OVERFLOW_INFINITY,
    SUBNORMALS_KEEP_EXPONENT,
    AccumulatorFields,
    FloatFields,
    LMulFields,
)
from kernels.gpu.bits import BINARY64
from kernels.gpu.checks import check_codes
from kernels.gpu.dots import as_result, ordered_matmul, sum_unit
from kernels.gpu.launching import kernel, launch_elementwise, tl
from kernels.gpu.sum_constants import LMulConstants, work_dtype
from kernels.gpu.sums import lmul_product

_EXACT: Final = AccumulatorFields()
_ZERO_BITS: Final = {torch.int32: 28, torch.int64: 40}
"""A zero is minus 2 to this power: more than any word, less than half of what the type holds."""
_FLOAT64_EXPONENTS: Final = (-960, 960)
"""Products with exponents in between are normal float64 numbers, whatever their mantissas carry."""
_NARROW_MANTISSA: Final = 16
"""Exponents of minifloats need 10 bits above the mantissa, with which a word of 32 bits stays below its zero."""


def words_of(codes: torch.Tensor, fields: FloatFields, bits: int) -> torch.Tensor:
    """The words of operands: int32 for mantissas up to 16 bits, else int64.

    Args:
        codes: as `kernels.gpu.minifloat.encode` returns them.
        fields: their format.
        bits: bits of the aligned mantissa, at least the format's.

    Raises:
        ValueError: if a code is out of range, infinite or NaN.
    """
    check_codes(codes, minifloat.code_width(fields), torch.float32)
    whole = codes.to(torch.int64)
    magnitude = whole & ((1 << (fields.exponent_bits + fields.mantissa_bits)) - 1)
    negative = whole != magnitude
    refused = magnitude > minifloat.largest_magnitude_code(fields)
    if fields.signed and minifloat.has_zero(fields) and not minifloat.has_minus_zero(fields):
        refused |= negative & (magnitude == 0)
    if bool(refused.any()):
        raise ValueError(
            f"{int(refused.sum())} of {codes.numel()} codes are infinite or NaN: L-Mul takes finite operands only"
        )
    field = magnitude >> fields.mantissa_bits
    mantissa = magnitude & ((1 << fields.mantissa_bits) - 1)
    keeps = fields.subnormals == SUBNORMALS_KEEP_EXPONENT
    is_zero = (magnitude == 0) & bool(fields.zero) if keeps else field == 0
    dtype = torch.int32 if bits <= _NARROW_MANTISSA else torch.int64
    words = ((field - fields.bias) << bits) + (mantissa << (bits - fields.mantissa_bits))
    doubled = torch.where(is_zero, -(2 << _ZERO_BITS[dtype]), 2 * words + negative)
    return doubled.to(dtype)


def lmul_constants(fields: LMulFields) -> LMulConstants:
    """The constants of an L-Mul for its kernels."""
    definition.check(fields)
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    dtype = torch.int32 if bits <= _NARROW_MANTISSA else torch.int64
    clamped = fields.kind == LMUL_FIELD_CLAMPED
    return LMulConstants(
        kind=fields.kind,
        bits=bits,
        offset=1 << (bits - definition.offset_exponent(bits)),
        zero=-(1 << (_ZERO_BITS[dtype] - 1)),
        low=fields.exponent_low << bits,
        high=(fields.exponent_high << bits) + fields.mantissa_high,
        infinite=int(clamped and fields.overflow == OVERFLOW_INFINITY),
    )


def product_unit(left_fields: FloatFields, right_fields: FloatFields, fields: LMulFields) -> int:
    """Binary exponent of the unit that exact sums of products are counted in.

    >>> e4m3fn = FloatFields(4, 3, 7, 1, 1, 0, 1)
    >>> product_unit(e4m3fn, e4m3fn, LMulFields(0, 3, 3))
    -15
    """
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    return _exponents(left_fields)[0] + _exponents(right_fields)[0] - bits


@kernel
def multiply_kernel(
    left: tl.tensor,
    right: tl.tensor,
    results: tl.tensor,
    size: tl.tensor,
    SOURCE: tl.constexpr,
    LMUL: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One product of two words per value; every zero is plus zero."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    one = tl.load(left + place, mask=inside, other=0)
    value = lmul_product(one, tl.load(right + place, mask=inside, other=0), SOURCE, LMUL)
    tl.store(results + place, value, mask=inside)


def multiply_codes(
    left: torch.Tensor, right: torch.Tensor, left_fields: FloatFields, right_fields: FloatFields, fields: LMulFields
) -> torch.Tensor:
    """Elementwise products of codes that broadcast, exact in float64 (or infinite, as the clamped overflow says).

    Args:
        left: codes as `kernels.gpu.minifloat.encode` returns them, on a CUDA device (any, in the interpreter).
        right: the same.
        left_fields: the format of the left codes.
        right_fields: the format of the right codes.
        fields: which L-Mul.

    Raises:
        ValueError: if an operand is infinite or NaN, mantissas do not belong to the formats, or exponents of products
            leave the range of float64.
    """
    _check_mantissas(left_fields, right_fields, fields)
    constants = lmul_constants(fields)
    least, greatest = (sum(pair) for pair in zip(_exponents(left_fields), _exponents(right_fields), strict=True))
    if least < _FLOAT64_EXPONENTS[0] or greatest > _FLOAT64_EXPONENTS[1]:
        raise ValueError(
            f"L-Mul products with exponents from {least} to {greatest}: float64 takes {_FLOAT64_EXPONENTS[0]} to "
            f"{_FLOAT64_EXPONENTS[1]} here; use smaller biases"
        )
    one, other = torch.broadcast_tensors(  # type: ignore[no-untyped-call]  # torch has no types here
        words_of(left, left_fields, constants.bits), words_of(right, right_fields, constants.bits)
    )
    results = torch.empty(one.shape, dtype=torch.float64, device=left.device)
    launch_elementwise(
        multiply_kernel, one.numel(), one.contiguous(), other.contiguous(), results, SOURCE=BINARY64, LMUL=constants
    )
    return results


def matmul_codes(
    left: torch.Tensor,
    right: torch.Tensor,
    left_fields: FloatFields,
    right_fields: FloatFields,
    fields: LMulFields,
    *,
    accumulator: AccumulatorFields = _EXACT,
) -> torch.Tensor:
    """The matrix product of codes with L-Mul in place of each multiplication.

    Args:
        left: codes as `kernels.gpu.minifloat.encode` returns them, shape ``(m, k)``, on a CUDA device (any, in the
            interpreter).
        right: codes, shape ``(k, n)``.
        left_fields: the format of the left codes.
        right_fields: the format of the right codes.
        fields: which L-Mul.
        accumulator: exact, or a format with rounding, overflow and order.

    Returns:
        Exact: int64 in the unit of `product_unit`. Fixed point: int64 in the accumulator's unit. Float: float64 values.

    Raises:
        ValueError: if shapes or options do not fit, an operand is not finite, a product is infinite in an accumulator
            that has no infinity, or the bits of a sum exceed 53.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(
            f"matrices of shapes {tuple(left.shape)} and {tuple(right.shape)} have no product: (m, k) and (k, n) are "
            "needed"
        )
    _check_mantissas(left_fields, right_fields, fields)
    check_options(None, accumulator)
    constants = lmul_constants(fields)
    unit = product_unit(left_fields, right_fields, fields)
    # A product is below 2**(sum of exponents + 2): 1 + 2 * (1 - 2**-m) + 2**-l never exceeds 4, nor does a carry.
    largest = Fraction(2) ** (_exponents(left_fields)[1] + _exponents(right_fields)[1] + 2)
    if constants.infinite and not isinstance(accumulator.grid, FloatFields):
        raise ValueError(
            f"L-Mul products that overflow to infinity have no place in the accumulator {accumulator.grid}: saturate "
            "them or use a float accumulator"
        )
    dtype = work_dtype(
        unit=unit,
        largest=largest,
        digits=constants.bits + 2,
        depth=left.shape[1],
        product=None,
        accumulator=accumulator,
    )
    values = ordered_matmul(
        words_of(left, left_fields, constants.bits),
        words_of(right, right_fields, constants.bits),
        constants,
        dtype=dtype,
        product=None,
        accumulator=accumulator,
        initial=None,
    )
    result_unit = sum_unit(unit, None, accumulator)
    return as_result(values, result_unit)


def _check_mantissas(left_fields: FloatFields, right_fields: FloatFields, fields: LMulFields) -> None:
    given = (left_fields.mantissa_bits, right_fields.mantissa_bits)
    if given != (fields.left_mantissa_bits, fields.right_mantissa_bits):
        raise ValueError(
            f"L-Mul of mantissas of {fields.left_mantissa_bits} and {fields.right_mantissa_bits} bits for formats with "
            f"{given[0]} and {given[1]}: they must be the same"
        )


def _exponents(fields: FloatFields) -> tuple[int, int]:
    """The least and the greatest exponent of a normal number, but no more than 0 and no less than 0."""
    least = (0 if fields.subnormals == SUBNORMALS_KEEP_EXPONENT else 1) - fields.bias
    greatest = (minifloat.largest_magnitude_code(fields) >> fields.mantissa_bits) - fields.bias
    return min(least, 0), max(greatest, 0)
