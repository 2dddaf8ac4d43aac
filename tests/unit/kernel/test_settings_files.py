"""The files that a kernel takes its settings from: the notebook's, pyproject.toml, the user's."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.protocol.names import Dialect
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

Started = Callable[..., FrontEnd]

LAZY = '[tool.marimo.runtime]\non_cell_change = "lazy"\n'
AUTORUN = '[tool.marimo.runtime]\non_cell_change = "autorun"\n'


def notebook(mode: str | None = None) -> str:
    metadata = {} if mode is None else {"marimo_kernel_bridge": {"on_cell_change": mode}}
    return json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Start a kernel in a folder: `started("book", {"book/n.ipynb": text}, JPY_SESSION_NAME="book/n.ipynb")`."""
    kernels: list[KernelInMemory] = []

    def started(cwd: str, files: dict[str, str], dialect: Dialect = "lab", **environment: str) -> FrontEnd:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.chdir(tmp_path / cwd)
        monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
        for name, path in environment.items():
            monkeypatch.setenv(name, str(tmp_path / path))
        kernels.append(KernelInMemory(tmp_path / "ipython"))
        return kernels[-1].connect(dialect)

    yield started
    for kernel in kernels:
        kernel.close()


SOURCES: dict[str, tuple[str, dict[str, str], dict[str, str], str]] = {
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
def test_the_mode_comes_from(started: Started, source: str) -> None:
    cwd, files, environment, mode = SOURCES[source]
    front_end = started(cwd, files, **environment)
    front_end.run("one", "a = 1")
    front_end.run("two", "print('two', a)")
    front_end.run("one", "a = 2")
    assert front_end.describe().mode == mode
    assert front_end.text("two").startswith("two 1" if mode == "lazy" else "two 2")


STRICT: dict[str, tuple[dict[str, str], dict[str, str]]] = {
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
def test_a_second_definition_is_refused_if_so_configured_by(started: Started, source: str) -> None:
    files, environment = STRICT[source]
    front_end = started(".", files, **environment)
    front_end.run("one", "a = 1")
    assert front_end.run("two", "a = 2").content["ename"] == "MultipleDefinitionError"


def test_vscode_tells_where_the_notebook_is_after_the_start(started: Started, tmp_path: Path) -> None:
    code = started(".", {"n.ipynb": notebook("lazy")}, dialect="vscode")
    code.run(None, f"__vsc_ipynb_file__ = {str(tmp_path / 'n.ipynb')!r}", store_history=False)
    code.run("one", "a = 1")
    assert code.describe().mode == "lazy"
