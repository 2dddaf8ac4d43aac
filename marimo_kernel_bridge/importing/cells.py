"""The cells of a notebook on their way to a reactive one: translated, analysed, joined, renamed.

The steps in order: IPython's syntax becomes Python; star imports and the output history become names; then the cells
are analysed and edited until no request of the analysis is left.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.analyse import analyse
from marimo_kernel_bridge.analysis.model import Given
from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join, rewritten
from marimo_kernel_bridge.importing import figures, history, randomness, stars
from marimo_kernel_bridge.importing.magics import translated
from marimo_kernel_bridge.importing.python_text import hides_its_value
from marimo_kernel_bridge.importing.translation import IMPORTS, Notebooks, Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marimo_kernel_bridge.analysis.plan import Plan
    from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

_MOST_ROUNDS: Final = 60
_FUTURE: Final = re.compile(r"(?m)^from __future__ import (?:\([^)]*\)|[^\n]*)$")
_NO_VALUE: Final = frozenset(
    """print append extend insert sort reverse clear update add remove show close seed set_xlabel simplefilter
    filterwarnings set_option set_theme set_style set_context use savefig to_csv init_printing""".split()  # noqa: SIM905  # a list of words
)
_PRETTY: Final = """\
from sympy.printing.defaults import Printable as _Printable


def _pretty(value, printer, cycle):  # as IPython shows values after init_printing
    from sympy import pretty

    printer.text(pretty(value, use_unicode=True))


_Printable._repr_pretty_ = _pretty"""
_DOCUMENTATION: Final = "Automatically created module for IPython interactive environment"


@dataclass
class Working:
    """One cell of the result, made of the cells of the notebook at `positions` (none: added).

    `parts` are their codes by position, as long as cells may still be joined: what is joined keeps document order.
    """

    positions: tuple[int, ...]
    code: str
    fails: bool = False
    parts: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.positions) == 1 and not self.parts:
            self.parts = {self.positions[0]: self.code}


@dataclass
class Prepared:
    """The code cells of the result, what was told of each position, and what the file needs at its head."""

    cells: list[Working]
    notes: dict[int, list[str]] = field(default_factory=dict)
    lost: dict[int, list[str]] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    def note(self, positions: Iterable[int], text: str) -> None:
        for position in positions:
            told = self.notes.setdefault(position, [])
            if text not in told:
                told.append(text)


def prepare(
    notebook: Notebook,
    read: Callable[[str], str | None],
    star_names: Callable[[str], frozenset[str] | None],
    *,
    ipython: bool = False,
) -> Prepared:
    """Make the code cells of a notebook reactive Python.

    `read` gives the text of a file beside the notebook, for `%run`; `star_names` the names of a module. With
    `ipython`, the result runs where IPython provides `display`, `_` and figures at the end of a cell.
    """
    code_cells = [cell for cell in notebook.cells if cell.kind == "code"]
    around = Notebooks(_bound_names(code_cells), read)
    translations = [translated(_plain(cell.source), around) for cell in code_cells]
    prepared = Prepared([])
    needs: set[str] = set()
    for cell, translation in zip(code_cells, translations, strict=True):
        _tell(prepared, cell, translation)
        needs |= translation.needs
    expansions = stars.expanded([translation.code for translation in translations], star_names)
    for cell, result in zip(code_cells, expansions, strict=True):
        for text in result.notes:
            prepared.note([cell.position], text)
    seeded = randomness.repeated([result.code for result in expansions])
    for cell, drawn in zip(code_cells, seeded, strict=True):
        for text in drawn.notes:
            prepared.note([cell.position], text)
    codes = [drawn.code for drawn in seeded]
    if not ipython:
        codes = _without_ipython(prepared, code_cells, codes)
    prepared.cells = [
        Working((cell.position,), code, _is_known_to_fail(cell))
        for cell, code in zip(code_cells, codes, strict=True)
    ]
    if not ipython:
        needs |= _ipython_names(prepared)
    _make_reactive(prepared, needs, ipython=ipython)
    return prepared


def _without_ipython(prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]) -> list[str]:
    past = history.named([_with_pretty_values(code) for code in codes])
    codes = figures.shown(past.codes)
    for cell, told, code, before in zip(cells, past.notes, codes, past.codes, strict=True):
        for text in told:
            prepared.note([cell.position], text)
        if code != before:
            prepared.note([cell.position], "it shows its figure, as Jupyter does at the end of a cell")
    return codes


def _with_pretty_values(code: str) -> str:
    """Let SymPy's `init_printing()` do what it does in IPython: there, values are shown in its pretty form."""
    tree = parse(code)
    for node in reversed(tree.body):
        match node:
            case ast.Expr(
                value=ast.Call(func=ast.Name(id="init_printing") | ast.Attribute(attr="init_printing"))
            ):
                lines = code.split("\n")
                assert node.end_lineno is not None
                lines.insert(node.end_lineno, _PRETTY)
                return "\n".join(lines)
    return code


