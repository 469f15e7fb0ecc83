"""The code in emulation/README.md about formats runs."""

from __future__ import annotations

import re
from pathlib import Path

import emulation


def test_the_example_runs_and_its_assertions_hold() -> None:
    text = (Path(emulation.__file__).parent / "README.md").read_text()
    found = re.search(r"## Formats without a network\n\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    names: dict[str, object] = {}
    exec(compile(found[1], "emulation/README.md", "exec"), names)  # noqa: S102 - our own text
    assert {"codes", "sums", "outputs"} <= set(names)
