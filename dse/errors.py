"""Errors that the command line turns into one paragraph and an exit code."""

from __future__ import annotations


class StudyError(ValueError):
    """Bad input or an unusable study folder: exit code 2."""


class NotExportableError(StudyError):
    """A design that no export describes: said by name, and no reason to lose what was found before."""


class InfeasibleError(Exception):
    """No design meets the caps: exit code 1. Its text explains which resource is short and what would help."""
