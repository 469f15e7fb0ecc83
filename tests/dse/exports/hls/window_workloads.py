"""Workloads on the digits with windows of every kind: strides, padding, dilation, groups, one axis and two."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from emulation.workloads import find_workload

PLAIN = find_workload("digits-mlp")


class Windows(nn.Module):
    """Two axes: kernels that are no squares, groups between one and depthwise, pooling with padding and overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.uneven = nn.Conv2d(1, 6, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
        self.grouped = nn.Conv2d(6, 9, 3, groups=3, padding=1)
        self.spread = nn.Conv2d(9, 18, (1, 2), groups=9)
        self.pool, self.mean = nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d((2, 1), stride=1, padding=(1, 0))
        self.head = nn.Linear(18 * 5 * 2, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = torch.relu(self.uneven(images))
        found = torch.relu(self.grouped(found))
        found = self.mean(self.pool(self.spread(found)))
        return self.head(torch.flatten(found, 1))


class Signals(nn.Module):
    """One axis: the rows of an image as channels; a stride that skips values; several readers of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv1d(8, 6, 3, padding=2, dilation=2)
        self.narrow = nn.Conv1d(6, 6, 1)
        self.deep = nn.Conv1d(6, 6, 4, padding="same", groups=2)
        self.skip = nn.Conv1d(6, 4, 1, stride=3)
        self.pool, self.head = nn.MaxPool1d(2, stride=1), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = torch.relu(self.wide(images.reshape(images.shape[0], 8, 8)))
        found = found + self.narrow(found) + self.deep(found)
        return self.head(torch.flatten(self.pool(self.skip(found)), 1))


def seeded(build: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


WINDOWS = dataclasses.replace(PLAIN, name="windows", build=lambda: seeded(Windows), weights=None, score=None)
SIGNALS = dataclasses.replace(PLAIN, name="signals", build=lambda: seeded(Signals), weights=None, score=None)
