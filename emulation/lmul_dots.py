"""L-Mul dot products straight from codes, by the kernels made for them."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from emulation.arrays import Array, as_dtype
from emulation.code_integers import TABLE_BITS
from emulation.datapaths import Datapath, NarrowAccumulator, Order, Product
from emulation.format_fields import float_fields
from emulation.formats import MiniFloat
from emulation.matrix_sums import accumulator_fields, shifted
from kernels.fields import LMUL_FIELD, LMUL_FORMULA, ORDER_PAIRWISE, AccumulatorFields, LMulFields
from kernels.twins import Twin, is_tensor, run


def lmul_dot(left: Array, right: Array, datapath: Datapath, *, unit: int, twin: Twin) -> Array | None:
    """One matrix product of codes; None where no kernel is made for it: wide formats, trees over chunks, definition.

    Args:
        left: codes ``(m, k)``.
        right: codes ``(k, n)``.
        datapath: two minifloats, an L-Mul and an accumulator.
        unit: the exponent of the unit that exact sums come out in.
        twin: which implementation computes.
    """
    given = datapath.activation.format, datapath.second.format
    formats = [one for one in given if isinstance(one, MiniFloat) and one.width <= TABLE_BITS]
    accumulator = datapath.arithmetic.accumulator
    if twin is Twin.DEFINITION or len(formats) < len(given):
        return None
    grid = AccumulatorFields()
    if isinstance(accumulator, NarrowAccumulator):
        grid = accumulator_fields(accumulator)
        if accumulator.order is Order.PAIRWISE:
            if accumulator.chunk > 1:
                return None
            grid = grid._replace(order=ORDER_PAIRWISE)
    kind = LMUL_FORMULA if datapath.arithmetic.product is Product.LMUL_FORMULA else LMUL_FIELD
    fields = LMulFields(kind, formats[0].mantissa_bits, formats[1].mantissa_bits)
    device = str(left.device) if is_tensor(left) and twin is not Twin.COMPILED else "cpu"
    tables = [_operand_table(twin, one, device) for one in formats]
    codes = [
        as_dtype(one, "uint8" if number_format.width <= 8 else "uint16")
        for one, number_format in zip((left, right), formats, strict=True)
    ]
    found = run("lmul", "matmul_codes", *codes, *tables, fields, twin=twin, accumulator=grid)
    if isinstance(accumulator, NarrowAccumulator):
        return found
    product_unit = importlib.import_module(f"kernels.{twin.value}.lmul").product_unit
    return shifted(found, int(product_unit(*tables, fields)) - unit)


@lru_cache(maxsize=64)
def _operand_table(twin: Twin, number_format: MiniFloat, device: str) -> Any:  # noqa: ANN401 - the twin's own type
    fields = float_fields(number_format)
    if twin is Twin.GPU:  # its kernels take the fields themselves
        return fields
    operand_table = importlib.import_module(f"kernels.{twin.value}.lmul").operand_table
    return operand_table(fields, device) if twin is Twin.TENSORS else operand_table(fields)
