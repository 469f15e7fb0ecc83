"""Torch twins of `kernels.definitions.integer_functions`: int64 tensors on any device.

Torch has no wider integers, so constants whose intermediates need more than 62 bits are refused.
"""

from __future__ import annotations

import torch

from kernels.integer_constants import SAFE_BITS, GeluFields, LayerNormFields, SoftmaxFields


def integer_square_root(values: torch.Tensor) -> torch.Tensor:
    """Floors of square roots, int64, the shape of ``values``.

    The float64 square root of a number up to ``2**62`` is off by less than 1, so its floor is put right by comparing
    the squares of its neighbours, which is exact.

    Args:
        values: int64, from 0 to ``2**62``.

    Raises:
        ValueError: for numbers out of that range.

    >>> integer_square_root(torch.tensor([15, 16, 2**62 - 1])).tolist()
    [3, 4, 2147483647]
    """
    if values.numel() and not (int(values.min()) >= 0 and int(values.max()) <= 1 << SAFE_BITS):
        raise ValueError(
            f"square roots of tensors need numbers from 0 to 2**{SAFE_BITS}, got {int(values.min())} to "
            f"{int(values.max())}"
        )
    root = values.to(torch.float64).sqrt().floor().to(torch.int64)
    root = torch.where(root * root > values, root - 1, root)
    return torch.where((root + 1) * (root + 1) <= values, root + 1, root)


def integer_softmax(rows: torch.Tensor, fields: SoftmaxFields) -> torch.Tensor:
    """Softmax over the last axis, in the unit ``2**-fields.reciprocal_bits``; int64, shape ``(*, fields.length)``.

    Raises:
        ValueError: for rows of another length, magnitudes beyond those of the constants, or constants too wide.
    """
    check_rows(rows, fields.length, fields.magnitude)
    check_bits(fields.widest_bits)
    largest = rows.amax(dim=-1, keepdim=True)
    below = (largest - rows).clamp(max=fields.lowest) << fields.shift
    halvings = below // fields.log_two
    root = halvings * fields.log_two - below + fields.offset
    exponentials = (root * root + fields.constant) >> (halvings + fields.drop).clamp(max=63)
    reciprocal = (1 << fields.reciprocal_bits) // exponentials.sum(dim=-1, keepdim=True)
    return exponentials * reciprocal


def integer_layer_norm(rows: torch.Tensor, fields: LayerNormFields) -> torch.Tensor:
    """Deviations over the standard deviation along the last axis, in the unit ``2**-fields.reciprocal_bits``; int64.

    Raises:
        ValueError: for rows of another length, magnitudes beyond those of the constants, or constants too wide.
    """
    check_rows(rows, fields.length, fields.magnitude)
    check_bits(fields.widest_bits)
    total = rows.sum(dim=-1, keepdim=True) << fields.fraction_bits
    mean = (2 * total + fields.length).div(2 * fields.length, rounding_mode="floor")
    deviations = (rows << fields.fraction_bits) - mean
    variance = (deviations * deviations).sum(dim=-1, keepdim=True) // fields.length + fields.epsilon
    reciprocal = (1 << fields.reciprocal_bits) // integer_square_root(variance).clamp(min=1)
    return deviations * reciprocal


def integer_gelu(values: torch.Tensor, fields: GeluFields) -> torch.Tensor:
    """GELU with I-BERT's polynomial, in the unit of `kernels.integer_constants.gelu_unit`; int64, any shape.

    Raises:
        ValueError: for magnitudes beyond those of the constants, or constants too wide.
    """
    check_magnitude(values, fields.magnitude)
    check_bits(fields.widest_bits)
    rest = fields.offset - (values.abs() << fields.shift).clamp(max=fields.offset)
    error_function = fields.constant - rest * rest
    return values * (fields.constant + torch.where(values >= 0, error_function, -error_function))


def look_up(values: torch.Tensor, integers: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
    """The entries of a table for integers v rather than codes.

    Args:
        values: int64, any shape; each one of ``integers``.
        integers: what the table's inputs mean, ascending, shape ``(inputs,)``.
        entries: the results, shape ``(inputs,)``.

    Raises:
        ValueError: for a value that is no input of the table.
    """
    places = torch.searchsorted(integers, values.contiguous()).clamp(max=integers.numel() - 1)
    strange = integers[places] != values
    if bool(strange.any()):
        raise ValueError(
            f"{int(strange.sum())} values are no input of the table, the first is {int(values[strange][0])}"
        )
    return entries[places]


def check_rows(rows: torch.Tensor, length: int, magnitude: int) -> None:
    """Refuse rows of another length than the constants', and what `check_magnitude` refuses.

    Raises:
        ValueError: with the shape given and the length needed.
    """
    if rows.shape[-1:] != (length,):
        raise ValueError(f"the constants are for rows of {length} values, got a tensor of shape {tuple(rows.shape)}")
    check_magnitude(rows, magnitude)


def check_magnitude(values: torch.Tensor, magnitude: int) -> None:
    """Refuse values that are not int64, or larger than the constants allow.

    Raises:
        ValueError: with the dtype or the magnitude.
    """
    if values.dtype != torch.int64:
        raise ValueError(f"integer functions take tensors of torch.int64, got {values.dtype}: convert them first")
    largest = max(int(values.max()), -int(values.min())) if values.numel() else 0
    if largest > magnitude:
        raise ValueError(f"the constants allow magnitudes up to {magnitude}, got {largest}")


def check_bits(bits: int) -> None:
    """Refuse constants whose intermediates 64-bit words may not hold.

    Raises:
        ValueError: with the bits.
    """
    if bits > SAFE_BITS:
        raise ValueError(
            f"these constants need intermediates of {bits} bits, but tensors hold {SAFE_BITS}: use narrower inputs, a "
            "coarser unit, or the Python integers of kernels.definitions.integer_functions"
        )
