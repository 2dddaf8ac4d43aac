"""Placeholders: the static form of a shown object, in an element that a page replaces by marimo's own.

Where no page does so, the static form stands there: in a saved notebook, on GitHub, without a kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol.names import LIVE_LOADER
from marimo_kernel_bridge.rendering.page import muted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.runtime.interface import LiveFrontEnd

_ELEMENT: Final = re.compile(r"(?:<|u003c)marimo-ui-element\b")  # in HTML, or in JSON in an attribute
_OF_JUPYTER: Final = re.compile(
    r"""(<marimo-ui-element\s[^<>]*>\s*)?"""
    r"""<(marimo-(?:anywidget|mime-renderer|matplotlib|mpl-interactive|panel))(?:\s(?:[^<>'"]++|'[^']*+'|"[^"]*+")*+)?>"""
    r"""(?:\s*</\2>)?(?(1)\s*</marimo-ui-element>)"""
)
"""What keeps the front end's own renderer: widgets and mime bundles, which are outputs below the layout."""
_OF_JUPYTER_INSIDE: Final = re.compile(
    r"u003cmarimo-(?:anywidget|mime-renderer|matplotlib|mpl-interactive|panel)\b"
)
_SIDEBAR: Final = re.compile(r"<(/?)marimo-sidebar\b[^<>]*>")
"""marimo's front end shows its content beside the notebook of its own page, which is none here."""


_UNLESS_LIVE: Final = """(() => {
  const place = () => document.querySelector('.mkb-live[data-mkb-kernel="KERNEL"][data-mkb-out="OUT"]');
  const page = () => globalThis[Symbol.for("marimo_kernel_bridge.live.LOADER")];
  for (const form of document.querySelectorAll('template[data-mkb-native="KERNEL-OUT"]')) {
    if (form.dataset.mkbWaits) continue;
    form.dataset.mkbWaits = "";
    const show = () => form.replaceWith(document.createRange().createContextualFragment(form.innerHTML));
    form.addEventListener("mkb-static", show, {once: true});
    let left = document.querySelector(".jp-NotebookPanel") || document.body.dataset.vscodeThemeKind ? 20 : 0;
    const look = () => {
      if (!form.isConnected || place()?.shadowRoot) return;
      if (page()?.lines.has("KERNEL") || page()?.waits?.(form) || left-- > 0) setTimeout(look, 250);
      else show();
    };
    look();
  }
})()""".replace("LOADER", str(LIVE_LOADER))
"""Shows a native form on a page that does not show marimo's: at once, or after five seconds where one may, and no sooner than the page
knows which kernel the notebook has. If it is the form's own, the page decides, and tells by the event."""


@dataclass(frozen=True)
class Placeholder:
    """The place of a shown object on pages, of `front_end`. `out` is the object's id in the kernel.

    `hides`: so many outputs follow that stand in for the object and are hidden where it is live.
    """

    front_end: LiveFrontEnd
    out: str
    hides: int = 0

    def around(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of an output with the placeholder around its HTML."""
        hides = f' data-mkb-hides="{self.hides}"' if self.hides else ""
        begin = (
            f'<div class="mkb-live" data-mkb-kernel="{self.front_end.key}" data-mkb-out="{self.out}"{hides}>'
        )
        return {**data, "text/html": f"{begin}{data.get('text/html', '')}</div>"}

    def beside(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of an output that stands in for the object: its scripts, which may load others, run only where it is not live."""
        form = data.get("text/html", "")
        if "<script" not in form:
            return dict(data)
        script = _UNLESS_LIVE.replace("KERNEL", self.front_end.key).replace("OUT", self.out)
        native = f'<template data-mkb-native="{self.front_end.key}-{self.out}">{form}</template>'
        return {**data, "text/html": f"{native}<script>{script}</script>"}


def live_html(text: str) -> str:
    """Return marimo's HTML for its own front end; empty if there is nothing in it that is alive there."""
    if not _ELEMENT.search(text) or _OF_JUPYTER_INSIDE.search(text):
        return ""
    kept = _SIDEBAR.sub(r"<\1div>", _OF_JUPYTER.sub(muted("(shown below)"), text))
    return kept if _ELEMENT.search(kept) else ""
