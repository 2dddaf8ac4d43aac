"""An .ipynb as one HTML page, and that page as PDF: nbconvert's JupyterLab template, without scripts.

The template always loads MathJax, RequireJS and Mermaid from the network. Here formulas become MathML, which browsers
render natively, and a policy in the page keeps it from running scripts and from loading anything, whatever the
notebook has in it. Pictures are embedded only from the notebook's folder.
"""

from __future__ import annotations

import copy
import html
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.folder_files import picture_url
from marimo_kernel_bridge.protocol.output_text import joined
from marimo_kernel_bridge.protocol.own_python import program_on_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbconvert.exporters import HTMLExporter

    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON, JSONObject

INSTALL: Final = "pip install 'marimo-kernel-bridge[export]'"
_INSTALL_PDF: Final = "pip install 'marimo-kernel-bridge[pdf]'; playwright install chromium"
_PDF_NEEDS: Final = "PDF needs nbconvert, latex2mathml, Playwright and Chromium."
_REQUIRE: Final = re.compile(r"\b(?:require|requirejs)\s*[.(\[]|\bdefine\s*\(")
_POLICY: Final = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
    "font-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\" />"
)
"""Forbids a page all scripts, and to load or send anything. First in the head, so that nothing is before it."""
_FRAMES: Final = "i?frame|frameset|fencedframe|portal|object|embed|applet"
_ACTING: Final = re.compile(rf"<(?=(?:meta|link|base|{_FRAMES})(?![a-z0-9-]))", re.IGNORECASE)
"""Elements that name other addresses in ways that the policy does not cover: `meta refresh`, `link rel=preconnect`. Chromium connects to
the address of a frame before it asks the policy."""
_PICTURES: Final = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
_SHOWN: Final = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
    "application/pdf",
)
"""What the template shows of an output without a script."""
_WIDGET: Final = "application/vnd.jupyter.widget-view+json"
_NEEDS_SCRIPT: Final = "<p><em>This output needs a script or a frame, which this page does not have.</em></p>"
_SCRIPT_OR_FRAME: Final = re.compile(rf"<(?:script|{_FRAMES})(?![a-z0-9-])", re.IGNORECASE)
_IMAGE: Final = re.compile(r"<img\b[^<>]*+", re.IGNORECASE)
_LARGEST_HTML: Final = 200_000
"""Characters: what is larger is not searched for pictures, because the parser takes quadratic time for some texts."""
_MERMAID: Final = re.compile(r"```\s*mermaid")
_CHROMIUMS: Final = ("chromium", "chromium-browser", "google-chrome")
_PDF_BOUND: Final = 60_000.0
"""The time limit for rendering a page in milliseconds."""


@dataclass(frozen=True)
class Page:
    """An HTML page, and notes on what of the notebook it does not show."""

    text: str
    notes: tuple[str, ...] = ()


def to_html(document: DocumentJSON, title: str, folder: Path | None = None, *, scripts: bool = False) -> Page:
    """Render a notebook. `folder` has the pictures that its Markdown refers to; None embeds none.

    The page runs no script and loads nothing, unless the person trusts the notebook's outputs and wants their `scripts`.
    Raises `BridgeError`: not_installed, bad_notebook.
    """
    read, exporter = _exporter()
    texts = "\n".join(_texts(document))
    dropped = [
        *([] if scripts and _REQUIRE.search(texts) else ["html_head_js_requirejs"]),
        "html_head_js_mathjax",
        *([] if scripts and _MERMAID.search(texts) else ["html_head_js_mermaidjs"]),
        *([] if scripts else ["jupyter_widgets"]),
    ]
    blocks = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in dropped)
    exporter.raw_template = "{% extends 'lab/index.html.j2' %}" + blocks
    resources = {"metadata": {"name": title, "path": str(folder) if folder is not None else ""}}
    complete = _complete(document)
    still = 0 if scripts else _without_scripts(complete)
    try:
        text, _ = exporter.from_notebook_node(read(json.dumps(complete)), resources)
    except Exception as error:  # nbconvert raises any exception for outputs and metadata that are malformed
        raise BridgeError(
            "bad_notebook", f"nbconvert cannot show it: {type(error).__name__}: {error}."
        ) from error
    if scripts:
        return Page(
            text,
            ("It runs the scripts of the notebook's outputs, which may load anything when it is opened.",),
        )
    page = _inert(text)
    notes = []
    if still:
        notes.append(
            f"{still} outputs need scripts or frames, which the page does not have: --scripts keeps them."
        )
    if missing := _not_embedded(page):
        notes.append(
            f"{missing} pictures are not in the notebook's folder, or too large, and the page does not load them."
        )
    return Page(page, tuple(notes))


