"""One source for Triton's compiler and its interpreter, and the way every kernel of this folder is launched.

A function marked with `kernel` is compiled when it is launched on CUDA tensors, and interpreted by NumPy when it is
launched on CPU tensors while the environment says ``TRITON_INTERPRET=1``. Triton itself decides when a function is
*defined*; here the decision falls at the launch, so one process can interpret a kernel and compile it ahead of time.

Every launch passes ``enable_fp_fusion=False``: Triton contracts a product and a sum into one rounding by default, which
would be another definition.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

try:
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction
except ImportError:  # Triton is optional: the modules of this folder can be imported, `launch` says what is missing
    tl = None
    InterpretedFunction = None
    JITFunction = object

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "check_launchable",
    "elements_per_program",
    "interpreting",
    "kernel",
    "launch",
    "launch_elementwise",
    "tl",
]

COMPILED_BLOCK: Final = 1024
"""Values per program on a GPU: eight per thread with Triton's default of four warps."""
INTERPRETED_BLOCK: Final = 1 << 16
"""Most values per program in the interpreter, whose cost is per operation rather than per value."""


class Kernel(JITFunction):  # type: ignore[misc]  # Triton has no types mypy could follow
    """A Triton function that can be compiled and interpreted."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.interpreted = InterpretedFunction(function)

    def __call__(self, *arguments: Any, **constants: Any) -> Any:
        """A call by another interpreted kernel; the compiler never calls, it reads the source."""
        return self.interpreted.rewrite()(*arguments, **constants)

    def run(self, *arguments: Any, grid: Any, warmup: bool, **constants: Any) -> Any:
        """Interpret if the environment asks for it, else compile and run."""
        if not interpreting():
            return super().run(*arguments, grid=grid, warmup=warmup, **constants)
        # As on a GPU, infinity and NaN are values like others.
        with np.errstate(all="ignore"):
            return self.interpreted.run(*arguments, grid=grid, warmup=warmup, **constants)


def kernel(function: Callable[..., Any]) -> Any:
    """Mark a function as a kernel, or as a part of kernels."""
    return function if tl is None else Kernel(function)


def interpreting() -> bool:
    """Whether the environment asks for Triton's interpreter now."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def check_launchable(tensor: torch.Tensor) -> None:
    """Say what is missing if a kernel cannot run on the tensor's device.

    Raises:
        ModuleNotFoundError: if Triton is not installed.
        ValueError: if the tensor is not on a CUDA device and the interpreter is not asked for.
    """
    if tl is None:
        raise ModuleNotFoundError("the kernels of kernels.gpu need Triton: pip install triton")
    if tensor.device.type != "cuda" and not interpreting():
        raise ValueError(
            f"Triton kernels run on CUDA tensors, got a tensor on {tensor.device}: move it to a CUDA device, use "
            "kernels.compiled or kernels.tensors, or set TRITON_INTERPRET=1 to interpret the kernels on the CPU (slow)"
        )


def launch(function: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Run a kernel on the device of its first argument; nothing is launched for an empty grid.

    Args:
        function: what `kernel` made.
        grid: programs per axis, at most three.
        arguments: tensors and integers.
        constants: the ``tl.constexpr`` parameters.
    """
    device = arguments[0].device
    check_launchable(arguments[0])
    if 0 in grid:
        return
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        function[grid](*arguments, **constants, enable_fp_fusion=False)


def launch_elementwise(function: Any, size: int, *arguments: Any, **constants: Any) -> None:
    """Run a kernel of one axis that takes ``size`` and BLOCK: tensors first, then the size, then constants."""
    block = elements_per_program(size)
    launch(function, (-(-size // block),), *arguments, size, **constants, BLOCK=block)


def elements_per_program(size: int) -> int:
    """Values of one program: a power of two."""
    return min(INTERPRETED_BLOCK, 1 << (max(size, 1) - 1).bit_length()) if interpreting() else COMPILED_BLOCK
