"""marimo's own objects in a front end that has no marimo frontend: every one that can be made simply, in one kernel."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

# What each public name gives, as an expression in which `df`, `frame`, `chart`, `figure`, `fig`, `PNG` are at hand.
STATELESS = {
    "Html": "mo.Html('<b>bold</b> words')",
    "accordion": "mo.accordion({'First': mo.md('one'), 'Second': df})",
    "as_html": "mo.as_html(df)",
    "audio": "mo.audio('https://example.org/a.mp3')",
    "callout": "mo.callout(mo.md('careful'), kind='warn', title='Note')",
    "carousel": "mo.carousel([mo.md('one'), mo.md('two')])",
    "center": "mo.center(mo.md('middle'))",
    "doc": "mo.doc(mo.md)",
    "download": "mo.download(b'abc', filename='a.txt', label='Get it')",
    "hstack": "mo.hstack([1, 'word', [1, 2], {'a': df}, df, mo.ui.slider(1, 9)])",
    "icon": "mo.icon('lucide:rocket', size=20)",
    "iframe": "mo.iframe('<b>framed</b>')",
    "image": "mo.image(PNG, alt='a dot', caption='seen')",
    "image_compare": "mo.image_compare(PNG, PNG)",
    "inspect": "mo.inspect({'a': 1})",
    "json": "mo.json({'a': [1, None, True], 'b': {'c': 'd'}})",
    "lazy": "mo.lazy(lambda: mo.md('loaded **late**'))",
    "left": "mo.left(mo.md('side'))",
    "md": "mo.md('# Title\\n\\ntext with $x^2$ and `code`\\n\\n/// admonition | Heed\\nthis\\n///')",
    "mermaid": "mo.mermaid('graph LR; A-->B')",
    "mpl": "mo.mpl.interactive(fig)",
    "nav_menu": "mo.nav_menu({'/a': 'First', 'More': {'/b': {'label': 'Second', 'description': 'about it'}}})",
    "outline": "mo.outline(label='Contents')",
    "pdf": "mo.pdf('https://example.org/a.pdf')",
    "plain": "mo.plain(df)",
    "plain_text": "mo.plain_text('two  words')",
    "right": "mo.right(mo.md('side'))",
    "routes": "mo.routes({'#/': lambda: mo.md('home'), mo.routes.CATCH_ALL: mo.md('lost')})",
    "show_code": "mo.show_code(1 + 1)",
    "sidebar": "mo.sidebar([mo.md('beside')])",
    "sql": "mo.sql('select 1 as one', output=False)",
    "stat": "mo.stat(value='42', label='Answer', caption='up', direction='increase', bordered=True)",
    "status": "mo.status.spinner('busy')",
    "style": "mo.style(mo.md('red'), color='red')",
    "tabs": "mo.tabs({'One': mo.md('first'), 'Two': mo.ui.slider(1, 9)})",
    "tree": "mo.tree({'a': [1, 2.5, (3, 4), {5}, None], 'b': {'c': df, 'd': mo.md('deep')}, 7: 'x'})",
    "ui": "mo.ui.slider(1, 9)",
    "video": "mo.video('https://example.org/a.mp4')",
    "vstack": "mo.vstack([mo.md('above'), mo.hstack([mo.ui.text(label='Name'), mo.md('beside')])])",
    "watch": "mo.watch.file('nothing.txt')",
}
NO_OBJECTS = {
    "apps, servers and islands": [
        "App",
        "AppMeta",
        "Cell",
        "MarimoIslandGenerator",
        "create_asgi_app",
        "islands",
    ],
    "control flow, threads, state": ["MarimoStopError", "Thread", "current_thread", "state", "stop"],
    "context managers": ["capture_stderr", "capture_stdout", "redirect_stderr", "redirect_stdout"],
    "caches, which wrap functions": ["cache", "lru_cache", "persistent_cache"],
    "plain Python values": [
        "__version__",
        "app_meta",
        "cli_args",
        "defs",
        "notebook_dir",
        "notebook_location",
        "query_params",
        "refs",
        "running_in_notebook",
    ],
    "modules, tested by what they hold": ["output"],
    "reads a file of macros, shows nothing": ["latex"],
    "language models, need an account": ["ai"],
}
UI = {
    "altair_chart": "mo.ui.altair_chart(chart)",
    "anywidget": "mo.ui.anywidget(Counter())",
    "array": "mo.ui.array([mo.ui.text(label='Name'), mo.ui.slider(1, 9)], label='Both')",
    "batch": "mo.md('from {a} to {b}').batch(a=mo.ui.number(1, 9), b=mo.ui.date())",
    "button": "mo.ui.button(label='Press')",
    "chat": "mo.ui.chat(lambda messages, config: 'no')",
    "checkbox": "mo.ui.checkbox(True, label='Agree')",
    "code_editor": "mo.ui.code_editor('x = 1', language='python')",
    "data_editor": "mo.ui.data_editor(df)",
    "data_explorer": "mo.ui.data_explorer(df)",
    "dataframe": "mo.ui.dataframe(frame)",
    "date": "mo.ui.date(value='2026-02-03', label='When')",
    "date_range": "mo.ui.date_range(value=('2026-02-03', '2026-02-04'))",
    "datetime": "mo.ui.datetime(value='2026-02-03T04:05')",
    "dictionary": "mo.ui.dictionary({'a': mo.ui.text(), 'b': mo.ui.checkbox()})",
    "dropdown": "mo.ui.dropdown(['red', 'blue'], value='red', label='Colour')",
    "experimental_data_editor": "mo.ui.experimental_data_editor(df)",
    "file": "mo.ui.file(filetypes=['.csv'], label='Data')",
    "file_browser": "mo.ui.file_browser()",
    "form": "mo.ui.text(label='Name').form(label='Who')",
    "matplotlib": "mo.ui.matplotlib(fig.axes[0])",
    "matrix": "mo.ui.matrix([[1, 2], [3, 4]])",
    "microphone": "mo.ui.microphone(label='Say')",
    "multiselect": "mo.ui.multiselect(['red', 'blue'], value=['blue'])",
    "number": "mo.ui.number(1, 9, step=2)",
    "plotly": "mo.ui.plotly(figure)",
    "radio": "mo.ui.radio(['red', 'blue'], value='blue')",
    "range_slider": "mo.ui.range_slider(1, 9, value=[2, 4])",
    "refresh": "mo.ui.refresh(options=['1s'], default_interval='1s')",
    "run_button": "mo.ui.run_button(label='Run it')",
    "slider": "mo.ui.slider(1, 9, step=2, value=3, label='*Size*')",
    "switch": "mo.ui.switch(label='Light')",
    "table": "mo.ui.table(frame, label='Rows')",
    "tabs": "mo.ui.tabs({'One': mo.md('first'), 'Two': mo.md('second')})",
    "text": "mo.ui.text('word', placeholder='a word', label='Say')",
    "text_area": "mo.ui.text_area('more words')",
}
NOT_SIMPLE = {"panel": "needs Panel, which is not installed with the tests"}

TEXTS = [
    ("mo.md('a *b* $x$')", "a *b* $x$"),
    ("mo.md(f'a {mo.ui.slider(1, 9, label=\"n\")} b')", "a n: 1 (slider · from 1 to 9) b"),
    ("mo.hstack([1, 'b', mo.md('c')])", "1  b\nc"),
    ("mo.stat(value=42, label='Answer', caption='up', direction='increase')", "Answer\n42\n▲ up"),
    ("mo.accordion({'First': mo.md('one')})", "First\none"),
    (
        "mo.tree({'a': [1, (2, 3), {4}], 'b': mo.md('deep'), 7: 2.5})",
        "dict of 3\n- 'a': [1, [2, 3], {4}]\n- 'b':\n  deep\n- 7: 2.5",
    ),
    ("mo.json({'a': [None, True]})", '{"a": [null, true]}'),
    ("mo.ui.table(df)", "a  b\n1  x\n2  y\n\n2 rows, 2 columns"),
    (
        "mo.ui.slider(1, 9, step=2, value=3, label='*Size*')",
        "Size: 3 (slider · from 1 to 9 in steps of 2)",
    ),
    ("mo.ui.slider(steps=[1, 10], value=10)", "10 (slider · of 1, 10)"),
    ("mo.ui.range_slider(1, 9, value=[2, 4])", "2 to 4 (slider · from 1 to 9)"),
    ("mo.ui.number(1, 9)", "1 (number · from 1 to 9)"),
    ("mo.ui.dropdown(['red', 'blue'], value='red', label='Colour')", "Colour: red (one of red, blue)"),
    ("mo.ui.multiselect(['red', 'blue'])", "nothing (any of red, blue)"),
    ("mo.ui.radio(['red', 'blue'], value='blue')", "blue (one of red, blue)"),
    ("mo.ui.checkbox(True, label='Agree')", "☑ Agree (checkbox)"),
    ("mo.ui.switch()", "☐ off (switch)"),
    ("mo.ui.text('secret', kind='password')", "•••••• (password)"),
    ("mo.ui.date(value='2026-02-03', start='2026-01-01')", "2026-02-03 (date · from 2026-01-01)"),
    ("mo.ui.text(label='Name', disabled=True)", "Name: nothing (text · disabled)"),
    ("mo.ui.button(label='Press')", "Press (button)"),
    ("mo.ui.file(filetypes=['.csv'])", "no file (upload of one file · .csv)"),
    ("mo.ui.text(label='Name').form()", "Name: nothing (text)\n(form, not submitted)"),
    ("mo.ui.array([mo.ui.text(label='Name')], label='All')", "All: list of 1\n- 0: Name: nothing (text)"),
    ("mo.download(b'x', filename='a.txt', label='Get')", "⬇ Get a.txt"),
    ("mo.mermaid('graph LR; A-->B')", "graph LR; A-->B"),
    ("[mo.ui.slider(1, 9), mo.md('a *b*')]", "[slider(value=1), md('a b')]"),
]

PRELUDE = """
import marimo as mo, base64, warnings
import pandas as pd, polars as pl, altair as alt, plotly.graph_objects as go, matplotlib.pyplot as plt
import anywidget, traitlets
from IPython.display import display
warnings.simplefilter('ignore')  # of names that marimo has deprecated
class Counter(anywidget.AnyWidget):
    _esm = 'export default {}'
    count = traitlets.Int(0).tag(sync=True)
