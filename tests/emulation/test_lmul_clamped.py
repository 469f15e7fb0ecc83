"""L-Mul clamped to the format: every pair of 8-bit operands, any accumulator, integers of engines, and refusals."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from functools import lru_cache

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation import Quantiser, decode, dot, parse
from emulation.codes import integer_of
from emulation.datapaths import (
    Arithmetic,
    Datapath,
    NarrowAccumulator,
    Order,
    Product,
    parse_accumulator,
    parse_arithmetic,
)
from emulation.dots import accumulator_unit_exponent
from emulation.engines import scalar_engine
from emulation.format_fields import float_fields, scalar_fields
from emulation.formats import MiniFloat
from emulation.lmul import factors, lmul_product
from emulation.lmul_ranges import clamped_range, operand_limits, product_unit_exponent
from emulation.lmul_sums import clamped_products, clamped_sums
from kernels.definitions.dots import accumulate
from kernels.definitions.lmul import multiply, offset_exponent, parts_of_code
from kernels.fields import LMUL_FIELD, ORDER_CHUNKS_EXACT, ORDER_PAIRWISE, AccumulatorFields, LMulFields
from kernels.twins import Twin

FOREIGN = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3": ml_dtypes.float8_e4m3,
    "e3m4": ml_dtypes.float8_e3m4,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
}
PAIRS = (
    ("e4m3fn", "e5m2"),
    ("e5m2", "e3m4"),
    ("e4m3b11fnuz", "e4m3fn"),
    ("e2m3", "e4m3ftz"),
    ("ue4m3fn", "e3m2"),
    ("e4m3b-3", "e4m3b16"),
    ("binary8p3", "e2m1"),
    ("e3m4", "e3m4"),
)
CLAMPED = Arithmetic(product=Product.LMUL_FIELD_CLAMPED)


def minifloat(name: str) -> MiniFloat:
    """A minifloat; ``b-3`` for a negative bias, which the grammar of names leaves out."""
    if name == "e4m3b-3":
        return MiniFloat(exponent_bits=4, mantissa_bits=3, bias=-3)
    number_format = parse(name)
    assert isinstance(number_format, MiniFloat)
    return number_format


def datapath(left: MiniFloat, right: MiniFloat, arithmetic: Arithmetic = CLAMPED) -> Datapath:
    return Datapath(activation=Quantiser(format=left), second=Quantiser(format=right), arithmetic=arithmetic)


@lru_cache
def finite_codes(number_format: MiniFloat) -> np.ndarray:
    codes = np.arange(1 << number_format.width, dtype=np.uint8 if number_format.width <= 8 else np.uint16)
    kept = [_is_finite(int(code), number_format) for code in codes]
    return codes[kept]


def _is_finite(code: int, number_format: MiniFloat) -> bool:
    try:
        integer_of(code, number_format)
    except ValueError:
        return False
    return True


def clamped(left: int, right: int, formats: tuple[MiniFloat, MiniFloat]) -> Fraction:
    """The field addition without bounds, kept to the range of both formats' numbers, all in rationals."""
    first, second = (parts_of_code(code, float_fields(one)) for code, one in zip((left, right), formats, strict=True))
    fields = LMulFields(LMUL_FIELD, formats[0].mantissa_bits, formats[1].mantissa_bits)
    product = Fraction(multiply(first, second, fields))
    least = min(Fraction(2) ** (1 - one.resolved_bias) for one in formats)
    largest = max(Fraction(one.largest_integer) * Fraction(2) ** one.unit_exponent for one in formats)
    if abs(product) < least:
        return Fraction(0)
    return max(-largest, min(largest, product))


@pytest.mark.parametrize("name", FOREIGN)
def test_every_pair_is_an_addition_of_codes(name: str) -> None:
    """In hardware: ``A + B - (bias << m) + 2**(m - l)``, flushed below code ``1 << m``, at most the largest code.

    ml_dtypes says what the code means. The product of two codes is a code of the format again.
    """
    number_format = minifloat(name)
    codes, m = finite_codes(number_format), number_format.mantissa_bits
    sign_bit = 1 << (number_format.width - 1)
    signs, magnitudes = codes & sign_bit, (codes & (sign_bit - 1)).astype(np.int64)
    sums = magnitudes[:, None] + magnitudes[None] - (number_format.resolved_bias << m) + (1 << (m - offset_exponent(m)))
    sums = np.minimum(sums, number_format.largest_magnitude_code)
    normal = (magnitudes >= 1 << m)[:, None] & (magnitudes >= 1 << m)[None]
    flushed = ~normal | (sums < 1 << m)
    result = np.where(flushed, 0, sums | (signs[:, None] ^ signs[None])).astype(np.uint8)
    expected = result.view(FOREIGN[name]).astype(np.float64)
    path = datapath(number_format, number_format)
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    products = dot(codes[:, None], codes[None], path)
    np.testing.assert_array_equal(np.ldexp(products.astype(np.float64), unit), expected)
    tensors = dot(torch.from_numpy(codes[:, None]), torch.from_numpy(codes[None]), path, twin=Twin.TENSORS)
    np.testing.assert_array_equal(tensors.numpy(), products)
    outside = [(~flushed & (sums == number_format.largest_magnitude_code)).sum(), (flushed & normal).sum()]
    assert min(outside) > 500, "hardly any product was clamped"


