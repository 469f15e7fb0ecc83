"""`dot` on block formats: exact Kulisch sums against rationals and the definition."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from emulation import Quantiser, decode, dot, encode, parse
from emulation.block_casts import BlockCodes
from emulation.datapaths import Arithmetic, Datapath, Product, parse_accumulator
from emulation.dots import accumulator_unit_exponent
from emulation.formats import BlockScaled
from kernels.twins import Twin

PAIRS = (
    ("mxfp4/8", "mxfp4/8"),
    ("mx-e4m3fn/8", "mx-e5m2/8"),
    ("bfp8/8", "mxint8/8"),
    ("bfp4e5/3", "bfp4e5/3"),
    ("nvfp4/8", "nvfp4/8"),
    ("mxfp4/8", "int8"),
    ("e4m3fn", "bfp6/4"),
    ("dfp8", "dfp8"),
    ("mxfp4/8", "bfp8/5"),
)


def datapath(left: str, right: str, arithmetic: Arithmetic | None = None) -> Datapath:
    return Datapath(
        activation=Quantiser(format=parse(left)),
        second=Quantiser(format=parse(right)),
        arithmetic=arithmetic or Arithmetic(),
    )


def operand(name: str, shape: tuple[int, ...], axis: int, seed: int) -> tuple[BlockCodes | np.ndarray, np.ndarray]:
    """Codes, and the values they mean."""
    random = np.random.default_rng(seed)
    values = random.normal(size=shape) * 2.0 ** random.integers(-9, 9, shape)
    number_format = parse(name)
    if isinstance(number_format, BlockScaled):
        codes = encode(values, number_format, axis=axis)
        return codes, decode(codes, number_format, dtype="float64")
    codes = encode(values, number_format)
    return codes, decode(codes, number_format, dtype="float64")


@pytest.mark.parametrize(("left_name", "right_name"), PAIRS)
@pytest.mark.parametrize("depth", [1, 8, 19])
def test_exact_sums_are_those_of_rationals(left_name: str, right_name: str, depth: int) -> None:
    path = datapath(left_name, right_name)
    left, left_values = operand(left_name, (3, depth), -1, 0)
    right, right_values = operand(right_name, (depth, 4), -2, 1)
    unit = accumulator_unit_exponent(path)
    assert unit is not None
    columns = [[Fraction(value) for value in column] for column in right_values.T.tolist()]
    expected = [
        [sum((Fraction(a) * b for a, b in zip(row, column, strict=True)), Fraction(0)) for column in columns]
        for row in left_values.tolist()
    ]
    for twin in (None, Twin.DEFINITION, Twin.COMPILED):
        sums = dot(left, right, path, twin=twin)
        assert [[int(one) * Fraction(2) ** unit for one in row] for row in sums.tolist()] == expected


def test_units_for_tensors() -> None:
    path = datapath("mxfp4/8", "mxfp4/8")
    left, left_values = operand("mxfp4/8", (3, 16), -1, 0)
    right, right_values = operand("mxfp4/8", (16, 4), -2, 1)
    assert isinstance(left, BlockCodes)
    assert isinstance(right, BlockCodes)
    tensors = [
        dataclasses.replace(one, elements=torch.from_numpy(one.elements), scales=torch.from_numpy(one.scales))
        for one in (left, right)
    ]
    found = dot(*tensors, path, unit_exponent=-30)
    assert isinstance(found, torch.Tensor)
    assert np.array_equal(np.ldexp(found.numpy().astype(float), -30), left_values @ right_values)
    with pytest.raises(
        ValueError, match=re.escape("sums in units of 2**-256 need more than 62 bits, and a tensor has int")
    ):
        dot(*tensors, path)
    for twin in (Twin.COMPILED, Twin.DEFINITION):
        with pytest.raises(ValueError, match="choose a unit_exponent that is"):
            dot(left, right, path, unit_exponent=20, twin=twin)


def test_leading_axes_and_initial_values() -> None:
    path = datapath("bfp6/4", "int8")
    left, _ = operand("bfp6/4", (2, 3, 10), -1, 0)
    right, _ = operand("int8", (10, 5), -2, 1)
    assert isinstance(left, BlockCodes)
    bias = np.array([1, 2, 3, 4, 5]) << 140
    whole = dot(left, right, path, unit_exponent=-30)
    for index in range(2):
        one = dataclasses.replace(left, elements=left.elements[index], scales=left.scales[index])
        assert dot(one, right, path, unit_exponent=-30).tolist() == whole[index].tolist()
    started = dot(left, right, path, initial=bias.astype(object))
    assert (started - dot(left, right, path) == bias).all()


@pytest.mark.parametrize(
    ("names", "axes", "arithmetic", "message"),
    [
        (
            ("mxfp4/4", "mxfp4/4"),
            (-1, -1),
            Arithmetic(),
            "blocks of the right codes must run along k, axis -2, got axis",
        ),
        (
            ("mxfp4/4", "mxfp4/4"),
            (0, -2),
            Arithmetic(),
            "blocks of the left codes must run along k, axis -1, got axis 0",
        ),
        (
            ("mxfp4/4", "pot4"),
            (-1, -2),
            Arithmetic(),
            "a block format goes with a block format, fixed point or a minifl",
        ),
        (
            ("mxfp4/4", "mxfp4/2"),
            (-1, -2),
            Arithmetic(accumulator=parse_accumulator("int20")),
            "accumulator int20 adds block by block, and mxfp4/4 and mxfp4/2 have blocks of 2 and 4: use one size",
        ),
        (
            ("mxfp4/4", "e4m3fn"),
            (-1, -2),
            Arithmetic(product=Product.LMUL_FIELD),
            "products of elements are exact within a block, got l-mul-field / exact for mxfp4/4 and e4m3fn",
        ),
        (
            ("mxfp4/4", "mxfp4/4"),
            (-1, -2),
            Arithmetic(accumulator=parse_accumulator("aligned24")),
            "accumulator aligned24 aligns blocks to a unit that calibration chooses for a network: give unit_exponent",
        ),
    ],
)
def test_bad_operands(names: tuple[str, str], axes: tuple[int, int], arithmetic: Arithmetic, message: str) -> None:
    left, _ = operand(names[0], (4, 4), axes[0], 0)
    right, _ = operand(names[1], (4, 4), axes[1], 1)
    with pytest.raises(ValueError, match=re.escape(message)):
        dot(left, right, datapath(*names, arithmetic))


def test_shapes_and_kinds_are_checked() -> None:
    left, _ = operand("mxfp4/4", (2, 5), -1, 0)
    right, _ = operand("mxfp4/4", (6, 2), -2, 1)
    with pytest.raises(ValueError, match=re.escape("codes of shapes (2, 5) and (6, 2) have no matrix product")):
        dot(left, right, datapath("mxfp4/4", "mxfp4/4"))
    with pytest.raises(TypeError, match="left codes of mxfp4/4 are elements and scales: give the BlockCodes"):
        dot(np.ones((2, 6), np.uint8), right, datapath("mxfp4/4", "mxfp4/4"))
