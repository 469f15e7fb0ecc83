"""Constants of a torch graph: whatever is computed from parameters and numbers alone is computed once, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from emulation.torch_graph import operation_name, sizes_of

if TYPE_CHECKING:
    from emulation.torch_graph import TorchReading

LIKE: Final = {"zeros_like": 0.0, "new_zeros": 0.0, "ones_like": 1.0, "new_ones": 1.0}
"""Operations that take an activation for its shape or type only, and what they fill in."""


def fold_constant(reading: TorchReading, node: torch.fx.Node) -> bool:
    """Compute a node from constants and note its value.

    Returns:
        Whether it is a constant: computed from constants and numbers alone, not by chance, and one tensor.
    """
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return False
    name = operation_name(node)
    if name in LIKE:
        reading.constant_of[node] = torch.full(sizes_of(node), LIKE[name], dtype=torch.float64).numpy()
        return True
    tags = getattr(node.target, "tags", ())
    if torch.Tag.nondeterministic_seeded in tags or not callable(node.target):
        return False
    if any(source not in reading.constant_of for source in node.all_input_nodes):
        return False

    def known(source: torch.fx.Node) -> torch.Tensor:
        found = constant_tensor(reading, source)
        return found.double() if found.is_floating_point() else found

    arguments: Any = torch.fx.map_arg(node.args, known)
    options: Any = torch.fx.map_arg(node.kwargs, known)
    with torch.inference_mode():
        found = node.target(*arguments, **options)
    reading.constant_of[node] = found.to(torch.float64).numpy()
    return True


def constant_tensor(reading: TorchReading, node: torch.fx.Node) -> torch.Tensor:
    """A constant of the graph in its own type."""
    return torch.from_numpy(reading.constant_of[node]).to(node.meta["val"].dtype)
