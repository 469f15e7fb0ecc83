"""Casts to minifloats by `kernels.definitions.minifloat`, on arrays; arguments as in `kernels.compiled.minifloat`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kernels.by_definition.scalars import check_random_bits, decode_each, encode_each
from kernels.definitions import minifloat
from kernels.fields import FLUSH_AFTER_ROUNDING, OVERFLOW_SATURATE, FloatFields
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def cast(values: NDArray[Any], fields: FloatFields, **options: Any) -> NDArray[Any]:  # noqa: ANN401 - those of `encode`
    """Round values to numbers of the format: encode, then decode."""
    return decode(encode(values, fields, **options), fields, values.dtype)


def encode(
    values: NDArray[Any],
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: NDArray[Any] | None = None,
    random_width: int = 0,
    nan_code: int | None = None,
) -> NDArray[Any]:
    """Round values to codes.

    >>> import numpy as np
    >>> encode(np.array([0.3, 1.25, -2.5, 100.0]), FloatFields(2, 1, 1, 1, specials=2, subnormals=0, zero=1))
    array([ 1,  2, 12,  7], dtype=uint8)
    """
    check_random_bits(values, random_bits, rounding)
    scalar = partial(
        minifloat.encode_scalar,
        fields=fields,
        rounding=rounding,
        overflow=overflow,
        underflow=underflow,
        random_width=random_width,
        nan_code=nan_code,
    )
    return encode_each(values, fields, random_bits, scalar)


def decode(codes: NDArray[Any], fields: FloatFields, dtype: DTypeLike) -> NDArray[Any]:
    """The values of codes, float32 or float64."""
    return decode_each(codes, fields, dtype)
