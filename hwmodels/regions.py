"""Designs against the dies of a device: what is larger than one die crosses to the next, over few and slow wires."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hwmodels.costs import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.costs import Cost


def noted_crossings(cost: Cost, largest_region: Mapping[str, int], device: str) -> Cost:
    """The same cost, with a note if it is larger than what a design may use of any one region.

    Args:
        cost: of one engine.
        largest_region: `hwmodels.devices.Device.largest_region`.
        device: its name.
    """
    crossing = [name for name, most in largest_region.items() if cost.resource(name) > most]
    if not crossing:
        return cost
    name = crossing[0]
    note = (
        f"device {device}: {cost.resource(name)} {name} cross super logic regions of at most {largest_region[name]} "
        "usable each; the registers between regions are not counted"
    )
    return dataclasses.replace(cost, out_of_range=merge(cost.out_of_range, (note,)))
