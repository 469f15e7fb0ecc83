"""Matrix products whose accumulator is cast at every step, and whose order therefore counts.

Products and sums are floats of a *work* type. A product is exact; a sum is rounded to odd (its last bit is set if bits
were lost), which no cast to a grid with at least two bits less can tell from the exact sum. The caller proves that
products are exact and that nothing overflows or underflows the work type (`kernels.gpu.dots`, `kernels.gpu.lmul`).
"""

from __future__ import annotations

from kernels import fields as modes
from kernels.gpu import fixed, minifloat
from kernels.gpu import sum_constants as constants
from kernels.gpu.bits import power_of_two, with_sign, word_of
from kernels.gpu.launching import kernel, tl


@kernel
def odd_sum(left: tl.tensor, right: tl.tensor) -> tl.tensor:
    """The sum rounded to odd: exact, or the neighbour of the exact sum whose last bit is 1."""
    total = left + right
    moved = total - left
    error = (left - (total - moved)) + (right - moved)
    bits = word_of(total)
    # Away from zero is up in the bits of either sign. An infinite sum has a NaN for an error, which compares false.
    away = (error > 0) == (total > 0)
    odd = tl.where(away, bits + 1, bits - 1).to(total.dtype, bitcast=True)
    return tl.where(((error > 0) | (error < 0)) & ((bits & 1) == 0), odd, total)


@kernel
def nearest(value: tl.tensor, SOURCE: tl.constexpr, CAST: tl.constexpr) -> tl.tensor:
    """Half to even on a grid with gradual subnormals: the number added has its last bit at the grid's spacing."""
    if CAST.beyond == CAST.largest:
        value = tl.minimum(tl.maximum(value, -CAST.largest), CAST.largest)
    bits = word_of(tl.abs(value))
    exponent = (bits >> SOURCE.mantissa_bits) << SOURCE.mantissa_bits
    exponent = tl.maximum(exponent, CAST.least_exponent << SOURCE.mantissa_bits)
    magic = exponent + (((SOURCE.mantissa_bits - CAST.fields.mantissa_bits) * 2 + 1) << (SOURCE.mantissa_bits - 1))
    magic = magic.to(value.dtype, bitcast=True)
    rounded = (value + magic) - magic
    return tl.where(
        tl.abs(rounded) > CAST.largest, with_sign(tl.full(value.shape, CAST.beyond, value.dtype), value < 0), rounded
    )


@kernel
def cast_value(value: tl.tensor, SOURCE: tl.constexpr, CAST: tl.constexpr) -> tl.tensor:
    """One cast to the grid of CAST; NaN stays what it is, and every zero is plus zero."""
    if CAST.kind == constants.CAST_NONE:
        result = value
    else:
        if CAST.kind == constants.CAST_FIXED:
            code = fixed.encode_values(
                value, 0, SOURCE, CAST.fields, CAST.rounding, CAST.overflow, CAST.saturation_bits, 0, CAST.word
            )
            result = fixed.decode_codes(code, SOURCE, CAST.fields, CAST.step)
        elif CAST.kind == constants.CAST_FLOAT:
            code = minifloat.encode_values(
                value, 0, SOURCE, CAST.fields, CAST.targets, CAST.rounding, CAST.underflow, 0
            )
            result = minifloat.decode_codes(code, SOURCE, CAST.fields, CAST.targets)
        else:
            result = nearest(value, SOURCE, CAST)
        result = tl.where(result == 0, 0.0, result)
        result = tl.where(value == value, result, value)  # noqa: PLR0124 - false of NaN only
    return result


