"""Torch modules by name and weights by file: what is accepted, and what every mistake is told."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from emulation.network import NetworkError
from emulation.torch_files import build_module, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HERE = "tests.emulation.test_torch_files"


class Small(nn.Module):
    """A convolution, a norm and a head that shares its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight


class Maker:
    """Somewhere to look an attribute up."""

    network = Small()


def fails() -> nn.Module:
    raise RuntimeError("no such file: labels.txt")


def number() -> int:
    return 3


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_modules_by_name() -> None:
    assert isinstance(build_module(f"{HERE}:Small"), Small)
    assert build_module(f"{HERE}:Maker.network") is Maker.network


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("Small", "'Small' names no network: it must be package.module:factory"),
        (
            "no_such_package.models:net",
            "module 'no_such_package.models' of 'no_such_package.models:net' cannot be",
        ),
        (f"{HERE}:Smal", f"'{HERE}' has no 'Smal', which '{HERE}:Smal' names; did you mean 'Small'?"),
        (f"{HERE}:HERE", f"'{HERE}:HERE' is a str: a function or class that makes a torch.nn.Module is needed"),
        (f"{HERE}:number", f"{HERE}:number returned a int: a torch.nn.Module is needed"),
        (f"{HERE}:fails", "failed: RuntimeError: no such file: labels.txt. It is called without arguments"),
    ],
)
def test_modules_that_are_none(reference: str, message: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(message)):
        build_module(reference)


@pytest.mark.parametrize(
    "write",
    [
        lambda one, path: save_file(one, path.with_suffix(".safetensors")),
        lambda one, path: torch.save(one, path.with_suffix(".pt")),
        lambda one, path: torch.save({"state_dict": one, "epoch": 3}, path.with_suffix(".ckpt")),
        lambda one, path: torch.save(
            {f"module.{name}": tensor for name, tensor in one.items()}, path.with_suffix(".pth")
        ),
        lambda one, path: save_file(
            {name: one[name] for name in one if name not in {"second.weight", "norm.num_batches_tracked"}},
            path.with_suffix(".safetensors"),
        ),
    ],
    ids=["safetensors", "torch", "nested", "wrapped", "shared weights once"],
)
def test_weights(write: Callable[[dict[str, torch.Tensor], Path], None], tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained, module = Small(), Small()
    write(state(trained), tmp_path / "weights")
    load_weights(module, next(tmp_path.iterdir()))
    assert all(torch.equal(one, state(module)[name]) for name, one in state(trained).items())


def broken(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    found = state(Small())
    change(found)
    save_file(found, path / "weights.safetensors")
    return path / "weights.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.pop("conv.bias"), "is not of this network: it lacks 'conv.bias'"),
        (
            lambda one: one.update({"conv1.bias": one.pop("conv.bias")}),
            "it lacks 'conv.bias'; it has 'conv1.bias' (nearest: 'conv.bias'), which the network has not",
        ),
        (
            lambda one: one.update({"conv.bias": torch.ones(4)}),
            "has 'conv.bias' of shape (4,), the network of (3,): build the network with the sizes it was trained with",
        ),
        (
            lambda one: one["conv.weight"][0].fill_(torch.nan),
            "6 of 18 values of 'conv.weight' are not finite; check the training run",
        ),
    ],
    ids=["missing", "renamed", "shape", "nan"],
)
def test_weights_of_another_network(
    change: Callable[[dict[str, torch.Tensor]], object], message: str, tmp_path: Path
) -> None:
    module = Small()
    before = state(module)
    with pytest.raises(NetworkError, match=re.escape(message)):
        load_weights(module, broken(tmp_path, change))
    assert all(torch.equal(one, state(module)[name]) for name, one in before.items())


def test_files_that_are_refused(tmp_path: Path) -> None:
    def refused(name: str, content: bytes, message: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(NetworkError, match=re.escape(message)):
            load_weights(Small(), path)

    mark = tmp_path / "executed"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (mark.write_text, ("x",))

    refused("pickle.pt", pickle.dumps(Payload()), "the file is damaged or holds more than tensors, and")
    torch.save({"conv.bias": Payload()}, tmp_path / "inside.pt")
    refused("inside.pt", (tmp_path / "inside.pt").read_bytes(), "could execute code. Save the network's state_dict()")
    torch.save(Small(), tmp_path / "module.pt")
    refused("module.pt", (tmp_path / "module.pt").read_bytes(), "holds more than tensors")
    torch.save([1, 2], tmp_path / "list.pt")
    refused("list.pt", (tmp_path / "list.pt").read_bytes(), "hold list, not the tensors of a state_dict(): save that")
    refused("empty.pt", b"", "are refused")
    refused("cut.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{", "cannot be read")
    refused("huge.safetensors", b"\xff" * 16, "cannot be read")
    refused("weights.h5", b"x", "are of no known kind: .safetensors is read, and .pt, .pth, .bin")
    assert not mark.exists()
    with pytest.raises(NetworkError, match=r"weights .*absent\.pt do not exist"):
        load_weights(Small(), tmp_path / "absent.pt")
