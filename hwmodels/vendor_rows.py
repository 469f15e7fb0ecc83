"""Matrix-vector layers as vendor tools built them: FINN's units after Vivado, one row each, with their sources.

A row holds what was counted after synthesis or routing of one layer inside a design: the unit with its weight memory,
without FIFOs and converters around it. `VendorLayer` is what decides these counts.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.folding import MemoryStyle

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER: Final = Path(__file__).parent / "data"


class VendorStyle(Enum):
    """Which of FINN's matrix-vector units, and what multiplies in it."""

    HLS_LUT = "hls-lut"
    """C++ through Vitis HLS, multipliers in LUTs."""
    HLS_DSP = "hls-dsp"
    """C++ through Vitis HLS, one multiplication in a DSP."""
    RTL_DSP = "rtl-dsp"
    """Hand-written RTL: two multiplications in a DSP, four if both operands have at most 4 bits."""


class RowUse(Enum):
    """What rows of a source serve for."""

    FIT = "fit"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLayer:
    """A matrix-vector layer as a vendor flow sees it.

    Attributes:
        outputs: rows of the matrix (FINN's MH).
        depth: columns of the matrix (FINN's MW).
        pe, simd: outputs and inputs worked on at once; they divide outputs and depth.
        output_bits: of thresholds inside the unit, which then has ``2**output_bits - 1`` of them per output; None if
            accumulators leave as they are.
    """

    outputs: int
    depth: int
    pe: int
    simd: int
    weight_bits: int
    activation_bits: int
    style: VendorStyle
    weights: MemoryStyle = MemoryStyle.AUTO
    output_bits: int | None = None

    @property
    def lanes(self) -> int:
        """Multiplications per cycle."""
        return self.pe * self.simd

    @property
    def passes(self) -> int:
        """Cycles over the depth for one group of outputs (FINN's synapse fold)."""
        return self.depth // self.simd

    @property
    def groups(self) -> int:
        """Groups of outputs that take turns (FINN's neuron fold)."""
        return self.outputs // self.pe

    @property
    def is_binary(self) -> bool:
        """Whether products are XNOR gates: both operands have one bit."""
        return self.weight_bits == self.activation_bits == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRow:
    """One layer that was built, and what it took.

    Attributes:
        family: of the FPGA, as in device files.
        accumulator_bits: as the flow chose it from the weights; None if the source does not say.
    """

    source: str
    use: RowUse
    family: str
    layer: VendorLayer
    accumulator_bits: int | None
    luts: int
    flip_flops: int
    bram18s: int
    dsps: int

    @property
    def is_short_of_dsps(self) -> bool:
        """Whether the device had too few DSPs, so that LUTs took over."""
        layer = self.layer
        return layer.style is VendorStyle.HLS_DSP and not layer.is_binary and self.dsps < layer.lanes


@lru_cache(maxsize=1)
def vendor_rows() -> tuple[VendorRow, ...]:
    """All rows of ``data/vendor_layers.csv``."""
    uses = {name: RowUse(record["use"]) for name, record in vendor_sources().items()}
    with (_FOLDER / "vendor_layers.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_row(record, uses) for record in csv.DictReader(file))


@lru_cache(maxsize=1)
def vendor_sources() -> Mapping[str, Mapping[str, str]]:
    """Repository, path, part and remark of each source, by its name in the rows."""
    with (_FOLDER / "vendor_sources.csv").open(newline="", encoding="utf-8") as file:
        records = {record["source"]: MappingProxyType(record) for record in csv.DictReader(file)}
    return MappingProxyType(records)


@lru_cache(maxsize=8)
def fit_rows(style: VendorStyle) -> tuple[VendorRow, ...]:
    """The rows a style is fitted on: neither held out nor short of DSPs."""
    return tuple(
        row for row in vendor_rows() if row.layer.style is style and row.use is RowUse.FIT and not row.is_short_of_dsps
    )


def _row(record: dict[str, str], uses: Mapping[str, RowUse]) -> VendorRow:
    return VendorRow(
        source=record["source"],
        use=uses[record["source"]],
        family=record["family"],
        layer=VendorLayer(
            outputs=int(record["outputs"]),
            depth=int(record["depth"]),
            pe=int(record["pe"]),
            simd=int(record["simd"]),
            weight_bits=int(record["weight_bits"]),
            activation_bits=int(record["activation_bits"]),
            style=VendorStyle(record["style"]),
            weights=MemoryStyle(record["ram"]),
            output_bits=_optional(record["output_bits"]),
        ),
        accumulator_bits=_optional(record["accumulator_bits"]),
        luts=int(record["luts"]),
        flip_flops=int(record["flip_flops"]),
        bram18s=int(record["bram18s"]),
        dsps=int(record["dsps"]),
    )


def _optional(text: str) -> int | None:
    return int(text) if text else None
