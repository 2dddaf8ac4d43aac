"""The packages of the kernel's environment: which ones the notebook lacks, and how they are installed.

Runs in the kernel, which may be on another machine than the client that asks. The installer is a separate process,
started without a shell; its output is forwarded line by line.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.environment import (
    OVERLAY_VARIABLE,
    Environment,
    InstallReport,
    MissingImport,
    PackageChange,
    is_installer_setting,
    is_settings_folder,
)
from marimo_kernel_bridge.protocol.own_python import program_on_path, python_command, python_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from marimo_kernel_bridge.protocol.environment import Installer
    from marimo_kernel_bridge.protocol.notebook import Cell

_NO_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_RUNS_PYTHON: Final = frozenset({"capture", "prun", "time", "timeit"})
"""Cell magics that run their body as Python code."""
_FORGIVING: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_GRACE: Final = 5.0
"""Seconds that an interrupted installer has to exit."""
_PIECE: Final = 0.2
"""Seconds of one wait for output."""


def environment(cells: Iterable[Cell], package_of: Callable[[str], str]) -> Environment:
    """Return where packages are installed and which modules that cells import are missing. Any thread."""
    users: dict[str, list[str]] = {}
    for cell in cells:
        for module in dict.fromkeys(imports(cell.code)):
            users.setdefault(module, []).append(cell.cell_id)
    missing = tuple(
        MissingImport(module, package_of(module), tuple(cell_ids))
        for module, cell_ids in sorted(users.items())
        if not is_there(module)
    )
    return Environment(sys.executable, sys.prefix, _kind(), _installer(), missing)


def imports(code: str) -> Iterator[str]:
    """Yield the top-level modules that code requires.

    Not those in `try ... except ImportError`, `with suppress(ImportError)` and `if TYPE_CHECKING`.
    """
    waiting: list[ast.AST] = _statements(code)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Try(handlers=handlers) | ast.TryStar(handlers=handlers) if any(map(_forgives, handlers)):
                waiting += [*node.orelse, *node.finalbody]
                continue
            case ast.With(items=items) if any(_suppresses(item.context_expr) for item in items):
                continue
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                waiting += node.orelse
                continue
        waiting += ast.iter_child_nodes(node)


def _statements(code: str) -> list[ast.AST]:
    """Return the statements of a cell, with IPython's syntax as calls; none if it is not Python."""
    while code.lstrip().startswith("%%"):
        first, _, code = code.lstrip().partition("\n")
        if first.removeprefix("%%").split(" ")[0] not in _RUNS_PYTHON:
            return []
    with suppress(SyntaxError, ValueError):
        return [ast.parse(code)]
    with suppress(SyntaxError, ValueError, RuntimeError):  # RuntimeError: 500 magics or more
        from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415  # the kernel has it

        return [ast.parse(TransformerManager().transform_cell(code))]  # type: ignore[no-untyped-call]  # IPython
    return []


