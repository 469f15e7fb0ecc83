"""Compile every kernel of kernels.gpu ahead of time and print what stands in its PTX, as JSON lines.

Run as a program with the compute capability (80, 90) and ``reduced`` or ``full``: Triton's own functions are made for
the compiler or for the interpreter when Triton is imported, so this needs a process of its own, and no GPU.
"""

from __future__ import annotations

import json
import re
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels.fields import (
    ELEMENT_TWOS_COMPLEMENT,
    LMUL_FIELD,
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    OVERFLOW_INFINITY,
    AccumulatorFields,
    BlockFields,
    FixedFields,
    FloatFields,
    LMulFields,
)
from kernels.gpu import (
    binary_coded,
    block_dots,
    block_kernels,
    block_registers,
    blocks,
    dots,
    fixed,
    integer_functions,
    minifloat,
    requantise,
    sum_constants,
    sums,
    tables,
)
from kernels.gpu.bits import BINARY32, BINARY64
from kernels.gpu.launching import kernel
from kernels.gpu.lmul import lmul_constants, multiply_kernel
from kernels.integer_constants import gelu_fields, layer_norm_fields, softmax_fields
from kernels.rounding import FLOOR, HALF_DOWN, HALF_EVEN, STOCHASTIC

if TYPE_CHECKING:
    from collections.abc import Iterator

FORBIDDEN = ("tf32", ".ftz", ".approx", "div.full")
E4M3FN = FloatFields(4, 3, 7, 1, 1, 0, 1)
E2M1 = FloatFields(2, 1, 1, 1, 2, 0, 1)
E8M0 = FloatFields(8, 0, 127, 0, 1, 1, 0)
BFLOAT16 = FloatFields(8, 7, 127, 1, 0, 0, 1)
BINARY16 = FloatFields(5, 10, 15, 1, 0, 0, 1)
SINGLE = FloatFields(8, 23, 127, 1, 0, 0, 1)
SHAPE = {"rows": "i32", "columns": "i32", "depth": "i32"}


@kernel
def contractible_kernel(values: tl.tensor, results: tl.tensor) -> None:
    """A product and a sum, which the compiler may contract: shows that the search for fma can find one."""
    value = tl.load(values)
    tl.store(results, value * value + value)


class Case(NamedTuple):
    """One compilation; the reduced set has the first of each kernel."""

    function: Any
    signature: dict[str, str]
    constants: dict[str, Any]


def casts() -> Iterator[Case]:
    for source, values in ((BINARY32, "*fp32"), (BINARY64, "*fp64")):
        for rounding in (HALF_EVEN, STOCHASTIC, HALF_DOWN):
            width = 8 if rounding == STOCHASTIC else 0
            for fields in (E4M3FN, SINGLE, E8M0, E4M3FN._replace(subnormals=2)):
                constants = minifloat.targets(
                    fields, rounding=rounding, overflow=0, underflow=1, random_width=width, nan_code=None
                )
                shared = {"SOURCE": source, "FIELDS": fields, "TARGETS": constants, "BLOCK": 1024}
                for as_values, results in enumerate(("*u32", values)):
                    yield Case(
                        minifloat.encode_kernel,
                        {"values": values, "random": "*i64", "results": results, "size": "i64"},
                        shared | {"ROUNDING": rounding, "UNDERFLOW": 1, "RANDOM_WIDTH": width, "AS_VALUES": as_values},
                    )
                yield Case(minifloat.decode_kernel, {"codes": "*u32", "results": values, "size": "i32"}, shared)
        for overflow in fixed.definition.OVERFLOWS:
            for bits in (0, 1, 3) if overflow in fixed.definition.WRAPS else (0,):
                for fields, word in ((FixedFields(16, 10, 1), 32), (FixedFields(50, 3, 1), 64)):
                    shared = {"SOURCE": source, "FIELDS": fields, "STEP": 2.0**-fields.fraction_bits, "BLOCK": 1024}
                    yield Case(
                        fixed.encode_kernel,
                        {"values": values, "random": "*i64", "results": values, "size": "i32"},
                        shared
                        | {
                            "ROUNDING": STOCHASTIC if bits == 3 else overflow,
                            "OVERFLOW": overflow,
                            "N": bits,
                            "RANDOM_WIDTH": 8 if bits == 3 else 0,
                            "NAN_CODE": (1 << fields.width) - 1,
                            "WORD": word,
                            "AS_VALUES": 1,
                        },
                    )
                    yield Case(fixed.decode_kernel, {"codes": "*u64", "results": values, "size": "i32"}, shared)
        yield Case(
            tables.encode_kernel,
            {"values": values, "thresholds": values, "listed": values, "results": values}
            | {"per_table": "i32", "size": "i32"},
            {"COUNT": 16, "STEPS": 4, "PER_TABLE": 1, "BLOCK": 1024},
        )
        yield Case(
            tables.decode_kernel,
            {"codes": "*u8", "indices": "*i64", "levels": values, "results": values, "per_table": "i32", "size": "i32"},
            {"COUNT": 16, "BLOCK": 1024},
        )


