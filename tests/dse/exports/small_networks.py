"""Untrained networks on the digits, small enough to compile, that have what exports find hard."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from emulation.workloads import find_workload

PLAIN = find_workload("digits-mlp")


class Residual(nn.Module):
    """Strides, padding, depthwise with ReLU6, a residual addition, a padded maximum, PReLU, an average."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_relu = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU()
        self.depthwise, self.bounded = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU6()
        self.mix, self.relu = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU()
        self.pool = nn.MaxPool2d(2, padding=1)
        self.widen, self.slopes = nn.Conv2d(4, 6, 1), nn.PReLU(6)
        self.average, self.flatten, self.head = nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.stem_relu(self.stem(images))
        second = self.mix(self.bounded(self.depthwise(first)))
        found = self.slopes(self.widen(self.pool(self.relu(first + second))))
        return self.head(self.flatten(self.average(found)))


class Row(nn.Module):
    """Convolution and pooling over one axis: all pixels in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv1d(1, 4, 5, stride=2, padding=2), nn.ReLU()
        self.pool, self.mix, self.mix_relu = nn.MaxPool1d(3, padding=1), nn.Conv1d(4, 4, 3, padding=1), nn.ReLU()
        self.average, self.flatten, self.head = nn.AvgPool1d(4), nn.Flatten(), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        row = images.reshape(images.shape[0], 1, 64)
        found = self.mix_relu(self.mix(self.pool(self.relu(self.stem(row)))))
        return self.head(self.flatten(self.average(found)))


def seeded(build: type[nn.Module]) -> nn.Module:
    """The same weights each time, large enough to reach bounds, and different slopes."""
    torch.manual_seed(1)
    network = build()
    with torch.no_grad():
        for name, values in network.named_parameters():
            if name.startswith(("depthwise", "stem")):
                values.mul_(6)
            if name.startswith("slopes"):
                values.copy_(torch.linspace(0.1, 0.9, len(values)))
    return network


RESIDUAL = dataclasses.replace(PLAIN, name="small-residual", build=lambda: seeded(Residual), weights=None, score=None)
ROW = dataclasses.replace(PLAIN, name="small-row", build=lambda: seeded(Row), weights=None, score=None)
