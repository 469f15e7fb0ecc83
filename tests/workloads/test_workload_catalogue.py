"""Workloads are found by name or reference, load light, and say what is wrong otherwise."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emulation.workloads import LoadedWorkload, Workload, find_workload, load_workload, workload_names


def test_importing_and_listing_loads_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys, emulation.workloads as workloads; workloads.workload_names();"
        "print([name for name in ('torch', 'sklearn', 'safetensors') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_default_comes_first_and_names_are_keys() -> None:
    assert workload_names()[:3] == ("digits", "digits-deep", "digits-mlp")
    for name in workload_names():
        assert find_workload(name).name == name


@pytest.mark.parametrize(("given", "meant"), [("digit", "digits"), ("Digits-Deep", "digits-deep"), ("mlp", None)])
def test_an_unknown_name_says_what_is_allowed_and_what_was_meant(given: str, meant: str | None) -> None:
    advice = f"did you mean '{meant}'?" if meant else "choose one of these."
    with pytest.raises(ValueError, match="Unknown workload") as caught:
        find_workload(given)
    assert f"{given!r}, allowed are {', '.join(workload_names())} or a reference" in str(caught.value)
    assert str(caught.value).endswith(advice)


def test_a_reference_finds_the_same_object_as_the_built_in_name() -> None:
    assert find_workload("emulation.workloads.digits:DEEP") is find_workload("digits-deep")


def test_a_workload_from_elsewhere_comes_in_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "factory_parts.py").write_text(
        "import numpy, torch\n"
        "from emulation.workloads import Samples, Splits, Workload\n"
        "def load():\n"
        "    part = Samples(inputs=numpy.zeros((2, 3), numpy.float32), labels=numpy.array([0, 1]))\n"
        "    return Splits(calibration=part, validation=part, test=part)\n"
        "screws = Workload(name='screws', description='Screws.', example_shape=(3,), classes=2,\n"
        "                  build=lambda: torch.nn.Linear(3, 2), load_splits=load)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    loaded = load_workload("factory_parts:screws")
    assert loaded.name == "screws"
    assert loaded.network(*loaded.example_inputs()).shape == (1, 2)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module:thing", r"cannot be loaded \(No module named 'no_such_module'\)"),
        ("emulation.workloads.digits:SHALLOW", "cannot be loaded .*has no attribute 'SHALLOW'.*check the spelling"),
        (":thing", "must be 'package.module:name' of a Workload"),
        ("emulation.workloads.digits:CLASSES", "leads to a int, allowed is a Workload; name the Workload object"),
    ],
)
def test_a_bad_reference_is_refused(reference: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_workload(reference)


def test_example_inputs_are_the_first_calibration_sample() -> None:
    loaded = load_workload("digits")
    (example,) = loaded.example_inputs()
    assert isinstance(loaded, LoadedWorkload)
    np.testing.assert_array_equal(example.numpy(), loaded.splits.calibration.inputs[:1])
    assert tuple(example.shape[1:]) == loaded.workload.example_shape


def with_weights(path: Path) -> Workload:
    return dataclasses.replace(find_workload("digits-mlp"), weights=path)


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read its weights .*none\.safetensors.*workloads\.train digits-mlp"):
        with_weights(tmp_path / "none.safetensors").load_network()


def test_a_damaged_weights_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.safetensors"
    whole = Path(__file__).parents[2] / "emulation" / "workloads" / "digits-mlp.safetensors"
    path.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cannot read its weights .*restore the file or train again"):
        with_weights(path).load_network()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"first.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=r"weights .* of another network .*Missing key"):
        with_weights(path).load_network()


def test_labels_beyond_the_classes_are_refused() -> None:
    workload = dataclasses.replace(find_workload("digits-mlp"), classes=9)
    with pytest.raises(ValueError, match="promises labels 0 to 8, but its data has 9; correct classes"):
        workload.load()


def test_data_of_another_shape_is_refused() -> None:
    workload = dataclasses.replace(find_workload("digits-mlp"), example_shape=(64,))
    with pytest.raises(ValueError, match=r"promises samples of shape \(64,\), but its data has \(1, 8, 8\); correct"):
        workload.load()
