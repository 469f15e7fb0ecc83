"""Block formats by definition: one block of values to a shared scale and element codes, on exact rationals.

The scale is chosen from amax, the largest magnitude of the block; a block without one (all zeros) takes the smallest
scale. Then every value is divided by the scale and rounded once to the element's grid, saturating. Rounding acts on
magnitudes: directions are toward or away from zero. The tail block of a row is shorter, which is the same as filling
it with zeros. Sources: OCP Microscaling Formats (MX) Specification 1.0, sections 5 and 6; for NVFP4, which no
specification fixes, the order of operations of torchao 0.18 and NVIDIA's public description.

An integer element of p magnitude bits is a minifloat with one exponent bit: spacing ``2**(1 - p)`` throughout. So all
elements share one grid, one rounding and one reading of magnitude codes.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from kernels.definitions.block_grids import (
    E4M3_SCALE,
    SCALE_NAN_CODE,
    ElementGrid,
    check_block_fields,
    check_tensor_scale,
    element_grid,
    scale_exponents,
)
from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    CARRY_BUMP,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_E8M0,
    SCALE_EXPONENT,
    SCALE_RULE_CEIL,
    SCALE_RULE_EVEN,
    SCALE_RULE_RCEIL,
    SPECIALS_IEEE,
    BlockFields,
)
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, STOCHASTIC, TOWARD_ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOAT32: Final = ElementGrid(mantissa_bits=23, minimum_exponent=-126, largest_code=(255 << 23) - 1, width=32)


def floor_log2(value: Fraction) -> int:
    """The largest e with ``2**e <= value``; value > 0.

    >>> floor_log2(Fraction(8)), floor_log2(Fraction(1, 3))
    (3, -2)
    """
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def round_to_grid(
    magnitude: Fraction, grid: ElementGrid, rounding: int, random_bits: int = 0, random_width: int = 0
) -> Fraction:
    """Round a magnitude to the grid with unlimited exponent: once, without saturation.

    STOCHASTIC adds ``random_bits`` to the top ``random_width`` bits of the part below the spacing and carries.

    >>> grid = ElementGrid(mantissa_bits=1, minimum_exponent=0, largest_code=7, width=4)
    >>> [float(round_to_grid(Fraction(x), grid, HALF_EVEN)) for x in (0.25, 0.75, 2.5, 3.5, 7)]
    [0.0, 1.0, 2.0, 4.0, 8.0]
    """
    if magnitude == 0:
        return Fraction(0)
    spacing = Fraction(2) ** (max(floor_log2(magnitude), grid.minimum_exponent) - grid.mantissa_bits)
    steps = math.floor(magnitude / spacing)
    rest = magnitude / spacing - steps
    half = Fraction(1, 2)
    if rounding == HALF_EVEN:
        up = rest > half or (rest == half and steps % 2 == 1)
    elif rounding == HALF_AWAY:
        up = rest >= half
    elif rounding == HALF_TOWARD_ZERO:
        up = rest > half
    elif rounding == STOCHASTIC:
        up = math.floor(rest * 2**random_width) + random_bits >= 2**random_width
    elif rounding == TOWARD_ZERO:
        up = False
    else:
        raise ValueError(f"rounding must be one of the codes that check_block_fields allows, got {rounding}")
    return (steps + up) * spacing


def magnitude_of_code(code: int, grid: ElementGrid) -> Fraction:
    """The number a magnitude code (no sign bit) means: exponent field, then mantissa, gradual at field 0."""
    exponent, fraction = divmod(code, 1 << grid.mantissa_bits)
    hidden = 1 << grid.mantissa_bits if exponent else 0
    return (hidden + fraction) * Fraction(2) ** (max(exponent - 1, 0) + grid.minimum_exponent - grid.mantissa_bits)


def code_of_magnitude(magnitude: Fraction, grid: ElementGrid) -> int:
    """The inverse of `magnitude_of_code` for numbers of the grid."""
    exponent = max(floor_log2(magnitude), grid.minimum_exponent) if magnitude else grid.minimum_exponent
    steps = magnitude / Fraction(2) ** (exponent - grid.mantissa_bits)
    return int(steps) + ((exponent - grid.minimum_exponent) << grid.mantissa_bits)


def shared_exponent(amax: Fraction, fields: BlockFields, rounding: int = HALF_EVEN) -> int:
    """The exponent s of a power-of-two scale ``2**s`` for a block whose largest magnitude is ``amax``.

    Clamped to the range of the scale format; a zero block takes the least one. `CARRY_BUMP` looks at the largest
    magnitude only, which decides for all: rounding is monotone.

    >>> mxint8 = BlockFields(block_size=32, element_kind=2, magnitude_bits=7)
    >>> shared_exponent(Fraction(5), mxint8), shared_exponent(Fraction(5), mxint8._replace(scale_rule=1))
    (2, 3)
    """
    low, high = scale_exponents(fields)
    if amax == 0:
        return low
    grid = element_grid(fields)
    largest = magnitude_of_code(grid.largest_code, grid)
    top = floor_log2(largest)
    if fields.scale_rule == SCALE_RULE_RCEIL:
        exponent = -floor_log2(largest / amax)  # ceil(log2(amax / largest)) is -floor of the inverse's
    elif fields.scale_rule == SCALE_RULE_CEIL:
        exponent = -floor_log2(1 / amax) - top
    elif fields.scale_rule == SCALE_RULE_EVEN:
        half_step = Fraction(2) ** (floor_log2(amax) - grid.mantissa_bits - 1)
        exponent = floor_log2(amax + half_step) - top
    else:
        exponent = floor_log2(amax) - top
    if fields.carry == CARRY_BUMP and round_to_grid(amax / Fraction(2) ** exponent, grid, rounding) > largest:
        exponent += 1
    return min(max(exponent, low), high)


def to_float32(value: Fraction) -> Fraction | float:
    """The nearest float32, ties to even; infinity beyond the range. Negative values by symmetry."""
    magnitude = round_to_grid(abs(value), FLOAT32, HALF_EVEN)
    if magnitude > magnitude_of_code(FLOAT32.largest_code, FLOAT32):
        return math.copysign(math.inf, value)
    return magnitude if value >= 0 else -magnitude


def ratio_scale_code(amax: Fraction, fields: BlockFields, tensor_scale: Fraction) -> int:
    """The E4M3 code of an NVFP4 block scale: ``amax / 6 / tensor_scale`` clipped to [minimum, 448], half to even.

    By `ARITHMETIC_EXACT` from the exact quotient; otherwise the two divisions are float32, in this order.
    """
    grid = element_grid(fields)
    largest = magnitude_of_code(grid.largest_code, grid)
    quotient: Fraction | float = amax / largest / tensor_scale
    if fields.arithmetic != ARITHMETIC_EXACT:
        quotient = _float32_quotient(to_float32(amax / largest), tensor_scale)
    low = magnitude_of_code(fields.scale_minimum, E4M3_SCALE)
    high = magnitude_of_code(E4M3_SCALE.largest_code, E4M3_SCALE)
    clipped = Fraction(min(max(quotient, low), high))
    return code_of_magnitude(round_to_grid(clipped, E4M3_SCALE, HALF_EVEN), E4M3_SCALE)


def _float32_quotient(dividend: Fraction | float, divisor: Fraction) -> Fraction | float:
    return dividend if isinstance(dividend, float) else to_float32(dividend / divisor)


def encode_block(
    values: Sequence[float],
    fields: BlockFields,
    *,
    rounding: int = HALF_EVEN,
    random_bits: Sequence[int] | None = None,
    random_width: int = 0,
    nan: int = NAN_ERROR,
    tensor_scale: float = 1.0,
) -> tuple[list[int], int]:
    """The element codes and the scale code of one block.

    Args:
        values: at least one finite number (NaN if ``nan`` is `NAN_BLOCK`).
        fields: the format.
        rounding: of the elements: HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO or STOCHASTIC.
        random_bits: for STOCHASTIC, one integer below ``2**random_width`` for each value.
        random_width: bits of each of them.
        nan: what a NaN does.
        tensor_scale: the float32 scale of the whole tensor (E4M3 scales only).

    Returns:
        The element codes, two's complement or sign above magnitude, and the scale code.

    Raises:
        ValueError: for infinity, and for NaN unless it is asked for; if the fields contradict each other.

    >>> bfp4 = BlockFields(block_size=4, element_kind=1, magnitude_bits=3, scale_kind=1)
    >>> encode_block([1.0, -0.3, 0.125, 7.9], bfp4)
    ([1, 8, 0, 7], 2)
    >>> encode_block([1.0, -0.3, 0.125, 7.9], bfp4._replace(carry=CARRY_BUMP))
    ([0, 8, 0, 4], 3)
    """
    check_block_fields(fields, rounding=rounding, nan=nan)
    check_tensor_scale(tensor_scale, fields)
    grid = element_grid(fields)
    for position, value in enumerate(values):
        if math.isinf(value) or (math.isnan(value) and nan == NAN_ERROR):
            raise ValueError(f"value {position} of the block is {value}: only finite numbers have codes")
    if any(math.isnan(value) for value in values):
        return [0] * len(values), SCALE_NAN_CODE[fields.scale_kind]
    amax = max(abs(Fraction(value)) for value in values)
    tensor = Fraction(tensor_scale)
    if fields.scale_kind == SCALE_E4M3:
        scale_code = ratio_scale_code(amax, fields, tensor)
        scale = magnitude_of_code(scale_code, E4M3_SCALE)
    else:
        exponent = shared_exponent(amax, fields, rounding)
        scale_code = scale_code_of_exponent(exponent, fields)
        scale = Fraction(2) ** exponent
    codes = []
    for position, value in enumerate(values):
        magnitude = _quotient(abs(Fraction(value)), scale, tensor, fields.arithmetic)
        clipped = min(magnitude, _limit(value, grid))
        random = random_bits[position] if random_bits is not None else 0
        rounded = round_to_grid(Fraction(clipped), grid, rounding, random, random_width)
        codes.append(_element_code(rounded, math.copysign(1.0, value) < 0, fields, grid))
    return codes, scale_code


def _limit(value: float, grid: ElementGrid) -> Fraction:
    """The largest magnitude of the value's sign."""
    return magnitude_of_code(grid.largest_code + (grid.extra_negative if value < 0 else 0), grid)


