"""Untrained networks on the digits with GELU and recurrent layers of several kinds."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from emulation.workloads import find_workload

PLAIN = find_workload("digits-mlp")


class Gelus(nn.Module):
    """GELU of images, of rows, and of a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.head = nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Linear(4, 6), nn.Linear(72, 10)
        self.images, self.rows, self.vector = nn.GELU(), nn.GELU(), nn.GELU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = self.rows(self.up(self.images(self.stem(images))))
        return self.vector(self.head(torch.flatten(rows, 1)))


class Recurrent(nn.Module):
    """Two LSTMs over the rows of an image, one reading the other, and a cell that takes a single step."""

    def __init__(self) -> None:
        super().__init__()
        self.stacked = nn.LSTM(8, 6, num_layers=2, batch_first=True)
        self.cell, self.head = nn.LSTMCell(6, 4), nn.Linear(4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        sequence, _ = self.stacked(images.reshape(images.shape[0], 8, 8))
        last = sequence[:, -1]
        zeros = last.new_zeros(last.shape[0], 4)
        return self.head(self.cell(last, (zeros, zeros))[0])


def strong(build: type[nn.Module]) -> nn.Module:
    """The same weights each time, large enough for gates and states to saturate."""
    torch.manual_seed(2)
    network = build()
    with torch.no_grad():
        for values in network.parameters():
            values.mul_(4)
    return network


GELUS = dataclasses.replace(PLAIN, name="gelus", build=lambda: strong(Gelus), weights=None, score=None)
RECURRENT = dataclasses.replace(PLAIN, name="recurrent", build=lambda: strong(Recurrent), weights=None, score=None)
