"""An LSTM: an engine for the inputs of all steps, and behind it one for the states, with the cells at its end.

Both take ``pe`` rows and ``simd`` inputs at once, as `hwmodels.recurrent` counts them. The four rows of a unit follow
each other, so that a unit is complete as soon as its last gate is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports.hls.arithmetic import grid_type, multiplier_style, product_type
from dse.exports.hls.cpp import Alias, Array, Struct, looked_up, signed_bits
from dse.exports.hls.engine_layers import NO_BIAS, engine_config, store_weights
from dse.exports.hls.formats import listed_format, number_format
from dse.exports.hls.outputs import write_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.hls.formats import NumberFormat
    from dse.exports.hls.pipelines import Pipeline, Stream

_GATES: Final = 4


def lstm(pipeline: Pipeline) -> None:
    """A long short-term memory over a sequence."""
    rows = _Rows(pipeline)
    weight = rows.weight_format()
    pipeline.declare(*weight.structs, Alias(name=f"{pipeline.name}_weight", meaning=weight.cpp))
    codes = rows.weights()
    features = pipeline.entry["lstm"]["features"]
    sums = _input_engine(pipeline, rows.array("w", codes[:, :features]), weight)
    _cells(pipeline, sums, rows.array("h", codes[:, features:]), weight, rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Constants per row, one unit's four rows behind each other; the manifest lists gate by gate."""

    pipeline: Pipeline

    def ordered(self, values: NDArray[Any]) -> NDArray[Any]:
        """Rows ``(4 * hidden, ...)`` of the manifest in the order of the hardware."""
        return np.ascontiguousarray(np.swapaxes(values.reshape(_GATES, -1, *values.shape[1:]), 0, 1)).reshape(
            values.shape
        )

    def weights(self) -> NDArray[Any]:
        """Codes, ``(rows, features + hidden)``."""
        entry = self.pipeline.entry["weight"]
        return self.ordered(self.pipeline.manifest.integers(entry).reshape(entry["shape"]).T)

    def weight_format(self) -> NumberFormat:
        """What the codes mean."""
        entry, name = self.pipeline.entry["weight"], f"{self.pipeline.name}_weight"
        if "tables" not in entry:
            return number_format(name, entry["type"], entry["zero_point"])
        tables = self.pipeline.manifest.integers(entry["tables"]).reshape(entry["tables"]["shape"])
        return listed_format(name, entry["type"]["bits"], self.ordered(tables) if len(tables) > 1 else tables)

    def array(self, suffix: str, codes: NDArray[Any]) -> Array:
        """Weights in the folding's memory."""
        found = Array(name=f"{self.pipeline.name}_{suffix}", values=np.ascontiguousarray(codes))
        self.pipeline.declare(found)
        store_weights(self.pipeline, found)
        return found

    def lookup(self, function: str, key: str) -> tuple[str, NDArray[Any]]:
        """A function of the row, and what it returns for each."""
        values = self.ordered(self.pipeline.manifest.integers(self.pipeline.entry["lstm"][key]))
        array = Array(name=f"{self.pipeline.name}_{function}", values=values)
        self.pipeline.declare(array)
        return f"{array.element} {function}(int row) {{ return {array.name}[row]; }}", values


def _input_engine(pipeline: Pipeline, weights: Array, weight: NumberFormat) -> Stream:
    """The sums of the inputs of each step, as they are."""
    entry, source, rule = pipeline.entry, pipeline.sources[0], pipeline.entry["lstm"]
    pe, beat = int(entry.get("pe", 1)), int(entry.get("simd", 1))
    product = product_type(entry, source.number_format, weight)
    bits, rows = rule["input_sums"]["bits"], _GATES * rule["hidden"]
    types = {
        "stored_weight": weights.element,
        "product": product.cpp,
        "accumulator": f"exact_sum<{bits}, 0>",
        "result": f"as_it_is<{bits}>",
    }
    constants: dict[str, int | str] = {
        "positions": rule["steps"],
        "outputs": rows,
        "pe": pe,
        "depth": rule["features"],
        "beat": beat,
        "groups": 1,
        "group_lanes": 1,
    }
    config = engine_config(pipeline.name, types, constants, [NO_BIAS])
    pipeline.declare(Alias(name=f"{pipeline.name}_source", meaning=source.stream.cpp), *product.pieces, config)
    return pipeline.process(
        f"engine<{config.name}>",
        pipeline.with_lanes(source.stream, beat),
        weights.name,
        cpp=f"wide_format<{bits}>",
        count=rule["steps"] * rows,
        lanes=pe,
    )


