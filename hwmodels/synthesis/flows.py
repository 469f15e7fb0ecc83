"""All flows by name, as plans and the command line know them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.synthesis.ecp5 import ECP5
from hwmodels.synthesis.osu018 import OSU018
from hwmodels.synthesis.tools import MissingToolError
from hwmodels.synthesis.xilinx import XC7, XCUP, XCUP_DSP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwmodels.synthesis.flow import Flow

FLOWS: Final[Mapping[str, Flow]] = MappingProxyType({flow.name: flow for flow in (XCUP, XC7, XCUP_DSP, ECP5, OSU018)})
"""Every way to measure units."""


def missing_tools(flows: Iterable[Flow]) -> dict[str, str]:
    """By name of the flow, what is not installed and which package gives it; flows that can run are left out."""
    found = {}
    for flow in flows:
        try:
            flow.tool()
        except MissingToolError as error:
            found[flow.name] = str(error)
    return found
