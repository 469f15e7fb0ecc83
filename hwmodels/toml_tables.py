"""Tables of a TOML file, read with errors that name the file, the key, what was given and what is allowed."""

from __future__ import annotations

import tomllib
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_Choice = TypeVar("_Choice", bound=Enum)


class DeviceError(ValueError):
    """A device that is unknown, whose file is not valid or which lacks what is asked of it."""


class Table:
    """One table of a file; numbers with a decimal point are exact fractions.

    Reading a key that is not there is an error, so every getter is safe without a look at the keys first.
    """

    def __init__(self, content: Mapping[str, Any], file: str, where: str = "") -> None:
        self._content, self._file, self._where = content, file, where

    @classmethod
    def of_file(cls, path: Path) -> Table:
        """The top level of a file.

        Raises:
            DeviceError: if it is not valid TOML.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Fraction)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DeviceError(f"device file {path.name} is not valid TOML: {error}") from error
        return cls(content, path.name)

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def allow(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Check that all required keys are there and that there are no others than these two kinds."""
        required = tuple(required)
        allowed = (*required, *optional)
        unknown = sorted(set(self._content) - set(allowed))
        if unknown:
            raise DeviceError(
                f"device file {self._file}: unknown key {unknown[0]!r} in {self._place}; allowed are "
                f"{', '.join(allowed)}"
            )
        for key in required:
            self._value(key)

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text that is not empty")
        return value

    def is_text(self, key: str) -> bool:
        """Whether a key holds a text (and not a table of its own)."""
        return isinstance(self._value(key), str)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value(key)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def integer(self, key: str, low: int) -> int:
        """A whole number of at least ``low``."""
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.error(key, f"a whole number of at least {low}")
        return value

    def positive(self, key: str) -> Fraction:
        """A number above 0, exactly as it is written."""
        value = self._value(key)
        if not _is_number(value) or value <= 0:
            raise self.error(key, "a number above 0")
        return Fraction(value)

    def share(self, key: str) -> Fraction:
        """A number above 0 and at most 1, exactly as it is written."""
        value = self._value(key)
        if not _is_number(value) or not 0 < value <= 1:
            raise self.error(key, "a number above 0 and at most 1")
        return Fraction(value)

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        """A member of an enumeration by its value."""
        value = self._value(key)
        allowed = {member.value: member for member in kind}
        if not isinstance(value, str) or value not in allowed:
            raise self.error(key, f"one of {', '.join(allowed)}")
        return allowed[value]

    def pairs(self, key: str) -> tuple[tuple[int, int], ...]:
        """A list of pairs of whole numbers above 0, at least one."""
        value = self._value(key)
        pairs = value if isinstance(value, list) else []
        if not pairs or not all(_is_pair(pair) for pair in pairs):
            raise self.error(key, "a list of pairs [words, bits] of whole numbers above 0")
        return tuple((pair[0], pair[1]) for pair in pairs)

    def table(self, key: str) -> Table:
        """A table."""
        value = self._value(key)
        if not isinstance(value, dict):
            raise self.error(key, "a table")
        return Table(value, self._file, self._join(key))

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables; none if the key is not there."""
        value = self._content.get(key, [])
        where = self._join(key)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(key, f"a list of [[{where}]] tables")
        return tuple(Table(one, self._file, where) for one in value)

    def error(self, key: str, allowed: str) -> DeviceError:
        """An error about the value of a key."""
        value = self._content.get(key)
        given = float(value) if isinstance(value, Fraction) else value
        return self.wrong(f"{self._join(key)} must be {allowed}, got {given!r}")

    def wrong(self, message: str) -> DeviceError:
        """An error about this file."""
        return DeviceError(f"device file {self._file}: {message}")

    @property
    def _place(self) -> str:
        return f"[{self._where}]" if self._where else "the top level"

    def _value(self, key: str) -> Any:  # noqa: ANN401 - whatever stands in the file
        if key not in self._content:
            raise DeviceError(f"device file {self._file}: {self._place} has no {key!r}: add it")
        return self._content[key]

    def _join(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def _is_number(value: object) -> bool:
    return isinstance(value, (int, Fraction)) and not isinstance(value, bool)


def _is_pair(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in value)
