"""Notebooks as sessions, as agents see them; the kernels are in memory, and each session has this process for its kernel's."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from mcp import Client
from mcp.types import ElicitResult, Implementation

from marimo_kernel_bridge.checkpoints.manifest import Manifest
from marimo_kernel_bridge.checkpoints.store import Store, shelf_of
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.document import Document
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import connection_copies
from marimo_kernel_bridge.launch.sessions.entries import Session, SessionKernel, id_of
from marimo_kernel_bridge.launch.sessions.processes import started
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.mcp_server import attachments
from marimo_kernel_bridge.mcp_server.sessions import saving, sessions
from marimo_kernel_bridge.mcp_server.sessions.sessions import KernelFunctions
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.notebooks import whole_files
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSummary
from marimo_kernel_bridge.protocol.notebook import Death, RecordedName
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import DESCRIPTION, Execution, cell_run
from tests.unit.mcp_server.open_documents import content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.unit.mcp_server.fake_kernel import FakeKernel

    Serve = Callable[..., Awaitable[Agent]]

pytestmark = pytest.mark.anyio


class Machine:
    """What starts and ends kernels, and which connection file each has."""

    def __init__(self, connection_file: str) -> None:
        self.connection_file = Path(connection_file)
        self.started: list[Session] = []
        self.ended: list[bool] = []
        self.refusal: BridgeError | None = None
        self.lost: tuple[SessionKernel, bool] | None = None
        """A kernel that no entry has, and whether anything is in it."""

    async def start(self, session: Session) -> SessionKernel:
        await asyncio.sleep(0.01)
        self.started.append(session)
        if self.refusal is not None:
            raise self.refusal
        return SessionKernel(str(self.connection_file), os.getpid(), started(os.getpid()) or "")

    async def find(self, session: Session) -> tuple[SessionKernel, bool] | None:
        assert session.kernel is None or not session.kernel.runs
        return self.lost

    async def end(self, kernel: SessionKernel, *, asked: bool) -> None:
        assert kernel.pid == os.getpid()
        self.ended.append(asked)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of notebooks, which is the working directory."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(saving, "_QUIET", 0.0)
    monkeypatch.setattr(saving, "_SHARE", 0.0)
    return folder


@pytest.fixture
def machine(connection_file: str) -> Machine:
    return Machine(connection_file)


@pytest.fixture
async def serve(kernel: FakeKernel, machine: Machine, folder: Path) -> AsyncIterator[Serve]:
    """Serve an agent; each call is another server on the same registry. `answer` is what the person says if asked."""
    async with AsyncExitStack() as stack:

        async def serve(allow: Any = "all", name: str = "ann", answer: ElicitResult | None = None) -> Agent:
            async def ask(_context: Any, params: Any) -> Any:
                assert str(folder) in params.message
                assert answer is not None
                return answer

            asked: Any = ask if answer is not None else None
            own = KernelFunctions(machine.start, machine.end, machine.find)
            server = build_server(allow, attach=kernel.attach, session_kernels=own)
            client = Client(
                server,
                client_info=Implementation(name=name, version="1"),
                elicitation_callback=asked,
            )
            return Agent(await stack.enter_async_context(client))

        yield serve


@pytest.fixture
async def agent(serve: Serve) -> Agent:
    return await serve()


def on_disk(path: str | Path) -> list[str]:
    """Return the cells of a file, with the text of their outputs."""
    cells = json.loads(Path(path).read_text())["cells"]
    return [
        "".join(cell["source"]) + "".join(f" -> {output['text']}" for output in cell.get("outputs", ()))
        for cell in cells
    ]


def text_of(path: str | Path) -> str:
    return Path(path).read_text()


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def move(path: str, new: Path) -> None:
    Path(path).rename(new)


def exists(path: str) -> bool:
    return Path(path).exists()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.005)


async def created(agent: Agent, name: str = "a", **arguments: Any) -> dict[str, Any]:
    answer = await agent("create_notebook", name=name, **arguments)
    assert not answer.failed, answer.text
    return answer.data


def ended_by_itself(handle: str) -> None:
    """Let the process of a session's kernel be gone."""
    registry = Registry()
    entry = registry.get(handle)
    assert entry is not None
    assert entry.kernel is not None
    registry.put(
        msgspec.structs.replace(entry, kernel=msgspec.structs.replace(entry.kernel, started="before"))
    )


# Creating


