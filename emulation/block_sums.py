"""Dot products of blocks, fast: exact in a block; their sum aligned and saturated (DESIGN 6.11), or in a register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.block_tensors import BlockTensor, bit_length
from emulation.columns import columns_of
from emulation.datapaths import Order
from emulation.register_execution import as_content, in_steps, register_fields
from emulation.wide_integers import WORD, largest, narrow, plus
from kernels.compiled import block_registers
from kernels.compiled.block_dots import block_matmul_aligned
from kernels.fields import ORDER_ASCENDING, ORDER_PAIRWISE
from kernels.products import exact_matmul

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.engines import BlockSum, Engine, Register
    from emulation.hardware import HardwareLayer
    from emulation.network import Window

_ROOM: Final = 60
"""Bits of the sums that go through the compiled kernel."""


class Rows(NamedTuple):
    """One operand in blocks: ``elements (rows, taps, k)`` and ``scales (rows, taps, blocks)``, None if it has none.

    Scales are binary exponents if ``unit`` is None, else integers in ``2**unit``.
    """

    elements: NDArray[Any]
    scales: NDArray[np.int64] | None
    size: int
    unit: int | None


class Activation:
    """An activation, in blocks or not, brought into rows."""

    def __init__(self, source: EdgeTensor) -> None:
        blocks = source if isinstance(source, BlockTensor) else None
        self.elements: NDArray[Any] = source.elements if isinstance(source, BlockTensor) else source
        self.scales: NDArray[np.int64] | None = None if blocks is None else blocks.scales
        self.size: int = 0 if blocks is None else blocks.grid.size
        self.unit: int | None = None if blocks is None else blocks.grid.scale_unit

    def rows(self, shape: tuple[int, int, int]) -> Rows:
        """Its vectors along the last axis, as one tap each."""
        scales = None if self.scales is None else self.scales.reshape(shape[0], shape[1], -1)
        return Rows(self.elements.reshape(shape), scales, self.size, self.unit)

    def under(self, window: Window) -> Rows:
        """What lies under a window at every position."""
        elements, _ = columns_of(self.elements, window, 1)
        scales = None
        if self.scales is not None:
            # A padded position has elements 0: any scale will do, and the least one needs the fewest bits.
            gathered, _ = columns_of(self.scales, window, 1, fill=int(self.scales.min(initial=0)))
            scales = gathered.reshape(gathered.shape[1], window.taps, -1)
        return Rows(elements.reshape(elements.shape[1], window.taps, -1), scales, self.size, self.unit)


def weight_rows(hardware_layer: HardwareLayer, engine: Engine) -> Rows:
    """The weights, a row per output."""
    weight, second = hardware_layer.weight, hardware_layer.second
    if weight is None or second is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    elements = np.moveaxis(weight.reshape(*weight.shape[:2], -1), 1, 2)
    grid, scales = second.blocks, engine.weight_scales
    if grid is None or scales is None:
        return Rows(elements, None, 0, None)
    return Rows(elements, np.moveaxis(scales.reshape(*scales.shape[:2], -1), 1, 2), grid.size, grid.scale_unit)


def block_sums(left: Rows, right: Rows, rule: BlockSum, bias: NDArray[Any] | None) -> NDArray[Any]:
    """Dot products ``(rows of left, rows of right)``, block by block: aligned (rule 11), or in the rule's register.

    Where 62 bits provably hold every block's product after its shift, the compiled kernel aligns.
    """
    size = left.size or right.size
    operands = [_flattened(rows, size) for rows in (left, right)]
    if rule.register is not None:
        return _in_register(operands, size, rule.register, bias)
    if operands[0].elements.dtype != object and operands[1].elements.dtype != object and _fits(operands, rule, bias):
        return block_matmul_aligned(
            operands[0].elements,
            operands[1].elements.T,
            operands[0].exponents,
            operands[1].exponents.T,
            block=size,
            unit=rule.shift,
            width=rule.bits,
            initial=bias,
        )
    return _sums_of_any_size(left, right, rule, bias)


class _Flat(NamedTuple):
    """An operand with all taps in a row and tails filled with zeros; minifloat scales are inside the elements."""

    elements: NDArray[Any]
    exponents: NDArray[np.int64]
    size: int


def _flattened(rows: Rows, size: int) -> _Flat:
    count, taps, depth = rows.elements.shape
    blocks = -(-depth // size)
    elements = rows.elements
    if depth % size:
        elements = np.zeros((count, taps, blocks * size), dtype=rows.elements.dtype)
        elements[..., :depth] = rows.elements
    exponents = np.zeros((count, taps * blocks), dtype=np.int64)
    if rows.scales is not None and rows.unit is None:
        exponents = rows.scales.reshape(count, -1)
    elif rows.scales is not None:
        elements = _times(elements, np.repeat(rows.scales, size, axis=-1))
        exponents = np.full(exponents.shape, rows.unit, dtype=np.int64)
    return _Flat(elements.reshape(count, -1), exponents, size)


def _in_register(operands: Sequence[_Flat], size: int, register: Register, bias: NDArray[Any] | None) -> NDArray[Any]:
    """The content of a register after all blocks, in its own steps."""
    left, right = operands
    order = ORDER_PAIRWISE if register.order is Order.PAIRWISE else ORDER_ASCENDING
    initial = None
    if bias is not None:
        initial = as_content(np.broadcast_to(bias, (len(left.elements), len(right.elements))), register)
    content = block_registers.matmul(
        left.elements,
        right.elements.T,
        left.exponents + (register.format.unit_exponent - register.product_shift),
        right.exponents.T,
        block=size,
        accumulator=register_fields(register)._replace(order=order),
        blocks_per_term=register.chunk,
        initial=initial,
    )
    return in_steps(content, register)


def _fits(operands: Sequence[_Flat], rule: BlockSum, bias: NDArray[Any] | None) -> bool:
    """Whether no block's product reaches 2**53, nor its shifted sum, bias included, 2**60."""
    product = operands[0].size
    growth = -rule.shift
    for operand in operands:
        product *= largest(operand.elements)
        growth += int(operand.exponents.max(initial=-(1 << 16)))
    bits = product.bit_length() + max(growth, 0) + operands[0].exponents.shape[1].bit_length()
    return product < 1 << 53 and bits < _ROOM and (bias is None or largest(bias) < 1 << (_ROOM - 2))


