"""Sessions outlive the servers that made them, on real processes that are killed."""

import asyncio
import json
from pathlib import Path

import pytest
from person import BOUND
from stoppable import Server

from marimo_kernel_bridge.launch.sessions.registry import Registry

pytestmark = pytest.mark.anyio


async def until(condition):
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110  # files and processes tell nobody
            await asyncio.sleep(0.02)


def codes(path):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


async def test_a_session_survives_its_server_and_two_others_share_its_kernel_which_ends_itself(
    tmp_path, runtime_dir
):
    environment = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_RUNTIME_DIR": str(runtime_dir)}
    registry = Registry(tmp_path / "data" / "marimo_kernel_bridge" / "sessions")
    servers = [Server(tmp_path, number, environment) for number in range(3)]
    first, *others = servers
    try:
        await first.start()
        handle = (await first.call("create_notebook", name="kept"))["kernel"]
        assert "41" in (await first.call("execute_code", code="x = 41\nx"))["text"]
        await until(lambda: codes(tmp_path / "kept.ipynb") == ["x = 41\nx"])
        creating = asyncio.create_task(first.call("create_notebook", name="stopped", ttl=1))
        await until((tmp_path / "stopped.ipynb").exists)
        first.kill()
        creating.cancel()

        await asyncio.gather(*(server.start() for server in others))
        listed = (await others[0].call("list_notebooks"))["notebooks"]
        assert {one["name"] for one in listed} >= {"kept"}
        seen = await asyncio.gather(
            *(server.call("execute_code", code="x + 1", kernel=handle) for server in others)
        )
        assert all("42" in one["text"] for one in seen)
        kernel = registry.get(handle).kernel
        assert {(await server.call("kernel_status", kernel=handle))["pid"] for server in others} == {
            kernel.pid
        }

        path = tmp_path / "data" / "marimo_kernel_bridge" / "sessions" / f"{handle}.json"
        path.write_bytes(path.read_bytes()[:40])  # half of an entry, and no connection file
        third = Server(tmp_path, 3, environment)
        servers.append(third)
        await third.start()
        assert "joined" in (await third.call("open_notebook", notebook=str(tmp_path / "kept.ipynb")))["text"]
        await asyncio.to_thread(Path(kernel.connection_file).unlink)
        assert "42" in (await third.call("execute_code", code="x + 1", kernel=handle))["text"]
        assert registry.get(handle).kernel == kernel

        short = (await others[0].call("create_notebook", name="short", ttl=1))["kernel"]
        ended = registry.get(short).kernel
        await until(lambda: not ended.runs)
        assert (await others[1].call("list_notebooks", state="suspended"))["notebooks"][0]["id"] == short
        await others[1].call("close_notebook", notebook=handle)
        assert not kernel.runs
        assert {session.state for session in registry.all()} == {"suspended"}
    finally:
        for server in servers:
            await server.close()


@pytest.mark.long  # in memory: `tests/unit/mcp_server/test_unsaved_code.py`
async def test_a_notebook_that_the_server_saves_has_each_cell_once_and_its_texts_in_their_places(
    tmp_path, runtime_dir
):
    environment = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_RUNTIME_DIR": str(runtime_dir)}
    server, path = Server(tmp_path, 0, environment), tmp_path / "own.ipynb"
    texts = ["# Title", "a = 1", "Then", "b = a + 1"]
    try:
        await server.start()
        handle = (await server.call("create_notebook", name="own"))["kernel"]
        edits = [
            {"action": "add", "code": text, "type": "code" if "=" in text else "markdown"} for text in texts
        ]
        await server.call("edit_cells", edits=edits)
        await until(lambda: codes(path) == texts)
        assert len((await server.call("run_cells", which="all"))["ran"]) == 2
        listed = (await server.call("list_cells"))["cells"]
        assert [cell["code"] for cell in listed] == texts
        title, code = listed[0]["cell_id"], listed[1]
        changes = [
            {"action": "change", "cell_id": title, "version": 0, "code": "# Other"},
            {"action": "change", "cell_id": code["cell_id"], "version": code["version"], "code": "a = 2"},
        ]
        await server.call("edit_cells", edits=changes)
        await server.call("control_kernel", action="restart", kernel=handle)
        assert len((await server.call("run_cells", which="all"))["ran"]) == 2
        await until(lambda: codes(path) == ["# Other", "a = 2", *texts[2:]])
        await server.call("control_kernel", action="shut_down", kernel=handle)
        ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]
        assert ids == [cell["cell_id"] for cell in listed]
    finally:
        await server.close()
