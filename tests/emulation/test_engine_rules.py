"""How engines multiply and sum: L-Mul, narrow accumulators and blocks against definitions by another hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.block_sums import Rows, block_sums
from emulation.catalogue import parse
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
from emulation.dots import dot as public_dot
from emulation.engine_execution import engine_sums
from emulation.engine_reference import Operand, dot
from emulation.engines import BlockSum, Engine, Register, lower_engine, scalar_engine
from emulation.execution import execute
from emulation.format_fields import float_fields, scalar_fields
from emulation.formats import FixedPoint, MiniFloat
from emulation.grids import grid_of
from emulation.hardware import HardwareLayer
from emulation.lmul import factors, lmul_product
from emulation.network import Layer, Linear
from emulation.quantisers import Quantiser
from emulation.rules import Overflow, Rounding
from kernels.definitions import dots as dot_definitions
from kernels.definitions import lmul as lmul_definitions
from kernels.fields import (
    LMUL_FIELD,
    LMUL_FORMULA,
    ORDER_CHUNKS_EXACT,
    ORDER_PAIRWISE,
    AccumulatorFields,
    LMulFields,
)

if TYPE_CHECKING:
    from emulation.formats import Format

KINDS = {Product.LMUL_FORMULA: LMUL_FORMULA, Product.LMUL_FIELD: LMUL_FIELD}


def minifloat(name: str) -> MiniFloat:
    number_format = parse(name)
    assert isinstance(number_format, MiniFloat)
    return number_format


def finite_codes(number_format: MiniFloat) -> list[int]:
    codes = []
    for code in range(1 << number_format.width):
        try:
            integer_of(code, number_format)
        except ValueError:
            continue
        codes.append(code)
    return codes


@pytest.mark.parametrize("product", KINDS)
@pytest.mark.parametrize(
    ("left", "right"),
    [("e4m3fn", "e4m3fn"), ("e5m2", "e3m4"), ("e2m1", "e4m3fnuz"), ("e3m0", "e2m3"), ("e4m3b11", "e3m2")],
)
def test_every_pair_of_l_mul_operands(left: str, right: str, product: Product) -> None:
    """All codes by all codes: our integers, in their unit, against the kernels' definition on codes."""
    formats = minifloat(left), minifloat(right)
    bits = formats[0].mantissa_bits, formats[1].mantissa_bits
    unit = Fraction(2) ** (formats[0].unit_exponent + formats[1].unit_exponent + min(bits))
    fields = LMulFields(KINDS[product], *bits)
    codes = [finite_codes(one) for one in formats]
    parts = [
        [lmul_definitions.parts_of_code(code, float_fields(one)) for code in own]
        for own, one in zip(codes, formats, strict=True)
    ]
    integers = [[integer_of(code, one) for code in own] for own, one in zip(codes, formats, strict=True)]
    pairs = factors(np.array(integers[0], np.int64)[:, None], np.array(integers[1], np.int64)[None], bits, product)
    fast = sum((first @ second for first, second in pairs), np.zeros((1, 1), np.int64))
    wrong = 0
    for row, column in itertools.product(range(len(codes[0])), range(len(codes[1]))):
        ours = lmul_product(integers[0][row], integers[1][column], bits, product)
        theirs = lmul_definitions.multiply(parts[0][row], parts[1][column], fields)
        wrong += ours * unit != theirs or int(fast[row, column]) != ours
    assert wrong == 0
    assert len(np.unique(fast)) > 10


ACCUMULATORS = (
    *("int12", "int10 wrap", "int14 chunk 3", "int9 wrap chunk 4", "int12 pairwise"),
    *("fixed<14,9> floor", "fixed<12,6> half-away chunk 2", "fixed<16,9> ceiling wrap"),
    "fixed<20,8> toward-zero chunk 3",
    *("fixed<12,9> half-up pairwise", "fixed<12,10> half-down", "fixed<13,10> half-toward-zero chunk 2"),
    *("e5m10", "e5m2 chunk 4", "e6m5 pairwise", "e3m2", "e4m3fn toward-zero"),
)


def definition(accumulator: NarrowAccumulator, products: list[Fraction], bias: Fraction) -> Fraction:
    """The content of the register by the kernels' definition, as a value."""
    chunked = accumulator.order is Order.ASCENDING
    fields = AccumulatorFields(
        grid=scalar_fields(accumulator.format),
        rounding=accumulator.rounding.value,
        overflow=accumulator.overflow.value,
        order=ORDER_CHUNKS_EXACT if chunked else ORDER_PAIRWISE,
        chunk=accumulator.chunk if chunked else 1,
    )
    return Fraction(dot_definitions.accumulate(products, fields, initial=bias))


