"""The numbers and texts that both kinds of picture draw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from reports import frames, palette

if TYPE_CHECKING:
    from reports.data import ReportData


def _with(data: ReportData, **columns: object) -> ReportData:
    return replace(data, designs=data.designs.assign(**columns))


def test_designs_are_grouped_and_in_order(report_data: ReportData) -> None:
    designs = frames.design_frame(report_data)
    assert len(designs) == 40
    assert "float" not in set(designs["design"])
    ranks = designs["group"].map(list(frames.GROUPS).index)
    assert ranks.is_monotonic_increasing
    for _, rows in designs.groupby("group"):
        assert rows["measured_loss"].is_monotonic_increasing
    given = report_data.designs.set_index("design")
    for row in designs.to_dict("records"):
        source = given.loc[row["design"]]
        wanted = {"uniform": frames.UNIFORM, "front": frames.FRONT if source["nondominated"] else frames.DOMINATED}
        assert row["group"] == wanted[source["kind"]]


def test_losses_are_drawn_no_lower_than_the_floor_and_the_reader_is_told(report_data: ReportData) -> None:
    assert frames.note_on_floor(frames.design_frame(report_data)) == ""
    losses = report_data.designs["measured_loss"].copy()
    losses[:2] = [0.0, -1e-9]
    designs = frames.design_frame(_with(report_data, measured_loss=losses))
    assert (designs["drawn_measured"] == frames.LOSS_FLOOR).sum() == 2
    assert designs["measured_loss"].min() == -1e-9
    assert frames.note_on_floor(designs) == "Losses below 1e-06 nats are drawn at 1e-06 (2 designs)."


def test_usage_agrees_with_the_device(report_data: ReportData) -> None:
    usage = frames.usage_frame(report_data)
    assert len(usage) == 40 * len(report_data.resources)
    largest = usage.groupby("design")["share"].max()
    given = report_data.designs.set_index("design")["utilisation"].drop("float").astype(float)
    np.testing.assert_allclose(largest.sort_index(), given.sort_index(), rtol=1e-12)
    row = usage[(usage["design"] == "d21") & (usage["resource"] == "DSPs")].iloc[0]
    assert row["text"] == f"{row['used']:.0f} of 154 ({100 * row['used'] / 154:.0f} %)"


def test_a_resource_that_may_not_be_used(report_data: ReportData) -> None:
    device = report_data.device.assign(usable=[37240, 74480, 0, 98])
    usage = frames.usage_frame(replace(report_data, device=device)).query("resource == 'DSPs'")
    assert set(usage.loc[usage["used"] == 0, "share"]) <= {0.0}
    assert np.isinf(usage.loc[usage["used"] > 0, "share"]).all()
    assert usage.loc[usage["used"] > 0, "text"].str.fullmatch(r"\d+ of 0").all()


def test_the_first_design_is_the_cheapest_that_keeps_the_accuracy(report_data: ReportData) -> None:
    front = report_data.designs.query("kind == 'front' and nondominated")
    accurate = front[front["validation_accuracy"] >= 0.9733 - 0.01]
    assert (
        frames.initial_design(report_data) == accurate.sort_values(["utilisation", "measured_loss"])["design"].iloc[0]
    )
    unmeasured = _with(report_data, validation_accuracy=np.nan)
    assert frames.initial_design(unmeasured) == front.sort_values("measured_loss")["design"].iloc[0]
    none_kept = _with(report_data, nondominated=False)
    assert frames.initial_design(none_kept) in set(report_data.designs.query("kind == 'front'")["design"])


def test_rank_correlation_against_its_formula(report_data: ReportData) -> None:
    front = report_data.designs[report_data.designs["kind"] == "front"]
    # Without ties: 1 - 6 sum d^2 / (n (n^2 - 1)), with ranks counted here by sorting.
    predicted = np.argsort(np.argsort(front["predicted_loss"].to_numpy()))
    measured = np.argsort(np.argsort(front["measured_loss"].to_numpy()))
    count = len(front)
    wanted = 1 - 6 * float(((predicted - measured) ** 2).sum()) / (count * (count**2 - 1))
    assert frames.rank_correlation(report_data) == pytest.approx(wanted, abs=1e-12)
    assert np.isnan(frames.rank_correlation(_with(report_data, predicted_loss=0.5)))


def test_assignments_that_differ_only_in_folding_count_once(report_data: ReportData) -> None:
    front = report_data.designs.query("kind == 'front' and nondominated")["design"].tolist()
    assert frames.distinct_assignments(report_data) == len(front)
    formats = ["input_format", "weight_format", "output_format"]
    layers = report_data.layers.copy()
    layers.loc[layers["design"] == front[1], formats] = layers.loc[layers["design"] == front[0], formats].to_numpy()
    assert frames.distinct_assignments(replace(report_data, layers=layers)) == len(front) - 1


def test_logarithmic_axes_only_where_they_help() -> None:
    assert frames.is_logarithmic(pd.Series([1.0, 9.0]))
    assert not frames.is_logarithmic(pd.Series([1.0, 8.0]))
    assert not frames.is_logarithmic(pd.Series([0.0, 90.0]))
    low, high = frames.log_limits(pd.Series([0.25]))
    assert low < 0.25 < high


def test_short_names_keep_both_ends_and_their_limit() -> None:
    for length in range(1, 60):
        name = "".join(chr(97 + index % 26) for index in range(length))
        short = frames.shortened(name)
        assert len(short) <= 24
        assert short[:11] == name[:11]
        assert short[-11:] == name[-11:]
        assert ("\N{HORIZONTAL ELLIPSIS}" in short) == (length > 24)


@pytest.mark.parametrize("family", list(palette.Family))
def test_format_colours_darken_with_the_bits_and_stay_readable(family: palette.Family) -> None:
    names = {
        palette.Family.FIXED: ["int{}", "ufixed<{},2>"],
        palette.Family.FLOATING: ["fp{}", "bf{}"],
        palette.Family.OTHER: ["mxint{}", "nf{}"],
    }[family]
    for pattern in names:
        fills = [palette.format_colour(pattern.format(width)) for width in range(1, 17)]
        assert {palette.family(pattern.format(width)) for width in range(1, 17)} == {family}
        light = [palette._luminance(fill) for fill in fills]
        assert light == sorted(light, reverse=True)
        assert len(set(fills)) == 16
        for fill in fills:
            low, high = sorted([palette._luminance(palette.readable_ink(fill)), palette._luminance(fill)])
            assert (high + 0.05) / (low + 0.05) >= 4.0  # WCAG asks for 3 in large text, 4.5 in small
    assert palette.format_colour(names[0].format(32)) == palette.format_colour(names[0].format(16))


def test_what_takes_the_energy(report_data: ReportData) -> None:
    energy = frames.energy_frame(report_data)
    assert len(energy) == 40 * len(frames.ENERGY_PARTS)
    np.testing.assert_allclose(energy.groupby("design")["share"].sum(), 1.0)
    row = report_data.designs.set_index("design").loc["d21"]
    shown = energy[energy["design"] == "d21"].set_index("part")
    assert shown.loc["Memories", "share"] == pytest.approx(row["memory_pj"] / row["energy_pj"])
    assert shown.loc["Off the chip", "text"].startswith(frames.joules(float(row["offchip_pj"])))
    nothing = frames.energy_frame(_with(report_data, energy_pj=0.0, memory_pj=0.0, offchip_pj=0.0))
    assert set(nothing["text"]) == {"0 pJ (0 %)"}


def test_bars_of_a_layers_energy_end_where_its_parts_do(report_data: ReportData) -> None:
    layers = frames.layer_frame(report_data)
    np.testing.assert_allclose(layers["onchip_pj"] - layers["logic_pj"], layers["memory_pj"].astype(float), atol=1e-6)
    np.testing.assert_allclose(layers["energy_pj"].astype(float) - layers["onchip_pj"], layers["offchip_pj"], atol=1e-6)
    assert layers["energy_parts"].iloc[0].startswith("logic ")


def test_a_design_says_its_energy_and_delay(report_data: ReportData) -> None:
    designs = frames.design_frame(report_data).set_index("design")
    assert f"energy {designs.loc['d03', 'energy']}/sample  \N{MIDDLE DOT}  delay 1.30" in designs.loc["d03", "summary"]
    assert "delay" not in designs.loc["u05", "summary"]  # none is known
