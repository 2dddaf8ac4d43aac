"""The checks of `doctor`: that the parts work together on this machine, or what is wrong and what to do.

Each check does what it is about: it starts the kernel, changes a cell, has an agent change one. A check that an earlier
failure makes impossible is reported as skipped.
"""

from __future__ import annotations

import asyncio
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
from marimo_kernel_bridge.cli.demo_agent import Agent, ToolFailedError, attached_agent, single_errors
from marimo_kernel_bridge.client.front_end import FrontEnd, opened, started_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.pool.preload_check import trouble
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import KERNELSPEC
from marimo_kernel_bridge.runtime.supported_api import check_version, installed, missing_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.manager import AsyncKernelManager

    from marimo_kernel_bridge.client.page import ShownCell

Verdict = Literal["ok", "FAILED", "skipped"]

_INTERPRETER_BOUND: Final = 60.0
_REINSTALL: Final = "Run: marimo-kernel-bridge install --sys-prefix"
_REPORT: Final = "Please report this, with the output of marimo-kernel-bridge doctor --json."
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
    """Run all checks and return their findings. `report` is called with each as soon as it is there."""
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
        found(*_skipped("kernel", "reactivity", "mcp", because="there is no usable kernelspec"))
    found(*_pools())
    found(_jupyterlab())
    return findings


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
            "marimo", "FAILED", f"marimo {installed()} lacks what the kernel needs: {'; '.join(missing)}."
        )
    return Finding("marimo", "ok", f"{installed()}, with all that the kernel needs of it")


def _kernelspec() -> Finding:
    """Find the kernelspec as Jupyter does, and try its interpreter."""
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
        problem = f"{spec.resource_dir} names the interpreter {named}, which is not there."
    else:
        problem = _trouble_with(interpreter)
    if problem:
        return Finding("kernelspec", "FAILED", problem, _REINSTALL)
    return Finding("kernelspec", "ok", f"{spec.resource_dir}, for {interpreter}")


def _trouble_with(interpreter: str) -> str:
    """Run the interpreter of a kernelspec; return what is wrong with it, or an empty string."""
    try:
        answer = subprocess.run(  # noqa: S603  # Jupyter would run it as well
            [interpreter, "-c", "import marimo_kernel_bridge as b; print(b.__version__)"],
            capture_output=True,
            text=True,
            timeout=_INTERPRETER_BOUND,
            cwd=tempfile.gettempdir(),  # not here, where a checkout could be imported by chance
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{interpreter} does not run: {error}."
    if answer.returncode != 0:
        reason = (split_lines(answer.stderr.strip()) or ["no reason given"])[-1]
        return f"{interpreter} cannot import marimo_kernel_bridge: {reason}"
    if (version := answer.stdout.strip()) != __version__:
        return f"{interpreter} has marimo-kernel-bridge {version}, this is {__version__}."
    return ""


def _interpreter(spec: KernelSpec) -> str | None:
    """Return what Jupyter would run, as jupyter_client resolves it; None if there is no such program."""
    first = spec.argv[0] if spec.argv else ""
    names_of_ours = {
        "python",
        f"python{sys.version_info[0]}",
        f"python{sys.version_info[0]}.{sys.version_info[1]}",
    }
    return sys.executable if first in names_of_ours else shutil.which(first) if first else None


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
            found(Finding("kernel", "FAILED", f"{error} Its last words: {_last_lines(log) or 'none'}"))
            found(*_skipped("reactivity", "mcp", because="no kernel runs"))
            return
        if answer != "42":
            found(Finding("kernel", "FAILED", f"It says that 6 * 7 is {answer!r}.", _REPORT))
        else:
            found(Finding("kernel", "ok", f"started and ran a cell in {time.monotonic() - before:.1f} s"))
        found(await _reactivity(person))
        found(await _mcp(person, manager, folder))


async def _reactivity(person: FrontEnd) -> Finding:
    try:
        await person.run("base", "a = 1")
        dependent = await person.run("dependent", "print('a + 1 is', a + 1)")
        if dependent.text != "a + 1 is 2":
            return Finding("reactivity", "FAILED", f"The dependent shows {dependent.text!r} at first.")
        await person.run("base", "a = 10")
        await person.until(
            lambda: dependent.text == "a + 1 is 11", "a dependent's new output under its own cell"
        )
    except BridgeError as error:
        return Finding("reactivity", "FAILED", str(error), _REPORT)
    return Finding("reactivity", "ok", "a changed cell's dependent shows its new output under its own cell")


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
    ) as group:  # the SDK's task groups wrap what is raised
        problems += map(str, single_errors(group))
    if problems:
        detail = f"{'; '.join(problems)} The server's last words: {_last_lines(log) or 'none'}"
        return Finding("mcp", "FAILED", detail, _REPORT)
    return Finding("mcp", "ok", "an agent joined over stdio, changed a cell, and its dependent followed")


async def _agent_changes_a(agent: Agent, dependent: ShownCell, person: FrontEnd) -> None:
    cells = (await agent.call("list_cells"))["cells"]
    base = next((cell for cell in cells if "a" in cell.get("defines", ())), None)
    if base is None:
        raise ToolFailedError("list_cells: the cell that defines `a` is not there.")
    edit = {"action": "change", "cell_id": base["cell_id"], "version": base["version"], "code": "a = 20"}
    await agent.call("edit_cells", edits=[edit])
    await person.until(lambda: dependent.text == "a + 1 is 21", "what the agent's change should show")


def _pools() -> Iterator[Finding]:
    """Import what the pools of the installed kernelspecs preload."""
    manager = KernelSpecManager()
    for name, entry in manager.get_all_specs().items():
        provisioner = (entry["spec"].get("metadata") or {}).get("kernel_provisioner") or {}
        interpreter = _interpreter(manager.get_kernel_spec(name))
        if provisioner.get("provisioner_name") != PROVISIONER or interpreter is None:
            continue
        preload = (provisioner.get("config") or {}).get("preload") or []
        if unfit := trouble(interpreter, preload):
            detail = f"The kernels of {name!r} start without a pool, for it cannot preload {unfit}."
            where = Path(entry["resource_dir"], "kernel.json")
            yield Finding(
                "pool", "FAILED", detail, f"Install what is missing, or change `preload` in {where}."
            )
        else:
            named = ", ".join(preload) or "nothing more"
            yield Finding("pool", "ok", f"that of {name!r} can preload what it shall: {named}")


def _jupyterlab() -> Finding:
    try:
        version = metadata.version("jupyterlab")
    except metadata.PackageNotFoundError:
        return Finding(
            "jupyterlab",
            "skipped",
            "not in this environment (VS Code, or a JupyterLab elsewhere, needs none here)",
            "To have it: pip install 'marimo-kernel-bridge[lab]'",
        )
    if int(version.split(".")[0]) < _LOWEST_LAB:
        return Finding(
            "jupyterlab", "FAILED", f"{version} is too old.", "Run: pip install 'marimo-kernel-bridge[lab]'"
        )
    return Finding("jupyterlab", "ok", version)


def _skipped(*checks: str, because: str) -> Iterator[Finding]:
    yield from (Finding(check, "skipped", f"not tried, because {because}") for check in checks)


def _last_lines(log: Path) -> str:
    lines = split_lines(log.read_text(errors="replace").strip()) if log.exists() else []
    return " | ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip())
