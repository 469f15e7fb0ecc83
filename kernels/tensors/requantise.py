"""Torch versions of requantisation, on any device: the dyadic rule with every tie, gemmlowp's and TFLite's."""

from __future__ import annotations

from typing import Final

import torch

from kernels.definitions.requantise import INT32_GREATEST, INT32_LEAST
from kernels.rounding import INTEGER_GRID
from kernels.rounding_constants import rounding_constants

_SAFE_BITS: Final = 62


def _largest(values: torch.Tensor) -> int:
    return max(int(values.max()), -int(values.min())) if values.numel() else 0


def round_shift(values: torch.Tensor, shifts: torch.Tensor, rounding: int) -> torch.Tensor:
    """`kernels.rounding.round_shift` elementwise on int64 below ``2**62``; shifts from 0 to 62, broadcasting."""
    values, shifts = torch.broadcast_tensors(values, shifts)  # type: ignore[no-untyped-call]  # torch has no types here
    result = torch.empty_like(values)
    for shift in sorted(set(shifts.flatten().tolist())):
        base, even, negative = rounding_constants(shift, rounding)
        added = base + (even & (values >> shift)) + (negative & (values >> 63))
        result = torch.where(shifts == shift, (values + added) >> shift, result)
    return result


def requantise(
    accumulators: torch.Tensor,
    multipliers: torch.Tensor,
    *,
    shift: int | torch.Tensor,
    low: int,
    high: int,
    rounding: int,
    mantissa_bits: int = INTEGER_GRID,
    negative_multipliers: torch.Tensor | None = None,
) -> torch.Tensor:
    """Requantise accumulators of shape ``(rows, channels)`` as `kernels.requantise.requantise` does.

    Args:
        accumulators: int64, shape ``(rows, channels)``.
        multipliers: integers >= 0, shape ``(channels,)``.
        shift: the binary exponent c of ``b * 2**-c``, 0 to 61: one for all, or int64 of shape ``(channels,)``.
        low: least result.
        high: greatest result.
        rounding: a mode of `kernels.rounding` without STOCHASTIC.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of the minifloat grid to round to.
        negative_multipliers: multipliers for accumulators below 0; the same as ``multipliers`` if None.

    Raises:
        ValueError: if a product may need more than 62 bits, or a shift is out of range.

    >>> numbers, factors = torch.tensor([[5, -5]]), torch.tensor([1, 1])
    >>> requantise(numbers, factors, shift=1, low=-8, high=7, rounding=0)
    tensor([[ 2, -2]])
    """
    negative = multipliers if negative_multipliers is None else negative_multipliers
    bits = (_largest(accumulators) * max(_largest(multipliers), _largest(negative))).bit_length()
    shifts = torch.as_tensor(shift, dtype=torch.int64, device=accumulators.device)
    if bits >= _SAFE_BITS or max(-low, high).bit_length() >= _SAFE_BITS:
        raise ValueError(
            f"products of {bits} bits between limits {low} and {high}: below {_SAFE_BITS} bits are computed here; "
            "kernels.requantise has wider integers"
        )
    if shifts.numel() and not 0 <= int(shifts.min()) <= int(shifts.max()) < _SAFE_BITS:
        raise ValueError(
            f"shifts from {int(shifts.min())} to {int(shifts.max())}: 0 to {_SAFE_BITS - 1} are computed here"
        )
    product = accumulators * torch.where(accumulators < 0, negative, multipliers)
    if mantissa_bits == INTEGER_GRID:
        return round_shift(product, shifts, rounding).clamp(low, high)
    spacing = (_bit_lengths(product) - 1 - shifts - mantissa_bits).clamp(min=0)
    return (round_shift(product, shifts + spacing, rounding) << spacing).clamp(low, high)


def _bit_lengths(values: torch.Tensor) -> torch.Tensor:
    lengths, rest = torch.zeros_like(values), values.abs()
    for step in (32, 16, 8, 4, 2, 1):
        above = rest >= (1 << step)
        lengths, rest = torch.where(above, lengths + step, lengths), torch.where(above, rest >> step, rest)
    return lengths + (rest > 0)


def doubling_high_multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """SaturatingRoundingDoublingHighMul of gemmlowp on 32-bit integers in int64.

    >>> doubling_high_multiply(torch.tensor([1 << 30]), torch.tensor([3]))
    tensor([2])
    """
    return ((left.long() * right.long() + (1 << 30)) >> 31).clamp(max=INT32_GREATEST)


def rounding_divide_by_power(values: torch.Tensor, exponents: torch.Tensor) -> torch.Tensor:
    """RoundingDivideByPOT of gemmlowp: to the nearest integer, ties away from zero; exponents 0 to 31."""
    half = torch.bitwise_left_shift(torch.ones_like(exponents), exponents) >> 1
    magnitude = (values.abs() + half) >> exponents
    return torch.where(values < 0, -magnitude, magnitude)


def requantise_double_rounding(
    accumulators: torch.Tensor, multipliers: torch.Tensor, shifts: torch.Tensor
) -> torch.Tensor:
    """TFLite's older rule, two roundings, as `kernels.definitions.requantise.requantise_double_rounding`."""
    shifted = (accumulators.long() << shifts.clamp(min=0)) + (1 << 31)
    wrapped = (shifted & ((1 << 32) - 1)) - (1 << 31)
    return rounding_divide_by_power(doubling_high_multiply(wrapped, multipliers), (-shifts).clamp(min=0))


def requantise_single_rounding(
    accumulators: torch.Tensor, multipliers: torch.Tensor, shifts: torch.Tensor
) -> torch.Tensor:
    """TFLite's newer rule, one rounding, as `kernels.definitions.requantise.requantise_single_rounding`."""
    total = 31 - shifts
    half = torch.bitwise_left_shift(torch.ones_like(total), total - 1)
    return ((accumulators.long() * multipliers.long() + half) >> total).clamp(INT32_LEAST, INT32_GREATEST)
