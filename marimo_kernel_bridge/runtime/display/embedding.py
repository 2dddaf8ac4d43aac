"""Jupyter's own representations inside marimo's HTML.

marimo formats objects in a layout (`mo.hstack([figure, df])`, `mo.as_html`) with its own formatters, which
`register_formatters` installs by patching libraries: comms, chart renderers, import hooks. Here the formatters delegate
to IPython, so that an object looks the same in a layout as outside of it, and no library is patched.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from IPython.core.formatters import DisplayFormatter
from IPython.core.getipython import get_ipython
from IPython.utils.capture import capture_output
from IPython.utils.dir2 import get_real_method
from marimo._output import formatting
from marimo._output.formatters.structures import format_structure
from marimo._output.hypertext import Html
from marimo._output.md import md
from marimo._plugins.core.web_component import build_stateless_plugin

from marimo_kernel_bridge.rendering.page import escape, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Data by mime type, and metadata: the content of a display_data."""

WIDGET: Final = "application/vnd.jupyter.widget-view+json"
_PLOTLY: Final = "application/vnd.plotly.v1+json"
_VEGA: Final = "application/vnd.vega"
_STRUCTURES: Final = (list, tuple, dict)
_PLAIN: Final = (bool, int, float, complex, str, bytes, bytearray, type(None), set, frozenset, *_STRUCTURES)


class Shown(str):
    """The HTML of an object in a layout. `outputs` are the object's outputs in Jupyter outside of a layout."""

    __slots__ = ("outputs",)
    outputs: tuple[Bundle, ...]

    @classmethod
    def of(cls, value: object, outputs: Iterable[Bundle]) -> Shown:
        kept = tuple(outputs)
        shown = cls("".join(_described(_embedded(value, data), data) for data, _ in kept))
        shown.outputs = kept
        return shown


class JupyterFormatters(formatting.FormatterRegistry):
    """A registry of formatters for marimo that falls back to Jupyter's formatters."""

    def is_empty(self) -> bool:
        return False  # marimo registers its formatters on other threads if the registry is empty

    def get_formatter(self, obj: Any) -> formatting.Formatter[Any] | None:
        own = super().get_formatter(obj)  # registered by user code
        if own is not None:
            return own
        if type(obj) in _STRUCTURES:
            return _format_structure
        if isinstance(obj, (Html, formatting.Plain)) or callable(getattr(type(obj), "_mime_", None)):
            return None
        if isinstance(obj, _PLAIN) and not hasattr(obj, "_repr_html_"):
            return None
        return self._format

    def _format(self, obj: Any) -> tuple[Any, str]:
        return "text/html", Shown.of(obj, self.outputs(obj))

    def outputs(self, value: object) -> list[Bundle]:
        """Return the outputs of displaying `value`."""
        value = _figure_of(value)
        if get_real_method(value, "_ipython_display_") is None:
            data, metadata = _formatted(value)
            return [(data, metadata)] if data else []
        with capture_output(stdout=False, stderr=False) as captured:
            data, metadata = _formatted(value)
        shown = [(output.data, output.metadata or {}) for output in captured.outputs]
        return shown + ([(data, metadata)] if data else [])


FORMATTERS: Final = JupyterFormatters()
"""Replaces marimo's registry, which is also global to the process."""


def _formatted(value: object) -> Bundle:
    """Return what IPython makes of a value; marimo's elements in it stay as they are, for the object around it."""
    shell: Any = get_ipython()  # untyped; each process has one
    format_plainly: Any = DisplayFormatter.format
    bundle: Bundle = format_plainly(shell.display_formatter, value)
    return bundle


def _format_structure(value: Any) -> tuple[Any, str]:
    """Format a list, tuple or dict: artists as their figure, the rest as a tree."""
    figure = _figure_of(value)
    if figure is not value:
        formatter = FORMATTERS.get_formatter(figure)
        assert formatter is not None
        return formatter(figure)
    return "text/html", build_stateless_plugin("marimo-json-output", {"json-data": format_structure(value)})


