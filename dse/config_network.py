"""The section of study.toml on what is explored; `dse.config` holds the whole file."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from dse.config_accuracy import Section


class NetworkSection(Section):
    """What is explored."""

    workload: Annotated[
        str, Field(description="a workload (emulation/workloads/README.md lists those built in) or package.module:name")
    ] = "digits"
    onnx: Annotated[
        str, Field(description="path of an .onnx file whose network takes the place of the workload's, if any")
    ] = ""
    torch: Annotated[
        str,
        Field(description="package.module:factory of a torch module that takes the place of the workload's, if any"),
    ] = ""
    weights: Annotated[
        str, Field(description="safetensors file (or state_dict of tensors) for that module, if it is built untrained")
    ] = ""
    front: Annotated[
        str,
        Field(
            description="module or operation of a torch network that ends its pre-processing, which stays in float; "
            "empty: what comes before all weights and is no layer"
        ),
    ] = ""

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if self.onnx and self.torch:
            raise ValueError(f"[network] names two networks, onnx = {self.onnx!r} and torch = {self.torch!r}: keep one")
        if self.weights and not self.torch:
            raise ValueError(f'[network] weights = {self.weights!r} needs torch = "package.module:factory"')
        return self
