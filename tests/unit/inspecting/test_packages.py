"""What is missing in an environment."""

from __future__ import annotations

import sys

import pytest

from marimo_kernel_bridge.inspecting.packages import environment, imports
from marimo_kernel_bridge.protocol.environment import MissingImport
from marimo_kernel_bridge.protocol.notebook import Cell


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import a.b, c as d", {"a", "c"}),
        ("from e.f import g", {"e"}),
        ("from . import here", set()),
        ("%matplotlib inline\nimport h\n!ls", {"h"}),
        ("try:\n    import quick\nexcept ImportError:\n    import slow", set()),
        ("try:\n    import needed\nfinally:\n    pass", {"needed"}),
        ("def f():\n    import later", {"later"}),
        ("import (", set()),
    ],
)
def test_imports_are_found_in_code(code: str, modules: set[str]) -> None:
    assert set(imports(code)) == modules


def test_the_environment_of_this_process_has_an_installer() -> None:
    found = environment((), str)
    assert found.installer in {"pip", "uv"}
    assert found.kind in {"venv", "uv", "conda", "system"}


def cell(cell_id: str, code: str) -> Cell:
    return Cell(
        cell_id=cell_id,
        notebook_cell_id=None,
        code=code,
        version=1,
        status="ok",
        stale=False,
        execution_count=1,
        edited_by="notebook",
        last_run_by=None,
        last_run_at=None,
        duration=None,
        error=None,
    )


def test_imports_that_lead_nowhere_are_listed_with_their_cells() -> None:
    cells = [cell("aaaa", "import json, nosuch_a"), cell("bbbb", "from nosuch_a.b import c\nimport nosuch_b")]
    found = environment(cells, lambda module: module.replace("_", "-"))
    assert found.missing == (
        MissingImport("nosuch_a", "nosuch-a", ("aaaa", "bbbb")),
        MissingImport("nosuch_b", "nosuch-b", ("bbbb",)),
    )
    assert (found.interpreter, found.prefix) == (sys.executable, sys.prefix)
