"""Calibration: which real value one integer step of a tensor stands for.

Ranges come from calibration samples (activations) or from the weights themselves. Edges that meet in a join (residual
addition, concatenation) share one range, so that equal formats mean equal units and the join needs no rescaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.formats import BinaryCoded, BlockScaled, FixedPoint, Format, LearnedCodebook, Sign
from emulation.grids import Grid, block_grid_of, flushed, grid_of, is_blocked, is_learned
from emulation.network import Add, Concat, Layer, Network
from emulation.quantisers import (
    Granularity,
    MinimumError,
    Percentile,
    Quantiser,
    RangeRule,
    ScaledQuantiser,
    ScaleKind,
    Scaling,
    ZeroChannels,
)
from emulation.table_fitting import learn_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SAMPLE_SIZE = 1 << 16
"""Values of an edge kept to judge cast errors and percentiles; taken at a regular stride, so runs repeat exactly."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeRange:
    """What calibration saw of an edge: its extremes and a regular sample of its values (of its join group's)."""

    minimum: float
    maximum: float
    values: NDArray[np.float32]

    @property
    def is_signed(self) -> bool:
        """Whether any value of this very edge was negative."""
        return self.minimum < 0


def edge_ranges(network: Network, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, EdgeRange]:
    """Ranges of all edges from the tensors of a float run on calibration samples.

    Args:
        network: the network.
        tensors: by layer name, shape ``(samples, *shape)``.

    Returns:
        By edge; edges of one join group share ``values``, and each knows its own sign.

    Raises:
        ValueError: if there are no samples, or an edge is zero on all of them (nothing to scale).
    """
    groups = join_groups(network)
    members: dict[str, list[str]] = {}
    for edge, group in groups.items():
        members.setdefault(group, []).append(edge)
    samples = {group: _sample([tensors[edge] for edge in edges]) for group, edges in members.items()}
    ranges = {}
    for edge in network.edges:
        tensor = tensors[edge]
        if tensor.shape[0] == 0:
            raise ValueError("the calibration set is empty: give at least one sample, better some hundred")
        values = samples[groups[edge]]
        if not np.any(values):
            raise ValueError(
                f"the output of layer {edge!r} is 0 for all {tensor.shape[0]} calibration samples, so it has no range: "
                "give samples that reach it, or remove the layer"
            )
        ranges[edge] = EdgeRange(minimum=float(tensor.min()), maximum=float(tensor.max()), values=values)
    return ranges


def join_groups(network: Network) -> dict[str, str]:
    """For each edge, the representative of the group of edges that share one range because a join reads them."""
    parent = {edge: edge for edge in network.edges}

    def find(edge: str) -> str:
        while parent[edge] != edge:
            edge = parent[edge]
        return edge

    for layer in network.layers:
        if isinstance(layer.operation, Add | Concat):
            joined = list(network.input_edges(layer))
            if isinstance(layer.operation, Concat):
                joined.append(layer.name)  # a concatenation keeps the values it joins
            for edge in joined[1:]:
                parent[find(edge)] = find(joined[0])
    return {edge: find(edge) for edge in network.edges}