def _plain(source: str) -> str:
    return _FUTURE.sub(
        lambda found: "\n".join(f"# {line}" for line in found[0].split("\n")), source.replace("\r\n", "\n")
    )


def _tell(prepared: Prepared, cell: NotebookCell, translation: Translated) -> None:
    if _FUTURE.search(cell.source):
        prepared.note(
            [cell.position], "its `from __future__` line is a comment: marimo compiles cells without it"
        )
    if re.search(r"#\s*@param\b", cell.source):
        prepared.note([cell.position], "its Colab form fields are plain values: change them in the code")
    if re.search(r"(?m)^\s*(?:import|from)\s+google\.colab\b", cell.source):
        prepared.note([cell.position], "`google.colab` is there on Colab only")
    for note in translation.notes:
        prepared.note([cell.position], note)
    if translation.lost:
        prepared.lost[cell.position] = translation.lost
    prepared.requirements += [each for each in translation.requirements if each not in prepared.requirements]


def _bound_names(cells: Iterable[NotebookCell]) -> frozenset[str]:
    """Return every name that the notebook may bind, however its cells are written."""
    found: set[str] = set()
    for cell in cells:
        found.update(re.findall(r"[^\W\d]\w*", cell.source))
    return frozenset(found)


def _is_known_to_fail(cell: NotebookCell) -> bool:
    tags = cell.metadata.get("tags")
    return (isinstance(tags, list) and "raises-exception" in tags) or any(
        output.get("output_type") == "error" for output in cell.outputs
    )


def _ipython_names(prepared: Prepared) -> set[str]:
    """Find the names that IPython gives to notebooks and nobody binds; write out those that are plain texts."""
    bound: set[str] = set()
    wanted: set[str] = set()
    for cell in prepared.cells:
        names = read_cell(cell.code)
        bound |= {each.name for each in names.occurrences if each.act == "store"}
        wanted |= {each.name for each in names.occurrences if each.act == "load"}
        documented = [each for each in names.of("__doc__") if each.act == "load" and each.form == "name"]
        for each in reversed(documented):
            cell.code = f"{cell.code[: each.start]}{_DOCUMENTATION!r}{cell.code[each.end :]}"
            cell.parts = {cell.positions[0]: cell.code}
            prepared.note(cell.positions, "`__doc__` is what it is in Jupyter")
    needed: set[str] = {name for name in ("display", "get_ipython") if name in wanted - bound}
    if any(re.search(r"\bOutput\(", cell.code) for cell in prepared.cells) and any(
        "ipywidgets" in cell.code for cell in prepared.cells
    ):
        needed.add("_shell")
    return needed


# Analysis, in rounds


def _make_reactive(prepared: Prepared, needs: set[str], *, ipython: bool) -> None:
    cells = prepared.cells
    copied: set[tuple[str, int]] = set()
    for number in range(_MOST_ROUNDS):
        plan = analyse([Given(cell.code, cell.fails) for cell in cells])
        if not plan.requests or number == _MOST_ROUNDS - 1:
            break
        needs |= _meet(prepared, plan, copied)
    needs |= {need for each in plan.cells for need in each.needs}
    if ipython:
        needs.discard("display")
    if added := _added(cells, needs):
        prepared.cells.insert(0, added)
        plan = analyse([Given(cell.code, cell.fails) for cell in cells])
    _apply(prepared, plan)


def _apply(prepared: Prepared, plan: Plan) -> None:
    for cell, change in zip(prepared.cells, plan.cells, strict=True):
        cell.code = rewritten(cell.code, change).strip("\n")
        for note in change.notes:
            prepared.note(cell.positions, note.text)
    prepared.added = [cell.code for cell in prepared.cells if not cell.positions]


def _meet(prepared: Prepared, plan: Plan, copied: set[tuple[str, int]]) -> set[str]:
    """Do what the analysis asks for first; return what the new code needs."""
    cells = prepared.cells
    match request := plan.requests[0]:
        case CopyDefinition(name, source, target, reason) if (name, id(cells[target])) not in copied:
            copied.add((name, id(cells[target])))
            definition = _definition_text(cells[source].code, name)
            changed = cells[target]
            first = min(changed.parts)
            changed.parts[first] = f"{definition}\n\n\n{changed.parts[first]}"
            changed.code, _ = joined([changed.parts[position] for position in sorted(changed.parts)])
            prepared.note(
                cells[target].positions, f"it defines `{name}` of {_named(cells[source])} again: {reason}"
            )
            return set()
        case CopyDefinition(name, source, target, reason):
            request = Join(
                tuple(range(min(source, target), max(source, target) + 1)), min(source, target), reason
            )
        case Join():
            pass
    request = _closed(request, cells, plan)
    members = [cells[index] for index in request.cells]
    parts = {position: code for member in members for position, code in member.parts.items()}
    positions = tuple(sorted(parts))
    code, needs = joined([parts[position] for position in positions])
    whole = Working(positions, code, any(member.fails for member in members), parts)
    listed = " and ".join(_named(member) for member in members)
    prepared.note(positions, f"{listed} are one cell: {request.reason}")
    at = cells[request.at]
    prepared.cells[:] = [
        whole if cell is at else cell
        for index, cell in enumerate(cells)
        if cell is at or index not in request.cells
    ]
    return needs


