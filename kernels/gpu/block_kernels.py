"""Kernels of block formats: scales of blocks and codes of elements, on integers where powers of two scale.

A program takes whole blocks: it finds the largest magnitude, the scale, and the codes of the elements or their values.

NVFP4's quotients are the one thing here that floats round: by correctly rounded divisions and products, in float32 for
the two arithmetics that are defined as float32 steps, in float64 for the exact one (where a rounded quotient meets a
tie only if the exact one does; see `kernels.compiled.ratio_loops`).
"""

from __future__ import annotations

from typing import NamedTuple

from kernels import fields as modes
from kernels import rounding as rules
from kernels.gpu.bits import leading_one, power_of_two, round_magnitude, split, stochastic_carry, with_sign, word_of
from kernels.gpu.launching import kernel, tl

if tl is not None:
    # The interpreter reduces by NumPy's maximum if, and only if, it is handed this very function.
    from triton.language.standard import _elementwise_max as larger


class BlockConstants(NamedTuple):
    """A block format as its kernels know it; the grids are those of `kernels.definitions.block_grids.ElementGrid`."""

    mantissa_bits: int
    minimum_exponent: int
    largest_code: int
    width: int
    extra_negative: int
    twos_complement: int
    infinity_code: int
    """The magnitude code that decodes to infinity; -1 without one."""
    scale_kind: int
    arithmetic: int
    threshold: int
    """The least fraction of the largest magnitude from which the shared exponent is one more."""
    top: int
    """Exponent of the largest element."""
    low: int
    """Least exponent of a scale."""
    high: int
    scale_bits: int
    scale_minimum: int


@kernel
def divide(left: tl.tensor, right: tl.tensor) -> tl.tensor:
    """The correctly rounded quotient; Triton's own division of float32 is approximate."""
    return tl.div_rn(left, right) if left.dtype == tl.float32 else left / right


@kernel
def grid_code(
    significand: tl.tensor,
    unit: tl.tensor,
    random: tl.tensor,
    MANTISSA_BITS: tl.constexpr,
    MINIMUM_EXPONENT: tl.constexpr,
    ROUNDING: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
) -> tl.tensor:
    """The magnitude code of ``significand * 2**unit`` on a grid without an upper end.

    Steps beyond the format are cut off at 64 binades; their codes exceed every largest code either way.
    """
    lowest = MINIMUM_EXPONENT - MANTISSA_BITS
    steps = tl.maximum(leading_one(significand) + unit - MINIMUM_EXPONENT, 0)
    shift = steps + (lowest - unit)
    word_bits: tl.constexpr = 63 if significand.dtype == tl.int64 else 31
    right = tl.minimum(tl.maximum(shift, 0), word_bits)
    exact = significand << tl.minimum(tl.maximum(-shift, 0), MANTISSA_BITS)
    if ROUNDING == rules.STOCHASTIC:
        kept = exact >> right
        rest = (exact - (kept << right)).to(tl.int64)
        carry = stochastic_carry(rest, tl.maximum(shift, 0).to(tl.int64), rest < 0, random, RANDOM_WIDTH)
        rounded = tl.where(carry, kept + 1, kept)
    else:
        rounded = round_magnitude(exact, right, exact < 0, ROUNDING)
    return rounded.to(tl.int64) + (tl.minimum(steps, 64).to(tl.int64) << MANTISSA_BITS)


