"""How torch operations that only move values become layers: reshapes, permutations, selections, padding."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

from emulation import reading_rules as rules
from emulation.network import NetworkError, Repeat, Select, Slice
from emulation.torch_batches import PERMUTATIONS, VIEWS, permutation_of
from emulation.torch_graph import TorchReading, arguments_of, operation_name, sizes_of, where

if TYPE_CHECKING:
    from emulation.torch_graph import Reader

SPLITS = ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unsafe_chunk", "unbind")
"""Operations whose results are ranges of an axis, one after the other; the last drops the axis."""


def _reshape(reading: TorchReading, node: torch.fx.Node) -> None:
    place, source = reading.place(node), reading.source(node.args[0], node)
    if math.prod(place.shape) != source.elements:
        raise NetworkError(f"{place.operation} in {place.where} changes the number of values")
    rules.reshaped(reading, place, source, place.shape)


def _permute(reading: TorchReading, node: torch.fx.Node) -> None:
    argument: Any = node.args[0]
    place, source = reading.place(node), reading.source(argument, node)
    axes = [reading.axis(argument, axis) for axis in permutation_of(node)]
    order = [axis for axis in axes if axis is not None]
    rules.transposed(reading, place, source, order, shape=place.shape)


def _select(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    argument = arguments["self"]
    if argument in reading.final_state_of:
        _final_state(reading, node, reading.final_state_of[argument])
        return
    source = reading.source(argument, node)
    dim = int(arguments["dim"])
    axis = reading.axis(argument, dim)
    if axis is None:
        raise NetworkError(f"select in {where(node)} takes one sample of the batch: keep axis 0 as it is")
    index = int(arguments["index"]) % source.shape[axis]
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    reading.add(reading.place(node), Select(axis=axis, index=index), (source,), fallback="select", shape=shape)


def _final_state(reading: TorchReading, node: torch.fx.Node, name: str) -> None:
    """``h_n[-1]``: the last step of the sequence."""
    sequence = reading.layers[name]
    steps, hidden = sequence.shape
    operation = Select(axis=0, index=steps - 1)
    reading.add(reading.place(node), operation, (sequence,), fallback="last_step", shape=(hidden,))


def _stack(reading: TorchReading, node: torch.fx.Node) -> None:
    """Steps of one sequence, all and in order, are the sequence again."""
    arguments = arguments_of(node)
    parts = [reading.source(part, node) for part in arguments["tensors"]]
    operations = [part.operation for part in parts]
    sources = {part.inputs[0] for part in parts if part.inputs}
    axis = reading.axis(node, int(arguments["dim"]))
    whole = [] if axis is None else [Select(axis=axis, index=index) for index in range(len(parts))]
    is_whole = axis is not None and operations == whole and len(sources) == 1
    if not is_whole or reading.layers[next(iter(sources))].shape[axis or 0] != len(parts):
        raise NetworkError(
            f"stack in {where(node)} joins {[part.name for part in parts]}: only all steps of one sequence in order "
            "can be read; use cat"
        )
    reading.layer_of[node] = next(iter(sources))


def _pad(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments, argument = arguments_of(node), node.args[0]
    value, mode = arguments.get("value"), arguments.get("mode", "constant")
    place, given = reading.place(node), [int(size) for size in arguments["pad"]]
    if mode != "constant" or (value is not None and float(value) != 0.0) or min(given) < 0:
        words = f"mode {mode!r}" if mode != "constant" else "a negative size" if min(given) < 0 else f"value {value}"
        raise NetworkError(f"pad in {place.where} has {words}: only zeros can be put around a tensor")
    # torch lists pairs from the last axis on.
    pairs = [(given[index], given[index + 1]) for index in range(0, len(given), 2)][::-1]
    axes = [reading.axis(argument, dim) for dim in range(len(sizes_of(node)) - len(pairs), len(sizes_of(node)))]  # type: ignore[arg-type]
    source, inner = reading.unpadded(argument, place)  # type: ignore[arg-type]
    sides = list(inner)
    for axis, (before, after) in zip(axes, pairs, strict=True):
        if axis is None and (before or after):
            raise NetworkError(f"pad in {place.where} adds samples to the batch: keep axis 0 as it is")
        if axis is not None:
            sides[axis] = (sides[axis][0] + before, sides[axis][1] + after)
    reading.layer_of[node] = source.name
    if any(map(any, sides)):
        reading.padding_of[node] = (place, tuple(sides))


def _split(reading: TorchReading, node: torch.fx.Node) -> None:
    reading.layer_of[node] = reading.source(node.args[0], node).name


def _part(reading: TorchReading, node: torch.fx.Node) -> None:
    """One of several results: of a split, of a maximum with indices, or of a recurrent layer."""
    if node in reading.layer_of or node in reading.final_state_of:
        return
    argument, index = node.args
    if not isinstance(argument, torch.fx.Node) or operation_name(argument) not in SPLITS:
        inside = all(operation_name(user) == "lstm_cell" and user in reading.layer_of for user in node.users)
        if inside:
            return
        raise NetworkError(
            f"part {index} of {argument} in {where(node)} cannot be read: of several results of one operation only the "
            "sequence and the last hidden state of an LSTM of one layer can, not its cell state"
        )
    source, dim = reading.source(argument, node), int(arguments_of(argument)["dim"])
    whole: Any = argument.args[0]
    axis = reading.axis(whole, dim)
    if axis is None:
        raise NetworkError(f"{operation_name(argument)} in {where(node)} splits the batch: keep axis 0 as it is")
    place = dataclasses.replace(reading.place(node), operation=operation_name(argument))
    number = int(str(index))
    if operation_name(argument) == "unbind":
        reading.add(place, Select(axis=axis, index=number), (source,), fallback="select")
        return
    sizes = [int(part.shape[dim]) for part in argument.meta["val"]]
    start = sum(sizes[:number])
    operation = Slice(axis=axis, start=start, stop=start + sizes[number])
    rules.sliced(reading, place, source, operation, only_slices=_are_slices(whole))


def _slice(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments, argument = arguments_of(node), node.args[0]
    source, dim = reading.source(argument, node), int(arguments["dim"])
    axis, size = reading.axis(argument, dim), sizes_of(argument)[dim]  # type: ignore[arg-type]
    start, stop, step = slice(arguments["start"], arguments["end"], arguments["step"]).indices(size)
    if axis is None:
        if len(range(start, stop, step)) != 1:
            raise NetworkError(f"slice in {where(node)} takes some samples of the batch: keep axis 0 as it is")
        reading.layer_of[node] = source.name
        return
    operation = Slice(axis=axis, start=start, stop=stop, step=step)
    rules.sliced(reading, reading.place(node), source, operation, only_slices=_are_slices(argument))  # type: ignore[arg-type]


def _are_slices(node: torch.fx.Node) -> bool:
    return all(operation_name(user) in (*SPLITS[:-1], "slice") for user in node.users)


def _resize(reading: TorchReading, node: torch.fx.Node) -> None:
    argument: Any = node.args[0]
    source, place = reading.source(argument, node), reading.place(node)
    if any(new % old for new, old in zip(place.shape, source.shape, strict=True)):
        raise NetworkError(
            f"{place.operation} in {place.where} resizes {source.shape} to {place.shape}: only integer factors can be "
            "read"
        )
    times = tuple(new // old for new, old in zip(place.shape, source.shape, strict=True))
    reading.add(place, Repeat(times=times), (source,), fallback="resize")


def _expand(reading: TorchReading, node: torch.fx.Node) -> None:
    argument: Any = node.args[0]
    if sizes_of(node) != sizes_of(argument):
        raise NetworkError(
            f"{operation_name(node)} in {where(node)} repeats values from shape {sizes_of(argument)} to "
            f"{sizes_of(node)}: broadcasting cannot be read"
        )
    reading.layer_of[node] = reading.source(argument, node).name


MOVING_READERS: dict[str, Reader] = {
    **dict.fromkeys(VIEWS, _reshape),
    **dict.fromkeys(PERMUTATIONS, _permute),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **dict.fromkeys(SPLITS, _split),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d"), _resize),
    "getitem": _part,
    "select": _select,
    "slice": _slice,
    "stack": _stack,
}
