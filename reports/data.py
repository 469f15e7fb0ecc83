"""What a report is made of: three data frames and some facts, checked once when they come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reports.checks import Content, ReportDataError, checked, listed
from reports.trust_data import TrustData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd


RESOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {"luts": "LUTs", "flip_flops": "Flip-flops", "dsps": "DSPs", "brams": "BRAM36", "gates": "Gates"}
)
"""Columns of resources, and how a reader calls them. A device has some: an FPGA the first four, an ASIC gates."""

KINDS: Final = ("front", "uniform", "float")

DESIGN_COLUMNS: Final[Mapping[str, Content]] = MappingProxyType(
    {
        "design": Content.TEXT,
        "kind": Content.TEXT,
        "name": Content.TEXT,
        "nondominated": Content.FLAG,
        "predicted_loss": Content.LOSS,
        "measured_loss": Content.LOSS,
        "validation_accuracy": Content.FRACTION,
        "test_accuracy": Content.FRACTION,
        "utilisation": Content.AMOUNT,
        "luts": Content.AMOUNT,
        "flip_flops": Content.AMOUNT,
        "dsps": Content.AMOUNT,
        "brams": Content.AMOUNT,
        "gates": Content.AMOUNT,
        "interval_cycles": Content.AMOUNT,
        "latency_cycles": Content.AMOUNT,
        "energy_pj": Content.AMOUNT,
        "memory_pj": Content.AMOUNT,
        "offchip_pj": Content.AMOUNT,
        "relative_delay": Content.AMOUNT,
        "frames_per_second": Content.AMOUNT,
        "status": Content.TEXT,
        "bound": Content.OPTIONAL_NUMBER,
    }
)
"""Columns of `ReportData.designs`, in the order of front.csv; of the resources those that the device has."""

LAYER_COLUMNS: Final[Mapping[str, Content]] = MappingProxyType(
    {
        "design": Content.TEXT,
        "layer": Content.TEXT,
        "position": Content.POSITION,
        "kind": Content.TEXT,
        "input_format": Content.TEXT,
        "weight_format": Content.TEXT,
        "output_format": Content.TEXT,
        "pe": Content.AMOUNT,
        "simd": Content.AMOUNT,
        "style": Content.TEXT,
        "luts": Content.AMOUNT,
        "flip_flops": Content.AMOUNT,
        "dsps": Content.AMOUNT,
        "brams": Content.AMOUNT,
        "gates": Content.AMOUNT,
        "interval_cycles": Content.AMOUNT,
        "energy_pj": Content.AMOUNT,
        "memory_pj": Content.AMOUNT,
        "offchip_pj": Content.AMOUNT,
        "loss": Content.LOSS,
    }
)
"""Columns of `ReportData.layers`; of the resources those that the device has."""

DEVICE_COLUMNS: Final[Mapping[str, Content]] = MappingProxyType(
    {"resource": Content.TEXT, "available": Content.AMOUNT, "usable": Content.AMOUNT}
)
"""Columns of `ReportData.device`."""

MODELLED: Final = tuple(
    column for column, content in DESIGN_COLUMNS.items() if content in (Content.AMOUNT, Content.LOSS, Content.FLAG)
)
"""What the float network does not have: its cells are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportData:
    """All that a report shows. The frames are copied, checked and put into column order; further columns stay.

    Texts may hold any characters: whatever draws them escapes them.

    Args:
        designs: a row per design with the columns of `DESIGN_COLUMNS`. ``kind`` is "front", "uniform" or "float" (at
            most one row, whose hardware and loss cells are ignored), losses are in nats per image, accuracies and
            ``utilisation`` are fractions (utilisation of the usable device, so it may exceed 1), ``brams`` counts
            blocks of 36 kbit, ``energy_pj`` is per sample and ``memory_pj`` and ``offchip_pj`` are parts of it,
            ``relative_delay`` is relative to an 8-bit multiplication (0 if unknown), ``bound`` is the solver's.
        layers: a row per design and layer with the columns of `LAYER_COLUMNS`; a (design, position) pair occurs once.
            An empty text says that a layer has no such operand or folding; ``loss`` is the predicted share in nats.
        device: a row per resource (of `RESOURCES`): how much there is, and how much of it a design may use.
        title: headline of the page.
        facts: name to text: versions, commit, seeds, data, device, solver, completeness.
        notes: plain sentences: what is measured, what is modelled.
        trust: how far predicted and measured losses can be trusted; empty where nobody asked.

    Raises:
        ReportDataError: naming the frame, the column, what was found and what is allowed.
    """

    designs: pd.DataFrame
    layers: pd.DataFrame
    device: pd.DataFrame
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trust: TrustData = field(default_factory=TrustData)

    def __post_init__(self) -> None:
        device = checked("ReportData.device", self.device, DEVICE_COLUMNS)
        _check_device(device)
        resources = [name for name in RESOURCES if name in set(device["resource"])]
        designs = checked(
            "ReportData.designs", self.designs, _of_device(DESIGN_COLUMNS, resources), not_of_float=MODELLED
        )
        layers = checked("ReportData.layers", self.layers, _of_device(LAYER_COLUMNS, resources))
        _check_designs(designs)
        _check_layers(layers, designs)
        stray = sorted(set(self.trust.bands["design"]) - set(designs["design"]))
        if stray:
            raise ReportDataError(
                f"TrustData.bands names designs that ReportData.designs does not have: {listed(stray)}"
            )
        for name, value in (
            ("designs", designs),
            ("layers", layers.sort_values(["design", "position"], kind="stable", ignore_index=True)),
            ("device", device.set_index("resource").loc[resources].reset_index()),
            ("facts", MappingProxyType({str(key): str(value) for key, value in self.facts.items()})),
            ("notes", tuple(self.notes)),
        ):
            object.__setattr__(self, name, value)

    @property
    def resources(self) -> Mapping[str, str]:
        """Columns of the resources that the device has, and how a reader calls them."""
        return {name: RESOURCES[name] for name in self.device["resource"]}

    @property
    def float_network(self) -> pd.Series | None:
        """The row of the float network, or None if the designs hold none."""
        rows = self.designs[self.designs["kind"] == "float"]
        return None if rows.empty else rows.iloc[0]


