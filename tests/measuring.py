"""Coverage: of this process, by probes, and of the kernels and servers that the tests of some modules start.

coverage starts itself in a process that inherits its variable, and writes when the process ends; killed, it cannot.
Kernels in this process show nearly every line, so only what needs a process is measured in one (`IN_PROCESSES`):
coverage's trace function makes kernels half as slow again. Does nothing where coverage is not measured.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

VARIABLE = "COVERAGE_PROCESS_CONFIG"
IN_PROCESSES = (
    "mcp/test_mcp_stdio.py",
    "mcp_http/test_serving.py",
    "pool/test_pool.py",
)
"""The modules whose tests run code of ours that runs in no process of pytest: sockets, threads, forks, start and end."""

_GRACE = 3.0
"""Seconds to write; a suspended kernel takes all of them, and is killed then."""
_TESTS = Path(__file__).parent


def begin() -> None:
    """Measure this process by probes instead of the trace function, before anything imports the package."""
    if "coverage" in sys.modules:
        from tests import probes  # noqa: PLC0415  # it needs coverage

        probes.begin()


def variables() -> dict[str, str]:
    """Return what a process needs in its environment to be measured."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


@contextmanager
def only_where_needed(module: Path) -> Iterator[None]:
    """Leave unmeasured what the tests of a module do in other processes, but for the listed modules."""
    name = module.relative_to(_TESTS).as_posix()
    config = os.environ.pop(VARIABLE, None) if name not in IN_PROCESSES else None
    try:
        yield
    finally:
        if config is not None:
            os.environ[VARIABLE] = config


@contextmanager
def kernels_write() -> Iterator[None]:
    """Let kernels that jupyter_client kills write first: coverage does when it gets SIGTERM."""
    if VARIABLE not in os.environ:
        yield
        return
    kill_at_once = LocalProvisioner.kill

    async def kill(self: LocalProvisioner, restart: bool = False) -> None:  # noqa: FBT002  # jupyter_client's signature
        await self.terminate()
        try:
            async with asyncio.timeout(_GRACE):
                while await self.poll() is None:  # noqa: ASYNC110  # `wait` looks ten times a second only
                    await asyncio.sleep(0.01)
        except TimeoutError:
            await kill_at_once(self, restart=restart)

    changed: Any = kill
    with patch.object(LocalProvisioner, "kill", changed):
        yield
