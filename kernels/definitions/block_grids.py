"""What follows from a block format's fields: the grid of its elements, the range of its scales, and what is allowed."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

from kernels.definitions.minifloat import largest_magnitude_code
from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    CARRY_BUMP,
    CARRY_CLIP,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    ELEMENT_SYMMETRIC,
    ELEMENT_TWOS_COMPLEMENT,
    NAN_BLOCK,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_E8M0,
    SCALE_EXPONENT,
    SCALE_RULE_CEIL,
    SCALE_RULE_EVEN,
    SCALE_RULE_FLOOR,
    SCALE_RULE_RATIO,
    SCALE_RULE_RCEIL,
    SPECIALS_FINITE_NAN,
    SPECIALS_IEEE,
    SPECIALS_NONE,
    SUBNORMALS_GRADUAL,
    BlockFields,
    FloatFields,
)
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, STOCHASTIC, TOWARD_ZERO

MAXIMUM_MAGNITUDE_BITS: Final = 31
"""Integer elements, with their sign, fit 32-bit codes."""
MAXIMUM_ELEMENT_EXPONENT_BITS: Final = 5
MAXIMUM_ELEMENT_MANTISSA_BITS: Final = 10
MAXIMUM_SCALE_BITS: Final = 11
"""Exponents from -1024 to 1023 cover float64."""
MAXIMUM_RANDOM_WIDTH: Final = 23
MAXIMUM_FLOAT32_MAGNITUDE_BITS: Final = 23
LAST_EXPONENTS: Final = {"float32": -149, "float64": -1074}
"""The exponent of the smallest subnormal."""
ROUNDINGS: Final = (HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO, STOCHASTIC)

E2M1: Final = FloatFields(2, 1, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1)
E4M3FN: Final = FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1)
SCALE_NAN_CODE: Final = {SCALE_E8M0: 0xFF, SCALE_E4M3: 0x7F}

TENSOR_SCALE_EXPONENT: Final = 100
"""A tensor's scale lies in ``[2**-100, 2**100]``: then no float32 step of NVFP4 makes a scale that is 0 or infinite."""


class ElementGrid(NamedTuple):
    """The magnitudes of elements, ``2**(max(exponent, minimum_exponent) - mantissa_bits)`` apart up to a largest code.

    ``width`` counts the sign; ``extra_negative`` is 1 where one more code is below zero (two's complement).
    """

    mantissa_bits: int
    minimum_exponent: int
    largest_code: int
    width: int
    extra_negative: int = 0


E4M3_SCALE: Final = ElementGrid(mantissa_bits=3, minimum_exponent=-6, largest_code=0x7E, width=8)


def element_grid(fields: BlockFields) -> ElementGrid:
    """The grid of a block format's elements.

    >>> element_grid(BlockFields(block_size=32, element_kind=ELEMENT_FLOAT, element=E4M3FN))
    ElementGrid(mantissa_bits=3, minimum_exponent=-6, largest_code=126, width=8, extra_negative=0)
    """
    element = fields.element
    if element is None:
        bits = fields.magnitude_bits
        return ElementGrid(
            mantissa_bits=bits - 1,
            minimum_exponent=0,
            largest_code=(1 << bits) - 1,
            width=bits + 1,
            extra_negative=int(fields.element_kind == ELEMENT_TWOS_COMPLEMENT),
        )
    return ElementGrid(
        mantissa_bits=element.mantissa_bits,
        minimum_exponent=1 - element.bias,
        largest_code=largest_magnitude_code(element),
        width=1 + element.exponent_bits + element.mantissa_bits,
    )


