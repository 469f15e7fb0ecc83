"""The section of study.toml on the front: how much of it is computed, and what takes no place on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from dse.config_accuracy import Section


class FrontSection(Section):
    """How much of the front is computed."""

    solves: Annotated[
        int, Field(ge=3, le=1000, description="designs at most; where HiGHS is asked, solver calls at most")
    ] = 60
    time_limit_seconds: Annotated[float, Field(gt=0, description="for the whole front")] = 300.0
    loss_unit: Annotated[
        float, Field(ge=1e-12, description="losses are rounded to integers of this many nats before solving")
    ] = 1e-5
    worst_loss: Annotated[
        float | Literal["off"],
        Field(
            description="largest predicted loss of a design, as a share of what is lost by answering every sample "
            'alike; "off": designs that know nothing take places on the front, too'
        ),
    ] = 0.1
    max_lanes: Annotated[int, Field(ge=1, description="multiplications per cycle of one engine at most")] = 4096

    @field_validator("worst_loss", mode="before")
    @classmethod
    def _share_or_off(cls, value: object) -> object:
        if value == "off" or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
            return value
        raise ValueError('it is a share above 0, such as 0.1, or "off"')
