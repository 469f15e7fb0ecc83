"""Digits networks of few channels, small enough to be simulated on a thousand images."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from emulation.workloads import find_workload
from emulation.workloads.networks import NormalisedConvolution, ResidualBlock

_PLAIN = find_workload("digits-mlp")


class SmallResidual(nn.Module):
    """As `digits`, with a twelfth of its weights: a residual block, a maximum, a mean, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormalisedConvolution(1, 4, 3)
        self.residual = ResidualBlock(4)
        self.halve = nn.MaxPool2d(2)
        self.widen = NormalisedConvolution(4, 6, 3, stride=2)
        self.average = nn.AvgPool2d(2)
        self.hidden, self.classify = nn.Linear(6, 8), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 1, 8, 8) to logits (N, 10)."""
        features = self.halve(self.residual(torch.relu(self.stem(images))))
        pooled = torch.flatten(self.average(torch.relu(self.widen(features))), 1)
        return self.classify(torch.relu(self.hidden(pooled)))


class SmallConvolutions(nn.Module):
    """A strided convolution, a depthwise one, one of a single tap, and a linear layer that reads a flattened image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.mix, self.classify = nn.Conv2d(4, 2, 1), nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 1, 8, 8) to logits (N, 10)."""
        features = torch.relu(self.depthwise(torch.relu(self.stem(images))))
        return self.classify(torch.flatten(self.mix(features), 1))


class SmallPerceptron(nn.Module):
    """Two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.classify = nn.Linear(64, 6), nn.Linear(6, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 1, 8, 8) to logits (N, 10)."""
        return self.classify(torch.relu(self.hidden(torch.flatten(images, 1))))


class Unsuited(nn.Module):
    """What engines between streams lack: windows that overlap in a pool, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(1, 3, 1)
        self.pool, self.classify = nn.MaxPool2d(3, stride=2, padding=1), nn.Linear(96, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 1, 8, 8) to logits (N, 10)."""
        joined = torch.cat((torch.relu(self.wide(images)), torch.relu(self.narrow(images))), dim=1)
        return self.classify(torch.flatten(self.pool(joined), 1))


def _seeded(build: type[nn.Module]) -> nn.Module:
    """Weights so large that images, not biases, decide the logits."""
    torch.manual_seed(2)
    network = build()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    return network


def _workload(build: type[nn.Module]) -> object:
    return dataclasses.replace(_PLAIN, name=build.__name__, build=lambda: _seeded(build), weights=None, score=None)


RESIDUAL = _workload(SmallResidual)
CONVOLUTIONS = _workload(SmallConvolutions)
PERCEPTRON = _workload(SmallPerceptron)
UNSUITED = _workload(Unsuited)
