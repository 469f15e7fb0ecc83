"""Rebuild ``reports/published/hardware.md`` and its figures from the committed rows and models; nothing is measured.

Run as ``python -m dse.publish_hardware FOLDER`` (``make reports`` does).
"""

from __future__ import annotations

import sys
from pathlib import Path

from dse.hardware_evidence import hardware_data
from reports.hardware_page import write_hardware_page


def publish_hardware(folder: Path) -> tuple[Path, ...]:
    """Write the page into ``folder``, which is made if need be.

    Raises:
        StudyError: if rows or models are missing or cannot be read.
    """
    data = hardware_data()
    folder.mkdir(parents=True, exist_ok=True)
    return write_hardware_page(data, folder)


if __name__ == "__main__":
    publish_hardware(Path(sys.argv[1]))
