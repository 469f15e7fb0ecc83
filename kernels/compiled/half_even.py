"""The compiled loop of the commonest cast, at the speed of memory; `kernels.half_even_constants` says how it rounds.

Branch-free, so that LLVM turns it into vector code; without fastmath, which would delete the addition and subtraction
that round. Integers are those of `kernels.compiled.lanes`: 64 bits for each would halve the lanes of every vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.compiled.bits import from_bits, to_bits
from kernels.compiled.fetching import SPAN, fetch_ahead
from kernels.compiled.lanes import add, both, shift_right
from kernels.half_even_constants import HalfEvenConstants

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATTERNS: Final = ("dropped", "kept", "below_half", "parity", "magnitude")
"""The order of the patterns of `HalfEvenConstants` in the array that `cast_half_even` takes (see `_unpack`)."""
FLOATS: Final = (
    "low",
    "high",
    "least",
    "flushed",
    "zero_addend",
    "nan",
    "fine_end",
    "magic",
    "scaled_end",
    "scale",
    "unscale",
)
"""The order of its floats."""


@numba.njit(cache=True, nogil=True)
def _unpack(patterns: NDArray[Any], floats: NDArray[Any]) -> HalfEvenConstants:
    return HalfEvenConstants(
        dropped=patterns[0],
        kept=patterns[1],
        below_half=patterns[2],
        parity=patterns[3],
        magnitude=patterns[4],
        low=floats[0],
        high=floats[1],
        least=floats[2],
        flushed=floats[3],
        zero_addend=floats[4],
        nan=floats[5],
        fine_end=floats[6],
        magic=floats[7],
        scaled_end=floats[8],
        scale=floats[9],
        unscale=floats[10],
    )


@numba.njit(cache=True, nogil=True)
def cast_half_even(values: NDArray[Any], result: NDArray[Any], patterns: NDArray[Any], floats: NDArray[Any]) -> bool:
    """Clamp, round half to even, flush: the definition where overflow saturates; see `kernels.half_even_constants`."""
    constants = _unpack(patterns, floats)
    is_scaled = constants.scaled_end > 0  # LLVM makes a loop of its own of each case
    nan_found = False
    for start in range(0, values.size, SPAN):
        fetch_ahead(values, result, start, SPAN)
        for place in range(start, min(start + SPAN, values.size)):
            index = np.uintp(place)
            value = values[index]
            clamped = value if value < constants.high else constants.high
            clamped = clamped if clamped > constants.low else constants.low
            magnitude = from_bits(both(to_bits(clamped), constants.magnitude), constants.low)
            is_small = magnitude < constants.scaled_end
            if is_scaled:
                magnitude = magnitude * constants.scale if is_small else magnitude
            bits = to_bits(magnitude)
            addend = add(constants.below_half, both(shift_right(bits, constants.dropped), constants.parity))
            coarse = from_bits(both(add(bits, addend), constants.kept), constants.low)
            fine = (magnitude + constants.magic) - constants.magic
            rounded = fine if magnitude < constants.fine_end else coarse
            if is_scaled:
                rounded = rounded * constants.unscale if is_small else rounded
            rounded = rounded if rounded >= constants.least else constants.flushed
            sign = to_bits(clamped) & ~constants.magnitude
            signed = from_bits(to_bits(rounded) | sign, constants.low) + constants.zero_addend
            is_nan = value != value  # noqa: PLR0124 - the test for NaN
            nan_found |= is_nan
            result[index] = constants.nan if is_nan else signed
    return nan_found