@lru_cache(maxsize=64)
def float_element_values(fields: BlockFields) -> tuple[float, ...]:
    """The number that each code of a minifloat element means: the table by which fast twins decode.

    >>> e2m1 = BlockFields(block_size=32, element_kind=ELEMENT_FLOAT, element=E2M1)
    >>> float_element_values(e2m1)[:9]
    (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0)
    """
    grid = element_grid(fields)
    hidden = 1 << grid.mantissa_bits
    values = []
    for code in range(1 << (grid.width - 1)):
        steps, shift = (code, 0) if code < hidden else (hidden + code % hidden, code // hidden - 1)
        values.append(math.ldexp(steps, shift + grid.minimum_exponent - grid.mantissa_bits))
    special = len(values) - grid.largest_code - 1
    if special:
        first = math.inf if fields.element is not None and fields.element.specials == SPECIALS_IEEE else math.nan
        values[grid.largest_code + 1 :] = [first] + [math.nan] * (special - 1)
    return (*values, *(-value for value in values))


def top_exponent(grid: ElementGrid) -> int:
    """``floor(log2)`` of the largest element: emax of the MX specification (8 for E4M3, 15 for E5M2, 0 for INT8)."""
    return max((grid.largest_code >> grid.mantissa_bits) - 1, 0) + grid.minimum_exponent


def scale_exponents(fields: BlockFields) -> tuple[int, int]:
    """The least and the greatest exponent of a power-of-two scale."""
    if fields.scale_kind == SCALE_E8M0:
        return -127, 127
    return -(1 << (fields.scale_bits - 1)), (1 << (fields.scale_bits - 1)) - 1


def carry_threshold(fields: BlockFields, rounding: int, float_bits: int) -> int:
    """The least fraction field of amax from which the shared exponent is one above that of the floor rule.

    Every rule of power-of-two scales, with its carry rule, is such a threshold; ``2**float_bits`` stands for never. So
    fast twins add ``2**float_bits - threshold`` to the bits of amax and read the exponent field.

    Args:
        fields: the format.
        rounding: of the elements, for the carry rule.
        float_bits: mantissa bits of the values' dtype.

    >>> mxint8 = BlockFields(block_size=32, element_kind=ELEMENT_TWOS_COMPLEMENT, magnitude_bits=7)
    >>> [carry_threshold(mxint8._replace(scale_rule=rule), HALF_EVEN, 23) for rule in range(4)]
    [8388608, 1, 8257537, 8323072]
    """
    grid = element_grid(fields)
    never = 1 << float_bits
    spacing = never >> grid.mantissa_bits
    last = (grid.largest_code & ((1 << grid.mantissa_bits) - 1)) * spacing
    rules = {
        SCALE_RULE_FLOOR: never,
        SCALE_RULE_CEIL: 1,
        SCALE_RULE_RCEIL: last + 1,
        SCALE_RULE_EVEN: never - spacing // 2,
    }
    if fields.carry == CARRY_CLIP:
        return rules[fields.scale_rule]
    middle = last + spacing // 2
    tie_goes_up = rounding == HALF_AWAY or (rounding == HALF_EVEN and grid.largest_code % 2 == 1)
    carries = last + spacing if rounding == TOWARD_ZERO else middle + (not tie_goes_up)
    return min(rules[fields.scale_rule], carries)


def smallest_exponent(fields: BlockFields) -> int:
    """The exponent of the last bit that a value may have; power-of-two scales only."""
    grid = element_grid(fields)
    return scale_exponents(fields)[0] + grid.minimum_exponent - grid.mantissa_bits


def check_block_fields(fields: BlockFields, *, rounding: int = HALF_EVEN, nan: int = NAN_ERROR) -> None:
    """Refuse fields that contradict each other, and a NaN of whole blocks where no scale code means NaN.

    Raises:
        ValueError: saying what was given and what is allowed.

    >>> check_block_fields(BlockFields(block_size=-1, element_kind=ELEMENT_SIGN_MAGNITUDE, magnitude_bits=7))
    Traceback (most recent call last):
    ValueError: block_size must be 1 or more values, or 0 for the whole tensor, got -1
    """
    if fields.block_size < 0:
        raise ValueError(f"block_size must be 1 or more values, or 0 for the whole tensor, got {fields.block_size}")
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"elements of blocks round half to even, half away, half toward zero, toward zero or stochastically "
            f"(codes {', '.join(map(str, ROUNDINGS))} of kernels.rounding), got code {rounding}"
        )
    if fields.carry not in (CARRY_CLIP, CARRY_BUMP):
        raise ValueError(f"carry must be {CARRY_CLIP} (clip) or {CARRY_BUMP} (bump the exponent), got {fields.carry}")
    if fields.carry == CARRY_BUMP and rounding == STOCHASTIC:
        raise ValueError("with stochastic rounding no one value decides the shared exponent: use carry 0 (clip)")
    if nan == NAN_BLOCK and fields.scale_kind not in SCALE_NAN_CODE:
        raise ValueError(f"scale_kind {fields.scale_kind} has no NaN: only E8M0 and E4M3 scales can make a block NaN")
    _check_element(fields)
    _check_scale(fields)


