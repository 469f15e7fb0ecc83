"""Exports held against what was asked of them: designs of explored studies, every target, families, planted faults.

``python -m tests.benchmarks.exports`` writes reports/published/exports.md. Studies are explored where studies/exports
has none, and finished measurements are kept there until the page is written: a run that was stopped goes on where it
was. A number after it is for a quick look: so many designs of each study at most, and the page goes to studies/exports.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from dse.exports.targets import TARGETS
from tests.benchmarks import export_faults
from tests.benchmarks.comparisons import PUBLISHED, table, write_page
from tests.benchmarks.exported_designs import Case, Kept, explored, measured, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PAGE = PUBLISHED / "exports.md"
KEPT = PUBLISHED.parents[1] / "studies" / "exports"
SHOWN: Final = 40
"""Designs that `bitfront front` lists at most."""
EXPORT_SECONDS: Final = 2.0
CSIM_SECONDS: Final = 30.0
CASES: Final = (
    Case("digits", "digits", "real", SHOWN, {"hls": SHOWN, "finn": SHOWN, "rtl": 3}),
    Case("digits-deep", "digits-deep", "real", 5, {"hls": 5, "finn": 5, "rtl": 1}),
    Case("digits-mlp", "digits-mlp", "real", 5, {"hls": 5, "finn": 5, "rtl": 2}),
    Case(
        "digits-shifts", "digits", "power-of-two", SHOWN, {"hls": 5, "hls4ml": 5, "qonnx": SHOWN, "finn": 5, "rtl": 2}
    ),
    Case("digits-deep-shifts", "digits-deep", "power-of-two", 5, {"hls4ml": 5, "qonnx": 5}),
    Case("digits-mlp-shifts", "digits-mlp", "power-of-two", 5, {"hls4ml": 5, "qonnx": 5}),
)
"""Default studies, and the same with scales that are powers of two, which is all that some targets know."""


CYCLES: Final = re.compile(r"(\d+) cycles a sample, (\d+) predicted")


class Bar(NamedTuple):
    """What was asked, and what was reached."""

    what: str
    asked: str
    reached: str
    is_met: bool


def say(line: str) -> None:
    """To the terminal at once: runs are long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def checks_of(results: dict[str, Any], name: str, cases: Iterable[str]) -> list[dict[str, Any]]:
    """A check of all designs of some cases that had it."""
    designs = (one for case in cases for one in results[case]["designs"].values())
    return [one["checks"][name] for one in designs if name in one["checks"]]


def passed(checks: Sequence[dict[str, Any]]) -> int:
    """How many passed; what a missing tool kept from running did not."""
    return sum(one["passed"] for one in checks)


def design_bar(results: dict[str, Any], case: str) -> Bar:
    """Outputs of every design in C++ against hardware mode."""
    designs = results[case]["designs"].values()
    checks = checks_of(results, "hls csim", [case])
    same = sum(one["recomputed"]["differences"] == 0 for one in designs)
    vectors = min(one["vectors"] for one in designs)
    return Bar(
        f"{case}: designs in C++, compiled by g++",
        "all, 500 vectors each, 0 differences",
        f"{passed(checks)} of {len(checks)}, {vectors} vectors each; {same} as the study's hardware mode computes anew",
        passed(checks) == len(checks) == same == len(designs) and vectors >= 500,
    )


def target_bar(results: dict[str, Any], what: str, name: str) -> Bar:
    """A simulator of one target on all designs that it was run on."""
    checks = checks_of(results, name, results)
    return Bar(what, "0 differences", f"{passed(checks)} of {len(checks)} designs", 0 < len(checks) == passed(checks))


