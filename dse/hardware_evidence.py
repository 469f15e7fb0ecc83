"""Frames of the page about hardware costs (`reports.hardware_page`), out of the committed rows and models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dse.errors import StudyError
from dse.hardware_bars import SHOWN_WAYS, Bar, effort_bar, engine_bars, layer_bars, unit_bars, way_bar
from dse.unit_models import committed_models, ranges_in_words
from hwmodels.composition import ASSUMED_ERRORS
from hwmodels.energy import published
from hwmodels.energy_fitting import compare
from hwmodels.engine_models import engine_comparison, engine_errors
from hwmodels.fitting import BOOSTED, FITTED_COLUMNS, LINEAR, SCALED_FLOWS
from hwmodels.folding import MemoryStyle
from hwmodels.left_out import left_out_units, scaled_units
from hwmodels.models import ROWS_FOLDER
from hwmodels.peers import peer_estimates
from hwmodels.rtl.engine_shape import DSP_STYLE, LUT_STYLE, PACKED_STYLE, STYLES
from hwmodels.rtl.families import FAMILIES
from hwmodels.rtl.family import Pricing
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.flows import FLOWS
from hwmodels.synthesis.measurements import RowsError, read_rows, write_parameters
from hwmodels.timing_fitting import left_out_delays
from hwmodels.vendor_fits import Figure, Leaving, errors, left_out_estimates
from hwmodels.vendor_rows import VendorLayer, VendorStyle, fit_rows, vendor_rows
from reports.hardware_data import COLUMNS, ENGINES, OURS, UNITS, HardwareData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwmodels.engine_models import EngineComparison
    from hwmodels.models import UnitModel
    from hwmodels.rtl.engine_shape import EngineShape
    from hwmodels.synthesis.measurements import Measurement

    Rows = Mapping[str, Sequence[Measurement]]

_PEER_STYLES: Final = {
    LUT_STYLE: VendorStyle.HLS_LUT,
    DSP_STYLE: VendorStyle.HLS_DSP,
    PACKED_STYLE: VendorStyle.RTL_DSP,
}
ASSUMED: Final = (
    "Units are flattened alone; sharing of logic between neighbours in a design is not seen.",
    "Memories are counted by what a primitive holds (UG473, UG474, UG573).",
    "Delays and energies are relative, and those of engines are composed of their units'.",
    "Static power, clock trees, wires, and values that change less often than random ones are not modelled.",
    "LUTs of ECP5 parts are those of six-input LUTs, which every such cost notes.",
)
"""What no row shows, a sentence each; published energies that are from memory are added by name."""


def hardware_data(folder: Path = ROWS_FOLDER) -> HardwareData:
    """All frames of the page.

    Args:
        folder: with the rows of all flows and the models; engines and vendor layers are always the committed ones.

    Raises:
        StudyError: if rows or models are missing or cannot be read.
        ValueError: if no engine was measured.
    """
    rows, models = committed_rows(folder), committed_models(folder)
    bars = [
        *unit_bars(models),
        *engine_bars(engine_errors(), engine_comparison()),
        *layer_bars(),
        effort_bar(unit_rows(rows)),
    ]
    return HardwareData(
        units=_units(rows, models),
        models=_frame("models", map(_model, models)),
        engines=_engines(),
        layers=_layers(),
        known_layers=len(vendor_rows()),
        delays=_delays(rows["ecp5"]),
        energies=_frame(
            "energies", ((one.operation, one.process, one.published, one.measured) for one in compare(rows["osu018"]))
        ),
        effort=_effort(rows),
        checks=_frame("checks", ((bar.what, bar.found, bar.bar, bar.met) for bar in bars)),
        assumptions=(*ASSUMED, *_judged(), *_from_memory()),
    )


def committed_rows(folder: Path = ROWS_FOLDER) -> dict[str, list[Measurement]]:
    """The rows of every flow, by its name.

    Raises:
        StudyError: if a flow has none, or its file cannot be read.
    """
    found = {}
    for flow in FLOWS:
        path = folder / f"{flow}.csv"
        try:
            found[flow] = read_rows(path)
        except (OSError, RowsError) as error:
            raise StudyError(f"the rows of flow {flow} cannot be read: {error}") from error
        if not found[flow]:
            raise StudyError(
                f"there are no rows of flow {flow} in {path}: restore hwmodels/data/rows from the repository, or "
                f"measure them again with `bitfront characterise --flow {flow} --rows {folder}`"
            )
    return found


def unit_rows(rows: Rows) -> list[Measurement]:
    """The rows of units of all flows, without engines."""
    return [row for own in rows.values() for row in own if not _is_engine(row)]


def _is_engine(row: Measurement) -> bool:
    return row.family in FAMILIES and FAMILIES[row.family].pricing is Pricing.COMPOSED


def _units(rows: Rows, models: Sequence[UnitModel]) -> pd.DataFrame:
    judged = [
        (flow, column, left_out_units(rows[flow], column))
        for flow, columns in FITTED_COLUMNS.items()
        for column in columns
    ]
    for flow, base in SCALED_FLOWS.items():
        known = [model for model in models if (model.flow, model.column) == (base, "luts")]
        judged.append((flow, "luts", scaled_units(rows[flow], known)))
    return _frame(
        "units",
        (
            (flow, column, one.family, one.omitted.value, one.measured, one.estimated)
            for flow, column, units in judged
            for one in units
        ),
    )


def _model(model: UnitModel) -> tuple[Any, ...]:
    rival = model.rivals.get(BOOSTED)
    return (
        model.flow,
        model.column,
        model.family,
        model.rows,
        len(model.coefficients),
        LINEAR,
        BOOSTED if rival else "",
        rival.median if rival else float("nan"),
        ranges_in_words(model),
    )


def _engines() -> pd.DataFrame:
    found: list[tuple[Any, ...]] = []
    by_style: dict[int, list[EngineComparison]] = defaultdict(list)
    for one in engine_comparison():
        by_style[one.shape.style].append(one)
    for style, own in sorted(by_style.items()):
        layers = [_as_layer(one.shape) for one in own]
        measured = [float(one.luts) for one in own]
        for way, estimates in _ways(layers, measured, [one.predicted.luts for one in own]):
            found += [(STYLES[style], way, *pair) for pair in zip(measured, estimates, strict=True)]
    return _frame("engines", found)


def engine_way_bars() -> list[Bar]:
    """Our engines by the sum of their parts and by peers; what is no LUTs is scaled to fit each style best."""
    ways = dict(list(_engines().groupby("way", sort=False)))
    return [
        way_bar("engines", way, errors(ways[way]["estimated"].tolist(), ways[way]["measured"].tolist()))
        for way in SHOWN_WAYS
    ]


def _as_layer(shape: EngineShape) -> VendorLayer:
    """What formulas of peers ask of an engine; they know no windows, and scales where these engines have thresholds."""
    return VendorLayer(
        outputs=shape.outputs,
        depth=shape.depth,
        pe=shape.pe,
        simd=shape.simd,
        weight_bits=shape.weight_bits,
        activation_bits=shape.activation_bits,
        style=_PEER_STYLES[shape.style],
        weights=MemoryStyle.BRAM if shape.memory else MemoryStyle.LUTRAM,
    )


def _layers() -> pd.DataFrame:
    found: list[tuple[Any, ...]] = []
    for style in VendorStyle:
        layers = [row.layer for row in fit_rows(style)]
        measured = [float(row.luts) for row in fit_rows(style)]
        ours = left_out_estimates(style, Figure.LUTS, Leaving.LAYER)
        for way, estimates in _ways(layers, measured, ours):
            pairs = zip(measured, estimates, strict=True)
            found += [(style.value, way, whole, estimate) for whole, estimate in pairs]
    return _frame("layers", found)


def _ways(
    layers: Sequence[VendorLayer], measured: Sequence[float], ours: Sequence[float]
) -> Iterable[tuple[str, Sequence[float]]]:
    yield OURS, ours
    for one in peer_estimates(layers, measured):
        yield one.peer, one.luts


def _delays(rows: Sequence[Measurement]) -> pd.DataFrame:
    return _frame(
        "delays",
        (
            (one.row.family, write_parameters(one.row.parameters), one.measured, one.estimated)
            for one in left_out_delays(rows)
        ),
    )


def _effort(rows: Rows) -> pd.DataFrame:
    grouped: dict[tuple[str, str, str], list[Measurement]] = defaultdict(list)
    for flow, own in rows.items():
        for row in own:
            grouped[flow, ENGINES if _is_engine(row) else UNITS, row.tool].append(row)
    found = []
    for (flow, what, tool), own in grouped.items():
        failed = sum(row.status is not Status.OK for row in own)
        found.append((flow, what, len(own), failed, sum(row.seconds for row in own), tool))
    return _frame("effort", found)


def _judged() -> Iterable[str]:
    for family, error in ASSUMED_ERRORS.items():
        yield f"One standard deviation of {family} outside measured units is taken to be {error:.0%}: a judgement."


def _from_memory() -> Iterable[str]:
    """Published energies whose source nobody has looked at again, by name."""
    for entry in published()["anchors"]:
        unsure = [f"SRAM of {one['bytes'] // 1024} KB" for one in entry["sram"] if not one["verified"]]
        unsure += [] if entry["dram"]["verified"] else ["DRAM"]
        if unsure:
            yield f"Published energies at {entry['name']} that are quoted from memory: {', '.join(unsure)}."


def _frame(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame([list(row) for row in rows], columns=list(COLUMNS[name]))
