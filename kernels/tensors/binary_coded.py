"""Products of integer activations and binary-coded weights on torch tensors, by look-ups on their device."""

from __future__ import annotations

import torch

from kernels.definitions.binary_coded import check_bound, check_lookup, check_patterns


def binary_coded_matmul(
    activations: torch.Tensor, planes: torch.Tensor, alphas: torch.Tensor, *, group: int = 8
) -> torch.Tensor:
    """The exact product; arguments as `kernels.compiled.binary_coded.binary_coded_matmul`, on tensors.

    Besides the result it takes ``rows * groups * 2**group`` words for the tables, and as much as the result for each
    group of each plane in turn.

    >>> binary_coded_matmul(torch.tensor([[3, -1, 2, 7, 5]]), torch.tensor([[[13, 1]]]), torch.tensor([[10]]), group=4)
    tensor([[180]])
    """
    check_lookup(tuple(activations.shape), tuple(planes.shape), tuple(alphas.shape), group)
    bound = _largest(activations) * activations.shape[1] * _largest(alphas) * alphas.shape[0]
    check_bound(bound, activations.shape[1], alphas.shape[0])
    if planes.numel():
        check_patterns(int(planes.min()), int(planes.max()), group)
    wide = torch.nn.functional.pad(activations.to(torch.int64), (0, -activations.shape[1] % group))
    grouped = wide.reshape(wide.shape[0], planes.shape[2], group)
    tables = -grouped.sum(dim=2, keepdim=True)
    for place in range(group):
        tables = torch.cat([tables, tables + 2 * grouped[:, :, place : place + 1]], dim=2)
    patterns = planes.to(torch.int64)
    total = torch.zeros(wide.shape[0], planes.shape[1], dtype=torch.int64, device=activations.device)
    for index in range(tables.shape[1]):
        table = tables[:, index]
        for plane in range(planes.shape[0]):
            total += alphas[plane].to(torch.int64) * table[:, patterns[plane, :, index]]
    return total


def _largest(values: torch.Tensor) -> int:
    return max(int(values.max()), -int(values.min())) if values.numel() else 0
