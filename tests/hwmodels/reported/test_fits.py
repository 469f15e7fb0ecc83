"""Imported rows: kept, replaced, fitted; and what corrections make of costs."""

from __future__ import annotations

import dataclasses
import math

import pytest

from emulation.formats import FixedPoint
from hwmodels.composition import ASSUMED_ERRORS, LOGIC, Bill, compose
from hwmodels.corrections import CALIBRATED, UNCORRECTED, CostCorrection, Factor, correcting
from hwmodels.costs import Cost
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, LanesPerDsp, MultiplierStyle
from hwmodels.own_engines import OwnStyle, style_of
from hwmodels.reported.fitting import ALL_FAMILIES, calibrate
from hwmodels.reported.rows import ROWS_FILE, ImportedRow, add_imported, read_imported, rows_of
from hwmodels.reported.subjects import Subject, estimate
from hwmodels.reported.usage import Instance, Report, ReportError, Stage, Timing, Usage
from hwmodels.units import Priced
from tests.hwmodels.reported.samples import PART, usage

DEVICE = load_device("xczu7ev")


def multiplier(a: int, b: int) -> Subject:
    return Subject(family="multiplier", parameters={"a": str(a), "b": str(b)})


def layer(pe: int, style: str = "ours-lut", bits: int = 6) -> Subject:
    fields = {
        "outputs": 64,
        "depth": 64,
        "pe": pe,
        "simd": 4,
        "weight_bits": bits,
        "activation_bits": bits,
        "ram": "auto",
    }
    return Subject(family=style, parameters={name: str(value) for name, value in fields.items()})


def row(subject: Subject, factor: float, *, name: str = "", stage: Stage = Stage.SYNTHESISED) -> ImportedRow:
    """A row that reports ``factor`` times the LUTs and flip-flops that are estimated, the rest as estimated."""
    own = estimate(subject, DEVICE, where="here")
    scaled = {name: value * factor if name in ("luts", "flip_flops") else value for name, value in own.items()}
    return ImportedRow(
        design="top",
        instance=name or f"top/{subject}",
        subject=subject,
        usage=Usage(**{name: round(value) for name, value in scaled.items()}),
        timing=None,
        stage=stage,
        device="xczu7ev",
        part=PART,
        tool="Vivado v.2022.2",
        report="utilisation.rpt",
    )


def factors(folder):
    return {(fit.family, fit.resource): fit for fit in calibrate(folder).fits}


def test_rows_come_back_as_they_were_and_replace_their_elders(tmp_path):
    first = row(multiplier(8, 8), 1.5)
    timed = dataclasses.replace(row(layer(4), 1.2), timing=Timing(slack_ns=-0.25, period_ns=None))
    assert add_imported(tmp_path, [first, timed]) == [first, timed]
    assert read_imported(tmp_path) == [first, timed]
    again = dataclasses.replace(first, usage=usage(3), timing=Timing(slack_ns=0.5, period_ns=5.0), report="other.rpt")
    estimated = dataclasses.replace(first, stage=Stage.ESTIMATED)
    assert add_imported(tmp_path, [again, estimated]) == [again, timed, estimated]
    assert [path.name for path in tmp_path.iterdir()] == [ROWS_FILE]
    assert read_imported(tmp_path / "nowhere") == []


def test_rows_of_a_report():
    report = Report(
        source="r.rpt",
        tool="Vivado v.2022.2",
        part="7z020clg484-1",
        stage=Stage.SYNTHESISED,
        instances=(
            Instance(path="top", module="top", usage=usage(9)),
            Instance(path="top/m", module="m", usage=usage(7)),
        ),
        timing=Timing(slack_ns=1.0, period_ns=10.0),
    )
    zynq = load_device("xc7z020")
    (found,) = rows_of(report, {"m": multiplier(4, 4)}, zynq, device_name="xc7z020")
    assert (found.design, found.instance, found.usage, found.timing) == ("top", "top/m", usage(7), report.timing)
    with pytest.raises(ReportError, match=r"is of part 7z020clg484-1, and the device is xczu7ev: name the right one"):
        rows_of(report, {"m": multiplier(4, 4)}, DEVICE, device_name="xczu7ev")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("luts,", "lutz,", "line 1: column 'luts' is missing"),
        (",synthesised,", ",guessed,", "line 2: 'guessed' is not a valid Stage"),
        ("a=8;b=8,", "a=8;b=8,-", "line 2: column 'luts' must be a whole number of at least 0, got '-"),
        ("a=8;b=8,", "a=8;b8,", "line 2: parameters are written as a=8;b=4"),
    ],
)
def test_damaged_rows_are_refused(tmp_path, old, new, message):
    add_imported(tmp_path, [row(multiplier(8, 8), 1.5, name="top/m")])
    path = tmp_path / ROWS_FILE
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        read_imported(tmp_path)


