"""Products of integer activations and binary-coded weights on the GPU: `kernels.definitions.binary_coded`.

One kernel tabulates the sums of all sign patterns of each group of activations, a second one looks the patterns of the
planes up and adds. Rows are taken in slices, so that tables take at most 64 MiB (or those of one row, if that is more).
"""

from __future__ import annotations

from typing import Final

import torch

from kernels.definitions.binary_coded import check_bound, check_lookup, check_patterns
from kernels.gpu.launching import check_launchable, interpreting, kernel, launch, launch_elementwise, tl
from kernels.tensors.dots import largest_magnitude

_TABLE_WORDS: Final = 1 << 23


@kernel
def table_kernel(
    activations: tl.tensor,
    tables: tl.tensor,
    inputs: tl.tensor,
    groups: tl.tensor,
    size: tl.tensor,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One entry per value: the sum of a group's activations, each with the sign of its bit of the pattern."""
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    group = place >> GROUP
    first = (group % groups) * GROUP
    row = (group // groups) * inputs
    total = place & 0
    for index in tl.static_range(GROUP):
        column = first + index
        activation = tl.load(activations + row + column, mask=inside & (column < inputs), other=0)
        total += tl.where(((place >> index) & 1) != 0, activation, -activation)
    tl.store(tables + place, total, mask=inside)


@kernel
def lookup_kernel(
    tables: tl.tensor,
    planes: tl.tensor,
    alphas: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    outputs: tl.tensor,
    groups: tl.tensor,
    count: tl.tensor,
    GROUP: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Sums over planes of an alpha times the entries that the plane's patterns name."""
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    output = tl.program_id(1).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = (row < rows)[:, None] & (output < outputs)[None, :]
    total = tl.full([TILE, TILE], 0, tl.int64)
    for plane in range(count):
        line = plane * outputs + output
        part = tl.full([TILE, TILE], 0, tl.int64)
        for index in range(groups):
            pattern = tl.load(planes + line * groups + index, mask=output < outputs, other=0).to(tl.int64)
            table = (row * groups + index) << GROUP
            part += tl.load(tables + table[:, None] + pattern[None, :], mask=inside, other=0)
        total += tl.load(alphas + line, mask=output < outputs, other=0)[None, :] * part
    tl.store(results + row[:, None] * outputs + output[None, :], total, mask=inside)


def binary_coded_matmul(
    activations: torch.Tensor, planes: torch.Tensor, alphas: torch.Tensor, *, group: int = 8
) -> torch.Tensor:
    """The exact product of integer activations and binary-coded weights, by look-ups.

    Args:
        activations: integers, shape ``(rows, inputs)``, on a CUDA device (any, in the interpreter).
        planes: packed signs of `kernels.compiled.binary_coded.pack_planes`, uint8, shape
            ``(planes, outputs, ceil(inputs / group))``.
        alphas: integers, shape ``(planes, outputs)``.
        group: activations per look-up, 4 or 8.

    Returns:
        int64, shape ``(rows, outputs)``.

    Raises:
        ValueError: if shapes do not fit, a pattern is none of a group, or a sum may exceed 62 bits.
    """
    check_launchable(activations)
    check_lookup(tuple(activations.shape), tuple(planes.shape), tuple(alphas.shape), group)
    rows, inputs = activations.shape
    count, outputs, groups = planes.shape
    check_bound(largest_magnitude(activations) * inputs * largest_magnitude(alphas) * count, inputs, count)
    if planes.numel():
        check_patterns(int(planes.min()), int(planes.max()), group)
    results = torch.empty((rows, outputs), dtype=torch.int64, device=activations.device)
    wide, patterns = activations.to(torch.int64).contiguous(), planes.to(torch.uint8).contiguous()
    factors = alphas.to(torch.int64).contiguous()
    step = max(_TABLE_WORDS // max(groups << group, 1), 1)
    for start in range(0, rows, step):
        some, target = wide[start : start + step], results[start : start + step]
        size = len(some) * groups << group
        tables = torch.empty(size, dtype=torch.int64, device=activations.device)
        launch_elementwise(table_kernel, size, some, tables, inputs, groups, GROUP=group)
        tile = _tile(len(some), outputs)
        launch(
            lookup_kernel,
            (-(-len(some) // tile), -(-outputs // tile)),
            tables,
            patterns,
            factors,
            target,
            len(some),
            outputs,
            groups,
            count,
            GROUP=group,
            TILE=tile,
        )
    return results


def _tile(rows: int, outputs: int) -> int:
    """Rows and outputs per program; the interpreter's cost is per operation, but masked values cost like others."""
    return min(1 << (max(rows, outputs, 1) - 1).bit_length(), 128) if interpreting() else 32
