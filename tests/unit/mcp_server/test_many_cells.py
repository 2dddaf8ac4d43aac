"""What the event loop does with many cells, names and texts takes time that grows with their number, and no faster."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from marimo_kernel_bridge.client.marimo_editor.cells import NotebookView
from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
from marimo_kernel_bridge.client.marimo_editor.outputs import Page, display, error_of
from marimo_kernel_bridge.client.marimo_editor.records import DisplayData, Error
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.live import LiveNotebook, merged
from marimo_kernel_bridge.mcp_server.tools.edits import _nearest
from marimo_kernel_bridge.mcp_server.views import imports
from marimo_kernel_bridge.mcp_server.views.notebook import chosen
from marimo_kernel_bridge.mcp_server.views.notebook_source import (
    Given,
    SourceCell,
    _merged,
    _with,
    of_kernel,
)
from marimo_kernel_bridge.mcp_server.views.run_costs import hints
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.protocol.near_texts import nearest
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs
from tests.unit.client.marimo_editor.test_cells import notebook, tell
from tests.unit.mcp_server.agent import Agent

MANY = 6_000
MOST = 0.8
"""Seconds of CPU time: each takes less than a tenth. Quadratic time would be seconds to minutes."""


def cpu_seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def cell(number: int, in_notebook: str | None) -> Cell:
    code = f"x{number} = 1"
    return Cell(f"k{number}", in_notebook, code, 1, "ok", False, 1, "notebook", None, None, None, None)  # noqa: FBT003


def test_cells_are_found_among_many_in_linear_time() -> None:
    listed = [cell(number, f"n{number}") for number in range(MANY)]
    ids = [f"n{number}" for number in reversed(range(MANY - 1000, MANY))]
    assert chosen(listed[-2:], [f"n{MANY - 1}", f"k{MANY - 2}"], None) == [f"k{MANY - 1}", f"k{MANY - 2}"]
    assert cpu_seconds(lambda: chosen(listed, ids, None)) < MOST
    given = Given(
        [SourceCell(f"n{number}", "code", "y") for number in range(2000)], dict.fromkeys(ids[:900], "z")
    )
    assert cpu_seconds(lambda: _with(given, of_kernel(listed))) < MOST


def test_many_cells_of_a_file_and_of_a_kernel_are_merged_in_linear_time() -> None:
    """Those of VS Code have ids of its own, and are known by their code."""
    saved = [
        {"cell_type": "code", "id": f"f{number}", "metadata": {}, "source": f"x{number} = 1", "outputs": []}
        for number in range(0, MANY, 2)
    ]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": saved}
    in_file = parse_notebook(Path("n.ipynb"), document)
    listed = [cell(number, f"vscode{number}") for number in range(MANY)]
    texts = [one.source for one in in_file.cells]
    found: list[SourceCell] = []
    assert cpu_seconds(lambda: found.extend(_merged(in_file, texts, listed, saved_here=True))) < MOST
    assert [one.cell_id for one in found] == [f"k{number}" for number in range(MANY)]
    assert {(one.key[0], one.sync) for one in found} == {("f", None), ("v", "not_saved")}


def test_cells_before_the_first_of_the_file_and_of_the_kernel_alone_keep_their_places() -> None:
    saved = [{"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# T"}]
    saved += [
        {"cell_type": "code", "id": one, "metadata": {}, "source": one, "outputs": []} for one in ("a", "b")
    ]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": saved}
    in_file = parse_notebook(Path("n.ipynb"), document)
    known = {
        name: replace(cell(number, name), cell_id=name, code=name) for number, name in enumerate("zbyxaw")
    }
    known["x"] = replace(known["x"], notebook_cell_id=None)
    merged = _merged(in_file, ["# T", "a", "b"], list(known.values()), saved_here=False)
    assert [one.key for one in merged] == ["z", "m", "a", "w", "b", "y", "x"]


def test_many_cells_that_are_not_in_the_file_are_exported_in_linear_time() -> None:
    saved = [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# T"},
        {"cell_type": "code", "id": "a", "metadata": {}, "source": "a", "outputs": []},
        {"cell_type": "markdown", "id": "end", "metadata": {}, "source": "# E"},
    ]
    in_file = parse_notebook(
        Path("n.ipynb"), {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": saved}
    )
    new = [CellWithOutputs(cell(number, f"n{number}"), ()) for number in range(MANY)]
    known = CellWithOutputs(replace(cell(0, "a"), cell_id="ka", code="a"), ())
    made: list[LiveNotebook] = []
    assert cpu_seconds(lambda: made.append(merged(in_file, [*new[:2], known, *new[2:]]))) < MOST
    ids = [one["id"] for one in made[0].document["cells"]]
    assert ids == ["m", "a", *(f"n{number}" for number in range(2, MANY)), "end", "n0", "n1"]
    assert made[0].added == tuple(f"n{number}" for number in range(MANY))


@pytest.mark.parametrize("part", ["a", "ab", "a b ", "abc"])
def test_what_is_most_like_a_text_is_found_in_linear_time(part: str) -> None:
    """difflib compares each pair of letters, up to the cube of their number."""
    line = part * (190 // len(part))
    lines = [f"{line[at % 9 :]}{line[: at % 9]}x" for at in range(MANY)]
    assert cpu_seconds(lambda: nearest(f"{line}y", lines, 3)) < MOST
    assert cpu_seconds(lambda: _nearest(f"{line}y", "\n".join(lines), 1)) < MOST


def test_the_texts_most_like_another_one_are_those_with_a_typing_error() -> None:
    names = ["sales", "scale", "revenue_total", "x", "df", "customers"]
    assert nearest("salse", names, 2) == ["sales", "scale"]
    assert nearest("revenu_total", names, 3) == ["revenue_total"]
    assert nearest("custmers", names, 1) == ["customers"]
    assert nearest("zzz", names, 3) == []
    assert nearest("", ["", "a"], 1) == [""]


def test_what_costly_cells_keep_is_found_in_linear_time() -> None:
    for part in ("cache\n", "@", "@a.", "with a.", " ", "\n", "async ", "@cache.", "a+"):
        codes = {name: f"cache\n{part * (90_000 // len(part))}" for name in "abcdefghijkl"}
        assert cpu_seconds(lambda codes=codes: hints(codes, dict.fromkeys(codes, 2.0), mo=True)) < MOST  # type: ignore[misc]


def test_a_graph_of_marimos_with_many_ways_through_it_is_followed_once() -> None:
    """Each diamond doubles the ways from the first cell to the last one."""
    diamonds = 40
    codes: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [("a0", "1", ("a0",), ())]
    for number in range(diamonds):
        codes += [
            (f"b{number}", "1", (f"b{number}",), (f"a{number}",)),
            (f"c{number}", "1", (f"c{number}",), (f"a{number}",)),
            (f"a{number + 1}", "1", (f"a{number + 1}",), (f"b{number}", f"c{number}")),
        ]
    view = NotebookView(notebook(*codes))
    assert cpu_seconds(lambda: view.below(["a0"])) < MOST
    assert view.below(["a0"]) == [name for name, *_ in codes]
    assert [*view.stale] == [name for name, *_ in codes]


def test_many_cells_of_marimos_that_define_or_use_the_same_are_read_in_linear_time() -> None:
    names = tuple(f"x{number}" for number in range(MANY // 2))
    same = notebook(*((f"c{number}", "1", ("x",), ("x",)) for number in range(MANY // 2)))
    many = notebook(*((name, "1", (name,), ()) for name in names), ("last", "1", (), names))

    def read(mirror: Mirror) -> None:
        view = NotebookView(mirror)
        assert len(view.cells) >= len(view.stale) > 0

    for mirror in (same, many):
        assert cpu_seconds(partial(read, mirror)) < MOST


def test_what_marimo_takes_back_is_found_at_once() -> None:
    mirror = Mirror()

    def tells() -> None:
        for number in range(MANY):
            item = {"id": f"i{number}", "execution_id": f"e{number}", "seq": 0, "name": "stdout", "text": "a"}
            tell(mirror, "console", item)
        for number in range(MANY):
            mirror.apply("console.removed", b'{"id": "i%d"}' % number)

    assert cpu_seconds(tells) < MOST
    assert not any(mirror.items_of(f"e{number}") for number in range(MANY))
    tell(mirror, "display", {"id": "d", "execution_id": "e", "seq": 0, "mimetype": "text/plain", "data": "a"})
    mirror.apply("execution.removed", b'{"id": "e"}')
    assert not mirror._executions_of
    mirror.apply("display.removed", b'{"id": "d"}')
    assert list(mirror.items_of("e")) == []


@pytest.mark.parametrize(
    "part", ["<marimo-slider data-a='1'>", "<span class='paragraph'>", "<iconify-icon>", "x"]
)
def test_elements_of_marimos_are_drawn_as_far_as_there_is_time(part: str) -> None:
    page, many = Page(), 40
    text = part * (20_000 // len(part))
    assert cpu_seconds(lambda: [display("text/html", text, page) for _ in range(many)]) < MOST / 4
    shown = [
        display("text/html", f"<marimo-stat data-value='{number}'></marimo-stat>", Page())
        for number in (1, 2)
    ]
    assert all("marimo-stat" not in one["data"]["text/html"] for one in shown)


def test_the_end_of_a_traceback_of_marimos_is_read_at_once() -> None:
    for part in ("&#1;", "?a=b&", "\n", "\r", "<b>"):
        told = DisplayData("text/html", part * (1_000_000 // len(part)) + "the last line")
        assert cpu_seconds(partial(error_of, Error("e", "m", None, told))) < MOST / 4
        assert error_of(Error("e", "m", None, told)).traceback[-1].endswith("the last line")


@pytest.mark.anyio
async def test_the_loop_goes_on_while_a_text_of_megabytes_is_read(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, went_on = asyncio.get_running_loop(), threading.Event()

    def reads(*_: object) -> None:
        loop.call_soon_threadsafe(went_on.set)
        assert went_on.wait(60)
        raise BridgeError("bad_notebook", "It was read.")

    monkeypatch.setattr(imports, "_require_cells", reads)
    answer = await agent("import_notebook", content="# %%\nx = 1", check=True)
    assert answer.text == "[bad_notebook] It was read."
