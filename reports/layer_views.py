"""The lower panel: one row per layer of the chosen design, with its formats, its folding and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import altair as alt

from reports import palette
from reports.chart_style import OVERHANG, beside, chosen_rows_of, layered
from reports.design_views import ENERGY_COLOURS
from reports.frames import TIMES, formats_in

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

ROW_HEIGHT: Final = 24
TILE_WIDTH: Final = 74
BAR_COLUMN_WIDTH: Final = 91
BAR_LENGTH: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A column of texts."""

    field: str
    heading: str
    width: int
    colour: str = palette.MUTED
    tooltip: tuple[str, ...] = ()
    start: int = 0
    """Where the text begins, in pixels right of the column's edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A column of bars with numbers; their length is relative to the longest of the same design."""

    field: str
    drawn: str
    heading: str
    number: str
    """How the number is written, in d3-format's notation."""
    colour: str


NAME: Final = Words(
    field="label",
    heading="Layer",
    width=168 - OVERHANG,
    colour=palette.INK,
    tooltip=("layer:N", "kind:N"),
    start=-OVERHANG,
)
KIND: Final = Words(field="kind", heading="Kind", width=58)
TILES: Final = {"input_format": "Input", "weight_format": "Weights", "output_format": "Output"}
FOLDING: Final = Words(field="folding", heading=f"PE {TIMES} SIMD", width=68, colour=palette.INK)
STYLE: Final = Words(field="style", heading="Style", width=30)
RESOURCE_BARS: Final = (
    Bars(field="luts", drawn="luts", heading="LUTs", number=",d", colour=palette.BLUE),
    Bars(field="flip_flops", drawn="flip_flops", heading="Flip-flops", number=",d", colour=palette.SKY_BLUE),
    Bars(field="dsps", drawn="dsps", heading="DSPs", number=",d", colour=palette.ORANGE),
    Bars(field="brams", drawn="brams", heading="BRAM36", number=",.1~f", colour=palette.PURPLE),
    Bars(field="gates", drawn="gates", heading="Gates", number=",d", colour=palette.BLUE),
)
"""A device has some of these."""
BARS: Final = (
    Bars(field="interval_cycles", drawn="interval_cycles", heading="Cycles", number=",d", colour=palette.MUTED),
    Bars(field="loss", drawn="drawn_loss", heading="Loss (nats)", number=".2~g", colour=palette.VERMILLION),
)


def layer_panel(layers: pd.DataFrame, resources: Collection[str]) -> alt.HConcatChart:
    """The panel for the layers of all designs (a `layer_frame`) and resources; it shows those of the chosen one.

    Rows keep their places when the design changes: they are the positions of all designs together.
    """
    positions = sorted({int(position) for position in layers["position"]})
    height = ROW_HEIGHT * len(positions)
    bands = alt.Scale(type="band", domain=positions, paddingInner=0.12, paddingOuter=0.06)
    base: alt.Chart = chosen_rows_of("layers").encode(y=alt.Y("position:O", scale=bands, axis=None))
    colours = _format_colours(formats_in(layers))
    words = [_words(base, column, height) for column in (NAME, KIND)]
    tiles = [_tiles(base, field, heading, colours, height) for field, heading in TILES.items()]
    folding = [_words(base, column, height) for column in (FOLDING, STYLE)]
    shown = [column for column in RESOURCE_BARS if column.field in resources]
    bars = [_bars(base, column, height) for column in (*shown, *BARS)]
    costs = beside(*bars, _energy_bars(base, height), spacing=14)
    return beside(beside(*words, *tiles, *folding, spacing=7), costs, spacing=12)


def _heading(text: str, start: float = 0) -> alt.TitleParams:
    return alt.TitleParams(
        text, fontSize=11, fontWeight="bold", anchor="start", color=palette.MUTED, offset=5, frame="group", dx=start
    )


def _words(base: alt.Chart, column: Words, height: int) -> alt.LayerChart:
    text = base.mark_text(align="left", fontSize=12, color=column.colour, limit=column.width - column.start)
    field = f"{column.field}:N"
    drawn = text.encode(x=alt.value(column.start), text=field, tooltip=list(column.tooltip or (field,)))
    title = _heading(column.heading, column.start)
    return layered(f"words_{column.field}", [drawn], width=column.width, height=height, title=title)


def _format_colours(formats: list[str]) -> tuple[alt.Scale, alt.Scale]:
    """Fill and text colours of the formats."""
    fills = [palette.format_colour(number_format) for number_format in formats]
    inks = [palette.readable_ink(fill) for fill in fills]
    return alt.Scale(domain=formats, range=fills), alt.Scale(domain=formats, range=inks)


def _tiles(
    base: alt.Chart, field: str, heading: str, colours: tuple[alt.Scale, alt.Scale], height: int
) -> alt.LayerChart:
    """Coloured tiles with the formats' names; no tile where a layer has no such operand."""
    fills, inks = colours
    shown = base.transform_filter(f"datum.{field} !== ''")
    tile = shown.mark_rect(cornerRadius=3).encode(
        x=alt.value(0),
        x2=alt.value(TILE_WIDTH),
        color=alt.Color(f"{field}:N", scale=fills, legend=None),
        tooltip=f"{field}:N",
    )
    text = shown.mark_text(fontSize=12, limit=TILE_WIDTH - 6).encode(
        x=alt.value(TILE_WIDTH / 2), text=f"{field}:N", color=alt.Color(f"{field}:N", scale=inks, legend=None)
    )
    return layered(f"tiles_{field}", [tile, text], width=TILE_WIDTH, height=height, title=_heading(heading))


def _energy_bars(base: alt.Chart, height: int) -> alt.LayerChart:
    """One bar a layer in three colours: logic, then memories, then what is off the chip."""
    scale = alt.Scale(range=[0, BAR_LENGTH], zero=True, nice=False)
    bars = []
    for colour, end in reversed(list(zip(ENERGY_COLOURS, ("logic_pj", "onchip_pj", "energy_pj"), strict=True))):
        x = alt.X(f"{end}:Q", scale=scale, axis=None)  # the longest lies lowest
        bars.append(base.mark_bar(color=colour, height=12).encode(x=x, tooltip="energy_parts:N"))
    number = base.mark_text(align="right", fontSize=11, color=palette.INK).encode(
        x=alt.value(BAR_COLUMN_WIDTH), text="energy:N", tooltip="energy_parts:N"
    )
    return layered("bars_energy", [*bars, number], width=BAR_COLUMN_WIDTH, height=height, title=_heading("Energy"))


def _bars(base: alt.Chart, column: Bars, height: int) -> alt.LayerChart:
    scale = alt.Scale(range=[0, BAR_LENGTH], zero=True, nice=False)
    bar = base.mark_bar(color=column.colour, height=12).encode(x=alt.X(f"{column.drawn}:Q", scale=scale, axis=None))
    number = base.mark_text(align="right", fontSize=11, color=palette.INK).encode(
        x=alt.value(BAR_COLUMN_WIDTH), text=alt.Text(f"{column.field}:Q", format=column.number)
    )
    title = _heading(column.heading)
    return layered(f"bars_{column.field}", [bar, number], width=BAR_COLUMN_WIDTH, height=height, title=title)
