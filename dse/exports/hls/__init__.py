"""Stand-alone HLS C++: a layer is a function of streams, configured by constants; only ``ap_int.h`` is needed.

`dse.exports.hls.network` turns the manifest into layers and streams, ``layers/`` holds the templates these call, and
`dse.exports.hls.project` writes both beside a test bench. `dse.exports.hls.simulation` compiles and runs it.
"""

from __future__ import annotations

from dse.exports.hls.project import write
from dse.exports.hls.simulation import CHECKS
from dse.exports.targets import Target

TARGET = Target(
    name="hls",
    description="stand-alone HLS C++ with a test bench: g++ simulates it, Vitis HLS builds it",
    how_to_run="make csim\nvitis_hls -f run_hls.tcl\nv++ -c --mode hls --config hls_config.cfg --work_dir work",
    write=write,
    checks=CHECKS,
)
