"""Kernels with limits that an agent starts, from a warm pool: what they hit is told, also when they die of it."""

import asyncio

import pytest
from person import BOUND, refused

pytestmark = pytest.mark.anyio

STUCK = """import ctypes
mutex, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
libc.pthread_mutex_lock(mutex)
libc.pthread_mutex_lock(mutex)  # holds the interpreter, and no signal ends it
"""


@pytest.fixture(scope="module")
async def served(serve_here):
    return await serve_here("auto", "all")


async def test_a_limit_that_cannot_be_held_is_refused_with_the_kernels_own_reason(agent, tmp_path):
    answer = await agent("start_kernel", directory=str(tmp_path), limits={"temporary": "1GB"})
    assert refused(answer, "limit_unavailable"), answer.text
    assert "The limit temporary cannot be held here" in answer.text
    other = await agent("start_kernel", kernelspec="python3", limits={"memory": "1GB"})
    assert refused(other, "limit_unavailable"), other.text


@pytest.mark.long  # `tests/kernel/test_limits.py` has each limit
async def test_an_agent_is_told_which_limit_its_code_has_hit_and_which_one_the_kernel_died_of(
    agent, tmp_path
):
    limits = {"memory": "700MB", "cell_seconds": 5, "grace_seconds": 2, "open_files": 400}
    started = await agent("start_kernel", directory=str(tmp_path), limits=limits)
    assert not started.failed, started.text
    assert "limits: memory 700 MB, cell_seconds 5 s, grace_seconds 2 s, open_files 400" in started.text
    ran = await agent("execute_code", code="big = bytearray(900_000_000)")
    assert ran.data["message"].startswith("limit_exceeded: memory; failed"), ran.text
    assert "limit_exceeded: memory: the kernel may use 700 MB of memory." in ran.data["outputs"]
    scratch = await agent("execute_code", code="import time; time.sleep(600)", scratch=True, timeout=60)
    assert "limit_exceeded: cell_seconds: the cell ran for 5 s" in scratch.data["outputs"], scratch.text
    lost = await agent("execute_code", code=STUCK, timeout=60)
    async with asyncio.timeout(BOUND):
        while lost.data["status"] == "running":
            lost = await agent("read_run", run_id=lost.data["run_id"], timeout=30)
    assert lost.data["status"] == "lost", lost.text
    assert "limit_exceeded: cell_seconds (5 s); no interrupt had stopped it" in lost.text
    status = await agent("kernel_status")
    assert (status.data["death"]["cause"], status.data["death"]["exceeded"]) == (
        "limit_exceeded",
        "cell_seconds",
    )
    assert status.data["death"]["line"] == 4
