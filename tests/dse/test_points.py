"""A design of a front as a torch module: it equals the measured design, trains, and is measured again."""

import shutil

import pytest
import torch

from dse.errors import StudyError
from dse.study import Study


@pytest.fixture
def study(explored_folder, tmp_path):
    """A copy of the explored study, open."""
    shutil.copytree(explored_folder, tmp_path / "study")
    with Study.open(tmp_path / "study") as opened:
        yield opened


def test_an_untrained_module_measures_as_the_design_did(study):
    for design in (study.front()[0], study.front()[-1]):
        point = study.point(design.name)
        assert point.design == design
        assert point.remeasure(point.module()) == design.validation


def test_training_moves_the_measured_loss(study):
    point = study.point(0)
    module = point.module()
    samples = point.prepared.calibration
    inputs, labels = torch.from_numpy(samples.inputs[:256]), torch.from_numpy(samples.labels[:256])
    optimiser = torch.optim.Adam([*module.weights.parameters(), *module.biases.parameters()], lr=1e-3)
    for part in range(0, 256, 64):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs[part : part + 64]), labels[part : part + 64]).backward()
        optimiser.step()
    assert point.remeasure(module) != point.design.validation
    assert study.point(0).remeasure(study.point(0).module()) == point.design.validation


@pytest.mark.parametrize("which", ["d999", 999, -1])
def test_an_unknown_point_is_refused_with_what_there_is(study, which):
    with pytest.raises(StudyError, match=rf"there is no design {which!r}: the front has d01, .*, positions 0 to "):
        study.point(which)
