"""The kernel's messages to users: refusals, reasons why a cell did not run, notices, headings.

Each error says what to do next. `outputs` and `notebook` decide where the messages are shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import METADATA_KEY
from marimo_kernel_bridge.protocol.notebook import CellError
from marimo_kernel_bridge.protocol.output_log import EDITED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.messages import Content
    from marimo_kernel_bridge.protocol.notebook import Cell, Death
    from marimo_kernel_bridge.runtime.interface import GraphError

_LABEL_WIDTH = 40


def label(cell: Cell) -> str:
    """Return a label that identifies a cell for users: its execution count and its first line."""
    lines = [line.strip() for line in split_lines(cell.code) if line.strip()]
    first = lines[0] if lines else "(empty)"
    if len(first) > _LABEL_WIDTH or len(lines) > 1:
        first = first[: _LABEL_WIDTH - 1] + "…"
    count = "" if cell.execution_count is None else f" [{cell.execution_count}]"
    return f"cell{count} `{first}`"


def refusal(errors: Sequence[GraphError], find: Callable[[str], Cell | None]) -> CellError:
    """Return why the graph refuses a cell, and how to fix it."""
    names = {"multiple_definition": "MultipleDefinitionError", "cycle": "CycleError", "syntax": "SyntaxError"}
    texts = [_refusal_text(error, find) for error in errors]
    return CellError(names.get(errors[0].kind, "NotebookError"), "\n".join(texts))


def _refusal_text(error: GraphError, find: Callable[[str], Cell | None]) -> str:
    others = " and ".join(label(cell) for cell in map(find, error.cells) if cell is not None)
    match error.kind:
        case "multiple_definition":
            return (
                f"`{error.name}` is already defined by {others}. In a reactive notebook one cell defines a name: "
                f"rename it here, call it `_{error.name}` to keep it local to this cell, or delete the other cell."
            )
        case "cycle":
            return (
                f"These cells wait for each other through {error.name}: {others}. "
                "Merge them, or move the code that they share into a separate cell."
            )
        case "import_star":
            return f"{error.message} Import the names that you use."
        case "syntax" | "other":
            return error.message


def not_run(because: Cell) -> CellError:
    """Return the error of a cell that did not run because an upstream cell failed."""
    reason = f"failed with {because.error.ename}" if because.error is not None else "did not run"
    if because.status == "interrupted":
        reason = "was interrupted"
    return CellError(
        "UpstreamError", f"not run: {label(because)} {reason}. This cell runs again when that one does."
    )


def waits_for(above: Cell) -> CellError:
    """Return the error of a cell that needs one with new code of an agent that nobody has run."""
    return CellError(
        "UpstreamError",
        f"not run: {label(above)} has code of {above.edited_by} that nobody has run. Run that cell first, or "
        "`%marimo run stale`.",
    )


def interrupted() -> CellError:
    """Return the error of a cell that was about to run when the run was interrupted."""
    return CellError("KeyboardInterrupt", "not run: interrupted before its turn. Run it again to refresh it.")


def stopped(because: Cell) -> Content:
    """Return the notice that a cell did not run because `mo.stop` ended an upstream cell."""
    return _notice("stopped", f"not run: {label(because)} was stopped by mo.stop")


def edited(cell: Cell) -> Content:
    """Return the notice that the notebook shows older code than the kernel runs."""
    text = f"changed by {cell.edited_by}; this notebook still shows the older code. The kernel runs:\n{cell.code}"
    # The code ends at a fence that is longer than any in it: what follows a fence is HTML, which front ends run.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", cell.code)), default=0))
    markdown = (
        f"*Changed by **{_escaped(cell.edited_by)}**; this notebook still shows the older code. "
        f"Running this cell restores it. The kernel runs:*\n\n{fence}python\n{cell.code}\n{fence}"
    )
    return _notice(EDITED, text, markdown)


def _escaped(name: str) -> str:
    """Return a name as Markdown that shows it letter by letter."""
    return "".join(letter if letter.isalnum() or letter in " .," else f"&#{ord(letter)};" for letter in name)


def deleted(client: str) -> Content:
    """Return the notice that the kernel no longer has a cell."""
    return _notice(
        "deleted", f"deleted by {client}: the kernel no longer has this cell. Run it to add it again."
    )


def superseded(name: str, by: Cell) -> Content:
    """Return the notice that another cell took over a name from this one."""
    author = "" if by.edited_by == "notebook" else f", run by {by.edited_by},"
    return _notice(
        "superseded",
        f"`{name}` is now defined by {label(by)}{author} in place of this cell. Run this cell to take it back.",
    )


def redefined(names: Sequence[tuple[Sequence[str], Cell]]) -> Content:
    """Return the notice that a cell defines names that another cell also defines."""
    whose = ", ".join(f"{_listed(each)}: defined here and by {label(cell)}" for each, cell in names)
    rule = "each cell uses the definition above it (`%marimo strict` refuses this)"
    return _notice("redefined", f"{whose}; {rule}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def output_limit(limit: int) -> str:
    """Return the line after which a run's further output is not shown."""
    return (
        f"\n[This run has shown {limit:,} characters; the rest is not shown. The kernel keeps the beginning and the end; "
        "--MarimoKernel.output_limit=0 shows everything.]\n"
    )


def stale() -> Content:
    """Return the notice that an input of a cell changed since it ran."""
    text = "stale: an input changed since this cell ran. Run it, or `%marimo run stale`."
    return _notice("stale", text, f"*{text}*")


def stale_elsewhere(cells: Sequence[Cell]) -> Content:
    """Return the notice, shown in another cell, that cells on a page that may be closed are stale."""
    return _notice(
        "stale", "now stale: " + ", ".join(map(label, cells)) + ". Run them, or `%marimo run stale`."
    )


def checkpoint(offer: str) -> Content:
    """Return the notice of a new kernel that values of an earlier one can be restored."""
    return _notice("checkpoint", offer, f"*{offer}*")


def died(death: Death) -> Content:
    """Return the notice, shown in the first cell that a person runs, of how the kernel before this one died."""
    from marimo_kernel_bridge.protocol.deaths import sentence  # noqa: PLC0415  # few kernels follow a dead one

    again = "" if death.covered else " Run All runs the notebook again."
    return _notice("died", f"{sentence(death, f'`{death.code}`' if death.code else '')}{again}")


def memory(warning: str) -> Content:
    """Return the notice, shown in a running cell, that memory is short."""
    return _notice("memory", warning)


def exceeded(sentence: str) -> Content:
    """Return the notice, shown in a cell, that it has hit a limit of the kernel."""
    return _notice("limit", sentence)


def nothing() -> Content:
    """Return the content that replaces an outdated notice."""
    return _notice("none", "")


def heading(cell: Cell) -> str:
    """Return the heading of a dependent's outputs that are shown under another cell."""
    return f"↻ {label(cell)}"


def _notice(kind: str, text: str, markdown: str | None = None) -> Content:
    """Return the content of a display_data."""
    data = {"text/plain": text}
    if markdown is not None:
        data["text/markdown"] = markdown
    return {"data": data, "metadata": {METADATA_KEY: {"notice": kind}}, "transient": {}}