def _quotient(magnitude: Fraction, scale: Fraction, tensor: Fraction, arithmetic: int) -> Fraction | float:
    if arithmetic == ARITHMETIC_EXACT:
        return magnitude / (scale * tensor)
    if arithmetic == ARITHMETIC_DIVISION:
        return to_float32(magnitude / Fraction(to_float32(tensor * scale)))
    reciprocal = Fraction(to_float32(Fraction(to_float32(1 / tensor)) / scale))
    return to_float32(magnitude * reciprocal)


def _element_code(magnitude: Fraction, negative: bool, fields: BlockFields, grid: ElementGrid) -> int:  # noqa: FBT001 - the sign bit
    code = code_of_magnitude(magnitude, grid)
    if fields.element_kind in (ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE):
        return code + (negative << (grid.width - 1))
    return (-code if negative else code) & ((1 << grid.width) - 1)


def scale_code_of_exponent(exponent: int, fields: BlockFields) -> int:
    """The code of the scale ``2**exponent``: biased by 127 (E8M0), or two's complement."""
    return exponent + 127 if fields.scale_kind == SCALE_E8M0 else exponent & ((1 << fields.scale_bits) - 1)


def decode_scale(code: int, fields: BlockFields) -> Fraction | float:
    """The scale a code means: exact, or NaN."""
    if fields.scale_kind == SCALE_EXPONENT:
        half = 1 << (fields.scale_bits - 1)
        return Fraction(2) ** ((code ^ half) - half)
    if code == SCALE_NAN_CODE[fields.scale_kind]:
        return math.nan
    return Fraction(2) ** (code - 127) if fields.scale_kind == SCALE_E8M0 else magnitude_of_code(code, E4M3_SCALE)


