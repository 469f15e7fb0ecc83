"""Faults of one layer of a base folder, as functions of the folder and the layer's entry; and how tools answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dse.errors import NotExportableError
from dse.exports.verification import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.exports.manifest import Manifest
    from dse.exports.verification import Difference, Outcome


def integers(folder, entry):
    return np.array([int(line) for line in (folder / entry["file"]).read_text().split()])


def write(folder, entry, values):
    (folder / entry["file"]).write_text("".join(f"{int(value)}\n" for value in values))


def other_rounding(folder, layer):
    assert layer["out_type"]["rounding"] == "half-even"
    layer["out_type"]["rounding"] = "half-up"


def truncation(folder, layer):
    layer["out_type"]["rounding"] = "floor"


def dropped_bias(folder, layer):
    del layer["bias"]


def transposed_weights(folder, layer):
    values = integers(folder, layer["weight"]).reshape(layer["weight"]["shape"])
    write(folder, layer["weight"], np.swapaxes(values, -1, -2).reshape(-1))


def swapped_layout(folder, layer):
    """Channels before kernel taps, as torch has them."""
    values = integers(folder, layer["weight"]).reshape(layer["weight"]["shape"])
    write(folder, layer["weight"], np.moveaxis(values, (-1, -2), (0, 1)).reshape(-1))


def one_weight(folder, layer):
    values = integers(folder, layer["weight"])
    values[len(values) // 2] += 1 if values[len(values) // 2] <= 0 else -1
    write(folder, layer["weight"], values)


def one_bias(folder, layer):
    values = integers(folder, layer["bias"])
    values[-1] += 64
    write(folder, layer["bias"], values)


def one_shift(folder, layer):
    layer["shift"] += 1


def one_multiplier(folder, layer):
    layer["addend_multipliers"][1] *= 2


def saturation(folder, layer):
    layer["out_type"]["high"] -= 1


def padding(folder, layer):
    layer["padding"] = [pair[::-1] for pair in layer["padding"]]
    layer["padding"][0][0] -= 1
    layer["padding"][0][1] += 1


def found_in(outcome: Outcome, layer: str) -> Difference:
    """The first difference of a check that failed, which must be in this layer."""
    assert outcome.status is Status.FAILED, outcome
    first = outcome.where[0]
    assert first.layer == layer
    assert first.expected != first.got
    return first


def refusal(build: Callable[[Manifest], Any], manifest: Manifest) -> str:
    """What is said of a design that cannot be expressed."""
    with pytest.raises(NotExportableError) as caught:
        build(manifest)
    return str(caught.value)
