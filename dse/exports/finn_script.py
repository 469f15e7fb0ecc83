"""Build this folder's model with FINN: python build.py --help.

Written for finn-plus 1.6.1, and FINN 0.10 has the same names. Estimates need no Vivado; everything else does.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def build(folder: Path, output: Path, part: str, clock_ns: float, *, estimates_only: bool) -> int:
    """Run FINN's steps on model.onnx with the folding of folding_config.json.

    Returns:
        FINN's own status: 0 if all went well.
    """
    output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("FINN_BUILD_DIR", str(output.resolve() / "intermediate"))
    Path(os.environ["FINN_BUILD_DIR"]).mkdir(parents=True, exist_ok=True)
    if estimates_only:
        _without_vivado()
    from finn.builder import build_dataflow, build_dataflow_config

    kinds = build_dataflow_config.DataflowOutputType
    wanted = [kinds.ESTIMATE_REPORTS] if estimates_only else [kinds.ESTIMATE_REPORTS, kinds.STITCHED_IP]
    settings = {"steps": build_dataflow_config.estimate_only_dataflow_steps} if estimates_only else {}
    config = build_dataflow_config.DataflowBuildConfig(
        output_dir=str(output),
        folding_config_file=str(folder / "folding_config.json"),
        specialize_layers_config_file=str(folder / "specialize_layers_config.json"),
        synth_clk_period_ns=clock_ns,
        fpga_part=part,
        generate_outputs=wanted,
        **settings,
    )
    return int(build_dataflow.build_dataflow_cfg(str(folder / "model.onnx"), config))


def _without_vivado() -> None:
    """What finn-plus looks for although the steps that estimate do not use it."""
    from finn import xsi
    from finn.util.settings import initialize_dummy_settings

    # Only the folder's name is read, as the version of the tool.
    os.environ.setdefault("XILINX_VIVADO", "/not-installed/0.0")
    initialize_dummy_settings()
    for name in vars(xsi)["_LAZY_NAMES"]:
        setattr(xsi, name, None)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build an export's model with FINN.")
    parser.add_argument("--folder", type=Path, default=HERE, help="the export's finn folder (default: this one)")
    parser.add_argument("--output", type=Path, default=Path("build"), help="where FINN's files go")
    parser.add_argument("--part", required=True, help="the full name of the FPGA, such as xc7z020clg400-1")
    parser.add_argument("--clock-ns", type=float, required=True, help="the clock period")
    parser.add_argument("--estimates", action="store_true", help="only FINN's estimates, which need no Vivado")
    chosen = parser.parse_args()
    raise SystemExit(build(chosen.folder, chosen.output, chosen.part, chosen.clock_ns, estimates_only=chosen.estimates))


if __name__ == "__main__":
    main()
