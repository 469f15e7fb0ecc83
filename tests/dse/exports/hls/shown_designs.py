"""Designs of the published front of digits, and drawn ones of larger and smaller networks, simulated in C++.

``python -m tests.dse.exports.hls.shown_designs`` exports and simulates all of them, and prints the processor time that
each took.
"""

from __future__ import annotations

import csv
import json
import re
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dse.exports.hls.simulation import simulate
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.stimuli import spread
from dse.exports.verification import Status
from emulation.calibrated import Formats
from emulation.catalogue import parse
from tests.dse.conftest import make_bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.designs import Design
    from tests.dse.conftest import Bench

FRONT = Path(__file__).parents[4] / "reports" / "published" / "digits" / "front.csv"
MOST = 40


def published(found: Bench, most: int) -> Iterator[Design]:
    """Designs of the front, evenly chosen, in the formats that were published and with foldings drawn for them."""
    with FRONT.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "front" and row["assignment"]]
    for place in spread(len(rows), most):
        edges, weights, *rest = json.loads(rows[place]["assignment"])
        assert not any(rest)
        formats = Formats(
            edges={edge: parse(one) for edge, one in edges.items()},
            weights={layer: parse(one) for layer, one in weights.items()},
        )
        yield found.design(place, formats)


def bench_of(workload: str) -> Bench:
    """A bench with the menus that a study has by itself."""
    return make_bench(workload, formats={}, front={"max_lanes": 16}, device={"min_fps": 0.0})


def designs_of(workload: str, most: int) -> tuple[Bench, list[Design]]:
    """A bench and some designs of it."""
    found = bench_of(workload)
    if workload == "digits":
        return found, list(published(found, most))
    return found, [found.design(seed) for seed in range(most)]


def main() -> int:
    """Simulate all designs; 1 if a number differs."""
    wrong = 0
    for workload, most in (("digits-mlp", 5), ("digits", MOST), ("digits-deep", 5)):
        found, designs = designs_of(workload, most)
        for design in designs:
            folder = Path(tempfile.mkdtemp()) / "out"
            start = time.process_time()
            export_design(found.prepared, found.tables.device, design, folder, targets=["hls"])
            exported, before = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
            outcome = simulate(Manifest.read(folder), folder / "hls")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            shutil.rmtree(folder.parent)
            wrong += outcome.status is not Status.PASSED
            counted = re.search(r"\d+ of \d+ numbers differ", outcome.text)
            spent = after.ru_utime - before.ru_utime
            sys.stdout.write(
                f"{workload} {design.name}: export {exported - start:.1f} s, csim {spent:.1f} s, "
                f"{counted[0] if counted else outcome.text} ({design.summary})\n"
            )
            sys.stdout.flush()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
