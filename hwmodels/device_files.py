"""Device files: the checks behind `hwmodels.devices.load_device`.

A device names the fabric of its family and its DSP, which are files of their own, or brings tables ``[fabric]`` and
``[dsp]``. Every number has a source beside it and says whether it was checked against that source.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwmodels.device_parts import (
    GATES,
    RESOURCES,
    AsicProcess,
    Device,
    OffchipMemory,
    OperationEnergy,
    Region,
    RegionTable,
    Resource,
    Shell,
    Technology,
)
from hwmodels.dsp_mapping import NO_DSP, DotProduct, DspKind, DspMinimum, DspPacking
from hwmodels.fabrics import DistributedMemory, Fabric, LutOutputs, RamPrimitive, StartContent
from hwmodels.toml_tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

FOLDER: Final = Path(__file__).parent / "devices"
FABRICS: Final = FOLDER / "fabrics"
DSPS: Final = FOLDER / "dsps"

_AREA: Final = "area_um2"
"""How a file gives the size of an ASIC: square micrometres of standard cells and memories."""
_COUNTED: Final = ("luts", "flip_flops", "urams", "dsps")
_BLOCKS: Final = {"bram36s": 2, "bram18s": 1}
"""Block RAM is given in blocks of 36 kbit or, where a block has only 18, in those."""
_NAMES: Final = ("name", "family", "board", "clock_mhz", "clock_source", "clock_verified")


def read_device(path: Path) -> Device:
    """The device of a file.

    Raises:
        DeviceError: if the file is not valid; the message names file and key.
    """
    table = Table.of_file(path)
    technology = table.choice("technology", Technology) if "technology" in table else Technology.FPGA
    return _asic(table) if technology is Technology.ASIC else _fpga(table)


def read_dsp(path: Path) -> DspKind:
    """The DSP of a file."""
    return _dsp(Table.of_file(path))


def _fpga(table: Table) -> Device:
    table.allow((*_NAMES, "resources", "usable_share", "dsp"), ("technology", "fabric", "regions", "offchip", "shell"))
    shell = _shell(table.table("shell")) if "shell" in table else None
    resources = _resources(table, shell.counts if shell else {})
    shares = table.table("usable_share")
    return Device(
        name=table.text("name"),
        technology=Technology.FPGA,
        family=table.text("family"),
        board=table.text("board"),
        fabric=_fabric_of(table),
        clock_mhz=table.integer("clock_mhz", 1),
        clock_source=table.text("clock_source"),
        clock_verified=table.flag("clock_verified"),
        resources=resources,
        share_source=shares.text("source"),
        share_verified=shares.flag("verified"),
        dsp=_dsp_of(table),
        regions=_regions(table.table("regions"), resources) if "regions" in table else None,
        offchip=_offchip(table.table("offchip")) if "offchip" in table else None,
        shell=shell,
    )


def _asic(table: Table) -> Device:
    table.allow((*_NAMES, "technology", "resources", "usable_share", "process"), ("offchip",))
    counts, shares = table.table("resources"), table.table("usable_share")
    counts.allow((_AREA,))
    shares.allow(("source", "verified", _AREA))
    process = _process(table.table("process"))
    area = _resource(counts.table(_AREA), 1, shares.share(_AREA), 0)
    return Device(
        name=table.text("name"),
        technology=Technology.ASIC,
        family=table.text("family"),
        board=table.text("board"),
        fabric=None,
        clock_mhz=table.integer("clock_mhz", 1),
        clock_source=table.text("clock_source"),
        clock_verified=table.flag("clock_verified"),
        resources={GATES: dataclasses.replace(area, count=int(area.count / process.gate_um2))},
        share_source=shares.text("source"),
        share_verified=shares.flag("verified"),
        dsp=NO_DSP,
        offchip=_offchip(table.table("offchip")) if "offchip" in table else None,
        asic=process,
    )


def _resources(table: Table, shell: Mapping[str, int]) -> dict[str, Resource]:
    counts, shares = table.table("resources"), table.table("usable_share")
    blocks = _blocks_key(counts)
    counts.allow((*_COUNTED, blocks))
    shares.allow(("source", "verified", *_COUNTED, blocks))
    found = {}
    for name in (*_COUNTED, blocks):
        target = "bram18s" if name in _BLOCKS else name
        found[target] = _resource(counts.table(name), _BLOCKS.get(name, 1), shares.share(name), shell.get(target, 0))
        if found[target].shell > found[target].count:
            raise table.wrong(
                f"shell.{target} takes {found[target].shell} of {found[target].count}: it must leave something"
            )
    return {name: found[name] for name in RESOURCES}


def _blocks_key(table: Table) -> str:
    return "bram18s" if "bram18s" in table and "bram36s" not in table else "bram36s"


def _resource(table: Table, halves: int, share: Fraction, shell: int) -> Resource:
    table.allow(("count", "source", "verified"))
    return Resource(
        count=halves * table.integer("count", 0),
        usable_share=share,
        source=table.text("source"),
        verified=table.flag("verified"),
        shell=shell,
    )


def _counts(table: Table, *beside: str) -> dict[str, int]:
    """Counts by the names of `RESOURCES`; ``beside`` are the other keys of the table."""
    blocks = _blocks_key(table)
    table.allow((*beside, *_COUNTED, blocks))
    found = {name: table.integer(name, 0) for name in _COUNTED}
    found["bram18s"] = _BLOCKS[blocks] * table.integer(blocks, 0)
    return {name: found[name] for name in RESOURCES}


def _regions(table: Table, resources: Mapping[str, Resource]) -> RegionTable:
    table.allow(("source", "verified", "region"))
    regions = tuple(Region(name=one.text("name"), counts=_counts(one, "name")) for one in table.tables("region"))
    for name in RESOURCES:
        whole = sum(region.counts[name] for region in regions)
        if whole != resources[name].count:
            raise table.wrong(
                f"{name} of the {len(regions)} regions sum to {whole}, but the device has {resources[name].count}"
            )
    return RegionTable(regions=regions, source=table.text("source"), verified=table.flag("verified"))


def _offchip(table: Table) -> OffchipMemory:
    table.allow(("kind", "gigabytes_per_second", "source", "verified"))
    return OffchipMemory(
        kind=table.text("kind"),
        gigabytes_per_second=table.positive("gigabytes_per_second"),
        source=table.text("source"),
        verified=table.flag("verified"),
    )


def _shell(table: Table) -> Shell:
    return Shell(
        counts=_counts(table, "name", "source", "verified"),
        name=table.text("name"),
        source=table.text("source"),
        verified=table.flag("verified"),
    )


def _process(table: Table) -> AsicProcess:
    table.allow(("node_nm", "supply_volts", "gate_um2", "source", "verified"), ("energy",))
    energies = []
    for one in table.tables("energy"):
        one.allow(("operation", "picojoules", "source", "verified"))
        energies.append(
            OperationEnergy(
                operation=one.text("operation"),
                picojoules=one.positive("picojoules"),
                source=one.text("source"),
                verified=one.flag("verified"),
            )
        )
    return AsicProcess(
        node_nm=table.integer("node_nm", 1),
        supply_volts=table.positive("supply_volts"),
        gate_um2=table.positive("gate_um2"),
        source=table.text("source"),
        verified=table.flag("verified"),
        energies=tuple(energies),
    )


def _fabric_of(table: Table) -> Fabric:
    family = table.text("family")
    if "fabric" in table:
        return _fabric(table.table("fabric"), family)
    known = sorted(path.stem for path in FABRICS.glob("*.toml"))
    if family not in known:
        raise table.error("family", f"one of {', '.join(known)}, or the file needs a [fabric] table of its own")
    return _fabric(Table.of_file(FABRICS / f"{family}.toml"), family)


def _fabric(table: Table, family: str) -> Fabric:
    table.allow(
        ("lut_inputs", "lut_outputs", "carry", "carry_bits", "source", "verified", "distributed", "block"), ("ultra",)
    )
    distributed = table.table("distributed")
    distributed.allow(("kind", "source"))
    return Fabric(
        family=family,
        lut_inputs=table.integer("lut_inputs", 4),
        lut_outputs=table.choice("lut_outputs", LutOutputs),
        carry=table.text("carry"),
        carry_bits=table.integer("carry_bits", 1),
        source=table.text("source"),
        verified=table.flag("verified"),
        distributed=distributed.choice("kind", DistributedMemory),
        distributed_source=distributed.text("source"),
        block=_ram(table.table("block")),
        ultra=_ram(table.table("ultra")) if "ultra" in table else None,
    )


def _ram(table: Table) -> RamPrimitive:
    table.allow(("primitive", "shapes", "content", "source", "verified"))
    return RamPrimitive(
        primitive=table.text("primitive"),
        shapes=table.pairs("shapes"),
        content=table.choice("content", StartContent),
        source=table.text("source"),
        verified=table.flag("verified"),
    )


def _dsp_of(table: Table) -> DspKind:
    if not table.is_text("dsp"):
        return _dsp(table.table("dsp"))
    kind, known = table.text("dsp"), sorted(path.stem for path in DSPS.glob("*.toml"))
    if kind not in known:
        raise table.error("dsp", f"one of {', '.join(known)}, or a [dsp] table of its own")
    return read_dsp(DSPS / f"{kind}.toml")


def _dsp(table: Table) -> DspKind:
    table.allow(
        ("kind", "wide_bits", "narrow_bits", "accumulator_bits", "source", "verified"),
        ("minimum", "packing", "dot_product"),
    )
    return DspKind(
        kind=table.text("kind"),
        wide_bits=table.integer("wide_bits", 2),
        narrow_bits=table.integer("narrow_bits", 2),
        accumulator_bits=table.integer("accumulator_bits", 2),
        packings=tuple(_packing(one) for one in table.tables("packing")),
        dot_product=_dot_product(table.table("dot_product")) if "dot_product" in table else None,
        minimum=_minimum(table.table("minimum")) if "minimum" in table else _NO_MINIMUM,
        source=table.text("source"),
        verified=table.flag("verified"),
    )


_NO_MINIMUM: Final = DspMinimum(operand_bits=1, product_bits=1, source="none is given")


def _packing(table: Table) -> DspPacking:
    table.allow(("max_wide_bits", "max_narrow_bits", "multiplications", "source"))
    return DspPacking(
        max_wide_bits=table.integer("max_wide_bits", 1),
        max_narrow_bits=table.integer("max_narrow_bits", 1),
        multiplications=table.integer("multiplications", 1),
        source=table.text("source"),
    )


def _dot_product(table: Table) -> DotProduct:
    table.allow(("max_wide_bits", "max_narrow_bits", "products", "source"))
    return DotProduct(
        max_wide_bits=table.integer("max_wide_bits", 1),
        max_narrow_bits=table.integer("max_narrow_bits", 1),
        products=table.integer("products", 2),
        source=table.text("source"),
    )


def _minimum(table: Table) -> DspMinimum:
    table.allow(("operand_bits", "product_bits", "source"))
    return DspMinimum(
        operand_bits=table.integer("operand_bits", 1),
        product_bits=table.integer("product_bits", 1),
        source=table.text("source"),
    )
