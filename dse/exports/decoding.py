"""From what a weight file stores to the integers it means, by nothing but the words of the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest


def decode(code: int, kind: Mapping[str, Any]) -> int:
    """The integer that a code of a format means.

    It is a table's entry, sign and magnitude, or a minifloat's significand shifted by its exponent.

    >>> e2m1 = {"stored": "code", "exponent_bits": 2, "mantissa_bits": 1}
    >>> [decode(code, e2m1) for code in (0, 1, 2, 3, 4, 5, 6, 7, 15)]
    [0, 1, 2, 3, 4, 6, 8, 12, -12]
    """
    if kind["stored"] == "integer":
        return code
    if "table" in kind:
        return int(kind["table"][code])
    if kind.get("encoding") == "sign-magnitude":
        negative, magnitude = divmod(code, 1 << int(kind["bits"] - 1))
        return -magnitude if negative else magnitude
    bits: int = kind["mantissa_bits"]
    negative, magnitude = divmod(code, 1 << (bits + kind["exponent_bits"]))
    exponent, fraction = divmod(magnitude, 1 << bits)
    subnormals = kind.get("subnormals")
    if subnormals == "keep-exponent":
        value = ((1 << bits) + fraction) << exponent if magnitude else 0
    elif exponent:
        value = ((1 << bits) + fraction) << (exponent - 1)
    else:
        value = 0 if subnormals == "flush" else fraction
    return -value if negative else value


def decoded(manifest: Manifest, entry: Mapping[str, Any]) -> NDArray[Any] | None:
    """The integers of a layer's weights, in the shape and layout of their entry.

    Returns:
        None for weights in blocks, which mean integers times a scale per block.
    """
    if "scales" in entry:
        return None
    codes, kind = manifest.integers(entry), entry["type"]
    if "tables" in entry:
        tables = manifest.integers(entry["tables"]).reshape(entry["tables"]["shape"])
        rows = np.arange(len(codes)) % entry["shape"][-1] if len(tables) > 1 else 0
        codes = tables[rows, codes]
    elif kind["stored"] != "integer":
        different = {int(code): decode(int(code), kind) for code in np.unique(codes)}
        codes = np.array([different[int(code)] for code in codes])
    integers: NDArray[Any] = (codes - entry["zero_point"]).reshape(entry["shape"])
    return integers