def install(
    requirements: Sequence[str],
    cells: Callable[[], Iterable[Cell]],
    show: Callable[[str], None],
    settings: Mapping[str, str],
) -> InstallReport:
    """Install packages into this interpreter's environment. `show` receives the installer's output.

    `settings` are the person's variables for the installer, with their PATH, on which uv is looked for. Those of this
    process are not used: code of the notebook and files of its folder (`.env`) may have set them. Without `settings`, the
    client is on another machine, and the folders of this one are used: HOME and its like.
    Called on the main thread, where a KeyboardInterrupt stops the installer. Raises `BridgeError`: no_installer.
    """
    overlay = os.environ.get(OVERLAY_VARIABLE)
    if overlay is not None:  # in a sandbox: what code may have set reaches no more than code
        settings = {**os.environ, **settings}
    path = settings.get("PATH")
    tool = _installer(path)
    if tool is None or not sys.executable:
        raise BridgeError(
            "no_installer",
            f"Neither pip nor uv is available for the environment {sys.prefix}; nothing was installed.",
            f"The person can add one: {sys.executable} -m ensurepip",
        )
    if tool == "pip" and (file := _settings_beside_the_notebook()):
        raise BridgeError(
            "no_installer",
            f"pip would take its settings from {file}, a file of the notebook's folder; nothing was installed.",
            "If it is the person's, they can install the packages with %pip install.",
        )
    settings = {name: value for name, value in settings.items() if is_installer_setting(name)}
    if not any(map(is_settings_folder, settings)):
        settings |= {name: value for name, value in os.environ.items() if is_settings_folder(name)}
    others = {name: value for name, value in os.environ.items() if is_installer_setting(name)}
    if ignored := sorted(name for name in others if others[name] != settings.get(name)):
        show(f"Not used, as the person did not set it for agents: {', '.join(ignored)}\n")
    before = _versions()
    exit_code = _run(_command(tool, path, overlay or sys.executable), requirements, show, settings)
    importlib.invalidate_caches()
    after = _versions()
    changes = tuple(
        PackageChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
    return InstallReport(
        tool,
        overlay or sys.executable,
        exit_code,
        changes,
        tuple(_failed_without(cells())),
        _loaded_before(changes),
    )


def _settings_beside_the_notebook() -> Path | None:
    """Return pip's settings file of this environment if it is below the working directory: it may come with a checkout."""
    file = Path(sys.prefix, "pip.ini" if sys.platform == "win32" else "pip.conf")
    return (
        file
        if file.exists() and Path(os.path.realpath(sys.prefix)).is_relative_to(Path.cwd().resolve())
        else None
    )


def _command(tool: Installer, path: str | None, python: str) -> list[str]:
    if tool == "uv":
        uv = _uv(path)
        assert uv is not None
        return [uv, "pip", "install", "--no-progress", "--color", "never", "--python", python]
    options = ("--no-input", "--no-color", "--progress-bar", "off", "--disable-pip-version-check")
    of_another = () if python == sys.executable else ("--python", python)
    return python_command("-m", "pip", *of_another, "install", *options)


def _run(
    command: Sequence[str],
    requirements: Sequence[str],
    show: Callable[[str], None],
    settings: Mapping[str, str],
) -> int | None:
    with _process(command, requirements, settings) as process:
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        try:
            for line in iter(partial(_next, lines), None):
                show(line)
            return process.wait()
        except KeyboardInterrupt:
            _signal(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            return None


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
    finally:
        lines.put(None)


def _next(lines: queue.SimpleQueue[str | None]) -> str | None:
    """Wait for a line in short pieces: a signal that arrives right before a wait is handled only after it."""
    while True:
        with suppress(queue.Empty):
            return lines.get(timeout=_PIECE)


@contextmanager
def _process(
    command: Sequence[str], requirements: Sequence[str], settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    environ = {name: value for name, value in python_environment().items() if not is_installer_setting(name)}
    process = subprocess.Popen(  # noqa: S603  # no shell, and requirements only behind "--" (`requirements`)
        [*command, "--", *requirements],
        # uv takes settings, such as the address of an index, from the working directory and the folders above it.
        cwd=os.path.abspath(os.sep),  # noqa: PTH100  # the root: nobody but the system's owner puts files there
        env={**environ, **settings, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt of the kernel is forwarded by `_run`, once
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            _signal(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to the installer and the processes that it started, such as package builds."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)


def _versions() -> dict[str, str]:
    """Return the version of each package that an import finds: the first on the path."""
    versions: dict[str, str] = {}
    for package in metadata.distributions():
        if package.name and package.version:
            versions.setdefault(package.name, package.version)
    return versions


def _failed_without(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield the cells that failed because of a missing module that is now installed."""
    for cell in cells:
        match = _NO_MODULE.search(cell.error.evalue) if cell.error is not None else None
        if match and is_there(match[1].partition(".")[0]):
            yield cell.cell_id


def _loaded_before(changes: Iterable[PackageChange]) -> tuple[str, ...]:
    """Return the modules of changed packages that this process has imported: their old version stays loaded."""
    changed = {change.name for change in changes if change.before is not None}
    if not changed:
        return ()
    return tuple(
        sorted(
            module
            for module, packages in metadata.packages_distributions().items()
            if module in sys.modules and changed & set(packages)
        )
    )


def _forgives(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(map(_covers_missing_modules, kinds))


def _suppresses(manager: ast.expr) -> bool:
    match manager:
        case ast.Call(func=ast.Name("suppress") | ast.Attribute(attr="suppress"), args=kinds):
            return any(map(_covers_missing_modules, kinds))
    return False


def _covers_missing_modules(kind: ast.expr) -> bool:
    return isinstance(kind, ast.Name) and kind.id in _FORGIVING


def is_there(module: str) -> bool:
    """Return whether a module can be found. Imports only the packages that it is in."""
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except Exception:  # noqa: BLE001  # of the import system, or of any finder: it proves nothing about the module
        return True


def _kind() -> Literal["venv", "uv", "conda", "system"]:
    if Path(sys.prefix, "conda-meta").is_dir():
        return "conda"
    try:
        made_by = Path(sys.prefix, "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return "system"
    return "uv" if re.search(r"(?m)^uv\s*=", made_by) else "venv"


def _installer(path: str | None = None) -> Installer | None:
    """Return the installer for this environment: uv if uv created it, else pip, else uv. `path` is as `_uv` takes it."""
    has_pip = importlib.util.find_spec("pip") is not None
    if _uv(path) is not None and (_kind() == "uv" or not has_pip):
        return "uv"
    return "pip" if has_pip else None


def _uv(path: str | None) -> str | None:
    """Return the uv beside the interpreter, or else that on a search path; None is this process's own PATH."""
    beside = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")
    return str(beside) if beside.is_file() else program_on_path("uv", path)
