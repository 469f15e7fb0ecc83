"""What the kernels take besides time on one thread: memory, and how they use two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.compiled import block_dots, blocks, dots, exact_dots, fixed, lmul, minifloat
from kernels.fields import LMUL_FIELD, LMUL_FORMULA, OVERFLOW_INFINITY, AccumulatorFields, FixedFields, LMulFields
from kernels.rounding import FLOOR
from tests.benchmarks.blocks import E4M3FN, FORMATS
from tests.benchmarks.comparisons import Memory, Scaling, peak_memory, scaling
from tests.benchmarks.products import E5M10, SINGLE, tables

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = 1 << 24
HALF = AccumulatorFields(E5M10, 0, OVERFLOW_INFINITY)
WIDE = AccumulatorFields(SINGLE, 0, OVERFLOW_INFINITY)
SATURATING = AccumulatorFields(FixedFields(16, 8, 1), FLOOR)
SIZE = 2048
"""Matrices here are larger than those that are timed, so that buffers of a fixed size do not count."""


def memory() -> list[Memory]:
    """Peak memory of casts and products."""
    values = np.random.default_rng(0).normal(size=VALUES).astype(np.float32)
    codes = minifloat.encode(values, E4M3FN)
    mx, nvfp4 = FORMATS["MXFP8 E4M3, block 32"], FORMATS["NVFP4 exact, block 16"]
    sixteen = FixedFields(16, 10, 1)
    jobs: dict[str, tuple[Callable[[], np.ndarray], str, int]] = {
        "cast to e4m3fn": (lambda: minifloat.cast(values, E4M3FN), "float32 values", values.nbytes),
        "cast to fixed<16,6>": (lambda: fixed.cast(values, sixteen), "float32 values", values.nbytes),
        "codes of e4m3fn": (lambda: minifloat.encode(values, E4M3FN), "float32 values", values.nbytes),
        "values of e4m3fn codes": (lambda: minifloat.decode(codes, E4M3FN), "float32 values", values.nbytes),
        "cast to MXFP8": (lambda: blocks.cast(values, mx), "float32 values", values.nbytes),
        "cast to NVFP4": (lambda: blocks.cast(values, nvfp4), "float32 values", values.nbytes),
    }
    return [peak_memory(name, *job) for name, job in jobs.items()] + _product_memory()


def _product_memory() -> list[Memory]:
    """Products; their operands are counted as the matrices of floats that BLAS would take."""
    random = np.random.default_rng(1)
    doubles = "two float64 matrices", 2 * SIZE * SIZE * 8
    singles = "two float32 matrices", 2 * SIZE * SIZE * 4
    found = []
    for name, table in tables().items():
        codes = random.integers(0, table.size, (2, SIZE, SIZE)).astype(np.uint8 if table.size <= 256 else np.uint16)

        def product(codes: np.ndarray = codes, table: np.ndarray = table) -> np.ndarray:
            return exact_dots.exact_matmul_codes(codes[0], codes[1], table, table)

        operands = doubles if name in {"e4m3fn", "fixed, 12 bits"} else singles
        found.append(peak_memory(f"exact product, {name}", product, *operands))
    codes = random.integers(0, 126, (2, SIZE, SIZE)).astype(np.uint8)
    small = [exact_dots.look_up(some, tables()["e4m3fn"], np.float32) / 512 for some in codes]
    integers = random.integers(-2048, 2048, (2, SIZE, SIZE))
    exponents = random.integers(0, 4, (SIZE, SIZE // 32)), random.integers(0, 4, (SIZE // 32, SIZE))
    elements = codes.view(np.int8)
    operand_table = lmul.operand_table(E4M3FN)
    formula, field = LMulFields(LMUL_FORMULA, 3, 3), LMulFields(LMUL_FIELD, 3, 3)
    jobs: dict[str, tuple[Callable[[], np.ndarray], str, int]] = {
        "float accumulator, E5M10": (lambda: dots.matmul(*small, unit=-18, accumulator=HALF), *singles),
        "saturating accumulator, 16 bits": (
            lambda: dots.matmul(*integers, unit=-16, accumulator=SATURATING),
            *doubles,
        ),
        "blocks of 32, int8, exact": (
            lambda: block_dots.block_matmul(elements[0], elements[1], *exponents, block=32).parts[0],
            *doubles,
        ),
        "L-Mul formula, exact": (
            lambda: lmul.matmul_codes(codes[0], codes[1], operand_table, operand_table, formula),
            *doubles,
        ),
        "L-Mul field addition, float32": (
            lambda: lmul.matmul_codes(codes[0], codes[1], operand_table, operand_table, field, accumulator=WIDE),
            *singles,
        ),
    }
    return found + [peak_memory(name, *job) for name, job in jobs.items()]


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

    field = LMulFields(LMUL_FIELD, 3, 3)
    singles = random.standard_normal((2, 512, 512)).astype(np.float32)
    return [
        # BLAS shows what the machine itself gives two threads.
        scaling("sgemm, for comparison", rows(lambda part: singles[0][part] @ singles[1])),
        scaling("cast to e4m3fn", places(lambda part: minifloat.cast(values[part], E4M3FN, out=out[part]))),
        scaling("cast to MXFP8", places(lambda part: blocks.cast(values[part], mx, out=out[part]))),
        scaling(
            "exact product, e4m3fn",
            rows(lambda part: exact_dots.exact_matmul_codes(codes[0][part], codes[1], table, table)),
        ),
        scaling(
            "product with an E5M10 accumulator",
            rows(lambda part: dots.matmul(small[0][part], small[1], unit=-18, accumulator=HALF)),
        ),
        scaling(
            "product with a saturating 16-bit accumulator",
            rows(lambda part: dots.matmul(integers[0][part], integers[1], unit=-16, accumulator=SATURATING)),
        ),
        scaling(
            "L-Mul product, field addition",
            rows(lambda part: lmul.matmul_codes(codes[0][part], codes[1], operands, operands, field, accumulator=WIDE)),
        ),
    ]
