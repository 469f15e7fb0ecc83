"""The latency a design reports, against the RTL of the same design: its stages, and whole networks in Verilator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.folding import LanesPerDsp, MultiplierStyle, divisors
from hwmodels.rtl.engine_shape import DSP_STYLE, LUT_STYLE, PACKED_STYLE
from tests.hwmodels.rtl.network_stages import StageBuilder, StageFolding
from tests.hwmodels.rtl.test_networks import run_of
from tests.hwmodels.rtl.verilating import verilate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse.designs import Design
    from dse.preparation import Prepared
    from tests.dse.conftest import Bench

INTEGERS = {"weights": ["int3", "int4"], "activations": ["int4", "int6"]}


@pytest.fixture(scope="module")
def integers(custom_bench: Callable[..., Bench]) -> Callable[[str], Bench]:
    """Benches of integers only, of which there is RTL for whole networks."""
    made: dict[str, Bench] = {}

    def find(workload: str) -> Bench:
        if workload not in made:
            made[workload] = custom_bench(workload, formats=INTEGERS, front={"max_lanes": 64})
        return made[workload]

    return find


def in_rtl(prepared: Prepared, design: Design) -> StageBuilder:
    """The stages of a design's RTL, with its foldings."""
    foldings = {}
    for part in design.parts:
        if part.folding is not None:
            one, style = part.folding, LUT_STYLE
            if one.multipliers is MultiplierStyle.DSP:
                style = PACKED_STYLE if one.lanes_per_dsp is LanesPerDsp.PACKED else DSP_STYLE
            foldings[part.layer] = StageFolding(pe=one.pe, simd=one.simd, style=style)
        elif part.lanes:
            foldings[part.layer] = StageFolding(lanes=part.lanes)
    return StageBuilder(prepared.calibrated.lower(design.formats), foldings)


def input_lanes(prepared: Prepared, design: Design) -> int:
    """The fewest values of a word with which a sample comes no slower than the slowest layer works."""
    source = prepared.network.layers[0]
    elements = source.elements
    # Images come a position after the other, vectors and what is flattened as one position.
    is_flat = prepared.network.layers[1].kind == "reshape"
    values = elements if is_flat else source.shape[0]
    slowest = max(part.cost.interval_cycles for part in design.parts)
    return next((one for one in divisors(values) if elements // one <= slowest), values)


@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_latency_is_that_of_the_stages_in_rtl(workload: str, integers: Callable[[str], Bench]) -> None:
    """The stages know widths and styles of the lowered design, the reported latency only costs and foldings."""
    found = integers(workload)
    for seed in range(6):
        design = found.design(seed)
        builder = in_rtl(found.prepared, design)
        builder.stages()
        assert design.latency_cycles == builder.latency(input_lanes(found.prepared, design))


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_latency_is_that_of_the_network_in_verilator(
    workload: str, integers: Callable[[str], Bench], tool: Callable[[str], Path]
) -> None:
    found = integers(workload)
    checked = 0
    for seed in range(4):
        design = found.design(seed)
        if input_lanes(found.prepared, design) > 1:
            continue
        run, expected = run_of(in_rtl(found.prepared, design), found.prepared.validation.inputs[:1])
        (trace,) = verilate([run], tool, cycles=20 * design.latency_cycles)
        assert list(trace.words) == expected
        assert trace.left[-1] - trace.arrived[0] == pytest.approx(design.latency_cycles, rel=0.02)
        checked += 1
    assert checked >= 2
