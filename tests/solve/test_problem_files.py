"""Problems from JSON and fronts to JSON: what is read, what is refused and in which words."""

import copy
import gzip
import json
import math

import pytest

from dse.solve import optimise, problem_files
from dse.solve.problem import Combine
from dse.solve.problem_files import ProblemFileError, front_as_json, parse_problem, read_problem
from tests.solve.drawn_problems import draw_problem, enumerate_front

TABLE = {
    "layers": [
        {
            "name": "conv1",
            "options": [
                {"lut": 10, "dsp": 0, "bram": 1, "cycles": 9, "energy": 4, "loss": 5, "ain": 4, "aout": 4, "ip": "big"},
                {"lut": 20, "dsp": 1, "bram": 0, "cycles": 3, "energy": 2, "loss": -1, "ain": 4, "aout": 8},
            ],
        },
        {
            "name": "conv2",
            "options": [
                {"lut": 5, "dsp": 0, "bram": 1, "cycles": 7, "energy": 1, "loss": 2, "ain": 4, "aout": 4, "ip": "big"},
                {"lut": 9, "dsp": 2, "bram": 2, "cycles": 1, "energy": 6, "loss": 0, "ain": 8, "aout": 4, "ip": None},
            ],
        },
    ],
    "caps": {"lut": 1000},
    "latency": "max",
    "couplings": [[0, "aout", 1, "ain"]],
    "ips": [{"id": "big", "lut": 100, "dsp": 1}, {"id": "small", "lut": 3}],
    "max_ips": 1,
    "loss_unit": 9.5e-07,
}


def test_everything_in_a_file_reaches_the_problem(tmp_path):
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(TABLE))
    problem = read_problem(path, ["cycles", "loss", "lut"])
    assert problem.combines("cycles") is Combine.MAX
    assert [str(coupling) for coupling in problem.couplings] == ["conv1.aout = conv2.ain"]
    assert [(cap.resource, cap.limit) for cap in problem.caps] == [("lut", 1000)]
    assert problem.paid_once[0].most == 1
    front = optimise(problem)
    assert front.complete
    # Option 0 with 0 pays the shared part once; 1 with 1 uses none.
    assert front.vectors() == ((3, -1, 29),)
    assert optimise(problem, ["energy", "dsp"], {}).vectors() == ((5, 1),)
    zipped = tmp_path / "problem.json.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert optimise(read_problem(zipped, ["cycles", "loss", "lut"])).vectors() == front.vectors()


def test_answers_in_json_hold_what_is_promised():
    found = front_as_json(optimise(parse_problem(TABLE, ["lut", "cycles"])))
    assert json.loads(json.dumps(found)) == found
    assert found["objectives"] == ["lut", "cycles"]
    assert found["points"] == [[29, 3]]
    assert found["designs"] == [[1, 1]]
    assert (found["complete"], found["gap"], found["gap_kind"]) == (True, 0.0, "none")
    assert found["certificates"][0]["bound"] == 29
    assert (found["units"], found["explanation"]) == ([1.0, 1.0], None)
    assert found["seconds"] >= 0


@pytest.mark.parametrize("seed", range(30))
def test_drawn_problems_survive_the_file(seed):
    problem = draw_problem(seed, designs=500)
    index = problem.layer_index
    parts = problem.paid_once[0] if problem.paid_once else None
    names = ["a", "b", "c"]
    layers = []
    for layer in problem.layers:
        options = [layer.option(i) for i in range(layer.option_count)]
        for option in options:
            if "ip" in option:
                number = option.pop("ip")
                if number >= 0:
                    option["ip"] = names[number]
        layers.append({"name": layer.name, "options": options})
    table = {
        "layers": layers,
        "caps": {cap.resource: cap.limit for cap in problem.caps},
        "latency": problem.combines("cycles").value,
        "couplings": [[index[c.left_layer], c.left_key, index[c.right_layer], c.right_key] for c in problem.couplings],
    }
    if parts is not None:
        amounts = {name: parts.amounts[name].tolist() for name in parts.amounts}
        table["ips"] = [{"id": names[i], **{key: values[i] for key, values in amounts.items()}} for i in range(3)]
        if parts.most is not None:
            table["max_ips"] = parts.most
    front = optimise(parse_problem(table, problem.objective_names))
    assert dict(zip(front.vectors(), front.designs, strict=True)) == enumerate_front(problem)


