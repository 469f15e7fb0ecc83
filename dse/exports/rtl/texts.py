"""Texts from templates: those of this package, which may use the macros of `hwmodels.rtl`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def rendered(template: str, **names: object) -> str:
    """The text of a template of `dse/exports/rtl/templates`.

    Raises:
        jinja2.UndefinedError: if the template uses a name it was not given.
    """
    return _environment().get_template(template).render(**names).strip() + "\n"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("dse.exports.rtl"), jinja2.PackageLoader("hwmodels.rtl")]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Verilog and make, not HTML; all names in them are safe ones
    )
