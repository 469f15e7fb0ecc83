"""The language model of bytes: its data, its training, its cache, and that no byte sees those after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from emulation.float_execution import run_float
from emulation.read_torch import read_torch
from emulation.workloads import find_workload, source_code
from emulation.workloads.contract import check_workload
from emulation.workloads.source_code import fixed_windows, library_bytes, train_bytes, trained_model, weights_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a training of 12 steps."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(source_code, "STEPS", 12)
    return tmp_path


def test_the_library_is_cut_by_files() -> None:
    sizes = {name: len(code) for name, code in library_bytes().items()}
    assert sum(sizes.values()) > 5_000_000
    assert sizes["calibration"] > 5 * sizes["validation"] > 0 < sizes["test"]


def test_labels_are_the_bytes_after() -> None:
    code = np.arange(200, dtype=np.uint8)
    windows, following = fixed_windows(code, 5)
    assert windows.shape == (5, 64)
    assert (following == windows + 1).all()
    assert (windows[0, 0], following[-1, -1]) == (0, 199)
    with pytest.raises(ValueError, match="5 windows of 64 bytes need more than 60 bytes of source code"):
        fixed_windows(code[:60], 5)


def test_training_repeats_and_leaves_chance_and_threads_alone() -> None:
    code = library_bytes()["calibration"][:20_000]
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first, second = (train_bytes(code, steps=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_trained_once_kept_and_read(short: Path) -> None:
    first = trained_model().state_dict()
    assert weights_path().is_relative_to(short)
    written = weights_path().stat().st_mtime_ns
    second = trained_model().state_dict()
    assert weights_path().stat().st_mtime_ns == written
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [path.name for path in weights_path().parent.iterdir()] == [weights_path().name]
    samples = find_workload("byte-lm").load().splits.test
    assert (samples.inputs.shape, samples.labels.shape) == ((256, 64, 128), (256, 64))


def test_a_damaged_cache_is_refused(short: Path) -> None:
    trained_model()
    weights_path().write_bytes(weights_path().read_bytes()[:500])
    with pytest.raises(ValueError, match=r"holds no trained byte-lm .*; delete it, and it is trained again"):
        trained_model()
    assert weights_path().is_relative_to(short)


def test_a_cache_that_cannot_be_written_is_refused(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(short / "file"))
    with pytest.raises(ValueError, match=r"cannot be kept in .*set XDG_CACHE_HOME to a folder you may"):
        trained_model()


def test_no_byte_sees_later_ones_and_the_reader_agrees(short: Path) -> None:
    model = trained_model()
    windows, _ = fixed_windows(library_bytes()["test"], 4)
    changed = windows.clone()
    changed[:, 40:] = 7
    with torch.inference_mode():
        torch.testing.assert_close(model(windows)[:, :40], model(changed)[:, :40])
        embedded = model.embed(windows).numpy()
        expected = model(windows)
    read = read_torch(model.network, embedded, name="byte-lm")
    assert len(list(read.multiplying)) == 17
    torch.testing.assert_close(run_float(read, embedded)[read.output], expected, rtol=1e-4, atol=1e-4)
    assert weights_path().is_relative_to(short)


@pytest.mark.slow
def test_the_whole_training_reaches_the_recorded_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_workload(find_workload("byte-lm"))
