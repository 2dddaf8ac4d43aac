"""A real Jupyter server, and a person who opens notebooks on it."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from person import BOUND, until

_EXTENSIONS = ("jupyterlab", "notebook", "notebook_shim", "jupyter_lsp", "jupyter_server_terminals")
"""What a server would load for its pages, which nobody opens: a quarter of its start."""


@contextmanager
def jupyter_server(root: Path, runtime_dir: Path | None = None) -> Iterator[None]:
    """Run a server; it writes how to reach it into Jupyter's runtime directory."""
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command.append(f"--ServerApp.jpserver_extensions={dict.fromkeys(_EXTENSIONS, False)}")
    environment = os.environ | ({"JUPYTER_RUNTIME_DIR": str(runtime_dir)} if runtime_dir else {})
    server = subprocess.Popen(
        [*command, "--port=0", f"--ServerApp.root_dir={root}"], stderr=subprocess.DEVNULL, env=environment
    )
    try:
        yield
    finally:
        server.terminate()
        server.wait(BOUND)


def written_by_server(runtime_dir: Path) -> dict[str, Any] | None:
    for path in runtime_dir.glob("jpserver-*.json"):
        try:
            written = json.loads(path.read_text())
        except ValueError:  # half written
            return None
        assert isinstance(written, dict)
        return written
    return None


def open_notebook(server: dict[str, Any], path: str, kernel_name: str = "python3") -> str:
    """Open a notebook as JupyterLab does; returns the kernel's id."""
    body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel_name}}
    request = urllib.request.Request(
        f"{server['url']}api/sessions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"token {server['token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=BOUND) as answer:
        return str(json.loads(answer.read())["kernel"]["id"])


async def opened(runtime_dir: Path, path: str, kernel_name: str = "python3") -> tuple[dict[str, Any], str]:
    """Wait for the server and open a notebook; returns what the server wrote and the kernel's id."""
    await until(lambda: written_by_server(runtime_dir), 4 * BOUND)  # a server's start takes most of the CPU
    server = written_by_server(runtime_dir)
    assert server is not None
    async with asyncio.timeout(BOUND):
        while True:
            try:
                return server, await asyncio.to_thread(open_notebook, server, path, kernel_name)
            except OSError:  # the file is there a little before the port
                await asyncio.sleep(0.05)
