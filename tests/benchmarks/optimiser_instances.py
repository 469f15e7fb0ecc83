"""Problems like those of a network on an FPGA, drawn with a seed: costs hang together as measured ones do.

A layer has a number of multiplications and a sensitivity. An option has a weight and an activation width and a number
of parallel units: area grows with their product (in look-up tables or in DSP slices), cycles fall with the units, the
loss falls fourfold with every bit, memory grows with the width and with the units; all with some scatter.
"""

import numpy as np

from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective

WIDTHS = (2, 3, 4, 8)
LOSS_UNIT = 2.0**-20
RESOURCES = ("lut", "dsp", "bram")


def layer_table(draw, name, options):
    """The options of one layer."""
    multiplications = 10 ** draw.uniform(4, 6)
    sensitivity = 10 ** draw.uniform(-1, 1)
    weight, activation = draw.integers(2, 9, options), draw.integers(2, 9, options)
    units = 2 ** draw.integers(0, 7, options)
    in_slices = draw.random(options) < 0.4
    scatter = draw.uniform(0.85, 1.2, (5, options))
    product = units * weight * activation
    loss = (4.0**-weight + 4.0**-activation) * sensitivity / LOSS_UNIT
    return LayerTable(
        name=name,
        columns={
            "loss": (loss * scatter[0]).astype(np.int64),
            "lut": (product * np.where(in_slices, 0.2, 1.1) * scatter[1]).astype(np.int64) + 150 + 8 * units,
            "dsp": np.where(in_slices, np.ceil(units / 2), 0).astype(np.int64),
            "bram": np.ceil(np.sqrt(multiplications) * weight / 400 * (1 + units / 64) * scatter[2]).astype(np.int64),
            "cycles": (multiplications / units * scatter[3]).astype(np.int64) + 20,
            "energy": (multiplications * weight * activation / 500 * scatter[4]).astype(np.int64),
            "ain": np.array(WIDTHS)[draw.integers(0, len(WIDTHS), options)],
            "aout": np.array(WIDTHS)[draw.integers(0, len(WIDTHS), options)],
        },
    )


def utilisation_of(tables):
    """How full a device is that has a quarter of what the largest options of all layers take."""
    most = {name: sum(int(table.column(name).max()) for table in tables) for name in RESOURCES}
    return UtilisationObjective(name="utilisation", limits={name: max(1, total // 4) for name, total in most.items()})


def make_problem(layers, options, objectives, *, seed=0, capped=False, chain=False, latency="sum", room=0.5):
    """A problem of that many layers and options each.

    Args:
        layers: Number of layers.
        options: Options per layer.
        objectives: Attributes to minimise; "utilisation" of a device with a quarter of what the largest options take.
        seed: Of the random numbers.
        capped: Whether look-up tables, DSP slices and memories are limited.
        chain: Whether a layer's output width must be the next layer's input width.
        latency: "sum" or "max", how cycles combine.
        room: Where the caps lie between the smallest sums and those of every layer's middle option.
    """
    draw = np.random.default_rng(seed)
    tables = [layer_table(draw, f"layer{position}", options) for position in range(layers)]
    caps = []
    for resource in RESOURCES if capped else ():
        columns = [table.column(resource) for table in tables]
        least = sum(int(column.min()) for column in columns)
        middle = sum(float(np.median(column)) for column in columns)
        caps.append(Cap(resource=resource, limit=int(least + room * (middle - least)) + 1))
    couplings = [
        Coupling(left_layer=f"layer{i}", left_key="aout", right_layer=f"layer{i + 1}", right_key="ain")
        for i in range(layers - 1 if chain else 0)
    ]
    return Problem(
        layers=tables,
        objectives=[
            utilisation_of(tables) if name == "utilisation" else AttributeObjective(name=name) for name in objectives
        ],
        couplings=couplings,
        caps=caps,
        combine={"cycles": Combine(latency)},
    )


def as_table(problem):
    """The problem as `bitfront front --problem` reads it."""
    index = problem.layer_index
    return {
        "layers": [
            {"name": layer.name, "options": [layer.option(i) for i in range(layer.option_count)]}
            for layer in problem.layers
        ],
        "caps": {cap.resource: cap.limit for cap in problem.caps},
        "latency": problem.combines("cycles").value,
        "couplings": [[index[c.left_layer], c.left_key, index[c.right_layer], c.right_key] for c in problem.couplings],
        "loss_unit": LOSS_UNIT,
    }
