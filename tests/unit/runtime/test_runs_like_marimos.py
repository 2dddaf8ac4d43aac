"""Runs on the indexed graph end as they do with all of marimo's own steps, whatever the cells are."""

# ruff: noqa: TID251  # marimo's originals are what is compared with
# mypy: disable-error-code="assignment, attr-defined, method-assign"

import asyncio
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marimo._ast.compiler import compile_cell
from marimo._runtime import dataflow
from marimo._runtime.context.types import teardown_context
from marimo._runtime.dataflow.graph import DirectedGraph
from marimo._runtime.packages.module_registry import ModuleRegistry
from marimo._runtime.runner import cell_runner, hooks_post_execution, hooks_pre_execution, hooks_preparation
from marimo._runtime.runner.hook_context import PreExecutionHookContext
from marimo._runtime.runner.hooks import HookPhase
from marimo._runtime.runtime import Kernel
from marimo._runtime.side_effect import SideEffect
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime import engine as engine_module
from marimo_kernel_bridge.runtime import marimo_kernel as reactive
from marimo_kernel_bridge.runtime import patches
from marimo_kernel_bridge.runtime.graph import indexed_graph as graph
from marimo_kernel_bridge.runtime.graph import run_steps
from marimo_kernel_bridge.runtime.graph.run_order import marimos_cells_to_run, marimos_sort
from marimo_kernel_bridge.runtime.interface import Outcome
from tests.inputs import inputs


class AsMarimoDoes(reactive.ReactiveKernel):
    """Our kernel with marimo's own graph, runs and hooks."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.graph = DirectedGraph()
        self.module_registry = ModuleRegistry(self.graph)
        dataflow.topological_sort = marimos_sort
        cell_runner.Runner.compute_cells_to_run = staticmethod(marimos_cells_to_run)

    _run_cells = Kernel._run_cells

    def _build_hooks(self) -> Any:
        hooks = super()._build_hooks()
        originals = {
            run_steps.update_staleness: hooks_preparation._update_stale_statuses,
            run_steps.clear_staleness: hooks_pre_execution._set_staleness,
            run_steps.note_states: hooks_post_execution._store_state_reference,
            self._dispose_below: lambda _: None,
        }
        for phase in HookPhase:
            for entry in hooks._lists[phase]._entries:
                entry.hook = originals.get(entry.hook, entry.hook)
        return hooks

    def _invalidate_cell_state(
        self,
        cell_id: Any,
        exclude_defs: set[str] | None = None,
        deletion: bool = False,  # noqa: FBT002  # marimo's signature
    ) -> None:
        kept = self.graph.cells[cell_id].defs - self._defined.get(cell_id, set())
        Kernel._invalidate_cell_state(self, cell_id, (exclude_defs or set()) | kept, deletion)
        for name in self._defined.get(cell_id, set()) - self.graph.cells[cell_id].defs:
            if name not in self.graph.definitions:
                self.globals.pop(name, None)


class Host:
    """Runs bodies with `exec`; each leaves a side effect, which marimo frees when the cell or one above runs."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.engine: Any = None
        self.said: list[tuple[object, ...]] = []

    async def execute(self, cell_id: Any) -> Outcome:
        self.said.append(("ran", cell_id))
        registry = self.engine._kernel.context.cell_lifecycle_registry
        registry.add(SideEffect(f"{cell_id}-{len(self.said)}"))
        try:
            exec(self.engine._kernel.graph.cells[cell_id].code, self.module.__dict__)
        except BaseException as error:
            return Outcome(error)
        return Outcome()

    def cancelled(self, cell_id: Any, because: str) -> None:
        self.said.append(("cancelled", cell_id, because))

    def interrupted(self, cell_id: Any) -> None:
        self.said.append(("interrupted", cell_id))

    def should_pause(self) -> bool:
        return False

    def graph_errors_changed(self, refused: Mapping[str, object]) -> None:
        self.said.append(("refused", sorted(refused)))

    def wake(self) -> None:
        pass


Operation = tuple[str, Any, Any]
"""A kind, the cell, and its new code."""

