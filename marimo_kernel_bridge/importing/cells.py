"""The steps from a notebook's code cells to reactive Python.

In order: IPython's syntax becomes Python; star imports and the output history become names; then the cells are analyzed
and edited until the analysis has no more requests.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.importing import (
    failing,
    figures,
    history,
    interactivity,
    kernel_needs,
    names_listed,
    namespace_names,
    randomness,
    settings,
    stars,
)
from marimo_kernel_bridge.importing.annotations import as_strings, names_in_annotations, without_future
from marimo_kernel_bridge.importing.failing import is_known_to_fail
from marimo_kernel_bridge.importing.imports import (
    SHELL,
    SHELL_HERE,
    bindings_in,
    names_for_commands,
    names_for_imports,
    read_before_bound,
)
from marimo_kernel_bridge.importing.joining import displaying_in, with_all_displayed
from marimo_kernel_bridge.importing.known_values import functions_of_none
from marimo_kernel_bridge.importing.magics import translated
from marimo_kernel_bridge.importing.own_magics import own_magics
from marimo_kernel_bridge.importing.pandas_version import copies_on_write
from marimo_kernel_bridge.importing.prepared import Prepared, Working
from marimo_kernel_bridge.importing.rounds import make_reactive
from marimo_kernel_bridge.importing.translation import Notebooks, Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

_PRETTY: Final = """\
from sympy.printing.defaults import Printable as _Printable


def _pretty(value, printer, cycle):  # as IPython shows values after init_printing
    from sympy import pretty

    printer.text(pretty(value, use_unicode=True))


_Printable._repr_pretty_ = _pretty"""
_WHY_NO_FUTURE: Final = "its `from __future__` line is a comment: marimo compiles cells without it"
_CAPTURES_FIGURES: Final = re.compile(r"\s*%%capture(?: +--no-std(?:out|err)| +(?P<name>\w+))* *\n")
_DOCUMENTATION: Final = "Automatically created module for IPython interactive environment"


def prepare(
    notebook: Notebook,
    read: Callable[[str], str | None],
    star_names: Callable[[str], frozenset[str] | None],
    *,
    ipython: bool = False,
    observed: Mapping[int, str] | None = None,
) -> Prepared:
    """Convert the code cells of a notebook to reactive Python.

    `observed` is what a run has shown of cells, by position (see `analysis.observations`).
    `read` returns the text of a file beside the notebook, for `%run`; `star_names` returns the public names of a
    module. With `ipython`, the result runs where IPython provides `display`, `_` and figures at the end of a cell.
    """
    code_cells = [cell for cell in notebook.cells if cell.kind == "code"]
    prepared, codes = _as_python(code_cells, read, ipython=ipython)
    codes, annotated_from = _without_future(prepared, code_cells, codes)
    codes = _with_names(prepared, code_cells, codes)
    expansions = stars.expanded(codes, star_names)
    for cell, result in zip(code_cells, expansions, strict=True):
        for text in result.notes:
            prepared.note([cell.position], text)
    repeated_draws = prepared.called.get(randomness.REPEATED, randomness.REPEATED)
    seeded = randomness.repeated([result.code for result in expansions], repeated_draws)
    for cell, drawn in zip(code_cells, seeded, strict=True):
        for text in drawn.notes:
            prepared.note([cell.position], text)
        if drawn.needs:
            prepared.need(randomness.REPEATED, [cell.position])
    codes = [drawn.code for drawn in seeded]
    if not ipython:
        codes = _with_names_listed(prepared, code_cells, codes)
        codes = _with_settings(prepared, code_cells, codes)
        codes = _without_ipython(prepared, code_cells, codes)
    prepared.cells = _working(prepared, code_cells, codes, ipython=ipython)
    if not ipython:
        _ipython_names(prepared)
    texts = [cell for cell in prepared.cells if cell.positions[0] >= annotated_from]
    quoted = frozenset().union(*(names_in_annotations(cell.code) for cell in texts))
    quoted = quoted.union(*(names_listed.names_looked_for(cell.code) for cell in prepared.cells))
    prepared.observed = observed or {}
    prepared.copies_on_write = copies_on_write(prepared.requirements)
    make_reactive(prepared, ipython=ipython, quoted=quoted)
    for working in prepared.cells:
        if working.positions and working.positions[-1] >= annotated_from:
            working.code = as_strings(working.code)
    return prepared


def _as_python(
    cells: Sequence[NotebookCell], read: Callable[[str], str | None], *, ipython: bool
) -> tuple[Prepared, list[str]]:
    """Translate IPython's syntax in all cells; return what that says of them, and their code."""
    sources = [cell.source for cell in cells]
    bindings = bindings_in(sources)
    called = names_for_imports(sources, bindings)
    names, magics = names_for_commands(sources, bindings), own_magics(sources, read)
    around = Notebooks(names, read, called, frozenset(bindings), magics, translated)
    translations = [translated(source, around) for source in sources]
    prepared = Prepared([], called=called)
    if magics and not ipython:  # what registers them asks IPython's shell
        prepared.need(SHELL_HERE, ())
    for cell, translation in zip(cells, translations, strict=True):
        _note(prepared, cell, translation)
    return prepared, [translation.code for translation in translations]


