"""The imports that the importer's own Python needs: under which names, and the cell that makes them.

Generated Python uses the usual name of a module where the notebook leaves that name to it, and a name of its own where
the notebook binds the usual one to something else.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from IPython.core.inputtransformer2 import TransformerManager

from marimo_kernel_bridge.analysis.components import bound_by
from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.importing.prepared import Working
from marimo_kernel_bridge.importing.python_text import parses
from marimo_kernel_bridge.importing.settings_by_place import SETTINGS_BY_PLACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from marimo_kernel_bridge.importing.prepared import Need

_DOLLAR: Final = re.compile(r"\$\{?\w+")
_MAGIC_LINE: Final = re.compile(r"^[ \t]*%(?!(?:set_)?env\b).*$", re.MULTILINE)
_BINDS_UNSEEN: Final = re.compile(r"%(?:run|load|pylab|store)\b|\b(?:exec|globals|locals|vars|push)\(")
"""Occurs in code that may bind names which its text does not show as such."""
_OF_THE_SHELL: Final = frozenset(
    ["HOME", "PATH", "USER", "PWD", "SHELL", "LANG", "HOSTNAME", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"]
)
_ORIGINS: Final = {
    "builtins": "builtins",
    "subprocess": "subprocess",
    "SList": "IPython.utils.text:SList",
    "os": "os",
    "runpy": "runpy",
    "sys": "sys",
    "patch": "unittest.mock:patch",
    "shlex": "shlex",
    "time": "time",
    "mo": "marimo",
    "display": "IPython.display:display",
    "capture_output": "IPython.utils.capture:capture_output",
    "Path": "pathlib:Path",
    "HTML": "IPython.display:HTML",
    "Latex": "IPython.display:Latex",
    "Markdown": "IPython.display:Markdown",
    "Javascript": "IPython.display:Javascript",
    "SVG": "IPython.display:SVG",
    "get_ipython": "IPython:get_ipython",
    "copy": "copy",
    "clone": "sklearn.base:clone",
}
"""Where each name comes from: a module, or a module and a name in it."""
_TIME_IT: Final = """\
def {name}(function, number=0, repeat=7, precision=3, quiet=False):  # as IPython's %timeit
    import timeit
    from IPython.core.magics.execution import TimeitResult

    timer = timeit.Timer(function)
    if not number:
        number = next(10**power for power in range(10) if power == 9 or timer.timeit(10**power) >= 0.2)
    runs = timer.repeat(repeat, number)
    result = TimeitResult(number, repeat, min(runs) / number, max(runs) / number, runs, 0, precision)
    if not quiet:
        print(result)
    return result"""
_REPEATED_DRAWS: Final = """\
def {name}(get_state, set_state):
    # For the cells below a seed: each begins where the one above it ended, also when it runs again
    states = []

    def begin():
        states[:] = states or [get_state()]
        set_state(*states)
        return {name}(get_state, set_state)

    return begin"""
_SHOWN_AS: Final = """\
def {name}(name):
    # What Python shows of a renamed function or class: the name that it had
    import types

    def named(code, written):
        parts = [named(part, written) if isinstance(part, types.CodeType) else part for part in code.co_consts]
        whole = name + code.co_qualname.removeprefix(written)
        return code.replace(co_name=whole.rpartition(".")[2], co_qualname=whole, co_consts=tuple(parts))

    def renamed(definition):
        written = definition.__qualname__
        for part in [definition, *(getattr(part, "__func__", part) for part in vars(definition).values())]:
            if isinstance(part, types.FunctionType) and part.__qualname__.startswith(written):
                part.__code__ = named(part.__code__, written)
                part.__qualname__ = name + part.__qualname__.removeprefix(written)
        definition.__name__ = definition.__qualname__ = name
        return definition

    return renamed"""
_WITH_GLOBALS: Final = """\
def {name}(function, /, **values):
    # `function` for the cells below a change of what it reads: written once, with other values of these names
    import types

    class Names(dict):
        def __missing__(self, name):
            return values[name]() if name in values else function.__globals__[name]

    same = types.FunctionType(
        function.__code__, Names(), function.__name__, function.__defaults__, function.__closure__
    )
    same.__kwdefaults__, same.__doc__ = function.__kwdefaults__, function.__doc__
    same.__annotations__, same.__module__ = function.__annotations__, function.__module__
    return same"""
_LISTED_NAMES: Final = """\
def {name}(magic, line, /, **names):  # IPython's %who, %whos and %who_ls
    from types import SimpleNamespace
    from IPython.core.magics import NamespaceMagics

    magics = NamespaceMagics(SimpleNamespace(user_ns=names, user_ns_hidden={}))
    return getattr(magics, magic)(line)"""
_SHOW_VALUE: Final = """\
def {name}(value):
    # What Jupyter shows of a statement, by `InteractiveShell.ast_node_interactivity`
    from IPython.display import display

    if value is not None:
        display(value)"""
_DEFINED: Final = {
    "show_value": _SHOW_VALUE,
    "time_it": _TIME_IT,
    "repeated_draws": _REPEATED_DRAWS,
    "shown_as": _SHOWN_AS,
    "listed_names": _LISTED_NAMES,
    "with_globals": _WITH_GLOBALS,
    **SETTINGS_BY_PLACE,
}
"""What is defined by the added cell instead of imported."""
SHELL: Final = "shell"
"""The key of the need for a shell of IPython, which binds no name."""
SHELL_HERE: Final = "shell of this notebook"
"""The same, for a shell whose magics see the notebook's names."""
_SHELL: Final = """\
from IPython.core.interactiveshell import InteractiveShell as _InteractiveShell

_shell = _InteractiveShell.instance()  # what `get_ipython()` returns"""


