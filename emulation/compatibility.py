"""Which formats go where: the edges, weights and engines that hardware mode defines (DESIGN section 6).

* Learned codebooks and binary codes take their tables from the very values they code: they are for weights.
* Blocks run along input channels (rule 11), so only ungrouped convolutions and linear layers read them, directly: not
  through pooling, reshape or transposition, whose outputs have other blocks (rule 13). Joins and the network's output
  have one scale. Layers that accumulate (and the samples) can write blocks, and so can concatenations: a block may span
  two parts, so it is cast from the exact numbers of both.
* Two block operands need one block size. Their products are exact within a block. Accumulators take block after block:
  aligned ones (rule 11), which have room for so many blocks, or narrow ones.
* Codes of at most 10 bits index the table of an activation function (rule 16), whose results are no listed levels.
* L-Mul adds exponents, so both operands are minifloats, with gradual underflow or none (rule 6); the variant clamped
  to the format needs normal numbers to clamp to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard

from emulation.datapaths import AlignedAccumulator, Arithmetic, Product
from emulation.formats import (
    BlockScaled,
    FixedPoint,
    MiniFloat,
    Subnormals,
    Zero,
)
from emulation.function_operations import TABLE_BITS, is_table
from emulation.grids import block_grid_of, grid_of, is_blocked, is_learned
from emulation.lmul_ranges import can_clamp
from emulation.network import (
    Activate,
    Activation,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Identity,
    Input,
    Layer,
    Linear,
    MatMul,
    Network,
    PRelu,
    Relu,
)

if TYPE_CHECKING:
    from emulation.formats import Format

BLOCK_WRITERS = (Input, Convolution, Linear, MatMul, Add, AveragePool, Activate, Concat)
_BLOCK_ACTIVATIONS = (Identity, Relu, PRelu)


def edge_can_have(network: Network, edge: str, number_format: Format) -> bool:
    """Whether hardware mode defines an edge in this format."""
    if is_learned(number_format) or not _has_grid(number_format):
        return False
    if is_blocked(number_format):
        return _block_axes(network, edge) in ({0}, {-1})
    levels = grid_of(number_format).levels
    if levels is not None and is_table(network.by_name[edge].activation):
        return False  # tables are rounded to integers and minifloats
    if number_format.width > TABLE_BITS and _indexes_table(network, edge):
        return False
    return levels is None or 0 in levels  # padding is the code of value 0 (rule 5)


def _indexes_table(network: Network, edge: str) -> bool:
    return any(is_table(layer.activation) and edge in network.input_edges(layer) for layer in network.layers)


def block_axis(network: Network, edge: str) -> int:
    """The axis of an edge's tensor (batch axis not counted) along which its readers' input channels run: 0 or -1."""
    return 0 if _block_axes(network, edge) == {0} else -1


def _block_axes(network: Network, edge: str) -> set[int | None]:
    """The channel axes of an edge's readers; None for a reader or a writer that blocks cannot have."""
    writer = network.by_name[edge]
    readers = network.consumers[edge]
    if not readers or network.edge_of(network.output) == edge or not _writes_blocks(writer):
        return {None}
    axes: set[int | None] = set()
    for name in readers:
        operation = network.by_name[name].operation
        if isinstance(operation, Convolution):
            axes.add(0 if operation.groups == 1 else None)
        else:
            axes.add(-1 if isinstance(operation, Linear) else None)
    return {-1} if axes == {0, -1} and len(writer.shape) == 1 else axes


def _writes_blocks(layer: Layer) -> bool:
    activation: Activation = layer.activation
    return isinstance(layer.operation, BLOCK_WRITERS) and isinstance(activation, _BLOCK_ACTIVATIONS)


def weights_can_have(layer: Layer, number_format: Format) -> bool:
    """Whether hardware mode defines a layer's weights in this format."""
    if is_blocked(number_format) and not _reads_blocks(layer):
        return False
    return _has_grid(number_format)


def engine_can_use(layer: Layer, activation: Format, second: Format, arithmetic: Arithmetic) -> bool:
    """Whether hardware mode defines an engine with these operands and this arithmetic.

    ``second`` is the format of the weights, or of the right-hand activation of a product of two activations.
    """
    if layer.weight is not None and not weights_can_have(layer, second):
        return False
    if is_learned(activation) or not _has_grid(activation):
        return False
    accumulator = arithmetic.accumulator
    sizes = {one.block_size for one in (activation, second) if isinstance(one, BlockScaled) and one.block_size}
    if sizes:
        blocks = row_blocks(layer, activation, second)
        has_room = not isinstance(accumulator, AlignedAccumulator) or blocks <= accumulator.most_blocks
        return _reads_blocks(layer) and len(sizes) == 1 and arithmetic.product is Product.EXACT and has_room
    if isinstance(accumulator, AlignedAccumulator):
        return False
    if arithmetic.product is Product.EXACT:
        return True
    clamped = arithmetic.product is Product.LMUL_FIELD_CLAMPED
    return all(_adds_exponents(one) and (can_clamp(one) or not clamped) for one in (activation, second))


def block_size(activation: Format, second: Format) -> int:
    """Elements of the blocks of two operands, 0 if neither has any (one scale for the whole tensor makes none)."""
    return max((one.block_size for one in (activation, second) if isinstance(one, BlockScaled)), default=0)


def row_blocks(layer: Layer, activation: Format, second: Format) -> int:
    """Blocks that add up to one output: along the input channels of every kernel tap (rule 11); 0 without blocks.

    A product of two activations has none.
    """
    size = block_size(activation, second)
    if not size or layer.weight is None:
        return 0
    _, channels, *kernel = layer.weight.shape
    return math.prod(kernel) * -(-int(channels) // size)


def _reads_blocks(layer: Layer) -> bool:
    operation = layer.operation
    return isinstance(operation, Linear) or (isinstance(operation, Convolution) and operation.groups == 1)


def _adds_exponents(number_format: Format) -> TypeGuard[MiniFloat]:
    return (
        isinstance(number_format, MiniFloat)
        and number_format.exponent_bits > 0
        and number_format.subnormals in (Subnormals.GRADUAL, Subnormals.FLUSH)
        and number_format.zero is Zero.PRESENT
    )


def _has_grid(number_format: Format) -> bool:
    """Whether a cast to the format is defined: see `emulation.quantisers.grid_of`."""
    if isinstance(number_format, FixedPoint):
        return True
    try:
        grid_of(number_format)
        if isinstance(number_format, BlockScaled):
            block_grid_of(number_format)
    except ValueError:
        return False
    return True
