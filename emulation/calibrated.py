"""A network with its ranges known: from here, naming formats is enough to get integers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emulation.calibration import EdgeRange, fit_sign, scale_edge, scale_weights
from emulation.compatibility import block_axis, edge_can_have, engine_can_use
from emulation.datapaths import Arithmetic, Requantisation
from emulation.engines import lower_engine
from emulation.formats import FixedPoint
from emulation.hardware import engine_bound
from emulation.lowering import Assignment, lower
from emulation.quantisers import Granularity, Quantiser, ScaledQuantiser, Scaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.formats import Format
    from emulation.hardware import HardwareNetwork
    from emulation.network import Network


_EXACT: Final = Arithmetic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalings:
    """How every tensor of a study is scaled and requantised; formats are chosen per tensor, this is not."""

    activation: Scaling = field(default_factory=Scaling)
    weight: Scaling = field(default_factory=lambda: Scaling(granularity=Granularity.CHANNEL))
    requantisation: Requantisation = field(default_factory=Requantisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """The formats of a whole design: one per edge, one per weight tensor (by layer name).

    ``engines`` holds the arithmetic of engines by layer name; a missing one multiplies and sums exactly.
    """

    edges: Mapping[str, Format]
    weights: Mapping[str, Format]
    engines: Mapping[str, Arithmetic] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Canonical text: two designs with one text compute the same numbers."""
        names = [{name: str(one) for name, one in formats.items()} for formats in (self.edges, self.weights)]
        unusual = {name: str(one) for name, one in self.engines.items() if one != Arithmetic()}
        return json.dumps([*names, unusual] if unusual else names, sort_keys=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedNetwork:
    """Network, ranges and scalings; scaled quantisers are computed once per tensor and format.

    ``own_edges`` and ``own_weights`` are quantisers that come with the network (trained with it, in a QONNX file): a
    tensor that gets the format of its own one is cast as that says, whatever its range.
    """

    network: Network
    ranges: Mapping[str, EdgeRange]
    scalings: Scalings
    own_edges: Mapping[str, ScaledQuantiser] = field(default_factory=dict)
    own_weights: Mapping[str, ScaledQuantiser] = field(default_factory=dict)
    _edges: dict[tuple[str, Format], ScaledQuantiser] = field(default_factory=dict, repr=False)
    _weights: dict[tuple[str, Format], ScaledQuantiser] = field(default_factory=dict, repr=False)

    def edge_format(self, edge: str, number_format: Format) -> Format:
        """The format as this edge uses it: unsigned integers where no value is negative, or its own of that width."""
        own = self.own_edges.get(edge)
        if own is not None and isinstance(own.format, FixedPoint) and isinstance(number_format, FixedPoint):
            shapes = [(one.width, one.fraction_bits) for one in (own.format, number_format)]
            if shapes[0] == shapes[1]:
                return own.format
        return fit_sign(number_format, self.ranges[edge])

    def edge(self, edge: str, number_format: Format) -> ScaledQuantiser:
        """The scaled quantiser of an edge."""
        own = self.own_edges.get(edge)
        if own is not None and own.format == number_format:
            return own
        key = (edge, number_format)
        if key not in self._edges:
            quantiser = Quantiser(format=number_format, scaling=self.scalings.activation)
            axis = 1 if block_axis(self.network, edge) == 0 else -1
            self._edges[key] = scale_edge(quantiser, self.ranges[edge], block_axis=axis)
        return self._edges[key]

    def weights(self, layer: str, number_format: Format) -> ScaledQuantiser:
        """The scaled quantiser of a layer's weights."""
        own = self.own_weights.get(layer)
        if own is not None and own.format == number_format:
            return own
        key = (layer, number_format)
        if key not in self._weights:
            quantiser = Quantiser(format=number_format, scaling=self.scalings.weight)
            self._weights[key] = scale_weights(quantiser, self.network.by_name[layer])
        return self._weights[key]

    @property
    def own_text(self) -> str:
        """Canonical text of the quantisers that came with the network; empty if there are none."""
        every = {**self.own_edges, **{f"{name} weights": one for name, one in self.own_weights.items()}}
        return "".join(repr((name, repr(one.quantiser), one.unit.tolist())) for name, one in every.items())

    def edge_can_have(self, edge: str, number_format: Format) -> bool:
        """Whether hardware mode defines this edge in this format (`emulation.compatibility`)."""
        return edge_can_have(self.network, edge, number_format)

    def engine_can_use(self, layer: str, activation: Format, weight: Format, arithmetic: Arithmetic = _EXACT) -> bool:
        """Whether hardware mode defines this engine with these operands and this arithmetic.

        ``weight`` is the right-hand activation's format where the engine multiplies two activations.
        """
        return engine_can_use(self.network.by_name[layer], activation, weight, arithmetic)

    def accumulator_bits(self, layer: str, activation: Format, weight: Format, arithmetic: Arithmetic = _EXACT) -> int:
        """Width of the accumulator of an engine with weights: its register's, or one that can never overflow.

        An exact accumulator is sized by the engine's real weights and the whole range of its activations.
        """
        target = self.network.by_name[layer]
        source = self.edge(self.network.input_edges(target)[0], activation)
        lowered = lower_engine(target, source, self.weights(layer, weight), arithmetic)
        return engine_bound(lowered.engine, lowered.weight, lowered.bias, source.grid.largest).bit_length() + 1

    def agree(self, first: tuple[str, Format], second: tuple[str, Format]) -> bool:
        """Whether two edges in these formats have one unit, so that their integers can be added as they are."""
        return bool(self.edge(*first).unit[0] == self.edge(*second).unit[0])

    def assignment(self, formats: Formats) -> Assignment:
        """The scaled quantisers of a design."""
        return Assignment(
            edges={edge: self.edge(edge, number_format) for edge, number_format in formats.edges.items()},
            weights={layer: self.weights(layer, number_format) for layer, number_format in formats.weights.items()},
            engines=formats.engines,
            requantisation=self.scalings.requantisation,
        )

    def lower(self, formats: Formats) -> HardwareNetwork:
        """The design with these formats in integers.

        Raises:
            ValueError: if an edge or a weight tensor has no format, or one that hardware mode does not define there.
        """
        return lower(self.network, self.assignment(formats))
