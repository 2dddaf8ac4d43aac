"""The indexed graph gives the answers that marimo's own gives, whatever cells come and go."""

# ruff: noqa: TID251  # marimo's originals are what is compared with

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marimo._ast.compiler import compile_cell
from marimo._lint.validate_graph import check_for_errors
from marimo._runtime import dataflow
from marimo._runtime.dataflow.graph import DirectedGraph
from marimo._runtime.packages.module_registry import ModuleRegistry
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime.graph.indexed_graph import IndexedGraph, IndexedModules
from marimo_kernel_bridge.runtime.graph.run_order import (
    cells_to_run,
    marimos_cells_to_run,
    marimos_sort,
    topological_sort,
)
from tests.inputs import inputs

NAMES = ("a", "b", "c", "d", "e")
IDS = tuple(CellId_t(f"C{number:03}") for number in range(7))

Step = tuple[Any, ...]
"""An operation on a graph: its kind, the cell, and what the kind needs."""

name = st.sampled_from(NAMES)
code = st.one_of(
    st.builds("{} = {} + {}".format, name, name, name),
    st.builds("{} = 1; {} = {}".format, name, name, name),
    st.builds("print({}, {})".format, name, name),
    st.builds("del {}".format, name),
    st.builds("{} = {}; del {}".format, name, name, name),
    st.builds("import os as {}\nimport sys".format, name),
    st.builds("import nothing_that_exists, json as {}".format, name),
    st.builds('_ = mo.sql("CREATE TABLE {} AS SELECT * FROM {}")'.format, name, name),
    st.builds('_ = mo.sql("CREATE TABLE s.{} AS SELECT * FROM s.{}")'.format, name, name),
    st.builds('_ = mo.sql("CREATE SCHEMA {}")'.format, name),
    st.just(""),
)
cell_id = st.sampled_from(IDS)
operation = st.one_of(
    st.tuples(st.just("put"), cell_id, code),
    st.tuples(st.just("put"), cell_id, code),
    st.tuples(st.just("put"), cell_id, code),
    st.tuples(st.just("delete"), cell_id),
    st.tuples(st.just("stale"), cell_id, st.booleans()),
    st.tuples(st.just("below stale"), cell_id, st.booleans()),
    st.tuples(st.just("disabled"), cell_id, st.booleans()),
    st.tuples(st.just("imported"), cell_id),
)


def apply(graph: DirectedGraph, step: Step) -> None:
    """Do one operation on a graph, as marimo's kernel would."""
    kind, target, *arguments = step
    if kind == "put":
        if target in graph.cells:
            graph.delete_cell(target)
        graph.register_cell(target, compile_cell(arguments[0], cell_id=target))
        return
    if target not in graph.cells:
        return
    cell = graph.cells[target]
    match kind:
        case "delete":
            graph.delete_cell(target)
            cell.set_stale(True)  # of a cell that is gone, which must not matter to its successor
        case "stale":
            cell.set_stale(*arguments)
        case "below stale":
            graph.set_stale({target}, prune_imports=arguments[0])
        case "disabled":
            cell.configure({"disabled": arguments[0]})
            graph.disable_cell(target) if arguments[0] else graph.enable_cell(target)
        case "imported":
            cell.import_workspace.imported_defs = set(cell.defs)


def answers(
    graph: DirectedGraph, modules: ModuleRegistry, sort: Callable[..., object], to_run: Callable[..., object]
) -> dict[str, object]:
    """Everything that marimo asks a graph."""
    ids = list(graph.cells)
    return {
        "cells": [(one, graph.cells[one].stale, graph.cells[one].runtime_state) for one in ids],
        "parents": graph.parents,
        "children": graph.children,
        "definitions": graph.definitions,
        "cycles": graph.cycles,
        "errors": check_for_errors(graph),
        "stale": graph.get_stale(),
        "modules": (modules.modules(), modules.missing_modules()),
        "referring": [
            graph.get_referring_cells(one, language) for one in NAMES for language in ("python", "sql")
        ],
        "about each": [
            (
                graph.is_disabled(one),
                graph.is_any_ancestor_disabled(one),
                graph.is_any_ancestor_stale(one),
                graph.descendants(one),
            )
            for one in ids
        ],
        "order": [sort(graph, set(ids[start::step])) for start in range(2) for step in (1, 2)],
        "to run": [to_run(graph, {one}, set(ids[::3]), "lazy") for one in ids]
        + [to_run(graph, set(ids[1::2]), set(), "lazy")],
        "paths": [bool(graph.get_path(one, other)) for one in ids for other in ids],
    }


