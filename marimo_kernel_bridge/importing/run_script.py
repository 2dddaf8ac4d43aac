"""`%run script.py arguments` as Python: the script runs by itself, with its arguments, and its names become the notebook's."""

from __future__ import annotations

import builtins
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.magics import names_of_script
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.importing.python_text import parses
from marimo_kernel_bridge.importing.shell import quoted

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.importing.translation import Translated

_VALUED: Final = frozenset({"-N", "-b", "-l", "-s", "-T"})
"""Options that take the next word: of the profiler and the debugger, which an import leaves out."""
_LOOKS_AT_ARGUMENTS: Final = re.compile(
    r"\bargv\b|\bargparse\b|\boptparse\b|\bgetopt\b|\bclick\b|\btyper\b|\bfire\b|\bdocopt\b"
)


@dataclass(frozen=True)
class RunOfScript:
    """The words of a `%run` line. `options` are single letters."""

    options: frozenset[str]
    target: str
    arguments: tuple[str, ...]

    @property
    def path(self) -> str:
        """The file to run; of a module (`-m`), its name."""
        if "m" in self.options or self.target.endswith((".py", ".ipy", ".ipynb")):
            return self.target
        return f"{self.target}.py"


def read_run(line: str) -> RunOfScript:
    """Read the line of a `%run`, which may be empty."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    options: set[str] = set()
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        options.update(word.lstrip("-")[:1] if word[:2] in _VALUED else word.lstrip("-"))
        if word in _VALUED and words:
            words.pop(0)
    return RunOfScript(frozenset(options), words[0] if words else "", tuple(words[1:]))


def python_of(run: RunOfScript, text: str | None, result: Translated, names: AbstractSet[str]) -> str:
    """Return Python for a run of a script whose `text` is known, or not. `names` are the words of the notebook."""
    runpy = result.uses("runpy")
    path = quoted(run.path, names)
    options = [f"run_name={'__main__' if 'n' not in run.options else _name_of(run.path)!r}"]
    if (
        "i" in run.options
        and text is not None
        and (given := sorted((_reads(text) & names) - set(dir(builtins))))
    ):
        options.insert(0, f"init_globals={{{', '.join(f'{name!r}: {name}' for name in given)}}}")
    elif "i" in run.options and text is None:
        options.insert(0, "init_globals=globals()")
    call = f"{runpy}.{'run_module' if 'm' in run.options else 'run_path'}({path}, {', '.join(options)})"
    if text is None:
        result.notes.append(f"`{run.path}` could not be read: what it defines is not known to marimo")
        lines = [f"globals().update({call})"]
    else:
        bound = sorted(names_of_script(text).certain & names)
        lines = [f"_ran = {call}", *(f"{name} = _ran[{name!r}]" for name in bound)]
    if run.arguments or text is None or _LOOKS_AT_ARGUMENTS.search(text):
        words = ", ".join([path, *(quoted(word, names) for word in run.arguments)])
        patched = f"with {result.uses('patch')}.object({result.uses('sys')}, 'argv', [{words}]):"
        lines[0] = f"{patched}\n    {lines[0]}"
    return "\n".join(lines)


def _name_of(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def _reads(script: str) -> frozenset[str]:
    """Return the names that a script reads and does not bind first."""
    if not parses(script):
        return frozenset()
    names = read_cell(script)
    return frozenset(
        use.name
        for use in names.occurrences
        if use.act == "load" and (use.exposed or (use.late and use.name not in names.bound_at_end))
    )
