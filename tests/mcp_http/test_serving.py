"""Kernels over streamable HTTP: the same tools as on stdio, for many clients, until the server is told to end."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import anyio
import httpx2
import pytest
from mcp import MCPError
from served import BOUND, environment

pytestmark = pytest.mark.anyio

BUSY = "import time\nfor i in range(6000): time.sleep(0.01)"
# 4 bytes for each character, twice (text and structured), and the largest images that the tools let through.
LARGE = (
    "import os, base64\nfrom IPython.display import Image, display\n"
    "for _ in range({}): display(Image(b'\\x89PNG\\r\\n\\x1a\\n' + os.urandom(500_000), format='png'))\n"
    "print('\\N{{SNAKE}}' * 50_000)"
)


async def call(client, tool, **arguments):
    return await client.call_tool(tool, arguments)


async def run(client, code, **arguments):
    return (await call(client, "execute_code", code=code, **arguments)).structured_content


async def connect(client, kernel):
    answer = await call(client, "connect_to_kernel", connection_file=kernel.connection_file)
    assert not answer.is_error, answer.content
    return answer.structured_content["kernel"]


async def test_an_agent_joins_a_kernel_and_runs_code(client, kernel):
    assert "list_kernels" in client.instructions
    await connect(client, kernel)
    answer = await run(client, "print('hi'); 6 * 7")
    assert (answer["status"], answer["outputs"]) == ("ok", "hi\n42")


async def test_progress_arrives_while_a_cell_runs(client, kernel):
    await connect(client, kernel)
    told = asyncio.Queue()

    async def progress(done, total, message):
        told.put_nowait((done, total, message))

    calling = asyncio.create_task(
        client.call_tool("execute_code", {"code": BUSY, "timeout": 600}, progress_callback=progress)
    )
    async with asyncio.timeout(BOUND):
        done, total, message = await told.get()
    assert 0 < done < total == 600
    assert message.startswith("running")
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert (await run(client, "'free again'", timeout=BOUND))["outputs"] == "'free again'"


async def test_a_client_that_drops_its_connection_stops_its_run(server, client, kernel):
    await connect(client, kernel)
    calling = asyncio.create_task(run(client, BUSY, timeout=600))
    async with asyncio.timeout(BOUND), server.client() as another:
        while (await call(another, "kernel_status")).structured_content["state"] != "busy":
            pass
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert (await run(another, "'free again'", timeout=BOUND))["outputs"] == "'free again'"


async def test_twenty_clients_at_once_each_get_their_own_answers(server, kernel):
    async def one(number):
        async with server.client(["auto", "legacy"][number % 2]) as client:
            await connect(client, kernel)
            answers = [await run(client, f"{number} * 1000 + {i}", scratch=True) for i in range(5)]
            return [answer["outputs"] for answer in answers]

    async with asyncio.timeout(3 * BOUND):
        answers = await asyncio.gather(*(one(number) for number in range(20)))
    assert answers == [[str(number * 1000 + i) for i in range(5)] for number in range(20)]


@pytest.mark.parametrize("images", [1, 3])
async def test_the_largest_answers_arrive(client, kernel, images):
    await connect(client, kernel)
    answer = await call(client, "execute_code", code=LARGE.format(images), max_chars=50_000)
    assert not answer.is_error
    assert answer.structured_content["outputs"].count("\N{SNAKE}") > 40_000
    assert len(answer.model_dump_json(by_alias=True).encode()) < 2**20


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_and_its_runs_but_not_the_kernel(start_server, kernel, tmp_path, how):
    server = start_server(tmp_path, "--port", "0")
    with suppress(
        MCPError, httpx2.HTTPError, anyio.ClosedResourceError, ExceptionGroup
    ):  # as clients see the end
        async with server.client() as client, server.client() as another:
            await connect(client, kernel)
            calling = asyncio.create_task(run(client, BUSY, timeout=600))
            async with asyncio.timeout(BOUND):
                while (await call(another, "kernel_status")).structured_content["state"] != "busy":
                    pass
            server.process.send_signal(how)
            await asyncio.gather(calling, return_exceptions=True)
    assert await asyncio.to_thread(server.process.wait, BOUND) == 0
    assert "Traceback" not in server.printed
    assert kernel.is_alive()
    again = start_server(tmp_path, "--port", "0")
    async with again.client() as client:
        await connect(client, kernel)
        assert (await run(client, "'free again'", timeout=BOUND))["outputs"] == "'free again'"


async def test_a_restarted_server_takes_the_same_port_and_token_and_must_be_told_of_kernels(
    start_server, kernel, tmp_path
):
    before = start_server(tmp_path, "--port", "0")
    token, port = before.token, before.port
    async with before.client() as client:
        await connect(client, kernel)
        assert await asyncio.to_thread(before.stop) == 0
    after = start_server(tmp_path, "--port", str(port))
    assert (after.url, after.token) == (before.url, token)
    async with after.client() as client:
        answer = await call(client, "execute_code", code="1")
        assert answer.is_error
        assert "[not_connected]" in answer.content[0].text
        await connect(client, kernel)
        assert (await run(client, "1"))["outputs"] == "1"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--port", "TAKEN"], "Cannot listen on port TAKEN of 127.0.0.1: Address already in use."),
        (["--host", "0.0.0.0"], "pass --allow-remote"),
        (["--host", "no-such-host.invalid"], "is no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused_in_one_line(server, tmp_path, options, why):
    def fill(text):
        return text.replace("TAKEN", str(server.port))

    done = subprocess.run(
        [sys.executable, "-m", "marimo_kernel_bridge", "mcp", "--http", *map(fill, options)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == 1
    assert fill(why) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_serving_to_other_machines_is_warned_of(start_server, tmp_path):
    server = start_server(tmp_path, "--port", "0", "--host", "0.0.0.0", "--allow-remote")
    assert server.url == f"http://127.0.0.1:{server.port}/mcp"
    assert "WARNING: other machines can reach this server" in server.printed


def test_the_server_imports_neither_marimo_nor_zmq_before_a_kernel_is_joined():
    code = (
        "import sys; import marimo_kernel_bridge.mcp_server.transport.http, marimo_kernel_bridge.mcp_tools as s; s.build_server();"
        "print(sorted({'marimo', 'zmq', 'jupyter_client', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
