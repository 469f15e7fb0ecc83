"""From what a weight file stores to the integers it means, by nothing but the words of the manifest.

A file whose type is stored as ``integer`` holds the numbers themselves, any other the codes that `decode` reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dse.exports.arithmetic import fitting, largest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest


def decode(code: int, kind: Mapping[str, Any]) -> int | None:
    """The integer that the bits of a format mean, zero point not taken off; None if they mean no number.

    They are two's complement, the place in a table, sign and magnitude, or a minifloat's significand and the exponent
    it is shifted by.

    Args:
        code: the bits as a non-negative integer.
        kind: a ``type`` of the manifest.

    >>> fields = {"exponent_bits": 2, "mantissa_bits": 1, "largest_magnitude_code": 6}
    >>> e2m1 = {"stored": "code", "bits": 4, "signed": True, **fields}
    >>> [decode(code, e2m1) for code in (0, 1, 2, 3, 4, 5, 6, 7, 14)]
    [0, 1, 2, 3, 4, 6, 8, None, -8]
    >>> decode(15, {"stored": "integer", "bits": 4, "signed": True})
    -1
    """
    bits: int = kind["bits"]
    if kind["stored"] == "integer":
        negative = code >> (bits - 1) if kind["signed"] else 0
        return code - (negative << bits)
    if "table" in kind:
        found: int | None = kind["table"][code]
        return found
    if kind.get("encoding") == "sign-magnitude":
        negative, magnitude = divmod(code, 1 << (bits - 1))
        return -magnitude if negative else magnitude
    mantissa_bits: int = kind["mantissa_bits"]
    negative, magnitude = divmod(code, 1 << (mantissa_bits + kind["exponent_bits"]))
    if magnitude > kind["largest_magnitude_code"] or (negative and not kind["signed"]):
        return None
    one = 1 << mantissa_bits
    exponent, fraction = divmod(magnitude, one)
    value: int = (one + fraction) << (exponent - 1) if exponent else fraction
    if kind.get("subnormals") == "flush" and not exponent:
        value = 0
    elif kind.get("subnormals") == "keep-exponent":
        value = (one + fraction) << exponent if magnitude else 0
    return -value if negative else value


def decoded_number(code: int, kind: Mapping[str, Any]) -> int:
    """The same for a code that is to mean a number.

    Raises:
        ValueError: if it means none.
    """
    number = decode(code, kind)
    if number is None:
        raise ValueError(f"the code {code} means no number in {kind['format']}")
    return number


def decoded_scale(code: int, kind: Mapping[str, Any]) -> tuple[int, int]:
    """A scale of a block as ``factor * 2**exponent``: factor and exponent.

    Args:
        code: as a weight file stores it.
        kind: the ``scale`` of a block format's ``type``.

    Raises:
        ValueError: if the code means no number.
    """
    if kind.get("encoding") == "power-of-two":
        return 1, code - kind["bias"]
    return decoded_number(code, kind), kind["unit_exponent"]


def decoded_weights(manifest: Manifest, entry: Mapping[str, Any]) -> NDArray[Any]:
    """The integers of a layer's weights, zero point taken off, in the shape and layout of their entry.

    Weights in blocks mean these integers times the scale of their block.

    Raises:
        ValueError: if a code means no number.
    """
    kind, numbers = entry["type"], manifest.integers(entry)
    if "tables" in entry:
        tables = manifest.integers(entry["tables"]).reshape(entry["tables"]["shape"])
        rows = np.arange(len(numbers)) % entry["shape"][-1] if len(tables) > 1 else 0
        numbers = tables[rows, numbers]
    elif kind["stored"] == "code":
        element = kind.get("element", kind)
        distinct, places = np.unique(numbers, return_inverse=True)
        meant = np.array([decoded_number(code, element) for code in distinct.tolist()], dtype=object)
        numbers = fitting(meant, largest(meant))[places]
    integers: NDArray[Any] = (numbers - entry["zero_point"]).reshape(entry["shape"])
    return integers
