"""One self-contained page: headline numbers, linked charts, a table of all designs, facts and notes."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from functools import cache
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from reports import palette
from reports.files import replaced_atomically
from reports.frames import (
    DOMINATED,
    FRONT,
    UNKNOWN,
    amount,
    design_frame,
    distinct_assignments,
    float_accuracy,
    initial_design,
    note_on_floor,
    percentage,
    rank_correlation,
)
from reports.tables import designs_table, facts_table
from reports.template import PAGE, SCRIPT, STYLE
from reports.trust_section import trust_section

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from reports.data import ReportData

_LIVE_URL: Final = re.compile(r"https?://(?!www\.w3\.org/|vega\.github\.io/schema/)[^\s\"'`()\\]+")
"""Addresses that a browser could be sent to; what remains are names of XML namespaces and schemas."""


class MissingExtraError(ImportError):
    """The page needs the optional extra ``report``."""


def write_html(data: ReportData, path: Path) -> Path:
    """Write the page as one file that opens without a network.

    A click on a point, the list above the charts, a design's name in the table or ``report.html#design`` choose the
    design that the layer panel and the device bars show.

    Returns:
        ``path``.

    Raises:
        MissingExtraError: if altair or vl-convert-python is not installed.
        OSError: if the folder cannot be written.
    """
    page = render(data)
    with replaced_atomically(path) as stream:
        stream.write(page.encode())
    return path


def render(data: ReportData) -> str:
    """The page as text; the same text for the same data and versions.

    Raises:
        MissingExtraError: if altair or vl-convert-python is not installed.
    """
    charts = _extra("reports.charts")
    specifications = charts.specifications(data)
    content = {"charts": [_chart(place, one) for place, one in specifications.items()], "signal": charts.SELECTION}
    bundle = _bundle(_extra("altair").SCHEMA_VERSION)
    floor = note_on_floor(design_frame(data))
    notes = [*data.notes, *([floor] if floor else [])]
    return PAGE.substitute(
        policy=_policy(bundle, SCRIPT),
        title=escape(data.title),
        style=STYLE,
        tiles=_tiles(data),
        legend=_legend(),
        table_text="Choose a design's name to see it in the charts above. Losses are KL divergences in nats per image.",
        trust=trust_section(data),
        designs=designs_table(data),
        facts=facts_table(data.facts),
        notes=f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else "",
        data=inert_json(content),
        bundle=bundle,
        script=SCRIPT,
    )


def inert_json(content: object) -> str:
    r"""JSON that may stand in a script element: no character in it can end the element or start a comment.

    >>> inert_json("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _extra(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("altair", "vl_convert"):
            raise
        raise MissingExtraError(
            f"report.html needs {error.name.split('.')[0]}, which is not installed, so only the figures and front.csv "
            "are written. Install it with: pip install 'bitfront[report]'",
            name=error.name,
        ) from error


@cache  # the same half a second's work for every page
def _bundle(schema_version: str) -> str:
    """Vega-Embed and what it needs, for Vega-Lite's ``schema_version`` ("v6.4.1"), without addresses to go to."""
    release = ".".join(schema_version.lstrip("v").split(".")[:2])
    bundle: str = _extra("vl_convert").javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=release)
    return _LIVE_URL.sub("about:blank", bundle).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str) -> str:
    """A content security policy that runs exactly these scripts and fetches nothing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"


def _chart(place: str, specification: dict[str, Any]) -> dict[str, Any]:
    """What the script needs to draw a picture into the element ``place``: its data apart, in columns."""
    tables = {name: _columnar(records) for name, records in specification["datasets"].items()}
    return {"place": place, "specification": specification | {"datasets": {}}, "tables": tables}


def _columnar(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Records with their keys written once."""
    columns = list(records[0]) if records else []
    return {"columns": columns, "data": [[record[column] for column in columns] for record in records]}


def _tile(number: str, text: str) -> str:
    return f'<div class="tile"><b>{escape(number)}</b><span>{escape(text)}</span></div>'


def _tiles(data: ReportData) -> str:
    designs = design_frame(data)
    front = designs[designs["group"] == FRONT]
    solved = len(front) + int((designs["group"] == DOMINATED).sum())
    chosen = designs[designs["design"] == initial_design(data)].iloc[0]
    tiles = [
        _tile(amount(len(front)), f"designs nondominated by measured loss, of {solved} solved"),
        _tile(amount(distinct_assignments(data)), "distinct assignments of formats to layers among them"),
    ]
    network = data.float_network
    if network is not None:
        test = percentage(float(network["test_accuracy"]))
        tiles.append(_tile(percentage(float_accuracy(data)), f"validation accuracy in float32 (test {test})"))
    accuracy, speed = percentage(chosen["validation_accuracy"]), amount(chosen["frames_per_second"])
    about = f"of the usable device for {chosen['design']}, with {accuracy} validation accuracy and {speed} frames/s"
    tiles.append(_tile(percentage(chosen["utilisation"]), about))
    correlation = rank_correlation(data)
    shown = UNKNOWN if math.isnan(correlation) else f"{correlation:.3f}"
    tiles.append(_tile(shown, "rank correlation (Spearman) of predicted and measured loss"))
    return "".join(tiles)


def _legend() -> str:
    """How formats are coloured: hue is the family, depth the number of bits."""
    parts = []
    for family, hue in palette.HUE.items():
        swatches = "".join(
            f'<i style="background:{palette.shade(hue, 0.05 + 0.95 * width / palette.DARKEST_BITS)}"></i>'
            for width in (2, 4, 8, 16)
        )
        parts.append(f"<span>{swatches} {escape(family.value)} of 2, 4, 8, 16 bits</span>")
    return "".join(parts)
