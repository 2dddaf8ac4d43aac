"""Conversion of marimo's objects to Jupyter outputs, one or several.

Every `mo.*` object and UI element becomes HTML that does not need marimo's frontend, and readable plain text; Markdown
stays Markdown; charts and widgets inside `mo.ui` elements keep their own mime types. `rendering` decides how elements
look; this module looks up their values in marimo's registry at the time of display. Imported when the first object is
displayed, because most notebooks display none.
"""

from __future__ import annotations

import html
import re
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo._output.formatting import Plain, as_html
from marimo._output.hypertext import Html
from marimo._output.md import _md
from marimo._plugins.stateless.status._progress import spinner
from marimo._plugins.ui._core.ui_element import UIElement
from marimo._runtime.context import safe_get_context

from marimo_kernel_bridge.rendering.components import draw, styled
from marimo_kernel_bridge.rendering.elements import Element, rewrite
from marimo_kernel_bridge.rendering.page import Control, muted
from marimo_kernel_bridge.rendering.text import html_to_text
from marimo_kernel_bridge.runtime.display.embedding import FORMATTERS, WIDGET, Bundle, Shown
from marimo_kernel_bridge.runtime.display.native_views import CONTENTS, WRAPPED
from marimo_kernel_bridge.runtime.display.placeholders import Placeholder, live_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.runtime.display.shown_elements import ShownObject
    from marimo_kernel_bridge.runtime.interface import LiveFrontEnd

_TAG: Final = re.compile(r"</?[a-zA-Z!][^<>]*>")
_MERMAID: Final = re.compile(r"<marimo-mermaid [^<>]*></marimo-mermaid>")
_ROUTES: Final = re.compile(
    r"<marimo-ui-element object-id='([^'<>]+)'[^<>]*>\s*<marimo-routes\b(?:[^<]|<(?!/?marimo-routes\b))*+"
    r"</marimo-routes>\s*</marimo-ui-element>"
)
_MARIMOS_MARKDOWN: Final = re.compile(
    r'<marimo-(?!tex)|<iconify-icon|class="(?:admonition|tabbed|footnote|critic)|<details|<figure'
)
"""Marks in the HTML of a Markdown text that only marimo's Markdown dialect produces."""


@dataclass(frozen=True)
class Drawing:
    """The outputs of an object. `thing` is the object without marimo's wrappers, if it is one of marimo's."""

    outputs: list[Bundle]
    thing: Html | None = None
    element_ids: frozenset[str] = frozenset()  # of the UI elements that it shows
    live: str = ""  # marimo's HTML, if something in it is alive in marimo's own front end,
    front_end: LiveFrontEnd | None = None  # and the pages that may have that
    stands_in: bool = False  # the outputs are not marimo's: a page that shows the object live hides them


def draw_object(
    value: object, prefers_markdown: Callable[[], bool], find_pages: Callable[[], LiveFrontEnd | None]
) -> Drawing:
    """Convert `value` to one output, or more if parts of it need a renderer of the front end.

    `prefers_markdown` returns whether the front end renders Markdown better than equivalent HTML. `find_pages`
    returns the pages with marimo's own front end that may show the running cell.
    """
    value = _unwrapped(value)
    if not isinstance(value, Html):
        return Drawing(FORMATTERS.outputs(value))
    if isinstance(value, UIElement) and value._args.component_name in WRAPPED:
        natives, live = FORMATTERS.outputs(WRAPPED[value._args.component_name](value)), live_html(value.text)
        pages = find_pages() if live else None
        if pages is None or not pages.sure:
            return Drawing(natives)
        return Drawing(natives, value, live=live, front_end=pages, stands_in=True)
    text = value.text
    if isinstance(text, Shown):
        return Drawing(list(text.outputs))
    live = live_html(_ROUTES.sub(_first_route, text))
    front_end = find_pages() if live else None
    page = RenderedPage(loads=front_end is None or not front_end.attached)
    if isinstance(value, _md):
        data = _markdown(value, page, keeps_html=front_end is not None or not prefers_markdown())
    elif _MERMAID.fullmatch(text):
        data = _mermaid(page.html(text))
    else:
        drawn = page.html(text)
        data = {"text/html": drawn, "text/plain": html_to_text(drawn)}
    return Drawing([(data, {}), *page.natives], value, frozenset(page.element_ids), live, front_end)