@pytest.mark.parametrize(("left_name", "right_name"), PAIRS)
def test_every_pair_of_different_formats(left_name: str, right_name: str) -> None:
    formats = minifloat(left_name), minifloat(right_name)
    path = datapath(*formats)
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    left, right = map(finite_codes, formats)
    products = dot(left[:, None], right[None], path)
    expected = [[clamped(int(a), int(b), formats) for b in right] for a in left]
    assert [[Fraction(one) * Fraction(2) ** unit for one in row] for row in products.tolist()] == expected
    turned = dot(right[:, None], left[None], datapath(formats[1], formats[0]))
    np.testing.assert_array_equal(turned, products.T)
    few = dot(left[::5, None], right[None, ::3], path, twin=Twin.DEFINITION)
    np.testing.assert_array_equal(few, products[::5, ::3])
    # Engines of networks: the same integers one by one, and as arrays.
    integers = [[integer_of(int(code), one) for code in own] for own, one in zip((left, right), formats, strict=True)]
    bits, limits = (formats[0].mantissa_bits, formats[1].mantissa_bits), operand_limits(*formats)
    ours = [[lmul_product(a, b, bits, CLAMPED.product, limits) for b in integers[1]] for a in integers[0]]
    assert ours == products.tolist()
    arrays = np.array(integers[0])[:, None], np.array(integers[1])[None]
    np.testing.assert_array_equal(clamped_products(*arrays, bits, limits), products)
    np.testing.assert_array_equal(clamped_sums(*arrays, bits, limits), products)


@pytest.mark.parametrize("name", ["e4m3fn", "e4m3fnuz", "e2m3", "e5m2"])
def test_products_of_one_format_are_its_numbers(name: str) -> None:
    number_format = minifloat(name)
    codes = finite_codes(number_format)
    path = datapath(number_format, number_format)
    products = dot(codes[:, None], codes[None], path)
    values = np.ldexp(products.astype(np.float64), accumulator_unit_exponent(path) or 0)
    assert set(values.ravel().tolist()) <= set(decode(codes, number_format, dtype="float64").tolist())


@pytest.mark.parametrize("mantissa_bits", range(8))
@pytest.mark.parametrize("exponent_bits", [2, 3, 4])
def test_formats_below_one_half_never_saturate(exponent_bits: int, mantissa_bits: int) -> None:
    """The recipe of `Product.LMUL_FIELD_CLAMPED`: products are then those of the unbounded addition, or 0."""
    number_format = MiniFloat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=(1 << exponent_bits) + 1)
    assert number_format.largest_integer * 2.0**number_format.unit_exponent < 0.5
    codes = finite_codes(number_format)[:: 1 if mantissa_bits < 5 else 5]
    path = datapath(number_format, number_format)
    free = datapath(number_format, number_format, Arithmetic(product=Product.LMUL_FIELD))
    ours, theirs = (dot(codes[:, None], codes[None], one).astype(np.float64) for one in (path, free))
    ours, theirs = (
        np.ldexp(one, accumulator_unit_exponent(path_) or 0) for one, path_ in ((ours, path), (theirs, free))
    )
    least = 2.0 ** (1 - number_format.resolved_bias)
    np.testing.assert_array_equal(ours, np.where(np.abs(theirs) < least, 0.0, theirs))


OPERANDS = (("e4m3fn", "e4m3fn"), ("e4m3b16", "e4m3fn"), ("e2m1", "e3m4"), ("e5m2", "e2m3"))
ACCUMULATORS = ("exact", "int6", "int9 wrap chunk 3", "fixed<16,8> floor chunk 2", "e5m10", "e5m2 pairwise", "e8m23")


def fields_of(text: str) -> AccumulatorFields:
    accumulator = parse_accumulator(text)
    if not isinstance(accumulator, NarrowAccumulator):
        return AccumulatorFields()
    pairwise = accumulator.order is Order.PAIRWISE
    return AccumulatorFields(
        grid=scalar_fields(accumulator.format),
        rounding=accumulator.rounding.value,
        overflow=accumulator.overflow.value,
        order=ORDER_PAIRWISE if pairwise else ORDER_CHUNKS_EXACT,
        chunk=accumulator.chunk,
    )


