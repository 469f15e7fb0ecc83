"""What an engine costs: the sum of its parts' estimates. No number here was fitted on an engine.

An engine is made of units (`hwmodels.rtl.engines.engine_parts`), with registers at their borders, so its LUTs and
flip-flops are those of the units' own models. DSPs and block RAM are counted, cycles are those of the RTL.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.memory import bram18_count
from hwmodels.models import ROWS_FOLDER, unit_estimate
from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER, PACKED_MULTIPLIER
from hwmodels.rtl.engine_memories import IN_BLOCK_RAM, PARAMETER_MEMORY
from hwmodels.rtl.engine_shape import engine_cycles, engine_shape
from hwmodels.rtl.engine_streams import REPLAY_BUFFER
from hwmodels.rtl.engines import ENGINE, engine_parts, engine_register_bits
from hwmodels.rtl.memories import BLOCK_MEMORY
from hwmodels.rtl.network_cycles import engine_latency
from hwmodels.rtl.parallel_windows import parallel_window_memory
from hwmodels.rtl.windows import SERIAL_WINDOW, serial_window_words
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwmodels.models import Estimate
    from hwmodels.rtl.engine_shape import EngineShape
    from hwmodels.rtl.engines import Part
    from hwmodels.synthesis.measurements import Measurement

LUT_FLOW: Final = "xcup"
DSP_FLOW: Final = "xcup-dsp"
"""The flow that may use DSPs: units that are one are measured in it, all others make the same in both."""
IN_DSPS: Final = frozenset({DSP_MULTIPLIER, PACKED_MULTIPLIER})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEstimate:
    """What an engine takes.

    Attributes:
        luts: LUT6 sites.
        sigma: one standard deviation of the LUTs, relative: families err independently, units of one family alike.
        flip_flops: of all parts and of the registers between them.
        dsps: DSP slices.
        bram18s: halves of block RAM.
        interval_cycles: between two samples.
        latency_cycles: from a sample's first input word to its last output word, from an empty engine.
        notes: what was extrapolated, one note per family.
    """

    luts: float
    sigma: float
    flip_flops: float
    dsps: int
    bram18s: int
    interval_cycles: int
    latency_cycles: int
    notes: tuple[str, ...] = ()


def engine_estimate(**parameters: int) -> EngineEstimate:
    """The price of an engine.

    Args:
        parameters: of `hwmodels.rtl.engine_shape.EngineShape`; ``seed`` does not matter.

    Raises:
        hwmodels.rtl.engine_shape.EngineError: if the engine cannot be built.
        ValueError: if a part's family has no rows.

    >>> found = engine_estimate(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4, accumulator=16)
    >>> found.interval_cycles, found.latency_cycles, found.dsps
    (16, 24, 0)
    """
    return _estimate(tuple(sorted((name, value) for name, value in parameters.items() if name != "seed")))


@lru_cache(maxsize=1 << 14)
def _estimate(parameters: tuple[tuple[str, int], ...]) -> EngineEstimate:
    shape = engine_shape(dict(parameters))
    luts: dict[str, float] = defaultdict(float)
    spreads: dict[str, float] = defaultdict(float)
    flip_flops = float(engine_register_bits(shape))
    bram18s = 0
    notes: dict[str, str] = {}
    for part in engine_parts(**dict(parameters)):
        found, registers = part_luts(part), part_flip_flops(part)
        luts[part.family] += part.count * found.value
        spreads[part.family] += part.count * found.value * found.sigma
        flip_flops += part.count * registers.value
        bram18s += part.count * part_bram18s(part)
        for note in found.notes:
            notes.setdefault(part.family, note)
    whole = sum(luts.values())
    cycles = engine_cycles(shape)
    return EngineEstimate(
        luts=whole,
        sigma=math.sqrt(sum(spread**2 for spread in spreads.values())) / whole,
        flip_flops=flip_flops,
        dsps=shape.dsps,
        bram18s=bram18s,
        interval_cycles=cycles.interval,
        latency_cycles=engine_latency(shape),
        notes=tuple(notes.values()),
    )


def part_luts(part: Part) -> Estimate:
    """LUTs of one of a part's units."""
    return _part_estimate(part, "luts")


def part_flip_flops(part: Part) -> Estimate:
    """Flip-flops of one of a part's units."""
    return _part_estimate(part, "flip_flops")


