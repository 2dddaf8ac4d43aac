"""An agent's calls through the MCP server, over stdio: beside a raw request, while a cell runs, from a cold start.

`benchmarks.crowd` has many of them at once. jupyter-mcp-server is asked through its own tool, on a Jupyter server of
its own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from benchmarks.contenders import BUILD, Kernel, peer_python, started
from benchmarks.measuring import (
    JUPYTER_MCP,
    OURS,
    Row,
    Sample,
    Settings,
    UnavailableError,
    check,
    median,
    p95,
    run_alone,
    say,
)
from marimo_kernel_bridge.mcp_tools import objects_of
from marimo_kernel_bridge.protocol import messages as wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_BOUND = 120.0
_REST = 1.5  # seconds, in which the kernel forgets that somebody looked (`quick_switches`)


class Server:
    """An MCP server's process, and the SDK's client on it."""

    def __init__(self, client: Client, process: psutil.Process) -> None:
        self.client = client
        self.process = process

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        text = "".join(part.text for part in result.content if part.type == "text")
        check(not result.is_error, f"{tool}: {text[:300]}")
        return {"text": text, **objects_of(tool, result.structured_content or {})}

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@asynccontextmanager
async def served(command: list[str], env: dict[str, str] | None = None) -> AsyncIterator[Server]:
    """Start an MCP server on stdio."""
    before = {child.pid for child in psutil.Process().children()}
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=env or dict(os.environ))
    with (BUILD / "benchmarks" / "mcp.log").open("a") as log:
        async with Client(stdio_client(parameters, errlog=log)) as client:
            (process,) = (child for child in psutil.Process().children() if child.pid not in before)
            yield Server(client, process)


MCP_ARGUMENTS = ["-P", "-m", "marimo_kernel_bridge", "mcp", "--allow", "all"]
OUR_COMMAND = [sys.executable, *MCP_ARGUMENTS]


async def _calls(settings: Settings) -> list[Row]:
    """Alternate raw requests and calls of the tool, on one kernel."""
    raw: list[Sample] = []
    through: list[Sample] = []
    with started(OURS) as kernels:
        kernel = kernels[OURS]
        async with served(OUR_COMMAND) as server:
            await server("connect_to_kernel", connection_file=kernel.manager.connection_file)
            batch = settings.pick(40, 10)
            for number in range(settings.pick(6, 3)):
                for _ in range(batch):
                    start = time.perf_counter()
                    _as_agent(kernel, "x = 1")
                    raw.append(Sample(time.perf_counter() - start))
                before = server.cpu()
                for _ in range(batch):
                    start = time.perf_counter()
                    answer = await server("execute_code", code="x = 1")
                    through.append(Sample(time.perf_counter() - start))
                    check(answer["status"] == "ok", f"execute_code: {answer['text']}")
                cpu = (server.cpu() - before) / batch
                through[-batch:] = [Sample(sample.wall, cpu) for sample in through[-batch:]]
                check(kernel.value("x") == "1", "x is not 1")
                if number == 0:
                    raw.clear()
                    through.clear()
                say(".", end="")
    samples = {"a raw request": raw, f"{OURS}, execute_code": through}
    notes: list[str] = []
    try:
        samples[f"{JUPYTER_MCP}, execute_code"] = await _jupyter_mcp(settings.pick(10, 3))
    except (UnavailableError, OSError, Exception) as error:  # noqa: BLE001  # a peer's failure is not ours
        notes.append(f"{JUPYTER_MCP} could not be measured: {type(error).__name__} {error}")
    more = ((median(through) or 0) - (median(raw) or 0)) * 1000
    what = "MCP `x = 1` over stdio, beyond the kernel's own round trip, p50"
    cpu = (median(through, "cpu") or 0.0) * 1000
    return [
        Row(what, "≤ 5 ms", 5.0, more, "ms", samples=samples, notes=notes),
        Row("MCP `x = 1` over stdio, CPU of the server", "≤ 2 ms", 2.0, cpu, "ms", kind="cpu"),
    ]


def _as_agent(kernel: Kernel, code: str) -> None:
    """Run code in the kernel as the MCP server has it run."""
    message = kernel.client.session.msg(
        "execute_request",
        {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
        metadata={wire.METADATA_KEY: {"client": "raw"}},
    )
    kernel.client.shell_channel.send(message)
    kernel.until_idle({message["header"]["msg_id"]})
    kernel.reply()


@asynccontextmanager
async def jupyter_server(root: Path) -> AsyncIterator[tuple[str, str]]:
    """Start a Jupyter server of jupyter-mcp-server's environment in a folder; yields its address and token."""
    import secrets  # noqa: PLC0415
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with (BUILD / "benchmarks" / "jupyter-server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(
                peer_python(JUPYTER_MCP),
                "-m",
                "jupyterlab",
                "--no-browser",
                f"--port={port}",
                "--allow-root",
            ),
            *("--ip=127.0.0.1", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
            cwd=root,
            stdout=log,
            stderr=log,
            env=env | {"PATH": f"{peer_python(JUPYTER_MCP).parent}:{env['PATH']}"},
        )
    try:
        async with asyncio.timeout(_BOUND):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                if process.returncode is not None:
                    raise UnavailableError("its Jupyter server did not start")
                await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}", token
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _jupyter_mcp(count: int) -> list[Sample]:
    samples: list[Sample] = []
    root = BUILD / "benchmarks" / "notebooks"
    root.mkdir(exist_ok=True)
    async with jupyter_server(root) as (url, token):
        command = [str(peer_python(JUPYTER_MCP)), "-m", "jupyter_mcp_server", "start", "--transport", "stdio"]
        command += ["--jupyter-url", url, "--jupyter-token", token]
        env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "JUPYTER_PATH"}}
        async with asyncio.timeout(_BOUND), served(command, env) as server:
            await server("use_notebook", notebook_name="n", notebook_path="n.ipynb", mode="create")
            for number in range(count):
                before, start = server.cpu(), time.perf_counter()
                answer = await server("execute_code", code=f"x = {number}\nx")
                samples.append(Sample(time.perf_counter() - start, server.cpu() - before))
                check(str(number) in answer["text"], f"it answered {answer['text'][:100]}")
    return samples


