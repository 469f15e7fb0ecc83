"""Source code from jinja2 templates: Verilog, C++, Tcl, make."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def rendered(template: str, *packages: str, **names: object) -> str:
    """The text of a template, without blank lines around it and with one line end after it.

    Nothing is escaped: what a template receives must already be safe in the language it writes.

    Args:
        template: its file name in the folder ``templates`` of the first package that has it.
        packages: names of Python packages; templates may import the macros of any of them.
        names: what the template sees.

    Raises:
        jinja2.TemplateNotFound: if no package has the template.
        jinja2.UndefinedError: if the template uses a name it was not given.

    >>> rendered("relu.v", "hwmodels.rtl")
    Traceback (most recent call last):
        ...
    jinja2.exceptions.UndefinedError: 'module' is undefined
    """
    return _environment(packages).get_template(template).render(**names).strip() + "\n"


@lru_cache(maxsize=8)
def _environment(packages: tuple[str, ...]) -> Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=jinja2.select_autoescape(enabled_extensions=(), default_for_string=False),
    )