@kernel
def grid_parts(
    code: tl.tensor, MANTISSA_BITS: tl.constexpr, MINIMUM_EXPONENT: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Significand and unit of a magnitude code."""
    steps = tl.maximum((code >> MANTISSA_BITS) - 1, 0)
    return code - (steps << MANTISSA_BITS), steps + (MINIMUM_EXPONENT - MANTISSA_BITS)


@kernel
def scaled_value(significand: tl.tensor, unit: tl.tensor, SOURCE: tl.constexpr) -> tl.tensor:
    """``significand * 2**unit``, exact, or infinity beyond the float type of SOURCE."""
    scale = power_of_two(unit, SOURCE)
    word = significand.to(tl.int64 if SOURCE.mantissa_bits == 52 else tl.int32)
    beyond = leading_one(word) + unit > SOURCE.bias
    return tl.where(beyond & (word != 0), float("inf"), tl.where(beyond, 0, word).to(scale.dtype) * scale)


@kernel
def shared_exponent(largest: tl.tensor, SOURCE: tl.constexpr, CONSTANTS: tl.constexpr) -> tl.tensor:
    """The exponent of a block's scale from its largest magnitude, finite floats; the least one for 0."""
    _, significand, unit = split(largest, SOURCE)
    leading = leading_one(significand)
    # A zero has no leading one: any shift does, the exponent is replaced.
    fraction = significand << tl.minimum(tl.maximum(SOURCE.mantissa_bits - leading, 0), SOURCE.mantissa_bits)
    fraction = fraction - (((fraction & 0) + 1) << SOURCE.mantissa_bits)
    exponent = leading + unit - CONSTANTS.top
    exponent = tl.where(fraction >= CONSTANTS.threshold, exponent + 1, exponent)
    exponent = tl.minimum(tl.maximum(exponent, CONSTANTS.low), CONSTANTS.high)
    return tl.where(significand == 0, CONSTANTS.low, exponent)


@kernel
def ratio_scale_code(
    largest: tl.tensor, tensor_scale: tl.tensor, WORK: tl.constexpr, CONSTANTS: tl.constexpr
) -> tl.tensor:
    """The E4M3 code of a block's scale; ``largest`` and ``tensor_scale`` in the float type of the steps."""
    if CONSTANTS.arithmetic == modes.ARITHMETIC_EXACT:
        quotient = largest / (tensor_scale * 6.0)
    else:
        quotient = divide(divide(largest, tl.full(largest.shape, 6.0, largest.dtype)), tensor_scale)
    # Not beyond the largest code, whose rounding down cannot be told from a saturated one.
    quotient = tl.minimum(quotient, 448.0)
    _, significand, unit = split(quotient, WORK)
    code = grid_code(significand, unit, significand, 3, -6, rules.HALF_EVEN, 0)
    return tl.maximum(code, CONSTANTS.scale_minimum)


@kernel
def ratio_scale(scale_code: tl.tensor, WORK: tl.constexpr) -> tl.tensor:
    """The E4M3 scale of a block in the float type of the steps."""
    significand, unit = grid_parts(scale_code, 3, -6)
    return scaled_value(significand, unit, WORK)


@kernel
def ratio_factor(scale: tl.tensor, tensor_scale: tl.tensor, CONSTANTS: tl.constexpr) -> tl.tensor:
    """What quotients are made with: the whole scale, or its reciprocal."""
    if CONSTANTS.arithmetic == modes.ARITHMETIC_RECIPROCAL:
        factor = divide(divide(tl.full(scale.shape, 1.0, scale.dtype), tensor_scale), scale)
    else:
        factor = tensor_scale * scale
    return factor


@kernel
def ratio_quotient(magnitude: tl.tensor, factor: tl.tensor, CONSTANTS: tl.constexpr) -> tl.tensor:
    """A magnitude in units of its block's scale, no more than the largest element."""
    multiply = CONSTANTS.arithmetic == modes.ARITHMETIC_RECIPROCAL
    return tl.minimum(magnitude * factor if multiply else divide(magnitude, factor), 6.0)


@kernel
def limited(code: tl.tensor, negative: tl.tensor, CONSTANTS: tl.constexpr) -> tl.tensor:
    """Saturate a magnitude code; two's complement has one more below zero."""
    return tl.minimum(
        code, tl.where(negative, CONSTANTS.largest_code + CONSTANTS.extra_negative, CONSTANTS.largest_code)
    )


@kernel
def signed_code(code: tl.tensor, negative: tl.tensor, CONSTANTS: tl.constexpr) -> tl.tensor:
    """The code of an element from that of its magnitude."""
    if CONSTANTS.twos_complement:
        result = tl.where(negative, -code, code) & ((1 << CONSTANTS.width) - 1)
    else:
        result = tl.where(negative, code + (1 << (CONSTANTS.width - 1)), code)
    return result


@kernel
def signed_value(magnitude: tl.tensor, negative: tl.tensor, CONSTANTS: tl.constexpr) -> tl.tensor:
    """A value from its magnitude; two's complement has no minus zero."""
    return with_sign(magnitude, negative & (magnitude != 0) if CONSTANTS.twos_complement else negative)


@kernel
def encode_kernel(
    values: tl.tensor,
    random: tl.tensor,
    largest_of_all: tl.tensor,
    tensor_scales: tl.tensor,
    results: tl.tensor,
    scales: tl.tensor,
    columns: tl.tensor,
    blocks: tl.tensor,
    blocks_per_row: tl.tensor,
    SOURCE: tl.constexpr,
    WORK: tl.constexpr,
    CONSTANTS: tl.constexpr,
    ROUNDING: tl.constexpr,
    RANDOM_WIDTH: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    SHARED: tl.constexpr,
    AS_VALUES: tl.constexpr,
    PADDED: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Values to element and scale codes, or (AS_VALUES is 1) to the values of the codes; TILE blocks per program."""
    block = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    first = (block % blocks_per_row) * BLOCK_SIZE
    column = first[:, None] + tl.arange(0, PADDED)[None, :]
    inside = (block < blocks)[:, None] & (tl.arange(0, PADDED)[None, :] < BLOCK_SIZE) & (column < columns)
    place = (block // blocks_per_row)[:, None] * columns + column
    value = tl.load(values + place, mask=inside, other=0.0)
    bits = tl.load(random + place, mask=inside, other=0) if ROUNDING == rules.STOCHASTIC else 0
    infinity = ((1 << SOURCE.exponent_bits) - 1) << SOURCE.mantissa_bits
    magnitudes = word_of(tl.abs(value))
    largest = word_of(tl.load(largest_of_all + block * 0)) if SHARED else tl.reduce(magnitudes, 1, larger)
    is_nan = largest >= infinity
    magnitude_of_block = tl.where(is_nan, 0, largest).to(value.dtype, bitcast=True)
    value = tl.where(is_nan[:, None], 0.0, value)
    if CONSTANTS.scale_kind == modes.SCALE_E4M3:
        negative = word_of(value) < 0
        tensor_scale = tl.load(tensor_scales + block * 0)
        scale_code = ratio_scale_code(magnitude_of_block.to(tensor_scale.dtype), tensor_scale, WORK, CONSTANTS)
        scale = ratio_scale(scale_code, WORK)
        whole = tensor_scale * scale
        factor = ratio_factor(scale, tensor_scale, CONSTANTS)
        quotient = ratio_quotient(tl.abs(value).to(whole.dtype), factor[:, None], CONSTANTS)
        _, significand, unit = split(quotient, WORK)
        scale_code = tl.where(is_nan, 0x7F, scale_code)
    else:
        negative, significand, unit = split(value, SOURCE)
        exponent = shared_exponent(magnitude_of_block, SOURCE, CONSTANTS)
        unit = unit - exponent[:, None]
        if CONSTANTS.scale_kind == modes.SCALE_E8M0:
            scale_code = tl.where(is_nan, 0xFF, exponent + 127)
        else:
            scale_code = exponent & ((1 << CONSTANTS.scale_bits) - 1)
    code = grid_code(
        significand, unit, bits, CONSTANTS.mantissa_bits, CONSTANTS.minimum_exponent, ROUNDING, RANDOM_WIDTH
    )
    code = limited(code, negative, CONSTANTS)
    if AS_VALUES:
        significand, unit = grid_parts(code, CONSTANTS.mantissa_bits, CONSTANTS.minimum_exponent)
        if CONSTANTS.scale_kind == modes.SCALE_E4M3:
            magnitude = (scaled_value(significand, unit, WORK) * whole[:, None]).to(value.dtype)
        else:
            magnitude = scaled_value(significand, unit + exponent[:, None], SOURCE)
        result = signed_value(magnitude, negative, CONSTANTS)
        result = tl.where(is_nan[:, None], float("nan"), result)
    else:
        result = signed_code(code, negative, CONSTANTS)
        tl.store(scales + block, scale_code, mask=(block < (1 if SHARED else blocks)))
    tl.store(results + place, result, mask=inside)


@kernel
def decode_kernel(
    elements: tl.tensor,
    scales: tl.tensor,
    tensor_scales: tl.tensor,
    results: tl.tensor,
    columns: tl.tensor,
    blocks: tl.tensor,
    blocks_per_row: tl.tensor,
    SOURCE: tl.constexpr,
    WORK: tl.constexpr,
    CONSTANTS: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    SHARED: tl.constexpr,
    PADDED: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Element and scale codes to values; TILE blocks per program."""
    block = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    first = (block % blocks_per_row) * BLOCK_SIZE
    column = first[:, None] + tl.arange(0, PADDED)[None, :]
    inside = (block < blocks)[:, None] & (tl.arange(0, PADDED)[None, :] < BLOCK_SIZE) & (column < columns)
    place = (block // blocks_per_row)[:, None] * columns + column
    code = tl.load(elements + place, mask=inside, other=0).to(tl.int64)
    scale_code = tl.load(scales + (block * 0 if SHARED else block), mask=block < blocks, other=0).to(tl.int64)
    negative = (code >> (CONSTANTS.width - 1)) != 0
    if CONSTANTS.twos_complement:
        magnitude_code = tl.where(negative, (1 << CONSTANTS.width) - code, code)
    else:
        magnitude_code = code & ((1 << (CONSTANTS.width - 1)) - 1)
    beyond = magnitude_code > CONSTANTS.largest_code + CONSTANTS.extra_negative
    significand, unit = grid_parts(magnitude_code, CONSTANTS.mantissa_bits, CONSTANTS.minimum_exponent)
    if CONSTANTS.scale_kind == modes.SCALE_E4M3:
        is_nan = scale_code == 0x7F
        tensor_scale = tl.load(tensor_scales + block * 0)
        whole = tensor_scale * ratio_scale(scale_code, WORK)
        magnitude = (scaled_value(significand, unit, WORK) * whole[:, None]).to(
            tl.float64 if SOURCE.mantissa_bits == 52 else tl.float32
        )
    else:
        if CONSTANTS.scale_kind == modes.SCALE_E8M0:
            is_nan = scale_code == 0xFF
            exponent = scale_code - 127
        else:
            half: tl.constexpr = 1 << (CONSTANTS.scale_bits - 1)
            is_nan = scale_code < 0
            exponent = (scale_code ^ half) - half
        magnitude = scaled_value(significand, unit + exponent[:, None], SOURCE)
    if not CONSTANTS.twos_complement:
        magnitude = tl.where(beyond, float("nan"), magnitude)
        magnitude = tl.where(magnitude_code == CONSTANTS.infinity_code, float("inf"), magnitude)
    result = signed_value(magnitude, negative, CONSTANTS)
    tl.store(results + place, tl.where(is_nan[:, None], float("nan"), result), mask=inside)
