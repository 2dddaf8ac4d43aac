"""VS Code's notebook editor: what was seen to break in a real one, at the message level.

A late message to a cell that waits in VS Code's own queue ends a Run All. The kernel cannot see that queue.
"""

from pathlib import Path

import nbformat
import pytest

from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

FAR = "import time; time.sleep(0.5)"  # run out of sight: so long does VS Code take to answer a reply


@pytest.fixture
def code(connect: Connect) -> FrontEnd:
    return connect("vscode")


def test_a_run_all_from_far_away_gets_no_late_message(code: FrontEnd) -> None:
    def run_all(value: int) -> None:
        for cell, text in (("one", f"a = {value}"), ("two", "b = a; print('two', b)"), ("three", "print(b)")):
            code.run(None, FAR, store_history=False)
            assert code.run(cell, text).ok

    run_all(1)
    code.wait_quiet()
    seen = len(code.seen)
    run_all(2)
    assert [m for m in code.seen[seen:] if m["msg_type"] == "clear_output"] == []
    code.run("one", "a = 3")
    code.wait_for("three", "3")


def test_after_a_reload_dependents_show_under_the_cell_that_was_run_once_all_is_quiet(
    connect: Connect,
) -> None:
    before = connect("vscode")
    before.run("W0", "a = 1")
    before.run("W1", "print('b', a)")
    page = connect("vscode")
    page.run("X0", "a = 2")
    page.wait_for("X0", "↻ cell [2] `print('b', a)`\nb 2")
    before.wait_for("W1", "b 2")  # it may be a second window as well


def test_a_cell_that_was_merged_into_another_is_told_once_all_is_quiet(code: FrontEnd) -> None:
    code.run("one", "a = 1")
    assert code.run("merged", "a = 1\nb = a").ok
    assert code.text("one") == ""
    code.wait_for("one", "`a` is now defined by")


def test_status_names_cells_that_the_saved_notebook_has_not(code: FrontEnd, tmp_path: Path) -> None:
    notebook = tmp_path / "saved.ipynb"
    cells = [nbformat.v4.new_code_cell(text) for text in ("a = 1", "print(a)\n", "%marimo status")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    code.run(None, f"__vsc_ipynb_file__ = {str(notebook)!r}", store_history=False)
    code.run("one", "a = 1")
    code.run("two", "print(a)")
    assert "saved" not in code.run("ask", "%marimo status").text
    code.run("gone", "b = a\nb")
    assert code.run("ask", "%marimo status").text.splitlines()[-1] == (
        "not in saved.ipynb as saved: [4] b = a …; if you deleted it, `%marimo forget 4`"
    )
    code.run("forget", "%marimo forget 4")
    code.wait_quiet()
    assert "saved" not in code.run("ask", "%marimo status").text