def _not_embedded(page: str) -> int:
    """Return how many pictures a page names by an address."""
    images = (found[0].lower() for found in _IMAGE.finditer(page))
    return sum("src" in image and "data:" not in image for image in images)


def _inert(page: str) -> str:
    """Forbid a page to run scripts, to load anything, and to show other pages."""
    start, head, rest = page.partition("<head>")
    template, body, shown = rest.partition("<body")
    return f"{start}{head}{_POLICY}{template}{body}{_ACTING.sub('<x-', shown)}"


def _without_scripts(document: DocumentJSON) -> int:
    """Show the picture of an output that is a script as well; return how many outputs have no picture.

    Those say in their place that something is missing.
    """
    document["metadata"].pop("widgets", None)
    count = 0
    for cell in document["cells"]:
        for output in cell.get("outputs") or []:
            data = output.get("data") or {}
            if not data or not _needs_script(data):
                continue
            for mime in ("application/javascript", _WIDGET):
                data.pop(mime, None)
            picture = next((mime for mime in _PICTURES if mime in data), None)
            if picture is None:
                count += 1
                data["text/html"] = _rest(data) + _NEEDS_SCRIPT
            elif picture in _SHOWN:
                data.pop("text/html", None)
            else:
                source = html.escape("".join(joined(data[picture]).split()))
                data["text/html"] = f'<img src="data:{picture};base64,{source}" alt="" />'
    return count


def _needs_script(data: JSONObject) -> bool:
    return (
        "application/javascript" in data
        or _SCRIPT_OR_FRAME.search(joined(data.get("text/html", ""))) is not None
        or _WIDGET in data
        or not any(mime in data for mime in _SHOWN)
    )


def _rest(data: JSONObject) -> str:
    """Return what an output shows without its script, as HTML."""
    if "text/html" in data:
        return joined(data["text/html"])
    return f"<pre>{html.escape(joined(data['text/plain']))}</pre>" if "text/plain" in data else ""


@cache
def _exporter() -> tuple[Callable[[str], Any], HTMLExporter]:  # nbformat's reader, untyped
    try:
        import latex2mathml  # noqa: F401, PLC0415  # all of the extra or nothing
        from jinja2 import pass_context  # noqa: PLC0415  # comes with nbconvert
        from nbconvert.exporters import HTMLExporter  # noqa: PLC0415  # an extra
        from nbconvert.filters.markdown_mistune import (  # noqa: PLC0415  # an extra
            IPythonRenderer,
            MarkdownWithMath,
        )
        from nbformat.v4 import reads_json  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise BridgeError(
            "not_installed", f"HTML needs nbconvert and latex2mathml ({error.name} is missing).", INSTALL
        ) from None

    class Renderer(IPythonRenderer):
        def _embed_image_or_attachment(self, src: str) -> str:
            return _embedded(src, self.attachments, self.path)

        def _src_to_base64(self, src: str) -> str:
            return _embedded(src, {}, self.path)

        def _html_embed_images(self, html: str) -> str:
            return str(super()._html_embed_images(html)) if _has_pictures(html) else html

        def block_math(self, body: str) -> str:
            return mathml(body, block=True)

        def inline_math(self, body: str) -> str:
            return mathml(body)

        def latex_environment(self, name: str, body: str) -> str:
            return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)

    class Exporter(HTMLExporter):
        def _validate_preprocessor(self, nbc: object, preprocessor: object) -> None:
            """Accept a notebook that does not conform to the schema, as Jupyter does."""

        @pass_context
        def markdown2html(self, context: Any, source: str) -> str:  # jinja's
            cell = context.get("cell", {})
            path = context.get("resources", {}).get("metadata", {}).get("path", "")
            renderer = Renderer(
                escape=False,
                attachments=cell.get("attachments", {}),
                embed_images=True,
                path=path,
                anchor_link_text=self.anchor_link_text,
            )
            return str(MarkdownWithMath(renderer=renderer).render(source))

    return reads_json, Exporter()  # type: ignore[no-untyped-call]  # traitlets' constructor


def _has_pictures(text: str) -> bool:
    return len(text) <= _LARGEST_HTML and "<img" in text.lower()


def _embedded(address: str, attachments: object, folder: str) -> str:
    """Return the address of a picture as a `data:` URL if it is attached or in the folder, else as it is."""
    if address.startswith("attachment:"):
        return _attachment(attachments, address.removeprefix("attachment:")) or address
    return picture_url(Path(folder) if folder else None, address) or address


def _attachment(attachments: object, name: str) -> str | None:
    """Return a picture that is attached to a cell as a `data:` URL."""
    by_type = attachments.get(name) if isinstance(attachments, dict) else None
    for mime in _PICTURES:
        if isinstance(by_type, dict) and isinstance(text := by_type.get(mime), str):
            return f"data:{mime};base64,{html.escape(''.join(text.split()))}"
    return None


