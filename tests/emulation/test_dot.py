"""`dot`: exact sums, L-Mul and narrow accumulators from codes, against APyTypes, rationals and the definition."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from apytypes import APyFixedArray, APyFloatAccumulatorContext, APyFloatArray, QuantizationMode
from hypothesis import given
from hypothesis import strategies as st

from emulation import Quantiser, decode, dot, encode, parse
from emulation.datapaths import Arithmetic, Datapath, Product, parse_accumulator
from emulation.dots import accumulator_unit_exponent
from emulation.fitted_tables import fit_table
from emulation.quantisers import Scaling
from kernels.definitions.lmul import multiply, parts_of_code
from kernels.fields import LMUL_FIELD, LMUL_FORMULA, LMulFields
from kernels.twins import Twin
from tests.kernels.format_list import FLOATS

if TYPE_CHECKING:
    from emulation.formats import Format

TWINS = (Twin.DEFINITION, Twin.COMPILED)
PAIRS = (
    ("int8", "int8"),
    ("int4", "uint4"),
    ("uint8", "fixed<12,3>"),
    ("e4m3fn", "e4m3fn"),
    ("e2m1", "int4"),
    ("e5m2", "e5m2ftz"),
    ("e3m2keep", "e2m3"),
    ("bf16", "bf16"),
    ("fixed<16,6>", "fixed<40,10>"),
    ("int64", "uint64"),
    ("pot4", "int8"),
    ("apot2x2", "2hot4"),
    ("nf4", "e4m3fn"),
)
ACCUMULATORS = (
    "int20 wrap chunk 4",
    "int12",
    "fixed<10,6> floor",
    "e5m10",
    "e8m23",
    "e4m3 chunk 3",
    "fixed<16,8> pairwise",
    "e5m10 pairwise",
    "e5m10 pairwise chunk 2",
)


def datapath(left: str, right: str, accumulator: str = "exact", product: Product = Product.EXACT) -> Datapath:
    return Datapath(
        activation=Quantiser(format=parse(left)),
        second=Quantiser(format=parse(right)),
        arithmetic=Arithmetic(product=product, accumulator=parse_accumulator(accumulator)),
    )


def finite_codes(number_format: Format, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random codes that mean numbers: those of random values."""
    random = np.random.default_rng(seed)
    largest = min(float(number_format.largest_integer) * 2.0**number_format.unit_exponent, 1e6)
    values = random.normal(size=shape) * largest ** random.uniform(-0.5, 1, shape)
    if number_format.smallest_integer >= 0:
        values = np.abs(values)
    return encode(values, number_format)


def exact_sums(left: np.ndarray, right: np.ndarray, formats: tuple[Format, Format]) -> list[list[Fraction]]:
    """Sums of products of the decoded values, in rationals."""
    rows = [[Fraction(value) for value in row] for row in decode(left, formats[0], dtype="float64").tolist()]
    columns = [[Fraction(value) for value in row] for row in decode(right, formats[1], dtype="float64").T.tolist()]
    return [[sum(map(Fraction.__mul__, row, column), Fraction(0)) for column in columns] for row in rows]


