"""How torch's LSTMs become layers: ``nn.LSTM``, and ``nn.LSTMCell`` called step by step over one sequence.

``torch.export`` writes a loop over cells as one call per step. A chain of calls with one set of weights, from states of
zero, over all steps of one tensor in order is the same sequence of numbers as one LSTM layer, and is read as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emulation.function_operations import Lstm
from emulation.network import Layer, NetworkError, Reshape, Select
from emulation.torch_graph import TorchReading, arguments_of, operation_name, where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.torch_graph import Reader


def _lstm(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    axis = 0 if arguments["batch_first"] else 1
    if reading.batch_of[arguments["input"]].axis != axis:
        raise NetworkError(
            f"the LSTM in {where(node)} has its batch on axis {axis} of its input, where the samples have another "
            f"axis: build it with batch_first={bool(axis)}"
        )
    if arguments["bidirectional"]:
        raise NetworkError(f"the LSTM in {where(node)} is bidirectional: only one direction can be read")
    source = reading.source(arguments["input"], node)
    _check_zero_states(reading, arguments["hx"], node)
    parameters = [reading.constant(one) for one in arguments["params"]]
    layers = int(arguments["num_layers"])
    per_layer = len(parameters) // layers
    if per_layer not in (2, 4) or any(each is not None and each.ndim > 2 for each in parameters):
        raise NetworkError(f"the LSTM in {where(node)} has projections: only plain LSTMs can be read")
    for start in range(0, len(parameters), per_layer):
        source = _add_lstm(reading, node, source, parameters[start : start + per_layer])
    _read_items(reading, node, source, layers)


def _add_lstm(
    reading: TorchReading, node: torch.fx.Node, source: Layer, parameters: Sequence[NDArray[np.float64] | None]
) -> Layer:
    input_weight, hidden_weight, *biases = parameters
    if input_weight is None or hidden_weight is None:
        raise NetworkError(f"the LSTM in {where(node)} has no weights")
    hidden = hidden_weight.shape[1]
    if hidden_weight.shape[0] != 4 * hidden or input_weight.shape != (4 * hidden, source.shape[-1]):
        raise NetworkError(f"the LSTM in {where(node)} has projections: only plain LSTMs can be read")
    known = [bias for bias in biases if bias is not None]
    return reading.add(
        reading.place(node),
        Lstm(hidden=hidden),
        (source,),
        fallback="lstm",
        shape=(source.shape[0], hidden),
        weight=np.concatenate([input_weight, hidden_weight], axis=1),
        bias=np.sum(known, axis=0) if known else None,
    )


def _read_items(reading: TorchReading, node: torch.fx.Node, sequence: Layer, layers: int) -> None:
    """Parts of an LSTM's result: 0 is the sequence, 1 the last state h of its layers."""
    for user in node.users:
        if user.args[1] == 0:
            reading.layer_of[user] = sequence.name
        elif user.args[1] == 1 and layers == 1:
            reading.final_state_of[user] = sequence.name


def _check_zero_states(reading: TorchReading, states: Sequence[object], node: torch.fx.Node) -> None:
    for state in states:
        values = reading.constant_of.get(state) if isinstance(state, torch.fx.Node) else None
        if values is None or np.any(values):
            raise NetworkError(f"the LSTM in {where(node)} starts from states other than zero: only zero can be read")


def _cell(reading: TorchReading, node: torch.fx.Node) -> None:
    if node in reading.layer_of:
        return  # read with the first cell of its chain
    arguments = arguments_of(node)
    _check_zero_states(reading, arguments["hx"], node)
    chain = _chain(node)
    sequence = _sequence_of(reading, chain)
    parameters = [reading.constant(arguments[name]) for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    layer = _add_lstm(reading, node, sequence, parameters)
    for step, cell in enumerate(chain):
        reading.layer_of[cell] = layer.name
        for user in cell.users:
            if operation_name(user) == "getitem" and user.args[1] == 0:
                shape = (layer.shape[1],)
                reading.add(reading.place(user), Select(axis=0, index=step), (layer,), fallback="step", shape=shape)


def _chain(first: torch.fx.Node) -> list[torch.fx.Node]:
    """The cells that continue a cell: same weights, and both states from the one before."""
    chain = [first]
    weights = _weights_of(first)
    while True:
        hidden, state = (next((user for user in chain[-1].users if user.args[1] == part), None) for part in (0, 1))
        following = [] if hidden is None or state is None else [user for user in hidden.users if user in state.users]
        for cell in following:
            is_cell = operation_name(cell) == "lstm_cell"
            if is_cell and list(arguments_of(cell)["hx"]) == [hidden, state] and _weights_of(cell) == weights:
                chain.append(cell)
                break
        else:
            return chain


def _weights_of(cell: torch.fx.Node) -> list[object]:
    arguments = arguments_of(cell)
    return [arguments[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]


def _sequence_of(reading: TorchReading, chain: Sequence[torch.fx.Node]) -> Layer:
    """The layer whose steps the cells read, one after the other."""
    inputs: list[Any] = [arguments_of(cell)["input"] for cell in chain]
    selected = [_selection(argument) for argument in inputs]
    sources = {source for source, _ in selected}
    steps = [step for _, step in selected]
    if len(sources) == 1 and None not in sources:
        source = reading.source(next(iter(sources)), chain[0])
        if steps == list(range(source.shape[0])):
            return source
    if len(chain) == 1:
        source = reading.source(inputs[0], chain[0])
        return reading.add(reading.place(chain[0]), Reshape(), (source,), fallback="steps", shape=(1, *source.shape))
    raise NetworkError(
        f"the LSTM cell in {where(chain[0])} is called {len(chain)} times, but not once for each step of one sequence "
        "in order: use nn.LSTM, or call it on x[:, 0], x[:, 1] and so on"
    )


def _selection(argument: object) -> tuple[Any, int | None]:
    """The tensor and step that an argument selects on axis 1, or (None, None)."""
    if not isinstance(argument, torch.fx.Node) or operation_name(argument) != "select":
        return None, None
    arguments = arguments_of(argument)
    tensor = arguments["self"]
    if int(arguments["dim"]) % tensor.meta["val"].ndim != 1:
        return None, None
    return tensor, int(arguments["index"]) % tensor.meta["val"].shape[1]


RECURRENT_READERS: dict[str, Reader] = {"lstm": _lstm, "lstm_cell": _cell}