async def _reading(settings: Settings) -> list[Row]:
    """Read while a cell waits, and while one computes and holds the interpreter."""
    rows = []
    with started(OURS) as kernels:
        kernel = kernels[OURS]
        kernel.run("y = 1\ny", "known")
        async with served(OUR_COMMAND) as server:
            await server("connect_to_kernel", connection_file=kernel.manager.connection_file)
            for name, code in {
                "waits": "print('runs'); import time; time.sleep(100)",
                "computes": "print('runs')\nwhile True: pass",
            }.items():
                sent = kernel.send(code, "long")
                kernel.until("stream", "runs")
                samples = [await _outlined(server) for _ in range(settings.pick(200, 40))]
                rested = []
                for _ in range(settings.pick(10, 3)):
                    await asyncio.sleep(_REST)
                    rested.append(await _outlined(server))
                kernel.manager.interrupt_kernel()
                kernel.until_idle({sent})
                kernel.reply()
                value = (p95(samples) or 0.0) * 1000
                what = f"MCP read (`list_cells`) while a cell {name}, p95"
                note = f"One read after {_REST} s without any: {(median(rested) or 0.0) * 1000:.1f} ms."
                rows.append(Row(what, "≤ 10 ms", 10.0, value, "ms", samples={OURS: samples}, notes=[note]))
                say(".", end="")
    return rows


async def _outlined(server: Server) -> Sample:
    start = time.perf_counter()
    answer = await server("list_cells")
    taken = Sample(time.perf_counter() - start)
    check("running" in answer["text"], f"list_cells: {answer['text'][:200]}")
    return taken


async def _cold(settings: Settings) -> list[Row]:
    samples = []
    for _ in range(settings.pick(7, 3)):
        start = time.perf_counter()
        async with served(OUR_COMMAND) as server:
            answer = await server("list_kernels")
            samples.append(Sample(time.perf_counter() - start, server.cpu()))
            check("kernels" in answer, "list_kernels said nothing")
        say(".", end="")
    value = (median(samples) or 0.0) * 1000
    what = "MCP server, cold start to the first tool's reply"
    return [Row(what, "≤ 1,000 ms", 1000.0, value, "ms", samples={OURS: samples})]


async def _attach(settings: Settings) -> list[Row]:
    """Join a kernel that has much in it; until the outline is there."""
    cells, size = settings.pick(1000, 100), 50_000
    samples: list[Sample] = []
    notes: list[str] = []
    with started(OURS) as kernels:
        kernel = kernels[OURS]
        for first in range(0, cells, 100):
            codes = [
                (f"c{n}", f"n{n} = {n}; print(str(n{n}) * 0 + 'x' * {size})")
                for n in range(first, first + 100)
            ]
            kernel.until_idle({kernel.send(code, cell) for cell, code in codes})
            for _ in codes:
                check(kernel.reply()["content"]["status"] == "ok", "a cell failed")
        async with served(OUR_COMMAND) as server:
            for number in range(settings.pick(7, 3)):
                start = time.perf_counter()
                state = await server("connect_to_kernel", connection_file=kernel.manager.connection_file)
                outline = await server("list_cells")
                taken = Sample(time.perf_counter() - start)
                check(f"{cells}" in outline["text"].replace(",", ""), f"the outline: {outline['text'][:200]}")
                await server("disconnect_kernel", kernel=state["kernel"])
                if number:
                    samples.append(taken)
                else:  # the server's very first: it imports what it needs for kernels
                    notes.append(f"The first of a server took {taken.wall * 1000:.0f} ms.")
                say(".", end="")
    value = statistics.median(sample.wall for sample in samples) * 1000
    what = f"MCP attach to {cells:,} cells with {cells * size // 10**6} MB of outputs, until the outline"
    return [Row(what, "≤ 100 ms", 100.0, value, "ms", samples={OURS: samples}, notes=notes)]


def run(settings: Settings) -> Iterator[Row]:
    for part in (_cold, _attach, _reading, _calls):
        yield from run_alone(part(settings))
