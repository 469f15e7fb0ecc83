"""Requantisation on the GPU: the rules of `kernels.definitions.requantise` on 64-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from kernels import rounding as rules
from kernels.gpu.bits import leading_one_of_64, round_magnitude
from kernels.gpu.launching import check_launchable, kernel, launch_elementwise, tl
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRODUCT_BITS: Final = 62
_LARGEST_SHIFT: Final = 63


@kernel
def round_shift(numerator: tl.tensor, shift: tl.tensor, ROUNDING: tl.constexpr) -> tl.tensor:
    """``round(numerator * 2**-shift)`` of int64 below 2**62 in magnitude, shifts of 0 to 63."""
    negative = numerator < 0
    magnitude = round_magnitude(tl.abs(numerator), shift, negative, ROUNDING)
    return tl.where(negative, -magnitude, magnitude)


@kernel
def requantise_kernel(
    accumulators: tl.tensor,
    multipliers: tl.tensor,
    negative_multipliers: tl.tensor,
    shifts: tl.tensor,
    results: tl.tensor,
    channels: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    size: tl.tensor,
    ROUNDING: tl.constexpr,
    MANTISSA_BITS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One dyadic requantisation per value; a channel's shift may be negative (it multiplies)."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    channel = place % channels
    accumulator = tl.load(accumulators + place, mask=inside, other=0)
    positive = tl.load(multipliers + channel, mask=inside, other=0)
    negative = tl.load(negative_multipliers + channel, mask=inside, other=0)
    shift = tl.load(shifts + channel, mask=inside, other=0)
    product = (accumulator * tl.where(accumulator < 0, negative, positive)) << tl.maximum(-shift, 0)
    shift = tl.maximum(shift, 0)
    if MANTISSA_BITS >= 0:
        spacing = tl.maximum(leading_one_of_64(tl.abs(product)) - shift - MANTISSA_BITS, 0)
    else:
        spacing = shift & 0
    value = round_shift(product, tl.minimum(shift + spacing, 63), ROUNDING) << spacing
    tl.store(results + place, tl.minimum(tl.maximum(value, low), high), mask=inside)


@kernel
def double_rounding_kernel(
    accumulators: tl.tensor,
    multipliers: tl.tensor,
    shifts: tl.tensor,
    results: tl.tensor,
    channels: tl.tensor,
    size: tl.tensor,
    SINGLE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """TFLite's two rules on int32 accumulators; SINGLE is 1 for the one with a single rounding."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    channel = place % channels
    accumulator = tl.load(accumulators + place, mask=inside, other=0)
    multiplier = tl.load(multipliers + channel, mask=inside, other=0)
    shift = tl.load(shifts + channel, mask=inside, other=0)
    if SINGLE:
        value = round_shift(accumulator * multiplier, 31 - shift, rules.HALF_UP)
        value = tl.minimum(tl.maximum(value, -2147483648), 2147483647)
    else:
        wrapped = (accumulator << tl.maximum(shift, 0)).to(tl.int32).to(tl.int64)
        high = tl.minimum(round_shift(wrapped * multiplier, (shift & 0) + 31, rules.HALF_UP), 2147483647)
        value = round_shift(high, tl.maximum(-shift, 0), rules.HALF_AWAY)
    tl.store(results + place, value, mask=inside)


def requantise(
    accumulators: torch.Tensor,
    multipliers: torch.Tensor,
    *,
    shift: int | Sequence[int] | torch.Tensor,
    low: int,
    high: int,
    rounding: int,
    mantissa_bits: int = INTEGER_GRID,
    negative_multipliers: torch.Tensor | None = None,
) -> torch.Tensor:
    """Requantise accumulators of shape ``(rows, channels)``, rounding ``accumulator * b * 2**-c`` once.

    Args:
        accumulators: integers, shape ``(rows, channels)``, on a CUDA device (any, in the interpreter).
        multipliers: integers b, shape ``(channels,)``.
        shift: c of ``b * 2**-c``, one for all channels or one per channel; a negative one multiplies.
        low: least result (saturation).
        high: greatest result.
        rounding: a mode of `kernels.rounding` without STOCHASTIC.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of the minifloat grid to round to.
        negative_multipliers: multipliers for accumulators below 0 (PReLU); the same as ``multipliers`` if None.

    Returns:
        int64 of the same shape.

    Raises:
        ValueError: if shapes do not fit, the rounding needs random bits, or a product exceeds 62 bits.
    """
    check_launchable(accumulators)
    if not rules.HALF_EVEN <= rounding <= rules.HALF_TOWARD_ZERO:
        raise ValueError(
            f"rounding mode {rounding} is not for requantisation: {rules.HALF_EVEN} (half even) to "
            f"{rules.HALF_TOWARD_ZERO} (half toward zero) of kernels.rounding are allowed"
        )
    channels = _channels(accumulators, multipliers, "multipliers")
    negative = multipliers if negative_multipliers is None else negative_multipliers
    _channels(accumulators, negative, "negative multipliers")
    shifts = _per_channel(shift, channels, accumulators.device)
    _channels(accumulators, shifts, "shifts")
    factor = max(_largest(multipliers), _largest(negative)) << max(-int(shifts.min()), 0) if channels else 0
    _check_product(_largest(accumulators), factor)
    # A result never exceeds the product, so limits beyond 62 bits do not act.
    limit = 1 << _PRODUCT_BITS
    results = torch.empty(accumulators.shape, dtype=torch.int64, device=accumulators.device)
    launch_elementwise(
        requantise_kernel,
        results.numel(),
        accumulators.to(torch.int64).contiguous(),
        multipliers.to(torch.int64).contiguous(),
        negative.to(torch.int64).contiguous(),
        shifts.clamp(-_LARGEST_SHIFT, _LARGEST_SHIFT),
        results,
        channels,
        max(low, -limit),
        min(high, limit),
        ROUNDING=rounding,
        MANTISSA_BITS=mantissa_bits,
    )
    return results


