"""The checks of `doctor`: whether the parts work together on this machine, and if not, what to do.

Each check performs the operation that it is named after: start the kernel, change a cell, let an agent change one. A
check that an earlier failure makes impossible is reported as skipped.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from mcp import MCPError

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.cli import editor_check, lab_extension, live_elements, tables, vscode
from marimo_kernel_bridge.cli.demo_agent import Agent, ToolFailedError, attached_agent, single_errors
from marimo_kernel_bridge.client.discovery import page_policies
from marimo_kernel_bridge.client.front_end import FrontEnd, opened, started_kernel
from marimo_kernel_bridge.client.marimo_editor import host as marimo
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.limits.resources import held_here
from marimo_kernel_bridge.launch.pool.preload_check import trouble
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.mcp_server.configuration import configuration, configuration_path
from marimo_kernel_bridge.mcp_server.plugins.loading import load
from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, own_port, require_not_foreign
from marimo_kernel_bridge.mcp_server.transport.run_files import HAVE_SOCKETS, run_files
from marimo_kernel_bridge.mcp_tools import TOOLS
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import KERNELSPEC, MODULE
from marimo_kernel_bridge.runtime.supported_api import check_version, installed, missing_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.manager import AsyncKernelManager

    from marimo_kernel_bridge.client.page import ShownCell

Verdict = Literal["ok", "FAILED", "skipped"]

_INTERPRETER_BOUND: Final = 60.0
_REINSTALL: Final = "Run: marimo-kernel-bridge install --sys-prefix"
_REPORT: Final = "Please report this, with the output of marimo-kernel-bridge doctor --json."
_REFUSED: Final = re.compile(r"\[[a-z]+(_[a-z]+)+\] ")
"""The code of a refusal in a message."""
_LOWEST_LAB: Final = 4
_LOG_LINES: Final = 5


@dataclass(frozen=True)
class Finding:
    """The result of a check. `hint` says what to do, and is empty if there is nothing to do."""

    check: str
    verdict: Verdict
    detail: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.check}: {self.detail}" + (
            f"\n         {self.hint}" if self.hint else ""
        )

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def examine(report: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Run all checks and return their findings. `report` is called with each finding as soon as it is known."""
    findings: list[Finding] = []

    def found(*new: Finding) -> None:
        for finding in new:
            findings.append(finding)
            report(finding)

    found(_python())
    found(_marimo())
    found(spec := _kernelspec())
    if spec.verdict == "ok":
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_with_a_kernel(Path(folder), found))
    else:
        found(*_skipped("kernel", "reactivity", "mcp", "editor", because="there is no usable kernelspec"))
    found(_running_server())
    found(*_plugins())
    found(_marimo_editors())
    found(*_pools())
    found(*_unsafe_kernelspecs())
    found(lab := _jupyterlab())
    if lab.verdict == "ok":
        found(_lab_extension())
    found(*_vscode())
    found(_live_elements())
    found(_limits())
    found(Finding("tables", *tables.state()))
    return findings


def _limits() -> Finding:
    """Say which limits a kernel can be held to here."""
    held = held_here()
    names = [[name for name, is_held in held.items() if is_held is wanted] for wanted in (True, False)]
    others = f"; {' and '.join(names[1])} only in a sandbox that holds them" if names[1] else ""
    return Finding("limits", "ok", f"a kernel can be held to {', '.join(names[0])}{others}")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", f"{version} at {sys.executable}")


def _marimo() -> Finding:
    try:
        check_version()
    except BridgeError as error:
        return Finding("marimo", "FAILED", error.message, error.hint)
    if missing := missing_api():
        return Finding(
            "marimo",
            "FAILED",
            f"marimo {installed()} lacks APIs that the kernel needs: {'; '.join(missing)}.",
        )
    return Finding("marimo", "ok", f"{installed()}, with every API that the kernel needs")


