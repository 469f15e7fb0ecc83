"""What the command line prints: tables and closing words on standard output, errors on standard error."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dse.comparison import USEFUL_ACCURACY_LOSS
from hwmodels.energy import energy_words
from hwmodels.timing import DELAY_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dse.designs import Design
    from dse.doctor import Check
    from dse.results import FrontResult
    from emulation.catalogue import Entry
    from hwmodels.costs import Cost
    from hwmodels.devices import Device

    Rows = Sequence[Mapping[str, Any]]

WIDTH_WITHOUT_TERMINAL = 150
"""Columns when standard output is a file or a pipe, where rich would take 80."""


WIDE_COLUMNS = 120
"""Characters a line must have for the front with its resources, and what is predicted left out."""

ALL_COLUMNS = 150
"""Characters a line must have for the front with all its columns."""


def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    return console


def say(message: str) -> None:
    """A line on standard output, shown as it is whatever a name in it holds; paths in it are not broken."""
    out().print(Text(message), soft_wrap=True)


def say_error(message: str) -> None:
    """One paragraph on standard error, shown as it is like `say`."""
    paragraph = " ".join(message.split())
    err().print(Text("bitfront: ", style="bold red") + Text(paragraph), soft_wrap=True)


def print_json(content: object) -> None:
    """JSON on standard output; NaN and infinity become null, which JSON has."""
    sys.stdout.write(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(content: object) -> object:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content


def table(title: str, columns: Mapping[str, str]) -> Table:
    """An empty table; ``columns`` maps headings to "left" or "right"."""
    result = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, side in columns.items():
        result.add_column(
            heading,
            justify="right" if side == "right" else "left",
            overflow="fold",
            min_width=max(map(len, heading.split("\n"))),
        )
    return result


def front_table(result: FrontResult, clock_mhz: float, device: Device, *, width: int, most: int = 40) -> Table:
    """The designs that no other measured design beats, cheapest first, and the float network.

    Some columns are left out if fewer than `ALL_COLUMNS` characters fit a line, more below `WIDE_COLUMNS`.
    """
    counted = _GATES if device.asic is not None else _BLOCKS
    designs = list(result.designs)
    if result.is_measured:
        nondominated = result.nondominated
        designs = [one for one in designs if one.name in nondominated]
    shown = _spread(sorted(designs, key=lambda one: one.utilisation), most)
    count = f"{len(shown)} of {len(designs)}" if len(shown) < len(designs) else f"{len(designs)}"
    what = "nondominated by measured loss" if result.is_measured else "by predicted loss"
    title = f"Pareto front ({count} designs, {what})"
    rows = [_float_cells(result), *(_design_cells(result, design, clock_mhz) for design in shown)]
    wide = [one for one in _WIDE if width >= ALL_COLUMNS or one not in _PREDICTED]
    return _filled(title, rows, (*_TEXTS, "util %", *counted, *wide) if width >= WIDE_COLUMNS else _NARROW)


_TEXTS: Final = ("design", "weights", "activations")
_ARRAY: Final = "array"
_ARITHMETIC: Final = "arithmetic"
_SOMETIMES: Final = (_ARRAY, _ARITHMETIC)
"""Columns left out where no design shown has them: an array that layers share, more than exact arithmetic."""
_BLOCKS: Final = ("LUT", "DSP", "BRAM")
_GATES: Final = ("kGE",)
_ENERGY: Final = "energy\nnJ"
_DELAY: Final = "delay\nrel."
_WIDE: Final = (
    *("frames/s", "latency\nus", _ENERGY, _DELAY, "loss\npred.", "loss\nmeas."),
    *("valid.%\npred.", "valid.%\nmeas.", "test %\nmeas."),
)
_PREDICTED: Final = ("loss\npred.", "valid.%\npred.")
_NARROW: Final = (*_TEXTS, "util %", "frames/s", _ENERGY, "loss\nmeas.", "valid.%\nmeas.", "test %\nmeas.")


def _filled(title: str, rows: Rows, headings: Sequence[str]) -> Table:
    shown = [heading for heading in _SOMETIMES if any(row.get(heading) for row in rows)]
    headings = (*_TEXTS, *shown, *headings[len(_TEXTS) :])
    found = table(title, {heading: "left" if heading in (*_TEXTS, *shown) else "right" for heading in headings})
    for row in rows:
        found.add_row(*(Text(row.get(heading, "")) for heading in headings))
    return found


def _float_cells(result: FrontResult) -> dict[str, str]:
    return {
        "design": "float",
        "weights": "float32",
        "activations": "float32",
        "loss\npred.": "0",
        "loss\nmeas.": "0",
        "valid.%\nmeas.": _percent(result.float_validation_accuracy),
        "test %\nmeas.": _percent(result.float_test_accuracy),
    }


def _design_cells(result: FrontResult, design: Design, clock_mhz: float) -> dict[str, str]:
    return {
        "design": design.name,
        "weights": design.weights_in_words,
        "activations": design.activations_in_words,
        _ARRAY: _array_in_words(design),
        _ARITHMETIC: design.arithmetic_in_words,
        "util %": f"{100 * design.utilisation:.2f}",
        "LUT": f"{design.total.luts}",
        "DSP": f"{design.total.dsps}",
        "BRAM": f"{design.total.brams:g}",
        "kGE": f"{design.total.gates / 1e3:.1f}",
        _ENERGY: _nanojoules(design.total),
        _DELAY: _relative_delay(design.total),
        "frames/s": f"{clock_mhz * 1e6 / design.interval_cycles:.0f}",
        "latency\nus": f"{design.latency_cycles / clock_mhz:.1f}",
        "loss\npred.": f"{design.predicted_loss:.5f}",
        "loss\nmeas.": "" if design.validation is None else f"{design.validation.divergence:.5f}",
        "valid.%\npred.": _percent(_predicted_accuracy(result, design)),
        "valid.%\nmeas.": _percent(None if design.validation is None else design.validation.accuracy),
        "test %\nmeas.": _percent(None if design.test is None else design.test.accuracy),
    }


def _nanojoules(cost: Cost) -> str:
    return f"{cost.energy_pj / 1e3:.4g}" if cost.energy_pj else ""


def _relative_delay(cost: Cost) -> str:
    return f"{cost.relative_delay:.2f}" if cost.relative_delay else ""


def _array_in_words(design: Design) -> str:
    array = design.array
    return "" if array is None else f"{array.pe} x {array.simd} {array.multipliers.value}"


def _predicted_accuracy(result: FrontResult, design: Design) -> float | None:
    """The float network's validation accuracy and the change predicted from calibration data, within 0 and 1."""
    if result.float_validation_accuracy is None:
        return None
    return min(max(result.float_validation_accuracy + design.predicted_accuracy_change, 0.0), 1.0)


