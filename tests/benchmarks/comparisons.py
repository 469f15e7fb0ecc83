"""How benchmarks compare and are shown: jobs that take turns, medians of processor time, peak memory, pages."""

from __future__ import annotations

import ctypes
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray


PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "published"


class Comparison(NamedTuple):
    """Two medians in seconds, for the same amount of work."""

    name: str
    seconds: float
    peer: str
    peer_seconds: float
    required: float | None = None
    """The ratio it has to reach, None where nothing was asked."""

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.peer_seconds / self.seconds

    @property
    def is_met(self) -> bool:
        """Whether the ratio is what was asked for."""
        return self.required is None or self.ratio >= self.required


class Memory(NamedTuple):
    """Peak memory of a call beyond what was allocated before it, its result included."""

    name: str
    extra_bytes: int
    result_bytes: int
    operands: str
    """What the operands are counted in."""
    operand_bytes: int

    @property
    def ratio(self) -> float:
        """What is neither operand nor result, in units of the operands."""
        return max(self.extra_bytes - self.result_bytes, 0) / self.operand_bytes


class Scaling(NamedTuple):
    """Wall seconds with one thread and with two."""

    name: str
    one: float
    two: float

    @property
    def speed_up(self) -> float:
        """One thread's time over two threads'."""
        return self.one / self.two


def medians(jobs: list[Callable[[], object]], runs: int = 9) -> list[float]:
    """Median processor seconds of jobs that take turns, after one round that compiles and warms up."""
    for job in jobs:
        job()
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(runs):
        for job, taken in zip(jobs, times, strict=True):
            started = time.process_time()
            job()
            taken.append(time.process_time() - started)
    return [statistics.median(taken) for taken in times]


def compare(
    name: str,
    ours: Callable[[], object],
    peer: str,
    theirs: Callable[[], object],
    *,
    required: float | None = None,
    runs: int = 9,
) -> Comparison:
    """Our job and a peer's."""
    seconds, peer_seconds = medians([ours, theirs], runs)
    return Comparison(name, seconds, peer, peer_seconds, required)


def peak_memory(name: str, job: Callable[[], NDArray[Any]], operands: str, operand_bytes: int) -> Memory:
    """Peak resident memory of a call, by the kernel's own high-water mark (Linux, glibc)."""
    job()
    ctypes.CDLL(None).malloc_trim(0)  # else freed memory that is kept for later would hide what the call takes
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the mark
    before = kibibytes("VmRSS")
    result = job()
    extra = (kibibytes("VmHWM") - before) * 1024
    return Memory(name, max(extra, 0), result.nbytes, operands, operand_bytes)


def kibibytes(field: str) -> int:
    """A field of this process's status, such as its peak memory ``VmHWM``: its own, unlike what getrusage says."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def scaling(name: str, halves: list[Callable[[], object]], *, repeats: int = 20, runs: int = 9) -> Scaling:
    """Two halves of a job one after the other, and in two threads; medians of wall time.

    Each thread repeats its half, because a single short job is over before a second processor has woken up.
    """

    def repeated(half: Callable[[], object]) -> None:
        for _ in range(repeats):
            half()

    with ThreadPoolExecutor(len(halves)) as pool:

        def together() -> None:
            for done in [pool.submit(repeated, half) for half in halves]:
                done.result()

        def in_turn() -> None:
            for half in halves:
                repeated(half)

        times: tuple[list[float], list[float]] = ([], [])
        for job in (in_turn, together):
            job()
        for _ in range(runs):
            for job, taken in zip((in_turn, together), times, strict=True):
                started = time.perf_counter()
                job()
                taken.append(time.perf_counter() - started)
    one, two = (statistics.median(taken) / repeats for taken in times)
    return Scaling(name, one, two)


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and torch on one thread."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]


def write_page(path: Path, lines: list[str]) -> None:
    """A page, on disk and on the terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    sys.stdout.write("\n".join([*lines, "", ""]))
