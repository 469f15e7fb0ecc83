"""`dot` with products rounded to a format of their own: against APyTypes, and against rationals."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from apytypes import APyFloatAccumulatorContext, APyFloatArray, QuantizationMode

from emulation import Quantiser, cast, decode, dot, encode, parse
from emulation.datapaths import Arithmetic, Datapath, Product, RoundedProduct, parse_accumulator
from emulation.formats import FixedPoint, MiniFloat, ScalarFormat
from emulation.rules import Overflow, Rounding
from kernels.twins import Twin


def scalar(name: str) -> ScalarFormat:
    number_format = parse(name)
    assert isinstance(number_format, FixedPoint | MiniFloat)
    return number_format


DATAPATHS = (
    ("e4m3fn", "e4m3fn", "e5m10ieee", RoundedProduct(format=scalar("e5m4ieee"))),
    ("e4m3fn", "int8", "e8m23", RoundedProduct(format=scalar("e4m2"), rounding=Rounding.TOWARD_ZERO)),
    ("int8", "int8", "int20 chunk 3", RoundedProduct(format=scalar("fixed<12,14>"), rounding=Rounding.FLOOR)),
    ("fixed<8,4>", "fixed<8,2>", "fixed<14,8>", RoundedProduct(format=scalar("fixed<8,4>"), overflow=Overflow.WRAP)),
    ("int8", "int8", "exact", RoundedProduct(format=scalar("fixed<10,14>"))),
    ("e4m3fn", "e4m3fn", "exact", RoundedProduct(format=scalar("e5m2"))),
    ("e4m3fn", "e5m2", "e5m10ieee pairwise", RoundedProduct(format=scalar("e5m3ieee"))),
    ("e4m3fn", "e5m2", "e5m10ieee pairwise chunk 4", RoundedProduct(format=scalar("e5m3ieee"))),
)


def datapath(left: str, right: str, accumulator: str, product: Product = Product.EXACT) -> Datapath:
    return Datapath(
        activation=Quantiser(format=parse(left)),
        second=Quantiser(format=parse(right)),
        arithmetic=Arithmetic(product=product, accumulator=parse_accumulator(accumulator)),
    )


def operands(left: str, right: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    return (
        encode(random.normal(size=(5, 13)) * 6, parse(left)),
        encode(random.normal(size=(13, 4)) * 6, parse(right)),
    )


@pytest.mark.parametrize(("left", "right", "accumulator", "product"), DATAPATHS)
def test_products_are_cast_one_by_one(left: str, right: str, accumulator: str, product: RoundedProduct) -> None:
    """Casts of single products are those of `cast`; what is added are their values."""
    path, codes = datapath(left, right, accumulator), operands(left, right)
    first, second = (decode(one, parse(name), dtype="float64") for one, name in zip(codes, (left, right), strict=True))
    products = cast(
        first[:, :, None] * second[None], product.format, rounding=product.rounding, overflow=product.overflow
    )
    grid = products.astype(object)
    found = dot(*codes, path, rounded_product=product)
    if accumulator == "exact":
        unit = Fraction(2) ** product.format.unit_exponent
        sums = [[sum(map(Fraction, grid[i, :, j]), Fraction(0)) for j in range(4)] for i in range(5)]
        assert [[Fraction(int(one)) * unit for one in row] for row in found.tolist()] == sums
    else:
        # One column of ones adds the products in the same register: 1.0 is a number of every register's operands.
        wide = parse("e8m23") if isinstance(product.format, MiniFloat) else parse("fixed<32,16>")
        ones = Datapath(
            activation=Quantiser(format=wide), second=Quantiser(format=parse("int8")), arithmetic=path.arithmetic
        )
        alone = [
            [dot(encode(products[i, None, :, j], wide), np.ones((13, 1), np.uint8), ones)[0, 0] for j in range(4)]
            for i in range(5)
        ]
        assert found.tolist() == alone


@pytest.mark.parametrize(("left", "right", "accumulator", "product"), DATAPATHS)
def test_twins_round_products_alike(left: str, right: str, accumulator: str, product: RoundedProduct) -> None:
    path, codes = datapath(left, right, accumulator), operands(left, right)
    expected = dot(*codes, path, rounded_product=product, twin=Twin.DEFINITION)
    assert np.array_equal(dot(*codes, path, rounded_product=product), expected)
    assert np.array_equal(dot(*map(torch.from_numpy, codes), path, rounded_product=product).numpy(), expected)
    assert np.array_equal(
        dot(*map(torch.from_numpy, codes), path, rounded_product=product, twin=Twin.TENSORS).numpy(), expected
    )


@pytest.mark.parametrize(("exponent_bits", "mantissa_bits"), [(5, 2), (5, 4), (6, 3), (8, 5)])
def test_rounded_products_against_apytypes(exponent_bits: int, mantissa_bits: int) -> None:
    """APyTypes rounds every product to the accumulator's format; most of 8 significant bits do not fit these."""
    register = f"e{exponent_bits}m{mantissa_bits}ieee"
    path, (left, right) = datapath("e4m3fn", "e4m3fn", register), operands("e4m3fn", "e4m3fn")
    foreign = [
        APyFloatArray.from_float(decode(one, parse("e4m3fn")).astype(float).tolist(), 4, 3) for one in (left, right)
    ]
    with APyFloatAccumulatorContext(
        exp_bits=exponent_bits, man_bits=mantissa_bits, quantization=QuantizationMode.TIES_EVEN
    ):
        theirs = (foreign[0] @ foreign[1]).to_numpy()
    assert np.isfinite(theirs).all()
    assert np.array_equal(dot(left, right, path, rounded_product=RoundedProduct(format=scalar(register))), theirs)
    assert not np.array_equal(dot(left, right, path), theirs)


def test_what_has_no_rounded_products() -> None:
    product = RoundedProduct(format=scalar("e5m2"))
    codes = np.ones((1, 1), np.uint8)
    path = datapath("e4m3fn", "e4m3fn", "exact", Product.LMUL_FIELD)
    with pytest.raises(
        ValueError,
        match=re.escape("rounded_product e5m2 saturate half-even rounds exact products, got product l-mul-field: use"),
    ):
        dot(codes, codes, path, rounded_product=product)
    blocks = encode(np.ones((1, 4)), parse("mxfp4"))
    with pytest.raises(ValueError, match="products of elements are exact within a block, got rounded_product e5m2"):
        dot(blocks, codes, datapath("mxfp4", "int8", "exact"), rounded_product=product)
    with pytest.raises(ValueError, match="product e5m2 cannot overflow by WRAP: use SATURATE"):
        RoundedProduct(format=scalar("e5m2"), overflow=Overflow.WRAP)
    with pytest.raises(ValueError, match="product e5m2ftz must have gradual underflow and a zero"):
        RoundedProduct(format=scalar("e5m2ftz"))
