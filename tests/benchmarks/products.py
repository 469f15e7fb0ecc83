"""Speeds of matrix products from codes against BLAS and APyTypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apytypes
import ml_dtypes
import numpy as np

from kernels.compiled import block_dots, dots, exact_dots, lmul
from kernels.fields import (
    LMUL_FIELD,
    LMUL_FORMULA,
    OVERFLOW_INFINITY,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    LMulFields,
)
from tests.benchmarks.comparisons import Comparison, compare, medians

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 512
PEER_SIZE = 64
SINGLE = FloatFields(8, 23, 127, 1, 0, 0, 1)
E5M10 = FloatFields(5, 10, 15, 1, 0, 0, 1)


def tables() -> dict[str, np.ndarray]:
    """The integers that codes mean."""
    every = np.arange(256, dtype=np.uint8)
    e4m3 = every.view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    return {
        "int8": every.view(np.int8).astype(np.int64),
        "int4": np.concatenate([np.arange(8), np.arange(-8, 0)]),
        "e2m1": (every[:16].view(ml_dtypes.float4_e2m1fn).astype(np.float64) * 2).astype(np.int64),
        "e2m3": (every[:64].view(ml_dtypes.float6_e2m3fn).astype(np.float64) * 8).astype(np.int64),
        "e4m3fn": (np.where(np.isnan(e4m3), 0, e4m3) * 512).astype(np.int64),
        "fixed, 12 bits": np.concatenate([np.arange(2048), np.arange(-2048, 0)]),
    }


def exact_products(random: np.random.Generator) -> list[Comparison]:
    """Exact products from codes, the look-up of codes included."""
    single = random.standard_normal((2, SIZE, SIZE)).astype(np.float32)
    double = single.astype(np.float64)
    peers: dict[str, Callable[[], object]] = {
        "sgemm": lambda: single[0] @ single[1],
        "dgemm": lambda: double[0] @ double[1],
    }
    jobs: list[tuple[str, str, float | None, Callable[[], object]]] = []
    asked = {"int8": ("sgemm", 3.5), "int4": ("sgemm", 2.5), "e2m1": ("sgemm", 2.5), "e2m3": ("sgemm", 2.5)}
    for name, table in tables().items():
        codes = random.integers(0, table.size, (2, SIZE, SIZE)).astype(np.uint8 if table.size <= 256 else np.uint16)
        peer, required = asked.get(name, ("dgemm", 0.85))
        jobs.append(
            (
                f"exact, {name}",
                peer,
                required,
                lambda c=codes, t=table: exact_dots.exact_matmul_codes(c[0], c[1], t, t),
            )
        )
    for name, spread, required in (("int8", 14, 0.7), ("int8", 30, 0.25), ("e4m3fn", 4, 0.7), ("e4m3fn", 16, 0.25)):
        table = tables()[name]
        codes = random.integers(0, table.size, (2, SIZE, SIZE)).astype(np.uint8)
        exponents = random.integers(0, spread // 2 + 1, (SIZE, 16)), random.integers(0, spread // 2 + 1, (16, SIZE))
        what = f"blocks of 32, {name}, exponents spread {spread}"
        jobs.append((f"{what}, exact", "dgemm", required, lambda c=codes, t=table, e=exponents: blocks(c, t, e)))
        jobs.append((f"{what}, aligned", "dgemm", None, lambda c=codes, t=table, e=exponents: aligned(c, t, e)))
    e4m3 = FloatFields(4, 3, 7, 1, 1, 0, 1)
    operands = lmul.operand_table(e4m3)
    lmul_codes = random.choice(np.flatnonzero(operands.finite), (2, SIZE, SIZE)).astype(np.uint8)
    left, right = lmul_codes
    formula, field = LMulFields(LMUL_FORMULA, 3, 3), LMulFields(LMUL_FIELD, 3, 3)
    wide = AccumulatorFields(SINGLE, 0, OVERFLOW_INFINITY)
    jobs += [
        (
            "L-Mul formula, e4m3fn, exact",
            "dgemm",
            0.4,
            lambda: lmul.matmul_codes(left, right, operands, operands, formula),
        ),
        (
            "L-Mul field addition, e4m3fn, float32 in k order",
            "sgemm",
            0.18,
            lambda: lmul.matmul_codes(left, right, operands, operands, field, accumulator=wide),
        ),
    ]
    return [compare(name, job, peer, peers[peer], required=required, runs=21) for name, peer, required, job in jobs]


def blocks(codes: np.ndarray, table: np.ndarray, exponents: tuple[np.ndarray, np.ndarray]) -> object:
    """The exact product of two block-scaled operands given as codes."""
    dtype = np.int8 if np.abs(table).max() <= 128 else np.int32
    left, right = (exact_dots.look_up(some, table, dtype) for some in codes)
    return block_dots.block_matmul(left, right, *exponents, block=32)


def aligned(codes: np.ndarray, table: np.ndarray, exponents: tuple[np.ndarray, np.ndarray]) -> object:
    """The hardware rule: every block's product shifted to a static unit."""
    dtype = np.int8 if np.abs(table).max() <= 128 else np.int32
    left, right = (exact_dots.look_up(some, table, dtype) for some in codes)
    return block_dots.block_matmul_aligned(left, right, *exponents, block=32, unit=8, width=48)