def changed(*path, value):
    table = copy.deepcopy(TABLE)
    place = table
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return table


OPTION = ("layers", 0, "options", 0)
COUPLING = "coupling 0 must be [layer, attribute, layer, attribute], layers counted from 0, got "
LUT = "attribute 'lut' of layer 'conv1', option 0, "

REFUSED = {
    "empty": ({}, "the problem has no 'layers': give a list of layers, each with its options"),
    "key": (changed("oops", value=1), "the problem has the unknown key 'oops': allowed are caps, couplings, ips,"),
    "layers": (changed("layers", value={}), "'layers' must be a list, got an object"),
    "no layers": (changed("layers", value=[]), "the problem has no 'layers'"),
    "layer": (changed("layers", 0, value=[]), "layer 0 must be an object, got a list"),
    "layer key": (
        changed("layers", 0, "typo", value=1),
        "layer 0 has the unknown key 'typo': allowed are name, options",
    ),
    "name": (changed("layers", 0, "name", value=3), "the name of layer 0 must be a text, got the number 3"),
    "same name": (changed("layers", 1, "name", value="conv1"), "layer 'conv1' is given more than once: names must be"),
    "options": (
        changed("layers", 0, "options", value={}),
        "the options of layer 'conv1' must be a list, got an object",
    ),
    "no options": (
        changed("layers", 0, "options", value=[]),
        "layer 'conv1' has no options: a layer needs at least one",
    ),
    "unnamed": (changed("layers", 0, value={}), "layer 'layer0' has no options: a layer needs at least one"),
    "option": (changed(*OPTION, value=None), "option 0 of layer 'conv1' must be an object, got null"),
    "nothing": (changed("layers", 0, "options", value=[{"ip": "big"}]), "options of layer 'conv1' have no attributes"),
    "missing": (
        changed("layers", 0, "options", 1, "extra", value=1),
        "option 0 of layer 'conv1' has no 'extra', which",
    ),
    "float": (changed(*OPTION, "lut", value=1.5), LUT + "must be an integer, got the number 1.5: scale it to integers"),
    "whole float": (changed(*OPTION, "lut", value=2.0), LUT + "must be an integer, got the number 2.0"),
    "nan": (changed(*OPTION, "lut", value=math.nan), LUT + "must be an integer, got the number NaN"),
    "text": (changed(*OPTION, "lut", value="10"), LUT + 'must be an integer, got the text "10": give a whole number'),
    "long": (changed(*OPTION, "lut", value="x" * 99), LUT + f'must be an integer, got the text "{"x" * 59}...: give'),
    "true": (changed(*OPTION, "lut", value=True), LUT + "must be an integer, got true: give a whole number"),
    "null": (changed(*OPTION, "lut", value=None), LUT + "must be an integer, got null: give a whole number"),
    "list": (changed(*OPTION, "lut", value=[1]), LUT + "must be an integer, got a list: give a whole number"),
    "negative": (
        changed(*OPTION, "lut", value=-1),
        "resource 'lut' of layer 'conv1', option 0, is -1: resources must not",
    ),
    "large": (
        changed(*OPTION, "loss", value=-(2**53)),
        "is -9007199254740992: integers stay within +-2**53; use a larger",
    ),
    "huge": (changed(*OPTION, "loss", value=10**30), f"option 0, is {10**30}: integers stay within +-2**53"),
    "objective": (TABLE, "objective 'watts' uses attribute 'watts', which no layer has: known are ain, aout,", "watts"),
    "twice": (TABLE, "objective 'loss' is given more than once: names must be unique", "loss", "loss"),
    "parts": (
        TABLE,
        "an objective is 'ip', which names shared parts and is no number: 'max_ips' limits how many",
        "ip",
    ),
    "caps": (changed("caps", value=[]), "'caps' must be an object, got a list"),
    "cap": (changed("caps", value={"lut": 1.5}), "the cap on 'lut' must be an integer, got the number 1.5: scale it"),
    "cap text": (
        changed("caps", value={"lut": "9"}),
        "the cap on 'lut' must be an integer, got the text \"9\": give a",
    ),
    "cap < 0": (changed("caps", value={"lut": -1}), "the cap on 'lut' is -1: resources must not be negative"),
    "other cap < 0": (
        changed("caps", value={"energy": -1}),
        "the cap on 'energy' is -1: resources, and so their caps,",
    ),
    "cap size": (changed("caps", value={"loss": -(2**70)}), f"the cap on 'loss' is -{2**70}: integers stay within"),
    "cap name": (changed("caps", value={"watts": 1}), "the cap on 'watts' uses attribute 'watts', which no layer has"),
    "cap on ip": (changed("caps", value={"ip": 1}), "what a cap limits is 'ip', which names shared parts"),
    "latency": (changed("latency", value="avg"), "'latency' must be 'sum' or 'max', got the text \"avg\""),
    "no latency": (changed("latency", value=None), "'latency' must be 'sum' or 'max', got null"),
    "couplings": (changed("couplings", value={}), "'couplings' must be a list, got an object"),
    "far": (
        changed("couplings", value=[[0, "aout", 7, "ain"]]),
        "coupling 0 names layer 7: there are 2 layers, counted",
    ),
    "before": (changed("couplings", value=[[-1, "aout", 1, "ain"]]), "coupling 0 names layer -1: there are 2 layers"),
    "short": (changed("couplings", value=[[0, "aout", 1]]), COUPLING + '[0, "aout", 1]'),
    "truth": (changed("couplings", value=[[True, "aout", 1, "ain"]]), COUPLING + '[true, "aout", 1, "ain"]'),
    "by name": (changed("couplings", value=[["a", "aout", [], "ain"]]), COUPLING + '["a", "aout", ..., "ain"]'),
    "coupling": (changed("couplings", value=[5]), COUPLING + "the number 5"),
    "itself": (
        changed("couplings", value=[[0, "aout", 0, "ain"]]),
        "coupling conv1.aout = conv1.ain joins a layer with",
    ),
    "bits": (
        changed("couplings", value=[[0, "aout", 1, "bits"]]),
        "layer 'conv2' has no attribute 'bits': it has ain,",
    ),
    "on ip": (
        changed("couplings", value=[[0, "ip", 1, "ip"]]),
        "an attribute of coupling 0 is 'ip', which names shared",
    ),
    "never": (
        changed("couplings", value=[[0, "aout", 1, "cycles"]]),
        "coupling conv1.aout = conv2.cycles can never hold: the left side offers 4, 8, the right side 1, 7; add",
    ),
    "ips": (changed("ips", value={}), "'ips' must be a list, got an object"),
    "ip": (changed("ips", value=["big"]), 'ip 0 must be an object, got the text "big"'),
    "ip id": (changed("ips", value=[{"lut": 1}]), "ip 0 needs an 'id' that is a text, got null"),
    "same ip": (changed("ips", value=[{"id": "big"}] * 2), "ip 'big' is given more than once: ids must be unique"),
    "ip < 0": (changed("ips", 0, "lut", value=-5), "'lut' of ip 'big' is -5: resources must not be negative"),
    "ip text": (changed("ips", 0, "lut", value="5"), "'lut' of ip 'big' must be an integer, got the text \"5\": give"),
    "ip size": (changed("ips", 0, "lut", value=2**70), f"'lut' of ip 'big' is {2**70}: integers stay within +-2**53"),
    "ip cycles": (
        changed("ips", 0, "cycles", value=5),
        "ip 'big' gives 'cycles', which do not add up if 'latency' is 'max'",
    ),
    "ip of ip": (changed("ips", 0, "ip", value=5), "an amount of ip 'big' is 'ip', which names shared parts"),
    "no ip": (
        changed(*OPTION, "ip", value="huge"),
        "names ip \"huge\", which 'ips' does not list: known are big, small",
    ),
    "ip list": (
        changed(*OPTION, "ip", value=["big"]),
        "option 0 of layer 'conv1' names ip ..., which 'ips' does not list",
    ),
    "no ips": (changed("ips", value=[]), "names ip \"big\", which 'ips' does not list: known are none"),
    "most < 0": (
        changed("max_ips", value=-1),
        "'max_ips' must be at least 0, got -1: leave it out if nothing is limited",
    ),
    "most": (changed("max_ips", value="3"), "'max_ips' must be an integer, got the text \"3\": give a whole number"),
    "unit": (changed("loss_unit", value=0), "'loss_unit' must be a finite number above 0, got the number 0"),
    "unit < 0": (changed("loss_unit", value=-1), "'loss_unit' must be a finite number above 0, got the number -1"),
    "unit nan": (changed("loss_unit", value=math.nan), "must be a finite number above 0, got the number NaN"),
    "unit inf": (changed("loss_unit", value=math.inf), "must be a finite number above 0, got the number Infinity"),
    "unit text": (changed("loss_unit", value="1"), "'loss_unit' must be a finite number above 0, got the text \"1\""),
    "sums": (
        {"layers": [{"name": str(i), "options": [{"loss": (-1) ** i * 2**52}]} for i in range(3)]},
        "the layers' largest values of 'loss' add up to 13510798882111488, beyond 2**53 (9007199254740992): scale the",
        "loss",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words(name, tmp_path):
    table, words, *objectives = REFUSED[name]
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ProblemFileError) as error:
        read_problem(path, objectives or ["loss", "lut"])
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)


