"""Pieces of C++ text: literals, constant arrays, and structs that configure templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_CONTAINERS: Final = (
    ("signed char", 8),
    ("unsigned char", 8),
    ("short", 16),
    ("unsigned short", 16),
    ("int", 32),
    ("long long", 64),
)
_LINE: Final = 24
"""Numbers on a line of an array."""


def signed_bits(low: int, high: int) -> int:
    """Width of a two's complement number that holds a range.

    >>> signed_bits(-8, 7), signed_bits(0, 8), signed_bits(0, 0)
    (4, 5, 1)
    """
    return max((-low - 1).bit_length() if low < 0 else low.bit_length(), high.bit_length() if high >= 0 else 0) + 1


def number(value: int) -> str:
    """A literal of any width.

    >>> number(-5), number(1 << 40), number(1 << 70)
    ('-5', '1099511627776LL', 'ap_int<72>("1180591620717411303424", 10)')
    """
    bits = signed_bits(value, value)
    if bits <= 32:
        return str(value) if value != -(1 << 31) else "(-2147483647 - 1)"
    if bits <= 63:
        return f"{value}LL"
    return f'ap_int<{bits}>("{value}", 10)'


def container(low: int, high: int) -> str:
    """The narrowest C++ type that holds a range; ``ap_int`` beyond 63 bits.

    >>> container(0, 255), container(-1, 255), container(0, 1 << 80)
    ('unsigned char', 'short', 'ap_int<82>')
    """
    bits = signed_bits(low, high)
    for name, width in _CONTAINERS:
        if low >= 0 and name.startswith("unsigned") and bits - 1 <= width:
            return name
        if not name.startswith("unsigned") and bits <= width and bits <= 63:
            return name
    return f"ap_int<{bits}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A constant array of integers, of any number of dimensions."""

    name: str
    values: NDArray[Any]

    @property
    def element(self) -> str:
        """The C++ type of its elements."""
        return container(int(self.values.min()), int(self.values.max()))

    @property
    def text(self) -> str:
        """Its definition."""
        sizes = "".join(f"[{size}]" for size in self.values.shape)
        return f"static const {self.element} {self.name}{sizes} = {_braced(self.values.tolist())};"


def _braced(values: list[Any]) -> str:
    if values and isinstance(values[0], list):
        return "{\n" + ",\n".join(_braced(one) for one in values) + "}"
    words = [number(int(value)) for value in values]
    lines = [", ".join(words[start : start + _LINE]) for start in range(0, len(words), _LINE)]
    return "{" + ",\n ".join(lines) + "}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """A struct that configures a template: types, integer constants, and functions of integers.

    Attributes:
        name: of the struct.
        types: name -> type.
        constants: name -> number or expression.
        functions: definitions without ``static``.
    """

    name: str
    types: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, int | str] = field(default_factory=dict)
    functions: Sequence[str] = ()

    @property
    def text(self) -> str:
        """Its definition."""
        lines = [f"    typedef {meaning} {name};" for name, meaning in self.types.items()]
        for name, value in self.constants.items():
            kind = "bool" if isinstance(value, bool) else "int"
            lines.append(f"    static const {kind} {name} = {str(value).lower() if kind == 'bool' else value};")
        lines += [f"    static {function}" for function in self.functions]
        return "\n".join([f"struct {self.name} {{", *lines, "};"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Another name of a type."""

    name: str
    meaning: str

    @property
    def text(self) -> str:
        """Its definition."""
        return f"typedef {self.meaning} {self.name};"


Piece: TypeAlias = Alias | Array | Struct


def looked_up(name: str, arguments: str, values: Sequence[int] | Sequence[Sequence[int]] | NDArray[Any]) -> str:
    """A function that looks numbers up in a table of its own.

    >>> print(looked_up("level", "int place", [1, 2, 4]))
    int level(int place) {
            static const signed char table[3] = {1, 2, 4};
            return table[place];
        }
    """
    table = Array(name="table", values=np.array(values, dtype=object))
    places = "".join(f"[{word.split()[-1]}]" for word in arguments.split(", "))
    kind = "int" if "ap_int" not in table.element and table.element != "long long" else table.element
    return f"{kind} {name}({arguments}) {{\n        {table.text}\n        return table{places};\n    }}"


def constant(name: str, kind: str, value: int) -> str:
    """A function without arguments that returns a constant of a type."""
    return f"{kind} {name}() {{ return {number(value)}; }}"
