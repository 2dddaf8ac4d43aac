"""A kernel that was just started: it answers, it ends before it does, or it stays silent; none is waited for without end."""

import asyncio
import errno
import os
import re
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch import kernelspecs, owned_kernels
from marimo_kernel_bridge.launch.owned_kernels import StartedKernels

pytestmark = pytest.mark.anyio


def offer(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let each kernelspec start a program in place of a kernel."""
    spec = KernelSpec(argv=[sys.executable, "-c", code, "{connection_file}"], display_name="Nothing")
    monkeypatch.setattr(kernelspecs, "by_name", lambda _: spec)


async def test_of_a_process_that_ends_before_it_answers_the_end_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(BridgeError, match="'Nothing' did not start: Its process ended") as refusal:
        await StartedKernels().start("nothing", None, None)
    assert refusal.value.code == "kernel_dead"


@pytest.mark.parametrize("listens", [True, False])
async def test_a_process_that_never_answers_is_given_up_and_ended(
    listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = """
import json, socket, sys
with open(sys.argv[1]) as file:
    address = json.load(file)
listening = [socket.create_server((address["ip"], port)) for name, port in address.items() if name.endswith("_port")]
"""
    offer(monkeypatch, f"{listen if listens else ''}\nimport time\ntime.sleep(600)")
    monkeypatch.setattr(owned_kernels, "_START_BOUND", 1.0)
    started = StartedKernels()
    with pytest.raises(BridgeError, match="did not start") as refusal:
        await started.start("nothing", None, None)
    assert (refusal.value.code, started.running) == ("kernel_dead", 0)


@pytest.mark.parametrize("pause", [0.0, 0.5], ids=["while it does not answer", "while it begins"])
async def test_a_start_that_is_cancelled_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pause: float
) -> None:
    file = tmp_path / "pid"

    async def has_begun(manager: AsyncKernelManager, **options: object) -> None:
        await asyncio.sleep(pause)
        await finish(manager, **options)

    finish = AsyncKernelManager._async_post_start_kernel
    monkeypatch.setattr(AsyncKernelManager, "_async_post_start_kernel", has_begun)
    offer(monkeypatch, f"import os, time\nopen({str(file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    start = asyncio.create_task(StartedKernels().start("nothing", None, None))
    while not (file.exists() and file.read_text()):  # noqa: ASYNC110  # no event tells of a file
        await asyncio.sleep(0.01)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not psutil.pid_exists(int(file.read_text()))  # a few bytes


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EROFS, "not_writable"), (errno.EDQUOT, "disk_full"), (None, "not_writable")]
)
async def test_a_runtime_directory_that_cannot_be_written_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int | None, code: str
) -> None:
    offer(monkeypatch, "raise SystemExit(3)")
    folder = tmp_path / "r"
    folder.touch()  # no folder, unless another error is raised
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))

    def refuse() -> Path:
        assert number is not None
        raise OSError(number, os.strerror(number), str(folder))

    if number is not None:
        monkeypatch.setattr(owned_kernels, "new_connection_file", refuse)
    started = StartedKernels()
    with pytest.raises(BridgeError, match=re.escape(str(folder))) as refusal:
        await started.start("nothing", None, None)
    assert (refusal.value.code, started.running) == (code, 0)
