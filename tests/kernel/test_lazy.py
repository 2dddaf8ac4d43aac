"""Lazy mode: the files that a kernel takes it from when it starts."""

import json
import os

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol import messages as wire

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
