"""Reading softmax, layer norm, attention, LSTMs, constant factors and selections; and what of them cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from torch import nn

from emulation.float_execution import run_float
from emulation.function_operations import Gelu, GeluForm, LayerNorm, Lstm
from emulation.network import Convolution, Linear, MatMul, NetworkError, Select
from emulation.read_torch import read_torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulation.network import Network

pytestmark = pytest.mark.filterwarnings("ignore")


class Forward(nn.Module):
    """A forward method with some submodules."""

    def __init__(self, function: Callable[[Any, torch.Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, values: torch.Tensor) -> Any:
        return self.function(self, values)


def read(module: nn.Module, *shape: int) -> Network:
    """The network of a module, whose float run is torch's on some samples."""
    samples = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    network = read_torch(module.eval(), samples, name="n")
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    assert np.allclose(run_float(network, samples)[network.output].numpy(), expected, rtol=1e-5, atol=1e-6)
    return network


def kinds(network: Network) -> list[str]:
    return [layer.kind for layer in network.layers]


def test_layer_norm_without_gains() -> None:
    operation = read(nn.LayerNorm(6, elementwise_affine=False, eps=0.25), 3, 6).layers[1].operation
    assert operation == LayerNorm(epsilon=0.25, gain=(1.0,) * 6, offset=(0.0,) * 6)


def test_both_forms_of_gelu() -> None:
    layers = read(nn.Sequential(nn.GELU(), nn.GELU(approximate="tanh")), 6).layers
    assert [layer.activation for layer in layers[1:]] == [Gelu(), Gelu(form=GeluForm.TANH)]


def test_attention_with_its_own_scale() -> None:
    network = read(Forward(lambda _, x: nnf.scaled_dot_product_attention(x, x, x, scale=0.3)), 2, 4, 8)
    assert kinds(network) == ["input", "transpose", "matmul", "softmax", "matmul"]
    assert network.layers[2].operation == MatMul(factor=0.3)


@pytest.mark.parametrize("scale", [lambda x: x * 0.25, lambda x: 0.25 * x, lambda x: x / 4, lambda x: x / 8 * 2])
def test_factors_are_folded_into_weights(scale: Callable[[torch.Tensor], torch.Tensor]) -> None:
    part = nn.Linear(6, 4)
    network = read(Forward(lambda s, x: scale(s.fc(x)), fc=part), 6)
    assert kinds(network) == ["input", "linear"]
    assert network.layers[1].weight is not None
    assert np.array_equal(network.layers[1].weight, part.weight.detach().numpy() / 4)


def test_factors_reach_weights_through_moves() -> None:
    network = read(Forward(lambda s, x: s.fc(x).reshape(-1, 3, 2, 4).transpose(1, 2) * 0.5, fc=nn.Linear(6, 8)), 3, 6)
    assert kinds(network) == ["input", "linear", "reshape", "transpose"]
    assert isinstance(network.layers[1].operation, Linear)
    network = read(Forward(lambda s, x: s.conv(x) * 3.0, conv=nn.Conv2d(1, 2, 3)), 1, 5, 5)
    assert isinstance(network.layers[1].operation, Convolution)


def test_a_buffer_of_one_number_is_a_factor() -> None:
    module = Forward(lambda s, x: (x @ x.transpose(1, 2)) * s.gain)
    module.register_buffer("gain", torch.tensor(0.125))
    assert read(module, 4, 3).layers[-1].operation == MatMul(factor=0.125)


def test_selection_along_any_axis() -> None:
    network = read(Forward(lambda _, x: x[:, :, -1]), 3, 4, 5)
    assert network.layers[1].operation == Select(axis=1, index=3)
    assert network.layers[1].shape == (3, 5)
    assert network.edges == ("input",)


def test_lstm_layers_and_their_weights() -> None:
    lstm = nn.LSTM(5, 6, num_layers=2, batch_first=True)
    network = read(Forward(lambda s, x: s.lstm(x)[0], lstm=lstm), 7, 5)
    assert kinds(network) == ["input", "lstm", "lstm"]
    first, second = network.layers[1:]
    assert first.operation == second.operation == Lstm(hidden=6)
    assert first.weight is not None
    assert first.weight.shape == (24, 11)
    assert second.weight is not None
    assert second.weight.shape == (24, 12)
    assert first.bias is not None
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
    assert np.allclose(first.bias, bias, atol=1e-7)


def twice_and_once(values: torch.Tensor) -> torch.Tensor:
    return values * 2.0 + values


def loop(module: Any, values: torch.Tensor, steps: list[int]) -> list[torch.Tensor]:
    hidden = state = values.new_zeros(values.shape[0], 6)
    outputs = []
    for step in steps:
        hidden, state = module.cell(values[:, step], (hidden, state))
        outputs.append(hidden)
    return outputs


