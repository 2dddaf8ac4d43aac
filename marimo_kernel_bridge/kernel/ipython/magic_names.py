"""The code of a cell with magics for the dataflow graph: Python that defines and uses the same global names.

IPython turns `%time x = f(a)` into `get_ipython().run_line_magic('time', 'x = f(a)')`, in which static analysis finds
no names. `graph_code` inserts before each statement with such a call Python that binds and reads the names that the
magic does. This code is analyzed and never run.

Pure, except that it reads scripts named by `%run`. A magic that the notebook registers uses the name of its function; other
unknown magics have no effect on names: the worst result is a missing edge, never a refused cell.
"""

from __future__ import annotations

import ast
import getopt
import json
import re
import shlex
import threading
import time
import tokenize
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from IPython.core.displayhook import DisplayHook

from marimo_kernel_bridge.analysis.magics import (
    MAGICS,
    Magic,
    method_and_texts,
    names_of_script,
    shell_calls,
    split_options,
)
from marimo_kernel_bridge.kernel.ipython.statements import without_globals
from marimo_kernel_bridge.notebooks.folder_files import text_inside
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAGIC: Final = "marimo"
"""The line magic whose cell has no part in reactivity: a command for the graph must not be run by the graph."""

_UNKNOWN: Final = Magic("session")
_RUN_OPTIONS: Final = "nidtN:b:pD:l:rs:T:em:G"

_LARGEST_SCRIPT: Final = 1_000_000
"""Bytes, of all the scripts that one cell runs, too."""
_MOST_SCRIPTS: Final = 50
_READ_BOUND: Final = 3.0
"""Seconds."""

