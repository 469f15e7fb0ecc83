"""Plant the faults of `tests.mutation.faults` one by one in a copy of the tree; every one must make its tests fail.

    python -m tests.mutation.mutate [NAME ...]

Exit code 1 if a fault survives. Takes some minutes: compiled kernels are compiled anew for each fault.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("dse", "emulation", "hwmodels", "kernels", "reports", "tests", "pyproject.toml")


def main(names: list[str]) -> int:
    """Run the faults with these names (all if there are none); the exit code."""
    unknown = sorted(set(names) - {fault.name for fault in FAULTS})
    if unknown:
        print(f"no fault is called {', '.join(unknown)}: there are {', '.join(fault.name for fault in FAULTS)}")
        return 2
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name)
            else:
                shutil.copy2(source, tree / name)
        suites = sorted({test for fault in chosen for test in fault.tests})
        if _fails(tree, suites):
            print("the tests fail without any fault: nothing can be said about faults")
            return 2
        for fault in chosen:
            started = time.perf_counter()
            caught = _caught(tree, fault)
            seconds = time.perf_counter() - started
            print(f"{'caught' if caught else 'SURVIVED':8}  {seconds:5.1f} s  {fault.name}: {fault.what}", flush=True)
            if not caught:
                survivors.append(fault.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults caught")
    return 1 if survivors else 0


def _caught(tree: Path, fault: Fault) -> bool:
    path = tree / fault.file
    original = path.read_text(encoding="utf-8")
    path.write_text(fault.plant(original), encoding="utf-8")
    try:
        return _fails(tree, fault.tests)
    finally:
        path.write_text(original, encoding="utf-8")


def _fails(tree: Path, tests: tuple[str, ...] | list[str]) -> bool:
    # The copy stands before the installed packages; what Numba compiled is kept apart, since it looks at dates only.
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "NUMBA_CACHE_DIR": cache, "CI": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {', '.join(tests)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
