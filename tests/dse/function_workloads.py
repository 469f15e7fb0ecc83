"""Workloads on the digits whose networks have softmax, layer norm, tables of functions, or an LSTM."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn

from emulation.workloads import find_workload

PLAIN = find_workload("digits-mlp")


class RowAttention(nn.Module):
    """The eight rows of an image attend to each other; the last row is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.query, self.key, self.up, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 12), nn.Linear(12, 10)
        self.gelu, self.sigmoid = nn.GELU(), nn.Sigmoid()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = self.norm(images.reshape(images.shape[0], 8, 8))
        weights = torch.softmax(self.query(rows) @ self.key(rows).transpose(1, 2) / math.sqrt(8), dim=-1)
        mixed = rows + weights @ rows
        return self.head(self.sigmoid(self.gelu(self.up(mixed[:, 7]))))


class Joined(nn.Module):
    """Two convolutions side by side, joined along their channels for a third."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 5, 3, padding=1, stride=2), nn.Conv2d(1, 3, 1, stride=2)
        self.mix, self.head = nn.Conv2d(8, 6, 2, stride=2), nn.Linear(24, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        both = torch.cat((torch.relu(self.wide(images)), self.narrow(images)), dim=1)
        return self.head(torch.flatten(torch.relu(self.mix(both)), 1))


class RowLstm(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        sequence, _ = self.lstm(images.reshape(images.shape[0], 8, 8))
        return self.head(sequence[:, -1])


def seeded(build: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


ATTENTION = dataclasses.replace(
    PLAIN, name="row-attention", build=lambda: seeded(RowAttention), weights=None, score=None
)
JOINED = dataclasses.replace(PLAIN, name="joined", build=lambda: seeded(Joined), weights=None, score=None)
LSTM = dataclasses.replace(PLAIN, name="row-lstm", build=lambda: seeded(RowLstm), weights=None, score=None)
