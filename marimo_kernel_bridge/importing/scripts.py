"""IPython's script magics, `%%bash` and `%%script`, as calls of subprocess: their options, and where output goes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.importing.shell import quoted, text_literal

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.importing.translation import Translated

_OPTION: Final = re.compile(
    r"(?<!\S)--(?:(?P<name>out|err|proc)(?:\s*=\s*|\s+)(?P<value>\w+)|(?P<flag>bg|no-raise-error))(?!\S)"
)


@dataclass(frozen=True)
class Script:
    """The line of a script magic: the command, and the names that its options give to its results.

    `bound` has a name for "out", "err" and "proc", as far as the line has these options.
    """

    command: str
    bound: dict[str, str] = field(default_factory=dict)
    background: bool = False
    raises: bool = True


def read_script(line: str) -> Script:
    """Read the line of `%%script`, which begins with the program."""
    options = list(_OPTION.finditer(line))
    flags = {option["flag"] for option in options}
    return Script(
        " ".join(_OPTION.sub("", line).split()),
        {option["name"]: option["value"] for option in options if option["name"]},
        "bg" in flags,
        "no-raise-error" not in flags,
    )


def python_of(script: Script, body: str, result: Translated, names: AbstractSet[str]) -> str:
    """Return the code that passes a script to a program and shows its output, as IPython does.

    `names` are the names that the notebook binds. The imports that the code needs are added to `result`.
    """
    command = _words(script.command, result, names)
    subprocess = result.uses("subprocess")
    if script.background:
        return _in_background(script, command, body, subprocess)
    run = (
        f"_ran = {subprocess}.run({command}, input={text_literal(body)}, text=True, stdout={subprocess}.PIPE"
    )
    lines = [f"{run}, stderr={subprocess}.{'PIPE' if script.bound else 'STDOUT'})"]
    for stream, attribute in (("out", "stdout"), ("err", "stderr")):
        if stream in script.bound:
            lines.append(f"{script.bound[stream]} = _ran.{attribute}")
        elif stream == "out" or script.bound:  # otherwise it is with the output
            lines.append(f'print(_ran.{attribute}, end="")')
    if script.raises:
        lines.append("_ran.check_returncode()")
    return "\n".join(lines)


def _words(command: str, result: Translated, names: AbstractSet[str]) -> str:
    """Return an expression for the words of a command, in which IPython expands `{expression}` and `$name`."""
    written = quoted(command, names)
    if written == text_literal(command):
        try:
            return repr(shlex.split(command))
        except ValueError:
            return repr(command.split())
    return f"{result.uses('shlex')}.split({written})"


def _in_background(script: Script, command: str, body: str, subprocess: str) -> str:
    """Return the code that starts a script and does not wait for it: its streams are read as bytes."""
    piped = {
        stream: "PIPE" if {stream, "proc"} & script.bound.keys() else "DEVNULL" for stream in ("out", "err")
    }
    streams = f"stdout={subprocess}.{piped['out']}, stderr={subprocess}.{piped['err']}"
    lines = [
        f"_process = {subprocess}.Popen({command}, stdin={subprocess}.PIPE, {streams})",
        f"_process.stdin.write({text_literal(body)}.encode())",
        "_process.stdin.close()",
    ]
    values = {"out": "_process.stdout", "err": "_process.stderr", "proc": "_process"}
    return "\n".join([*lines, *(f"{name} = {values[stream]}" for stream, name in script.bound.items())])
