"""Workloads with something wrong each; tests of the command line put them on the path."""

import dataclasses

import numpy as np
import torch
from torch import nn

from emulation.workloads import Samples, Splits, find_workload

PLAIN = find_workload("digits-mlp")


def with_weights(change):
    def build():
        network = PLAIN.load_network()
        change(network)
        return network

    return dataclasses.replace(PLAIN, name="changed", build=build, weights=None, score=None)


def spoil(network):
    network.second.weight[3, 5] = torch.nan


def silence(network):
    network.second.weight[7] = 0


class Wavy(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 10)

    def forward(self, images):
        return torch.sin(self.fc(self.flatten(images)))


def empty_calibration():
    whole = PLAIN.load_splits()
    nothing = Samples(inputs=np.zeros((0, 1, 8, 8), np.float32), labels=np.zeros(0, np.int64))
    return Splits(calibration=nothing, validation=whole.validation, test=whole.test)


NAN = with_weights(spoil)
ZERO_CHANNEL = with_weights(silence)
UNREADABLE = dataclasses.replace(PLAIN, name="wavy", build=Wavy, weights=None, score=None)
EMPTY = dataclasses.replace(PLAIN, name="empty", load_splits=empty_calibration)
NUMBER = 3
