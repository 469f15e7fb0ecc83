"""Multiplications in DSP slices: one each, or several that share an operand packed into one 27 x 18 product.

Packed weights lie side by side in the wide operand, ``spacing`` bits apart, so that one multiplication by the shared
activation makes all products at once. A negative product borrows one from its upper neighbour. That borrow is the
sign of the field below, which leaves the DSP as a carry for the adder tree of the upper neighbour's output: no field
needs an adder of its own.

* Two products, 18 bits apart: each has room for its sign (the arrangement of AMD WP486).
* Three or four products, 7 bits apart: eight-bit products overlap their upper neighbour by one bit. The lowest bit of a
  product is the AND of the lowest bits of its operands, which tells the neighbour's sign bit from it (after the
  overlapping fields of DSP-Packing, arXiv 2203.11028).

Weights are stored as packed: what a negative weight borrows from its upper neighbour is taken out of that weight before
it is stored, so its field is one bit wider than the weight, and the wide operand is wiring (`packed_weights`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Unit

DSP_MULTIPLIER: Final = "dsp multiplier"
PACKED_MULTIPLIER: Final = "packed multiplier"
WIDE_BITS: Final = 27
"""Signed operands of a DSP48E2 (UG579)."""
NARROW_BITS: Final = 18
FAR_SPACING: Final = 18
NEAR_SPACING: Final = 7
MOST_FIELDS: Final = 4
REGISTERS: Final = 2
"""Of a multiplication behind its operands: product and output (UG579 calls them M and P)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where a product lies in the wide product, and its bits."""

    index: int
    low: int
    spacing: int


def dsp_multiplier(*, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> Unit:
    """A product of two integers in DSPs, registered twice (M and P).

    An operand that is wider than a port is cut into a low unsigned and a high signed part; the parts' products are
    added in LUTs. Only the wider operand may be cut.

    Args:
        a: bits of the first operand.
        b: bits of the second operand.
        a_signed: 1 if the first operand is two's complement, else 0.
        b_signed: 1 if the second operand is two's complement, else 0.

    Raises:
        ValueError: if the narrower operand exceeds a port, or the wider one two.

    >>> dsp_multiplier(a=24, b=16, b_signed=0).latency
    2
    """
    wide, narrow = _signed_bits(a, b, a_signed, b_signed)
    if min(a, b) < 1 or narrow > NARROW_BITS or wide > 2 * WIDE_BITS - 1:
        raise ValueError(
            f"a multiplication in DSPs takes signed operands of up to {2 * WIDE_BITS - 1} and {NARROW_BITS} bits (an "
            f"unsigned one counts one more), got {wide} and {narrow}: multiply in LUTs"
        )
    return render(
        "dsp_multiplier.v",
        family=DSP_MULTIPLIER,
        parameters={"a": a, "b": b, "a_signed": a_signed, "b_signed": b_signed},
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="a", width=a, direction=Direction.IN, signed=bool(a_signed)),
            Port(name="b", width=b, direction=Direction.IN, signed=bool(b_signed)),
            Port(name="p", width=a + b, direction=Direction.OUT, signed=bool(a_signed or b_signed)),
        ),
        latency=REGISTERS,
        wide=("a", a, a_signed) if _first_is_wide(a, b, a_signed, b_signed) else ("b", b, b_signed),
        narrow=("b", b, b_signed) if _first_is_wide(a, b, a_signed, b_signed) else ("a", a, a_signed),
        cut=WIDE_BITS - 1 if wide > WIDE_BITS else 0,
    )


def dsp_multiplier_structure(*, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> dict[str, float]:
    """DSPs, the adder that joins the parts of a wide operand, and M and P, which Yosys leaves outside.

    >>> dsp_multiplier_structure(a=30, b=16, b_signed=0)
    {'dsps': 2, 'adder_bits': 20, 'register_bits': 124}
    """
    wide, _ = _signed_bits(a, b, a_signed, b_signed)
    if wide <= WIDE_BITS:
        return {"dsps": 1, "adder_bits": 0, "register_bits": 2 * (a + b)}
    narrow = b if _first_is_wide(a, b, a_signed, b_signed) else a
    return {"dsps": 2, "adder_bits": a + b - (WIDE_BITS - 1), "register_bits": 2 * (a + b + narrow)}


def packed_spacing(fields: int) -> int:
    """Bits between neighbouring products."""
    return FAR_SPACING if fields <= 2 else NEAR_SPACING


def packed_multiplier(*, fields: int, spacing: int, weight: int, activation: int, activation_signed: int = 1) -> Unit:
    """Products of several signed weights with one activation, in one DSP.

    Ports: ``weights`` as `packed_weights` stores them, lowest field first; ``products``, each as wide as both operands
    together, upper ones less what they lent; ``borrows``, one bit a field: what to add to that product.

    Args:
        fields: products in the DSP, 1 to 4.
        spacing: 18 or 7 bits between them.
        weight: bits of a signed weight.
        activation: bits of the activation.
        activation_signed: 1 if it is two's complement, else 0.

    Raises:
        ValueError: if the products do not fit.

    >>> packed_multiplier(fields=2, spacing=18, weight=8, activation=8).latency
    2
    """
    _check_packing(fields, spacing, weight, activation, activation_signed)
    return render(
        "packed_multiplier.v",
        family=PACKED_MULTIPLIER,
        parameters={
            "fields": fields,
            "spacing": spacing,
            "weight": weight,
            "activation": activation,
            "activation_signed": activation_signed,
        },
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="weights", width=packed_bits(fields, weight), direction=Direction.IN),
            Port(name="activation_in", width=activation, direction=Direction.IN, signed=bool(activation_signed)),
            Port(name="products", width=fields * (weight + activation), direction=Direction.OUT),
            Port(name="borrows", width=fields, direction=Direction.OUT),
        ),
        latency=REGISTERS,
        product=weight + activation,
        overlaps=spacing == NEAR_SPACING and weight + activation > NEAR_SPACING,
    )


def packed_multiplier_structure(
    *, fields: int, spacing: int, weight: int, activation: int, activation_signed: int = 1
) -> dict[str, float]:
    """DSPs, LUTs of the gates that tell overlapping neighbours apart, and M and P.

    A pair of overlapping neighbours takes two gates, of which three share two LUTs.

    >>> packed_multiplier_structure(fields=4, spacing=7, weight=4, activation=4)
    {'dsps': 1, 'gate_luts': 5, 'register_bits': 64}
    """
    del activation_signed
    product = weight + activation
    overlaps = fields - 1 if spacing == NEAR_SPACING and product > NEAR_SPACING else 0
    signs = fields - 1 if product < spacing else 0
    return {"dsps": 1, "gate_luts": -(-3 * overlaps // 2), "register_bits": 2 * (fields * product + signs)}


def fields_per_dsp(weight: int, activation: int, activation_signed: int = 1) -> int:
    """Products of signed weights that share an activation in one DSP: 4, 2 or 1.

    >>> fields_per_dsp(4, 4), fields_per_dsp(8, 8), fields_per_dsp(9, 8)
    (4, 2, 1)
    """
    for fields in (MOST_FIELDS, 2):
        try:
            _check_packing(fields, packed_spacing(fields), weight, activation, activation_signed)
        except ValueError:
            continue
        return fields
    return 1


def packed_bits(fields: int, weight: int) -> int:
    """Stored bits of the weights of one DSP.

    >>> packed_bits(2, 8)
    17
    """
    return fields * (weight + 1) - 1


def packed_weights(weights: Sequence[int], weight: int) -> int:
    """The word that a `packed_multiplier` takes for these weights, lowest field first.

    >>> bin(packed_weights([-1, 3], 4))
    '0b101111'
    """
    word, place, borrow = 0, 0, 0
    for index, value in enumerate(weights):
        stored = value - borrow
        bits = weight + (index > 0)
        word |= (stored & (1 << bits) - 1) << place
        place += bits
        borrow = int(stored < 0)
    return word


def _check_packing(fields: int, spacing: int, weight: int, activation: int, activation_signed: int) -> None:
    room = spacing + (spacing == NEAR_SPACING)
    fits = (
        1 <= fields <= MOST_FIELDS
        and spacing in (FAR_SPACING, NEAR_SPACING)
        and min(weight, activation) >= 2 - (not activation_signed)
        and weight + activation <= room
        and (fields - 1) * spacing + weight + 1 <= WIDE_BITS
        and activation + (not activation_signed) <= NARROW_BITS
    )
    if not fits:
        raise ValueError(
            f"{fields} products of weights of {weight} bits and an activation of {activation} do not fit {spacing} "
            f"bits apart into one {WIDE_BITS} x {NARROW_BITS} multiplication: use fewer fields, or a DSP for each"
        )


def _first_is_wide(a: int, b: int, a_signed: int, b_signed: int) -> bool:
    return a + (not a_signed) >= b + (not b_signed)


def _signed_bits(a: int, b: int, a_signed: int, b_signed: int) -> tuple[int, int]:
    first, second = a + (not a_signed), b + (not b_signed)
    return max(first, second), min(first, second)
