"""Connection files of real kernels: one that starts, one that has ended, one with another key."""

import asyncio
import os
import signal
import time
from dataclasses import replace

import pytest
from person import BOUND

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import listens, read_connection
from marimo_kernel_bridge.client.discovery import find_kernels
from marimo_kernel_bridge.errors import BridgeError

pytestmark = pytest.mark.anyio


async def test_a_kernel_that_is_starting_is_told_from_one_that_has_ended_and_waited_for(start_kernel):
    manager = start_kernel(wait=False)
    pid = manager.provisioner.pid
    os.kill(pid, signal.SIGSTOP)
    connection = read_connection(manager.connection_file)
    assert not await listens(connection)
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection, bound=0)
    assert (caught.value.code, "is starting" in caught.value.message) == ("kernel_silent", True)
    (problem,) = (one.problem for one in await find_kernels() if one.path == connection.path)
    assert str(problem) == str(caught.value)
    attaching = asyncio.create_task(KernelClient.attach(connection, bound=BOUND))
    os.kill(pid, signal.SIGCONT)
    async with await attaching as client:
        assert client.info.language == "python"
    os.kill(pid, signal.SIGKILL)
    manager.provisioner.process.wait()
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection, bound=BOUND)
    assert caught.value.code == "connection_file_stale"


async def test_a_wrong_key_is_recognised_and_not_waited_for(reactive_kernel):
    connection = replace(read_connection(reactive_kernel.connection_file), key=b"another-key")
    began = time.monotonic()
    with pytest.raises(BridgeError) as caught:
        await KernelClient.attach(connection, bound=BOUND)
    assert caught.value.code == "wrong_key"
    assert "another-key" not in str(caught.value)
    assert time.monotonic() - began < BOUND / 2
