"""Every kernel compiles for real GPUs, and its PTX has no instruction that would compute something else."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kernels.gpu
from kernels.gpu.launching import Kernel

MATRIX_PRODUCT = "kernels.gpu.dots.exact_kernel"
"""Contracts products and sums, which changes nothing: all its partial sums are integers the type holds."""


def entry_points() -> set[str]:
    names = set()
    for module in pkgutil.iter_modules(kernels.gpu.__path__, "kernels.gpu."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Kernel) and value.__name__.endswith("_kernel"):
                names.add(f"{value.__module__}.{value.__name__}")
    return names


def compile_all(capability: int, extent: str, cache: Path) -> list[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    root = Path(__file__).parents[3]
    environment |= {"TRITON_CACHE_DIR": str(cache), "PYTHONPATH": str(root)}
    program = [sys.executable, "-m", "tests.kernels.gpu.compile_ahead", str(capability), extent]
    run = subprocess.run(program, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def check(capability: int, extent: str, cache: Path) -> None:
    canary, *reports = compile_all(capability, extent, cache)
    assert canary == {"fused": True, "fused without fusion": False}
    assert {report["kernel"] for report in reports} == entry_points()
    for report in reports:
        assert report["target"].startswith(f"sm_{capability}")
        allowed = report["kernel"] == MATRIX_PRODUCT
        wrong = [word for word in report["found"] if not (allowed and word.startswith("fma."))]
        assert not wrong, report


def test_one_of_each_kernel_compiles_for_sm_80(tmp_path: Path) -> None:
    check(80, "reduced", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_all_kinds_of_each_kernel_compile(capability: int, tmp_path: Path) -> None:
    check(capability, "full", tmp_path)
