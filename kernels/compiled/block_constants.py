"""The constants that compiled loops over blocks take, from a format's fields and the dtype of the values."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from kernels.compiled.block_elements import Grid
from kernels.definitions.block_grids import ElementGrid, carry_threshold, scale_exponents, top_exponent
from kernels.definitions.blocks import magnitude_of_code
from kernels.fields import (
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    NAN_BLOCK,
    SCALE_E4M3,
    SCALE_E8M0,
    SCALE_EXPONENT,
    BlockFields,
)
from kernels.rounding import HALF_AWAY, HALF_EVEN, TOWARD_ZERO

_ALWAYS_DOWN: Final = 2.0
_THRESHOLDS: Final = {HALF_AWAY: 0.5, TOWARD_ZERO: _ALWAYS_DOWN}
"""From which part of a spacing a magnitude is rounded up; by any other rounding, from the float after one half."""


@lru_cache(maxsize=64)
def block_constants(
    element: ElementGrid, dtype: np.dtype[Any], *, fields: BlockFields | None, rounding: int, nan: int
) -> Grid:
    """The constants of one dtype for the loops; without fields, of a scale's own grid."""
    real = dtype.type
    information = np.finfo(real)
    word = np.uint32 if dtype == np.float32 else np.uint64
    bits = information.nmant
    bias = 1 - int(information.minexp)
    top = top_exponent(element)
    power = fields is not None and fields.scale_kind != SCALE_E4M3
    low, high = scale_exponents(fields) if fields is not None and power else (0, 0)
    addend = (1 << bits) - carry_threshold(fields, rounding, bits) if fields is not None and power else 0
    half_more = float(np.nextafter(real(0.5), real(1)))
    signed_zero = fields is None or fields.element_kind in {ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE}
    return Grid(
        magnitude_mask=word((1 << (dtype.itemsize * 8 - 1)) - 1),
        exponent_mask=word((2 * bias + 1) << bits),
        addend=word(addend),
        minimum_field=word((element.minimum_exponent + bias) << bits),
        magic_step=word((bits - element.mantissa_bits) << bits),
        limit=real(float(magnitude_of_code(element.largest_code, element))),
        negative_limit=real(float(magnitude_of_code(element.largest_code + element.extra_negative, element))),
        zero=real(-0.0 if signed_zero else 0.0),
        threshold=real(_THRESHOLDS.get(rounding, half_more)),
        half_even=rounding == HALF_EVEN,
        float_bits=bits,
        float_bias=bias,
        mantissa_bits=element.mantissa_bits,
        top=top,
        low=low,
        high=high,
        **_usual(low, high, top, bias, bits, word),
        code_shift=word(bits - element.mantissa_bits),
        sign_shift=word(dtype.itemsize * 8 - 1),
        sign_code=word(1 << (element.width - 1) if signed_zero else 0),
        flip=word(0 if signed_zero else (1 << dtype.itemsize * 8) - 1),
        code_mask=word((1 << element.width) - 1),
        scale_offset=127 if fields is not None and fields.scale_kind == SCALE_E8M0 else 0,
        scale_mask=(1 << fields.scale_bits) - 1 if fields is not None and fields.scale_kind == SCALE_EXPONENT else 0xFF,
        width=element.width,
        twos_complement=not signed_zero,
        keep_nan=nan == NAN_BLOCK,
    )


def _usual(low: int, high: int, top: int, bias: int, bits: int, word: Any) -> dict[str, Any]:  # noqa: ANN401 - a type
    """What the loop over usual blocks knows of scales: where they and their reciprocals are normal, with no overflow.

    Subnormal amax are left out, and so are, where that may matter, exponents that a rule's carry could lift too high.
    """
    usual_low, usual_high = 1 - bias, min(bias - 1, bias - 2 - top)
    first = usual_low + top + bias if low < usual_low else 1
    last = usual_high + top + bias if high > usual_high else 2 * bias + 1
    fields = (max(low, usual_low) + top + bias, min(high, usual_high) + top + bias)
    low_field, high_field = (min(max(field, 0), 2 * bias) << bits for field in fields)
    return {
        "low_field": word(low_field),
        "high_field": word(high_field),
        "top_field": word((top << bits) % (1 << np.dtype(word).itemsize * 8)),
        "reciprocal": word(2 * bias << bits),
        "usual_low": word(max(first, 1) << bits),
        "usual_span": word((last - max(first, 1)) << bits),
    }