OPERANDS = (("int6", "fixed<6,3>"), ("e3m2", "int5"), ("e4m3fn", "e2m1"))


def drawn_integers(random: np.random.Generator, number_format: Format, rows: int) -> np.ndarray:
    """Rows of seven integers of a format."""
    if isinstance(number_format, MiniFloat):
        codes = random.choice(finite_codes(number_format), 7 * rows)
    else:
        codes = random.integers(0, 1 << number_format.width, 7 * rows)
    return np.array([integer_of(int(code), number_format) for code in codes]).reshape(rows, 7)


@pytest.mark.parametrize("text", ACCUMULATORS)
def test_registers_equal_the_definition(text: str) -> None:
    accumulator = parse_accumulator(text)
    assert isinstance(accumulator, NarrowAccumulator)
    step = Fraction(2) ** accumulator.format.unit_exponent
    layer = Layer(name="fc", operation=Linear(), inputs=("x",), shape=(5,))
    random = np.random.default_rng(len(text))
    cast = 0
    for formats in ((parse(left), parse(right)) for left, right in OPERANDS):
        engine = scalar_engine(*formats, Arithmetic(accumulator=accumulator))
        unit = Fraction(2) ** (formats[0].unit_exponent + formats[1].unit_exponent)
        activations, weights = drawn_integers(random, formats[0], 40), drawn_integers(random, formats[1], 5)
        biases = tuple(int(b) for b in random.integers(-3, 4, 5))
        hardware_layer = HardwareLayer(layer=layer, weight=weights, bias=biases, output=None)  # type: ignore[arg-type]
        fast = engine_sums(hardware_layer, engine, [activations])
        for row, column in itertools.product(range(40), range(5)):
            pairs = list(zip(activations[row].tolist(), weights[column].tolist(), strict=True))
            expected = definition(accumulator, [a * b * unit for a, b in pairs], biases[column] * step)
            assert int(fast[row, column]) * step == expected
            operands = [Operand(taps=[[pair[side] for pair in pairs]]) for side in (0, 1)]
            assert dot(engine, *operands, biases[column]) == int(fast[row, column])
            cast += expected != sum(a * b * unit for a, b in pairs) + biases[column] * step
    assert cast > 20, "hardly any sum was rounded, saturated or wrapped"


