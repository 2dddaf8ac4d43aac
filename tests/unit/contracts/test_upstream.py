"""docs/upstream.md, which proposes hooks to marimo: it has every function that is replaced, and its tests exist."""
# ruff: noqa: TID251  # what marimo does is taken from marimo itself

from __future__ import annotations

import builtins
import importlib.util
import re
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Final

import pytest
from marimo._ast.compiler import compile_cell
from marimo._ast.load import find_cell
from marimo._messaging import tracebacks
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime.graph.indexed_graph import IndexedGraph
from marimo_kernel_bridge.runtime.graph.run_order import marimos_sort, topological_sort
from marimo_kernel_bridge.runtime.patches import PATCHES

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "upstream.md").read_text()
TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_function_that_is_replaced_is_in_a_proposal_with_a_test_that_shows_the_need() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `marimo.")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(patch.target for patch in PATCHES)
    assert [row for row in rows if not TEST.search(row)] == []


def test_each_test_that_shows_a_need_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) > len(PATCHES)
    assert [
        f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text()
    ] == []


# Needs that no test of a kernel shows


def test_marimos_own_sort_knows_no_order_of_a_document() -> None:
    first, second = CellId_t("Aaaa"), CellId_t("Bbbb")
    graph = IndexedGraph()
    for cell_id in (second, first):
        graph.register_cell(cell_id, compile_cell("", cell_id=cell_id))
    graph.topology.places = {first: 0, second: 1}
    assert topological_sort(graph, [first, second]) == [first, second]
    assert marimos_sort(graph, [first, second]) == [second, first]


def test_marimos_tracebacks_are_highlighted_for_a_frontend_and_reach_no_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[object] = []
    context = SimpleNamespace(cell_id="Aaaa", stream=None)
    monkeypatch.setattr(tracebacks, "safe_get_context", lambda: context)
    monkeypatch.setattr(tracebacks, "broadcast_notification", lambda one, _: sent.append(one))
    tracebacks.write_traceback("Traceback (most recent call last):\nValueError: no")
    (notification,) = sent
    assert "marimo+traceback" in str(notification)
    assert capsys.readouterr().err == ""


def own(module: str) -> ModuleType:
    """Return a copy of a module of marimo's in which nothing was replaced."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize("method", ["extract_missing_ref", "extract_ref_state_and_normalize_scope"])
def test_marimos_caches_fail_where_builtins_are_a_module_as_in_main(method: str) -> None:
    more = () if method == "extract_missing_ref" else (None,)
    with pytest.raises(TypeError, match="not iterable"):
        getattr(own("marimo._save.hash").BlockHasher, method)(None, {"x"}, {"__builtins__": builtins}, *more)


def test_marimo_finds_cells_in_its_own_files_only() -> None:
    with pytest.raises(OSError, match=r"(?i)notebook|no such file"):
        find_cell("/tmp/ipykernel_1/1234.py", 1)


def test_marimos_kernel_pretends_a_module_in_the_users_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    own("marimo._runtime.patches").patch_micropip({})
    assert type(sys.meta_path[-1]).__name__ == "_MicropipFinder"


def test_what_marimos_threads_print_reaches_its_frontend_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, sent = own("marimo._messaging.print_override"), []
    context = SimpleNamespace(execution_context=SimpleNamespace(cell_id="Aaaa"), stream=None)
    monkeypatch.setattr(module, "get_context", lambda: context)
    monkeypatch.setattr(module, "broadcast_notification", lambda one, _: sent.append(one))
    monkeypatch.setattr(module, "THREADS", {threading.get_ident()})
    module.print_override("hello")
    assert [one.console.data for one in sent] == ["hello\n"]
    assert capsys.readouterr().out == ""
