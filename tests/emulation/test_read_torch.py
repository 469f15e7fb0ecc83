"""Every readable torch operation once: the same numbers as torch, and the layers that are expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from torch import nn

from emulation.float_execution import run_float
from emulation.network import Network, PRelu, Relu
from emulation.read_torch import read_torch

if TYPE_CHECKING:
    from collections.abc import Callable


class Forward(nn.Module):
    """A module made of its parts and a forward function over them."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, values: torch.Tensor) -> Any:
        return self.function(self, values)


def settled(module: nn.Module) -> nn.Module:
    """Distinct, reproducible parameters and running statistics, so that no order or axis can be confused."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.empty_like(parameter).uniform_(-0.6, 0.6, generator=generator))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.empty_like(buffer).uniform_(-1, 1, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(torch.empty_like(buffer).uniform_(0.3, 2, generator=generator))
    return module.eval()


def samples_of(shape: tuple[int, ...], count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(scale=2, size=(count, *shape)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A module, its sample shape, and what is expected of the network: layer names, kinds, work."""

    name: str
    module: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layers: str
    macs: int = 0


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


IMAGE, SIGNAL = (4, 6, 5), (4, 9)
CASES = [
    Case("conv2d", lambda: nn.Conv2d(4, 3, (3, 2)), IMAGE, "self.conv:convolution", 3 * 4 * 4 * 4 * 6),
    Case(
        "strided",
        lambda: nn.Conv2d(4, 3, 3, stride=(2, 1), padding=(2, 1), bias=False),
        IMAGE,
        "self.conv:convolution",
        3 * 4 * 5 * 36,
    ),
    Case("same", lambda: nn.Conv2d(4, 2, (4, 3), padding="same"), IMAGE, "self.conv:convolution", 2 * 30 * 48),
    Case("valid", lambda: nn.Conv2d(4, 2, 3, padding="valid"), IMAGE, "self.conv:convolution", 2 * 12 * 36),
    Case(
        "same dilated",
        lambda: nn.Conv1d(4, 2, 4, padding="same", dilation=3),
        SIGNAL,
        "self.conv:convolution",
        2 * 9 * 16,
    ),
    Case("dilated", lambda: nn.Conv2d(4, 2, 2, dilation=(3, 2)), IMAGE, "self.conv:convolution", 2 * 9 * 16),
    Case("grouped", lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGE, "self.conv:convolution", 6 * 12 * 18),
    Case("depthwise", lambda: nn.Conv2d(4, 8, 3, groups=4), IMAGE, "self.conv:depthwise", 8 * 12 * 9),
    Case("conv1d", lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1), SIGNAL, "self.conv:convolution", 3 * 5 * 12),
    Case("linear", lambda: nn.Linear(4, 3), (4,), "self.linear:linear", 12),
    Case("linear on tokens", lambda: nn.Linear(4, 3, bias=False), (5, 4), "self.linear:linear", 60),
    Case("constant matmul", lambda: Forward(lambda s, x: x @ s.w, w=parameter(4, 3)), (5, 4), "linear:linear", 60),
    Case(
        "matmul with a bias",
        lambda: Forward(lambda s, x: s.b + x @ s.w, w=parameter(4, 3), b=parameter(3)),
        (5, 4),
        "linear:linear",
        60,
    ),
    Case(
        "matmul by a transposed constant",
        lambda: Forward(lambda s, x: x @ s.w.t(), w=parameter(3, 4)),
        (4,),
        "linear:linear",
        12,
    ),
    Case(
        "product of activations",
        lambda: Forward(lambda s, x: s.q(x) @ s.k(x).transpose(1, 2), q=nn.Linear(4, 3), k=nn.Linear(4, 3)),
        (5, 4),
        "q:linear k:linear transpose:transpose matmul:matmul",
        60 + 60 + 75,
    ),
    Case(
        "bmm",
        lambda: Forward(lambda _, x: torch.bmm(x, x.permute(0, 2, 1))),
        (5, 4),
        "transpose:transpose matmul:matmul",
        100,
    ),
    Case(
        "conv and bias",
        lambda: Forward(lambda s, x: s.c(x) + s.b, c=nn.Conv2d(4, 3, 1), b=parameter(3, 1, 1)),
        IMAGE,
        "c:convolution",
        360,
    ),
    Case(
        "conv, norm, relu",
        lambda: nn.Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.ReLU()),
        IMAGE,
        "0:convolution",
        3 * 12 * 36,
    ),
    Case(
        "conv1d without bias, norm",
        lambda: nn.Sequential(nn.Conv1d(4, 3, 3, bias=False), nn.BatchNorm1d(3, affine=False)),
        SIGNAL,
        "0:convolution",
        3 * 7 * 12,
    ),
    Case("linear, norm", lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), (4,), "0:linear", 12),
    Case(
        "norm of tokens",
        lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(5)),
        (5, 4),
        "0:linear 1:depthwise",
        60 + 15,
    ),
    Case("norm alone", lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), IMAGE, "0:depthwise", 120),
    Case(
        "norm after relu",
        lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)),
        IMAGE,
        "0:convolution 2:depthwise",
        480 + 120,
    ),
    Case("relu", nn.ReLU, IMAGE, "self.activation:activate"),
    Case("relu6", lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU6(inplace=True)), IMAGE, "0:convolution", 480),
    Case(
        "relu6 function",
        lambda: Forward(lambda s, x: nnf.relu6(s.c(x)), c=nn.Conv2d(4, 4, 1)),
        IMAGE,
        "c:convolution",
        480,
    ),
    Case("hardtanh", lambda: nn.Sequential(nn.Linear(4, 4), nn.Hardtanh(0, 1.5)), (4,), "0:linear", 16),
    Case("one slope", lambda: nn.Sequential(nn.Linear(4, 4), nn.PReLU()), (5, 4), "0:linear", 80),
    Case("slopes of channels", lambda: nn.Sequential(nn.Conv2d(4, 3, 1), nn.PReLU(3)), IMAGE, "0:convolution", 360),
    Case("slopes of features", lambda: nn.Sequential(nn.Linear(4, 3), nn.PReLU(3)), (4,), "0:linear", 12),
    Case("slopes of tokens", lambda: nn.Sequential(nn.Linear(4, 4), nn.PReLU(4)), (4, 4), "0:linear 1:activate", 64),
    Case("slopes alone", lambda: nn.PReLU(4), IMAGE, "self.activation:activate"),
    Case(
        "residual",
        lambda: Forward(lambda s, x: torch.relu(s.c(x) + x), c=nn.Conv2d(4, 4, 3, padding=1)),
        IMAGE,
        "c:convolution add:add",
        4 * 30 * 36,
    ),
    Case(
        "residual in place",
        lambda: Forward(lambda s, x: s.c(x).add_(x), c=nn.Conv2d(4, 4, 1)),
        IMAGE,
        "c:convolution add:add",
        480,
    ),
    Case("doubled", lambda: Forward(lambda _, x: x + x), (4,), "add:add"),
    Case(
        "relu read twice",
        lambda: Forward(lambda s, x: (y := torch.relu(s.c(x))) + s.d(y), c=nn.Conv2d(4, 4, 1), d=nn.Conv2d(4, 4, 1)),
        IMAGE,
        "c:convolution d:convolution add:add",
        960,
    ),
    Case(
        "branch before relu",
        lambda: Forward(lambda s, x: (y := s.c(x)) + torch.relu(y), c=nn.Conv2d(4, 4, 1)),
        IMAGE,
        "c:convolution activation:activate add:add",
        480,
    ),
    Case(
        "branch before dropout and relu",
        lambda: Forward(lambda s, x: (y := s.c(x)) + torch.relu(s.p(y)), c=nn.Conv2d(4, 4, 1), p=nn.Dropout()),
        IMAGE,
        "c:convolution activation:activate add:add",
        480,
    ),
    Case(
        "branch before dropout and norm",
        lambda: Forward(
            lambda s, x: (y := s.c(x)) + s.n(s.p(y)), c=nn.Conv2d(4, 4, 1), p=nn.Dropout(), n=nn.BatchNorm2d(4)
        ),
        IMAGE,
        "c:convolution n:depthwise add:add",
        600,
    ),
    Case(
        "dropout between",
        lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.Dropout(), nn.ReLU(), nn.Dropout2d()),
        IMAGE,
        "0:convolution",
        480,
    ),
    Case(
        "concat of channels",
        lambda: Forward(lambda s, x: torch.cat([x, s.c(x), x], dim=-3), c=nn.Conv2d(4, 2, 1)),
        IMAGE,
        "c:convolution concat:concat",
        240,
    ),
    Case(
        "concat of rows",
        lambda: Forward(lambda s, x: torch.cat([x, s.c(x)], 2), c=nn.Conv2d(4, 4, (2, 1))),
        IMAGE,
        "c:convolution concat:concat",
        4 * 25 * 8,
    ),
    Case("max pool", lambda: nn.MaxPool2d((3, 2), stride=2, padding=(1, 1)), IMAGE, "self.max_pool:maxpool"),
    Case("max pool 1d", lambda: nn.MaxPool1d(3, stride=2, dilation=2), SIGNAL, "self.max_pool:maxpool"),
    Case("ceil max pool", lambda: nn.MaxPool2d(2, stride=(2, 3), ceil_mode=True), (2, 5, 6), "self.max_pool:maxpool"),
    Case(
        "padded ceil max pool",
        lambda: nn.MaxPool1d(3, stride=4, padding=1, ceil_mode=True),
        SIGNAL,
        "self.max_pool:maxpool",
    ),
    Case("average pool", lambda: nn.AvgPool2d(2, stride=1, padding=1), IMAGE, "self.average_pool:averagepool"),
    Case("average pool 1d", lambda: nn.AvgPool1d(3), SIGNAL, "self.average_pool:averagepool"),
    Case(
        "uncounted but unpadded",
        lambda: nn.AvgPool2d(2, count_include_pad=False),
        IMAGE,
        "self.average_pool:averagepool",
    ),
    Case("adaptive pool", lambda: nn.AdaptiveAvgPool2d(1), IMAGE, "self.global_average:averagepool"),
    Case(
        "adaptive pool 1d",
        lambda: nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten()),
        SIGNAL,
        "0:averagepool 1:reshape",
    ),
    Case("mean", lambda: Forward(lambda _, x: x.mean((2, 3))), IMAGE, "global_average:averagepool flatten:reshape"),
    Case("mean kept", lambda: Forward(lambda _, x: x.mean(-1, keepdim=True)), SIGNAL, "global_average:averagepool"),
    Case("flatten", nn.Flatten, IMAGE, "self.reshape:reshape"),
    Case("view", lambda: Forward(lambda _, x: x.view(x.shape[0], 2, -1)), IMAGE, "reshape:reshape"),
    Case("permute", lambda: Forward(lambda _, x: x.permute(0, 3, 1, 2)), IMAGE, "transpose:transpose"),
    Case("transpose", lambda: Forward(lambda _, x: x.transpose(-1, 1).contiguous()), IMAGE, "transpose:transpose"),
    Case("squeeze", lambda: Forward(lambda _, x: x.unsqueeze(2).squeeze(2)), SIGNAL, ""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_operation(case: Case) -> None:
    module, samples = settled(case.module()), samples_of(case.shape)
    network = read_torch(module, samples, name="case")
    with torch.no_grad():
        expected = module(torch.from_numpy(samples.copy())).numpy()
    tensors = run_float(network, samples)
    np.testing.assert_allclose(tensors[network.output].numpy(), expected, rtol=1e-5, atol=1e-5)
    for layer in network.layers:
        assert tuple(tensors[layer.name].shape[1:]) == layer.shape, layer.name
    # The network's own forward has no module path; a single torch module read as a whole has none either.
    names = case.layers.replace("self.", "")
    assert " ".join(f"{layer.name}:{layer.kind}" for layer in network.layers[1:]) == names
    assert sum(network.multiply_accumulates(layer) for layer in network.layers) == case.macs
    assert network.layers[0].shape == case.shape


def test_activations_are_fused_with_their_parameters() -> None:
    network = read_torch(settled(nn.Sequential(nn.Conv2d(4, 3, 1), nn.PReLU(3))), samples_of(IMAGE), name="n")
    activation = network.by_name["0"].activation
    assert isinstance(activation, PRelu)
    assert len(activation.slopes) == 3
    six = read_torch(nn.Sequential(nn.Linear(4, 3), nn.ReLU6()), samples_of((4,)), name="n")
    assert six.by_name["0"].activation == Relu(ceiling=6.0)


class Block(nn.Module):
    """A residual block, for names in a hierarchy."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(values)) + values)


@pytest.fixture(scope="module")
def tree() -> tuple[nn.Module, Network]:
    module = settled(
        nn.Sequential(nn.Conv2d(4, 4, 1), Block(), nn.MaxPool2d(2), Block(), nn.Flatten(), nn.Linear(24, 3))
    )
    return module, read_torch(module, samples_of(IMAGE), name="tree")


def test_names_edges_and_readers(tree: tuple[nn.Module, Network]) -> None:
    network = tree[1]
    names = ["input", "0", "1.conv", "1.add", "2", "3.conv", "3.add", "4", "5"]
    assert [layer.name for layer in network.layers] == names
    assert [layer.source for layer in network.layers[1:]] == ["0", "1.conv", "1", "2", "3.conv", "3", "4", "5"]
    assert network.edges == ("input", "0", "1.conv", "1.add", "3.conv", "3.add", "5")
    assert (network.edge_of("2"), network.edge_of("4"), network.edge_of("5")) == ("1.add", "3.add", "5")
    assert [layer.name for layer in network.engines] == ["0", "1.conv", "3.conv", "5"]
    assert network.consumers["0"] == ("1.conv", "1.add")
    assert network.consumers["2"] == ("3.conv", "3.add")
    assert network.consumers["5"] == ()
    assert network.input_edges(network.by_name["3.add"]) == ("3.conv", "1.add")
    assert [layer.name for layer in network.descendants("1.add")] == ["2", "3.conv", "3.add", "4", "5"]
    assert [layer.name for layer in network.descendants("3.conv")] == ["3.add", "4", "5"]
    assert list(network.descendants("5")) == []
    assert network.output == "5"


def test_work_and_shapes_of_layers(tree: tuple[nn.Module, Network]) -> None:
    network = tree[1]
    conv, linear = network.by_name["1.conv"], network.by_name["5"]
    assert (conv.outputs, conv.positions, conv.elements, conv.weight_count) == (4, 30, 120, 144)
    assert (network.depth(conv), network.multiply_accumulates(conv)) == (36, 4320)
    assert (linear.outputs, linear.positions, network.depth(linear)) == (3, 1, 24)


def test_reading_leaves_the_module_as_it_was() -> None:
    """Training modes of every part, parameters and running statistics."""
    module = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    module.train()
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    read_torch(module, samples_of(IMAGE), name="n")
    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_layers_that_nothing_reads_are_left_out() -> None:
    def forward(module: Any, values: torch.Tensor) -> torch.Tensor:
        module.unused(values)
        return module.used(values)

    network = read_torch(Forward(forward, used=nn.Linear(4, 2), unused=nn.Linear(4, 3)), samples_of((4,)), name="n")
    assert [layer.name for layer in network.layers] == ["input", "used"]
