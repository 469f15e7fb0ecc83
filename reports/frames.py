"""What the pictures show, apart from how they are drawn: Altair and Matplotlib both start from these frames.

Every function takes the checked `ReportData` and returns new frames or plain values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from reports.data import ReportData

LOSS_FLOOR: Final = 1e-6
"""Losses below this many nats per image are drawn here: a logarithmic axis has no zero, and float32 logits resolve no
less (their relative spacing is 2**-23, about 1.2e-7)."""

LOGARITHMIC_RATIO: Final = 8.0
"""Positive values that span more than this factor are drawn on a logarithmic axis."""

ACCURACY_MARGIN: Final = 0.01
"""The design shown first may lose this much validation accuracy: one percentage point."""

UNKNOWN: Final = "\N{EN DASH}"
"""What a cell shows for a number that was not measured."""

ENERGY_PARTS: Final = {"logic_pj": "Logic", "memory_pj": "Memories", "offchip_pj": "Off the chip"}
"""Columns of what takes a design's energy, and how a reader calls them."""

TIMES: Final = "\N{MULTIPLICATION SIGN}"

FRONT: Final = "on the front"
DOMINATED: Final = "dominated when measured"
UNIFORM: Final = "uniform"
GROUPS: Final = (FRONT, DOMINATED, UNIFORM)
"""How designs are told apart, in the order of tables and legends."""


def design_frame(data: ReportData) -> pd.DataFrame:
    """Every design but the float network, by group and measured loss, with the columns the pictures need.

    Returns:
        The columns of ``data.designs`` and ``group`` (one of `GROUPS`), ``drawn_predicted`` and ``drawn_measured``
        (losses raised to `LOSS_FLOOR`), ``drawn_low`` and ``drawn_high`` (ends of the confidence band likewise, NaN
        without one), ``utilisation_percent``, ``accuracy_percent`` (validation),
        ``drawn_interval`` (at least 1 cycle), ``logic_pj`` (what memories leave of ``energy_pj``), ``energy``,
        ``delay``, ``label`` and ``summary`` (texts for people).
    """
    frame = data.designs[data.designs["kind"] != "float"].copy()
    numbers = ["predicted_loss", "measured_loss", "utilisation", "validation_accuracy", "test_accuracy"]
    numbers += [*data.resources, "interval_cycles", "latency_cycles", "frames_per_second", "bound", "relative_delay"]
    numbers += ["energy_pj", "memory_pj", "offchip_pj"]
    frame[numbers] = frame[numbers].apply(pd.to_numeric).astype(float)
    on_front = np.where(frame["nondominated"].astype(bool), FRONT, DOMINATED)
    frame["group"] = np.where(frame["kind"] == "uniform", UNIFORM, on_front)
    frame["drawn_predicted"] = frame["predicted_loss"].clip(lower=LOSS_FLOOR)
    frame["drawn_measured"] = frame["measured_loss"].clip(lower=LOSS_FLOOR)
    bands = data.trust.bands.set_index("design")[["low", "high"]].astype(float).clip(lower=LOSS_FLOOR)
    frame[["drawn_low", "drawn_high"]] = bands.reindex(frame["design"]).to_numpy()
    frame["utilisation_percent"] = 100 * frame["utilisation"]
    frame["accuracy_percent"] = 100 * frame["validation_accuracy"]
    frame["drawn_interval"] = frame["interval_cycles"].clip(lower=1)
    frame["logic_pj"] = _logic(frame)
    frame["energy"] = frame["energy_pj"].map(joules)
    frame["delay"] = frame["relative_delay"].map(times_multiplication)
    frame["label"] = frame["design"] + " \N{MIDDLE DOT} " + frame["name"]
    frame["summary"] = frame.apply(_summary, axis=1)
    order = frame["group"].map({group: rank for rank, group in enumerate(GROUPS)})
    return frame.iloc[np.lexsort((frame["utilisation"], frame["measured_loss"], order))].reset_index(drop=True)


def layer_frame(data: ReportData) -> pd.DataFrame:
    """Every layer of every design but the float network, in order.

    Returns:
        The columns of ``data.layers`` and ``label`` (a name short enough for an axis), ``folding`` ("pe x simd", empty
        if the layer has none), ``drawn_loss`` (at least 0), and for a bar of the energy in three parts ``logic_pj``,
        ``onchip_pj`` (logic and memories) and ``energy`` (a text).
    """
    shown = data.designs.loc[data.designs["kind"] != "float", "design"]
    frame = data.layers[data.layers["design"].isin(shown)].copy()
    frame["label"] = frame["layer"].map(shortened)
    frame["folding"] = [
        f"{pe:.0f} {TIMES} {simd:.0f}" if pe and simd else ""
        for pe, simd in zip(frame["pe"].astype(float), frame["simd"].astype(float), strict=True)
    ]
    frame["drawn_loss"] = frame["loss"].astype(float).clip(lower=0)
    frame["logic_pj"] = _logic(frame)
    frame["onchip_pj"] = frame["logic_pj"] + frame["memory_pj"].astype(float)
    frame["energy"] = frame["energy_pj"].astype(float).map(joules)
    frame["energy_parts"] = [
        f"logic {joules(logic)}, memories {joules(memory)}, off the chip {joules(offchip)}"
        for logic, memory, offchip in zip(
            frame["logic_pj"], frame["memory_pj"].astype(float), frame["offchip_pj"].astype(float), strict=True
        )
    ]
    return frame.reset_index(drop=True)


