"""The published JSON schema of manifests, ``manifest.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from dse.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST_SCHEMA: Final = 2
"""Version of what a manifest says and means."""


def manifest_schema() -> dict[str, Any]:
    """The schema, JSON Schema draft 2020-12; it describes every key and refuses all others."""
    content = resources.files("dse.exports").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(content)
    return found


def check_schema(entries: Mapping[str, Any], path: Path) -> None:
    """Hold a manifest against the schema.

    Raises:
        StudyError: naming the first place that does not follow it.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    problem = best_match(Draft202012Validator(manifest_schema()).iter_errors(entries))
    if problem is not None:
        place = "/".join(map(str, problem.absolute_path)) or "the top"
        raise StudyError(
            f"{path} does not follow the schema of manifests, version {MANIFEST_SCHEMA}: at {place}, "
            f"{problem.message[:200]}; export the design again"
        )
