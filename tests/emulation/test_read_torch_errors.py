"""What a network that cannot be read is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from emulation.network import Input, Layer, Linear, Network, NetworkError
from emulation.read_torch import read_torch

IMAGE = (4, 6, 5)

if TYPE_CHECKING:
    from collections.abc import Callable


class Forward(nn.Module):
    """A module made of its parts and a forward function over them."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, values: torch.Tensor) -> Any:
        return self.function(self, values)


class Head(nn.Module):
    """An unreadable operation inside a named module."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.sin(values)


CASES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...], str]] = [
    (
        "operation and module",
        lambda: nn.Sequential(nn.Linear(4, 4), Head()),
        (4,),
        "operation sin in module '1' cannot be read. Replace it by operations that can: _native",
    ),
    (
        "nearest operation",
        lambda: nn.Conv3d(1, 1, 1),
        (1, 2, 2, 2),
        "operation conv3d in the network's own forward cannot be read (the nearest that can is conv",
    ),
    (
        "no own path",
        lambda: Forward(lambda _, x: torch.exp(x)),
        (4,),
        "operation exp in the network's own forward cannot be read",
    ),
    (
        "pooling with indices",
        lambda: nn.MaxPool2d(2, return_indices=True),
        IMAGE,
        "operation max_pool2d_with_indices in",
    ),
    (
        "two outputs",
        lambda: Forward(lambda s, x: (s.c(x), x), c=nn.Linear(4, 4)),
        (4,),
        "network 'n' returns 2 tensors: exactly one can be explored",
    ),
    (
        "broadcast add",
        lambda: Forward(lambda s, x: s.c(x) + x, c=nn.Conv2d(4, 1, 1)),
        IMAGE,
        "add in the network's own forward joins shapes (1, 6, 5) and (4, 6, 5): broadcasting cannot be read, give both",
    ),
    (
        "alpha",
        lambda: Forward(lambda _, x: torch.add(x, x, alpha=2)),
        (4,),
        "add in the network's own forward has alpha 2: only 1 can be read",
    ),
    (
        "number added",
        lambda: Forward(lambda s, x: torch.relu(s.c(x)) + 1.5, c=nn.Linear(4, 4)),
        (4,),
        "add in the network's own forward adds a constant of shape (4,) to the output of 'c', shape (4,): only one",
    ),
    (
        "constant that is no bias",
        lambda: Forward(lambda s, x: s.c(x) + s.b, c=nn.Linear(4, 3), b=nn.Parameter(torch.ones(5, 1))),
        (5, 4),
        "adds a constant of shape (5, 1) to the output of 'c', shape (5, 3): only one value per output",
    ),
    (
        "bias after activation",
        lambda: Forward(lambda s, x: torch.relu(s.c(x)) + s.b, c=nn.Linear(4, 3), b=nn.Parameter(torch.ones(3))),
        (4,),
        "adds a constant of shape (3,) to the output of 'c'",
    ),
    (
        "bias read beside",
        lambda: Forward(lambda s, x: (y := s.c(x)) + (y + s.b), c=nn.Linear(4, 3), b=nn.Parameter(torch.ones(3))),
        (4,),
        "adds a constant of shape (3,) to the output of 'c'",
    ),
    (
        "batch in a reshape",
        lambda: Forward(lambda _, x: x.reshape(x.shape[0] * 2, -1)),
        IMAGE,
        "returns a tensor whose axis 0 is not the batch, because values were moved between samples",
    ),
    (
        "batch flattened",
        lambda: nn.Flatten(0),
        IMAGE,
        "returns a tensor whose axis 0 is not the batch, because values were moved between samples",
    ),
    (
        "batch permuted",
        lambda: Forward(lambda _, x: x.permute(1, 0, 2, 3)),
        IMAGE,
        "returns a tensor whose axis 0 is not the batch, because values were moved between samples",
    ),
    (
        "batch transposed",
        lambda: Forward(lambda _, x: x.t()),
        (4,),
        "returns a tensor whose axis 0 is not the batch, because values were moved between samples",
    ),
    (
        "batch concatenated",
        lambda: Forward(lambda _, x: torch.cat([x, x])),
        IMAGE,
        "cat in the network's own forward joins samples of the batch",
    ),
    (
        "uncounted padding",
        lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False),
        IMAGE,
        "divides by a number that changes along the border or is overridden: use count_include_pad=True, ceil_mode=Fa",
    ),
    (
        "ceil average",
        lambda: nn.AvgPool1d(2, ceil_mode=True),
        (4, 9),
        "average pooling in the network's own forward divides by",
    ),
    (
        "divisor",
        lambda: nn.AvgPool2d(2, divisor_override=3),
        IMAGE,
        "average pooling in the network's own forward divides by",
    ),
    (
        "adaptive to 4",
        lambda: nn.AdaptiveAvgPool2d((4, 1)),
        IMAGE,
        "adaptive average pooling of (6, 5) to (4, 1) in the network's own forward: only sizes that divide the input",
    ),
    (
        "mean of channels",
        lambda: Forward(lambda _, x: x.mean(1)),
        IMAGE,
        "mean over axes [1] in the network's own forward: only that over all space axes can be read",
    ),
    (
        "mean of everything",
        lambda: Forward(lambda _, x: x.mean()),
        IMAGE,
        "mean over axes [0, 1, 2, 3] in the network's own forward",
    ),
    (
        "hardtanh",
        lambda: nn.Hardtanh(-1, 1),
        (4,),
        "hardtanh from -1.0 to 1.0 in the network's own forward cannot be read: only a lower bound of 0",
    ),
    (
        "norm of features alone",
        lambda: nn.BatchNorm1d(4),
        (4,),
        "batch norm in the network's own forward follows no linear layer and has no space axes",
    ),
    (
        "norm without statistics",
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        IMAGE,
        "has no running statistics: train it with track_running_stats",
    ),
    (
        "matmul of unequal leading axes",
        lambda: Forward(lambda s, x: x @ s.c(x), c=nn.Conv2d(2, 1, 1)),
        (2, 4, 4),
        "matmul in the network's own forward multiplies shapes (2, 4, 4) and (1, 4, 4): the leading axes must be equal",
    ),
    (
        "weights from samples",
        lambda: Forward(lambda _, x: torch.conv2d(x, x)),
        (1, 4, 4),
        "is computed from the samples where a trained parameter is expected",
    ),
    (
        "control flow",
        lambda: Forward(lambda _, x: x if x.sum() > 0 else -x),
        (4,),
        "torch.export cannot trace network 'n': ",
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("module", "shape", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_unreadable(module: Callable[[], nn.Module], shape: tuple[int, ...], message: str) -> None:
    samples = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    with pytest.raises(NetworkError, match=re.escape(message)):
        read_torch(module().eval(), samples, name="n")


def test_control_flow_is_told_what_to_do() -> None:
    module = Forward(lambda _, x: x if x.sum() > 0 else -x)
    with pytest.raises(NetworkError, match="Remove control flow that depends on values, or export the part"):
        read_torch(module, np.ones((1, 4), np.float32), name="n")


def test_two_inputs() -> None:
    class TwoInputs(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor | None = None) -> torch.Tensor:
            return first if second is None else first + second

    samples = np.ones((1, 4), np.float32)
    assert read_torch(TwoInputs(), samples, name="n").output == "input"
    with pytest.raises(NetworkError, match=r"network 'n' takes several input tensors \(input1, input2\): exactly one"):
        read_torch(nn.Bilinear(4, 4, 2), samples, name="n")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    module = nn.Sequential(nn.Conv2d(4, 3, 2))
    with torch.no_grad():
        module[0].weight[2, 1, 0, 1] = value
    with pytest.raises(
        NetworkError, match=re.escape(f"weight[2, 1, 0, 1] of layer '0' is {value}: all weights must be")
    ):
        read_torch(module, np.ones((1, *IMAGE), np.float32), name="n")


def test_a_bias_that_is_not_finite() -> None:
    module = nn.Sequential(nn.Linear(4, 3))
    with torch.no_grad():
        module[0].bias[1] = np.nan
    with pytest.raises(
        NetworkError, match=r"bias\[1\] of layer '0' is nan.*Check the training run or the weights file"
    ):
        read_torch(module, np.ones((1, 4), np.float32), name="n")


def layer(name: str, *inputs: str) -> Layer:
    if not inputs:
        return Layer(name=name, operation=Input(), inputs=(), shape=(2,))
    return Layer(name=name, operation=Linear(), inputs=inputs, shape=(2,), weight=np.eye(2))


@pytest.mark.parametrize(
    ("layers", "output", "message"),
    [
        ((layer("a"), layer("c", "b"), layer("b", "a")), "c", "layer 'c' reads ['b'], which no earlier layer makes"),
        ((layer("a"), layer("a", "a")), "a", "two layers are called 'a': layer names must be unique"),
        ((layer("a"),), "z", "the output 'z' is not a layer of network 'n'"),
    ],
)
def test_graphs_that_are_none(layers: tuple[Layer, ...], output: str, message: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(message)):
        Network(name="n", layers=layers, output=output)
