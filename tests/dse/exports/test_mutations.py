"""Faults planted in an export, hashes made anew: the checks of the base folder fail and name the layer."""

from __future__ import annotations

import pytest

from dse.exports.targets import verify_folder
from dse.exports.verification import Status, passed
from tests.dse.exports import faults
from tests.dse.exports.folder_checks import entries_of, rehashed

CONVOLUTION, LINEAR, ADD = "mix_convolution", "hidden", "residual_add"


@pytest.mark.parametrize(
    ("name", "mutate"),
    [
        (CONVOLUTION, faults.other_rounding),
        (LINEAR, faults.other_rounding),
        (LINEAR, faults.truncation),
        (CONVOLUTION, faults.dropped_bias),
        (LINEAR, faults.transposed_weights),
        (CONVOLUTION, faults.swapped_layout),
        (CONVOLUTION, faults.one_weight),
        (LINEAR, faults.one_weight),
        (LINEAR, faults.one_bias),
        (CONVOLUTION, faults.one_shift),
        (ADD, faults.one_shift),
        (ADD, faults.one_multiplier),
        (CONVOLUTION, faults.saturation),
        ("stem_convolution", faults.padding),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_a_fault_is_found_and_its_layer_named(digits_export, changed, name, mutate):
    verdicts = verify_folder(changed(digits_export, name, mutate).folder)
    assert not passed(verdicts)
    failed = {one.check: one.outcome for one in verdicts if one.outcome.status is Status.FAILED}
    alone = [outcome for check, outcome in failed.items() if check in ("golden", "limits", "ties")]
    assert alone
    for outcome in alone:
        assert {place.layer for place in outcome.where} == {name}
        assert "differences" in outcome.text
    assert str(faults.found_in(alone[0], name)).startswith(f"layer {name}, ")


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


def beyond_its_type(folder, layer):
    values = faults.integers(folder, layer["weight"])
    values[0] = 1 << layer["weight"]["type"]["bits"]
    faults.write(folder, layer["weight"], values)


def test_a_weight_beyond_its_type_is_named(digits_export, changed):
    manifest = changed(digits_export, LINEAR, beyond_its_type)
    outcome = next(one.outcome for one in verify_folder(manifest.folder) if one.check == "types")
    assert outcome.status is Status.FAILED
    bits = manifest.layer(LINEAR)["weight"]["type"]["bits"]
    assert outcome.text.startswith(f"weights/{LINEAR}_w.txt holds {1 << bits}, its type allows [-")


def without_its_last_bias(folder, layer):
    faults.write(folder, layer["bias"], faults.integers(folder, layer["bias"])[:-1])


def test_a_file_with_fewer_integers_than_declared_is_named(digits_export, changed):
    manifest = changed(digits_export, LINEAR, without_its_last_bias)
    verdicts = verify_folder(manifest.folder)
    failed = {one.check: one.outcome.text for one in verdicts if one.outcome.status is Status.FAILED}
    count = manifest.layer(LINEAR)["bias"]["count"]
    assert failed["types"] == f"weights/{LINEAR}_b.txt holds {count - 1} integers, declared are {count}"
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
