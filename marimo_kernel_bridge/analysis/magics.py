"""The semantics of IPython's magics: one table, for the dataflow graph of running cells and for the importer.

Rule 1: the effects of a magic are described here and nowhere else. Rule 2: this file does not know its users: the graph
derives names from it, and the importer derives equivalent Python. Both treat a magic that is not here as unknown.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "session", "offered text", "help", "ipython", "packages", "command", "interpreter", "shell",
    "display", "profiler", "debugger", "time", "timeit", "capture", "run", "store", "sql", "R", "pylab",
    "cd", "pwd", "env", "file",
]  # fmt: skip
"""`session`: configures IPython itself. `offered text`: inserts code into the next cell. `ipython`: reads the state of
IPython's shell. `packages`: installs packages. `command`: runs a command of the system's shell. `interpreter`: the body
is a program for another interpreter. `shell`: line and body are commands, whose output it returns. `profiler`,
`debugger` and `time`: line and body are Python. `file`: writes its body to a file. The others are single magics."""


@dataclass(frozen=True)
class Magic:
    """A magic of IPython, or of a well-known extension.

    `valued` are its one-letter options that take a value. `expanded`: IPython replaces `{x}` and `$x` in its line.
    `binds` is a pattern of the names that its line binds, only the `first` of them or all. `word` is the command,
    with the line at its `%l` or at its end, the interpreter or the class of `IPython.display` that the magic stands for; "" if
    the importer has none. `in_namespace`:
    its Python runs in the user's namespace.
    """

    kind: Kind
    valued: str = ""
    expanded: bool = True
    binds: str = ""
    first: bool = True
    word: str = ""
    in_namespace: bool = True

    def bound(self, line: str) -> list[str]:
        """Return the names that a line binds."""
        names = re.findall(self.binds, line) if self.binds else []
        return names[:1] if self.first else names


def _each(kind: Kind, names: str) -> dict[str, Magic]:
    return dict.fromkeys(names.split(), Magic(kind))


_NAME: Final = r"(?<!\S)([^\W\d]\w*)(?!\S)"
_STREAMS: Final = r"--(?:out|err|proc)[\s=]\s*(\w+)"
_OUT: Final = r"--out[\s=]\s*(\w+)"

MAGICS: Final[dict[str, Magic]] = {
    **_each(
        "session",
        """matplotlib config load_ext reload_ext unload_ext autoreload aimport autosave automagic colors xmode pdb
        precision logstart logstop logon logoff notebook gui doctest_mode psearch psource pdoc pfile pdef page loadpy3
        edit rerun reset reset_selective xdel tb pprint pycat watermark blackcellmagic nb_black lab_black pastebin
        killbgscripts widescreen system_raw""",
    ),
    **_each("offered text", "load loadpy recall"),
    **_each("help", "pinfo pinfo2"),
    **_each(
        "ipython",
        """who who_ls whos lsmagic magic quickref alias unalias alias_magic bookmark dirs dhist pushd popd history
        hist rehashx""",
    ),
    "macro": Magic("ipython", binds=_NAME),
    "sc": Magic("ipython", binds=r"(\w+)\s*="),
    "debug": Magic("debugger", valued="b", expanded=False),
    "store": Magic("store"),
    **_each("packages", "pip conda mamba uv"),
    **{
        name: Magic("command", word=name)
        for name in ["mkdir", "rmdir", "rm", "mv", "cp", "cat", "less", "more", "man"]
    },
    "ls": Magic("command", word="ls -F"),
    "ll": Magic("command", word="ls -F -o"),
    "la": Magic("command", word="ls -a"),
    "lf": Magic("command", word="ls -F -o %l | grep ^-"),
    "lk": Magic("command", word="ls -F -o %l | grep ^l"),
    "ldir": Magic("command", word="ls -F -o %l | grep /$"),
    "lx": Magic("command", word="ls -F -o %l | grep ^-..x"),
    **{
        name: Magic("interpreter", binds=_STREAMS, first=False, word=name)
        for name in ("bash", "sh", "perl", "ruby", "python", "python3", "pypy")
    },
    "script": Magic("interpreter", binds=_STREAMS, first=False, word="script"),
    "python2": Magic("interpreter", binds=_STREAMS, first=False),
    "cmd": Magic("interpreter", binds=_STREAMS, first=False),
    "!": Magic("shell", binds=_OUT, first=False, word="sh"),
    "sx": Magic("shell", binds=_OUT, first=False, word="sh"),
    "system": Magic("shell", binds=_OUT, first=False, word="sh"),
    **{name: Magic("display", word="HTML") for name in ("html", "HTML")},
    **{name: Magic("display", word="Javascript") for name in ("javascript", "js")},
    **{name: Magic("display", word="SVG") for name in ("svg", "SVG")},
    "latex": Magic("display", word="Latex"),
    "markdown": Magic("display", word="Markdown"),
    "prun": Magic("profiler", valued="DlsT", expanded=False),
    "lprun": Magic("profiler", valued="fmDTu"),
    "memit": Magic("profiler", valued="rti"),
    "mprun": Magic("profiler", valued="fT"),
    "pyinstrument": Magic("profiler", valued="h"),
    "snakeviz": Magic("profiler", valued="f"),
    "viztracer": Magic("profiler", valued="p"),
    "heat": Magic("profiler", in_namespace=False),
    "time": Magic("time", expanded=False),
    "timeit": Magic("timeit", valued="nrpv", expanded=False),
    "capture": Magic("capture", binds=_NAME),
    "run": Magic("run"),
    "sql": Magic("sql", binds=r"^\s*(\w+)\s*=?\s*<<"),
    "R": Magic("R"),
    "pylab": Magic("pylab"),
    "cd": Magic("cd"),
    "pwd": Magic("pwd"),
    "env": Magic("env"),
    "set_env": Magic("env"),
    "writefile": Magic("file"),
    "file": Magic("file"),
}
"""By name. Where IPython has a line and a cell magic of one name, it is the same magic."""

_OPTION: Final = re.compile(r"\s*(?:--[\w-]+(?:=\S+)?|-([A-Za-z])(\S*))(?:\s+|$)")


def split_options(line: str, valued: str) -> tuple[dict[str, list[str]], str]:
    """Split off the options at the start of a line. The one-letter options in `valued` take a value."""
    options: dict[str, list[str]] = {}
    at = 0
    while match := _OPTION.match(line, at):
        letter, value = match[1] or match[0].strip().lstrip("-"), match[2] or ""
        at = match.end()
        if letter in valued and match[1] and not value:
            end = line.find(" ", at)
            value, at = (line[at:], len(line)) if end < 0 else (line[at:end], end + 1)
        options.setdefault(letter, []).append(value)
    return options, line[at:].strip()


@dataclass(frozen=True)
class ScriptNames:
    """The global names that a script binds: `certain` ones at its end, and all `possible` ones."""

    certain: frozenset[str] = frozenset()
    possible: frozenset[str] = frozenset()


def names_of_script(script: str) -> ScriptNames:
    """Return the names that a script binds; none if it is not Python."""
    from marimo_kernel_bridge.analysis.name_uses import read_cell  # noqa: PLC0415  # only for %run

    try:
        names = read_cell(script)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ScriptNames()
    stored = frozenset(use.name for use in names.occurrences if use.act == "store" and not use.late)
    return ScriptNames(names.bound_at_end, stored)


def shell_calls(node: ast.AST) -> Iterable[ast.Call]:
    """Return `node` if it is a call of a method of `get_ipython()`, which is what IPython makes of its own syntax."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")))):
            return (node,)
    return ()


def method_and_texts(call: ast.Call) -> tuple[str, list[object]]:
    """Return the method that a call of IPython's shell calls, and its arguments; None for what is no constant."""
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr, [arg.value if isinstance(arg, ast.Constant) else None for arg in call.args]