@kernel
def lmul_product(left: tl.tensor, right: tl.tensor, SOURCE: tl.constexpr, LMUL: tl.constexpr) -> tl.tensor:
    """The L-Mul product of two words, exact or infinite."""
    negative = ((left ^ right) & 1) != 0
    one = left >> 1
    other = right >> 1
    total = one + other + LMUL.offset
    is_zero = total < LMUL.zero
    if LMUL.kind == modes.LMUL_FORMULA:
        mask = (1 << LMUL.bits) - 1
        significand = (one & mask) + (other & mask) + (LMUL.offset + (1 << LMUL.bits))
        scale = power_of_two((one >> LMUL.bits) + (other >> LMUL.bits) - LMUL.bits, SOURCE)
        value = significand.to(scale.dtype) * scale
    else:
        above = total > LMUL.high
        if LMUL.kind == modes.LMUL_FIELD_CLAMPED:
            is_zero = total < LMUL.low
            total = tl.minimum(total, LMUL.high)
        word = tl.where(is_zero, 0, total).to(tl.int64 if SOURCE.mantissa_bits == 52 else tl.int32)
        bits = (word + (SOURCE.bias << LMUL.bits)) << (SOURCE.mantissa_bits - LMUL.bits)
        value = bits.to(tl.float64 if SOURCE.mantissa_bits == 52 else tl.float32, bitcast=True)
        if LMUL.infinite:
            value = tl.where(above, float("inf"), value)
    return with_sign(tl.where(is_zero, 0.0, value), negative & (is_zero == 0))


@kernel
def product_of(
    left: tl.tensor, right: tl.tensor, SOURCE: tl.constexpr, LMUL: tl.constexpr, PRODUCT: tl.constexpr
) -> tl.tensor:
    """One product, cast to its own format if it has one."""
    value = left * right if LMUL.kind < 0 else lmul_product(left, right, SOURCE, LMUL)
    return cast_value(value, SOURCE, PRODUCT)


@kernel
def ordered_kernel(
    left: tl.tensor,
    right: tl.tensor,
    initial: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    SOURCE: tl.constexpr,
    LMUL: tl.constexpr,
    PRODUCT: tl.constexpr,
    SUM: tl.constexpr,
    CHUNK: tl.constexpr,
    ROUND_PARTS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Sums with k ascending, in chunks that are summed exactly or (ROUND_PARTS is 1) cast at every step."""
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    place = row[:, None] * columns + column[None, :]
    total = tl.load(initial + place, mask=inside, other=0.0)
    for start in range(0, depth, CHUNK):
        part = tl.full([TILE, TILE], 0.0, total.dtype)
        for k in range(start, tl.minimum(start + CHUNK, depth)):
            one = tl.load(left + row * depth + k, mask=row < rows, other=0)[:, None]
            other = tl.load(right + k * columns + column, mask=column < columns, other=0)[None, :]
            product = product_of(one, other, SOURCE, LMUL, PRODUCT)
            part = cast_value(odd_sum(part, product), SOURCE, SUM) if ROUND_PARTS else part + product
        total = cast_value(odd_sum(total, part), SOURCE, SUM)
    tl.store(results + place, total, mask=inside)


@kernel
def tree_kernel(
    left: tl.tensor,
    right: tl.tensor,
    initial: tl.tensor,
    results: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    SOURCE: tl.constexpr,
    LMUL: tl.constexpr,
    PRODUCT: tl.constexpr,
    SUM: tl.constexpr,
    LEVELS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """Pairwise sums; 2**LEVELS is at least the depth, which is above 0."""
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.int64)
    column = (tl.program_id(1) * TILE + tl.arange(0, TILE)).to(tl.int64)
    k = tl.arange(0, 1 << LEVELS)[None, None, :]
    row_mask = (row < rows)[:, None, None] & (k < depth)
    column_mask = (column < columns)[None, :, None] & (k < depth)
    one = tl.load(left + row[:, None, None] * depth + k, mask=row_mask, other=0)
    other = tl.load(right + k * columns + column[None, :, None], mask=column_mask, other=0)
    tree = product_of(one, other, SOURCE, LMUL, PRODUCT)
    count = depth
    for level in tl.static_range(LEVELS):
        pairs = tl.reshape(tree, [TILE, TILE, 1 << (LEVELS - 1 - level), 2])
        even, odd = tl.split(pairs)
        both = 2 * tl.arange(0, 1 << (LEVELS - 1 - level)) + 1 < count
        tree = tl.where(both[None, None, :], cast_value(odd_sum(even, odd), SOURCE, SUM), even)
        count = (count + 1) // 2
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    place = row[:, None] * columns + column[None, :]
    total = tl.load(initial + place, mask=inside, other=0.0)
    total = cast_value(odd_sum(total, tl.reshape(tree, [TILE, TILE])), SOURCE, SUM)
    tl.store(results + place, total, mask=inside)
