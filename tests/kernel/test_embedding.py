"""What embedding marimo must leave as it was: other libraries' representations, the process, IPython's ways."""

import os
from collections.abc import Iterator

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

USED_MARIMO = """
import marimo as mo
import altair as _alt, ipywidgets as _widgets, matplotlib.pyplot as _plt, pandas as _pd, plotly.graph_objects as _go, polars as _pl
_figure, _ = _plt.subplots()
mo.hstack([_figure, _pd.DataFrame({'a': [1]}), _widgets.IntSlider()])
mo.vstack([_alt.Chart(), _go.Figure(), _pl.DataFrame()])
mo.ui.altair_chart(_alt.Chart(_pd.DataFrame({'a': [1]})).mark_point().encode(x='a'))
mo.ui.table(_pd.DataFrame({'a': [1]})), mo.ui.plotly(_go.Figure())
_plt.close('all')
None
"""
SAME_BYTES = [
    "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    "import pandas as pd\npd.Series([1, 2], name='s')",
    "import polars as pl\npl.DataFrame({'a': [1, 2]})",
    "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()",
    "import plotly.graph_objects as go, plotly.io\nplotly.io.renderers.default = 'plotly_mimetype'\ngo.Figure(go.Bar(y=[1]))",
    "import ipywidgets\nprint(ipywidgets.IntSlider())",
    "from IPython.display import HTML, Markdown, JSON, Latex, SVG, display\ndisplay(HTML('<b>'), Markdown('*a*'), JSON({'a': 1}), Latex('$x$'), SVG('<svg/>'))",
    "{'a': [1, (2, 3)], 'b': {4}}, 1.5, 'text', None, b'bytes', len, int",
    "class Rich:\n    def __repr__(self): return 'rich'\n    def _repr_html_(self): return '<i>html</i>'\n    def _repr_markdown_(self): return '*md*'\nRich()",
    "class Bundled:\n    def _repr_mimebundle_(self, include=None, exclude=None): return {'text/x-mine': '1', 'text/plain': '2'}\nBundled()",
    "class Shown:\n    def _ipython_display_(self): print('shown')\nShown()",
    "import fractions\nfractions.Fraction(1, 2)",
    "print('out'); import sys; print('err', file=sys.stderr); [1, 2]",
]  # fmt: skip
SAME_TYPES = [
    "import altair as alt\nalt.Chart(alt.Data(values=[{'a': 1}])).mark_point().encode(x='a:Q')",
    "import plotly.graph_objects as go\ngo.Figure(go.Bar(y=[1]))",
    "import ipywidgets\nipywidgets.IntSlider()",
    "import anywidget\nclass W(anywidget.AnyWidget):\n    _esm = ''\nW()",
]


@pytest.fixture(scope="module")
def stock() -> Iterator[FrontEnd]:
    """The same on ipykernel."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        env={key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    )
    front_end = FrontEnd(manager.connection_file)
    yield front_end
    front_end.close()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def used(shared) -> FrontEnd:
    assert shared.run("used", USED_MARIMO).ok
    return shared


def outputs(front_end: FrontEnd, code: str) -> list[dict]:
    assert front_end.run("rich", code).ok
    return [
        {key: value for key, value in output.items() if key != "execution_count"}
        for output in front_end.outputs("rich")
    ]


@pytest.mark.parametrize("code", SAME_BYTES)
def test_after_marimo_was_used_outputs_are_ipykernels_to_the_byte(used, stock, code):
    assert outputs(used, code) == outputs(stock, code)


@pytest.mark.parametrize("code", SAME_TYPES)
def test_after_marimo_was_used_outputs_with_random_ids_have_ipykernels_mime_types(used, stock, code):
    ours, theirs = ([sorted(output["data"]) for output in outputs(kernel, code)] for kernel in (used, stock))
    assert ours == theirs


@pytest.mark.parametrize(
    "question",
    [
        "comm.create_comm.__module__, comm.get_comm_manager.__module__",
        "webbrowser.open.__module__, webbrowser.open.__name__",
        "getpass.getpass.__self__.__class__.__mro__[-3].__name__",
        "sys.modules['__main__'].__dict__ is globals(), __name__, '__file__' in globals()",
        "[getattr(finder, '__module__', '') for finder in sys.meta_path if 'marimo' in str(finder)]",
        "type(__builtins__).__name__, builtins.print.__module__, builtins.input.__self__.__class__.__mro__[-3].__name__",
        "type(sys.stdout).__name__, type(sys.stderr).__name__, sys.displayhook.__class__.__mro__[-5].__name__",
        "type(get_ipython()).__name__, get_ipython().user_module.__name__, os.getcwd()",
        "sys.gettrace(), sys.getrecursionlimit(), threading.excepthook.__module__",
        "hasattr(sys, 'ps1'), pickle.Pickler.__module__",
    ],
)
def test_the_process_is_as_ipykernel_leaves_it(used, stock, question):
    imports = "import comm, webbrowser, getpass, sys, os, builtins, threading, pickle"
    answers = []
    for front_end in (used, stock):
        front_end.run(None, imports, store_history=False)
        answers.append(front_end.run(None, question, store_history=False).text)
    assert answers[0] == answers[1]
    assert answers[0]


def test_sys_argv_is_that_of_the_kernel_process(used):
    assert "kernel" in used.run(None, "import sys; sys.argv", store_history=False).text


def test_classes_of_cells_can_be_pickled(used):
    used.run("class", "class Point:\n    def __init__(self, x): self.x = x")
    used.run("pickle", "import pickle\npickle.loads(pickle.dumps(Point(3))).x")
    assert used.text("pickle") == "3"


def test_functions_of_cells_run_in_forked_processes(used):
    used.run("function", "def square(x): return x * x")
    used.run(
        "fork",
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as _pool: print(_pool.map(square, [1, 2, 3]))",
    )
    assert used.text("fork") == "[1, 4, 9]"


@pytest.mark.parametrize(
    ("call", "password"), [("input('say: ')", False), ("getpass.getpass('say: ')", True)]
)
def test_input_and_getpass_ask_the_front_end(used, call, password):
    msg_id = used.send("ask", f"import getpass\nprint('got', {call})")
    request = used.client.get_stdin_msg(timeout=60)["content"]
    assert request == {"prompt": "say: ", "password": password}
    used.client.input("words")
    assert used.finish(msg_id).ok
    assert used.text("ask") == "got words"


@pytest.fixture
def _in_an_empty_folder(used, tmp_path):
    """The kernel's working directory: caches are kept there."""
    before = used.run(None, "import os; os.getcwd()", store_history=False).text
    used.run(None, f"os.chdir({str(tmp_path)!r})", store_history=False)
    yield
    used.run(None, f"os.chdir({before})", store_history=False)


