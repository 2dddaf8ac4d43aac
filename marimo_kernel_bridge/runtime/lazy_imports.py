"""The import of marimo without parts that take a quarter of it and that many notebooks never use.

They are loaded when something in them is used: the elements of `mo.ui` by the first that is made. Import this before the
other modules of the package, which work without it just as well.
"""

from __future__ import annotations

import sys
from typing import Final

from marimo_kernel_bridge.startup.lazy_modules import lazily_imported, load

_URL: Final = "marimo._utils.url"


def _is_url(value: str, public: bool = False) -> bool:  # noqa: FBT001, FBT002  # marimo's signature
    """Ask marimo's own, whose regular expression takes 40 ms to compile."""
    module = sys.modules[_URL]
    load(module)
    answer: bool = module.is_url(value, public)
    return answer


with (
    lazily_imported(_URL, is_url=_is_url),
    lazily_imported("marimo._plugins.ui"),
    lazily_imported("marimo._lint"),
):
    import marimo  # noqa: F401  # what is imported by it is the point