def part_bram18s(part: Part) -> int:
    """Halves of block RAM of one of a part's units, as packed."""
    given = part.parameters
    if part.family == PARAMETER_MEMORY:
        return bram18_count(given["words"], given["bits"]) if given["style"] == IN_BLOCK_RAM else 0
    if given.get("memory") != BLOCK_MEMORY:
        return 0
    if part.family == REPLAY_BUFFER:
        return bram18_count(2 * given["steps"], given["bits"])
    if part.family == SERIAL_WINDOW:
        return bram18_count(serial_window_words(**given), given["bits"])
    words, bits = parallel_window_memory(**given)
    return bram18_count(words, bits) if bits else 0


def _part_estimate(part: Part, column: str) -> Estimate:
    flow = DSP_FLOW if part.family in IN_DSPS else LUT_FLOW
    return unit_estimate(part.family, flow=flow, column=column, **part.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineComparison:
    """A synthesised engine beside the sum of its parts.

    Attributes:
        shape: of the engine: lanes are ``pe * simd``, operands ``weight_bits`` and ``activation_bits`` wide.
        flow: that measured it.
        luts: measured, as are the counts without a prefix below.
        flip_flops: measured.
        dsps: measured.
        bram18s: measured.
        predicted: the estimate.
    """

    shape: EngineShape
    flow: str
    luts: int
    flip_flops: int
    dsps: int
    bram18s: int
    predicted: EngineEstimate

    @property
    def lut_error(self) -> float:
        """Relative error of the predicted LUTs."""
        return self.predicted.luts / self.luts - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineErrors:
    """How the sum of parts compares with whole engines; LUT errors are relative and absolute values.

    Attributes:
        engines: compared.
        median: of LUT errors.
        percentile95: of LUT errors.
        largest: of LUT errors.
        spearman: rank correlation of measured and predicted LUTs.
        with_dsps: engines that have DSPs.
        dsp_exact: share of these whose number of DSPs was predicted.
        with_bram: engines that have block RAM.
        bram_exact: share of these whose halves of block RAM were predicted.
        failed: engines whose synthesis failed or timed out; compared with nothing.
    """

    engines: int
    median: float
    percentile95: float
    largest: float
    spearman: float
    with_dsps: int
    dsp_exact: float
    with_bram: int
    bram_exact: float
    failed: int


def engine_comparison() -> list[EngineComparison]:
    """The engines of the committed rows, which no fit has seen, in their order."""
    found = []
    for flow, row in _engine_rows():
        if row.status is not Status.OK:
            continue
        given = {name: value for name, value in row.parameters.items() if name != "seed"}
        found.append(
            EngineComparison(
                shape=engine_shape(given),
                flow=flow,
                luts=int(row.values["luts"]),
                flip_flops=int(row.values["flip_flops"]),
                dsps=int(row.values["dsps"]),
                bram18s=int(row.values["bram18s"]),
                predicted=engine_estimate(**given),
            )
        )
    return found


def engine_errors() -> EngineErrors:
    """Errors over the engines of the committed rows.

    Raises:
        ValueError: if there are none.
    """
    found = engine_comparison()
    if not found:
        raise ValueError(f"no synthesised engines in {ROWS_FOLDER}: run `bitfront characterise` with the engines' plan")
    errors = np.abs([one.lut_error for one in found])
    in_dsps = [one for one in found if one.dsps or one.predicted.dsps]
    in_bram = [one for one in found if one.bram18s or one.predicted.bram18s]
    return EngineErrors(
        engines=len(found),
        median=float(np.median(errors)),
        percentile95=float(np.percentile(errors, 95)),
        largest=float(errors.max()),
        spearman=_rank_correlation([one.luts for one in found], [one.predicted.luts for one in found]),
        with_dsps=len(in_dsps),
        dsp_exact=sum(one.dsps == one.predicted.dsps for one in in_dsps) / max(len(in_dsps), 1),
        with_bram=len(in_bram),
        bram_exact=sum(one.bram18s == one.predicted.bram18s for one in in_bram) / max(len(in_bram), 1),
        failed=sum(row.status is not Status.OK for _, row in _engine_rows()),
    )


def _engine_rows() -> list[tuple[str, Measurement]]:
    return [
        (flow, row)
        for flow in (LUT_FLOW, DSP_FLOW)
        for row in read_rows(ROWS_FOLDER / f"{flow}.csv")
        if row.family == ENGINE
    ]


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = ends - (counts - 1) / 2
    return means[places]
