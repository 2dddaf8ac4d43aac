"""Conversion of marimo's graph errors to values of the interface."""

from __future__ import annotations

from marimo._messaging import errors

from marimo_kernel_bridge.runtime.interface import GraphError, plain_name


def graph_error(error: errors.Error) -> GraphError:
    """Return why the graph refuses a cell."""
    match error:
        case errors.MultipleDefinitionError(name=name, cells=cells):
            return GraphError("multiple_definition", error.describe(), name, tuple(cells))
        case errors.CycleError(edges_with_vars=edges):
            names = ", ".join(sorted({plain_name(name) for _, names, _ in edges for name in names}))
            cells = tuple(sorted({cell for source, _, target in edges for cell in (source, target)}))
            return GraphError("cycle", error.describe(), names, cells)
        case errors.ImportStarError():
            return GraphError("import_star", error.describe())
        case errors.MarimoSyntaxError():
            return GraphError("syntax", error.describe())
        case _:
            # If marimo itself fails on the code, the message is a complete traceback.
            return GraphError("other", error.describe().rstrip().rpartition("\n")[2])
