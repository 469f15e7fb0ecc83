"""The parts of a transformer, written plainly: attention of several heads and the two layers after it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Each place looks at all places, or at those up to itself, through several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (N, places, width) to the same shape; ``mask`` (places, places) is added to the scores."""
        query, key, value = (self._split(part(features)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
        joined = (weights @ value).transpose(1, 2).reshape(features.shape)
        mixed: Tensor = self.output(joined)
        return mixed

    def _split(self, features: Tensor) -> Tensor:
        """Maps (N, places, width) to (N, heads, places, width / heads)."""
        return features.reshape(features.shape[0], features.shape[1], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two fully connected layers with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rise, self.gelu, self.fall = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape."""
        changed: Tensor = self.fall(self.gelu(self.rise(features)))
        return changed
