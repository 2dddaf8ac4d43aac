"""The text of a marimo file: cells and a header as marimo's own code generator writes them, and its linter's verdict.

Owns the use of marimo's converter, compiler and linter. Does not decide what becomes of code: the caller gives finished
cells.
"""

from __future__ import annotations

import ast
import asyncio
import keyword
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo._ast.compiler import compile_cell
from marimo._ast.names import DEFAULT_CELL_NAME, SETUP_CELL_NAME
from marimo._convert.common.format import markdown_to_marimo
from marimo._convert.converters import MarimoConvert
from marimo._lint.diagnostic import Severity
from marimo._lint.rule_engine import RuleEngine
from marimo._schemas.serialization import AppInstantiation, CellDef, Header, NotebookSerializationV1
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.runtime.supported_api import check_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_APP_OPTIONS: Final = frozenset(
    {"width", "app_title", "layout_file", "css_file", "html_head_file", "auto_download", "sql_output"}
)
_CELL_OPTIONS: Final = frozenset({"column", "disabled", "hide_code", "expand_output"})

ADDED: Final = "an added cell"
"""The label of a cell that comes from no cell of the source."""


@dataclass(frozen=True)
class NewCell:
    """One cell of a marimo file to write.

    `label` names the cell in findings: "cell 3", "an added cell". `options` are marimo's settings of the cell. Without
    a `name` that marimo accepts, the cell has none.
    """

    code: str
    label: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # marimo's, JSON


@dataclass(frozen=True)
class WrittenFile:
    """The text of a marimo file, and what `marimo check` says of it.

    `findings` are lines of text; `passes` is false if one of them breaks the notebook.
    """

    text: str
    findings: tuple[str, ...]
    passes: bool


def write(
    cells: Sequence[NewCell],
    header: str,
    app_options: Mapping[str, Any],  # marimo's, JSON
) -> WrittenFile:
    """Return a marimo file of `cells`, the only code in it. Runs marimo's linter on an event loop of its own: not for async callers.

    Raises `BridgeError`: runtime_mismatch, cell_not_converted (marimo cannot read its own file back).
    """
    check_version()
    file = NotebookSerializationV1(
        app=AppInstantiation(options=_inert(app_options, _APP_OPTIONS)),
        header=Header(value=header) if header and is_comment(header) else None,
        cells=[
            CellDef(
                code=cell.code,
                name=_accepted(cell.name),
                options=_inert(cell.options, _CELL_OPTIONS, text=False),
            )
            for cell in cells
        ],
    )
    text = MarimoConvert.from_ir(file).to_py()
    findings, passes = _check(text, cells, _first_lines(text, cells))
    return WrittenFile(text, tuple(findings), passes)


def markdown_code(source: str) -> str:
    """Return the code of a cell that shows Markdown, as marimo writes it."""
    return markdown_to_marimo(source)


def names_in(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a cell defines and those that it uses, as marimo sees them; none if it does not compile."""
    try:
        cell = compile_cell(code, cell_id=CellId_t("import"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(), frozenset()
    return frozenset(cell.defs), frozenset(cell.refs)


def _inert(
    options: Mapping[str, Any],
    known: frozenset[str],
    *,
    text: bool = True,
) -> dict[str, Any]:
    """Return the options that stay values where marimo writes them: it puts texts between quotes as they are."""
    return {name: value for name, value in options.items() if name in known and _is_inert(value, text=text)}


def _is_inert(value: object, *, text: bool) -> bool:
    match value:
        case None | bool() | int():
            return True
        case str():
            return text and value.isprintable() and '"' not in value
        case list():
            return text and all(isinstance(one, str) and _is_inert(one, text=True) for one in value)
        case _:
            return False


def is_comment(header: str) -> bool:
    """Whether what stands above the cells has comments and texts alone: code of a notebook is in its cells."""
    try:
        body = ast.parse(header).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(
        isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)
        for one in body
    )


def _accepted(name: str | None) -> str:
    is_name = name is not None and name.isidentifier() and not keyword.iskeyword(name)
    return name if name and is_name and name != SETUP_CELL_NAME else DEFAULT_CELL_NAME


def _first_lines(text: str, cells: Sequence[NewCell]) -> list[int]:
    """Return the line at which each cell starts in the file, as marimo reads it."""
    read = MarimoConvert.from_py(text).to_ir().cells
    if len(read) != len(cells):
        raise BridgeError(
            "cell_not_converted",
            f"marimo reads {len(read)} cells back from the {len(cells)} that it wrote.",
            "Please report this notebook as a bug; nothing was written.",
        )
    return [cell.lineno for cell in read]


def _check(text: str, cells: Sequence[NewCell], lines: Sequence[int]) -> tuple[list[str], bool]:
    """Apply the rules of `marimo check`, which fails on breaking findings, not on formatting.

    The rules do not report what only the compiler refuses, so the file is compiled as well.
    """
    findings, passes = [], True
    try:
        compile(text, "<notebook>", "exec", dont_inherit=True)
    except SyntaxError as error:
        findings, passes = [f"not Python: {error.msg} ({_cell_at(error.lineno or 0, cells, lines)})"], False
    read = MarimoConvert.from_py(text).to_ir()
    for finding in asyncio.run(RuleEngine.create_default().check_notebook(read, text)):
        passes = passes and finding.severity is not Severity.BREAKING
        places = finding.line if isinstance(finding.line, list) else [finding.line]
        where = ", ".join(dict.fromkeys(_cell_at(line, cells, lines) for line in sorted(places)))
        findings.append(f"{finding.code} {split_lines(finding.message)[0]} ({where})")
    return findings, passes


def _cell_at(line: int, cells: Sequence[NewCell], lines: Sequence[int]) -> str:
    above = [cell.label for cell, start in zip(cells, lines, strict=True) if start <= line]
    return above[-1] if above else ADDED
