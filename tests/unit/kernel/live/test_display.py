"""What cells show of marimo's elements where pages may show them live, and what pages get of them."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.unit.kernel.live.live_page import LivePage

if TYPE_CHECKING:
    from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

pytestmark = pytest.mark.usefixtures("from_now_on")

WIDGET = "application/vnd.jupyter.widget-view+json"
PLACEHOLDER = re.compile(
    r'<div class="mkb-live" data-mkb-kernel="[0-9a-f]+" data-mkb-out="\d+">(.*)</div>', re.DOTALL
)


def test_an_element_is_its_static_form_in_a_placeholder(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("live", "mo.ui.slider(1, 9, label='Size')").ok
    assert notebook.run("static", "mo.ui.slider(1, 9, label='Size')", silent=False).ok
    batch = page.front_end.kernel.connect("batch")
    assert batch.run("a", "mo.ui.slider(1, 9, label='Size')").ok
    (live,), (static,) = notebook.outputs("live"), batch.outputs("a")
    inside = PLACEHOLDER.fullmatch(live["data"]["text/html"])
    assert inside is not None
    assert {**live["data"], "text/html": inside[1]} == static["data"]


def test_other_objects_have_no_placeholder(notebook: FrontEnd, page: LivePage) -> None:  # a page is there
    for code in (
        "mo.md('words')",
        "mo.accordion({'a': 'b'})",
        "mo.hstack([1, 2])",
        "[1, 2]",
        "mo.mermaid('graph LR; A')",
    ):
        assert notebook.run("other", code).ok
        assert "mkb-live" not in str(notebook.outputs("other"))


@pytest.mark.parametrize("dialect", ["batch", "terminal"])
def test_files_of_batch_runs_and_terminals_have_no_placeholder(
    live_kernel: KernelInMemory, page: LivePage, dialect: str
) -> None:  # a page is there
    front_end = live_kernel.connect(dialect)  # type: ignore[arg-type]  # one of the dialects
    reply = front_end.run("a" if dialect == "batch" else None, "mo.ui.slider(1, 9)")
    shown = [
        message["content"]["data"] for message in reply.messages if message["msg_type"] == "execute_result"
    ]
    assert [sorted(data) for data in shown] == [["text/html", "text/plain"]]
    assert "mkb-live" not in shown[0]["text/html"]


def test_a_page_gets_marimos_html_with_ids_of_its_own(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("one", "mo.ui.slider(1, 9, value=3)").ok
    answer = page.get("one")
    (element,) = answer["values"]
    assert element.startswith(f"{page.key}~")
    assert answer["values"] == {element: 3}
    assert f"<marimo-ui-element object-id='{element}'" in answer["html"]


def test_ids_that_begin_alike_are_told_apart(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run(
        "many", "many = mo.ui.array([mo.ui.slider(1, 9) for _ in range(12)])\nmo.vstack([*many, many])"
    ).ok
    answer = page.get("many")
    assert len(answer["values"]) == 13
    assert f"{page.key}~{page.key}~" not in answer["html"]
    ids = re.search(r"data-element-ids='([^']*)'", answer["html"])
    assert ids is not None
    inside = json.loads(ids[1].replace("&quot;", '"'))
    assert inside.keys() < answer["values"].keys()


def test_a_form_and_elements_in_layouts_and_tables_have_ids_of_the_page(
    notebook: FrontEnd, page: LivePage
) -> None:
    code = (
        """mo.accordion({"form": mo.ui.text().form(), "table": mo.ui.table([{"a": mo.ui.slider(1, 3)}])})"""
    )
    assert notebook.run("nested", code).ok
    html = page.get("nested")["html"]
    inside = re.search(r"data-element-id='&quot;([^&]*)&quot;'", html)
    assert inside is not None
    assert inside[1].startswith(f"{page.key}~")
    assert f"object-id='{inside[1]}'" in html


@pytest.mark.parametrize("code", ["mo.ui.dictionary({'x': form})", "mo.ui.array([mo.ui.array([form])])"])
def test_a_form_in_others_names_its_element_as_the_page_does(
    notebook: FrontEnd, page: LivePage, code: str
) -> None:
    """Its HTML is in JSON in an attribute, once for each element around it."""
    assert notebook.run("form", f"form = mo.ui.text().form()\n{code}").ok
    html = page.get("form")["html"]
    while "<marimo-form" not in html:
        html = unescape(html).replace("\\u003c", "<").replace("\\u003e", ">")
    inside = re.search(r"data-element-id='&quot;([^&]*)&quot;'", html)
    assert inside is not None
    assert inside[1].startswith(f"{page.key}~")
    assert f"object-id='{inside[1]}'" in html
    assert len(re.findall(r"data-element-ids?=", page.get("form")["html"])) == 1 + code.count("mo.ui.")


@pytest.mark.parametrize("code", ["mo.callout(inner)", "mo.tree([inner])"])
def test_an_element_inside_json_is_live(notebook: FrontEnd, page: LivePage, code: str) -> None:
    assert notebook.run("inside", f"inner = mo.ui.slider(1, 9, value=3)\n{code}").ok
    answer = page.get("inside")
    (element,) = answer["values"]
    assert answer["values"] == {element: 3}
    assert f"object-id=&#x27;{element}&#x27;" in answer["html"]


def test_a_placeholder_that_no_cell_shows_any_more_stays_static(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("gone", "mo.ui.text()").ok
    out = page.out("gone")
    assert notebook.run("gone", "mo.ui.text()").ok
    assert page.ask(type="get", req="gone", out=out)["html"] is None
    assert page.out("gone") != out


def test_what_a_deleted_cell_showed_is_forgotten(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("deleted", "mo.ui.text()").ok
    out = page.out("deleted")
    assert notebook.run("next", "1", metadata={"deletedCells": ["deleted"]}).ok
    assert page.ask(type="get", req="deleted", out=out)["html"] is None


def test_what_mo_output_shows_is_live(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("output", "knob = mo.ui.slider(1, 9)\nmo.output.append(mo.md(f'with {knob}'))").ok
    assert notebook.run("of output", "print(knob.value)").ok
    page.set({page.ids("output")[0]: 5})
    assert notebook.text("of output") == "5"


def test_no_output_has_a_widget_of_ours(notebook: FrontEnd, page: LivePage) -> None:
    def widgets() -> int:
        return str([notebook.outputs(cell) for cell in notebook.page.cells]).count(WIDGET)

    before = widgets()  # of other tests' cells
    assert notebook.run("mine", "mo.ui.text()").ok
    page.set({page.ids("mine")[0]: "x"})
    assert widgets() == before


def test_jupyters_own_renderers_keep_what_is_theirs(notebook: FrontEnd, page: LivePage) -> None:
    code = """
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = "export default {render() {}}"
    count = traitlets.Int(0).tag(sync=True)
