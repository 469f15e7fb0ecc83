"""NumPy arrays and torch tensors alike: what casts take, widened to what kernels take, and narrowed again.

Nothing here loads torch: a tensor can only be given after someone else has.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Final, TypeAlias

import numpy as np

from kernels.canaries import check_subnormals
from kernels.extents import FloatType
from kernels.twins import is_tensor

Array: TypeAlias = Any
"""A NumPy array or a torch tensor: they have operators, but no type in common, so type checkers see Any."""
Scale: TypeAlias = float | Array
"""One number, or an array or a tensor of numbers."""
Integers: TypeAlias = int | Array
"""One integer, or an array or a tensor of integers."""

FLOAT_TYPES: Final = {
    "float16": FloatType("float16", 10, -14, 15),
    "bfloat16": FloatType("bfloat16", 7, -126, 127),
    "float32": FloatType("float32", 23, -126, 127),
    "float64": FloatType("float64", 52, -1022, 1023),
}
"""The types that values may have, narrow ones first."""
_LARGEST_EXACT_INTEGER: Final = 1 << 53


def checked(values: Array, what: str = "values") -> Array:
    """A NumPy array or torch tensor as it is; a NumPy scalar becomes an array without axes.

    Every public function begins with it, so it is also where a thread that flushes subnormal numbers is found.

    Raises:
        TypeError: for anything else, and for masked arrays, whose mask no code could keep.
        RuntimeError: if this thread flushes subnormal numbers (`kernels.canaries.check_subnormals`).

    >>> checked([1.0])
    Traceback (most recent call last):
    TypeError: values must be a NumPy array or a torch tensor, got a list: use numpy.asarray or torch.as_tensor
    """
    check_subnormals()
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{what} must have no mask, got a masked array: fill it (values.filled) or compress it first")
    if is_tensor(values) or isinstance(values, np.ndarray):
        return values
    if isinstance(values, np.generic):
        return np.asarray(values)
    raise TypeError(
        f"{what} must be a NumPy array or a torch tensor, got a {type(values).__name__}: use numpy.asarray or "
        "torch.as_tensor"
    )


def dtype_name(values: Array) -> str:
    """The name of a dtype without the package: ``float32``, ``uint8``."""
    return str(values.dtype).removeprefix("torch.")


def size_of(values: Array) -> int:
    """How many values an array has."""
    return int(values.numel()) if is_tensor(values) else int(values.size)


def widened(values: Array) -> Array:
    """Values as float32 or float64, exactly: narrower floats as float32, integers as float64.

    Raises:
        TypeError: for dtypes without real numbers.
        ValueError: if an integer is beyond ``2**53`` and no float64.
    """
    name = dtype_name(values)
    if name in {"float32", "float64"}:
        return values
    if name in FLOAT_TYPES:
        return as_dtype(values, "float32")
    if not _is_real(name):
        raise TypeError(
            f"values of dtype {name} cannot be cast to a number format: use {', '.join(FLOAT_TYPES)} or an integer "
            "dtype"
        )
    result = as_dtype(values, "float64")
    lost = integers_beyond_float64(values)
    if lost:
        raise ValueError(
            f"{len(lost)} of {size_of(values)} integers, such as {lost[0]}, would lose bits in float64, which holds "
            "integers up to 2**53: shift them right first, or encode them in fixed point"
        )
    return result


def integers_beyond_float64(values: Array) -> list[int]:
    """Those of the values that are integers float64 does not hold.

    >>> integers_beyond_float64(np.array([3, 2**53, 2**53 + 1]))
    [9007199254740993]
    """
    if dtype_name(values) not in {"int64", "uint64"}:
        return []
    floats = as_dtype(values, "float64")
    beyond = abs(floats) >= _LARGEST_EXACT_INTEGER
    if not bool(beyond.any()):
        return []
    pairs = zip(values[beyond].tolist(), floats[beyond].tolist(), strict=True)
    return [integer for integer, real in pairs if integer != int(real)]


def as_dtype(values: Array, name: str) -> Array:
    """Values in another dtype, rounded once to the nearest if need be; the same array if it has it already."""
    if is_tensor(values):
        import torch

        return values.to(getattr(torch, name))
    if name == "bfloat16":
        raise TypeError("NumPy has no dtype bfloat16: use float32")
    return values.astype(name, copy=False)


def narrowed(result: Array, like: Array) -> Array:
    """A float32 or float64 result in the dtype of the values it came from; float64 for integers.

    Arrays of NumPy extension types (bfloat16) come back in theirs.
    """
    name = dtype_name(like)
    if name not in FLOAT_TYPES:
        return as_dtype(result, "float64")
    if name == dtype_name(result):
        return result
    if is_tensor(result):
        return result.to(like.dtype)
    with np.errstate(over="ignore"):  # judged by the caller
        return result.astype(like.dtype)


def scaled(numbers: Array, unit: Scale, like: Array) -> Array:
    """Numbers of a format times their unit, one float64 multiplication, in the dtype of the values they came from.

    Raises:
        ValueError: if a finite number becomes infinite.
    """
    with np.errstate(over="ignore"):  # judged below
        result = narrowed(numbers * unit, like)
    _check_finite(result, numbers)
    return result


def scaled_to(numbers: Array, unit: Scale, name: str) -> Array:
    """Numbers of a format times their unit, one float64 multiplication, rounded once to a named dtype.

    Raises:
        ValueError: if a finite number becomes infinite.
    """
    with np.errstate(over="ignore"):  # judged below
        result = as_dtype(numbers * unit, name)
    _check_finite(result, numbers)
    return result


def _check_finite(result: Array, numbers: Array) -> None:
    infinite = abs(result) == math.inf
    if not bool(infinite.any()):
        return
    beyond = infinite & (abs(numbers) != math.inf)
    if bool(beyond.any()):
        raise ValueError(
            f"{dtype_name(result)} does not hold {int(beyond.sum())} of {size_of(result)} results, such as "
            f"{float(numbers[beyond][0]):g} times its unit: use a wider dtype, or a smaller unit"
        )


def as_float64(scale: Scale, like: Array) -> Scale:
    """A scale as float64 where the values are; numbers stay Python floats.

    Raises:
        TypeError: if it is neither a real number nor an array or tensor of them.
    """
    if isinstance(scale, float | Real):
        return float(scale)
    if not is_tensor(scale) and not isinstance(scale, np.ndarray):
        raise TypeError(f"unit must be a number, a NumPy array or a torch tensor, got a {type(scale).__name__}")
    if not _is_real(dtype_name(scale)):
        raise TypeError(f"unit must hold real numbers, got dtype {dtype_name(scale)}")
    if is_tensor(like):
        import torch

        tensor = scale.detach() if is_tensor(scale) else torch.from_numpy(scale.astype(np.float64))
        return tensor.to(device=like.device, dtype=torch.float64)
    return (scale.detach().cpu().numpy() if is_tensor(scale) else scale).astype(np.float64)


def _is_real(name: str) -> bool:
    return name in FLOAT_TYPES or name.startswith(("int", "uint"))


def divided(values: Array, unit: Scale) -> Array:
    """Values in units: one float64 division; what lies beyond float64 becomes infinite and overflows by its rule."""
    with np.errstate(over="ignore"):
        return as_dtype(values, "float64") / unit


def is_nan(values: Array) -> Array:
    """Which values are NaN; none of integers is."""
    return values.isnan() if is_tensor(values) else np.isnan(values)


def where_nan(values: Array, replacement: float) -> Array:
    """Values with every NaN replaced; the same array if there is none."""
    missing = is_nan(values)
    if not bool(missing.any()):
        return values
    result = values.clone() if is_tensor(values) else values.copy()
    result[missing] = replacement
    return result


def nan_report(values: Array) -> str | None:
    """How many values are NaN and where the first is, for messages; None if none is."""
    missing = is_nan(values)
    count = int(missing.sum())
    if not count:
        return None
    flat = missing.reshape(-1)
    first = int((flat.int() if is_tensor(flat) else flat).argmax())  # torch has no argmax of booleans
    position = tuple(int(index) for index in np.unravel_index(first, tuple(values.shape)))
    return f"{count} of {size_of(values)} values are NaN, the first at {position}"


def check_shapes(left: Array, right: Array) -> None:
    """Refuse operands that have no matrix product.

    Raises:
        ValueError: with both shapes and what is needed.
    """
    shapes = tuple(left.shape), tuple(right.shape)
    fits = left.ndim >= 2 and right.ndim >= 2 and shapes[0][-1] == shapes[1][-2]
    if fits:
        try:
            np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])
        except ValueError:
            fits = False
    if not fits:
        raise ValueError(
            f"codes of shapes {shapes[0]} and {shapes[1]} have no matrix product: give (..., m, k) and (..., k, n) "
            "with the same k and leading axes that broadcast"
        )
