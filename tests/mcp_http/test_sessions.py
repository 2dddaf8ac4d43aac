"""Clients that open a session for each call, and clients of one name: whose kernels and runs are whose over HTTP."""

import asyncio
import json

import psutil
import pytest
from served import BOUND

pytestmark = pytest.mark.anyio

BUSY = "import time\nprint('begun')\nfor i in range(6000): time.sleep(0.01)"


async def call_once(server, tool, mode="legacy", **arguments):
    """Call a tool in a session of its own, as langchain-mcp-adapters does by default."""
    async with server.client(mode) as client:
        return await client.call_tool(tool, arguments)


async def once(server, tool, mode="legacy", **arguments):
    answer = await call_once(server, tool, mode, **arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


def refused(answer):
    return answer.is_error and "[not_connected]" in answer.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_with_a_session_for_each_call_gives_the_handle_or_the_file(server, kernel, mode):
    file = kernel.connection_file
    handle = (await once(server, "connect_to_kernel", mode, connection_file=file))["kernel"]
    assert (await once(server, "execute_code", mode, code="kept = 7", kernel=file))["status"] == "ok"
    assert (await once(server, "execute_code", mode, code="kept * 6", kernel=handle))["outputs"] == "42"
    assert (await once(server, "execute_code", mode, code="kept", kernel=f"file://{file}"))["outputs"] == "7"


async def test_clients_of_one_name_share_nothing(server, kernel):
    async with server.client("legacy") as one, server.client("legacy") as other, asyncio.timeout(BOUND):
        file = kernel.connection_file
        joined = (await one.call_tool("connect_to_kernel", {"connection_file": file})).structured_content
        arguments = {"code": BUSY, "timeout": 0}
        run = (await one.call_tool("execute_code", arguments)).structured_content["run_id"]
        try:
            assert refused(await other.call_tool("kernel_status", {}))
            assert refused(await other.call_tool("kernel_status", {"kernel": joined["kernel"]}))
            own = (await other.call_tool("kernel_status", {"kernel": file})).structured_content
            assert own["kernel"] != joined["kernel"]
            assert run not in str(own)
            for tool in ("read_run", "interrupt_run"):
                assert (await other.call_tool(tool, {"run_id": run})).is_error
        finally:
            stopped = (await one.call_tool("interrupt_run", {"run_id": run})).structured_content
        assert stopped["status"] == "interrupted"


async def test_without_sessions_nobody_is_told_of_a_run_that_it_does_not_name(server, kernel):
    async with server.client("auto") as one, server.client("auto") as other, asyncio.timeout(BOUND):
        file = kernel.connection_file
        handle = (await one.call_tool("connect_to_kernel", {"connection_file": file})).structured_content[
            "kernel"
        ]
        arguments = {"code": BUSY, "timeout": 0, "kernel": handle}
        run = (await one.call_tool("execute_code", arguments)).structured_content["run_id"]
        try:
            status = await other.call_tool("kernel_status", {"kernel": file})
            assert status.structured_content["state"] == "busy"
            assert run not in status.model_dump_json()
            unknown = await other.call_tool("read_run", {"run_id": "nosuch", "kernel": file})
            assert "[no_such_run]" in unknown.content[0].text
            assert run not in unknown.model_dump_json()
            listed = await other.list_resources()
            assert run not in listed.model_dump_json()
        finally:
            await one.call_tool("interrupt_run", {"run_id": run, "kernel": handle})


async def test_sessions_that_end_leave_no_connections_to_kernels_behind(start_server, kernel):
    own = start_server("--port", "0")
    process = psutil.Process(own.process.pid)
    file = kernel.connection_file

    def connections():
        return len(process.net_connections("tcp"))

    async with asyncio.timeout(2 * BOUND):
        await once(own, "connect_to_kernel", connection_file=file)
        handles = {(await once(own, "connect_to_kernel", connection_file=file))["kernel"] for _ in range(6)}
        assert len(handles) == 6, "each session has an attachment of its own"
        while connections() > 4:  # noqa: ASYNC110  # nothing tells of it; one attachment has five
            await asyncio.sleep(0.05)


async def test_a_session_that_is_initialized_again_keeps_its_name_and_what_it_has(server, kernel, http):
    file = kernel.connection_file
    headers = {"Accept": "application/json, text/event-stream", **server.authorization}

    async def ask(method, **params):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await http.post(server.url, json=body, headers=headers)
        assert answer.status_code == 200
        headers.setdefault("Mcp-Session-Id", answer.headers["mcp-session-id"])
        lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        return json.loads(lines[-1].removeprefix("data: "))

    async def initialize(name):
        await ask(
            "initialize",
            protocolVersion="2025-11-25",
            capabilities={},
            clientInfo={"name": name, "version": "1"},
        )

    await initialize("first")
    joined = await ask("tools/call", name="connect_to_kernel", arguments={"connection_file": file})
    for name in ("second", "third"):
        await initialize(name)
        status = await ask("tools/call", name="kernel_status", arguments={})
        assert (
            status["result"]["structuredContent"]["kernel"] == joined["result"]["structuredContent"]["kernel"]
        )
