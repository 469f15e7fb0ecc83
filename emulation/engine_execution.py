"""Sums of products, fast, for engines that are not plain: L-Mul, narrow accumulators, blocks.

Every engine becomes matrices first: rows of values under the kernel, products in the order kernel taps, then input
channels. Plain engines do not come here; they go to `kernels.products` as they are. Everything is bit for bit the same
as `emulation.engine_reference`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.block_sums import Activation, block_sums, weight_rows
from emulation.block_tensors import BlockTensor
from emulation.columns import columns_of
from emulation.datapaths import Product
from emulation.lmul import factors
from emulation.lmul_sums import clamped_sums
from emulation.network import Convolution
from emulation.register_execution import exact_sums, register_sums
from emulation.wide_integers import WORD, plus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.engines import Engine
    from emulation.hardware import HardwareLayer
    from emulation.lmul_ranges import ProductRange
    from emulation.register_execution import Pairs


def engine_sums(hardware_layer: HardwareLayer, engine: Engine, inputs: Sequence[Any]) -> NDArray[Any]:
    """The accumulators of an engine, bias included, in the layout of its output.

    Args:
        hardware_layer: a convolution, a linear layer or a product of two activations.
        engine: how it multiplies and sums.
        inputs: its inputs, integers ``(batch, ...)`` or `BlockTensor`.
    """
    operation = hardware_layer.layer.operation
    if hardware_layer.weight is None:
        return _sums(inputs[0], inputs[1], engine, None)
    if isinstance(operation, Convolution):
        return _convolve(hardware_layer, engine, inputs[0], operation)
    bias = _bias_row(hardware_layer.bias)
    source = inputs[0]
    *leading, depth = source.shape
    if engine.block_sum is not None:
        left = Activation(source).rows((math.prod(leading), 1, depth))
        right = weight_rows(hardware_layer, engine)
        return block_sums(left, right, engine.block_sum, bias).reshape(*leading, -1)
    return _sums(source.reshape(-1, depth), hardware_layer.weight.T, engine, bias).reshape(*leading, -1)


def _bias_row(bias: tuple[int, ...] | None) -> NDArray[Any] | None:
    if bias is None:
        return None
    return np.array(bias, dtype=np.int64 if max(map(abs, bias)) < 1 << WORD else object)


def _convolve(
    hardware_layer: HardwareLayer, engine: Engine, source: EdgeTensor, operation: Convolution
) -> NDArray[Any]:
    weight = hardware_layer.weight
    if weight is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    kernel, groups = weight.shape[2:], operation.groups
    bias = _bias_row(hardware_layer.bias)
    if engine.block_sum is not None:
        blocked = Activation(source).under(operation.window)
        sums = block_sums(blocked, weight_rows(hardware_layer, engine), engine.block_sum, bias)
        positions = operation.window.output_space(source.shape[2:])
        return np.moveaxis(sums.reshape(source.shape[0], *positions, -1), -1, 1)
    if isinstance(source, BlockTensor):
        raise TypeError(f"layer {hardware_layer.layer.name!r} reads blocks, and its engine has no sum of blocks")
    columns, positions = columns_of(source, operation.window, groups)
    outputs = weight.shape[0] // groups
    taps = np.moveaxis(weight.reshape(groups, outputs, weight.shape[1], -1), (1, 3), (3, 1))
    matrix = taps.reshape(groups, -1, outputs)
    biases = None if bias is None else bias.reshape(groups, 1, outputs)
    sums = _sums(columns, matrix, engine, biases)
    sums = sums.reshape(groups, source.shape[0], *positions, outputs)
    axes = len(kernel)
    return sums.transpose(1, 0, 2 + axes, *range(2, 2 + axes)).reshape(source.shape[0], -1, *positions)


def _sums(left: NDArray[Any], right: NDArray[Any], engine: Engine, bias: NDArray[Any] | None) -> NDArray[Any]:
    """Sums of products of matrices without blocks."""
    pairs, exact = [(left, right)], exact_sums
    if engine.limits is not None:
        exact = partial(_clamped_sums, engine.mantissa_bits, engine.limits)
    elif engine.product is not Product.EXACT:
        pairs = factors(left, right, engine.mantissa_bits, engine.product)
    if engine.register is None:
        return plus(exact(pairs), bias)
    return register_sums(pairs, engine.register, bias, exact)


def _clamped_sums(mantissa_bits: tuple[int, int], limits: ProductRange, pairs: Pairs) -> NDArray[Any]:
    ((left, right),) = pairs
    return clamped_sums(left, right, mantissa_bits, limits)
