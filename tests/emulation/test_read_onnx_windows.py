"""Random windows, whole models of torch's exporters, and damaged files."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from emulation.network import NetworkError
from emulation.read_onnx import read_onnx
from tests.emulation.onnx_models import largest_difference, model_of, op, read, written
from tests.emulation.test_read_onnx import CASES, TOLERANCE
from tests.missing_tools import foreign

foreign("onnx", "pip install onnx==1.21.0")
foreign("onnxruntime", "pip install onnxruntime==1.25.1")

EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@st.composite
def windows(draw, *, dilated):
    """Attributes of a window over 1 or 2 axes, and a space that it fits into."""
    axes = draw(st.integers(1, 2))
    each = [st.integers(1, 3)] * axes
    kernel, strides = draw(st.tuples(*each)), draw(st.tuples(*each))
    automatic = draw(st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    # onnxruntime has no dilations with the two that keep the size
    dilations = draw(st.tuples(*[st.integers(1, 2 if dilated and "SAME" not in automatic else 1)] * axes))
    found = {"strides": list(strides)} | ({"dilations": list(dilations)} if dilated else {})
    if automatic == "NOTSET":
        # onnxruntime wants pads of a pool to be below the kernel
        sides = [draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]
        found["pads"] = sides
    else:
        found["auto_pad"] = automatic
    space = [size * step + draw(st.integers(0, 4)) for size, step in zip(kernel, dilations, strict=True)]
    return list(kernel), found, space


@EXAMPLES
@given(window=windows(dilated=True), groups=st.sampled_from([1, 2, 4]), has_bias=st.booleans())
def test_convolutions(window, groups, has_bias, tmp_path):
    kernel, found, space = window
    generator = np.random.default_rng(len(kernel) + groups)
    constants = {"w": generator.normal(size=(8, 4 // groups, *kernel)).astype(np.float32)}
    if has_bias:
        constants["b"] = generator.normal(size=8).astype(np.float32)
    node = op("Conv", "x w b" if has_bias else "x w", "y", group=groups, kernel_shape=kernel, **found)
    model = model_of([node], (4, *space), constants)
    assert largest_difference(written(model, tmp_path), read(model, tmp_path).network) < TOLERANCE


@EXAMPLES
@given(window=windows(dilated=True), ceil=st.booleans())
def test_largest_values(window, ceil, tmp_path):
    kernel, found, space = window
    settings_ = found | ({"ceil_mode": 1} if ceil and "pads" in found else {})
    model = model_of([op("MaxPool", "x", "y", kernel_shape=kernel, **settings_)], (2, *space))
    if "ceil_mode" in settings_ and starts_in_padding(kernel, found, space):
        with pytest.raises(NetworkError, match="has a last window that lies in the padding alone"):
            read(model, tmp_path)
        return
    assert largest_difference(written(model, tmp_path), read(model, tmp_path).network) < TOLERANCE


@EXAMPLES
@given(window=windows(dilated=False), counted=st.booleans())
def test_means_are_those_of_onnxruntime_or_refused(window, counted, tmp_path):
    kernel, found, space = window
    node = op("AveragePool", "x", "y", kernel_shape=kernel, count_include_pad=int(counted), **found)
    model = model_of([node], (2, *space))
    if not counted and needs_padding(kernel, found, space):
        with pytest.raises(NetworkError, match="divides by a number that changes along the border"):
            read(model, tmp_path)
    else:
        assert largest_difference(written(model, tmp_path), read(model, tmp_path).network) < TOLERANCE


def starts_in_padding(kernel, found, space):
    """Whether ceil mode asks for a window behind all values of an axis."""
    axes = len(kernel)
    for axis in range(axes):
        before, after = found["pads"][axis], found["pads"][axes + axis]
        stride, taps = found["strides"][axis], (kernel[axis] - 1) * found["dilations"][axis] + 1
        steps = -(-(space[axis] + before + after - taps) // stride)
        if steps * stride >= space[axis] + before:
            return True
    return False


def needs_padding(kernel, found, space):
    """Whether a window reaches beyond the tensor."""
    if "pads" in found:
        return any(found["pads"])
    steps = zip(kernel, found["strides"], space, strict=True)
    reach = [(-(-size // stride) - 1) * stride + taps for taps, stride, size in steps]
    return "SAME" in found["auto_pad"] and any(end > size for end, size in zip(reach, space, strict=True))


class Attention(nn.Module):
    """Self-attention with heads, a residual and a layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.parts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        normal = self.norm(values)
        heads = [part(normal).view(-1, 6, 4, 4).transpose(1, 2) for part in self.parts[:3]]
        joined = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        return values + self.parts[3](joined.transpose(1, 2).reshape(-1, 6, 16))


class Recurrent(nn.Module):
    """The last state of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(values)[0][:, -1])


MODULES = {
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.Conv2d(8, 5, 1),
            nn.PReLU(5),
            nn.Upsample(scale_factor=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 4),
        ),
        (3, 12, 11),
    ),
    "functions": (
        lambda: nn.Sequential(
            nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 3), nn.Softmax(-1)
        ),
        (5, 6),
    ),
    "attention": (Attention, (6, 16)),
    "recurrent": (Recurrent, (9, 5)),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (6, 16)),
}


def exported(name, folder, *, dynamo):
    build, shape = MODULES[name]
    torch.manual_seed(3)
    path, example = folder / "model.onnx", torch.randn(1, *shape)
    options = {"verbose": False} if dynamo else {"opset_version": 17}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(build().eval(), (example,), str(path), dynamo=dynamo, **options)
    return path


@pytest.mark.parametrize("name", [name for name in MODULES if name != "encoder"])
def test_models_of_torch_s_older_exporter(name, tmp_path):
    path = exported(name, tmp_path, dynamo=False)
    assert largest_difference(path, read_onnx(path, name=name).network) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_models_of_torch_s_newer_exporter(name, tmp_path):
    path = exported(name, tmp_path, dynamo=True)
    assert largest_difference(path, read_onnx(path, name=name).network) < TOLERANCE


def test_damaged_files_are_read_or_refused_and_never_crash(tmp_path):
    generator = random.Random(5)
    path = tmp_path / "model.onnx"
    models = [model_of(case.nodes, case.shape, case.constants, opset=case.opset) for case in CASES]
    contents = [model.SerializeToString() for model in models]
    refused = 0
    for _ in range(400):
        content = bytearray(generator.choice(contents))
        for _ in range(generator.choice([1, 2, 4])):
            place = generator.randrange(len(content))
            content[place] = generator.choice([0, 1, 127, 255, content[place] ^ (1 << generator.randrange(8))])
        path.write_bytes(content)
        try:
            read_onnx(path, name="damaged")
        except NetworkError:
            refused += 1
    assert 100 < refused < 400