def usage_frame(data: ReportData) -> pd.DataFrame:
    """How much of each resource each design uses.

    Returns:
        A row per design and resource: ``design``, ``resource`` (as readers call it), ``used``, ``usable``,
        ``available``, ``share`` (used of usable; infinite where nothing is usable) and ``text``.
    """
    designs = design_frame(data)
    frame = designs.melt(id_vars="design", value_vars=list(data.resources), var_name="resource", value_name="used")
    frame = frame.merge(data.device[["resource", "usable", "available"]], on="resource", how="left")
    frame["resource"] = frame["resource"].map(dict(data.resources))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = frame["used"].to_numpy(float) / frame["usable"].to_numpy(float)
    frame["share"] = np.where(frame["used"].eq(0), 0.0, share)
    frame["text"] = [
        f"{amount(used)} of {amount(usable)}" + (f" ({100 * share:.0f} %)" if np.isfinite(share) else "")
        for used, usable, share in zip(frame["used"], frame["usable"], frame["share"], strict=True)
    ]
    return frame


def energy_frame(data: ReportData) -> pd.DataFrame:
    """What takes each design's energy.

    Returns:
        A row per design and part of `ENERGY_PARTS`: ``design``, ``part`` (as readers call it), ``share`` of the
        design's energy and ``text``.
    """
    designs = design_frame(data)
    frame = designs.melt(id_vars=["design", "energy_pj"], value_vars=list(ENERGY_PARTS), var_name="part")
    frame["part"] = frame["part"].map(ENERGY_PARTS)
    whole = frame["energy_pj"].to_numpy(float)
    frame["share"] = np.divide(frame["value"], whole, out=np.zeros(len(frame)), where=whole > 0)
    frame["text"] = [
        f"{joules(value)} ({100 * share:.0f} %)" for value, share in zip(frame["value"], frame["share"], strict=True)
    ]
    return frame


def front_designs(data: ReportData) -> pd.DataFrame:
    """The nondominated designs of `design_frame`, best measured loss first; all solved designs if none is marked."""
    designs = design_frame(data)
    front = designs[designs["group"] == FRONT]
    return front if len(front) else designs[designs["group"] == DOMINATED]


def initial_design(data: ReportData) -> str:
    """The design a reader sees first: the cheapest nondominated one that keeps the accuracy.

    That is the lowest utilisation among the designs within `ACCURACY_MARGIN` of the float network's validation accuracy
    (of the best design's, if the float network's is not known); without accuracies, the lowest measured loss.
    """
    candidates = front_designs(data)
    reference = float_accuracy(data)
    if np.isnan(reference):
        reference = float(candidates["validation_accuracy"].max())
    accurate = candidates[candidates["validation_accuracy"] >= reference - ACCURACY_MARGIN]
    order = ["measured_loss"] if accurate.empty else ["utilisation", "measured_loss"]
    ordered = (candidates if accurate.empty else accurate).sort_values(order, kind="stable")
    return str(ordered["design"].iloc[0])


def float_accuracy(data: ReportData) -> float:
    """Validation accuracy of the float network, NaN if it is not among the designs or was not measured."""
    row = data.float_network
    return float("nan") if row is None else float(row["validation_accuracy"])


def rank_correlation(data: ReportData) -> float:
    """Spearman's correlation of predicted and measured loss over all front designs; NaN for fewer than three."""
    front = data.designs[data.designs["kind"] == "front"]
    if len(front) < 3:
        return float("nan")
    predicted, measured = (front[column].astype(float).rank() for column in ("predicted_loss", "measured_loss"))
    if min(np.ptp(predicted), np.ptp(measured)) == 0:  # all equal: there is no order to compare
        return float("nan")
    return float(predicted.corr(measured))


def distinct_assignments(data: ReportData) -> int:
    """How many different assignments of formats to layers the nondominated designs hold."""
    designs = design_frame(data)
    chosen = data.layers[data.layers["design"].isin(designs.loc[designs["group"] == FRONT, "design"])]
    formats = ["input_format", "weight_format", "output_format"]
    return len({tuple(rows[formats].itertuples(index=False, name=None)) for _, rows in chosen.groupby("design")})


def formats_in(layers: pd.DataFrame) -> list[str]:
    """All formats that a frame of layers names, without the empty one."""
    return sorted(set(layers[["input_format", "weight_format", "output_format"]].to_numpy().ravel()) - {""})


