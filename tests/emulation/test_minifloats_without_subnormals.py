"""Minifloats that flush or keep the exponent of field 0: hardware mode casts as `cast` and the definition do."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from emulation import cast, decode, encode, parse
from emulation.codes import code_of, integer_of
from emulation.datapaths import Requantisation
from emulation.execution import execute
from emulation.format_fields import float_fields
from emulation.formats import BlockScaled, MiniFloat
from emulation.formats.blocks import exponent_only
from emulation.function_operations import Sigmoid
from emulation.grids import flushed, grid_of
from emulation.hardware import Requantiser
from emulation.network import PRelu, Relu
from emulation.quantisers import Quantiser
from emulation.reference import execute_reference
from emulation.requantisation import requantise_tensor
from emulation.rules import Rounding
from kernels.definitions.minifloat import decode_scalar, encode_scalar
from kernels.fields import OVERFLOW_SATURATE_FINITE

NAMES = (
    *("e2m1ftz", "e3m0ftz", "e4m3ftz", "e4m3fnftz", "e5m2ftz", "e3m2fnuzftz", "e3m3p3109ftz", "ue3m3ftz", "e2m5b-3ftz"),
    *("e2m1keep", "e3m0keep", "e0m3keep", "e4m3keep", "e3m4keep", "e4m3fnuzkeep", "ue2m3keep", "e3m2b9keep"),
)


def scalar(name: str) -> MiniFloat:
    number_format = parse(name)
    assert isinstance(number_format, MiniFloat)
    return number_format


def probes(number_format: MiniFloat) -> np.ndarray:
    """In units: eighths around 0 and the least number, all numbers, what lies between them, and beyond the largest."""
    numbers = [number_format.magnitude_integer(code) for code in range(number_format.largest_magnitude_code + 1)]
    least = grid_of(number_format).least
    around = np.arange(0, 8 * 4 * least + 1) / 8.0
    ends = [2.0 * numbers[-1], 1e30]
    middles = [(low + high) / 2 for low, high in itertools.pairwise(numbers)]
    points = np.unique(np.concatenate([around, numbers, middles, ends]))
    points = np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, 0)])
    return np.concatenate([points, -points])


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_those_of_the_public_cast(build: Any, name: str) -> None:
    number_format = scalar(name)
    unit = 2.0**number_format.unit_exponent
    values = probes(number_format) * unit
    found = build.scaled(number_format, unit).integers(values)
    assert (found * unit).tolist() == cast(values, number_format).tolist()
    assert set(found.tolist()) == {integer_of(code_of(int(v), number_format), number_format) for v in found}
    least = grid_of(number_format).least
    assert least == min(abs(v) for v in found.tolist() if v)
    assert (values[found == 0] < least * unit).all()


@pytest.mark.parametrize("rounding", Rounding, ids=lambda rounding: rounding.name)
@pytest.mark.parametrize("name", NAMES)
def test_requantisers_round_as_the_definition(name: str, rounding: Rounding) -> None:
    """The exact ``A * b * 2**-c`` in units, encoded by the scalar definition, flushing after rounding."""
    number_format = scalar(name)
    grid, fields = grid_of(number_format), float_fields(number_format)
    rule = Requantiser(
        multipliers=(5,),
        negative_multipliers=None,
        shift=4,
        low=grid.low,
        high=grid.high,
        mantissa_bits=grid.mantissa_bits,
        rounding=rounding,
        least=grid.least,
    )
    reach = 2 * grid.largest * 16 // 5 + 9
    accumulators = np.unique(np.concatenate([np.arange(-200, 201), np.linspace(-reach, reach, 900).astype(np.int64)]))
    fast = requantise_tensor(rule, accumulators[None], channel_axis=-1)[0]
    unit = Fraction(2) ** number_format.unit_exponent
    for accumulator, integer in zip(accumulators.tolist(), fast.tolist(), strict=True):
        code = encode_scalar(
            Fraction(accumulator * 5, 16) * unit, fields, rounding=rounding.value, overflow=OVERFLOW_SATURATE_FINITE
        )
        assert decode_scalar(code, fields) == integer * unit, (accumulator, integer)


@pytest.mark.parametrize("activation", [None, Relu(), Relu(ceiling=0.7), PRelu(slopes=(0.3,))], ids=str)
@pytest.mark.parametrize("name", ["e3m2ftz", "e3m2keep", "e8m7ieeeftz", "e5m10ieeekeep", "e3m0keep"])
def test_networks_equal_the_reference(build: Any, name: str, activation: Any) -> None:
    number_format = scalar(name)
    graph = build.Graph((8,))
    random = np.random.default_rng(3)
    hidden = graph.linear("input", random.normal(size=(12, 8)), random.normal(size=12), activation)
    last = graph.linear(hidden, random.normal(size=(3, 12)))
    # Numbers around the least one: what the smallest magnitude means is about 1/4.
    unit = 0.25 / grid_of(number_format).least
    edges = {edge: build.scaled(number_format, unit) for edge in ("input", hidden)}
    edges[last] = build.scaled(parse("int16"), 2.0**-7)
    weights = {layer: build.scaled(number_format, unit) for layer in (hidden, last)}
    hardware = build.lower(graph.network(), edges, weights, Requantisation(rounding=Rounding.HALF_EVEN))
    samples = random.normal(size=(20, 8)).astype(np.float32) * 0.4
    outputs = execute(hardware, samples)
    for sample, row in zip(samples, outputs, strict=True):
        assert execute_reference(hardware, sample.tolist()) == row.tolist()
    assert len(np.unique(outputs)) > 3
    first = edges["input"].integers(samples) * unit
    assert (np.abs(samples[first == 0]) > 0).any()
    assert np.abs(first[first != 0]).min() >= 0.25


@pytest.mark.parametrize("name", ["e4m3ftz", "e3m3keep", "e4m3"])
def test_tables_of_functions_hold_their_numbers(build: Any, name: str) -> None:
    """Sigmoid's entries for inputs down to -30: small ones become 0; the table's own rounding is half to even."""
    number_format = scalar(name)
    graph = build.Graph((1,))
    last = graph.activate("input", Sigmoid())
    unit = 2.0**number_format.unit_exponent
    edges = {"input": build.scaled(parse("int6"), 1.0), last: build.scaled(number_format, unit)}
    hardware = build.lower(graph.network(), edges, {})
    samples = np.arange(-32, 32, dtype=np.float32).reshape(-1, 1)
    outputs = execute(hardware, samples)
    expected = cast(1 / (1 + np.exp(-samples.astype(np.float64))), number_format)
    assert (outputs * unit).tolist() == expected.tolist()
    assert [execute_reference(hardware, sample.tolist()) for sample in samples] == outputs.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_the_public_ones(name: str) -> None:
    number_format = scalar(name)
    values = probes(number_format) * 2.0**number_format.unit_exponent
    codes = encode(values, number_format)
    for code, value in zip(codes.tolist(), decode(codes, number_format, dtype="float64").tolist(), strict=True):
        assert integer_of(code, number_format) * 2.0**number_format.unit_exponent == value


def test_the_least_number() -> None:
    """By hand: e2m1 counts in halves, its first normal number is 1; kept, 0 1/2, 3/4, 1 with 0 in place of 1/2."""
    assert [grid_of(scalar(name)).least for name in ("e2m1", "e2m1ftz", "e2m1keep", "e3m0", "e3m0ftz")] == [
        1,
        2,
        3,
        1,
        1,
    ]
    assert flushed(np.array([2, -2, 3, 0], dtype=object), 3).tolist() == [0, 0, 3, 0]


def test_what_has_no_grid() -> None:
    for name in ("e3m2nz", "e2m1keepnz"):
        with pytest.raises(ValueError, match=f"no cast to {name} is defined here: only minifloats with a zero"):
            Quantiser(format=scalar(name))
    for element in (scalar("e3m2ftz"), scalar("e3m0ftz"), scalar("e3m2keep")):
        with pytest.raises(ValueError, match="are not defined in hardware mode: elements have a sign"):
            Quantiser(format=BlockScaled(element=element, scale=exponent_only(), block_size=4))
