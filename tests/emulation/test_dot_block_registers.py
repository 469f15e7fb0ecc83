"""`dot` of blocks in every accumulator: fixed point and minifloats, all orders, and aligned, against rationals."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emulation import Quantiser, decode, dot, encode, parse
from emulation.datapaths import Arithmetic, Datapath, NarrowAccumulator, Order, parse_accumulator
from emulation.dots import accumulator_unit_exponent
from emulation.format_fields import scalar_fields
from emulation.formats import BlockScaled
from kernels.definitions.dots import cast_to_fields
from kernels.fields import AccumulatorFields
from kernels.twins import Twin

if TYPE_CHECKING:
    from collections.abc import Sequence

PAIRS = (
    ("mxfp4/8", "mxfp4/8"),
    ("mx-e4m3fn/4", "mx-e5m2/4"),
    ("bfp8/8", "mxint8/8"),
    ("bfp4e5/3", "bfp4e5/3"),
    ("nvfp4/8", "nvfp4/8"),
    ("mxfp4/8", "int8"),
    ("e4m3fn", "bfp6/4"),
    ("dfp8", "mx-e3m2/4"),
    ("dfp8", "dfp8"),
)
ACCUMULATORS = (
    *("int12", "fixed<24,12> floor", "fixed<16,8> half-up wrap", "fixed<20,14> toward-zero chunk 2", "int9 wrap"),
    *("fixed<30,20> ceiling pairwise", "fixed<12,9> half-away wrap chunk 3", "fixed<52,44>"),
    *("e5m10", "e8m23 pairwise", "bf16 chunk 2", "e4m3fn toward-zero", "e6m5 pairwise chunk 2", "e5m2 half-away"),
)


def datapath(left: str, right: str, accumulator: str) -> Datapath:
    return Datapath(
        activation=Quantiser(format=parse(left)),
        second=Quantiser(format=parse(right)),
        arithmetic=Arithmetic(accumulator=parse_accumulator(accumulator)),
    )


def operand(name: str, shape: tuple[int, ...], axis: int, seed: int) -> tuple[Any, np.ndarray]:
    """Codes, and the values they mean."""
    random = np.random.default_rng(seed)
    values = random.normal(size=shape) * 2.0 ** random.integers(-5, 5, shape)
    number_format = parse(name)
    options = {"axis": axis} if isinstance(number_format, BlockScaled) else {}
    codes = encode(values, number_format, **options)
    return codes, decode(codes, number_format, dtype="float64")


def block_size(*names: str) -> int:
    formats = map(parse, names)
    return max((one.block_size for one in formats if isinstance(one, BlockScaled) and one.block_size), default=1)


def by_rationals(
    left: Sequence[float], right: Sequence[float], accumulator: NarrowAccumulator, size: int, initial: Fraction
) -> Fraction:
    """Blocks of values: their exact sums, ``chunk`` of them together, then a cast for every sum."""
    fields = AccumulatorFields(
        scalar_fields(accumulator.format), accumulator.rounding.value, accumulator.overflow.value
    )

    def cast(value: Fraction) -> Fraction:
        return Fraction(cast_to_fields(value, fields))

    step = size * accumulator.chunk
    terms = [
        sum(
            (Fraction(a) * Fraction(b) for a, b in zip(left[k : k + step], right[k : k + step], strict=True)),
            Fraction(),
        )
        for k in range(0, len(left), step)
    ]
    if accumulator.order is Order.ASCENDING:
        total = initial
        for term in terms:
            total = cast(total + term)
        return total
    while len(terms) > 1:
        pairs = [cast(terms[i] + terms[i + 1]) for i in range(0, len(terms) - 1, 2)]
        terms = pairs + ([terms[-1]] if len(terms) % 2 else [])
    return cast(initial + terms[0])


def check(path: Datapath, sides: Any, *, size: int, initial: np.ndarray | None, twin: Twin | None) -> int:
    """Compares every sum; returns how many the accumulator has changed."""
    (left, left_values), (right, right_values) = sides
    accumulator = path.arithmetic.accumulator
    assert isinstance(accumulator, NarrowAccumulator)
    found = dot(left, right, path, initial=initial, twin=twin)
    exponent = accumulator_unit_exponent(path)
    unit = Fraction(1) if exponent is None else Fraction(2) ** exponent
    assert found.dtype == (np.float64 if exponent is None else np.int64)
    changed = 0
    for row, column in np.ndindex(*found.shape):
        first = Fraction(0) if initial is None else Fraction(initial.item(column)) * unit
        values = left_values[row].tolist(), right_values[:, column].tolist()
        expected = by_rationals(*values, accumulator, size, first)
        assert Fraction(found.item(row, column)) * unit == expected
        changed += expected != first + sum(Fraction(a) * Fraction(b) for a, b in zip(*values, strict=True))
    return changed


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_every_accumulator_of_every_pair(accumulator: str) -> None:
    changed = 0
    for names in PAIRS:
        path, size = datapath(*names, accumulator), block_size(*names)
        for depth in (1, 8, 19):
            sides = operand(names[0], (3, depth), -1, depth), operand(names[1], (depth, 4), -2, 1 + depth)
            exponent = accumulator_unit_exponent(path)
            initial = np.array([1.0, -0.5, 0.0, 2.0] if exponent is None else [1, -2, 0, 3])
            for start in (None, initial):
                changed += check(path, sides, size=size, initial=start, twin=None)
            changed += check(path, sides, size=size, initial=initial, twin=Twin.DEFINITION)
    assert changed > (3 if "e8m23" in accumulator else 30), "hardly any sum was rounded, saturated or wrapped"


@given(
    st.sampled_from(PAIRS), st.sampled_from(ACCUMULATORS), st.integers(1, 40), st.integers(0, 1 << 20), st.booleans()
)
def test_any_operands(names: tuple[str, str], accumulator: str, depth: int, seed: int, tensors: bool) -> None:  # noqa: FBT001 - drawn
    path = datapath(*names, accumulator)
    sides = operand(names[0], (2, depth), -1, seed), operand(names[1], (depth, 2), -2, seed + 1)
    size = block_size(*names)
    check(path, sides, size=size, initial=None, twin=None)
    try:
        check(path, sides, size=size, initial=None, twin=Twin.TENSORS if tensors else None)
    except ValueError as error:
        assert tensors
        assert re.search("use kernels.compiled.block_registers", str(error))  # noqa: PT017 - it may also compute


@pytest.mark.parametrize("twin", [None, Twin.TENSORS, Twin.DEFINITION])
@pytest.mark.parametrize("accumulator", ["e5m10", "fixed<24,12> floor", "aligned20"])
def test_leading_axes_and_tensors(accumulator: str, twin: Twin | None) -> None:
    path = datapath("mxfp4/8", "int8", accumulator)
    left, _ = operand("mxfp4/8", (2, 3, 20), -1, 0)
    right, _ = operand("int8", (20, 5), -2, 1)
    unit = {"unit_exponent": -6} if accumulator == "aligned20" else {}
    whole = dot(left, right, path, **unit)
    assert whole.shape == (2, 3, 5)
    tensor = dataclasses.replace(left, elements=torch.from_numpy(left.elements), scales=torch.from_numpy(left.scales))
    found = dot(tensor, torch.from_numpy(right), path, twin=twin, **unit)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), whole)
    for index in range(2):
        one = dataclasses.replace(left, elements=left.elements[index], scales=left.scales[index])
        np.testing.assert_array_equal(dot(one, right, path, twin=twin, **unit), whole[index])


@pytest.mark.parametrize("names", [("mxfp4/8", "mxfp4/8"), ("nvfp4/8", "nvfp4/8"), ("int8", "bfp6/4")])
@pytest.mark.parametrize(("width", "unit"), [(8, 0), (12, -5), (40, -20)])
def test_aligned_sums_are_floored_block_by_block(names: tuple[str, str], width: int, unit: int) -> None:
    path, size = datapath(*names, f"aligned{width}"), block_size(*names)
    left, left_values = operand(names[0], (6, 27), -1, width)
    right, right_values = operand(names[1], (27, 6), -2, width + 1)
    initial, limit = np.arange(6) - 3, 1 << (width - 1)
    found = dot(left, right, path, initial=initial, unit_exponent=unit)
    saturated = 0
    for row, column in np.ndindex(6, 6):
        total = int(initial[column])
        for start in range(0, 27, size):
            inside = slice(start, start + size)
            pairs = zip(left_values[row, inside].tolist(), right_values[inside, column].tolist(), strict=True)
            total += sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0)) // Fraction(2) ** unit
        saturated += not -limit <= total < limit
        assert found[row, column] == min(max(total, -limit), limit - 1)
    assert saturated or width != 8


def test_one_scale_for_the_tensor_is_no_block() -> None:
    """Every product of DFP operands is a term, as it is of the integers of their elements."""
    left, right = operand("dfp8", (4, 9), -1, 0)[0], operand("dfp8", (9, 3), -2, 1)[0]
    shared = sum(int(one.scales.reshape(-1)[0]) - 127 for one in (left, right))
    path = datapath("dfp8", "dfp8", "e4m3fn chunk 2")
    plain = [one.elements.astype(np.int64) for one in (left, right)]
    plain = [np.where(one > 127, 128 - one, one) for one in plain]  # sign and magnitude
    number_format = path.arithmetic.accumulator.format  # type: ignore[union-attr]
    for row, column in np.ndindex(4, 3):
        values = [plain[0][row] / 64, plain[1][:, column] / 64 * 2.0**shared]
        expected = by_rationals(*(one.tolist() for one in values), path.arithmetic.accumulator, 1, Fraction(0))  # type: ignore[arg-type]
        assert Fraction(dot(left, right, path).item(row, column)) == expected
    assert str(number_format) == "e4m3fn"


@pytest.mark.parametrize(
    ("names", "accumulator", "options", "message"),
    [
        (("mxfp4/4", "mxfp4/4"), "int20", {"unit_exponent": -3}, "unit_exponent -3 is for exact and aligned accumul"),
        (("dfp8", "dfp8"), "aligned20", {"unit_exponent": 0}, "dfp8 and dfp8 have one scale for the whole tensor"),
        (("int8", "int8"), "aligned20", {"unit_exponent": 0}, "aligns blocks, and neither int8 nor int8 has any"),
        (("mxfp4/4", "mxfp4/4"), "int4", {"initial": np.array([9])}, "1 of 1 initial values, such as 9, are no number"),
        (
            ("mxfp4/4", "mxfp4/4"),
            "e5m2",
            {"initial": np.zeros((3, 1))},
            "initial values of shape (3, 1) do not broadcast",
        ),
        (("mxfp4/4", "mxfp4/4"), "e4m3fn", {"initial": np.array([0.3])}, "1 of 1 initial values, such as 0.3"),
    ],
)
def test_what_is_refused(names: tuple[str, str], accumulator: str, options: dict[str, Any], message: str) -> None:
    left, right = operand(names[0], (4, 4), -1, 0)[0], operand(names[1], (4, 4), -2, 1)[0]
    with pytest.raises(ValueError, match=re.escape(message)):
        dot(left, right, datapath(*names, accumulator), **options)


def test_aligned_accumulators_have_a_unit_from_outside() -> None:
    with pytest.raises(ValueError, match="aligned20 has no unit of its own: dot takes its exponent as unit_exponent"):
        accumulator_unit_exponent(datapath("mxfp4/4", "mxfp4/4", "aligned20"))
    with pytest.raises(ValueError, match="an aligned accumulator has 2 to 62 bits, got 63: use aligned2 to aligned62"):
        parse_accumulator("aligned63")
    assert str(parse_accumulator("aligned24")) == "aligned24"