@given(st.data())
def test_block_sums_equal_the_definition(data: st.DataObject) -> None:
    size, depth = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    integers, exponents = st.integers(-127, 127), st.integers(-30, 30)
    count = -(-depth // size)
    left, right = (data.draw(st.lists(integers, min_size=depth, max_size=depth)) for _ in range(2))
    scales = [data.draw(st.lists(exponents, min_size=count, max_size=count)) for _ in range(2)]
    bias, shift, bits = data.draw(st.integers(-99, 99)), data.draw(st.integers(-20, 30)), data.draw(st.integers(4, 40))
    engine = Engine(block_sum=BlockSum(shift=shift, bits=bits))
    operands = [
        Operand(taps=[values], scales=[own], size=size) for values, own in zip((left, right), scales, strict=True)
    ]
    expected = dot_definitions.block_dot_aligned(
        left, right, scales[0], scales[1], block=size, unit=shift, width=bits, initial=bias
    )
    assert dot(engine, *operands, bias) == expected


@pytest.mark.parametrize("spread", [4, 40])
@pytest.mark.parametrize("units", [(None, None), (-9, None), (-9, -9)])
def test_block_sums_of_arrays(units: tuple[int | None, int | None], spread: int) -> None:
    """Few exponents go through the compiled kernel, many through Python integers; minifloat scales are integers."""
    random, size = np.random.default_rng(spread), 3
    rows = []
    for count, unit in zip((6, 5), units, strict=True):
        elements = random.integers(-127, 128, (count, 2, 7))
        scales = (
            random.integers(-spread, spread, (count, 2, 3)) if unit is None else random.integers(1, 448, (count, 2, 3))
        )
        rows.append(Rows(elements, scales, size, unit))
    bias = random.integers(-99, 99, 5)
    rule = BlockSum(shift=-3, bits=32)
    fast = block_sums(*rows, rule, bias)
    operands = [
        [
            Operand(taps=elements.tolist(), scales=scales.tolist(), size=size, unit=side.unit)
            for elements, scales in zip(side.elements, side.scales, strict=True)
        ]
        for side in rows
    ]
    engine = Engine(block_sum=rule)
    expected = [[dot(engine, a, b, int(c)) for b, c in zip(operands[1], bias, strict=True)] for a in operands[0]]
    assert fast.tolist() == expected
    if spread > 4 and units == (None, None):
        assert any(value == rule.largest for row in expected for value in row), "no sum saturates"


BLOCK_REGISTERS = (
    *("fixed<20,12> floor", "fixed<14,12> wrap half-away", "fixed<16,10> chunk 3", "int9 pairwise"),
    *("e5m10", "e4m3fn chunk 2 pairwise", "e8m7 toward-zero", "e8m23"),
)


@pytest.mark.parametrize("text", BLOCK_REGISTERS)
@pytest.mark.parametrize("units", [(None, None), (-9, None), (-9, -9)])
def test_registers_of_blocks(units: tuple[int | None, int | None], text: str) -> None:
    """Fast, reference, and the kernels' definition, with products in units of 2**-6."""
    accumulator = parse_accumulator(text)
    assert isinstance(accumulator, NarrowAccumulator)
    random, size, unit = np.random.default_rng(len(text)), 3, -6
    rows = []
    for count, own in zip((6, 5), units, strict=True):
        scales = random.integers(-5, 6, (count, 2, 3)) if own is None else random.integers(1, 448, (count, 2, 3))
        rows.append(Rows(random.integers(-15, 16, (count, 2, 7)), scales, size, own))
    grid = grid_of(accumulator.format)
    register = Register(
        format=accumulator.format,
        grid=grid,
        product_shift=accumulator.format.unit_exponent - unit,
        rounding=accumulator.rounding,
        overflow=accumulator.overflow,
        chunk=accumulator.chunk,
        order=accumulator.order,
    )
    engine = Engine(block_sum=BlockSum(shift=register.product_shift, bits=accumulator.format.width, register=register))
    bias, step = random.integers(-3, 4, 5), Fraction(2) ** accumulator.format.unit_exponent
    assert engine.block_sum is not None
    fast = block_sums(*rows, engine.block_sum, bias)
    operands = [
        [
            Operand(taps=elements.tolist(), scales=scales.tolist(), size=size, unit=side.unit)
            for elements, scales in zip(side.elements, side.scales, strict=True)
        ]
        for side in rows
    ]
    rounded = 0
    for (row, a), (column, b) in itertools.product(enumerate(operands[0]), enumerate(operands[1])):
        assert dot(engine, a, b, int(bias[column])) == int(fast[row, column])
        products = []
        for tap, (first, second) in enumerate(zip(a.taps, b.taps, strict=True)):
            for block in range(3):
                pairs = list(zip(first[3 * block : 3 * block + 3], second[3 * block : 3 * block + 3], strict=True))
                exact = sum(x * y for x, y in pairs) * a.scale(tap, block) * b.scale(tap, block)
                products.append(exact * Fraction(2) ** unit)
        terms = [sum(products[k : k + register.chunk]) for k in range(0, 6, register.chunk)]
        expected = definition(replace(accumulator, chunk=1), terms, int(bias[column]) * step)  # type: ignore[arg-type]
        assert int(fast[row, column]) * step == expected
        rounded += expected != sum(products) + int(bias[column]) * step
    assert rounded > 2 or text == "e8m23"


def test_biases_start_the_register_in_its_own_numbers(build: Any) -> None:
    """In fixed<8,6> beside int4 operands a step is a quarter: 0.3 becomes 0.25, 100 saturates, -0.375 goes to even."""
    layer = Layer(
        name="fc",
        operation=Linear(),
        inputs=("x",),
        shape=(3,),
        weight=np.ones((3, 1)),
        bias=np.array([0.3, 100.0, -0.375]),
    )
    int4 = build.scaled(parse("int4"), 1.0)
    lowered = lower_engine(layer, int4, int4, parse_arithmetic("exact / fixed<8,6>"))
    assert lowered.units.tolist() == [0.25]
    assert lowered.bias == (1, 127, -2)
    wrapped = lower_engine(layer, int4, int4, parse_arithmetic("exact / fixed<8,6> wrap"))
    assert wrapped.bias == (1, 400 - 512, -2)


def test_wrapping_needs_no_order(build: Any) -> None:
    graph = build.Graph((6,))
    random = np.random.default_rng(0)
    name = graph.linear("input", random.integers(-8, 8, (3, 6)).astype(np.float64), np.array([3.0, -2.0, 9.0]))
    network = graph.network()
    edges = {"input": build.scaled(parse("int4"), 1.0), name: build.scaled(parse("int16"), 1.0)}
    samples = random.integers(-8, 8, (50, 6)).astype(np.float32)
    sums = samples @ network.layers[1].weight.T + network.layers[1].bias  # type: ignore[union-attr]
    expected = (sums.astype(int) + 64) % 128 - 64
    for chunk in (1, 2, 6, 100):
        accumulator = NarrowAccumulator(format=FixedPoint(width=7), overflow=Overflow.WRAP, chunk=chunk)
        weights = {name: build.scaled(parse("int4"), 1.0)}
        hardware = build.lower(network, edges, weights, engines={name: Arithmetic(accumulator=accumulator)})
        np.testing.assert_array_equal(execute(hardware, samples), expected)
        assert hardware.accumulator_bits(hardware.layers[1]) == 7


@pytest.mark.parametrize("text", [*ACCUMULATORS, "exact", "aligned24", "int20 wrap chunk 4", "bf16 chunk 16 pairwise"])
def test_accumulators_print_as_they_are_read(text: str) -> None:
    accumulator = parse_accumulator(text)
    assert parse_accumulator(str(accumulator)) == accumulator
    arithmetic = Arithmetic(product=Product.LMUL_FIELD, accumulator=accumulator)
    assert parse_arithmetic(str(arithmetic)) == arithmetic


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'an accumulator is "exact", for blocks "alignedN", or starts with a format'),
        ("aligned", "'aligned' is not a format"),
        ("aligned1", "an aligned accumulator has 2 to 62 bits, got 1: use aligned2 to aligned62"),
        ("aligned24 wrap", "'aligned24' is not a format"),
        ("int20 sometimes", "'sometimes' is none of saturate, wrap, half-even"),
        ("int20 chunk four", "'chunk' is none of saturate"),
        ("mxfp4", "must be fixed point or a minifloat"),
        ("e5m10 wrap", "cannot overflow by WRAP: use SATURATE"),
        ("int20 chunk 0", "takes at least 1 product at a time, got chunk 0"),
        ("uint20", "accumulator uint20 must have a sign"),
    ],
)
def test_accumulators_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_accumulator(text)


