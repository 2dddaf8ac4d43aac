"""What clients can read from a kernel besides its cells: variables, UI elements, search results. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from marimo_kernel_bridge.protocol.notebook import Cell, RunReport  # noqa: TC001  # msgspec looks at it


@dataclass(frozen=True)
class Variable:
    """A global variable. `type` is the full name of its class; `summary` describes it as far as possible without running code.

    `ui_element`: it holds a marimo UI element that can be set. `defined_by` is the id of the cell that defines the
    name, None if no cell does.
    """

    name: str
    type: str
    summary: str
    ui_element: bool = False
    defined_by: str | None = None


@dataclass(frozen=True)
class UiElement:
    """A marimo UI element or a Jupyter widget that can be set.

    `element` identifies it in a request to set it: the global variable that holds it, or else its id. `takes` describes
    the accepted values. `runs_readers`: a new value runs the cells that read it; otherwise only its callbacks run.
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
    """A column of a table.

    Of a variable that was sampled also `nulls`, the number of `distinct` values, the `least` and the `most` one, and the `top`
    ones, which occur most, with their counts; of what cannot be told without running code of values, nothing.
    """

    name: str
    dtype: str
    nulls: int | None = None
    distinct: int | None = None
    least: str = ""
    most: str = ""
    top: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class VariableContent:
    """A variable with a sample of its content.

    Tables have `columns`, `rows` (the first ones, as text) and `total_rows`; other containers and arrays have `items`. `labels` are
    those of the rows or items, if they are not their positions.
    `sampled` is False if no sample could be read because a cell was running.
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
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """What may stand at a place in code. `kind` is function, class, module, property, value, key, column, argument, keyword or name."""

    name: str
    kind: str
    signature: str = ""


@dataclass(frozen=True)
class Completions:
    """The likeliest completions, of `total`. They replace `part`, the beginning of a name that is there already."""

    part: str
    matches: tuple[Completion, ...]
    total: int


@dataclass(frozen=True)
class Documentation:
    """What an expression is, as far as it can be known without evaluating it; `known` is False where it cannot.

    `missing` is its first name if there is none, and `near` are names like it.
    `kind` is function, class, module, property, value or instance (of `type`). `place` is the file and line of a function, as
    its code names them. `cell_id` defines the first name in the expression.
    """

    expression: str
    known: bool = True
    kind: str = ""
    type: str = ""
    summary: str = ""
    signature: str = ""
    doc: str = ""
    place: str = ""
    cell_id: str | None = None
    missing: str = ""
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """A line that matches a search. `line` counts from 1, in the code or in the text of the outputs."""

    cell_id: str
    where: Literal["code", "output"]
    line: int
    text: str


@dataclass(frozen=True)
class Matches:
    """The first matches, and their total number. `unread` are cells with outputs too long to search completely."""

    found: tuple[Match, ...]
    total: int
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secret:
    """A variable of an environment that looks like a secret. Never sent."""

    name: str
    value: str


@dataclass(frozen=True)
class Redacted:
    """JSON without the secrets that the kernel knows."""

    value: Any


@dataclass(frozen=True)
class OwnMarks:
    """Which texts in cells that look like marks of redaction are people's own, and which stand for a secret.

    `own` are the former, by each id of their cell: those that stand for nothing else in it. `hiding` are those that stand for a
    secret in any cell.
    """

    own: dict[str, tuple[str, ...]]
    hiding: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunOutcome:
    """The state of a run at one moment: its report, if there is one, and the current state of its cells."""

    report: RunReport | None
    cells: tuple[Cell, ...]
