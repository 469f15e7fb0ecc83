"""Torch versions of `kernels.definitions.lmul` on codes, on any device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from kernels.definitions import lmul as definition
from kernels.definitions.dots import check_options
from kernels.definitions.minifloat import code_width, decode_scalar
from kernels.fields import (
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    ORDER_CHUNKS_EXACT,
    OVERFLOW_INFINITY,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    LMulFields,
)
from kernels.orders import ordered_sum
from kernels.tensors.dots import add_to_odd, cast_tensor, check_shapes, scale

if TYPE_CHECKING:
    from collections.abc import Callable

_EXACT: Final = AccumulatorFields()
_MOST_CODE_BITS: Final = 16
_FLOAT64_BITS: Final = 53


class LMulTable(NamedTuple):
    """What every code of a format is to L-Mul, as tensors: see `kernels.compiled.lmul.LMulTable`."""

    sign: torch.Tensor
    exponent: torch.Tensor
    mantissa: torch.Tensor
    finite: torch.Tensor


def operand_table(fields: FloatFields, device: torch.device | str = "cpu") -> LMulTable:
    """The table of a format of at most 16 bits, int64 on a device.

    Raises:
        ValueError: if the format is wider.
    """
    if code_width(fields) > _MOST_CODE_BITS:
        raise ValueError(f"L-Mul tables take formats up to {_MOST_CODE_BITS} bits, {fields} has {code_width(fields)}")
    finite = [math.isfinite(decode_scalar(code, fields)) for code in range(1 << code_width(fields))]
    parts = [
        definition.parts_of_code(code, fields) if valid else definition.Parts(0, 0, 0)
        for code, valid in enumerate(finite)
    ]
    columns = torch.tensor(parts, dtype=torch.int64, device=device).T
    return LMulTable(columns[0], columns[1], columns[2], torch.tensor(finite, device=device))


def _limits(table: LMulTable) -> tuple[int, int]:
    used = table.exponent[table.sign != 0]
    return (min(int(used.min()), 0), max(int(used.max()), 0)) if used.numel() else (0, 0)


def product_unit(left: LMulTable, right: LMulTable, fields: LMulFields) -> int:
    """Binary exponent of the unit that exact sums of products are counted in."""
    least = fields.exponent_low if fields.kind == LMUL_FIELD_CLAMPED else _limits(left)[0] + _limits(right)[0]
    return least - max(fields.left_mantissa_bits, fields.right_mantissa_bits)


def multiply_codes(
    left: torch.Tensor, right: torch.Tensor, left_table: LMulTable, right_table: LMulTable, fields: LMulFields
) -> torch.Tensor:
    """Elementwise exact products of codes (integer tensors that broadcast), as float64.

    Raises:
        ValueError: if an operand is infinite or NaN, or the kind or overflow rule is unknown.
    """
    definition.check(fields)
    left, right = left.long(), right.long()
    for codes, table in ((left, left_table), (right, right_table)):
        wrong = int((~table.finite[codes]).sum())
        if wrong:
            raise ValueError(f"{wrong} of {codes.numel()} codes are infinite or NaN: L-Mul takes finite operands only")
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    one = 1 << bits
    sign = left_table.sign[left] * right_table.sign[right]
    exponent = left_table.exponent[left] + right_table.exponent[right]
    fraction = (left_table.mantissa[left] << (bits - fields.left_mantissa_bits)) + (
        right_table.mantissa[right] << (bits - fields.right_mantissa_bits)
    )
    fraction = fraction + (1 << (bits - definition.offset_exponent(bits)))
    if fields.kind == LMUL_FORMULA:
        return sign * _scaled(one + fraction, exponent - bits) + 0.0
    exponent, mantissa = exponent + (fraction >> bits), fraction & (one - 1)
    magnitude = _scaled(one + mantissa, exponent - bits)
    if fields.kind == LMUL_FIELD_CLAMPED:
        greatest = math.ldexp(one + fields.mantissa_high, fields.exponent_high - bits)
        top = math.inf if fields.overflow == OVERFLOW_INFINITY else greatest
        magnitude = torch.where(magnitude > greatest, top, magnitude)
        magnitude = torch.where(exponent < fields.exponent_low, 0.0, magnitude)
    return torch.where(sign == 0, 0.0, sign * torch.where(sign == 0, 0.0, magnitude)) + 0.0


def _scaled(integers: torch.Tensor, exponents: torch.Tensor) -> torch.Tensor:
    """``integers * 2**exponents`` in float64; torch.ldexp makes its powers of two in float32."""
    return integers.double() * ((exponents + 1023) << 52).view(torch.float64)


def matmul_codes(
    left: torch.Tensor,
    right: torch.Tensor,
    left_table: LMulTable,
    right_table: LMulTable,
    fields: LMulFields,
    *,
    accumulator: AccumulatorFields = _EXACT,
) -> torch.Tensor:
    """The matrix product of codes with L-Mul in place of each multiplication.

    Args:
        left: codes in an integer dtype, shape ``(m, k)``.
        right: codes, shape ``(k, n)``.
        left_table: `operand_table` of the left format.
        right_table: the same for the right one.
        fields: which L-Mul.
        accumulator: exact, or a format with rounding, overflow and order.

    Returns:
        int64 in the unit of `product_unit` (exact) or of the accumulator (fixed point), else float64 values.

    Raises:
        ValueError: if shapes or options do not fit, or float64 does not provably hold the sums (with the k that would).
    """
    check_shapes(left, right)
    check_options(None, accumulator)
    definition.check(fields)
    grid = accumulator.grid
    if fields.kind == LMUL_FIELD_CLAMPED and fields.overflow == OVERFLOW_INFINITY and not isinstance(grid, FloatFields):
        raise ValueError(
            f"L-Mul products that overflow to infinity have no place in the accumulator {grid}: saturate them or use a "
            "float accumulator"
        )
    unit = product_unit(left_table, right_table, fields)
    highest = _limits(left_table)[1] + _limits(right_table)[1]
    if fields.kind == LMUL_FIELD_CLAMPED:
        highest = fields.exponent_high
    _check_sums(left.shape[1], unit, highest + 2, accumulator)

    def product_of(k: int) -> torch.Tensor:
        return multiply_codes(left[:, k, None], right[None, k], left_table, right_table, fields)

    cast_sum: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.add
    if grid is not None:

        def cast_sum(total: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
            return cast_tensor(add_to_odd(total, added), accumulator)

    zero = torch.zeros((left.shape[0], right.shape[1]), dtype=torch.float64, device=left.device)
    result = ordered_sum(
        product_of, left.shape[1], accumulator, initial=zero, zero=zero, exact_sum=torch.add, cast_sum=cast_sum
    )
    if grid is None:
        return scale(result, -unit).long()
    return scale(result, grid.fraction_bits).long() if isinstance(grid, FixedFields) else result


def _check_sums(depth: int, unit: int, top: int, accumulator: AccumulatorFields) -> None:
    """Sums without a cast, and all in fixed point, must be exact in float64."""
    grid = accumulator.grid
    exact_parts = accumulator.order == ORDER_CHUNKS_EXACT and accumulator.chunk > 1
    if isinstance(grid, FloatFields) and not exact_parts:
        return
    terms = depth if grid is None else min(accumulator.chunk, depth)
    finest, needed = unit, top + terms.bit_length()
    if isinstance(grid, FixedFields):
        finest, needed = min(unit, -grid.fraction_bits), max(needed, grid.width - grid.fraction_bits) + 1
    if needed - finest > _FLOAT64_BITS:
        most = max((1 << max(_FLOAT64_BITS + finest - top, 0)) - 1, 0)
        raise ValueError(
            f"sums of {terms} L-Mul products need {needed - finest} bits and float64 has {_FLOAT64_BITS}: at most "
            f"k = {most} of them fit, or use kernels.compiled.lmul, which has wider integers"
        )
