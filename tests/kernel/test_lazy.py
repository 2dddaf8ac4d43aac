"""Lazy mode: from where it comes, how a person sees what is stale, and what runs when a cell is run."""

import json
import os

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell

MARK = "stale: an input changed since this cell ran."


@pytest.fixture
def lazy(lab) -> FrontEnd:
    lab.run("switch", "%marimo lazy")
    lab.run("one", "a = 1")
    lab.run("two", "b = a; print('two', b)")
    lab.run("three", "print('three', b)")
    return lab


def stale(front_end):
    cells = front_end.ask(wire.ListCells())["result"]
    return {cell["notebook_cell_id"] for cell in cells if cell["stale"]}


def test_dependents_become_stale_and_say_so_under_their_own_cells(lazy):
    reply = lazy.run("one", "a = 2")
    assert stale(lazy) == {"two", "three"}
    assert lazy.text("two").startswith(f"two 1\n{MARK}")
    assert lazy.text("three").startswith(f"three 1\n{MARK}")
    sent = [m["msg_type"] for m in reply.messages if m["msg_type"] not in {"status", "execute_input"}]
    assert sent == ["display_data", "display_data"]


def test_a_mark_is_shown_once_and_gone_when_the_cell_is_run(lazy):
    lazy.run("one", "a = 2")
    lazy.run("one", "a = 3")
    assert lazy.text("two").count("stale") == lazy.text("three").count("stale") == 2  # it names `run stale`
    lazy.run("two", "b = a; print('two', b)")
    assert lazy.text("two") == "two 3"
    assert MARK in lazy.text("three")
    lazy.run("three", "print('three', b)")
    assert lazy.text("three") == "three 3"
    assert stale(lazy) == set()


def test_a_cell_brings_its_stale_ancestors_up_to_date_and_their_marks_go(lazy):
    lazy.run("one", "a = 2")
    lazy.run("three", "print('three', b)")
    assert (lazy.text("two"), lazy.text("three")) == ("two 2", "three 2")
    assert stale(lazy) == set()


def test_autorun_runs_what_is_stale_and_no_mark_stays(lazy):
    lazy.run("one", "a = 2")
    lazy.run("switch", "%marimo autorun")
    assert (lazy.text("two"), lazy.text("three")) == ("two 2", "three 2")


def test_a_mark_goes_without_a_run_when_it_is_no_longer_true(lazy):
    lazy.run("one", "a = 2")
    lazy.run("switch", "%marimo forget three")  # no longer stale, as nobody knows it
    lazy.run("two", "c = 1")
    lazy.run("one", "a = 3")
    assert MARK not in lazy.text("two")


def test_the_marks_are_no_outputs_for_agents(lazy):
    lazy.run("one", "a = 2")
    read = lazy.ask(wire.ReadCell(cell_id="two"))["result"]
    assert (read["cell"]["stale"], [output["text"] for output in read["outputs"]]) == (True, ["two 1\n"])


def test_run_all_leaves_nothing_stale_and_no_mark(lazy):
    cells = {"one": "a = 5", "two": "b = a; print('two', b)", "three": "print('three', b)"}
    for _ in range(2):
        pending = [lazy.send(cell, code) for cell, code in cells.items()]
        start = len(lazy.seen)
        for msg_id in pending:
            assert lazy.finish(msg_id).ok
        assert (lazy.text("two"), lazy.text("three"), stale(lazy)) == ("two 5", "three 5", set())
        assert [m for m in lazy.seen[start:] if m["msg_type"] == "display_data"] == []


def test_an_agents_change_marks_the_persons_cells(lazy, connect):
    agent = connect("agent")
    read = agent.ask(wire.ReadCell(cell_id="one"))["result"]["cell"]
    change = ChangeCell(cell_id="one", version=read["version"], code="a = 9")
    report = agent.ask(wire.EditCells(changes=[change]), "shell")["result"]
    assert report["run"]["finished"]
    assert len(report["run"]["still_stale"]) == 2
    lazy.wait_for("three", MARK)


def test_a_state_setter_marks_the_readers(lazy):
    lazy.run("mo", "import marimo as mo")
    lazy.run("state", "get, set_ = mo.state(0)")
    lazy.run("reader", "print('state', get())")
    lazy.run("setter", "set_(3)")
    assert lazy.text("reader").startswith(f"state 0\n{MARK}")
    lazy.run("reader", "print('state', get())")
    assert lazy.text("reader") == "state 3"


def test_after_a_reload_the_cell_that_was_run_tells_what_is_stale(lazy, connect):
    reloaded = connect("lab")
    assert reloaded.run("one", "a = 2").text == (
        "now stale: cell [3] `b = a; print('two', b)`, cell [4] `print('three', b)`. Run them, or `%marimo run stale`."
    )
    reloaded.run("two", "b = a; print('two', b)")
    assert (
        reloaded.run("one", "a = 3").text == ""
    )  # this page shows the second cell now, and knows of the third
    assert MARK in reloaded.text("two")


def test_vscode_shows_marks_when_it_is_quiet(connect):
    code = connect("vscode")
    code.run("switch", "%marimo lazy")
    code.run("one", "a = 1")
    code.run("two", "print('two', a)")
    code.run("one", "a = 2")
    assert code.text("two") == "two 1"
    code.wait_for("two", MARK)
    code.run("two", "print('two', a)")
    code.wait_quiet()
    assert code.text("two") == "two 2"