df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})
frame = pl.DataFrame({'number': range(1234)})
chart = alt.Chart(df).mark_bar().encode(x='a', y='b')
figure = go.Figure(go.Bar(y=[1, 2]))
PNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
def drawn():
    fig, axes = plt.subplots()
    axes.plot([1, 2])
    plt.close(fig)
    return fig
def everywhere(thing):
    display(thing)
    display(mo.hstack([thing]), mo.vstack([mo.hstack([thing])]), mo.accordion({'a': thing}), mo.callout(thing))
    display(mo.ui.tabs({'a': thing}), mo.carousel([thing]), mo.tree({'a': [thing]}), mo.md(f'before {thing} after'))
    display(mo.lazy(thing), mo.plain(thing), [thing], {'a': thing})
    mo.output.append(thing)
"""
MARIMOS = re.compile(r"<marimo-|&lt;marimo-|<iconify-icon|&lt;iconify-icon|object-id=|__resizeIframe")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelInMemory]:
    kernel = KernelInMemory(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def notebook(kernel: KernelInMemory) -> FrontEnd:
    notebook = kernel.connect("lab")
    assert notebook.run("prelude", PRELUDE).ok
    return notebook


def show(notebook: FrontEnd, code: str, cell: str = "shown") -> list[dict[str, Any]]:
    """Run code in a cell and return the data of its outputs."""
    reply = notebook.run(cell, code)
    assert reply.ok, f"{code}: {reply.content['ename']} {reply.content['evalue']}"
    return [output["data"] for output in notebook.outputs(cell) if "data" in output]


def public(notebook: FrontEnd, module: str) -> set[str]:
    return set(eval(notebook.run(None, f"list({module}.__all__)", store_history=False).text))


def test_the_catalogue_has_every_public_name_of_marimo(notebook: FrontEnd) -> None:
    excluded = {name for names in NO_OBJECTS.values() for name in names}
    assert public(notebook, "mo") == STATELESS.keys() | excluded
    assert public(notebook, "mo.ui") == UI.keys() | NOT_SIMPLE.keys()


@pytest.mark.parametrize("name", [*STATELESS, *(f"ui.{name}" for name in UI)])
def test_no_element_of_marimos_frontend_reaches_a_front_end(notebook: FrontEnd, name: str) -> None:
    code = UI[name.removeprefix("ui.")] if name.startswith("ui.") else STATELESS[name]
    outputs = show(notebook, f"fig = drawn()\neverywhere({code})")
    assert len(outputs) >= 13
    for data in outputs:
        for mime_type, content in data.items():
            text = content if isinstance(content, str) else json.dumps(content)
            found = MARIMOS.search(text)
            assert found is None, f"{mime_type}: {text[found.start() - 100 : found.end() + 100]}"


@pytest.mark.parametrize("name", [*STATELESS, *(f"ui.{name}" for name in UI)])
def test_plain_text_is_for_people(notebook: FrontEnd, name: str) -> None:
    code = UI[name.removeprefix("ui.")] if name.startswith("ui.") else STATELESS[name]
    for data in show(notebook, f"fig = drawn()\n{code}"):
        text = data["text/plain"]
        assert text.strip()
        if "application/vnd.jupyter.widget-view+json" not in data:
            assert not re.search(
                r"<(div|span|p|b|img|table|details)\b|style=|_md\(|Html\(|object at 0x|&\w+;", text
            )


@pytest.mark.parametrize(("code", "words"), TEXTS)
def test_what_the_plain_text_says(notebook: FrontEnd, code: str, words: str) -> None:
    (data,) = show(notebook, code)
    assert data["text/plain"] == words


def test_markdown_is_given_as_markdown_and_as_html_with_formulas_for_mathjax(notebook: FrontEnd) -> None:
    (data,) = show(notebook, r"mo.md(r'# T' '\n\n' r'$x^2 < 1$ and' '\n\n' r'$$\int x$$')")
    assert data["text/markdown"] == "# T\n\n$x^2 < 1$ and\n\n$$\\int x$$"
    html = data["text/html"]
    assert '<h1 id="t">T</h1>' in html
    assert r"<p>\(x^2 &lt; 1\) and</p>" in html
    assert r"\[\int x\]" in html


def test_what_is_interpolated_into_markdown_is_drawn_in_both_forms(notebook: FrontEnd) -> None:
    (data,) = show(notebook, "mo.md(f'n is {mo.ui.slider(1, 9, value=4)} and {mo.as_html(df)}')")
    for form in ("text/markdown", "text/html"):
        assert ">4</span>" in data[form]
        assert "<td>x</td>" in data[form]
    assert data["text/plain"].startswith("n is 4 (slider · from 1 to 9) and")


def test_vs_code_gets_markdown_that_it_can_typeset_alone(kernel: KernelInMemory) -> None:
    code = kernel.connect("vscode")
    code.run("one", "import marimo as mo")
    code.run("two", "mo.md('$x^2$')")
    code.run("three", "mo.md('$x^2$\\n\\n/// admonition | Heed\\nthis\\n///')")
    code.run("four", "mo.ui.slider(1, 9)")
    forms = [sorted(code.outputs(cell)[0]["data"]) for cell in ("two", "three", "four")]
    both = ["text/html", "text/markdown", "text/plain"]
    assert forms == [["text/markdown", "text/plain"], both, ["text/html", "text/plain"]]


def test_a_diagram_is_a_fenced_block_that_jupyterlab_draws(notebook: FrontEnd) -> None:
    (data,) = show(notebook, "mo.mermaid('graph LR; A--><B>')")
    assert data == {
        "text/markdown": "```mermaid\ngraph LR; A--><B>\n```",
        "text/plain": "graph LR; A--><B>",
    }


def test_tables_show_the_first_rows_and_the_number_of_all(notebook: FrontEnd) -> None:
    for code in ("mo.ui.table(frame)", "mo.ui.dataframe(frame)"):
        (data,) = show(notebook, code)
        assert re.search(r"1,234 rows, 1 column, the first \d+ shown", data["text/html"])
        assert "<td>9</td>" in data["text/html"]
        assert "<td>99</td>" not in data["text/html"]
        assert "_marimo_row_id" not in data["text/html"]


@pytest.mark.parametrize("kind", ["table", "dataframe", "data_explorer"])
def test_elements_in_the_cells_of_a_table_have_their_static_form(notebook: FrontEnd, kind: str) -> None:
    make = (
        "mo.ui.table([{'knob': inner}])"
        if kind == "table"
        else f"mo.ui.{kind}(pd.DataFrame({{'knob': [inner]}}))"
    )
    (data,) = show(notebook, f"inner = mo.ui.slider(1, 9, value=7, label='Size')\n{make}")
    assert "<marimo-" not in data["text/html"]
    assert "Size" in data["text/html"]
    assert ">7</span>" in data["text/html"]


def test_elements_show_their_present_value_and_how_to_set_it(notebook: FrontEnd) -> None:
    (before,) = show(notebook, "shown_slider = mo.ui.slider(1, 9)\nshown_slider")
    assert before["text/plain"] == "1 (slider · from 1 to 9 · %marimo set shown_slider VALUE)"
    notebook.run("set", "%marimo set shown_slider 5")
    (after,) = show(notebook, "mo.hstack([shown_slider])", "again")
    assert after["text/plain"] == "5 (slider · from 1 to 9 · %marimo set shown_slider VALUE)"


def test_content_is_escaped_and_attributes_cannot_be_broken_out_of(notebook: FrontEnd) -> None:
    text = "<script>alert(1)</script>\"\\'><img src=x onerror=alert(1)>"
    for code in (
        "mo.ui.text({0}, placeholder={0})",
        "mo.ui.dropdown([{0}], value={0})",
        "mo.ui.table([{{'a': {0}}}])",
        "mo.tree({{'a': [{0}] * 3}})",
        "mo.json([{0}] * 3)",
        "mo.download(b'x', filename={0})",
        "mo.callout('x', title={0})",
        "mo.icon({0})",
        "mo.hstack([{0}])",
        "mo.ui.code_editor({0})",
    ):
        (data,) = show(notebook, code.format(repr(text)))
        html = re.sub(
            r'"[^"]*"', '""', data["text/html"]
        )  # an attribute's value may hold anything but its quote
        assert "<script" not in html, code
        assert "onerror" not in re.sub(r">[^<]*<", "><", html), code


def test_lists_and_trees_keep_rich_leaves(notebook: FrontEnd) -> None:
    (data,) = show(notebook, "mo.tree({'table': df, 'list': [mo.md('**b**'), 1.5, None]})")
    assert '<table border="1" class="dataframe">' in data["text/html"]
    assert "<strong>b</strong>" in data["text/html"]


def test_lazy_content_is_made_once_for_one_display(notebook: FrontEnd) -> None:
    show(notebook, "made = []\ndef make():\n    made.append(1)\n    return mo.md('x')", "maker")
    show(notebook, "mo.lazy(make)")
    assert notebook.run(None, "len(made)", store_history=False).text == "1"


def test_lazy_content_that_fails_is_an_error_of_the_cell_and_the_kernel_lives(notebook: FrontEnd) -> None:
    notebook.run("shown", "mo.lazy(lambda: 1 / 0)")
    assert "ZeroDivisionError" in notebook.text("shown")
    assert show(notebook, "mo.md('alive')")


def test_a_widget_in_a_layout_is_shown_below_it_once(notebook: FrontEnd) -> None:
    code = "import ipywidgets\nknob = ipywidgets.IntSlider()\nmo.vstack([mo.hstack([knob, 'x']), knob])"
    layout, widget = show(notebook, code)
    assert "widget: shown below" in layout["text/html"]
    assert widget["application/vnd.jupyter.widget-view+json"]["version_major"] == 2
    assert widget["text/plain"] == "IntSlider(value=0)"


def test_charts_in_elements_are_the_charts_that_jupyter_shows(notebook: FrontEnd) -> None:
    for element, plain in (("mo.ui.altair_chart(chart)", "chart"), ("mo.ui.plotly(figure)", "figure")):
        (ours,), (theirs,) = show(notebook, element), show(notebook, plain)
        assert ours.keys() == theirs.keys() | {"text/plain"}


def test_objects_with_marimos_display_protocol_are_shown_in_layouts(notebook: FrontEnd) -> None:
    code = "class Thing:\n    def _mime_(self):\n        return ('text/html', '<i>mine</i>')\nmo.hstack([Thing()])"
    (data,) = show(notebook, code)
    assert "<i>mine</i>" in data["text/html"]


def test_layouts_made_on_other_threads_do_not_make_marimo_patch_libraries(notebook: FrontEnd) -> None:
    code = (
        "import threading, comm\n_found = []\n"
        "_worker = threading.Thread(target=lambda: _found.append(mo.hstack([df, chart]).text))\n"
        "_worker.start(); _worker.join()\nprint('<table' in _found[0], comm.create_comm.__module__)"
    )
    notebook.run("threads", code)
    assert notebook.text("threads") == "True ipykernel.ipkernel"


def documented(section: str = "") -> dict[str, set[str]]:
    """Return the objects in the rows of the documentation's tables by the first column, of a section or of all before it."""
    text = (Path(__file__).parents[3] / "docs/marimo-objects.md").read_text()
    before, _, last = text.partition("\n## Every object\n")
    rows = [line for line in (last if section else before).splitlines() if line.startswith("|")]
    return {row.split("|")[1].strip(): set(re.findall(r"`mo\.([\w.]+)`", row)) for row in rows}


def in_modules(names: set[str]) -> set[str]:
    """Return names with those that modules hold replaced by the modules'."""
    modules = {"mpl.interactive": "mpl", "watch.file": "watch"} | {
        f"status.{name}": "status" for name in ("spinner", "progress_bar", "toast")
    }
    return {modules.get(name, name) for name in names}


def test_every_object_is_documented_and_no_other() -> None:
    assert in_modules(set().union(*documented().values())) == (STATELESS.keys() - {"ui"}) | {
        f"ui.{name}" for name in [*UI, *NOT_SIMPLE]
    }