def rounded_sums(random: np.random.Generator) -> list[Comparison]:
    """Accumulators cast at every addition against APyTypes, per product (its matrices are smaller)."""
    table = tables()["e4m3fn"]
    table = np.where(np.abs(table) > 240 * 512, 0, table)
    codes = random.integers(0, 256, (2, SIZE, SIZE)).astype(np.uint8)
    values = [exact_dots.look_up(some, table, np.float32) / 512 for some in codes[:, :PEER_SIZE, :PEER_SIZE]]
    floats = [apytypes.APyFloatArray.from_float(some, 4, 3) for some in values]
    jobs: list[tuple[str, float, Callable[[], object], Callable[[], object]]] = []
    for exponent_bits, mantissa_bits in ((5, 10), (4, 3), (6, 9), (8, 7), (8, 12)):
        fields = FloatFields(exponent_bits, mantissa_bits, (1 << (exponent_bits - 1)) - 1, 1, 0, 0, 1)
        accumulator = AccumulatorFields(fields, 0, OVERFLOW_INFINITY)
        jobs.append(
            (
                f"float accumulator, E{exponent_bits}M{mantissa_bits}",
                200.0 if fields == E5M10 else 100.0,
                lambda a=accumulator: float_product(codes, table, a),
                lambda e=exponent_bits, m=mantissa_bits: float_peer(floats, e, m),
            )
        )
    integers = random.integers(-2048, 2048, (2, SIZE, SIZE))
    fixed = [apytypes.APyFixedArray(some[:PEER_SIZE, :PEER_SIZE], bits=12, int_bits=4) for some in integers]
    for name, rounding in (("floor", 3), ("half even", 0)):
        saturating = AccumulatorFields(FixedFields(16, 8, 1), rounding)
        jobs.append(
            (
                f"fixed accumulator, 16 bits, saturating, {name}",
                100.0,
                lambda a=saturating: dots.matmul(integers[0], integers[1], unit=-16, accumulator=a),
                lambda: fixed_peer(fixed),
            )
        )
    found = []
    for name, required, ours, theirs in jobs:
        seconds, peer_seconds = medians([ours, theirs], runs=5)
        found.append(Comparison(name, seconds, "APyTypes", peer_seconds * (SIZE / PEER_SIZE) ** 3, required))
    return found


def float_product(codes: np.ndarray, table: np.ndarray, accumulator: AccumulatorFields) -> object:
    """A product of codes whose accumulator is rounded at every addition."""
    left, right = (exact_dots.look_up(some, table, np.float32) for some in codes)
    return dots.matmul(left, right, unit=-18, accumulator=accumulator)


def float_peer(operands: list[apytypes.APyFloatArray], exponent_bits: int, mantissa_bits: int) -> object:
    """The same in APyTypes."""
    with apytypes.APyFloatAccumulatorContext(
        exp_bits=exponent_bits, man_bits=mantissa_bits, quantization=apytypes.QuantizationMode.TIES_EVEN
    ):
        return operands[0] @ operands[1]


def fixed_peer(operands: list[apytypes.APyFixedArray]) -> object:
    """A fixed-point accumulator in APyTypes, which does not saturate."""
    with apytypes.APyFixedAccumulatorContext(
        int_bits=8, frac_bits=8, quantization=apytypes.QuantizationMode.TRN, overflow=apytypes.OverflowMode.SAT
    ):
        return operands[0] @ operands[1]


def comparisons() -> list[Comparison]:
    """Everything of this file."""
    random = np.random.default_rng(0)
    return exact_products(random) + rounded_sums(random)
