"""One place in a cell that means a global name, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Act = Literal["load", "store", "delete"]
Form = Literal["name", "import", "import_dotted", "shown", "quoted"]


@dataclass(frozen=True)
class Occurrence:
    """One place where a cell means a global name.

    `start` and `end` are offsets in the cell's text. `late` places are inside of functions, and do something only
    when the function is called; `owner` is the global name that the function belongs to. `exposed` is a load or
    a `del` that may see what another cell bound. `statement` counts the cell's statements from 0. `form` says what must be written
    for another name: `import x` becomes `import x as y`; `f"{x=}"` shows the name itself; a `quoted` one is in a string that
    is evaluated, where marimo's private names are not known.
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
