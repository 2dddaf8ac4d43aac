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
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

_WORKING = 10
"""Sessions that execute while the others are idle."""
_EVERY = 0.5
"""Seconds from one call of an agent to its next, and none in the rows that say so: then as many calls as sessions are always under way,
and a call takes as many times as long as the processors need for one."""
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


async def _working(
    server: Server, busy: list[str], quiet: list[str], calls: int, every: float
) -> tuple[list[Sample], list[Sample]]:
    """Run cells in sessions while the variables of others are listed, a call each `every` seconds of each, not all at the same moment.

    Return how long after its call each cell began, and how long the lists took.
    """
    starts: list[Sample] = []
    tools: list[Sample] = []

    async def execute(handle: str, number: int) -> None:
        sent, code = time.time(), f"import time\nx = {number}\nx * 2, time.time()"
        answer, _ = await _timed(server, "execute_code", code=code, kernel=handle)
        check(f"({2 * number}, " in answer["text"], answer["text"][:200])
        began = float(answer["text"].split(f"({2 * number}, ")[1].split(")")[0])
        starts.append(Sample(max(0.0, began - sent)))

    async def look(handle: str, _: int) -> None:
        tools.append((await _timed(server, "list_variables", kernel=handle))[1])

    async def agent(call: Callable[[str, int], Awaitable[None]], handle: str, phase: float) -> None:
        begun = time.perf_counter() + phase * every
        for number in range(calls):
            await asyncio.sleep(max(0.0, begun + number * every - time.perf_counter()))
            await call(handle, number)

    await asyncio.gather(
        *(agent(execute, handle, place / len(busy)) for place, handle in enumerate(busy)),
        *(agent(look, handle, (place + 0.5) / len(quiet)) for place, handle in enumerate(quiet)),
    )
    return starts, tools


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

        busy, quiet = handles[:_WORKING], handles[_WORKING : 2 * _WORKING] or handles[:1]
        await _working(first, busy, [], calls, 0.0)  # their first cells import marimo
        paced = await _working(first, busy, quiet, calls, _EVERY)
        without_pause = await _working(first, busy, quiet, calls, 0.0)

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

    def row(name: str, target: str, limit: float | None, value: float, unit: str, **more: Any) -> Row:
        return Row(f"{count} sessions: {name}", target, limit, value, unit, notes=[load], **more)

    def rows(
        taken: tuple[list[Sample], list[Sample]], pace: str, begins: float | None, looks: float | None
    ) -> Iterator[Row]:
        for what, limit, samples in (
            (f"a cell of {_WORKING} that execute one {pace} begins after, p95", begins, taken[0]),
            (f"list_variables of {_WORKING} idle ones meanwhile, {pace}, p95", looks, taken[1]),
        ):
            target = "reported" if limit is None else f"<= {limit:g} ms"
            yield row(what, target, limit, (p95(samples) or 0) * 1000, "ms", samples={OURS: samples})

    return [
        row("create_notebook, p95", "<= 1 s", 1.0, p95(creating) or 0, "s", samples={OURS: creating}),
        *rows(paced, f"each {_EVERY:g} s", 50.0, 100.0),
        *rows(without_pause, "without a pause", None, None),
        row("memory of an idle kernel (PSS)", "<= 35 MiB", 35.0, mib, "MiB"),
        row("CPU of an idle kernel", "<= 0.1 %", 0.1, idle * 100, "%"),
        row("a new server lists them", "<= 1 s", 1.0, list_time.wall, "s", samples={OURS: [list_time]}),
        row("a new server joins them all", "<= 5 s", 5.0, join_time.wall, "s", samples={OURS: [join_time]}),
    ]


def run(settings: Settings) -> list[Row]:
    return run_alone(_measured(settings.pick(100, 12), settings.pick(20, 5)))
