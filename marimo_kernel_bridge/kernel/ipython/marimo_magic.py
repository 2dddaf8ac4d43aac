"""The `%marimo` magic: shows the notebook's state and its graph, and takes commands for both.

Parses the line and shows the answer; the notebook session carries out commands when no cell runs. A cell with this
magic has no part in reactivity (`magic_names`).
"""

from __future__ import annotations

import ast
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.display import display

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.ipython.magic_names import MAGIC
from marimo_kernel_bridge.kernel.notebook.document import read_sources
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.completer import CompletionContext, SimpleMatcherResult

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.ipython.view_command import Views
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.notebook import Cell

COMMANDS: Final = {
    "status": "the cells and their state: what is stale, what failed, which names they define and use",
    "graph": "the dataflow graph: which cell uses which names of which other cell",
    "lazy": "mark dependents as stale instead of running them",
    "autorun": "run dependents automatically, including those that are already stale",
    "run stale": "run all stale cells once",
    "strict": "refuse a cell that defines a name which another cell defines, as marimo does; `_names` are local",
    "relaxed": "let cells define names again: each cell uses the definition above it",
    "forget CELL": "take a cell out of the graph with its names; CELL is its execution count or its id",
    "set NAME VALUE": "give the marimo UI element NAME a value; VALUE is a Python literal, or else text",
    "accept": "put the next cell that an agent added to the kernel below this one, where the front end has no extension",
    "save [NAME]": "save the values of the fresh cells as a checkpoint, which a later kernel can restore",
    "restore [NAME]": "restore a checkpoint: its values, where code and inputs are as they were; the other cells become stale",
    "checkpoints": "the checkpoints of this notebook",
    "checkpoints verify": "compare all of their data with what was saved",
    "checkpoints delete NAME": "delete one of them",
    "open [--app]": "an address of this notebook in marimo's own editor, or with --app as an app without code",
    "view NAME [--close]": "an address of a table in a tab of its own: rows, sort, filters, statistics; with --close, close it",
    "view --list": "the views that are open",
    "agents": "the agents that use this kernel: what each did last, how often and how long it ran something, and whether they are paused",
    "pause": "let agents read only: requests to run or change something are refused",
    "resume": "let agents run and change cells again",
    "reset": "forget all cells and all names",
    "help": "this list",
}


class Checkpoints(Protocol):
    """The checkpoints of a notebook."""

    def save_and_tell(self, name: str) -> str:
        """Save the state of the notebook, and return what is told of it."""
        ...

    def restore_soon(self, name: str | None, entry: Entry) -> None:
        """Restore when no cell runs any more, and show the answer in a cell."""
        ...

    def verified(self) -> str:
        """Return whether each is as it was saved."""
        ...

    def delete(self, name: str) -> None:
        """Delete one. Raises `BridgeError`."""
        ...

    def listing(self) -> str: ...


class Link(Protocol):
    """An address that opens a page once, and the port of its server."""

    @property
    def url(self) -> str: ...

    @property
    def port(self) -> int: ...


class Editor(Protocol):
    """The notebook in marimo's own editor."""

    def open(self, *, app: bool) -> Link:
        """Return an address that opens the editor, or the app view."""
        ...