def test_a_factor_is_the_geometric_mean_and_its_error_is_of_rows_left_out(tmp_path):
    ratios = (1.0, 1.5, 2.25)
    rows = [row(multiplier(a, 16), ratio) for a, ratio in zip((16, 12, 10), ratios, strict=True)]
    add_imported(tmp_path, rows)
    exact = [one.usage.luts / estimate(one.subject, DEVICE, where="")["luts"] for one in rows]
    fit = factors(tmp_path)["multiplier", "luts"]
    assert fit.factor.value == pytest.approx(math.prod(exact) ** (1 / 3))
    left_out = [math.sqrt(math.prod(exact[:index] + exact[index + 1 :])) / exact[index] - 1 for index in range(3)]
    assert fit.factor.error == pytest.approx(math.sqrt(sum(one * one for one in left_out) / 3))
    assert fit.error_before == pytest.approx(math.sqrt(sum((1 / one - 1) ** 2 for one in exact) / 3))
    assert (fit.factor.rows, fit.unexplained) == (3, 0)


def test_families_with_few_rows_take_the_factor_of_everything(tmp_path):
    add_imported(tmp_path, [row(multiplier(a, 16), 2.0) for a in (8, 12, 16)])
    add_imported(tmp_path, [row(layer(pe), 1.0) for pe in (2, 4)])
    found = factors(tmp_path)
    assert {family for family, _ in found} == {"multiplier", ALL_FAMILIES}
    assert found["multiplier", "luts"].factor.value == pytest.approx(2.0, rel=0.01)
    assert found[ALL_FAMILIES, "luts"].factor.rows == 5
    assert found[ALL_FAMILIES, "luts"].factor.value == pytest.approx(2 ** (3 / 5), rel=0.01)
    correction = calibrate(tmp_path).correction(DEVICE)
    assert correction.factor("multiplier", "luts").value == pytest.approx(2.0, rel=0.01)
    assert correction.factor("barrel shifter", "luts") == correction.everything["luts"]
    assert correction.knows("multiplier")
    assert not correction.knows("ours-lut")


def test_too_few_rows_correct_nothing(tmp_path):
    with pytest.raises(ReportError, match=r"imported.csv holds no rows: `bitfront characterise --import"):
        calibrate(tmp_path)
    add_imported(tmp_path, [row(multiplier(a, 16), 2.0) for a in (8, 12)])
    assert calibrate(tmp_path).fits == ()
    with pytest.raises(ReportError, match="2 imported rows, and a correction needs 3 with LUTs"):
        calibrate(tmp_path).correction(DEVICE)


def test_what_no_factor_explains_is_counted(tmp_path):
    rows = [row(layer(pe, "ours-dsp", 8), 1.0) for pe in (1, 2, 4, 8)]
    rows[0] = dataclasses.replace(rows[0], usage=dataclasses.replace(rows[0].usage, dsps=0))
    add_imported(tmp_path, rows)
    fit = factors(tmp_path)["ours-dsp", "dsps"]
    assert (fit.factor.value, fit.factor.rows, fit.unexplained) == (1.0, 3, 1)


def test_estimates_of_hls_count_only_where_there_is_nothing_better(tmp_path):
    estimated = [row(layer(pe), 3.0, stage=Stage.ESTIMATED) for pe in (2, 4, 8)]
    add_imported(tmp_path, estimated)
    assert factors(tmp_path)["ours-lut", "luts"].factor.value == pytest.approx(3.0, rel=0.01)
    assert "costs are calibrated on estimates of HLS" in calibrate(tmp_path).correction(DEVICE).notes[0]
    add_imported(tmp_path, [row(layer(pe), 1.25) for pe in (2, 4, 8)])
    found = factors(tmp_path)
    assert found["ours-lut", "luts"].factor.value == pytest.approx(1.25, rel=0.01)
    assert found["ours-lut", "luts"].factor.rows == found[ALL_FAMILIES, "luts"].factor.rows == 3


def test_rows_of_another_family_of_parts_are_noted(tmp_path):
    add_imported(tmp_path, [row(multiplier(a, 16), 2.0) for a in (8, 12, 16)])
    assert calibrate(tmp_path).correction(load_device("xczu9eg")).notes == ()
    notes = calibrate(tmp_path).correction(load_device("xc7z020")).notes
    assert notes == ("costs are calibrated on reports of xczu7ev, and the device is xc7z020",)


