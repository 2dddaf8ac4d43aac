"""Translation of IPython's line magics to equivalent Python: one rule for each kind of magic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.magics import MAGICS, Kind, Magic, split_options
from marimo_kernel_bridge.importing import other_notebook, run_script, shell, timing
from marimo_kernel_bridge.importing.python_text import first_line, with_value
from marimo_kernel_bridge.importing.shell import text_literal
from marimo_kernel_bridge.importing.translation import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.importing.translation import Notebooks, Translated

_PYLAB: Final = (
    "import numpy\nimport matplotlib\nfrom matplotlib import pylab, mlab, pyplot\n"
    "np = numpy\nplt = pyplot\nfrom pylab import *\nfrom numpy import *\n"
    'print("%pylab is deprecated, use %matplotlib inline and import the required libraries.")\n'
    'print("Populating the interactive namespace from numpy and matplotlib")'
)


@dataclass(frozen=True)
class LineMagic:
    """One use of a line magic. `alone` is true if it is a whole statement. Notes are added to `result`."""

    name: str
    line: str
    alone: bool
    around: Notebooks
    result: Translated

    @property
    def text(self) -> str:
        return f"%{self.name} {self.line}".rstrip()

    @property
    def magic(self) -> Magic | None:
        return MAGICS.get(self.name)

    def statement(self) -> str:
        """Return the line without its leading options."""
        return split_options(self.line, self.magic.valued if self.magic is not None else "")[1]

    def note(self, what: str) -> None:
        self.result.notes.append(f"`{first_line(self.text)}` {what}")


def python_of(use: LineMagic) -> str | None:
    """Return Python for a line magic; None if it stays unchanged."""
    if use.name in use.around.magics:
        return _own(use)
    rule = _RULES.get(use.magic.kind, _unknown) if use.magic is not None else _unknown
    lost = len(use.result.lost)
    code = rule(use)
    if use.magic is not None and use.magic.kind in _WRITTEN and len(use.result.lost) == lost:
        use.note("is written in Python")
    return code


def _own(use: LineMagic) -> str | None:
    function = use.around.magics[use.name]
    if not function:
        return _ipython(use)
    use.note(f"is a call of `{function}`")
    return f"{function}({shell.quoted(use.line, use.around.names)})"


def _packages(use: LineMagic) -> str:
    packages = shell.requirements(f"pip {use.line.removeprefix('pip ')}")
    return use.result.leave_out(use.text) if packages is None else use.result.require(use.text, packages)


def _help(use: LineMagic) -> str:
    marks = "?" if use.name == "pinfo" else "??"
    return use.result.leave_out(f"{use.line}{marks}", "it shows help beside the notebook")


def _offered_text(use: LineMagic) -> str:
    return use.result.leave_out(use.text, "it only offers text for a cell")


def _session(use: LineMagic) -> str | None:
    if use.name == "load_ext" and use.around.read(f"{use.line.strip()}.py") is not None:
        return _ipython(use)
    if use.alone:
        return use.result.leave_out(use.text)
    use.note("is left out")
    return "None"


def _profiler(use: LineMagic) -> str:
    use.note("is what it profiles, without the profile")
    return use.statement() or "pass"


def _command(use: LineMagic) -> str:
    assert use.magic is not None
    word = use.magic.word if "%l" in use.magic.word else f"{use.magic.word} %l"
    return use.result.system(word.replace("%l", use.line.strip()).strip(), use.around.names)


def _ipython(use: LineMagic) -> str | None:
    use.result.needs.add("get_ipython")
    use.note("runs through IPython")
    return None


def _unknown(use: LineMagic) -> str:
    if use.alone:
        return use.result.lose(use.text, "marimo has no such magic")
    use.result.lost.append(f"`{first_line(use.text)}` has no counterpart")
    return "None"


def _pylab(use: LineMagic) -> str:
    use.result.notes.append(f"`{use.text}` is the imports that it makes")
    return _PYLAB


def _shell(use: LineMagic) -> str:
    return use.result.getoutput(use.line, use.around.names)


def _sql(use: LineMagic) -> str:
    mo = use.result.uses("mo")
    return f"{mo}.sql({text_literal(use.line)})"


def _pwd(use: LineMagic) -> str:
    os = use.result.uses("os")
    return f"{os}.getcwd()"


def _time(use: LineMagic) -> str:
    time = use.result.uses("time")
    statement = use.statement()
    if not use.alone:
        return f"({statement})"
    code, value = with_value(statement, "_value")
    return "\n".join([*timed(time, code), *([value] if value else [])])


def _timeit(use: LineMagic) -> str:
    return timing.written(use.line, None, use.result) if use.alone else timing.inline(use.line, use.result)


def _cd(use: LineMagic) -> str:
    os = use.result.uses("os")
    quiet = re.match(r"\s*-q(?:\s+|$)", use.line)
    place = use.line[quiet.end() if quiet else 0 :].strip().strip("\"'") or "~"
    target = shell.quoted(place, use.around.names)
    change = f"{os}.chdir({os}.path.expanduser({target}))" if "~" in place else f"{os}.chdir({target})"
    return change if quiet else f"{change}\nprint({os}.getcwd())"


def _env(use: LineMagic) -> str:
    os = use.result.uses("os")
    line = use.line.strip()
    if not line:
        return f"dict({os}.environ)"
    setting = re.fullmatch(r"(\w+)(?:\s*=\s*|\s+)(.*)", line, re.DOTALL)
    if setting is None:
        return f"{os}.environ[{line!r}]"
    name, value = setting[1], shell.quoted(setting[2], use.around.names)
    return f'{os}.environ[{name!r}] = {value}\nprint("env: {name}=" + {os}.environ[{name!r}])'


def _inlined(use: LineMagic, path: str, cells: Sequence[str]) -> str:
    """Write the cells of another notebook where `%run` stands; their values are not shown, as in IPython."""
    assert use.around.translate is not None
    parts = [f"# the cells of {path}"]
    for source in cells:
        inner = use.around.translate(source, use.around.without(path))
        use.result.take_over(inner)
        parts.append(inner.code)
    return "\n\n".join([*(part for part in parts if part.strip()), "None"])


def _run(use: LineMagic) -> str:
    run = run_script.read_run(use.line)
    if not run.target:
        return "pass"
    text = None if "m" in run.options else use.around.read(run.path)
    if run.path.endswith((".ipy", ".ipynb")) and "m" not in run.options:
        cells = other_notebook.code_of(run.path, text) if text is not None else None
        if not cells or use.around.translate is None or not use.alone:
            return use.result.lose(f"%run {use.line}", "it runs another notebook, which cannot be read")
        return _inlined(use, run.path, cells)
    return run_script.python_of(run, text, use.result, use.around.names)


_RULES: Final[Mapping[Kind, Callable[[LineMagic], str | None]]] = {
    "session": _session,
    "offered text": _offered_text,
    "help": _help,
    "ipython": _ipython,
    "debugger": _ipython,
    "store": _ipython,
    "packages": _packages,
    "command": _command,
    "shell": _shell,
    "profiler": _profiler,
    "time": _time,
    "timeit": _timeit,
    "run": _run,
    "sql": _sql,
    "pylab": _pylab,
    "cd": _cd,
    "pwd": _pwd,
    "env": _env,
}
"""The rules by kind of magic. The other kinds are cell magics only."""
_WRITTEN: Final[frozenset[Kind]] = frozenset({"time", "timeit", "cd", "pwd", "env", "run", "shell", "sql"})
