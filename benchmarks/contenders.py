"""The kernels that are compared: how each is installed and started, and a client that sends what JupyterLab sends.

Peers live in environments of their own below .build/peers, made with pip on demand; one that cannot be installed is
left out, and the output says so.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client import KernelManager

from benchmarks.measuring import (
    ALL_SAVED,
    BEFORE,
    BUBBLEWRAP,
    FLOW,
    LIGHT,
    MARIMO_CODE,
    NOT_RECORDED,
    OURS,
    POOL,
    POOLED_LIGHT,
    STOCK,
    XEUS,
    UnavailableError,
    WrongResultError,
    check,
    say,
)
from marimo_kernel_bridge.client.page import execute_content, execute_metadata
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.protocol.names import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path(__file__).parents[1] / ".build"
BOUND = 120.0
_PEERS = {
    "xeus-python": ["xeus-python"],
    "ipyflow": ["ipyflow"],
    "jupyter-mcp-server": ["jupyter-mcp-server", "jupyterlab"],
    "buckaroo": ["buckaroo", "pandas", "polars", "pyarrow", "six", "tornado"],  # which its server imports
    "marimo": ["marimo", "polars", "pyarrow"],
    MARIMO_CODE: ["marimo[mcp]", "altair", "matplotlib", "numpy", "pandas"],
    # Client and server must be of the same version, and npm has the client's.
    "perspective-python": ["perspective-python==5.5.1", "tornado", "pyarrow"],
}
_MODULES = {
    STOCK: ["ipykernel_launcher"],
    OURS: [MODULE, "kernel"],
    POOL: [MODULE, "kernel"],
    NOT_RECORDED: [MODULE, "kernel", "--MarimoKernel.records=False"],
    ALL_SAVED: [MODULE, "kernel", "--MarimoKernel.checkpoints=all"],
    BEFORE: [MODULE, "kernel"],
    LIGHT: [MODULE, "kernel", '--sandbox={"engine": "light"}'],
    POOLED_LIGHT: [MODULE, "kernel", '--sandbox={"engine": "light"}'],
    BUBBLEWRAP: [MODULE, "kernel", '--sandbox={"engine": "bubblewrap"}'],
    XEUS: ["xpython_launcher"],
    FLOW: ["ipyflow.kernel"],
}
_PEER_OF = {XEUS: "xeus-python", FLOW: "ipyflow"}


def peer_python(peer: str) -> Path:
    """Return the interpreter of a peer's environment, which is made if missing. Raises `UnavailableError`."""
    folder = BUILD / "peers" / peer
    python = folder / "bin" / "python"
    done, failed = folder / ".installed", folder / ".failed"
    if failed.exists():
        raise UnavailableError(f"could not be installed; remove {folder} to try again")
    if not done.exists():
        say(f"Installing {', '.join(_PEERS[peer])} into {folder} (once) ...")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *_PEERS[peer]], env=_plain_env(), check=False
        )
        (done if install.returncode == 0 else failed).touch()
        return peer_python(peer)
    return python


def version_of(peer: str, distribution: str = "") -> str:
    """Return the version of a distribution in a peer's environment; of the peer itself, if it is named like it."""
    code = f"import importlib.metadata as m; print(m.version({distribution or peer!r}))"
    return subprocess.check_output([peer_python(peer), "-c", code], env=_plain_env(), text=True).strip()


