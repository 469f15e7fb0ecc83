"""Integer-only functions on the GPU: the rules of `kernels.definitions.integer_functions` on 64-bit integers.

Everything is a sum, a product, a shift or a division of numbers at least 0, so nothing depends on how a device rounds
floats or which way it rounds quotients of negative numbers. Rows are walked in pieces, so they can be of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from kernels.gpu.launching import (
    COMPILED_BLOCK,
    INTERPRETED_BLOCK,
    check_launchable,
    interpreting,
    kernel,
    launch,
    launch_elementwise,
    tl,
)
from kernels.tensors.integer_functions import check_bits, check_magnitude, check_rows

if TYPE_CHECKING:
    from kernels.integer_constants import GeluFields, LayerNormFields, SoftmaxFields

if tl is not None:
    # The interpreter reduces by NumPy's functions if, and only if, it is handed these very functions.
    from triton.language.standard import _elementwise_max as larger
    from triton.language.standard import _sum_combine as added

_ROOT_STEPS: Final = 32


@kernel
def square_root(values: tl.tensor, STEPS: tl.constexpr) -> tl.tensor:
    """Floors of square roots of int64 at least 0, one bit of the root per step, by subtractions alone."""
    root = values & 0
    rest = values
    for step in tl.static_range(STEPS):
        bit = (1 << (2 * STEPS - 2)) >> (2 * step)
        fits = rest >= root + bit
        rest = tl.where(fits, rest - (root + bit), rest)
        root = tl.where(fits, (root >> 1) + bit, root >> 1)
    return root


@kernel
def square_root_kernel(
    values: tl.tensor, results: tl.tensor, size: tl.tensor, STEPS: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    """One root per value."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    tl.store(results + place, square_root(tl.load(values + place, mask=inside, other=0), STEPS), mask=inside)


@kernel
def exponential(below: tl.tensor, FIELDS: tl.constexpr) -> tl.tensor:
    """``e**-x`` for differences to a maximum, at least 0, in steps of the input."""
    argument = tl.minimum(below, FIELDS.lowest) << FIELDS.shift
    halvings = argument // FIELDS.log_two
    root = halvings * FIELDS.log_two - argument + FIELDS.offset
    return (root * root + FIELDS.constant) >> tl.minimum(halvings + FIELDS.drop, 63)


