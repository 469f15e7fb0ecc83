"""A design: one option per layer, as formats and foldings, with what was predicted, proved and measured about it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from dse.errors import StudyError
from dse.menus import arithmetic_in_words
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.datapaths import parse_arithmetic
from emulation.formats import FixedPoint
from emulation.losses import Losses
from hwmodels.costs import Cost
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emulation.datapaths import Arithmetic
    from emulation.formats import Format


ARRAY: Final = "shared array"
"""Stands for a layer where parts are listed: the array of a shared engine, and all that is there once."""

OFFCHIP: Final = "memory off the chip"
"""Likewise: the pace that the bandwidth to memory off the chip allows."""


class DesignKind(Enum):
    """Where a design comes from."""

    FRONT = "front"
    """Chosen by the solver among all mixed designs."""
    UNIFORM = "uniform"
    """The cheapest folding of one weight and one activation format everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of a design: an engine, a join, a pool or an output stage, with its folding and its cost.

    Attributes:
        layer: the layer it belongs to.
        role: what it is: "engine", "join", "pool", "output" and so on, as `dse.options` names them.
        folding: of an engine, else None.
        lanes: values handled at once by anything that is no engine, else 0.
        cost: resources and cycles.
        loss: its share of the predicted loss, nats a sample.
    """

    layer: str
    role: str
    folding: Folding | None
    lanes: int
    cost: Cost
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the solver said about the objective it minimised first: its value in integers, dual bound and gap."""

    method: str
    status: str
    minimised: str
    objective: int
    bound: int
    gap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A whole design.

    ``edges`` and ``weights`` map edges and layers to formats, ``engines`` layers to arithmetics other than the default
    (exact products, exact sums). ``predicted_accuracy_change`` is against the float
    network. ``utilisation`` is the fullest resource's share of what the device lets a design use. ``validation`` and
    ``test`` are losses measured in hardware mode, None until then.
    """

    name: str
    kind: DesignKind
    edges: Mapping[str, Format]
    weights: Mapping[str, Format]
    engines: Mapping[str, Arithmetic] = field(default_factory=dict)
    parts: tuple[Part, ...]
    predicted_loss: float
    predicted_accuracy_change: float
    utilisation: float
    total: Cost
    interval_cycles: int
    latency_cycles: int
    proof: Proof
    validation: Losses | None = None
    test: Losses | None = None

    @property
    def formats(self) -> Formats:
        """The formats and arithmetics alone, which decide the numbers."""
        return Formats(edges=self.edges, weights=self.weights, engines=self.engines)

    @property
    def array(self) -> Folding | None:
        """The array that all multiplying layers share; None if each has an engine of its own."""
        return next((part.folding for part in self.parts if part.layer == ARRAY and part.folding is not None), None)

    @property
    def weights_in_words(self) -> str:
        """The weight formats, narrowest first: ``int4/8 e4m3fn``."""
        return _in_words(self.weights.values())

    @property
    def activations_in_words(self) -> str:
        """The edge formats, whatever their sign, without the edge of the result, whose format is no decision."""
        return _in_words(list(self.edges.values())[:-1])

    @property
    def arithmetic_in_words(self) -> str:
        """Products and accumulators other than the default, each once; empty if there are none."""
        return "; ".join(sorted({arithmetic_in_words(one) for one in self.engines.values()} - {""}))

    @property
    def summary(self) -> str:
        """All in one text: ``w int4/8, a int3/4 e4m3fn``, and arithmetics other than the default behind it."""
        arithmetic = f", by {self.arithmetic_in_words}" if self.arithmetic_in_words else ""
        return f"w {self.weights_in_words}, a {self.activations_in_words}{arithmetic}"

    @property
    def energy_in_words(self) -> str:
        """Energy and relative delay: ``6.88 nJ a sample, slowest stage 1.30 times an 8-bit multiplication``."""
        delay = self.total.relative_delay
        slowest = f", slowest stage {delay:.2f} times an 8-bit multiplication" if delay else ""
        return f"{self.total.energy_pj / 1e3:.4g} nJ a sample{slowest}"

    def replace(self, **changes: Any) -> Design:  # noqa: ANN401 - the fields have different types
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)


def _names(formats: Mapping[str, Format]) -> dict[str, str]:
    return {name: str(number_format) for name, number_format in formats.items()}


def _in_words(formats: Iterable[Format]) -> str:
    chosen = set(formats)
    integers = sorted({one.width for one in chosen if isinstance(one, FixedPoint) and one.fraction_bits == 0})
    others = sorted(str(one) for one in chosen if not (isinstance(one, FixedPoint) and one.fraction_bits == 0))
    words = ["int" + "/".join(map(str, integers))] if integers else []
    return " ".join(words + others)


def design_to_json(design: Design) -> dict[str, Any]:
    """A design as JSON values."""
    content = dataclasses.asdict(design)
    content |= {"kind": design.kind.value, "edges": _names(design.edges), "weights": _names(design.weights)}
    content["engines"] = {name: str(arithmetic) for name, arithmetic in design.engines.items()}
    for part, source in zip(content["parts"], design.parts, strict=True):
        if source.folding is not None:
            part["folding"] |= {
                "multipliers": source.folding.multipliers.value,
                "weight_memory": source.folding.weight_memory.value,
                "lanes_per_dsp": source.folding.lanes_per_dsp.value,
            }
    return content


def design_from_json(content: dict[str, Any]) -> Design:
    """The inverse of `design_to_json`."""
    fields = dict(content)
    try:
        fields["kind"] = DesignKind(content["kind"])
        for name in ("edges", "weights"):
            fields[name] = {key: parse(text) for key, text in content[name].items()}
        fields["engines"] = {key: parse_arithmetic(text) for key, text in content["engines"].items()}
        fields["parts"] = tuple(_part(part) for part in content["parts"])
        fields["total"] = _cost(content["total"])
        fields["proof"] = Proof(**content["proof"])
        for name in ("validation", "test"):
            fields[name] = None if content[name] is None else Losses(**content[name])
        return Design(**fields)
    except (KeyError, TypeError) as error:
        raise StudyError(f"a stored design cannot be read ({error}): run `bitfront front` again") from error


def _part(content: dict[str, Any]) -> Part:
    folding = content["folding"]
    if folding is not None:
        folding = Folding(
            pe=folding["pe"],
            simd=folding["simd"],
            multipliers=MultiplierStyle(folding["multipliers"]),
            weight_memory=MemoryStyle(folding["weight_memory"]),
            lanes_per_dsp=LanesPerDsp(folding["lanes_per_dsp"]),
        )
    return Part(**(content | {"folding": folding, "cost": _cost(content["cost"])}))


def _cost(content: dict[str, Any]) -> Cost:
    return Cost(**(content | {name: tuple(content[name]) for name in ("out_of_range", "sources")}))