def mathml(latex: str, *, block: bool = False) -> str:
    """Return a formula as MathML, or its source if it cannot be parsed."""
    from latex2mathml import converter  # noqa: PLC0415  # an extra

    try:
        return str(converter.convert(latex, display="block" if block else "inline"))
    except Exception:  # noqa: BLE001  # the library raises any exception for an invalid formula
        return f"<code>{html.escape(latex.strip())}</code>"


def _texts(document: DocumentJSON) -> list[str]:
    """Return the texts in which a page may refer to a script: Markdown, and HTML and JavaScript outputs."""
    texts = []
    for cell in document["cells"]:
        if cell.get("cell_type") == "markdown":
            texts.append(joined(cell.get("source")))
        for output in cell.get("outputs") or []:
            data = output.get("data") or {}
            texts += [
                joined(data[mime])
                for mime in ("text/html", "application/javascript", "text/markdown")
                if mime in data
            ]
    return texts


_FIELDS: Final[dict[str, JSONObject]] = {
    "code": {"outputs": [], "execution_count": None},
    "stream": {"name": "stdout", "text": ""},
    "error": {"ename": "", "evalue": "", "traceback": []},
    "display_data": {"data": {}, "metadata": {}},
    "execute_result": {"data": {}, "metadata": {}, "execution_count": None},
}


def _complete(document: DocumentJSON) -> DocumentJSON:
    """Return a notebook for the template: with all fields that it reads, and MathML instead of LaTeX."""
    document = copy.deepcopy({"nbformat_minor": 5, **document})
    if not isinstance(document.get("metadata"), dict):
        document["metadata"] = {}
    document["cells"] = [
        {"metadata": {}, **_FIELDS.get(cell["cell_type"], {}), **cell} for cell in document["cells"]
    ]
    for cell in document["cells"]:
        outputs = [output for output in cell.get("outputs") or [] if output.get("output_type") in _FIELDS]
        if cell["cell_type"] == "code":
            cell["outputs"] = [{**_FIELDS[output["output_type"]], **output} for output in outputs]
        for output in cell.get("outputs") or []:
            data = output.get("data") or {}
            if "text/latex" in data and not data.keys() & {"text/html", "text/markdown", "image/svg+xml"}:
                latex = joined(data["text/latex"]).strip()
                for fence in ("$$", "$"):
                    if latex.startswith(fence) and latex.endswith(fence) and len(latex) > 2 * len(fence):
                        latex = latex.removeprefix(fence).removesuffix(fence)
                        break
                data["text/html"] = mathml(latex.replace(r"\displaystyle", ""), block=True)
    return document


def check_installed_for_pdf() -> None:
    """Raise `BridgeError` not_installed, naming the extra `pdf`, if a dependency of PDF export is missing."""
    try:
        _exporter()
        import playwright  # noqa: F401, PLC0415  # of an extra
    except (BridgeError, ImportError):
        raise BridgeError("not_installed", _PDF_NEEDS, _INSTALL_PDF) from None


def to_pdf(page: str, *, sandbox: bool = True) -> bytes:
    """Print a page with Chromium. Raises `BridgeError`: not_installed."""
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415  # of an extra
    except ImportError:
        raise BridgeError("not_installed", _PDF_NEEDS, _INSTALL_PDF) from None
    if sandbox and hasattr(os, "geteuid") and os.geteuid() == 0:
        raise BridgeError(
            "not_installed",
            "Chromium does not run as root with its sandbox.",
            "Export as another user; or pass --no-sandbox if you trust what the notebook shows.",
        )
    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
        system = next(filter(None, map(program_on_path, _CHROMIUMS)), None)
        path = os.environ.get("CHROMIUM") or (None if Path(bundled).exists() else system)
        try:
            browser = playwright.chromium.launch(
                executable_path=path, args=[] if sandbox else ["--no-sandbox"]
            )
        except Error as error:
            raise BridgeError(
                "not_installed",
                f"Chromium did not start: {str(error).strip().partition(chr(10))[0]}",
                f"{_INSTALL_PDF} (or set CHROMIUM to the path of one)",
            ) from None
        try:
            # From no address, without scripts and network: what the page names is neither read nor loaded.
            context = browser.new_context(java_script_enabled=False, offline=True)
            context.route("**/*", lambda route: route.abort())
            page_in_browser = context.new_page()
            page_in_browser.emulate_media(media="print")
            page_in_browser.set_content(page, wait_until="load", timeout=_PDF_BOUND)
            return page_in_browser.pdf(print_background=True)
        finally:
            browser.close()
