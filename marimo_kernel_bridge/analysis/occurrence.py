"""An occurrence of a global name in a cell, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Act = Literal["load", "store", "delete"]
Form = Literal["name", "import", "import_dotted", "shown", "quoted"]


@dataclass(frozen=True)
class Occurrence:
    """One place where a cell refers to a global name.

    `start` and `end` are offsets in the cell's text. A `late` occurrence is inside a function and takes effect when the
    function is called; `owner` is the global name that the function belongs to. `exposed` is a load or a `del` that may
    see the binding of another cell. `statement` counts the cell's statements from 0. `form` says how to rename it:
    `import x` becomes `import x as y`; `f"{x=}"` displays the name itself; a `quoted` one is in an evaluated string,
    where marimo does not mangle private names.
    """

    name: str
    act: Act
    start: int
    end: int
    statement: int
    order: int
    late: bool = False
    owner: str | None = None
    exposed: bool = False
    looped: bool = False
    form: Form = "name"
    origin: str | None = None
    temporary: bool = False
    called: bool = False
    augmented: bool = False
