"""Elements that are shown otherwise than by themselves: in other objects, on threads, and where marimo's page has a place of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kernel.live.live_page import LivePage
    from tests.unit.kernel.notebook_in_memory import FrontEnd

pytestmark = pytest.mark.usefixtures("from_now_on")

INSIDE = {
    "HTML": "from IPython.display import HTML\nHTML(f'<p>of size {inside}</p>')",
    "a displayed one": "from IPython.display import HTML, display\ndisplay(HTML(f'<p>of size {inside}</p>'))",
    "an object of the user's": (
        "class Card:\n    def _repr_html_(self): return f'<p>of size {inside}</p>'\nCard()"
    ),
}


@pytest.mark.parametrize("name", INSIDE)
def test_an_element_in_the_html_of_another_object_is_live_and_has_its_static_form(
    notebook: FrontEnd, page: LivePage, name: str
) -> None:
    assert notebook.run("around", f"inside = mo.ui.slider(1, 9)\n{INSIDE[name]}").ok
    assert notebook.run("of inside", "print(inside.value)").ok
    (output,) = notebook.outputs("around")
    assert "<marimo-" not in str(output)
    assert re.search("of size.* 1 .*slider", output["data"]["text/plain"])
    page.set({page.ids("around")[0]: 5})
    assert notebook.text("of inside") == "5"
    assert "5 (slider" in page.heard("static")[-1]["data"]["text/plain"]
    agent = notebook.kernel.kernel.notebook.cells[notebook.cells()["around"].cell_id]
    assert "5 (slider" in str(agent.log.outputs())


@pytest.mark.parametrize("show", ["HTML", "lambda text: display(HTML(text))"], ids=["as result", "displayed"])
def test_an_object_comes_before_the_widget_in_it(notebook: FrontEnd, page: LivePage, show: str) -> None:
    code = "import ipywidgets\nfrom IPython.display import HTML, display\nwidget, beside = ipywidgets.IntSlider(), mo.ui.slider(1, 9)\n"
    code += f"({show})(f'<p>{{beside}} around {{mo.as_html(widget)}}</p>')"
    assert notebook.run("around widget", code).ok
    first, second = notebook.outputs("around widget")
    assert "around" in first["data"]["text/html"]
    assert len(page.ids("around widget")) == 1
    assert "application/vnd.jupyter.widget-view+json" in second["data"]


def test_the_markdown_of_another_object_gets_no_html(
    notebook: FrontEnd, page: LivePage
) -> None:  # a page is there
    """Front ends take scripts out of Markdown, and run those of HTML. What speaks of an element has none, either."""
    text = "Write `<marimo-slider>`, <script>run()</script> [so](javascript:run())\n# End"
    code = f"from IPython.display import Markdown\nmarked = mo.ui.slider(1, 9)\nMarkdown(f'{{marked}}' + {text!r})"
    assert notebook.run("markdown", code).ok
    (output,) = notebook.outputs("markdown")
    assert sorted(output["data"]) == ["text/markdown", "text/plain"]
    assert output["data"]["text/markdown"].endswith(text)


def test_in_a_layout_of_marimos_it_is_live_with_that(notebook: FrontEnd, page: LivePage) -> None:
    code = (
        "from IPython.display import HTML\ninside = mo.ui.slider(1, 9)\nmo.vstack([HTML(f'<p>{inside}</p>')])"
    )
    assert notebook.run("layout", code).ok
    assert "mkb-live" not in page.get("layout")["html"]
    assert len(page.ids("layout")) == 1


def test_what_a_thread_shows_after_its_cell_has_run_is_live(notebook: FrontEnd, page: LivePage) -> None:
    code = """
import threading
seen = threading.Event()
def work():
    seen.wait(60)
    mo.output.append(mo.ui.slider(1, 9, label='late'))
thread = mo.Thread(target=work)
thread.start()
None"""
    assert notebook.run("thread", code).ok
    assert notebook.run("let it", "seen.set(); thread.join()").ok
    page.settle()
    assert notebook.kernel.run_until(lambda: bool(notebook.outputs("thread")))
    assert "late" in notebook.outputs("thread")[0]["data"]["text/plain"]
    assert len(page.ids("thread")) == 1


@pytest.mark.parametrize("around", ["{}", "mo.vstack([{}])"])
def test_of_routes_the_first_is_live_and_a_sidebar_stands_in_its_cell(
    notebook: FrontEnd, page: LivePage, around: str
) -> None:
    """marimo's own would look for them in the address and beside the notebook of a page of marimo's, and show nothing."""
    routes = "mo.routes({'#/': mo.md(f'first {inside}'), '#/b': mo.ui.text()})"
    for shown in (routes, "mo.sidebar([inside])"):
        assert notebook.run("routes", f"inside = mo.ui.slider(1, 9)\n{around.format(shown)}").ok
        html = page.get("routes")["html"]
        assert "<marimo-slider" in html
        assert not re.search("<marimo-(routes|sidebar|text)", html)
