"""A kernel from a warm pool as jupyter_client starts it, and a client on it."""

import json
import os
import select
import sys
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager

from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.pool.status import running_pools

BOUND = 60.0  # seconds for any single wait
COMMAND = [sys.executable, "-P", "-m", "marimo_kernel_bridge", "kernel"]


class Kernel:
    """A kernel that is started through jupyter_client, and a client on it."""

    def __init__(self, config: dict[str, Any] | None, **options: Any) -> None:
        """`config` is the provisioner's, None for a kernel without a pool."""
        self.manager = KernelManager(kernel_name="marimo")
        if config is not None:
            provisioner = {"provisioner_name": PROVISIONER, "config": config}
            assert self.manager.kernel_spec is not None
            self.manager.kernel_spec.metadata["kernel_provisioner"] = provisioner
        env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(env=env | options.pop("env", {}), **options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=BOUND)

    @property
    def _provisioner(self) -> Any:
        return self.manager.provisioner

    @property
    def pid(self) -> int:
        return int(self._provisioner.pid)

    def run(self, code: str) -> dict[str, Any]:
        return self.client.execute(code, reply=True, timeout=BOUND)["content"]

    def value(self, expression: str) -> object:
        """Return what an expression is in the kernel; it must be JSON."""
        code = f"import json as _j; _v = _j.dumps({expression})"
        content = self.client.execute(
            code, user_expressions={"v": "_v"}, store_history=False, reply=True, timeout=BOUND
        )["content"]
        assert content["status"] == "ok", content
        text = content["user_expressions"]["v"]["data"]["text/plain"]
        return json.loads(eval(text))  # the repr of a string

    def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return int(self._provisioner.process.wait(BOUND))

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)


def pool_of(kernel: Kernel) -> int:
    """Return the process that forked a kernel."""
    (pool,) = (state for state in running_pools() if kernel.pid in state.kernels)
    return pool.pid


def ended(pid: int) -> bool:
    """Wait for the end of a process that is not ours."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    over = bool(poll.poll(BOUND * 1000))
    os.close(watched)
    return over
