"""Progress bars with time left, on standard error, shown only where a person can see them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    Item = TypeVar("Item")


class SolverCount(Protocol):
    """Anything that knows how many solver calls were made."""

    @property
    def solves(self) -> int:
        """Solver calls so far."""


def progress_bar() -> Progress:
    """A bar with description, count, time passed and time left; nothing is drawn if standard error is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("passed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def tracked(items: Iterable[Item], *, description: str, total: int) -> Iterator[Item]:
    """Pass items on while a bar counts them."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            progress.advance(task)
            yield item


@contextmanager
def solver_progress(most_solves: int) -> Iterator[Callable[[SolverCount], None]]:
    """A bar that counts solver calls; the callback takes whatever reports ``solves`` so far."""
    with progress_bar() as progress:
        task = progress.add_task("front", total=most_solves)

        def show(state: SolverCount) -> None:
            progress.update(task, completed=state.solves)

        yield show


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say what is going on while it lasts, for steps of some seconds that have nothing to count."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
