"""`mo.ui` elements: label, value, accepted values, and how to set them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.rendering import tables
from marimo_kernel_bridge.rendering.elements import split_blocks
from marimo_kernel_bridge.rendering.page import (
    BOX,
    HOW_TO_SET,
    chip,
    current,
    disclosure,
    draw_label,
    escape,
    label,
    labelled,
    muted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.rendering.elements import Element
    from marimo_kernel_bridge.rendering.page import Page

_MOST_OPTIONS: Final = 12
_LONGEST_VALUE: Final = 2000
_NOTHING: Final = "<em>nothing</em>"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…")


def _options(element: Element) -> str:
    options = [str(option) for option in element.attributes.get("options") or ()]
    named = ", ".join(escape(option) for option in options[:_MOST_OPTIONS])
    more = len(options) - _MOST_OPTIONS
    return f"of {named}{f' and {more} more' if more > 0 else ''}"


def _range(element: Element) -> str:
    """Describe the allowed numbers or dates, as far as there are bounds."""
    start, stop, step = (element.attributes.get(name) for name in ("start", "stop", "step"))
    start = None if str(start).startswith("0001-01-01") else start
    stop = None if str(stop).startswith("9999-12-31") else stop
    bounds = " ".join(
        [f"from {_shown(start)}"] * (start is not None) + [f"to {_shown(stop)}"] * (stop is not None)
    )
    return bounds + (f" in steps of {_shown(step)}" if step is not None else "")


def _slider(element: Element, page: Page) -> str:
    value: Any = current(element, page)
    steps = element.attributes.get("steps") or []
    values = value if isinstance(value, list) else [value]
    if steps:  # the frontend value is the index of the step
        values = [steps[int(index)] for index in values]
    allowed = f"of {', '.join(_shown(step) for step in steps[:_MOST_OPTIONS])}" if steps else _range(element)
    if len(steps) > _MOST_OPTIONS:
        allowed += f" and {len(steps) - _MOST_OPTIONS} more"
    return labelled(element, page, chip(" to ".join(_shown(one) for one in values)), "slider", allowed)


def _number(element: Element, page: Page) -> str:
    value = current(element, page)
    return labelled(
        element, page, chip(_NOTHING if value is None else _shown(value)), "number", _range(element)
    )


def _text(element: Element, page: Page) -> str:
    value = current(element, page)
    if element.attributes.get("kind") == "password":
        filled = bool(value) or element.attributes.get("password-has-value") is True
        return labelled(element, page, chip("••••••" if filled else _NOTHING), "password")
    hint = element.text("placeholder")
    shown = chip(_shown(value) if value else _NOTHING)
    return labelled(
        element, page, shown, element.text("kind") or "text", f"e.g. {escape(hint)}" if hint else ""
    )


def _area(element: Element, page: Page) -> str:
    if element.attributes.get("disabled") is True and element.name == "marimo-code-editor":
        return f'<pre><code class="language-{escape(element.text("language"))}">{_shown(current(element, page))}</code></pre>'
    kind = f"{element.text('language')} code" if element.name == "marimo-code-editor" else "text"
    head = labelled(element, page, "", escape(kind))
    return (
        f'<div>{head}<pre style="{BOX};padding:.3em .6em">{_shown(current(element, page) or "")}</pre></div>'
    )


def _checkbox(element: Element, page: Page) -> str:
    on = current(element, page) is True
    name = label(element, page)
    value = f"{'☑' if on else '☐'} {name}" if name else ("☑ on" if on else "☐ off")
    kind = "switch" if element.name == "marimo-switch" else "checkbox"
    return _without_label(element, page, value, kind)


def _without_label(element: Element, page: Page, value: str, *details: str) -> str:
    plain = type(element)(
        element.name, {**element.attributes, "label": None}, element.content, element.object_id
    )
    return labelled(plain, page, value, *details)


def _choice(element: Element, page: Page) -> str:
    value: Any = current(element, page)
    chosen = value if isinstance(value, list) else [] if value is None else [value]
    kinds = {"marimo-radio": "one", "marimo-dropdown": "one", "marimo-multiselect": "any"}
    shown = ", ".join(_shown(one) for one in chosen) if chosen else _NOTHING
    return labelled(element, page, chip(shown), f"{kinds[element.name]} {_options(element)}")


def _button(element: Element, page: Page) -> str:
    face = (
        f'<span style="{BOX};padding:2px 10px;background:rgba(128,128,128,.15)">{label(element, page)}</span>'
    )
    return _without_label(element, page, face, "button", escape(element.text("tooltip")))


def _date(element: Element, page: Page) -> str:
    value: Any = current(element, page)
    shown = " to ".join(str(day) for day in value) if isinstance(value, list | tuple) else value
    kind = element.name.removeprefix("marimo-").replace("-", " ")
    return labelled(element, page, chip(_NOTHING if shown is None else escape(shown)), kind, _range(element))


def _file(element: Element, page: Page) -> str:
    files: Any = current(element, page) or []
    names = ", ".join(escape(file[0] if isinstance(file, list | tuple) else file) for file in files)
    types = ", ".join(element.attributes.get("filetypes") or ())
    several = "several files" if element.attributes.get("multiple") else "one file"
    return labelled(element, page, chip(names or "<em>no file</em>"), f"upload of {several}", escape(types))


def _file_browser(element: Element, page: Page) -> str:
    chosen: Any = current(element, page) or []
    names = ", ".join(escape(file.get("path", file)) for file in chosen if isinstance(file, dict))
    return labelled(
        element, page, chip(names or _NOTHING), f"files in {escape(element.text('initial-path'))}"
    )


def _refresh(element: Element, page: Page) -> str:
    every = element.text("default-interval") or "off"
    options = ", ".join(str(option) for option in element.attributes.get("options") or ())
    return labelled(
        element, page, chip(f"↻ {escape(every)}"), "timer, which runs in marimo only", escape(options)
    )


def _microphone(element: Element, page: Page) -> str:
    recorded = bool(current(element, page))
    return labelled(
        element, page, chip("a recording" if recorded else "<em>no recording</em>"), "records in marimo only"
    )


def _chat(element: Element, page: Page) -> str:
    value: Any = current(element, page)
    messages = value.get("messages") if isinstance(value, dict) else value
    lines = "".join(
        f"<p><b>{escape(message.get('role', ''))}</b>: {_shown(message.get('content', ''))}</p>"
        for message in messages or ()
        if isinstance(message, dict)
    )
    return f"<div>{labelled(element, page, '', 'chat, which takes messages in marimo only')}{lines}</div>"


def _group(element: Element, page: Page) -> str:
    """`mo.ui.array`, `mo.ui.dictionary` and `.batch()`: their elements and label are already drawn."""
    control = page.control(element)
    named = control is not None and control.name
    return f"<div>{element.content}{_without_label(element, page, '') if named else ''}</div>"


def _form(element: Element, page: Page) -> str:
    control = page.control(element)
    value = (
        "not submitted" if control is None or control.value is None else f"submitted: {escape(control.shown)}"
    )
    head = label(element, page)
    how = ""
    if control is not None and control.name:
        how = f" · <code>{escape(HOW_TO_SET.format(name=control.name))}</code>"
    return (
        f'<div style="{BOX};padding:.5em 1em">{f"<b>{head}</b>" if head else ""}<div>{element.content}</div>'
        f"{muted(f'(form, {value}{how})')}</div>"
    )


def _matrix(element: Element, page: Page) -> str:
    rows: Any = current(element, page) or []
    columns = element.attributes.get("column-labels") or [str(n) for n in range(len(rows[0]) if rows else 0)]
    return f"<div>{labelled(element, page, '', 'matrix')}{tables.table([str(c) for c in columns], rows, None)}</div>"


def _table(element: Element, page: Page) -> str:
    control = page.control(element)
    head = label(element, page)
    how = ""
    if element.attributes.get("selection") and control is not None and control.name:
        how = f"select rows: <code>{escape(HOW_TO_SET.format(name=control.name))}</code>"
    title = f"<div>{head}</div>" if head else ""
    if control is not None and control.content is not None:
        return title + page.html(control.content) + (muted(how) if how else "")
    parsed = tables.parse(element.attributes.get("data"))
    if parsed is None:
        return f"{title}{muted('a table that marimo shows page by page')}"
    total = element.attributes.get("total-rows")
    total_rows = total if isinstance(total, int | str) else None
    return title + page.html(tables.table(*parsed, total_rows, _selection(element, page), how))


def _selection(element: Element, page: Page) -> str:
    value: Any = current(element, page)
    return f"{len(value)} selected" if isinstance(value, list) and value else ""


def _tabs(element: Element, page: Page) -> str:
    labels = [draw_label(str(tab), page) for tab in element.attributes.get("tabs") or ()]
    value = str(current(element, page) or 0)
    chosen = int(value) if value.isdigit() else 0
    tabs = zip(labels, split_blocks(element.content), strict=False)
    return "".join(disclosure(tab, content, is_open=n == chosen) for n, (tab, content) in enumerate(tabs))


def _wrapping(element: Element, page: Page) -> str:
    """Draw an element that wraps something that Jupyter displays itself: a chart, a widget, lazily loaded content."""
    control = page.control(element)
    if control is None or control.content is None:
        kind = element.name.removeprefix("marimo-").replace("-", " ")
        return muted(f"({escape(kind)}: shown by marimo only)")
    head = label(element, page)
    return (f"<div>{head}</div>" if head else "") + page.html(control.content)


CONTROLS: Final[dict[str, Callable[[Element, Page], str]]] = {
    "marimo-anywidget": _wrapping,
    "marimo-button": _button,
    "marimo-chatbot": _chat,
    "marimo-checkbox": _checkbox,
    "marimo-code-editor": _area,
    "marimo-data-editor": _table,
    "marimo-data-explorer": _table,
    "marimo-dataframe": _table,
    "marimo-date": _date,
    "marimo-date-range": _date,
    "marimo-datetime": _date,
    "marimo-dict": _group,
    "marimo-dropdown": _choice,
    "marimo-file": _file,
    "marimo-file-browser": _file_browser,
    "marimo-form": _form,
    "marimo-lazy": _wrapping,
    "marimo-matplotlib": _wrapping,
    "marimo-matrix": _matrix,
    "marimo-microphone": _microphone,
    "marimo-mpl-interactive": _wrapping,
    "marimo-multiselect": _choice,
    "marimo-number": _number,
    "marimo-panel": _wrapping,
    "marimo-plotly": _wrapping,
    "marimo-radio": _choice,
    "marimo-range-slider": _slider,
    "marimo-refresh": _refresh,
    "marimo-routes": _wrapping,
    "marimo-slider": _slider,
    "marimo-switch": _checkbox,
    "marimo-table": _table,
    "marimo-tabs": _tabs,
    "marimo-text": _text,
    "marimo-text-area": _area,
    "marimo-vega": _wrapping,
}