def block_casts() -> Iterator[Case]:
    ratio = BlockFields(16, 0, element=E2M1, scale_rule=4, scale_kind=2)
    formats = [ratio._replace(arithmetic=arithmetic) for arithmetic in range(3)]
    formats += [
        BlockFields(32, 0, element=E4M3FN),
        BlockFields(5, ELEMENT_TWOS_COMPLEMENT, magnitude_bits=7, scale_kind=1),
    ]
    counts = {"columns": "i32", "blocks": "i32", "blocks_per_row": "i32"}
    for fields in formats:
        for dtype, source, values in ((torch.float32, BINARY32, "*fp32"), (torch.float64, BINARY64, "*fp64")):
            if fields.arithmetic and dtype == torch.float64:
                continue
            work, scales = (BINARY32, "*fp32") if fields.arithmetic else (BINARY64, "*fp64")
            shared = {
                "SOURCE": source,
                "WORK": work,
                "CONSTANTS": blocks.block_constants(fields, rounding=HALF_EVEN, dtype=dtype),
                "BLOCK_SIZE": fields.block_size,
                "SHARED": int(fields.block_size == 5),
                "PADDED": 1 << (fields.block_size - 1).bit_length(),
                "TILE": 32,
            }
            for as_values, results in enumerate(("*u8", values)):
                for rounding in (HALF_EVEN, STOCHASTIC):
                    options = {"ROUNDING": rounding, "RANDOM_WIDTH": 8 * (rounding == STOCHASTIC)}
                    yield Case(
                        block_kernels.encode_kernel,
                        {"values": values, "random": "*i64", "largest_of_all": values, "tensor_scales": scales}
                        | {"results": results, "scales": "*u8"}
                        | counts,
                        shared | options | {"AS_VALUES": as_values},
                    )
            yield Case(
                block_kernels.decode_kernel,
                {"elements": "*u8", "scales": "*u8", "tensor_scales": scales, "results": values} | counts,
                shared,
            )


