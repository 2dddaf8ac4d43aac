"""Many agents at once: each starts a kernel of its own through one MCP server, and all of them run code together.

The kernels come from a warm pool. What a kernel costs in memory is its proportional share (PSS): pages that it shares
with others are divided among them.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
from jupyter_core.paths import jupyter_runtime_dir
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.contenders import BUILD
from benchmarks.measuring import OURS, Row, Sample, Settings, check, p95, run_alone, say
from marimo_kernel_bridge.launch.pool.status import running_pools, stop_pools
from marimo_kernel_bridge.mcp_tools import objects_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CODE = "import os\nx = {number}\nx * 2, os.getpid()"
_TIMEOUT = 240.0


@asynccontextmanager
async def _http_server() -> AsyncIterator[tuple[str, str]]:
    """Start the MCP server over HTTP; yields its address and token."""
    folder = BUILD / "benchmarks" / "crowd"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    token_file = folder / "token"
    command = [sys.executable, "-m", "marimo_kernel_bridge", "mcp", "--http", "--port", "0", "--allow", "all"]
    command += ["--token-file", str(token_file)]
    env = os.environ | {"JUPYTER_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    env["JUPYTER_RUNTIME_DIR"] = jupyter_runtime_dir()  # else it is below the data
    with (BUILD / "benchmarks" / "http.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env)  # noqa: ASYNC220  # it is there when the block begins
    assert process.stdout
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        url = next(word for word in line.split() if word.startswith("http"))
        yield url, token_file.read_text().strip()
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


async def _call(client: Client, tool: str, **arguments: Any) -> tuple[dict[str, Any], Sample]:
    start = time.perf_counter()
    result = await client.call_tool(tool, arguments)
    taken = Sample(time.perf_counter() - start)
    text = "".join(part.text for part in result.content if part.type == "text")
    check(not result.is_error, f"{tool}: {text[:300]}")
    return {"text": text, **objects_of(tool, result.structured_content or {})}, taken


async def _crowd(count: int, calls: int) -> list[Row]:
    async with _http_server() as (url, token), AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {token}"}
        clients = []
        for _ in range(count):
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT))
            clients.append(
                await stack.enter_async_context(Client(streamable_http_client(url, http_client=http)))
            )
        say(f"[{count} clients]", end="")
        gate = asyncio.Semaphore(4)  # more at once start none the sooner on a few processors

        async def start(client: Client) -> tuple[dict[str, Any], Sample]:
            async with gate:
                return await _call(client, "start_kernel")

        begin = time.perf_counter()
        answers = await asyncio.gather(*(start(client) for client in clients))
        starting = time.perf_counter() - begin
        handles = [answer["kernel"] for answer, _ in answers]
        say(f"[{count} kernels in {starting:.0f} s]", end="")

        async def execute(number: int, client: Client) -> tuple[str, list[Sample]]:
            samples = []
            for turn in range(calls):
                code = _CODE.format(number=number + turn)
                answer, taken = await _call(client, "execute_code", code=code, kernel=handles[number])
                found = re.search(r"\((\d+), (\d+)\)", answer["text"])
                right = found is not None and int(found[1]) == 2 * (number + turn)
                check(right, f"client {number} got {answer['text'][:200]}")
                samples.append(taken)
            assert found is not None
            return found[2], samples

        begin = time.perf_counter()
        done = await asyncio.gather(*(execute(number, client) for number, client in enumerate(clients)))
        together = time.perf_counter() - begin
        pids = {pid for pid, _ in done}
        check(len(pids) == count, f"{count} clients were in {len(pids)} kernels")
        executed = [sample for _, samples in done for sample in samples]
        shares = [getattr(psutil.Process(int(pid)).memory_full_info(), "pss", 0) for pid in pids]
        pooled = sum(len(pids & {str(k) for k in state.kernels}) for state in running_pools())
    stop_pools()
    notes = [
        f"{pooled} of the {count} kernels were forked from a pool.",
        (
            f"All started within {starting:.0f} s ({starting / count * 1000:.0f} ms each); "
            f"{len(executed) / together:.0f} calls per second while all execute."
        ),
    ]
    started = [taken for _, taken in answers]
    value = (p95(executed) or 0.0) * 1000
    return [
        Row(
            f"{count} kernels, one MCP client each, all executing: p95 of a call",
            "all succeed",
            None,
            value,
            "ms",
            samples={f"{OURS}, execute_code": executed, f"{OURS}, start_kernel": started},
            notes=notes,
        ),
        Row(
            f"{count} kernels, one MCP client each: memory per kernel (PSS)",
            "reported",
            None,
            sum(shares) / count / 2**20,
            "MiB",
            samples={OURS: [Sample(share) for share in shares]},
            sample_unit="MiB",
        ),
    ]


def run(settings: Settings) -> list[Row]:
    return run_alone(_crowd(settings.pick(100, 10), settings.pick(5, 3)))