@settings(max_examples=120)
@given(
    st.sampled_from(OPERANDS),
    st.sampled_from(ACCUMULATORS),
    st.tuples(st.integers(1, 4), st.integers(0, 9), st.integers(1, 4)),
    st.integers(0, 2**32),
)
def test_sums_are_those_of_rationals(names: tuple[str, str], text: str, shape: tuple[int, int, int], seed: int) -> None:
    """Any accumulator, with initial values and leading axes and without, against sums of rational products."""
    formats = minifloat(names[0]), minifloat(names[1])
    arithmetic = Arithmetic(product=Product.LMUL_FIELD_CLAMPED, accumulator=parse_accumulator(text))
    path, random = datapath(*formats, arithmetic), np.random.default_rng(seed)
    rows, depth, columns = shape
    left = random.choice(finite_codes(formats[0]), (2, rows, depth))
    right = random.choice(finite_codes(formats[1]), (depth, columns))
    bias = random.integers(-2, 3, columns)
    step = Fraction(2) ** (accumulator_unit_exponent(path) or 0)

    def expected(batch: int, row: int, column: int, start: int) -> Fraction:
        products = [clamped(int(left[batch, row, k]), int(right[k, column]), formats) for k in range(depth)]
        return Fraction(accumulate(products, fields_of(text), initial=start * step))

    for twin in (Twin.COMPILED, Twin.DEFINITION, Twin.TENSORS):
        kind = torch.from_numpy if twin is Twin.TENSORS else np.asarray
        found = dot(kind(left), kind(right), path, initial=kind(bias), twin=twin)
        plain = dot(kind(left[0]), kind(right), path, twin=twin)
        assert (tuple(found.shape), tuple(plain.shape)) == ((2, rows, columns), (rows, columns))
        for row, column in itertools.product(range(rows), range(columns)):
            assert Fraction(plain[row, column].item()) * step == expected(0, row, column, 0)
            for batch in range(2):
                ours = Fraction(found[batch, row, column].item()) * step
                assert ours == expected(batch, row, column, int(bias[column]))


@pytest.mark.parametrize(
    ("left_name", "right_name"),
    [("e4m3fn", "e4m3fn"), ("bf16", "bf16"), ("fp16", "e5m2"), ("tf32", "e4m3fn"), ("e8m0nz", "bf16")],
)
def test_sums_of_many_products(left_name: str, right_name: str) -> None:
    """Matrices large enough for the compiled loop, in classes of exponents where formats are wide, or row by row."""
    if left_name == "e8m0nz":
        formats = MiniFloat(exponent_bits=8, mantissa_bits=0), minifloat(right_name)
    else:
        formats = minifloat(left_name), minifloat(right_name)
    bits, limits = (formats[0].mantissa_bits, formats[1].mantissa_bits), operand_limits(*formats)
    random = np.random.default_rng(0)

    def drawn(number_format: MiniFloat, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        magnitudes = random.integers(0, number_format.largest_magnitude_code + 1, count).tolist()
        values = [number_format.magnitude_integer(one) * int(random.choice((-1, 1))) for one in magnitudes]
        wide = max(map(abs, values)) >= 1 << 62
        return np.array(values, dtype=object if wide else np.int64).reshape(shape)

    left, right = drawn(formats[0], 3, 40, 70), drawn(formats[1], 70, 30)
    found = clamped_sums(left, right, bits, limits)
    assert found.shape == (3, 40, 30)
    for batch, row, column in zip(*(random.integers(0, size, 60) for size in (3, 40, 30)), strict=True):
        terms = zip(left[batch, row].tolist(), right[:, column].tolist(), strict=True)
        expected = sum(lmul_product(a, b, bits, Product.LMUL_FIELD_CLAMPED, limits) for a, b in terms)
        assert int(found[batch, row, column]) == expected
    few = clamped_sums(left[0, :2], right, bits, limits)
    assert few.tolist() == found[0, :2].tolist()


@pytest.mark.parametrize("product", [one for one in Product if one is not Product.EXACT])
@pytest.mark.parametrize("exponent", [-120, 0, 100])
def test_wide_formats_keep_their_normal_numbers(product: Product, exponent: int) -> None:
    """One number alone: its integer is a large power of two, and must not be taken for a subnormal number."""
    bf16 = minifloat("bf16")
    codes = np.array([[(127 + exponent) << 7]], dtype=np.uint16)
    one = np.array([[127 << 7]], dtype=np.uint16)
    path = datapath(bf16, bf16, Arithmetic(product=product))
    expected = Fraction(17, 16) * Fraction(2) ** exponent  # 1 + 2**-4 for m = 7
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    for options in ({}, {"twin": Twin.DEFINITION}, {"initial": np.zeros((1, 1), np.int64)}):
        assert int(dot(codes, one, path, **options)[0, 0]) * Fraction(2) ** unit == expected
    batches = dot(codes[None], one[None], path)
    assert int(batches[0, 0, 0]) * Fraction(2) ** unit == expected


def test_units_and_ranges() -> None:
    e4m3fn, e5m2, e3m4 = (minifloat(name) for name in ("e4m3fn", "e5m2", "e3m4"))
    both = clamped_range(e4m3fn, e5m2)
    assert both == clamped_range(e5m2, e4m3fn)
    assert (both.exponent_low, both.exponent_high, both.mantissa_high) == (-14, 15, 6)
    assert clamped_range(e4m3fn, e3m4).mantissa_high == 12
    assert both.unit_exponent == -17
    assert both.largest_integer * 2.0**both.unit_exponent == 57344
    assert product_unit_exponent(e4m3fn, e5m2, Product.LMUL_FIELD_CLAMPED) == -17
    assert scalar_engine(e4m3fn, e5m2, CLAMPED).unit_exponent == -17 - (e4m3fn.unit_exponent + e5m2.unit_exponent)
    assert str(parse_arithmetic("l-mul-field-clamped / int20 wrap")) == "l-mul-field-clamped / int20 wrap"


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("int8", "e4m3fn", "product l-mul-field-clamped adds the fields of two minifloats with gradual or flushed"),
        ("e4m3fn", "e3m2keep", "got e3m2keep: use Product.EXACT, or minifloats such as e4m3fn"),
        ("e0m3", "e4m3fn", "and e0m3 has no normal number (its greatest exponent field is 0): use minifloats such as"),
        ("e4m3fn", "e1m2ieee", "e1m2ieee has no normal number (its greatest exponent field is 0)"),
    ],
)
def test_formats_that_have_no_range(left: str, right: str, message: str) -> None:
    path = Datapath(activation=Quantiser(format=parse(left)), second=Quantiser(format=parse(right)), arithmetic=CLAMPED)
    with pytest.raises(ValueError, match=re.escape(message)):
        dot(np.ones((1, 1), np.uint8), np.ones((1, 1), np.uint8), path)