counter = mo.ui.anywidget(Counter())
mo.vstack([mo.ui.text(), counter])"""
    assert notebook.run("both", code).ok
    live, below = notebook.outputs("both")
    assert WIDGET in below["data"]
    html = page.get("both")["html"]
    assert "<marimo-text" in html
    assert "<marimo-anywidget" not in html
    assert "shown below" in html
    assert "data-mkb-hides" not in live["data"]["text/html"]
    assert notebook.run("alone", "counter").ok
    assert [sorted(output["data"]) for output in notebook.outputs("alone")] == [[WIDGET, "text/plain"]]


@pytest.mark.parametrize(
    ("chart", "mime_type", "selection"),
    [
        ("alt.Chart(points).mark_point().encode(x='x', y='y')", "text/html", {}),
        ("px.scatter(points, x='x', y='y')", "application/vnd.plotly", {"points": [], "indices": []}),
    ],
)
def test_a_chart_is_a_placeholder_and_the_chart_that_pages_hide(
    notebook: FrontEnd, page: LivePage, chart: str, mime_type: str, selection: object
) -> None:
    kind = "altair_chart" if "alt." in chart else "plotly"
    code = "import altair as alt, pandas as pd, plotly.express as px\npoints = pd.DataFrame({'x': [1, 2], 'y': [3, 4]})"
    assert notebook.run("points", code).ok
    assert notebook.run("chart", f"chart = mo.ui.{kind}({chart})\nchart").ok
    assert notebook.run("of chart", "print(type(chart.value).__name__)").ok
    placeholder, native = notebook.outputs("chart")
    assert re.fullmatch(
        r'<div class="mkb-live" [^>]* data-mkb-hides="1"></div>', placeholder["data"]["text/html"]
    )
    assert placeholder["data"]["text/plain"] == ""
    assert any(name.startswith(mime_type) for name in native["data"])
    form = native["data"].get("text/html", "")
    out = page.out("chart")
    assert "<script" not in re.sub(r"(?s)<template.*</template><script>\(\(\) => .*</script>", "", form)
    if form:  # with scripts of its own, which wait
        assert form.startswith(f'<template data-mkb-native="{page.key}-{out}">\n<style>')
        assert "KERNEL" not in form
        assert f'data-mkb-kernel="{page.key}"][data-mkb-out="{out}"' in form
    (element,) = page.ids("chart")
    before = notebook.counts
    page.set({element: selection})
    assert notebook.counts == before
    assert page.updates()[0][0] == f"{page.key}~{element}"
    assert notebook.outputs("chart") == (placeholder, native)


def test_hostile_text_in_a_label_stays_text(notebook: FrontEnd, page: LivePage) -> None:
    label = '</div><img src=x onerror=alert(1)>" data-mkb-out="99" object-id=\'a\''
    assert notebook.run("hostile", f"mo.ui.slider(1, 9, label={label!r})").ok
    assert page.html("hostile").startswith(
        f'<div class="mkb-live" data-mkb-kernel="{page.key}" data-mkb-out="'
    )
    out = page.out("hostile")
    answer = page.get("hostile")
    assert list(answer["values"]) == [f"{page.key}~{page.ids('hostile')[0]}"]
    page.set({page.ids("hostile")[0]: 4})
    assert page.heard("static")[-1]["out"] == out


# -- carriers ----------------------------------------------------------------------------------------------------------


def test_a_page_with_the_extension_opens_a_comm_of_its_own(
    notebook: FrontEnd, live_kernel: KernelInMemory, page: LivePage
) -> None:
    assert notebook.run("knob", "knob = mo.ui.slider(1, 9)\nknob").ok
    assert notebook.run("of knob", "print(knob.value)").ok
    extension = LivePage(live_kernel.connect("lab"))
    assert extension.key == page.key
    out = page.out("knob")
    assert extension.ask(type="get", req="own", out=out)["html"] == page.get("knob")["html"]
    extension.set({page.ids("knob")[0]: 4})
    assert notebook.text("of knob") == "4"
    assert page.updates()[-1][2] == extension.name


# -- VS Code -----------------------------------------------------------------------------------------------------------


def test_vs_code_shows_the_widget_until_the_page_says_hello(
    live_kernel: KernelInMemory, page: LivePage
) -> None:
    code = live_kernel.connect("vscode")
    for number in range(3):
        assert code.run(f"{number}", "mo.ui.text()").ok
    shown = [sorted(output["data"]) for number in range(3) for output in code.outputs(f"{number}")]
    element = ["text/html", "text/plain"]
    assert shown == [[WIDGET, "text/plain"], element, element, element]
    LivePage(code, page.comm_id)
    assert code.kernel.run_until(lambda: WIDGET not in str(code.outputs("0")))
    empty, live = code.outputs("0")
    assert empty["data"] == {"text/html": "", "text/plain": ""}
    assert "mkb-live" in live["data"]["text/html"]


def test_in_vs_code_markdown_with_elements_keeps_its_html(
    live_kernel: KernelInMemory, page: LivePage
) -> None:
    code = live_kernel.connect("vscode")
    LivePage(code, page.comm_id)
    assert code.run("md", "mo.md(f'**with** {mo.ui.slider(1, 9)}')").ok
    data = code.outputs("md")[-1]["data"]
    assert sorted(data) == ["text/html", "text/markdown", "text/plain"]
    assert code.run("plain", "mo.md('**words**')").ok
    assert sorted(code.outputs("plain")[0]["data"]) == ["text/markdown", "text/plain"]
