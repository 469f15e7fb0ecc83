"""Devices by name or by the path of a file.

A device is a TOML file in which every number carries its source (see `hwmodels.device_files`). Built-in devices and a
user's own come in by the same door, `load_device`.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from hwmodels.device_files import DSPS, read_device, read_dsp
from hwmodels.device_files import FOLDER as _FOLDER
from hwmodels.device_parts import GATES, RESOURCES, Device, Resource, Technology
from hwmodels.dsp_mapping import DspKind, DspPacking
from hwmodels.toml_tables import DeviceError

__all__ = [
    "GATES",
    "RESOURCES",
    "Device",
    "DeviceError",
    "DspKind",
    "DspPacking",
    "Resource",
    "Technology",
    "device_names",
    "load_device",
    "load_dsp",
]


def device_names() -> tuple[str, ...]:
    """Names of the built-in devices."""
    return tuple(sorted((path.stem for path in _FOLDER.glob("*.toml")), key=str.lower))


def load_device(name_or_path: str | Path) -> Device:
    """A built-in device by its name (in any case), or one of your own by the path of its TOML file.

    Raises:
        DeviceError: if the name is unknown, the file is missing or its content is not valid.

    >>> load_device("xczu7ev").dsp.multiplications_per_dsp(8, 8)
    2
    >>> load_device("xc7z020").usable("luts")
    37240
    """
    text = str(name_or_path)
    built_in = {name.lower(): name for name in device_names()}.get(text.lower())
    path = _FOLDER / f"{built_in}.toml" if built_in else Path(name_or_path)
    if not path.is_file():
        raise DeviceError(_unknown(text))
    return read_device(path)


def load_dsp(kind: str) -> DspKind:
    """A kind of DSP by its name, whether or not a built-in device has it.

    Raises:
        DeviceError: if there is no such kind.

    >>> load_dsp("DSP58").summed(8, 8)
    3
    """
    known = {path.stem: path for path in sorted(DSPS.glob("*.toml"))}
    if kind not in known:
        raise DeviceError(f"unknown DSP {kind!r}: kinds are {', '.join(known)}")
    return read_dsp(known[kind])


def _unknown(text: str) -> str:
    known = device_names()
    if text.endswith(".toml") or "/" in text:
        return f"device file {text} does not exist: give the path of a TOML file or one of {', '.join(known)}"
    close = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown device {text!r}: {hint}Built-in devices are {', '.join(known)}; or give the path of a TOML file"