def _without_future(
    prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]
) -> tuple[list[str], int]:
    """Take the future statements out of cells; return the codes, and from which position annotations are strings."""
    first = sys.maxsize
    result = []
    for cell, code in zip(cells, codes, strict=True):
        plain, features = without_future(code)
        result.append(plain)
        if "annotations" in features:
            first = min(first, cell.position)
        if features:
            prepared.note([cell.position], _WHY_NO_FUTURE)
        if first <= cell.position and names_in_annotations(plain):
            prepared.note([cell.position], "its annotations are strings, as `from __future__` made them")
    return result, first


def _with_names(prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]) -> list[str]:
    result = [namespace_names.written_out(code) for code in codes]
    for cell, code, before in zip(cells, result, codes, strict=True):
        if code != before:
            prepared.note([cell.position], namespace_names.NOTE)
    return result


def _with_names_listed(prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]) -> list[str]:
    function = prepared.called.get(names_listed.LISTED, names_listed.LISTED)
    results = names_listed.listed(codes, function)
    for cell, result in zip(cells, results, strict=True):
        for text in result.notes:
            prepared.note([cell.position], text)
        if result.lists:
            prepared.need(names_listed.LISTED, [cell.position])
            kept = (
                text for text in prepared.notes[cell.position] if not names_listed.THROUGH_IPYTHON.match(text)
            )
            prepared.notes[cell.position] = list(kept)
    if any(result.lists for result in results) and not any("get_ipython" in each.code for each in results):
        prepared.needs = {need: at for need, at in prepared.needs.items() if need.key != "get_ipython"}
    return [result.code for result in results]


def _with_settings(prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]) -> list[str]:
    pairs = enumerate(zip(cells, codes, strict=True))
    failing_cells = {number for number, (cell, code) in pairs if failing.fails(cell, code)}
    placed = settings.by_place(codes, prepared.called, failing_cells)
    for cell, result in zip(cells, placed, strict=True):
        for text in result.notes:
            prepared.note([cell.position], text)
        for need in result.needs:
            prepared.need(need, [cell.position])
    return [result.code for result in placed]


def _hides_figures(number: int, cells: Sequence[NotebookCell]) -> bool:
    """Whether a cell captures its figures, and no cell can show them: IPython's captured output has no figures in marimo."""
    captures = _CAPTURES_FIGURES.match(cells[number].source)
    name = captures and captures["name"]
    others = (cell.source for place, cell in enumerate(cells) if place != number)
    return captures is not None and not (
        name and any(re.search(rf"\b{re.escape(name)}\b", source) for source in others)
    )


def _without_ipython(prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str]) -> list[str]:
    past = history.named([_with_pretty_values(code) for code in codes])
    hidden = {number for number in range(len(cells)) if _hides_figures(number, cells)}
    display = prepared.called.get("display", "display")
    valued = _with_values(prepared, cells, past.codes)
    codes = figures.shown(valued, hidden, display)
    for number, (cell, told, code, before) in enumerate(zip(cells, past.notes, codes, valued, strict=True)):
        for text in told:
            prepared.note([cell.position], text)
        if code != before and number in hidden:
            prepared.note([cell.position], "its figures are closed without being shown")
        elif code != before:
            prepared.note([cell.position], "it shows its figure, as Jupyter does at the end of a cell")
    prepared.last_alone = True
    displaying = displaying_in(codes, display)
    if not displaying:
        return codes
    silent = functions_of_none(codes)
    displayed = [with_all_displayed(code, displaying, display, silent) for code in codes]
    for cell, code, before in zip(cells, displayed, codes, strict=True):
        if len(code) > len(before):
            prepared.note(
                [cell.position], "it displays its value: in marimo, that would replace what it displays above"
            )
        elif code != before:
            prepared.note([cell.position], "the value at its end is displayed in any case")
    return displayed


