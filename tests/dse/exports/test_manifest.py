"""Reading a base folder: what is not as it was written is named, and nothing else is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dse.errors import StudyError
from dse.exports.manifest import MANIFEST_NAME, Manifest, file_entries
from dse.exports.schema import manifest_schema
from tests.dse.exports.folder_checks import entries_of, intact, written


def test_an_export_reads_back(digits_export):
    manifest = intact(digits_export)
    assert manifest.names[0] == "layer_input"
    layer = manifest.layer("hidden")
    weights = manifest.integers(layer["weight"])
    assert weights.dtype == np.int64
    assert weights.size == layer["weight"]["count"] == np.prod(layer["weight"]["shape"])
    assert manifest.rows(layer["golden"]["output"]).shape == (16, layer["out_size"])


def test_integers_beyond_64_bits_stay_exact(tmp_path):
    manifest = Manifest(folder=tmp_path, entries={})
    (tmp_path / "wide.txt").write_text(f"{1 << 70}\n-3\n")
    found = manifest.integers({"file": "wide.txt"})
    assert found.dtype == object
    assert found.tolist() == [1 << 70, -3]
    (tmp_path / "rows.txt").write_text("1 2 3\n-4 5 6\n")
    assert manifest.rows({"file": "rows.txt"}).tolist() == [[1, 2, 3], [-4, 5, 6]]


def refused(folder, *words):
    with pytest.raises(StudyError) as caught:
        Manifest.read(folder)
    text = str(caught.value)
    assert [word for word in words if word not in text] == [], text
    assert "\n" not in text


def test_a_folder_without_a_manifest(tmp_path):
    refused(tmp_path, "is no export: manifest.json cannot be read (No such file or directory)", "`bitfront export`")
    refused(tmp_path / "missing", "is no export")


def test_a_manifest_edited_by_hand(copied):
    folder = copied()
    path = folder / MANIFEST_NAME
    path.write_text(path.read_text().replace('"shift": ', '"shift": 1', 1))
    refused(folder, "manifest.json was changed after the export", "manifest.sha256 says", "export the design again")


def test_a_manifest_without_its_hash(copied):
    folder = copied()
    (folder / "manifest.sha256").unlink()
    refused(folder, "manifest.sha256 cannot be read", "nobody can tell whether it was edited")


def test_a_manifest_cut_short_or_of_another_version(copied):
    folder = copied()
    path = folder / MANIFEST_NAME
    content = path.read_text()
    path.write_text(content[:1000])
    refused(folder, "manifest.json is no JSON", "restore it")
    path.write_text("[1]")
    refused(folder, "holds no JSON object")
    path.write_text(content.replace('"schema": 2', '"schema": 1', 1))
    refused(folder, "has schema 1, and this bitfront reads 2")


def test_weights_cut_short_changed_or_missing(copied):
    folder = copied()
    path = folder / "weights" / "hidden_w.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:100]))
    refused(folder, f"hidden_w.txt was changed after the export or cut short: it has 100 lines of {len(lines)}")
    path.write_text("".join(lines[1:] + lines[:1]))
    refused(folder, "hidden_w.txt was changed after the export", f"{len(lines)} lines of {len(lines)}")
    path.unlink()
    refused(folder, "hidden_w.txt cannot be read (No such file or directory), and manifest.json names it")


GONE = object()


@pytest.mark.parametrize(
    ("layer", "place", "value", "words"),
    [
        ("hidden", ("speed",), 1, ["at layers/", "'speed' was unexpected"]),
        (None, ("vectors",), GONE, ["at the top, 'vectors' is a required property"]),
        ("hidden", ("shift",), "2", ["'2' is not of type 'integer'"]),
        ("hidden", ("weight", "layout"), "out,in", ["'out,in' is not one of"]),
        ("hidden", ("name",), "a b", ["'a b' does not match"]),
        ("hidden", ("weight", "file"), "../../etc/passwd", ["'../../etc/passwd' does not match"]),
        ("hidden", ("weight", "file"), "/etc/passwd", ["'/etc/passwd' does not match"]),
        (
            "hidden",
            ("inputs",),
            ["classify"],
            ["layer 'hidden' (linear) reads ['classify']", "reads before it"],
        ),
        ("hidden", ("op",), "input", ["layer 'hidden' (input)", "the input first"]),
        (None, ("output", "layer"), "nobody", ["has no layer 'nobody': it has layer_input, "]),
    ],
)
def test_manifests_that_do_not_follow_the_schema(copied, layer, place, value, words):
    folder = copied()
    entries = entries_of(folder)
    entry = entries if layer is None else next(one for one in entries["layers"] if one["name"] == layer)
    *outer, last = place
    for key in outer:
        entry = entry[key]
    if value is GONE:
        del entry[last]
    else:
        entry[last] = value
    written(folder, entries)
    refused(folder, *words)


def test_the_schema_refuses_unknown_keys_everywhere_and_is_valid():
    from jsonschema import Draft202012Validator

    schema = manifest_schema()
    Draft202012Validator.check_schema(schema)

    def objects(part):
        if isinstance(part, dict):
            if "properties" in part and part.get("type") == "object":
                yield part
            for value in part.values():
                yield from objects(value)
        elif isinstance(part, list):
            for value in part:
                yield from objects(value)

    found = list(objects(schema))
    assert len(found) > 20
    assert all(one["additionalProperties"] is False for one in found)
    referred = {word.split('"')[0] for word in json.dumps(schema).split("#/$defs/")[1:]}
    assert referred == set(schema["$defs"])


def test_every_file_of_an_entry_lies_in_the_folder(digits_export):
    manifest = Manifest.read(digits_export)
    names = [Path(entry["file"]) for entry in file_entries(manifest.entries)]
    assert len(names) == len(set(names)) > 50
    assert {name.parent.as_posix() for name in names} == {"weights", "tb_data"}