@settings(max_examples=inputs(100, 2000), deadline=None, derandomize=True, database=None)
@given(st.lists(operation, min_size=3, max_size=25))
def test_whatever_cells_come_and_go_the_answers_are_marimos(steps: list[Step]) -> None:
    theirs, ours = DirectedGraph(), IndexedGraph()
    of_theirs, of_ours = ModuleRegistry(theirs), IndexedModules(ours)
    for step in steps:
        before = copy.deepcopy((theirs.parents, theirs.children))
        ours.touched.clear()
        apply(theirs, step)
        apply(ours, step)
        assert answers(ours, of_ours, topological_sort, cells_to_run) == answers(
            theirs, of_theirs, marimos_sort, marimos_cells_to_run
        )
        fresh_below = {
            one for one in ours.cells if one not in ours.get_stale() and ours.parents[one] & ours.get_stale()
        }
        assert ours.stale_cells.are_closed == (not fresh_below)
        assert ours.stale_cells.fresh_below == fresh_below
        for was, now in zip(before, (theirs.parents, theirs.children), strict=True):
            assert {one for one in was.keys() | now.keys() if was.get(one) != now.get(one)} <= ours.touched
    for one in list(ours.cells):
        ours.delete_cell(one)
    assert not any(
        (ours.topology.users, ours.topology.deleters, ours.topology.sql_cells, ours.topology.order)
    )
    assert not any(
        (
            ours.topology.namespaces,
            ours.stale_cells,
            ours.disabled_cells,
            ours.definition_registry.conflicting,
        )
    )


@settings(max_examples=inputs(40, 500), deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.just("put"), cell_id, code), min_size=3, max_size=12), st.sets(cell_id))
def test_what_is_below_several_cells_is_what_is_below_any_of_them(
    steps: list[Step], sources: set[CellId_t]
) -> None:
    graph = IndexedGraph()
    for step in steps:
        apply(graph, step)
    known = sources & graph.cells.keys()
    children = {child for one in known for child in graph.children[one]}
    assert graph.topology.below(known) == dataflow.transitive_closure(graph, children)


some = st.integers(0, 11)


@settings(max_examples=inputs(100, 1000), deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(some, some), max_size=24), st.sets(some, max_size=2), st.sets(some, max_size=2))
def test_a_way_is_found_where_marimo_finds_a_path(
    pairs: list[tuple[int, int]], sources: set[int], targets: set[int]
) -> None:
    graph = IndexedGraph()
    ids = [CellId_t(f"C{number:03}") for number in range(12)]
    for one in ids:
        graph.topology.add_node(one, compile_cell("", cell_id=one))
    for parent, child in pairs:
        graph.topology.add_edge(ids[parent], ids[child])
    found = any(one == other or graph.get_path(ids[one], ids[other]) for one in sources for other in targets)
    assert graph.topology.leads_to([ids[n] for n in sources], [ids[n] for n in targets]) == found


@pytest.mark.parametrize("down", [True, False])
def test_a_way_is_found_where_many_lead_elsewhere(down: bool) -> None:
    graph = IndexedGraph()
    hub, *others = (CellId_t(f"C{number:03}") for number in range(61))
    for one in (hub, *others):
        graph.topology.add_node(one, compile_cell("", cell_id=one))
    ways = list(zip(others[::3], others[1::3], others[2::3], strict=True))
    for way in ways:
        for pair in itertools.pairwise((hub, *way)):
            graph.topology.add_edge(*(pair if down else reversed(pair)))
    for *_, far in ways:
        assert graph.topology.leads_to([hub], [far]) == down
        assert graph.topology.leads_to([far], [hub]) != down


def test_another_graph_is_sorted_by_marimo_itself() -> None:
    graph = DirectedGraph()
    for step in (("put", IDS[1], "b = a"), ("put", IDS[0], "a = 1")):
        apply(graph, step)
    assert topological_sort(graph, list(IDS[:2])) == [IDS[0], IDS[1]]


def test_a_cell_is_registered_once_only() -> None:
    graph = IndexedGraph()
    apply(graph, ("put", IDS[0], "a = 1"))
    with pytest.raises(AssertionError):
        graph.register_cell(IDS[0], compile_cell("a = 2", cell_id=IDS[0]))
    assert graph.definitions == {"a": {IDS[0]}}
