"""Softmax, layer norm, recurrent layers and activation functions in float32: what their integer forms approximate."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf

from emulation.function_operations import (
    Gelu,
    GeluForm,
    HardSigmoid,
    HardSwish,
    LayerNorm,
    Lstm,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)

Parameters = tuple[torch.Tensor, torch.Tensor | None]
"""Weights and biases of a layer, float32."""


def run_function(operation: Softmax | LayerNorm, source: torch.Tensor) -> torch.Tensor:
    """A softmax or layer norm over the last axis."""
    if isinstance(operation, Softmax):
        if operation.mask is not None:
            hidden = torch.ones(len(operation.mask), source.shape[-1], dtype=torch.bool)
            for row in range(len(operation.mask)):
                hidden[row, operation.columns(row)] = False
            source = source.masked_fill(hidden.to(source.device), -torch.inf)
        return nnf.softmax(source, dim=-1)
    gains, offsets = (
        torch.tensor(each, dtype=source.dtype, device=source.device) for each in (operation.gain, operation.offset)
    )
    return nnf.layer_norm(source, (len(operation.gain),), gains, offsets, operation.epsilon)


def run_lstm(operation: Lstm, source: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    """All states h, shape ``(batch, steps, hidden)``, of an LSTM that starts from zero."""
    weight, bias = parameters
    features = weight.shape[1] - operation.hidden
    biases = source.new_zeros(4 * operation.hidden) if bias is None else bias
    weights = [weight[:, :features].contiguous(), weight[:, features:].contiguous(), biases, torch.zeros_like(biases)]
    state = source.new_zeros(1, source.shape[0], operation.hidden)
    # biases, one layer, no dropout, evaluation, one direction, batch first
    sequence, _, _ = torch.lstm(source, (state, state), weights, True, 1, 0.0, False, False, True)  # noqa: FBT003 - torch's own signature
    return sequence


def activation_function(activation: object, values: torch.Tensor) -> torch.Tensor:
    """Sigmoid, tanh, SiLU, GELU or the hard ones; any other activation leaves the values as they are."""
    match activation:
        case Sigmoid():
            return torch.sigmoid(values)
        case Tanh():
            return torch.tanh(values)
        case Silu():
            return nnf.silu(values)
        case HardSigmoid():
            return nnf.hardsigmoid(values)
        case HardSwish():
            return nnf.hardswish(values)
        case Gelu(form=form):
            return nnf.gelu(values, approximate="tanh" if form is GeluForm.TANH else "none")
    return values