_PRIVATE: Final = re.compile(r"\b_(?!_)\w*")
_SQL_PARAMETER: Final = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)|\{\{\s*([A-Za-z_]\w*)")


@dataclass(frozen=True)
class GraphCode:
    """The Python to analyze instead of a cell's code.

    `private` are the `_names` inside its magics. IPython runs magics as written, so the `_names` of the cell cannot
    be mangled to make them local.
    """

    code: str
    private: frozenset[str] = frozenset()


def read_script(path: str) -> str | None:
    """Return the text of the file that `%run` would find; None if it cannot be read, soon."""
    return _first_text(path, _text_of)


def read_script_here(path: str) -> str | None:
    """Return the text of a file in the working directory, for code that nobody is about to run; None for other files."""
    return _first_text(path, lambda name: text_inside(Path.cwd(), name))


def _first_text(path: str, read: Callable[[str], str | None]) -> str | None:
    """Return the text of `path` or of `path.py`, read in a thread of its own: a disk that is gone never answers."""
    found: list[str] = []

    def look() -> None:
        for name in (path, f"{path}.py"):
            with suppress(
                OSError, UnicodeDecodeError, ValueError, RuntimeError
            ):  # no such user's home: RuntimeError
                text = read(str(Path(name).expanduser()))
                if text is not None:
                    found.append(text)
                    return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_READ_BOUND)
    return found[0] if found else None


def _text_of(path: str) -> str:
    return read_bytes(path, _LARGEST_SCRIPT).decode("utf-8")


def graph_code(
    code: str,
    transform: Callable[[str], str],
    read: Callable[[str], str | None] = read_script,
    defined_as: Callable[[str], str] = lambda _: "",
) -> GraphCode:
    """Return the Python to analyze for `code`, which IPython has transformed.

    `transform` is IPython's `transform_cell`, for code inside magics; `read` returns the text of a script; `defined_as` the
    name in the notebook that an unknown magic may stand for, "" for none.
    """
    if "get_ipython()" not in code:
        return GraphCode(code)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return GraphCode(code)
    magics = _Magics(transform, read, defined_as)
    magics.visit(tree)
    if magics.commands_the_graph:
        return GraphCode("pass")
    if not magics.found:
        return GraphCode(code)
    try:
        tree = without_globals(tree)  # between what magics bind, `global` would be an error
        _compile(tree)
        written = ast.unparse(tree)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # pieces that parse need not parse together
        return GraphCode(code, frozenset(magics.private))
    return GraphCode(written, frozenset(magics.private))


def _compile(tree: ast.Module) -> None:
    compile(
        ast.fix_missing_locations(tree),
        "<cell>",
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )


class _Magics(ast.NodeTransformer):
    """Inserts before each statement the effects of the magics in it."""

    def __init__(
        self,
        transform: Callable[[str], str],
        read: Callable[[str], str | None],
        defined_as: Callable[[str], str],
    ) -> None:
        self._transform, self._read, self._defined_as = transform, read, defined_as
        self._reading: list[str] = []  # guards against scripts that run each other
        # Read so far: a few small files may run one another very often.
        self._scripts, self._characters = 0, 0
        self.found = self.commands_the_graph = False
        self.private: set[str] = set()

    def visit(self, node: ast.AST) -> Any:  # NodeTransformer accepts a list for a statement
        self.generic_visit(node)
        if not isinstance(node, ast.stmt):
            return node
        done = [made for call in _calls(node) for made in self._call(call)]
        return [*done, node] if done else node

    def _call(self, call: ast.Call) -> list[ast.stmt]:
        """Return the effects on names of a call of a method of `get_ipython()`."""
        match method_and_texts(call):
            case "run_line_magic", [str(name), str(line)]:
                done = self._magic(name, line, "")
            case "run_cell_magic", [str(name), str(line), str(body)]:
                done = self._magic(name, line, body)
            case "system" | "getoutput" | "system_raw", [str(command)]:
                done = self._expanded(command)
            case "run_cell" | "ex", [str(code)]:
                done = self._python(code)
            case _:
                return []
        self.found = True
        return done

    def _magic(self, name: str, line: str, body: str) -> list[ast.stmt]:
        """Return the effects of a magic on names; `body` is empty for a line magic."""
        if name == MAGIC:
            self.commands_the_graph = True
            return []
        magic = MAGICS.get(name, _UNKNOWN)
        used = self._expanded(line) if magic.expanded else []
        if magic is _UNKNOWN:
            used += self._used([self._defined_as(name)])
        bound = [] if magic.kind == "capture" and _hides(body) else magic.bound(line)
        return used + self._effects(magic, line, body) + _defined(bound)

    def _effects(self, magic: Magic, line: str, body: str) -> list[ast.stmt]:
        """Return the effects of a magic on names, without the bindings of its line."""
        match magic.kind:
            case "timeit":
                done = self._timeit(line, body, magic.valued)
            case "time" | "debugger" | "profiler" if magic.in_namespace:
                done = self._statement(line, magic.valued) + self._python(body)
            case "capture":
                done = self._python(body)
            case "run":
                done = self._run(line)
            case "store":
                done = self._store(line)
            case "R":
                done = self._r(line)
            case "sql":
                done = self._sql(line, body)
            case "shell":
                done = self._expanded(body)
            case _:
                done = []
        return done

    def _statement(self, line: str, valued: str) -> list[ast.stmt]:
        options, statement = split_options(line, valued)
        profiled = options.get("f", []) if "f" in valued else []
        return [made for code in (*profiled, statement) for made in self._python(code)]

    def _timeit(self, line: str, body: str, valued: str) -> list[ast.stmt]:
        options, statement = split_options(line, valued)
        timed = self._python(statement) + self._python(body)
        return _in_function(timed) + _defined(options.get("v", ()))

    def _r(self, line: str) -> list[ast.stmt]:
        taken = re.findall(r"(?:^|\s)(?:-i|--input)[\s=]*([\w,]+)", line)
        given = re.findall(r"(?:^|\s)(?:-o|--output)[\s=]*([\w,]+)", line)
        return self._used(",".join(taken).split(",")) + _defined(",".join(given).split(","))

    def _sql(self, line: str, body: str) -> list[ast.stmt]:
        taken = [bound or template for bound, template in _SQL_PARAMETER.findall(f"{line}\n{body}")]
        return self._used(taken)

    def _store(self, line: str) -> list[ast.stmt]:
        options, rest = split_options(line, "")
        names = _names(rest.partition(">")[0])
        if "r" in options:
            return _defined(names)
        return [] if options else self._used(names)

    def _run(self, line: str) -> list[ast.stmt]:
        try:
            parsed, arguments = getopt.getopt(shlex.split(line), _RUN_OPTIONS)
        except (getopt.GetoptError, ValueError):
            return []
        options = dict(parsed)
        if "-m" in options or not arguments or arguments[0] in self._reading:
            return []
        text = self._text_of(arguments[0])
        if text is None:
            return []
        self._reading.append(arguments[0])
        try:
            if arguments[0].lower().endswith(".ipynb"):
                return [made for cell in _code_cells(text) for made in self._python(cell)]
            if arguments[0].lower().endswith(".ipy") or "-i" in options:  # in the user's namespace
                return self._python(text)
            names = names_of_script(text).possible
            return _defined(name for name in sorted(names) if not name.startswith("_"))
        finally:
            self._reading.pop()

    def _text_of(self, script: str) -> str | None:
        if self._scripts >= _MOST_SCRIPTS or self._characters > _LARGEST_SCRIPT:
            return None
        begun = time.monotonic()
        text = self._read(script)
        self._scripts += 1 if time.monotonic() - begun < _READ_BOUND else _MOST_SCRIPTS
        self._characters += len(text or "")
        return text

    def _python(self, code: str) -> list[ast.stmt]:
        """Return code that IPython runs in the user's namespace, with the effects of magics inside it."""
        try:
            tree = ast.parse(self._transform(code))
            _compile(tree)
        except (SyntaxError, ValueError, RuntimeError, MemoryError):
            return []
        self.private.update(_PRIVATE.findall(code))
        self.visit(tree)
        return [node for node in tree.body if not _is_future(node)]

    def _expanded(self, command: str) -> list[ast.stmt]:
        """Return the uses of names in `{expression}` and `$name`, which IPython expands; nothing if one is invalid."""
        from marimo_kernel_bridge.analysis import expansions  # noqa: PLC0415  # few cells have a magic

        used: list[ast.stmt] = []
        try:
            for _, field, spec, _ in expansions.parse(command):
                if field is not None:
                    expression = ast.parse(f"{field}:{spec}" if spec else field, mode="eval").body
                    used.append(ast.Expr(expression))
                    self.private.update(_PRIVATE.findall(field))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
        return used

    def _used(self, names: Iterable[str]) -> list[ast.stmt]:
        identifiers = [name for name in names if name.isidentifier()]
        self.private.update(filter(_PRIVATE.fullmatch, identifiers))
        return [ast.Expr(ast.Name(name, ast.Load())) for name in identifiers]


def _calls(node: ast.stmt) -> Iterator[ast.Call]:
    """Yield the calls of methods of `get_ipython()` in a statement, without those in nested statements."""
    waiting = deque(ast.iter_child_nodes(node))
    while waiting:
        child = waiting.popleft()
        if isinstance(child, ast.stmt):
            continue
        yield from shell_calls(child)
        waiting += ast.iter_child_nodes(child)


def _hides(body: str) -> bool:
    """Return whether a semicolon ends a body: `%%capture x` then deletes `x`, as a semicolon hides a value."""
    try:
        return bool(DisplayHook.semicolon_at_end_of_expression(body))  # type: ignore[no-untyped-call]  # IPython's
    except (tokenize.TokenError, SyntaxError):
        return False


def _names(line: str) -> list[str]:
    """Return the words of a line that are Python identifiers."""
    return [word for word in line.split() if word.isidentifier()]


def _defined(names: Iterable[str]) -> list[ast.stmt]:
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names if name.isidentifier()]
    return [ast.Assign(targets, ast.Constant(None), lineno=1)] if targets else []


def _in_function(body: list[ast.stmt]) -> list[ast.stmt]:
    """Wrap statements in a function that is called, so that they use global names and define none."""
    if not body:
        return []
    function, call = ast.parse("async def _(): pass\n_()").body
    assert isinstance(function, ast.AsyncFunctionDef)
    function.body = body
    return [function, call]


def _is_future(node: ast.stmt) -> bool:
    """Return whether a statement is a `__future__` import, which must come before all others."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _code_cells(notebook: str) -> list[str]:
    try:
        cells = json.loads(notebook)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
