"""Where the headers of arbitrary-precision integers are: in no folder of ours, but on machines that build hardware."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = "ap_int.h"
VARIABLE: Final = "AP_TYPES"
"""Environment variable that names the folder of the headers."""
_VITIS: Final = ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO")
"""Environment variables that the settings of Vitis set; the headers are in their ``include``."""


def find_ap_types() -> Path | None:
    """The folder of ``ap_int.h``: the one that AP_TYPES names, that of an installed hls4ml, or that of Vitis.

    Returns:
        None if there is none; where AP_TYPES is set, no other place is looked at.
    """
    return next((folder for folder in _places() if (folder / HEADER).is_file()), None)


def missing_ap_types() -> str:
    """What to do where `find_ap_types` finds nothing."""
    named = os.environ.get(VARIABLE)
    if named:
        return f"{VARIABLE}={named} holds no {HEADER}: name the folder that does, or unset it"
    return f"{HEADER} was not found: pip install hls4ml (its wheel holds it), or set {VARIABLE} to its folder"


def _places() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        yield Path(named)
        return
    found = importlib.util.find_spec("hls4ml")
    if found is not None and found.origin is not None:
        yield Path(found.origin).parent / "templates" / "vivado" / "ap_types"
    yield from (Path(os.environ[name]) / "include" for name in _VITIS if name in os.environ)
