"""Answers about the whole notebook: search, dataflow, variables, UI elements, errors, previews of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.answers.deaths import DeathField  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.answers.origin import Origin  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.tables import NAMES, SENT, count_of
from marimo_kernel_bridge.mcp_server.answers.view import one_line, quoted
from marimo_kernel_bridge.protocol.changes import GraphProblem  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.protocol.environment import MissingImport  # noqa: TC001  # pydantic looks at it

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class FoundLine:
    """A line that matches. `where` is markdown, raw or output, where it is not the code; `line` counts from 1."""

    cell_id: str
    line: int
    text: str
    where: str = "code"


@dataclass(frozen=True)
class SearchResult:
    """Lines that match. `unread` are cells with outputs too long to search completely; `origin` is missing for the open document."""

    matches: tuple[FoundLine, ...]
    total: int = field(metadata=count_of("matches"))
    origin: Origin | None = None
    unread: tuple[str, ...] = ()
    note: str = ""
    query: str = field(default="", metadata=SENT)

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(f"{self.total} {'line contains' if self.total == 1 else 'lines contain'} {self.query!r}")
        lines += [] if self.origin is None else [self.origin.line()]
        lines += [
            f"{match.cell_id} {match.where}:{match.line}: {one_line(match.text)}" for match in self.matches
        ]
        if self.total > len(self.matches):
            lines.append(f"{self.total - len(self.matches)} more; a higher limit shows them.")
        if self.unread:
            lines.append(f"outputs too long to search whole: {', '.join(self.unread)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class FlowCell:
    """An upstream or downstream cell. `distance` is in edges; `names` are those on the edge nearest to the start."""

    cell_id: str
    code: str
    distance: int
    names: tuple[str, ...] = field(metadata=NAMES)
    status: str = "ok"
    stale: bool = False


@dataclass(frozen=True)
class Dataflow:
    """What a cell or a variable depends on, and what depends on it. `cells` are the starting points."""

    about: str
    cells: tuple[str, ...] = field(metadata=NAMES)
    upstream: tuple[FlowCell, ...] = ()
    downstream: tuple[FlowCell, ...] = ()
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(f"{self.about} ({', '.join(self.cells)})")
        for title, cells in (("depends on", self.upstream), ("is used by", self.downstream)):
            lines.append(f"--- {title}" + ("" if cells else ": nothing"))
            lines += [_flow_line(cell) for cell in cells]
        return "\n".join(lines)


@dataclass(frozen=True)
class VariableLine:
    """A variable. `cell_id` is the cell that defines it, missing if no cell does."""

    name: str
    type: str
    summary: str = ""
    cell_id: str | None = None
    ui_element: bool = False


@dataclass(frozen=True)
class VariableList:
    """Variables `offset` to `offset + len(variables)` of `total`, and the imported modules."""

    variables: tuple[VariableLine, ...]
    total: int = field(metadata=count_of("variables"))
    modules: tuple[str, ...] = ()
    offset: int = 0
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(f"{self.total} variables" + (":" if self.variables else ""))
        lines += [_variable_line(variable) for variable in self.variables]
        end = self.offset + len(self.variables)
        if self.variables and end < self.total:
            lines.append(f"list_variables(offset={end}) gives the next.")
        if self.modules:
            lines.append(f"modules: {', '.join(self.modules)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class UiElementLine:
    """A marimo UI element or an ipywidget. `element` names it for set_ui_value; `takes` says which values it takes.

    `runs_readers`: a new value runs the cells that read it; otherwise only its own callbacks run.
    """

    element: str
    kind: str
    value: str
    takes: str
    label: str = ""
    cell_id: str | None = None
    runs_readers: bool = True


@dataclass(frozen=True)
class UiElementList:
    """UI elements `offset` to `offset + len(elements)` of `total`."""

    elements: tuple[UiElementLine, ...]
    total: int = field(metadata=count_of("elements"))
    offset: int = 0
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(f"{self.total} UI elements" + (":" if self.elements else ""))
        lines += [_element_line(element) for element in self.elements]
        end = self.offset + len(self.elements)
        if self.elements and end < self.total:
            lines.append(f"list_ui_elements(offset={end}) gives the next.")
        return "\n".join(lines)


@dataclass(frozen=True)
class ColumnLine:
    """A column. `holds` says how many nulls and distinct values it has, its range, and which values occur most, with counts."""

    name: str
    dtype: str
    holds: str = ""

    def text(self) -> str:
        return f"{one_line(self.name)} {self.dtype}{f' · {self.holds}' if self.holds else ''}"


@dataclass(frozen=True)
class VariableView:
    """A variable and a sample of its content. Values are text; `<Name>` represents an object that was not converted.

    `labels` are those of `rows` or `items`, where they are not numbered.
    """

    type: str
    summary: str = ""
    cell_id: str | None = None
    ui_element: bool = False
    columns: tuple[ColumnLine, ...] = ()
    total_columns: int | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    total_rows: int | None = None
    items: tuple[str, ...] = ()
    total_items: int | None = None
    offset: int = 0
    facts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    note: str = ""
    name: str = field(default="", metadata=SENT)

    def text(self) -> str:
        origin = f", defined by cell {self.cell_id}" if self.cell_id else ""
        lines = [self.note] if self.note else []
        lines.append(f"{self.name}: {self.type}, {self.summary}{origin}".replace(", ,", ","))
        lines += self.facts
        if self.columns:
            lines += [column.text() for column in self.columns]
            part = f"{len(self.rows)} of {self.total_rows} rows{self._next(len(self.rows), self.total_rows)}"
            lines += [f"--- {part}", *self._labelled(" | ".join(row) for row in self.rows)]
        lines += self._labelled(self.items)
        if self.total_items is not None and self.total_items > len(self.items):
            lines.append(
                f"{len(self.items)} of {self.total_items} shown{self._next(len(self.items), self.total_items)}"
            )
        return "\n".join(lines)

    def _labelled(self, lines: Iterable[str]) -> Iterator[str]:
        for label, line in zip_longest(self.labels, lines):
            yield line if label is None else f"{one_line(label)}: {line}"

    def _next(self, shown: int, total: int | None) -> str:
        """Return where this part begins, and how to read the next."""
        begins = f", from {self.offset} on" if self.offset else ""
        end = self.offset + shown
        return begins + (
            f"; offset={end} gives the next" if shown and total is not None and end < total else ""
        )


@dataclass(frozen=True)
class Problem:
    """A problem of a cell. `kind` is runtime, missing_package, multiple_definition, cycle, syntax or interrupted.

    `line` counts in the cell's code, missing if it is unknown, and `code` is that line. `blocks` are cells that did
    not run because of the problem.
    """

    cell_id: str
    kind: str
    message: str
    line: int | None = None
    code: str = ""
    hint: str = ""
    blocks: tuple[str, ...] = field(default=(), metadata=NAMES)


@dataclass(frozen=True)
class ErrorList:
    """The problems in the notebook. `missing` are modules that any cell imports, run or not, and that are not installed.

    `death` is that of the kernel's process before this one, as long as names are lost by it.
    """

    errors: tuple[Problem, ...]
    cells: int
    missing: tuple[MissingImport, ...] = ()
    stale: tuple[str, ...] = field(default=(), metadata=NAMES)
    note: str = ""
    death: DeathField = None

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines += [] if self.death is None else self.death.lines()
        lines.append(f"{len(self.errors)} of {self.cells} cells have problems" + (":" if self.errors else ""))
        for error in self.errors:
            where = f" line {error.line}" if error.line else ""
            where += f" {quoted(error.code)}" if error.code else ""
            lines.append(f"- {error.cell_id}{where}, {error.kind}: {error.message}")
            if error.hint:
                lines.append(f"  {error.hint}")
            if error.blocks:
                lines.append(f"  not run because of it: {', '.join(error.blocks)}")
        lines += [
            f"missing: {module.module} (package {module.package}), imported by {', '.join(module.cells)}"
            for module in self.missing
        ]
        if self.stale:
            lines.append(f"stale: {', '.join(self.stale)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class ExpectedCell:
    """A cell that would run. `last_seconds` is the duration of its last run, missing if it never ran."""

    cell_id: str
    code: str
    last_seconds: float | None = None
    stale: bool = False


@dataclass(frozen=True)
class Preview:
    """The cells that would run, in the kernel's order, and the problems that the graph would report.

    With problems other than `undefined_name` the edits would be refused. `last_seconds` is the sum of the known
    durations; `unknown` counts the cells that never ran. `hints` say which cells cost most, and which keep their results.
    """

    message: str
    would_run: tuple[ExpectedCell, ...]
    last_seconds: float
    unknown: int = 0
    problems: tuple[GraphProblem, ...] = ()
    hints: tuple[str, ...] = ()
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(self.message)
        lines += self.hints
        lines += [f"- {problem.kind}: {problem.message}" for problem in self.problems]
        for cell in self.would_run:
            last = "never ran" if cell.last_seconds is None else f"{took(cell.last_seconds)} last time"
            lines.append(f"{cell.cell_id} · {last} · {quoted(cell.code)}")
        return "\n".join(lines)


def _flow_line(cell: FlowCell) -> str:
    state = f"{cell.status}, stale" if cell.stale else cell.status
    return f"{'  ' * (cell.distance - 1)}{cell.cell_id} through {', '.join(cell.names)} · {state} · {quoted(cell.code)}"


def _element_line(element: UiElementLine) -> str:
    facts = [
        f"{element.element}: {element.kind}",
        element.label,
        f"value {element.value}" if element.value else "",
    ]
    facts.append(f"takes {element.takes}" if element.takes else "")
    facts.append(f"cell {element.cell_id}" if element.cell_id else "")
    facts.append("" if element.runs_readers else "runs no cells by itself")
    return " · ".join(filter(None, facts))


def _variable_line(variable: VariableLine) -> str:
    facts = [
        f"{variable.name}: {variable.type}",
        variable.summary,
        "UI element" if variable.ui_element else "",
    ]
    facts.append(f"cell {variable.cell_id}" if variable.cell_id else "")
    return " · ".join(filter(None, facts))
