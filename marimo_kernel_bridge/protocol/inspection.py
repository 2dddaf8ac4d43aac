"""What can be read of a kernel besides its cells, as values: variables, UI elements, matches of a search, secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marimo_kernel_bridge.protocol.notebook import Cell, RunReport  # noqa: TC001  # msgspec looks at it


@dataclass(frozen=True)
class Variable:
    """A global name. `type` is the class's full name; `summary` says what can be said without running its code.

    `ui_element`: it holds a marimo UI element, whose value can be set. `defined_by` is the id of the cell that defines
    the name, None if no cell does.
    """

    name: str
    type: str
    summary: str
    ui_element: bool = False
    defined_by: str | None = None


@dataclass(frozen=True)
class UiElement:
    """A marimo UI element or a Jupyter widget that can be set.

    `element` is what a request to set it names: the global variable that holds it, or its id where none does. `takes`
    says which values. `runs_readers`: a new value runs the cells that read it; otherwise only its own callbacks run.
    `defined_by` is the id of the cell that defines the variable.
    """

    element: str
    kind: str
    value: str
    takes: str
    label: str = ""
    runs_readers: bool = True
    defined_by: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    dtype: str


@dataclass(frozen=True)
class VariableContent:
    """A variable with a sample of what is in it.

    For tables `columns`, `rows` (the first ones, as text) and `total_rows`; for other containers and arrays `items`.
    `sampled` is False where nothing was taken because a cell ran meanwhile.
    """

    variable: Variable
    columns: tuple[Column, ...] = ()
    total_columns: int | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    total_rows: int | None = None
    items: tuple[str, ...] = ()
    total_items: int | None = None
    facts: tuple[str, ...] = ()
    sampled: bool = True


@dataclass(frozen=True)
class Match:
    """A line in which a search found its text. `line` counts from 1, in the code or in the outputs' text."""

    cell_id: str
    where: Literal["code", "output"]
    line: int
    text: str


@dataclass(frozen=True)
class Matches:
    """The first matches, and how many there are. `unread` are cells whose outputs are too long to search whole."""

    found: tuple[Match, ...]
    total: int
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secret:
    """An environment variable of the kernel that looks like a secret."""

    name: str
    value: str


@dataclass(frozen=True)
class RunOutcome:
    """What is known of a run at one moment: its report if there is one, and the cells in it as they are."""

    report: RunReport | None
    cells: tuple[Cell, ...]
