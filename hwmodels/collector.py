"""Pricing without Python's search for cycles of objects."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_collector() -> Iterator[None]:
    """Costs hold no cycles, and looking for some among many thousands takes a tenth of the time of pricing them.

    Blocks may lie in one another: around a whole table there is one search at its end, not one for each engine.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