@pytest.mark.parametrize(("left_name", "right_name"), PAIRS)
def test_exact_sums_are_those_of_rationals(left_name: str, right_name: str) -> None:
    path = datapath(left_name, right_name)
    formats = path.activation.format, path.second.format
    left, right = finite_codes(formats[0], (3, 9)), finite_codes(formats[1], (9, 4), seed=1)
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    for twin in TWINS:
        sums = dot(left, right, path, twin=twin)
        if "nf4" in (left_name, right_name):  # hardware mode has integer entries in place of the levels
            integers = np.array(parse("nf4").integers)[left]
            values = [
                [Fraction(value) for value in row] for row in decode(right, formats[1], dtype="float64").T.tolist()
            ]
            expected = [[sum(int(a) * b for a, b in zip(row, col, strict=True)) for col in values] for row in integers]
        else:
            expected = exact_sums(left, right, formats)
        assert [[Fraction(int(one)) * Fraction(2) ** unit for one in row] for row in sums.tolist()] == expected


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("product", list(Product))
def test_twins_agree_on_every_arithmetic(product: Product, accumulator: str) -> None:
    pairs = PAIRS if product is Product.EXACT else (("e4m3fn", "e4m3fn"), ("e4m3fn", "e5m2"), ("e2m3", "e4m3ftz"))
    for left_name, right_name in pairs:
        path = datapath(left_name, right_name, accumulator, product)
        left = finite_codes(path.activation.format, (3, 7))
        right = finite_codes(path.second.format, (7, 5), seed=1)
        first, second = (dot(left, right, path, twin=twin) for twin in TWINS)
        assert first.dtype == second.dtype
        assert first.tolist() == second.tolist()
        # The tensors' twin refuses sums that float64 may not hold: it is asked for the narrower formats.
        if max(one.format.largest_integer for one in (path.activation, path.second)) < 1 << 20:
            tensors = dot(torch.from_numpy(left), torch.from_numpy(right), path, twin=Twin.TENSORS)
            assert isinstance(tensors, torch.Tensor)
            assert tensors.tolist() == first.tolist()


ACCUMULATORS_OF_APYTYPES = {
    "e5m10ieee": ("e4m3fn", 5, 10),
    "e6m7ieee": ("e4m3fn", 6, 7),
    "e8m23ieee": ("e4m3fn", 8, 23),
}
ACCUMULATORS_OF_APYTYPES |= {"e5m3ieee": ("e2m1", 5, 3), "e6m12ieee": ("bf16", 6, 12)}


@pytest.mark.parametrize("accumulator", ACCUMULATORS_OF_APYTYPES)
def test_float_accumulators_against_apytypes(accumulator: str) -> None:
    """APyTypes rounds each product to the accumulator, then adds in k order: the same where products fit it."""
    name, exponent_bits, mantissa_bits = ACCUMULATORS_OF_APYTYPES[accumulator]
    number_format = parse(name)
    if name == "bf16":  # of six significant bits, so that products have twelve
        random = np.random.default_rng(5)
        left, right = (
            encode(np.ldexp(random.integers(-63, 64, shape), -4), number_format) for shape in ((16, 24), (24, 16))
        )
    else:
        left, right = finite_codes(number_format, (16, 24), seed=2), finite_codes(number_format, (24, 16), seed=3)
    path = datapath(name, name, accumulator)
    operands = [
        APyFloatArray.from_float(decode(codes, number_format).astype(float).tolist(), exponent_bits, mantissa_bits)
        for codes in (left, right)
    ]
    with APyFloatAccumulatorContext(
        exp_bits=exponent_bits, man_bits=mantissa_bits, quantization=QuantizationMode.TIES_EVEN
    ):
        foreign = (operands[0] @ operands[1]).to_numpy()
    ours = dot(left, right, path)
    assert np.isfinite(foreign).mean() > 0.5
    assert np.array_equal(ours[np.isfinite(foreign)], foreign[np.isfinite(foreign)])


def test_exact_fixed_point_against_apytypes() -> None:
    path = datapath("fixed<12,4>", "fixed<10,2>")
    left, right = finite_codes(path.activation.format, (8, 30)), finite_codes(path.second.format, (30, 8), seed=1)
    foreign = APyFixedArray(left.tolist(), int_bits=4, frac_bits=8) @ APyFixedArray(
        right.tolist(), int_bits=2, frac_bits=8
    )
    assert np.array_equal(np.ldexp(dot(left, right, path).astype(float), -16), foreign.to_numpy())
    assert accumulator_unit_exponent(path) == -16


