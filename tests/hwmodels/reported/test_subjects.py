"""What instances are to our models: files that say so, and the estimates they get."""

from __future__ import annotations

import pytest

from hwmodels.corrections import CostCorrection, Factor, correcting
from hwmodels.devices import load_device
from hwmodels.layer_files import price_layers_csv
from hwmodels.models import unit_estimate
from hwmodels.reported.subjects import Subject, estimate, read_fields, read_subjects, write_fields
from hwmodels.reported.usage import ReportError

DEVICE = load_device("xczu7ev")
CSV = """instance,family,parameters,outputs,depth,pe,simd,weight_bits,activation_bits,style,ram
mult,multiplier,a=8;b=8,,,,,,,,
layer,,,64,64,4,4,8,8,lut,auto
own,,,64,64,4,4,8,8,Ours DSP,auto
"""
TOML = """
[[instances]]
instance = "mult"
family = "multiplier"
parameters = { a = 8, b = 8 }

[[instances]]
instance = "layer"
outputs = 64
depth = 64
pe = 4
simd = 4
weight_bits = 8
activation_bits = 8
style = "lut"
ram = "auto"

[[instances]]
instance = "own"
outputs = 64
depth = 64
pe = 4
simd = 4
weight_bits = 8
activation_bits = 8
style = "ours_dsp"
ram = "auto"
"""


def written(tmp_path, text, name="instances.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_units_and_layers_in_one_file(tmp_path):
    subjects = read_subjects(written(tmp_path, CSV))
    assert {name: one.family for name, one in subjects.items()} == {
        "mult": "multiplier",
        "layer": "hls-lut",
        "own": "ours-dsp",
    }
    assert [one.is_layer for one in subjects.values()] == [False, True, True]
    assert dict(subjects["mult"].parameters) == {"a": "8", "b": "8"}
    assert str(subjects["mult"]) == "multiplier a=8;b=8"


def test_toml_says_the_same_as_csv(tmp_path):
    from_csv = read_subjects(written(tmp_path, CSV))
    from_toml = read_subjects(written(tmp_path, TOML, "instances.toml"))
    assert {name: (one.family, dict(one.parameters)) for name, one in from_csv.items()} == {
        name: (one.family, dict(one.parameters)) for name, one in from_toml.items()
    }


def test_a_unit_is_what_its_model_says_with_defaults_filled_in():
    given = Subject(family="multiplier", parameters={"a": "8", "b": "8"})
    found = estimate(given, DEVICE, where="here")
    assert found["luts"] == unit_estimate("multiplier", a=8, b=8, a_signed=1, b_signed=1).value
    assert {name: found[name] for name in ("dsps", "bram18s", "urams")} == {"dsps": 0, "bram18s": 0, "urams": 0}


def test_a_layer_is_what_the_cost_command_says(tmp_path):
    subjects = read_subjects(written(tmp_path, CSV))
    lines = f"{LAYER}64,64,4,4,8,8,lut,auto\n64,64,4,4,8,8,ours-dsp,auto\n"
    priced = price_layers_csv(written(tmp_path, lines, "layers.csv"), DEVICE)
    for name, layer in zip(("layer", "own"), priced, strict=True):
        found = estimate(subjects[name], DEVICE, where="here")
        assert found == {resource: float(layer.cost.resource(resource)) for resource in found}
        assert found["luts"] > 0


def test_estimates_are_never_corrected(tmp_path):
    own = read_subjects(written(tmp_path, CSV))["own"]
    plain = estimate(own, DEVICE, where="here")
    factor = Factor(value=3.0, error=0.1, rows=3)
    with correcting(CostCorrection(families={"multiplier": {"luts": factor}}, everything={"luts": factor})):
        assert estimate(own, DEVICE, where="here") == plain


def test_fields_as_one_text():
    assert write_fields(read_fields("a=8; b = 4;")) == "a=8;b=4"
    with pytest.raises(ValueError, match="written as a=8;b=4, got 'a8'"):
        read_fields("a8")


LAYER = "outputs,depth,pe,simd,weight_bits,activation_bits,style,ram\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names none: a unit has instance, family, parameters"),
        ("instance,family\n", "names none"),
        ("family,parameters\nmultiplier,a=8;b=8\n", "line 2: no instance: a unit has"),
        ("instance,family,lanes\nx,multiplier,3\n", "line 2: unknown column 'lanes'"),
        ("instance,family,parameters,pe\nx,multiplier,a=1,3\n", "line 2: family and 'pe', of a unit and of a layer"),
        (
            "instance,family,parameters\nx,multiplierz,a=1\n",
            "line 2: 'multiplierz' is neither a family of units",
        ),
        ("instance,family,parameters\nx,multiplier,a8\n", "line 2: parameters are written as a=8;b=4, got 'a8'"),
        (f"instance,{LAYER}x,64,64,4,4,8,8,gates,auto\n", "line 2: 'gates' is neither a family of units"),
        ("instance,family,parameters\nx,multiplier,a=8\nx,multiplier,a=9\n", "line 3: instance 'x' is named twice"),
        ("instance,family\nx,multiplier,a=8\n", "line 2 has more fields than the header"),
    ],
)
def test_mistakes_in_a_file_of_instances(tmp_path, text, message):
    with pytest.raises(ReportError, match=message):
        read_subjects(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[instances]\n", "cannot be read: "),
        ("instances = 3\n", r"must have tables \[\[instances\]\] and nothing else"),
        ("[[instances]]\ninstance = 'x'\n[other]\na = 1\n", "and nothing else"),
        ("[[instances]]\ninstance = 'x'\nfamily = 'y'\n", "entry 1: 'y' is neither a family"),
    ],
)
def test_mistakes_in_a_toml_file_of_instances(tmp_path, text, message):
    with pytest.raises(ReportError, match=message):
        read_subjects(written(tmp_path, text, "instances.toml"))


@pytest.mark.parametrize(
    ("family", "parameters", "message"),
    [
        ("multiplier", {"a": "8"}, "here: multiplier takes a, b, a_signed, b_signed, got 'a=8': missing"),
        (
            "multiplier",
            {"a": "8", "b": "8", "c": "1"},
            "here: multiplier takes a, b, .*unexpected keyword",
        ),
        ("multiplier", {"a": "8", "b": "8.5"}, "here: parameter b of multiplier is a whole number, got '8.5'"),
        ("hls-lut", {"outputs": "64"}, "^here: column 'depth' is missing"),
        (
            "hls-lut",
            dict(zip(LAYER.strip().split(","), ("64", "64", "5", "4", "8", "8", "", "auto"), strict=True)),
            "^here: pe",
        ),
    ],
)
def test_subjects_that_cannot_be_priced(family, parameters, message):
    parameters.pop("style", None)
    with pytest.raises(ReportError, match=message):
        estimate(Subject(family=family, parameters=parameters), DEVICE, where="here")
