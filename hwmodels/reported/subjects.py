"""What an instance of a report is to our models: a unit of a family, or a whole layer; and what they say of it."""

from __future__ import annotations

import csv
import inspect
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hwmodels.corrections import UNCORRECTED, correcting
from hwmodels.device_parts import RESOURCES
from hwmodels.layer_files import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, STYLES, price_layer
from hwmodels.models import unit_estimate, unit_models
from hwmodels.reported.usage import ReportError
from hwmodels.rtl.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.devices import Device

_UNIT: Final = ("instance", "family", "parameters")
_LAYER: Final = ("instance", *REQUIRED_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name != "name"))
_LAYOUTS: Final = (
    f"a unit has {', '.join(_UNIT)} (parameters as a=8;b=4); a layer has instance and the columns of "
    f"`bitfront cost --layers`: {', '.join(_LAYER[1:])}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A unit or a layer.

    Attributes:
        family: of `hwmodels.rtl.families`, or of a layer its style (`hwmodels.layer_files.STYLES`).
        parameters: of the family, or the other columns of the layer, as texts.
    """

    family: str
    parameters: Mapping[str, str]

    @property
    def is_layer(self) -> bool:
        """Whether it is a whole layer."""
        return self.family in STYLES

    def __str__(self) -> str:
        return f"{self.family} {write_fields(self.parameters)}"


def write_fields(fields: Mapping[str, str]) -> str:
    """Fields as one text: ``a=8;b=4``."""
    return ";".join(f"{name}={value}" for name, value in fields.items())


def read_fields(text: str) -> dict[str, str]:
    """The inverse of `write_fields`.

    Raises:
        ValueError: if a part has no name and value.

    >>> read_fields("a=8; b=4")
    {'a': '8', 'b': '4'}
    """
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"parameters are written as a=8;b=4, got {text!r}")
        found[name.strip()] = value.strip()
    return found


def read_subjects(path: str | Path) -> dict[str, Subject]:
    """What each instance is, by its name, from a CSV file or from tables ``[[instances]]`` of a TOML file.

    Args:
        path: ends with ``.toml``, or is a CSV file with a header. Units and layers may stand in one file; what does not
            apply to one of them stays empty.

    Raises:
        ReportError: if the file cannot be read, a line is not valid, or an instance is named twice; the message names
            the line or entry.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        entries = _toml_entries(text) if file.suffix == ".toml" else _csv_entries(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error, ValueError) as error:
        raise ReportError(f"file of instances {path} cannot be read: {error}") from error
    if not entries:
        raise ReportError(f"file of instances {path} names none: {_LAYOUTS}")
    found: dict[str, Subject] = {}
    for where, entry in entries:
        try:
            instance, subject = _subject(entry)
        except ValueError as error:
            raise ReportError(f"{path}, {where}: {error}") from error
        if instance in found:
            raise ReportError(f"{path}, {where}: instance {instance!r} is named twice")
        found[instance] = subject
    return found


def _toml_entries(text: str) -> list[tuple[str, dict[str, str]]]:
    content = tomllib.loads(text)
    entries = content.pop("instances", [])
    if content or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"it must have tables [[instances]] and nothing else; {_LAYOUTS}")
    return [
        (f"entry {number}", {name: _text(value) for name, value in entry.items()})
        for number, entry in enumerate(entries, start=1)
    ]


def _text(value: Any) -> str:  # noqa: ANN401 - any value of TOML
    return write_fields({name: str(one) for name, one in value.items()}) if isinstance(value, dict) else str(value)


def _csv_entries(text: str) -> list[tuple[str, dict[str, str]]]:
    reader = csv.DictReader(text.splitlines())
    entries = []
    for record in reader:
        where = f"line {reader.line_num}"
        if None in record:
            raise ValueError(f"{where} has more fields than the header")
        entries.append((where, {name.strip(): (value or "").strip() for name, value in record.items()}))
    return entries


def _subject(entry: Mapping[str, str]) -> tuple[str, Subject]:
    fields = {name: value for name, value in entry.items() if value and name != "name"}
    instance = fields.pop("instance", "")
    unknown = [name for name in fields if name not in (*_UNIT, *_LAYER)]
    if not instance or unknown:
        raise ValueError(f"{f'unknown column {unknown[0]!r}' if unknown else 'no instance'}: {_LAYOUTS}")
    if "family" in fields:
        others = [name for name in fields if name not in _UNIT]
        if others:
            raise ValueError(f"family and {others[0]!r}, of a unit and of a layer: {_LAYOUTS}")
        subject = Subject(family=fields["family"], parameters=read_fields(fields.get("parameters", "")))
    else:
        style = fields.pop("style", "")
        subject = Subject(family=style, parameters=MappingProxyType(fields))
    return instance, _known(subject)


def _known(subject: Subject) -> Subject:
    """The subject with the one word of its style, if it is known at all."""
    word = "-".join(subject.family.lower().replace("_", " ").split())
    if word in STYLES:
        return Subject(family=STYLES[word].value, parameters=subject.parameters)
    if subject.family in FAMILIES:
        return subject
    raise ValueError(
        f"{subject.family!r} is neither a family of units ({', '.join(FAMILIES)}) nor a style of layers "
        f"({', '.join(STYLES)})"
    )


def estimate(subject: Subject, device: Device, *, where: str) -> dict[str, float]:
    """What our models say, uncorrected, by the names of `hwmodels.device_parts.RESOURCES`.

    Args:
        subject: unit or layer.
        device: to price for. Units are priced by the rows of its family if there are some, else by those of xcup.
        where: it comes from, for messages.

    Raises:
        ReportError: if it cannot be priced.
    """
    try:
        if subject.is_layer:
            with correcting(UNCORRECTED):
                cost = price_layer({**subject.parameters, "style": subject.family}, device, where=where).cost
            return {name: float(cost.resource(name)) for name in RESOURCES}
        return _unit(subject, device)
    except ValueError as error:
        prefix = "" if str(error).startswith(where) else f"{where}: "
        raise ReportError(f"{prefix}{error}") from error


def _unit(subject: Subject, device: Device) -> dict[str, float]:
    parameters = _parameters(subject)
    models = unit_models()
    flow = device.family if (subject.family, device.family, "luts") in models else "xcup"
    found = {"luts": unit_estimate(subject.family, flow=flow, column="luts", **parameters).value}
    for name in RESOURCES[1:]:
        # A column that is 0 throughout a family has no model.
        known = (subject.family, flow, name) in models
        found[name] = unit_estimate(subject.family, flow=flow, column=name, **parameters).value if known else 0.0
    return found


def _parameters(subject: Subject) -> dict[str, int]:
    """All parameters of the family, those not given at their defaults."""
    signature = inspect.signature(FAMILIES[subject.family].generate)
    for name, text in subject.parameters.items():
        if name in signature.parameters and not re.fullmatch(r"-?\d+", text):
            raise ValueError(f"parameter {name} of {subject.family} is a whole number, got {text!r}")
    try:
        bound = signature.bind(**{name: int(text) for name, text in subject.parameters.items()})
    except (TypeError, ValueError) as error:
        takes, given = ", ".join(signature.parameters), write_fields(subject.parameters)
        raise ValueError(f"{subject.family} takes {takes}, got {given!r}: {error}") from error
    bound.apply_defaults()
    return dict(bound.arguments)
