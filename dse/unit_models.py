"""`bitfront devices --models`: the cost models of units with the errors they have shown, as tables and plain values."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from dse.errors import StudyError
from dse.hardware_bars import MEDIAN_BAR, PERCENTILE_BAR
from dse.terminal import table
from hwmodels.fitting import BOOSTED, LINEAR
from hwmodels.models import MODELS_FILE, ROWS_FOLDER, read_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.table import Table

    from hwmodels.models import ModelError, UnitModel

ALL_COLUMNS: Final = 132
"""Characters a line must have for every column of the table."""
MOST_COLUMNS: Final = 100
"""For all but the measured ranges."""
FAMILY_CHARACTERS: Final = 31


def committed_models(folder: Path | None = None) -> list[UnitModel]:
    """The models costs are computed with, by flow, column and family.

    Args:
        folder: with the file of models; None takes the committed one.

    Raises:
        StudyError: if the file is missing or cannot be read.
    """
    path = (folder or ROWS_FOLDER) / MODELS_FILE
    remedy = "restore hwmodels/data/rows from the repository, or install bitfront again"
    try:
        models = list(read_models(path).values())
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing, and without it no unit has a price: {remedy}") from error
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise StudyError(f"{path} cannot be read as models of units ({reason}): {remedy}") from error
    if not models:
        raise StudyError(f"{path} holds no model: {remedy}")
    return sorted(models, key=lambda model: (_order(model.flow), model.column != "luts", model.column, model.family))


def models_tables(models: Sequence[UnitModel], width: int) -> list[Table]:
    """One table per flow and column; families that have nothing of a column are counted below its table.

    Below `ALL_COLUMNS` characters a line the measured ranges are left out, below `MOST_COLUMNS` the largest errors, the
    terms and the rival, too.

    Args:
        models: in the order they are to be listed.
        width: characters a line has.
    """
    keys = dict.fromkeys((model.flow, model.column) for model in models)
    return [
        _table([model for model in models if (model.flow, model.column) == key], f"Flow {key[0]}: {key[1]}", width)
        for key in keys
    ]


def _table(models: Sequence[UnitModel], title: str, width: int) -> Table:
    whole, wide = width >= MOST_COLUMNS, width >= ALL_COLUMNS
    heads = {"family": "left", "rows": "right"}
    if whole:
        heads["terms"] = "right"
    names = ("median", "95 %", "most") if whole else ("median", "95 %")
    heads |= {f"{left_out}\n{name}": "right" for left_out in ("width", "format") for name in names}
    if whole:
        heads |= {"folds\nours": "right", "folds\ntrees": "right"}
    if wide:
        heads["measured"] = "left"
    found = table(title, heads)
    found.columns[0].min_width = min(FAMILY_CHARACTERS, max((len(model.family) for model in models), default=0))
    for model in filter(_says_something, models):
        cells: list[str | Text] = [Text(model.family), str(model.rows)]
        if whole:
            cells.append(str(len(model.coefficients)))
        for error in (model.left_out_widths, model.left_out_formats):
            cells += _cells(error, whole=whole)
        if whole:
            cells += [_percent(model.rivals[name].median) if name in model.rivals else "" for name in (LINEAR, BOOSTED)]
        if wide:
            cells.append(ranges_in_words(model))
        found.add_row(*cells)
    found.caption, found.caption_justify = _caption(models, whole=whole, wide=wide), "left"
    return found


def _cells(error: ModelError | None, *, whole: bool) -> list[str | Text]:
    if error is None:
        return [""] * (3 if whole else 2)
    cells: list[str | Text] = [_judged(error.median, MEDIAN_BAR), _judged(error.percentile95, PERCENTILE_BAR)]
    return [*cells, _percent(error.largest)] if whole else cells


def _judged(error: float, bar: float) -> Text:
    return Text(_percent(error), style="bold yellow" if error > bar else "")


def _caption(models: Sequence[UnitModel], *, whole: bool, wide: bool) -> str:
    late = sum(_is_beyond(model) for model in models)
    shown = sum(map(_says_something, models))
    words = (
        "Relative errors in percent of units whose widths, or whose format, were left out of the fit; beyond "
        f"{100 * MEDIAN_BAR:g} % (median) or {100 * PERCENTILE_BAR:g} % (95 %): {late or 'no'} of {shown}. "
    )
    if shown < len(models):
        words += f"0 throughout {len(models) - shown} other families. "
    if whole:
        judged = [model for model in models if set(model.rivals) == {LINEAR, BOOSTED}]
        won = sum(_is_beaten(model) for model in judged)
        words += (
            f"Every model is {LINEAR}. Its rival is {BOOSTED} (folds: medians on the same few groups left out); "
            f"it is better in median and 95 % in {won or 'none'} of {len(judged)}. "
        )
    if not wide:
        words += f"Lines of {ALL_COLUMNS} characters and --json show more."
    return words.strip()


def _says_something(model: UnitModel) -> bool:
    return bool(model.coefficients)


def _is_beyond(model: UnitModel) -> bool:
    errors = [error for error in (model.left_out_widths, model.left_out_formats) if error is not None]
    return any(error.median > MEDIAN_BAR or error.percentile95 > PERCENTILE_BAR for error in errors)


def _is_beaten(model: UnitModel) -> bool:
    ours, trees = model.rivals[LINEAR], model.rivals[BOOSTED]
    return trees.median < ours.median and trees.percentile95 < ours.percentile95


def ranges_in_words(model: UnitModel) -> str:
    """The measured ranges of the parameters; those that were never varied are left out."""
    return ", ".join(f"{name} {low}-{high}" for name, (low, high) in model.ranges.items() if low < high)


def model_rows(models: Iterable[UnitModel]) -> list[dict[str, Any]]:
    """The models as plain values; errors are relative, ``ranges`` the least and greatest measured value."""
    return [
        {
            "family": model.family,
            "flow": model.flow,
            "column": model.column,
            "estimator": LINEAR,
            "rows": model.rows,
            "coefficients": dict(model.coefficients),
            "edge_coefficients": dict(model.edge_coefficients),
            "left_out_widths": _plain(model.left_out_widths),
            "left_out_formats": _plain(model.left_out_formats),
            "edges": _plain(model.edges),
            "rivals": {name: _plain(error) for name, error in model.rivals.items()},
            "ranges": {name: list(ends) for name, ends in model.ranges.items()},
        }
        for model in models
    ]


def _plain(error: ModelError | None) -> dict[str, float] | None:
    return None if error is None else dataclasses.asdict(error)


def _order(flow: str) -> tuple[bool, bool, str]:
    """The flow costs are priced by, its twin with DSPs, then all others."""
    return flow != "xcup", not flow.startswith("xcup"), flow


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
