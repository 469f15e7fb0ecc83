"""The public functions through the Triton kernels, interpreted on the processor: the bits of the compiled twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emulation import Quantiser, cast, decode, dot, encode, parse
from emulation.block_casts import BlockCodes
from emulation.datapaths import Arithmetic, Datapath, Product, parse_accumulator
from kernels.twins import Twin
from tests.missing_tools import foreign


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign("triton", "pip install triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2ftz", "fixed<8,4>", "mxfp4/8", "nvfp4", "bfp6e5/8", "nf4", "pot4"])
def test_casts(name: str) -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32) * 3)
    number_format = parse(name)
    assert torch.equal(cast(values, number_format, twin=Twin.GPU), cast(values, number_format))
    ours, theirs = encode(values, number_format, twin=Twin.GPU), encode(values, number_format)
    if isinstance(ours, BlockCodes):
        assert isinstance(theirs, BlockCodes)
        assert torch.equal(ours.elements, theirs.elements)
        assert torch.equal(ours.scales, theirs.scales)
    else:
        assert torch.equal(ours, theirs)
    assert torch.equal(decode(ours, number_format, twin=Twin.GPU), cast(values, number_format))


@pytest.mark.parametrize("accumulator", ["exact", "int20 wrap", "e5m10"])
@pytest.mark.parametrize("product", list(Product))
def test_dot_products(product: Product, accumulator: str) -> None:
    quantiser = Quantiser(format=parse("e2m3"))
    arithmetic = Arithmetic(product=product, accumulator=parse_accumulator(accumulator))
    path = Datapath(activation=quantiser, second=quantiser, arithmetic=arithmetic)
    random = np.random.default_rng(1)
    left, right = (
        encode(torch.from_numpy(random.normal(size=shape) * 3), quantiser.format) for shape in ((5, 9), (9, 4))
    )
    assert torch.equal(dot(left, right, path, twin=Twin.GPU), dot(left, right, path))
