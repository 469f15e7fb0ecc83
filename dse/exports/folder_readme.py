"""README.md of an export: what is in the folder, how each target is run, and what shows that it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.exports.targets import Target

README_NAME: Final = "README.md"
_FILES: Final = """\
## Files

| file | what it holds |
|---|---|
| `manifest.json` | all the design computes, as integers: layers, formats, widths, foldings, files with their hashes |
| `manifest.sha256` | its own hash: `sha256sum -c manifest.sha256` |
| `weights/` | integers, one per line: weights `_w`, biases `_b`, multipliers `_m`, others that the manifest names |
| `tb_data/in.txt`, `out.txt` | inputs and outputs of the whole design, a vector per line, channels last |
| `tb_data/*_golden*.txt` | what every layer makes of some of these vectors; sums are those before its requantiser |
| `tb_data/*_limits_*.txt` | inputs, sums and output of one layer whose accumulators are driven to their limits |
| `tb_data/*_ties_*.txt` | accumulators around rounding ties and saturation bounds, and what becomes of them |
"""
_VERIFIED: Final = """\
`bitfront verify` on this folder runs every check that the machine allows and names those it does not:

* *files, types*: the manifest follows its schema, nothing has changed since the export, every integer fits its type;
* *golden, limits, ties, network*: an interpreter that reads nothing but this folder, and shares no code with what
  wrote it, computes every layer, its limits and ties, and the outputs of the whole design;
"""
_NOT_VERIFIED: Final = """\
Not verified here: synthesis, place and route, timing and power by a vendor's tools. Resources and cycles in the
manifest are predictions of `bitfront`'s cost models.
"""


def folder_readme(manifest: Mapping[str, Any], targets: Sequence[Target]) -> str:
    """The text for an exported folder.

    Args:
        manifest: its manifest.
        targets: what it was translated into.
    """
    vectors = manifest["vectors"]
    head = (
        f"# Parameters of design {manifest['design']}\n\n"
        f"Network {_quoted(manifest['network'])} on {manifest['target']['part']}, exported by bitfront "
        f"{manifest['tool']['version']}. {vectors['count']} vectors: {vectors['validation']} validation samples, then "
        f"random codes, and last {', '.join(vectors['edges'])}.\n"
    )
    checked = [f"* *{target.name}*: {', '.join(check.name for check in target.checks)};\n" for target in targets]
    parts = [
        head,
        _FILES,
        _layers(manifest["layers"]),
        "## Targets\n\n"
        + ("\n".join(map(_target, targets)) or "None was asked for: `bitfront export --to` lists them.\n"),
        "## What is verified, and what is not\n\n" + _VERIFIED + "".join(checked) + "\n" + _NOT_VERIFIED,
    ]
    return "\n".join(parts)


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "## Layers\n\nValues that saturated and sums that wrapped were counted on calibration samples.\n\n"
        "| layer | operation | weights | output | accumulator bits | pe x simd | saturated | wrapped |\n"
    )
    return head + "|---|---|---|---|--:|--:|--:|--:|\n" + "".join(map(_row, layers))


def _row(layer: Mapping[str, Any]) -> str:
    seen = layer["observed"]
    cells = [
        layer["name"],
        layer["op"],
        layer["weight"]["type"]["format"] if "weight" in layer else "",
        layer["output"]["type"]["format"],
        layer["acc_type"]["bits"] if "acc_type" in layer else "",
        f"{layer['pe']} x {layer['simd']}" if "pe" in layer else "",
        seen.get("sat_count", ""),
        seen.get("wrap_count", ""),
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _target(target: Target) -> str:
    commands = "".join(f"    {line}\n" for line in target.how_to_run.splitlines())
    return f"`{target.name}/`: {target.description}.\n\n{commands}"


def _quoted(name: str) -> str:
    """A name that may hold anything, as code in one line."""
    return f"`{' '.join(name.replace('`', '').split())}`"
