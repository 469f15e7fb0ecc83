"""Whole torch networks of the kinds people have: read, equal to torch in float, and exact in hardware mode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from torch import nn

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.float_execution import run_float
from emulation.function_operations import Softmax
from emulation.network import Convolution, Linear, Multiply, Network, NetworkError, Repeat, Slice
from emulation.read_torch import read_torch, read_with_front
from emulation.reference import execute_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulation.torch_front import Front

pytestmark = pytest.mark.filterwarnings("ignore")


class Conv2dSamePadding(nn.Conv2d):
    """A convolution that pads in a child module, more below and to the right than above."""

    def __init__(self, *arguments: Any, size: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        total = max((math.ceil(size / self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
        half = total // 2
        sides = (half, total - half) * 2
        self.static_padding = nn.ZeroPad2d(sides) if total else nn.Identity()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        padded = self.static_padding(values)
        return nnf.conv2d(padded, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Lite(nn.Module):
    """The blocks of EfficientNet-Lite."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv2dSamePadding(3, 6, 3, stride=2, bias=False, size=8)
        self.depthwise = Conv2dSamePadding(6, 6, 5, stride=2, groups=6, bias=False, size=4)
        self.point = Conv2dSamePadding(6, 6, 1, bias=False, size=2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3))
        self.head = nn.Linear(6, 4)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = nnf.relu6(self.norms[0](self.stem(values)))
        values = nnf.relu6(self.norms[1](self.depthwise(values)))
        values = values + self.norms[2](self.point(values))
        return self.head(nnf.adaptive_avg_pool2d(values, 1).flatten(1))


