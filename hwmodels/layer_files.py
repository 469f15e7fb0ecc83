"""Prices for layers listed in a CSV file: one line per matrix-vector layer, as a vendor flow or we would build it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from emulation.formats import FixedPoint
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle, check_folding
from hwmodels.own_engines import OWN_MULTIPLIERS, OwnStyle
from hwmodels.requantisers import RequantiseScale
from hwmodels.vendor_layers import vendor_cost
from hwmodels.vendor_rows import VendorLayer, VendorStyle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.costs import Cost
    from hwmodels.devices import Device

REQUIRED_COLUMNS: Final = ("outputs", "depth", "pe", "simd", "weight_bits", "activation_bits", "style", "ram")
OPTIONAL_COLUMNS: Final = ("positions", "output_bits", "name")
MAXIMUM_BITS: Final = 64
MAXIMUM_OUTPUT_BITS: Final = 16

_Choice = TypeVar("_Choice")


STYLES: Final[Mapping[str, VendorStyle | OwnStyle]] = MappingProxyType(
    {
        "hls-lut": VendorStyle.HLS_LUT,
        "lut": VendorStyle.HLS_LUT,
        "hls-dsp": VendorStyle.HLS_DSP,
        "dsp": VendorStyle.HLS_DSP,
        "rtl-dsp": VendorStyle.RTL_DSP,
        "rtl": VendorStyle.RTL_DSP,
        "packed": VendorStyle.RTL_DSP,
        "rtl-packed": VendorStyle.RTL_DSP,
        "dsp-packed": VendorStyle.RTL_DSP,
        **{style.value: style for style in OwnStyle},
    }
)
"""Words of the style column; underscores and spaces count as hyphens. Plain words mean the vendor flow."""

MEMORIES: Final[Mapping[str, MemoryStyle]] = MappingProxyType(
    {
        "auto": MemoryStyle.AUTO,
        "lutram": MemoryStyle.LUTRAM,
        "distributed": MemoryStyle.LUTRAM,
        "bram": MemoryStyle.BRAM,
        "block": MemoryStyle.BRAM,
        "uram": MemoryStyle.URAM,
        "ultra": MemoryStyle.URAM,
        "external": MemoryStyle.OFFCHIP,
        "none": MemoryStyle.OFFCHIP,
        "const": MemoryStyle.AUTO,
        "embedded": MemoryStyle.AUTO,
    }
)
"""Words of the ram column. With external (none) weights arrive on a stream; const (embedded) ones are a read-only
memory inside the unit, which Vivado places as it does with auto."""

_OWN_MEMORIES: Final = (MemoryStyle.AUTO, MemoryStyle.LUTRAM, MemoryStyle.BRAM, MemoryStyle.URAM)


class LayerFileError(ValueError):
    """A layer file that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLayer:
    """One line of a layer file and its cost."""

    name: str
    line: int
    shape: EngineShape
    folding: Folding
    style: VendorStyle | OwnStyle
    weight_bits: int
    activation_bits: int
    output_bits: int | None
    cost: Cost


