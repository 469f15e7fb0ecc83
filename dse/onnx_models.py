"""Studies of ONNX files: the network of a study file, and the menus that a quantised file brings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dse.errors import StudyError
from dse.menus import kind_of
from emulation.formats import FixedPoint
from emulation.read_onnx import OnnxModel, read_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from emulation.formats import Format
    from emulation.quantisers import ScaledQuantiser
    from emulation.workloads import LoadedWorkload


def onnx_model(path: Path, workload: LoadedWorkload) -> OnnxModel:
    """The network of a file, for the data of a workload.

    Raises:
        StudyError: if the file cannot be read, or its shapes are not those of the data.
    """
    try:
        model = read_onnx(path, name=path.stem, sample_shape=workload.splits.sample_shape)
    except ValueError as error:
        raise StudyError(str(error)) from error
    given, classes = model.network.by_name[model.network.output].shape, workload.workload.classes
    if given != (classes,):
        raise StudyError(
            f"{path} returns results of shape {given}, and workload {workload.name!r} has {classes} classes: a result "
            f"of shape {(classes,)} is needed; give the model's own data by --workload package.module:name"
        )
    return model


def settings_of(model: OnnxModel) -> dict[str, Any]:
    """The settings of [formats] with which a quantised file's own design is on the menu; none for other files.

    Activations are named with a sign: tensors that the file casts to unsigned numbers keep them.
    """
    if not model.is_quantised:
        return {}
    output = model.network.edge_of(model.network.output)
    edges = {_signed(one.format): one for edge, one in model.edges.items() if edge != output}
    weights = {one.format: one for one in model.weights.values()}
    found: dict[str, Any] = {}
    if edges:
        found["activations"] = _names(edges)
    if weights:
        found["weights"] = _names(weights)
    if output in model.edges:
        found["output"] = str(_signed(model.edges[output].format))
    every = [*model.edges.values(), *model.weights.values()]
    if len({kind_of(one.format) for one in every}) > 1:
        found["mixed_families"] = True
    if all(math.frexp(float(unit))[0] == 0.5 for one in every for unit in one.unit):
        found["scale_kind"] = "power-of-two"
    return found


def _signed(number_format: Format) -> Format:
    return FixedPoint(width=number_format.width) if isinstance(number_format, FixedPoint) else number_format


def _names(formats: dict[Format, ScaledQuantiser]) -> list[str]:
    return [str(one) for one in sorted(formats, key=lambda one: (one.width, str(one)))]


def resolved(path: Path) -> str:
    """The path as a study file keeps it: the study may be opened from another working folder."""
    return str(path.resolve())