@pytest.mark.parametrize("dialect", ["terminal", "batch"])
def test_terminals_and_batch_clients_get_no_marks(connect, dialect):
    client = connect(dialect)
    client.run(None, "%marimo lazy")
    client.run(None, "a = 1")
    client.run(None, "print(a)")
    assert client.run(None, "a = 2").text == ""
    assert "stale" not in client.run(None, "b = 1").text


# -- from where the mode comes ----------------------------------------------------------------------------------------

LAZY = '[tool.marimo.runtime]\non_cell_change = "lazy"\n'
AUTORUN = '[tool.marimo.runtime]\non_cell_change = "autorun"\n'


def notebook(mode=None):
    metadata = {} if mode is None else {"marimo_kernel_bridge": {"on_cell_change": mode}}
    return json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def started(tmp_path):
    """Start a kernel in a folder: `started("book", {"book/n.ipynb": text}, JPY_SESSION_NAME="book/n.ipynb")`."""
    managers, front_ends = [], []

    def started(cwd, files, *, dialect="lab", **environment):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        own = {key: str(tmp_path / value) for key, value in environment.items()}
        inherited = {
            key: value
            for key, value in os.environ.items()
            if key not in {"PYTEST_CURRENT_TEST", "JPY_SESSION_NAME"}
        }
        manager = KernelManager(kernel_name="marimo")
        manager.start_kernel(cwd=str(tmp_path / cwd), env={**inherited, "XDG_CONFIG_HOME": str(home), **own})
        managers.append(manager)
        front_ends.append(FrontEnd(manager.connection_file, dialect))
        return front_ends[-1]

    yield started
    for front_end in front_ends:
        front_end.close()
    for manager in managers:
        manager.shutdown_kernel(now=True)


SOURCES = {
    "nothing": (".", {}, {}, "autorun"),
    "pyproject beside the notebook": (
        ".",
        {"book/n.ipynb": notebook(), "book/pyproject.toml": LAZY},
        {"JPY_SESSION_NAME": "book/n.ipynb"},
        "lazy",
    ),
    "pyproject above the notebook": (
        ".",
        {"book/deep/n.ipynb": notebook(), "book/pyproject.toml": LAZY},
        {"JPY_SESSION_NAME": "book/deep/n.ipynb"},
        "lazy",
    ),
    "pyproject in the working folder, where the notebook is not known": (
        "book",
        {"book/pyproject.toml": LAZY},
        {},
        "lazy",
    ),
    "pyproject in the working folder, where the notebook's path is not true": (
        "book",
        {"book/pyproject.toml": LAZY},
        {"JPY_SESSION_NAME": "vs-1234.ipynb"},
        "lazy",
    ),
    "the user's configuration": (
        ".",
        {"home/marimo/marimo.toml": '[runtime]\non_cell_change = "lazy"'},
        {},
        "lazy",
    ),
    "pyproject before the user's": (
        ".",
        {"home/marimo/marimo.toml": '[runtime]\non_cell_change = "lazy"', "pyproject.toml": AUTORUN},
        {},
        "autorun",
    ),
    "the notebook": (".", {"n.ipynb": notebook("lazy")}, {"JPY_SESSION_NAME": "n.ipynb"}, "lazy"),
    "the notebook before pyproject": (
        ".",
        {"n.ipynb": notebook("autorun"), "pyproject.toml": LAZY},
        {"JPY_SESSION_NAME": "n.ipynb"},
        "autorun",
    ),
    "a notebook that cannot be read": (
        ".",
        {"n.ipynb": "{", "pyproject.toml": LAZY},
        {"JPY_SESSION_NAME": "n.ipynb"},
        "lazy",
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_mode_comes_from(started, source):
    cwd, files, environment, mode = SOURCES[source]
    front_end = started(cwd, files, **environment)
    front_end.run("one", "a = 1")
    front_end.run("two", "print('two', a)")
    front_end.run("one", "a = 2")
    assert front_end.ask(wire.Describe())["result"]["mode"] == mode
    assert front_end.text("two").startswith("two 1" if mode == "lazy" else "two 2")


STRICT = {
    "pyproject": ({"pyproject.toml": '[tool.marimo.runtime]\nredefinitions = "strict"\n'}, {}),
    "the notebook": (
        {
            "n.ipynb": json.dumps(
                {"cells": [], "metadata": {"marimo_kernel_bridge": {"redefinitions": "strict"}}}
            ),
        },
        {"JPY_SESSION_NAME": "n.ipynb"},
    ),
}


@pytest.mark.parametrize("source", STRICT)
def test_a_second_definition_is_refused_if_so_configured_by(started, source):
    files, environment = STRICT[source]
    front_end = started(".", files, **environment)
    front_end.run("one", "a = 1")
    assert front_end.run("two", "a = 2").content["ename"] == "MultipleDefinitionError"


def test_vscode_tells_where_the_notebook_is_after_the_start(started, tmp_path):
    code = started(".", {"n.ipynb": notebook("lazy")}, dialect="vscode")
    code.run(None, f"__vsc_ipynb_file__ = {str(tmp_path / 'n.ipynb')!r}", store_history=False)
    code.run("one", "a = 1")
    assert code.ask(wire.Describe())["result"]["mode"] == "lazy"
