"""Have an agent join kernels behind other projects' servers and work there: `make servers`.

Each place of `places.py` is started, the MCP server runs as a process of its own that no file tells of the place, and
each check is a sentence that the table has with its outcome. Exit code 1 if any fails.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcp import Client, StdioServerParameters
from places import (
    BOUND,
    Place,
    enterprise_gateway,
    jupyter_before,
    jupyterhub,
    kernel_gateway,
)

from marimo_kernel_bridge.mcp_tools import objects_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PLACES: Final[dict[str, Callable[[Path], Any]]] = {
    "JupyterHub": jupyterhub,
    "Enterprise Gateway": enterprise_gateway,
    "Kernel Gateway": kernel_gateway,
    "Jupyter server before Enterprise Gateway": partial(jupyter_before, enterprise_gateway),
    "Jupyter server before Kernel Gateway": partial(jupyter_before, kernel_gateway),
}


class Agent:
    """Calls tools of one server process."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client = client
        self.place = place

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured content. Raises `AssertionError` with the text of an error."""
        result = await self._client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool}: {result.content[0].text}"
        return objects_of(tool, result.structured_content)

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self._client.call_tool(tool, arguments)
        assert result.is_error, f"{tool} was not refused"
        return result.content[0].text

    async def joins(self, *, bounded: bool = False) -> dict[str, Any]:
        """Leave the kernel that is joined, if there is one, and join the place's first, or the one with bounds."""
        await self._client.call_tool("disconnect_kernel", {})
        which = self.place.bounded if bounded else self.place.known_as
        return await self("connect_to_kernel", server_url=self.place.url, token=self.place.token, **which)

    async def until_told_of_restart(self) -> None:
        async with asyncio.timeout(BOUND):
            while "restarted since the last call" not in (await self("kernel_status")).get("message", ""):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # nothing else tells of it

    async def until_code_runs(self) -> None:
        async with asyncio.timeout(BOUND):
            while True:
                result = await self._client.call_tool("execute_code", {"code": "1 + 1", "scratch": True})
                if (result.structured_content or {}).get("outputs") == "2":
                    return
                await asyncio.sleep(0.1)


async def joins_the_kernel_that_is_there(agent: Agent, _: Agent) -> None:
    joined = await agent.joins()
    assert joined["reactive"], joined
    assert joined["state"] == "idle", joined


async def runs_code_and_its_dependents(agent: Agent, _: Agent) -> None:
    await agent("execute_code", code="x = 1")
    ran = await agent("execute_code", code="print('x is', x)")
    assert ran["outputs"] == "x is 1", ran
    first = (await agent("list_cells"))["cells"][0]
    edit = {"action": "change", "cell_id": first["cell_id"], "version": first["version"], "code": "x = 2"}
    edited = await agent("edit_cells", edits=[edit])
    assert [cell.get("status", "ok") for cell in edited["reran"]] == ["ok"], edited
    assert (await agent("read_cell", cell_id=ran["cell_id"]))["outputs"] == "x is 2"


async def reads_while_a_cell_runs_and_stops_it(agent: Agent, _: Agent) -> None:
    slow = await agent("execute_code", code="import time\nprint('begun')\ntime.sleep(600)", timeout=1)
    assert (slow["status"], slow["outputs"]) == ("running", "begun"), slow
    assert (await agent("kernel_status"))["state"] == "busy"
    assert (await agent("list_cells"))["cells"][0]["code"] == "x = 2"
    stopped = await agent("interrupt_run", run_id=slow["run_id"])
    assert stopped["status"] == "interrupted", stopped


async def shows_a_second_agent_what_the_first_did(agent: Agent, other: Agent) -> None:
    await other.joins()
    assert (await other("execute_code", code="x", scratch=True))["outputs"] == "2"
    ran = await agent("execute_code", code="y = 'from the first'")
    cells = (await other("list_cells"))["cells"]
    assert ran["cell_id"] in {cell["cell_id"] for cell in cells}, cells
    await other("disconnect_kernel")


