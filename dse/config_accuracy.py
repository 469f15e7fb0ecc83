"""The section of study.toml on predicted losses; `dse.config` holds the whole file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """What all sections have in common: unknown keys are mistakes, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AccuracySection(Section):
    """How predicted losses are judged and corrected by whole designs measured on validation data (bitfront explore)."""

    metric: Annotated[
        Literal["auto", "divergence", "cross-entropy", "task", "output-error", "fisher", "gradient", "hessian", "norm"],
        Field(description="sensitivity metric designs are chosen by; auto takes the one that wins the audit"),
    ] = "auto"
    audit_designs: Annotated[
        int, Field(ge=0, le=10_000, description="designs drawn at random and measured to judge the metrics; 0 for none")
    ] = 64
    rounds: Annotated[
        int,
        Field(ge=0, le=20, description="fronts solved, measured and learned from before the final one; 0 for none"),
    ] = 2
    round_solves: Annotated[int, Field(ge=3, le=1000, description="designs at most in each of these rounds")] = 20
    pairs: Annotated[
        Literal["auto", "off"],
        Field(description="auto: losses of two places together, where they do not add and predictions gain by it"),
    ] = "auto"
    calibrations: Annotated[
        int, Field(ge=0, le=20, description="further calibrations on resampled data, for the bands; 0 for none")
    ] = 3
    resamples: Annotated[
        int, Field(ge=0, le=100_000, description="bootstrap resamples of the validation set, for the bands; 0 for none")
    ] = 400
    seed: Annotated[int, Field(ge=0, le=2**31, description="of everything drawn at random")] = 0
