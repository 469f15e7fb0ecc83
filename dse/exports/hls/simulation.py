"""Whether the project computes what the design promises: compiled with g++ and run on every vector.

The test bench is written anew from the manifest, so that the folder's sources are judged and do not judge themselves.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dse.exports.hls.ap_types import find_ap_types, missing_ap_types
from dse.exports.hls.project import write_test_bench
from dse.exports.processes import reason, run
from dse.exports.verification import Check, Difference, Outcome, Status

if TYPE_CHECKING:
    import subprocess

    from dse.exports.manifest import Manifest

COMPILER: Final = "g++"
_OPTIONS: Final = ("-std=c++14", "-O1", "-w")
_WITH_ALL_STACK: Final = ("sh", "-c", 'ulimit -s "$(ulimit -H -s)"; exec "$0" "$@"')
"""Streams between layers are arrays on the stack of the simulation."""


def simulate(manifest: Manifest, folder: Path) -> Outcome:
    """Compile the project in a folder of its own and run it.

    Args:
        manifest: the base folder.
        folder: of the project.
    """
    compiler, headers = shutil.which(COMPILER), find_ap_types()
    if compiler is None:
        text = f"{COMPILER} is not installed: the sources were not compiled (Debian package g++)"
        return Outcome(status=Status.NOT_VERIFIED, text=text)
    if headers is None:
        return Outcome(status=Status.NOT_VERIFIED, text=missing_ap_types())
    sources = folder.resolve()
    with tempfile.TemporaryDirectory(prefix="hls-") as name:
        scratch = Path(name)
        write_test_bench(manifest, scratch)
        program = str(scratch / "csim")
        places = (f"-I{sources}", f"-I{sources / 'layers'}", "-isystem", str(headers))
        # Both as one unit: the headers take most of the time.
        both = ("-include", str(sources / "top.cpp"), str(scratch / "tb.cpp"))
        compiled = run([compiler, *_OPTIONS, *places, "-o", program, *both], scratch)
        if compiled.returncode != 0:
            return Outcome(status=Status.FAILED, text=f"the sources do not compile: {reason(compiled)}")
        ran = run([*_WITH_ALL_STACK, program, str(manifest.folder.resolve())], scratch)
        version = run([compiler, "-dumpfullversion"], scratch).stdout.strip()
    return _judged(ran, f"{COMPILER} {version}")


def _judged(ran: subprocess.CompletedProcess[str], compiler: str) -> Outcome:
    """What the test bench printed: differences, and at the end how many numbers it compared."""
    lines = [line.split("\t") for line in ran.stdout.splitlines()]
    where = tuple(
        Difference(
            layer=line[1],
            vector=f"{line[2]} {line[3]}",
            element=int(line[4]),
            expected=_as_number(line[5]),
            got=_as_number(line[6]),
        )
        for line in lines
        if line[0] == "difference"
    )
    last = lines[-1] if lines else []
    if last[:1] != ["compared"]:
        return Outcome(status=Status.FAILED, text=f"the simulation stopped: {reason(ran)}", where=where)
    compared, different = int(last[1]), int(last[3])
    text = (
        f"compiled with {compiler}: {different} of {compared} numbers differ, of every layer alone, its casts alone, "
        "and the whole design"
    )
    good = different == 0 and compared > 0 and ran.returncode == 0
    return Outcome(status=Status.PASSED if good else Status.FAILED, text=text, where=where)


def _as_number(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text


CHECKS: Final = (Check(name="csim", run=simulate),)