@kernel
def softmax_kernel(
    rows: tl.tensor,
    results: tl.tensor,
    count: tl.tensor,
    FIELDS: tl.constexpr,
    ROWS: tl.constexpr,
    PIECE: tl.constexpr,
) -> None:
    """ROWS rows per program, in pieces: the maximum, then the sum of exponentials, then the results."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, PIECE)[None, :]
    place = row[:, None] * FIELDS.length + column
    exists = (row < count)[:, None]
    largest = tl.full([ROWS], -FIELDS.magnitude, tl.int64)
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        value = tl.load(rows + place + first, mask=inside, other=-FIELDS.magnitude)
        largest = tl.maximum(largest, tl.reduce(value, 1, larger))
    total = tl.full([ROWS], 0, tl.int64)
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        below = largest[:, None] - tl.load(rows + place + first, mask=inside, other=-FIELDS.magnitude)
        total += tl.reduce(tl.where(inside, exponential(below, FIELDS), 0), 1, added)
    # A row that does not exist has the sum 0, which nothing may be divided by.
    reciprocal = tl.full([ROWS], 1 << FIELDS.reciprocal_bits, tl.int64) // tl.maximum(total, 1)
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        below = largest[:, None] - tl.load(rows + place + first, mask=inside, other=-FIELDS.magnitude)
        tl.store(results + place + first, exponential(below, FIELDS) * reciprocal[:, None], mask=inside)


@kernel
def layer_norm_kernel(
    rows: tl.tensor,
    results: tl.tensor,
    count: tl.tensor,
    FIELDS: tl.constexpr,
    STEPS: tl.constexpr,
    ROWS: tl.constexpr,
    PIECE: tl.constexpr,
) -> None:
    """ROWS rows per program, in pieces: the sum, then the sum of squares, then the results."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, PIECE)[None, :]
    place = row[:, None] * FIELDS.length + column
    exists = (row < count)[:, None]
    total = tl.full([ROWS], 0, tl.int64)
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        total += tl.reduce(tl.load(rows + place + first, mask=inside, other=0), 1, added)
    # The quotient is of numbers of at least 0, raised by a whole number that is taken off again.
    raised: tl.constexpr = FIELDS.magnitude << FIELDS.fraction_bits
    numerator = 2 * ((total << FIELDS.fraction_bits) + FIELDS.length * raised) + FIELDS.length
    mean = (numerator // (2 * FIELDS.length) - raised)[:, None]
    squares = tl.full([ROWS], 0, tl.int64)
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        deviation = (tl.load(rows + place + first, mask=inside, other=0) << FIELDS.fraction_bits) - mean
        squares += tl.reduce(tl.where(inside, deviation * deviation, 0), 1, added)
    root = tl.maximum(square_root(squares // FIELDS.length + FIELDS.epsilon, STEPS), 1)
    reciprocal = tl.full([ROWS], 1 << FIELDS.reciprocal_bits, tl.int64) // root
    for first in range(0, FIELDS.length, PIECE):
        inside = exists & (first + column < FIELDS.length)
        deviation = (tl.load(rows + place + first, mask=inside, other=0) << FIELDS.fraction_bits) - mean
        tl.store(results + place + first, deviation * reciprocal[:, None], mask=inside)


@kernel
def gelu_kernel(
    values: tl.tensor, results: tl.tensor, size: tl.tensor, FIELDS: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    """One GELU per value."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    value = tl.load(values + place, mask=inside, other=0)
    rest = FIELDS.offset - tl.minimum(tl.abs(value) << FIELDS.shift, FIELDS.offset)
    error_function = FIELDS.constant - rest * rest
    result = value * (FIELDS.constant + tl.where(value >= 0, error_function, -error_function))
    tl.store(results + place, result, mask=inside)


@kernel
def look_up_kernel(
    values: tl.tensor,
    integers: tl.tensor,
    entries: tl.tensor,
    results: tl.tensor,
    strange: tl.tensor,
    count: tl.tensor,
    size: tl.tensor,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Values to the entries beside them in a table, found by halving; ``strange`` is 1 where a value is not in it."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    value = tl.load(values + place, mask=inside, other=0)
    index = place * 0
    for step in tl.static_range(STEPS):
        probe = index + ((1 << (STEPS - 1 - step)) - 1)
        known = inside & (probe < count - 1)
        integer = tl.load(integers + probe, mask=known, other=0)
        index = tl.where(known & (integer < value), probe + 1, index)
    found = tl.load(integers + index, mask=inside, other=0)
    tl.store(strange + place, (found != value).to(tl.int8), mask=inside)
    tl.store(results + place, tl.load(entries + index, mask=inside, other=0), mask=inside)


def integer_square_root(values: torch.Tensor) -> torch.Tensor:
    """Floors of square roots, int64, the shape of ``values``.

    Args:
        values: int64 of at least 0, on a CUDA device (any, in the interpreter).

    Raises:
        ValueError: for a negative number or another dtype.
    """
    check_launchable(values)
    check_magnitude(values, (1 << 63) - 1)
    if values.numel() and int(values.min()) < 0:
        raise ValueError(f"a square root needs numbers of at least 0, got {int(values.min())}")
    results = torch.empty(values.shape, dtype=torch.int64, device=values.device)
    launch_elementwise(square_root_kernel, values.numel(), values.contiguous(), results, STEPS=_ROOT_STEPS)
    return results


def integer_softmax(rows: torch.Tensor, fields: SoftmaxFields) -> torch.Tensor:
    """Softmax over the last axis, in the unit ``2**-fields.reciprocal_bits``; int64, shape ``(*, fields.length)``.

    Args:
        rows: int64, shape ``(*, fields.length)``, on a CUDA device (any, in the interpreter).
        fields: the constants.

    Raises:
        ValueError: for rows of another length, magnitudes beyond those of the constants, or constants too wide.
    """
    check_launchable(rows)
    check_rows(rows, fields.length, fields.magnitude)
    check_bits(fields.widest_bits)
    return _launch_rows(softmax_kernel, rows, FIELDS=fields)


def integer_layer_norm(rows: torch.Tensor, fields: LayerNormFields) -> torch.Tensor:
    """Deviations over the standard deviation along the last axis, in the unit ``2**-fields.reciprocal_bits``; int64.

    Args:
        rows: int64, shape ``(*, fields.length)``, on a CUDA device (any, in the interpreter).
        fields: the constants.

    Raises:
        ValueError: for rows of another length, magnitudes beyond those of the constants, or constants too wide.
    """
    check_launchable(rows)
    check_rows(rows, fields.length, fields.magnitude)
    check_bits(fields.widest_bits)
    return _launch_rows(layer_norm_kernel, rows, FIELDS=fields, STEPS=_ROOT_STEPS)


def integer_gelu(values: torch.Tensor, fields: GeluFields) -> torch.Tensor:
    """GELU with I-BERT's polynomial, in the unit of `kernels.integer_constants.gelu_unit`; int64, any shape.

    Args:
        values: int64, any shape, on a CUDA device (any, in the interpreter).
        fields: the constants.

    Raises:
        ValueError: for magnitudes beyond those of the constants, or constants too wide.
    """
    check_launchable(values)
    check_magnitude(values, fields.magnitude)
    check_bits(fields.widest_bits)
    results = torch.empty(values.shape, dtype=torch.int64, device=values.device)
    launch_elementwise(gelu_kernel, values.numel(), values.contiguous(), results, FIELDS=fields)
    return results


def look_up(values: torch.Tensor, integers: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
    """The entries of a table for integers v rather than codes.

    Args:
        values: int64, any shape, each one of ``integers``; on a CUDA device (any, in the interpreter).
        integers: what the table's inputs mean, ascending int64, shape ``(inputs,)``, at least one.
        entries: the results, shape ``(inputs,)``.

    Raises:
        ValueError: for a value that is no input of the table.
    """
    check_launchable(values)
    results = torch.empty(values.shape, dtype=entries.dtype, device=values.device)
    strange = torch.zeros(values.shape, dtype=torch.int8, device=values.device)
    count = integers.numel()
    launch_elementwise(
        look_up_kernel,
        values.numel() if count else 0,
        values.to(torch.int64).contiguous(),
        integers.to(torch.int64).contiguous(),
        entries.contiguous(),
        results,
        strange,
        count,
        STEPS=max(count - 1, 0).bit_length(),
    )
    wrong = strange != 0 if count else torch.ones_like(strange, dtype=torch.bool)
    if bool(wrong.any()):
        raise ValueError(f"{int(wrong.sum())} values are no input of the table, the first is {int(values[wrong][0])}")
    return results


def _launch_rows(function: Any, rows: torch.Tensor, **constants: Any) -> torch.Tensor:  # noqa: ANN401 - a Kernel
    """One result per value, as many rows per program as fit one."""
    length = rows.shape[-1]
    table = rows.reshape(-1, length).contiguous()
    results = torch.empty_like(table)
    most = INTERPRETED_BLOCK if interpreting() else COMPILED_BLOCK
    piece = min(1 << (length - 1).bit_length(), most)
    per_program = min(most // piece, 1 << (max(len(table), 1) - 1).bit_length())
    launch(
        function,
        (-(-len(table) // per_program),),
        table,
        results,
        len(table),
        ROWS=per_program,
        PIECE=piece,
        **constants,
    )
    return results.reshape(rows.shape)
