"""Kernels whose sockets are encrypted: those that this package starts, and those of whoever asks jupyter_client for it."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch import kernelspecs
from marimo_kernel_bridge.launch.kernelspecs import OneSpec
from marimo_kernel_bridge.launch.owned_kernels import StartedKernels
from marimo_kernel_bridge.launch.pool import provisioner
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER

OURS = KernelSpec.from_resource_dir(str(Path(__file__).parents[2] / "kernelspec"))
pytestmark = pytest.mark.anyio


async def answer_of(client: KernelClient) -> str:
    run = await client.execute("6 * 7")
    assert await client.runs.wait(run, 60.0)
    (output,) = run.log.outputs()
    return str(output["data"]["text/plain"])


@pytest.mark.parametrize("pooled", [True, False])
async def test_a_kernel_that_we_start_is_encrypted_and_nobody_without_its_keys_hears_it(
    pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelspecs, "by_name", lambda _: OURS)
    if not pooled:
        monkeypatch.setattr(provisioner, "serves", lambda _: False)
    started = StartedKernels()
    try:
        connection = await started.start("marimo", None, None)
        assert connection.curve_publickey
        async with await KernelClient.attach(connection, "ann") as client:
            assert await answer_of(client) == "42"
            await client.runs.wait(await client.execute("rows = [{'x': 1}, {'x': 2}]"), 60.0)
            assert await client.liveness() == "alive"
            view = await client.views.open("rows", "ann#1")
            assert (view.description.rows, view.description.kind) == (2, "list of dicts")
        keyless = replace(connection, curve_publickey=None, curve_secretkey=None)
        with pytest.raises(BridgeError):
            await KernelClient.attach(keyless, "eve", bound=1.0)
    finally:
        await started.close()


async def test_nbclient_and_an_agent_use_an_encrypted_kernel_from_a_pool_whose_sockets_are_files() -> None:
    spec = KernelSpec.from_resource_dir(str(Path(__file__).parents[2] / "kernelspec"))
    spec.argv[0] = sys.executable
    spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("x = 6"), nbformat.v4.new_code_cell("x * 7")]
    )
    with tempfile.TemporaryDirectory() as folder:  # short: the path of a socket has at most 107 bytes
        manager = AsyncKernelManager(
            kernel_name="marimo",
            kernel_spec_manager=OneSpec(spec),
            transport="ipc",
            transport_encryption="required",
            connection_file=f"{folder}/kernel-1.json",
        )
        client = NotebookClient(notebook, km=manager, timeout=60)
        async with client.async_setup_kernel():
            connection = read_connection(manager.connection_file)
            assert (connection.transport, bool(connection.curve_publickey)) == ("ipc", True)
            assert isinstance(manager.provisioner, provisioner.PoolProvisioner)
            await client.async_execute_cell(notebook.cells[0], 0)
            await client.async_execute_cell(notebook.cells[1], 1)
            async with await KernelClient.attach(connection, "ann") as agent:
                assert await answer_of(agent) == "42"
        await manager.shutdown_kernel(now=True)
    (output,) = notebook.cells[1].outputs
    assert output["data"]["text/plain"] == "42"


def test_a_kernelspec_for_any_python_says_that_its_kernel_can_be_encrypted() -> None:
    assert kernelspecs.of_interpreter(sys.executable).metadata["supported_encryption"] == ["curve"]
    assert OURS.metadata["supported_encryption"] == ["curve"]
