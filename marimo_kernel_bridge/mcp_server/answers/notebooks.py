"""Answers about notebooks as sessions: those that there are, one that was opened, closed or deleted, and templates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotebookLine:
    """A notebook. `kernel` is its handle, if connected; `idle` is in seconds, `memory` in bytes."""

    id: str
    name: str
    state: str
    path: str
    description: str = ""
    kernel: str | None = None
    why: str = ""
    idle: float | None = None
    cells: int | None = None
    stale: int | None = None
    busy: bool = False
    memory: int | None = None
    checkpoint: str | None = None
    unsaved: str = ""

    def line(self) -> str:
        facts = [f"{self.id} {self.name}", self.state + (f" ({self.why})" if self.why else "")]
        if self.kernel:
            facts.append("connected, busy" if self.busy else "connected")
        if self.cells is not None:
            facts.append(f"{self.cells} cells" + (f", {self.stale} stale" if self.stale else ""))
        if self.idle is not None:
            facts.append(f"used {_ago(self.idle)} ago")
        if self.memory:
            facts.append(f"{self.memory / 2**20:.0f} MiB")
        if self.checkpoint:
            facts.append(f"checkpoint {self.checkpoint}")
        facts.append(self.path)
        if self.description:
            facts.append(self.description)
        return " · ".join([*facts, *([f"not saved: {self.unsaved}"] if self.unsaved else [])])


@dataclass(frozen=True)
class NotebookList:
    """Sessions, the last used first."""

    notebooks: tuple[NotebookLine, ...]

    def text(self) -> str:
        if not self.notebooks:
            return "There is none. create_notebook makes one, open_notebook takes the path of an .ipynb."
        return "\n".join(f"- {notebook.line()}" for notebook in self.notebooks)


@dataclass(frozen=True)
class NotebookOpened:
    """An open session. `kernel` is the handle for the other tools, over restarts of this server, too."""

    kernel: str
    path: str
    message: str
    cells: int = 0
    checkpoint: str | None = None
    note: str = ""

    def text(self) -> str:
        return "\n".join(filter(None, (f"{self.kernel}: {self.message}", f"notebook {self.path}", self.note)))


@dataclass(frozen=True)
class NotebookDone:
    """What became of a session, or of its file."""

    id: str
    message: str
    path: str

    def text(self) -> str:
        return f"{self.id}: {self.message}"


@dataclass(frozen=True)
class TemplateLine:
    """A template; `path` is the file of a user's own."""

    name: str
    description: str = ""
    path: str | None = None


@dataclass(frozen=True)
class TemplateList:
    """The templates of create_notebook. The user's own go into `folder`."""

    templates: tuple[TemplateLine, ...]
    folder: str

    def text(self) -> str:
        lines = [
            f"- {template.name}: {template.description}" + (f" · {template.path}" if template.path else "")
            for template in self.templates
        ]
        return "\n".join([*lines, f"More, as .ipynb or marimo .py, go into {self.folder}."])


def _ago(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
