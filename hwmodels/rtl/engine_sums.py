"""The register that adds up an output: what a step of the engine makes is added to it, the bias comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

ACCUMULATOR: Final = "accumulator"
MAGNITUDE: Final = "magnitude"
MAXIMUM_BITS: Final = 128
CARRY_BLOCK: Final = 4
"""Bits of the carry cells that Yosys maps to (CARRY4; a CARRY8 of UltraScale+ is two; UG574)."""


def accumulator(*, term: int, bits: int, term_signed: int = 1, bias: int = 1, carry: int = 0, steps: int = 2) -> Unit:
    """The exact sum of an output, modulo ``2**bits``.

    Args:
        term: bits of what is added in a step.
        bits: of the register, at least as many.
        term_signed: 1 if terms are two's complement, else 0.
        bias: 1 if the first term is added to a bias, 0 if to nothing.
        carry: 1 if a bit is added with every term.
        steps: 1 if every term is a sum of its own, 2 if terms follow each other.

    Raises:
        ValueError: if widths are out of range or steps is another number.

    >>> accumulator(term=18, bits=24).module
    'accumulator_term18_bits24_term_signed1_bias1_carry0_steps2'
    """
    if not 1 <= term <= bits <= MAXIMUM_BITS:
        raise ValueError(
            f"an accumulator has 1 to {MAXIMUM_BITS} bits and terms no wider than itself, got {bits} bits and terms of "
            f"{term}"
        )
    if steps not in (1, 2):
        raise ValueError(f"steps of an accumulator are 1 (single terms) or 2 (sums of several), got {steps}")
    ports = [
        Port(name="enable", width=1, direction=Direction.IN),
        Port(name="term_in", width=term, direction=Direction.IN, signed=bool(term_signed)),
    ]
    if steps > 1:
        ports.append(Port(name="first", width=1, direction=Direction.IN))
    if bias:
        ports.append(Port(name="bias_in", width=bits, direction=Direction.IN, signed=True))
    if carry:
        ports.append(Port(name="carry_in", width=1, direction=Direction.IN))
    ports.append(Port(name="total", width=bits, direction=Direction.OUT, signed=True))
    return render(
        "accumulator.v",
        family=ACCUMULATOR,
        parameters={
            "term": term,
            "bits": bits,
            "term_signed": term_signed,
            "bias": bias,
            "carry": carry,
            "steps": steps,
        },
        ports=tuple(ports),
        latency=1,
    )


def accumulator_structure(
    *, term: int, bits: int, term_signed: int = 1, bias: int = 1, carry: int = 0, steps: int = 2
) -> dict[str, float]:
    """Bits of the adder and of the register; a single term without a bias needs no adder.

    >>> accumulator_structure(term=18, bits=24)
    {'adder_bits': 24, 'register_bits': 24}
    """
    del term_signed
    # If nothing but a carry is added, the sum repeats its sign above the term's own, to the end of the carry block.
    alone = min(-(-(term + 2) // CARRY_BLOCK) * CARRY_BLOCK, bits + 1) if carry else 0
    adder = bits + carry if steps > 1 or bias else alone
    return {"adder_bits": adder, "register_bits": bits}


def magnitude(*, bits: int) -> Unit:
    """The magnitude of a two's complement integer, and whether it is negative, behind a register.

    Args:
        bits: of the integer, and of the magnitude.

    Raises:
        ValueError: if there are too few or too many bits.

    >>> magnitude(bits=24).latency
    1
    """
    if not 2 <= bits <= MAXIMUM_BITS:
        raise ValueError(f"a magnitude is taken of 2 to {MAXIMUM_BITS} bits, got {bits}")
    return render(
        "magnitude.v",
        family=MAGNITUDE,
        parameters={"bits": bits},
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="x", width=bits, direction=Direction.IN, signed=True),
            Port(name="size", width=bits, direction=Direction.OUT),
            Port(name="negative", width=1, direction=Direction.OUT),
        ),
        latency=1,
    )


def magnitude_structure(*, bits: int) -> dict[str, float]:
    """Bits of the adder, whose LUTs complement, and of the register.

    >>> magnitude_structure(bits=24)
    {'adder_bits': 25, 'register_bits': 25}
    """
    return {"adder_bits": bits + 1, "register_bits": bits + 1}
