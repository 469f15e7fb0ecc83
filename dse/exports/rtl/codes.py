"""What travels between engines: codes of a tensor's integers, side by side in words, the first value lowest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.errors import NotExportableError
from dse.exports.decoding import decoded_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


def refuse(layer: str, problem: str, remedy: str = "") -> NotExportableError:
    """The error that says why a layer has no RTL, and what would do."""
    return NotExportableError(f"layer {layer}: {problem}; {f'{remedy}, or ' if remedy else ''}export to hls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Codes of a tensor: integers themselves, or minifloats.

    Attributes:
        bits: of a code.
        signed: two's complement (of minifloats: with a sign bit), else 0 and above.
        exponent_bits: of a minifloat, 0 for an integer.
        reserved: magnitude codes at a minifloat's top that are no finite numbers.
    """

    bits: int
    signed: bool
    exponent_bits: int = 0
    reserved: int = 0

    @property
    def mantissa_bits(self) -> int:
        """Of a minifloat."""
        return self.bits - 1 - self.exponent_bits

    @property
    def low(self) -> int:
        """The least integer."""
        if self.exponent_bits:
            return -self.high
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest integer."""
        if self.exponent_bits:
            return self.integer((1 << (self.bits - 1)) - 1 - self.reserved)
        return (1 << (self.bits - self.signed)) - 1

    @property
    def integers(self) -> Codes:
        """The same numbers as integers.

        >>> Codes(bits=4, signed=True, exponent_bits=2).integers
        Codes(bits=5, signed=True, exponent_bits=0, reserved=0)
        """
        return Codes(bits=self.high.bit_length() + 1, signed=True) if self.exponent_bits else self

    def integer(self, code: int) -> int:
        """The integer that a code means; a reserved one, which hardware may put out by mistake, is read like any.

        >>> Codes(bits=4, signed=True, exponent_bits=2).integer(15), Codes(bits=4, signed=True).integer(15)
        (-12, -1)
        """
        kind = {
            "format": self,
            "stored": "code" if self.exponent_bits else "integer",
            "bits": self.bits,
            "signed": self.signed,
            "exponent_bits": self.exponent_bits,
            "mantissa_bits": self.mantissa_bits,
            "largest_magnitude_code": (1 << (self.bits - 1)) - 1,
        }
        return decoded_number(code, kind)

    def code(self, integer: int) -> int:
        """The code of an integer.

        Raises:
            ValueError: if it has none.

        >>> Codes(bits=4, signed=True, exponent_bits=2).code(-12), Codes(bits=4, signed=True).code(-1)
        (15, 15)
        """
        if not self.exponent_bits:
            found = integer & ((1 << self.bits) - 1)
        else:
            size, mantissa = abs(integer), self.mantissa_bits
            field = max(size.bit_length() - mantissa, 1)
            found = (size >> (field - 1)) + ((field - 1) << mantissa) + ((integer < 0) << (self.bits - 1))
        if not self.low <= integer <= self.high or self.integer(found) != integer:
            raise ValueError(f"{integer} has no code among {self}")
        return found

    def words(self, rows: NDArray[Any], lanes: int) -> list[int]:
        """The words of vectors, ``lanes`` values in each; rows of shape ``(vectors, values)``."""
        flat = rows.reshape(-1).tolist()
        known = {value: self.code(value) for value in set(flat)}
        codes = [known[value] for value in flat]
        return [
            sum(code << place * self.bits for place, code in enumerate(codes[first : first + lanes]))
            for first in range(0, len(codes), lanes)
        ]

    def values(self, words: Iterable[int], lanes: int) -> NDArray[Any]:
        """The integers in words, flat; the other way round than `words`."""
        mask = (1 << self.bits) - 1
        codes = [word >> place * self.bits & mask for word in words for place in range(lanes)]
        known = {code: self.integer(code) for code in set(codes)}
        found: NDArray[Any] = np.array([known[code] for code in codes], dtype=object)
        return found


def codes_of(layer: Mapping[str, Any]) -> Codes:
    """The codes of a layer's output.

    Raises:
        NotExportableError: if no engine reads or writes such codes.
    """
    name, edge = layer["name"], layer["output"]
    kind, zero_point = edge["type"], edge["zero_point"]
    if kind["stored"] == "integer":
        low = -(1 << (kind["bits"] - 1)) if kind["signed"] else 0
        high = (1 << (kind["bits"] - kind["signed"])) - 1
        found = Codes(bits=kind["bits"], signed=low < zero_point)
        if (found.low, found.high) == (low - zero_point, high - zero_point):
            return found
        raise refuse(
            name,
            f"{kind['format']} with zero point {zero_point} is no whole range of two's complement or unsigned "
            "integers, and engines in RTL take no zero point off their activations",
            "use symmetric scaling",
        )
    if not kind.get("exponent_bits") or "subnormals" in kind or not kind["signed"]:
        raise refuse(
            name,
            f"streams in RTL hold integers and minifloats with a sign and gradual underflow, not {kind['format']}",
            "use int8 or e4m3fn there",
        )
    largest = (1 << (kind["bits"] - 1)) - 1
    return Codes(
        bits=kind["bits"],
        signed=True,
        exponent_bits=kind["exponent_bits"],
        reserved=largest - kind["largest_magnitude_code"],
    )


def narrowest(integers: Sequence[int]) -> int:
    """Bits of two's complement integers that hold all of these, at least 2.

    >>> narrowest([-8, 7]), narrowest([0])
    (4, 2)
    """
    return max(max(*integers, ~min(integers)).bit_length() + 1, 2)