def _kernelspec() -> Finding:
    """Find the kernelspec as Jupyter does, and check its interpreter."""
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(KERNELSPEC)
    except NoSuchKernel:
        places = ", ".join(manager.kernel_dirs)
        return Finding(
            "kernelspec", "FAILED", f"Jupyter finds none named {KERNELSPEC!r} in {places}.", _REINSTALL
        )
    except ValueError as error:
        return Finding("kernelspec", "FAILED", f"Its kernel.json cannot be read: {error}.", _REINSTALL)
    if (interpreter := _interpreter(spec)) is None:
        named = spec.argv[0] if spec.argv else "nothing"
        problem = f"{spec.resource_dir} names the interpreter {named}, which does not exist."
    else:
        problem = _interpreter_problem(interpreter)
    if problem:
        return Finding("kernelspec", "FAILED", problem, _REINSTALL)
    return Finding("kernelspec", "ok", f"{spec.resource_dir}, for {interpreter}")


def _interpreter_problem(interpreter: str) -> str:
    """Run the interpreter of a kernelspec. Return why it cannot be used, or an empty string."""
    try:
        with (
            tempfile.TemporaryDirectory() as empty
        ):  # the current directory may be a checkout, which would be imported
            answer = subprocess.run(  # noqa: S603  # Jupyter runs it as well
                [interpreter, "-c", "import marimo_kernel_bridge as b; print(b.__version__)"],
                capture_output=True,
                text=True,
                timeout=_INTERPRETER_BOUND,
                cwd=empty,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{interpreter} does not run: {error}."
    if answer.returncode != 0:
        reason = (split_lines(answer.stderr.strip()) or ["no error message"])[-1]
        return f"{interpreter} cannot import marimo_kernel_bridge: {reason}"
    if (version := answer.stdout.strip()) != __version__:
        return f"{interpreter} has marimo-kernel-bridge {version}; this is {__version__}."
    return ""


def _interpreter(spec: KernelSpec) -> str | None:
    """Return the program that Jupyter would run, as jupyter_client resolves it; None if there is none."""
    first = spec.argv[0] if spec.argv else ""
    current_interpreter = {
        "python",
        f"python{sys.version_info[0]}",
        f"python{sys.version_info[0]}.{sys.version_info[1]}",
    }
    return sys.executable if first in current_interpreter else shutil.which(first) if first else None


async def _with_a_kernel(folder: Path, found: Callable[..., None]) -> None:
    """Start a kernel and run the checks that need one."""
    log = folder / "kernel.log"
    before = time.monotonic()
    async with AsyncExitStack() as stack:
        try:
            manager = await stack.enter_async_context(
                started_kernel(KERNELSPEC, folder, stack.enter_context(log.open("wb")).fileno())
            )
            person = await stack.enter_async_context(opened(manager))
            answer = (await person.run("first", "6 * 7")).text
        except (BridgeError, OSError) as error:
            hint = ""
            if isinstance(error, PermissionError):
                hint = "Set JUPYTER_RUNTIME_DIR and JUPYTER_DATA_DIR to folders that you can write to."
            detail = f"{error} End of its log: {_last_lines(log) or '(empty)'}"
            found(Finding("kernel", "FAILED", detail, hint))
            found(*_skipped("reactivity", "mcp", "editor", because="no kernel is running"))
            return
        if answer != "42":
            found(Finding("kernel", "FAILED", f"The result of 6 * 7 is {answer!r}.", _REPORT))
        else:
            found(Finding("kernel", "ok", f"started and ran a cell in {time.monotonic() - before:.1f} s"))
        found(await _reactivity(person))
        found(await _mcp(person, manager, folder))
        found(Finding("editor", *await editor_check.state(person)))


async def _reactivity(person: FrontEnd) -> Finding:
    try:
        await person.run("base", "a = 1")
        dependent = await person.run("dependent", "print('a + 1 is', a + 1)")
        if dependent.text != "a + 1 is 2":
            return Finding(
                "reactivity", "FAILED", f"The first output of the dependent is {dependent.text!r}."
            )
        await person.run("base", "a = 10")
        await person.until(
            lambda: dependent.text == "a + 1 is 11", "the dependent's new output under its own cell"
        )
    except BridgeError as error:
        return Finding("reactivity", "FAILED", str(error), _REPORT)
    return Finding(
        "reactivity", "ok", "a dependent of a changed cell shows its new output under its own cell"
    )


async def _mcp(person: FrontEnd, manager: AsyncKernelManager, folder: Path) -> Finding:
    log = folder / "mcp.log"
    problems: list[str] = []
    try:
        with log.open("w") as file:
            async with attached_agent(manager.connection_file, file) as agent:
                await _agent_changes_a(agent, person.cells["dependent"], person)
    except* (
        BridgeError,
        ToolFailedError,
        MCPError,
        OSError,
    ) as group:  # the SDK's task groups wrap exceptions
        problems += map(str, single_errors(group))
    if refused := [problem for problem in problems if _REFUSED.search(problem)]:
        return Finding("mcp", "FAILED", refused[0])  # which says what to do
    if problems:
        detail = (
            f"{'; '.join(dict.fromkeys(problems))} End of the server's log: {_last_lines(log) or '(empty)'}"
        )
        return Finding("mcp", "FAILED", detail, _REPORT)
    return Finding(
        "mcp", "ok", "an agent joined over stdio and changed a cell, and its dependent was updated"
    )


async def _agent_changes_a(agent: Agent, dependent: ShownCell, person: FrontEnd) -> None:
    cells = (await agent.call("list_cells"))["cells"]
    base = next((cell for cell in cells if "a" in cell.get("defines", ())), None)
    if base is None:
        raise ToolFailedError("list_cells: the cell that defines `a` is missing.")
    edit = {"action": "change", "cell_id": base["cell_id"], "version": base["version"], "code": "a = 20"}
    await agent.call("edit_cells", edits=[edit])
    await person.until(
        lambda: dependent.text == "a + 1 is 21", "the dependent's output after the agent's change"
    )


def _running_server() -> Finding:
    """Say where `mcp --http` serves or would serve, and whether another user is there."""
    try:
        port = own_port()
        require_not_foreign(DEFAULT_HOST, port)
        running = run_files(port).connected() if HAVE_SOCKETS else None
    except BridgeError as error:
        return Finding("mcp --http", "FAILED", error.message, error.hint)
    if not HAVE_SOCKETS:
        return Finding("mcp --http", "ok", f"clients over HTTP find it on port {port}")
    if running is None:
        return Finding("mcp --http", "ok", f"not running; clients over HTTP would find it on port {port}")
    running.close()
    return Finding("mcp --http", "ok", f"running, for `mcp --connect` and over HTTP on port {port}")


def _plugins() -> Iterator[Finding]:
    """Load the plugins that the user's configuration names, as a server does. Those of `--plugin` are in the hosts' own configurations."""
    try:
        names = configuration().mcp.plugins
    except BridgeError as error:
        yield Finding("plugins", "FAILED", error.message, error.hint)
        return
    if not names:
        yield Finding("plugins", "skipped", f"none is named in {configuration_path()}")
        return
    plugins = load(names, TOOLS)
    for plugin in plugins.loaded:
        tools = ", ".join(f"{tool.name} ({tool.tier({})})" for tool in plugin.tools) or "no tools"
        yield Finding("plugins", "ok", f"{plugin.origin.label}: {tools}")
    for left_out in plugins.left_out:
        yield Finding("plugins", "FAILED", str(left_out), f"Or take it out of {configuration_path()}.")


def _marimo_editors() -> Finding:
    """Say which notebooks in marimo's own editor agents can join, and which servers of it keep them out."""
    names = [Path(one.path).name for one in asyncio.run(marimo.running_notebooks()) if one.path is not None]
    if closed := marimo.servers_without_host():
        detail = f"agents cannot join what is open at {', '.join(closed)}: it runs without marimo's host API"
        return Finding("marimo edit", "skipped", detail, f"Start it so: {marimo.HOW_TO_START}")
    if names:
        return Finding("marimo edit", "ok", f"agents can join {', '.join(names)} in marimo's own editor")
    return Finding(
        "marimo edit", "skipped", "no notebook that agents can join is open in marimo's own editor"
    )


def _pools() -> Iterator[Finding]:
    """Check that the modules that installed kernelspecs preload in pools can be imported."""
    manager = KernelSpecManager()
    for name, entry in manager.get_all_specs().items():
        provisioner = (entry["spec"].get("metadata") or {}).get("kernel_provisioner") or {}
        interpreter = _interpreter(manager.get_kernel_spec(name))
        if provisioner.get("provisioner_name") != PROVISIONER or interpreter is None:
            continue
        preload = (provisioner.get("config") or {}).get("preload") or []
        if failed := trouble(interpreter, preload):
            detail = f"The kernels of {name!r} start without a pool, because it cannot preload {failed}."
            where = Path(entry["resource_dir"], "kernel.json")
            yield Finding(
                "pool", "FAILED", detail, f"Install the missing modules, or change `preload` in {where}."
            )
        else:
            modules = ", ".join(preload) or "none"
            yield Finding("pool", "ok", f"modules that the pool of {name!r} preloads: {modules}")


def _unsafe_kernelspecs() -> Iterator[Finding]:
    """Name the kernelspecs of older releases, in which a `json.py` in a notebook's folder runs in place of Python's."""
    for name, entry in KernelSpecManager().get_all_specs().items():
        argv = entry["spec"].get("argv") or []
        if MODULE in argv and not {"-P", "-I"} & set(argv[: argv.index(MODULE)]):
            yield Finding(
                "kernelspec",
                "FAILED",
                f"{entry['resource_dir']} is of an older release: modules in a notebook's folder may run when its kernel starts.",
                f"{_REINSTALL} --name {name}, or with the other options of the first time.",
            )


def _jupyterlab() -> Finding:
    try:
        version = metadata.version("jupyterlab")
    except metadata.PackageNotFoundError:
        return Finding(
            "jupyterlab",
            "skipped",
            "not in this environment (not needed for VS Code or a JupyterLab elsewhere)",
            "To install it: pip install 'marimo-kernel-bridge[lab]'",
        )
    if int(version.split(".")[0]) < _LOWEST_LAB:
        return Finding(
            "jupyterlab", "FAILED", f"{version} is too old.", "Run: pip install 'marimo-kernel-bridge[lab]'"
        )
    return Finding("jupyterlab", "ok", version)


def _vscode() -> Iterator[Finding]:
    """Say which editors have the extension, in this version."""
    states = vscode.states()
    for state in states:
        verdict: Verdict = "ok" if state.fits else "skipped" if state.version is None else "FAILED"
        yield Finding("vscode", verdict, state.detail, state.hint)
    if not states:
        yield Finding("vscode", "skipped", "there is no VS Code here (not needed for JupyterLab)")


def _lab_extension() -> Finding:
    detail, hint = lab_extension.problem()
    if not detail:
        return Finding("lab extension", "ok", "JupyterLab shows what agents do in the open notebook")
    missing = lab_extension.installed() is None  # the kernel works without
    return Finding("lab extension", "skipped" if missing else "FAILED", detail, hint)


def _live_elements() -> Finding:
    try:
        check_version()
    except BridgeError:
        return next(_skipped("live elements", because="there is no usable marimo"))
    return Finding("live elements", *live_elements.state(asyncio.run(page_policies())))


def _skipped(*checks: str, because: str) -> Iterator[Finding]:
    yield from (Finding(check, "skipped", f"not checked, because {because}") for check in checks)


def _last_lines(log: Path) -> str:
    lines = split_lines(log.read_text(errors="replace").strip()) if log.exists() else []
    return " | ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip())
