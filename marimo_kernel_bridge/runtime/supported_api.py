"""The check at start-up that the installed marimo is one whose private API this package knows."""

from __future__ import annotations

import importlib
import inspect
from importlib import metadata
from typing import Final

from marimo_kernel_bridge.errors import BridgeError

SUPPORTED: Final = ">=0.25.2,<0.26"
_LOWEST: Final = (0, 25, 2)
_BELOW: Final = (0, 26)

# What `runtime/` calls or replaces, as module:attribute -> parameters it relies on.
CALLED: Final[dict[str, tuple[str, ...]]] = {
    "marimo._runtime.runtime:Kernel.__init__": (
        "cell_configs",
        "app_metadata",
        "user_config",
        "streams",
        "module",
        "enqueue_control_request",
        "hooks",
    ),
    "marimo._runtime.runtime:Kernel.mutate_graph": (
        "execution_requests",
        "deletion_requests",
        "cells_starting_stale",
    ),
    "marimo._runtime.runtime:Kernel._run_cells": ("cell_ids",),
    "marimo._runtime.runtime:Kernel._invalidate_cell_state": ("cell_id", "exclude_defs", "deletion"),
    "marimo._runtime.runtime:Kernel.register_state_update": ("state",),
    "marimo._runtime.context.kernel_context:initialize_kernel_context": (
        "kernel",
        "streams",
        "virtual_file_storage",
        "mode",
    ),
    "marimo._runtime.kernel_lifecycle:teardown_kernel": ("kernel", "ctx"),
    "marimo._runtime.runner.cell_runner:resolve_executor": (),
    "marimo._runtime.runner.cell_runner:write_traceback": (),
    "marimo._ast.compiler:compile_cell": ("code", "cell_id"),
    "marimo._ast.visitor:ScopedVisitor": ("mangle_prefix",),
    # Showing its objects: display.py, embedding.py, notifications.py, wrapped.py.
    "marimo._output.formatting:FormatterRegistry.get_formatter": ("obj",),
    "marimo._output.formatting:as_html": ("value",),
    "marimo._output.formatters.structures:format_structure": ("t",),
    "marimo._plugins.core.web_component:build_stateless_plugin": ("component_name", "args"),
    "marimo._plugins.ui._impl.tables.utils:get_table_manager": ("data",),
    "marimo._runtime.output._output:write_internal": ("cell_id", "value"),
    "marimo._runtime.output:clear_console": (),
    "marimo._runtime.capture:_redirect": ("msg",),
    "marimo._messaging.print_override:print_override": (),
    "marimo._messaging.serde:deserialize_kernel_message": ("message",),
    # Values of UI elements, widgets, caches: engine.py, ui_values.py, widgets.py, caching.py.
    "marimo._runtime.runtime:Kernel.set_ui_element_value": ("request", "notify_frontend"),
    "marimo._plugins.ui._core.registry:UIElementRegistry.register": ("object_id", "ui_element"),
    "marimo._plugins.ui._impl.from_anywidget:get_anywidget_model_id": ("widget",),
    "marimo._save.save:find_cell": ("filename", "lineno"),
    "marimo._save.hash:BlockHasher.extract_missing_ref": ("refs", "scope"),
    "marimo._save.hash:BlockHasher.extract_ref_state_and_normalize_scope": ("refs", "scope"),
}


def installed() -> str | None:
    """Return the version of the installed marimo, None if there is none. Does not import marimo."""
    try:
        return metadata.version("marimo")
    except metadata.PackageNotFoundError:
        return None


def check_version() -> None:
    """Refuse a marimo outside of the supported range. Raises `BridgeError`: runtime_mismatch."""
    version = installed()
    if version is None:
        raise BridgeError(
            "runtime_mismatch", "marimo is not installed.", f"Run: pip install 'marimo{SUPPORTED}'"
        )
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if not _LOWEST <= numbers < _BELOW:
        raise BridgeError(
            "runtime_mismatch",
            f"marimo {version} is installed, this version of marimo-kernel-bridge needs marimo{SUPPORTED}.",
            f"Run: pip install 'marimo{SUPPORTED}'",
        )


def missing_api() -> list[str]:
    """Return what `engine.py` needs and the installed marimo lacks, as readable lines. Imports marimo."""
    lines: list[str] = []
    for target, needed in CALLED.items():
        module_name, _, path = target.partition(":")
        found: object = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            lines.append(f"{target} is gone")
            continue
        parameters = inspect.signature(found).parameters
        lines.extend(f"{target} takes no {name!r}" for name in needed if name not in parameters)
    return lines
