"""marimo's other elements: layout, media, text, progress."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.rendering.controls import CONTROLS
from marimo_kernel_bridge.rendering.elements import split_blocks
from marimo_kernel_bridge.rendering.page import (
    BOX,
    LINE,
    MUTED,
    disclosure,
    draw_label,
    escape,
    label,
    labelled,
    muted,
    quoted,
)
from marimo_kernel_bridge.rendering.tree import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.rendering.elements import Element
    from marimo_kernel_bridge.rendering.page import Page

_COLORS: Final = {
    "danger": "220,60,60",
    "alert": "220,60,60",
    "warn": "200,140,0",
    "success": "40,150,80",
    "info": "40,120,210",
    "neutral": "128,128,128",
}
_ADMONITION: Final = re.compile(r'<div class="admonition ?([a-z]*+)[^"]*+"')
_ADMONITION_KINDS: Final = {
    "attention": "warn",
    "caution": "warn",
    "warning": "warn",
    "tip": "success",
    "hint": "success",
}
_RESIZE: Final = (
    "onload='__resizeIframe(this)' "  # calls a function of marimo's frontend, which does not exist in Jupyter
)
_ARROWS: Final = {"increase": "▲ ", "decrease": "▼ "}


def _accordion(element: Element, page: Page) -> str:
    labels = [draw_label(str(name), page) for name in element.attributes.get("labels") or ()]
    expanded: Any = element.attributes.get("expanded") or []
    items = zip(labels, split_blocks(element.content), strict=False)
    return "".join(
        disclosure(name, content, is_open=n in expanded) for n, (name, content) in enumerate(items)
    )


def _callout(element: Element, page: Page) -> str:
    title = element.text("title")
    head = f"<div><b>{escape(title)}</b></div>" if title else ""
    style = _callout_style(element.text("kind"))
    return f'<div style="{style}">{head}{page.html(element.text("html")) or element.content}</div>'


def _callout_style(kind: str) -> str:
    color = _COLORS.get(kind, _COLORS["neutral"])
    frame = f"border:1px solid rgba({color},.5);border-left:4px solid rgb({color});border-radius:4px"
    return f"{frame};background:rgba({color},.08);padding:.5em 1em;margin:.3em 0"


def _carousel(element: Element, _page: Page) -> str:
    return f'<div style="display:flex;flex-direction:column;gap:.8em">{element.content}</div>'


def _download(element: Element, page: Page) -> str:
    name = label(element, page) or "Download"
    file_name = element.text("filename")
    data = element.text("data")
    if not data:
        return labelled(element, page, name, "download, which marimo creates when it is clicked")
    download = f" download={quoted(file_name)}" if file_name else " download"
    shown = f" {muted(escape(file_name))}" if file_name else ""
    return f"<a href={quoted(data)}{download}>⬇ {name}</a>{shown}"


def _icon(element: Element, _page: Page) -> str:
    """Link the icon from the service that marimo's frontend uses. Without network access, its name is shown."""
    name = element.text("icon")
    prefix, _, icon = name.partition(":")
    size = element.text("height") or "1em"
    color = next(
        (part.split(":", 1)[1].strip() for part in element.text("style").split(";") if "color:" in part),
        "#888",
    )
    if not icon:
        return muted(escape(name))
    source = (
        f"https://api.iconify.design/{prefix}/{icon}.svg?color={color.replace('#', '%23').replace(' ', '')}"
    )
    style = f"height:{size};width:auto;display:inline;vertical-align:-.125em;margin:0"
    return f"<img src={quoted(source)} alt={quoted(name)} title={quoted(name)} style={quoted(style)}>"


def _image_comparison(element: Element, _page: Page) -> str:
    sides = "".join(
        f'<figure style="margin:0;flex:1"><img src={quoted(element.text(f"{side}-src"))} alt="" '
        f'style="max-width:100%"><figcaption>{muted(side)}</figcaption></figure>'
        for side in ("before", "after")
    )
    return f'<div style="display:flex;gap:.5em">{sides}</div>'


def _json(element: Element, page: Page) -> str:
    python = element.text("value-types") != "json"
    name = element.text("name")
    drawn = tree(element.attributes.get("json-data"), page, python=python, name=name)
    return f"<div>{drawn}</div>"


def _mermaid(element: Element, _page: Page) -> str:
    return f'<pre><code class="language-mermaid">{escape(element.text("diagram"))}</code></pre>'


def _mime(element: Element, page: Page) -> str:
    mime_type, data = element.text("mime"), element.attributes.get("data")
    if mime_type.startswith("image/"):
        return f'<img src={quoted(data)} alt="">'
    if mime_type in {"text/html", "text/markdown", "image/svg+xml"}:
        return page.html(str(data))
    if mime_type.startswith("text/"):
        return f"<pre>{escape(data)}</pre>"
    return page.native(mime_type, data, element.text("text"))


