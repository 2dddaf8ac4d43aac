"""The cells of a notebook in marimo's editor as its events tell them: status, graph, staleness, outputs, authors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marimo_kernel_bridge.client.marimo_editor.cells import NotebookView, author_of
from marimo_kernel_bridge.client.marimo_editor.events import EventReader
from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
from marimo_kernel_bridge.client.marimo_editor.outputs import display
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

OURS = "marimo-kernel-bridge/ann%20%282%29/1"


def tell(mirror: Mirror, kind: str, value: Any, **fields: Any) -> None:
    mirror.apply(kind, json.dumps({kind: value, **fields}).encode())


def notebook(*codes: tuple[str, str, tuple[str, ...], tuple[str, ...]]) -> Mirror:
    """A notebook of cells by id, code, and the names that each defines and uses, and a running kernel."""
    mirror = Mirror()
    for cell_id, code, _, _ in codes:
        cell = {"id": cell_id, "code": code, "etag": "e", "code_hash": code, "version": 1}
        tell(mirror, "cell", cell)
    order = [cell_id for cell_id, *_ in codes]
    tell(mirror, "document", {"order": order, "etag": "d", "order_etag": "o", "version": 1})
    names = {cell_id: {"defs": defs, "refs": refs} for cell_id, _, defs, refs in codes}
    tell(mirror, "analysis", {"document_etag": "d", "cells": names})
    tell(mirror, "runtime", {"id": "rt-1", "notebook_id": "nb", "status": "running"})
    return mirror


def chain() -> Mirror:
    return notebook(
        ("a", "x = 1", ("x",), ()), ("b", "y = x", ("y",), ("x",)), ("c", "y", (), ("y",)), ("d", "", (), ())
    )


def ran(mirror: Mirror, cell_id: str, at: int, **fields: Any) -> None:
    """Let a cell run at a second of the day."""
    cell = mirror.cell(cell_id)
    assert cell is not None
    execution: dict[str, Any] = {
        "id": f"{cell_id}{at}",
        "cell_id": cell_id,
        "run_id": f"run-{at}",
        "runtime_id": "rt-1",
    }
    execution |= {"code_hash": cell.code_hash, "status": "completed", "outcome": {"kind": "value"}}
    execution |= {
        "started_at": f"2026-11-29T00:00:{at:02}Z",
        "completed_at": f"2026-11-29T00:00:{at:02}.5Z",
    }
    tell(mirror, "execution", execution | fields)


def stale(mirror: Mirror) -> list[str]:
    return [*NotebookView(mirror).stale]


def test_the_graph_is_that_of_the_names() -> None:
    a, b, c, d = NotebookView(chain()).cells
    assert (a.upstream, a.downstream, b.upstream, b.downstream) == ((), ("b",), ("a",), ("c",))
    assert (c.uses, d.upstream) == (("y",), ())
    assert NotebookView(chain()).below(["b"]) == ["b", "c"]


def test_a_cell_is_stale_if_it_never_ran_or_something_above_is_newer() -> None:
    mirror = chain()
    assert stale(mirror) == ["a", "b", "c"]
    for at, cell_id in enumerate("abc"):
        ran(mirror, cell_id, at)
    assert stale(mirror) == []
    ran(mirror, "a", 9)
    assert stale(mirror) == ["b", "c"]
    ran(mirror, "b", 10)
    assert stale(mirror) == ["c"]


def test_another_text_and_another_kernel_make_results_stale() -> None:
    mirror = chain()
    for at, cell_id in enumerate("abc"):
        ran(mirror, cell_id, at)
    tell(mirror, "cell", {"id": "b", "code": "y = 2", "etag": "f", "code_hash": "y = 2", "version": 2})
    assert stale(mirror) == ["b", "c"]
    tell(mirror, "runtime", {"id": "rt-2", "notebook_id": "nb", "status": "running"})
    assert stale(mirror) == ["a", "b", "c"]


def test_a_cycle_ends() -> None:
    mirror = notebook(("a", "x = y", ("x",), ("y",)), ("b", "y = x", ("y",), ("x",)))
    assert stale(mirror) == ["a", "b"]
    ran(mirror, "a", 1)
    ran(mirror, "b", 2)
    assert set(stale(mirror)) <= {"a"}


def test_a_long_chain_takes_no_recursion() -> None:
    cells = [(f"c{n}", f"x{n}", (f"x{n}",), (f"x{n + 1}",)) for n in range(3000)]
    assert len(stale(notebook(*cells))) == 3000


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"status": "queued", "outcome": None}, "queued", None),
        ({"status": "running", "outcome": None}, "running", None),
        ({}, "ok", None),
        ({"outcome": {"kind": "interrupted"}}, "interrupted", None),
        (
            {
                "outcome": {
                    "kind": "error",
                    "error": {"kind": "exception", "name": "KeyError", "message": "'a'"},
                }
            },
            "error",
            ("KeyError", "'a'"),
        ),
        (
            {"outcome": {"kind": "error", "error": {"kind": "internal", "message": "in a cycle"}}},
            "refused",
            ("marimo", "in a cycle"),
        ),
    ],
)
def test_a_cells_status_is_that_of_its_newest_execution(
    fields: dict[str, Any], status: str, error: tuple[str, str] | None
) -> None:
    mirror = chain()
    assert NotebookView(mirror).cells[0].status == "new"
    ran(mirror, "a", 1, **fields)
    cell = NotebookView(mirror).cells[0]
    assert cell.status == status
    assert (None if cell.error is None else (cell.error.ename, cell.error.evalue)) == error


def test_a_text_that_is_no_python_is_refused_before_it_runs() -> None:
    mirror = chain()
    wrong = {"kind": "invalid-syntax", "message": "invalid syntax"}
    tell(mirror, "analysis", {"document_etag": "d", "cells": {"a": {"errors": [wrong]}}})
    cell = NotebookView(mirror).cells[0]
    assert (cell.status, cell.error and cell.error.evalue) == ("refused", "invalid syntax")


def test_outputs_are_what_was_printed_shown_and_raised_in_order() -> None:
    mirror = chain()
    raised = {"kind": "exception", "name": "ZeroDivisionError", "message": "division by zero"}
    traceback = {"mimetype": "text/html", "data": "<b>1 &lt; 0</b>\nZeroDivisionError"}
    ran(mirror, "a", 1, outcome={"kind": "error", "error": {**raised, "traceback": traceback}})
    for seq, (kind, item) in enumerate(
        [("console", {"name": "stderr", "text": "late"}), ("console", {"name": "stdout", "text": "early"})]
    ):
        tell(mirror, kind, {"id": str(seq), "execution_id": "a1", "seq": 5 - seq, **item})
    image = {"id": "3", "execution_id": "a1", "seq": 7, "mimetype": "image/png"}
    tell(mirror, "display", {**image, "data": "data:image/png;base64,QUJD"})
    view = NotebookView(mirror)
    outputs = view.with_outputs(view.cells[0]).outputs
    assert [output.get("text") or output.get("data") or output["traceback"] for output in outputs] == [
        "early",
        "late",
        {"image/png": "QUJD"},
        ["1 < 0", "ZeroDivisionError"],
    ]
    mirror.apply("console.removed", b'{"id": "0"}')
    mirror.apply("execution.removed", b'{"id": "a1"}')
    assert NotebookView(mirror).with_outputs(view.cells[0]).outputs == ()


def test_marimos_elements_are_drawn_and_its_forms_are_read() -> None:
    assert display("text/markdown", "<span>**x**</span>")["data"] == {"text/html": "<span>**x**</span>"}
    slider = "<marimo-ui-element object-id='a'><marimo-slider data-initial-value='3' data-label='null'></marimo-slider></marimo-ui-element>"
    drawn = display("text/html", slider)["data"]["text/html"]
    assert "3" in drawn
    assert "marimo-" not in drawn
    bundle = json.dumps({"text/plain": "a", "image/png": "data:image/png;base64,QUJD", "__metadata__": {}})
    forms = display("application/vnd.marimo+mimebundle", bundle)["data"]
    assert forms == {"text/plain": "a", "image/png": "QUJD"}
    assert display("application/json", '{"a": 1}')["data"] == {"application/json": {"a": 1}}
    assert display("application/json", "{")["data"] == {"application/json": "{"}


def test_authors_are_known_by_the_keys_of_requests_and_nobody_is_blamed_for_what_was_not_heard() -> None:
    assert author_of(OURS) == "ann (2)"
    assert author_of("another client") == author_of(None) == NOTEBOOK
    assert author_of("marimo-kernel-bridge/the%20person/1") == "agent"
    mirror = chain()
    tell(mirror, "run", {"id": "run-1", "status": "completed"})
    ran(mirror, "a", 1)
    assert NotebookView(mirror).cells[0].last_run_by is None
    mirror.apply("ready", b"{}")
    tell(mirror, "run", {"id": "run-2", "status": "running"}, request_id=OURS)
    tell(mirror, "run", {"id": "run-3", "status": "completed"})
    ran(mirror, "b", 2)
    ran(mirror, "c", 3)
    assert [cell.last_run_by for cell in NotebookView(mirror).cells[1:3]] == ["ann (2)", NOTEBOOK]
    assert mirror.active_run is not None
    for kind, name in (("run", "run-2"), ("cell", "c"), ("runtime", "rt-1"), ("something", "new")):
        mirror.apply(f"{kind}.removed", json.dumps({"id": name}).encode())
    assert (mirror.active_run, mirror.cell("c"), mirror.alive) == (None, None, False)


def test_events_are_read_whatever_the_pieces() -> None:
    stream = b': ping\n\nid: 3\nevent: cell\ndata: {"a":\ndata: 1}\r\n\nevent: ready\ndata: {}\n\ndata: x\n\n'
    for size in (1, 2, 7, len(stream)):
        reader = EventReader()
        pieces = (stream[at : at + size] for at in range(0, len(stream), size))
        assert [event for piece in pieces for event in reader.feed(piece)] == [
            ("cell", b'{"a":\n1}'),
            ("ready", b"{}"),
        ]


def test_an_endless_event_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.client.marimo_editor.events.LONGEST", 100)
    reader = EventReader()
    for _ in range(20):
        assert list(reader.feed(b"event: a\ndata: 12345678\n\n")) == [("a", b"12345678")]
    with pytest.raises(ValueError, match="too long"):
        list(reader.feed(b"data: 12345678\n" * 20))


def test_a_malformed_event_is_refused() -> None:
    for data in (b"{", b'{"cell": 3}', b'{"cell": {"id": "a"}}', b"\xff", b"[" * 5000):
        with pytest.raises((ValueError, RecursionError)):
            Mirror().apply("cell", data)
