"""What the commands about state that outlives kernels print: notebooks of agents, and checkpoints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from click.testing import CliRunner, Result

from marimo_kernel_bridge.checkpoints.store import FOLDER_VARIABLE as CHECKPOINTS
from marimo_kernel_bridge.checkpoints.store import Store, shelf_of
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.launch.sessions import kernels
from marimo_kernel_bridge.launch.sessions.entries import Session, SessionKernel, id_of
from marimo_kernel_bridge.launch.sessions.processes import started
from marimo_kernel_bridge.launch.sessions.registry import FOLDER_VARIABLE as SESSIONS
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, LostName, Restored, StaleCell
from tests.unit.checkpoints.saved import manifest, save

if TYPE_CHECKING:
    from types import TracebackType


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in arguments], prog_name="marimo-kernel-bridge")


# Notebooks of agents


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv(SESSIONS, str(tmp_path / "sessions"))
    return Registry()


def noted(registry: Registry, path: Path, **facts: Any) -> Session:
    path.write_text("{}")
    about = {"name": path.stem, "created": 1.0, "used": 1.0, **facts}
    session = Session(id=id_of(path), path=str(path), **about)
    registry.put(session)
    return session


def this_process() -> SessionKernel:
    """Return a kernel that runs: nobody ends it, since `kernels.end` is another one in these tests."""
    return SessionKernel("/no/such/kernel.json", os.getpid(), started(os.getpid()) or "")


def test_without_a_notebook_of_an_agent_the_list_says_so(registry: Registry) -> None:
    assert call("notebooks").output == "No agent has created or opened a notebook of its own.\n"
    assert json.loads(call("notebooks", "list", "--json").output) == []


def test_notebooks_are_listed_with_their_state_and_why_they_have_no_kernel(
    registry: Registry, tmp_path: Path
) -> None:
    active = noted(registry, tmp_path / "a.ipynb", kernel=this_process(), used=3.0, description="Sales")
    ended = noted(registry, tmp_path / "b.ipynb", why="you ended it", used=2.0)
    gone = noted(registry, tmp_path / "c.ipynb")
    Path(gone.path).unlink()
    assert call("notebooks").output.splitlines() == [
        f"{active.id}  active",
        f"  {active.path}",
        f"{ended.id}  suspended (you ended it)",
        f"  {ended.path}",
        f"{gone.id}  suspended ({gone.path} is gone)",
        f"  {gone.path}",
    ]
    first, second, _ = json.loads(call("notebooks", "--json").output)
    assert first == {
        "id": active.id,
        "state": "active",
        "why": "",
        "path": active.path,
        "description": "Sales",
        "pid": os.getpid(),
    }
    assert (second["why"], second["pid"]) == ("you ended it", None)


def test_ending_a_notebook_ends_its_kernel_and_keeps_entry_and_file(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[int, bool]] = []

    async def end(kernel: SessionKernel, *, asked: bool) -> None:
        ended.append((kernel.pid, asked))

    monkeypatch.setattr(kernels, "end", end)
    session = noted(registry, tmp_path / "a.ipynb", kernel=this_process())
    result = call("notebooks", "end", session.path)
    assert result.output == f"Ended: {session.path}\n"
    assert ended == [(os.getpid(), False)], "it has no connection file, so it could not be asked"
    left = registry.get(session.id)
    assert left is not None
    assert (left.kernel, left.why, Path(left.path).exists()) == (None, "you ended it", True)


def test_a_kernel_that_can_be_asked_ends_itself(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: AskedKernel
) -> None:
    asked_before: list[bool] = []

    async def end(_: SessionKernel, *, asked: bool) -> None:
        asked_before.append(asked)

    monkeypatch.setattr(kernels, "end", end)
    file = connection_file(tmp_path)
    of_kernel = SessionKernel(str(file), os.getpid(), started(os.getpid()) or "")
    session = noted(registry, tmp_path / "a.ipynb", kernel=of_kernel)
    assert call("notebooks", "end", session.id).exit_code == 0
    assert (kernel.calls, asked_before) == ([("shut_down",)], [True])


def test_forgetting_a_notebook_keeps_its_file(registry: Registry, tmp_path: Path) -> None:
    session = noted(registry, tmp_path / "a.ipynb")
    assert call("notebooks", "forget", session.id).output == f"Forgotten: {session.path}\n"
    assert registry.all() == []
    assert Path(session.path).exists()


@pytest.mark.parametrize("action", ["end", "forget"])
def test_which_notebook_must_be_said_and_known(registry: Registry, action: str) -> None:
    unsaid = call("notebooks", action)
    assert (unsaid.exit_code, f"Which notebook? notebooks {action} NOTEBOOK" in unsaid.stderr) == (2, True)
    unknown = call("notebooks", action, "none.ipynb")
    assert unknown.exit_code == 1
    assert "none.ipynb" in unknown.stderr


# Checkpoints on the disk


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path / "checkpoints"))
    return Store()


def saved_for(store: Store, path: Path, name: str) -> str:
    """Save a checkpoint of a notebook and return its shelf."""
    shelf = shelf_of(str(path))
    with store.saving(shelf, name, "named") as saving:
        saving.commit(manifest(notebook=str(path)))
    return shelf


def test_without_a_checkpoint_the_list_says_so(store: Store) -> None:
    assert call("checkpoints").output == "There is no checkpoint.\n"


def test_checkpoints_are_listed_of_all_notebooks_or_of_one(store: Store, tmp_path: Path) -> None:
    one, two = tmp_path / "one.ipynb", tmp_path / "two.ipynb"
    saved_for(store, one, "lunch")
    saved_for(store, two, "tea")
    every = call("checkpoints").output
    assert (f"{one}  lunch\n  named, " in every, f"{two}  tea\n" in every) == (True, True)
    assert "0 cells, " in every
    only = call("checkpoints", "list", one).output
    assert ("lunch" in only, "tea" in only) == (True, False)


def test_a_checkpoint_that_was_changed_is_told_and_the_command_fails(store: Store) -> None:
    save(store, "whole")
    save(store, "holed", large=bytes(100_000), small=b"x")
    assert call("checkpoints", "verify").output.count(": whole\n") == 2
    next(path for path in (store.folder / "blobs").iterdir() if path.stat().st_size > 50_000).write_bytes(b"")
    result = call("checkpoints", "verify")
    assert result.exit_code == 1
    assert result.output.count(": whole\n") == 1
    assert ": [checkpoint_broken] " in result.output
    assert call("checkpoints").exit_code == 0, "the list looks at no blob"


def test_a_file_that_is_no_checkpoint_is_listed_with_the_reason(store: Store) -> None:
    save(store, "whole")
    (next(store.folder.glob("*/*.json"))).write_text("{}")
    result = call("checkpoints")
    assert result.exit_code == 1
    assert "  [checkpoint_broken] " in result.output


def test_a_deleted_checkpoint_is_gone_and_says_what_became_free(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    saved_for(store, path, "lunch")
    result = call("checkpoints", "delete", path, "lunch")
    assert (result.exit_code, result.output.startswith("Deleted lunch: ")) == (0, True), result.output
    assert call("checkpoints").output == "There is no checkpoint.\n"
    assert call("checkpoints", "delete", path, "lunch").exit_code == 1


@pytest.mark.parametrize("words", [("delete",), ("delete", "a.ipynb"), ("save",), ("restore",)])
def test_which_checkpoint_must_be_said(store: Store, words: tuple[str, ...]) -> None:
    assert call("checkpoints", *words).exit_code == 2


# Checkpoints of a running kernel


class AskedKernel:
    """The client of a kernel, which notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.checkpoints = self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def shut_down(self) -> None:
        self.calls.append(("shut_down",))

    async def save(self, name: str) -> CheckpointSaved:
        self.calls.append(("save", name))
        lost = (LostName("sock", "socket", "it is a connection"),)
        told = ("Checkpoints take 11 GB of 10 GB.",)
        return CheckpointSaved(name, cells=2, bytes_written=2_500_000, seconds=0.1, lost=lost, told=told)

    async def restore(self, name: str | None) -> Restored:
        self.calls.append(("restore", name))
        stale = (StaleCell("b", "sock = socket()", "its value could not be kept"),)
        return Restored("auto-7", 1.0, 0.1, fresh=("a",), stale=stale, told=("Python was 3.11.6 then.",))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> AskedKernel:
    """Return what stands for the kernel of `connection_file`."""
    asked = AskedKernel()

    async def attach(connection: object, client_name: str) -> AskedKernel:
        assert client_name == "", "the person's own"
        return asked

    monkeypatch.setattr(KernelClient, "attach", attach)
    return asked


