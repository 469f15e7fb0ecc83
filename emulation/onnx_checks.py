"""What an ONNX graph must be before it is read: text for names, one input and output, attributes of their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulation.network import NetworkError
from emulation.onnx_order import label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, NodeProto, ValueInfoProto

_DIVISORS: Final = frozenset(
    {"strides", "dilations", "kernel_shape", "group", "num_outputs", "blocksize", "num_groups"}
)
"""Attributes that are numbers above 0, whatever the operation."""
_WINDOWS: Final = frozenset({
    *("AveragePool", "Conv", "ConvInteger", "ConvTranspose", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"),
    *("LpPool", "MaxPool", "MaxUnpool", "QLinearConv"),
})  # fmt: skip


def check_names(model: ModelProto) -> None:
    """Refuse names that are no text, which damaged files have.

    Raises:
        NetworkError: naming the first.
    """
    graph = model.graph
    names = [value.name for value in (*graph.initializer, *graph.input, *graph.output)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    for name in names:
        if not isinstance(name, str):
            raise NetworkError(f"the name {name!r} in the model is no text: the file is damaged")


def check_node(proto: NodeProto, opset: int) -> None:
    """Refuse attributes of a wrong type, and numbers that shape inference, which is compiled, divides by unseen.

    Raises:
        NetworkError: naming the node and the attribute.
    """
    import onnx

    if proto.domain in ("", "ai.onnx") and onnx.defs.has(proto.op_type):
        context = onnx.checker.DEFAULT_CONTEXT
        context.opset_imports = {"": opset}
        try:
            onnx.checker.check_node(proto, context)
        except Exception as error:  # the compiled checker has an error of its own
            reason = " ".join(str(error).split())
            raise NetworkError(f"{label(proto)} is no sound node of opset {opset}: {reason}") from error
    for attribute in proto.attribute:
        values = [*attribute.ints] if attribute.ints else [attribute.i]
        if attribute.name in _DIVISORS and min(values) < 1:
            raise NetworkError(f"{attribute.name} of {label(proto)} is {values}: numbers above 0 are allowed")


def check_window(proto: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse windows whose axes are not those of their input, which compiled shape inference reads beyond its end.

    Args:
        proto: any node.
        shapes: of the tensors that are known.

    Raises:
        NetworkError: with the shapes, or the attribute and its length.
    """
    known = [shapes[name] for name in proto.input[:2] if name in shapes]
    if proto.op_type not in _WINDOWS or not known:
        return
    ranks = {len(shape) for shape in (known if proto.op_type == "Conv" else known[:1])}
    axes = len(known[0]) - 2
    if len(ranks) > 1 or axes < 1:
        raise NetworkError(
            f"{label(proto)} reads shapes {[list(shape) for shape in known]}: batch, channels and as many space axes "
            "as "
            "the window has are needed"
        )
    for name, count in (("kernel_shape", axes), ("strides", axes), ("dilations", axes), ("pads", 2 * axes)):
        given = [list(attribute.ints) for attribute in proto.attribute if attribute.name == name]
        if given and len(given[0]) != count:
            raise NetworkError(
                f"{name} of {label(proto)} is {given[0]}: {count} numbers are needed for {axes} space axes"
            )


def sample_type(given: ValueInfoProto) -> int:
    """ONNX's number for the type of the samples.

    Raises:
        NetworkError: if they are no real numbers.
    """
    from onnx import TensorProto

    kind = given.type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        name = TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else f"type {kind}"
        raise NetworkError(
            f"input {given.name!r} holds {name}: only floating-point samples can be explored, so cut the graph behind "
            "its front end"
        )
    return int(kind)


def check_single(what: str, values: Sequence[ValueInfoProto]) -> None:
    """Refuse several inputs or outputs.

    Raises:
        NetworkError: naming them.
    """
    if len(values) != 1:
        names = ", ".join(repr(value.name) for value in values) or "none"
        raise NetworkError(
            f"the model has {len(values)} {what}s ({names}): exactly one can be explored, so cut the graph with "
            "onnx.utils.extract_model"
        )


def input_shape(given: ValueInfoProto, sample_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The sizes of all axes: the batch is 1, the others come from the model or the samples.

    Raises:
        NetworkError: if neither knows the size of an axis, or they disagree.
    """
    axes = given.type.tensor_type.shape.dim if given.type.tensor_type.HasField("shape") else None
    if axes is None or len(axes) == 0:
        if axes is None and sample_shape is not None:
            return (1, *sample_shape)
        raise NetworkError(
            f"input {given.name!r} has no axes that the model knows: axis 0 is taken for the batch, so give it a shape"
        )
    if sample_shape is not None and len(sample_shape) != len(axes) - 1:
        raise NetworkError(
            f"samples have shape {sample_shape}, and input {given.name!r} has {len(axes) - 1} axes after the batch"
        )
    sizes = [1]
    for place, axis in enumerate(axes[1:], start=1):
        size = int(axis.dim_value) if axis.dim_value > 0 else None
        wanted = None if sample_shape is None else sample_shape[place - 1]
        if size is None and wanted is None:
            name = f" ({axis.dim_param!r})" if axis.dim_param else ""
            raise NetworkError(
                f"axis {place}{name} of input {given.name!r} is dynamic: give samples, whose shape fixes it, or fix it "
                "in the file with onnx.tools.update_model_dims or dynamic_axes of torch.onnx.export"
            )
        if size is not None and wanted is not None and size != wanted:
            raise NetworkError(
                f"samples have shape {sample_shape}, and axis {place} of input {given.name!r} has size {size}"
            )
        sizes.append(size if size is not None else int(wanted or 0))
    return tuple(sizes)
