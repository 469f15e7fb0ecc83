"""The shipped networks: their size, their weights, their recorded accuracy, and that torch can export them."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from emulation.workloads import LoadedWorkload, load_workload
from emulation.workloads.evaluation import count_correct, float_logits

READABLE = {
    "adaptive_avg_pool2d.default",
    "add.Tensor",
    "avg_pool2d.default",
    "batch_norm.default",
    "cat.default",
    "conv2d.default",
    "flatten.using_ints",
    "hardtanh.default",  # ReLU6
    "linear.default",
    "max_pool2d.default",
    "prelu.default",
    "relu.default",
}
DIGITS = ("digits", "digits-deep", "digits-mlp")
EVERY = pytest.mark.parametrize("name", DIGITS)


@cache
def loaded(name: str) -> LoadedWorkload:
    return load_workload(name)


def compute_layers(name: str) -> list[nn.Conv2d | nn.Linear]:
    return [module for module in loaded(name).network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def weight_count(name: str) -> int:
    return sum(layer.weight.numel() for layer in compute_layers(name))


def multiply_accumulates(name: str) -> int:
    """Counts by running one image: every weight meets every output place once."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        places = output[0, 0].numel() if output.ndim == 4 else 1
        total += layer.weight.numel() * places

    hooks = [layer.register_forward_hook(count) for layer in compute_layers(name)]
    loaded(name).network(*loaded(name).example_inputs())
    for hook in hooks:
        hook.remove()
    return total


def operations(name: str) -> Counter[str]:
    exported = torch.export.export(loaded(name).network, loaded(name).example_inputs())
    return Counter(
        str(node.target).removeprefix("aten.") for node in exported.graph.nodes if node.op == "call_function"
    )


@EVERY
def test_export_sees_only_operations_the_reader_knows(name: str) -> None:
    assert set(operations(name)) <= READABLE


@EVERY
def test_the_exported_program_computes_the_same(name: str) -> None:
    inputs = torch.tensor(loaded(name).splits.validation.inputs[:1])
    exported = torch.export.export(loaded(name).network, loaded(name).example_inputs())
    torch.testing.assert_close(exported.module()(inputs), loaded(name).network(inputs))


@EVERY
def test_float_accuracy_is_the_recorded_one(name: str) -> None:
    workload, splits = loaded(name).workload, loaded(name).splits
    assert workload.score is not None
    assert name in workload.score.command
    for samples, recorded in (
        (splits.calibration, workload.score.calibration),
        (splits.validation, workload.score.validation),
        (splits.test, workload.score.test),
    ):
        correct = count_correct(float_logits(loaded(name).network, samples.inputs), samples)
        assert abs(correct - recorded * len(samples)) <= 1.001


@EVERY
def test_networks_load_in_evaluation_mode_and_answer_with_ten_logits(name: str) -> None:
    network = loaded(name).network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    logits = float_logits(network, loaded(name).splits.test.inputs[:3])
    assert logits.shape == (3, loaded(name).workload.classes)
    assert logits.dtype == np.float32


@EVERY
def test_weights_are_finite_and_no_channel_is_dead(name: str) -> None:
    for layer in compute_layers(name):
        weight = layer.weight.detach()
        assert torch.isfinite(weight).all()
        assert (weight.flatten(1).abs().amax(dim=1) > 0).all()


@EVERY
def test_every_module_with_weights_takes_part(name: str) -> None:
    network = loaded(name).workload.build()
    network(torch.tensor(loaded(name).splits.calibration.inputs[:64])).square().sum().backward()
    idle = [key for key, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not idle


def test_weight_files_are_below_one_megabyte_together() -> None:
    folder = Path(__file__).parents[2] / "emulation" / "workloads"
    files = list(folder.glob("*.safetensors"))
    assert {file.stem for file in files} == {*DIGITS, "segment", "vowels"}
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_digits_is_a_small_residual_network() -> None:
    assert len(compute_layers("digits")) == 7
    assert weight_count("digits") == 27_408
    assert multiply_accumulates("digits") == 534_144
    found = operations("digits")
    assert found["add.Tensor"] == 1
    assert found["max_pool2d.default"] == found["avg_pool2d.default"] == 1


def test_digits_deep_has_every_kind_of_block() -> None:
    layers = compute_layers("digits-deep")
    assert len(layers) == 22
    assert weight_count("digits-deep") == 38_432
    assert multiply_accumulates("digits-deep") == 891_584
    depthwise = [layer for layer in layers if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1]
    assert len(depthwise) == 5
    assert any(layer.stride == (2, 2) for layer in depthwise)
    found = operations("digits-deep")
    assert found["add.Tensor"] == 5
    assert found["cat.default"] == found["prelu.default"] == found["adaptive_avg_pool2d.default"] == 1
    assert found["hardtanh.default"] == 9


def test_digits_mlp_is_three_linear_layers() -> None:
    assert [tuple(layer.weight.shape) for layer in compute_layers("digits-mlp")] == [(64, 64), (32, 64), (10, 32)]
    assert multiply_accumulates("digits-mlp") == weight_count("digits-mlp") == 6_464
