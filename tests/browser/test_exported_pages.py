"""Exported pages in a browser: whatever the notebook has in it, they ask nobody for anything, and run nothing."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route

from marimo_kernel_bridge.exporting.pages import to_html
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook

pytestmark = [pytest.mark.browser, pytest.mark.long]

E = "http://elsewhere.example"
RUN = "window.ran = (window.ran || 0) + 1"
HTML = [
    f'<div id="vis"></div><script src="{E}/vega.js"></script><script>{RUN}; fetch("{E}/x")</script>',
    f'<script src="https://cdn.plot.ly/plotly-2.js"></script><script>{RUN}; Plotly.newPlot("p", [])</script>',
    f'<script>(function(){{ {RUN}; document.head.append(Object.assign(document.createElement("script"), {{src: "https://cdn.bokeh.org/b.js"}})) }})()</script>',
    f'<iframe srcdoc="&lt;script src=&quot;{E}/leaflet.js&quot;&gt;&lt;/script&gt;&lt;img src={E}/f.png onerror=&quot;parent.ran=1&quot;&gt;"></iframe>',
    f'<iframe srcdoc="&lt;meta http-equiv=refresh content=&quot;0;url={E}/r&quot;&gt;&lt;link rel=preconnect href={E}&gt;"></iframe>',
    f'<svg><foreignObject><iframe src="{E}/g"></iframe></foreignObject></svg>',
    f'<iframe src="{E}/f"></iframe><iframe src="data:text/html,<img src={E}/d>"></iframe><object data="{E}/o"></object><embed src="{E}/e">',
    f'<style>@import url("{E}/i.css"); @font-face{{font-family:x;src:url({E}/f.woff)}} .z{{background:url({E}/b.png);font-family:x}}</style><p class="z">z</p>',
    f'<img src="{E}/i.png" srcset="{E}/s.png 2x" onerror="{RUN}"><video src="{E}/v" poster="{E}/p" autoplay></video><audio src="{E}/a" autoplay></audio>',
    f'<link rel="stylesheet" href="{E}/l.css"><link rel="prefetch" href="{E}/p"><meta http-equiv="refresh" content="0;url={E}/r"><base href="{E}/">',
    f'<svg onload="{RUN}"></svg><details open ontoggle="{RUN}">x</details><a id="go" href="javascript:{RUN}">go</a>',
    f'<script type="speculationrules">{{"prefetch":[{{"source":"list","urls":["{E}/spec"]}}]}}</script><script type="math/tex">x^2</script>',
]
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"><script>{RUN}</script><image href="{E}/i.png"/><use href="{E}/u.svg#a"/></svg>'
VIEW = "application/vnd.jupyter.widget-view+json"
DATA: list[dict[str, Any]] = [
    *({"text/html": text, "text/plain": "x"} for text in HTML),
    {"image/svg+xml": SVG},
    {"application/javascript": f'{RUN}; fetch("{E}/js")', "text/plain": "js"},
    {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/plain": "alt.Chart"},
    {"application/vnd.plotly.v1+json": {"data": [{"y": [1]}]}, "text/html": '<script src="https://cdn.plot.ly/p.js"></script>'},
    {VIEW: {"model_id": "any", "version_major": 2, "version_minor": 1}, "text/plain": "Counter(value=3)"},
    {"text/markdown": f"![x]({E}/m.png) <script>{RUN}</script> $a_b$"},
    {"text/latex": r"$$\frac{a}{b}$$"},
]  # fmt: skip


def notebook() -> dict[str, Any]:
    state = {"_esm": f"{RUN}; fetch('{E}/esm')", "_css": f"@import '{E}/w.css'"}
    model = {
        "model_name": "AnyModel",
        "model_module": "anywidget",
        "model_module_version": "0.9",
        "state": state,
    }
    widgets = {"version_major": 2, "version_minor": 0, "state": {"any": model}}
    outputs = [{"output_type": "display_data", "metadata": {}, "data": data} for data in DATA]
    code = {
        "cell_type": "code",
        "id": "c",
        "metadata": {},
        "execution_count": 1,
        "source": "x",
        "outputs": outputs,
    }
    text = f"# <img src='{E}/t.png' onerror='{RUN}'>\n<script>{RUN}</script>\n```mermaid\ngraph TD; A-->B\n```\n$$\\int$$"
    return {
        "cells": [code, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": text}],
        "metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": widgets}, "title": f"</title><script>{RUN}</script>"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Yield an address, and who has connected there: a browser does so before it asks for anything."""
    connected: list[str] = []

    def take() -> None:
        while True:
            try:
                one, where = server.accept()
            except OSError:  # closed
                return
            connected.append(str(where))
            one.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", connected


def test_a_page_asks_nobody_for_anything_and_runs_nothing(tmp_path: Path, browser: BrowserContext) -> None:
    asked: list[str] = []
    path = tmp_path / "page.html"

    def answer(route: Route) -> None:
        if route.request.url == path.as_uri() or route.request.url.startswith("data:"):
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    with listening() as (address, connected):
        written = json.loads(json.dumps(notebook()).replace(E, address))
        document = parse_notebook(tmp_path / "n.ipynb", written).document
        path.write_text(to_html(document, f"</title><script>{RUN}</script>").text)
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto(path.as_uri(), wait_until="load")
        page.locator("#go").evaluate("link => link.click()")
        assert page.get_by_text("Counter(value=3)").count()
        assert page.locator("math").count() >= 2
        assert page.evaluate("[window.ran ?? 0, location.href]") == [0, path.as_uri()]
        page.unroute_all()
        page.goto(path.as_uri(), wait_until="load")
        page.evaluate("new Promise(requestAnimationFrame)")
        page.close()
        assert (asked, connected) == ([], [])