def _sample(tensors: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    share = SAMPLE_SIZE // len(tensors)
    parts = []
    for tensor in tensors:
        flat = tensor.reshape(-1)
        # An odd stride visits all channels and positions in turn.
        stride = max(flat.size // share, 1) | 1
        extremes = flat[[int(flat.argmin()), int(flat.argmax())]] if flat.size else flat
        parts.append(np.concatenate([flat[::stride], extremes]))
    return np.concatenate(parts)


def scale_edge(quantiser: Quantiser, edge_range: EdgeRange, *, block_axis: int = 1) -> ScaledQuantiser:
    """Choose the unit of an edge (one for the whole tensor).

    Args:
        quantiser: format and scaling.
        edge_range: what calibration saw.
        block_axis: the axis along which blocks run, the batch being axis 0.

    Raises:
        ValueError: for formats that learn their levels from the values: those are for weights.
    """
    if is_learned(quantiser.format):
        raise ValueError(
            f"{quantiser.format} learns its levels from the values it codes, so it is for weights, not for edges"
        )
    unit = _unit(quantiser.format, quantiser.scaling, edge_range.values)
    reach = float(np.abs(edge_range.values).max())
    return ScaledQuantiser(quantiser=quantiser, unit=np.array([unit]), block_axis=block_axis, reach=reach)


def fit_sign(number_format: Format, edge_range: EdgeRange) -> Format:
    """The unsigned integer of the same width for an edge that is never negative; any other format as it is."""
    if isinstance(number_format, FixedPoint) and not edge_range.is_signed:
        return FixedPoint(width=number_format.width, fraction_bits=number_format.fraction_bits, sign=Sign.UNSIGNED)
    return number_format


def scale_weights(quantiser: Quantiser, layer: Layer) -> ScaledQuantiser:
    """Choose the unit or units of a weight tensor, per tensor or per output channel; levels are learned likewise.

    Weights in blocks have scales of their own, so they have one unit.

    Raises:
        ValueError: if a channel (or, per tensor, the whole tensor) is all zero and the scaling refuses that.
    """
    weight = layer.weight
    if weight is None:
        raise ValueError(f"layer {layer.name!r} has no weights to scale")
    scaling = quantiser.scaling
    rows = weight.reshape(weight.shape[0], -1)
    zero = ~np.any(rows, axis=1)
    if zero.all() or (zero.any() and scaling.granularity is Granularity.CHANNEL):
        _check_zero_channels(layer, zero, scaling)
    number_format = quantiser.format
    if scaling.granularity is Granularity.TENSOR or zero.all() or is_blocked(number_format):
        values = rows if not zero.all() else np.ones((1, 1))
        unit, table = _fit(number_format, scaling, values)
        tables = None if table is None else table[None]
        return ScaledQuantiser(quantiser=quantiser, unit=np.array([unit]), tables=tables)
    fits = [None if is_zero else _fit(number_format, scaling, row) for row, is_zero in zip(rows, zero, strict=True)]
    units = np.array([math.nan if fit is None else fit[0] for fit in fits])
    units[zero] = np.nanmax(units)
    learned = [fit[1] for fit in fits if fit is not None and fit[1] is not None]
    if not learned:
        return ScaledQuantiser(quantiser=quantiser, unit=units)
    tables = np.zeros((len(fits), learned[0].size), dtype=np.int64)
    tables[~zero] = learned
    return ScaledQuantiser(quantiser=quantiser, unit=units, tables=tables)


def _fit(number_format: Format, scaling: Scaling, values: NDArray[Any]) -> tuple[float, NDArray[np.int64] | None]:
    """The unit for these values and, for formats that learn their levels, the table."""
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return learn_table(values, number_format)
    return _unit(number_format, scaling, values), None


def _check_zero_channels(layer: Layer, zero: NDArray[np.bool_], scaling: Scaling) -> None:
    if scaling.zero_channels is ZeroChannels.KEEP:
        return
    channels = np.flatnonzero(zero).tolist()
    raise ValueError(
        f"all weights of output channel{'s' if len(channels) > 1 else ''} {', '.join(map(str, channels[:8]))} of layer "
        f"{layer.name!r} ({len(channels)} of {zero.size}) are zero, so they have no scale: remove the channel from the "
        'network, or set zero_channels = "keep" under [formats] to compute it as it is'
    )


def _unit(number_format: Format, scaling: Scaling, values: NDArray[Any]) -> float:
    """The real value of one integer step for these values (not all zero).

    Blocks with a scale that is a power of two need none: their values are absolute. Other scales are relative to the
    tensor's, with which the largest element and the largest scale cover the range: a float32, as in NVFP4.
    """
    flat = values.reshape(-1).astype(np.float64)
    if isinstance(number_format, BlockScaled) and number_format.block_size > 0:
        return _block_unit(number_format, scaling, flat)
    grid = grid_of(number_format, scaling.zero_point)
    if grid.high < 1:
        raise ValueError(
            f"{number_format} with zero point {scaling.zero_point} has no number above 0, so no range can be scaled "
            "to it: use a wider format or a smaller zero point"
        )
    steps = _Steps(number_format, scaling, grid)
    rule = scaling.range_rule
    if isinstance(rule, MinimumError):
        return _least_error_unit(steps, flat, rule.steps)
    return steps.unit(_reach(np.abs(flat), rule))


def _reach(magnitudes: NDArray[np.float64], rule: RangeRule) -> float:
    largest = float(magnitudes.max())
    if isinstance(rule, Percentile):
        reach = float(np.percentile(magnitudes, rule.percent))
        return reach if reach > 0 else largest
    return largest


def _block_unit(number_format: BlockScaled, scaling: Scaling, values: NDArray[np.float64]) -> float:
    grid = block_grid_of(number_format)
    element = 2.0**number_format.unit_exponent
    if grid.scale_unit is None:
        return element
    largest = grid.scale_levels[-1] * 2.0**grid.scale_unit * grid.element.high * element
    # A scale of 0 could not be divided by; below float32's normal numbers it would lose bits.
    return max(float(np.float32(_reach(np.abs(values), scaling.range_rule) / largest)), 2.0**-100) * element


@dataclass(frozen=True, slots=True)
class _Steps:
    """The units that a format and a scaling allow."""

    format: Format
    scaling: Scaling
    grid: Grid

    def unit(self, reach: float) -> float:
        """The unit with which the largest integer means ``reach``; rounded up to a power of two if it must be one."""
        unit = reach / (self.grid.high if self.grid.levels is None else self.grid.largest)
        number_format = self.format
        # Dynamic fixed point: the scale is its exponent, kept within the exponents it has.
        is_shared = isinstance(number_format, BlockScaled)
        if not is_shared and self.scaling.kind is not ScaleKind.POWER_OF_TWO:
            return unit
        mantissa, exponent = math.frexp(unit)
        exponent -= mantissa == 0.5
        if isinstance(number_format, BlockScaled):
            low, high = (end + number_format.unit_exponent for end in block_grid_of(number_format).scale_levels)
            exponent = min(max(exponent, low), high)
        return math.ldexp(1.0, exponent)

    def integers(self, values: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
        """Values cast with a unit."""
        from emulation.level_casts import cast_to_levels
        from kernels.casts import cast_to_grid  # compiled: loaded when first needed

        grid, units = self.grid, np.array([unit])
        if grid.levels is not None:
            return cast_to_levels(values, units, [np.array(grid.levels)])
        # Magnitudes on a symmetric grid: signed and unsigned formats with one largest integer get one unit, so a join
        # of int8 and uint7 agrees.
        rounded = cast_to_grid(values, units, low=0, high=grid.high, mantissa_bits=grid.mantissa_bits)
        return flushed(rounded, grid.least)


def _least_error_unit(steps: _Steps, values: NDArray[np.float64], count: int) -> float:
    if steps.grid.levels is None:
        values = np.abs(values)
    largest = float(np.abs(values).max())
    best, best_error = math.nan, math.inf
    previous = math.nan
    for step in range(count, 0, -1):
        unit = steps.unit(largest * step / count)
        if unit == previous:
            continue
        previous = unit
        error = float(np.square(steps.integers(values, unit) * unit - values).mean())
        if error < best_error:
            best, best_error = unit, error
    return best