def _figure_of(value: Any) -> Any:
    """Return the figure of matplotlib's artists, as returned by `plt.plot(…)`; any other value unchanged.

    A figure that is shown in a layout is closed: otherwise matplotlib's inline backend would show it again.
    """
    artist_module: Any = sys.modules.get("matplotlib.artist")
    if artist_module is None:
        return value
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    if not isinstance(first, artist_module.Artist):
        return value
    figure = first.get_figure(root=True)
    helpers: Any = sys.modules.get("matplotlib._pylab_helpers")
    if figure is not None and helpers is not None:
        helpers.Gcf.destroy_fig(figure)
    return value if figure is None else figure


def _embedded(value: Any, data: dict[str, Any]) -> str:
    """Return HTML for the mime type that front ends prefer."""
    if WIDGET in data:
        return _shown_below(WIDGET, data)
    if _PLOTLY in data and "plotly.io" in sys.modules:
        page = sys.modules["plotly.io"].to_html(
            data[_PLOTLY], include_plotlyjs="cdn", validate=False, default_height="450px"
        )
        return _framed(page, "Plotly")
    if any(mime_type.startswith(_VEGA) for mime_type in data) and hasattr(value, "to_html"):
        return _framed(value.to_html(), "vegaEmbed")
    for mime_type, convert in _CONVERSIONS.items():
        if mime_type in data:
            return convert(data[mime_type])
    others = [mime_type for mime_type in data if mime_type != "text/plain"]
    if others:
        return _shown_below(others[0], data)
    return _CONVERSIONS["text/plain"](data.get("text/plain", ""))


def _described(drawn: str, data: dict[str, Any]) -> str:
    """Add an `aria-label` with the plain text to content that scripts draw."""
    if "<script" not in drawn and "<iframe" not in drawn:
        return drawn
    return f"<div role='img' aria-label={quoted(data.get('text/plain', 'a chart'))}>{drawn}</div>"


def _image(kind: str) -> Callable[[Any], str]:
    def draw(data: Any) -> str:
        if isinstance(data, bytes):
            import base64  # noqa: PLC0415  # rare: most formatters return text

            data = base64.b64encode(data).decode()
        return f"<img src={quoted(f'data:image/{kind};base64,{str(data).strip()}')} alt=''>"

    return draw


def _shown_below(mime_type: str, data: dict[str, Any]) -> str:
    """Return an element that the page turns into a separate output."""
    arguments = {"mime": mime_type, "data": data[mime_type], "text": data.get("text/plain", "")}
    return build_stateless_plugin("marimo-mime-renderer", arguments)


def _framed(page: str, library: str) -> str:
    """Return an iframe for a page with scripts that grows with its content. `library` is a global that a script defines."""
    script = (
        f"<script>if(!window.{library})document.body.textContent="
        "'This chart in a layout is drawn by a script from the network, which could not be loaded. "
        "Shown on its own, it needs none.';document.body.style.margin=0;"
        "new ResizeObserver(()=>{frameElement.style.height="
        "Math.ceil(document.body.getBoundingClientRect().height)+'px'}).observe(document.body)</script>"
    )
    style = "width:100%;min-width:20em;height:30em;border:0"
    document = f"<!DOCTYPE html>{page}{script}"  # otherwise the body is as high as the frame
    return f"<iframe srcdoc={quoted(document)} style={quoted(style)}></iframe>"


_CONVERSIONS: Final[dict[str, Callable[[Any], str]]] = {
    "text/html": str,
    "text/markdown": lambda data: md(str(data)).text,
    "image/svg+xml": str,
    "text/latex": lambda data: f"<div>{escape(data)}</div>",
    "image/png": _image("png"),
    "image/jpeg": _image("jpeg"),
    "text/plain": lambda data: f"<pre>{escape(data)}</pre>",
}
