"""Small torch modules with softmax, layer norm, GELU, SiLU, sigmoid, tanh and recurrent layers."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import nn


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and a feed-forward part, both with residual additions."""

    def __init__(self, features: int = 8, heads: int = 2, approximate: str = "none") -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(features), nn.LayerNorm(features)
        self.query, self.key, self.value = (nn.Linear(features, features) for _ in range(3))
        self.mix = nn.Linear(features, features)
        self.up, self.down = nn.Linear(features, 2 * features), nn.Linear(2 * features, features)
        self.activation = nn.GELU(approximate=approximate)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        batch, steps, features = values.shape
        size = features // self.heads
        normed = self.first_norm(values)
        query, key, value = (
            part(normed).view(batch, steps, self.heads, size).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(-1, -2) / size**0.5, dim=-1)
        values = values + self.mix((weights @ value).transpose(1, 2).reshape(batch, steps, features))
        return values + self.down(self.activation(self.up(self.second_norm(values))))


class Attention(nn.Module):
    """Torch's own attention, of queries that were scaled before."""

    def __init__(self, features: int = 8) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(features, features), nn.Linear(features, features, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nnf.scaled_dot_product_attention(self.query(values) * 0.5, self.key(values), values)


class Recurrent(nn.Module):
    """An LSTM of some layers, its last step read by a linear layer."""

    def __init__(self, layers: int = 2, *, bias: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, num_layers=layers, batch_first=True, bias=bias)
        self.head = nn.Linear(6, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        sequence, _ = self.lstm(values)
        return self.head(sequence[:, -1])


class LastState(nn.Module):
    """An LSTM of which only the last hidden state is used."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, batch_first=True)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(values)
        return hidden[-1]


class CellLoop(nn.Module):
    """An LSTM cell called once per step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(5, 6), nn.Linear(6, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        hidden = state = values.new_zeros(values.shape[0], 6)
        steps = []
        for step in range(values.shape[1]):
            hidden, state = self.cell(values[:, step], (hidden, state))
            steps.append(hidden)
        return self.head(torch.relu(torch.stack(steps, 1)))


class OneCell(nn.Module):
    """A single step from states of zero."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(5, 6)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        zeros = values.new_zeros(values.shape[0], 6)
        return self.cell(values, (zeros, zeros))[0]


def perceptron() -> nn.Module:
    """Every function with a table, and a softmax at the end."""
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.SiLU(),
        nn.Linear(8, 8),
        nn.Sigmoid(),
        nn.Linear(8, 8),
        nn.GELU(),
        nn.Linear(8, 5),
        nn.Softmax(dim=-1),
    )


def convolutional() -> nn.Module:
    """Functions on images, channels first, and a norm over the last axis."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.SiLU(), nn.Conv2d(3, 2, 1), nn.LayerNorm(16), nn.Sigmoid(), nn.Flatten()
    )


NETWORKS = {
    "transformer": (TransformerBlock, (3, 8)),
    "transformer-tanh-gelu": (lambda: TransformerBlock(approximate="tanh"), (3, 8)),
    "attention": (Attention, (4, 8)),
    "lstm": (Recurrent, (6, 5)),
    "lstm-no-bias": (lambda: Recurrent(1, bias=False), (6, 5)),
    "last-state": (LastState, (6, 5)),
    "cell-loop": (CellLoop, (6, 5)),
    "one-cell": (OneCell, (5,)),
    "perceptron": (perceptron, (6,)),
    "convolutional": (convolutional, (2, 2, 16)),
}
