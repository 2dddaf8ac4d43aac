"""The registry of sessions: whole whenever a writer is killed, shared, and sure of which process is whose."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import msgspec
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import connection_copies, kernels
from marimo_kernel_bridge.launch.sessions import registry as registry_module
from marimo_kernel_bridge.launch.sessions.entries import Session, SessionKernel, id_of
from marimo_kernel_bridge.launch.sessions.processes import runs, started
from marimo_kernel_bridge.launch.sessions.registry import FOLDER_VARIABLE, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "sessions")


def session(path: Path, **fields: object) -> Session:
    path.touch()
    made = Session(id=id_of(path), path=str(path), name=path.stem, created=1.0, used=1.0)
    return msgspec.structs.replace(made, **fields)


HERE = SessionKernel("/run/kernel-1.json", os.getpid(), started(os.getpid()) or "")


# Which process


def test_a_process_is_known_by_its_id_and_its_start() -> None:
    assert HERE.started
    assert runs(HERE.pid, HERE.started)
    assert not runs(HERE.pid, HERE.started + "0")
    assert started(2**22 + 1) is None


def test_a_process_that_has_ended_and_was_not_waited_for_does_not_run() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert started(pid) is None
    os.waitpid(pid, 0)


def test_a_session_is_active_while_its_own_kernel_runs(tmp_path: Path) -> None:
    assert session(tmp_path / "a.ipynb", kernel=HERE).state == "active"
    reused = msgspec.structs.replace(HERE, started="another start")
    ended = session(tmp_path / "a.ipynb", kernel=reused)
    assert (ended.state, ended.why_suspended) == ("suspended", "its kernel ended")
    closed = session(tmp_path / "a.ipynb", why="ann closed it")
    assert (closed.state, closed.why_suspended) == ("suspended", "ann closed it")
    (tmp_path / "a.ipynb").unlink()
    assert closed.why_suspended == f"{tmp_path / 'a.ipynb'} is gone"


@pytest.mark.skipif(sys.platform != "linux", reason="sandboxes need Linux, which alone tells who listens")
@pytest.mark.anyio
@pytest.mark.parametrize("named", ["itself", "another process"])
async def test_a_kernel_without_an_entry_is_taken_for_no_process_but_the_one_that_has_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Its code may say that it is another process of this user, which would be killed when the notebook is closed."""
    pid = os.getpid() if named == "itself" else os.getppid()

    class Client:
        reads = SimpleNamespace(
            describe=AsyncMock(return_value=SimpleNamespace(pid=pid, sandbox="", cells=2))
        )
        attach = AsyncMock(side_effect=lambda *_, **__: Client)
        close = AsyncMock()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        place = SimpleNamespace(ip="127.0.0.1", here=True, transport="tcp", ports={"shell": port})
        monkeypatch.setattr(kernels, "marked_files", lambda _: [tmp_path / "kernel.json"])
        monkeypatch.setattr(kernels, "read_connection", lambda _: place)
        monkeypatch.setattr(kernels, "KernelClient", Client)
        found = await kernels.find(session(tmp_path / "a.ipynb"))
        place.here = False
        assert await kernels.find(session(tmp_path / "a.ipynb")) is None, "the process is of another machine"
    expected = SessionKernel(str(tmp_path / "kernel.json"), pid, started(pid) or "")
    assert found == ((expected, True) if named == "itself" else None)


# The files


def test_one_file_has_one_session_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").touch()
    (tmp_path / "link.ipynb").symlink_to("a.ipynb")
    assert id_of(tmp_path / "a.ipynb") == id_of(tmp_path / "link.ipynb") != id_of(tmp_path / "b.ipynb")


