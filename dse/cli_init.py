"""`bitfront init`: a study folder from the names of what is explored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.config import StudyConfig


def init(
    folder: Annotated[Path, typer.Argument(help="folder to make", show_default=False)],
    *,
    workload: Annotated[str, typer.Option(help="built-in workload or package.module:name")] = "digits",
    device: Annotated[str, typer.Option(help="built-in device or path of a device file")] = "xc7z020",
    onnx: Annotated[
        Path | None, typer.Option(help="ONNX or QONNX file to explore with the data of the workload")
    ] = None,
    torch: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FACTORY", help="torch module to explore with the data of the workload: what builds it"
        ),
    ] = "",
    weights: Annotated[Path | None, typer.Option(help="safetensors file for that torch module")] = None,
    front: Annotated[str, typer.Option(help="module or operation that ends its pre-processing in float")] = "",
) -> None:
    """Make a study folder with a commented study.toml in which every setting stands."""
    from dse.config import write_study
    from dse.terminal import relative, say
    from dse.torch_models import named

    config = new_config(workload, device, onnx, torch=named(weights, torch) | {"front": front})
    write_study(folder, config)
    path = relative(folder)
    say(f"wrote {path}/study.toml. Next: bitfront explore {path}")


def new_config(
    workload: str, device: str, onnx: Path | None = None, *, torch: Mapping[str, str] | None = None
) -> StudyConfig:
    """The settings of a new study; a quantised ONNX file brings its formats, ``torch`` holds settings of [network].

    Raises:
        StudyError: if there is no such workload or device, or the file cannot be read or does not fit the workload.
    """
    from dse.config import check_config
    from emulation.workloads import find_workload, load_workload
    from hwmodels.devices import device_names, load_device

    try:
        find_workload(workload)
        load_device(device)
    except ValueError as error:
        raise StudyError(str(error)) from error
    if device not in device_names():
        device = str(Path(device).resolve())  # the study may be opened from another working folder
    network: dict[str, object] = {"workload": workload, **(torch or {})}
    settings: dict[str, dict[str, object]] = {"network": network, "device": {"name": device}}
    if onnx is not None:
        from dse.onnx_models import onnx_model, resolved, settings_of

        settings["formats"] = settings_of(onnx_model(onnx, load_workload(workload)))
        settings["network"]["onnx"] = resolved(onnx)
    config = check_config(settings, source="bitfront init")
    if config.network.torch:
        from dse.torch_models import torch_model

        torch_model(config.network, load_workload(workload))  # what cannot be read is said now, before a folder is made
    return config