async def tells_a_crash_and_goes_on_in_the_new_kernel(agent: Agent, _: Agent) -> None:
    text = await agent.refused("execute_code", code="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert text.startswith("lost: "), text
    await agent.until_told_of_restart()
    await agent.until_code_runs()


async def restarts_and_interrupts_by_the_server(agent: Agent, _: Agent) -> None:
    await agent("execute_code", code="kept = 1")
    await agent("control_kernel", action="restart")
    await agent.until_told_of_restart()
    await agent.until_code_runs()
    gone = await agent("execute_code", code="'kept' in globals()", scratch=True)
    assert gone["outputs"] == "False", gone


async def keeps_a_kernel_to_its_limits(agent: Agent, _: Agent) -> None:
    await agent.joins(bounded=True)
    told = await agent("execute_code", code="rows = bytearray(3 * 10**9)")
    assert told["status"] == "error", told
    assert "limit_exceeded: memory" in str(told), told
    told = await agent("execute_code", code="while True: pass", timeout=60)
    assert "limit_exceeded: cell_seconds" in str(told), told
    assert (await agent("execute_code", code="6 * 7"))["outputs"] == "42", "it lives"


async def keeps_a_kernel_in_its_sandbox(agent: Agent, _: Agent) -> None:
    port = urlsplit(agent.place.url).port
    outside = agent.place.work.parent / "outside.txt"
    outside.write_text("a secret")
    for forbidden in (
        f"open({str(outside)!r}).read()",
        f"open({str(outside)!r}, 'w')",
        f"__import__('socket').create_connection(('127.0.0.1', {port}), 5)",
    ):
        told = await agent("execute_code", code=forbidden, scratch=True)
        assert told["status"] == "error", (forbidden, told)
        assert "a secret" not in str(told)
    assert outside.read_text() == "a secret"
    written = await agent("execute_code", code="open('mine.txt', 'w').write('x'), open('mine.txt').read()")
    assert written["outputs"] == "(1, 'x')", written
    assert (agent.place.work / "mine.txt").read_text() == "x"
    await agent.joins()


async def is_refused_with_a_wrong_token(agent: Agent, _: Agent) -> None:
    place = agent.place
    text = await agent.refused("connect_to_kernel", server_url=place.url, token="wrong", **place.known_as)
    assert text.startswith("[server_refused]"), text
    assert "token" in text, text
    assert place.token not in text


async def joins_by_the_address_of_the_page(agent: Agent, _: Agent) -> None:
    if "notebook" in agent.place.known_as:
        page = f"{agent.place.url}/lab/tree/{agent.place.known_as['notebook']}?token={agent.place.token}"
        joined = await agent("connect_to_kernel", server_url=page)
        assert joined["notebook"] == agent.place.known_as["notebook"], joined


async def tells_that_the_users_server_was_stopped(agent: Agent, _: Agent) -> None:
    place = agent.place
    if place.stop is not None:
        await asyncio.to_thread(place.stop)
        status = await agent("kernel_status")
        assert status["state"] == "dead", status
        text = await agent.refused("connect_to_kernel", server_url=place.url, token=place.token)
        assert text.startswith("[server_refused]"), text
        assert "start it" in text, text


CHECKS: Final[tuple[Callable[[Agent, Agent], Awaitable[None]], ...]] = (
    joins_the_kernel_that_is_there,
    runs_code_and_its_dependents,
    reads_while_a_cell_runs_and_stops_it,
    shows_a_second_agent_what_the_first_did,
    tells_a_crash_and_goes_on_in_the_new_kernel,
    restarts_and_interrupts_by_the_server,
    keeps_a_kernel_to_its_limits,
    keeps_a_kernel_in_its_sandbox,
    is_refused_with_a_wrong_token,
    joins_by_the_address_of_the_page,
    tells_that_the_users_server_was_stopped,
)


async def check(place: Place, folder: Path) -> int:
    """Run the checks at a place, one after the other; return how many failed."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "marimo_kernel_bridge", "mcp", "--allow", "all"],
        env=os.environ | {"JUPYTER_RUNTIME_DIR": str(folder), "JUPYTER_DATA_DIR": str(folder)},
    )
    failed = 0
    async with Client(server) as first, Client(server) as second:
        for sentence in CHECKS:
            began = time.monotonic()
            try:
                async with asyncio.timeout(2 * BOUND):
                    await sentence(Agent(first, place), Agent(second, place))
            except (AssertionError, TimeoutError) as problem:
                failed += 1
                say(f"  FAILED {sentence.__name__.replace('_', ' ')}: {problem!r}")
            else:
                say(f"  {sentence.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)")
    return failed


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    failed = 0
    wanted = sys.argv[1:] or list(PLACES)
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            there, here = Path(folder, "there"), Path(folder, "here")
            there.mkdir()
            here.mkdir(mode=0o700)
            say(f"{name}: an agent")
            with PLACES[name](there) as place:
                failed += asyncio.run(check(place, here))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
