"""A flow that is no tool: it measures the sum of the widths, and fails where a test wants it to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwmodels.rtl.families import unit
from hwmodels.synthesis.plan import Experiment
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, ToolTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hwmodels.rtl.unit import Unit


@dataclass
class Pretended:
    """Units of 7 bits fail, units of 9 bits take too long."""

    name: str = "pretended"
    columns: tuple[str, ...] = ("luts",)
    batch_size: int = 3
    version: str = "1"
    more_luts: float = 0
    batches: list[int] = field(default_factory=list)

    def tool(self) -> str:
        return f"pretended {self.version}"

    def measure(self, units: Sequence[Unit], folder: Path, seconds: float) -> list[Mapping[str, float]]:
        assert folder.is_dir()
        self.batches.append(len(units))
        widths = [found.parameters["a"] for found in units]
        if 7 in widths:
            raise ToolFailedError("cannot do 7")
        if 9 in widths:
            raise ToolTimeoutError(f"did not end within {seconds:g} s")
        return [{"luts": found.parameters["a"] + found.parameters["b"] + self.more_luts} for found in units]


@dataclass
class Missing(Pretended):
    """A flow whose tool nobody has installed."""

    name: str = "missing"

    def tool(self) -> str:
        raise MissingToolError("pip install nothing installs it")


def experiments(*widths: int) -> list[Experiment]:
    made = [unit("multiplier", {"a": width, "b": 3}) for width in widths]
    return [Experiment(flow="pretended", unit=found, seconds=2.0) for found in made]