def products() -> Iterator[Case]:
    for kind, operands in ((tl.int32, "*i8"), (tl.float32, "*fp32"), (tl.float64, "*fp64")):
        yield Case(
            dots.exact_kernel,
            {"left": operands, "right": operands, "results": "*i64"} | SHAPE,
            {"PART": kind, "PART_DEPTH": 1024, "TILE": 64, "TILE_DEPTH": 32},
        )
    yield Case(dots.wide_kernel, {"left": "*i64", "right": "*i64", "results": "*i64"} | SHAPE, {"TILE": 32})
    accumulators = [
        AccumulatorFields(BINARY16, overflow=OVERFLOW_INFINITY),
        AccumulatorFields(BFLOAT16, FLOOR),
        AccumulatorFields(FixedFields(24, 4, 1)),
        AccumulatorFields(),
    ]
    clamped = LMulFields(LMUL_FIELD_CLAMPED, 3, 3, -6, 8, 6, OVERFLOW_INFINITY)
    lmuls = [LMulFields(LMUL_FIELD, 3, 3), LMulFields(LMUL_FORMULA, 3, 3), clamped]
    kinds = [sum_constants.LMulConstants(), *(lmul_constants(lmul) for lmul in lmuls)]
    for dtype, source, values in ((torch.float32, BINARY32, "*fp32"), (torch.float64, BINARY64, "*fp64")):
        for accumulator in accumulators:
            for lmul in kinds if accumulator.grid == BINARY16 else kinds[:1]:
                operands = values if lmul.kind < 0 else "*i32"
                signature = {"left": operands, "right": operands, "initial": values, "results": values} | SHAPE
                shared = {
                    "SOURCE": source,
                    "LMUL": lmul,
                    "PRODUCT": sum_constants.cast_constants(None, dtype),
                    "SUM": sum_constants.cast_constants(accumulator, dtype),
                }
                yield Case(sums.ordered_kernel, signature, shared | {"CHUNK": 4, "ROUND_PARTS": 1, "TILE": 32})
                yield Case(sums.tree_kernel, signature, shared | {"LEVELS": 6, "TILE": 4})
    for lmul in kinds[1:]:
        yield Case(
            multiply_kernel,
            {"left": "*i32", "right": "*i32", "results": "*fp64", "size": "i32"},
            {"SOURCE": BINARY64, "LMUL": lmul, "BLOCK": 1024},
        )


def requantisations() -> Iterator[Case]:
    longs = dict.fromkeys(("accumulators", "multipliers", "shifts", "results"), "*i64")
    counts = {"channels": "i32", "size": "i32"}
    for rounding in range(HALF_EVEN, STOCHASTIC):
        for mantissa_bits in (-1, 3):
            yield Case(
                requantise.requantise_kernel,
                longs | counts | {"negative_multipliers": "*i64", "low": "i32", "high": "i64"},
                {"ROUNDING": rounding, "MANTISSA_BITS": mantissa_bits, "BLOCK": 1024},
            )
    for single in (0, 1):
        yield Case(requantise.double_rounding_kernel, longs | counts, {"SINGLE": single, "BLOCK": 1024})


def block_products() -> Iterator[Case]:
    longs = dict.fromkeys(("left_shifts", "right_shifts", "results"), "*i64")
    counts = SHAPE | {"block": "i32", "blocks": "i32"}
    for bits, part_depth in ((16, 1 << 20), (53, 1 << 30)):
        yield Case(
            block_dots.digits_kernel,
            {"left": "*i64", "right": "*i64", "left_digits": "i32", "right_digits": "i32"} | longs | counts,
            {"BITS": bits, "PART_DEPTH": part_depth, "TILE": 32, "TILE_DEPTH": 16},
        )
    yield Case(
        block_dots.aligned_kernel,
        {"left": "*fp64", "right": "*fp64", "low": "i64", "high": "i64"} | longs | counts,
        {"TILE": 32, "TILE_DEPTH": 16},
    )
    yield Case(
        block_registers.block_sums_kernel,
        {"left": "*fp64", "right": "*fp64", "left_exponents": "*i64", "right_exponents": "*i64", "results": "*fp64"}
        | counts,
        {"SOURCE": BINARY64, "TILE": 32, "TILE_DEPTH": 16},
    )
    registers = [
        AccumulatorFields(BINARY16, overflow=OVERFLOW_INFINITY),
        AccumulatorFields(BFLOAT16, FLOOR),
        AccumulatorFields(FixedFields(24, 4, 1)),
    ]
    for register in registers:
        shared = {"SOURCE": BINARY64, "SUM": sum_constants.cast_constants(register, torch.float64), "BLOCK": 1024}
        values = {"terms": "*fp64", "results": "*fp64", "size": "i64"}
        for round_parts in (0, 1):
            yield Case(
                block_registers.register_kernel,
                values | {"initial": "*fp64", "count": "i32"},
                shared | {"CHUNK": 1 + 3 * round_parts, "ROUND_PARTS": round_parts},
            )
        yield Case(block_registers.pairs_kernel, values | {"per_term": "i32"}, shared)
    for group in (4, 8):
        yield Case(
            binary_coded.table_kernel,
            {"activations": "*i64", "tables": "*i64", "inputs": "i32", "groups": "i32", "size": "i64"},
            {"GROUP": group, "BLOCK": 1024},
        )
        yield Case(
            binary_coded.lookup_kernel,
            {"tables": "*i64", "planes": "*u8", "alphas": "*i64", "results": "*i64"}
            | dict.fromkeys(("rows", "outputs", "groups", "count"), "i32"),
            {"GROUP": group, "TILE": 32},
        )


