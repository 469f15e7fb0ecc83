"""One format described: its facts, and its number line drawn in characters."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dse.errors import StudyError
from emulation.catalogue import (
    CATALOGUE,
    epsilon,
    family_of,
    finite_codes,
    highest,
    lowest,
    smallest_positive,
)
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    SignMagnitude,
    Subnormals,
    Zero,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from emulation.catalogue import Entry
    from emulation.formats import Format

FIRST_VALUES: Final = 12
"""How many of the smallest numbers are listed."""
LISTED_AT_MOST: Final = 4096
"""Levels a table format has at most."""
MOST_DIGITS: Final = 10_000_000
"""Counts from here on are written as powers."""
MOST_ROWS: Final = 20
"""Rows of the table of binades; those in the middle are left out beyond."""
STRIP: Final = 72
"""Characters from zero to the largest number."""
BAR: Final = 40
"""Characters of the longest bar."""
MOST_TICKS: Final = 2048
"""Formats with more numbers are drawn by their density, not as one tick for each."""
COLUMNS_OF_FIGURE: Final = 256
BLOCKS: Final = " ▁▂▃▄▅▆▇█"
PLAIN: Final = " .:-=+*#%"
"""The same in ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnitudes:
    """The numbers above zero, ascending, by index: too many to list for wide formats, but found by bisection.

    They are ``integer(index) * unit``.
    """

    count: int
    integer: Callable[[int], int]
    unit: Fraction

    def at(self, index: int) -> Fraction:
        """The number of an index."""
        return self.integer(index) * self.unit

    def real(self, index: int) -> float:
        """One of them as float64, infinite beyond."""
        return _real(self.at(index))

    def below(self, bound: Fraction) -> int:
        """How many are less than a bound."""
        limit = math.ceil(bound / self.unit)
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.integer(middle) < limit:
                low = middle + 1
            else:
                high = middle
        return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Binades:
    """Neighbouring binades ``[2**first, 2**(last + 1))`` with the same number of values in each.

    ``spacing`` is the least distance of two values in the first of them (of its value to the next one if it has one
    value, 0 if there is no next one).
    """

    first: int
    last: int
    values: int
    spacing: float


def magnitudes(number_format: Format) -> Magnitudes | None:
    """The numbers above zero (of a block's element), or None where they are learned from data.

    >>> from emulation.catalogue import parse
    >>> line = magnitudes(parse("e2m1"))
    >>> [float(line.at(index)) for index in range(line.count)]
    [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return None
    element = number_format.element if isinstance(number_format, BlockScaled) else number_format
    if isinstance(element, Codebook | KHot):
        levels = sorted({Fraction(level) for level in element.levels if level > 0})
        finest = max(level.denominator for level in levels)  # all are powers of two: levels are floats or integers
        integers = [int(level * finest) for level in levels]
        return Magnitudes(count=len(levels), integer=integers.__getitem__, unit=Fraction(1, finest))
    unit = Fraction(2) ** element.unit_exponent
    if isinstance(element, FixedPoint | SignMagnitude):
        return Magnitudes(count=element.largest_integer, integer=lambda index: index + 1, unit=unit)
    return _of_minifloat(element, unit)


def _of_minifloat(number_format: MiniFloat, unit: Fraction) -> Magnitudes:
    if number_format.subnormals is Subnormals.FLUSH:
        first = 1 << number_format.mantissa_bits
    elif number_format.subnormals is Subnormals.KEEP_EXPONENT and number_format.zero is Zero.ABSENT:
        first = 0
    else:
        first = 1
    return Magnitudes(
        count=number_format.largest_magnitude_code - first + 1,
        integer=lambda index: number_format.magnitude_integer(first + index),
        unit=unit,
    )


def binades(line: Magnitudes) -> list[Binades]:
    """How many numbers there are from each power of two to the next; equal neighbours are one entry.

    >>> from emulation.catalogue import parse
    >>> [(one.first, one.last, one.values) for one in binades(magnitudes(parse("e4m3fn")))]
    [(-9, -9, 1), (-8, -8, 2), (-7, -7, 4), (-6, 7, 8), (8, 8, 7)]
    """
    found: list[Binades] = []
    if not line.count:
        return found
    below = 0
    last = _exponent(line.at(line.count - 1))
    for exponent in range(_exponent(line.at(0)), last + 1):
        up_to = line.below(Fraction(2) ** (exponent + 1))
        values, below = up_to - below, up_to
        if found and found[-1].values == values:
            found[-1] = dataclasses.replace(found[-1], last=exponent)
        else:
            spacing = _spacing(line, up_to - values, up_to)
            found.append(Binades(first=exponent, last=exponent, values=values, spacing=spacing))
    return found


def _spacing(line: Magnitudes, start: int, stop: int) -> float:
    # Listed levels are anywhere; the numbers of all other formats are evenly spaced within a binade.
    stop = min(max(stop, start + 2), line.count, start + LISTED_AT_MOST)
    values = [line.at(index) for index in range(start, stop)]
    return _real(min((upper - lower for lower, upper in itertools.pairwise(values)), default=Fraction(0)))


def _real(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _exponent(value: Fraction) -> int:
    """``floor(log2(value))``."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def densities(line: Magnitudes, columns: int) -> list[int]:
    """How many numbers lie in each of equally wide parts of the way from zero to the largest one.

    >>> from emulation.catalogue import parse
    >>> densities(magnitudes(parse("e2m1")), 4)
    [2, 2, 2, 1]
    """
    if not line.count:
        return [0] * columns
    largest = line.at(line.count - 1)
    bounds = [line.below(largest * column / columns) for column in range(columns)] + [line.count]
    return [upper - lower for lower, upper in itertools.pairwise(bounds)]


