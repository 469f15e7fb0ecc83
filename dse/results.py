"""The result of an exploration as it is kept in a study: front, uniform rivals, and what was learned comparing them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dse.comparison import Pace, PairedInterval, Saving, mark_nondominated
from dse.designs import Design, design_from_json, design_to_json
from dse.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSaving:
    """A saving with the accuracies of both designs compared on the test set."""

    saving: Saving
    test: PairedInterval

    def describe(self) -> str:
        """The saving in one sentence."""
        mixed, uniform, test = self.saving.mixed, self.saving.uniform, self.test
        return (
            f"{self.saving.ratio:.1%} of the utilisation ({mixed.name}: {mixed.utilisation:.2%}, {uniform.name} "
            f"{uniform.summary}: {uniform.utilisation:.2%}; intervals {mixed.interval_cycles} and "
            f"{uniform.interval_cycles} cycles); test accuracy {100 * test.difference:+.2f} points, paired "
            f"95 % interval {100 * test.low:+.2f} to {100 * test.high:+.2f}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontResult:
    """What `bitfront front` and `bitfront measure` leave behind.

    ``designs`` are the solver's, cheapest first; ``uniform`` the rivals; measured fields are filled in by measuring.
    ``pace`` is what designs compete by beside utilisation and loss.
    """

    key: str
    designs: tuple[Design, ...]
    uniform: tuple[Design, ...] = ()
    complete: bool
    why_incomplete: str
    solves: int
    solve_seconds: float
    float_validation_accuracy: float | None = None
    float_test_accuracy: float | None = None
    rank_correlation: float = float("nan")
    savings: tuple[MeasuredSaving, ...] = field(default=())
    pace: Pace = Pace.INTERVAL

    @property
    def is_measured(self) -> bool:
        """Whether every design was executed on validation and test data."""
        return self.float_test_accuracy is not None

    @property
    def nondominated(self) -> frozenset[str]:
        """Names of the designs that no other measured one, mixed or uniform, beats (see `mark_nondominated`).

        Before anything is measured these are all: by predicted loss no design of a front beats another.
        """
        if not self.is_measured:
            return frozenset(one.name for one in self.designs)
        everything = (*self.designs, *self.uniform)
        marks = mark_nondominated(everything, by=self.pace)
        return frozenset(one.name for one, flag in zip(everything, marks, strict=True) if flag)

    def design(self, which: str | int) -> Design:
        """A design by name or number (``"d07"`` or ``"7"``), or one of the front by its position from 0.

        Raises:
            StudyError: if there is none.
        """
        if isinstance(which, int) and 0 <= which < len(self.designs):
            return self.designs[which]
        for design in (*self.designs, *self.uniform):
            if design.name == which:
                return design
        for design in self.designs:
            if isinstance(which, str) and which.isdecimal() and design.name == f"d{int(which):02d}":
                return design
        names = ", ".join(one.name for one in self.designs)
        raise StudyError(f"there is no design {which!r}: the front has {names}, positions 0 to {len(self.designs) - 1}")

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "key": self.key,
            "designs": [design_to_json(design) for design in self.designs],
            "uniform": [design_to_json(design) for design in self.uniform],
            "complete": self.complete,
            "why_incomplete": self.why_incomplete,
            "solves": self.solves,
            "solve_seconds": self.solve_seconds,
            "float_validation_accuracy": self.float_validation_accuracy,
            "float_test_accuracy": self.float_test_accuracy,
            "rank_correlation": self.rank_correlation,
            "savings": [
                {
                    "mixed": measured.saving.mixed.name,
                    "uniform": measured.saving.uniform.name,
                    "difference": measured.test.difference,
                    "low": measured.test.low,
                    "high": measured.test.high,
                }
                for measured in self.savings
            ],
            "pace": self.pace.value,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FrontResult:
        """The inverse of `to_json`.

        Raises:
            StudyError: if the content was written by another version of this class.
        """
        try:
            return cls._read(content)
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(f"a stored front cannot be read ({error}): run `bitfront front` again") from error

    @classmethod
    def _read(cls, content: dict[str, Any]) -> FrontResult:
        designs = tuple(design_from_json(one) for one in content["designs"])
        uniform = tuple(design_from_json(one) for one in content["uniform"])
        by_name = {design.name: design for design in (*designs, *uniform)}
        savings = tuple(
            MeasuredSaving(
                saving=Saving(mixed=by_name[one["mixed"]], uniform=by_name[one["uniform"]]),
                test=PairedInterval(difference=one["difference"], low=one["low"], high=one["high"]),
            )
            for one in content["savings"]
        )
        pace = Pace(content["pace"])
        return cls(**(content | {"designs": designs, "uniform": uniform, "savings": savings, "pace": pace}))


@dataclass(frozen=True, eq=False)
class Front:
    """The designs of a study's front, cheapest first: a sequence with a data frame."""

    result: FrontResult
    frame: pd.DataFrame
    """A row per design, as in front.csv."""

    def __len__(self) -> int:
        return len(self.result.designs)

    def __getitem__(self, index: int) -> Design:
        return self.result.designs[index]

    def _repr_html_(self) -> str:
        columns = ["design", "name", "measured_loss", "validation_accuracy", "utilisation", "frames_per_second"]
        return str(self.frame[columns].to_html(index=False, float_format="{:.4g}".format))
