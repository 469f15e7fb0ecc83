"""Problems from JSON and fronts to JSON: what is read, what is refused and in which words."""

import copy
import gzip
import json

import pytest

from dse.solve import optimise
from dse.solve.problem import Combine
from dse.solve.problem_files import front_as_json, parse_problem, read_problem
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


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "the problem has no 'layers'"),
        (changed("layers", value={}), "'layers' must be a list, got an object"),
        (changed("layers", 0, value=[]), "layer 0 must be an object, got a list"),
        (changed("layers", 0, "options", value=[]), "layer 'conv1' has no options: a layer needs at least one"),
        (changed("layers", 0, "typo", value=1), "layer 0 has the unknown key 'typo': allowed are name, options"),
        (changed("layers", 0, "options", 0, "lut", value=1.5), "'lut' of layer 'conv1', option 0, must be an integer"),
        (changed("layers", 0, "options", 0, "lut", value=True), "must be an integer, got True"),
        (changed("layers", 0, "options", 0, "lut", value=-1), "resources must not be negative"),
        (changed("layers", 0, "options", 0, "lut", value=2**60), "integers stay within +-2**53"),
        (changed("layers", 0, "options", 1, "extra", value=1), "option 0 of layer 'conv1' has no 'extra'"),
        (changed("layers", 0, "options", 0, "ip", value="huge"), "names ip 'huge', which 'ips' does not list"),
        (changed("layers", 1, "name", value="conv1"), "layer 'conv1' is given more than once"),
        (changed("oops", value=1), "the problem has the unknown key 'oops'"),
        (changed("caps", value={"lut": 1.5}), "the cap on 'lut' must be an integer, got 1.5"),
        (changed("caps", value={"watts": 1}), "uses attribute 'watts', which no layer has"),
        (changed("latency", value="mean"), "'latency' must be 'sum' or 'max', got 'mean'"),
        (changed("couplings", value=[[0, "aout", 7, "ain"]]), "coupling 0 names layer 7: there are 2 layers, 0 to 1"),
        (changed("couplings", value=[[0, "aout", 1]]), "must be [layer, attribute, layer, attribute]"),
        (changed("couplings", value=[[0, "aout", 1, "bits"]]), "layer 'conv2' has no attribute 'bits'"),
        (changed("couplings", value=[[0, "aout", 1, "cycles"]]), "can never hold"),
        (changed("ips", value=[{"lut": 1}]), "ip 0 needs an 'id'"),
        (changed("ips", 0, "lut", value=-5), "what is paid once must not be negative"),
        (changed("max_ips", value=-1), "at most -1 items of 'ip' may be used"),
        (changed("loss_unit", value=0), "'loss_unit' must be a number above 0, got 0"),
    ],
)
def test_bad_input_is_refused_in_words(table, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are checked below
        parse_problem(table, ["loss", "lut"])
    assert words in str(error.value)


def test_sums_beyond_what_floats_hold_are_refused():
    table = {"layers": [{"name": str(i), "options": [{"loss": 2**52}]} for i in range(3)]}
    with pytest.raises(ValueError, match=r"add up to 13510798882111488, beyond 2\*\*53"):
        parse_problem(table, ["loss"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is no JSON"),
        (b"[1]", "must hold an object with the key 'layers', got a list"),
        (b"\x1f\x8b nonsense", "cannot read"),
        (gzip.compress(b"{}" * 100, mtime=0)[:-9], "begins like a gzip file but is damaged"),
        (b"\xff\xfe", "is no JSON"),
    ],
)
def test_files_that_are_no_problems(content, words, tmp_path):
    path = tmp_path / "problem.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_problem(path, ["loss"])
    with pytest.raises(ValueError, match=r"cannot read .*: No such file"):
        read_problem(tmp_path / "missing.json", ["loss"])