async def test_a_notebook_is_a_file_with_a_kernel_that_knows_its_path(
    agent: Agent, folder: Path, machine: Machine, kernel: FakeKernel
) -> None:
    data = await created(agent, "penguins", description="Which are heavy?", parameters={"n": 3}, ttl=60)
    assert data["path"] == str(folder / "penguins.ipynb")
    assert on_disk(data["path"]) == ["# Parameters\nn = 3"]
    document = json.loads(text_of(data["path"]))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert [(one.path, one.ttl) for one in machine.started] == [(data["path"], 60.0)]
    assert "load_document" in kernel.asked
    assert "list_checkpoints" in kernel.asked, "a request that keeps the new kernel"
    listed = await agent("list_notebooks")
    assert f"{data['kernel']} penguins · active · connected" in listed.text
    assert "checkpoint" not in listed.text
    with Store().saving(shelf_of(data["path"]), "lunch", "named") as one:
        one.commit(Manifest(name="lunch", kind="named", at=0.0, python="3"))
    assert " · checkpoint lunch of " in (await agent("list_notebooks")).text
    assert "Which are heavy?" in listed.text


async def test_code_that_an_agent_runs_in_its_own_notebook_is_told_as_saved(
    agent: Agent, kernel: FakeKernel
) -> None:
    await created(agent)
    kernel.executions["q = 1"] = Execution(requested=("mine",), ran=(cell_run("mine"),))
    answer = await agent("execute_code", code="q = 1")
    assert answer.data["where"] == "saved"
    assert "person" not in answer.text


@pytest.mark.parametrize("error", [BridgeError("kernel_silent", "It cannot say."), KeyError("a bug")])
async def test_code_runs_though_the_kernel_does_not_say_where_it_will_be_found(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await created(agent)
    kernel.executions["q = 1"] = Execution(requested=("mine",), ran=(cell_run("mine"),))

    async def refuse(_document: Document) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Document, "read", refuse)
        answer = await agent("execute_code", code="q = 1")
    assert (answer.data["status"], answer.data.get("where")) == ("ok", None)


async def test_a_text_that_an_agent_has_added_is_in_its_next_outline(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_QUIET", 3600.0)
    await created(agent)
    kernel.add("Hbol", "x = 1", notebook_cell_id=None)
    report = EditReport(applied=True, added=("Hbol",))
    kernel.executions["edit_cells"] = Execution(requested=("Hbol",), edits=report)
    added = [{"action": "add", "type": "markdown", "code": "# T"}, {"action": "add", "code": "x = 1"}]
    done = await agent("edit_cells", edits=added)
    listed = (await agent("list_cells")).data["cells"]
    assert sorted(cell["code"] for cell in listed) == ["# T", "x = 1"]
    (title,) = (cell["cell_id"] for cell in listed if cell["code"] == "# T")
    assert (done.data["status"], done.data["added"]) == ("ok", [title, "Hbol"]), "in the order of the batch"


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_reading_a_notebook_does_not_write_its_file(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_QUIET", 3600.0)  # it is written when the test says
    data = await created(agent)
    kernel.add("Hbol", "x = 1", notebook_cell_id=None)
    report = EditReport(applied=True, added=("Hbol",))
    kernel.executions["edit_cells"] = Execution(requested=("Hbol",), edits=report)
    added = [{"action": "add", "type": "markdown", "code": "# T"}, {"action": "add", "code": "x = 1"}]
    await agent("edit_cells", edits=added)
    before = _content(data["path"])
    listed = (await agent("list_cells")).data["cells"]
    for cell in listed:
        await agent("read_cell", cell_id=cell["cell_id"])
    await agent("detect_sync_needed")
    assert "# T" in [cell["code"] for cell in listed]
    assert _content(data["path"]) == before
    await agent("save_notebook")
    assert b"# T" in _content(data["path"])


@pytest.mark.parametrize(("allow", "writes"), [("read", False), ("propose", False), ("edit", True)])
async def test_who_may_not_edit_writes_no_file_of_a_notebook_that_it_joins(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, allow: str, writes: bool
) -> None:
    data = await created(await serve("all"))
    made: list[str] = []

    class Saver(saving.SessionSaver):
        def __init__(self, session: Session, *arguments: Any, **options: Any) -> None:
            super().__init__(session, *arguments, **options)
            made.append(session.path)

    monkeypatch.setattr(attachments, "SessionSaver", Saver)
    other = await serve(allow, "bob")
    assert not (await other("open_notebook", notebook=data["path"])).failed
    assert bool(made) is writes


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"name": "../a"}, "bad_request"),
        ({"name": "a\x1b[31m"}, "bad_request"),
        ({"name": "gnp.\u202eexe"}, "bad_request"),
        ({"name": "a\rb"}, "bad_request"),
        ({"name": ".ipynb"}, "bad_request"),
        ({"name": "a", "folder": "/no/such"}, "bad_request"),
        ({"name": "a", "folder": "/" + "y" * 300}, "bad_request"),
        ({"name": "é" * 200}, "bad_request"),
        ({"name": "there"}, "output_exists"),
        ({"name": "a", "template": "nosuch"}, "bad_request"),
        ({"name": "a", "parameters": {"not a name": 1}}, "bad_request"),
    ],
)
async def test_what_cannot_be_created_is_refused_and_leaves_nothing(
    agent: Agent, folder: Path, machine: Machine, arguments: dict[str, Any], code: Any
) -> None:
    (folder / "there.ipynb").write_text("{}")
    refused = await agent("create_notebook", **arguments)
    assert refused.refused(code), refused.text
    assert names_in(folder) == ["there.ipynb"]
    assert machine.started == []
    assert (await agent("list_notebooks")).data == {"notebooks": []}


