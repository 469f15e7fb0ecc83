"""What the whole RTL takes after Yosys, beside the prediction of the cost models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dse.exports.rtl.project import SOURCES
from dse.exports.verification import Outcome, Status
from hwmodels.rtl.unit import Unit
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, ToolTimeoutError
from hwmodels.synthesis.xilinx import XCUP_DSP

if TYPE_CHECKING:
    from dse.exports.manifest import Manifest

MOST_LUTS: Final = 3000
"""Predicted LUTs up to which a design is synthesised: a few minutes."""
_SECONDS: Final = 420
_RESOURCES: Final = {"luts": "LUTs", "flip_flops": "flip-flops", "dsps": "DSPs", "bram18s": "halves of block RAM"}


def utilisation(manifest: Manifest, folder: Path) -> Outcome:
    """Synthesise the folder's RTL, unless it is large; what it takes is no reason to fail."""
    luts = manifest.entries["estimate"]["luts"]
    if luts > MOST_LUTS:
        return Outcome(
            status=Status.NOT_VERIFIED,
            text=(
                f"{luts:.0f} LUTs are predicted, and Yosys takes minutes for more than {MOST_LUTS}: --all, or "
                "`make synth` in the folder rtl, does it"
            ),
        )
    return synthesised(manifest, folder)


def synthesised(manifest: Manifest, folder: Path) -> Outcome:
    """Synthesise the folder's RTL as the units of the cost models were, and compare it with what they predict."""
    predicted = manifest.entries["estimate"]
    try:
        found = measured(folder)
    except MissingToolError as error:
        return Outcome(status=Status.NOT_VERIFIED, text=str(error))
    except ToolTimeoutError as error:
        return Outcome(status=Status.NOT_VERIFIED, text=f"{error}: `make synth` in the folder rtl takes its time")
    except (ToolFailedError, OSError) as error:
        return Outcome(status=Status.FAILED, text=f"the RTL cannot be synthesised: {error}")
    words = [_ratio(words, found[name], predicted[name]) for name, words in _RESOURCES.items()]
    return Outcome(status=Status.PASSED, text=f"Yosys synth_xilinx, whole design: {', '.join(words)}")


def measured(folder: Path) -> dict[str, float]:
    """LUT sites, flip-flops, DSPs and halves of block RAM of the RTL in a folder.

    Raises:
        MissingToolError: if there is no Yosys.
        ToolFailedError: if Yosys refuses it.
        ToolTimeoutError: if it takes too long.
    """
    text = "\n".join((folder / name).read_text(encoding="ascii") for name in SOURCES)
    top = Unit(family="top", parameters={}, module="top", text=text, ports=())
    with tempfile.TemporaryDirectory(prefix="synthesis-") as scratch:
        (counts,) = XCUP_DSP.measure([top], Path(scratch), _SECONDS)
    return dict(counts)


def _ratio(words: str, found: float, predicted: float) -> str:
    ratio = f", ratio {predicted / found:.2f}" if found and predicted else ""
    return f"{found:.0f} {words} ({predicted:.0f} predicted{ratio})"