def _of_device(columns: Mapping[str, Content], resources: Iterable[str]) -> dict[str, Content]:
    """Columns without those of resources that a device does not have."""
    absent = set(RESOURCES) - set(resources)
    return {name: content for name, content in columns.items() if name not in absent}


def _check_designs(designs: pd.DataFrame) -> None:
    twice = designs.loc[designs["design"].duplicated(), "design"]
    if len(twice):
        raise ReportDataError(f"ReportData.designs has {listed(twice)} more than once; give each design its own name")
    unknown = designs[~designs["kind"].isin(KINDS)]
    if len(unknown):
        raise ReportDataError(
            f"ReportData.designs column 'kind' of design {unknown['design'].iloc[0]!r} holds "
            f"{unknown['kind'].iloc[0]!r}; allowed are {', '.join(KINDS)}"
        )
    counts = designs["kind"].value_counts()
    if counts.get("float", 0) > 1:
        raise ReportDataError(f"ReportData.designs has {counts['float']} rows of kind 'float'; allowed is at most one")
    if not counts.get("front", 0):
        raise ReportDataError(
            f"ReportData.designs has no row of kind 'front' among its {len(designs)} rows; "
            "a report needs at least one design: solve the front first"
        )


def _check_layers(layers: pd.DataFrame, designs: pd.DataFrame) -> None:
    stray = sorted(set(layers["design"]) - set(designs["design"]))
    if stray:
        raise ReportDataError(f"ReportData.layers names designs that ReportData.designs does not have: {listed(stray)}")
    bare = sorted(set(designs.loc[designs["kind"] != "float", "design"]) - set(layers["design"]))
    if bare:
        raise ReportDataError(f"ReportData.layers has no row for the designs {listed(bare)}; each needs its layers")
    twice = layers[layers.duplicated(["design", "position"])]
    if len(twice):
        design, position = twice["design"].iloc[0], twice["position"].iloc[0]
        raise ReportDataError(f"ReportData.layers has position {position} of design {design!r} more than once")


def _check_device(device: pd.DataFrame) -> None:
    given = list(device["resource"])
    if not given or len(set(given)) != len(given) or not set(given) <= set(RESOURCES):
        raise ReportDataError(
            f"ReportData.device column 'resource' holds {listed(given)}; "
            f"needed is one row each of what the device has of {', '.join(RESOURCES)}"
        )
    beyond = device[device["usable"] > device["available"]]
    if len(beyond):
        row = beyond.iloc[0]
        raise ReportDataError(
            f"ReportData.device offers {row['usable']} usable {row['resource']} of {row['available']} available; "
            "allowed is at most what is available"
        )