def in_place(drawing: Drawing, shown: ShownObject, out: str) -> list[Bundle]:
    """Return the outputs with a placeholder, for pages with marimo's own front end."""
    assert drawing.front_end is not None
    shown.place = place = Placeholder(
        drawing.front_end, out, len(drawing.outputs) if drawing.stands_in else 0
    )
    if drawing.stands_in:
        return [
            (shown.shown_data, {}),
            *((place.beside(data), metadata) for data, metadata in drawing.outputs),
        ]
    return [(shown.shown_data, {}), *drawing.outputs[1:]]


def one_line(value: Html) -> str:
    """Return the text of an object inside a list or a dict."""
    if isinstance(value, UIElement):
        return f"{type(value).__name__}(value={reprlib.repr(value._value)})"
    text = " ".join(html_to_text(RenderedPage().html(value.text)).split())
    return f"{type(value).__name__.strip('_')}({reprlib.repr(text)})"


@dataclass
class RenderedPage:
    """An implementation of `rendering.page.Page`: looks up UI elements, and collects outputs for the front end's renderers."""

    loads: bool = True  # also what marimo would load lazily; a page with its front end does so itself
    natives: list[Bundle] = field(default_factory=list)
    element_ids: set[str] = field(default_factory=set)
    _contents: dict[str, str | None] = field(default_factory=dict)

    def html(self, text: str) -> str:
        return styled(rewrite(text, lambda element: draw(element, self)))

    def markdown(self, source: str) -> str:
        """Draw the elements in Markdown: each on one line, without characters that Markdown would parse as a formula."""

        def drawn(element: Element) -> str:
            return draw(element, self).replace("\n", "&#10;").replace("$", "&#36;")

        return styled(rewrite(source, drawn))

    def control(self, element: Element) -> Control | None:
        found = None if element.object_id is None else _element(element.object_id)
        if found is None:
            return None
        self.element_ids.add(found._id)
        return Control(
            name=_name(found),
            value=found._value_frontend,
            shown=reprlib.repr(found._value),
            content=self._content(element, found),
        )

    def _content(self, element: Element, found: UIElement[Any, Any]) -> str | None:
        contents = CONTENTS.get(element.name)
        wrapped = WRAPPED.get(element.name)
        if element.object_id not in self._contents:
            content = None
            if element.name == "marimo-lazy" and not self.loads:
                content = muted("(loaded when it is shown)")
            elif contents is not None:
                content = contents(found)
            elif wrapped is not None:
                content = as_html(wrapped(found)).text
            self._contents[str(element.object_id)] = content
        return self._contents[str(element.object_id)]

    def native(self, mime_type: str, data: object, text: str = "") -> str:
        bundle: Bundle = ({mime_type: data, "text/plain": text or f"({mime_type})"}, {})
        if bundle not in self.natives:
            self.natives.append(bundle)
        kind = "widget" if mime_type == WIDGET else mime_type
        return muted(f"({html.escape(kind)}: shown below)")


def _element(object_id: str) -> UIElement[Any, Any] | None:
    context = safe_get_context()
    if context is None:
        return None
    reference = context.ui_element_registry._objects.get(object_id)  # type: ignore[call-overload]  # a NewType of str
    return None if reference is None else reference()


def _first_route(found: re.Match[str]) -> str:
    """Return what `mo.routes` shows first: it would look for a route in the address of a page that is not the notebook's."""
    routes = _element(found[1])
    return found[0] if routes is None else CONTENTS["marimo-routes"](routes)


def _name(element: UIElement[Any, Any]) -> str:
    """Return the global variable that holds the element. The registry is not used: it would cache a missing name."""
    context = safe_get_context()
    if context is None:
        return ""
    names = (name for name, value in list(context.globals.items()) if value is element and name[:1] != "_")
    return next(names, "")


def _markdown(value: _md, page: RenderedPage, *, keeps_html: bool) -> dict[str, Any]:
    source = page.markdown(value._markdown_text)
    drawn = page.html(value.text)
    plain = html_to_text(drawn) if _TAG.search(source) else source
    data = {"text/markdown": source, "text/html": drawn, "text/plain": plain}
    if not keeps_html and not _MARIMOS_MARKDOWN.search(value.text):
        del data["text/html"]
    return data


def _unwrapped(value: object) -> object:
    while isinstance(value, (Plain, spinner)):
        value = value.child if isinstance(value, Plain) else value.spinner
    return value


def _mermaid(drawn: str) -> dict[str, Any]:
    """Return a diagram as a code block: JupyterLab and GitHub render it, other front ends show its source."""
    source = html.unescape(_TAG.sub("", drawn))
    return {"text/markdown": f"```mermaid\n{source.strip()}\n```", "text/plain": source.strip()}
