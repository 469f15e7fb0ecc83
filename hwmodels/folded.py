"""The foldings of an engine side by side: columns of what each makes of its shape, an entry for each folding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwmodels.engine_layouts import Layout, Layouts
    from hwmodels.folding import Folding

    Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folded:
    """Foldings with their layouts (`hwmodels.engine_layouts.Layout`), whose numbers are columns here.

    Attributes:
        foldings: of one engine.
        layouts: of each.
        pe: outputs at once.
        simd: inputs at once.
        steps: cycles of a sum.
        passes: sums of a lane per position.
        at_once: requantisers.
        input_lanes: activations of an input word.
        operands: activations that a step reads.
        has_replay: 1 where operands are kept for several passes outside of a window generator, else 0.
        interval: cycles between two samples.
        first: cycles from the first input word to the last step of the first result.
    """

    foldings: Sequence[Folding]
    layouts: Sequence[Layout]
    pe: Integers
    simd: Integers
    steps: Integers
    passes: Integers
    at_once: Integers
    input_lanes: Integers
    operands: Integers
    has_replay: Integers
    interval: Integers
    first: Integers

    @classmethod
    def of(cls, foldings: Sequence[Folding], layouts: Layouts) -> Folded:
        """The foldings of a shape.

        Raises:
            FoldingError: if one does not divide it.
        """
        found = [layouts[one.pe, one.simd] for one in foldings]
        numbers = np.array(
            [
                (
                    folding.pe,
                    folding.simd,
                    layout.steps,
                    layout.passes,
                    layout.at_once,
                    layout.input_lanes,
                    layout.operands,
                    layout.has_replay,
                    layout.interval,
                    layout.first,
                )
                for folding, layout in zip(foldings, found, strict=True)
            ],
            dtype=np.int64,
        )
        pe, simd, steps, passes, at_once, input_lanes, operands, has_replay, interval, first = numbers.T.copy()
        return cls(
            foldings=foldings,
            layouts=found,
            pe=pe,
            simd=simd,
            steps=steps,
            passes=passes,
            at_once=at_once,
            input_lanes=input_lanes,
            operands=operands,
            has_replay=has_replay,
            interval=interval,
            first=first,
        )
