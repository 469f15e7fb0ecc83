"""Running tools: what they say, how long they may take, and the processor time they took."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hwmodels.synthesis.flows import FLOWS, missing_tools
from hwmodels.synthesis.tools import ToolFailedError, ToolTimeoutError, metered, run
from tests.hwmodels.synthesis.pretended import Missing, Pretended

if TYPE_CHECKING:
    from pathlib import Path

BUSY = "import time; end = time.process_time() + {0}\nwhile time.process_time() < end: pass"


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_what_a_tool_prints(tmp_path: Path) -> None:
    assert run(python("import os; print(os.getcwd())"), folder=tmp_path, seconds=20).strip() == str(tmp_path)


def test_more_output_than_a_pipe_holds(tmp_path: Path) -> None:
    program = "import sys; sys.stderr.write('e' * 300000); print('o' * 300000)"
    assert len(run(python(program), folder=tmp_path, seconds=20)) == 300001


def test_a_tool_that_fails_is_named_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match=r"^python[\d.]* failed: ERROR: no such thing$"):
        run(python("print('ERROR: no such thing'); raise SystemExit(3)"), folder=tmp_path, seconds=20)
    with pytest.raises(ToolFailedError, match=r"^json failed: .*worse$"):
        run(python("import sys, json; sys.exit('worse')"), folder=tmp_path, seconds=20)


def test_a_tool_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    program = f"import time, pathlib\ntime.sleep(3)\npathlib.Path({str(marker)!r}).write_text('alive')"
    started = time.monotonic()
    with pytest.raises(ToolTimeoutError, match=r"^python[\d.]* did not end within 0\.3 s$"):
        run(python(program), folder=tmp_path, seconds=0.3)
    assert time.monotonic() - started < 2.5
    time.sleep(3)
    assert not marker.exists()


def test_processor_time_is_of_the_tools_of_this_thread(tmp_path: Path) -> None:
    found: dict[str, float] = {}

    def work(name: str, seconds: float) -> None:
        with metered() as meter:
            run(python(BUSY.format(seconds)), folder=tmp_path, seconds=60)
            found[name] = meter.seconds

    threads = [threading.Thread(target=work, args=one) for one in (("short", 0.1), ("long", 1.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.1 <= found["short"] < 0.9
    assert 1.0 <= found["long"] < 1.9


def test_sleeping_takes_no_processor_time(tmp_path: Path) -> None:
    with metered() as meter:
        run(python("import time; time.sleep(1.5)"), folder=tmp_path, seconds=60)
    assert meter.seconds < 1.0


def test_missing_tools_by_flow() -> None:
    assert missing_tools([Pretended(), Missing()]) == {"missing": "pip install nothing installs it"}


def test_flows_are_known_by_their_own_names() -> None:
    assert set(FLOWS) == {"xcup", "xc7", "xcup-dsp", "ecp5", "osu018"}
    assert all(flow.name == name for name, flow in FLOWS.items())
