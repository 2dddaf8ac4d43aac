"""The page of the viewer: one HTML text, which needs nothing else. Owns how the files beside are put together, not who serves it.

The files are ES modules without a bundler. They become one script: in the order of their imports, without the `import` and
`export` lines, so no two may have a top-level name in common. A comment has its lines to itself, and no text goes over the end
of a line.
"""

from __future__ import annotations

import html
import re
from functools import cache
from importlib import resources

from marimo_kernel_bridge.protocol.lines import split_lines

_INDENTED = re.compile(r"\s*\n\s*")
_IMPORT = re.compile(r'^import .* from "\./(.+)";$', re.MULTILINE)
_LEFT_OUT = re.compile(r"^\s*(?://|/?\*).*$|^import .*$|^\s+", re.MULTILINE)
_TYPE = re.compile(r"/\*\* @(?:type|param) [^*\n]*\*/ ?")
_EXPORT = re.compile(r"^export (?=\w)", re.MULTILINE)


def page_html(nonce: str = "") -> str:
    """Return the page. With a nonce, a content security policy can allow its script and its style alone."""
    attribute = f' nonce="{html.escape(nonce)}"' if nonce else ""
    return (
        _page()
        .replace("<style>", f"<style{attribute}>")
        .replace('<script type="module">', f'<script type="module"{attribute}>')
    )


@cache
def _page() -> str:
    style = _INDENTED.sub("\n", _text("page.css")).strip()
    return _text("page.html").replace("/*style*/", style).replace("/*script*/", script())


def script() -> str:
    """Return the modules as one."""
    ordered: dict[str, str] = {}
    _add("main.js", ordered)
    return "\n".join(ordered.values())


def _add(name: str, ordered: dict[str, str]) -> None:
    text = _text(name)
    for imported in _IMPORT.findall(text):
        if imported not in ordered:
            _add(imported, ordered)
    lines = split_lines(_EXPORT.sub("", _TYPE.sub("", _LEFT_OUT.sub("", text))))
    ordered[name] = "\n".join(line for line in lines if line)


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