def test_arithmetics_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match='must be "PRODUCT / ACCUMULATOR" with PRODUCT one of exact, l-mul-formula'):
        parse_arithmetic("l-mul / exact")


def test_roundings_of_registers_are_all_covered() -> None:
    used = {one.rounding for one in map(parse_accumulator, ACCUMULATORS) if isinstance(one, NarrowAccumulator)}
    assert used == set(Rounding)


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("register", ["exact", *ACCUMULATORS, "e5m10 chunk 2 pairwise"])
def test_engines_are_the_public_dot_product(product: Product, register: str) -> None:
    """`emulation.dot` on codes and an engine of a network on integers give one number."""
    arithmetic = Arithmetic(product=product, accumulator=parse_accumulator(register))
    left, right, random = minifloat("e4m3fn"), minifloat("e3m2"), np.random.default_rng(len(register))
    codes = [random.choice(finite_codes(one), (6, 9)) for one in (left, right)]
    integers = [
        np.array([[integer_of(int(code), one) for code in row] for row in own])
        for own, one in zip(codes, (left, right), strict=True)
    ]
    engine = scalar_engine(left, right, arithmetic)
    layer = Layer(name="fc", operation=Linear(), inputs=("x",), shape=(6,))
    ours = engine_sums(HardwareLayer(layer=layer, weight=integers[1], output=None), engine, [integers[0]])  # type: ignore[arg-type]
    quantisers = Quantiser(format=left), Quantiser(format=right)
    datapath = Datapath(activation=quantisers[0], second=quantisers[1], arithmetic=arithmetic)
    exponent = left.unit_exponent + right.unit_exponent + engine.unit_exponent
    is_float = engine.register is not None and engine.register.grid.mantissa_bits >= 0
    given = {"unit_exponent": exponent} if engine.register is None else {}
    theirs = public_dot(codes[0].astype(np.uint8), codes[1].T.astype(np.uint8), datapath, **given)
    np.testing.assert_array_equal(np.ldexp(ours.astype(np.float64), exponent) if is_float else ours, theirs)