def _closed(request: Join, cells: Sequence[Working], plan: Plan) -> Join:
    """Find a place for the joined cell at which the cells between still read what they did; else take them in."""
    makes = [set(each.defines) for each in plan.cells]
    reads = [
        {
            each.name
            for each in read_cell(cell.code).occurrences
            if each.act == "load" and (each.exposed or each.late)
        }
        for cell in cells
    ]
    members = set(request.cells)

    def crossed(one: int, other: int) -> bool:
        return bool(makes[one] & (reads[other] | makes[other]) or reads[one] & makes[other])

    while True:
        between = [index for index in range(min(members), max(members)) if index not in members]
        up = [each for each in between if any(crossed(member, each) for member in members if member > each)]
        down = [each for each in between if any(crossed(member, each) for member in members if member < each)]
        if not up or not down:
            place = min(members) if not up else max(members)
            return Join(tuple(sorted(members)), place, request.reason)
        members.update(up if len(up) <= len(down) else down)


def _named(cell: Working) -> str:
    return "cell " + "+".join(map(str, cell.positions)) if cell.positions else "the added cell"


def _definition_text(code: str, name: str) -> str:
    for node in reversed(parse(code).body):  # the last one counts
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(code.split("\n")[first - 1 : node.end_lineno])
    raise AssertionError(name)


def joined(codes: Sequence[str]) -> tuple[str, set[str]]:
    """Write cells as one that shows all of their values; return the code and what it needs."""
    needs: set[str] = set()
    parts = []
    for code in codes[:-1]:
        shown = _showing(code)
        if shown != code:
            needs.add("display")
        parts.append(shown)
    return "\n\n".join(part for part in [*parts, codes[-1]] if part.strip()), needs


def _showing(code: str) -> str:
    tree = parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return code
    value = last.value
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        if name in _NO_VALUE or name == "display":
            return code
    if isinstance(value, ast.Constant) and value.value is None:
        return code
    lines = code.split("\n")
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    before = lines[last.lineno - 1].encode()[: last.col_offset].decode()
    after = lines[last.end_lineno - 1].encode()[last.end_col_offset :].decode()
    body = "\n".join(lines[last.lineno - 1 : last.end_lineno])
    inner = body[len(before) : len(body) - len(after) if after else len(body)]
    if isinstance(value, ast.Call | ast.Await):
        text = f"_shown = {inner}{after}\nif _shown is not None:\n    display(_shown)"
    elif isinstance(value, ast.Tuple):
        text = f"display(({inner})){after}"  # one value, not several
    else:
        text = f"display({inner}){after}"
    return "\n".join([*lines[: last.lineno - 1], f"{before}{text}", *lines[last.end_lineno :]])


# What the written code needs


def _added(cells: Sequence[Working], needs: set[str]) -> Working | None:
    """Return a cell of imports for what the written code uses and the notebook does not import itself."""
    bound: dict[str, set[str | None]] = {}
    for cell in cells:
        for each in read_cell(cell.code).occurrences:
            if each.act == "store":
                bound.setdefault(each.name, set()).add(each.origin)
    lines = []
    for need in sorted(needs, key=lambda each: (each != "mo", IMPORTS[each].split()[1], each)):
        origins = {each.origin for each in read_cell(IMPORTS[need]).occurrences if each.name == need}
        if need in bound and bound[need] <= origins:
            continue
        lines.append(IMPORTS[need])
    return Working((), "\n".join(lines)) if lines else None


def unresolved(cells: Sequence[Working]) -> dict[int, list[str]]:
    """Return, by index, the names that a cell reads and that no cell binds."""
    read = [read_cell(cell.code) for cell in cells]
    bound = {each.name for names in read for each in names.occurrences if each.act == "store"} | set(
        dir(builtins)
    )
    return {
        index: sorted(
            {
                each.name
                for each in names.occurrences
                if each.act == "load" and each.name not in bound and not re.fullmatch(r"__\w+__", each.name)
            }
        )
        for index, names in enumerate(read)
    }
