"""What `fixed` and `minifloat` of this folder share: a definition called once for every number of an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.canaries import check_subnormals
from kernels.extents import FLOAT32, FLOAT64, check_holds, value_of, width_of
from kernels.rounding import STOCHASTIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from kernels.fields import FixedFields, FloatFields


def encode_each(
    values: NDArray[Any],
    fields: FixedFields | FloatFields,
    random_bits: NDArray[Any] | None,
    encode: Callable[..., int],
) -> NDArray[Any]:
    """The codes of values in the narrowest unsigned dtype; ``encode`` takes a value and its random bits."""
    check_subnormals()
    width = width_of(fields)
    codes = np.empty(values.shape, dtype=f"uint{max(8, 1 << (width - 1).bit_length())}")
    flat = codes.reshape(-1)
    random = np.zeros(1, np.int64) if random_bits is None else random_bits.reshape(-1)
    for index, value in enumerate(values.reshape(-1).tolist()):
        flat[index] = encode(value, random_bits=int(random[index]) if random_bits is not None else 0)
    return codes


def decode_each(codes: NDArray[Any], fields: FixedFields | FloatFields, dtype: DTypeLike) -> NDArray[Any]:
    """The values of codes in float32 or float64, which must hold every number of the format."""
    kind = np.dtype(dtype)
    check_subnormals()
    check_holds(FLOAT32 if kind == np.float32 else FLOAT64, fields)
    values = [value_of(code, fields) for code in codes.reshape(-1).tolist()]
    return np.array(values, dtype=kind).reshape(codes.shape)


def check_random_bits(values: NDArray[Any], random_bits: NDArray[Any] | None, rounding: int) -> None:
    """Refuse missing or superfluous random numbers.

    Raises:
        ValueError: if stochastic rounding has none for each value, or another rounding has some.
    """
    if (rounding == STOCHASTIC) != (random_bits is not None and random_bits.shape == values.shape):
        raise ValueError(
            f"stochastic rounding, and it alone, needs random_bits of shape {values.shape}, got "
            f"{None if random_bits is None else random_bits.shape}"
        )