async def test_a_folder_that_is_read_only_is_refused_with_what_to_do(
    agent: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(whole_files, "_new_file", refuse)
    refused = await agent("create_notebook", name="a")
    assert refused.refused("not_writable")
    assert "a.ipynb cannot be written: Read-only file system. Nothing was created." in refused.text
    assert "Choose a folder that can be written" in refused.text
    assert names_in(folder) == []


async def test_a_folder_that_cannot_be_written_is_refused_and_leaves_nothing(
    agent: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BridgeError("disk_full", "There is no room.")

    monkeypatch.setattr(sessions, "write_whole", refuse)
    assert (await agent("create_notebook", name="a")).refused("disk_full")
    assert (await agent("list_notebooks")).data == {"notebooks": []}


async def test_a_working_directory_that_was_deleted_is_told(
    agent: Agent, folder: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(folder.rmdir)
    assert (await agent("create_notebook", name="a")).refused("bad_request")
    assert not (await agent("create_notebook", name="a", folder=str(tmp_path))).failed


async def test_a_notebook_whose_kernel_does_not_start_or_cannot_be_noted_leaves_nothing(
    agent: Agent, folder: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.refusal = BridgeError("not_writable", "There is no runtime directory.")
    assert (await agent("create_notebook", name="a")).refused("not_writable")
    machine.refusal = None
    put = Registry.put
    for room in (0, 1):  # for entries: none, or that of the file and not that of its kernel
        left = [None] * room

        def write(registry: Registry, session: Session, left: list[None] = left) -> None:
            if not left:
                raise BridgeError("disk_full", "There is no room.")
            left.pop()
            put(registry, session)

        monkeypatch.setattr(Registry, "put", write)
        assert (await agent("create_notebook", name="a")).refused("disk_full")
    assert machine.ended == [False], "the kernel of which nobody would know"
    assert names_in(folder) == []
    assert (await agent("list_notebooks")).data == {"notebooks": []}


async def test_templates_are_listed_and_used(agent: Agent, tmp_path: Path, kernel: FakeKernel) -> None:
    own = tmp_path / "config" / "marimo_kernel_bridge" / "templates"
    own.mkdir(parents=True)
    cell = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": [], "execution_count": 4}
    (own / "mine.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})
    )
    names = [one["name"] for one in (await agent("list_templates")).data["templates"]]
    assert names == ["blank", "data_analysis", "mine"]
    data = await created(agent, template="mine")
    assert on_disk(data["path"]) == ["x = 1"]
    assert len(on_disk((await created(agent, "b", template="data_analysis"))["path"])) > 5


@pytest.mark.parametrize("allow", ["read", "run"])
async def test_starting_and_ending_need_the_permission_all(serve: Serve, allow: str, agent: Agent) -> None:
    data = await created(agent)
    other = await serve(allow, name="eve")
    assert (await other("create_notebook", name="b")).refused("not_allowed")
    assert (await other("close_notebook", notebook=data["kernel"])).refused("not_allowed")
    assert (await other("delete_notebook", notebook=data["kernel"])).refused("not_allowed")
    assert not (await other("open_notebook", notebook=data["kernel"])).failed
    await agent("close_notebook", notebook=data["kernel"])
    assert (await other("open_notebook", notebook=data["kernel"])).refused("not_allowed")


# Over restarts of servers and kernels


async def test_another_server_knows_the_session_and_joins_its_kernel_at_first_use(
    agent: Agent, serve: Serve, machine: Machine
) -> None:
    handle = (await created(agent))["kernel"]
    other = await serve("run", name="ann")
    (line,) = (await other("list_notebooks", state="active")).data["notebooks"]
    assert line["id"] == handle
    assert "kernel" not in line
    assert (await other("kernel_status", kernel=handle)).data["state"] == "idle"
    assert (await other("list_notebooks")).data["notebooks"][0]["kernel"] == handle
    resource = await other.client.read_resource(f"marimo://{handle}/history")
    assert resource.contents
    assert len(machine.started) == 1


async def test_two_servers_that_open_a_notebook_at_once_start_one_kernel(
    serve: Serve, folder: Path, machine: Machine
) -> None:
    empty = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    (folder / "a.ipynb").write_text(json.dumps(empty))
    one, two = await serve(name="ann"), await serve(name="ada")
    opened = await asyncio.gather(
        *(who("open_notebook", notebook=str(folder / "a.ipynb")) for who in (one, two))
    )
    assert [answer.failed for answer in opened] == [False, False]
    assert opened[0].data["kernel"] == opened[1].data["kernel"]
    assert len(machine.started) == 1
    assert len((await one("list_notebooks")).data["notebooks"]) == 1


async def test_a_kernel_that_ended_leaves_a_suspended_session_that_can_be_opened_again(
    agent: Agent, machine: Machine, kernel: FakeKernel
) -> None:
    handle = (await created(agent, parameters={"n": 1}))["kernel"]
    kernel.saved = [kernel.add("parameters", "n = 1")]
    ended_by_itself(handle)
    listed = await agent("list_notebooks", state="suspended")
    assert "suspended (its kernel ended)" in listed.text
    kernel.checkpoints = [CheckpointSummary("before lunch", "named", 0.0, 11, 2_500_000)]
    lost = RecordedName("rows", "list", "3 items", "Hbol")
    kernel.description = replace(
        DESCRIPTION, died=Death("killed", "it was killed from outside", 0.0, lost=(lost,), total_lost=1)
    )
    opened = await agent("open_notebook", notebook=handle)
    assert opened.data["kernel"] == handle
    assert "that knows its 1 code cells and has run none" in opened.text
    assert "it was killed from outside while no cell ran. Lost: `rows`." in opened.data["note"]
    assert "There is the checkpoint before lunch of " in opened.text
    assert len(machine.started) == 2


@pytest.mark.parametrize("used", [True, False], ids=["in use", "just started"])
async def test_a_kernel_that_no_entry_has_is_taken_and_no_second_one_started(
    serve: Serve, agent: Agent, machine: Machine, used: bool
) -> None:
    """The entry was lost in the middle of a write, or the server was killed before it had noted what it had started."""
    made = await created(agent)
    entry = Registry().get(made["kernel"])
    assert entry is not None
    assert entry.kernel is not None
    machine.lost = entry.kernel, used
    if used:
        (Registry().folder / f"{entry.id}.json").write_bytes(b'{"id": "01')
    else:
        Registry().put(msgspec.structs.replace(entry, kernel=None))
    other = await serve(name="ada")
    opened = await other("open_notebook", notebook=made["path"])
    assert not opened.failed, opened.text
    assert ("joined the kernel that it has" in opened.text) == used
    assert len(machine.started) == 1
    again = Registry().get(entry.id)
    assert again is not None
    assert again.kernel == entry.kernel


async def test_a_running_kernel_whose_connection_file_was_removed_is_reached_again(
    serve: Serve, agent: Agent, machine: Machine
) -> None:
    """Before, its process was taken for one that ends, and killed with all variables."""
    handle = (await created(agent))["kernel"]
    content = machine.connection_file.read_bytes()
    machine.connection_file.unlink()
    other = await serve(name="ada")
    opened = await other("open_notebook", notebook=handle)
    assert "joined the kernel that it has" in opened.text
    assert (len(machine.started), machine.ended) == (1, [])
    assert machine.connection_file.read_bytes() == content
    assert stat.S_IMODE(machine.connection_file.stat().st_mode) == 0o600
    (copy,) = Registry().folder.glob("*.connection")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    await other("close_notebook", notebook=handle)
    assert not copy.exists()


async def test_a_kernel_whose_sockets_are_closed_and_whose_process_still_ends_is_waited_for(
    serve: Serve, agent: Agent, machine: Machine
) -> None:
    handle = (await created(agent))["kernel"]
    good, machine.connection_file = machine.connection_file, machine.connection_file.with_name("gone.json")
    entry = Registry().get(handle)
    assert entry is not None
    assert entry.kernel is not None
    closing = msgspec.structs.replace(entry.kernel, connection_file=str(machine.connection_file))
    Registry().put(msgspec.structs.replace(entry, kernel=closing))
    connection_copies.forget(Registry().folder, handle)  # with it, the sockets would be tried
    machine.connection_file = good
    other = await serve(name="ada")
    opened = await other("open_notebook", notebook=handle)
    assert not opened.failed, opened.text
    assert "a new kernel" in opened.text
    assert (len(machine.started), machine.ended) == (2, [True])


async def test_who_uses_a_kernel_that_has_ended_is_told_how_to_open_it(
    agent: Agent, kernel: FakeKernel
) -> None:
    handle = (await created(agent))["kernel"]
    kernel.executions["slow()"] = Execution(held=True)
    run_id = (await agent("execute_code", code="slow()", timeout=0)).data["run_id"]
    kernel.die()
    async with asyncio.timeout(60):
        while (status := await agent("kernel_status", kernel=handle)).data["state"] != "dead":  # noqa: ASYNC110  # an agent asks
            await asyncio.sleep(0)
    refused = await agent("execute_code", code="1")
    assert refused.refused("kernel_dead")
    lost = await agent("read_run", run_id=run_id)
    for told in (status.text, refused.text, lost.text):
        assert f"open_notebook('{handle}')" in told
        assert "connection file, the next call" not in told


async def test_an_interpreter_that_is_gone_suspends_the_session_with_the_reason(
    agent: Agent, machine: Machine
) -> None:
    handle = (await created(agent, interpreter="/gone/python"))["kernel"]
    await agent("close_notebook", notebook=handle)
    machine.refusal = BridgeError("bad_request", "There is no Python at '/gone/python'; nothing was started.")
    assert (await agent("open_notebook", notebook=handle)).refused("bad_request")
    assert "suspended (There is no Python at '/gone/python'" in (await agent("list_notebooks")).text
    machine.refusal = None
    assert not (await agent("open_notebook", notebook=handle, interpreter="/other/python")).failed
    assert machine.started[-1].interpreter == "/other/python"


async def test_a_notebook_that_was_moved_is_told_and_opens_under_its_new_path(
    agent: Agent, folder: Path
) -> None:
    data = await created(agent)
    await agent("close_notebook", notebook=data["kernel"])
    move(data["path"], folder / "b.ipynb")
    assert "is gone)" in (await agent("list_notebooks")).text
    refused = await agent("open_notebook", notebook=data["kernel"])
    assert refused.refused("no_such_notebook")
    assert "open_notebook takes its new path" in refused.text
    assert not (await agent("open_notebook", notebook=str(folder / "b.ipynb"))).failed


async def test_no_more_kernels_are_started_than_may_be(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_ACTIVE", 1)
    await created(agent, "a")
    refused = await agent("create_notebook", name="b")
    assert refused.refused("too_many_sessions")
    assert "close_notebook" in refused.text


async def test_a_session_that_is_not_there_is_told(agent: Agent) -> None:
    assert (await agent("open_notebook", notebook="0123456789")).refused("no_such_notebook")
    assert (await agent("close_notebook", notebook="a\0b")).refused("no_such_notebook")
    assert (await agent("open_notebook", notebook="nosuch.ipynb")).refused("bad_notebook")
    assert (await agent("kernel_status", kernel="0123456789")).refused("not_connected")


# The file


async def run(agent: Agent, kernel: FakeKernel, cell_id: str, code: str, printed: str) -> str:
    """Run a new cell of the kernel; return the answer."""
    kernel.add(cell_id, code, execution_count=1, notebook_cell_id=None)
    kernel.outputs[cell_id] = ({"output_type": "stream", "name": "stdout", "text": printed},)
    return (await agent("execute_code", code=code)).text


async def test_the_file_has_what_ran_as_soon_as_the_kernel_has_settled(
    agent: Agent, kernel: FakeKernel
) -> None:
    data = await created(agent)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    await until(lambda: on_disk(data["path"]) == ["print(6) -> 6"])
    (cell,) = json.loads(text_of(data["path"]))["cells"]
    assert (cell["id"], cell["execution_count"]) == ("Hbol", 1)
    kernel.outputs["Hbol"] = ()
    await run(agent, kernel, "MJUe", "print(7)", "7")
    await until(lambda: on_disk(data["path"]) == ["print(6)", "print(7) -> 7"])


async def test_the_first_look_at_a_kernel_which_imports_what_it_needs_holds_up_no_later_one(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_SHARE", 1e9)
    monkeypatch.setattr(saving, "_LONGEST_QUIET", 3600.0)
    looks: list[None] = []
    look = saving.SessionSaver._look

    async def noted(self: saving.SessionSaver) -> None:
        await look(self)
        looks.append(None)

    monkeypatch.setattr(saving.SessionSaver, "_look", noted)
    data = await created(agent)
    await until(lambda: bool(looks))
    await run(agent, kernel, "Hbol", "print(6)", "6")
    await until(lambda: any("print(6)" in cell for cell in on_disk(data["path"])))


async def test_a_notebook_whose_outputs_hold_numbers_that_no_json_has_is_saved(
    agent: Agent, kernel: FakeKernel, folder: Path
) -> None:
    shown = {"output_type": "display_data", "metadata": {}, "data": {"application/json": {"a": float("nan")}}}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "execution_count": 1,
        "source": "x",
        "outputs": [shown],
    }
    path = folder / "nan.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert not (await agent("open_notebook", notebook=str(path))).failed
    await run(agent, kernel, "Hbol", "print(6)", "6")
    assert not (await agent("save_notebook")).failed
    assert '"a": NaN' in path.read_text()
    assert "print(6)" in path.read_text()


async def test_the_file_gets_the_notebook_without_marks_in_place_of_secrets(
    agent: Agent, kernel: FakeKernel
) -> None:
    await created(agent)
    await run(agent, kernel, "Hbol", "1", "1")
    await until(lambda: any(isinstance(one, wire.ReadCell) for one in kernel.requests))
    reads = [one for one in kernel.requests if isinstance(one, wire.ReadCell)]
    assert [one.redacted for one in reads] == [False] * len(reads)


async def test_a_file_that_another_program_has_changed_is_not_written_and_the_agent_told_once(
    agent: Agent, kernel: FakeKernel
) -> None:
    data = await created(agent)
    path = data["path"]
    changed = text_of(path).replace('"cells": []', '"cells": [ ]')
    write(path, changed)
    told = await run(agent, kernel, "Hbol", "print(6)", "6")
    async with asyncio.timeout(60):
        while "is not written (notebook_in_use)" not in told:  # once, in whichever answer comes first
            told = (await agent("kernel_status")).text
    assert "close_notebook with save=false" in told
    assert text_of(path) == changed
    assert "not written" not in (await agent("kernel_status")).text
    assert "not saved: Another program has changed" in (await agent("list_notebooks")).text
    assert (await agent("save_notebook")).refused("notebook_in_use")
    assert (await agent("close_notebook", notebook=data["kernel"])).refused("notebook_in_use")
    closed = await agent("close_notebook", notebook=data["kernel"], save=False)
    assert not closed.failed
    assert "Its file is as it was saved before" in closed.text
    assert text_of(path) == changed
    assert not (await agent("open_notebook", notebook=data["kernel"])).failed


async def test_a_notebook_that_jupyter_has_open_with_another_kernel_is_not_written(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = await created(agent)
    before = text_of(data["path"])

    async def opened() -> dict[str, str]:
        return {"another": data["path"]}

    monkeypatch.setattr("marimo_kernel_bridge.client.discovery.notebooks_by_kernel", opened)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    refused = await agent("save_notebook")
    assert refused.refused("notebook_in_use")
    assert "is open in Jupyter" in refused.text
    assert text_of(data["path"]) == before


async def test_a_writer_that_was_stopped_between_file_and_entry_is_nobody_else(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = await created(agent)
    put = Registry.put
    writes = 0

    def stop(self: Registry, session: Session) -> None:
        nonlocal writes
        writes += 1
        if writes > 1:
            raise BridgeError("disk_full", "Stopped behind the file.")
        put(self, session)

    monkeypatch.setattr(Registry, "put", stop)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    await until(lambda: writes > 1)
    monkeypatch.setattr(Registry, "put", put)
    assert on_disk(data["path"]) == ["print(6) -> 6"]
    await run(agent, kernel, "MJUe", "print(7)", "7")
    assert not (await agent("save_notebook")).failed
    assert on_disk(data["path"]) == ["print(6) -> 6", "print(7) -> 7"]


async def test_the_file_of_a_busy_kernel_has_its_code_at_once_and_its_outputs_later(
    agent: Agent, kernel: FakeKernel
) -> None:
    data = await created(agent)
    await until(lambda: "list_cells" in kernel.asked)  # the first look
    await kernel.heard()
    kernel.description = replace(DESCRIPTION, busy=True)
    await run(agent, kernel, "Hbol", "print(6)", "so far")
    assert (await agent("list_notebooks")).data["notebooks"][0]["busy"]
    kernel.something_ended()
    await until(lambda: on_disk(data["path"]) == ["print(6) -> so far"])
    kernel.outputs["Hbol"] = ({"output_type": "stream", "name": "stdout", "text": "6"},)
    kernel.something_ended()
    await kernel.heard()
    assert on_disk(data["path"]) == ["print(6) -> so far"]
    kernel.description = DESCRIPTION
    kernel.something_ended()
    await until(lambda: on_disk(data["path"]) == ["print(6) -> 6"])


@pytest.fixture
def savers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[saving.SessionSaver]:
    """The savers of the notebooks of a test, which look when the test says."""
    made: list[saving.SessionSaver] = []

    class Saver(saving.SessionSaver):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(saving, "_QUIET", 3600.0)
    monkeypatch.setattr(attachments, "SessionSaver", Saver)
    return made


async def test_while_an_agent_works_only_what_has_run_or_changed_is_read_for_the_file(
    agent: Agent, kernel: FakeKernel, savers: list[saving.SessionSaver]
) -> None:
    data = await created(agent)
    (saver,) = savers
    for cell_id in ("Aaaa", "Bbbb", "Cccc"):
        await run(agent, kernel, cell_id, f"print({cell_id!r})", cell_id)
    for _ in range(2):
        await saver._look()
    shown = [f"print({name!r}) -> {name}" for name in ("Aaaa", "Bbbb", "Cccc")]
    assert on_disk(data["path"]) == shown

    kernel.description = replace(DESCRIPTION, busy=True)
    await run(agent, kernel, "Dddd", "print(4)", "4")
    kernel.requests.clear()
    await saver._look()
    assert on_disk(data["path"]) == [*shown, "print(4) -> 4"]
    read = [request.cell_id for request in kernel.requests if isinstance(request, wire.ReadCell)]
    assert read == ["Dddd"]

    kernel.description = DESCRIPTION
    kernel.outputs["Aaaa"] = ({"output_type": "stream", "name": "stdout", "text": "late"},)
    await saver._look()
    assert on_disk(data["path"])[0] == "print('Aaaa') -> late"


async def test_a_server_that_ends_writes_what_is_not_written(
    kernel: FakeKernel, machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_QUIET", 3600.0)
    own = KernelFunctions(machine.start, machine.end)
    async with Client(build_server("all", attach=kernel.attach, session_kernels=own)) as client:
        agent = Agent(client)
        data = await created(agent)
        await run(agent, kernel, "Hbol", "print(6)", "6")
        assert on_disk(data["path"]) == []
    assert on_disk(folder / "a.ipynb") == ["print(6) -> 6"]


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("then", ["open_notebook", "close_notebook"])
async def test_code_and_texts_that_are_not_in_the_file_when_the_kernel_dies_are_written_once(
    agent: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, then: str, *, looks: bool
) -> None:
    data = await created(agent)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    await until(lambda: on_disk(data["path"]) == ["print(6) -> 6"])

    async def blind(saver: saving.SessionSaver) -> None:
        if looks and (end := saver._client.end) is not None:
            raise end

    monkeypatch.setattr(saving.SessionSaver, "_look", blind)
    report = EditReport(applied=True, added=("MJUe",))
    kernel.executions["edit_cells"] = Execution(requested=("MJUe",), edits=report)
    added = [{"action": "add", "type": "markdown", "code": "# T"}, {"action": "add", "code": "x = 1"}]
    await agent("edit_cells", edits=added)
    kernel.executions["y = x"] = Execution(requested=("aaaa",))
    await agent("execute_code", code="y = x")
    kernel.die()
    written = ["print(6) -> 6", "# T", "x = 1", "y = x"]
    if looks:
        await until(lambda: on_disk(data["path"]) == written)
    ended_by_itself(data["kernel"])
    await agent(then, notebook=data["kernel"])
    assert on_disk(data["path"]) == written


async def test_nothing_is_written_after_a_death_where_a_front_end_has_the_document(
    agent: Agent, kernel: FakeKernel, savers: list[saving.SessionSaver]
) -> None:
    data = await created(agent)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    kernel.content = content()
    await savers[0].save()
    await agent("execute_code", code="y = x")
    kernel.die()
    await savers[0].rescue()
    assert on_disk(data["path"]) == []


# Closing and deleting


async def test_closing_saves_ends_the_kernel_and_leaves_the_session(
    agent: Agent, machine: Machine, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_QUIET", 3600.0)
    data = await created(agent)
    await run(agent, kernel, "Hbol", "print(6)", "6")
    closed = await agent("close_notebook", notebook=data["path"])
    assert not closed.failed, closed.text
    assert on_disk(data["path"]) == ["print(6) -> 6"]
    assert machine.ended == [True]
    assert "suspended (ann closed it)" in (await agent("list_notebooks")).text
    assert not (await agent("close_notebook", notebook=data["kernel"])).failed


async def test_who_closes_without_saving_gets_no_code_written_as_the_kernel_ends(
    agent: Agent, kernel: FakeKernel, savers: list[saving.SessionSaver], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(saver: saving.SessionSaver) -> None:
        if (end := saver._client.end) is not None:
            raise end

    async def shut_down(client: KernelClient) -> None:
        kernel.die()
        await client.liveness()
        await until(lambda: savers[0]._watching.done() or on_disk(data["path"]) != [])

    monkeypatch.setattr(saving, "_QUIET", 0.0)
    monkeypatch.setattr(saving.SessionSaver, "_look", blind)
    monkeypatch.setattr(KernelClient, "shut_down", shut_down)
    data = await created(agent)
    await agent("execute_code", code="y = 1")
    assert not (await agent("close_notebook", notebook=data["kernel"], save=False)).failed
    assert on_disk(data["path"]) == []


async def test_a_kernel_that_does_not_answer_is_ended_all_the_same(
    agent: Agent, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shut_down(_: KernelClient) -> None:
        raise BridgeError("kernel_silent", "No answer.")

    monkeypatch.setattr(KernelClient, "shut_down", shut_down)
    data = await created(agent)
    assert not (await agent("close_notebook", notebook=data["kernel"], save=False)).failed
    assert machine.ended == [False]


async def test_a_restart_starts_another_kernel_for_the_session(agent: Agent, machine: Machine) -> None:
    handle = (await created(agent))["kernel"]
    assert "was restarted" in (await agent("control_kernel", action="restart")).text
    assert len(machine.started) == 2
    assert (await agent("kernel_status", kernel=handle)).data["state"] == "idle"


async def test_deleting_keeps_the_file_unless_told(agent: Agent) -> None:
    data = await created(agent)
    assert not (await agent("delete_notebook", notebook=data["kernel"])).failed
    assert exists(data["path"])
    assert (await agent("list_notebooks")).data == {"notebooks": []}


NAMES: dict[str, Callable[[Path], str]] = {
    "id": id_of,
    "name": lambda path: path.stem,
    "file's name": lambda path: path.name,
    "end of its path": lambda path: f"{path.parent.name}/{path.name}",
    "path": str,
    "path from here": os.path.relpath,
    "URI": lambda path: path.as_uri(),
}


@pytest.mark.parametrize("kind", NAMES)
async def test_a_notebook_is_called_alike_as_notebook_and_as_kernel(
    agent: Agent, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    handle = (await created(agent, name="penguins", folder=str(elsewhere)))["kernel"]
    name = NAMES[kind](elsewhere / "penguins.ipynb")
    assert (await agent("open_notebook", notebook=name)).data["kernel"] == handle
    assert (await agent("kernel_status", kernel=name)).data["kernel"] == handle
    assert (await agent("connect_to_kernel", notebook=name)).data["kernel"] == handle
    assert not (await agent("close_notebook", notebook=name)).failed
    assert not (await agent("delete_notebook", notebook=name)).failed
    assert (await agent("list_notebooks")).data == {"notebooks": []}


async def test_a_name_that_two_notebooks_have_is_nobodys(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here = await created(agent, name="penguins")
    there = await created(agent, name="penguins", folder=str(tmp_path / "other"))
    for tool in ("open_notebook", "close_notebook", "delete_notebook"):
        refused = await agent(tool, notebook="penguins")
        assert refused.refused("no_such_notebook")
        assert here["kernel"] in refused.text
        assert there["kernel"] in refused.text
    # A path from here is that of the file here.
    assert (await agent("open_notebook", notebook="penguins.ipynb")).data["kernel"] == here["kernel"]


async def test_a_file_that_is_there_is_no_notebook_elsewhere_of_its_name(
    agent: Agent, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "other").mkdir()
    there = await created(agent, name="penguins", folder=str(tmp_path / "other"))
    (folder / "penguins.ipynb").write_text(text_of(there["path"]))
    assert (await agent("close_notebook", notebook="penguins.ipynb")).refused("no_such_notebook")
    opened = (await agent("open_notebook", notebook="penguins.ipynb")).data
    assert opened["path"] == str(folder / "penguins.ipynb")


async def test_a_file_is_deleted_by_a_name_that_means_it_alone(serve: Serve) -> None:
    agent = await serve(answer=ElicitResult(action="accept", content={"delete": True}))
    data = await created(agent, name="penguins")
    refused = await agent("delete_notebook", notebook="penguins", delete_file=True)
    assert refused.refused("bad_request")
    assert f"delete_notebook('{data['kernel']}', delete_file=true)" in refused.text
    assert exists(data["path"])
    assert not (await agent("delete_notebook", notebook=data["path"], delete_file=True)).failed
    assert not exists(data["path"])


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        (ElicitResult(action="accept", content={"delete": True}), True),
        (ElicitResult(action="accept", content={"delete": False}), False),
        (ElicitResult(action="decline"), False),
        (None, False),
    ],
)
async def test_the_file_is_deleted_only_if_the_person_agrees(
    serve: Serve, said: ElicitResult | None, gone: bool, audit_log: Path
) -> None:
    agent = await serve(answer=said)
    data = await created(agent)
    answer = await agent("delete_notebook", notebook=data["kernel"], delete_file=True)
    assert exists(data["path"]) is not gone
    assert answer.failed is not gone
    if not gone:
        assert answer.refused("not_allowed")
        assert len((await agent("list_notebooks")).data["notebooks"]) == 1
    noted = [json.loads(line) for line in text_of(audit_log).splitlines()]
    assert [line["consent"] for line in noted if line["tool"] == "delete_notebook"][-1] in {
        "yes",
        "no",
        "no answer",
        "not asked",
    }


async def test_a_notebook_that_is_imported_from_its_content_can_be_opened_at_once(
    agent: Agent, machine: Machine, folder: Path
) -> None:
    answer = await agent("import_notebook", content="# %%\nx = 1\n", output="made.ipynb", open=True)
    assert not answer.failed, answer.text
    (session,) = machine.started
    assert (session.path, answer.data["kernel"]) == (str(folder / "made.ipynb"), session.id)
    assert "a new kernel" in answer.text
    listed = await agent("list_notebooks")
    assert [one["state"] for one in listed.data["notebooks"]] == ["active"]
    assert not (await agent("kernel_status", kernel=session.id)).failed
    wrong = await agent("import_notebook", content="x", target="marimo", output="made.py", open=True)
    assert wrong.refused("bad_request")
