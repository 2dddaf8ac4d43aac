"""IPython's syntax as plain Python: magics, shell lines and `obj?` of one cell, whatever the other cells hold.

IPython's own transformer says what is a magic; each is then written as Python that does the same. Every line that is
not a magic stays as it is. What has no counterpart is commented out and reported as lost.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from IPython.core.inputtransformer2 import TransformerManager

from marimo_kernel_bridge.importing import shell
from marimo_kernel_bridge.importing.shell import text_literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

# What a marimo notebook does by itself or does not need.
_LEFT_OUT: Final = frozenset(
    """matplotlib config load_ext reload_ext unload_ext autoreload aimport autosave automagic colors xmode pdb
    precision logstart logstop logon logoff notebook gui doctest_mode pinfo pinfo2 psearch psource pdoc pfile pdef page
    load loadpy loadpy3 edit recall rerun reset reset_selective xdel tb pprint pycat watermark blackcellmagic nb_black
    lab_black pastebin killbgscripts widescreen system_raw""".split()  # noqa: SIM905  # a list of words
)
_SHOWN_LATER: Final = frozenset({"load", "loadpy", "recall"})  # they only offer text for the next cell
_COMMANDS: Final = frozenset(
    [
        "ls",
        "ll",
        "ldir",
        "la",
        "mkdir",
        "rmdir",
        "rm",
        "mv",
        "cp",
        "cat",
        "less",
        "more",
        "man",
        "lf",
        "lk",
        "lx",
    ]
)
_PROFILERS: Final = frozenset(
    {"prun", "lprun", "memit", "mprun", "pyinstrument", "snakeviz", "viztracer", "heat"}
)
_INTERPRETERS: Final = {
    "bash": ["bash"],
    "sh": ["sh"],
    "perl": ["perl"],
    "ruby": ["ruby"],
    "python": ["python"],
    "python3": ["python3"],
    "pypy": ["pypy"],
    "!": ["sh"],
    "sx": ["sh"],
    "system": ["sh"],
}
_DISPLAYED: Final = {
    "html": "HTML",
    "HTML": "HTML",
    "latex": "Latex",
    "markdown": "Markdown",
    "javascript": "Javascript",
    "js": "Javascript",
    "svg": "SVG",
    "SVG": "SVG",
}
# Magics that IPython itself has and that need its shell: they run through one.
_OF_IPYTHON: Final = frozenset(
    """who who_ls whos lsmagic magic quickref alias unalias alias_magic bookmark dirs dhist pushd popd history hist
    macro store rehashx sc notebook debug pinfo colors alias psearch timeit""".split()  # noqa: SIM905  # a list of words
)

IMPORTS: Final = {
    "subprocess": "import subprocess",
    "SList": "from IPython.utils.text import SList",
    "os": "import os",
    "runpy": "import runpy",
    "time": "import time",
    "timeit": "import timeit",
    "mo": "import marimo as mo",
    "display": "from IPython.display import display",
    "capture_output": "from IPython.utils.capture import capture_output",
    "Path": "from pathlib import Path",
    "HTML": "from IPython.display import HTML",
    "Latex": "from IPython.display import Latex",
    "Markdown": "from IPython.display import Markdown",
    "Javascript": "from IPython.display import Javascript",
    "SVG": "from IPython.display import SVG",
    "get_ipython": "from IPython.core.interactiveshell import InteractiveShell\n\nget_ipython = InteractiveShell.instance",
    "copy": "import copy",
    "_shell": "from IPython.core.interactiveshell import InteractiveShell\n\n"
    "_shell = InteractiveShell.instance()  # ipywidgets' Output asks it to show errors",
}
"""What written Python needs, by the name that it uses."""


@dataclass
class Translated:
    """A cell in Python. `notes` tell what changed, `lost` what could not be kept; `needs` are keys of `IMPORTS`."""

    code: str
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    requirements: list[str] = field(default_factory=list)
    is_python: bool = True


@dataclass(frozen=True)
class Notebooks:
    """What of the notebook a magic may need: the names that it binds, and how to read a file beside it."""

    names: AbstractSet[str]
    read: Callable[[str], str | None]


def translated(source: str, around: Notebooks) -> Translated:
    """Write a cell's code in Python."""
    source = source.strip("\n").rstrip()
    if parses(source) and "get_ipython()" not in source:
        return Translated(source)
    if source.lstrip().startswith("%%"):
        return _Cell(around).cell_magic(source.lstrip())
    return _Cell(around).lines(source)