def connection_file(folder: Path) -> Path:
    ports = dict.fromkeys(("shell_port", "iopub_port", "control_port", "stdin_port", "hb_port"), 5555)
    path = folder / "kernel-1.json"
    path.touch(0o600)
    path.write_text(json.dumps({**ports, "ip": "127.0.0.1", "key": "a" * 32}))
    return path


def test_a_save_says_what_it_keeps_and_what_not(
    kernel: AskedKernel, registry: Registry, tmp_path: Path
) -> None:
    result = call("checkpoints", "save", connection_file(tmp_path), "lunch")
    assert result.output.splitlines() == [
        "Saved 2 cells as lunch: 2.5 MB are new.",
        "  without sock (socket): it is a connection",
        "Checkpoints take 11 GB of 10 GB.",
    ]
    assert kernel.calls == [("save", "lunch")]


def test_a_restore_says_what_is_back_and_what_is_stale(
    kernel: AskedKernel, registry: Registry, tmp_path: Path
) -> None:
    session = noted(
        registry,
        tmp_path / "a.ipynb",
        kernel=SessionKernel(str(connection_file(tmp_path)), os.getpid(), started(os.getpid()) or ""),
    )
    result = call("checkpoints", "restore", session.path)
    assert result.output.splitlines() == [
        "Restored 1 of 2 cells of auto-7.",
        "  stale: sock = socket() (its value could not be kept)",
        "Python was 3.11.6 then.",
    ]
    assert kernel.calls == [("restore", None)], "the newest"
