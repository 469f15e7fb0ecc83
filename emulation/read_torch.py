"""Read a torch module into a `Network` through ``torch.export``.

The module is exported in evaluation mode with a batch of one. Batch norm is folded into the convolution or linear layer
before it (a batch norm elsewhere becomes a depthwise 1x1 convolution, which is what it is in hardware); a bias added to
a matrix product is folded as well; activation functions are fused into the layer they follow when nothing else reads
that layer. What is not in the table of `emulation.torch_operations` is an error, never a guess.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import torch

from emulation.network import Input, Layer, Network, NetworkError
from emulation.torch_graph import Reading
from emulation.torch_operations import reader_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_torch(module: torch.nn.Module, example: NDArray[np.float32], *, name: str) -> Network:
    """Read a trained torch module.

    Args:
        module: any module that ``torch.export`` accepts; its evaluation mode is read, the module itself is not changed.
        example: one or more samples, shape ``(batch, *sample)``; only shapes are used.
        name: the network's name in reports.

    Returns:
        The network; layer names are module paths where there is one (``stem.conv``).

    Raises:
        NetworkError: for an operation that cannot be read (named with its module and what to do), for a result that is
            not one tensor, or for weights that are not finite.
    """
    _check_one_input(module, name)
    training_modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        exported = torch.export.export(module, (torch.from_numpy(np.asarray(example[:1])),))
    except NetworkError:
        raise
    except Exception as error:
        raise NetworkError(
            f"torch.export cannot trace network {name!r}: {error}. Remove control flow that depends on values, "
            "or export the part of the module that has none"
        ) from error
    finally:
        for part, training in training_modes:
            part.training = training
    reading = Reading(name=name)
    _read_placeholders(exported, reading)
    result: Layer | None = None
    for node in exported.graph.nodes:
        if node.op == "call_function":
            reader_of(node)(reading, node)
        elif node.op == "output":
            if len(node.args[0]) != 1:
                raise NetworkError(f"network {name!r} returns {len(node.args[0])} tensors: exactly one can be explored")
            result = reading.producer(node.args[0][0], node)
    if result is None:
        raise NetworkError(f"network {name!r} returns nothing")
    needed = _ancestors(reading.layers, result.name)
    layers = tuple(layer for layer in reading.layers.values() if layer.name in needed)
    return Network(name=name, layers=layers, output=result.name)


def _check_one_input(module: torch.nn.Module, name: str) -> None:
    parameters = inspect.signature(module.forward).parameters.values()
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in positional if each.default is each.empty]
    if len(needed) > 1:
        raise NetworkError(
            f"network {name!r} takes several input tensors ({', '.join(needed)}): exactly one can be explored, so wrap "
            "the module in one that takes a single tensor"
        )


def _read_placeholders(exported: torch.export.ExportedProgram, reading: Reading) -> None:
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
        elif any(isinstance(layer.operation, Input) for layer in reading.layers.values()):
            raise NetworkError(f"network {reading.name!r} takes several input tensors: exactly one can be explored")
        else:
            reading.add(node, Input(), (), fallback="input")


def _ancestors(layers: dict[str, Layer], name: str) -> set[str]:
    needed, open_names = {"input"} & set(layers), [name]
    while open_names:
        current = open_names.pop()
        if current not in needed:
            needed.add(current)
            open_names.extend(layers[current].inputs)
    return needed
