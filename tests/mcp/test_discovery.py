"""Which notebook a kernel belongs to, asked of a real Jupyter server."""

import asyncio
from pathlib import Path

import psutil
import pytest
from person import BOUND
from server import jupyter_server, opened

from marimo_kernel_bridge.client.discovery import connection_file_of, find_kernels, notebooks_by_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_runtime_dir(tmp_path, monkeypatch) -> Path:
    directory = tmp_path / "runtime"
    directory.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
    return directory


async def test_the_notebook_of_a_kernel_is_known_from_its_jupyter_server(own_runtime_dir, tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    with jupyter_server(root):
        server, kernel_id = await opened(own_runtime_dir, "penguins.ipynb")
        notebook = str(root / "penguins.ipynb")
        assert await notebooks_by_kernel() == {kernel_id: notebook}
        async with asyncio.timeout(BOUND):
            while not (found := [kernel for kernel in await find_kernels() if kernel.info]):
                pass
    (kernel,) = found
    assert (kernel.kernel_id, kernel.notebook) == (kernel_id, notebook)
    assert not kernel.info.reactive
    assert server["token"] not in repr(found)


async def test_a_notebook_whose_kernel_does_not_answer_yet_is_found_all_the_same(own_runtime_dir, tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    with jupyter_server(root):
        _, kernel_id = await opened(own_runtime_dir, "penguins.ipynb")
        processes = psutil.process_iter(["cmdline"])
        (kernel,) = (one for one in processes if kernel_id in " ".join(one.info["cmdline"] or ()))
        kernel.suspend()
        try:
            path = await connection_file_of("penguins.ipynb")
        finally:
            kernel.resume()
        assert kernel_id in path.name
