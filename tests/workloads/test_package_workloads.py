"""Workloads from packages: their scores, what foreign code says of the same weights, and what is said without them."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from emulation.float_execution import run_float
from emulation.read_torch import read_torch
from emulation.workloads import LoadedWorkload, Package, Program, find_workload, load_workload, workload_names
from emulation.workloads.contract import check_workload
from emulation.workloads.evaluation import float_logits
from emulation.workloads.packages import NAMES
from tests.missing_tools import skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

# byte-lm needs no package: tests/workloads/test_source_code.py
OF_PACKAGES = [name for name in workload_names() if name not in {"digits", "digits-deep", "digits-mlp", "byte-lm"}]
LAYERS = {"segment": 4, "vowels": 4, "r-net": 5, "silero-vad": 6, "efficientnet-lite0": 50, "minilm-l6": 48}
PUBLISHED = {"segment": 0.974, "vowels": 0.981, "r-net": 1.0, "silero-vad": 0.967, "efficientnet-lite0": 1.0}
"""Test scores of runs independent of this code, on splits and clips of their own."""


def needed(name: str) -> None:
    missing = [one.name for one in find_workload(name).needs if not one.installed]
    if missing:
        skip_or_fail(f"{', '.join(missing)} not installed (pip install --no-deps -r {NAMES})")


@cache
def loaded(name: str) -> LoadedWorkload:
    return load_workload(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_PACKAGES)
def test_the_contract_is_kept_and_scores_are_the_recorded_ones(name: str) -> None:
    needed(name)
    workload = find_workload(name)
    check_workload(workload)
    assert workload.score is not None
    assert abs(workload.score.test - PUBLISHED.get(name, workload.score.test)) <= 0.0125


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_PACKAGES)
def test_the_network_read_gives_the_same_score(name: str) -> None:
    needed(name)
    network, samples = loaded(name).network, loaded(name).splits.test.first(12)
    read = read_torch(network, samples.inputs, name=name)
    assert len(list(read.multiplying)) == LAYERS[name]
    ours, theirs = run_float(read, samples.inputs)[read.output].numpy(), float_logits(network, samples.inputs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))
    task = loaded(name).workload.task
    assert task.value(ours, samples.labels, float_outputs=theirs) == task.value(theirs, samples.labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_PACKAGES)
def test_no_sample_is_in_two_sets(name: str) -> None:
    needed(name)
    parts = loaded(name).splits
    three = (parts.calibration, parts.validation, parts.test)
    sets = [{sample.tobytes() for sample in part.inputs} for part in three]
    shared = [len(sets[first] & sets[second]) for first, second in ((0, 1), (0, 2), (1, 2))]
    assert shared == [0, 0, 0]
    assert [len(distinct) for distinct in sets] == [
        len(part) for part in (parts.calibration, parts.validation, parts.test)
    ]


@pytest.mark.slow
def test_silero_answers_as_the_package_does() -> None:
    needed("silero-vad")
    from emulation.workloads.speech import SILERO, load_speech_network, spectra
    from emulation.workloads.speech_clips import FRAME, FRAMES, RATE, make_clips

    sound = make_clips(0, 2).sound
    theirs = torch.jit.load(str(SILERO.file("data", "silero_vad.jit")))
    with torch.inference_mode():
        ours = torch.sigmoid(load_speech_network().eval()(spectra(sound)))
        for clip, answers in zip(torch.from_numpy(sound), ours, strict=True):
            theirs.reset_states()
            frames = clip.reshape(FRAMES, 1, FRAME)
            expected = torch.stack([theirs(frame, RATE)[0, 0] for frame in frames])
            torch.testing.assert_close(answers, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_minilm_finds_what_its_weights_are_known_to_find() -> None:
    """Every text at its own length, up to 96 tokens: 175 pairs and 0.416 on the help pages of Python 3.11."""
    needed("minilm-l6")
    from emulation.workloads.paragraphs import embed, load_sentence_network, paragraph_pairs, tokens_of

    network = load_sentence_network().eval()

    def embedded(texts: list[str]) -> torch.Tensor:
        cut = [one if len(one) <= 96 else one[:95] + one[-1:] for one in tokens_of(texts)]
        with torch.inference_mode():
            rows = torch.cat([network(embed(torch.tensor([one]))) for one in cut])
        return torch.nn.functional.normalize(rows)

    first, alike, other = embedded(["A man is eating food.", "A man eats a meal.", "The stock market fell."])
    assert float(first @ alike) == pytest.approx(0.908, abs=1e-3)
    assert float(first @ other) == pytest.approx(-0.036, abs=1e-3)
    pairs = paragraph_pairs()
    likeness = embedded([asking for asking, _ in pairs]) @ embedded([found for _, found in pairs]).T
    ranks = (likeness >= likeness.diagonal()[:, None]).sum(dim=1)
    assert len(pairs) == pytest.approx(175, abs=40)
    assert float((1 / ranks).mean()) == pytest.approx(0.416, abs=0.03)


@pytest.mark.parametrize("name", workload_names())
def test_origin_and_licence_are_named(name: str) -> None:
    workload = find_workload(name)
    assert workload.name == name
    assert "(" in workload.origin
    assert workload.score is not None


def test_the_list_of_packages_is_that_of_the_workloads() -> None:
    listed = [line.split("#")[0].strip() for line in NAMES.read_text().splitlines()]
    needs = [one for name in workload_names() for one in find_workload(name).needs]
    assert [line for line in listed if line] == sorted({one.requirement for one in needs if isinstance(one, Package)})


def test_what_is_missing_is_named_with_the_commands_that_install_it() -> None:
    needs = (
        Package(name="absent-data", version="1.2", folder="absent_data"),
        Package(name="numpy", version="2", folder="numpy"),
        Program(name="absent-program", install="apt-get install -y absent-program"),
    )
    workload = dataclasses.replace(find_workload("digits-mlp"), name="shown", needs=needs)
    with pytest.raises(ValueError, match="'shown' needs absent-data, absent-program, not installed here") as caught:
        workload.load()
    assert "`pip install --no-deps absent-data==1.2 && apt-get install -y absent-program`" in str(caught.value)
    assert f"`pip install --no-deps -r {NAMES}`" in str(caught.value)


def test_a_missing_file_of_a_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"numpy==2 is needed for its file a/b, but .*a/b is missing; run `pip install"
    ):
        Package(name="numpy", version="2", folder="numpy").file("a", "b")
    with pytest.raises(ValueError, match="absent-data==1 is needed for its file a, but it is not installed"):
        Package(name="absent-data", version="1", folder="absent_data").file("a")
    assert not list(tmp_path.iterdir())
