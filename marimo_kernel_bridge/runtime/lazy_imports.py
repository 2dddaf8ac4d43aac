"""The import of marimo without the parts that many notebooks never use, which take a quarter of its time.

They are loaded on first use: the elements of `mo.ui` when the first one is created. Import this module before the
others of the package, which also work without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.startup.lazy_modules import lazily_imported, load

if TYPE_CHECKING:
    from collections.abc import Callable

_URL: Final = "marimo._utils.url"


def _is_url(value: str, public: bool = False) -> bool:  # noqa: FBT001, FBT002  # marimo's signature
    """Call marimo's function, which takes 40 ms to compile its regular expression."""
    module = sys.modules[_URL]
    load(module)
    answer: bool = module.is_url(value, public)
    return answer


_SHIMS: Final = "marimo._runtime._wasm._concurrency._install"
"""What replaces threads and processes in a browser: a dozen modules that no kernel needs."""


def _of_shims(name: str) -> Callable[..., Any]:
    """Return a function that loads the module and calls the one of this name there."""

    def call(*args: Any, **options: Any) -> Any:  # marimo's
        load(sys.modules[_SHIMS])
        return getattr(sys.modules[_SHIMS], name)(*args, **options)

    return call


_FUNCTIONS: Final = (
    "install_wasm_concurrency_shims",
    "install_wasm_process_shims",
    "shutdown_live_wasm_concurrency_work_async",
    "unpatch_wasm_concurrency_shims",
    "unpatch_wasm_process_shims",
    "wait_for_live_wasm_concurrency_work_async",
)

with (
    lazily_imported(_SHIMS, **{name: _of_shims(name) for name in _FUNCTIONS}),
    lazily_imported(_URL, is_url=_is_url),
    lazily_imported("marimo._plugins.ui"),
    lazily_imported("marimo._lint"),
):
    import marimo  # noqa: F401  # what is imported by it is the point