class Gated(nn.Module):
    """The blocks of MobileNetV3: hard-swish, squeeze and excitation, hard-sigmoid, pooling to 2x2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.squeeze, self.excite = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)
        self.head, self.last = nn.Linear(6, 4), nn.Hardsigmoid()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = nnf.hardswish(self.norm(self.conv(values)))
        gate = torch.sigmoid(self.excite(nnf.silu(self.squeeze(values.mean((2, 3), keepdim=True)))))
        return self.last(self.head(nnf.adaptive_avg_pool2d(gate * values, 2).mean([-1, -2])))


class Faces(nn.Module):
    """R-Net in small: slopes per channel, pools that round up, a permutation before the flattening."""

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.features = nn.Sequential(
            nn.Conv2d(3, 5, 3), nn.PReLU(5), pool, nn.Conv2d(5, 6, 2), nn.PReLU(6), nn.MaxPool2d(2, 2, ceil_mode=True)
        )
        self.hidden, self.slopes, self.head = nn.Linear(24, 7), nn.PReLU(7), nn.Linear(7, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = self.features(values).permute(0, 3, 2, 1).contiguous()
        return self.head(self.slopes(self.hidden(values.view(values.shape[0], -1))))


class Pyramid(nn.Module):
    """Two resolutions joined, leaky slopes, channels split and shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.up = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Upsample(scale_factor=2)
        self.join, self.side = nn.Conv2d(8, 6, 1), nn.Conv2d(3, 3, 3, 1, 1, groups=3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        fine = nnf.leaky_relu(self.down(values), 0.1)
        joined = torch.cat([fine, self.up(self.deep(nnf.max_pool2d(fine, 2)))], 1)
        left, right = torch.relu(self.join(joined)).chunk(2, 1)
        both = torch.cat([left, self.side(right)], 1)
        batch, channels, *space = both.shape
        mixed = both.view(batch, 2, channels // 2, *space).transpose(1, 2).reshape(batch, channels, *space)
        return nnf.pad(mixed, (0, 1, 1, 0))[:, 1:5, ::2]


class CausalAttention(nn.Module):
    """Attention of bytes to those before, written out."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.attend, self.project, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.register_buffer("shown", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        batch, length, width = values.shape
        parts = self.attend(values).split(width, dim=2)
        queries, keys, contents = (
            one.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for one in parts
        )
        scores = (queries @ keys.transpose(-2, -1)) * (1.0 / math.sqrt(keys.size(-1)))
        weights = nnf.softmax(scores.masked_fill(self.shown == 0, -math.inf), dim=-1)
        return self.project((weights @ contents).transpose(1, 2).contiguous().view(batch, length, width))


class ByteModel(nn.Module):
    """A language model over bytes whose head shares its weights with the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(12, 8), nn.Embedding(5, 8)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.attention = CausalAttention(8, 2, 5)
        self.wide, self.narrow, self.head = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 12, bias=False)
        self.head.weight = self.bytes.weight

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        codes = codes.long()
        values = self.bytes(codes) + self.places(torch.arange(codes.shape[1]))
        values = values + self.attention(self.norms[0](values))
        values = values + self.narrow(nnf.gelu(self.wide(self.norms[1](values))))
        return self.head(self.norms[2](values))


class Sentences(nn.Module):
    """A post-norm encoder with separate projections and a mean over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(20, 6), nn.Embedding(4, 6), nn.Embedding(2, 6)
        self.norms = nn.ModuleList(nn.LayerNorm(6, eps=1e-12) for _ in range(2))
        self.query, self.key, self.value, self.out = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        codes = codes.long()
        batch, length = codes.shape
        values = self.words(codes) + self.places(torch.arange(length)) + self.kinds(torch.zeros_like(codes))
        values = self.norms[0](values)
        parts = (part(values).view(batch, length, 2, 3).transpose(1, 2) for part in (self.query, self.key, self.value))
        found = nnf.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(batch, length, 6)
        return self.norms[1](values + self.out(found)).mean(1)


class Speech(nn.Module):
    """Frames merged into the batch, a Fourier transform as a convolution, an LSTM cell called step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = nn.Conv1d(1, 6, 8, 4, bias=False)
        self.encode, self.cell, self.final = nn.Conv1d(3, 4, 3, 2, 1), nn.LSTMCell(8, 5), nn.Conv1d(5, 1, 1)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        frames = nnf.pad(wave, (4, -wave.shape[1] % 8)).unfold(1, 12, 8)
        batch, count, _ = frames.shape
        spectrum = self.transform(nnf.pad(frames.reshape(batch * count, 1, 12), (0, 4), mode="reflect"))
        spectrum = (spectrum[:, :3] ** 2 + spectrum[:, 3:] ** 2).sqrt()
        steps = nnf.relu(self.encode(spectrum)).reshape(batch, count, 8)
        hidden = cell = steps.new_zeros(batch, 5)
        found = []
        for step in range(count):
            hidden, cell = self.cell(steps[:, step], (hidden, cell))
            found.append(hidden)
        states = nnf.relu(torch.stack(found, 1)).reshape(batch * count, 5, 1)
        return self.final(states).view(batch, count)


class Normalised(nn.Module):
    """Pixels are scaled before the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.conv((values / 255 - self.mean) / 0.2).flatten(1)


def encoder_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation="gelu", norm_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def numbers(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(20, *shape)).astype(np.float32)


def codes(below: int, length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).integers(0, below, size=(20, length)).astype(np.float32)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], np.ndarray[Any, Any], str, tuple[str, ...]]] = {
    "lite": (Lite, numbers(3, 8, 8), "", ()),
    "gated": (Gated, numbers(3, 4, 4), "", ()),
    "faces": (Faces, numbers(3, 12, 12), "", ()),
    "pyramid": (Pyramid, numbers(3, 8, 8), "", ()),
    "encoder layer": (encoder_layer, numbers(4, 8), "", ()),
    "encoder": (encoder, numbers(4, 8), "", ()),
    "bytes": (ByteModel, codes(12, 5), "", ("to", "embedding", "add")),
    "sentences": (Sentences, codes(20, 4), "", ("to", "embedding", "add", "add")),
    "pixels": (Normalised, numbers(3, 4, 4) * 100, "", ("div", "sub", "div")),
    "speech": (
        Speech,
        numbers(30) * 4,
        "sqrt",
        ("pad", "unfold", "reshape", "pad", "conv1d", "slice", "pow", "slice", "pow", "add", "sqrt"),
    ),
}


def read(name: str) -> tuple[Network, Front | None, nn.Module, np.ndarray[Any, Any]]:
    build, samples, end, _ = NETWORKS[name]
    torch.manual_seed(3)
    module = build().eval()
    for key, buffer in module.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        if key.endswith("running_mean"):
            buffer.uniform_(-1, 1)
    network, front = read_with_front(module, samples, name="n", front=end)
    return network, front, module, samples


@pytest.mark.parametrize("name", NETWORKS)
def test_float_execution_is_torch(name: str) -> None:
    network, front, module, samples = read(name)
    assert network.front == NETWORKS[name][3]
    assert (front is None) == (not network.front)
    with torch.no_grad():
        expected = module(torch.from_numpy(samples)).numpy()
    found = run_float(network, samples if front is None else front.apply(samples))[network.output].numpy()
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_hardware_mode_is_its_reference(name: str) -> None:
    network, front, _, samples = read(name)
    inputs = samples if front is None else front.apply(samples)
    ranges = edge_ranges(network, {key: one.numpy() for key, one in run_float(network, inputs).items()})
    calibrated = CalibratedNetwork(network=network, ranges=ranges, scalings=Scalings())
    last = network.edge_of(network.output)
    eight, sixteen = parse("int8"), parse("int16")
    formats = Formats(
        edges={edge: sixteen if edge == last else calibrated.edge_format(edge, eight) for edge in network.edges},
        weights={layer.name: parse("int6") for layer in network.layers if layer.weight is not None},
    )
    hardware = calibrated.lower(formats)
    fast = execute(hardware, inputs)
    for sample, found in zip(inputs, fast, strict=True):
        assert execute_reference(hardware, sample.reshape(-1).tolist()) == found.reshape(-1).tolist()
    exact = run_float(network, inputs)[network.output].numpy()
    error = np.abs(fast * hardware.output_unit - exact).mean() / np.abs(exact).mean()
    assert error < 0.35


def test_padding_is_fused_and_sided() -> None:
    network = read("lite")[0]
    windows = [layer.operation.window.padding for layer in network.layers if isinstance(layer.operation, Convolution)]
    assert windows == [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((0, 0), (0, 0))]


def test_kinds_of_layers() -> None:
    operations = {name: [layer.operation for layer in read(name)[0].layers] for name in ("gated", "pyramid", "bytes")}
    assert Multiply() in operations["gated"]
    assert Repeat(times=(1, 2, 2)) in operations["pyramid"]
    assert [one for one in operations["pyramid"] if isinstance(one, Slice)] == [
        Slice(axis=0, start=1, stop=5),
        Slice(axis=1, start=0, stop=5, step=2),
    ]
    assert Softmax(mask=(0b1, 0b11, 0b111, 0b1111, 0b11111)) in operations["bytes"]


def test_a_split_linear_layer_is_several() -> None:
    network, _, module, _ = read("bytes")
    parts = [layer for layer in network.layers if layer.name.startswith("attention.attend")]
    assert [layer.name for layer in parts] == [f"attention.attend.{start}_{start + 8}" for start in (0, 8, 16)]
    assert all(isinstance(layer.operation, Linear) for layer in parts)
    weights = [layer.weight for layer in parts if layer.weight is not None]
    assert np.array_equal(np.concatenate(weights), module.attention.attend.weight.detach().numpy())  # type: ignore[union-attr]


def test_a_layer_called_twice_keeps_one_set_of_weights() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, 1, 1)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.conv(torch.relu(self.conv(values))) + values

    network = read_torch(Twice().eval(), numbers(4, 4, 4), name="n")
    first, second = network.engines
    assert (first.source, second.source) == ("conv", "conv")
    assert first.weight is second.weight


def test_what_is_told_of_a_front_with_weights() -> None:
    module = Speech().eval()
    with pytest.raises(NetworkError, match=r"operation sqrt .*It cannot be pre-processing: it comes after") as error:
        read_torch(module, numbers(30), name="n")
    assert "name it as the end of the front: front = 'sqrt'" in str(error.value)
    with pytest.raises(NetworkError, match="front = 'square' is neither a module nor an operation of the network"):
        read_with_front(module, numbers(30), name="n", front="square")
    with pytest.raises(NetworkError, match="needs its samples pre-processed by div, sub, div: read it by"):
        read_torch(Normalised().eval(), numbers(3, 4, 4), name="n")


def test_networks_that_mix_samples_are_refused() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(3, 3)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            found = self.part(values)
            return found.reshape(1, -1).softmax(-1).reshape(found.shape)

    with pytest.raises(NetworkError, match=r"network 'n' was read wrongly: its results differ .* mixes samples"):
        read_torch(Mixing().eval(), numbers(3), name="n")


def test_masks_that_are_none() -> None:
    class Biased(nn.Module):
        def __init__(self, mask: torch.Tensor) -> None:
            super().__init__()
            self.register_buffer("mask", mask)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return nnf.scaled_dot_product_attention(values, values, values, attn_mask=self.mask)

    def refused(mask: torch.Tensor, message: str) -> None:
        with pytest.raises(NetworkError, match=message):
            read_torch(Biased(mask), numbers(2, 3, 4), name="n")

    refused(torch.tensor([[0.0, 1.0, -math.inf]] * 3), "adds numbers to the scores of a softmax: only a mask")
    refused(torch.stack([torch.eye(3) > 0, torch.ones(3, 3) > 0])[None], "differs between heads: use one for all")
    refused(torch.tensor([[True, True, True], [False] * 3, [True] * 3]), "hides all of row 1: show one at least")


def test_what_export_refuses_is_traced_by_fx() -> None:
    class Shy(nn.Module):
        """A module whose forward cannot run inside torch.export."""

        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(4, 3)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            if torch.compiler.is_exporting():
                raise NotImplementedError("not under export")
            return torch.relu(self.part(values))

    network = read_torch(Shy().eval(), numbers(4), name="n")
    assert [(layer.name, layer.kind) for layer in network.layers] == [("input", "input"), ("part", "linear")]
