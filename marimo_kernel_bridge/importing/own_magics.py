"""Magics that the notebook registers itself, or a module beside it: found by their text, and called through IPython.

A magic that is a function of the notebook is called as such, so that its cell is known to marimo.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_REGISTERED: Final = re.compile(
    r"^[ \t]*@\s*(?:\w+\.)*(?P<register>register_)?(?:line_cell|line|cell)_magic\b"
    r"(?:\(\s*+(?:[\"'](?P<name>\w+)[\"']\s*+)?\))?[^\n]*\n(?:[ \t]*@[^\n]*\n){0,20}+[ \t]*def (?P<function>\w+)"
    r"|\bregister_magic_function\(\s*(?P<passed>\w+)",
    re.MULTILINE,
)
_MODULE: Final = re.compile(r"^[ \t]*(?:import|from|%load_ext)[ \t]+(\w+)", re.MULTILINE)


def own_magics(sources: Iterable[str], read: Callable[[str], str | None]) -> Mapping[str, str]:
    """Return the magics by name: the function of the notebook that each is, "" if only IPython can call it.

    `read` returns the text of a file beside the notebook.
    """
    found: dict[str, str] = {}
    for source in sources:
        for module in _MODULE.findall(source):
            text = read(f"{module}.py")
            found.update((name, "") for name, _ in _registered(text or ""))
        found.update(_registered(source))
    return found


def _registered(text: str) -> Iterable[tuple[str, str]]:
    """Yield the magics that a text registers, with the global function that each is."""
    for match in _REGISTERED.finditer(text):
        if match["passed"]:
            yield match["passed"], match["passed"]
        else:
            yield match["name"] or match["function"], match["function"] if match["register"] else ""
