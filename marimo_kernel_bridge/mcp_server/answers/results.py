"""What the MCP tools answer: values for programs, and the same as short text for a model.

Some hosts show a model only the structured content of an answer, others only its text, so each holds all of it.
Only images are in the text's content list alone. Knows neither kernels nor the MCP library.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from marimo_kernel_bridge.protocol.changes import GraphProblem  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.protocol.environment import PackageChange  # noqa: TC001  # as above
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

CODE_WIDTH: Final = 80
_NO_KERNEL: Final = (
    "Open a notebook with the kernel 'marimo (reactive Python)' first, or give connect_to_kernel the path of a "
    "connection file elsewhere."
)


@dataclass(frozen=True)
class KernelLine:
    """A running kernel. `connected_as` is its handle here, if connected."""

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
    """A connection file that leads to no usable kernel, and why."""

    connection_file: str
    code: str
    why: str


@dataclass(frozen=True)
class KernelList:
    """Running kernels, and how many files of ended kernels lie around in `directory`."""

    kernels: tuple[KernelLine, ...]
    directory: str
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
    """A kernel that can be started. `interpreter` is missing if the program is not there (any more)."""

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
            f"- {one.name}: {one.display_name} · {one.language} · "
            f"{'reactive' if one.reactive else 'not reactive'} · {one.interpreter or 'its program is not there'}"
            for one in self.kernelspecs
        )


@dataclass(frozen=True)
class WorkLine:
    """A request that the kernel works on. `run_id` is set if it is one of ours."""

    client: str
    seconds: float | None = None
    code: str | None = None
    cell_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class KernelState:
    """A connected kernel. `state` is idle, busy, silent (alive or not cannot be told) or dead."""

    kernel: str
    state: str
    message: str
    connection_file: str
    implementation: str
    reactive: bool
    notebook: str | None = None
    mode: str | None = None
    cells: int | None = None
    stale: tuple[str, ...] = ()
    queued: int | None = None
    working_on: tuple[WorkLine, ...] = ()
    our_runs: tuple[str, ...] = ()
    pid: int | None = None
    python: str | None = None
    interpreter: str | None = None
    cwd: str | None = None
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        kind = "reactive" if self.reactive else "not reactive"
        lines = [
            f"{self.kernel}: {self.state}. {self.message}",
            f"{self.implementation} ({kind}), {self.connection_file}",
        ]
        if self.notebook:
            lines.append(f"notebook {self.notebook}")
        if self.cells is not None:
            stale = f"; stale: {', '.join(self.stale)}" if self.stale else ""
            lines.append(
                f"{_count(self.cells, 'cell')}, {self.mode}{stale}; {self.queued or 0} requests queued"
            )
        lines += [f"works on: {_work_line(work)}" for work in self.working_on]
        if self.our_runs:
            lines.append(f"our runs that are not over: {', '.join(self.our_runs)} (read_run waits for them)")
        if self.pid is not None:
            python = f"Python {self.python}" + (f" ({self.interpreter})" if self.interpreter else "")
            lines.append(f"pid {self.pid}, {python}, in {self.cwd}")
        return "\n".join([*lines, *self.warnings])


@dataclass(frozen=True)
class Disconnected:
    """What disconnecting left behind."""

    kernel: str
    message: str

    def text(self) -> str:
        return self.message


@dataclass(frozen=True)
class KernelControlled:
    """What was done with a kernel."""

    kernel: str
    action: str
    message: str

    def text(self) -> str:
        return f"{self.kernel}: {self.message}"


@dataclass(frozen=True)
class CellLine:
    """A cell in a list. `code` is its first line; `run_by` and `edited_by` are "notebook" for the person's."""

    cell_id: str
    version: int
    status: str
    code: str
    stale: bool = False
    lines: int = 1
    execution_count: int | None = None
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    edited_by: str | None = None
    run_by: str | None = None
    error: str | None = None
    notebook_cell_id: str | None = None
    kind: str = "code"
    ran_at: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class CellList:
    """Cells `offset` to `offset + len(cells)` of `total`, in the order in which the kernel first saw them."""

    cells: tuple[CellLine, ...]
    total: int
    offset: int = 0
    note: str = ""

    def text(self) -> str:
        if not self.total:
            return (
                self.note or "The kernel knows no cells: none has run yet. (A cell is known once it has run.)"
            )
        end = self.offset + len(self.cells)
        head = [self.note] if self.note else []
        head.append(
            f"Cells {self.offset + 1} to {end} of {self.total}:" if self.cells else f"{self.total} cells."
        )
        more = [f"list_cells(offset={end}) gives the next."] if end < self.total and self.cells else []
        return "\n".join([*head, *map(_cell_line, self.cells), *more])