def integer_only() -> Iterator[Case]:
    rows = {"rows": "*i64", "results": "*i64", "count": "i32"}
    values = {"values": "*i64", "results": "*i64", "size": "i32"}
    for unit in (Fraction(1, 16), Fraction(37, 10)):
        for length, in_program, piece in ((10, 64, 16), (197, 4, 256), (5000, 1, 1024)):
            shape = {"ROWS": in_program, "PIECE": piece}
            fields = {"length": length, "magnitude": 128}
            yield Case(integer_functions.softmax_kernel, rows, {"FIELDS": softmax_fields(unit, **fields)} | shape)
            norm = layer_norm_fields(unit, **fields, epsilon=Fraction(1, 100_000))
            yield Case(integer_functions.layer_norm_kernel, rows, {"FIELDS": norm, "STEPS": 32} | shape)
        yield Case(integer_functions.gelu_kernel, values, {"FIELDS": gelu_fields(unit, magnitude=128), "BLOCK": 1024})
    yield Case(integer_functions.square_root_kernel, values, {"STEPS": 32, "BLOCK": 1024})
    for steps in (0, 10):
        yield Case(
            integer_functions.look_up_kernel,
            values | {"integers": "*i64", "entries": "*i64", "strange": "*i8", "count": "i32"},
            {"STEPS": steps, "BLOCK": 1024},
        )


def ptx_of(case: Case, capability: int, *, fusion: bool = False) -> str:
    names = case.function.arg_names
    missing = set(names) - set(case.signature) - set(case.constants)
    if missing:
        raise ValueError(f"{case.function.__name__} has parameters without a type: {sorted(missing)}")
    compiled = triton.compile(
        ASTSource(
            case.function,
            {name: case.signature.get(name, "constexpr") for name in names},
            constexprs={name: value for name, value in case.constants.items() if name in names},
        ),
        target=GPUTarget("cuda", capability, 32),
        options={"enable_fp_fusion": fusion},
    )
    return str(compiled.asm["ptx"])


def report(case: Case, capability: int) -> dict[str, Any]:
    text = ptx_of(case, capability)
    found = [word for word in FORBIDDEN if word in text]
    found += sorted(set(re.findall(r"\bfma\.[\w.]+", text)))
    name = f"{case.function.__module__}.{case.function.__name__}"
    return {"kernel": name, "target": re.findall(r"\.target (\w+)", text)[0], "found": found}


def main() -> None:
    capability, extent = int(sys.argv[1]), sys.argv[2]
    contractible = Case(contractible_kernel, {"values": "*fp32", "results": "*fp32"}, {})
    fused = {fusion: "fma.rn.f32" in ptx_of(contractible, capability, fusion=fusion) for fusion in (True, False)}
    sys.stdout.write(json.dumps({"fused": fused[True], "fused without fusion": fused[False]}) + "\n")
    seen: set[Any] = set()
    for family in (casts, block_casts, products, block_products, requantisations, integer_only):
        for case in family():
            if extent == "full" or case.function not in seen:
                sys.stdout.write(json.dumps(report(case, capability)) + "\n")
            seen.add(case.function)


if __name__ == "__main__":
    main()
