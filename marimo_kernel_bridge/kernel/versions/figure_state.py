"""State of matplotlib besides its parameters: which backend shows figures, and how. Main thread only."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.placed_state import when_named

if TYPE_CHECKING:
    from collections.abc import Mapping

_open: dict[str, dict[Any, Any]] = {}
"""The figures that are open with backends other than the present one: what a cell draws on is one of its own backend."""
_SHOWING: Final = ("matplotlib", "seaborn", "pandas")


def _named_colors(module: Any) -> dict[str, Any]:
    return dict(module.get_named_colors_mapping())


def _set_named_colors(module: Any, value: Mapping[str, Any]) -> None:
    colors = module.get_named_colors_mapping()
    colors.clear()
    colors.update(value)
    colors.cache.clear()


def _backend(module: Any) -> tuple[str, bool]:
    """Return the backend's name, without loading it, and whether figures show as they are drawn."""
    return str(dict.get(module.rcParams, "backend")), module.is_interactive()


def _set_backend(module: Any, value: tuple[str, bool]) -> None:
    """Switch as `%matplotlib` does."""
    backend, is_interactive = value
    was = _backend(module)[0]
    if backend != was:
        # Imported late: few notebooks have two backends.
        pylabtools: Any = importlib.import_module("IPython.core.pylabtools")
        pylabtools.activate_matplotlib(backend)
        inline = sys.modules.get("matplotlib_inline.backend_inline")
        if inline is not None:
            inline.configure_inline_support(sys.modules["IPython"].get_ipython(), backend)
        figures = sys.modules["matplotlib._pylab_helpers"].Gcf.figs
        _open[was] = dict(figures)
        figures.clear()
        figures.update(_open.pop(backend, {}))
    module.interactive(is_interactive)


def _formats(module: Any) -> tuple[frozenset[str], dict[str, Any]] | None:
    if not module.InlineBackend.initialized():
        return None
    inline = module.InlineBackend.instance()
    return frozenset(inline.figure_formats), dict(inline.print_figure_kwargs)


def _set_formats(module: Any, value: tuple[frozenset[str], dict[str, Any]]) -> None:
    inline = module.InlineBackend.instance()
    inline.figure_formats, inline.print_figure_kwargs = set(value[0]), value[1]


FIGURE_STATES: Final = (
    when_named(
        (
            "color_codes",
            "set_theme",
            "set_palette",
            "sns.set(",
            "sns.reset",
            "seaborn.set(",
            "colorConverter",
            "named_colors",
        ),
        "matplotlib.colors",
        _named_colors,
        _set_named_colors,
        "matplotlib",
        "seaborn",
        "pandas",
        is_shown=True,
    ),
    when_named(
        (
            "%matplotlib",
            "magic(",
            "matplotlib.use(",
            "mpl.use(",
            "switch_backend(",
            "plt.ion(",
            "plt.ioff(",
            "interactive(",
        ),
        "matplotlib",
        _backend,
        _set_backend,
        *_SHOWING,
        is_shown=True,
    ),
    when_named(
        ("InlineBackend", "set_matplotlib_formats"),
        "matplotlib_inline.config",
        _formats,
        _set_formats,
        *_SHOWING,
        is_shown=True,
    ),
)
