"""Reproducible random numbers from a shared generator that is seeded in one cell and drawn from in others.

A cell that runs again would draw different numbers, because the generator has advanced. So each cell that draws
restores on a rerun the state in which it began. When a cell above it that seeds or draws runs again, it runs too, and
begins where that one ended. A first run restores nothing, so draws inside libraries count as well. A cell that seeds
before it draws stays as it is.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.importing.generators import (
    GENERATORS,
    calls_in,
    drawing_objects,
    draws,
    is_dropout,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.analysis.name_uses import CellNames
    from marimo_kernel_bridge.importing.generators import SharedGenerator

REPEATED: Final = "repeated_draws"
"""The function that the result needs where a cell repeats its draws."""
_REPEATS: Final = "`{}` lets it draw the same random numbers when it runs again"
_NOT_REPEATED: Final = (
    "it draws other numbers when it runs alone: TensorFlow's generator cannot be set back. "
    "It runs when the seed changes"
)
_ON_THE_CPU: Final = "what it draws on a GPU is not repeated when it runs again"


@dataclass
class Seeded:
    """The code of a cell, the notes on it, and whether it needs `repeated_draws`."""

    code: str
    notes: list[str] = field(default_factory=list)
    needs: bool = False


@dataclass(frozen=True)
class _Cell:
    """The last statement of a cell that seeds, None if none does, and whether the cell draws before it seeds."""

    names: CellNames
    seed: ast.Expr | None
    draws: bool


def repeated(codes: Sequence[str], called: str = REPEATED) -> list[Seeded]:
    """Make the cells below a cell that seeds repeat their draws on a rerun. All `codes` must be Python.

    `called` is the name of `repeated_draws` in the result.
    """
    results = [Seeded(code) for code in codes]
    if not any("seed" in code for code in codes):
        return results
    read = [read_cell(code) for code in codes]
    taken = {use.name for cell in read for use in cell.occurrences}
    if REPEATED in taken:  # imported before
        return results
    for generator in GENERATORS:
        if generator.name not in taken:
            _Notebook(read, generator).repeat(results, called)
    return results


class _Notebook:
    """A notebook as far as one generator is concerned."""

    def __init__(self, read: Sequence[CellNames], generator: SharedGenerator) -> None:
        self.read, self.generator = read, generator
        self.origins = {use.name: use.origin for cell in read for use in cell.occurrences if use.origin}
        self.seeding = self._closed(lambda call: path_of(call.func, self.origins) in generator.seeds)
        self.drawing: frozenset[str] = frozenset()
        self.objects: frozenset[str] = frozenset()

    def repeat(self, results: list[Seeded], called: str) -> None:
        if not any(
            self._is_seed(call) for cell in self.read for call in calls_in(cell.tree.body, into=False)
        ):
            return
        if self.generator.state is not None and any(self._keeps(cell) for cell in self.read):
            return
        self.drawing = self._closed(lambda call: draws(call, self.origins, self.generator, frozenset()))
        dropping = self._closed(lambda call: is_dropout(call, self.origins))
        trees = [cell.tree for cell in self.read]
        self.objects = drawing_objects(trees, self.origins, self.generator, dropping)
        cells = [self._cell(cell) for cell in self.read]
        seeding = [number for number, cell in enumerate(cells) if cell.seed is not None]
        inserted: dict[int, str] = {}
        for at, number in enumerate(seeding):
            end = seeding[at + 1] if at + 1 < len(seeding) else len(cells) - 1
            drawing = [below for below in range(number + 1, end + 1) if cells[below].draws]
            seed = cells[number].seed
            if not drawing or seed is None:
                continue
            for below in drawing:
                self._begin(results[below], is_last=below == drawing[-1])
            inserted[number] = self._memory(seed, called)
            results[number].needs = self.generator.state is not None
        for number, line in inserted.items():
            seed = cells[number].seed
            assert seed is not None
            results[number].code = _inserted(results[number].code, self.read[number].source, seed, line)

    def _begin(self, result: Seeded, *, is_last: bool) -> None:
        name = self.generator.name
        if self.generator.state is None:
            result.code = f"{name}  # what it draws depends on it\n{result.code}"
            result.notes.append(_NOT_REPEATED)
            return
        begin = f"{name}()" if is_last else f"{name} = {name}()"  # for the next one
        result.code = f"{begin}\n{result.code}"
        result.notes.append(_REPEATS.format(name))
        if self.generator.module == "torch" and any("cuda" in cell.source for cell in self.read):
            result.notes.append(_ON_THE_CPU)

    def _memory(self, seed: ast.Expr, called: str) -> str:
        """Return the lines that go before the statement that seeds."""
        assert isinstance(seed.value, ast.Call)
        if self.generator.state is None:
            arguments = [*seed.value.args, *(keyword.value for keyword in seed.value.keywords)]
            value = ast.unparse(arguments[0]) if arguments else "0"
            return f"{self.generator.name} = {value}"
        get, set_ = self.generator.state
        func, lines = seed.value.func, []
        path = path_of(func, self.origins)
        if isinstance(func, ast.Attribute) and path == f"{self.generator.module}.{func.attr}":
            where = ast.unparse(func.value)
        else:
            where = f"_{self.generator.module.replace('.', '_')}"
            lines.append(f"import {self.generator.module} as {where}")
        lines.append(f"{self.generator.name} = {called}({where}.{get}, {where}.{set_})")
        return "\n".join(lines)

    def _is_seed(self, call: ast.Call) -> bool:
        return (
            path_of(call.func, self.origins) in self.generator.seeds
            or getattr(call.func, "id", "") in self.seeding
        )

    def _cell(self, names: CellNames) -> _Cell:
        seed, first_draw = None, False
        for node in names.tree.body:
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and self._is_seed(node.value)
                and node.col_offset == 0
            ):
                seed = node
            elif seed is None and self._draws(node):
                first_draw = True
        return _Cell(names, seed, first_draw)

    def _draws(self, statement: ast.stmt) -> bool:
        if any(
            draws(call, self.origins, self.generator, self.drawing)
            for call in calls_in([statement], into=False)
        ):
            return True
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
        uses = (
            self.drawing | self.objects
        )  # passed to a call: `groups.apply(draw)`; taken from: `for x in loader`
        return any(
            isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in uses
            for part in ast.walk(statement)
        )

    def _closed(self, does: Callable[[ast.Call], bool]) -> frozenset[str]:
        """Return the functions and classes of the notebook that make such a call, directly or through another one."""
        bodies: dict[str, list[ast.Call]] = {}
        for cell in self.read:
            for node in ast.walk(cell.tree):
                match node:
                    case (
                        ast.FunctionDef(name=name, body=body)
                        | ast.AsyncFunctionDef(name=name, body=body)
                        | ast.ClassDef(name=name, body=body)
                    ) if not name.startswith("__"):
                        bodies.setdefault(name, []).extend(calls_in(body, into=True))
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(body=value)):
                        bodies.setdefault(name, []).extend(calls_in([value], into=True))
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() as function):
                        bodies.setdefault(name, []).append(ast.Call(function, [], []))
        found = {name for name, calls in bodies.items() if any(map(does, calls))}
        while more := {
            name for name, calls in bodies.items() if name not in found and any(map(_calls(found), calls))
        }:
            found |= more
        return frozenset(found)

    def _keeps(self, cell: CellNames) -> bool:
        """Return whether a cell itself saves or restores the generator's state."""
        assert self.generator.state is not None
        paths = {path_of(call.func, self.origins) for call in calls_in(cell.tree.body, into=True)}
        return not paths.isdisjoint(f"{self.generator.module}.{name}" for name in self.generator.state)


def _calls(functions: set[str]) -> Callable[[ast.Call], bool]:
    """Return whether a call is one of these functions or methods, as a function."""
    return lambda call: (
        (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""))
        in functions
    )


def _inserted(code: str, source: str, seed: ast.Expr, text: str) -> str:
    """Insert lines before a statement. `code` is the `source` of the statement, perhaps with lines above it."""
    above = code.count("\n") - source.count("\n")
    lines = code.split("\n")
    lines.insert(above + seed.lineno - 1, text)
    return "\n".join(lines)
