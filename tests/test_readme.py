"""The README's examples are run as they stand, and what it names exists."""

import csv
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dse.config import check_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """Fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def shell_commands() -> list[list[str]]:
    """Every bitfront command of the README, comments cut off."""
    lines = [line for block in blocks("") for line in block.splitlines() if line.startswith("bitfront ")]
    return [shlex.split(line, comments=True) for line in lines]


def test_the_study_example_runs(capsys):
    study, _ = blocks("python")
    exec(compile(study, "README.md", "exec"), {})  # noqa: S102 - the point of the test
    printed = capsys.readouterr().out
    assert "measured_loss" in printed
    assert "d01" in printed


def test_the_arithmetic_example_runs(capsys):
    _, arithmetic = blocks("python")
    exec(compile(arithmetic, "README.md", "exec"), {})  # noqa: S102 - the point of the test
    assert "exact / fp16 [[49.09375, 139.875], [139.875, 65504.0]]" in capsys.readouterr().out


def test_the_settings_are_ones_a_study_has():
    (settings,) = blocks("toml")
    config = check_config(tomllib.loads(settings), source="README.md")
    assert "l-mul-field" in config.arithmetic.products


def test_every_command_of_the_readme_is_one_the_command_line_has():
    commands = shell_commands()
    assert len(commands) >= 5
    for _, verb, *arguments in commands:
        printed = subprocess.run([BIN / "bitfront", verb, "--help"], check=True, capture_output=True, text=True).stdout
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert option in printed, f"bitfront {verb} has no {option}"


@pytest.mark.slow
def test_the_shell_example_runs_from_top_to_bottom(tmp_path):
    (tmp_path / "layers.csv").write_text(
        "outputs,depth,pe,simd,weight_bits,activation_bits,style,ram\n64,784,4,16,4,4,lut,auto\n", encoding="utf-8"
    )
    for _, verb, *arguments in shell_commands():
        done = subprocess.run(
            [BIN / "bitfront", verb, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, f"bitfront {verb}: {done.stderr}"
    assert (tmp_path / "my-study" / "report.html").is_file()
    assert (tmp_path / "d04" / "manifest.json").is_file()


def test_links_lead_to_files_of_the_repository():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "slow", "ci-tools", "bench", "reports"):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make demo" in README
    assert "make test" in README


def test_the_table_of_designs_is_that_of_the_published_run():
    with (ROOT / "reports" / "published" / "digits" / "front.csv").open(encoding="utf-8", newline="") as file:
        published = {row["design"]: row for row in csv.DictReader(file)}
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.splitlines()
        if re.match(r"\| [du]\d+ \|", line)
    ]
    assert len(rows) >= 5
    for name, formats, utilisation, luts, dsps, brams, frames, predicted, measured, validation, test in rows:
        row = published[name]
        assert formats.removesuffix(", uniform") == row["name"]
        assert utilisation == f"{100 * float(row['utilisation']):.2f} %"
        assert (int(luts), int(dsps), float(brams)) == (float(row["luts"]), float(row["dsps"]), float(row["brams"]))
        assert int(frames) == round(float(row["frames_per_second"]))
        assert (predicted, measured) == (f"{float(row['predicted_loss']):.5f}", f"{float(row['measured_loss']):.5f}")
        assert validation == f"{100 * float(row['validation_accuracy']):.2f} %"
        assert test == f"{100 * float(row['test_accuracy']):.2f} %"