def is_logarithmic(values: pd.Series) -> bool:
    """Whether the positive ``values`` span enough to deserve a logarithmic axis."""
    low, high = float(values.min()), float(values.max())
    return low > 0 and high > LOGARITHMIC_RATIO * low


def log_limits(*columns: pd.Series) -> tuple[float, float]:
    """Limits of a logarithmic axis that leave a little air around positive values.

    >>> [round(limit, 3) for limit in log_limits(pd.Series([0.01, 1.0]))]
    [0.007, 1.38]
    """
    values = pd.concat(columns)
    low, high = float(values.min()), float(values.max())
    air = max((high / low) ** 0.07, 1.1)
    return low / air, high * air


def note_on_floor(designs: pd.DataFrame) -> str:
    """A sentence about losses drawn at the floor, or an empty text if there are none."""
    floored = int(((designs["measured_loss"] < LOSS_FLOOR) | (designs["predicted_loss"] < LOSS_FLOOR)).sum())
    if not floored:
        return ""
    designs_text = "1 design" if floored == 1 else f"{floored} designs"
    return f"Losses below {LOSS_FLOOR:g} nats are drawn at {LOSS_FLOOR:g} ({designs_text})."


def amount(number: float) -> str:
    """A count as people write it; half blocks of RAM keep their half.

    >>> amount(12345.0), amount(17.5), amount(float("nan"))
    ('12,345', '17.5', '\N{EN DASH}')
    """
    if np.isnan(number):
        return UNKNOWN
    return f"{number:,.0f}" if float(number).is_integer() or number >= 1000 else f"{number:,.1f}"


def percentage(fraction: float) -> str:
    """A fraction as a percentage with one decimal.

    >>> percentage(0.9725), percentage(float("nan"))
    ('97.2 %', '\N{EN DASH}')
    """
    return UNKNOWN if np.isnan(fraction) else f"{100 * fraction:.1f} %"


def small(number: float) -> str:
    """A loss with three significant digits.

    >>> small(0.0123456), small(2.5e-7), small(float("nan"))
    ('0.0123', '2.5e-7', '\N{EN DASH}')
    """
    return UNKNOWN if np.isnan(number) else f"{number:.3g}".replace("e-0", "e-").replace("e+0", "e")


def joules(picojoules: float) -> str:
    """An energy with three significant digits, in the unit that suits it.

    >>> joules(0.0), joules(834.0), joules(6882.8), joules(1.5e9), joules(float("nan"))
    ('0 pJ', '834 pJ', '6.88 nJ', '1.5 mJ', '\N{EN DASH}')
    """
    if np.isnan(picojoules):
        return UNKNOWN
    number, unit = picojoules, "pJ"
    for larger in ("nJ", "\N{MICRO SIGN}J", "mJ", "J"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}"


def times_multiplication(relative_delay: float) -> str:
    """A delay relative to an 8-bit multiplication; a dash if none is known.

    >>> times_multiplication(1.302), times_multiplication(0.0)
    ('1.30\N{MULTIPLICATION SIGN}', '\N{EN DASH}')
    """
    return f"{relative_delay:.2f}{TIMES}" if relative_delay > 0 else UNKNOWN


def _logic(frame: pd.DataFrame) -> pd.Series:
    whole, memory, offchip = (frame[name].astype(float) for name in ("energy_pj", "memory_pj", "offchip_pj"))
    return (whole - memory - offchip).clip(lower=0)


def shortened(text: str, limit: int = 24) -> str:
    """A text of at most ``limit`` characters, its middle left out: both ends tell layers of deep networks apart.

    >>> shortened("features.denseblock1.denselayer12.conv1")
    'features.de\N{HORIZONTAL ELLIPSIS}yer12.conv1'
    """
    if len(text) <= limit:
        return text
    keep = (limit - 1) // 2
    return f"{text[:keep]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - keep :]}"


def _summary(row: pd.Series) -> str:
    """One line about a design."""
    parts: list[tuple[str, str]] = [
        ("loss", f"{small(row['measured_loss'])} nats measured, {small(row['predicted_loss'])} predicted"),
        ("validation accuracy", percentage(row["validation_accuracy"])),
        ("test accuracy", percentage(row["test_accuracy"])),
        ("device", percentage(row["utilisation"])),
        ("interval", f"{amount(row['interval_cycles'])} cycles"),
        ("latency", f"{amount(row['latency_cycles'])} cycles"),
        ("", f"{amount(row['frames_per_second'])} frames/s"),
        ("energy", f"{row['energy']}/sample"),
        ("delay", row["delay"]),
        ("solver", row["status"]),
    ]
    return "  ·  ".join(f"{what} {text}".strip() for what, text in parts if text not in ("", UNKNOWN))


Formatter = Callable[[float], str]
"""Turns a number into the text of a table cell."""