def _check_element(fields: BlockFields) -> None:
    element = fields.element
    if fields.element_kind == ELEMENT_FLOAT:
        if element is None or fields.magnitude_bits:
            raise ValueError(
                f"minifloat elements need the fields of their format and magnitude_bits 0, got element {element} and "
                f"magnitude_bits {fields.magnitude_bits}"
            )
        allowed = (
            1 <= element.exponent_bits <= MAXIMUM_ELEMENT_EXPONENT_BITS
            and 1 <= element.mantissa_bits <= MAXIMUM_ELEMENT_MANTISSA_BITS
            and abs(element.bias) <= 1 << MAXIMUM_ELEMENT_EXPONENT_BITS
            and element.exponent_bits + (element.specials != SPECIALS_IEEE) >= 2
            and element.signed == 1
            and element.specials in (SPECIALS_NONE, SPECIALS_FINITE_NAN, SPECIALS_IEEE)
            and element.subnormals == SUBNORMALS_GRADUAL
            and element.zero == 1
        )
        if not allowed:
            raise ValueError(
                f"minifloat elements have a sign, 1 to {MAXIMUM_ELEMENT_EXPONENT_BITS} exponent bits, 1 to "
                f"{MAXIMUM_ELEMENT_MANTISSA_BITS} mantissa bits, a bias from -32 to 32, gradual subnormals, a zero, "
                f"and specials none, finite-nan or (from 2 exponent bits) ieee, got {element}"
            )
    elif fields.element_kind in (ELEMENT_SIGN_MAGNITUDE, ELEMENT_TWOS_COMPLEMENT, ELEMENT_SYMMETRIC):
        if element is not None or not 1 <= fields.magnitude_bits <= MAXIMUM_MAGNITUDE_BITS:
            raise ValueError(
                f"integer elements have 1 to {MAXIMUM_MAGNITUDE_BITS} magnitude bits and no minifloat fields, got "
                f"magnitude_bits {fields.magnitude_bits} and element {element}"
            )
    else:
        raise ValueError(f"element_kind must be 0 to 3 (kernels.fields.ELEMENT_...), got {fields.element_kind}")


def _check_scale(fields: BlockFields) -> None:
    if fields.scale_kind == SCALE_E4M3:
        if fields.scale_rule != SCALE_RULE_RATIO or fields.element != E2M1 or fields.carry != CARRY_CLIP:
            raise ValueError(
                f"E4M3 scales need E2M1 elements, the scale rule {SCALE_RULE_RATIO} (ratio) and carry 0 (clip), got "
                f"element {fields.element}, rule {fields.scale_rule} and carry {fields.carry}"
            )
        if not 1 <= fields.scale_minimum <= E4M3_SCALE.largest_code:
            raise ValueError(
                f"scale_minimum must be an E4M3 code from 1 (2**-9) to 126 (448), got {fields.scale_minimum}: a scale "
                "of 0 cannot be divided by"
            )
        if not ARITHMETIC_EXACT <= fields.arithmetic <= ARITHMETIC_DIVISION:
            raise ValueError(f"arithmetic must be 0 (exact), 1 (reciprocal) or 2 (division), got {fields.arithmetic}")
        return
    if fields.scale_kind not in (SCALE_E8M0, SCALE_EXPONENT):
        raise ValueError(f"scale_kind must be 0 (E8M0), 1 (exponent) or 2 (E4M3), got {fields.scale_kind}")
    if not SCALE_RULE_FLOOR <= fields.scale_rule < SCALE_RULE_RATIO:
        raise ValueError(
            f"power-of-two scales take the rules 0 (floor), 1 (ceil), 2 (rceil) and 3 (even), got {fields.scale_rule}"
        )
    if fields.scale_kind == SCALE_EXPONENT and not 1 <= fields.scale_bits <= MAXIMUM_SCALE_BITS:
        raise ValueError(f"scale_bits must be 1 to {MAXIMUM_SCALE_BITS} bits, got {fields.scale_bits}")
    if fields.arithmetic != ARITHMETIC_EXACT:
        raise ValueError(f"power-of-two scales divide exactly: arithmetic must be 0, got {fields.arithmetic}")


