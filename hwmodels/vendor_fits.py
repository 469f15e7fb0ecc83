"""LUTs and flip-flops of vendor matrix-vector units: terms of their structure, fitted on the committed rows.

Terms are counts of what the unit contains (multipliers, adder trees, accumulators, the buffer that replays inputs);
weights in LUTs are computed, not fitted (`hwmodels.vendor_memory`). Coefficients come from relative least squares at
first use, none below 0. A source weighs as the square root of its rows, so that a sweep over one layer does not rule.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.units import multiplier
from hwmodels.vendor_memory import memory_luts
from hwmodels.vendor_rows import VendorStyle, fit_rows

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from hwmodels.vendor_rows import VendorLayer, VendorRow

    Array = npt.NDArray[np.float64]


NINETIETH_OF_NORMAL: Final = 1.645
"""Nine in ten values of a normal distribution lie within this many standard deviations (tables of the normal law)."""


class Figure(Enum):
    """What is fitted."""

    LUTS = "luts"
    FLIP_FLOPS = "flip_flops"


class Leaving(Enum):
    """What is left out of a fit before it is asked for just that."""

    LAYER = "layer"
    """Rows of the same shape, folding and widths, in whatever memory and from whatever source."""
    SOURCE = "source"
    """All rows of a source: often widths that no other source has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Relative errors of estimates against rows.

    Attributes:
        ninetieth: nine in ten estimates are this close.
    """

    rows: int
    median: float
    ninetieth: float
    largest: float

    @property
    def deviation(self) -> float:
        """One standard deviation of a normal distribution whose nine in ten lie as close."""
        return self.ninetieth / NINETIETH_OF_NORMAL


@dataclass(frozen=True, slots=True)
class VendorFit:
    """Coefficients by term."""

    coefficients: dict[str, float]

    def estimate(self, layer: VendorLayer) -> float:
        """The fitted part of a layer."""
        terms = structure_terms(layer)
        return sum(value * terms[name] for name, value in self.coefficients.items())


_HLS_TERMS: Final = (
    "unit",
    "counters",
    "lanes",
    "product bits",
    "tree",
    "accumulators",
    "outputs",
    "inputs",
    "replayed inputs",
    "replay words",
    "thresholds",
)
_LUT_MULTIPLIER_TERMS: Final = ("multipliers", "accumulated multipliers")
_RTL_TERMS: Final = (
    "counters",
    "pairs of lanes",
    "fours of lanes",
    "single lanes",
    "tree bits",
    "outputs",
    "accumulators",
    "inputs in turn",
    "elements",
)

TERMS: Final = {
    (VendorStyle.HLS_LUT, Figure.LUTS): (*_HLS_TERMS, *_LUT_MULTIPLIER_TERMS),
    (VendorStyle.HLS_DSP, Figure.LUTS): _HLS_TERMS,
    (VendorStyle.RTL_DSP, Figure.LUTS): _RTL_TERMS,
    (VendorStyle.HLS_LUT, Figure.FLIP_FLOPS): _HLS_TERMS,
    (VendorStyle.HLS_DSP, Figure.FLIP_FLOPS): _HLS_TERMS,
    (VendorStyle.RTL_DSP, Figure.FLIP_FLOPS): (*_RTL_TERMS, "weight bits"),
}
"""Which terms each figure of a style is fitted on."""


def accumulator_bits(layer: VendorLayer) -> int:
    """Bits FINN gives the accumulator when it looks at trained weights: products, and half the bits of the depth.

    Equal to the figure of nearly two thirds of the rows that say it and one bit off in all but two; weights that all
    have their largest magnitude would need half the bits of the depth more. XNOR units count up to the depth.
    """
    if layer.is_binary:
        return math.ceil(math.log2(layer.depth + 1))
    return math.ceil(layer.weight_bits + layer.activation_bits + math.log2(layer.depth) / 2)


@lru_cache(maxsize=1 << 12)
def structure_terms(layer: VendorLayer) -> dict[str, float]:
    """What a unit contains, by term: the features of all fits."""
    lanes, pe, simd = layer.lanes, layer.pe, layer.simd
    sums = accumulator_bits(layer)
    product = 1 if layer.is_binary else layer.weight_bits + layer.activation_bits
    each = 1.0 if layer.is_binary else multiplier(layer.weight_bits, layer.activation_bits).luts
    is_lut = layer.style is VendorStyle.HLS_LUT
    has_passes, has_groups, replays = layer.passes > 1, layer.groups > 1, layer.passes > 1 and layer.groups > 1
    packed = packed_lanes(layer)
    levels = 0 if layer.output_bits is None else 2**layer.output_bits - 1
    return {
        "unit": 1.0,
        "counters": math.log2(layer.passes) + math.log2(layer.groups),
        "lanes": float(lanes),
        "product bits": 0.0 if layer.is_binary else float(lanes * product),
        "multipliers": lanes * each if is_lut else 0.0,
        "accumulated multipliers": lanes * each * has_passes if is_lut else 0.0,
        "tree": float(pe * _tree_bits(simd, product)),
        "tree bits": float(pe * (simd - 1) * product),
        "accumulators": float(pe * sums * has_passes),
        "outputs": float(pe * sums),
        "inputs": float(simd * layer.activation_bits),
        "inputs in turn": float(simd * layer.activation_bits * has_groups),
        "replayed inputs": float(layer.depth * layer.activation_bits * replays),
        "replay words": float(layer.passes * replays),
        "thresholds": float(pe * levels * sums),
        "single lanes": float(lanes * (pe == 1)),
        "pairs of lanes": float(lanes * (pe > 1 and packed == 2)),
        "fours of lanes": float(lanes * (pe > 1 and packed == 4)),
        "elements": float(pe),
        "weight bits": float(lanes * layer.weight_bits * (layer.groups * layer.passes > 1)),
    }


def _tree_bits(operands: int, bits: int) -> int:
    """Bits of the adders of a tree, each as wide as its operands."""
    found = 0
    while operands > 1:
        found += operands // 2 * bits
        operands, bits = operands - operands // 2, bits + 1
    return found


def packed_lanes(layer: VendorLayer) -> int:
    """Multiplications FINN's RTL unit packs into one DSP48: four up to 4 by 4 bits, else two.

    Source: ``_resolve_impl_style`` of FINN's ``matrixvectoractivation_rtl.py`` and the cores it names (``mvu_4sx4u``,
    ``mvu_8sx8u_dsp48``); the DSPs of all 121 committed RTL layers agree.
    """
    return 4 if max(layer.weight_bits, layer.activation_bits) <= 4 else 2


@lru_cache(maxsize=16)
def vendor_fit(style: VendorStyle, figure: Figure) -> VendorFit:
    """The fit of a figure on all rows of its style."""
    names, features, known, measured, weights = _system(style, figure)
    values = _non_negative(features, measured - known, weights)
    return VendorFit({name: float(value) for name, value in zip(names, values, strict=True)})


@lru_cache(maxsize=16)
def left_out_estimates(style: VendorStyle, figure: Figure, leaving: Leaving) -> tuple[float, ...]:
    """For each row of `fit_rows`, the estimate of a fit that has not seen its layer or its source."""
    _, features, known, measured, weights = _system(style, figure)
    key = _layer_key if leaving is Leaving.LAYER else _source_key
    keys = [key(row) for row in fit_rows(style)]
    estimates = np.zeros(len(keys))
    for one in dict.fromkeys(keys):
        chosen = np.array([other == one for other in keys])
        values = _non_negative(features[~chosen], (measured - known)[~chosen], weights[~chosen])
        estimates[chosen] = features[chosen] @ values + known[chosen]
    return tuple(float(estimate) for estimate in estimates)


@lru_cache(maxsize=16)
def left_out_errors(style: VendorStyle, figure: Figure, leaving: Leaving) -> Errors:
    """Errors of `left_out_estimates`: what to expect of layers not seen."""
    measured = [_measured(row, figure) for row in fit_rows(style)]
    return errors(left_out_estimates(style, figure, leaving), measured)


def errors(estimates: Sequence[float], measured: Sequence[float]) -> Errors:
    """Relative errors of estimates.

    >>> errors([90.0, 100.0, 104.0], [100.0, 100.0, 100.0]).median
    0.04
    """
    relative = np.abs(np.asarray(estimates, dtype=np.float64) / np.asarray(measured, dtype=np.float64) - 1.0)
    return Errors(
        rows=len(relative),
        median=round(float(np.median(relative)), 12),
        ninetieth=round(float(np.quantile(relative, 0.9)), 12),
        largest=round(float(relative.max()), 12),
    )


def estimate(layer: VendorLayer, family: str, figure: Figure) -> float:
    """LUTs or flip-flops of a layer, at least 1."""
    memory = memory_luts(layer, family) if figure is Figure.LUTS else 0.0
    return max(1.0, vendor_fit(layer.style, figure).estimate(layer) + memory)


def _system(style: VendorStyle, figure: Figure) -> tuple[tuple[str, ...], Array, Array, Array, Array]:
    rows, names = fit_rows(style), TERMS[style, figure]
    described = [structure_terms(row.layer) for row in rows]
    features = np.array([[terms[name] for name in names] for terms in described])
    measured = np.array([_measured(row, figure) for row in rows])
    is_luts = figure is Figure.LUTS
    known = np.array([memory_luts(row.layer, row.family) if is_luts else 0.0 for row in rows])
    counts = Counter(row.source for row in rows)
    weights = np.array([counts[row.source] ** -0.25 for row in rows]) / measured
    return names, features, known, measured, weights


def _non_negative(features: Array, targets: Array, weights: Array) -> Array:
    """Weighted least squares without coefficients below 0: the most negative term leaves until none is."""
    active = list(range(features.shape[1]))
    while True:
        solution, *_ = np.linalg.lstsq(features[:, active] * weights[:, None], targets * weights)
        if not (solution < 0).any():
            break
        active.pop(int(np.argmin(solution)))
    values = np.zeros(features.shape[1])
    values[active] = solution
    return values


def _measured(row: VendorRow, figure: Figure) -> float:
    return float(row.luts if figure is Figure.LUTS else row.flip_flops)


def _layer_key(row: VendorRow) -> Hashable:
    layer = row.layer
    widths = (layer.weight_bits, layer.activation_bits, layer.output_bits)
    return (row.family, layer.outputs, layer.depth, layer.pe, layer.simd, widths)


def _source_key(row: VendorRow) -> Hashable:
    return row.source
