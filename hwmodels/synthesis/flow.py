"""What a synthesis flow is: units in, one outcome each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hwmodels.rtl.unit import Unit


class Status(Enum):
    """How a measurement ended."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a flow found of one unit.

    Attributes:
        status: only `Status.OK` has values.
        values: by column of the flow.
        message: why it failed.
    """

    status: Status
    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


class Flow(Protocol):
    """One way to measure units; its name is that of its file of rows."""

    @property
    def name(self) -> str:
        """Of the flow and its rows."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what it measures, with units where they have one."""
        ...

    @property
    def batch_size(self) -> int:
        """Units one process takes at most."""
        ...

    def tool(self) -> str:
        """Tools with versions and flags: rows of different tools are not compared.

        Raises:
            hwmodels.synthesis.tools.MissingToolError: if a tool is not installed.
        """
        ...

    def measure(self, units: Sequence[Unit], folder: Path, seconds: float) -> list[Mapping[str, float]]:
        """Values of each unit by column, in one go.

        Raises:
            hwmodels.synthesis.tools.ToolFailedError: if a tool fails on any of them.
            hwmodels.synthesis.tools.ToolTimeoutError: if it takes longer than ``seconds``.
        """
        ...
