"""One format described: its facts, and its number line drawn in characters or into a figure."""

from __future__ import annotations

import dataclasses
import math
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dse.errors import StudyError
from dse.magnitudes import Side, Symmetry, binades, densities, magnitudes, symmetry
from emulation.catalogue import (
    CATALOGUE,
    epsilon,
    family_of,
    finite_codes,
    highest,
    lowest,
    smallest_positive,
)
from emulation.formats import BlockScaled, Codebook, MiniFloat, Subnormals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from dse.magnitudes import Binades, Magnitudes
    from emulation.catalogue import Entry
    from emulation.formats import Format

FIRST_VALUES: Final = 12
"""How many of the smallest numbers are listed."""
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
_TITLES: Final = {
    Symmetry.POSITIVE_ONLY: "",
    Symmetry.MIRRORED: ", positive half (the negative mirrors it)",
    Symmetry.ONE_MORE: ", positive half (the negative mirrors it, and has one number more)",
    Symmetry.OWN: "",
}
"""What the title of a figure says of the half that is not drawn."""


def describe(number_format: Format) -> dict[str, Any]:
    """One format as plain values: its fields, range, spacing, and how many numbers each binade holds.

    Values and binades are those above zero; ``negative_half`` says what is below, and where these are numbers of their
    own, ``negative_first_values`` (from zero downwards) and ``negative_binades`` (of magnitudes) list them likewise.
    """
    line, below = _sides(number_format)
    known = _entry_of(number_format)
    row = {
        "name": str(number_format),
        "family": family_of(number_format).value,
        "bits": number_format.width,
        "smallest": lowest(number_format),
        "largest": highest(number_format),
        "smallest_positive": smallest_positive(number_format) if line is None or line.count else None,
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
    if line is not None and below is not None:
        row["first_values"] = _first_values(line)
        row["binades"] = [dataclasses.asdict(one) for one in binades(line)]
        relation = symmetry(line, below)
        row["negative_half"] = relation.value
        if relation is Symmetry.OWN:
            row["negative_first_values"] = [-value for value in _first_values(below)]
            row["negative_binades"] = [dataclasses.asdict(one) for one in binades(below)]
    return row


def _sides(number_format: Format) -> tuple[Magnitudes | None, Magnitudes | None]:
    return magnitudes(number_format), magnitudes(number_format, Side.NEGATIVE)


def _first_values(line: Magnitudes) -> list[float]:
    return [line.real(index) for index in range(min(line.count, FIRST_VALUES))]


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


def _plain_fields(content: object) -> object:
    """A format, or a field of one (enums, numbers, tuples, formats), as JSON values."""
    if isinstance(content, Enum):
        return content.value
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {field.name: _plain_fields(getattr(content, field.name)) for field in dataclasses.fields(content)}
    if isinstance(content, tuple):
        return [_plain_fields(one) for one in content]
    return content


def number_line(number_format: Format, *, ascii_only: bool = False) -> RenderableType:
    """A format described in lines of at most 100 characters: facts, then its number line.

    The half above zero is drawn, and the other one if it is not the same mirrored.
    """
    row = describe(number_format)
    line, below = _sides(number_format)
    title = Text(f"{row['name']}: {row['family']}, {row['bits']} bits", style="bold")
    parts: list[RenderableType] = [title, _facts(row)]
    if line is None or below is None:
        parts.append(Text("\nIts levels are learned from each tensor or channel, so there is no number line to draw."))
        return Group(*parts)
    of_what = " of an element" if isinstance(number_format, BlockScaled) else ""
    if line.count:
        parts.append(Text(f"\nNumber line{of_what}, positive half", style="bold"))
        parts += _half(line, "", row["first_values"], ascii_only=ascii_only)
    match symmetry(line, below):
        case Symmetry.OWN:
            parts.append(Text(f"\nNumber line{of_what}, negative half", style="bold"))
            parts += _half(below, "-", row["negative_first_values"], ascii_only=ascii_only)
        case Symmetry.ONE_MORE:
            further = below.real(below.count - 1)
            parts.append(Text(f"The negative half mirrors it, and has one number more: -{further:.8g}"))
        case Symmetry.MIRRORED:
            parts.append(Text("The negative half mirrors it."))
        case Symmetry.POSITIVE_ONLY:
            parts.append(Text("There are no negative numbers."))
    return Group(*parts)


def _half(line: Magnitudes, sign: str, first_values: Sequence[float], *, ascii_only: bool) -> list[Text]:
    listed = ", ".join(f"{value:.8g}" for value in first_values)
    more = ", ..." if line.count > FIRST_VALUES else ""
    return [
        *_strip(line, sign, PLAIN if ascii_only else BLOCKS),
        Text(""),
        *_binade_rows(binades(line), sign, "#" if ascii_only else "█"),
        Text(f"\nFirst values: {listed}{more}"),
    ]


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


def _strip(line: Magnitudes, sign: str, glyphs: str) -> list[Text]:
    counts = densities(line, STRIP)
    most = max(*counts, 1)
    levels = [math.ceil((len(glyphs) - 1) * math.log2(count + 1) / math.log2(most + 1)) for count in counts]
    largest = f"{sign}{line.real(line.count - 1):.6g}"
    part = f"one character is 1/{STRIP} of the way"
    return [
        Text(f"  0 {''.join(glyphs[level] for level in levels)} {largest}"),
        Text(f"    height: logarithm of the number of values, at most {_count_text(max(counts))}; {part}", style="dim"),
    ]


def _count_text(count: int) -> str:
    if count < MOST_DIGITS:
        return f"{count:,}"
    return f"2^{count.bit_length() - 1}" if count & (count - 1) == 0 else f"{count:.3g}"


def _binade_rows(found: Sequence[Binades], sign: str, block: str) -> list[Text]:
    most = max((one.values for one in found), default=1)
    half = MOST_ROWS // 2
    shown: list[Binades | None] = list(found)
    if len(found) > MOST_ROWS:
        shown = [*found[:half], None, *found[-half:]]
    beyond = "above" if sign else "below"
    rows = [Text(f"  {'from':>8}  {beyond:>8}  {'values':>14}  least spacing", style="bold")]
    for one in shown:
        if one is None:
            rows.append(Text(f"  {'...':>8}  {len(found) - 2 * half} more rows"))
            continue
        length = max(round(BAR * math.log2(one.values + 1) / math.log2(most + 1)), 1) if one.values else 0
        spacing = f"{one.spacing:.4g}" if one.spacing and one.values else ""
        if one.first != one.last and spacing:
            spacing += ", doubling"
        each = _count_text(one.values) + (" each" if one.first != one.last else "")
        ends = f"  {f'{sign}2^{one.first}':>8}  {f'{sign}2^{one.last + 1}':>8}"
        rows.append(Text(f"{ends}  {each:>14}  {spacing:<20}{block * length}".rstrip()))
    return rows


def _has_zero(number_format: Format) -> bool:
    return not isinstance(number_format, Codebook) or 0.0 in number_format.levels


def draw(number_format: Format, path: Path) -> None:
    """Draw the number line into a file by Matplotlib: the half above zero, and the other one if it is not its mirror.

    Raises:
        StudyError: if there is no number line, or the file's kind or folder is not one to write to.
    """
    from reports.number_line import Half, draw_number_line

    line, below = _sides(number_format)
    if line is None or below is None:
        raise StudyError(f"the levels of {number_format} are learned from data: there is no number line to draw")
    relation = symmetry(line, below)
    drawn = [(line, 1)] if line.count else []
    if relation is Symmetry.OWN:
        drawn.append((below, -1))
    if any(math.isinf(half.real(half.count - 1)) for half, _ in drawn):
        raise StudyError(f"{number_format} goes beyond 2**1024: Matplotlib cannot draw it")
    halves = [
        Half(
            sign=sign,
            largest=half.real(half.count - 1),
            values=[half.real(index) for index in range(half.count)] if half.count <= MOST_TICKS else None,
            densities=densities(half, COLUMNS_OF_FIGURE),
            binades=[(one.first, one.last, one.values) for one in binades(half)],
        )
        for half, sign in drawn
    ]
    # Between two halves a missing zero would be seen; at the end of one it is not looked for.
    marks = [0.0] if len(drawn) == 2 and _has_zero(number_format) else []
    of_what = ", an element" if isinstance(number_format, BlockScaled) else ""
    try:
        draw_number_line(path, title=f"{number_format}{of_what}{_TITLES[relation]}", halves=halves, marks=marks)
    except (ValueError, OSError) as error:
        raise StudyError(str(error)) from error