def decode_element(code: int, fields: BlockFields) -> Fraction | float:
    """The element a code means: a rational, or a float for minus zero, infinity and NaN."""
    grid = element_grid(fields)
    half = 1 << (grid.width - 1)
    if fields.element_kind not in (ELEMENT_FLOAT, ELEMENT_SIGN_MAGNITUDE):
        return ((code ^ half) - half) * Fraction(2) ** (grid.minimum_exponent - grid.mantissa_bits)
    sign, magnitude_code = (-1 if code & half else 1), code & (half - 1)
    if magnitude_code > grid.largest_code:
        has_infinity = fields.element is not None and fields.element.specials == SPECIALS_IEEE
        return sign * math.inf if has_infinity and magnitude_code == grid.largest_code + 1 else math.nan
    magnitude = magnitude_of_code(magnitude_code, grid)
    return -0.0 if magnitude == 0 and sign < 0 else sign * magnitude


def decode_block(
    codes: Sequence[int], scale_code: int, fields: BlockFields, *, tensor_scale: float = 1.0
) -> list[Fraction | float]:
    """The values of one block: element times scale (times the tensor's scale), exact for `ARITHMETIC_EXACT`.

    The other arithmetics round ``tensor_scale * scale`` and its product with the element to float32. Minus zero,
    infinity and NaN are floats. A NaN scale makes every value NaN.

    >>> from kernels.definitions.block_grids import E2M1
    >>> mxfp4 = BlockFields(block_size=4, element_kind=0, element=E2M1)
    >>> [float(value) for value in decode_block([1, 7, 8, 15], 127 + 3, mxfp4)]
    [4.0, 48.0, -0.0, -48.0]
    """
    check_block_fields(fields)
    check_tensor_scale(tensor_scale, fields)
    scale = decode_scale(scale_code, fields)
    if isinstance(scale, float):
        return [scale] * len(codes)
    scale *= Fraction(tensor_scale)
    exact = fields.arithmetic == ARITHMETIC_EXACT
    if not exact:
        scale = Fraction(to_float32(scale))
    values: list[Fraction | float] = []
    for code in codes:
        element = decode_element(code, fields)
        if isinstance(element, float):
            values.append(element)
        else:
            values.append(element * scale if exact else to_float32(element * scale))
    return values