@pytest.mark.parametrize(("product", "kind"), [(Product.LMUL_FORMULA, LMUL_FORMULA), (Product.LMUL_FIELD, LMUL_FIELD)])
def test_every_pair_of_8_bit_operands_under_l_mul(product: Product, kind: int) -> None:
    path = datapath("e4m3fn", "e4m3fn", product=product)
    codes = np.array([code for code in range(256) if code & 0x7F != 0x7F], dtype=np.uint8)
    products = dot(codes.reshape(-1, 1), codes.reshape(1, -1), path)
    by_factors = dot(codes.reshape(-1, 1), codes.reshape(1, -1), path, twin=Twin.DEFINITION)
    assert np.array_equal(products, by_factors)
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    parts = [parts_of_code(int(code), FLOATS["e4m3fn"]) for code in codes]
    fields = LMulFields(kind, 3, 3)
    expected = [[multiply(first, second, fields) for second in parts] for first in parts]
    assert [[Fraction(one) * Fraction(2) ** unit for one in row] for row in products.tolist()] == expected


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.sampled_from(["exact", *ACCUMULATORS]))
def test_any_shape_also_empty_ones(rows: int, depth: int, columns: int, accumulator: str) -> None:
    path = datapath("int8", "e4m3fn", accumulator)
    left, right = finite_codes(parse("int8"), (rows, depth)), finite_codes(parse("e4m3fn"), (depth, columns))
    result = dot(left, right, path)
    assert result.shape == (rows, columns)
    assert result.tolist() == dot(left, right, path, twin=Twin.DEFINITION).tolist()
    if depth == 0:
        assert not result.any()


@pytest.mark.parametrize("accumulator", ["exact", "int20 wrap", "e5m10", "e5m10 pairwise"])
def test_leading_axes_initial_values_and_tensors(accumulator: str) -> None:
    path = datapath("int8", "int8", accumulator)
    left, right = finite_codes(parse("int8"), (2, 1, 3, 6)), finite_codes(parse("int8"), (4, 6, 5))
    bias = np.arange(5) - 2
    result = dot(left, right, path, initial=bias)
    assert result.shape == (2, 4, 3, 5)
    for batch in np.ndindex(2, 4):
        one = dot(left[batch[0], 0], right[batch[1]], path, initial=bias)
        assert result[batch].tolist() == one.tolist()
    assert (dot(left, right, path, initial=bias) != dot(left, right, path)).any()
    tensors = dot(torch.from_numpy(left), torch.from_numpy(right), path, initial=torch.from_numpy(bias))
    assert isinstance(tensors, torch.Tensor)
    assert tensors.tolist() == result.tolist()
    assert dot(left, right[0], path, initial=bias).tolist() == result[:, 0:1].tolist()


def test_zero_points_are_taken_off() -> None:
    activation = Quantiser(format=parse("uint8"), scaling=Scaling(zero_point=128))
    path = Datapath(activation=activation, second=Quantiser(format=parse("int8")))
    assert dot(np.array([[128, 130]], np.uint8), np.array([[7], [255]], np.uint8), path).tolist() == [[-2]]


@pytest.mark.parametrize("name", ["codebook3", "bcq2"])
def test_learned_tables_multiply_as_their_integers(name: str) -> None:
    weights = np.random.default_rng(0).normal(size=(6, 4))
    table = fit_table(weights, parse(name), axis=1)
    codes = encode(weights, parse(name), table=table)
    left = finite_codes(parse("int8"), (3, 6))
    path = datapath("int8", name)
    integers = np.stack([table.integers[column, codes[:, column]] for column in range(4)], axis=1)
    assert dot(left, codes, path, right_table=table).tolist() == (left.view(np.int8).astype(int) @ integers).tolist()
    with pytest.raises(ValueError, match=f"{name} needs the table it was encoded with, from fit_table"):
        dot(left, codes, path)
    with pytest.raises(ValueError, match="int8 has no table to be given"):
        dot(left, codes, path, left_table=table, right_table=table)