def _nav_menu(element: Element, page: Page) -> str:
    def entry(item: dict[str, Any]) -> str:
        name = draw_label(str(item.get("label", "")), page)
        about = draw_label(str(item.get("description") or ""), page)
        inner = "".join(entry(child) for child in item.get("items") or ())
        link = f"<a href={quoted(item['href'])}>{name}</a>" if item.get("href") else name
        return f"<li>{link}{f' {muted(about)}' if about else ''}{f'<ul>{inner}</ul>' if inner else ''}</li>"

    return f"<ul>{''.join(entry(item) for item in element.attributes.get('items') or ())}</ul>"


def _outline(element: Element, page: Page) -> str:
    name = label(element, page)
    note = muted("(outline: the headings are in the front end's table of contents)")
    return f"<div>{f'{name} ' if name else ''}{note}</div>"


def _progress(element: Element, page: Page) -> str:
    title, subtitle = (draw_label(element.text(name), page) for name in ("title", "subtitle"))
    total, done = element.attributes.get("total"), element.attributes.get("progress")
    texts = [f"<b>{title}</b>" if title else "", subtitle]
    if done is True:
        return f"<div>⏳ {' '.join(text for text in texts if text) or 'working'}</div>"
    bar = ""
    if isinstance(total, int | float) and isinstance(done, int | float) and total > 0:
        share = min(1.0, max(0.0, done / total))
        bar = f'<progress value="{done}" max="{total}" style="width:20em;max-width:50%"></progress> '
        texts.append(f"{done} of {total} ({share:.0%})")
    details = [_rate(element.attributes.get("rate")), _eta(element.attributes.get("eta"))]
    about = ", ".join(detail for detail in details if detail)
    return f"<div>{bar}{' '.join(text for text in texts if text)}{f' {muted(about)}' if about else ''}</div>"


def _rate(rate: object) -> str:
    if not isinstance(rate, int | float) or rate <= 0:
        return ""
    return f"{rate:g} per second" if rate >= 1 else f"{1 / rate:.3g} s each"


def _eta(seconds: object) -> str:
    return f"{seconds:.3g} s left" if isinstance(seconds, int | float) and seconds > 0 else ""


def _sidebar(element: Element, _page: Page) -> str:
    return f'<div style="border-left:4px solid {LINE};padding-left:1em">{element.content}</div>'


def _stat(element: Element, page: Page) -> str:
    direction = element.text("direction")
    good = direction == (element.text("target_direction") or "increase")
    color = _COLORS["success"] if good else _COLORS["danger"]
    frame = f"{BOX};" if element.attributes.get("bordered") else ""
    pieces = [
        f'<div style="{MUTED}">{draw_label(element.text("label"), page)}</div>'
        if element.text("label")
        else "",
        f'<div style="font-size:1.7em;font-weight:600">{page.html(element.text("value"))}</div>',
    ]
    caption = element.text("caption")
    if caption or direction in _ARROWS:
        arrow = _ARROWS.get(direction, "")
        colored = f'<span style="color:rgb({color})">{arrow}</span>' if arrow else ""
        pieces.append(f"<div><small>{colored}{draw_label(caption, page)}</small></div>")
    pieces.append(page.html(element.text("slot")) or element.content)
    return f'<div style="{frame}display:inline-block;padding:.5em 1em">{"".join(pieces)}</div>'


def _tex(element: Element, _page: Page) -> str:
    """Return HTML with MathJax's delimiters around formulas; marimo writes `||(` and `||[`, because Markdown removes the backslashes."""
    formula = element.content
    for marimos, mathjax in (("||(", r"\("), ("||)", r"\)"), ("||[", r"\["), ("||]", r"\]")):
        formula = formula.replace(marimos, mathjax)
    return formula


_COMPONENTS: Final[dict[str, Callable[[Element, Page], str]]] = {
    **CONTROLS,
    "iconify-icon": _icon,
    "marimo-accordion": _accordion,
    "marimo-callout-output": _callout,
    "marimo-carousel": _carousel,
    "marimo-download": _download,
    "marimo-image-comparison": _image_comparison,
    "marimo-json-output": _json,
    "marimo-mermaid": _mermaid,
    "marimo-mime-renderer": _mime,
    "marimo-nav-menu": _nav_menu,
    "marimo-outline": _outline,
    "marimo-progress": _progress,
    "marimo-sidebar": _sidebar,
    "marimo-stat": _stat,
    "marimo-tex": _tex,
}


def styled(text: str) -> str:
    """Return HTML with marimo's styles inline, and without calls to its scripts."""

    def admonition(match: re.Match[str]) -> str:
        kind = _ADMONITION_KINDS.get(match[1], match[1] or "info")
        return f'{match[0]} style="{_callout_style("info" if kind == "note" else kind)}"'

    return _ADMONITION.sub(admonition, text).replace(_RESIZE, "")


def draw(element: Element, page: Page) -> str:
    """Return the HTML that replaces an element. For an unknown element: its content, or else its name."""
    component = _COMPONENTS.get(element.name)
    if component is not None:
        return component(element, page)
    return element.content or muted(f"({escape(element.name.removeprefix('marimo-'))}: shown by marimo only)")
