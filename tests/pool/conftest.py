"""Kernels from warm pools, in a runtime directory of the tests' own: their pools end with them."""

import json
import os
from collections.abc import Callable, Iterator

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.pool.status import stop_pools

BOUND = 60.0


@pytest.fixture(scope="session", autouse=True)
def runtime_dir(tmp_path_factory) -> Iterator:
    directory = tmp_path_factory.mktemp("r")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(directory))
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)  # else ipykernel does not capture file descriptors
        yield directory
        stop_pools()


class Kernel:
    """A kernel that is started through jupyter_client, and a client on it."""

    def __init__(self, config: dict | None, **options) -> None:
        """`config` is the provisioner's, None for a kernel without a pool."""
        self.manager = KernelManager(kernel_name="marimo")
        if config is not None:
            provisioner = {"provisioner_name": PROVISIONER, "config": config}
            self.manager.kernel_spec.metadata["kernel_provisioner"] = provisioner
        env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(env=env | options.pop("env", {}), **options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=BOUND)

    @property
    def pid(self) -> int:
        return self.manager.provisioner.pid

    def run(self, code: str) -> dict:
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
        return self.manager.provisioner.process.wait(BOUND)

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)


@pytest.fixture
def start() -> Iterator[Callable[..., Kernel]]:
    """Start a kernel from a pool: `start(preload=["numpy"], cwd=...)`."""
    kernels = []

    def start(*, pooled=True, preload=(), limit=128, idle_timeout=900.0, **options) -> Kernel:
        config = {"preload": list(preload), "limit": limit, "idle_timeout": idle_timeout}
        kernels.append(Kernel(config if pooled else None, **options))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.close()