NAMES = ("a", "b", "c", "d")
name = st.sampled_from(NAMES)
code = st.one_of(
    st.builds("{} = 1".format, name),
    st.builds("{} = {} + {}".format, name, name, name),
    st.builds("{} = 1 // ({} - 1)".format, name, name),
    st.builds("print({})\n_t = 1".format, name),
    st.builds("del {}".format, name),
    st.builds("import os, nothing_there as {}".format, name),
    st.builds("import os as {}".format, name),
    st.builds("{} = get()".format, name),
    st.builds("set_(get() + 1); {} = 1".format, name),
)
FIRST, SECOND = CellId_t("C000"), CellId_t("C001")
STATE = ("run", CellId_t("M000"), "import marimo as mo\nget, set_ = mo.state(0)")
ids = st.sampled_from([CellId_t(f"C{number:03}") for number in range(6)])
operation = st.one_of(
    st.tuples(st.just("run"), ids, code),
    st.tuples(st.just("run"), ids, code),
    st.tuples(st.just("edit"), ids, code),
    st.tuples(st.just("rerun"), ids, st.none()),
    st.tuples(st.just("delete"), ids, st.none()),
    st.tuples(st.just("settle"), st.none(), st.none()),
)


def story(
    kernel_class: type[reactive.ReactiveKernel], operations: Sequence[Operation]
) -> list[dict[str, object]]:
    """Do the operations, and tell what happened and what was left after each."""
    engine_module.ReactiveKernel, outer = kernel_class, engine_module.ReactiveKernel
    try:
        host = Host()
        host.engine = engine = engine_module.Engine(host.module, host)
    finally:
        engine_module.ReactiveKernel = outer
    kernel = engine._kernel
    told: list[dict[str, object]] = []
    try:
        for kind, cell_id, new_code in operations:
            match kind:
                case "run" | "edit" if not engine.register(cell_id, new_code, stale=kind == "edit"):
                    asyncio.run(engine.run([cell_id] if kind == "run" else []))
                case "rerun" if cell_id in kernel.graph.cells:
                    asyncio.run(engine.run([cell_id]))
                case "delete":
                    engine.delete([cell_id])
                case "settle":
                    asyncio.run(engine.run(kernel.graph.get_stale() - kernel.errors.keys()))
            told.append(
                {
                    "said": host.said,
                    "stale": kernel.graph.get_stale(),
                    "errors": engine._errors(),
                    "values": {one: repr(host.module.__dict__.get(one)) for one in (*NAMES, "mo")},
                    "states": str(host.module.__dict__.get("get", str)()),
                    "kept": {
                        one: len(items)
                        for one, items in kernel.context.cell_lifecycle_registry.registry.items()
                    },
                    "named": sorted(kernel.context.state_registry._states),
                    "ended": {one: cell.run_result_status for one, cell in kernel.graph.cells.items()},
                    "imported": [cell.import_workspace.imported_defs for cell in kernel.graph.cells.values()],
                }
            )
            host.said = []
    finally:
        teardown_context()
    return told


@pytest.fixture(autouse=True)
def _modules_as_they_were() -> Iterator[None]:
    yield
    patches.install()


@settings(max_examples=inputs(10, 300), deadline=None, derandomize=True, database=None)
@given(st.lists(operation, min_size=3, max_size=14))
def test_whatever_runs_it_ends_as_with_marimos_own_steps(operations: list[Operation]) -> None:
    steps = [STATE, *operations]
    assert story(reactive.ReactiveKernel, steps) == story(AsMarimoDoes, steps)


@pytest.mark.parametrize("stale", [set(), {FIRST}, {SECOND}, {FIRST, SECOND}])
def test_a_cell_that_became_stale_while_it_waited_is_fresh_when_it_runs_after_fresh_cells(
    stale: set[str],
) -> None:
    indexed, theirs = graph.IndexedGraph(), DirectedGraph()
    for each, hook in ((indexed, run_steps.clear_staleness), (theirs, hooks_pre_execution._set_staleness)):
        for cell_id, text in ((FIRST, "a = 1"), (SECOND, "b = a")):
            each.register_cell(cell_id, compile_cell(text, cell_id=cell_id))
        for cell_id in stale:
            each.cells[cell_id].set_stale(True)
        hook(each.cells[SECOND], PreExecutionHookContext(each, "lazy"))
    assert (
        indexed.get_stale()
        == theirs.get_stale()
        == stale - {SECOND} | ({SECOND} if len(stale) > 1 else set())
    )
