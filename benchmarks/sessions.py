"""Many notebooks as sessions at once: creating them, working in some while others are idle, and a new server for all.

The sessions stay with the machine when their server is killed: the last part starts another one, which lists and joins them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.contenders import BUILD
from benchmarks.measuring import OURS, Row, Sample, Settings, check, p95, run_alone, say
from marimo_kernel_bridge.launch.pool.status import stop_pools
from marimo_kernel_bridge.launch.sessions.registry import Registry
from tests.mcp.stoppable import Server

if TYPE_CHECKING:
    from pathlib import Path

_WORKING = 10
"""Sessions that execute while the others are idle."""
_IDLE = 10.0  # seconds over which the CPU time of idle kernels is measured


async def _timed(server: Server, tool: str, **arguments: Any) -> tuple[dict[str, Any], Sample]:
    start = time.perf_counter()
    answer = await server.call(tool, **arguments)
    return answer, Sample(time.perf_counter() - start)


def _place() -> tuple[Path, dict[str, str]]:
    folder = BUILD / "benchmarks" / "sessions"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "r").mkdir(parents=True)
    return folder, {"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "r")}


def _cpu(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


async def _measured(count: int, calls: int) -> list[Row]:
    folder, environment = _place()
    registry = Registry(folder / "marimo_kernel_bridge" / "sessions")
    first, second = (Server(folder, number, environment) for number in (1, 2))
    try:
        await first.start()
        await first.call("create_notebook", name="warm")  # starts the pool
        created = [
            await _timed(first, "create_notebook", name=f"n{number}", ttl=3600) for number in range(count)
        ]
        handles = [answer["kernel"] for answer, _ in created]
        say(f"[{count} sessions]", end="")
        pids = [session.kernel.pid for session in registry.all() if session.kernel is not None]
        shares = [getattr(psutil.Process(pid).memory_full_info(), "pss", 0) for pid in pids]
        await asyncio.sleep(2)
        before = _cpu(pids)
        await asyncio.sleep(_IDLE)
        idle = (_cpu(pids) - before) / _IDLE / len(pids)

        starts: list[Sample] = []
        tools: list[Sample] = []

        async def work(handle: str) -> None:
            for number in range(calls):
                sent = time.time()
                answer, _ = await _timed(
                    first,
                    "execute_code",
                    code=f"import time\nx = {number}\nx * 2, time.time()",
                    kernel=handle,
                )
                check(f"({2 * number}, " in answer["text"], answer["text"][:200])
                began = float(answer["text"].split(f"({2 * number}, ")[1].split(")")[0])
                starts.append(Sample(max(0.0, began - sent)))

        async def look(handle: str) -> None:
            tools.extend([(await _timed(first, "list_variables", kernel=handle))[1] for _ in range(calls)])

        busy, quiet = handles[:_WORKING], handles[_WORKING : 2 * _WORKING] or handles[:1]
        await asyncio.gather(*(work(handle) for handle in busy))  # their first cells import marimo
        starts.clear()
        await asyncio.gather(*(work(handle) for handle in busy), *(look(handle) for handle in quiet))

        first.kill()
        await second.start()
        listed, list_time = await _timed(second, "list_notebooks", state="active")
        check(len(listed["notebooks"]) == count + 1, f"{len(listed['notebooks'])} are listed")
        start = time.perf_counter()
        await asyncio.gather(*(second.call("open_notebook", notebook=handle) for handle in handles))
        join_time = Sample(time.perf_counter() - start)
    finally:
        os.environ.update(environment)  # where the pool is
        for session in registry.all():
            if session.kernel is not None and session.kernel.runs:
                os.kill(session.kernel.pid, 9)
        for server in (first, second):
            server.kill()
            await server.close()
        stop_pools()
    creating = [sample for _, sample in created]
    mib = sum(shares) / len(shares) / 2**20
    load = f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors."

    def row(name: str, target: str, limit: float, value: float, unit: str, **more: Any) -> Row:
        return Row(f"{count} sessions: {name}", target, limit, value, unit, notes=[load], **more)

    return [
        row("create_notebook, p95", "<= 1 s", 1.0, p95(creating) or 0, "s", samples={OURS: creating}),
        row(
            f"a cell of {_WORKING} that execute begins after, p95",
            "<= 50 ms",
            50.0,
            (p95(starts) or 0) * 1000,
            "ms",
            samples={OURS: starts},
        ),
        row(
            f"list_variables of an idle one while {_WORKING} execute, p95",
            "<= 100 ms",
            100.0,
            (p95(tools) or 0) * 1000,
            "ms",
            samples={OURS: tools},
        ),
        row("memory of an idle kernel (PSS)", "<= 35 MiB", 35.0, mib, "MiB"),
        row("CPU of an idle kernel", "<= 0.1 %", 0.1, idle * 100, "%"),
        row("a new server lists them", "<= 1 s", 1.0, list_time.wall, "s", samples={OURS: [list_time]}),
        row("a new server joins them all", "<= 5 s", 5.0, join_time.wall, "s", samples={OURS: [join_time]}),
    ]


def run(settings: Settings) -> list[Row]:
    return run_alone(_measured(settings.pick(100, 12), settings.pick(20, 5)))
