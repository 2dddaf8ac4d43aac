"""Coverage: of this process in most modules, and of the kernels and servers that the tests of some modules start.

coverage starts itself in a process that inherits its variable, and writes when the process ends; killed, it cannot.
Kernels in this process show nearly every line, so only what needs a process is measured in one (`IN_PROCESSES`):
tracing makes kernels half as slow again. In this process it makes all Python slower too, so modules that try a
thousand inputs of what others show line by line are not measured (`MANY_INPUTS`), nor those that take long and show
hardly anything else (`SHOW_LITTLE`). Does nothing where coverage is not measured.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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

MANY_INPUTS = (
    "exporting/test_round_trip_of_any.py",
    "importing/test_groups_of_cells.py",
    "importing/test_random_notebooks.py",
    "importing/test_random_redefinitions.py",
    "unit/analysis/test_analysis_work.py",
    "unit/contracts/test_supported_api.py",
    "unit/kernel/checkpoints/test_random_restores.py",
    "unit/kernel/test_consistency.py",
    "unit/kernel/test_random_histories.py",
    "unit/runtime/test_graph_like_marimos.py",
    "unit/runtime/test_runs_like_marimos.py",
    "unit/test_hostile_text.py",
    "unit/test_malformed_input.py",
    "unit/test_work_per_request.py",
)
"""The modules that run few lines very often: random and large inputs."""

SHOW_LITTLE = (
    "importing/test_magics_as_python.py",
    "importing/test_shown_names.py",
    "unit/kernel/test_bad_code.py",
    "unit/kernel/test_compile_errors.py",
    "unit/kernel/test_history.py",
    "unit/kernel/test_last_results.py",
    "unit/kernel/test_lazy.py",
    "unit/kernel/test_observed_files.py",
    "unit/kernel/test_public_edits.py",
)
"""The modules that take seconds and run what others run: about one branch in a CPU second, or none, is theirs alone."""

_GRACE = 3.0
"""Seconds to write; a suspended kernel takes all of them, and is killed then."""
_TESTS = Path(__file__).parent


def variables() -> dict[str, str]:
    """Return what a process needs in its environment to be measured."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


@contextmanager
def only_where_needed(module: Path) -> Iterator[None]:
    """Leave unmeasured what the tests of a module do in other processes, and of the listed modules in this one."""
    name = module.relative_to(_TESTS).as_posix()
    config = os.environ.pop(VARIABLE, None) if name not in IN_PROCESSES else None
    try:
        with untraced() if name in (*MANY_INPUTS, *SHOW_LITTLE) else nullcontext():
            yield
    finally:
        if config is not None:
            os.environ[VARIABLE] = config


@contextmanager
def untraced() -> Iterator[None]:
    """Run this thread and those that it starts at full speed, without coverage's trace function."""
    before, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(of_threads)


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
