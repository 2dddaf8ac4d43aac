"""The import of marimo without the parts that many notebooks never use, which take a quarter of its time.

They are loaded on first use: the elements of `mo.ui` when the first one is created. Import this module before the
others of the package, which also work without it.
"""

from __future__ import annotations

import sys
from typing import Final

from marimo_kernel_bridge.startup.lazy_modules import lazily_imported, load

_URL: Final = "marimo._utils.url"


def _is_url(value: str, public: bool = False) -> bool:  # noqa: FBT001, FBT002  # marimo's signature
    """Call marimo's function, which takes 40 ms to compile its regular expression."""
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