def _with_values(prepared: Prepared, cells: Sequence[NotebookCell], codes: Sequence[str]) -> list[str]:
    show = prepared.called.get(interactivity.SHOW, interactivity.SHOW)
    valued = interactivity.with_values([cell.source for cell in cells], codes, show)
    for cell, code, before in zip(cells, valued, codes, strict=True):
        if code != before:
            prepared.note([cell.position], "it shows the values that `ast_node_interactivity` asks for")
        if code.count(f"{show}(") > before.count(f"{show}("):
            prepared.need(interactivity.SHOW, [cell.position])
    return valued


def _with_pretty_values(code: str) -> str:
    """Make SymPy's `init_printing()` work as in IPython, which then shows values in their pretty form."""
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


def _working(
    prepared: Prepared, cells: Sequence[NotebookCell], codes: list[str], *, ipython: bool
) -> list[Working]:
    """Return the cells to work on; for marimo, those that define something and then fail are two."""
    if ipython:
        return [
            Working((cell.position,), code, is_known_to_fail(cell))
            for cell, code in zip(cells, codes, strict=True)
        ]
    working: list[Working] = []
    for parts in failing.divided(cells, codes):
        working += parts
        if len(parts) > 1:
            prepared.note(parts[0].positions, failing.WHY)
    return working


def _note(prepared: Prepared, cell: NotebookCell, translation: Translated) -> None:
    if re.search(r"#\s*@param\b", cell.source):
        prepared.note([cell.position], "its Colab form fields are plain values: change them in the code")
    if re.search(r"(?m)^[ \t]*+(?:import|from)\s+google\.colab\b", cell.source):
        prepared.note([cell.position], "`google.colab` is there on Colab only")
    for note in translation.notes:
        prepared.note([cell.position], note)
    for need in translation.needs:
        prepared.need(need, [cell.position])
    if translation.lost:
        prepared.lost[cell.position] = translation.lost
    prepared.requirements += [
        requirement for requirement in translation.requirements if requirement not in prepared.requirements
    ]


def _ipython_names(prepared: Prepared) -> None:
    """Find the names that IPython provides and no cell binds; replace those that are plain strings by their values."""
    for cell in prepared.cells:
        names = read_cell(cell.code)
        builtins = prepared.called.get("builtins", "builtins")  # marimo has a dictionary of that name
        in_jupyter = {"__doc__": repr(_DOCUMENTATION), "__builtins__": builtins}
        uses = [
            use for name in in_jupyter for use in names.of(name) if use.act == "load" and use.form == "name"
        ]
        for use in sorted(uses, key=lambda use: use.start, reverse=True):
            cell.code = f"{cell.code[: use.start]}{in_jupyter[use.name]}{cell.code[use.end :]}"
            cell.parts = dict.fromkeys(cell.parts, cell.code)
            prepared.note(cell.positions, f"`{use.name}` is what it is in Jupyter")
            if use.name == "__builtins__":
                prepared.need("builtins", cell.positions)
    for name in ("display", "get_ipython"):
        position = read_before_bound(prepared.cells, name)
        if position is not None:
            prepared.need(name, [position], name=name)
    codes = [cell.code for cell in prepared.cells]
    for cell, notes in zip(prepared.cells, kernel_needs.told(codes), strict=True):
        for text in notes:
            prepared.note(cell.positions, text)
    words = frozenset().union(*map(words_of, codes))
    if {"Output", "ipywidgets"} <= words or (
        "get_ipython" in words and kernel_needs.asks_for_the_shell(codes)
    ):  # ipywidgets' Output asks it to show errors
        prepared.need(SHELL, ())


def unresolved(cells: Sequence[Working]) -> dict[int, list[str]]:
    """Return, by index, the names that a cell reads and that no cell binds."""
    read = [read_cell(cell.code) for cell in cells]
    bound = {use.name for names in read for use in names.occurrences if use.act == "store"} | set(
        dir(builtins)
    )
    return {
        index: sorted(
            {
                use.name
                for use in names.occurrences
                if use.act == "load" and use.name not in bound and not re.fullmatch(r"__\w+__", use.name)
            }
        )
        for index, names in enumerate(read)
    }