def price_layers_csv(path: str | Path, device: Device) -> list[PricedLayer]:
    """Price every line of a CSV file with a header.

    Columns: outputs, depth, pe, simd, weight_bits, activation_bits, style (`STYLES`), ram (`MEMORIES`); optional
    positions (1), output_bits (of thresholds inside an HLS unit; none if empty) and name. A layer is a matrix-vector
    unit without bias, whose accumulators leave as they are unless output_bits says otherwise.

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
    return [_price(_Fields(line, record), device) for line, record in records]


def price_layer(fields: Mapping[str, str], device: Device, *, where: str) -> PricedLayer:
    """Price one layer whose fields are given by column.

    Args:
        fields: texts by column, as in a line of `price_layers_csv`; optional columns may be missing.
        device: to price for.
        where: the fields come from, for messages.

    Raises:
        LayerFileError: if a column is missing or unknown, or a field is not valid.
    """
    _check_header(list(fields), where=where)
    return _price(_Fields(0, dict(fields), where=where), device)


def _check_header(names: object, where: str = "line 1") -> None:
    columns = [str(name).strip() for name in names] if isinstance(names, (list, tuple)) else []
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    allowed = f"columns are {', '.join(REQUIRED_COLUMNS)}; optional {', '.join(OPTIONAL_COLUMNS)}"
    if missing:
        raise LayerFileError(f"{where}: column {missing[0]!r} is missing; {allowed}")
    unknown = [column for column in columns if column not in REQUIRED_COLUMNS + OPTIONAL_COLUMNS]
    if unknown:
        raise LayerFileError(f"{where}: unknown column {unknown[0]!r}; {allowed}")


def _price(fields: _Fields, device: Device) -> PricedLayer:
    outputs, depth = fields.integer("outputs"), fields.integer("depth")
    shape = EngineShape(
        outputs=outputs,
        depth=depth,
        positions=fields.integer("positions", default="1"),
        in_channels=depth,
        has_bias=False,
    )
    style = fields.choice("style", STYLES)
    multipliers, lanes_per_dsp = _multipliers(style)
    folding = Folding(
        pe=fields.integer("pe"),
        simd=fields.integer("simd"),
        multipliers=multipliers,
        lanes_per_dsp=lanes_per_dsp,
        weight_memory=fields.choice("ram", MEMORIES),
    )
    weight_bits = fields.integer("weight_bits", highest=MAXIMUM_BITS)
    activation_bits = fields.integer("activation_bits", highest=MAXIMUM_BITS)
    output_bits = fields.integer("output_bits", highest=MAXIMUM_OUTPUT_BITS) if fields.text("output_bits") else None
    try:
        check_folding(folding, outputs, depth)
        if isinstance(style, OwnStyle):
            _check_own(style, folding, output_bits)
            cost = engine_cost(
                shape,
                weight_format=FixedPoint(width=weight_bits),
                activation_format=FixedPoint(width=activation_bits),
                folding=folding,
                device=device,
                scale=RequantiseScale.NONE,
            )
        else:
            layer = VendorLayer(
                outputs=outputs,
                depth=depth,
                pe=folding.pe,
                simd=folding.simd,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                style=style,
                weights=folding.weight_memory,
                output_bits=output_bits,
            )
            cost = vendor_cost(layer, positions=shape.positions, device=device)
    except ValueError as error:
        raise LayerFileError(f"{fields.where}: {error}") from error
    return PricedLayer(
        name=fields.text("name") or fields.where,
        line=fields.line,
        shape=shape,
        folding=folding,
        style=style,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        output_bits=output_bits,
        cost=cost,
    )


def _multipliers(style: VendorStyle | OwnStyle) -> tuple[MultiplierStyle, LanesPerDsp]:
    if isinstance(style, OwnStyle):
        return OWN_MULTIPLIERS[style]
    in_luts, is_packed = style is VendorStyle.HLS_LUT, style is VendorStyle.RTL_DSP
    return (
        MultiplierStyle.LUT if in_luts else MultiplierStyle.DSP,
        LanesPerDsp.PACKED if is_packed else LanesPerDsp.ONE,
    )


def _check_own(style: OwnStyle, folding: Folding, output_bits: int | None) -> None:
    if output_bits is not None:
        raise LayerFileError(
            f"column 'output_bits': {style.value} has no thresholds, got {output_bits}: leave it empty, or take "
            "hls-lut or hls-dsp"
        )
    if folding.weight_memory not in _OWN_MEMORIES:
        words = ", ".join(word for word, memory in MEMORIES.items() if memory in _OWN_MEMORIES)
        raise LayerFileError(
            f"column 'ram': {style.value} keeps its weights on the chip, got {folding.weight_memory.value}: use one "
            f"of {words}"
        )


class _Fields:
    """The fields of one line; every error names line and column."""

    def __init__(self, line: int, record: Mapping[str, str | None], *, where: str = "") -> None:
        self.line, self.where = line, where or f"line {line}"
        if None in record:
            raise LayerFileError(f"{self.where}: more fields than the header has columns")
        self._record = {name.strip(): (value or "").strip() for name, value in record.items()}

    def text(self, column: str) -> str:
        return self._record.get(column, "")

    def integer(self, column: str, *, default: str = "", highest: int | None = None) -> int:
        text = self.text(column) or default
        allowed = "a whole number of at least 1" if highest is None else f"a whole number from 1 to {highest}"
        if not (text.isascii() and text.isdigit()) or int(text) < 1 or (highest is not None and int(text) > highest):
            raise LayerFileError(f"{self.where}, column {column!r}: must be {allowed}, got {text!r}")
        return int(text)

    def choice(self, column: str, known: Mapping[str, _Choice]) -> _Choice:
        text = self.text(column)
        word = "-".join(text.lower().replace("_", " ").split())
        if word not in known:
            raise LayerFileError(f"{self.where}, column {column!r}: must be one of {', '.join(known)}, got {text!r}")
        return known[word]
