"""Single function layers between edges of any format and unit: both executions agree, and hashes keep the numbers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulation.catalogue import parse
from emulation.datapaths import Requantisation
from emulation.execution import execute_codes
from emulation.function_operations import Gelu, GeluForm, LayerNorm, Lstm, Sigmoid, Silu, Softmax, Tanh
from emulation.lowering import Assignment, lower
from emulation.network import Activate, Identity, Input, Layer, Network
from emulation.quantisers import Quantiser, ScaledQuantiser
from emulation.reference import execute_reference
from emulation.rules import Rounding

if TYPE_CHECKING:
    from emulation.hardware import HardwareNetwork

LAYERS: dict[str, dict[str, Any]] = {
    "softmax": {"operation": Softmax()},
    "layer-norm": {
        "operation": LayerNorm(
            epsilon=1e-5, gain=(1.0, -0.5, 2.0, 0.0, 0.25, 1.5), offset=(0.0, 1.0, -2.0, 0.5, 0.0, 3.0)
        )
    },
    "lstm": {"operation": Lstm(hidden=6)},
    "gelu-polynomial": {"operation": Activate(), "activation": Gelu(form=GeluForm.POLYNOMIAL)},
    "sigmoid": {"operation": Activate(), "activation": Sigmoid()},
    "tanh": {"operation": Activate(), "activation": Tanh()},
    "silu": {"operation": Activate(), "activation": Silu()},
    "gelu": {"operation": Activate(), "activation": Gelu()},
    "gelu-tanh": {"operation": Activate(), "activation": Gelu(form=GeluForm.TANH)},
}
INDEX_FORMATS = ("int8", "uint8", "int10", "int3", "e4m3fn", "e5m2", "e2m1", "pot4")
WIDE_FORMATS = ("int16", "uint16", "int24", "bf16")
OUTPUT_FORMATS = ("int8", "uint8", "int16", "int4", "e4m3fn", "e3m2", "bf16")


def scaled(number_format: str, unit: float) -> ScaledQuantiser:
    return ScaledQuantiser(quantiser=Quantiser(format=parse(number_format)), unit=np.array([unit]))


def design(
    name: str, source: tuple[str, float], output: tuple[str, float], requantisation: Requantisation | None = None
) -> HardwareNetwork:
    """An input of five rows of six values, and one layer."""
    shape = (5, 6)
    fields = {"activation": Identity(), **LAYERS[name]}
    weights = {}
    if name == "lstm":
        random = np.random.default_rng(5)
        fields |= {"weight": random.integers(-64, 65, (24, 12)) / 64.0, "bias": random.integers(-64, 65, 24) / 64.0}
        weights = {"layer": scaled("int8", 1 / 64)}
    layers = (
        Layer(name="input", operation=Input(), inputs=(), shape=shape),
        Layer(name="layer", inputs=("input",), shape=shape, **fields),
    )
    assignment = Assignment(
        edges={"input": scaled(*source), "layer": scaled(*output)},
        weights=weights,
        requantisation=requantisation or Requantisation(),
    )
    return lower(Network(name="one", layers=layers, output="layer"), assignment)


def integers_of(hardware: HardwareNetwork, count: int) -> np.ndarray[Any, Any]:
    """Samples of small and of large spread, and of the extremes, as integers of the input's grid in float64."""
    grid, unit = hardware.input.grid, float(hardware.input.unit[0])
    random = np.random.default_rng(3)
    spread = float(grid.largest) ** random.random((count, 1, 1))
    values = random.normal(size=(count, 5, 6)) * spread
    values[0] = np.where(np.arange(30).reshape(5, 6) % 2, float(grid.low), float(grid.high))
    return hardware.input.integers(values * unit)


def check(hardware: HardwareNetwork, count: int) -> np.ndarray[Any, Any]:
    integers = integers_of(hardware, count)
    fast = execute_codes(hardware, integers)
    unit = float(hardware.input.unit[0])
    for sample, found in zip(integers, fast, strict=True):
        # A grid integer times its unit casts back to itself.
        values = [value * unit for value in sample.reshape(-1).tolist()]
        assert execute_reference(hardware, values) == found.reshape(-1).tolist()
    return fast


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("name", LAYERS)
@given(
    index=st.sampled_from(INDEX_FORMATS),
    wide=st.sampled_from((None, *WIDE_FORMATS)),
    output=st.sampled_from(OUTPUT_FORMATS),
    input_unit=st.floats(2.0**-18, 4.0),
    output_unit=st.floats(2.0**-18, 4.0),
    rounding=st.sampled_from(tuple(Rounding)),
    bits=st.sampled_from((8, 16, 31)),
)
def test_any_formats_and_units(
    *,
    name: str,
    index: str,
    wide: str | None,
    output: str,
    input_unit: float,
    output_unit: float,
    rounding: Rounding,
    bits: int,
) -> None:
    is_table = name in ("sigmoid", "tanh", "silu", "gelu", "gelu-tanh")
    source = index if wide is None or is_table else wide
    check(
        design(
            name, (source, input_unit), (output, output_unit), Requantisation(rounding=rounding, multiplier_bits=bits)
        ),
        4,
    )


GOLDEN = {
    "softmax": "900f6d0c7bab480a",
    "layer-norm": "25f14ddc23cfd511",
    "lstm": "d58247681b87584a",
    "gelu-polynomial": "173b560d6678d54b",
    "sigmoid": "d3c1dae0186a1e30",
    "tanh": "839df86074b79543",
    "silu": "ec4bd4b909cc3bad",
    "gelu": "39abf25750e79ba2",
    "gelu-tanh": "5a138e1850aef73f",
}


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_are_those_of_this_version(name: str) -> None:
    """If a hash changes, results did: raise SEMANTICS in emulation/hardware.py and write the new hashes here."""
    digest = hashlib.sha256()
    for source, output in ((("int8", 1 / 16), ("int16", 2.0**-12)), (("e4m3fn", 1 / 512), ("int8", 1 / 31))):
        hardware = design(name, source, output)
        grid = hardware.input.grid
        steps = np.arange(30 * 8).reshape(8, 5, 6) * 37 % (grid.high - grid.low) + grid.low
        values = hardware.input.integers(steps.astype(np.float64) * float(hardware.input.unit[0])).astype(np.int64)
        digest.update(execute_codes(hardware, values).astype(np.int64).tobytes())
    assert digest.hexdigest()[:16] == GOLDEN[name]
