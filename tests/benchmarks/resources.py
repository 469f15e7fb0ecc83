"""What the kernels take besides time on one thread: memory, and how they use two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.compiled import blocks, dots, exact_dots, lmul, minifloat
from kernels.fields import LMUL_FIELD, OVERFLOW_INFINITY, AccumulatorFields, FixedFields, LMulFields
from tests.benchmarks.blocks import E4M3FN, FORMATS
from tests.benchmarks.comparisons import Memory, Scaling, peak_memory, scaling
from tests.benchmarks.products import E5M10, SINGLE, tables

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = 1 << 24
SIZE = 2048
"""Matrices here are larger than those that are timed, so that buffers of a fixed size do not count."""


def memory() -> list[Memory]:
    """Peak memory of casts and products."""
    values = np.random.default_rng(0).normal(size=VALUES).astype(np.float32)
    codes = minifloat.encode(values, E4M3FN)
    mx = FORMATS["MXFP8 E4M3, block 32"]
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "cast to e4m3fn": (lambda: minifloat.cast(values, E4M3FN), values.nbytes),
        "codes of e4m3fn": (lambda: minifloat.encode(values, E4M3FN), values.nbytes),
        "values of e4m3fn codes": (lambda: minifloat.decode(codes, E4M3FN), codes.nbytes + values.nbytes),
        "cast to MXFP8": (lambda: blocks.cast(values, mx), values.nbytes),
    }
    return [peak_memory(name, job, size) for name, (job, size) in jobs.items()] + _product_memory()


def _product_memory() -> list[Memory]:
    random = np.random.default_rng(1)
    found = []
    for name, table in tables().items():
        codes = random.integers(0, table.size, (2, SIZE, SIZE)).astype(np.uint8 if table.size <= 256 else np.uint16)

        def product(codes: np.ndarray = codes, table: np.ndarray = table) -> object:
            return exact_dots.exact_matmul_codes(codes[0], codes[1], table, table)

        # Three matrices of 64-bit numbers are what the product of plain integers takes: operands and result.
        found.append(peak_memory(f"exact product, {name}", product, 3 * SIZE * SIZE * 8))
    return found


def scalings() -> list[Scaling]:
    """Casts of two halves of the values, products of two halves of the rows."""
    values = np.random.default_rng(0).normal(size=1 << 22).astype(np.float32)
    out = np.empty_like(values)
    half = values.size // 2
    mx = FORMATS["MXFP8 E4M3, block 32"]
    random = np.random.default_rng(1)
    codes = random.integers(0, 126, (2, 512, 512)).astype(np.uint8)
    table = tables()["e4m3fn"]
    small = [exact_dots.look_up(some, table, np.float32) / 512 for some in codes]
    operands = lmul.operand_table(E4M3FN)
    integers = random.integers(-2048, 2048, (2, 512, 512))

    def rows(job: Callable[[slice], object]) -> list[Callable[[], object]]:
        return [lambda: job(slice(0, 256)), lambda: job(slice(256, 512))]

    def places(job: Callable[[slice], object]) -> list[Callable[[], object]]:
        return [lambda: job(slice(0, half)), lambda: job(slice(half, None))]

    half_precision = AccumulatorFields(E5M10, 0, OVERFLOW_INFINITY)
    wide = AccumulatorFields(SINGLE, 0, OVERFLOW_INFINITY)
    saturating = AccumulatorFields(FixedFields(16, 8, 1), 3)
    field = LMulFields(LMUL_FIELD, 3, 3)
    return [
        scaling("cast to e4m3fn", places(lambda part: minifloat.cast(values[part], E4M3FN, out=out[part]))),
        scaling("cast to MXFP8", places(lambda part: blocks.cast(values[part], mx, out=out[part]))),
        scaling(
            "exact product, e4m3fn",
            rows(lambda part: exact_dots.exact_matmul_codes(codes[0][part], codes[1], table, table)),
        ),
        scaling(
            "product with an E5M10 accumulator",
            rows(lambda part: dots.matmul(small[0][part], small[1], unit=-18, accumulator=half_precision)),
        ),
        scaling(
            "product with a saturating 16-bit accumulator",
            rows(lambda part: dots.matmul(integers[0][part], integers[1], unit=-16, accumulator=saturating)),
        ),
        scaling(
            "L-Mul product, field addition",
            rows(lambda part: lmul.matmul_codes(codes[0][part], codes[1], operands, operands, field, accumulator=wide)),
        ),
    ]
