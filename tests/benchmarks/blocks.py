"""Speeds of block formats and tables beside a copy, torchao and plain products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from emulation.formats.tables import NF4
from kernels.compiled import binary_coded, blocks, tables
from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    ARITHMETIC_RECIPROCAL,
    SCALE_E4M3,
    SCALE_EXPONENT,
    SCALE_RULE_RATIO,
    SPECIALS_FINITE_NAN,
    SPECIALS_NONE,
    SUBNORMALS_GRADUAL,
    BlockFields,
    FloatFields,
)
from tests.benchmarks.comparisons import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = 1 << 22
E4M3FN = FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1)
E2M1 = FloatFields(2, 1, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1)
MXFP8 = BlockFields(block_size=32, element_kind=0, element=E4M3FN)
MXFP4 = BlockFields(block_size=32, element_kind=0, element=E2M1)
NVFP4 = BlockFields(block_size=16, element_kind=0, element=E2M1, scale_rule=SCALE_RULE_RATIO, scale_kind=SCALE_E4M3)
FORMATS = {
    "BFP 8 bit, block 16": BlockFields(block_size=16, element_kind=1, magnitude_bits=7, scale_kind=SCALE_EXPONENT),
    "BFP 8 bit, block 32": BlockFields(block_size=32, element_kind=1, magnitude_bits=7, scale_kind=SCALE_EXPONENT),
    "MXINT8, block 32": BlockFields(block_size=32, element_kind=2, magnitude_bits=7),
    "MXFP8 E4M3, block 32": MXFP8,
    "MXFP8 E4M3, block 16": MXFP8._replace(block_size=16),
    "MXFP4, block 32": MXFP4,
    "NVFP4 reciprocal, block 16": NVFP4._replace(arithmetic=ARITHMETIC_RECIPROCAL),
    "NVFP4 division, block 16": NVFP4._replace(arithmetic=ARITHMETIC_DIVISION),
    "NVFP4 exact, block 16": NVFP4._replace(arithmetic=ARITHMETIC_EXACT),
}


def torchao_round_trips(values: np.ndarray) -> dict[str, Callable[[], object]]:
    """What torchao has of the same jobs, eager: quantise and dequantise. Empty without torchao."""
    try:
        from torchao.prototype.mx_formats.mx_tensor import MXTensor
        from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor
    except ImportError:
        return {}
    tensor = torch.from_numpy(values)
    scale = torch.tensor(blocks.tensor_scale_of(values))

    def mx(element: object) -> Callable[[], object]:
        return lambda: MXTensor.to_mx(tensor, element, 32).dequantize(torch.float32)

    return {
        "MXFP8 E4M3, block 32": mx(torch.float8_e4m3fn),
        "MXFP4, block 32": mx(torch.float4_e2m1fn_x2),
        "NVFP4 reciprocal, block 16": lambda: NVFP4Tensor.to_nvfp4(tensor, per_tensor_scale=scale).dequantize(
            torch.float32
        ),
    }


def comparisons(runs: int = 9) -> list[Comparison]:
    """Everything of this file, on 4 Mi float32 values."""
    values = np.random.default_rng(0).normal(size=(2048, VALUES // 2048)).astype(np.float32)
    out = np.empty_like(values)
    scale = blocks.tensor_scale_of(values)
    peers = torchao_round_trips(values)

    def copy() -> None:
        np.copyto(out, values)

    found = []
    for name, fields in FORMATS.items():
        tensor_scale = scale if fields.scale_kind == SCALE_E4M3 else 1.0

        def cast(fields: BlockFields = fields, tensor_scale: float = tensor_scale) -> object:
            return blocks.cast(values, fields, tensor_scale=tensor_scale, out=out)

        found.append(compare(name, cast, "np.copyto", copy, required=0.5, runs=runs))
        if name in peers:
            found.append(compare(name, cast, "torchao eager", peers[name], required=10.0, runs=3))
    table = tables.table(NF4.levels, np.float32)
    nf4 = compare("NF4, 16 levels", lambda: tables.cast(values, table, out=out), "np.copyto", copy, runs=runs)
    return [*found, nf4, _binary_coded(runs)]


def _binary_coded(runs: int) -> Comparison:
    random = np.random.default_rng(0)
    activations = random.integers(-128, 128, (64, 1024))
    signs = random.choice(np.array([-1, 1], np.int8), (3, 256, 1024))
    alphas = random.integers(1, 100, (3, 256))
    planes = binary_coded.pack_planes(signs, 8)
    weights = (alphas[:, :, None] * signs.astype(np.int64)).sum(axis=0)
    return compare(
        "BCQ product, 64 x 1024 x 256, 3 planes",
        lambda: binary_coded.binary_coded_matmul(activations, planes, alphas),
        "np.matmul of int64",
        lambda: activations @ weights.T,
        runs=runs,
    )
