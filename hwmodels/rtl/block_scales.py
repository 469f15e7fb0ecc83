"""Shared exponents of blocks: the leading one of the largest magnitude, and the place two scales give a dot product.

The largest of several exponents is `hwmodels.rtl.comparators.maximum` of unsigned inputs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.constants import above
from hwmodels.rtl.counted_luts import or_luts
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

BLOCK_LEADING_ONE: Final = "block leading one"
BLOCK_SCALE_ADD: Final = "block scale add"
MAXIMUM_LANES: Final = 256
MAXIMUM_BITS: Final = 128
MAXIMUM_SCALE_BITS: Final = 16
LUT_INPUTS: Final = 6
"""Inputs of a LUT6 (UG474, UG574)."""


def block_leading_one(*, lanes: int, bits: int, x_signed: int = 0) -> Unit:
    """The place of the leading one of the largest magnitude of a block: ``floor(log2(max |x|))``; combinational.

    The OR of all magnitudes has the same leading one as the largest; it is searched by halves. Lane 0 is in the lowest
    bits of the port ``x``. The place of a block of zeros is 0, and ``found`` is 0.

    Args:
        lanes: numbers at once, 1 to 256.
        bits: of each, 2 to 128.
        x_signed: 1 if they are two's complement and are made magnitudes first, 0 if they are magnitudes.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in block_leading_one(lanes=16, bits=8).ports]
    [('x', 128), ('place', 3), ('found', 1)]
    """
    _check_block(lanes, bits)
    return render(
        "block_leading_one.v",
        family=BLOCK_LEADING_ONE,
        parameters={"lanes": lanes, "bits": bits, "x_signed": int(bool(x_signed))},
        ports=(
            *inputs(signed=bool(x_signed) and lanes == 1, x=lanes * bits),
            *outputs(place=_place_bits(bits), found=1),
        ),
        groups=[list(range(lane, min(lane + LUT_INPUTS, lanes))) for lane in range(0, lanes, LUT_INPUTS)],
        halves=_halves(bits),
    )


@lru_cache(maxsize=1 << 14)
def block_leading_one_structure(*, lanes: int, bits: int, x_signed: int = 0) -> dict[str, float]:
    """LUTs of the OR of all lanes, bits that are made magnitudes, bits between which the search chooses.

    >>> block_leading_one_structure(lanes=16, bits=8)
    {'or_luts': 32, 'negated_bits': 0, 'chosen_bits': 6, 'one': 1}
    """
    _check_block(lanes, bits)
    return {
        "or_luts": bits * or_luts(lanes),
        "negated_bits": lanes * bits if x_signed else 0,
        "chosen_bits": sum(width - half for half, width in _halves(bits)[:-1]),
        "one": 1,
    }


def _halves(bits: int) -> list[tuple[int, int]]:
    """For each digit of a place, the highest first: bits of the lower half, and of both."""
    found = []
    while bits > 1:
        half = 1 << (bits - 1).bit_length() - 1
        found.append((half, bits))
        bits = half
    return found


def block_scale_add(*, scale_a: int, scale_b: int, largest: int) -> Unit:
    """The place of a block's dot product: the sum of two scales' exponents, kept to 0 to ``largest``; combinational.

    The code of the activations' scale is added as it is; that of the weights is stored with the difference to the
    accumulator's unit already in it, so no constant is added here. Beyond both ends every shift gives the same result.

    Args:
        scale_a: bits of the activations' scale code, unsigned, 1 to 16.
        scale_b: bits of the weights' scale, two's complement, 2 to 16.
        largest: place that stands for all above, 1 to ``2**16``.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in block_scale_add(scale_a=8, scale_b=10, largest=60).ports]
    [('scale_a', 8), ('scale_b', 10), ('place', 6)]
    """
    width = _scale_bits(scale_a, scale_b, largest)
    return render(
        "block_scale_add.v",
        family=BLOCK_SCALE_ADD,
        parameters={"scale_a": scale_a, "scale_b": scale_b, "largest": largest},
        ports=(
            *inputs(scale_a=scale_a),
            *inputs(signed=True, scale_b=scale_b),
            *outputs(place=largest.bit_length()),
        ),
        width=width,
        above=above("total", width - 1, largest),
    )


def block_scale_add_structure(*, scale_a: int, scale_b: int, largest: int) -> dict[str, float]:
    """Bits of the adder, each of which is also chosen, and those above the place, which are compared.

    >>> block_scale_add_structure(scale_a=8, scale_b=10, largest=60)
    {'adder_bits': 11, 'compared_bits': 4}
    """
    bits = _scale_bits(scale_a, scale_b, largest)
    return {"adder_bits": bits, "compared_bits": max(bits - 1 - largest.bit_length(), 0)}


def _check_block(lanes: int, bits: int) -> None:
    if not 1 <= lanes <= MAXIMUM_LANES:
        raise ValueError(f"a leading one is found of 1 to {MAXIMUM_LANES} lanes, got {lanes}")
    if not 2 <= bits <= MAXIMUM_BITS:
        raise ValueError(f"a leading one is found of numbers of 2 to {MAXIMUM_BITS} bits, got {bits}")


def _place_bits(bits: int) -> int:
    return (bits - 1).bit_length()


@lru_cache(maxsize=1 << 12)
def _scale_bits(scale_a: int, scale_b: int, largest: int) -> int:
    """Bits of the sum, its sign counted."""
    if not (1 <= scale_a <= MAXIMUM_SCALE_BITS and 2 <= scale_b <= MAXIMUM_SCALE_BITS):
        raise ValueError(
            f"scales have 1 to {MAXIMUM_SCALE_BITS} bits (unsigned) and 2 to {MAXIMUM_SCALE_BITS} (two's complement), "
            f"got {scale_a} and {scale_b}"
        )
    if not 1 <= largest <= 1 << MAXIMUM_SCALE_BITS:
        raise ValueError(f"the largest place is 1 to {1 << MAXIMUM_SCALE_BITS}, got {largest}")
    return max(scale_a + 1, scale_b) + 1
