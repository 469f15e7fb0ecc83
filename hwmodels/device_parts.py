"""A device as data: resources, regions, off-chip memory, shell; or an ASIC process.

Read from files by `hwmodels.device_files`; loaded by name through `hwmodels.devices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from hwmodels.toml_tables import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from hwmodels.dsp_mapping import DspKind
    from hwmodels.fabrics import Fabric

RESOURCES: Final = ("luts", "flip_flops", "dsps", "bram18s", "urams")
"""The resources a cost counts. Block RAM is counted in halves of 18 kbit; device files may give blocks of 36 kbit."""

GATES: Final = "gates"
"""The resource of an ASIC process: two-input NAND gates that its area holds."""


class Technology(Enum):
    """What a device is."""

    FPGA = "fpga"
    ASIC = "asic"
    """A process in which a design would be made: gates for logic and memories, and no LUTs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How many of one resource a device has and the share of them a design may use.

    Attributes:
        shell: what the board's own logic takes of ``count``.
    """

    count: int
    usable_share: Fraction
    source: str
    verified: bool
    shell: int = 0

    @property
    def usable(self) -> int:
        """How many a design may use."""
        return (self.count - self.shell) * self.usable_share.numerator // self.usable_share.denominator


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A super logic region: one of several dies, with few wires to the next. Counts by the names of `RESOURCES`."""

    name: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTable:
    """The regions of a device, whose counts sum to those of the device."""

    regions: tuple[Region, ...]
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OffchipMemory:
    """Memory beside the device, at its peak rate; what a design sustains is lower."""

    kind: str
    gigabytes_per_second: Fraction
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Logic that the board needs beside a design, by the names of `RESOURCES`."""

    name: str
    counts: Mapping[str, int]
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnergy:
    """Published energy of one operation."""

    operation: str
    picojoules: Fraction
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AsicProcess:
    """What an ASIC model starts from.

    Attributes:
        gate_um2: area of a two-input NAND gate.
        energies: of published operations, at ``supply_volts``.
    """

    node_nm: int
    supply_volts: Fraction
    gate_um2: Fraction
    source: str
    verified: bool
    energies: tuple[OperationEnergy, ...]

    def energy(self, operation: str) -> OperationEnergy:
        """The published energy of an operation by its name.

        Raises:
            DeviceError: if there is none.
        """
        for one in self.energies:
            if one.operation == operation:
                return one
        known = ", ".join(one.operation for one in self.energies)
        raise DeviceError(f"no energy of {operation!r} is given at {self.node_nm} nm: operations are {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An FPGA part, or an ASIC process.

    Attributes:
        fabric: of an FPGA; None for an ASIC process.
        resources: by the names in `RESOURCES`; of an ASIC process its `GATES` alone.
        clock_mhz: a clock that designs typically reach; the study decides the real one.
        regions: None if the device is one die.
        offchip: None if no bandwidth is given.
        shell: None if the board needs none.
        asic: of an ASIC process, else None.
        energy_anchor: name of the process energies are scaled to (`hwmodels.energy.anchor_names`).
    """

    name: str
    technology: Technology
    family: str
    board: str
    fabric: Fabric | None
    clock_mhz: int
    clock_source: str
    clock_verified: bool
    resources: Mapping[str, Resource]
    share_source: str
    share_verified: bool
    dsp: DspKind
    regions: RegionTable | None = None
    offchip: OffchipMemory | None = None
    shell: Shell | None = None
    asic: AsicProcess | None = None
    energy_anchor: str = "45nm"

    def available(self, resource: str) -> int:
        """How many of a resource the part has."""
        return self._resource(resource).count

    def usable(self, resource: str) -> int:
        """How many of a resource a design may use: what the shell leaves, times the usable share."""
        return self._resource(resource).usable

    @property
    def logic(self) -> Fabric:
        """The fabric.

        Raises:
            DeviceError: if the device is an ASIC process, which has none.
        """
        if self.fabric is None:
            raise DeviceError(
                f"device {self.name} is an ASIC process: it has gates and no LUTs, DSPs or block RAM; choose an FPGA"
            )
        return self.fabric

    @property
    def lut_inputs(self) -> int:
        """Inputs of a LUT."""
        return self.logic.lut_inputs

    @property
    def unverified(self) -> tuple[str, ...]:
        """What has not been checked against its source: resources by name, then everything else."""
        found = [name for name, resource in self.resources.items() if not resource.verified]
        parts = {"regions": self.regions, "off-chip memory": self.offchip, "shell": self.shell, "process": self.asic}
        flags = {name: part.verified for name, part in parts.items() if part is not None}
        flags |= {"clock": self.clock_verified, "usable shares": self.share_verified, "dsp": self.dsp.verified}
        if self.fabric is not None:
            flags["fabric"] = self.fabric.verified and self.fabric.block.verified
        return (*found, *(name for name, verified in flags.items() if not verified))

    def largest_region(self) -> Mapping[str, int]:
        """For each resource, what a design may use of the region that has most of it; nothing if there is one die."""
        if self.regions is None:
            return {}
        return {
            name: int(max(region.counts[name] for region in self.regions.regions) * self.resources[name].usable_share)
            for name in RESOURCES
        }

    def _resource(self, name: str) -> Resource:
        if name not in self.resources:
            if name in RESOURCES:
                self.logic  # noqa: B018 - says why an ASIC process has none of it
            raise DeviceError(f"a device has no resource {name!r}: use one of {', '.join(self.resources)}")
        return self.resources[name]
