"""Faults planted in the C++ of a design: the simulation fails and names the layer."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from dse.exports.parameters import export_design
from dse.exports.verification import Status
from tests.dse.exports.faults import found_in

CONVOLUTION, LINEAR, POOL = "grouped", "head", "mean"


@pytest.fixture(scope="module")
def exported(custom_bench, tmp_path_factory):
    """Scales are powers of two: exact ties are in reach."""
    found = custom_bench(
        "tests.dse.exports.hls.window_workloads:WINDOWS",
        formats={"weights": ["int4"], "activations": ["int8"], "scale_kind": "power-of-two"},
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )
    folder = tmp_path_factory.mktemp("hls") / "out"
    export_design(found.prepared, found.tables.device, found.design(2), folder, targets=["hls"])
    return folder


def struct(name, change):
    """A change of one struct of the parameters."""

    def mutate(folder):
        path = folder / "params.h"
        text = path.read_text()
        found = re.search(rf"struct {name} {{.*?^}};", text, re.DOTALL | re.MULTILINE)
        assert found, name
        changed = change(found[0])
        assert changed != found[0]
        path.write_text(text.replace(found[0], changed))

    return mutate


def array(name, change):
    """A change of one constant array of the parameters."""

    def mutate(folder):
        path = folder / "params.h"
        text = path.read_text()
        found = re.search(rf"static const ([a-z ]+) {name}((?:\[\d+\])+) = ({{.*?}});", text, re.DOTALL)
        assert found, name
        shape = [int(size) for size in re.findall(r"\d+", found[2])]
        values = np.array([int(one) for one in re.findall(r"-?\d+", found[3])]).reshape(shape)
        changed = change(values.copy())
        assert not np.array_equal(changed, values)
        rows = ",".join("{" + ",".join(map(str, row)) + "}" for row in changed.reshape(shape[0], -1).tolist())
        text = text.replace(found[0], f"static const {found[1]} {name}{found[2]} = {{{rows}}};")
        path.write_text(text)

    return mutate


def plus_one(values):
    values.reshape(-1)[values.size // 2] += 1 if values.reshape(-1)[values.size // 2] <= 0 else -1
    return values


def transposed(values):
    return values.T.reshape(values.shape)


def channels_before_taps(values):
    """As torch has them: 2 channels under a window of 3 x 3."""
    return values.reshape(len(values), 9, 2).transpose(0, 2, 1).reshape(values.shape)


def library(name, old, new):
    """A change of a template."""

    def mutate(folder):
        path = folder / "layers" / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    return mutate


def other_rounding(text):
    return text.replace("half_even", "half_up")


def other_shift(text):
    return re.sub(r", (-?\d+)> cast;", lambda found: f", {int(found[1]) + 1}> cast;", text)


def no_bias(text):
    return re.sub(r"bias\(int channel\) \{.*?\}", "bias(int) { return 0; }", text)


def other_padding(text):
    return text.replace("top = 1", "top = 0")


CASES = [
    ("rounding", CONVOLUTION, struct("grouped_cast", other_rounding)),
    ("rounding of a sum", POOL, struct("mean_cast", other_rounding)),
    ("dropped bias", CONVOLUTION, struct("grouped_engine_config", no_bias)),
    ("transposed weights", LINEAR, array("head_w", transposed)),
    ("swapped layout", CONVOLUTION, array("grouped_w", channels_before_taps)),
    ("one weight", LINEAR, array("head_w", plus_one)),
    ("one weight of a convolution", CONVOLUTION, array("grouped_w", plus_one)),
    ("one shift", CONVOLUTION, struct("grouped_cast", other_shift)),
    ("padding", CONVOLUTION, struct("grouped_window_config", other_padding)),
]
FAST = ("rounding", "transposed weights")


@pytest.mark.parametrize(
    ("layer", "mutate"),
    [pytest.param(*case, id=name, marks=[] if name in FAST else pytest.mark.slow) for name, *case in CASES],
)
def test_a_fault_is_found_and_its_layer_named(exported, simulated, tmp_path, layer, mutate):
    folder = shutil.copytree(exported, tmp_path / "copy")
    mutate(folder / "hls")
    outcome = simulated(folder)
    first = found_in(outcome, layer)
    assert re.search(r": [1-9]\d* of \d+ numbers differ", outcome.text), outcome.text
    assert first.vector.split()[0] in ("golden", "limits", "ties")
    # Each layer is also run alone, on right inputs: others differ only where the whole design ends.
    assert {one.layer for one in outcome.where if not one.vector.startswith("network")} == {layer}


TEMPLATE_FAULTS = {
    "rows": library("windows.h", "line[row % shape::held]", "line[(row + 1) % shape::held]"),
    "start": library("engines.h", "if (beat == 0) sum", "if (fold == 0 && beat == 0) sum"),
    "ties": library("numbers.h", "if (MODE == half_even) up = whole[0];", "if (MODE == half_even) up = !whole[0];"),
    "saturation": library("numbers.h", "if (result > RANGE::high()) return RANGE::high();", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TEMPLATE_FAULTS)
def test_a_fault_in_a_template_is_found(exported, simulated, tmp_path, name):
    folder = shutil.copytree(exported, tmp_path / "copy")
    TEMPLATE_FAULTS[name](folder / "hls")
    outcome = simulated(folder)
    assert outcome.status is Status.FAILED
    assert outcome.where


def test_the_folders_own_test_bench_does_not_judge(exported, simulated, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "copy")
    (folder / "hls" / "tb.cpp").write_text("int main() { return 0; }\n")
    (folder / "hls" / "top.cpp").write_text("this is no C++\n")
    outcome = simulated(folder)
    assert outcome.status is Status.FAILED
    assert outcome.text.startswith("the sources do not compile: ")
    assert "error" in outcome.text