def describe(number_format: Format) -> dict[str, Any]:
    """One format as plain values: its fields, range, spacing, and how many numbers each binade holds."""
    line = magnitudes(number_format)
    known = _entry_of(number_format)
    row = {
        "name": str(number_format),
        "family": family_of(number_format).value,
        "bits": number_format.width,
        "smallest": lowest(number_format),
        "largest": highest(number_format),
        "smallest_positive": smallest_positive(number_format),
        **_normal_and_subnormal(number_format),
        "epsilon": epsilon(number_format),
        "finite_codes": finite_codes(number_format),
        "source": known.source.reference if known else None,
        "fields": _plain_fields(number_format),
    }
    if isinstance(number_format, BlockScaled):
        row["bits_per_value"] = number_format.bits_per_value
        row["scale_smallest"] = smallest_positive(number_format.scale)
        row["scale_largest"] = highest(number_format.scale)
    if line is not None:
        row["first_values"] = [line.real(index) for index in range(min(line.count, FIRST_VALUES))]
        row["binades"] = [dataclasses.asdict(one) for one in binades(line)]
    return row


def _entry_of(number_format: Format) -> Entry | None:
    return next((entry for entry in CATALOGUE if entry.format == number_format), None)


def _normal_and_subnormal(number_format: Format) -> dict[str, float | None]:
    element = number_format.element if isinstance(number_format, BlockScaled) else number_format
    if not isinstance(element, MiniFloat):
        return {}
    least = smallest_positive(element)
    if element.subnormals is not Subnormals.GRADUAL or not element.mantissa_bits:
        return {"smallest_normal": least, "smallest_subnormal": None}
    normal = math.ldexp(least, element.mantissa_bits)
    # Without an exponent field, or with no finite code in field 1, all numbers are subnormal.
    has_normal = element.largest_magnitude_code >> element.mantissa_bits > 0
    return {"smallest_normal": normal if has_normal else None, "smallest_subnormal": least}


def _plain_fields(content: Any) -> Any:  # noqa: ANN401 - a format's fields: enums, numbers, tuples, formats
    if isinstance(content, Enum):
        return content.value
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {field.name: _plain_fields(getattr(content, field.name)) for field in dataclasses.fields(content)}
    if isinstance(content, tuple):
        return [_plain_fields(one) for one in content]
    return content


def number_line(number_format: Format, *, ascii_only: bool = False) -> RenderableType:
    """A format described in lines of at most 100 characters: facts, then the positive half of its number line."""
    row = describe(number_format)
    line = magnitudes(number_format)
    title = Text(f"{row['name']}: {row['family']}, {row['bits']} bits", style="bold")
    parts: list[RenderableType] = [title, _facts(row)]
    if line is None:
        parts.append(Text("\nIts levels are learned from each tensor or channel, so there is no number line to draw."))
        return Group(*parts)
    of_what = " of an element" if isinstance(number_format, BlockScaled) else ""
    parts.append(Text(f"\nNumber line{of_what}, positive half", style="bold"))
    parts += _strip(line, PLAIN if ascii_only else BLOCKS)
    parts.append(Text(""))
    parts += _binade_rows(binades(line), "#" if ascii_only else "█")
    listed = ", ".join(f"{value:.8g}" for value in row["first_values"])
    more = ", ..." if line.count > FIRST_VALUES else ""
    parts.append(Text(f"\nFirst values: {listed}{more}"))
    return Group(*parts)


