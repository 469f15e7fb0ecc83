"""One list of formats that the definitions and all their fast twins are compared over."""

from __future__ import annotations

from typing import Final

from kernels.fields import (
    SPECIALS_FINITE_NAN,
    SPECIALS_FNUZ,
    SPECIALS_IEEE,
    SPECIALS_NONE,
    SPECIALS_P3109,
    SUBNORMALS_FLUSH,
    SUBNORMALS_GRADUAL,
    SUBNORMALS_KEEP_EXPONENT,
    FixedFields,
    FloatFields,
)


def minifloat(  # noqa: PLR0917 - a table of positional rows reads best
    exponent_bits: int,
    mantissa_bits: int,
    bias: int,
    specials: int = SPECIALS_NONE,
    subnormals: int = SUBNORMALS_GRADUAL,
    signed: int = 1,
    zero: int = 1,
) -> FloatFields:
    """A row of the table below."""
    return FloatFields(exponent_bits, mantissa_bits, bias, signed, specials, subnormals, zero)


_IEEE, _FN, _FNUZ, _P3109, _NONE = SPECIALS_IEEE, SPECIALS_FINITE_NAN, SPECIALS_FNUZ, SPECIALS_P3109, SPECIALS_NONE
_GRADUAL, _KEEP, _FLUSH = SUBNORMALS_GRADUAL, SUBNORMALS_KEEP_EXPONENT, SUBNORMALS_FLUSH

STANDARD_FLOATS: Final = {
    "e4m3fn": minifloat(4, 3, 7, _FN),
    "e5m2": minifloat(5, 2, 15, _IEEE),
    "e3m2": minifloat(3, 2, 3),
    "e2m3": minifloat(2, 3, 1),
    "e2m1": minifloat(2, 1, 1),
    "e8m0": minifloat(8, 0, 127, _FN, _KEEP, signed=0, zero=0),
    "e4m3": minifloat(4, 3, 7, _IEEE),
    "e3m4": minifloat(3, 4, 3, _IEEE),
    "e4m3fnuz": minifloat(4, 3, 8, _FNUZ),
    "e5m2fnuz": minifloat(5, 2, 16, _FNUZ),
    "e4m3b11fnuz": minifloat(4, 3, 11, _FNUZ),
    "p3109 k8p1": minifloat(7, 0, 64, _P3109),
    "p3109 k8p3": minifloat(5, 2, 16, _P3109),
    "p3109 k8p4": minifloat(4, 3, 8, _P3109),
    "p3109 k6p3": minifloat(3, 2, 4, _P3109),
    "p3109 k8p3 unsigned": minifloat(6, 2, 32, _P3109, signed=0),
    "p3109 k8p4 unsigned": minifloat(5, 3, 16, _P3109, signed=0),
    "fp16": minifloat(5, 10, 15, _IEEE),
    "bf16": minifloat(8, 7, 127, _IEEE),
    "tf32": minifloat(8, 10, 127, _IEEE),
    "fp32": minifloat(8, 23, 127, _IEEE),
}
"""Formats that a standard or a library names."""

