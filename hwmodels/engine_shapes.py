"""What an engine computes per sample, whatever its numbers and its device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from emulation.network import Convolution, Linear, MatMul, Window

if TYPE_CHECKING:
    from emulation.network import Layer, Network
    from hwmodels.folding import Folding


class WeightSource(Enum):
    """Where the second operand of a product comes from."""

    STORED = "stored"
    """Weights, read-only."""
    STREAMED = "streamed"
    """Another activation (MatMul): held in a double buffer while the next one arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShape:
    """What an engine computes per sample, whatever its numbers.

    Attributes:
        outputs: values one position makes (channels of a convolution).
        depth: products summed into one of them.
        positions: times the weights are used.
        window: of a convolution, else None.
        space: input positions along each axis of a convolution.
        in_channels: of a convolution; the depth of any other layer.
        groups: of a convolution.
        has_bias: whether a bias is added.
        weights: where the second operand comes from.
        weight_sets: times the second operand is replaced per sample (leading axes of a MatMul).
    """

    outputs: int
    depth: int
    positions: int = 1
    window: Window | None = None
    space: tuple[int, ...] = ()
    in_channels: int
    groups: int = 1
    has_bias: bool = True
    weights: WeightSource = WeightSource.STORED
    weight_sets: int = 1

    def __post_init__(self) -> None:
        for name in ("outputs", "depth", "positions", "in_channels", "groups", "weight_sets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of an engine must be at least 1, got {getattr(self, name)}")

    @classmethod
    def from_layer(cls, network: Network, layer: Layer) -> EngineShape:
        """The shape of a convolution, linear layer or MatMul of a network.

        Raises:
            ValueError: if the layer does not multiply.
        """
        operation, depth = layer.operation, network.depth(layer) if layer.inputs else 0
        if isinstance(operation, Convolution):
            channels, *space = network.by_name[layer.inputs[0]].shape
            return cls(
                outputs=layer.outputs,
                depth=depth,
                positions=layer.positions,
                window=operation.window,
                space=tuple(space),
                in_channels=channels,
                groups=operation.groups,
                has_bias=layer.bias is not None,
            )
        if isinstance(operation, Linear):
            return cls(
                outputs=layer.outputs,
                depth=depth,
                positions=layer.positions,
                in_channels=depth,
                has_bias=layer.bias is not None,
            )
        if isinstance(operation, MatMul):
            return cls(
                outputs=layer.outputs,
                depth=depth,
                positions=layer.positions,
                in_channels=depth,
                has_bias=False,
                weights=WeightSource.STREAMED,
                weight_sets=math.prod(layer.shape[:-2]),
            )
        raise ValueError(
            f"layer {layer.name!r} ({layer.kind}) does not multiply and has no engine: "
            "engines are those of convolution, linear and matmul layers"
        )

    @property
    def is_depthwise(self) -> bool:
        """Whether every output channel reads one input channel, so lanes of several outputs share no input."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def input_elements(self) -> int:
        """Values that arrive per sample."""
        return self.in_channels * (math.prod(self.space) if self.window else self.positions)

    def input_lanes(self, folding: Folding) -> int:
        """Values that arrive at once: as many as the engine reads at once and a position's channels divide into."""
        return self.input_lanes_of(folding.pe, folding.simd)

    def input_lanes_of(self, pe: int, simd: int) -> int:
        """The same for a folding that is given by its numbers."""
        if self.window is None:
            return simd
        reads = pe if self.is_depthwise else simd
        return math.gcd(reads, self.in_channels // (1 if self.is_depthwise else self.groups))


def requantisers(folding: Folding, shape: EngineShape) -> int:
    """Requantisers of an engine: an output takes ``depth / simd`` cycles, so one serves several outputs in turn.

    >>> from hwmodels.folding import Folding
    >>> requantisers(Folding(pe=8, simd=2), EngineShape(outputs=16, depth=8, in_channels=8))
    2
    """
    return requantisers_of(folding.pe, shape.depth // folding.simd)


@lru_cache(maxsize=1 << 14)
def requantisers_of(pe: int, steps: int) -> int:
    """The fewest that divide the lanes and finish a result before the next one comes."""
    return next(count for count in range(-(-pe // steps), pe + 1) if pe % count == 0)
