"""pyaugmecon on a table, run as a process of its own environment (Python 3.12 or newer); see `optimiser`.

Reads the JSON of a problem without couplings and whose cycles add up, and the names of two objectives; prints JSON with
the points and the seconds of its solve.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import pyomo.environ as pyo


def build(table, objectives):
    """One binary variable per option, one of each layer, caps as rows, two objectives."""
    model = pyo.ConcreteModel()
    places = [(i, o) for i, layer in enumerate(table["layers"]) for o in range(len(layer["options"]))]
    model.pick = pyo.Var(places, domain=pyo.Binary)
    model.one = pyo.ConstraintList()
    for i, layer in enumerate(table["layers"]):
        model.one.add(sum(model.pick[i, o] for o in range(len(layer["options"]))) == 1)

    def total(name):
        return sum(table["layers"][i]["options"][o][name] * model.pick[i, o] for i, o in places)

    model.caps = pyo.ConstraintList()
    for name, limit in table["caps"].items():
        model.caps.add(total(name) <= limit)
    model.obj_list = pyo.ObjectiveList()
    for name in objectives:
        model.obj_list.add(expr=total(name), sense=pyo.minimize)
    return model


def main(path, *objectives):
    """Solve in exact mode with one worker, gap 0, tight tolerances, and every solve from the start.

    With warm starts, its default, pyaugmecon 2.0.1 with highspy 1.16.0 took the first optimum for the smallest second
    objective of the capped table as well and returned one point of 169; without caps they saved no time.
    """
    from pyaugmecon import PyAugmecon  # in its own environment alone, so that this file can be imported in ours

    model = build(json.loads(Path(path).read_text()), objectives)
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "mode": "exact",
            "workers": 1,
            "solve_warmstart": False,
            "solver_name": "appsi_highs",
            "solver_options": {
                "mip_rel_gap": 0.0,
                "mip_feasibility_tolerance": 1e-9,
                "primal_feasibility_tolerance": 1e-9,
            },
            "artifact_folder": folder,
            "write_csv": False,
            "progress_bar": False,
            "log_to_console": False,
        }
        started = time.process_time()
        result = PyAugmecon(model, config).solve()
        seconds = time.process_time() - started
    points = sorted([round(value) for value in point] for point in result.points)
    sys.stdout.write(json.dumps({"points": points, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