def _plain_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def prepare_kernelspecs(before: Path | None = None) -> None:
    """Write a kernelspec for each contender where only this process's Jupyter looks.

    `before` is the interpreter of an earlier checkout's environment; no peer is installed for a comparison with it.

    Our own modules are compiled before, as pip does when it installs: an editable install need not have been.
    """
    package = importlib.util.find_spec(MODULE)
    assert package is not None
    for folder in package.submodule_search_locations or ():
        compileall.compile_dir(folder, quiet=1)
    if before is not None:
        where = f"import {MODULE}; print(*{MODULE}.__path__)"
        found = subprocess.run([before, "-P", "-c", where], check=True, stdout=subprocess.PIPE, text=True)
        subprocess.run([before, "-m", "compileall", "-q", found.stdout.strip()], check=True)
    data = BUILD / "benchmarks" / "jupyter"
    for name, module in _MODULES.items():
        if name == BEFORE and before is None:
            continue
        folder = data / "kernels" / slug(name)
        folder.mkdir(parents=True, exist_ok=True)
        python = sys.executable
        if name == BEFORE:
            python = str(before or "")
        if name in _PEER_OF and before is None:
            try:
                python = str(peer_python(_PEER_OF[name]))
            except UnavailableError as error:
                say(f"{name}: {error}")
        spec: dict[str, Any] = {
            # -P: the package of the environment, not that of the folder in which the benchmarks are started.
            "argv": [python, "-P", "-m", *module, "-f", "{connection_file}"],
            "language": "python",
        }
        spec["display_name"] = name
        if name in {POOL, POOLED_LIGHT}:
            spec["metadata"] = {"kernel_provisioner": {"provisioner_name": PROVISIONER}}
        (folder / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(data)


def slug(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-")


class Kernel:
    """A running kernel and a client on it."""

    def __init__(self, name: str, connection_file: str = "") -> None:
        """Start the kernel; its client is connected, and nothing was sent. `connection_file` is by default a temporary one."""
        if name in _PEER_OF:
            peer_python(_PEER_OF[name])
        self.name = name
        self.manager = KernelManager(kernel_name=slug(name), connection_file=connection_file)
        env = _plain_env() if name in _PEER_OF else None
        log = (BUILD / "benchmarks" / f"{slug(name)}.log").open("ab")
        with log:
            self.manager.start_kernel(stdout=log, stderr=log, **({"env": env} if env else {}))
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        self.process = psutil.Process(self.manager.provisioner.pid)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def cpu(self) -> float:
        """Return the seconds of CPU that the kernel's process has used, and those that it has started: in a sandbox it is one of them.

        By the clock of each process, to which Linux gives a number: what `psutil` reads counts in hundredths of a second, of which a
        short round has too few.
        """
        return sum(map(_cpu_of, (self.process, *self.process.children(recursive=True))))

    # -- requests -----------------------------------------------------------------------------------------------------

    def kernel_info(self) -> None:
        self.client.kernel_info()
        self.reply()

    def reply(self) -> dict[str, Any]:
        return self.client.get_shell_msg(timeout=BOUND)

    def ready(self) -> None:
        """Wait until iopub messages arrive, too, as Jupyter servers do: what is sent before is lost."""
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            sent = self.client.kernel_info()
            self.reply()
            try:
                while (self.client.get_iopub_msg(timeout=0.1)["parent_header"] or {}).get("msg_id") != sent:
                    pass
            except Empty:
                continue
            return
        raise UnavailableError("its iopub messages do not arrive")

    def send(self, code: str, cell: str | None = None, *, hidden: bool = False, **content: object) -> str:
        """Send an execute_request, for a notebook's cell or as a console does; return its id."""
        body = execute_content(code) | {"store_history": not hidden, "allow_stdin": False} | content
        message = self.client.session.msg("execute_request", body, metadata=execute_metadata(cell))
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(self, code: str, cell: str | None = None, **content: object) -> list[dict[str, Any]]:
        """Run code until reply and idle; return the iopub messages until then."""
        sent = self.send(code, cell, **content)
        seen = self.until_idle({sent})
        reply = self.reply()
        check(reply["content"]["status"] == "ok", f"{code[:60]!r} failed: {reply['content'].get('evalue')}")
        return seen

    def until_idle(self, requests: set[str], bound: float = BOUND) -> list[dict[str, Any]]:
        """Receive iopub messages until each of these requests is idle; `bound` is for each message."""
        left, seen = set(requests), []
        while left:
            try:
                message = self.client.get_iopub_msg(timeout=bound)
            except Empty:
                raise WrongResultError(f"nothing came for {bound:.0f} s") from None
            seen.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                left.discard((message["parent_header"] or {}).get("msg_id"))
        return seen

    def until(self, message_type: str, text: str) -> None:
        """Receive until a message of this type has `text` in its content."""
        while True:
            message = self.client.get_iopub_msg(timeout=BOUND)
            if message["msg_type"] == message_type and text in json.dumps(message["content"]):
                return

    def value(self, expression: str) -> str:
        """Return the repr of an expression in the kernel, without touching its notebook."""
        self.send("", hidden=True, user_expressions={"v": expression}, silent=True)
        while True:
            content = self.reply()["content"]
            if "user_expressions" in content and "v" in content["user_expressions"]:
                value = content["user_expressions"]["v"]
                check(value["status"] == "ok", f"{expression}: {value.get('evalue')}")
                return str(value["data"]["text/plain"])


@contextmanager
def started(*names: str) -> Iterator[dict[str, Kernel]]:
    """Start kernels and wait until they are ready; those that are not available are left out."""
    kernels: dict[str, Kernel] = {}
    try:
        for name in names:
            try:
                kernels[name] = Kernel(name)
                kernels[name].ready()
            except UnavailableError as error:
                say(f"{name}: {error}")
                kernels.pop(name, None)
        yield kernels
    finally:
        for kernel in kernels.values():
            kernel.close()


def _cpu_of(process: psutil.Process) -> float:
    if sys.platform == "linux":
        return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return times.user + times.system
