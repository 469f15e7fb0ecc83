"""Faults planted in an export, hashes made anew: the checks of the base folder fail and name the layer."""

from __future__ import annotations

import numpy as np
import pytest

from dse.exports.targets import verify_folder
from dse.exports.verification import Status, passed
from tests.dse.exports.folder_checks import entries_of, rehashed

CONVOLUTION, LINEAR, ADD = "mix_convolution", "hidden", "residual_add"


def integers(folder, entry):
    return np.array([int(line) for line in (folder / entry["file"]).read_text().split()])


def write(folder, entry, values):
    (folder / entry["file"]).write_text("".join(f"{int(value)}\n" for value in values))


def other_rounding(folder, layer):
    assert layer["out_type"]["rounding"] == "half-even"
    layer["out_type"]["rounding"] = "half-up"


def truncation(folder, layer):
    layer["out_type"]["rounding"] = "floor"


def dropped_bias(folder, layer):
    del layer["bias"]


def transposed_weights(folder, layer):
    values = integers(folder, layer["weight"]).reshape(layer["weight"]["shape"])
    write(folder, layer["weight"], np.swapaxes(values, -1, -2).reshape(-1))


def swapped_layout(folder, layer):
    """Channels before kernel taps, as torch has them."""
    values = integers(folder, layer["weight"]).reshape(layer["weight"]["shape"])
    write(folder, layer["weight"], np.moveaxis(values, (-1, -2), (0, 1)).reshape(-1))


def one_weight(folder, layer):
    values = integers(folder, layer["weight"])
    values[len(values) // 2] += 1 if values[len(values) // 2] <= 0 else -1
    write(folder, layer["weight"], values)


def one_bias(folder, layer):
    values = integers(folder, layer["bias"])
    values[-1] += 64
    write(folder, layer["bias"], values)


def one_shift(folder, layer):
    layer["shift"] += 1


def one_multiplier(folder, layer):
    layer["addend_multipliers"][1] *= 2


def saturation(folder, layer):
    layer["out_type"]["high"] -= 1


def padding(folder, layer):
    layer["padding"] = [pair[::-1] for pair in layer["padding"]]
    layer["padding"][0][0] -= 1
    layer["padding"][0][1] += 1


@pytest.mark.parametrize(
    ("name", "mutate"),
    [
        (CONVOLUTION, other_rounding),
        (LINEAR, other_rounding),
        (LINEAR, truncation),
        (CONVOLUTION, dropped_bias),
        (LINEAR, transposed_weights),
        (CONVOLUTION, swapped_layout),
        (CONVOLUTION, one_weight),
        (LINEAR, one_weight),
        (LINEAR, one_bias),
        (CONVOLUTION, one_shift),
        (ADD, one_shift),
        (ADD, one_multiplier),
        (CONVOLUTION, saturation),
        ("stem_convolution", padding),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_a_fault_is_found_and_its_layer_named(copied, name, mutate):
    folder = copied()
    entries = entries_of(folder)
    mutate(folder, next(layer for layer in entries["layers"] if layer["name"] == name))
    rehashed(folder, entries)
    verdicts = verify_folder(folder)
    assert not passed(verdicts)
    failed = {one.check: one.outcome for one in verdicts if one.outcome.status is Status.FAILED}
    alone = [outcome for check, outcome in failed.items() if check in ("golden", "limits", "ties")]
    assert alone
    for outcome in alone:
        assert {place.layer for place in outcome.where} == {name}
        assert "differences" in outcome.text
    place = alone[0].where[0]
    assert place.expected != place.got
    assert str(place).startswith(f"layer {name}, ")


def test_nothing_fails_without_a_fault(copied):
    folder = copied()
    rehashed(folder, entries_of(folder))
    verdicts = verify_folder(folder)
    assert passed(verdicts)
    assert [one.check for one in verdicts if one.outcome.status is Status.PASSED] == [
        "files",
        "types",
        "golden",
        "limits",
        "ties",
        "network",
    ]


def test_a_weight_beyond_its_type_is_named(copied):
    folder = copied()
    entries = entries_of(folder)
    layer = next(layer for layer in entries["layers"] if layer["name"] == LINEAR)
    values = integers(folder, layer["weight"])
    values[0] = 1 << layer["weight"]["type"]["bits"]
    write(folder, layer["weight"], values)
    rehashed(folder, entries)
    outcome = next(one.outcome for one in verify_folder(folder) if one.check == "types")
    assert outcome.status is Status.FAILED
    assert outcome.text.startswith(f"weights/{LINEAR}_w.txt holds {values[0]}, its type allows [-")


def test_a_file_with_fewer_integers_than_declared_is_named(copied):
    folder = copied()
    entries = entries_of(folder)
    layer = next(layer for layer in entries["layers"] if layer["name"] == LINEAR)
    values = integers(folder, layer["bias"])
    write(folder, layer["bias"], values[:-1])
    rehashed(folder, entries)
    failed = {one.check: one.outcome.text for one in verify_folder(folder) if one.outcome.status is Status.FAILED}
    assert failed["types"] == f"weights/{LINEAR}_b.txt holds {len(values) - 1} integers, declared are {len(values)}"
    assert f"layer {LINEAR} cannot be executed from its files" in failed["golden"]


def test_an_output_of_the_whole_design_that_is_wrong_is_found(copied):
    folder = copied()
    entries = entries_of(folder)
    path = folder / entries["vectors"]["output"]["file"]
    rows = [line.split() for line in path.read_text().splitlines()]
    rows[300][4] = str(int(rows[300][4]) + 1)
    path.write_text("".join(" ".join(row) + "\n" for row in rows))
    rehashed(folder, entries)
    outcome = next(one.outcome for one in verify_folder(folder) if one.check == "network")
    assert outcome.status is Status.FAILED
    (place,) = outcome.where
    assert (place.layer, place.vector, place.element) == (entries["output"]["layer"], "vector 300", 4)
    assert place.expected == place.got + 1