def test_sums_beyond_62_bits_are_python_integers_or_refused() -> None:
    path = datapath("int64", "int8")
    left, right = np.array([[2**63 - 1]], dtype=np.uint64), np.array([[127]], dtype=np.uint8)
    assert dot(left, right, path).tolist() == [[(2**63 - 1) * 127]]
    message = (
        "sums of 1 products of int64 and int8 need 71 bits, and a tensor has int64 (even one product may need more)"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        dot(torch.from_numpy(left), torch.from_numpy(right), path)
    wide = datapath("int32", "int32")
    ends = np.full((1, 4), 1 << 31, dtype=np.uint32)
    with pytest.raises(ValueError, match=re.escape("need 66 bits, and a tensor has int64 (even one product may need")):
        dot(torch.from_numpy(ends), torch.from_numpy(ends.T.copy()), wide)
    narrow = datapath("int30", "int30")
    ends = np.full((1, 32), 1 << 29, dtype=np.uint32)
    with pytest.raises(
        ValueError, match=re.escape("a tensor has int64 (up to k = 15 they are sure to fit): use NumPy")
    ):
        dot(torch.from_numpy(ends), torch.from_numpy(ends.T.copy()), narrow)


def test_another_unit_on_request() -> None:
    path = datapath("fixed<8,4>", "fixed<8,4>")
    left, right = np.array([[16]], np.uint8), np.array([[32]], np.uint8)
    assert dot(left, right, path).tolist() == [[512]]
    assert dot(left, right, path, unit_exponent=0).tolist() == [[2]]
    assert dot(left, right, path, unit_exponent=-10).tolist() == [[2048]]
    with pytest.raises(
        ValueError, match=re.escape("sums are multiples of a unit 2**9 times smaller than the unit asked")
    ):
        dot(np.array([[16, 1]], np.uint8), np.array([[32], [1]], np.uint8), path, unit_exponent=1)
    with pytest.raises(ValueError, match="unit_exponent 0 is for exact accumulators, got int20"):
        dot(left, right, datapath("int8", "int8", "int20"), unit_exponent=0)


@pytest.mark.parametrize(
    ("left", "right", "path", "error", "message"),
    [
        (
            np.ones((2, 3), int),
            np.ones((4, 2), int),
            datapath("int8", "int8"),
            ValueError,
            "shapes (2, 3) and (4, 2) have n",
        ),
        (
            np.ones(3, int),
            np.ones((3, 2), int),
            datapath("int8", "int8"),
            ValueError,
            "shapes (3,) and (3, 2) have no matr",
        ),
        (
            np.ones((2, 1, 1), int),
            np.ones((3, 1, 1), int),
            datapath("int8", "int8"),
            ValueError,
            "leading axes that broad",
        ),
        (
            np.full((1, 1), 16),
            np.ones((1, 1), int),
            datapath("int4", "int8"),
            ValueError,
            "codes of int4 must lie in [0, 15",
        ),
        (
            np.full((1, 1), -1),
            np.ones((1, 1), int),
            datapath("e2m1", "int8"),
            ValueError,
            "codes of e2m1 must lie in [0, 15",
        ),
        (
            np.ones((1, 1)),
            np.ones((1, 1), int),
            datapath("int4", "int8"),
            TypeError,
            "codes of int4 must be integers, got fl",
        ),
        (
            [[1]],
            np.ones((1, 1), int),
            datapath("int4", "int8"),
            TypeError,
            "left codes must be a NumPy array or a torch te",
        ),
        (
            np.array([[1, 0x7F]]),
            np.ones((2, 1), int),
            datapath("e4m3fn", "int8"),
            ValueError,
            "the first, 0x7f, at (0, 1): a",
        ),
        (
            np.array([[7]]),
            np.ones((1, 1), int),
            datapath("khot<0,2;1>", "int8"),
            ValueError,
            "1 of 1 codes of khot<0,2;1> m",
        ),
        (
            np.ones((1, 1), int),
            np.ones((1, 1), int),
            datapath("int8", "e4m3fn", product=Product.LMUL_FIELD),
            ValueError,
            "product l-mul-field adds the fields of two minifloats with gradual or flushed underflow, got int8: use",
        ),
        (
            np.ones((1, 1), int),
            np.ones((1, 1), int),
            datapath("e4m3fn", "e4m3keep", product=Product.LMUL_FORMULA),
            ValueError,
            "got e4m3keep: use Product.EXACT, or minifloats such as e4m3fn",
        ),
    ],
)
def test_bad_operands(left: Any, right: Any, path: Datapath, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        dot(left, right, path)