def test_a_loop_over_cells_is_one_lstm() -> None:
    network = read(Forward(lambda s, x: torch.stack(loop(s, x, [0, 1, 2]), 1), cell=nn.LSTMCell(5, 6)), 3, 5)
    assert kinds(network) == ["input", "lstm"]
    network = read(Forward(lambda s, x: loop(s, x, [0, 1, 2])[-1], cell=nn.LSTMCell(5, 6, bias=False)), 3, 5)
    assert kinds(network) == ["input", "lstm", "select"]
    assert network.layers[1].bias is None


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "softmax over another axis": (
        lambda: nn.Softmax(dim=1),
        (3, 4),
        "softmax over axis 1 in the network's own forward: only the last axis (2) can be read; transpose",
    ),
    "layer norm over two axes": (
        lambda: nn.LayerNorm((3, 4)),
        (3, 4),
        "layer norm over shape [3, 4] in the network's own forward: only that over the last axis ([4]) can be read",
    ),
    "attention of unlike shapes": (
        lambda: Forward(
            lambda s, x: nnf.scaled_dot_product_attention(x, s.conv(x), s.conv(x)), conv=nn.Conv2d(2, 1, 1)
        ),
        (2, 4, 8),
        "attention in the network's own forward joins shapes (2, 4, 8), (1, 4, 8) and (1, 4, 8): all need the same",
    ),
    "division by an activation": (
        lambda: Forward(lambda _, x: 1.0 / x),
        (4,),
        "operation reciprocal in the network's own forward cannot be read",
    ),
    "negative factor": (
        lambda: Forward(lambda s, x: s.fc(x) @ s.fc(x) * -1.0, fc=nn.Linear(4, 4)),
        (4, 4),
        "the factor -1 in the network's own forward must be above 0 and finite: put its sign into weights",
    ),
    "factor of an activation": (
        lambda: Forward(lambda s, x: s.fc(torch.relu(s.fc(x)) * 2.0), fc=nn.Linear(4, 4)),
        (4,),
        "mul by 2 in the network's own forward follows 'fc' (linear): a constant factor can only be read after",
    ),
    "factor of a shared layer": (
        lambda: Forward(lambda s, x: twice_and_once(s.fc(x)), fc=nn.Linear(4, 4)),
        (4,),
        "mul by 2 in the network's own forward follows 'fc' (linear): a constant factor can only be read after",
    ),
    "sample of a batch": (
        lambda: Forward(lambda _, x: x.select(0, 0)),
        (4, 4),
        "select in the network's own forward takes one sample of the batch: keep axis 0 as it is",
    ),
    "batch on axis 1": (
        lambda: Forward(lambda s, x: s.lstm(x)[0], lstm=nn.LSTM(5, 6)),
        (3, 5),
        "the LSTM in module 'lstm' has its batch on axis 1 of its input, where the samples have another axis: build",
    ),
    "both directions": (
        lambda: Forward(lambda s, x: s.lstm(x)[0], lstm=nn.LSTM(5, 6, batch_first=True, bidirectional=True)),
        (3, 5),
        "the LSTM in module 'lstm' is bidirectional: only one direction can be read",
    ),
    "projections": (
        lambda: Forward(lambda s, x: s.lstm(x)[0], lstm=nn.LSTM(5, 6, batch_first=True, proj_size=3)),
        (3, 5),
        "the LSTM in module 'lstm' has projections: only plain LSTMs can be read",
    ),
    "states that are not zero": (
        lambda: Forward(lambda s, x: s.cell(x, (x, x))[0], cell=nn.LSTMCell(5, 5)),
        (5,),
        "the LSTM in module 'cell' starts from states other than zero: only zero can be read",
    ),
    "cell state": (
        lambda: Forward(lambda s, x: s.lstm(x)[1][1][-1], lstm=nn.LSTM(5, 6, batch_first=True)),
        (3, 5),
        "part 2 of lstm in module 'lstm' cannot be read: of several results of one operation only the sequence",
    ),
    "some steps only": (
        lambda: Forward(lambda s, x: loop(s, x, [0, 1])[-1], cell=nn.LSTMCell(5, 6)),
        (3, 5),
        "the LSTM cell in module 'cell' is called 2 times, but not once for each step of one sequence in order",
    ),
    "steps backwards": (
        lambda: Forward(lambda s, x: loop(s, x, [2, 1, 0])[-1], cell=nn.LSTMCell(5, 6)),
        (3, 5),
        "the LSTM cell in module 'cell' is called 3 times, but not once for each step of one sequence in order",
    ),
    "stack of other tensors": (
        lambda: Forward(lambda s, x: torch.stack([s.fc(x), x], 1), fc=nn.Linear(4, 4)),
        (4,),
        "joins ['fc', 'input']: only all steps of one sequence in order can be read; use cat",
    ),
    "stack of steps out of order": (
        lambda: Forward(lambda _, x: torch.stack([x[:, 1], x[:, 0]], 1)),
        (2, 4),
        "only all steps of one sequence in order can be read; use cat",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_read(name: str) -> None:
    build, shape, message = CASES[name]
    with pytest.raises(NetworkError) as error:
        read(build(), *shape)
    assert message in str(error.value)
