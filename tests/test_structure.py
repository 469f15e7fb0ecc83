"""Who may import whom, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "numba", "pandas", "sklearn", "pyomo", "matplotlib")


def loaded_after(statement: str) -> set[str]:
    """The heavy packages in memory after a statement ran in a fresh interpreter."""
    program = f"import sys\n{statement}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import emulation.formats, emulation.network, emulation.catalogue, emulation.quantisers, emulation.hardware",
        "import emulation, kernels\nemulation.parse('e4m3fn'), emulation.Network, emulation.Quantiser, dir(emulation)",
        "from emulation import FixedPoint, MiniFloat, parse",
    ],
)
def test_data_types_load_neither_torch_nor_numba_nor_pandas(statement: str) -> None:
    assert loaded_after(statement) == set()


def test_the_probe_sees_heavy_packages() -> None:
    """The tests above would pass as well if they looked at nothing."""
    assert {"torch", "numba"} <= loaded_after("from emulation import SensitivityBench, execute")


def test_every_name_of_emulation_is_there_and_is_no_module() -> None:
    import emulation

    assert 0 < len(emulation.__all__) <= 16
    for name in emulation.__all__:
        assert not (ROOT / "emulation" / f"{name}.py").exists(), f"{name} would be a module once it is imported"
        assert callable(getattr(emulation, name))
        assert name in dir(emulation)
    with pytest.raises(
        AttributeError, match="module 'emulation' has no attribute 'prase'; it offers CalibratedNetwork"
    ):
        _ = emulation.prase


def test_import_arrows() -> None:
    """The contracts of pyproject.toml, judged by import-linter."""
    linter = Path(sys.executable).with_name("lint-imports")
    assert linter.exists(), "import-linter is not installed: pip install -e .[dev]"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
