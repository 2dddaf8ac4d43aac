"""Kernels over streamable HTTP: the same tools as on stdio, for many clients, until the server is told to end."""

import asyncio
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import httpx2
import pytest
from click.testing import CliRunner
from mcp import MCPError
from served import BOUND, Caller, environment

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.mcp_server.transport import http

pytestmark = pytest.mark.anyio

BUSY = "import time\nprint('begun')\nfor i in range(6000): time.sleep(0.01)"
# 4 bytes for each character, twice (text and structured), and the largest images that the tools let through.
LARGE = (
    "import os, base64\nfrom IPython.display import Image, display\n"
    "for _ in range(3): display(Image(b'\\x89PNG\\r\\n\\x1a\\n' + os.urandom(500_000), format='png'))\n"
    "print('\\N{SNAKE}' * 50_000)"
)


async def call(client, tool, **arguments):
    return await client.call_tool(tool, arguments)


async def run(client, code, **arguments):
    return (await call(client, "execute_code", code=code, **arguments)).structured_content


async def connect(client, kernel):
    answer = await call(client, "connect_to_kernel", connection_file=kernel.connection_file)
    assert not answer.is_error, answer.content
    return answer.structured_content["kernel"]


async def until_busy(client):
    while True:
        answer = await call(client, "kernel_status")
        assert not answer.is_error, answer.content
        if answer.structured_content["state"] == "busy":
            return


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
        await connect(another, kernel)  # that of the test before may not have ended
        await until_busy(another)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert (await run(another, "'free again'", timeout=BOUND))["outputs"] == "'free again'"


async def test_many_clients_at_once_each_get_their_own_answers(server, kernel):
    async def one(number):
        async with server.client(["auto", "legacy"][number % 2]) as client:
            await connect(client, kernel)
            answers = [await run(client, f"{number} * 1000 + {i}", scratch=True) for i in range(2)]
            return [answer["outputs"] for answer in answers]

    async with asyncio.timeout(3 * BOUND):
        answers = await asyncio.gather(*(one(number) for number in range(8)))
    assert answers == [[str(number * 1000 + i) for i in range(2)] for number in range(8)]


async def test_the_largest_answers_arrive(client, kernel):
    await connect(client, kernel)
    answer = await call(client, "execute_code", code=LARGE, max_chars=50_000)
    assert not answer.is_error
    assert answer.structured_content["outputs"].count("\N{SNAKE}") > 40_000
    assert len(answer.model_dump_json(by_alias=True).encode()) < 2**20


async def test_an_error_that_is_larger_than_any_answer_is_read_whole_in_pages(client, kernel):
    await connect(client, kernel)
    answer = await call(client, "execute_code", code="raise ValueError('row' * 100_000)", max_chars=500)
    assert not answer.is_error
    assert len(answer.model_dump_json(by_alias=True)) < 10_000
    view = answer.structured_content
    assert f'read_run(run_id="{view["run_id"]}", offset=0) has all of it' in view["message"]
    pages, offset = [], 0
    while offset is not None:
        page = await call(client, "read_run", run_id=view["run_id"], offset=offset, max_chars=100_000)
        head, notice, _ = re.split(
            r"\n\[… (.*) …\]\n", page.structured_content["outputs"] + "\n[… end …]\n", maxsplit=1
        )
        pages.append(head)
        following = re.search(r"offset=(\d+)", notice)
        offset = int(following[1]) if following else None
    assert "row" * 100_000 in "".join(pages)


async def test_a_server_that_is_told_to_end_ends_its_runs_and_tasks_and_not_the_kernel_and_starts_as_before(
    start_server, server, kernel, http
):
    own = start_server("--port", "0")
    token = own.token
    with suppress(
        MCPError, httpx2.HTTPError, anyio.ClosedResourceError, ExceptionGroup
    ):  # as clients see the end
        async with own.client() as client, own.client() as another:
            await connect(client, kernel)
            calling = asyncio.create_task(run(client, BUSY, timeout=600))
            async with asyncio.timeout(BOUND):
                await connect(another, kernel)
                await until_busy(another)
            own.process.send_signal(signal.SIGTERM)
            await asyncio.gather(calling, return_exceptions=True)
    assert await asyncio.to_thread(own.process.wait, BOUND) == 0
    assert "Traceback" not in own.printed
    assert token not in own.printed + own.process.stdout.read()
    assert not own.token_file.exists()
    assert kernel.is_alive()
    async with server.client() as client:
        await connect(client, kernel)
        assert (await run(client, "'free again'", timeout=BOUND))["outputs"] == "'free again'"

    again = start_server("--port", str(own.port))
    assert (again.url, again.token_file) == (own.url, own.token_file)
    assert again.token != token
    async with again.client() as client:
        answer = await call(client, "execute_code", code="1")
        assert answer.is_error
        assert "[not_connected]" in answer.content[0].text

    caller = Caller(again, http)
    await caller.call("connect_to_kernel", connection_file=kernel.connection_file)
    assert (await caller.run(BUSY))["status"] == "working"
    assert await asyncio.to_thread(again.stop, signal.SIGINT) == 0
    assert "Traceback" not in again.printed
    async with server.client() as client:
        assert (await run(client, "'free again'", timeout=BOUND))["outputs"] == "'free again'"


# What ends before anything is served


def command(folder, *options):
    return CliRunner(env=environment(folder)).invoke(main, ["mcp", "--http", *options])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--port", "TAKEN"], "Cannot listen on port TAKEN of 127.0.0.1: Address already in use."),
        (["--host", "0.0.0.0"], "pass --allow-remote"),
        (["--host", "no-such-host.invalid"], "is not an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused_in_one_line(server, tmp_path, options, why):
    def fill(text):
        return text.replace("TAKEN", str(server.port))

    done = command(tmp_path, *map(fill, options))
    assert done.exit_code == 1
    assert fill(why) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_serving_to_other_machines_is_warned_of(homes, monkeypatch):
    def serve(_mcp, _token, listening, own, ready):
        ready()
        listening.socket.close()
        own.close()

    monkeypatch.setattr(http, "serve_http", serve)
    done = command(homes.new("w").folder, "--port", "0", "--host", "0.0.0.0", "--allow-remote")
    assert "Serving MCP at http://127.0.0.1:" in done.stdout, done.stderr
    assert "WARNING: other machines can reach this server" in done.stderr


def _open_files(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of another process can be set")
@pytest.mark.long  # in memory: `tests/unit/mcp_server/test_http_connections.py`
async def test_more_connections_than_the_process_has_files_do_not_end_it(start_server):
    import resource  # noqa: PLC0415  # not on Windows

    server = start_server("--port", "0")
    health = f"http://127.0.0.1:{server.port}/health"
    async with httpx2.AsyncClient(timeout=BOUND) as right:
        await right.get(health)  # it has started, and imported what it needs
    pid = server.process.pid
    files = _open_files(pid)
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files + 3, most))
    async with asyncio.timeout(BOUND):
        strangers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(files // 4 + 4)]
        for _, stranger in strangers:
            stranger.close()
        async with httpx2.AsyncClient(timeout=BOUND) as right:
            assert (await right.get(health)).status_code == 200
    assert server.process.poll() is None
    assert "Traceback" not in server.printed