def time_bar(what: str, asked: float, seconds: Sequence[float]) -> Bar:
    """The slowest of all."""
    ordered = sorted(seconds)
    middle, worst = ordered[len(ordered) // 2], ordered[-1]
    return Bar(what, f"<= {asked:g} s", f"median {middle:.1f} s, slowest {worst:.1f} s", worst <= asked)


def judged(
    results: dict[str, Any], families: dict[str, Any], small: dict[str, Any], planted: dict[str, Any]
) -> list[Bar]:
    """Every bar."""
    digits = list(results["digits"]["designs"].values())
    every = [one for found in families.values() for one in found]
    covered = sum(all(one["passed"] for one in found) for found in families.values())
    dyadic = passed(checks_of(results, "hls csim", [one.name for one in CASES if one.scales == "real"]))
    found = [where for by_target in planted.values() for where in by_target.values()]
    own = [by_target[name] for by_target in planted.values() for name in ("base", "hls")]
    caught = Counter(found)
    return [
        *(design_bar(results, one.name) for one in CASES if one.scales == "real"),
        Bar(
            "families in C++",
            f"{len(families)} and dyadic scales, 0 differences",
            f"{covered} of {len(families)} in {len(every)} designs of digits-mlp; dyadic in the {dyadic} above",
            covered == len(families) and dyadic > 0,
        ),
        target_bar(results, "hls4ml csim of designs with power-of-two scales", "hls4ml csim"),
        target_bar(results, "QONNX execution", "qonnx execution"),
        target_bar(results, "FINN's model in QONNX's executor", "finn execution"),
        *(
            Bar(
                f"RTL of a reduced digits network ({menu}) in Verilator",
                "1,000 vectors, 0 differences, no deadlock at stalls",
                f"{one['images']} vectors, stalls in {' and '.join(one['verdicts'])} % of cycles, "
                f"{one['differences']} differences",
                one["passed"] and one["images"] >= 1000,
            )
            for menu, one in small.items()
        ),
        target_bar(results, "RTL of designs of the studies in Verilator", "rtl simulation"),
        Bar(
            "planted faults",
            "verify fails on each and says where",
            f"{caught['found']} of {len(found)} found in their layer, {caught['refused']} cannot be written, which "
            f"names the layer; C++ and the integers find {Counter(own)['found']} of {len(own)}",
            set(own) == {"found"} and caught["found"] + caught["refused"] == len(found),
        ),
        time_bar("export of digits to C++, processor time", EXPORT_SECONDS, [one["export"][0] for one in digits]),
        time_bar(
            "g++ and csim of digits, processor time",
            CSIM_SECONDS,
            [one["cpu"] for one in checks_of(results, "hls csim", ["digits"])],
        ),
    ]


def expressed(results: dict[str, Any]) -> list[str]:
    """How many designs each target can express, and why not the others."""
    rows, reasons = [], []
    for case, found in results.items():
        designs = found["designs"]
        refusals = [one["refused"] for one in designs.values()]
        counts = [len(designs) - sum(name in one for one in refusals) for name in TARGETS]
        rows.append((case, str(len(designs)), *map(str, counts)))
        for name in TARGETS:
            why = Counter(reason(one[name]) for one in refusals if name in one)
            reasons += [(case, name, str(count), words) for words, count in why.most_common()]
    lines = ["", "## What each target can express", ""]
    lines += table(("study", "designs", *TARGETS), rows)
    lines += ["", *table(("study", "target", "refused", "because"), reasons)]
    real, shifts = (results[name]["chosen"] for name in ("digits", "digits-shifts"))
    return [
        *lines,
        "",
        "Default studies choose real scales, of which hls4ml and QONNX know only powers of two: set "
        '`scale_kind = "power-of-two"` in the section `[formats]` of study.toml before exploring, and export from that '
        "study (above: those named shifts). What it costs on digits: the cheapest design within a point of the float "
        "network's validation "
        f"accuracy takes {real[1]:.2%} of the device with real scales ({real[0]}, {real[2]:.2%} right) and "
        f"{shifts[1]:.2%} with powers of two ({shifts[0]}, {shifts[2]:.2%} right).",
    ]


def pace(results: dict[str, Any]) -> str:
    """Cycles a sample in Verilator beside what was predicted, in a sentence."""
    ratios = [
        int(simulated) / int(predicted)
        for check in checks_of(results, "rtl simulation", results)
        for simulated, predicted in CYCLES.findall(check["text"])
    ]
    if not ratios:
        return "No RTL was simulated."
    return (
        f"Cycles a sample of {len(ratios)} designs in Verilator, over the predicted interval: {min(ratios):.2f} to "
        f"{max(ratios):.2f}. The prediction is the slowest stage's; stages as slow as it also wait for each other."
    )


def reason(refusal: str) -> str:
    """A refusal without the layer and its numbers."""
    found = re.search(r"cannot express this design: layer [^:]*: (.*?)\. Nothing was written", refusal)
    words = found[1] if found else refusal
    return re.sub(r"\b\d+\.\d+(e-?\d+)?\b", "...", words).replace("|", "or")


def design_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each design."""
    rows: list[tuple[str, ...]] = []
    for name, one in found["designs"].items():
        checks = one["checks"]
        csim = checks.get("hls csim")
        numbers = re.search(r"\d+ of \d+", csim["text"]) if csim else None
        others = [
            f"{key.split()[0]} {'ok' if check['passed'] else 'FAILED' if check['verified'] else 'not verified'} "
            f"({check['wall']:.0f} s)"
            for key, check in checks.items()
            if key != "hls csim" and not key.startswith("base ")
        ]
        cycles = CYCLES.search(checks.get("rtl simulation", {}).get("text", ""))
        rows.append(
            (
                name,
                one["formats"],
                f"{one['export'][0]:.1f} / {one['export'][1]:.1f}",
                f"{csim['cpu']:.1f} / {csim['wall']:.1f}" if csim else "",
                numbers[0] if numbers else "",
                f"{one['recomputed']['differences']} of {one['recomputed']['values']}",
                "ok" if all(check["passed"] for key, check in checks.items() if key.startswith("base ")) else "FAILED",
                ", ".join(others),
                f"{cycles[1]} / {cycles[2]}" if cycles else "",
            )
        )
    return rows


HEADINGS = (
    "design",
    "formats",
    "export, s CPU / wall",
    "csim, s CPU / wall",
    "C++: numbers that differ",
    "hardware mode anew: outputs that differ",
    "own checks",
    "other targets",
    "RTL cycles a sample, simulated / predicted",
)


def measure(most: int | None = None) -> bool:
    """Measure all, write the page; whether every bar is met.

    Args:
        most: designs of each study at most, for a quick look.
    """
    torch.set_num_threads(1)
    results = {case.name: measured(case, KEPT / case.name, most, say) for case in CASES}
    kept = Kept.read(KEPT / "others.json")

    def once(kind: str, find: Callable[..., Any], *name: str) -> Any:
        key = " ".join((kind, *name))
        found = kept.found[key] if key in kept.found else kept.put(key, find(*name))
        say(f"{key}: done")
        return found

    families = {name: once("family", export_faults.family, name) for name in export_faults.FAMILIES}
    small = {menu: once("rtl", export_faults.small_rtl, menu) for menu in export_faults.SMALL}
    planted = {name: once("fault", planted_fault, name) for name in export_faults.FAULTS}
    bars = judged(results, families, small, planted)
    page(bars, results, families, planted, quick=most is not None)
    if most is None:
        for path in (kept.path, *(KEPT / case.name / "designs.json" for case in CASES)):
            path.unlink()
    return all(one.is_met for one in bars)


def planted_fault(name: str) -> dict[str, str]:
    """A fault in the quickest design of digits with power-of-two scales that every target can express."""
    case = next(one for one in CASES if one.name == "digits-shifts")
    kept = Kept.read(KEPT / case.name / "designs.json").found
    with explored(case, KEPT / case.name / "study") as study:
        fitting = [one for one in shown(study, SHOWN) if one.name in kept and not kept[one.name]["refused"]]
        quickest = min(fitting, key=lambda one: one.interval_cycles * one.total.luts)
        return export_faults.planted(study, quickest, name)


def page(
    bars: Sequence[Bar], results: dict[str, Any], families: dict[str, Any], planted: dict[str, Any], *, quick: bool
) -> None:
    """Write the page."""
    listed = results["digits"]["listed"]
    lines = [
        "# Exports",
        "",
        "Generated by `make bench`. Designs come from studies that were explored with the default settings, and with "
        "power-of-two scales (named shifts): those that `bitfront front` lists, which no other measured design of the "
        f"front beats, at most {SHOWN} spread evenly over their utilisation (digits has {listed} of them). Each is "
        "exported, its C++ compiled by g++ and run on every vector, every layer and every cast; the vectors' outputs "
        "are computed anew by the study's hardware mode: from the integers of the folder, from the validation images, "
        "and for some images in plain Python integers. Processor time is that of this process and of those it started.",
        "",
        *table(
            ("what", "asked", "reached", ""),
            ((one.what, one.asked, one.reached, "met" if one.is_met else "MISSED") for one in bars),
        ),
        "",
        pace(results),
        *expressed(results),
        "",
        "## Faults planted in what a target is made from",
        "",
        "A design of digits with power-of-two scales; each fault changes what the integers of one layer say, all "
        "hashes are made anew, each target is written from the changed folder and checked against the right one. "
        "`found`: the first difference is in that layer. `refused`: the target cannot express it, and says so by the "
        "layer's name.",
        "",
        *table(("fault", "base", *TARGETS), ((name, *found.values()) for name, found in planted.items())),
        "",
        "## Families in C++",
        "",
        *table(
            ("family", "design of digits-mlp", "numbers that differ"),
            (
                (name, one["design"], f"{one['differences']} of {one['numbers']}" if one["numbers"] else one["text"])
                for name, found in families.items()
                for one in found
            ),
        ),
    ]
    for case, found in results.items():
        lines += ["", f"## {case}", "", *table(HEADINGS, design_rows(found))]
    write_page(KEPT / PAGE.name if quick else PAGE, lines)


if __name__ == "__main__":
    sys.exit(0 if measure(int(sys.argv[1]) if len(sys.argv) > 1 else None) else 1)
