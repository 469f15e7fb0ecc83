"""ONNX files as they are met: parsed, checked, with their external data read, before anything trusts them.

Nothing in a file is executed, and nothing outside the model's folder is opened.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from emulation.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

MAXIMUM_BYTES: Final = (1 << 31) - 1
"""The largest message of protocol buffers; larger models keep their weights in files of their own."""
MAXIMUM_ELEMENTS: Final = 1 << 30
"""The largest tensor that is read, and the largest that constants are folded to."""
_INSTALL: Final = "install it with `pip install 'bitfront[export]'`"
_FOREIGN: Final = (
    (b"\x80", "a Python pickle"),
    (b"PK\x03\x04", "a zip archive, as torch.save writes them"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them"),
)
"""First bytes of other files that people have beside their models."""


def load_model(path: Path) -> ModelProto:
    """Read a model, with functions inlined and external data in place.

    Args:
        path: the .onnx file; external data must lie in its folder or below.

    Raises:
        NetworkError: if the package onnx is missing, the file is missing, too large, truncated or no model, or a tensor
            names external data that is outside the folder, missing or too short.
    """
    try:
        import onnx
    except ImportError as error:
        raise NetworkError(f"reading {path.name} needs the package onnx: {_INSTALL}") from error

    content = _content(path)
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # the decoder of the generated classes has an error of its own
        raise NetworkError(
            f"{path} is no ONNX model, or its end is missing ({len(content)} bytes): export or copy it again"
        ) from error
    if not model.graph.node or not model.graph.output:
        raise NetworkError(
            f"{path} holds no graph with nodes and outputs ({len(content)} bytes): it is no ONNX model, or its end is "
            "missing; export or copy it again"
        )
    external = [tensor for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    places = [_external_place(tensor, path) for tensor in external]  # all are checked before one is opened
    for tensor, place in zip(external, places, strict=True):
        _read_external(tensor, place, path)
    return _inlined(model, path)


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise NetworkError(
                f"{path} has {size:,} bytes and an ONNX file at most {MAXIMUM_BYTES:,}: export the weights as external "
                "data"
            )
        content = path.read_bytes()
    except OSError as error:
        raise NetworkError(f"{path} cannot be read ({error.strerror}): give the path of an .onnx file") from error
    for start, kind in _FOREIGN:
        if content.startswith(start):
            raise NetworkError(f"{path} is {kind}, not an ONNX model: export the network with torch.onnx.export")
    return content


def _inlined(model: ModelProto, path: Path) -> ModelProto:
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # the library has no error class of its own for this
        raise NetworkError(f"the functions inside {path} cannot be inlined: {error}") from error


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _tensors_of_attribute(attribute)


def _tensors_of_attribute(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
        yield from (sparse.values, sparse.indices)
    for graph in (attribute.g, *attribute.graphs):
        yield from _tensors_of_graph(graph)


def _external_place(tensor: TensorProto, path: Path) -> Path:
    """Where a tensor's data is, refused unless it is inside the model's folder, links followed."""
    location = _entries(tensor).get("location", "")
    folder = path.resolve().parent
    try:
        place = (folder / location).resolve()
    except (OSError, ValueError) as error:
        raise NetworkError(f"tensor {tensor.name!r} of {path} has its data in {location!r}: that is no path") from error
    if not location or not place.is_relative_to(folder):
        raise NetworkError(
            f"tensor {tensor.name!r} of {path} has its data in {location!r}, outside the model's folder: nothing was "
            "read from there; put the data beside the model and name it without '..' or a leading '/'"
        )
    if not place.is_file():
        raise NetworkError(
            f"tensor {tensor.name!r} of {path} has its data in {location!r}, which does not exist: copy it to the "
            "model's folder too"
        )
    return place


def _read_external(tensor: TensorProto, place: Path, path: Path) -> None:
    import onnx

    entries = _entries(tensor)
    elements = math.prod(tensor.dims)
    try:
        item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", elements * item))
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkError(f"tensor {tensor.name!r} of {path} describes its data in words that are no ONNX") from error
    size = place.stat().st_size
    if min(offset, length, elements) < 0 or offset + length > size or elements > MAXIMUM_ELEMENTS:
        raise NetworkError(
            f"tensor {tensor.name!r} of {path}, {list(tensor.dims)}, wants {length} bytes from byte {offset} of "
            f"{place.name}, which has {size}: the file is truncated or belongs to another model"
        )
    with place.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}
