"""Public dot products of block formats by every twin: one result, where the codes are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emulation import Quantiser, decode, dot, encode, parse
from emulation.datapaths import Arithmetic, Datapath, Product, parse_accumulator
from kernels.twins import Twin
from tests.missing_tools import foreign

TWINS = (Twin.COMPILED, Twin.TENSORS, Twin.GPU)


@pytest.fixture(params=TWINS, ids=lambda twin: twin.value)
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Twin:
    if request.param is Twin.GPU:
        foreign("triton", "pip install triton")
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    return Twin(request.param)


@pytest.mark.parametrize("name", ["mx-e4m3fn", "mx-e2m3", "mxfp4", "mxint8", "bfp8/16", "bfp6e5/8", "nvfp4"])
@pytest.mark.parametrize("accumulator", ["exact", "int20 wrap", "e5m10"])
def test_dots(name: str, accumulator: str, twin: Twin) -> None:
    number_format = parse(name)
    quantiser = Quantiser(format=number_format)
    arithmetic = Arithmetic(product=Product.EXACT, accumulator=parse_accumulator(accumulator))
    path = Datapath(activation=quantiser, second=quantiser, arithmetic=arithmetic)
    random = np.random.default_rng(2)
    values = [torch.from_numpy(random.normal(size=shape) * 3) for shape in ((5, 70), (70, 4))]
    left, right = (encode(some, number_format, axis=axis) for some, axis in zip(values, (-1, 0), strict=True))
    unit = -40 if accumulator == "exact" else None
    found = dot(left, right, path, unit_exponent=unit, twin=twin)
    assert isinstance(found, torch.Tensor)
    expected = dot(left, right, path, unit_exponent=unit, twin=Twin.DEFINITION)
    assert torch.equal(found, expected)
    if accumulator == "exact":
        numbers = [decode(codes, number_format).double() for codes in (left, right)]
        assert torch.equal(found.double() * 2.0**-40, numbers[0] @ numbers[1])