def requantise_double_rounding(
    accumulators: torch.Tensor, multipliers: torch.Tensor, shifts: int | Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """TFLite's older rule, two roundings (`kernels.definitions.requantise.requantise_double_rounding`).

    Args:
        accumulators: 32-bit integers, shape ``(rows, channels)``.
        multipliers: Q31 multipliers, ``0 .. 2**31 - 1``, shape ``(channels,)``.
        shifts: powers of two to multiply with, ``-31 .. 30``; one for all channels or one per channel.

    Returns:
        int64 of the same shape.
    """
    return _requantise_tflite(accumulators, multipliers, shifts, single=0)


def requantise_single_rounding(
    accumulators: torch.Tensor, multipliers: torch.Tensor, shifts: int | Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """TFLite's newer rule, one rounding (`kernels.definitions.requantise.requantise_single_rounding`).

    Args:
        accumulators: 32-bit integers, shape ``(rows, channels)``.
        multipliers: Q31 multipliers, ``0 .. 2**31 - 1``, shape ``(channels,)``.
        shifts: powers of two to multiply with, ``-31 .. 30``; one for all channels or one per channel.

    Returns:
        int64 of the same shape.
    """
    return _requantise_tflite(accumulators, multipliers, shifts, single=1)


def _requantise_tflite(
    accumulators: torch.Tensor, multipliers: torch.Tensor, shift: int | Sequence[int] | torch.Tensor, single: int
) -> torch.Tensor:
    check_launchable(accumulators)
    channels = _channels(accumulators, multipliers, "multipliers")
    shifts = _per_channel(shift, channels, accumulators.device)
    _channels(accumulators, shifts, "shifts")
    for what, values, least, greatest in (
        ("accumulators", accumulators, -(1 << 31), (1 << 31) - 1),
        ("multipliers", multipliers, 0, (1 << 31) - 1),
        ("shifts", shifts, -31, 30),
    ):
        if values.numel() and not least <= int(values.min()) <= int(values.max()) <= greatest:
            raise ValueError(
                f"{what} from {int(values.min())} to {int(values.max())}: TFLite's rules take {least} to {greatest}"
            )
    results = torch.empty(accumulators.shape, dtype=torch.int64, device=accumulators.device)
    launch_elementwise(
        double_rounding_kernel,
        results.numel(),
        accumulators.to(torch.int64).contiguous(),
        multipliers.to(torch.int64).contiguous(),
        shifts,
        results,
        channels,
        SINGLE=single,
    )
    return results


def _channels(accumulators: torch.Tensor, values: torch.Tensor, what: str) -> int:
    if accumulators.ndim != 2 or values.shape != accumulators.shape[1:]:
        raise ValueError(
            f"{what} of shape {tuple(values.shape)} for accumulators of shape {tuple(accumulators.shape)}: "
            "(rows, channels) and one number per channel are needed"
        )
    return int(accumulators.shape[1])


def _per_channel(shift: int | Sequence[int] | torch.Tensor, channels: int, device: torch.device) -> torch.Tensor:
    shifts = torch.as_tensor(shift, dtype=torch.int64, device=device)
    return (shifts.expand(channels) if shifts.ndim == 0 else shifts).contiguous()


def _largest(values: torch.Tensor) -> int:
    return max(int(values.max()), -int(values.min())) if values.numel() else 0


def _check_product(accumulator: int, factor: int) -> None:
    if (accumulator * factor).bit_length() > _PRODUCT_BITS:
        raise ValueError(
            f"accumulators up to {accumulator} times multipliers up to {factor} need "
            f"{(accumulator * factor).bit_length()} bits: the 64-bit kernel holds {_PRODUCT_BITS}; use narrower "
            "multipliers, or kernels.definitions.requantise"
        )