def test_what_the_parts_refuse() -> None:
    e4m3fn, bf16 = minifloat("e4m3fn"), minifloat("bf16")
    with pytest.raises(ValueError, match="product l-mul-field-clamped with limits None: l-mul-field-clamped needs"):
        lmul_product(8, 8, (3, 3), Product.LMUL_FIELD_CLAMPED)
    with pytest.raises(ValueError, match="product l-mul-field with limits ProductRange"):
        lmul_product(8, 8, (3, 3), Product.LMUL_FIELD, operand_limits(e4m3fn, e4m3fn))
    with pytest.raises(ValueError, match="product l-mul-field-clamped has no factors: l-mul-formula and l-mul-field"):
        factors(np.ones((1, 1), np.int64), np.ones((1, 1), np.int64), (3, 3), Product.LMUL_FIELD_CLAMPED)
    with pytest.raises(ValueError, match="e3m2nz has no zero: use minifloats such as e4m3fn, or product l-mul-field"):
        clamped_range(e4m3fn, minifloat("e3m2nz"))
    codes, bias = np.full((1, 2, 2), 0x38, np.uint8), np.zeros((3, 3), np.int64)
    message = "initial values of shape (3, 3) do not broadcast to the sums' shape (1, 2, 2)"
    for accumulator in ("exact", "e5m10"):
        arithmetic = Arithmetic(product=CLAMPED.product, accumulator=parse_accumulator(accumulator))
        with pytest.raises(ValueError, match=re.escape(message)):
            dot(codes, codes, datapath(e4m3fn, e4m3fn, arithmetic), initial=bias)
    ones, wide = torch.tensor([[[0x3F80, 0x3F80]]]), torch.tensor([[[0x3F80], [0x0080]]])
    with pytest.raises(ValueError, match="products of these codes need more than the 62 bits of a tensor's integers"):
        dot(ones, wide, datapath(bf16, bf16), twin=Twin.TENSORS)


def test_no_matrices_and_no_products() -> None:
    e4m3fn = minifloat("e4m3fn")
    for accumulator, twin in itertools.product(("exact", "int9", "e5m10"), (Twin.COMPILED, Twin.DEFINITION)):
        arithmetic = Arithmetic(product=CLAMPED.product, accumulator=parse_accumulator(accumulator))
        path = datapath(e4m3fn, e4m3fn, arithmetic)
        for left, right in (((0, 2, 3), (3, 4)), ((2, 0, 3), (3, 4)), ((2, 3, 0), (0, 4)), ((2, 3), (3, 0))):
            found = dot(np.zeros(left, np.uint8), np.zeros(right, np.uint8), path, twin=twin)
            assert found.shape == (*left[:-1], right[-1])
            assert not found.any()
