"""Names of layers that no tool stumbles over."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dse.exports.names import RESERVED, safe_names

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


@given(some.lists(some.text(max_size=80) | some.sampled_from(sorted(RESERVED)), unique=True, max_size=12))
def test_names_are_safe_and_distinct_whatever_the_case(names):
    found = safe_names(names)
    assert list(found) == names
    assert all(NAME.fullmatch(name) and len(name) < 100 for name in found.values())
    assert len({name.lower() for name in found.values()}) == len(names)
    assert not RESERVED.intersection(name.lower() for name in found.values())


def test_names_keep_what_they_can():
    assert safe_names(["stem.conv", "Stem_Conv", "stem_conv_2", "9", "Input", "module", "layer_module", "con"]) == {
        "stem.conv": "stem_conv",
        "Stem_Conv": "Stem_Conv_2",
        "stem_conv_2": "stem_conv_2_2",
        "9": "layer_9",
        "Input": "layer_Input",
        "module": "layer_module",
        "layer_module": "layer_module_2",
        "con": "layer_con",
    }


def test_a_keyword_of_c_plus_plus_is_reserved_and_no_name_is_refused(tool, tmp_path):
    """Judged by g++: every reserved word that it refuses as a variable is known, and safe names are variables."""
    compiler = tool("g++")

    def refused(words):
        path = tmp_path / "names.cpp"
        path.write_text("".join(f"namespace n{place} {{ int {word}; }}\n" for place, word in enumerate(words)))
        done = subprocess.run(
            [compiler, "-std=c++20", "-fsyntax-only", "-w", path], capture_output=True, text=True, check=False
        )
        return {words[int(line) - 1] for line in re.findall(r"names\.cpp:(\d+):\d+: error", done.stderr)}

    words = [
        "class",
        "and",
        "bitor",
        "co_await",
        "constinit",
        "requires",
        "wchar_t",
        "float",
        "int",
        "xor_eq",
        "export",
    ]
    assert refused(words) == set(words) <= RESERVED
    assert refused(list(safe_names(sorted(RESERVED)).values())) == set()


def test_a_keyword_of_verilog_is_reserved_and_no_name_is_refused(tool, tmp_path):
    simulator = tool("iverilog")

    def accepted(word):
        path = tmp_path / "names.v"
        path.write_text(f"module top; reg [3:0] {word}; endmodule\n")
        command = [simulator, "-g2012", "-t", "null", path]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    for word in ("input", "table", "wire", "logic", "do", "priority", "bit"):
        assert not accepted(word)
        assert word in RESERVED
    path = tmp_path / "all.v"
    names = safe_names(sorted(RESERVED)).values()
    path.write_text("module top;\n" + "".join(f"reg [3:0] {name};\n" for name in names) + "endmodule\n")
    done = subprocess.run([simulator, "-g2012", "-t", "null", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["a__b", "_Upper", "x_", "__"])
def test_names_that_c_plus_plus_keeps_for_itself_are_changed(name):
    (safe,) = safe_names([name]).values()
    assert "__" not in safe
    assert not safe.startswith("_")
