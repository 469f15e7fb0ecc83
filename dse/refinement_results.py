"""What refining predicted losses found out: audit, pairs, rounds, and the corrected table; as JSON in the study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from dse.audit import Audit
from dse.confidence import Band
from dse.errors import StudyError
from dse.interactions import PairTest
from dse.sweep import LossTable, Pair, Place, PlaceKind
from emulation.catalogue import parse
from emulation.datapaths import parse_arithmetic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: a front solved on the losses known then, and measured.

    Attributes:
        designs: on the front.
        unseen: assignments of formats among them that had not been measured before; the rest judges these.
        spearman: of predicted and measured loss over the unseen; NaN below three.
        useful_spearman: over those of them within two points of the float network's accuracy.
        useful: how many those are.
        ratio: measured over predicted loss of the unseen, the median.
        dominated: designs that measurement shows dominated by another of the front, beyond noise.
        hypervolume: of the measured front, 0 to 1, in the box of the first round's front (loss and interval as
            logarithms).
        fitted_on: designs the losses of the next round were fitted on.
        strength: variance of the deviations from the measured table that cross-validation chose.
        error: relative error of the fit in cross-validation, root mean square.
        table_error: the same with the table merely scaled.
        seconds: solving and measuring.
    """

    designs: int
    unseen: int
    spearman: float
    useful_spearman: float
    useful: int
    ratio: float
    dominated: int
    hypervolume: float
    fitted_on: int
    strength: float
    error: float
    table_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """Losses corrected by measurement, and the way there.

    Attributes:
        key: of the settings and data it belongs to.
        audit: the metrics on designs drawn at random, None if there was no audit.
        pair_tests: pairs of places tested for additivity.
        pairs_used: whether the table has terms of pairs.
        rounds: one per front solved and measured.
        stopped: why there were no more rounds.
        table: the losses, nats on validation data.
    """

    key: str
    audit: Audit | None
    pair_tests: tuple[PairTest, ...]
    pairs_used: bool
    rounds: tuple[Round, ...]
    stopped: str
    table: LossTable

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "key": self.key,
            "audit": None if self.audit is None else self.audit.to_json(),
            "pair_tests": [asdict(one) for one in self.pair_tests],
            "pairs_used": self.pairs_used,
            "rounds": [asdict(one) for one in self.rounds],
            "stopped": self.stopped,
            "table": table_to_json(self.table),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            StudyError: if the content was written by another version of this class.
        """
        try:
            return cls(
                key=content["key"],
                audit=None if content["audit"] is None else Audit.from_json(content["audit"]),
                pair_tests=tuple(
                    PairTest(**(one | {"formats": tuple(one["formats"])})) for one in content["pair_tests"]
                ),
                pairs_used=content["pairs_used"],
                rounds=tuple(Round(**one) for one in content["rounds"]),
                stopped=content["stopped"],
                table=table_from_json(content["table"]),
            )
        except (KeyError, TypeError) as error:
            raise StudyError(f"stored corrections cannot be read ({error}): run `bitfront explore` again") from error


def table_to_json(table: LossTable) -> dict[str, Any]:
    """A loss table as JSON values: rows of names and a number."""
    return {
        "edges": [[edge, str(one), value] for (edge, one), value in table.edges.items()],
        "engines": [[key[0], *map(str, key[1:]), value] for key, value in table.engines.items()],
        "pairs": [
            {
                "places": [[place.kind.value, place.name] for place in (pair.first, pair.second)],
                "values": [[str(first), str(second), value] for (first, second), value in values.items()],
            }
            for pair, values in table.pairs.items()
        ],
        "exponent": table.exponent,
    }


def table_from_json(content: Mapping[str, Any]) -> LossTable:
    """The inverse of `table_to_json`."""
    pairs = {}
    for one in content["pairs"]:
        first, second = (Place(kind=PlaceKind(kind), name=name) for kind, name in one["places"])
        values = {(parse(left), parse(right)): value for left, right, value in one["values"]}
        pairs[Pair(first=first, second=second)] = values
    return LossTable(
        edges={(edge, parse(text)): value for edge, text, value in content["edges"]},
        engines={
            (layer, parse(activation), parse(second), parse_arithmetic(arithmetic)): value
            for layer, activation, second, arithmetic, value in content["engines"]
        },
        pairs=pairs,
        exponent=content["exponent"],
    )


def stored_refinement(store: Store, key: str) -> Refinement | None:
    """What a study keeps, if it belongs to these settings."""
    content = store.get("refinement")
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    try:
        return Refinement.from_json(content)
    except StudyError:  # written by another version: to be found out again
        return None


def keep_bands(store: Store, key: str, bands: tuple[Band, ...]) -> None:
    """Keep the bands of a front, whose key is given."""
    store.put("bands", {"key": key, "bands": [one.to_json() for one in bands]})


def stored_bands(store: Store, key: str) -> tuple[Band, ...] | None:
    """The bands a study keeps of a front; None if it has none of this one."""
    content = store.get("bands")
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    return tuple(Band.from_json(one) for one in content["bands"])