def _sums_of_any_size(left: Rows, right: Rows, rule: BlockSum, bias: NDArray[Any] | None) -> NDArray[Any]:
    size = left.size or right.size
    taps, depth = left.elements.shape[1:]
    blocks = -(-depth // size)
    total: NDArray[Any] = np.zeros((len(left.elements), len(right.elements)), dtype=np.int64)
    if bias is not None:
        total = total.astype(bias.dtype) + bias
    room = WORD - (taps * blocks).bit_length() - 1
    for tap in range(taps):
        for block in range(blocks):
            inside = slice(block * size, (block + 1) * size)
            part = exact_matmul(left.elements[:, tap, inside], right.elements[:, tap, inside].T)
            scales = [(_scale(left, tap, block)[:, None], left.unit), (_scale(right, tap, block), right.unit)]
            total = plus(total, _aligned(part, scales, rule.shift, room))
    return narrow(np.clip(total, -rule.largest - 1, rule.largest))


def _scale(rows: Rows, tap: int, block: int) -> NDArray[np.int64]:
    if rows.scales is None:
        return np.zeros(1, dtype=np.int64)
    return rows.scales[:, tap, block]


def _aligned(
    part: NDArray[Any], factors: Sequence[tuple[NDArray[np.int64], int | None]], shift: int, room: int
) -> NDArray[Any]:
    """A block's dot products times both scales (binary exponents, or integers in a unit), floored to ``2**shift``.

    Results that could exceed ``room`` bits are Python integers.
    """
    shifts = np.full((1, 1), shift, dtype=np.int64)
    for scales, unit in factors:
        if unit is None:
            shifts = shifts - scales
        else:
            part = _times(part, scales)
            shifts = shifts - unit
    shifts = np.broadcast_to(shifts, part.shape)
    reach = (bit_length(np.abs(part)) - shifts)[part != 0].max(initial=0)
    if part.dtype != object and int(reach) > room:
        part = part.astype(object)
    right_shifts, left_shifts = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    if part.dtype != object:
        right_shifts, left_shifts = np.minimum(right_shifts, WORD), np.minimum(left_shifts, WORD)
    result: NDArray[Any] = (part >> right_shifts) << left_shifts
    return result


def _times(part: NDArray[Any], scales: NDArray[np.int64]) -> NDArray[Any]:
    if part.dtype != object and largest(part) * largest(scales) >= 1 << WORD:
        part = part.astype(object)
    return part * scales
