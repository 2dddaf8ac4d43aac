"""What the kernel of a plugin returns. Values only; new optional fields may be added without another `API`."""

from __future__ import annotations

import msgspec

from marimo_kernel_bridge.protocol.views import Scalar  # noqa: TC001  # msgspec looks at annotations


class Cell(msgspec.Struct, frozen=True):
    """A cell that ran. `status` is that of its last run; `stale`: what it needs has changed since."""

    cell_id: str
    version: int
    code: str
    status: str
    stale: bool
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    notebook_cell_id: str | None = None


class Variable(msgspec.Struct, frozen=True):
    """A global variable: the name of its class, what can be said of it, and the cell that defines it."""

    name: str
    type: str
    summary: str
    defined_by: str | None = None


class VariableContent(msgspec.Struct, frozen=True):
    """A variable with a part of its content as text. `sampled` is False while a cell runs: then there is none."""

    variable: Variable
    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    total_rows: int | None = None
    items: tuple[str, ...] = ()
    total_items: int | None = None
    facts: tuple[str, ...] = ()
    sampled: bool = True


class Column(msgspec.Struct, frozen=True):
    """A column, and what its values are: integer, number, decimal, text, boolean, date, datetime, ..."""

    name: str
    kind: str


class Table(msgspec.Struct, frozen=True):
    """A part of a table, or its groups. Times are ISO text, missing values None.

    `kind` is what the variable holds ("pandas DataFrame"), `total` the rows of all, `note` a sentence on how these rows came
    of them; empty if they are all.
    """

    kind: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    total: int
    note: str = ""


class Drawn(msgspec.Struct, frozen=True):
    """Whether a chart is in the answer as a picture, and its description, or why there is no picture."""

    picture: bool
    text: str


class Outcome(msgspec.Struct, frozen=True):
    """How code or an edit ended, what it printed and showed as text, and which cells ran."""

    status: str
    text: str = ""
    message: str = ""
    ran: tuple[str, ...] = ()
