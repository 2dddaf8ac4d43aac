"""A new kernel knows no cells: an agent has those of the notebook loaded, and runs them with one call."""

import json
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell
from marimo_kernel_bridge.protocol.checkpoints import DocumentLoaded
from marimo_kernel_bridge.protocol.inspection import VariableContent
from marimo_kernel_bridge.protocol.notebook import Cell, RunReport
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory

CODE = {"one": "a = 1", "three": "c = b + 1", "two": "b = a + 1"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The saved notebook of the kernel."""
    path = tmp_path / "book.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    write(path, CODE)
    return path


def write(path: Path, code: dict[str, str], **more: Any) -> None:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "id": "text", "source": "# Title"}]
    cells += [
        {"cell_type": "code", "id": key, "source": text.splitlines(keepends=True)}
        for key, text in code.items()
    ]
    cells.append({"cell_type": "code", "id": "nothing", "source": ""})
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells} | more))


def load(front_end: FrontEnd) -> DocumentLoaded:
    return wire.decode_reply(front_end.ask(wire.LoadDocument(client="claude"), "shell"), DocumentLoaded)


def cells(front_end: FrontEnd) -> dict[str, Cell]:
    listed = wire.decode_reply(front_end.ask(wire.ListCells()), list[Cell])
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in listed}


def value(front_end: FrontEnd, expression: str) -> str:
    return front_end.run(None, expression, store_history=False).text


def test_the_cells_of_the_saved_file_are_known_with_their_ids_and_stale_and_none_has_run(
    lab: FrontEnd, file: Path
) -> None:
    loaded = load(lab)
    assert (loaded.source, loaded.path, len(loaded.cells)) == ("file", str(file), 3)
    known = cells(lab)
    assert [(key, cell.code, cell.stale, cell.status) for key, cell in known.items()] == [
        (key, text, True, "new") for key, text in CODE.items()
    ]
    assert known["two"].upstream == (known["one"].cell_id,)
    assert value(lab, "'a' in globals()") == "False"


def test_one_call_runs_all_of_them_each_once_in_the_order_of_the_graph(lab: FrontEnd, file: Path) -> None:
    write(file, {"two": "b = a + 1", "one": "a = 1\nprint('once')"})
    ids = list(load(lab).cells)
    report = wire.decode_reply(lab.ask(wire.RunCells(cell_ids=ids), "shell"), RunReport)
    assert [(run.notebook_cell_id, run.status) for run in report.cells] == [("one", "ok"), ("two", "ok")]
    assert value(lab, "b") == "2"
    assert not any(cell.stale for cell in cells(lab).values())


def test_run_stale_runs_what_was_loaded(lab: FrontEnd, file: Path) -> None:
    load(lab)
    report = wire.decode_reply(lab.ask(wire.RunStale(), "shell"), RunReport)
    assert {run.notebook_cell_id for run in report.cells} == set(CODE)
    assert value(lab, "c") == "3"


def test_what_was_loaded_does_not_run_by_itself_but_before_what_needs_it(lab: FrontEnd, file: Path) -> None:
    load(lab)
    lab.run("other", "other = 1")
    assert value(lab, "'a' in globals()") == "False"
    lab.run("two", "b = a + 1")
    assert value(lab, "(a, b)") == "(1, 2)"
    assert cells(lab)["two"].version == 1
    assert len(cells(lab)) == len(CODE) + 1


def test_an_agents_cell_that_a_file_has_got_is_the_files_and_not_another_one(
    lab: FrontEnd, file: Path
) -> None:
    lab.ask(wire.EditCells(changes=[AddCell(code="a = 1"), AddCell(code="b = a")], client="claude"), "shell")
    first, second = cells(lab)
    write(file, {first: "a = 1", second: "b = a + 1"})
    assert len(load(lab).cells) == 1  # the text of the other is not what the file has
    known = wire.decode_reply(lab.ask(wire.ListCells()), list[Cell])
    assert [cell.notebook_cell_id for cell in known if cell.cell_id == first] == [first]


def test_a_cell_that_the_kernel_knows_stays_as_it_ran(lab: FrontEnd, file: Path) -> None:
    lab.run("one", "a = 10")
    assert len(load(lab).cells) == 2
    assert cells(lab)["one"].code == "a = 10"
    lab.ask(wire.RunStale(), "shell")
    assert value(lab, "b") == "11"
    assert load(lab).cells == ()


def test_the_open_document_comes_before_the_file(lab: FrontEnd, file: Path) -> None:
    lab.open({"one": "a = 5", "new": "n = a"})
    loaded = load(lab)
    assert loaded.source == "page"
    assert {key: cell.code for key, cell in cells(lab).items()} == {"one": "a = 5", "new": "n = a"}


def test_vs_codes_next_request_takes_a_loaded_cell_over(connect: Connect, lab: FrontEnd, file: Path) -> None:
    code = connect("vscode")
    code.run(None, f"__vsc_ipynb_file__ = {str(file)!r}", store_history=False)
    load(lab)
    code.run("anything", "a = 1")
    assert [cell.code for cell in cells(lab).values()] == list(CODE.values())


def test_cells_without_ids_are_loaded_too_and_give_way_to_the_notebooks_own(
    lab: FrontEnd, file: Path
) -> None:
    old = [{"cell_type": "code", "source": text} for text in CODE.values()]
    write(file, {}, cells=old)
    assert len(load(lab).cells) == 3
    lab.run("mine", "a = 7")
    lab.ask(wire.RunStale(), "shell")
    assert value(lab, "b") == "8"


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "no_document"), ("no JSON", "bad_notebook"), ('{"cells": 3}', "bad_notebook")],
)
def test_without_a_document_and_a_readable_file_it_is_refused(
    lab: FrontEnd, file: Path, content: str | None, code: str
) -> None:
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(BridgeError) as refusal:
        load(lab)
    assert refusal.value.code == code


def test_a_variable_of_a_cell_that_has_not_run_is_told_with_that_cell(lab: FrontEnd, file: Path) -> None:
    load(lab)
    with pytest.raises(BridgeError) as refusal:
        wire.decode_reply(lab.ask(wire.InspectVariable(name="c")), VariableContent)
    assert refusal.value.code == "no_such_variable"
    assert f"cell {cells(lab)['three'].cell_id} defines it" in refusal.value.message


def test_cells_that_an_earlier_kernel_has_saved_keep_its_ids(lab: FrontEnd, file: Path) -> None:
    # The first ids that this kernel would give are Hbol and MJUe.
    write(file, {"one": "a = 1", "MJUe": "b = a + 1", "Hbol": "c = b + 1", "x" * 8: "d = c"})
    ids = load(lab).cells
    assert (ids[1], ids[2], len(set(ids))) == ("MJUe", "Hbol", 4)
    lab.run("five", "e = 1")
    assert cells(lab)["five"].cell_id not in ids


def test_a_kept_id_has_another_version_for_another_text(file: Path, tmp_path: Path) -> None:
    versions = []
    for text in ("b = 1", "b = 1", "b = 2"):
        write(file, {"one": "a = 1", "MJUe": text})
        other = KernelInMemory(tmp_path)
        try:
            page = other.connect("lab")
            assert page.run(None, "0").ok
            load(page)
            versions.append(cells(page)["MJUe"].version)
        finally:
            other.close()
    assert versions[0] == versions[1] != versions[2]
    assert min(versions) > 1_000
