"""The state of the translation of one cell to Python: the result, and what it needs of the other cells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.importing import shell
from marimo_kernel_bridge.importing.python_text import first_line
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet


@dataclass
class Translated:
    """A cell as Python. `notes` say what changed, `lost` what could not be kept.

    `needs` are the imported names that the code uses, each under the name that `called` has for it.
    """

    code: str
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    requirements: list[str] = field(default_factory=list)
    is_python: bool = True
    called: Mapping[str, str] = field(default_factory=dict)

    def uses(self, name: str) -> str:
        """Note that the code needs an imported name; return what it is called in this notebook."""
        self.needs.add(name)
        return self.called.get(name, name)

    def leave_out(self, line: str, why: str = "marimo does not need it") -> str:
        """Note that a line is left out; return the comment that replaces it."""
        self.notes.append(f"`{first_line(line)}` is left out: {why}")
        return f"# {first_line(line)}"

    def lose(self, line: str, why: str) -> str:
        """Note that a line cannot be kept; return the comment that replaces it."""
        self.lost.append(f"`{first_line(line)}` is commented out: {why}")
        return "\n".join([NOT_CARRIED_OVER, *(f"# {text}" for text in split_lines(line))])

    def require(self, line: str, packages: list[str]) -> str:
        """Record the packages that a line installs; return the comment that replaces it."""
        self.requirements += packages
        listed = ", ".join(packages) or "nothing by name"
        self.notes.append(f"`{first_line(line)}` is a requirement at the head of the file: {listed}")
        return f"# {first_line(line)}"

    def system(self, command: str, names: AbstractSet[str]) -> str:
        """Return a call that runs a command as `!command` does. `names` are the names that the notebook binds."""
        packages = shell.requirements(command)
        if packages is not None:
            return self.require(f"!{command}", packages)
        self.notes.append(f"`!{first_line(command)}` is a call of subprocess")
        return shell.run(self.uses("subprocess"), command, names) if command.strip() else "pass"

    def getoutput(self, command: str, names: AbstractSet[str]) -> str:
        """Return an expression for the output of a command, as `x = !command` has it."""
        self.notes.append(f"`!{first_line(command)}` is a call of subprocess, with the same kind of list")
        return f"{self.uses('SList')}({shell.lines_of(self.uses('subprocess'), command, names)})"

    def take_over(self, inner: Translated) -> None:
        """Add the needs and losses of a nested translation, without its notes."""
        self.needs |= inner.needs
        self.requirements += inner.requirements
        self.lost += inner.lost
        self.is_python = inner.is_python


@dataclass(frozen=True)
class Notebooks:
    """The notebook as far as a magic depends on it: the names that it binds, and a reader of files beside it.

    `called` are the names of imports in generated Python, where they are not the usual ones. `names` are those
    that it may bind, `bound` those that it certainly binds somewhere. `magics` are its own magics, each with its function, "" if it has none.
    `translate` translates a cell of another notebook.
    """

    names: AbstractSet[str]
    read: Callable[[str], str | None]
    called: Mapping[str, str] = field(default_factory=dict)
    bound: AbstractSet[str] = frozenset()
    magics: Mapping[str, str] = field(default_factory=dict)
    translate: Callable[[str, Notebooks], Translated] | None = None

    def without(self, path: str) -> Notebooks:
        """Return the same for the cells of a file beside the notebook, which cannot run itself."""
        return replace(self, read=lambda name: None if name == path else self.read(name))

    def translated(self, code: str = "") -> Translated:
        """Return the beginning of a translation."""
        return Translated(code, called=self.called)


NOT_CARRIED_OVER: Final = "# Not carried over from the Jupyter notebook:"


def timed(time: str, code: str) -> list[str]:
    """Return lines that run code and print how long it took. `time` is the name of the module."""
    return [
        f"_started = {time}.perf_counter()",
        code,
        f'print(f"Wall time: {{{time}.perf_counter() - _started:.3g}} s")',
    ]
