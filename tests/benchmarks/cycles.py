"""Cycles claimed of engines and of a whole network against Verilator, on a few of the designs that tests check."""

from __future__ import annotations

import shutil
from itertools import pairwise

from dse.hardware_bars import Bar, at_least, at_most, percent
from hwmodels.rtl.engine_shape import engine_cycles
from hwmodels.rtl.network_cycles import engine_latency
from tests.hwmodels.rtl.engine_checks import LATENCY_ERROR, differences, engine_case, measured_cycles
from tests.hwmodels.rtl.network_stages import StageBuilder
from tests.hwmodels.rtl.test_engines import ENGINES, SOME
from tests.hwmodels.rtl.test_networks import PERCEPTRON, lowered, run_of, sample_ends
from tests.hwmodels.rtl.verilating import verilate
from tests.missing_tools import program

SAMPLES = 4


def cycle_bars() -> list[Bar]:
    """Interval, latency and words of engines and of a network; without Verilator, a line that says so."""
    if shutil.which("verilator") is None:
        return [Bar(what="cycles against Verilator", found="verilator is not installed (make ci-tools installs it)")]
    return [*_engine_bars(), *_network_bars()]


def _engine_bars() -> list[Bar]:
    """Every third of the engines that the fast tests simulate: linear and convolutional, in LUTs and in DSPs."""
    cases = [engine_case(ENGINES[name]) for name in SOME[::3]]
    traces = verilate([case.run for case in cases], program)
    exact, errors, wrong = 0, [], 0
    for case, trace in zip(cases, traces, strict=True):
        claimed = engine_cycles(case.shape)
        interval, fill, latency = measured_cycles(case, trace)
        exact += (interval, fill) == (claimed.interval, claimed.fill)
        errors.append(abs(engine_latency(case.shape) / latency - 1))
        wrong += differences(case, trace)
    what = f"{len(cases)} engines in Verilator"
    return [
        at_least(f"{what}: interval and fill exact", exact / len(cases), 1.0, percent),
        at_most(f"{what}: largest error of the latency", max(errors), LATENCY_ERROR, percent),
        at_most(f"{what}: words that differ from hardware mode", wrong, 0),
    ]


def _network_bars() -> list[Bar]:
    """A perceptron for digits, all its layers as one design."""
    design, inputs = lowered("digits-mlp", "int8", "int4")
    builder = StageBuilder(design, PERCEPTRON)
    run, expected = run_of(builder, inputs[:SAMPLES])
    (trace,) = verilate([run], program)
    ends = sample_ends(trace, SAMPLES)
    claimed = max(len(run.words) // SAMPLES, *(engine_cycles(shape).interval for shape in builder.shapes.values()))
    found = [later - earlier for earlier, later in pairwise(ends[1:])]  # the first sample enters an empty network
    wrong = sum(got != wanted for got, wanted in zip(trace.words, expected, strict=True))
    what = "a whole network (digits-mlp) in Verilator"
    return [
        Bar(
            what=f"{what}: interval",
            found=f"{found[-1]} cycles",
            bar=f"the claimed {claimed}",
            met=set(found) == {claimed},
        ),
        at_most(
            f"{what}: error of the latency",
            abs(builder.latency() / (ends[0] - trace.arrived[0]) - 1),
            LATENCY_ERROR,
            percent,
        ),
        at_most(f"{what}: words that differ from hardware mode", wrong, 0),
    ]
