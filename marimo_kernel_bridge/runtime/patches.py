"""Every function of marimo that the kernel replaces for its process, in one table.

A replacement finds its kernel through marimo's context, so that a second kernel in the process is independent of the
first. Methods that are overridden in subclasses are in `OVERRIDDEN`. Both are checked against the record of signatures
before the first kernel is created; docs/decisions/0007-patches.md has the table for readers.
"""

from __future__ import annotations

import builtins
from typing import Final

from marimo_kernel_bridge.runtime import caching, cell_code, process_state
from marimo_kernel_bridge.runtime.display import embedding, notification_stream
from marimo_kernel_bridge.runtime.graph import indexed_graph, indexes, run_order
from marimo_kernel_bridge.runtime.host_executor import resolve_executor
from marimo_kernel_bridge.runtime.marimo_kernel import ReactiveKernel
from marimo_kernel_bridge.runtime.ui import widgets
from marimo_kernel_bridge.startup import patching
from marimo_kernel_bridge.startup.patching import Patch

PATCHES: Final = (
    Patch(
        "marimo._ast.visitor:deepcopy",
        cell_code.copy_of_tree,
        "Copies a function's tree without what other libraries have attached to the operators that all trees share: "
        "after a traceback, the whole file that it shows.",
    ),
    Patch(
        "marimo._runtime.dataflow:topological_sort",
        run_order.topological_sort,
        "Runs cells in the order of the document, and sorts without numbering all cells.",
        "https://github.com/marimo-team/marimo/pull/3060",
    ),
    Patch(
        "marimo._runtime.runner.cell_runner:Runner.compute_cells_to_run",
        run_order.cells_to_run,
        "Finds stale ancestors from the index instead of walking all ancestors of each cell that runs.",
    ),
    Patch(
        "marimo._runtime.runner.cell_runner:resolve_executor",
        resolve_executor,
        "Runs bodies through IPython. The entry point that marimo has for it would hold for every marimo in the "
        "environment, and looking it up takes 6 ms a run.",
        "https://github.com/marimo-team/marimo/pull/9616",
    ),
    Patch(
        "marimo._runtime.runner.cell_runner:write_traceback",
        notification_stream.write_nothing,
        "IPython has shown the traceback of the cell.",
    ),
    Patch(
        "marimo._runtime.runtime:write_traceback",
        notification_stream.write_error,
        "Shows errors of `on_change` handlers in the cell instead of sending them to marimo's frontend.",
    ),
    Patch(
        "marimo._save.save:write_traceback",
        notification_stream.write_error,
        "Shows errors of caches in the cell instead of sending them to marimo's frontend.",
    ),
    Patch(
        "marimo._output.formatting:FORMATTERS",
        embedding.FORMATTERS,
        "Shows an object in a layout as Jupyter shows it alone. marimo's own registration patches libraries.",
    ),
    Patch(
        "marimo._runtime.output._output:write_internal",
        notification_stream.write_internal,
        "Shows each thing in `mo.output` as a display of its own, updated in place.",
    ),
    Patch(
        "marimo._runtime.capture:_redirect",
        notification_stream.redirect,
        "Shows what `mo.redirect_stdout` catches as one text instead of one output for each print.",
    ),
    Patch(
        "marimo._messaging.notification_utils:serialize_kernel_message",
        notification_stream.encode,
        "Encodes alerts alone: nobody reads the other notifications, and code with half a surrogate pair cannot be "
        "encoded.",
    ),
    Patch(
        "marimo._messaging.print_override:print_override",
        builtins.print,
        "ipykernel's streams know whose thread prints; marimo's `print` sends notifications.",
    ),
    Patch(
        "marimo._plugins.ui._impl.from_anywidget:get_anywidget_model_id",
        widgets.observe_widget,
        "Leaves widgets their Jupyter comm, where marimo gives them one to its own frontend.",
        "https://github.com/marimo-team/marimo/pull/8972",
    ),
    Patch(
        "marimo._save.save:find_cell",
        caching.find_cell,
        "Finds the code around `mo.persistent_cache` in cells that IPython compiled.",
    ),
    Patch(
        "marimo._save.hash:BlockHasher.extract_missing_ref",
        caching.extract_missing_ref,
        "`__builtins__` is a module in `__main__`, and marimo expects a dict.",
    ),
    Patch(
        "marimo._save.hash:BlockHasher.extract_ref_state_and_normalize_scope",
        caching.extract_ref_state_and_normalize_scope,
        "`__builtins__` is a module in `__main__`, and marimo expects a dict.",
    ),
    Patch(
        "marimo._runtime.patches:patch_micropip",
        process_state.leave_imports_alone,
        "marimo's Kernel runs code in the user's namespace that pretends there is a module `micropip`.",
    ),
)

OVERRIDDEN: Final = (
    ReactiveKernel,
    indexed_graph.IndexedGraph,
    indexed_graph.IndexedModules,
    indexes.IndexedTopology,
    indexes.IndexedDefinitions,
    embedding.JupyterFormatters,
    notification_stream.NotificationStream,
    widgets.ElementRegistry,
)
"""Classes that override marimo's methods."""


def install() -> None:
    """Replace marimo's functions, once. Raises `BridgeError`: runtime_mismatch."""
    patching.apply(PATCHES, OVERRIDDEN)


def mismatches() -> list[str]:
    """Return how the installed marimo differs from the record of replaced and overridden names, one sentence each."""
    return patching.mismatches(PATCHES, OVERRIDDEN)