@magics_class
class MarimoMagics(Magics):
    """The `%marimo` line magic and its completions."""

    def __init__(
        self,
        shell: Any,
        notebook: NotebookSession,
        checkpoints: Callable[[], Checkpoints],
        editor: Callable[[], Editor],
        views: Callable[[], Views],
    ) -> None:
        """`checkpoints`, `editor` and `views` return those of the notebook, when a command is about them."""
        super().__init__(shell)
        self._editor = editor
        self._views = views
        self._checkpoints = checkpoints
        self._notebook = notebook
        self._accepted: set[str] = set()  # cells of agents that were put into the notebook

        @context_matcher(identifier=MAGIC)  # type: ignore[untyped-decorator]  # IPython's
        def complete(context: CompletionContext) -> SimpleMatcherResult:
            return self._complete(context)

        shell.Completer.custom_matchers.append(complete)

    @line_magic
    def marimo(self, line: str) -> None:  # noqa: C901, PLR0912  # one case for each command
        """Show and steer the reactive notebook: `%marimo help` lists what there is."""
        if (refusal := self._notebook.agents.refusal_of(line)) is not None:
            raise UsageError(refusal)
        match line.split():
            case [] | ["status"]:
                self._status()
            case ["graph"]:
                self._graph()
            case ["lazy"]:
                self._notebook.commands.switch_mode("lazy")
                print("marimo lazy: dependents become stale; run them, or `%marimo run stale`")  # noqa: T201  # the magic's answer
            case ["autorun"]:
                self._notebook.commands.switch_mode("autorun")
                print("marimo autorun: dependents run by themselves")  # noqa: T201
            case ["strict"]:
                self._notebook.commands.switch_redefinitions(strict=True)
                print("marimo strict: one cell defines a name; `_names` are local to their cell")  # noqa: T201
            case ["relaxed"]:
                self._notebook.commands.switch_redefinitions(strict=False)
                print("marimo relaxed: cells may define names again, in the order of the document")  # noqa: T201
            case ["run", "stale"]:
                self._notebook.commands.run_stale()
                print(f"runs {_counted(len(self._notebook.view.stale), 'stale cell')}")  # noqa: T201
            case ["forget", cell]:
                self._forget(cell)
            case ["set", target, _, *_]:
                self._set(target, line.split(maxsplit=2)[2])
            case ["accept"]:
                self._accept()
            case ["agents" | "pause" | "resume" as command]:
                self._agents(command)
            case ["save" | "restore" as command, *name] if len(name) <= 1:
                (self._save if command == "save" else self._restore)("".join(name))
            case ["checkpoints"] | ["checkpoints", "verify"] | ["checkpoints", "delete", _] as words:
                self._show_checkpoints(*words[1:])
            case ["open", *options] if options in ([], ["--app"]):
                self._open(app=bool(options))
            case ["view", *arguments] if arguments:
                self._view(arguments)
            case ["reset"]:
                print(f"forgets {_counted(len(self._cells()), 'cell')} and all names")  # noqa: T201
                self._notebook.commands.reset(self._clear_namespace)
            case ["help"]:
                width = max(map(len, COMMANDS))
                print("\n".join(f"%marimo {name:<{width}}  {what}" for name, what in COMMANDS.items()))  # noqa: T201
            case _:
                raise UsageError(f"%marimo knows no `{line}`. It knows: {', '.join(COMMANDS)}.")

    def _cells(self) -> list[Cell]:
        """Return the cells, without those that only call this magic."""
        return [cell for cell in self._notebook.view.snapshot() if not is_command(cell)]

    def _status(self) -> None:
        from marimo_kernel_bridge.kernel.ipython import status_table  # noqa: PLC0415  # few notebooks need it

        cells = self._cells()
        summary = status_table.summary(self._notebook.mode, cells, strict=self._notebook.commands.strict)
        text, table = status_table.text_table(cells), status_table.html_table(cells)
        notes = (
            status_table.unforeseen(cells, self._notebook.commands.unforeseen()),
            status_table.unwatched(cells),
            self._perhaps_deleted(),
        )
        told = "\n".join(filter(None, notes))
        _show(
            {
                "text/plain": f"{summary}\n{text}\n{told}".rstrip(),
                "text/html": f"<p>{summary}</p>{table if cells else ''}"
                + "".join(f"<p>{html.escape(line)}</p>" for line in split_lines(told)),
            }
        )

    def _perhaps_deleted(self) -> str:
        """Return a line for each cell that the saved file lacks: VS Code does not tell kernels which cells were deleted."""
        from marimo_kernel_bridge.kernel.ipython import status_table  # noqa: PLC0415  # few notebooks need it

        path = self.shell.kernel.file.path()  # type: ignore[union-attr]  # only a kernel's shell has this magic
        shown = [
            entry.cell
            for entry in self._notebook.cells
            if entry.address.dialect == "vscode"
            and entry.cell.status != "superseded"
            and not is_command(entry.cell)
        ]
        if path is None or not shown:
            return ""
        sources = read_sources(path)
        return "" if sources is None else status_table.not_saved(shown, sources, Path(path).name)

    def _graph(self) -> None:
        from marimo_kernel_bridge.kernel.ipython import graph_picture  # noqa: PLC0415  # few notebooks need it

        cells = self._cells()
        connected = graph_picture.connected(cells)
        apart = len(cells) - len(connected)
        summary = f"{_counted(len(connected), 'cell')} connected by names, {apart} not"
        bundle = {"text/plain": f"{summary}\n{graph_picture.tree(cells)}".rstrip()}
        if 0 < len(connected) <= graph_picture.MOST_DRAWN:
            bundle["image/svg+xml"] = graph_picture.svg(cells)
        _show(bundle)

    def _forget(self, number_or_id: str) -> None:
        from marimo_kernel_bridge.kernel.ipython import graph_picture  # noqa: PLC0415  # few notebooks need it

        entry = self._find(number_or_id)
        self._notebook.commands.forget([entry.cell.cell_id])
        print(f"forgets {graph_picture.title(entry.cell)}")  # noqa: T201

    def _set(self, target: str, text: str) -> None:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = text
        try:
            self._notebook.commands.set_ui_value(target, value)
        except BridgeError as error:
            raise UsageError(str(error)) from None
        print(f"sets {target} to {value!r}")  # noqa: T201

    def _accept(self) -> None:
        """Put an agent's cell that no notebook shows below the present one. Front ends insert one cell for each request."""
        waiting = [
            entry.cell
            for entry in self._notebook.cells
            if entry.address.dialect == "agent"
            and entry.cell.notebook_cell_id is None
            and entry.cell.status != "superseded"
            and entry.cell.cell_id not in self._accepted
        ]
        if not waiting:
            print("no agent has added a cell that this notebook lacks")  # noqa: T201
            return
        cell, rest = waiting[0], len(waiting) - 1
        self._accepted.add(cell.cell_id)
        self._notebook.agents.wrote(None, cell.code, cell.edited_by)  # it is the same cell when it runs
        assert self.shell is not None
        self.shell.set_next_input(cell.code)
        more = f"; {_counted(rest, 'more cell')}: `%marimo accept` again" if rest else ""
        print(f"the cell below is {cell.edited_by}'s: run it to keep it{more}")  # noqa: T201

    def _agents(self, command: str) -> None:
        from marimo_kernel_bridge.kernel.ipython import status_table  # noqa: PLC0415  # few notebooks need it

        agents = self._notebook.agents
        if command != "agents":
            agents.paused = command == "pause"
        print(status_table.agents(agents, paused=agents.paused))  # noqa: T201

    def _save(self, name: str) -> None:
        try:
            print(self._checkpoints().save_and_tell(name))  # noqa: T201
        except BridgeError as error:
            raise UsageError(str(error)) from None

    def _restore(self, name: str) -> None:
        running = self._notebook.running
        if running is None:
            raise UsageError("Run `%marimo restore` in a cell.")
        self._checkpoints().restore_soon(name or None, self._notebook.cells[running[0]])

    def _show_checkpoints(self, action: str = "", name: str = "") -> None:
        checkpoints = self._checkpoints()
        if action == "delete":
            try:
                checkpoints.delete(name)
            except BridgeError as error:
                raise UsageError(str(error)) from None
        print(checkpoints.verified() if action == "verify" else checkpoints.listing())  # noqa: T201

    def _open(self, *, app: bool) -> None:
        try:
            link = self._editor().open(app=app)
        except BridgeError as error:
            raise UsageError(str(error)) from None
        what = "as an app" if app else "in marimo's editor"
        note = f"It works once, on the kernel's machine (port {link.port})."
        page = (
            f'<a href="{html.escape(link.url)}" target="_blank" rel="noopener">Open this notebook {what}</a>'
        )
        _show({"text/plain": f"{link.url}\n{note}", "text/html": f"<p>{page}. {note}</p>"})

    def _view(self, arguments: list[str]) -> None:
        from marimo_kernel_bridge.kernel.ipython import view_command  # noqa: PLC0415  # few notebooks need it

        view_command.view(arguments, self._views())

    def _find(self, number_or_id: str) -> Entry:
        count = number_or_id.strip("[]")
        for entry in self._notebook.cells:
            if count.isdecimal() and entry.cell.execution_count == int(count):
                return entry
        try:
            return self._notebook.cells.find(number_or_id)
        except BridgeError as error:
            raise UsageError(f"{error.message} `%marimo status` lists them.") from None

    def _clear_namespace(self) -> None:
        shell = self.shell
        assert shell is not None
        names, hidden = shell.user_ns, shell.user_ns_hidden
        for name in [name for name in names if name not in hidden and not name.startswith("__")]:
            del names[name]

    def _complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions after this magic, and suppress all others."""
        if not context.line_with_cursor.lstrip().startswith(f"%{MAGIC} "):
            return {"completions": []}
        match context.line_with_cursor.split()[1:]:
            case ["forget", *_]:
                words = [str(cell.execution_count) for cell in self._cells() if cell.execution_count]
            case ["run", *_]:
                words = ["stale"]
            case ["open", *_]:
                words = ["--app"]
            case ["checkpoints", *_]:
                words = ["delete", "verify"]
            case ["view", *_]:
                names = {name for cell in self._cells() for name in cell.defines}
                words = [*sorted(names), "--close", "--list"]
            case _:
                words = sorted({name.split()[0] for name in COMMANDS})
        completions = [SimpleCompletion(word) for word in words if word.startswith(context.token)]
        return {"completions": completions, "suppress": True}


def _show(bundle: dict[str, str]) -> None:
    display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython's


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_command(cell: Cell) -> bool:
    """Return whether a cell only calls this magic, which may be written without its `%`."""
    lines = [line.split()[0] for line in split_lines(cell.code) if line.strip()]
    return bool(lines) and not cell.defines and all(word.removeprefix("%") == MAGIC for word in lines)
