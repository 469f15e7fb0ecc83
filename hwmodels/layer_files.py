"""Prices for layers listed in a CSV file: one line per matrix-vector layer."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from emulation.formats import FixedPoint
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import RequantiseScale, engine_cost
from hwmodels.folding import Folding, MemoryStyle, MultiplierStyle, check_folding

if TYPE_CHECKING:
    from hwmodels.costs import Cost
    from hwmodels.devices import Device

REQUIRED_COLUMNS: Final = ("outputs", "depth", "pe", "simd", "weight_bits", "activation_bits", "style", "ram")
OPTIONAL_COLUMNS: Final = ("positions", "name")
MAXIMUM_BITS: Final = 64

_Choice = TypeVar("_Choice", bound=Enum)


class LayerFileError(ValueError):
    """A layer file that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLayer:
    """One line of a layer file and its cost."""

    name: str
    line: int
    shape: EngineShape
    folding: Folding
    weight_bits: int
    activation_bits: int
    cost: Cost


def price_layers_csv(path: str | Path, device: Device) -> list[PricedLayer]:
    """Price every line of a CSV file with a header.

    Columns: outputs, depth, pe, simd, weight_bits, activation_bits, style (lut, dsp), ram (auto, lutram, bram);
    optional positions (1) and name. Weights and activations are signed integers. A layer is a matrix-vector engine
    without bias whose accumulators leave as they are, as FINN's are before their thresholds.

    Args:
        path: of the file, UTF-8.
        device: to price for.

    Raises:
        LayerFileError: if the file cannot be read, or a line is not valid; the message names line, column, what was
            given and what is allowed.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_header(reader.fieldnames)
            records = [(reader.line_num, record) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LayerFileError(f"layer file {path} cannot be read as CSV: {error}") from error
    if not records:
        raise LayerFileError(f"layer file {path} has a header but no layers: add one line per layer")
    return [_price(line, record, device) for line, record in records]


def _check_header(names: object) -> None:
    columns = [str(name).strip() for name in names] if isinstance(names, (list, tuple)) else []
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    allowed = f"columns are {', '.join(REQUIRED_COLUMNS)}; optional {', '.join(OPTIONAL_COLUMNS)}"
    if missing:
        raise LayerFileError(f"line 1: column {missing[0]!r} is missing; {allowed}")
    unknown = [column for column in columns if column not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS]
    if unknown:
        raise LayerFileError(f"line 1: unknown column {unknown[0]!r}; {allowed}")


def _price(line: int, record: dict[str, str | None], device: Device) -> PricedLayer:
    fields = _Fields(line, record)
    shape = EngineShape(
        outputs=fields.integer("outputs"),
        depth=fields.integer("depth"),
        positions=fields.integer("positions", default="1"),
        in_channels=fields.integer("depth"),
        has_bias=False,
    )
    folding = Folding(
        pe=fields.integer("pe"),
        simd=fields.integer("simd"),
        multipliers=fields.choice("style", MultiplierStyle),
        weight_memory=fields.choice("ram", MemoryStyle),
    )
    try:
        check_folding(folding, shape.outputs, shape.depth)
    except ValueError as error:
        raise LayerFileError(f"line {line}: {error}") from error
    weight_bits = fields.integer("weight_bits", highest=MAXIMUM_BITS)
    activation_bits = fields.integer("activation_bits", highest=MAXIMUM_BITS)
    cost = engine_cost(
        shape,
        weight_format=FixedPoint(width=weight_bits),
        activation_format=FixedPoint(width=activation_bits),
        folding=folding,
        device=device,
        scale=RequantiseScale.NONE,
    )
    return PricedLayer(
        name=fields.text("name") or f"line {line}",
        line=line,
        shape=shape,
        folding=folding,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        cost=cost,
    )


class _Fields:
    """The fields of one line; every error names line and column."""

    def __init__(self, line: int, record: dict[str, str | None]) -> None:
        self._line = line
        if None in record:
            raise LayerFileError(f"line {line}: more fields than the header has columns")
        self._record = {name.strip(): (value or "").strip() for name, value in record.items()}

    def text(self, column: str) -> str:
        return self._record.get(column, "")

    def integer(self, column: str, *, default: str = "", highest: int | None = None) -> int:
        text = self.text(column) or default
        allowed = "a whole number of at least 1" if highest is None else f"a whole number from 1 to {highest}"
        if not (text.isascii() and text.isdigit()) or int(text) < 1 or (highest is not None and int(text) > highest):
            raise LayerFileError(f"line {self._line}, column {column!r}: must be {allowed}, got {text!r}")
        return int(text)

    def choice(self, column: str, kind: type[_Choice]) -> _Choice:
        text = self.text(column).lower()
        allowed = {member.value: member for member in kind}
        if text not in allowed:
            raise LayerFileError(
                f"line {self._line}, column {column!r}: must be one of {', '.join(allowed)}, got {text!r}"
            )
        return allowed[text]
