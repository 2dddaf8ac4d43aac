"""Reproducible random numbers from a global generator that is seeded in one cell and used in others.

A cell that runs again would draw different numbers, because the generator has advanced. So each cell that draws
restores on a rerun the generator's state of its own first run, until the cell that seeds runs again. A first run
restores nothing, so draws inside libraries count as well.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import read_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.analysis.name_uses import CellNames

_NOT_DRAWING: Final = {
    "numpy.random": frozenset(
        """seed RandomState default_rng get_state set_state Generator SeedSequence PCG64 MT19937 BitGenerator
        Philox SFC64 bit_generator""".split()  # noqa: SIM905  # a list of words
    ),
    "random": frozenset({"seed", "Random", "SystemRandom", "getstate", "setstate"}),
}
_UNSEEN: Final = frozenset({"sample", "rvs", "train_test_split", "shuffle", "resample", "bootstrap"})
"""Functions that draw from NumPy's global generator without naming it."""
_KEEPING: Final = {
    "numpy.random": ("set_state", "get_state"),
    "random": ("setstate", "getstate"),
}
_NAMES: Final = {"numpy.random": "repeat_numpy_draws", "random": "repeat_draws"}


@dataclass
class Seeded:
    """The code of a cell, and the notes on it."""

    code: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Cell:
    names: CellNames
    seeds: tuple[ast.Expr, ...]
    draws: bool


def repeated(codes: Sequence[str]) -> list[Seeded]:
    """Make the cells after a cell that seeds repeat their draws on a rerun. All `codes` must be Python."""
    results = [Seeded(code) for code in codes]
    if not any("seed(" in code for code in codes):
        return results
    read = [read_cell(code) for code in codes]
    origins = {use.name: use.origin for cell in read for use in cell.occurrences if use.origin}
    taken = {use.name for cell in read for use in cell.occurrences}
    memories: dict[int, list[tuple[int, list[str]]]] = {}
    for module, name in _NAMES.items():
        if name in taken or any(_keeps(cell, origins, module) for cell in read):
            continue
        for number, seed in _repeat(results, read, origins, module):
            memories.setdefault(number, []).append((seed.end_lineno or 0, _memory(seed, module)))
    for number, insertions in memories.items():
        lines = codes[number].split("\n")
        for at, memory in sorted(insertions, reverse=True):
            lines[at:at] = memory
        before = results[number].code.removesuffix(codes[number])  # another seed may have edited it already
        results[number].code = before + "\n".join(lines).rstrip("\n")
    return results


def _repeat(
    results: list[Seeded], read: list[CellNames], origins: dict[str, str], module: str
) -> Iterator[tuple[int, ast.Expr]]:
    """Insert the restoring call into the cells that draw; yield each generator that is seeded, and the cell."""
    cells = _cells(read, origins, module)
    seeding = [number for number, cell in enumerate(cells) if cell.seeds]
    for at, number in enumerate(seeding):
        end = (
            seeding[at + 1] if at + 1 < len(seeding) else len(cells) - 1
        )  # the next cell that seeds may draw first
        drawing = [below for below in range(number + 1, end + 1) if cells[below].draws]
        if not drawing:
            continue
        name = _NAMES[module]
        for below in drawing:
            results[below].code = f"{name}({below + 1})\n{results[below].code}"
            results[below].notes.append(
                f"`{name}` lets it draw the same random numbers when it runs again, as the generator was seeded above"
            )
        yield number, cells[number].seeds[-1]
        results[number].notes.append(f"`{name}` remembers, for the cells that draw below, where they began")


def _cells(read: list[CellNames], origins: dict[str, str], module: str) -> list[_Cell]:
    functions = _drawing_functions(read, origins, module)
    return [
        _Cell(
            names,
            tuple(
                node
                for node in names.tree.body
                if isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and _path(node.value.func, origins) == f"{module}.seed"
            ),
            any(_draws(call, origins, module, functions) for call in _calls(names.tree.body, into=False))
            or any(  # passed as an argument to a call: `groups.apply(draw)`
                use.act == "load" and not use.late and use.name in functions for use in names.occurrences
            ),
        )
        for names in read
    ]


def _drawing_functions(read: list[CellNames], origins: dict[str, str], module: str) -> frozenset[str]:
    """Return the functions and classes of the notebook that draw when called, directly or through another one."""
    bodies: dict[str, list[ast.Call]] = {}
    for cell in read:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bodies.setdefault(node.name, []).extend(_calls(node.body, into=True))
    drawing: frozenset[str] = frozenset()
    while True:
        more = {
            name
            for name, calls in bodies.items()
            if any(_draws(call, origins, module, drawing) for call in calls)
        }
        if more == drawing:
            return drawing
        drawing = frozenset(more)


def _draws(call: ast.Call, origins: dict[str, str], module: str, functions: frozenset[str]) -> bool:
    path = _path(call.func, origins)
    if path is not None and path.startswith(f"{module}."):
        return path.removeprefix(f"{module}.").partition(".")[0] not in _NOT_DRAWING[module]
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if last in functions:
        return True
    if module != "numpy.random" or last not in _UNSEEN or (path or "").startswith("random."):
        return False
    return not any(keyword.arg in {"random_state", "seed", "rng"} for keyword in call.keywords)


def _keeps(cell: CellNames, origins: dict[str, str], module: str) -> bool:
    """Return whether a cell itself saves or restores the generator's state."""
    paths = (_path(call.func, origins) for call in _calls(cell.tree.body, into=True))
    return any(path in {f"{module}.{function}" for function in _KEEPING[module]} for path in paths)


def _path(node: ast.expr, origins: dict[str, str]) -> str | None:
    """Return the full path that an expression names, starting at its module: `numpy.random.seed`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in origins:
        return None
    return ".".join([origins[node.id].replace(":", "."), *reversed(parts)])


def _calls(body: Sequence[ast.stmt], *, into: bool) -> Iterator[ast.Call]:
    """Yield the calls that statements make when they run; with `into`, also those in functions that they define."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if not into and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults]
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


def _memory(seed: ast.Expr, module: str) -> list[str]:
    """Return the lines of the function that stores states, to be inserted after the line that seeds."""
    assert isinstance(seed.value, ast.Call)
    imported = [] if isinstance(seed.value.func, ast.Attribute) else [f"    import {module}"]
    where = ast.unparse(seed.value.func.value) if isinstance(seed.value.func, ast.Attribute) else module
    restore, keep = _KEEPING[module]
    return [
        "",
        "",
        f"def {_NAMES[module]}(cell, states={{}}):  # as at the cell's first run",
        *imported,
        f"    {where}.{restore}(states.setdefault(cell, {where}.{keep}()))",
        "",
        "",
    ]