def _facts(row: Mapping[str, Any]) -> Table:
    facts = {
        "range": f"{row['smallest']:.8g} to {row['largest']:.8g}",
        "smallest normal": row.get("smallest_normal"),
        "smallest subnormal": row.get("smallest_subnormal"),
        "smallest above zero": None if "smallest_normal" in row else row["smallest_positive"],
        "epsilon": row["epsilon"],
        "finite codes": f"{row['finite_codes']:,}",
        "fields": _fields_text(row["fields"]),
        "scale": _scale_text(row),
        "source": row["source"] or "the grammar of names (no catalogue entry)",
    }
    found = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact is not None:
            found.add_row(f"  {name}", Text(f"{fact:.8g}" if isinstance(fact, float) else str(fact)))
    return found


def _fields_text(fields: Mapping[str, Any]) -> str:
    shown = {
        name: value
        for name, value in fields.items()
        if name not in {"element", "scale", "levels"} and value is not None
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())


def _scale_text(row: Mapping[str, Any]) -> str | None:
    if "scale_largest" not in row:
        return None
    return (
        f"{row['scale_smallest']:.4g} to {row['scale_largest']:.4g}, one per "
        f"{'block' if row['fields']['block_size'] else 'tensor'}; "
        f"{row['bits_per_value']:g} bits per value with it"
    )


def _strip(line: Magnitudes, glyphs: str) -> list[Text]:
    counts = densities(line, STRIP)
    most = max(*counts, 1)
    levels = [math.ceil((len(glyphs) - 1) * math.log2(count + 1) / math.log2(most + 1)) for count in counts]
    largest = f"{line.real(line.count - 1):.6g}" if line.count else "0"
    part = f"one character is 1/{STRIP} of the way"
    return [
        Text(f"  0 {''.join(glyphs[level] for level in levels)} {largest}"),
        Text(f"    height: logarithm of the number of values, at most {_count_text(max(counts))}; {part}", style="dim"),
    ]


def _count_text(count: int) -> str:
    if count < MOST_DIGITS:
        return f"{count:,}"
    return f"2^{count.bit_length() - 1}" if count & (count - 1) == 0 else f"{count:.3g}"


def _binade_rows(found: Sequence[Binades], block: str) -> list[Text]:
    most = max((one.values for one in found), default=1)
    half = MOST_ROWS // 2
    shown: list[Binades | None] = list(found)
    if len(found) > MOST_ROWS:
        shown = [*found[:half], None, *found[-half:]]
    rows = [Text(f"  {'from':>8}  {'below':>8}  {'values':>14}  least spacing", style="bold")]
    for one in shown:
        if one is None:
            rows.append(Text(f"  {'...':>8}  {len(found) - 2 * half} more rows"))
            continue
        length = max(round(BAR * math.log2(one.values + 1) / math.log2(most + 1)), 1) if one.values else 0
        spacing = f"{one.spacing:.4g}" if one.spacing and one.values else ""
        if one.first != one.last and spacing:
            spacing += ", doubling"
        each = _count_text(one.values) + (" each" if one.first != one.last else "")
        ends = f"  {f'2^{one.first}':>8}  {f'2^{one.last + 1}':>8}"
        rows.append(Text(f"{ends}  {each:>14}  {spacing:<20}{block * length}".rstrip()))
    return rows


def draw(number_format: Format, path: Path) -> None:
    """Draw the number line into a file by Matplotlib.

    Raises:
        StudyError: if there is no number line, or the file's kind or folder is not one to write to.
    """
    from reports.number_line import draw_number_line

    line = magnitudes(number_format)
    if line is None:
        raise StudyError(f"the levels of {number_format} are learned from data: there is no number line to draw")
    of_what = ", an element" if isinstance(number_format, BlockScaled) else ""
    largest = line.real(line.count - 1) if line.count else 0.0
    if math.isinf(largest):
        raise StudyError(f"{number_format} goes beyond 2**1024: Matplotlib cannot draw it")
    values = [line.real(index) for index in range(line.count)] if line.count <= MOST_TICKS else None
    try:
        draw_number_line(
            path,
            title=f"{number_format}{of_what}, positive half",
            largest=largest,
            values=values,
            densities=densities(line, COLUMNS_OF_FIGURE),
            binades=[(one.first, one.last, one.values) for one in binades(line)],
        )
    except (ValueError, OSError) as error:
        raise StudyError(str(error)) from error
