"""Devices as data: what a part has, how much of it a design may use, and how its DSPs pack multiplications.

A device is a TOML file in which every number carries its source. Built-in devices and a user's own come in by the same
door, `load_device`.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RESOURCES: Final = ("luts", "flip_flops", "dsps", "bram18s", "urams")
"""The resources a cost counts. Block RAM is counted in halves of 18 kbit; device files give blocks of 36 kbit."""

_FILE_RESOURCES: Final = ("luts", "flip_flops", "bram36s", "urams", "dsps")
_FOLDER: Final = Path(__file__).parent / "devices"


class DeviceError(ValueError):
    """A device that is unknown or whose file is not valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DspPacking:
    """Several multiplications that share one operand in one DSP, up to these operand widths (in either order)."""

    max_wide_bits: int
    max_narrow_bits: int
    multiplications: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DspKind:
    """One DSP slice: its signed multiplier's operand widths and the exact packings it allows."""

    kind: str
    wide_bits: int
    narrow_bits: int
    accumulator_bits: int
    packings: tuple[DspPacking, ...]
    source: str

    def multiplications_per_dsp(self, first_bits: int, second_bits: int) -> int:
        """Multiplications that share an operand in one DSP; 0 if the operands do not fit its multiplier."""
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        packed = [
            packing.multiplications
            for packing in self.packings
            if wide <= packing.max_wide_bits and narrow <= packing.max_narrow_bits
        ]
        fits = wide <= self.wide_bits and narrow <= self.narrow_bits
        return max(packed, default=1 if fits else 0)

    def tiles(self, first_bits: int, second_bits: int) -> int:
        """DSPs of one multiplication of any width: both operands cut into pieces of the port width less a sign bit."""
        wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
        wide_pieces = max(1, -(-(wide - 1) // (self.wide_bits - 1)))
        narrow_pieces = max(1, -(-(narrow - 1) // (self.narrow_bits - 1)))
        return wide_pieces * narrow_pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How many of one resource a device has and the share of them a design may use."""

    count: int
    usable_share: Fraction
    source: str
    verified: bool

    @property
    def usable(self) -> int:
        """How many a design may use."""
        return int(self.count * self.usable_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An FPGA part.

    Attributes:
        resources: by the names in `RESOURCES`; block RAM in halves of 18 kbit.
        clock_mhz: a clock that designs typically reach; the study decides the real one.
    """

    name: str
    family: str
    board: str
    lut_inputs: int
    clock_mhz: int
    clock_source: str
    resources: Mapping[str, Resource]
    share_source: str
    dsp: DspKind

    def available(self, resource: str) -> int:
        """How many of a resource the part has."""
        return self._resource(resource).count

    def usable(self, resource: str) -> int:
        """How many of a resource a design may use.

        >>> load_device("xc7z020").usable("luts")
        37240
        """
        return self._resource(resource).usable

    @property
    def unverified(self) -> tuple[str, ...]:
        """Resources whose count has not been checked against the data sheet."""
        return tuple(name for name, resource in self.resources.items() if not resource.verified)

    def _resource(self, name: str) -> Resource:
        if name not in self.resources:
            raise DeviceError(f"a device has no resource {name!r}: use one of {', '.join(self.resources)}")
        return self.resources[name]


def device_names() -> tuple[str, ...]:
    """Names of the built-in devices."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_device(name_or_path: str | Path) -> Device:
    """A built-in device by its name, or one of your own by the path of its TOML file.

    Raises:
        DeviceError: if the name is unknown, the file is missing or its content is not valid.

    >>> load_device("xczu7ev").dsp.multiplications_per_dsp(8, 8)
    2
    """
    text = str(name_or_path)
    path = _FOLDER / f"{text}.toml" if text in device_names() else Path(name_or_path)
    if not path.is_file():
        raise DeviceError(_unknown(text))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Fraction)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviceError(f"device file {path.name} is not valid TOML: {error}") from error
    return _Reader(path.name).device(content)


def _unknown(text: str) -> str:
    known = device_names()
    if text.endswith(".toml") or "/" in text:
        return f"device file {text} does not exist: give the path of a TOML file or one of {', '.join(known)}"
    close = difflib.get_close_matches(text.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown device {text!r}: {hint}Built-in devices are {', '.join(known)}; or give the path of a TOML file"


class _Reader:
    """Checks a parsed device file; every error names the file and the key."""

    def __init__(self, file: str) -> None:
        self._file = file

    def device(self, content: dict[str, Any]) -> Device:
        scalars = ("name", "family", "board", "lut_inputs", "clock_mhz", "clock_source")
        self._check_keys(content, (*scalars, "resources", "usable_share", "dsp"), "")
        shares = self._table(content, "usable_share", "")
        self._check_keys(shares, ("source", *_FILE_RESOURCES), "usable_share")
        counts = self._table(content, "resources", "")
        self._check_keys(counts, _FILE_RESOURCES, "resources")
        resources = {}
        for name in _FILE_RESOURCES:
            blocks = 2 if name == "bram36s" else 1
            resource = self._resource(self._table(counts, name, "resources"), name, self._share(shares, name), blocks)
            resources["bram18s" if name == "bram36s" else name] = resource
        return Device(
            name=self._text(content, "name", ""),
            family=self._text(content, "family", ""),
            board=self._text(content, "board", ""),
            lut_inputs=self._integer(content, "lut_inputs", "", 4),
            clock_mhz=self._integer(content, "clock_mhz", "", 1),
            clock_source=self._text(content, "clock_source", ""),
            resources={name: resources[name] for name in RESOURCES},
            share_source=self._text(shares, "source", "usable_share"),
            dsp=self._dsp(self._table(content, "dsp", "")),
        )

    def _resource(self, table: dict[str, Any], name: str, share: Fraction, blocks: int) -> Resource:
        where = f"resources.{name}"
        self._check_keys(table, ("count", "source", "verified"), where)
        verified = table["verified"]
        if not isinstance(verified, bool):
            raise self._error(f"{where}.verified", verified, "true or false")
        count = blocks * self._integer(table, "count", where, 0)
        return Resource(count=count, usable_share=share, source=self._text(table, "source", where), verified=verified)

    def _dsp(self, table: dict[str, Any]) -> DspKind:
        numbers = ("wide_bits", "narrow_bits", "accumulator_bits")
        self._check_keys({"packing": [], **table}, ("kind", *numbers, "source", "packing"), "dsp")
        packings = table.get("packing", [])
        if not isinstance(packings, list):
            raise self._error("dsp.packing", packings, "a list of [[dsp.packing]] tables")
        widths = {name: self._integer(table, name, "dsp", 2) for name in numbers}
        return DspKind(
            kind=self._text(table, "kind", "dsp"),
            packings=tuple(self._packing(packing) for packing in packings),
            source=self._text(table, "source", "dsp"),
            **widths,
        )

    def _packing(self, table: dict[str, Any]) -> DspPacking:
        numbers = ("max_wide_bits", "max_narrow_bits", "multiplications")
        self._check_keys(table, (*numbers, "source"), "dsp.packing")
        values = {name: self._integer(table, name, "dsp.packing", 1) for name in numbers}
        return DspPacking(source=self._text(table, "source", "dsp.packing"), **values)

    def _check_keys(self, table: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
        place = f"[{where}]" if where else "the top level"
        unknown = sorted(set(table) - set(allowed))
        if unknown:
            raise DeviceError(
                f"device file {self._file}: unknown key {unknown[0]!r} in {place}; allowed are {', '.join(allowed)}"
            )
        missing = [key for key in allowed if key not in table]
        if missing:
            raise DeviceError(f"device file {self._file}: {place} has no {missing[0]!r}: add it")

    def _table(self, table: dict[str, Any], key: str, where: str) -> dict[str, Any]:
        if not isinstance(table[key], dict):
            raise self._error(_join(where, key), table[key], "a table")
        return dict(table[key])

    def _text(self, table: dict[str, Any], key: str, where: str) -> str:
        if not isinstance(table[key], str) or not table[key].strip():
            raise self._error(_join(where, key), table[key], "a text that is not empty")
        return str(table[key])

    def _integer(self, table: dict[str, Any], key: str, where: str, low: int) -> int:
        value = table[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self._error(_join(where, key), value, f"a whole number of at least {low}")
        return value

    def _share(self, table: dict[str, Any], key: str) -> Fraction:
        value = table[key]
        if isinstance(value, bool) or not isinstance(value, (int, Fraction)) or not 0 < value <= 1:
            raise self._error(f"usable_share.{key}", value, "a number above 0 and at most 1")
        return Fraction(value)

    def _error(self, key: str, value: object, allowed: str) -> DeviceError:
        given = float(value) if isinstance(value, Fraction) else value
        return DeviceError(f"device file {self._file}: {key} must be {allowed}, got {given!r}")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
