"""What a family of units is: how it is generated, what it is made of, and which of its units are looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwmodels.rtl.unit import Unit

EDGE_BITS: Final = 2
"""Widths up to this one collapse into a few gates: such units are looked up, not fitted."""
EDGE_TABLE_BITS: Final = 3
"""A read-only table indexed by so many bits, 8 words, costs what its content makes of it: few different columns, shared
parts of them, columns that are constant in one half. Another content of the same size takes up to a third more or less,
so these are looked up as well, and estimated with an error of their own where they were not measured."""


class Pricing(Enum):
    """Where the price of a family's units comes from."""

    FITTED = "fitted"
    """A model fitted on its rows."""
    COMPOSED = "composed"
    """The sum of its parts' prices; its own rows are in no fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Units that differ in parameters alone.

    Attributes:
        generate: from the parameters, integers by name, to the unit.
        structure: from the same parameters to counts of what the unit is made of (bits of adders, of multiplexers, of
            comparators ...), the features of its cost model. It renders nothing and is fast.
        widths: parameters that are widths. The error of a model is that of rows left out by width: all rows one of
            whose ``widths`` equals w, for each w.
        formats: groups of parameters that name one format, such as exponent and mantissa bits: left out together.
        edges: parameters for which up to `EDGE_BITS` is an edge.
        coded_edges: parameters that count what a field of bits selects; up to `EDGE_BITS` such bits are an edge.
        table_edges: parameters by the greatest value that is an edge: sizes of read-only tables (`EDGE_TABLE_BITS`).
        pricing: whether its rows are fitted, or judge the sum of its parts.
    """

    generate: Callable[..., Unit]
    structure: Callable[..., Mapping[str, float]]
    widths: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = ()
    edges: tuple[str, ...] = ()
    coded_edges: tuple[str, ...] = ()
    table_edges: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    pricing: Pricing = Pricing.FITTED

    @property
    def edge_limits(self) -> tuple[tuple[str, int], ...]:
        """Parameters, each with the greatest value that makes a unit one of the small ones that are looked up."""
        widths = [(name, EDGE_BITS) for name in self.edges]
        coded = [(name, (1 << EDGE_BITS) - 1) for name in self.coded_edges]
        return (*widths, *coded, *self.table_edges.items())

    def edge_names(self, parameters: Mapping[str, int]) -> list[str]:
        """The parameters that make a unit one of the small ones that are looked up."""
        return [name for name, most in self.edge_limits if parameters[name] <= most]

    def is_edge(self, parameters: Mapping[str, int]) -> bool:
        """Whether a unit is one of the small ones that are looked up."""
        return bool(self.edge_names(parameters))