def test_entries_are_read_as_they_were_written_the_last_used_first(
    registry: Registry, tmp_path: Path
) -> None:
    old = session(tmp_path / "a.ipynb", description="d", interpreter="/python", kernel=HERE, saved=("x",))
    new = session(tmp_path / "b.ipynb", used=2.0)
    registry.put(old)
    registry.put(new)
    assert registry.all() == [new, old]
    assert registry.get(old.id) == old
    assert stat.S_IMODE((registry.folder / f"{old.id}.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(registry.folder.stat().st_mode) == 0o700
    registry.forget(old.id)
    assert registry.all() == [new]


def test_what_is_no_entry_of_this_user_is_left_out(registry: Registry, tmp_path: Path) -> None:
    good = session(tmp_path / "a.ipynb")
    registry.put(good)
    (registry.folder / "0123456789.json").write_bytes(b'{"id": "01234')
    (registry.folder / "abcdef0123.json").write_bytes(msgspec.json.encode(good))  # of another id
    newer = session(tmp_path / "b.ipynb", format=2)
    registry.put(newer)
    writable = session(tmp_path / "c.ipynb")
    registry.put(writable)
    (registry.folder / f"{writable.id}.json").chmod(0o666)
    assert registry.all() == [good]
    assert registry.get("../../etc/passwd") is None


def test_an_entry_is_the_old_or_the_new_one_when_its_writer_is_stopped(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = session(tmp_path / "a.ipynb")
    registry.put(old)
    new = msgspec.structs.replace(old, used=9.0)

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BridgeError) as refused:
        registry.put(new)
    assert refused.value.code == "disk_full"
    assert registry.all() == [old]
    assert [path.name for path in registry.folder.iterdir()] == [f"{old.id}.json"]


def test_two_who_write_one_file_at_once_both_write_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins and ends while the first is about to put its own in place."""
    put_in_place, target = Path.replace, tmp_path / "kernel.json"

    def after_another(self: Path, place: Path) -> Path:
        monkeypatch.setattr(Path, "replace", put_in_place)
        registry_module.replace(target, b"second")
        assert target.read_bytes() == b"second"
        return put_in_place(self, place)

    monkeypatch.setattr(Path, "replace", after_another)
    registry_module.replace(target, b"first")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("kernel.json", b"first")]


@pytest.mark.parametrize("kind", ["absent", "a pipe", "too large"])
def test_a_new_kernels_connection_file_that_cannot_be_copied_leaves_no_copy_of_the_former_ones(
    registry: Registry, tmp_path: Path, kind: str
) -> None:
    former, new = tmp_path / "former.json", tmp_path / "new.json"
    former.write_text("{}")
    registry.folder.mkdir()
    entry = session(tmp_path / "a.ipynb", kernel=msgspec.structs.replace(HERE, connection_file=str(former)))
    connection_copies.keep(registry.folder, entry)
    assert [path.read_text() for path in registry.folder.iterdir()] == ["{}"]
    if kind == "a pipe":
        os.mkfifo(new)
    elif kind == "too large":
        new.write_bytes(b" " * 70_000)
    entry = session(tmp_path / "a.ipynb", kernel=msgspec.structs.replace(HERE, connection_file=str(new)))
    connection_copies.keep(registry.folder, entry)
    assert list(registry.folder.iterdir()) == []
    if kind == "absent":
        connection_copies.bring_back(registry.folder, entry)
        assert not new.exists()


def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("a file")
    with pytest.raises(BridgeError) as refused:
        Registry(tmp_path / "sessions").put(session(tmp_path / "a.ipynb"))
    assert refused.value.code == "not_writable"
    assert FOLDER_VARIABLE in refused.value.hint


def test_the_folder_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    assert Registry().folder == tmp_path / "elsewhere"


# The locks


@pytest.mark.anyio
async def test_who_changes_a_session_waits_for_who_does_already_and_others_do_not(registry: Registry) -> None:
    order: list[str] = []

    async def change(name: str, session_id: str) -> None:
        async with registry.changing(session_id):
            order.append(f"{name} begins")
            await asyncio.sleep(0.03)
            order.append(f"{name} ends")

    first = asyncio.create_task(change("a", "0" * 10))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(first, change("b", "0" * 10), change("c", "1" * 10))
    assert order.index("a ends") < order.index("b begins")
    assert order.index("c begins") < order.index("a ends")


@pytest.mark.anyio
async def test_a_lock_that_went_with_its_session_keeps_nobody_out_and_lets_nobody_in_twice(
    registry: Registry,
) -> None:
    async with registry.changing("0" * 10):
        registry.forget("0" * 10)
        async with asyncio.timeout(5), registry.changing("0" * 10):
            pass


@pytest.mark.anyio
async def test_a_lock_that_nobody_lets_go_is_told(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "_LOCK_BOUND", 0.0)
    async with registry.changing("0" * 10):
        with pytest.raises(BridgeError) as refused:
            async with registry.changing("0" * 10):
                pass
    assert refused.value.code == "notebook_in_use"
