"""The formats that a notebook can be exported to: their names, file suffixes and media types.

Does not write them: that is the work of `exporting` and `marimo_format`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

ExportFormat = Literal["py", "ipynb", "html", "pdf", "md", "script", "json"]


@dataclass(frozen=True)
class FormatProperties:
    """What is true of one export format, whoever exports.

    `suffix` is what the name of a file in this format ends in. `has_outputs` is true if outputs are part of the
    file. `is_live` is true if a running kernel's notebook is offered in this format as a resource.
    """

    suffix: str
    mime_type: str
    title: str
    description: str
    has_outputs: bool = False
    is_live: bool = False


EXPORT_FORMATS: Final[Mapping[ExportFormat, FormatProperties]] = {
    "py": FormatProperties(
        ".py", "text/x-python", "The notebook as marimo .py", "a marimo notebook", is_live=True
    ),
    "ipynb": FormatProperties(
        ".ipynb",
        "application/x-ipynb+json",
        "The notebook as .ipynb",
        "with outputs; ids, metadata and attachments of an imported notebook come back",
        has_outputs=True,
        is_live=True,
    ),
    "html": FormatProperties(
        ".html",
        "text/html",
        "The notebook as a page",
        "one page with outputs that loads nothing (needs the extra `export`)",
        has_outputs=True,
        is_live=True,
    ),
    "pdf": FormatProperties(
        ".pdf",
        "application/pdf",
        "The notebook as PDF",
        "that page, printed by Chromium (needs the extra `pdf`)",
        has_outputs=True,
    ),
    "md": FormatProperties(
        ".md",
        "text/markdown",
        "The notebook as Markdown",
        "marimo's Markdown, which marimo opens again",
        is_live=True,
    ),
    "script": FormatProperties(
        ".script.py",
        "text/x-python",
        "The notebook as a script",
        "Python without marimo's cells, in the order of the graph",
    ),
    "json": FormatProperties(
        ".json",
        "application/json",
        "The notebook as JSON",
        "cells, graph and outputs as text, for programs",
        has_outputs=True,
    ),
}

LIVE_FORMATS: Final[tuple[ExportFormat, ...]] = tuple(
    name for name, properties in EXPORT_FORMATS.items() if properties.is_live
)
"""The formats in which the notebook of a running kernel is a resource."""


def format_of_suffix(suffix: str) -> ExportFormat | None:
    """Return the format of files whose last suffix is `suffix`, or None. A .py is a marimo notebook, not a script."""
    return next((name for name, properties in EXPORT_FORMATS.items() if properties.suffix == suffix), None)