def bindings_in(sources: Iterable[str]) -> dict[str, set[str | None]]:
    """Return the names that cells bind or delete, in any scope, with what they are imported from (None: nothing)."""
    origins: dict[str, set[str | None]] = {}
    for source in sources:
        for name, origin in _bound(source):
            origins.setdefault(name, set()).add(origin)
    return origins


def names_for_commands(sources: Sequence[str], origins: Mapping[str, set[str | None]]) -> frozenset[str]:
    """Return the names that a notebook may bind, of which commands can have the value: `$name` may also be the shell's.

    `sources` are the notebook's code cells, with their magics; `origins` are their bindings.
    """
    if "*" in origins or any(map(_BINDS_UNSEEN.search, sources)):
        return frozenset().union(*map(words_of, sources)) - (_OF_THE_SHELL - origins.keys())
    lines = [_DOLLAR.sub("", line[0]) for source in sources for line in _MAGIC_LINE.finditer(source)]
    return frozenset(origins).union(*map(words_of, lines))


def names_for_imports(sources: Sequence[str], origins: Mapping[str, set[str | None]]) -> Mapping[str, str]:
    """Return the name under which generated Python imports each of the names that it may need.

    `sources` are the notebook's code cells, with their magics; `origins` are their bindings.
    """
    words = frozenset().union(*map(words_of, sources))
    taken = {name for name, origin in _ORIGINS.items() if origins.get(name, set()) - {origin}}
    if "*" in origins:  # it may bind what the notebook reads and does not bind itself
        taken |= {name for name in _ORIGINS if name in words and name not in origins}
    taken |= _DEFINED.keys() & words
    return {
        name: _free(f"imported_{name}", words) if name in taken else name
        for name in _ORIGINS.keys() | _DEFINED.keys()
    }


def _free(name: str, words: frozenset[str]) -> str:
    while name in words:
        name = f"{name}_"
    return name


def _bound(source: str) -> Iterator[tuple[str, str | None]]:
    """Yield the names that a cell binds or deletes in any scope, with what they are imported from."""
    if source.lstrip().startswith("%%"):
        source = source.lstrip().partition("\n")[2]
    try:
        if not parses(source):
            source = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]  # IPython's
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    origin = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield alias.asname or origin, origin
            case ast.ImportFrom(names=aliases, module=module, level=level):
                for alias in aliases:
                    yield alias.asname or alias.name, f"{'.' * level}{module or ''}:{alias.name}"
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name, None
            case _:
                yield from ((name, None) for name in bound_by(node))


def added_cells(cells: Sequence[Working], needs: Mapping[Need, int]) -> list[Working]:
    """Return a cell of the imports that no cell makes above the first cell that needs them, and a cell of each function.

    `needs` have the position of that cell in the notebook.
    """
    missing = [
        need for need in needs if need.key in _ORIGINS and not _is_imported_above(cells, need, needs[need])
    ]
    missing.sort(key=lambda each: (each.key != "mo", _ORIGINS[each.key], each.name))
    lines = [_statement(need) for need in missing]
    if any(need.key in {SHELL, SHELL_HERE, "get_ipython"} for need in needs):
        here = any(need.key == SHELL_HERE for need in needs)
        lines.append(_SHELL.replace("instance()", "instance(user_ns=globals())") if here else _SHELL)
    defined = [_definition(need) for need in needs if need.key in _DEFINED]
    return [Working((), part) for part in ("\n".join(lines), *defined) if part]


def settings_cells(needs: Iterable[Need]) -> list[Working]:
    """Return cells that bind the functions which set back the settings of libraries: their code is no matter."""
    return [
        Working((), f"from settings import {need.name}") for need in needs if need.key in SETTINGS_BY_PLACE
    ]


def _definition(need: Need) -> str:
    return _DEFINED[need.key].replace("{name}", need.name)


def _statement(need: Need) -> str:
    module, _, attribute = _ORIGINS[need.key].partition(":")
    imported = attribute or module
    renamed = f" as {need.name}" if need.name != imported else ""
    return f"from {module} import {attribute}{renamed}" if attribute else f"import {module}{renamed}"


def _is_imported_above(cells: Sequence[Working], need: Need, position: int) -> bool:
    for cell in cells:
        if position in cell.positions:
            return False
        names = read_cell(cell.code)
        origins = {use.origin for use in names.stores(need.name)}
        if origins == {_ORIGINS[need.key]} and need.name in names.bound_at_end and not cell.fails:
            return True
    return False


def read_before_bound(cells: Sequence[Working], name: str) -> int | None:
    """Return the position of the first cell that reads a name which no cell has certainly bound by then."""
    for cell in cells:
        names = read_cell(cell.code)
        bound = name in names.bound_at_end and not cell.fails
        for use in names.of(name):
            if use.act == "load" and (use.exposed or (use.late and not bound)):
                return min(cell.positions)
        if bound:
            return None
    return None
