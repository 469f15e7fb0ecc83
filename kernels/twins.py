"""Which of the twins of a definition computes: one place decides, and users can force it.

| input | chosen |
|---|---|
| NumPy array | COMPILED |
| torch tensor on the CPU | COMPILED, on the tensor's memory without a copy |
| torch tensor on a CUDA device | GPU if Triton is installed and has the operation, else TENSORS |
| CUDA tensor of 2^31 or more values | TENSORS: the GPU kernels count in 32 bits |
| torch tensor on another device | TENSORS |

All twins give the same bits, so the choice never shows in a result. Results come back as the kind of the input.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from kernels.canaries import check_subnormals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Array: TypeAlias = Any
"""A NumPy array or a torch tensor (in options also plain values)."""
LARGEST_GPU_SIZE: Final = (1 << 31) - 1


class Twin(Enum):
    """The four implementations of a definition; the value is their folder in `kernels`."""

    DEFINITION = "by_definition"
    """Exact rationals and Python integers, one number at a time."""
    COMPILED = "compiled"
    """Numba and BLAS on the memory of the processor."""
    TENSORS = "tensors"
    """Operations of torch, on any device."""
    GPU = "gpu"
    """Triton: CUDA devices, or its interpreter."""


_FORCED: ContextVar[Twin | None] = ContextVar("forced twin", default=None)


@contextmanager
def using(twin: Twin) -> Iterator[None]:
    """Force a twin within a ``with`` block, in this thread or task.

    >>> with using(Twin.DEFINITION):
    ...     choose(np.zeros(3), "minifloat")
    <Twin.DEFINITION: 'by_definition'>
    """
    token = _FORCED.set(twin)
    try:
        yield
    finally:
        _FORCED.reset(token)


def is_tensor(values: object) -> bool:
    """Whether something is a torch tensor, without loading torch for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def choose(values: Array, operation: str, twin: Twin | None = None) -> Twin:
    """The twin that computes an operation on an input.

    Args:
        values: a NumPy array or a torch tensor.
        operation: name of the module in the twins' folders, such as ``minifloat``.
        twin: the twin asked for; None leaves it to `using`, and then to the table above.

    Raises:
        ValueError: if a twin is asked for that cannot compute on such an input, saying what can.

    >>> choose(np.zeros(3), "minifloat")
    <Twin.COMPILED: 'compiled'>
    """
    asked = twin or _FORCED.get()
    device = values.device.type if is_tensor(values) else "cpu"
    if asked is not None:
        _check_possible(asked, values, device, operation)
        return asked
    if device == "cpu":
        return Twin.COMPILED
    fits_gpu = device == "cuda" and values.numel() <= LARGEST_GPU_SIZE
    if fits_gpu and importlib.util.find_spec("triton") and _has_module(Twin.GPU, operation):
        return Twin.GPU
    return Twin.TENSORS


def _check_possible(asked: Twin, values: Array, device: str, operation: str) -> None:
    if not _has_module(asked, operation):
        having = [twin.name for twin in Twin if _has_module(twin, operation)]
        raise ValueError(f"{operation} has no twin {asked.name}: use {', '.join(having)}")
    if asked in (Twin.DEFINITION, Twin.COMPILED) and device != "cpu":
        raise ValueError(
            f"twin {asked.name} computes in the processor's memory, got a tensor on {device}: move it by .cpu(), or "
            "use TENSORS"
        )
    if asked is Twin.GPU and device != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        kind = f"a tensor on {device}" if is_tensor(values) else "a NumPy array"
        raise ValueError(
            f"twin GPU computes on CUDA tensors, got {kind}: move it to a CUDA device, use COMPILED or TENSORS, or set "
            "TRITON_INTERPRET=1 to interpret the GPU kernels on the processor (slow)"
        )


def _has_module(twin: Twin, operation: str) -> bool:
    return importlib.util.find_spec(f"kernels.{twin.value}.{operation}") is not None


def run(
    operation: str, function: str, *arrays: Array, twin: Twin | None = None, dtype: str | None = None, **options: Array
) -> Any:  # noqa: ANN401 - an array, or a tuple of arrays, as the function says
    """Call a function of the chosen twin; arrays among the arguments become what the twin takes, results come back.

    Args:
        operation: module, such as ``minifloat``.
        function: name in the module, such as ``cast``.
        arrays: positional arguments; the first is an array and decides about the twin and the kind of the result.
        twin: see `choose`.
        dtype: name of a float dtype that the function takes as ``dtype``.
        options: keyword arguments; arrays among them are converted, None is left out.

    Returns:
        What the function returns, as NumPy arrays or as torch tensors on the input's device.

    Raises:
        RuntimeError: if this thread flushes subnormal numbers, whatever the operation.

    >>> from kernels.fields import FixedFields
    >>> run("fixed", "cast", np.array([0.3, 9.0]), FixedFields(4, 2, 1))
    array([0.25, 1.75])
    """
    check_subnormals()
    values = arrays[0]
    chosen = choose(values, operation, twin)
    chosen_function: Callable[..., Any] = getattr(
        importlib.import_module(f"kernels.{chosen.value}.{operation}"), function
    )
    given = {name: option for name, option in options.items() if option is not None}
    if chosen in (Twin.TENSORS, Twin.GPU):
        import torch

        if dtype is not None:
            given["dtype"] = getattr(torch, dtype)
        device = values.device if is_tensor(values) else torch.device("cpu")
        arguments = [_as_tensor(one, device) for one in arrays]
        result = chosen_function(*arguments, **{name: _as_tensor(one, device) for name, one in given.items()})
        return result if is_tensor(values) else _each(result, _as_array)
    if dtype is not None:
        given["dtype"] = np.dtype(dtype)
    arguments = [_as_array(one) for one in arrays]
    result = chosen_function(*arguments, **{name: _as_array(one) for name, one in given.items()})
    return _each(result, _from_memory) if is_tensor(values) else result


def _each(result: Any, convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - an array or a tuple of them
    if not isinstance(result, tuple):
        return convert(result)
    converted = [convert(one) for one in result]
    # A named tuple, such as `kernels.block_sums.BlockSums`, stays one.
    return type(result)(*converted) if hasattr(result, "_fields") else tuple(converted)


def _as_array(value: Any) -> Any:  # noqa: ANN401 - tensors become arrays, all else stays
    return value.detach().cpu().numpy() if is_tensor(value) else value


def _as_tensor(value: Any, device: Any) -> Any:  # noqa: ANN401 - arrays become tensors, all else stays
    import torch

    if is_tensor(value):
        return value.detach().to(device)
    if not isinstance(value, np.ndarray):
        return value
    # Tensors share the memory of an array; one that must not be written, or runs backwards, is copied.
    usable = value if value.flags.writeable and value.flags.c_contiguous else value.copy()
    return torch.from_numpy(usable).to(device)


def _from_memory(value: Any) -> Any:  # noqa: ANN401 - arrays become tensors on the CPU, all else stays
    import torch

    if not isinstance(value, np.ndarray) or value.dtype == object:
        return value
    return torch.from_numpy(value)
