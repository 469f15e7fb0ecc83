"""Calibration: which real value one integer step of a tensor stands for.

Ranges come from calibration samples (activations) or from the weights themselves. Edges that meet in a join (residual
addition, concatenation) share one range, so that equal formats mean equal units and the join needs no rescaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.formats import FixedPoint, Format, Sign
from emulation.network import Add, Concat, Layer, Network
from emulation.quantisers import (
    AbsoluteMaximum,
    Granularity,
    Percentile,
    Quantiser,
    ScaledQuantiser,
    ScaleKind,
    Scaling,
    ZeroChannels,
    grid_of,
)

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


def scale_edge(quantiser: Quantiser, edge_range: EdgeRange) -> ScaledQuantiser:
    """Choose the unit of an edge (one for the whole tensor)."""
    unit = _unit(quantiser.format, quantiser.scaling, edge_range.values)
    return ScaledQuantiser(quantiser=quantiser, unit=np.array([unit]))


def fit_sign(number_format: Format, edge_range: EdgeRange) -> Format:
    """The unsigned integer of the same width for an edge that is never negative; any other format as it is."""
    if isinstance(number_format, FixedPoint) and not edge_range.is_signed:
        return FixedPoint(width=number_format.width, fraction_bits=number_format.fraction_bits, sign=Sign.UNSIGNED)
    return number_format


def scale_weights(quantiser: Quantiser, layer: Layer) -> ScaledQuantiser:
    """Choose the unit or units of a weight tensor, per tensor or per output channel.

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
    if scaling.granularity is Granularity.TENSOR or zero.all():
        values = rows if not zero.all() else np.ones((1, 1))
        return ScaledQuantiser(quantiser=quantiser, unit=np.array([_unit(quantiser.format, scaling, values)]))
    units = np.array(
        [
            math.nan if is_zero else _unit(quantiser.format, scaling, row)
            for row, is_zero in zip(rows, zero, strict=True)
        ]
    )
    units[zero] = np.nanmax(units)
    return ScaledQuantiser(quantiser=quantiser, unit=units)


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
    """The real value of one integer step for these values (not all zero)."""
    grid = grid_of(number_format, scaling.zero_point)
    if grid.high < 1:
        raise ValueError(
            f"{number_format} with zero point {scaling.zero_point} has no number above 0, so no range can be scaled "
            "to it: use a wider format or a smaller zero point"
        )
    magnitudes = np.abs(values.reshape(-1)).astype(np.float64)
    largest = float(magnitudes.max())
    rule = scaling.range_rule
    if isinstance(rule, AbsoluteMaximum):
        return _step(largest, grid.high, scaling)
    if isinstance(rule, Percentile):
        reach = float(np.percentile(magnitudes, rule.percent))
        return _step(reach if reach > 0 else largest, grid.high, scaling)
    return _least_error_unit(number_format, scaling, magnitudes, rule.steps)


def _least_error_unit(number_format: Format, scaling: Scaling, magnitudes: NDArray[np.float64], steps: int) -> float:
    from kernels.casts import cast_to_grid  # compiled: loaded when first needed

    # Magnitudes on a symmetric grid: signed and unsigned formats with one largest integer get one unit, so a join of
    # int8 and uint7 agrees.
    grid = grid_of(number_format, scaling.zero_point)
    largest = float(magnitudes.max())
    best, best_error = math.nan, math.inf
    previous = math.nan
    for step in range(steps, 0, -1):
        unit = _step(largest * step / steps, grid.high, scaling)
        if unit == previous:
            continue
        previous = unit
        integers = cast_to_grid(magnitudes, np.array([unit]), low=0, high=grid.high, mantissa_bits=grid.mantissa_bits)
        error = float(np.square(integers * unit - magnitudes).mean())
        if error < best_error:
            best, best_error = unit, error
    return best


def _step(reach: float, high: int, scaling: Scaling) -> float:
    """Unit with which the largest integer means ``reach``; rounded up to a power of two if the scaling asks for it."""
    unit = reach / high
    if scaling.kind is ScaleKind.POWER_OF_TWO:
        mantissa, exponent = math.frexp(unit)
        return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)
    return unit
