"""The narrated demo: a person and an agent on one reactive kernel with a real notebook, then an import.

Each result is printed only after it was checked against the actual messages, files or processes; a check that fails
ends the demo with `DemoFailedError`.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from mcp import MCPError

from marimo_kernel_bridge.cli.demo_agent import Agent, ToolFailedError, attached_agent, single_errors
from marimo_kernel_bridge.cli.import_command import ImportOptions, import_notebook
from marimo_kernel_bridge.client.front_end import FrontEnd, opened, started_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.shipped import shipped
from marimo_kernel_bridge.notebooks.ipynb import Notebook, read_notebook
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import KERNELSPEC
from marimo_kernel_bridge.protocol.own_python import python_command, python_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import TextIOWrapper

# Names of cells of the example: the demo edits EDITED and checks its dependents.
EDITED: Final = "species"
BEFORE: Final = "Adelie"
AFTER: Final = "Gentoo"
TABLE: Final = "chosen"
SUMMARY: Final = "summary"
CHART: Final = "chart"
DEPENDENTS: Final = (TABLE, SUMMARY, CHART)
NOT_DEPENDENT: Final = "load"
_SEEN: Final = 50
"""Characters of a cell by which it is recognized."""
_RUN_BOUND: Final = 60.0
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class DemoFailedError(Exception):
    """A check of the demo failed."""


def run_demo(keep: Path | None, say: Callable[[str], None]) -> None:
    """Run the demo and print its steps with `say`; leave the notebooks in `keep`, if given. Raises `DemoFailedError`."""
    started = time.monotonic()
    _require_example_packages()
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        try:
            if keep is not None and keep.exists() and any(keep.iterdir()):
                raise DemoFailedError(
                    f"{keep} is not empty, and nothing in it is overwritten. Name a new folder."
                )
            shutil.copytree(
                shipped("examples"), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*")
            )
        except OSError as error:
            raise DemoFailedError(
                f"The example cannot be copied to {folder}: {error}. Name a folder that you can write to."
            ) from error
        example = folder / "penguins.ipynb"
        _step(say, 1, "A kernel, from the kernelspec that Jupyter finds")
        _kernelspec(say)
        with (Path(temporary) / "processes.log").open("w+") as log:
            failures: list[
                BaseException
            ] = []  # raised after the block: Python 3.11.2 wraps what an except* clause raises
            try:
                asyncio.run(_person_and_agent(read_notebook(example), folder, log, say))
            except* (
                DemoFailedError,
                BridgeError,
                ToolFailedError,
                MCPError,
                OSError,
            ) as group:  # anyio wraps exceptions in groups
                failures.extend(single_errors(group))
            if failures:
                raise DemoFailedError(
                    f"{'; '.join(map(str, failures))}\n{_log_tail(log)}\n"
                    "`marimo-kernel-bridge doctor` checks each part by itself."
                )
        _step(say, 5, "The same notebook, imported into marimo")
        _import_and_run(example, say)
    say(f"\nEvery step was checked. The demo took {time.monotonic() - started:.0f} s.")
    if keep is not None:
        say(f"The notebook, the marimo notebook and both charts are in {keep}.")


def _require_example_packages() -> None:
    missing = [name for name in ("pandas", "matplotlib") if find_spec(name) is None]
    if missing:
        raise DemoFailedError(
            f"The example needs {' and '.join(missing)}. Run: pip install 'marimo-kernel-bridge[demo]'"
        )


def _kernelspec(say: Callable[[str], None]) -> None:
    try:
        spec = KernelSpecManager().get_kernel_spec(KERNELSPEC)
    except NoSuchKernel:
        raise DemoFailedError(
            f"Jupyter finds no kernelspec {KERNELSPEC!r}. Run: marimo-kernel-bridge install --sys-prefix"
        ) from None
    say(f"  {spec.display_name}, in {spec.resource_dir}")


async def _person_and_agent(
    notebook: Notebook, folder: Path, log: TextIOWrapper, say: Callable[[str], None]
) -> None:
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(started_kernel(KERNELSPEC, folder, log.fileno()))
        person = await stack.enter_async_context(opened(manager))
        say(f"  The kernel is ready. Connection file: {manager.connection_file}")

        _step(say, 2, "A person runs the notebook, as JupyterLab would")
        for cell in notebook.cells:
            if cell.kind == "code":
                shown = await person.run(cell.cell_id, cell.source)
                say(f"  [{cell.cell_id}] {_first_line(cell.source)}")
                say(_indented(shown.text or "(no output)"))
                _require(
                    "error" not in _kinds(person, cell.cell_id), f"Cell {cell.cell_id} failed: {shown.text}"
                )
        before = {cell_id: person.cells[cell_id].text for cell_id in person.cells}
        requests = {cell_id: person.cells[cell_id].request_id for cell_id in person.cells}
        chart_before = _chart(person)
        _require(BEFORE in before[SUMMARY], f"The summary does not mention {BEFORE}: {before[SUMMARY]}")
        (folder / f"chart-{BEFORE}.png").write_bytes(chart_before)

        _step(say, 3, "An agent joins the same kernel over MCP and changes one cell")
        agent = await stack.enter_async_context(attached_agent(manager.connection_file, log))
        await _agent_edits(agent, notebook, say)

        _step(say, 4, "The person's page updates by itself")
        await person.until(
            lambda: (
                all(person.cells[cell_id].text != before[cell_id] for cell_id in (TABLE, SUMMARY))
                and _chart(person) != chart_before
            ),
            "the dependents' new outputs",
        )
        for cell_id in DEPENDENTS:
            seen = person.cells[cell_id]
            _require(
                seen.request_id == requests[cell_id] and seen.late != [],
                f"{cell_id} was not updated automatically.",
            )
            say(f"  [{cell_id}] got {', '.join(seen.late)} under the person's own request:")
            say(_indented(seen.text))
        (folder / f"chart-{AFTER}.png").write_bytes(_chart(person))
        say(f"  The chart was a PNG of {len(chart_before)} bytes and is now one of {len(_chart(person))}.")
        _require(AFTER in person.cells[SUMMARY].text, f"The summary does not mention {AFTER}.")
        _require(
            person.cells[NOT_DEPENDENT].late == [],
            f"{NOT_DEPENDENT} ran again although it does not depend on the change.",
        )
        say(f"  [{NOT_DEPENDENT}] does not depend on the change and did not run again.")
    _require(not manager.has_kernel, "The kernel did not shut down.")


async def _agent_edits(agent: Agent, notebook: Notebook, say: Callable[[str], None]) -> None:
    listed = (await agent.call("list_cells"))["cells"]
    code_cells = [cell for cell in notebook.cells if cell.kind == "code"]
    shown = [one["code"][:_SEEN] for one in listed]
    expected = [one.source.strip().partition("\n")[0][:_SEEN] for one in code_cells]
    _require(shown == expected, f"The agent sees the cells {shown}, not {expected}.")
    cells = {cell.cell_id: one for cell, one in zip(code_cells, listed, strict=True)}
    names = {cell["cell_id"]: name for name, cell in cells.items()}
    say("  list_cells answers with the graph that the kernel found in the code:")
    for name, cell in cells.items():
        uses = f", uses {', '.join(cell['uses'])}" if "uses" in cell else ""
        say(
            f"      {cell['cell_id']} [{name}] version {cell['version']}, defines {', '.join(cell['defines'])}{uses}"
        )
    edited = cells[EDITED]
    edit = {
        "action": "change",
        "cell_id": edited["cell_id"],
        "version": edited["version"],
        "code": f'{EDITED} = "{AFTER}"',
    }
    say(f"  edit_cells(edits=[{edit}])")
    run = await agent.call("edit_cells", edits=[edit])
    _require(run["status"] == "ok", f"The edit ended with {run['status']}: {run.get('message', '')}")
    reran = [names[cell["cell_id"]] for cell in run.get("reran", ())]
    _require(sorted(reran) == sorted(DEPENDENTS), f"The answer to the agent says that {reran} ran.")
    say(f"  The answer names the cells that ran because of it: {', '.join(reran)}")
    try:
        await agent.call("edit_cells", edits=[edit])
    except ToolFailedError as refused:
        _require("stale_version" in str(refused), f"The stale edit was refused for another reason: {refused}")
        say("  The same edit again is refused: it names a version of the cell that is no longer current.")
    else:
        raise DemoFailedError("A stale edit was accepted.")


def _import_and_run(example: Path, say: Callable[[str], None]) -> None:
    target = example.with_suffix(".py")
    conversion = import_notebook(example, target, ImportOptions(force=True)).conversion
    _require(
        conversion.complete, f"Some cells were not converted: {conversion.not_converted} {conversion.check}"
    )
    kept = sum(cell.fate == "kept" for cell in conversion.cells)
    say(f"  {target.name}: {kept} of {len(conversion.cells)} cells kept as they are, marimo check passes")
    ran = subprocess.run(  # noqa: S603  # this interpreter, on the file just written
        python_command(target.name),
        cwd=target.parent,
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=_RUN_BOUND,
        check=False,
    )
    _require(ran.returncode == 0, f"The marimo notebook failed: {ran.stderr}")
    _require(BEFORE in ran.stdout, f"The marimo notebook printed {ran.stdout!r}.")
    say(f"  python {target.name} prints:")
    say(_indented(ran.stdout))


# Showing and checking


def _step(say: Callable[[str], None], number: int, title: str) -> None:
    say(f"\n{number}. {title}")


def _require(condition: bool, message: str) -> None:  # noqa: FBT001  # reads like assert
    if not condition:
        raise DemoFailedError(message)


def _log_tail(log: TextIOWrapper) -> str:
    log.flush()
    log.seek(0)
    return f"End of the log of kernel and server: {log.read()[-2000:] or '(empty)'}"


def _chart(person: FrontEnd) -> bytes:
    picture = base64.b64decode(person.cells[CHART].mime("image/png") or "")
    _require(picture == b"" or picture.startswith(_PNG), "The chart is not a PNG image.")
    return picture


def _kinds(person: FrontEnd, cell_id: str) -> set[str]:
    return {output["output_type"] for output in person.cells[cell_id].log.outputs()}


def _first_line(text: str) -> str:
    return split_lines(text.strip())[0]


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in split_lines(text.rstrip()))