TWICE = CostCorrection(
    families={"multiplier": {"luts": Factor(value=2.0, error=0.2, rows=4)}},
    everything={"luts": Factor(value=1.5, error=0.3, rows=9), "flip_flops": Factor(value=1.1, error=0.1, rows=9)},
    notes=("a note",),
)


def test_composed_costs_are_corrected_family_by_family():
    bill = Bill()
    bill.add(Priced("multiplier", 100.0, 50.0, 3.0))
    bill.assume(LOGIC, 10.0)
    plain = compose(bill, dsps=3)
    with correcting(TWICE):
        found = compose(bill, dsps=3)
    assert (found.luts, found.flip_flops, found.dsps) == (215, 55, 3)
    assert found.error_band == pytest.approx(math.hypot(200 * 0.2, 15 * 0.3) / 215)
    assert found.sources == ("multiplier", LOGIC, CALIBRATED)
    assert found.out_of_range == ("a note",)
    assert (plain.luts, plain.flip_flops, plain.sources, plain.out_of_range) == (110, 50, ("multiplier", LOGIC), ())
    assert plain.error_band == pytest.approx(math.hypot(3.0, 10 * ASSUMED_ERRORS[LOGIC]) / 110)


def test_reports_of_wholes_tell_of_their_parts(tmp_path):
    whole = {"a": "8", "accumulator": "32"}
    add_imported(tmp_path, [row(Subject(family="mac", parameters={**whole, "b": str(b)}), 1.5) for b in (4, 6, 8)])
    correction = calibrate(tmp_path).correction(DEVICE)
    assert correction.factor("accumulator", "luts").value == correction.factor("mac", "luts").value
    assert correction.knows("multiplier")
    assert not correction.knows("cast")


def test_whole_engines_take_the_factors_of_their_style_alone():
    shape = EngineShape(outputs=64, depth=64, positions=1, in_channels=64, has_bias=False)
    folding = Folding(pe=4, simd=4)

    def price(one: Folding = folding) -> Cost:
        numbers = FixedPoint(width=6)
        return engine_cost(shape, weight_format=numbers, activation_format=numbers, folding=one, device=DEVICE)

    plain = price()
    own = {"ours-lut": {"luts": Factor(value=1.5, error=0.05, rows=5), "bram18s": Factor(value=2.0, error=0.0, rows=5)}}
    with correcting(dataclasses.replace(TWICE, families=dict(TWICE.families) | own)):
        found = price()
        in_dsps = price(Folding(pe=4, simd=4, multipliers=MultiplierStyle.DSP))
    assert found.luts == math.ceil(plain.luts * 1.5)
    assert (found.flip_flops, found.bram18s) == (plain.flip_flops, 2 * plain.bram18s)
    assert (found.interval_cycles, found.fill_cycles) == (plain.interval_cycles, plain.fill_cycles)
    assert found.error_band == 0.05
    assert found.sources[-1] == in_dsps.sources[-1] == CALIBRATED
    assert in_dsps.flip_flops > price(Folding(pe=4, simd=4, multipliers=MultiplierStyle.DSP)).flip_flops
    assert price() == plain


def test_layers_without_factors_of_their_own_take_those_of_everything():
    cost = Cost(luts=100, flip_flops=10, dsps=4, interval_cycles=7)
    found = TWICE.whole("hls-dsp", cost)
    assert (found.luts, found.flip_flops, found.dsps, found.interval_cycles) == (150, 11, 4, 7)
    assert UNCORRECTED.whole("hls-dsp", cost) is cost


def test_the_fingerprint_tells_every_factor():
    texts = {
        TWICE.fingerprint,
        UNCORRECTED.fingerprint,
        dataclasses.replace(TWICE, families={}).fingerprint,
        dataclasses.replace(TWICE, everything={}).fingerprint,
        dataclasses.replace(TWICE, notes=()).fingerprint,
    }
    assert len(texts) == 5
    assert UNCORRECTED.fingerprint == ""
    assert bool(TWICE)
    assert not UNCORRECTED


def test_every_folding_has_a_style():
    dsp = Folding(pe=1, simd=1, multipliers=MultiplierStyle.DSP)
    assert style_of(Folding(pe=1, simd=1)) is OwnStyle.LUT
    assert style_of(dsp) is OwnStyle.DSP
    assert style_of(dataclasses.replace(dsp, lanes_per_dsp=LanesPerDsp.ONE)) is OwnStyle.DSP_ONE
