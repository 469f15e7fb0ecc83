"""Tables learned from weights: codebooks and binary codes that `kernels` fit, in integers (DESIGN section 6, rule 4).

A fit finds real levels (`kernels.compiled.codebooks.fit_levels`) or the coefficients of binary planes
(`kernels.compiled.binary_coded.fit_alternating`); nothing is drawn at random, and sums have a fixed order. The entries
are then rounded to integers, the largest magnitude being full scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.formats import BinaryCoded, LearnedCodebook

if TYPE_CHECKING:
    from numpy.typing import NDArray


def learn_table(values: NDArray[Any], number_format: LearnedCodebook | BinaryCoded) -> tuple[float, NDArray[np.int64]]:
    """The unit and the integer each code means, fitted to values that are not all zero.

    Entries of a codebook ascend; where there are fewer different values than codes, the last codes mean the largest.
    Code bit i of a binary code stands for its plane i, planes descending.

    Args:
        values: finite, any shape, one of them not 0.
        number_format: how many codes, and bits of an entry.

    Returns:
        The real value of one integer step, and ``2**width`` integers by code.

    >>> from emulation.catalogue import parse
    >>> unit, table = learn_table(np.array([-1.0, -0.25, 0.25, 0.3, 1.0]), parse("codebook2"))
    >>> (table * unit).round(2).tolist()
    [-1.0, -0.25, 0.28, 1.0]
    """
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    # Squares of what is left hold in float64 whatever the values; a power of two changes no bit of them.
    exponent = math.frexp(float(np.abs(flat).max()))[1]
    fit = _codebook if isinstance(number_format, LearnedCodebook) else _binary_code
    unit, integers = fit(np.ldexp(flat, -exponent), number_format.width, number_format.largest_integer)
    return math.ldexp(unit, exponent), integers


def _codebook(values: NDArray[np.float64], width: int, full_scale: int) -> tuple[float, NDArray[np.int64]]:
    from kernels.compiled.codebooks import fit_levels  # compiled: loaded when first needed

    levels = fit_levels(values, 1 << width)
    unit = float(np.abs(levels).max()) / full_scale
    integers = np.rint(levels / unit).astype(np.int64)
    return unit, np.pad(integers, (0, (1 << width) - integers.size), mode="edge")


def _binary_code(values: NDArray[np.float64], planes: int, full_scale: int) -> tuple[float, NDArray[np.int64]]:
    from kernels.compiled.binary_coded import fit_alternating  # compiled: loaded when first needed
    from kernels.definitions.binary_coded import levels_of

    # The sums of a plane are those of its negative, so signs of coefficients say nothing.
    alphas = sorted((abs(float(alpha)) for alpha in fit_alternating(values[None], planes).alphas[:, 0]), reverse=True)
    unit = sum(alphas) / full_scale
    integers = [round(alpha / unit) for alpha in alphas]
    integers[0] -= max(sum(integers) - full_scale, 0)
    return unit, np.array(levels_of(integers), dtype=np.int64)
