"""Answers about kernels: running kernels, kernelspecs, the state of a kernel, the result of controlling one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from marimo_kernel_bridge.mcp_server.answers.deaths import DeathField  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.answers.tables import NAMES
from marimo_kernel_bridge.mcp_server.answers.view import quoted
from marimo_kernel_bridge.protocol.names import MARIMO_EDITOR

_NO_KERNEL: Final = (
    "Open a notebook with the kernel 'marimo (reactive Python)' first, or give connect_to_kernel the path of a "
    "connection file elsewhere."
)


@dataclass(frozen=True)
class KernelLine:
    """A running kernel. `connected_as` is its handle, if it is connected."""

    connection_file: str
    kernel: str
    reactive: bool
    notebook: str | None = None
    connected_as: str | None = None
    busy: bool | None = None
    cells: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnusableFile:
    """A connection file without a usable kernel, and the reason."""

    connection_file: str
    code: str
    why: str


@dataclass(frozen=True)
class KernelList:
    """Running kernels, and the number of connection files of ended kernels. `directory` is where none was found."""

    kernels: tuple[KernelLine, ...]
    directory: str = ""
    ended: int = 0
    unusable: tuple[UnusableFile, ...] = ()

    def text(self) -> str:
        if not self.kernels:
            lines = [f"No running kernel found in {self.directory}. {_NO_KERNEL}"]
        else:
            lines = [f"{_count(len(self.kernels), 'running kernel')}, newest first:"]
            lines += [_kernel_line(kernel) for kernel in self.kernels]
        lines += [f"- {file.connection_file}: [{file.code}] {file.why}" for file in self.unusable]
        if self.ended:
            lines.append(f"{_count(self.ended, 'connection file')} of ended kernels not listed.")
        return "\n".join(lines)


@dataclass(frozen=True)
class KernelspecLine:
    """A kernel that can be started. `interpreter` is missing if the program does not exist."""

    name: str
    display_name: str
    language: str
    interpreter: str | None = None
    reactive: bool = False


@dataclass(frozen=True)
class KernelspecList:
    """The kernels that can be started, reactive ones first."""

    kernelspecs: tuple[KernelspecLine, ...]

    def text(self) -> str:
        if not self.kernelspecs:
            return "No kernelspec is installed. Give start_kernel an interpreter."
        return "\n".join(
            f"- {spec.name}: {spec.display_name} · {spec.language} · "
            f"{'reactive' if spec.reactive else 'not reactive'} · {spec.interpreter or 'its program is not there'}"
            for spec in self.kernelspecs
        )


@dataclass(frozen=True)
class EditorOpened:
    """Whether the person got marimo's editor. `state` is opened, declined or not_shown."""

    kernel: str
    state: str
    message: str

    def text(self) -> str:
        return self.message


@dataclass(frozen=True)
class WorkLine:
    """A request that the kernel is executing. `run_id` is set if this client sent it."""

    client: str
    seconds: float | None = None
    code: str | None = None
    cell_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class KernelState:
    """A connected kernel. `state` is idle, busy, silent (it may or may not be alive) or dead.

    `front_end` has attached its document, so that edits go into the notebook that the person has open. `mode` is autorun if it is
    missing. `death` is how the
    kernel died, or the process before the present one; `memory` a warning where little is left. `python` is its version, if that of
    `implementation` is another one.
    """

    kernel: str
    state: str
    connection_file: str
    implementation: str
    reactive: bool
    message: str = ""
    notebook: str | None = None
    front_end: str | None = None
    mode: str | None = "autorun"
    cells: int | None = None
    stale: tuple[str, ...] = field(default=(), metadata=NAMES)
    queued: int | None = None
    working_on: tuple[WorkLine, ...] = ()
    our_runs: tuple[str, ...] = field(default=(), metadata=NAMES)
    pid: int | None = None
    python: str | None = None
    interpreter: str | None = None
    cwd: str | None = None
    warnings: tuple[str, ...] = ()
    death: DeathField = None
    memory: str = ""
    limits: str = ""

    def in_words(self) -> KernelState:
        """Return the same with the death and the warning of memory among the warnings: without their fields, a tool has a shorter schema."""
        died = [] if self.death is None else self.death.lines()
        told = filter(
            None, (*self.warnings, self.memory, "\n".join(line for line in died if line not in self.message))
        )
        return replace(self, warnings=tuple(told), memory="", death=None)

    def text(self) -> str:
        kind = "reactive" if self.reactive else "not reactive"
        lines = [
            f"{self.kernel}: {self.state}. {self.message}".rstrip(),
            f"{self.implementation} ({kind}), {self.connection_file}",
        ]
        if self.notebook:
            shown = f", open in {self.front_end}" if self.front_end else ""
            shown += ", which has the extension" if shown and self.front_end != MARIMO_EDITOR else ""
            lines.append(f"notebook {self.notebook}{shown}")
        if self.cells is not None:
            stale = f"; stale: {', '.join(self.stale)}" if self.stale else ""
            queued = f"; {_count(self.queued, 'request')} queued" if self.queued else ""
            lines.append(f"{_count(self.cells, 'cell')}, {self.mode}{stale}{queued}")
        lines += [f"works on: {_work_line(work)}" for work in self.working_on]
        if self.our_runs:
            lines.append(f"our runs that are not over: {', '.join(self.our_runs)} (read_run waits for them)")
        if self.pid is not None:
            python = " ".join(filter(None, (self.python and f"Python {self.python}", self.interpreter)))
            facts = [f"pid {self.pid}", python, f"in {self.cwd or 'a folder that was deleted'}"]
            lines.append(", ".join(filter(None, facts)))
        if self.memory:
            lines.append(self.memory)
        if self.limits:
            lines.append(f"limits: {self.limits}")
        if self.death is not None:
            told = self.death.message in self.message
            lines += [*self.death.lines()[told:]]
        return "\n".join([*lines, *self.warnings])


@dataclass(frozen=True)
class Disconnected:
    """The result of disconnecting from a kernel."""

    kernel: str
    message: str

    def text(self) -> str:
        return self.message


@dataclass(frozen=True)
class KernelControlled:
    """The result of controlling a kernel."""

    kernel: str
    action: str
    message: str

    def text(self) -> str:
        return f"{self.kernel}: {self.message}"


def _kernel_line(kernel: KernelLine) -> str:
    facts = [kernel.connection_file, kernel.kernel, "reactive" if kernel.reactive else "not reactive"]
    facts.append(f"notebook {kernel.notebook}" if kernel.notebook else "notebook unknown")
    if kernel.busy:
        facts.append("busy")
    if kernel.connected_as:
        facts.append(f"connected as {kernel.connected_as}")
    return "- " + " · ".join([*facts, *kernel.warnings])


def _work_line(work: WorkLine) -> str:
    facts = [f"run {work.run_id} of ours" if work.run_id else f"a request of {work.client}"]
    if work.cell_id:
        facts.append(f"cell {work.cell_id}")
    if work.code:
        facts.append(quoted(work.code))
    facts.append(f"for {took(work.seconds)}" if work.seconds is not None else "since before we connected")
    return ", ".join(facts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