def check_tensor_scale(tensor_scale: float, fields: BlockFields) -> None:
    """Refuse a tensor's scale that is no float32 in ``[2**-100, 2**100]``, or that the format has no use for.

    Raises:
        ValueError: saying which.
    """
    if fields.scale_kind != SCALE_E4M3:
        if tensor_scale != 1.0:
            raise ValueError(f"only blocks with E4M3 scales take a tensor_scale, got {tensor_scale}")
        return
    bound = 2.0**TENSOR_SCALE_EXPONENT
    # A float32 has 24 significant bits: scaled to an integer of 24 bits, nothing is left over.
    if not 1 / bound <= tensor_scale <= bound or not math.ldexp(math.frexp(tensor_scale)[0], 24).is_integer():
        raise ValueError(f"tensor_scale must be a float32 from 2**-100 to 2**100, got {tensor_scale!r}")


def check_dtype(fields: BlockFields, dtype: str) -> None:
    """Refuse a dtype that does not hold the values of a format, or not the bits to round them.

    Every element times every scale must be exact, down to the last bit. Values beyond the largest float are found as
    they arise, since every MX format has scales that reach there. Decoded values of E4M3 scales are rounded by
    definition, but the float32 steps of their arithmetic need float32 values.

    Args:
        fields: the format.
        dtype: the dtype's name.

    Raises:
        ValueError: saying which dtype would do.

    >>> check_dtype(BlockFields(block_size=8, element_kind=1, magnitude_bits=24, scale_kind=1), "float32")
    Traceback (most recent call last):
    ValueError: the last bit of the smallest values is 2**-151, below the 2**-149 of float32: use float64
    """
    if dtype not in LAST_EXPONENTS:
        raise ValueError(f"blocks hold float32 or float64 values, got {dtype}: widen or round them first")
    if fields.scale_kind == SCALE_E4M3:
        if fields.arithmetic != ARITHMETIC_EXACT and dtype != "float32":
            raise ValueError(
                f"arithmetic {fields.arithmetic} is a sequence of float32 steps: use float32 values, or arithmetic 0 "
                f"(exact) for {dtype}"
            )
        return
    last = smallest_exponent(fields)
    if last < LAST_EXPONENTS[dtype]:
        other = "float64" if last >= LAST_EXPONENTS["float64"] else "fewer element or scale bits"
        raise ValueError(
            f"the last bit of the smallest values is 2**{last}, below the 2**{LAST_EXPONENTS[dtype]} of {dtype}: use "
            f"{other}"
        )
    if dtype == "float32" and fields.magnitude_bits > MAXIMUM_FLOAT32_MAGNITUDE_BITS:
        raise ValueError(
            f"float32 values have the bits to round to {MAXIMUM_FLOAT32_MAGNITUDE_BITS} magnitude bits, got "
            f"{fields.magnitude_bits}: use float64"
        )


def check_random(*, given: bool, random_width: int, rounding: int) -> None:
    """Refuse random bits without stochastic rounding, and the reverse.

    Raises:
        ValueError: saying what is missing.
    """
    stochastic = rounding == STOCHASTIC
    if given != stochastic or (1 <= random_width <= MAXIMUM_RANDOM_WIDTH) != stochastic:
        raise ValueError(
            f"stochastic rounding, and no other, takes random_bits of random_width 1 to {MAXIMUM_RANDOM_WIDTH}, got "
            f"rounding {rounding}, random_width {random_width} and {'some' if given else 'no'} random_bits"
        )
