"""Colours: the Okabe-Ito set, and a colour for every number format.

Okabe, M. and Ito, K., "Color Universal Design", 2008 (https://jfly.uni-koeln.de/color/): eight colours that people with
any common colour vision tell apart.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

BLACK: Final = "#000000"
ORANGE: Final = "#E69F00"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

INK: Final = "#1B1F24"
MUTED: Final = "#57606A"
RULE: Final = "#D8DEE4"
TRACK: Final = "#EDF0F3"


class Family(Enum):
    """Kinds of number format that share a hue; the value is what a legend says."""

    FIXED = "integer and fixed point"
    FLOATING = "floating point"
    OTHER = "block, power of two, codebook"


HUE: Final = {Family.FIXED: BLUE, Family.FLOATING: VERMILLION, Family.OTHER: GREEN}

DARKEST_BITS: Final = 16
"""Formats of this width or more get the full hue; it is the widest that a search offers."""

_MINIFLOAT: Final = re.compile(r"(u?)e(\d+)m(\d+)")
_FIXED: Final = re.compile(r"u?(?:int|fixed<)(\d+)")
_NAMED_FLOAT: Final = re.compile(r"(?:bf|fp|float|tf)(\d+)")
_BITS: Final = re.compile(r"\d+")


def family(number_format: str) -> Family:
    """The family a format's name belongs to, for drawing only.

    >>> family("uint4").value, family("e4m3fn").value, family("mxfp4").value
    ('integer and fixed point', 'floating point', 'block, power of two, codebook')
    """
    if _FIXED.match(number_format):
        return Family.FIXED
    if _MINIFLOAT.match(number_format) or _NAMED_FLOAT.match(number_format):
        return Family.FLOATING
    return Family.OTHER


def bits(number_format: str) -> int | None:
    """How many bits a code has, read from the format's name for shading only; None if the name has no number.

    >>> bits("fixed<16,6>"), bits("e4m3fn"), bits("ue2m2"), bits("mxint8"), bits("bfp8/32"), bits("custom")
    (16, 8, 4, 8, 8, None)
    """
    if found := _MINIFLOAT.match(number_format):
        return int(found[2]) + int(found[3]) + (0 if found[1] else 1)
    first = _BITS.search(number_format)
    return int(first[0]) if first else None


def format_colour(number_format: str) -> str:
    """Fill colour of a format: its family's hue, the darker the wider; an empty text is no format and white.

    >>> format_colour("int16"), format_colour("")
    ('#0072b2', '#ffffff')
    """
    if not number_format:
        return "#ffffff"
    width = bits(number_format)
    share = 0.5 if width is None else min(width, DARKEST_BITS) / DARKEST_BITS
    return shade(HUE[family(number_format)], 0.05 + 0.95 * share)


def shade(colour: str, strength: float) -> str:
    """Mix a ``#rrggbb`` colour with white; strength 1 is the colour itself and 0 is white."""
    channels = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - channel) * strength):02x}" for channel in channels)


def readable_ink(fill: str) -> str:
    """Dark or white text, whichever has the higher contrast on ``fill`` by WCAG 2.1's relative luminance.

    >>> readable_ink("#ffffff"), readable_ink("#0072b2")
    ('#1B1F24', '#FFFFFF')
    """
    light = _luminance(fill)
    on_dark_ink = (light + 0.05) / (_luminance(INK) + 0.05)
    on_white = 1.05 / (light + 0.05)
    return INK if on_dark_ink >= on_white else "#FFFFFF"


def _luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1, definition "relative luminance")."""
    red, green, blue = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
