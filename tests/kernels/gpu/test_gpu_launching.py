"""How kernels choose between the compiler and the interpreter, and what is said where neither can run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kernels.fields import FixedFields
from kernels.gpu import fixed, launching

INT8 = FixedFields(8, 0, 1)


def test_a_cpu_tensor_needs_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.tensor([1.6, -300.0])
    assert fixed.cast(values, INT8).tolist() == [2.0, -128.0]
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(ValueError, match=r"got a tensor on cpu: move it .* or set TRITON_INTERPRET=1"):
        fixed.cast(values, INT8)


def test_without_triton_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "tl", None)
    with pytest.raises(ModuleNotFoundError, match="pip install triton"):
        fixed.cast(torch.zeros(1), INT8)


def test_every_module_can_be_imported_without_triton() -> None:
    program = (
        "import sys, pkgutil, importlib; sys.modules['triton'] = None; import kernels.gpu\n"
        "names = [m.name for m in pkgutil.iter_modules(kernels.gpu.__path__, 'kernels.gpu.')]\n"
        "[importlib.import_module(name) for name in names]; print(len(names))"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == len(list((root / "kernels" / "gpu").glob("[!_]*.py")))


def test_launches_switch_contraction_off() -> None:
    seen = []

    class Recorder:
        def __getitem__(self, grid: tuple[int, ...]):
            return lambda *arguments, **constants: seen.append((grid, arguments, constants))

    tensor = torch.zeros(1)
    launching.launch(Recorder(), (2, 3), tensor, 7, BLOCK=4)
    launching.launch(Recorder(), (0, 3), tensor, 7, BLOCK=4)
    assert seen == [((2, 3), (tensor, 7), {"BLOCK": 4, "enable_fp_fusion": False})]
