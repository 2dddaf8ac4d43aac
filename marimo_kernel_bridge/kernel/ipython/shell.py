"""IPython's shell, which runs the bodies of cells.

Display, magics, history, tracebacks, events and the namespace are IPython's. IPython transforms and parses a cell, the
notebook session registers it in the graph and decides what runs, and each body comes back here to run as IPython would
run it. Code that belongs to no cell (hidden requests, `%run`, the code of a magic) runs as in plain IPython.
"""

from __future__ import annotations

import ast
import sys
import threading
import tokenize
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, overload

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.async_helpers import _asyncio_runner
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult
from traitlets import Instance, Type

from marimo_kernel_bridge.kernel.cells import Body
from marimo_kernel_bridge.kernel.ipython.history import InputHistory
from marimo_kernel_bridge.kernel.messaging.sigint import leave_out_handler
from marimo_kernel_bridge.protocol.output_log import error_text, strip_ansi
from marimo_kernel_bridge.runtime.interface import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.cells import Allowance, Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.ipython.statements import RunningPart
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.notebook import CellError


_TOO_MANY: Final = "its magics take too long to be looked at: make smaller cells, or fewer of them at once"

_allowance: Final[ContextVar[Allowance | None]] = ContextVar("allowance", default=None)
"""Of what this thread prepares: subshells transform cells at the same time."""


_T = TypeVar("_T")

_LAST: Final = ("_", "__", "___")
"""IPython's names of the last results."""


class PerThread(Generic[_T]):
    """An attribute of which each thread sets and gets its own value, `default` before it has set one.

    IPython has one thread, and a kernel with subshells several.
    """

    def __init__(self, default: _T) -> None:
        self._default = default
        self._key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"{name} of threads"

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> _T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> _T | Self:
        if instance is None:
            return self
        value: _T = getattr(self._values(instance), "value", self._default)
        return value

    def __set__(self, instance: object, value: _T) -> None:
        self._values(instance).value = value

    def _values(self, instance: object) -> threading.local:
        values: threading.local = vars(instance).setdefault(self._key, threading.local())
        return values


class CellDisplayHook(ZMQShellDisplayHook):
    """IPython's display hook, aware of which cell's body runs and of which thread runs it."""

    running: Body | None = None
    """The cell whose body the main thread runs."""

    # What is shown now, and of which run: of one thread in IPython.
    exec_result: PerThread[ExecutionResult | None] = PerThread(None)
    msg: PerThread[Any] = PerThread(None)

    @contextmanager
    def recalling(self, results: tuple[object, ...] | None) -> Iterator[None]:
        """Have `_`, `__` and `___` these values within the context; None, or names that the user has bound: leave them."""
        if results is None or not all(map(self._is_own, _LAST)):
            yield
            return
        before = [getattr(self, name) for name in _LAST]
        here = [*results, "", "", ""][: len(_LAST)]  # "": as IPython begins
        self._recall(here)
        try:
            yield
        finally:
            now = [getattr(self, name) for name in _LAST]
            shown = not all(one is other for one, other in zip(now, here, strict=True))
            self._recall([*now[:shown], *before][: len(_LAST)])

    def _is_own(self, name: str) -> bool:
        shell: Any = self.shell
        namespace, hidden = shell.user_ns, shell.user_ns_hidden
        return namespace.get(name) is (hidden[name] if name in hidden else getattr(self, name))

    def _recall(self, results: Sequence[object]) -> None:
        for name, value in zip(_LAST, results, strict=True):
            setattr(self, name, value)
        shell: Any = self.shell
        shell.push(dict(zip(_LAST, results, strict=True)), interactive=False)

    def quiet(self) -> bool:
        """Return whether a semicolon ends the code of the running cell, which need not be the newest in history."""
        if threading.current_thread() is not threading.main_thread():
            info = None if self.exec_result is None else self.exec_result.info
            return info is not None and bool(self.semicolon_at_end_of_expression(info.raw_cell))
        if self.running is None:
            try:
                return bool(super().quiet())
            except (tokenize.TokenError, SyntaxError):  # the newest code in history is not Python
                return False
        return bool(self.semicolon_at_end_of_expression(self.running.transformed))


class CellTransformer(TransformerManager):
    """IPython's transformation of cells, which stays within an allowance while there is one."""

    def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
        allowance = _allowance.get()
        if allowance is not None:
            allowance.spend(sum(map(len, lines)))
        done: tuple[bool, list[str]] = super().do_one_token_transform(lines)
        return done


class Requests(Protocol):
    """The requests that run a cell, as far as the shell uses them."""

    def take(self) -> Entry | None:
        """Return the cell that the current request runs, once for each request."""
        ...


