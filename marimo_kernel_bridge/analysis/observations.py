"""What running a cell has shown that its text does not: objects shared or mutated, files, names read in strings.

Observations are analyzed with the cell's text: `text` renders them as statements that no notebook contains, since they
fail when they run (`...[model]`), and `mutations` reads them. So everything that is computed and cached by text holds.
A file is a name for the analysis, see `file_name`; so is the list of what is in a folder, as a path that ends in a separator,
and what a module has under a name, as `module.name`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

Pair = tuple[str, str]

_FILE: Final = "__file_"
_READ: Final = re.compile(r"\n\.\.\.\[(\w+),\]")
_BOUND: Final = re.compile(r"\n(\w+) = \.\.\.\[0\]")


def file_name(path: str) -> str:
    """Return the name that stands for a file in the analysis and in the graph."""
    return _FILE + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", path)


def is_file_name(name: str) -> bool:
    """Return whether a name stands for a file, so that it has no value."""
    return name.startswith(_FILE)


def file_path(name: str) -> str:
    """Return the path of the file for which a name stands, or `module.name`."""
    return re.sub(r"_([0-9a-f]+)_", lambda found: chr(int(found[1], 16)), name.removeprefix(_FILE))


@dataclass(frozen=True)
class Observations:
    """Facts about names after a cell has run.

    `shares` are pairs of names whose objects have a mutable part in common; `views` are pairs of arrays of which the
    first is a view of the second's memory. `outside` are names of objects that something outside of the notebook's
    names refers to, as `os.environ`. `mutates` are names of objects that the cell mutated. `reads` and `writes` are the
    names of files, see `file_name`: those that the cell reads as they were before it, and those that it writes.
    `appends` are files that it only adds to, and that no cell begins, such as logs, and folders in which it makes,
    renames or removes files. `quoted` are names in strings that it evaluates, also through functions that it calls,
    and of classes whose instances it uses. `binds` are names that it binds in such strings, or in `globals()`.
    """

    shares: frozenset[Pair] = frozenset()
    views: frozenset[Pair] = frozenset()
    outside: frozenset[str] = frozenset()
    mutates: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    appends: frozenset[str] = frozenset()
    quoted: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self != Observations()

    def text(self) -> str:
        """Return statements that say the same, each on a line; empty for no facts."""
        subscripts = [
            *(f"{name}:{other}" for name, other in sorted(self.shares)),
            *(f"{name}:{other}:1" for name, other in sorted(self.views)),
            *(f"{name}:" for name in sorted(self.outside)),
            *sorted(self.mutates),
        ]
        return "".join(
            (
                *(f"\n...[{subscript}]" for subscript in subscripts),
                # A file has one content, not one for each version: whoever overwrites it comes after who wrote it.
                *(f"\n...[{name},]" for name in sorted(self.quoted | self.reads | self.writes)),
                # Whoever adds to a log does not depend on who did before: it would add again.
                *(f"\n{name} = ...[0]" for name in sorted(self.writes | self.appends | self.binds)),
            )
        )

    def since(self, earlier: Observations) -> Observations:
        """Return these observations with those of an earlier run of the same code."""
        return replace(
            self,
            mutates=self.mutates | earlier.mutates,
            reads=self.reads | earlier.reads,
            writes=self.writes | earlier.writes,
            appends=(self.appends | earlier.appends) - self.writes - earlier.writes,
            binds=self.binds | earlier.binds,
        )

    def predicted(self, names: Container[str]) -> Observations:
        """Return what to expect of another code of the cell, which contains these names.

        A function that it calls may mutate what it does not name.
        """
        return Observations(
            frozenset(pair for pair in self.shares if pair[0] in names and pair[1] in names),
            frozenset(pair for pair in self.views if pair[0] in names and pair[1] in names),
            frozenset(name for name in self.outside if name in names),
            self.mutates,
            self.reads,
            self.writes,
            self.appends,
            frozenset(name for name in self.quoted if name in names),
            frozenset(name for name in self.binds if name in names),
        )


def read_unseen(text: str) -> frozenset[str]:
    """Return the names that a cell reads without mentioning them, by a text that `Observations.text` has rendered."""
    return frozenset(name for name in _READ.findall(text) if not is_file_name(name))


def bound_unseen(text: str) -> frozenset[str]:
    """Return the names that a cell binds although its text does not show it, by a text that `Observations.text` has rendered."""
    return frozenset(name for name in _BOUND.findall(text) if not is_file_name(name))


def observed_in(statement: ast.stmt) -> ast.expr | None:
    """Return the subscript of a statement that `Observations.text` has rendered, None for any other statement."""
    match statement:
        case ast.Expr(value=ast.Subscript(value=ast.Constant(value=value), slice=subscript)) if value is ...:
            return subscript
    return None
