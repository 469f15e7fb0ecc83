"""Read a torch module into a `Network` through ``torch.export``.

The module is exported in evaluation mode with one sample; what ``torch.export`` refuses is traced by ``torch.fx``
first. Batch norm is folded into the convolution or linear layer before it (a batch norm elsewhere becomes a depthwise
1x1 convolution, which is what it is in hardware); biases, factors and padding are folded as well; activation functions
are fused into the layer they follow when nothing else reads that layer. What is not in the table of
`emulation.torch_operations` is an error, never a guess, and what was read is run beside the module before it is given
out.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from emulation.float_execution import run_float
from emulation.network import Input, Layer, Network, NetworkError
from emulation.torch_batches import follow_batch
from emulation.torch_constants import constant_tensor, fold_constant
from emulation.torch_front import Front, ancestors, named_end, why_no_front
from emulation.torch_graph import TorchReading, batch_on, is_check
from emulation.torch_operations import reader_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKED_SAMPLES: Final = 2
"""Samples on which a network that was read is compared with its module: with two, samples that mix are noticed."""
TOLERANCE: Final = 1e-3
"""Largest difference of a result allowed in that comparison, as a share of the largest result. Reading is exact but for
the order of float32 sums, which deep networks take to some 1e-5; a wrong reading is off by far more."""


def read_torch(module: torch.nn.Module, example: NDArray[np.float32], *, name: str) -> Network:
    """Read a trained torch module that needs no pre-processing: the network of `read_with_front`.

    Raises:
        NetworkError: as there, and if there is a front.
    """
    network, front = read_with_front(module, example, name=name)
    if front is not None:
        raise NetworkError(
            f"network {name!r} needs its samples pre-processed by {', '.join(front.operations)}: read it by "
            "read_with_front, which returns that too"
        )
    return network


def read_with_front(
    module: torch.nn.Module, example: NDArray[np.float32], *, name: str, front: str = ""
) -> tuple[Network, Front | None]:
    """Read a trained torch module.

    Args:
        module: any module that ``torch.export`` or ``torch.fx`` accepts; its evaluation mode is read, the module itself
            is not changed.
        example: one or more samples, shape ``(batch, *sample)``; the first two check what was read.
        name: the network's name in reports.
        front: the module or operation that ends the pre-processing; found if it is empty.

    Returns:
        The network; layer names are module paths where there is one (``stem.conv``). And what has to be done with
        samples before it reads them, None if nothing; `Network.front` names it.

    Raises:
        NetworkError: for an operation that cannot be read (named with its module and what to do), for a result that is
            not one tensor, for weights that are not finite, or if the network read does not compute what the module
            does.
    """
    _check_one_input(module, name)
    training_modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        exported = _exported(module, torch.from_numpy(np.asarray(example[:1])), name)
        network, before = _read(exported, name, front)
        _compare(network, before, module, np.asarray(example[:CHECKED_SAMPLES]))
    finally:
        for part, training in training_modes:
            part.training = training
    return network, before


def _exported(module: torch.nn.Module, example: torch.Tensor, name: str) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(module, (example,))
    except Exception as error:
        try:
            # Only the operations are kept, so that what a forward does beside computing is no obstacle.
            with warnings.catch_warnings(action="ignore"):
                return torch.export.export(torch.fx.symbolic_trace(module), (example,))
        except Exception as second:
            raise NetworkError(
                f"torch.export cannot trace network {name!r}: {error}; neither can torch.fx: {second}. Remove control "
                "flow that depends on values, or export the part of the module that has none"
            ) from error


def _read(exported: torch.export.ExportedProgram, name: str, front: str) -> tuple[Network, Front | None]:
    """Read the graph; what cannot be read becomes part of the front where that is possible."""
    end = named_end(list(exported.graph.nodes), front) if front else None
    refusal: NetworkError | None = None
    while True:
        reading = TorchReading(name=name, readers_of=lambda node: node.users)
        try:
            result = _read_nodes(exported, reading, end)
        except NetworkError as error:
            refused = reading.current
            if refusal is not None and refused is not None and refused.op == "output":
                raise refusal from error
            if front or refused is None or refused.op != "call_function" or refused is end:
                raise
            known = set(reading.batch_of)
            nodes = ancestors(refused, known) | (set() if end is None else ancestors(end, known))
            reason = why_no_front(nodes, refused)
            if reason:
                raise NetworkError(f"{error}. It cannot be pre-processing: {reason}") from error
            end, refusal = refused, refusal or error
            continue
        network = reading.network(result)
        if refusal is not None and not network.multiplying:
            raise refusal  # the whole network would be pre-processing
        return _with_front(network, reading, end)


def _read_nodes(exported: torch.export.ExportedProgram, reading: TorchReading, end: torch.fx.Node | None) -> Layer:
    _read_placeholders(exported, reading, end)
    before = set() if end is None else ancestors(end, set(exported.graph.nodes))
    for node in exported.graph.nodes:
        reading.current = node
        if node.op == "output":
            return _result(reading, node)
        if node.op != "call_function" or is_check(node) or fold_constant(reading, node):
            continue
        follow_batch(reading, node)
        if end is not None and node is end:
            reading.add(reading.place(end), Input(), (), fallback="input")
        elif node not in before:
            reader_of(node)(reading, node)
    raise NetworkError(f"network {reading.name!r} returns nothing")


def _with_front(network: Network, reading: TorchReading, end: torch.fx.Node | None) -> tuple[Network, Front | None]:
    if end is None:
        return network, None
    inside = ancestors(end, set(reading.batch_of))
    nodes = tuple(node for node in end.graph.nodes if node in inside)
    read = {one for node in nodes for one in node.all_input_nodes}
    front = Front(
        nodes=nodes,
        constants={one: constant_tensor(reading, one) for one in read if one in reading.constant_of},
        input=next(one for one in end.graph.nodes if one in reading.batch_of),
        shape=network.layers[0].shape,
    )
    return dataclasses.replace(network, front=front.operations), front


def _result(reading: TorchReading, node: torch.fx.Node) -> Layer:
    results = node.args[0]
    if not isinstance(results, list | tuple) or len(results) != 1:
        count = len(results) if isinstance(results, list | tuple) else 0
        raise NetworkError(f"network {reading.name!r} returns {count} tensors: exactly one can be explored")
    result = reading.source(results[0], node)
    batch = reading.batch_of.get(results[0])  # type: ignore[arg-type]
    if batch is None or batch.axis != 0:
        raise NetworkError(
            f"network {reading.name!r} returns a tensor whose axis 0 is not the batch, because values were moved "
            f"between samples: return one row of axis 0 per sample"
        )
    return result


def _compare(network: Network, front: Front | None, module: torch.nn.Module, samples: NDArray[np.float32]) -> None:
    """Refuse a network that computes something else than its module."""
    if not np.isfinite(samples).all():
        return
    with torch.inference_mode():
        expected = module(torch.from_numpy(np.array(samples))).double()
    found = run_float(network, samples if front is None else front.apply(samples))[network.output].double()
    if expected.shape != found.shape:
        raise NetworkError(
            f"network {network.name!r} makes a result of shape {tuple(found.shape)} from {len(samples)} samples, but "
            f"its module one of shape {tuple(expected.shape)}: the module mixes samples, and must treat each alone"
        )
    difference = float((expected - found).abs().max())
    largest = max(float(expected.abs().max()), 1e-30)
    if not difference <= TOLERANCE * largest:
        raise NetworkError(
            f"network {network.name!r} was read wrongly: its results differ from the module's by up to "
            f"{difference:.3g} where the largest is {largest:.3g}. The module mixes samples or depends on their values "
            "or on chance; if it does not, report it with the module"
        )


def _check_one_input(module: torch.nn.Module, name: str) -> None:
    parameters = inspect.signature(module.forward).parameters.values()
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in positional if each.default is each.empty]
    if len(needed) > 1:
        raise NetworkError(
            f"network {name!r} takes several input tensors ({', '.join(needed)}): exactly one can be explored, so wrap "
            "the module in one that takes a single tensor"
        )


def _read_placeholders(
    exported: torch.export.ExportedProgram, reading: TorchReading, end: torch.fx.Node | None
) -> None:
    signature = exported.graph_signature
    state = {**exported.state_dict, **exported.constants}
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    for node in exported.graph.nodes:
        if node.op != "placeholder":
            continue
        if node.name in targets:
            tensor = state[targets[node.name]]
            reading.constant_of[node] = tensor.detach().to(torch.float64).numpy()
        elif reading.batch_of:
            if isinstance(node.meta.get("val"), torch.Tensor):
                raise NetworkError(f"network {reading.name!r} takes several input tensors: exactly one can be explored")
        else:
            reading.batch_of[node] = batch_on(0, tuple(node.meta["val"].shape))
            if end is None:
                reading.add(reading.place(node), Input(), (), fallback="input")