class Host(Protocol):
    """The kernel, as far as its shell uses it."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def cell_requests(self) -> Requests: ...

    @property
    def interrupts(self) -> Interrupts: ...

    def parent_set_to(self, header: Header) -> AbstractContextManager[None]:
        """Publish output with this parent header within the context."""
        ...


class ReactiveShell(ZMQInteractiveShell):
    """IPython's shell of the kernel, which runs the bodies of cells. Its `kernel` is a `Host`."""

    displayhook_class = Type(CellDisplayHook)
    displayhook: CellDisplayHook
    input_transformer_manager = Instance(CellTransformer, ())

    shown_error: PerThread[BaseException | None] = PerThread(None)
    """The newest exception that this thread has shown."""
    _last_traceback: PerThread[list[str] | None] = PerThread(None)
    _last_traceback_during_displayhook = PerThread(False)  # noqa: FBT003  # a value

    _direct_result: ExecutionResult | None = None
    _told: ExecutionResult | None = None
    _shown: tuple[object, object, list[str]] = None, None, []
    """The newest exception whose traceback was shown, its traceback object, and the text."""

    @property
    def _host(self) -> Host:
        host: Host = self.kernel
        return host

    def init_history(self) -> None:
        self.history_manager = InputHistory(shell=self, parent=self)
        self.configurables.append(self.history_manager)  # type: ignore[arg-type]  # typed too narrowly

    async def run_ast_nodes(
        self,
        nodelist: list[ast.stmt],
        cell_name: str,
        interactivity: str = "last_expr",
        compiler: Any = compile,
        result: Any = None,
    ) -> bool | None:
        """Run parsed code; return whether it failed."""
        entry = None
        # Requests on control run in a thread of their own.
        if threading.current_thread() is threading.main_thread():
            entry = self._host.cell_requests.take()
        if entry is None:
            failed: bool | None = await super().run_ast_nodes(
                nodelist, cell_name, interactivity, compiler, result
            )
            return failed
        body = self._body(entry, result.info.transformed_cell, nodelist, cell_name, interactivity)
        self._direct_result = result
        try:
            not_run = await self._host.notebook.run_requested(entry, body)
        finally:
            self._direct_result = None
        if not_run is not None:
            result.error_before_exec = self.show_error(not_run)
            return True
        return result.error_in_exec is not None or result.error_before_exec is not None

    def _defined_as(self, magic: str) -> str:
        """Return the name in the notebook that a magic stands for, "" for none.

        One that is not registered yet may be registered by a cell that runs first, by default under the function's name.
        """
        registered = self.magics_manager.magics
        found = registered["line"].get(magic) or registered["cell"].get(magic)
        if found is None:
            return magic
        of = getattr(found, "__func__", None) and type(found.__self__)  # of a class with magics
        value = of or found
        is_own = getattr(value, "__module__", "") == self.user_module.__name__
        return str(getattr(value, "__name__", "")) if is_own else ""

    def _body(  # what IPython made of the code
        self,
        entry: Entry,
        code: str,
        nodes: list[ast.stmt],
        file_name: str,
        interactivity: str,
        *,
        to_run: bool = True,
    ) -> Body:
        from marimo_kernel_bridge.kernel.ipython.magic_names import graph_code, read_script, read_script_here  # noqa: PLC0415  # first needed by the first cell
        from marimo_kernel_bridge.kernel.versions.star_imports import without_stars  # noqa: PLC0415  # first needed by the first cell

        notebook = self._host.notebook
        strict, fault = notebook.commands.strict, ""
        read = read_script if to_run else read_script_here
        allowance = _allowance.get()
        if allowance is not None:
            read = partial(allowance.read, read)
        graph = graph_code(code, self.transform_cell, read, self._defined_as)
        analyzed, stars = (graph.code, ()) if strict else without_stars(graph.code)
        compiles = notebook.runtime.parse(entry.cell.cell_id, analyzed) is not None
        if not compiles or analyzed != graph.code:  # what is left out may not compile, either
            part = self._running_part(nodes)
            if part is not None and (part.fault or not compiles):
                fault = part.fault
                graph = graph_code(part.code, self.transform_cell, read, self._defined_as)
                analyzed, stars = (graph.code, ()) if strict else without_stars(graph.code)
        private: frozenset[str] = frozenset()
        if not strict:  # `_names` are global, like any name
            return Body(
                analyzed, tuple(nodes), file_name, interactivity, code, private, stars=stars, fault=fault
            )
        if graph.private:
            private = notebook.runtime.private_names(graph.code) - self.user_ns_hidden.keys()
        elif "_" in code:
            nodes = notebook.runtime.mangle_locals(entry.cell.cell_id, nodes)
        return Body(graph.code, tuple(nodes), file_name, interactivity, code, private, fault=fault)

    def _running_part(self, nodes: Sequence[ast.stmt]) -> RunningPart | None:
        from marimo_kernel_bridge.kernel.ipython.statements import running_part  # noqa: PLC0415  # most code compiles

        awaits = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if self.autoawait else 0
        return running_part(nodes, self.compile.flags | awaits)

    @property
    def awaits_asyncio(self) -> bool:
        """Whether top-level `await` means asyncio, as it does unless `%autoawait` says otherwise."""
        return self.loop_runner is _asyncio_runner

    def prepare(
        self, entry: Entry, code: str, *, to_run: bool = True, allowance: Allowance | None = None
    ) -> Body:
        """Return the body of code that did not come with an `execute_request`.

        For code that is not Python, or takes more work than is allowed, this is a body that the graph refuses. Of code that
        is only looked at (not `to_run`), no script elsewhere than in the working directory is read.
        """
        outer = _allowance.set(allowance)
        try:
            body = self._prepared(entry, code, to_run=to_run)
        finally:
            _allowance.reset(outer)
        return (
            body if allowance is None or not allowance.spent else Body(code, (), "", "none", fault=_TOO_MANY)
        )

    def _prepared(self, entry: Entry, code: str, *, to_run: bool) -> Body:
        try:
            transformed = self.transform_cell(code)
            # IPython keeps every text that it names, which would add up for texts that are only looked at.
            file_name = ""
            if to_run:
                file_name = self.compile.cache(transformed, self.execution_count, raw_code=code)
            tree = self.transform_ast(self.compile.ast_parse(transformed, filename=file_name))
        except (SyntaxError, ValueError, RuntimeError, MemoryError):  # RuntimeError: 500 magics or more
            return Body(code, (), "", "none")
        return self._body(
            entry, transformed, tree.body, file_name, self.ast_node_interactivity, to_run=to_run
        )

    @property
    def interrupts(self) -> Interrupts:
        """The handler of SIGINT."""
        return self._host.interrupts

    async def run_body(
        self, entry: Entry, parent: Header | None, recalled: tuple[object, ...] | None
    ) -> Outcome:
        """Run a cell's body: under the current request if `parent` is None, else as a dependent with that parent header.

        `recalled` are the last results, None: as they are.
        """
        with self.displayhook.recalling(recalled):
            return await self._run_body(entry, parent)

    async def _run_body(self, entry: Entry, parent: Header | None) -> Outcome:
        body = entry.body
        assert body is not None
        hook = self.displayhook
        outer, hook.running = hook.running, body
        try:
            if parent is None:
                assert self._direct_result is not None
                count = self._direct_result.execution_count
                self._name_in_tracebacks(body, count)
                with self._count_set_to(count):
                    try:
                        return await self._run(body, self._direct_result)
                    finally:
                        self._told = self._direct_result
                        self._tell_executed()
            count = entry.cell.execution_count
            self._name_in_tracebacks(body, count)
            with self._host.parent_set_to(parent), self._count_set_to(count):
                return await self._run_as_dependent(body)
        finally:
            hook.running = outer
            for name in body.private:
                self.user_ns.pop(name, None)

    def tell_executed(self, result: ExecutionResult | None) -> None:
        """Trigger IPython's `post_execute` after a request, unless the cell that has this result has done so."""
        if result is None or self._told is not result:
            self._tell_executed()
        else:
            self._told = None

    def _tell_executed(self) -> None:
        """Have matplotlib's figures drawn and shown, as a part of the body: with the settings at the cell's place."""
        self.events.trigger("post_execute")

    def _name_in_tracebacks(self, body: Body, count: int | None) -> None:
        """Make tracebacks name a cell by its own execution count, as In[n], or In[ ] without one.

        IPython keeps one number for each text, that of the last parse: it may be another cell's, or a hidden request's.
        """
        self.compile._filename_map[body.file_name] = " " if count is None else count

    def take_count(self, code: str) -> int:
        """Return the next execution count, for a cell that runs before its own request."""
        count: int = self.execution_count
        self.execution_count += 1
        history: Any = self.history_manager
        history.store_inputs(count, self.transform_cell(code), code)
        return count

    async def _run_as_dependent(self, body: Body) -> Outcome:
        info = ExecutionInfo(body.transformed, False, False, True, None, transformed_cell=body.transformed)  # noqa: FBT003  # IPython's positional flags
        result = ExecutionResult(info)
        payloads: Any = self.payload_manager
        of_request = list(payloads.read_payload())
        with self.builtin_trap, self.display_trap:
            self.events.trigger("pre_execute")
            outer, self.displayhook.exec_result = self.displayhook.exec_result, result
            try:
                return await self._run(body, result)
            finally:
                self.displayhook.exec_result = outer
                # A dependent's payload, such as a pager, must not open with the next reply.
                payloads.clear_payload()
                for payload in of_request:
                    payloads.write_payload(payload, single=False)
                self._tell_executed()
                _flush()

    async def _run(self, body: Body, result: ExecutionResult) -> Outcome:
        interrupts = self.interrupts
        nodes = _interrupted(body.nodes) if interrupts.take_due() else list(body.nodes)
        running = super().run_ast_nodes(
            nodes, body.file_name, body.interactivity, compiler=self.compile, result=result
        )
        try:
            with interrupts.body():
                if self.awaits_asyncio:
                    await running
                else:
                    with interrupts.left_to_python():  # `%autoawait trio` and the like
                        self.loop_runner(running)
        except KeyboardInterrupt as interrupt:  # just before or after the code; IPython handles those inside
            running.close()
            self.showtraceback((KeyboardInterrupt, interrupt, None))
            result.error_in_exec = interrupt
        _flush()  # so that the router has all of this body's output before the next one
        error = result.error_in_exec or result.error_before_exec
        if self._is_stop(error):
            result.error_in_exec = result.error_before_exec = None
            return Outcome(error=error, stopped=True)
        return Outcome(error=error, value=result.result)

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show the exception that user code raised; `mo.stop` shows its output instead of a traceback."""
        error = sys.exc_info()[1] if exc_tuple is None else exc_tuple[1]
        if self._is_stop(error):
            output = getattr(error, "output", None)
            if output is not None:
                self.displayhook(output)
            return
        self.shown_error = error
        if isinstance(error, KeyboardInterrupt):
            leave_out_handler(error)
        super().showtraceback(exc_tuple, *args, **kwargs)

    def _format_exception_for_storage(
        self, exception: BaseException, *args: Any, **options: Any
    ) -> dict[str, Any]:
        """Describe an error for IPython's history of outputs, also one whose `__str__` raises.

        Reuses the traceback that was shown: IPython would format it again, which takes some milliseconds.
        """
        shown, traceback, text = self._shown
        if exception is shown and exception.__traceback__ is traceback:
            return {
                "ename": type(exception).__name__,
                "evalue": error_text(exception),
                "traceback": list(text),
            }
        try:
            described: dict[str, Any] = super()._format_exception_for_storage(exception, *args, **options)
        except Exception:  # noqa: BLE001  # raised by user code's `__str__`
            return {"ename": type(exception).__name__, "evalue": error_text(exception), "traceback": []}
        return described

    def _showtraceback(self, etype: type[BaseException], evalue: Any, stb: list[str]) -> None:
        # IPython formats a SyntaxError again for its records.
        if isinstance(evalue, BaseException) and not isinstance(evalue, SyntaxError):
            self._shown = evalue, evalue.__traceback__, stb
        super()._showtraceback(etype, error_text(evalue), stb)

    def _is_stop(self, error: BaseException | None) -> bool:
        notebook = self._host.notebook
        return error is not None and notebook.loaded and notebook.runtime.is_stop(error)

    def show_error(self, error: CellError) -> Exception:
        """Show an error that user code did not raise; return it as an exception, for IPython's result."""
        text = f"\x1b[31m{error.ename}\x1b[39m: {error.evalue}"
        kind = type(error.ename, (Exception,), {})
        raised: Exception = kind(strip_ansi(error.evalue))
        self._showtraceback(kind, raised, [text])
        return raised

    @contextmanager
    def _count_set_to(self, count: int | None) -> Iterator[None]:
        """Set the execution count within the context, so that a dependent's value is its own Out[n]."""
        outer = self.execution_count
        if count is not None:
            self.execution_count = count + 1  # IPython increments it before the code runs
        try:
            yield
        finally:
            self.execution_count = outer


def _flush() -> None:
    """Flush the streams, also those that user code replaced them with."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _interrupted(nodes: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return a statement that raises `KeyboardInterrupt` at the place of the first of `nodes`, for the traceback."""
    interrupt = ast.parse("raise KeyboardInterrupt").body[0]
    if nodes:
        for node in ast.walk(interrupt):
            if "lineno" in node._attributes:
                ast.copy_location(node, nodes[0])
    return [interrupt]


# Libraries such as plotly, tqdm and rich detect notebooks by the name of the class of get_ipython().
ReactiveShell.__name__ = ReactiveShell.__qualname__ = ZMQInteractiveShell.__name__
ReactiveShell.__module__ = ZMQInteractiveShell.__module__
