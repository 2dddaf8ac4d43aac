"""The first process of a sandbox ends all others, also where no namespace does that for it."""

import builtins
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from marimo_kernel_bridge.sandbox import first_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes need Linux")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        process.kill()


def test_its_children_are_found_also_where_the_system_lists_none(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert child.pid in first_process._children()
    opens = builtins.open

    def without_lists(path: str, *arguments: Any, **named: Any) -> Any:
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return opens(path, *arguments, **named)

    monkeypatch.setattr(builtins, "open", without_lists)
    assert child.pid in first_process._children()
    assert os.getpid() not in first_process._children()
    assert first_process._parent_of("0") is None


class _EndedError(Exception):
    """Stands for the end of this process."""


def test_it_tells_how_the_kernel_ended_and_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel, 41, ends with 3 and leaves 42 and 43 behind; 40 has ended before."""
    ends = iter([(40, 0), (41, 3 << 8), (42, 9), (43, 9)])
    left, killed, ended = [42, 43], [], []

    def wait(*_: int) -> tuple[int, int]:
        pid, status = next(ends)
        if pid in left:
            left.remove(pid)
        return pid, status

    def end(code: int) -> None:
        ended.append(code)
        raise _EndedError

    monkeypatch.setattr(os, "waitpid", wait)
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(first_process, "_children", lambda: list(left))
    here, outside = socket.socketpair()
    with here, outside:
        with pytest.raises(_EndedError):
            first_process._take_ended(41, outside)
        (status,) = first_process.STATUS.unpack(here.recv(first_process.STATUS.size))
    assert os.waitstatus_to_exitcode(status) == 3
    assert killed == [(42, signal.SIGKILL), (43, signal.SIGKILL), (43, signal.SIGKILL)]
    assert ended == [0]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
