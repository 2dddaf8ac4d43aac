"""Translation of IPython's cell magics to equivalent Python: one rule for each kind of magic."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.magics import MAGICS, Kind, Magic, split_options
from marimo_kernel_bridge.importing import scripts, shell, timing
from marimo_kernel_bridge.importing.python_text import commented, indented, with_value
from marimo_kernel_bridge.importing.shell import text_literal
from marimo_kernel_bridge.importing.translation import NOT_CARRIED_OVER, Translated, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.importing.translation import Notebooks

_CAPTURED: Final = {
    "--no-stdout": "stdout=False",
    "--no-stderr": "stderr=False",
    "--no-display": "display=False",
}


@dataclass(frozen=True)
class CellMagic:
    """A cell that starts with `%%`. `translate` translates its body where that is IPython code."""

    source: str
    around: Notebooks
    translate: Callable[[str], Translated]
    result: Translated = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "result", self.around.translated())

    @property
    def first(self) -> str:
        return self.source.partition("\n")[0]

    @property
    def body(self) -> str:
        return self.source.partition("\n")[2]

    @property
    def name(self) -> str:
        return self.first[2:].strip().partition(" ")[0]

    @property
    def line(self) -> str:
        return self.first[2:].strip().partition(" ")[2].strip()

    @property
    def magic(self) -> Magic:
        return MAGICS.get(self.name, _UNKNOWN)

    def statement(self) -> str:
        """Return the line without its leading options."""
        return split_options(self.line, self.magic.valued)[1]

    def written(self, code: str, note: str) -> Translated:
        self.result.notes.append(f"`{self.first}` {note}")
        self.result.code = code
        return self.result

    def inner(self, body: str) -> Translated:
        inner = self.translate(body)
        self.result.take_over(inner)
        return inner


_UNKNOWN: Final = Magic("ipython")  # a kind without a rule


def python_of(cell: CellMagic) -> Translated:
    """Return a cell that starts with `%%` in Python."""
    if cell.name in cell.around.magics:
        return _own(cell)
    rule = _RULES.get(cell.magic.kind)
    if cell.magic.kind == "interpreter" and not cell.magic.word:
        rule = None
    if rule is None and not cell.body.strip() and cell.name != "cython":
        rule = _left_out
    return _lost(cell) if rule is None else rule(cell)


def _own(cell: CellMagic) -> Translated:
    function, body = cell.around.magics[cell.name], text_literal(f"{cell.body}\n")
    if function:
        line = shell.quoted(cell.line, cell.around.names)
        return cell.written(f"{function}({line}, {body})", f"is a call of `{function}`")
    run = f"{cell.result.uses('get_ipython')}().run_cell_magic({cell.name!r}, {cell.line!r}, {body})"
    return cell.written(run, "runs through IPython")


def _left_out(cell: CellMagic) -> Translated:
    inner = cell.translate(cell.body) if cell.body.strip() else cell.around.translated()
    inner.notes.insert(0, f"`{cell.first}` is left out: marimo does not need it")
    inner.code = f"# {cell.first}\n{inner.code}".rstrip("\n")
    return inner


def _lost(cell: CellMagic) -> Translated:
    return Translated(
        "\n".join([NOT_CARRIED_OVER, commented(cell.source)]),
        lost=[f"`{cell.first}` is commented out, with its text: marimo has no such magic"],
    )


def _time(cell: CellMagic) -> Translated:
    inner = cell.inner(f"{cell.statement()}\n{cell.body}".strip("\n"))
    code, value = with_value(inner.code, "_value")
    lines = [*timed(cell.result.uses("time"), code), *([value] if value else [])]
    note = "is written in Python" if cell.name == "time" else "is written as `%%time`"
    result = cell.written("\n".join(lines), note)
    result.notes += inner.notes
    return result


def _timeit(cell: CellMagic) -> Translated:
    inner = cell.inner(cell.body)
    result = cell.written(timing.written(cell.line, inner.code, cell.result), "is written in Python")
    result.notes += inner.notes
    return result


def _capture(cell: CellMagic) -> Translated:
    inner = cell.inner(cell.body)
    arguments = ", ".join(_CAPTURED[word] for word in cell.line.split() if word in _CAPTURED)
    bound = "".join(f" as {name}" for name in cell.magic.bound(cell.line))
    code, value = with_value(inner.code, "_value")
    lines = [code]
    if value:
        lines.append(f"if {value} is not None:\n    {cell.result.uses('display')}({value})")
    capture_output = cell.result.uses("capture_output")
    written = f"with {capture_output}({arguments}){bound}:\n{indented(chr(10).join(lines) or 'pass')}"
    result = cell.written(written, "is written with IPython's capture_output")
    result.notes += inner.notes
    return result


def _interpreter(cell: CellMagic) -> Translated:
    line = cell.line if cell.name == "script" else f"{cell.magic.word} {cell.line}"
    code = scripts.python_of(scripts.read_script(line), f"{cell.body}\n", cell.result, cell.around.names)
    return cell.written(code, "is a call of subprocess")


def _shell(cell: CellMagic) -> Translated:
    """Write `%%!` and `%%sx`: their value is what the commands print, unless an option binds it."""
    target = "".join(f"{name} = " for name in cell.magic.bound(cell.line))
    lines = cell.result.getoutput(cell.body, cell.around.names)
    cell.result.notes.clear()
    return cell.written(f"{target}{lines}", "is a call of subprocess, with the same kind of list")


def _display(cell: CellMagic) -> Translated:
    shown_as = cell.magic.word
    code = f"{cell.result.uses(shown_as)}({text_literal(cell.body)})"
    return cell.written(code, f"is written with IPython's {shown_as}")


def _file(cell: CellMagic) -> Translated:
    append = bool(re.match(r"(-a|--append)\s", cell.line))
    path = re.sub(r"^(-a|--append)\s+", "", cell.line).strip("\"'")
    target = shell.quoted(path, cell.around.names)
    report = f'print("{"Appending to" if append else "Writing"}", {target})'
    text = text_literal(f"{cell.body}\n")
    if append:
        code = f"with open({target}, 'a', encoding='utf-8') as _file:\n    _file.write({text})\n{report}"
    else:
        code = f"{cell.result.uses('Path')}({target}).write_text({text}, encoding='utf-8')\n{report}"
    return cell.written(code, "is written in Python")


def _sql(cell: CellMagic) -> Translated:
    mo, target = cell.result.uses("mo"), "".join(f"{name} = " for name in cell.magic.bound(cell.line))
    return cell.written(f'{target}{mo}.sql(\n    f"""\n{cell.body}\n    """\n)', "is marimo's SQL")


_RULES: Final[Mapping[Kind, Callable[[CellMagic], Translated]]] = {
    "time": _time,
    "profiler": _time,
    "timeit": _timeit,
    "capture": _capture,
    "interpreter": _interpreter,
    "shell": _shell,
    "display": _display,
    "file": _file,
    "sql": _sql,
    "session": _left_out,
    "offered text": _left_out,
    "help": _left_out,
}
"""The rules by kind of magic. The other kinds are line magics only."""