def _cells(pipeline: Pipeline, sums: Stream, weights: Array, weight: NumberFormat, rows: _Rows) -> None:
    """The states from those of the step before, and the output from them."""
    entry, name, rule = pipeline.entry, pipeline.name, pipeline.entry["lstm"]
    formats = {key: number_format("", kind) for key, kind in rule["formats"].items()}
    fraction = {key: kind["fraction_bits"] for key, kind in rule["formats"].items()}
    pipeline.declare(Alias(name=f"{name}_state", meaning=formats["hidden"].cpp))
    product = product_type(entry, formats["hidden"], weight, left_name="state")
    functions, factor_bits, total = [], {}, 0
    for which in ("input", "state"):
        function, values = rows.lookup(f"{which}_multiplier", f"{which}_mult")
        functions.append(function)
        factor_bits[which] = signed_bits(0, int(values.max()))
        width = rule[f"{which}_sums"]["bits"]
        total = total + (values.astype(object) << (width - 1))
    function, biases = rows.lookup("bias", "bias")
    functions.append(function)
    tables = ("sigmoid", "tanh", "cell_tanh")
    functions += [looked_up(table, "int place", pipeline.manifest.integers(rule[table])) for table in tables]
    finer = max(fraction["cell"], fraction["tanh"])
    kept_shift, added_shift = finer - fraction["cell"], finer - fraction["tanh"]
    opening, slope = formats["sigmoid"].number_bits, formats["tanh"].number_bits
    cell_bits = opening + max(formats["cell"].number_bits + kept_shift, slope + added_shift) + 1
    casts = {
        "gate": rule["shift"],
        "cell": fraction["sigmoid"] + finer - fraction["cell"],
        "cell_index": fraction["cell"] - fraction["cell_index"],
        "hidden": fraction["sigmoid"] + fraction["tanh"] - fraction["hidden"],
    }
    types = {
        "source_format": sums.cpp,
        "state_format": f"{name}_state",
        "weight_format": f"{name}_weight",
        "stored_weight": weights.element,
        "style": multiplier_style(entry),
        "product": product.cpp,
        "input_factor": f"ap_int<{factor_bits['input']}>",
        "state_factor": f"ap_int<{factor_bits['state']}>",
        "sigmoid_number": f"ap_int<{opening}>",
        "tanh_number": f"ap_int<{slope}>",
    }
    bounds = {key: _bounds(rule["formats"][key]) for key in casts}
    for key, shift in casts.items():
        low, high = bounds[key]
        grid = grid_type(
            f"{name}_{key}_range", {"low": low, "high": high, "grid": "integer", "rounding": rule["rounding"]}
        )
        pipeline.declare(*grid.pieces)
        types[f"{key}_cast"] = f"to_grid<{grid.cpp}, {shift}>"
    output = write_output(pipeline)
    pe = int(entry.get("pe", 1))
    units = pe // _GATES if pe % _GATES == 0 else 1
    pipeline.declare(
        Struct(
            name=f"{name}_cells_config",
            types={**types, "result": output.result},
            constants={
                "steps": rule["steps"],
                "hidden": rule["hidden"],
                "pe": pe,
                "beat": int(entry.get("simd", 1)),
                "units": units,
                "gate_bits": signed_bits(0, int((total + abs(biases.astype(object))).max())),
                "cell_bits": cell_bits,
                "kept_shift": kept_shift,
                "added_shift": added_shift,
                "least_gate": bounds["gate"][0],
                "least_index": bounds["cell_index"][0],
            },
            functions=functions,
        )
    )
    made = pipeline.process(
        f"lstm_cells<{name}_cells_config>",
        sums,
        weights.name,
        cpp=output.cpp,
        count=math.prod(pipeline.shape),
        lanes=units,
    )
    output.finish(pipeline, made)


def _bounds(kind: Mapping[str, Any]) -> tuple[int, int]:
    half = 1 << (kind["bits"] - 1)
    return (-half, half - 1) if kind["signed"] else (0, 2 * half - 1)
