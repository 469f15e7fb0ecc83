"""Cheap proofs that the processor computes as the kernels assume."""

from __future__ import annotations

# Read at run time: constants in the expression would be multiplied by the compiler, before any mode is set.
_SMALLEST = 5e-324
_ONE = 1.0


def check_subnormals() -> None:
    """Refuse to compute on a thread that replaces subnormal numbers by zero.

    ``torch.set_flush_denormal(True)`` and compilers' fast-math start-up code set the flags FTZ and DAZ of the
    processor, with which the smallest codes of several formats silently become zero. One multiplication shows either.

    Raises:
        RuntimeError: if subnormals are flushed on this thread.

    >>> check_subnormals()
    """
    if _SMALLEST * _ONE == 0.0:
        raise RuntimeError(
            "subnormal numbers are flushed to zero on this thread, so results would be wrong below 2**-126: call "
            "torch.set_flush_denormal(False), or unload the library that set the processor's FTZ and DAZ flags"
        )
