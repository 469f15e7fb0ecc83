"""What every target keeps: the base folder alone makes its bytes, and a fault in a layer is found in that layer."""

from __future__ import annotations

import shutil

import pytest

from dse.exports.manifest import Manifest
from dse.exports.targets import TARGETS, load_target
from tests.dse.exports import faults
from tests.dse.exports.folder_checks import files_of, written_by
from tests.missing_tools import foreign, program

PACKAGES = {
    "hls4ml": ("hls4ml", "pip install hls4ml==1.3.0"),
    "qonnx": ("qonnx", "pip install qonnx==1.0.0"),
    "finn": ("qonnx", "pip install qonnx==1.0.0"),
}


def target_of(name):
    if name in PACKAGES:
        foreign(*PACKAGES[name])
    return load_target(name)


@pytest.mark.parametrize("name", TARGETS)
def test_two_copies_of_the_base_folder_give_the_same_bytes(digits_export, tmp_path, name):
    target, written = target_of(name), []
    for place in ("one", "another/of them"):
        copy = shutil.copytree(digits_export, tmp_path / place)
        written.append(files_of(written_by(target, Manifest.read(copy), copy)))
    assert written[0] == written[1]
    assert written[0]
    for file, content in written[0].items():
        assert str(tmp_path).encode() not in content, file


FOUND = {
    "finn": [
        ("hidden", faults.truncation),
        ("mix_convolution", faults.dropped_bias),
        ("mix_convolution", faults.transposed_weights),
        ("mix_convolution", faults.swapped_layout),
        ("stem_convolution", faults.one_weight),
        ("mix_convolution", faults.one_shift),
        ("residual_add", faults.one_multiplier),
    ],
    "qonnx": [
        ("hidden", faults.truncation),
        ("mix_convolution", faults.dropped_bias),
        ("hidden", faults.dropped_bias),
        ("mix_convolution", faults.transposed_weights),
        ("mix_convolution", faults.swapped_layout),
        ("stem_convolution", faults.one_weight),
        ("mix_convolution", faults.one_shift),
    ],
}
SIMULATED = [
    ("mix", faults.other_rounding),
    ("stem", faults.dropped_bias),
    ("mix", faults.transposed_weights),
    ("mix", faults.swapped_layout),
    ("mix", faults.one_weight),
    ("head", faults.one_shift),
]


@pytest.fixture
def check_finds(changed, tmp_path):
    """A function by which what a target makes of an export with a fault is judged by the export without."""

    def check(name, export, layer, fault):
        target = target_of(name)
        folder = written_by(target, changed(export, layer, fault), tmp_path)
        faults.found_in(target.checks[0].run(Manifest.read(export), folder), layer)

    return check


@pytest.mark.parametrize(
    ("name", "layer", "fault"),
    [
        pytest.param(name, *case, id=f"{name}-{case[0]}-{case[1].__name__}")
        for name, cases in FOUND.items()
        for case in cases
    ],
)
def test_a_fault_is_found_in_its_layer(check_finds, digits_export, name, layer, fault):
    check_finds(name, digits_export, layer, fault)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "fault"), SIMULATED, ids=lambda one: getattr(one, "__name__", one))
def test_a_fault_is_found_in_its_layer_by_simulation(check_finds, small_export, layer, fault):
    program("g++")
    check_finds("hls4ml", small_export, layer, fault)
