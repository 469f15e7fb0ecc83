"""The built-in workloads keep the contract, and a workload that breaks it is told how."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from emulation.workloads import find_workload
from emulation.workloads.contract import check_workload
from emulation.workloads.networks import PerceptronNetwork


@pytest.mark.parametrize("name", ["digits", "digits-deep", "digits-mlp"])
def test_digit_workloads_keep_the_contract(name: str) -> None:
    check_workload(find_workload(name))


def test_logits_of_another_length_are_refused() -> None:
    workload = dataclasses.replace(find_workload("digits-mlp"), classes=11)
    with pytest.raises(ValueError, match=r"logits of shape \(900, 11\) on its calibration set.*gives \(900, 10\)"):
        check_workload(workload)


class BrokenNetwork(PerceptronNetwork):
    """Gives NaN for one class."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images).clone()
        logits[:, 3] = torch.nan
        return logits


def test_logits_that_are_not_finite_are_refused() -> None:
    workload = dataclasses.replace(find_workload("digits-mlp"), build=BrokenNetwork, weights=None, score=None)
    with pytest.raises(ValueError, match="must give finite logits, but some on its calibration set are not"):
        check_workload(workload)


def test_a_wrong_score_is_refused_but_one_sample_is_within_tolerance() -> None:
    workload = find_workload("digits-mlp")
    assert workload.score is not None
    near = dataclasses.replace(workload.score, test=workload.score.test + 1 / 597)
    check_workload(dataclasses.replace(workload, score=near))
    far = dataclasses.replace(workload.score, test=workload.score.test - 3 / 597)
    with pytest.raises(ValueError, match=f"records accuracy {far.test:.4f} on its test set of 597 .* reaches 0.9665"):
        check_workload(dataclasses.replace(workload, score=far))


class BranchingNetwork(nn.Module):
    """Takes another way when the image is dark, which no export can write down."""

    def __init__(self) -> None:
        super().__init__()
        self.bright = PerceptronNetwork()
        self.dark = PerceptronNetwork()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.bright(images) if images.mean() > 0.5 else self.dark(images)
        return logits


def test_a_network_torch_cannot_export_is_refused() -> None:
    workload = dataclasses.replace(find_workload("digits-mlp"), build=BranchingNetwork, weights=None, score=None)
    with pytest.raises(ValueError, match=r"torch\.export cannot read .* without control flow that depends on values"):
        check_workload(workload)
