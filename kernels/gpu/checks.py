"""What the launch functions refuse, and the dtypes they return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kernels.extents import FLOAT32, FLOAT64, check_holds
from kernels.gpu.launching import check_launchable
from kernels.rounding import STOCHASTIC

if TYPE_CHECKING:
    from kernels.fields import FixedFields, FloatFields


def code_dtype(width: int) -> torch.dtype:
    """The narrowest unsigned dtype that holds codes of so many bits.

    >>> code_dtype(6), code_dtype(9)
    (torch.uint8, torch.uint16)
    """
    return next(
        dtype
        for bits, dtype in ((8, torch.uint8), (16, torch.uint16), (32, torch.uint32), (64, torch.uint64))
        if width <= bits
    )


def check_values(values: torch.Tensor) -> None:
    """Refuse values that are not float32 or float64, or not where kernels run.

    Raises:
        TypeError: naming the dtype.
        ValueError: naming the device.
    """
    if values.dtype not in {torch.float32, torch.float64}:
        raise TypeError(f"values must be float32 or float64, got {values.dtype}: convert them first")
    check_launchable(values)


def check_dtype(dtype: torch.dtype, fields: FixedFields | FloatFields) -> None:
    """Refuse a float type that lacks numbers of the format.

    Raises:
        ValueError: naming the type that would do, if there is one.
    """
    check_holds(FLOAT32 if dtype == torch.float32 else FLOAT64, fields)


def check_codes(codes: torch.Tensor, width: int, dtype: torch.dtype) -> None:
    """Refuse codes of another dtype than encode returns, codes beyond the width, and results that are no floats.

    Raises:
        TypeError: for another dtype.
        ValueError: with the largest code and what is allowed.
    """
    if dtype not in {torch.float32, torch.float64}:
        raise TypeError(f"values are float32 or float64, not {dtype}")
    if codes.dtype != code_dtype(width):
        raise TypeError(f"codes of {width} bits are {code_dtype(width)}, got {codes.dtype}")
    check_launchable(codes)
    if codes.numel() and width < 8 * codes.element_size():
        largest = int(codes.to(torch.int64).max())
        if largest >> width:
            raise ValueError(f"code {largest} of {width} bits must lie in [0, {(1 << width) - 1}]")


def check_nan(values: torch.Tensor, nan: int, name: str) -> None:
    """Refuse NaN where it has no code (``nan`` is -1).

    Raises:
        ValueError: with the number of NaNs.
    """
    count = int(values.isnan().sum()) if nan < 0 else 0
    if count:
        raise ValueError(
            f"{count} of {values.numel()} values are NaN, which has no code in {name}: give nan_code to choose one, or "
            "remove the NaN"
        )


def check_random(
    random_bits: torch.Tensor | None, values: torch.Tensor, rounding: int, random_width: int
) -> torch.Tensor:
    """The random bits as kernels take them: int64; for modes without random bits the values stand in, never read.

    Raises:
        ValueError: if they are missing, or their shape or range does not fit.
    """
    if rounding != STOCHASTIC:
        return values
    if random_bits is None:
        raise ValueError(f"stochastic rounding needs random_bits, integers below 2**{random_width} for every value")
    if random_bits.shape != values.shape:
        raise ValueError(
            f"random_bits of shape {tuple(random_bits.shape)} for values of shape {tuple(values.shape)}: one integer "
            "per value is needed"
        )
    bits = random_bits.to(torch.int64).contiguous()
    if bits.numel() and not 0 <= int(bits.min()) <= int(bits.max()) < 1 << random_width:
        raise ValueError(
            f"random_bits from {int(bits.min())} to {int(bits.max())}: random_width {random_width} allows 0 to "
            f"{(1 << random_width) - 1}"
        )
    return bits
