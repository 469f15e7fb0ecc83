"""Texts from templates of this package, which may use the macros of `hwmodels.rtl`."""

from __future__ import annotations

from hwmodels import code_templates


def rendered(template: str, **names: object) -> str:
    """The text of a template of `dse/exports/rtl/templates`, see `hwmodels.code_templates.rendered`."""
    return code_templates.rendered(template, __package__, "hwmodels.rtl", **names)
