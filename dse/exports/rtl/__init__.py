"""The target rtl: the layer engines of the hardware models, wired as one streaming Verilog design.

Stages are made of the manifest alone (`stages`): an engine for each convolution and linear layer with its integers in
read-only memories, pools and sums between streams, FIFOs in front of joins. Integers, minifloats, powers of two, looked
up weights and both unclamped L-Mul products have engines; what has none is refused by name.
"""

from __future__ import annotations

from typing import Final

from dse.exports.rtl.lone_simulation import simulate_alone
from dse.exports.rtl.project import write_project
from dse.exports.rtl.simulation import simulate, simulate_all
from dse.exports.rtl.utilisation import synthesised, utilisation
from dse.exports.targets import Target
from dse.exports.verification import Check

TARGET: Final = Target(
    name="rtl",
    description="one streaming Verilog design, a bench with the golden vectors, and a Makefile",
    how_to_run=(
        "make sim    # the golden vectors in Verilator, with random stalls too\nmake synth  # what it takes, by Yosys"
    ),
    write=write_project,
    checks=(
        Check(name="simulation", run=simulate, run_all=simulate_all),
        Check(name="layers alone", run=simulate_alone),
        Check(name="utilisation", run=utilisation, run_all=synthesised),
    ),
)