@pytest.mark.usefixtures("_in_an_empty_folder")
@pytest.mark.parametrize(
    "definition",
    [
        "@mo.cache\ndef answer(x):\n    print('computed')\n    return sum([x])",
        "@mo.lru_cache(maxsize=2)\ndef answer(x):\n    print('computed')\n    return x",
        "@mo.persistent_cache\ndef answer(x):\n    print('computed')\n    return x",
    ],
)
def test_cached_functions_compute_once(used, definition):
    used.run("cached", f"{definition}\nprint(answer(3), answer(3))")
    assert used.text("cached").split() == ["computed", "3", "3"]


@pytest.mark.usefixtures("_in_an_empty_folder")
def test_a_cached_block_is_restored_and_not_run_again_until_its_inputs_change(used):
    used.run("input", "factor = 3")
    block = "%matplotlib inline\nwith mo.persistent_cache('block'):\n    print('computing')\n    product = factor * 2\nprint(product)"
    used.run("block", block)
    assert used.text("block") == "computing\n6"
    used.run("block", block)
    assert used.text("block") == "6"
    used.run("input", "factor = 4")
    assert used.text("block") == "computing\n8"


def test_sql_reads_dataframes_of_the_notebook_and_reruns_with_them(used):
    used.run("data", "import pandas as pd\nbirds = pd.DataFrame({'mass': [1, 2, 3]})")
    used.run("query", "heavy = mo.sql('select sum(mass) as total from birds')")
    assert "6\n\n1 row, 1 column" in used.text("query")
    used.run("read", "print(type(heavy).__module__, heavy['total'][0])")
    used.run("data", "import pandas as pd\nbirds = pd.DataFrame({'mass': [10, 20]})")
    assert "30\n\n1 row, 1 column" in used.text("query")
    assert used.text("read").endswith(" 30")


def test_sql_that_fails_says_what_is_wrong(used):
    reply = used.run("query", "_ = mo.sql('select nothing from nowhere')")
    assert "nowhere" in reply.content["evalue"]


def test_sql_without_duckdb_says_what_to_install(lab):
    lab.run("hide", "import sys, importlib.abc\nclass Hidden(importlib.abc.MetaPathFinder):\n    def find_spec(self, name, path, target=None):\n        if name.split('.')[0] == 'duckdb': raise ModuleNotFoundError(f'No module named {name!r}', name=name)\nsys.meta_path.insert(0, Hidden())")  # fmt: skip
    reply = lab.run("query", "import marimo as mo\nmo.sql('select 1')")
    assert not reply.ok
    assert "duckdb" in reply.content["evalue"]


def test_a_watched_file_runs_its_readers_when_it_changes(used, tmp_path):
    path = tmp_path / "watched.txt"
    path.write_text("one")
    used.run("watch", f"watched = mo.watch.file({str(path)!r})")
    used.run("watcher", "print('text', watched.read_text())")
    assert used.text("watcher") == "text one"
    path.write_text("two, and longer")
    used.wait_for("watcher", "text two")


@pytest.mark.parametrize(
    "layout",
    [
        "_fig, _axes = plt.subplots(); _axes.plot([1, 2])\nmo.hstack([_fig, 'beside'])",
        "mo.vstack([plt.plot([1, 2])])",
    ],
)
def test_a_figure_in_a_layout_is_not_shown_once_more(used, layout):
    """By matplotlib's inline backend, which a kernel process has from its environment."""
    (output,) = outputs(used, f"import marimo as mo, matplotlib.pyplot as plt\n{layout}")
    assert output["data"]["text/html"].count("data:image/png;base64,") == 1
