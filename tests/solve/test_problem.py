"""What a problem refuses, and in which words; exact evaluation; imports."""

import subprocess
import sys

import numpy as np
import pytest

from dse.solve import evaluate
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective

LOSS = (AttributeObjective(name="loss"),)


def table(name="a", **columns):
    return LayerTable(name=name, columns=columns or {"loss": [1, 2], "luts": [3, 4], "format": [0, 1]})


def problem(**changes):
    return Problem(**({"layers": (table("a"), table("b")), "objectives": LOSS} | changes))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, "layer 'a' has no attributes"),
        ({"loss": []}, "layer 'a' has no options: a layer needs at least one"),
        ({"loss": [1], "luts": [1, 2]}, r"columns of different length: \{'loss': 1, 'luts': 2\}"),
        ({"loss": [1, 2.5]}, r"attribute 'loss' of layer 'a', option 1, must be an integer, got 2.5: scale it"),
        ({"loss": np.array([1.0])}, "option 0, must be an integer"),
        ({"loss": [2**53]}, r"option 0, is 9007199254740992: integers stay within \+-2\*\*53"),
        ({"loss": [1, 2**70]}, f"option 1, is {2**70}: integers stay within"),
        ({"loss": [[1, 2]]}, r"must be one-dimensional .* got shape \(1, 2\)"),
        ({"loss": np.array([True])}, "option 0, must be an integer, got np.True_"),
    ],
)
def test_tables_refuse(columns, text):
    with pytest.raises(ValueError, match=text):
        LayerTable(name="a", columns=columns)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layers": ()}, "a problem needs at least one layer"),
        ({"objectives": ()}, "a problem needs at least one objective"),
        ({"layers": (table("a"), table("a"))}, "layer 'a' is given more than once: names must be unique"),
        ({"objectives": LOSS + LOSS}, "objective 'loss' is given more than once"),
        ({"caps": (Cap(resource="luts", limit=1), Cap(resource="luts", limit=2))}, "cap on 'luts' is given more"),
        (
            {"caps": (Cap(resource="lut", limit=1),)},
            "the cap on 'lut' uses attribute 'lut', which no layer has: known are format, loss, luts",
        ),
        (
            {"caps": (Cap(resource="luts", limit=-1),)},
            "the cap on 'luts' is -1: resources, and so their caps, are not negative",
        ),
        (
            {"caps": (Cap(resource="luts", limit=2**53),)},
            r"the cap on 'luts' is 9007199254740992: integers stay within \+-2\*\*53; leave out a cap that limits",
        ),
        ({"caps": (Cap(resource="loss", limit=-(2**70)),)}, f"the cap on 'loss' is -{2**70}: integers stay within"),
        ({"branch": "c"}, "branch names layer 'c': the layers are a, b"),
        ({"caps": (Cap(resource="luts", limit=1.5),)}, "limit of the cap on 'luts' must be an integer, got 1.5"),
        ({"objectives": (AttributeObjective(name="x"),)}, "objective 'x' uses attribute 'x', which no layer has"),
        (
            {"layers": (table("a", loss=[1], luts=[-2]),), "caps": (Cap(resource="luts", limit=1),)},
            "resource 'luts' of layer 'a', option 0, is -2: resources must not be negative",
        ),
        (
            {"layers": (table("a", loss=[2**52]), table("b", loss=[-(2**52)]))},
            r"objective 'loss': the layers' largest values of 'loss' add up to 9007199254740992, beyond 2\*\*53",
        ),
        (
            {"couplings": (Coupling(left_layer="a", left_key="format", right_layer="c", right_key="format"),)},
            "coupling a.format = c.format names layer 'c': the layers are a, b",
        ),
        (
            {"couplings": (Coupling(left_layer="a", left_key="format", right_layer="b", right_key="aout"),)},
            "layer 'b' has no attribute 'aout': it has format, loss, luts",
        ),
        (
            {"couplings": (Coupling(left_layer="a", left_key="format", right_layer="b", right_key="luts"),)},
            "can never hold: the left side offers 0, 1, the right side 3, 4; add options with a common value",
        ),
        (
            {"couplings": (Coupling(left_layer="a", left_key="format", right_layer="a", right_key="luts"),)},
            "joins a layer with itself",
        ),
        (
            {
                "objectives": (UtilisationObjective(name="u", limits={"luts": 5}),),
                "combine": {"luts": Combine.MAX},
            },
            "utilisation objective 'u' uses 'luts', which combines by maximum",
        ),
    ],
)
def test_problems_refuse(changes, text):
    with pytest.raises(ValueError, match=text):
        problem(**changes)


def test_utilisation_limits_are_positive_integers():
    with pytest.raises(ValueError, match="limit of 'luts' in utilisation objective 'u' must be at least 1, got 0"):
        UtilisationObjective(name="u", limits={"luts": 0})
    with pytest.raises(ValueError, match=r"limit of 'luts' in utilisation objective 'u' must be an integer, got 2\.5"):
        UtilisationObjective(name="u", limits={"luts": 2.5})
    with pytest.raises(ValueError, match="names no resource"):
        UtilisationObjective(name="u", limits={})


def test_negative_objectives_are_fine_even_with_a_cap():
    made = problem(layers=(table("a", loss=[-5, 3]),), caps=(Cap(resource="loss", limit=0),))
    assert evaluate(made, (0,)).objectives == {"loss": -5}


def test_tables_are_copies_and_read_only():
    source = np.array([1, 2])
    made = table("a", loss=source)
    source[0] = 99
    assert made.option(0) == {"loss": 1}
    with pytest.raises(ValueError, match="read-only"):
        made.columns["loss"][0] = 5


def test_options_without_an_attribute_count_zero():
    made = LayerTable.from_options("a", [{"loss": 1}, {"luts": 7}])
    assert [made.option(i) for i in range(2)] == [{"loss": 1, "luts": 0}, {"loss": 0, "luts": 7}]
    with pytest.raises(ValueError, match="layer 'b' has no options"):
        LayerTable.from_options("b", [])


def test_evaluation_is_exact_and_names_what_does_not_hold():
    made = problem(
        objectives=(UtilisationObjective(name="u", limits={"luts": 7}), AttributeObjective(name="loss")),
        caps=(Cap(resource="luts", limit=7),),
        couplings=(Coupling(left_layer="a", left_key="format", right_layer="b", right_key="format"),),
    )
    good = evaluate(made, (0, 0))
    assert good.objectives == {"u": 857143, "loss": 2}
    assert good.totals == {"luts": 6}
    assert good.violations == ()
    assert evaluate(made, (0, 1)).violations == ("coupling a.format = b.format does not hold: 0 and 1",)
    assert evaluate(made, (1, 1)).violations == ("'luts' is 8, the cap is 7",)
    assert all(type(value) is int for value in good.objectives.values())


def test_layers_without_a_maximum_attribute_do_not_count():
    made = Problem(
        layers=(table("a", cycles=[-4, -2]), table("b", loss=[1])),
        objectives=(AttributeObjective(name="cycles"),),
        combine={"cycles": Combine.MAX},
    )
    assert evaluate(made, (0, 0)).objectives == {"cycles": -4}


def test_selections_are_checked():
    with pytest.raises(ValueError, match=r"one option per layer \(2\), got 1"):
        evaluate(problem(), (0,))
    with pytest.raises(ValueError, match="layer 'b' has options 0 to 1, got 2"):
        evaluate(problem(), (0, 2))


def test_import_is_light():
    code = (
        "import sys, dse.solve; heavy = {'torch', 'numba', 'pandas', 'pyomo', 'highspy', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