ODD_FLOATS: Final = {
    "ue4m3fn": minifloat(4, 3, 7, _FN, signed=0),
    "ue5m3 ieee": minifloat(5, 3, 15, _IEEE, signed=0),
    "ue3m3fnuz": minifloat(3, 3, 4, _FNUZ, signed=0),
    "e5m0": minifloat(5, 0, 15),
    "e5m0 ieee": minifloat(5, 0, 15, _IEEE),
    "e3m0fn": minifloat(3, 0, 3, _FN),
    "e0m4": minifloat(0, 4, 0),
    "e0m5fn": minifloat(0, 5, -3, _FN),
    "ue0m3": minifloat(0, 3, 1, signed=0),
    "e0m3 keep": minifloat(0, 3, 0, _NONE, _KEEP),
    "e1m2": minifloat(1, 2, 0),
    "e1m6p3109": minifloat(1, 6, 1, _P3109),
    "e2m1 bias 4": minifloat(2, 1, 4),
    "e4m3fn bias -20": minifloat(4, 3, -20, _FN),
    "e4m3 bias 60": minifloat(4, 3, 60, _IEEE),
    "e7m2 bias 0": minifloat(7, 2, 0),
    "e7m5 bias 110": minifloat(7, 5, 110, _IEEE),
    "e8m2 bias 140": minifloat(8, 2, 140),
    "e8m6 bias 131 keep": minifloat(8, 6, 131, _NONE, _KEEP),
    "e3m4 keep": minifloat(3, 4, 3, _IEEE, _KEEP),
    "e2m2 keep": minifloat(2, 2, 1, _NONE, _KEEP),
    "e4m2 keep no zero": minifloat(4, 2, 7, _FN, _KEEP, zero=0),
    "ue3m2 keep no zero": minifloat(3, 2, 3, _NONE, _KEEP, signed=0, zero=0),
    "e4m0 keep": minifloat(4, 0, 7, _NONE, _KEEP),
    "e4m3 flush": minifloat(4, 3, 7, _IEEE, _FLUSH),
    "e3m2fnuz flush": minifloat(3, 2, 4, _FNUZ, _FLUSH),
    "ue3m3 flush": minifloat(3, 3, 3, _NONE, _FLUSH, signed=0),
    "e5m4fn": minifloat(5, 4, 15, _FN),
    "e6m9": minifloat(6, 9, 31, _IEEE),
    "e7m8 flush": minifloat(7, 8, 63, _NONE, _FLUSH),
    "e5m20": minifloat(5, 20, 15),
    "e4m23": minifloat(4, 23, 7, _IEEE),
}
"""Formats at the corners of what the fields allow."""

FLOATS: Final = STANDARD_FLOATS | ODD_FLOATS

FIXED: Final = {
    "int8": FixedFields(8, 0, 1),
    "uint8": FixedFields(8, 0, 0),
    "int4": FixedFields(4, 0, 1),
    "uint4": FixedFields(4, 0, 0),
    "int2": FixedFields(2, 0, 1),
    "int1": FixedFields(1, 0, 1),
    "uint1": FixedFields(1, 0, 0),
    "fixed<8,4>": FixedFields(8, 4, 1),
    "ufixed<8,4>": FixedFields(8, 4, 0),
    "fixed<6,9>": FixedFields(6, -3, 1),
    "ufixed<5,7>": FixedFields(5, -2, 0),
    "fixed<6,-2>": FixedFields(6, 8, 1),
    "ufixed<7,-3>": FixedFields(7, 10, 0),
    "fixed<3,1>": FixedFields(3, 2, 1),
    "fixed<16,6>": FixedFields(16, 10, 1),
    "ufixed<16,16>": FixedFields(16, 0, 0),
    "fixed<18,8>": FixedFields(18, 10, 1),
    "fixed<22,1>": FixedFields(22, 21, 1),
    "fixed<23,3>": FixedFields(23, 20, 1),
    "ufixed<23,3>": FixedFields(23, 20, 0),
    "fixed<24,12>": FixedFields(24, 12, 1),
    "ufixed<24,4>": FixedFields(24, 20, 0),
    "fixed<25,5>": FixedFields(25, 20, 1),
    "fixed<8,-100>": FixedFields(8, 108, 1),
    "fixed<8,100>": FixedFields(8, -92, 1),
}
"""Fixed point whose values float32 holds."""

WIDE_FIXED: Final = {
    "int26": FixedFields(26, 0, 1),
    "int32": FixedFields(32, 0, 1),
    "uint32": FixedFields(32, 0, 0),
    "fixed<40,20>": FixedFields(40, 20, 1),
    "ufixed<52,10>": FixedFields(52, 42, 0),
    "fixed<53,1>": FixedFields(53, 52, 1),
    "ufixed<53,60>": FixedFields(53, -7, 0),
    "int54": FixedFields(54, 0, 1),
}
"""Fixed point whose values float64 holds and float32 does not."""

WIDEST_FIXED: Final = {
    "int55": FixedFields(55, 0, 1),
    "ufixed<54,20>": FixedFields(54, 34, 0),
    "fixed<63,31>": FixedFields(63, 32, 1),
    "int64": FixedFields(64, 0, 1),
    "uint64": FixedFields(64, 0, 0),
    "fixed<64,-20>": FixedFields(64, 84, 1),
    "ufixed<64,80>": FixedFields(64, -16, 0),
}
"""Fixed point with codes only: no float type holds all values."""

SMALL_FLOATS: Final = {
    name: fields for name, fields in FLOATS.items() if fields.signed + fields.exponent_bits + fields.mantissa_bits <= 8
}
"""Minifloats of at most 8 bits."""
