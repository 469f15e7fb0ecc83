"""`bitfront init --torch`: a study of a torch network named on the command line, and what mistakes are told."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dse.config import load_config
from dse.preparation import prepare
from emulation.workloads import load_workload

HERE = "tests.dse.test_init_torch"


class Untrained(nn.Module):
    """Pixels are scaled before the first layer of a network for the digits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.layers((values - 0.5) / 0.25)


class Gated(Untrained):
    """A product of activations, which no cost model prices."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        hidden = self.layers[:3](values)
        return self.layers[3](hidden * torch.sigmoid(hidden))


def narrow() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


@pytest.fixture
def weights(place):
    torch.manual_seed(4)
    save_file(Untrained().state_dict(), place / "trained.safetensors")
    return place / "trained.safetensors"


def test_a_study_of_a_module_and_its_weights(command, place, weights):
    arguments = ("--workload", "digits-mlp", "--torch", f"{HERE}:Untrained", "--weights", weights.name)
    assert command("init", "new", *arguments) == (0, "wrote new/study.toml. Next: bitfront explore new\n", "")
    config = load_config(place / "new" / "study.toml")
    assert config.network.weights == str(weights.resolve())
    prepared = prepare(config)
    assert [layer.kind for layer in prepared.network.layers] == ["input", "reshape", "linear", "linear"]
    assert prepared.network.front == ("sub", "div")
    torch.manual_seed(4)
    expected = Untrained().layers[1].weight.detach().double().numpy()
    assert (prepared.network.layers[2].weight == expected).all()
    raw = load_workload("digits-mlp").splits.validation.inputs
    assert prepared.validation.inputs == pytest.approx((raw - 0.5) / 0.25)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--torch", "nowhere.models:net"], ["module 'nowhere.models'", "cannot be imported", "PYTHONPATH"]),
        (["--torch", f"{HERE}:Untrain"], ["has no 'Untrain'", "did you mean 'Untrained'?"]),
        (["--torch", f"{HERE}:narrow"], ["returns results of shape (3,)", "has 10 classes", "--workload package"]),
        (["--torch", f"{HERE}:Untrained", "--weights", "no.pt"], ["no.pt do not exist"]),
        (["--torch", f"{HERE}:narrow", "--weights", "trained.safetensors"], ["is not of this network", "it lacks '1."]),
        (["--weights", "trained.safetensors"], ["needs --torch package.module:factory"]),
        (["--torch", f"{HERE}:Untrained", "--front", "sqrt"], ["front = 'sqrt' is neither a module nor an operation"]),
        (["--torch", f"{HERE}:Gated"], ["layer 'multiply' is a multiply", "it has no cost model"]),
    ],
)
@pytest.mark.usefixtures("weights")
def test_mistakes_leave_nothing(command, place, arguments, words):
    command("init", "new", "--workload", "digits-mlp", *arguments).refused(*words)
    assert not (place / "new").exists()
