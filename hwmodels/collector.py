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

    What was made meanwhile counts as old when the block ends: only a full search, of which there are few, looks at it.
    Blocks may lie in one another; the outermost ends the pause.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()  # all objects leave the young generations, unseen ...
            gc.unfreeze()  # ... and join the oldest
            gc.enable()
