"""Speeds of casts beside those of copying memory and of peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from kernels.casts import cast_to_grid
from kernels.compiled import fixed, minifloat
from kernels.fields import (
    OVERFLOW_INFINITY,
    OVERFLOW_WRAP,
    SPECIALS_FINITE_NAN,
    SPECIALS_IEEE,
    SPECIALS_NONE,
    SPECIALS_P3109,
    SUBNORMALS_FLUSH,
    SUBNORMALS_GRADUAL,
    SUBNORMALS_KEEP_EXPONENT,
    FixedFields,
    FloatFields,
)
from kernels.rounding import CEILING, FLOOR, HALF_AWAY, HALF_UP, STOCHASTIC, TOWARD_ZERO
from tests.benchmarks.comparisons import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 1 << 22
"""Values of a measurement: 16 MiB of float32."""


FORMATS: dict[str, FixedFields | FloatFields] = {
    "int8": FixedFields(8, 0, 1),
    "uint4": FixedFields(4, 0, 0),
    "fixed<16,6>": FixedFields(16, 10, 1),
    "ufixed<23,3>": FixedFields(23, 20, 0),
    "fixed<25,5>": FixedFields(25, 20, 1),
    "e4m3fn": FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1),
    "e5m2": FloatFields(5, 2, 15, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1),
    "e3m2": FloatFields(3, 2, 3, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
    "e2m1": FloatFields(2, 1, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
    "ue4m3fn": FloatFields(4, 3, 7, 0, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1),
    "p3109 k8p4": FloatFields(4, 3, 8, 1, SPECIALS_P3109, SUBNORMALS_GRADUAL, 1),
    "e4m3 flush": FloatFields(4, 3, 7, 1, SPECIALS_IEEE, SUBNORMALS_FLUSH, 1),
    "e8m0": FloatFields(8, 0, 127, 0, SPECIALS_FINITE_NAN, SUBNORMALS_KEEP_EXPONENT, 0),
    "e7m2 bias 0": FloatFields(7, 2, 0, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
    "fp16": FloatFields(5, 10, 15, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1),
    "bf16": FloatFields(8, 7, 127, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1),
    "tf32": FloatFields(8, 10, 127, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1),
}
MODES = {
    "floor": {"rounding": FLOOR},
    "toward zero": {"rounding": TOWARD_ZERO},
    "half up": {"rounding": HALF_UP},
    "half away": {"rounding": HALF_AWAY},
    "up": {"rounding": CEILING},
}


def samples(count: int = COUNT) -> np.ndarray:
    """Normal values, the same each time."""
    return np.random.default_rng(0).normal(size=count).astype(np.float32)


def casts_beside_copy() -> list[Comparison]:
    """Quantise and dequantise 4 Mi float32 values, half to even with saturation, beside ``np.copyto``."""
    values = samples()
    out, copied = np.empty_like(values), np.empty_like(values)
    rows = []
    for name, fields in FORMATS.items():

        def cast(fields: FixedFields | FloatFields = fields) -> object:
            if isinstance(fields, FixedFields):
                return fixed.cast(values, fields, out=out)
            return minifloat.cast(values, fields, out=out)

        rows.append(compare(f"cast to {name}", cast, "np.copyto", lambda: np.copyto(copied, values), required=0.8))
    return rows


def modes_beside_copy() -> list[Comparison]:
    """Other roundings and overflow rules, and codes instead of values."""
    values = samples()
    out, copied = np.empty_like(values), np.empty_like(values)
    e4m3fn, sixteen = FORMATS["e4m3fn"], FORMATS["fixed<16,6>"]
    assert isinstance(e4m3fn, FloatFields)
    assert isinstance(sixteen, FixedFields)
    random = np.random.default_rng(1).integers(0, 1 << 8, COUNT, dtype=np.uint32)
    codes = minifloat.encode(values, e4m3fn)
    jobs: dict[str, Callable[[], object]] = {}
    for name, mode in MODES.items():
        jobs[f"e4m3fn, {name}"] = lambda mode=mode: minifloat.cast(values, e4m3fn, out=out, **mode)
        jobs[f"fixed<16,6>, {name}"] = lambda mode=mode: fixed.cast(values, sixteen, out=out, **mode)
    jobs |= {
        "e4m3fn, overflow to NaN": lambda: minifloat.cast(values, e4m3fn, overflow=OVERFLOW_INFINITY, out=out),
        "e4m3fn, stochastic": lambda: minifloat.cast(
            values, e4m3fn, rounding=STOCHASTIC, random_bits=random, random_width=8, out=out
        ),
        "fixed<16,6>, floor and wrap": lambda: fixed.cast(
            values, sixteen, rounding=FLOOR, overflow=OVERFLOW_WRAP, out=out
        ),
        "e4m3fn, codes": lambda: minifloat.encode(values, e4m3fn),
        "fixed<16,6>, codes": lambda: fixed.encode(values, sixteen),
        "int64, codes": lambda: fixed.encode(values, FixedFields(64, 0, 1)),
        "e4m3fn, decode": lambda: minifloat.decode(codes, e4m3fn),
    }
    return [compare(name, job, "np.copyto", lambda: np.copyto(copied, values)) for name, job in jobs.items()]


def casts_beside_peers() -> list[Comparison]:
    """The same job by torch's float8 casts, ml_dtypes, gfloat and, where they are installed, qtorch."""
    import gfloat
    import ml_dtypes
    from gfloat.formats import format_info_ocp_e4m3

    values = samples()
    out = np.empty_like(values)
    tensor = torch.from_numpy(values)
    e4m3fn, e5m2 = FORMATS["e4m3fn"], FORMATS["e5m2"]
    assert isinstance(e4m3fn, FloatFields)
    assert isinstance(e5m2, FloatFields)

    def ours() -> object:
        return minifloat.cast(values, e4m3fn, out=out)

    short, short_out = values[: 1 << 18], out[: 1 << 18]
    rows = [
        compare(
            "cast to e4m3fn",
            ours,
            "torch .to(float8_e4m3fn).float()",
            lambda: tensor.to(torch.float8_e4m3fn).float(),
            required=10.0,
        ),
        compare(
            "cast to e5m2",
            lambda: minifloat.cast(values, e5m2, out=out),
            "torch .to(float8_e5m2).float() (F16C)",
            lambda: tensor.to(torch.float8_e5m2).float(),
        ),
        compare(
            "cast to e4m3fn",
            ours,
            "ml_dtypes",
            lambda: values.astype(ml_dtypes.float8_e4m3fn).astype(np.float32),
            runs=5,
        ),
        compare(
            "cast to e4m3fn, 256 Ki values",
            lambda: minifloat.cast(short, e4m3fn, out=short_out),
            "gfloat",
            lambda: gfloat.round_ndarray(format_info_ocp_e4m3, short, sat=True),
            runs=5,
        ),
    ]
    try:
        from qtorch.quant import block_quantize, fixed_point_quantize, float_quantize
    except ImportError:
        return rows
    sixteen, int8 = FORMATS["fixed<16,6>"], FORMATS["int8"]
    assert isinstance(sixteen, FixedFields)
    assert isinstance(int8, FixedFields)
    return [
        *rows,
        compare(
            "cast to e4m3",
            ours,
            "qtorch",
            lambda: float_quantize(tensor, exp=4, man=3, rounding="nearest"),
            required=30.0,
            runs=5,
        ),
        compare(
            "cast to fixed<16,6>",
            lambda: fixed.cast(values, sixteen, out=out),
            "qtorch",
            lambda: fixed_point_quantize(tensor, wl=16, fl=10, rounding="nearest"),
            required=30.0,
            runs=5,
        ),
        compare(
            "cast to int8, one exponent a tensor",
            lambda: fixed.cast(values, int8, out=out),
            "qtorch block",
            lambda: block_quantize(tensor, wl=8, dim=-1, rounding="nearest"),
            runs=5,
        ),
    ]


def scaled_casts() -> list[Comparison]:
    """The cast of samples and weights with a real scale, 1 Mi float32 to float64 integers, beside NumPy's steps."""
    values = samples(1 << 20)
    unit = np.array([0.0371])

    def numpy_steps() -> object:
        return np.rint(np.clip(values.astype(np.float64) / unit[0], -128, 127))

    return [
        compare(
            "scaled cast to int8, 1 Mi values",
            lambda: cast_to_grid(values, unit, low=-128, high=127, mantissa_bits=-1),
            "NumPy's divide, clip, rint",
            numpy_steps,
        ),
        compare(
            "scaled cast to e4m3fn, 1 Mi values",
            lambda: cast_to_grid(values, unit, low=-(7 << 15), high=7 << 15, mantissa_bits=3),
            "NumPy's, to int8",
            numpy_steps,
        ),
    ]


def comparisons() -> list[Comparison]:
    """Everything of this file."""
    return [*casts_beside_copy(), *modes_beside_copy(), *casts_beside_peers(), *scaled_casts()]
