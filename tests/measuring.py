"""Coverage of the processes that tests start: kernels, servers and commands write down which lines they ran.

coverage starts itself in a process that inherits its variable, and writes when the process ends; killed, it cannot.
Does nothing where coverage is not measured.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

VARIABLE = "COVERAGE_PROCESS_CONFIG"
_GRACE = 3.0
"""Seconds to write; a suspended kernel takes all of them, and is killed then."""


def variables() -> dict[str, str]:
    """Return what a process needs in its environment to be measured."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


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