def parses(source: str) -> bool:
    """Tell whether code is Python, with `await` outside of functions."""
    try:
        compile(
            source,
            "<cell>",
            "exec",
            flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class _Cell:
    def __init__(self, around: Notebooks) -> None:
        self.around = around
        self.result = Translated("")

    # Lines in Python

    def lines(self, source: str) -> Translated:
        """Write the magics of a cell that is otherwise Python."""
        try:
            python = TransformerManager().transform_cell(source).rstrip("\n")  # type: ignore[no-untyped-call]  # IPython's
        except SyntaxError:
            python = source
        if not parses(python):
            return self._not_python(source)
        calls = list(_shell_calls(python))
        for node, statement in reversed(calls):
            python = self._replace(python, node, statement)
        self.result.notes.reverse()
        self.result.lost.reverse()
        self.result.code = python
        if not parses(python):
            return self._not_python(source)
        return self.result

    def _not_python(self, source: str) -> Translated:
        """Keep the text of a cell that fails in Jupyter, too, and let it fail in the same way."""
        message = "invalid syntax"
        try:
            ast.parse(TransformerManager().transform_cell(source))  # type: ignore[no-untyped-call]  # IPython's
        except SyntaxError as error:
            message = f"{error.msg} (line {error.lineno})"
        except (ValueError, RecursionError, MemoryError) as error:
            message = str(error)
        note = f"it is not Python ({message}), in Jupyter neither: its text is kept in comments, and it fails as before"
        code = "\n".join([_commented(source), f"raise SyntaxError({message!r})"])
        return Translated(code, notes=[note], is_python=False)

    def _replace(self, code: str, node: ast.Call, statement: ast.stmt) -> str:
        """Replace one call of a method of `get_ipython()` in the text."""
        start, end = _span(code, node)
        alone = isinstance(statement, ast.Expr) and statement.value is node
        written = self._written(node, alone=alone)
        if written is None:
            self.result.needs.add("get_ipython")
            return code
        if not alone:
            return code[:start] + written + code[end:]
        line_start = code.rfind("\n", 0, start) + 1
        indentation = code[line_start:start]
        if indentation.strip():
            indentation = ""
        lines = written.split("\n")
        if written.lstrip().startswith("#") and len(lines) == 1 and indentation:
            lines.append("pass")
        text = ("\n" + indentation).join(lines) if '"""' not in written else written
        return code[:start] + text + code[end:].lstrip(";")

    def _written(self, call: ast.Call, *, alone: bool) -> str | None:
        """Return Python for a call; None if it stays as it is."""
        assert isinstance(call.func, ast.Attribute)
        values = [arg.value if isinstance(arg, ast.Constant) else None for arg in call.args]
        match call.func.attr, values:
            case "run_line_magic" | "magic", [str(name), str(line)]:
                return self._line_magic(name, line, alone=alone)
            case "magic", [str(whole)]:
                name, _, line = whole.lstrip("%").partition(" ")
                return self._line_magic(name, line.strip(), alone=alone)
            case "system" | "system_raw", [str(command)]:
                return self._system(command)
            case "getoutput", [str(command)]:
                return self._getoutput(command)
            case _:
                return None

    def _system(self, command: str) -> str:
        wanted = shell.requirements(command)
        if wanted is not None:
            return self._require(f"!{command}", wanted)
        self.result.needs.add("subprocess")
        self.result.notes.append(f"`!{_brief(command)}` is a call of subprocess")
        if command.strip() == "":
            return "pass"
        return shell.run(command, self.around.names)

    def _getoutput(self, command: str) -> str:
        self.result.needs |= {"subprocess", "SList"}
        self.result.notes.append(f"`!{_brief(command)}` is a call of subprocess, with the same kind of list")
        return shell.lines_of(command, self.around.names)

    def _require(self, line: str, wanted: list[str]) -> str:
        self.result.requirements += wanted
        told = ", ".join(wanted) or "nothing by name"
        self.result.notes.append(f"`{_brief(line)}` is a requirement at the head of the file: {told}")
        return f"# {_brief(line)}"

    def _leave_out(self, line: str, why: str = "marimo does not need it") -> str:
        self.result.notes.append(f"`{_brief(line)}` is left out: {why}")
        return f"# {_brief(line)}"

    def _lose(self, line: str, why: str) -> str:
        self.result.lost.append(f"`{_brief(line)}` is commented out: {why}")
        return "\n".join(
            ["# Not carried over from the Jupyter notebook:", *(f"# {each}" for each in line.splitlines())]
        )

    def _line_magic(self, name: str, line: str, *, alone: bool) -> str | None:  # noqa: C901, PLR0911  # a table
        whole = f"%{name} {line}".rstrip()
        if name in {"pip", "conda", "mamba", "uv"}:
            wanted = shell.requirements(f"pip {line.removeprefix('pip ')}")
            return self._require(whole, wanted) if wanted is not None else self._leave_out(whole)
        if name in {"pinfo", "pinfo2"}:
            return self._leave_out(
                f"{line}{'?' if name == 'pinfo' else '??'}", "it shows help beside the notebook"
            )
        if name in _SHOWN_LATER:
            return self._leave_out(whole, "it only offers text for a cell")
        if name == "pylab":
            return self._pylab(whole)
        if name in _LEFT_OUT:
            if not alone:
                self.result.notes.append(f"`{_brief(whole)}` is left out")
                return "None"
            return self._leave_out(whole)
        if name in _PROFILERS:
            self.result.notes.append(f"`{_brief(whole)}` is what it profiles, without the profile")
            return _without_options(line) or "pass"
        rules: dict[str, Callable[[str, bool], str]] = {
            "time": self._time,
            "timeit": self._timeit,
            "cd": self._cd,
            "pwd": lambda _line, _alone: self._needing("os", "os.getcwd()"),
            "env": self._env,
            "set_env": self._env,
            "run": self._run,
            "sx": lambda line, _alone: self._getoutput(line),
            "system": lambda line, _alone: self._getoutput(line),
            "sql": lambda line, _alone: self._needing("mo", f"mo.sql({text_literal(line)})"),
        }
        if name in rules:
            written = rules[name](line, alone)
            self.result.notes.append(f"`{_brief(whole)}` is written in Python")
            return written
        if name in _COMMANDS:
            return self._system(
                f"{ {'ll': 'ls -l', 'ldir': 'ls -l', 'la': 'ls -a'}.get(name, name) } {line}".strip()
            )
        if name in _OF_IPYTHON:
            self.result.needs.add("get_ipython")
            self.result.notes.append(f"`{_brief(whole)}` runs through IPython")
            return None
        if not alone:
            self.result.lost.append(f"`{_brief(whole)}` has no counterpart")
            return "None"
        return self._lose(whole, "marimo has no such magic")

    def _needing(self, need: str, code: str) -> str:
        self.result.needs.add(need)
        return code

    def _pylab(self, whole: str) -> str:
        self.result.notes.append(f"`{whole}` is the imports that it makes")
        return (
            "import numpy\nimport matplotlib\nfrom matplotlib import pylab, mlab, pyplot\n"
            "np = numpy\nplt = pyplot\nfrom pylab import *\nfrom numpy import *\n"
            'print("%pylab is deprecated, use %matplotlib inline and import the required libraries.")\n'
            'print("Populating the interactive namespace from numpy and matplotlib")'
        )

    def _time(self, line: str, alone: bool) -> str:  # noqa: FBT001  # all rules have it
        self.result.needs.add("time")
        line = _without_options(line)
        ends = 'print(f"Wall time: {time.perf_counter() - _started:.3g} s")'
        if not alone:
            return f"({line})"
        if _is_expression(line):
            return f"_started = time.perf_counter()\n_value = {line}\n{ends}\n_value"
        return f"_started = time.perf_counter()\n{line}\n{ends}"

    def _timeit(self, line: str, alone: bool) -> str:  # noqa: FBT001  # see _time
        self.result.needs.add("timeit")
        statement = _without_options(line)
        stored = re.search(r"(?:^|\s)-\w*o", line[: len(line) - len(statement)])
        if not alone or stored:
            return f"timeit.Timer(lambda: ({statement})).autorange()"
        return f"def _timed():\n    {statement}\n\n_loops, _seconds = timeit.Timer(_timed).autorange()\n{_PER_LOOP}"

    def _cd(self, line: str, _alone: bool) -> str:  # noqa: FBT001  # see _time
        self.result.needs.add("os")
        quiet = re.match(r"\s*-q(?:\s+|$)", line)
        place = line[quiet.end() if quiet else 0 :].strip().strip("\"'") or "~"
        target = shell.quoted(place, self.around.names)
        went = f"os.chdir(os.path.expanduser({target}))" if "~" in place else f"os.chdir({target})"
        return went if quiet else f"{went}\nprint(os.getcwd())"

    def _env(self, line: str, _alone: bool) -> str:  # noqa: FBT001  # see _time
        self.result.needs.add("os")
        line = line.strip()
        if not line:
            return "dict(os.environ)"
        found = re.fullmatch(r"(\w+)(?:\s*=\s*|\s+)(.*)", line, re.DOTALL)
        if found is None:
            return f"os.environ[{line!r}]"
        value = shell.quoted(found[2], self.around.names)
        return f'os.environ[{found[1]!r}] = {value}\nprint("env: {found[1]}=" + os.environ[{found[1]!r}])'

    def _run(self, line: str, _alone: bool) -> str:  # noqa: FBT001  # see _time
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
        words = [word for number, word in enumerate(words) if not (word.startswith("-") and number == 0)]
        if not words:
            return "pass"
        path = words[0] if words[0].endswith((".py", ".ipy", ".ipynb")) else f"{words[0]}.py"
        text = self.around.read(path)
        if text is not None and path.endswith(".py"):
            self.result.needs.add("runpy")
            names = [name for name in _top_level_names(text) if name in self.around.names]
            lines = [f"_ran = runpy.run_path({path!r}, run_name='__main__')"]
            lines += [f"{name} = _ran[{name!r}]" for name in names]
            return "\n".join(lines)
        if text is not None:
            return self._lose(f"%run {line}", "it runs another notebook")
        self.result.needs.add("runpy")
        self.result.notes.append(f"`{path}` could not be read: what it defines is not known to marimo")
        return f"globals().update(runpy.run_path({path!r}, run_name='__main__'))"

    # Cell magics

    def cell_magic(self, source: str) -> Translated:  # noqa: PLR0911  # a table
        """Write a cell that starts with `%%`."""
        first, _, body = source.partition("\n")
        name, _, line = first[2:].strip().partition(" ")
        line = line.strip()
        result = self.result
        if name == "time" or name in _PROFILERS:
            return self._timed_cell(first, f"{_without_options(line)}\n{body}".strip("\n"), name)
        if name == "timeit":
            return self._timeit_cell(first, line, body)
        if name == "capture":
            return self._captured_cell(first, line, body)
        if name in _INTERPRETERS or name == "script":
            try:
                words = shlex.split(line)
            except ValueError:
                words = line.split()
            interpreter = (
                words
                if name == "script"
                else [*_INTERPRETERS[name], *(word for word in words if not word.startswith("--"))]
            )
            result.needs.add("subprocess")
            result.notes.append(f"`{first}` is a call of subprocess")
            result.code = shell.script(interpreter, f"{body}\n")
            return result
        if name in _DISPLAYED:
            kind = _DISPLAYED[name]
            result.needs.add(kind)
            result.notes.append(f"`{first}` is written with IPython's {kind}")
            result.code = f"{kind}({text_literal(body)})"
            return result
        if name in {"writefile", "file"}:
            return self._written_file(first, line, body)
        if name == "sql":
            result.needs.add("mo")
            result.notes.append(f"`{first}` is marimo's SQL")
            assigned = re.match(r"(\w+)\s*(?:=\s*)?<<", line)
            target = f"{assigned[1]} = " if assigned else ""
            result.code = f'{target}mo.sql(\n    f"""\n{body}\n    """\n)'
            return result
        if name in _LEFT_OUT or (not body.strip() and name != "cython"):
            inner = translated(body, self.around) if body.strip() else Translated("")
            inner.notes.insert(0, f"`{first}` is left out: marimo does not need it")
            inner.code = f"# {first}\n{inner.code}".rstrip("\n")
            return inner
        return Translated(
            "\n".join(["# Not carried over from the Jupyter notebook:", _commented(source)]),
            lost=[f"`{first}` is commented out, with its text: marimo has no such magic"],
        )

    def _inner(self, body: str) -> Translated:
        inner = translated(body, self.around)
        self.result.needs |= inner.needs
        self.result.requirements += inner.requirements
        self.result.lost += inner.lost
        self.result.is_python = inner.is_python
        return inner

    def _timed_cell(self, first: str, body: str, name: str) -> Translated:
        inner = self._inner(body)
        self.result.needs.add("time")
        self.result.notes += [
            f"`{first}` is written in Python" if name == "time" else f"`{first}` is written as `%%time`"
        ]
        self.result.notes += inner.notes
        ends = 'print(f"Wall time: {time.perf_counter() - _started:.3g} s")'
        code, value = with_value(inner.code, "_value")
        self.result.code = "\n".join(
            ["_started = time.perf_counter()", code, ends, *([value] if value else [])]
        )
        return self.result

    def _timeit_cell(self, first: str, line: str, body: str) -> Translated:
        inner = self._inner(body)
        self.result.needs.add("timeit")
        self.result.notes += [f"`{first}` is written in Python", *inner.notes]
        setup = _without_options(line)
        before = [setup] if setup else []
        self.result.code = "\n".join(
            [
                *before,
                "def _timed():",
                indented(inner.code or "pass"),
                "",
                "_loops, _seconds = timeit.Timer(_timed).autorange()",
                _PER_LOOP,
            ]
        )
        return self.result

    def _captured_cell(self, first: str, line: str, body: str) -> Translated:
        inner = self._inner(body)
        self.result.needs.add("capture_output")
        self.result.notes += [f"`{first}` is written with IPython's capture_output", *inner.notes]
        names = [word for word in line.split() if word.isidentifier()]
        flags = {
            "--no-stdout": "stdout=False",
            "--no-stderr": "stderr=False",
            "--no-display": "display=False",
        }
        arguments = ", ".join(flags[word] for word in line.split() if word in flags)
        bound = f" as {names[0]}" if names else ""
        code, value = with_value(inner.code, "_value")
        lines = [code, f"if {value} is not None:\n    display({value})"] if value else [code]
        if value:
            self.result.needs.add("display")
        self.result.code = (
            f"with capture_output({arguments}){bound}:\n{indented(chr(10).join(lines) or 'pass')}"
        )
        return self.result

    def _written_file(self, first: str, line: str, body: str) -> Translated:
        self.result.needs.add("Path")
        self.result.notes.append(f"`{first}` is written in Python")
        append = bool(re.match(r"(-a|--append)\s", line))
        path = re.sub(r"^(-a|--append)\s+", "", line).strip("\"'")
        target = shell.quoted(path, self.around.names)
        told = f'print("{"Appending to" if append else "Writing"}", {target})'
        text = text_literal(f"{body}\n")
        if append:
            code = f"with open({target}, 'a', encoding='utf-8') as _file:\n    _file.write({text})\n{told}"
        else:
            code = f"Path({target}).write_text({text}, encoding='utf-8')\n{told}"
        self.result.code = code
        return self.result


_PER_LOOP: Final = 'print(f"{_seconds / _loops:.3g} s per loop (mean of {_loops:,} loops)")'


def _shell_calls(code: str) -> list[tuple[ast.Call, ast.stmt]]:
    """Return the calls of methods of `get_ipython()`, each with its statement, in order of place."""
    found: list[tuple[ast.Call, ast.stmt]] = []

    def walk(node: ast.AST, statement: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.stmt) else statement
            match child:
                case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")))):
                    found.append((child, inner))
            walk(child, inner)

    tree = compile(
        code, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    assert isinstance(tree, ast.Module)
    walk(tree, ast.Pass())
    return sorted(found, key=lambda each: (each[0].lineno, each[0].col_offset))


def _span(code: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    lines = code.split("\n")

    def offset(line: int, column: int) -> int:
        return sum(len(each) + 1 for each in lines[: line - 1]) + len(
            lines[line - 1].encode()[:column].decode()
        )

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def with_value(code: str, name: str) -> tuple[str, str]:
    """Bind the value of a cell's last expression to a name; return the code and the name, "" if it shows nothing."""
    if not code.strip() or not parses(code):
        return code, ""
    tree = compile(
        code, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    assert isinstance(tree, ast.Module)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return code, ""
    start, end = _span(code, last)
    value = code[start:end]
    if "\n" in value and not value.startswith(("(", "[", "{")):
        value = f"({value})"
    return f"{code[:start]}{name} = {value}{code[end:]}", name


def hides_its_value(code: str) -> bool:
    """Tell whether a cell ends with a semicolon, as one that shows nothing."""
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in {
                tokenize.COMMENT,
                tokenize.NL,
                tokenize.NEWLINE,
                tokenize.ENDMARKER,
                tokenize.DEDENT,
            }:
                last = token.string
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return False
    return last == ";"


def indented(code: str) -> str:
    """Indent code by four columns, but nothing that is inside of a string."""
    inside: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.STRING or tokenize.tok_name[token.type] in {
                "FSTRING_MIDDLE",
                "FSTRING_END",
            }:
                inside.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        pass
    return "\n".join(
        line if number in inside or not line.strip() else f"    {line}"
        for number, line in enumerate(code.split("\n"), start=1)
    )


def _without_options(line: str) -> str:
    """Return a line without the options at its start; `-f`, `-s` and the like take a word that is not code."""
    return re.sub(r"^(?:\s*-(?:[fslDTm]\s+[\w.]+|[A-Za-z]\w*(?:\s+\d+)?)(?=\s))+\s*", "", f"{line} ").strip()


def _is_expression(code: str) -> bool:
    try:
        ast.parse(code, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def _brief(text: str) -> str:
    return text.strip().split("\n")[0].rstrip()


def _commented(source: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in source.splitlines())


def _top_level_names(script: str) -> list[str]:
    from marimo_kernel_bridge.analysis.name_uses import read_cell  # noqa: PLC0415  # only for %run

    try:
        return sorted(read_cell(script).bound_at_end)
    except SyntaxError:
        return []