def _spread(designs: Sequence[Design], most: int) -> list[Design]:
    if len(designs) <= most:
        return list(designs)
    return [designs[round(index * (len(designs) - 1) / (most - 1))] for index in range(most)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def uniform_table(result: FrontResult, clock_mhz: float, *, most: int = 10) -> Table:
    """Some useful uniform rivals that no other uniform design beats, cheapest first."""
    floor = (result.float_validation_accuracy or 0.0) - USEFUL_ACCURACY_LOSS
    useful = [one for one in result.uniform if one.validation is not None and one.validation.accuracy >= floor]
    shown = _spread(sorted(useful, key=lambda one: one.utilisation), most)
    within = f"within {100 * USEFUL_ACCURACY_LOSS:g} points of float"
    title = f"Best uniform designs ({len(shown)} of {len(useful)} {within})"
    return _filled(title, [_design_cells(result, design, clock_mhz) for design in shown], _NARROW)


def closing_words(result: FrontResult, device: Device) -> list[str]:
    """What was proved, what comparing taught, and what energies and delays are: a sentence each."""
    nondominated = result.nondominated
    kept = [one for one in result.designs if one.name in nondominated]
    assignments = {one.formats.text for one in kept}
    proven = sum(one.proof.status == "optimal" and one.proof.gap == 0 for one in result.designs)
    words = [
        f"complete: {'yes' if result.complete else 'no, ' + result.why_incomplete}",
        f"solver: {result.solves} calls in {result.solve_seconds:.1f} s; {proven} of {len(result.designs)} designs are "
        "proven efficient",
        (
            f"measured: {len(kept)} of {len(result.designs)} designs are nondominated by measured validation loss; "
            f"{len(assignments)} distinct format assignments"
        ),
        f"prediction: Spearman correlation {result.rank_correlation:.3f} of predicted and measured loss on the front",
    ]
    if result.savings:
        words.append(f"mixed against uniform: {result.savings[0].describe()}")
    else:
        words.append("mixed against uniform: no operating point at which a mixed design matches a useful uniform one")
    return [*words, *cost_words(device.energy_anchor)]


def half_of(cost: Cost, device: Device) -> str:
    """Options of `bitfront explain` for half of what a design takes of the device's first resource."""
    name = next(iter(device.resources))
    return f"--{name} {max(cost.resource(name) // 2, 1)}"


def cost_words(process: str) -> list[str]:
    """What energies of a process and relative delays are."""
    return [f"energy: {energy_words(process)}", f"delay: {DELAY_WORDS}"]


def formats_table(entries: Sequence[Entry]) -> Table:
    """The catalogue of formats, families apart."""
    columns = {"name": "left", "family": "left", "bits": "right", "range": "left", "least > 0": "right"}
    found = table("Formats", columns | {"epsilon": "right", "codes": "right", "source": "left"})
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        low, high = _short(entry.smallest), _short(entry.largest)
        found.add_row(
            entry.name,
            entry.family.value,
            str(entry.format.width),
            f"+-{high}" if low == f"-{high}" else f"{low} to {high}",
            _short(entry.smallest_positive, digits=3),
            _short(entry.epsilon, digits=3),
            str(entry.finite_codes),
            Text(entry.source.words),
            end_section=following is not None and following.family is not entry.family,
        )
    found.caption = (
        "Range and codes of a block are an element's, its scale 1. bitfront formats NAME describes a format and draws "
        "its number line; any other width works by the same grammar, e.g. int9, fixed<12,3>, e3m4fn, mx-e2m3/16."
    )
    found.caption_justify = "left"
    return found


def _short(value: float, digits: int = 5) -> str:
    """A number in a few digits; a power of two as such where decimals would need an exponent."""
    text = f"{value:.{digits}g}"
    mantissa, exponent = math.frexp(abs(value))
    if "e" in text and mantissa == 0.5:  # frexp gives every power of two the mantissa 1/2
        return f"{'-' if value < 0 else ''}2^{exponent - 1}"
    return text


def format_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The catalogue as plain values."""
    return [
        {
            "name": entry.name,
            "family": entry.family.value,
            "bits": entry.format.width,
            "smallest": entry.smallest,
            "largest": entry.largest,
            "smallest_positive": entry.smallest_positive,
            "epsilon": entry.epsilon,
            "finite_codes": entry.finite_codes,
            "source": entry.source.reference,
        }
        for entry in entries
    ]


def devices_table(devices: Sequence[Device]) -> Table:
    """The built-in devices."""
    from hwmodels.devices import Technology

    columns = {"name": "left", "board": "left", "LUT": "right", "FF": "right", "DSP": "right", "BRAM36": "right"}
    columns |= {"URAM": "right", "kGE": "right", "DSP kind": "left", "GB/s": "right", "unverified": "left"}
    found = table(
        "Devices (usable by a design / available; kGE: thousand two-input NAND gates; GB/s to memory off the chip)",
        columns,
    )
    for device in devices:
        pairs = ["-"] * 6
        if device.technology is Technology.ASIC:
            pairs[-1] = f"{device.usable('gates') / 1e3:.0f} / {device.available('gates') / 1e3:.0f}"
        else:
            pairs = [f"{device.usable(name)} / {device.available(name)}" for name in ("luts", "flip_flops", "dsps")]
            pairs.append(f"{device.usable('bram18s') / 2:g} / {device.available('bram18s') / 2:g}")
            pairs += [f"{device.usable('urams')} / {device.available('urams')}", "-"]
        offchip = f"{float(device.offchip.gigabytes_per_second):g}" if device.offchip else "-"
        unverified = ", ".join(device.unverified) or "none"
        found.add_row(device.name, Text(device.board), *pairs, device.dsp.kind, offchip, unverified)
    return found


def device_rows(devices: Sequence[Device]) -> list[dict[str, Any]]:
    """The devices as plain values."""
    return [
        {
            "name": device.name,
            "board": device.board,
            "technology": device.technology.value,
            "family": device.family,
            "dsp": device.dsp.kind,
            "clock_mhz": device.clock_mhz,
            "offchip_gigabytes_per_second": float(device.offchip.gigabytes_per_second) if device.offchip else None,
            "regions": len(device.regions.regions) if device.regions else 1,
            "unverified": list(device.unverified),
            "resources": {
                name: {
                    "available": device.available(name),
                    "usable": device.usable(name),
                    "source": resource.source,
                    "verified": resource.verified,
                }
                for name, resource in device.resources.items()
            },
        }
        for device in devices
    ]


def doctor_table(checks: Sequence[Check]) -> Table:
    """What the doctor found."""
    found = table("bitfront doctor", {"what": "left", "verdict": "left", "found": "left"})
    for check in checks:
        found.add_row(check.subject, check.verdict.value, Text(check.finding))
    return found


def relative(path: Path) -> str:
    """A path as a person in the working folder would type it."""
    from pathlib import Path as FilePath

    try:
        return str(path.resolve().relative_to(FilePath.cwd()))
    except ValueError:
        return str(path)
