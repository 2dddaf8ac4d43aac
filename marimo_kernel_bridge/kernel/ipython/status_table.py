"""The cells of a notebook and their state as a table, in HTML and in plain text. Pure: cells in, text out."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.ipython.graph_picture import FAILED, clip, state, title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from marimo_kernel_bridge.kernel.notebook.agents import SeenAgent
    from marimo_kernel_bridge.protocol.notebook import Cell

_CELL, _NAMES = 50, 40  # columns


def summary(mode: str, cells: Sequence[Cell], *, strict: bool = False) -> str:
    """Return the state of the notebook as one line."""
    stale = sum(cell.stale for cell in cells)
    failed = sum(state(cell) in FAILED for cell in cells)
    parts = [f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"]
    parts += [f"{stale} stale"] if stale else []
    parts += [f"{failed} with {'an error' if failed == 1 else 'errors'}"] if failed else []
    return f"marimo {mode}{', strict' if strict else ''}: {', '.join(parts)}"


def not_saved(cells: Sequence[Cell], saved: Iterable[str], file: str) -> str:
    """Return a line for each cell whose code is not in the saved file, with the command that forgets a deleted cell."""
    saved_codes = {code.strip() for code in saved}
    missing = [cell for cell in cells if cell.code.strip() not in saved_codes]
    lines = [
        f"not in {file} as saved: {clip(title(cell), _CELL)}; if you deleted it, `%marimo forget "
        f"{cell.cell_id if cell.execution_count is None else cell.execution_count}`"
        for cell in missing
    ]
    return "\n".join(lines)


def unforeseen(cells: Sequence[Cell], names: Mapping[str, Iterable[str]]) -> str:
    """Return a line for each cell that has changed objects although its code does not show that."""
    return "\n".join(
        f"seen when {clip(title(cell), _CELL)} ran, not in its code: it changes "
        f"{', '.join(sorted(names[cell.cell_id]))}"
        for cell in cells
        if cell.cell_id in names
    )


def unwatched(cells: Sequence[Cell]) -> str:
    """Return a line for each cell with objects that are too large to be compared before and after it runs."""
    return "\n".join(
        f"not watched in {clip(title(cell), _CELL)}: {', '.join(cell.not_watched)}; what the code does not "
        "show of its changes runs no other cell"
        for cell in cells
        if cell.not_watched
    )


def agents(seen: Iterable[SeenAgent], *, paused: bool) -> str:
    """Return a line for each agent that has used the kernel, and below it what it did last, with how long ago that was."""
    now = time.time()
    lines = [line for agent in seen for line in _of_agent(agent, now)]
    state = (
        "paused, also after a restart: they can only read; `%marimo resume` ends it"
        if paused
        else "not paused"
    )
    return "\n".join([f"agents {state}", *(lines or ["none has used this kernel"])])


def _of_agent(agent: SeenAgent, now: float) -> Iterator[str]:
    yield f"{agent.name}: {agent.told}, last heard {_ago(now - agent.last_heard)}"
    for action in reversed(agent.actions):
        yield f"  {_ago(now - action.at)}: {action.what}"


def _ago(seconds: float) -> str:
    """Return how long ago something was, in the unit that fits."""
    minute, hour, day = 60, 3600, 86400
    for unit, name in ((day, "d"), (hour, "h"), (minute, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def text_table(cells: Sequence[Cell]) -> str:
    """Return a line for each cell: its label, its state, the names it uses and defines."""
    rows = [(clip(title(cell), _CELL), state(cell), clip(_names(cell), _NAMES)) for cell in cells]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(
        f"{first:<{widths[0]}}  {second:<{widths[1]}}  {third}".rstrip() for first, second, third in rows
    )


def _names(cell: Cell) -> str:
    used = f"{', '.join(cell.uses)} → " if cell.uses else ""
    return f"{used}{', '.join(cell.defines)}"


def html_table(cells: Sequence[Cell]) -> str:
    """Return the cells as an HTML table, without colors of its own, so that it fits any theme."""
    head = "".join(
        f'<th style="text-align:left">{name}</th>' for name in ("cell", "state", "uses", "defines")
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:left">{value}</td>'
            for value in (
                f"<code>{html.escape(clip(title(cell), _CELL))}</code>",
                _emphasized(state(cell)),
                html.escape(clip(", ".join(cell.uses), _NAMES)),
                html.escape(clip(", ".join(cell.defines), _NAMES)),
            )
        )
        + "</tr>"
        for cell in cells
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _emphasized(word: str) -> str:
    return word if word == "ok" else f"<b>{word}</b>"