def test_what_is_allowed_at_the_edges():
    """The largest integers, a negative cap on an objective, no shared part at all, parts that nothing limits."""
    edge = 2**53 - 1
    table = {"layers": [{"options": [{"loss": edge}, {"loss": -edge}]}], "caps": {"loss": -1}, "max_ips": 0}
    assert optimise(parse_problem(table, ["loss"])).vectors() == ((-edge,),)
    table = changed("max_ips", value=None)
    assert parse_problem(table, ["loss"]).paid_once[0].most is None
    assert parse_problem(TABLE, ["lut", "loss"]).objectives[1].unit == 9.5e-07


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON: Expecting value: line 1 column 1"),
        (b"{", "no JSON: Expecting property name"),
        (b"{} {}", "no JSON: Extra data: line 1 column 4"),
        (b"[1]", "a problem is an object with the key 'layers', got a list"),
        (b"null", "a problem is an object with the key 'layers', got null"),
        (b'{"layers": [], "layers": []}', "an object gives the key 'layers' more than once: leave all but one out"),
        (b'{"layers": ' + b"9" * 5000 + b"}", "an integer has thousands of digits: integers stay within +-2**53"),
        (b"[" * 100_000, "nested too deeply: a problem has 5 levels"),
        (b"\x1f\x8b nonsense", "begins like a gzip file but is damaged (Unknown compression method): make it again"),
        (gzip.compress(b"{}" * 100, mtime=0)[:-9], "begins like a gzip file but is damaged (Compressed file ended"),
        (gzip.compress(b"{}", mtime=0)[:-8] + bytes(8), "begins like a gzip file but is damaged (CRC check failed"),
        (b"\xff\xfe\xfd", "no JSON: 'utf-16-le' codec can't decode"),
    ],
)
def test_files_that_are_no_problems(content, words, tmp_path):
    path = tmp_path / "problem.json"
    path.write_bytes(content)
    with pytest.raises(ProblemFileError) as error:
        read_problem(path, ["loss"])
    assert str(error.value).startswith(f"{path}: {words}")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(ProblemFileError, match=r"missing\.json: cannot read it: No such file or directory"):
        read_problem(tmp_path / "missing.json", ["loss"])
    with pytest.raises(ProblemFileError, match="cannot read it: Is a directory"):
        read_problem(tmp_path, ["loss"])
    monkeypatch.setattr(problem_files, "LARGEST_FILE", 5000)
    for name, content in (("large.json", b" " * 5001), ("small.json.gz", gzip.compress(b" " * 100_000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ProblemFileError, match=f"{name}: more than 5,000 bytes of JSON: leave out options"):
            read_problem(tmp_path / name, ["loss"])


def test_a_byte_order_mark_is_no_harm(tmp_path):
    path = tmp_path / "problem.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(TABLE).encode())
    assert read_problem(path, ["loss"]).layer_index == {"conv1": 0, "conv2": 1}


def test_what_clashes_is_in_the_answer():
    table = changed("caps", value={"lut": 20, "dsp": 1})
    found = front_as_json(optimise(parse_problem(table, ["lut"])))
    assert found["points"] == []
    assert found["explanation"] == {
        "least": {"lut": 29, "dsp": 1, "number of ips": 0},
        "clash": ["lut"],
        "growth": 3.0,
        "raise_one": {"lut": 115},
        "nearest": [1, 1],
    }
