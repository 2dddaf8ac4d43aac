"""The edits of a cell's text that rename its versions: names, imports, deletions, and lines before the cell."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import (
    Cell,
    Version,
    at,
    definition,
    offset,
    simple_augmented,
    span,
)
from marimo_kernel_bridge.analysis.plan import CellPlan, Edit, Note
from marimo_kernel_bridge.analysis.shown_names import SHOWN_AS, ShownNames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.analysis.occurrence import Occurrence

_NO_NAMES: Final = ShownNames()
_BUILTINS: Final = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}


def edit(cell: Cell, plan: CellPlan, shown: ShownNames = _NO_NAMES) -> None:
    """Add to a plan the edits that its cell needs for the names of versions.

    `shown` are the functions and classes of which the notebook shows the name.
    """
    _edit_imports(cell, plan)
    rewritten = [
        (edit.start, edit.end) for edit in plan.edits
    ]  # imports are rewritten as a whole, with the other names in them
    repeated = {use.start for use in cell.repeated_imports}
    for name in cell.names.names:
        made, before = cell.made.get(name), cell.incoming.get(name)
        if made is not None:
            _note_new(cell, name, made, before, plan)
        elif before is not None and cell.index in before.readers and before.text != name:
            plan.notes.append(Note("rename", f"`{name}` is read as `{before.text}`"))
        expanded = _expand_augmented(cell, name, plan)
        for occurrence in cell.names.of(name):
            version = _version_at(cell, occurrence)
            if occurrence.start in repeated or occurrence.start in expanded:
                continue
            if any(start <= occurrence.start < end for start, end in rewritten):
                continue
            if version is not None and version.text != name:
                plan.edits.append(_renaming(occurrence, version.text))
        _edit_deletions(cell, name, plan)
        if made is not None and shown.include(made):
            _keep_own_name(cell, made, plan)
    _edit_seeds(cell, plan)


def _keep_own_name(cell: Cell, made: Version, plan: CellPlan) -> None:
    """Let a renamed function or class show its own name."""
    node = definition(cell.names.tree, made.name)
    if made.text == made.name or node is None:
        return
    start, _ = span(cell.given.source, node)
    plan.edits.append(Edit(start, start, f'@{SHOWN_AS}("{made.name}")\n'))
    plan.needs.add(SHOWN_AS)


def _version_at(cell: Cell, occurrence: Occurrence) -> Version | None:
    name = occurrence.name
    made, before = cell.made.get(name), cell.incoming.get(name)
    if occurrence.late and occurrence.act == "load":
        return cell.late.get((occurrence.owner, name), made or before)
    if made is None:
        return before
    if name in cell.seeded or not occurrence.exposed:
        return made
    return before or (None if name in _BUILTINS else made)


def _note_new(cell: Cell, name: str, made: Version, before: Version | None, plan: CellPlan) -> None:
    plan.defines[name] = made.text
    if made.text == name:
        return
    if made.text == f"_{name}":
        plan.notes.append(Note("private", f"`{name}` is called `{made.text}`: no other cell reads it"))
    elif name.startswith("_"):
        why = "other cells read it" if made.readers - {cell.index} else "it is read after the cell has run"
        plan.notes.append(Note("public", f"`{name}` is called `{made.text}`: {why}"))
    elif name not in cell.seeded:
        why = (
            "a builtin has this name"
            if before is None and name in _BUILTINS
            else "another cell defines it too"
        )
        plan.notes.append(Note("rename", f"`{name}` is called `{made.text}`: {why}"))


def _expand_augmented(cell: Cell, name: str, plan: CellPlan) -> set[int]:
    made, before = cell.made.get(name), cell.incoming.get(name)
    if made is None or before is None or name in cell.seeded or not cell.names.stores(name):
        return set()
    node = simple_augmented(cell, name)
    if node is None or before.text == made.text:
        return set()
    start = offset(cell.given.source, node.target.lineno, node.target.col_offset)
    value = offset(cell.given.source, node.value.lineno, node.value.col_offset)
    between = cell.given.source[start:value]
    operator = re.search(r"(?<![^\w\s=])([^\w\s=]++)=", between)
    assert operator is not None
    plan.edits.append(Edit(start, value, f"{made.text} = {before.text} {operator[1]} "))
    return {start}


def _edit_seeds(cell: Cell, plan: CellPlan) -> None:
    done: set[str] = set()
    for names, how in cell.together:
        targets = ", ".join(cell.made[name].text for name in names)
        sources = ", ".join(cell.incoming[name].text for name in names)
        if "{}" in how:  # names of one object
            plan.before.append(f"{targets.replace(', ', ' = ')} = {how.format(cell.incoming[names[0]].text)}")
        else:
            plan.before.append(f"{targets} = {how}(({sources}))")
        if how.startswith("copy."):
            plan.needs.add("copy")
        plan.notes.append(
            Note("copy", f"it changes what {_listed(names)} stand for: copied together, for cells above")
        )
        done.update(names)
    for name, how in cell.seeded.items():
        if name in done or name not in cell.incoming:
            continue
        before, made = cell.incoming[name], cell.made[name]
        plan.before.append(f"{made.text} = {how.format(before.text)}")
        if how.startswith("copy."):
            plan.needs.add("copy")
        elif how.startswith("clone("):
            plan.needs.add("clone")
        if how != "{}":
            text = f"it changes `{name}`: `{made.text}` is its own copy"
            plan.notes.append(Note("copy", text))
        elif name in cell.changed:
            text = f"it changes `{name}`: cells below read `{made.text}`, the same object"
            plan.notes.append(Note("seed", text))
        else:
            plan.notes.append(Note("seed", f"`{made.text}` starts as `{before.text}`"))


def _edit_imports(cell: Cell, plan: CellPlan) -> None:
    by_statement: dict[int, list[Occurrence]] = {}
    for occurrence in cell.repeated_imports:
        by_statement.setdefault(occurrence.statement, []).append(occurrence)
    for number, occurrences in by_statement.items():
        statement = cell.names.tree.body[number]
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        gone = {use.name for use in occurrences}
        kept: list[ast.alias] = []
        for alias in statement.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if bound not in gone:
                kept.append(alias)
            elif "." in alias.name and not alias.asname and isinstance(statement, ast.Import):
                kept.append(ast.alias(alias.name, f"_{alias.name.replace('.', '_')}"))
        for name in sorted(gone):
            plan.notes.append(Note("import", f"`{name}` is imported by a cell above"))
        plan.edits.append(_with_aliases(cell, statement, kept))


def _renamed_aliases(cell: Cell, aliases: list[ast.alias]) -> list[ast.alias]:
    """Return the aliases of an import with the new names."""
    renamed = []
    for alias in aliases:
        bound = alias.asname or alias.name.partition(".")[0]
        made = cell.made.get(bound)
        if made is not None and made.text != bound:
            renamed.append(ast.alias(alias.name, made.text))
        else:
            renamed.append(alias)
    return renamed


def _edit_deletions(cell: Cell, name: str, plan: CellPlan) -> None:
    for occurrence in cell.names.of(name):
        if occurrence.act != "delete" or not occurrence.exposed or name not in cell.incoming:
            continue
        statement = next(
            (
                node
                for node in ast.walk(cell.names.tree)
                if isinstance(node, ast.Delete)
                and any(
                    isinstance(part, ast.Name) and at(cell, part) == occurrence.start
                    for part in ast.walk(node)
                )
            ),
            None,
        )
        if statement is None:
            continue
        others = [
            ast.unparse(target)
            for target in statement.targets
            if not (isinstance(target, ast.Name) and target.id == name)
        ]
        plan.notes.append(Note("delete", f"`del {name}` is left out: marimo keeps what other cells define"))
        start, end = span(cell.given.source, statement)
        plan.edits = [edit for edit in plan.edits if not (start <= edit.start < end)]
        remaining = [target for target in others if target not in cell.incoming or target in cell.made]
        plan.edits.append(Edit(start, end, f"del {', '.join(remaining)}" if remaining else "pass"))


def _renaming(occurrence: Occurrence, text: str) -> Edit:
    match occurrence.form:
        case "import":
            new = f"{occurrence.name} as {text}"
        case "import_dotted":
            new = f"{occurrence.name} as {text}, {{}}"
        case "shown":
            new = f"{occurrence.name}={{{text}!r}}"
        case _:
            new = text
    return Edit(occurrence.start, occurrence.end, new)


def _with_aliases(cell: Cell, statement: ast.Import | ast.ImportFrom, kept: list[ast.alias]) -> Edit:
    """Return the edit that reduces an import to these aliases, or removes the statement if there are none."""
    source = cell.given.source
    start, end = span(source, statement)
    if kept:
        if isinstance(statement, ast.Import):
            return Edit(start, end, ast.unparse(ast.Import(_renamed_aliases(cell, kept))))
        aliases = _renamed_aliases(cell, kept)
        return Edit(start, end, ast.unparse(ast.ImportFrom(statement.module, aliases, statement.level)))
    line_start = source.rfind("\n", 0, start) + 1
    line_end = source.find("\n", end)
    line_end = len(source) if line_end < 0 else line_end
    rest = source[end:line_end].strip()
    if source[line_start:start].strip():  # `x = 1; import y`
        return Edit(start, end, "pass")
    if rest.startswith(";"):
        following = end + source[end:line_end].index(";") + 1
        while source[following : following + 1] == " ":
            following += 1
        return Edit(start, following, "")
    if rest:  # keep a comment
        return Edit(start, end + len(source[end:line_end]) - len(source[end:line_end].lstrip()), "")
    return Edit(line_start, min(line_end + 1, len(source)), "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
