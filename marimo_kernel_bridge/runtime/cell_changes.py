"""What became of each cell of an .ipynb in the marimo notebook made of it: kept, changed, dropped, not converted.

Judges by comparing what went in with what came out, because marimo's converter does not tell. Converts nothing.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from marimo._ast.compiler import compile_cell
from marimo._ast.variables import BUILTINS, is_local
from marimo._ast.visitor import ScopedVisitor
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.ipynb import CellReport, Fate, Notebook, NotebookCell

# Line and cell magics for which marimo's converter writes Python that does the same.
TRANSLATED: Final = frozenset({"bash", "cd", "html", "ls", "mkdir", "sql"})
# Magics that it comments out and that a marimo notebook does not miss: `%%time` and `%%timeit` keep the body.
NOT_MISSED: Final = re.compile(
    r"%%(time|timeit)\b|%%?(autoreload|matplotlib|pip)\b|%load_ext\s+autoreload\b|%config\s+InlineBackend\."
)
FROM_IPYTHON: Final = re.compile(r"display|get_ipython|In|Out|_{1,3}|_i{1,3}|_i?\d+|_[iod]h")
_SHELL_SYNTAX: Final = re.compile(r"[|&;<>*?$`~{]")
_TEMPLATE: Final = re.compile(r"(?<!\S)\{[^{}\s]+\}(?!\S)")
_SHELL_CALL: Final = re.compile(r"(?m)^\s*#! (.*)$")
_PIP_INSTALL: Final = re.compile(r"(?m)# packages added via marimo's package management: .* !(.*)$")
_SCRIPT_METADATA: Final = re.compile(r"(?m)^# /// ")
_PARAGRAPH_TAG: Final = re.compile(r"</?p(\s[^>]*)?>", re.IGNORECASE)
_DUNDER: Final = re.compile(r"__\w+__")
_BAD_TEMPLATE: Final = "# Note: Command contains invalid template expression"


@dataclass(frozen=True)
class ConvertedCell:
    """A cell of the marimo notebook, and the position of the .ipynb's cell that it stands for (None: added).

    `line` is where its code starts in the file.
    """

    position: int | None
    code: str
    line: int = 0


@dataclass(frozen=True)
class CompiledCell:
    """The names of a cell as marimo sees them, or the `reason` why it does not compile.

    `imports` tells what each imported name stands for. Private are names that start with one underscore: marimo
    keeps them to their cell.
    """

    defines: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    imports: dict[str, frozenset[str]] = field(default_factory=dict)
    private_defines: frozenset[str] = frozenset()
    private_uses: frozenset[str] = frozenset()
    reason: str = ""


def compiled(code: str) -> CompiledCell:
    """Compile a cell as marimo does."""
    try:
        cell = compile_cell(code, cell_id=CellId_t("import"))
        visitor = ScopedVisitor("", ignore_local=True)
        visitor.visit(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        first_line = (reason or type(error).__name__).splitlines()[0]
        return CompiledCell(reason=first_line.split("SyntaxError: ")[-1].rstrip("."))
    future = {node.name for line in ast.walk(cell.mod) if _is_future(line) for node in line.names}
    return CompiledCell(
        defines=frozenset(cell.defs) - future,
        uses=frozenset(cell.refs),
        imports={
            name: frozenset(str(instance.import_data) for instance in instances)
            for name, instances in cell.variable_data.items()
            if all(instance.kind == "import" for instance in instances)
        },
        private_defines=frozenset(filter(is_local, visitor.defs)),
        private_uses=frozenset(filter(is_local, visitor.refs)),
    )


def _is_future(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def report(notebook: Notebook, written: list[ConvertedCell]) -> tuple[CellReport, ...]:
    """Tell for every cell of the .ipynb, in document order, what became of it."""
    names = {cell: compiled(cell.code) for cell in written}
    originals = [compiled(cell.source) for cell in notebook.cells if cell.kind == "code"]
    whole = _Whole(
        once_defined=frozenset[str]().union(*(cell.defines for cell in originals)),
        all_python=not any(cell.reason for cell in originals),
        defines=frozenset[str]().union(*(cell.defines for cell in names.values())),
        imports={name: made for cell in names.values() for name, made in cell.imports.items()},
        private={name: str(at.position) for at, cell in names.items() for name in cell.private_defines},
    )
    by_position = {cell.position: cell for cell in written}
    reports = []
    for cell in notebook.cells:
        found = by_position.get(cell.position)
        if found is None:
            fate, notes = _dropped(cell, whole)
        else:
            lost, changes = _compare(cell, found.code, names[found], whole)
            fate = "not_converted" if lost else "changed" if changes else "kept"
            notes = [*lost, *changes]
        reports.append(CellReport(cell.position, cell.cell_id, cell.kind, fate, tuple(notes)))
    return tuple(reports)


@dataclass(frozen=True)
class _Whole:
    """Names of both notebooks as wholes.

    Of the marimo notebook: `defines`, `imports`, and for each `private` name its cell. Of the .ipynb:
    `once_defined`, which is all of them only if its cells are `all_python`.
    """

    once_defined: frozenset[str]
    all_python: bool
    defines: frozenset[str]
    imports: dict[str, frozenset[str]]
    private: dict[str, str]


def _dropped(cell: NotebookCell, whole: _Whole) -> tuple[Fate, list[str]]:
    before = compiled(cell.source)
    if not cell.source.strip():
        return "dropped", ["it is empty"]
    if before.imports and before.defines and before.defines == before.imports.keys():
        lost, changes = _renamed(before, CompiledCell(), whole)
        return ("not_converted", lost) if lost else ("dropped", changes)
    if _SCRIPT_METADATA.search(cell.source):
        return "dropped", ["its script metadata is at the head of the file"]
    return "not_converted", ["marimo's converter dropped it"]


def _compare(
    cell: NotebookCell, code: str, after: CompiledCell, whole: _Whole
) -> tuple[list[str], list[str]]:
    """Return what is lost, and what else changed."""
    if cell.kind == "raw":
        return [], ["a raw cell, kept as comments"]
    if cell.kind == "markdown":
        return [], _markdown_changes(cell, code)
    if after.reason:
        return [f"marimo does not take it: {after.reason}; its text is kept, but does not run"], []
    before = compiled(cell.source)
    if before.reason:
        lost, changes = _magics(cell.source.strip(), code)
    else:
        lost, changes = _renamed(before, after, whole)
        changes += _rewritten(cell.source, code, renamed=bool(changes))
    unresolved, noted = _unresolved(after, whole)
    return lost + unresolved, changes + noted


def _unresolved(after: CompiledCell, whole: _Whole) -> tuple[list[str], list[str]]:
    """Find the names that a cell reads and that will not be there."""
    lost, changes = [], []
    for name in sorted(after.uses - whole.defines - BUILTINS):
        if FROM_IPYTHON.fullmatch(name):
            lost.append(f"it reads `{name}`, which IPython provides and marimo does not")
        elif name in whole.once_defined or (not whole.all_python and not _DUNDER.fullmatch(name)):
            lost.append(f"it reads `{name}`, which no cell of the marimo notebook defines")
        elif not _DUNDER.fullmatch(name):
            changes.append(f"it reads `{name}`, which no cell defines, in the Jupyter notebook neither")
    for name in sorted(after.private_uses - after.private_defines):
        if name in whole.private:
            lost.append(f"it reads `{name}`, which marimo keeps private to cell {whole.private[name]}")
        elif FROM_IPYTHON.fullmatch(name):
            lost.append(f"it reads `{name}`, which IPython provides and marimo does not")
    return lost, changes


def _markdown_changes(cell: NotebookCell, code: str) -> list[str]:
    if cell.attachments:
        return ["its attachments are written into it"]
    call = ast.parse(code).body[-1]
    written = (
        ast.literal_eval(call.value.args[0])
        if isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
        else ""
    )
    same = _words(cell.source) == _words(written)
    return [] if same else ["marimo writes its text with other quotes or backslashes"]


def _words(markdown: str) -> list[str]:
    return _PARAGRAPH_TAG.sub(" ", markdown).split()


def _magics(source: str, code: str) -> tuple[list[str], list[str]]:
    """Judge the magics and shell lines of a cell that was not plain Python."""
    lost, changes = [], []
    lines = source.splitlines()
    for line in lines[:1] if source.startswith("%%") else [line for line in lines if line.startswith("%")]:
        name = line.lstrip("%").split(maxsplit=1)[0]
        if name in TRANSLATED or (name == "env" and "=" in line):
            changes.append(f"`{line}` is written in Python")
        elif NOT_MISSED.match(line):
            changes.append(f"`{line}` is left out")
        else:
            lost.append(
                f"`{line}` is commented out" + (", with the lines below it" if line.startswith("%%") else "")
            )
    for command in _SHELL_CALL.findall(code):
        if _SHELL_SYNTAX.search(_TEMPLATE.sub("", command)):
            lost.append(f"`!{command}` runs without a shell, which its syntax needs")
        else:
            changes.append(f"`!{command}` is a call of subprocess")
    changes += [
        f"`!{command}` is a requirement at the head of the file" for command in _PIP_INSTALL.findall(code)
    ]
    if _BAD_TEMPLATE in code:
        lost.append("a shell line is commented out, because what it has in braces is not Python")
    return lost, changes


def _renamed(before: CompiledCell, after: CompiledCell, whole: _Whole) -> tuple[list[str], list[str]]:
    lost, changes = [], []
    gone = before.defines - after.defines
    for name in sorted(gone):
        if (new := _numbered(name, after.defines - before.defines)) is not None:
            changes.append(f"`{name}` is called `{new}`, because another cell defines it too")
        elif f"_{name}" in after.private_defines:
            changes.append(f"`{name}` is called `_{name}`: no other cell uses it")
        elif name in before.imports and before.imports[name] == whole.imports.get(name):
            changes.append(f"`{name}` is imported by an earlier cell")
        elif name in before.imports and name in whole.defines:
            lost.append(f"its import of `{name}` is left out for another one of that name")
        else:
            lost.append(f"it no longer defines `{name}`")
    changes += [
        f"`{name}` is read as `{new}`"
        for name in sorted(before.uses - after.uses - gone)
        if (new := _numbered(name, after.uses - before.uses)) is not None
    ]
    return lost, changes


def _numbered(name: str, candidates: frozenset[str]) -> str | None:
    return next((new for new in sorted(candidates) if re.fullmatch(rf"{re.escape(name)}_\d+", new)), None)


def _rewritten(source: str, code: str, *, renamed: bool) -> list[str]:
    changes = []
    before, after = ast.parse(source.strip()), ast.parse(code)
    if any(map(_is_future, before.body)):
        changes.append("its `from __future__` line is a comment: marimo compiles cells without it")
        before.body = [node for node in before.body if not _is_future(node)]
    if _count(before, ast.AugAssign) > _count(after, ast.AugAssign):
        changes.append("`x += y` is written out as `x = x + y`")
    elif not renamed and ast.dump(before) != ast.dump(after):
        changes.append("marimo's converter wrote it anew")
    lost = [text for text in _comments(source) if text not in code]
    if lost:
        changes.append(f"lost comments: {' '.join(lost)}")
    if code.startswith("# Cell tags: ") and not source.strip().startswith("# Cell tags: "):
        changes.append("its tags are a comment")
    return changes


def _count(tree: ast.AST, kind: type[ast.AST]) -> int:
    return sum(isinstance(node, kind) for node in ast.walk(tree))


def _comments(source: str) -> list[str]:
    readline = io.StringIO(source).readline
    return [
        token.string.rstrip()
        for token in tokenize.generate_tokens(readline)
        if token.type == tokenize.COMMENT
    ]