@dataclass(frozen=True)
class CellView:
    """A cell with its code and outputs. `upstream` and `downstream` are ids of cells one edge away.

    `full` is the resource with all of the outputs, where these are a part or images were scaled.
    """

    cell_id: str
    version: int
    status: str
    code: str
    outputs: str
    images: int = 0
    stale: bool = False
    execution_count: int | None = None
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    edited_by: str | None = None
    run_by: str | None = None
    seconds: float | None = None
    ran_at: str | None = None
    error: str | None = None
    notebook_cell_id: str | None = None
    full: str | None = None
    note: str = ""

    def text(self) -> str:
        facts = [f"cell {self.cell_id}", f"version {self.version}", _status(self.status, stale=self.stale)]
        facts += _last_run(self.run_by, self.ran_at, self.seconds)
        names = [
            f"{word} {', '.join(values)}"
            for word, values in (
                ("defines", self.defines),
                ("uses", self.uses),
                ("upstream", self.upstream),
                ("downstream", self.downstream),
            )
            if values
        ]
        parts = [self.note, " · ".join(facts), "; ".join(names), "--- code", self.code, "--- outputs"]
        return "\n".join([*filter(None, parts), self.outputs or "(none)", *_whole(self.full)])


@dataclass(frozen=True)
class RanCell:
    """A cell that ran, or was to run, because of a request."""

    cell_id: str
    status: str
    version: int | None = None
    code: str = ""
    outputs_changed: bool = False
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class RunView:
    """A run: code executed, a cell edited, or cells run.

    `status` is ok, error, refused, interrupted, aborted, cancelled, queued, running or lost; `message` says what that
    means here and what to do. `ran` are the cells asked for if there are several, `reran` the dependents, `added` new
    cells. `outputs` are of the code or cells asked for, or the installer's. `packages` are those that an installation
    changed. `to_run` are cells that wait to be run: they failed for want of a package, or read an ipywidget. `full` is the
    resource with all outputs, where these are a part.
    """

    run_id: str
    status: str
    message: str
    outputs: str = ""
    images: int = 0
    cell_id: str | None = None
    version: int | None = None
    execution_count: int | None = None
    seconds: float | None = None
    ran: tuple[RanCell, ...] = ()
    reran: tuple[RanCell, ...] = ()
    added: tuple[str, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    to_run: tuple[str, ...] = ()
    problems: tuple[GraphProblem, ...] = ()
    still_stale: tuple[str, ...] = ()
    full: str | None = None
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        cell = f", cell {self.cell_id}" if self.cell_id else ""
        version = f" version {self.version}" if self.version else ""
        lines.append(f"{self.status}: {self.message} (run {self.run_id}{cell}{version})")
        lines += [f"- {problem.kind}: {problem.message}" for problem in self.problems]
        if self.added:
            lines.append(f"new cells: {', '.join(self.added)}")
        lines += [_ran_line(cell) for cell in self.ran]
        lines += [
            f"- {one.name}: {one.before or 'not there'} -> {one.after or 'gone'}" for one in self.packages
        ]
        if self.outputs:
            lines += ["--- outputs", self.outputs]
        if self.reran:
            lines.append("--- cells that ran because of it")
            lines += [_ran_line(cell) for cell in self.reran]
        if self.still_stale:
            lines.append(f"--- still stale: {', '.join(self.still_stale)}")
        return "\n".join([*lines, *_whole(self.full)])


class Noted(Protocol):
    """A view that can say something about itself."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def note(self) -> str: ...

    def text(self) -> str: ...


_Paged = TypeVar("_Paged", bound=Noted)


class View(Protocol):
    """An answer: a frozen dataclass, which is its structured form, and the same as text."""

    def text(self) -> str: ...


def as_data(view: View) -> dict[str, Any]:
    """Turn a view into structured content, without what is as by default: a model pays for every null."""
    data: dict[str, Any] = _plain(view)
    return data


def within(view: _Paged, budget: int) -> _Paged:
    """Leave out the ends of a view's longest lists until its text has about `budget` characters, and say so."""
    whole = view
    while len(view.text()) > budget:
        lists = [(field.name, getattr(view, field.name)) for field in fields(view)]
        name, longest = max(
            ((name, items) for name, items in lists if isinstance(items, tuple)),
            key=lambda one: len(str(one[1])),
        )
        if len(longest) <= 1:
            break
        view = replace(view, **{name: longest[: len(longest) * 3 // 4]})
    left_out = [
        f"{len(getattr(whole, field.name)) - len(getattr(view, field.name))} of {len(getattr(whole, field.name))} {field.name}"
        for field in fields(view)
        if getattr(view, field.name) != getattr(whole, field.name)
    ]
    if not left_out:
        return view
    note = f"Cut to about {budget} characters: {', '.join(left_out)} left out. A larger max_chars shows more."
    return replace(view, note=" ".join(filter(None, (view.note, note))))


def first_line(code: str) -> str:
    """Give the first line of code that says something, cut to a width."""
    line = next((line.strip() for line in code.splitlines() if line.strip()), "")
    return line if len(line) <= CODE_WIDTH else line[: CODE_WIDTH - 1] + "…"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        values = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(item) for field, item in values if item != field.default}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def _whole(full: str | None) -> list[str]:
    return [f"--- the whole: resource {full}"] if full else []


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
        facts.append(f"`{work.code}`")
    facts.append(f"for {work.seconds:.1f} s" if work.seconds is not None else "since before we connected")
    return ", ".join(facts)


def _cell_line(cell: CellLine) -> str:
    facts = [f"{cell.cell_id} v{cell.version}", _status(cell.status, stale=cell.stale)]
    if cell.kind != "code":
        facts.append(cell.kind)
    if cell.execution_count is not None:
        facts.append(f"[{cell.execution_count}]")
    facts.append(f"`{cell.code}`" + (f" (+{cell.lines - 1} lines)" if cell.lines > 1 else ""))
    if cell.defines:
        facts.append(f"defines {', '.join(cell.defines)}")
    if cell.uses:
        facts.append(f"uses {', '.join(cell.uses)}")
    facts += _last_run(cell.run_by, cell.ran_at, cell.seconds)
    if cell.error:
        facts.append(cell.error)
    return " · ".join(facts)


def _last_run(run_by: str | None, ran_at: str | None, seconds: float | None) -> list[str]:
    if run_by is None:
        return []
    took = "" if seconds is None else f", {seconds:.2g} s"
    who = "the person" if run_by == NOTEBOOK else run_by
    return [f"run by {who}{f' at {ran_at}' if ran_at else ''}{took}"]


def _ran_line(cell: RanCell) -> str:
    changed = "outputs changed" if cell.outputs_changed else "outputs as before"
    version = f" v{cell.version}" if cell.version else ""
    facts = [f"{cell.cell_id}{version}", cell.status, changed]
    if cell.error:
        facts.append(cell.error)
    if cell.code:
        facts.append(f"`{cell.code}`")
    return " · ".join(facts)


def _status(status: str, *, stale: bool) -> str:
    return f"{status}, stale" if stale else status


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
