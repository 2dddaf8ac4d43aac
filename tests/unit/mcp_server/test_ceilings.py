"""What kernels of agents may have at most: asked for, inherited, refused, and kept by the kernel that was started. In memory."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.types import Implementation

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch import kernelspecs
from marimo_kernel_bridge.launch.owned_kernels import StartedKernels, arguments_for
from marimo_kernel_bridge.launch.sessions.entries import SessionKernel
from marimo_kernel_bridge.launch.sessions.processes import started
from marimo_kernel_bridge.mcp_server.sessions import saving
from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
from marimo_kernel_bridge.mcp_server.sessions.sessions import KernelFunctions, Sessions
from marimo_kernel_bridge.mcp_server.views import files, imports
from marimo_kernel_bridge.mcp_server.views.command_line import ImportReport, MarimoCheck
from marimo_kernel_bridge.mcp_tools import TOOLS, build_server
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.bounds import Bounds, Limits, Sandbox
from marimo_kernel_bridge.protocol.regular_files import pinned, read_bytes
from marimo_kernel_bridge.protocol.written_bounds import bounds_of
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.protocol.notebook import KernelDescription
    from tests.unit.mcp_server.fake_kernel import FakeKernel

    Serve = Callable[..., Awaitable[Agent]]

pytestmark = pytest.mark.anyio

CELLS = '{"cells": [{"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
CEILING = Ceilings(bounds_of("memory=2GB,cell_seconds=5m"))
BOX = Ceilings(bounds_of("memory=2GB", "network=pypi.org"))


def said_by(bounds: Bounds) -> KernelDescription:
    """Return what a kernel says of itself that is held to bounds."""
    texts = bounds.texts()
    return replace(DESCRIPTION, limits=texts["limits"], sandbox=texts["sandbox"])


class Machine:
    """What starts kernels: each says of itself what it was started with, unless it is `old`."""

    def __init__(self, kernel: FakeKernel, connection_file: str) -> None:
        self.kernel, self.connection_file = kernel, connection_file
        self.started: list[Bounds] = []
        self.ended = 0
        self.old = False

    async def start(self, session: Session) -> SessionKernel:
        self.started.append(session.bounds)
        self.kernel.description = DESCRIPTION if self.old else said_by(session.bounds)
        return SessionKernel(self.connection_file, os.getpid(), started(os.getpid()) or "")

    async def end(self, kernel: SessionKernel, *, asked: bool) -> None:
        assert kernel.pid == os.getpid()
        assert asked
        self.ended += 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(saving, "_QUIET", 0.0)
    monkeypatch.setattr(saving, "_SHARE", 0.0)
    return folder


@pytest.fixture
def machine(kernel: FakeKernel, connection_file: str) -> Machine:
    return Machine(kernel, connection_file)


@pytest.fixture
async def serve(kernel: FakeKernel, machine: Machine, folder: Path) -> AsyncIterator[Serve]:
    """Serve an agent: `await serve("run", ceilings)`."""
    async with AsyncExitStack() as stack:

        async def serve(allow: Any = "all", ceilings: Ceilings | None = None) -> Agent:
            own = KernelFunctions(machine.start, machine.end)
            server = build_server(allow, attach=kernel.attach, session_kernels=own, ceilings=ceilings)
            client = Client(server, client_info=Implementation(name="ann", version="1"))
            return Agent(await stack.enter_async_context(client))

        yield serve


# What an agent asks for


@pytest.mark.parametrize(
    ("limits", "sandbox", "gets"),
    [
        (None, None, "memory=2GB,cell_seconds=5m"),
        ({"memory": "1GB"}, None, "memory=1GB,cell_seconds=5m"),
        ({"processes": 64}, None, "memory=2GB,cell_seconds=5m,processes=64"),
    ],
)
def test_who_asks_for_less_or_nothing_gets_that_and_the_ceiling(limits: Any, sandbox: Any, gets: str) -> None:
    assert CEILING.asked(limits, sandbox) == bounds_of(gets)


def test_any_sandbox_is_less_than_none_and_one_within_the_ceiling_is_taken() -> None:
    assert CEILING.asked(None, "strict").sandbox == Sandbox()
    here = (str(Path.cwd().resolve()),)
    assert BOX.asked(None, None).sandbox == Sandbox(network=("pypi.org",), within=here)
    assert BOX.asked(None, "strict").sandbox == Sandbox(within=here)
    assert BOX.asked(None, {"within": ["/"]}).sandbox == Sandbox(within=("/", *here)), "it only narrows"
    image = Ceilings(Bounds(sandbox=Sandbox(image="mine:1")))
    assert image.asked(None, "strict").sandbox == Sandbox(image="mine:1", within=here)
    with pytest.raises(BridgeError, match="wider than that of this server's kernels in image"):
        image.asked(None, {"image": "mine:2"})
    engine = Ceilings(Bounds(sandbox=Sandbox(engine="bubblewrap")))
    bounds = engine.asked(None, {"files": "none"})
    assert bounds.sandbox == Sandbox(engine="bubblewrap", files="none", within=here)


@pytest.mark.parametrize(
    ("limits", "sandbox", "said"),
    [
        ({"memory": "8GB"}, None, "memory 8 GB (at most 2 GB)"),
        ({"memory": "8GB"}, {}, "memory 8 GB (at most 2 GB)"),
        (
            None,
            {"network": "all"},
            "wider than that of this server's kernels in network: they have network pypi.org",
        ),
        (None, {"network": ["evil.org"]}, "in network"),
        (None, {"files": "read", "packages": True}, "in files, packages"),
    ],
)
async def test_who_asks_for_more_is_refused_with_the_ceiling_and_nothing_is_started(
    serve: Serve, machine: Machine, limits: Any, sandbox: Any, said: str
) -> None:
    agent = await serve("all", BOX)
    for tool, arguments in (
        ("create_notebook", {"name": "a"}),
        ("start_kernel", {}),
        ("open_notebook", {"notebook": "a.ipynb"}),
    ):
        refused = await agent(tool, **arguments, limits=limits, sandbox=sandbox)
        assert refused.refused("limit_exceeded"), refused.text
        assert said in refused.text
        assert "Only the person can change that" in refused.text
        assert ("--max-memory" in refused.text) == ("memory" in said)
    assert machine.started == []
    assert (await agent("list_notebooks")).data == {"notebooks": []}


async def test_what_cannot_be_read_starts_nothing(serve: Serve, machine: Machine) -> None:
    agent = await serve()
    refused = await agent("create_notebook", name="a", limits={"memory": "much"})
    assert refused.refused("bad_request")
    assert "memory: 'much' is no size. Write it such as \"2GB\"" in refused.text
    assert machine.started == []


# Sessions


async def test_each_kernel_of_a_session_has_its_limits_and_kernel_status_tells_them(
    serve: Serve, machine: Machine
) -> None:
    agent = await serve()
    data = (await agent("create_notebook", name="a", limits={"memory": "1GB", "cell_seconds": "30s"})).data
    assert "limits: memory 1 GB, cell_seconds 30 s" in (await agent("kernel_status")).text
    await agent("close_notebook", notebook=data["kernel"])
    other = await serve("all", CEILING)
    assert not (await other("open_notebook", notebook=data["kernel"])).failed
    await other("close_notebook", notebook=data["kernel"])
    await agent("open_notebook", notebook=data["kernel"], limits={"memory": "500MB"})
    assert machine.started == [
        bounds_of("memory=1GB,cell_seconds=30s"),
        bounds_of("memory=1GB,cell_seconds=30s"),
        bounds_of("memory=500MB,cell_seconds=30s"),
    ]


async def test_a_kernel_that_runs_with_more_than_was_asked_for_is_not_taken_for_one_with_less(
    serve: Serve, machine: Machine
) -> None:
    agent = await serve()
    data = (await agent("create_notebook", name="a")).data
    refused = await agent("open_notebook", notebook=data["kernel"], limits={"memory": "1GB"})
    assert refused.refused("limit_unavailable"), refused.text
    assert "a.ipynb has a kernel" in refused.text
    assert "close_notebook ends that kernel" in refused.text
    assert machine.ended == 0


async def test_a_kernel_that_knows_nothing_of_limits_is_ended_before_anything_runs(
    serve: Serve, machine: Machine, kernel: FakeKernel
) -> None:
    machine.old = True
    agent = await serve()
    refused = await agent("create_notebook", name="a", limits={"memory": "1GB"})
    assert refused.refused("limit_unavailable"), refused.text
    assert "The kernel is not held to memory" in refused.text
    assert machine.ended == 1
    assert "load_document" not in kernel.asked
    assert "There is none" in (await agent("list_notebooks")).text


async def test_a_started_kernel_has_the_limits_or_is_ended(
    serve: Serve, kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # as the product does

    asked: list[Any] = []

    async def start(_: StartedKernels, *arguments: Any) -> Any:
        asked.append(arguments)
        return read_connection(connection_file)

    monkeypatch.setattr(StartedKernels, "start", start)
    agent = await serve("all", CEILING)
    kernel.description = said_by(bounds_of("memory=1GB,cell_seconds=5m"))
    assert not (await agent("start_kernel", limits={"memory": "1GB"})).failed
    assert asked == [(None, None, None, bounds_of("memory=1GB,cell_seconds=5m"))]
    kernel.description = DESCRIPTION
    assert (await agent("start_kernel")).refused("limit_unavailable")


async def test_no_more_kernels_than_the_person_allows_are_started(serve: Serve, machine: Machine) -> None:
    agent = await serve("all", Ceilings(sessions=1))
    assert not (await agent("create_notebook", name="a")).failed
    assert (await agent("create_notebook", name="b")).refused("too_many_sessions")
    assert (await agent("start_kernel")).refused("too_many_sessions")
    assert len(machine.started) == 1


def test_kernels_without_a_session_count_too(tmp_path: Path) -> None:
    Sessions(most=2, folder=tmp_path, others=lambda: 1).require_room()
    sessions = Sessions(most=2, folder=tmp_path, others=lambda: 2)
    with pytest.raises(BridgeError, match="2 sessions have kernels, as many as may have"):
        sessions.require_room()


def test_only_this_packages_kernel_can_be_held_to_anything() -> None:
    bounds = Bounds(Limits(memory=10**9))
    ours: Any = SimpleNamespace(
        argv=["python", "-m", "marimo_kernel_bridge", "kernel"], display_name="marimo"
    )
    other: Any = SimpleNamespace(argv=["python", "-m", "ipykernel_launcher"], display_name="Python 3")
    assert arguments_for(ours, bounds) == ['--limits={"memory":1000000000}']
    assert arguments_for(other, None) == arguments_for(other, Bounds()) == []
    with pytest.raises(BridgeError, match="Python 3 is not this package's kernel") as refused:
        arguments_for(other, bounds)
    assert refused.value.code == "limit_unavailable"


# With a sandbox


async def test_with_a_sandbox_agents_that_may_run_code_may_have_kernels_and_run_in_these_alone(
    serve: Serve, machine: Machine, kernel: FakeKernel, connection_file: str
) -> None:
    agent = await serve("run", BOX)
    created = await agent("create_notebook", name="a")
    assert not created.failed, created.text
    assert machine.started == [BOX.asked(None, None)]
    assert not (await agent("execute_code", code="1")).refused("not_allowed")
    assert not (await agent("close_notebook", notebook=created.data["kernel"])).failed

    kernel.description = DESCRIPTION  # the person's own
    assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
    asked = len(kernel.asked)
    for tool, arguments in (
        ("execute_code", {"code": "1"}),
        ("run_cells", {}),
        ("control_kernel", {"action": "restart"}),
    ):
        refused = await agent(tool, **arguments)
        assert refused.refused("not_allowed"), (tool, refused.text)
        assert "run in this server's sandbox only" in refused.text
    assert set(kernel.asked[asked:]) <= {"describe"}
    assert not (await agent("list_cells")).failed
    kernel.description = said_by(bounds_of(None, "network=all"))
    assert "(sandbox.network)" in (await agent("execute_code", code="1")).text


async def test_without_a_sandbox_starting_kernels_needs_all(serve: Serve) -> None:
    agent = await serve("run", CEILING)
    assert (await agent("create_notebook", name="a")).refused("not_allowed")
    assert (await agent("start_kernel")).refused("not_allowed")


async def test_with_a_sandbox_agents_end_no_notebook_outside_of_it(serve: Serve, machine: Machine) -> None:
    other = await serve("all")
    data = (await other("create_notebook", name="a")).data
    agent = await serve("run", BOX)
    for tool in ("close_notebook", "delete_notebook"):
        assert (await agent(tool, notebook=data["kernel"])).refused("not_allowed")
    assert machine.ended == 0


@pytest.mark.parametrize("where", ["..", "/", "link", "/tmp", "a/../..", "\0"])
async def test_with_a_sandbox_kernels_work_only_below_the_folder_that_the_person_gave(
    serve: Serve, machine: Machine, folder: Path, where: str
) -> None:
    (folder / "link").symlink_to(folder.parent)
    (folder.parent / "b.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    agent = await serve("run", BOX)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_notebook", {"name": "a", "folder": where}),
        ("start_kernel", {"directory": where}),
        ("open_notebook", {"notebook": f"{where}/b.ipynb"}),
    ]
    for tool, arguments in calls:
        refused = await agent(tool, **arguments)
        assert refused.refused("not_allowed"), (tool, refused.text)
        assert str(folder) in refused.text
    assert machine.started == []


async def test_with_a_sandbox_an_interpreter_is_not_started_to_be_looked_at_unless_the_person_installed_it(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(program: object) -> Any:
        raise AssertionError(f"started {program}")

    monkeypatch.setattr(kernelspecs, "_look", refuse)
    python = folder / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    agent = await serve("run", BOX)
    for tool, arguments in (("start_kernel", {}), ("create_notebook", {"name": "a"})):
        refused = await agent(tool, **arguments, interpreter=str(python))
        assert refused.refused("not_allowed"), refused.text
        assert "that of an installed kernelspec" in refused.text


async def test_with_a_sandbox_tools_of_files_reach_no_more_than_its_code(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*arguments: Any, **_: Any) -> Any:
        raise AssertionError(f"ran {arguments}")

    monkeypatch.setattr(files, "run_command", refuse)
    monkeypatch.setattr(imports, "run_command", refuse)
    other = folder.parent / "other.ipynb"
    table = folder.parent / "table.csv"
    for path in (other, table, folder / "mine.ipynb"):
        path.write_text("a,b\n1,2\n")
    agent = await serve("run", BOX)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("import_notebook", {"file": str(other)}),
        ("import_notebook", {"file": "mine.ipynb", "output": str(folder.parent / "made.py")}),
        ("import_notebook", {"content": "{}", "format": "ipynb", "output": "../made.py"}),
        ("import_notebook", {"file": "mine.ipynb", "verify": True}),
        ("export_notebook", {"file": str(other)}),
        ("export_notebook", {"file": "mine.ipynb", "format": "py", "output": str(folder.parent / "made.py")}),
        ("view_data", {"data": str(table)}),
        ("connect_to_kernel", {"server_url": "http://example.org:8888/?token=a"}),
        ("list_cells", {"kernel": "http://example.org:8888/?token=a"}),
    ]
    for tool, arguments in calls:
        refused = await agent(tool, **arguments)
        assert refused.refused("not_allowed"), (tool, arguments, refused.text)


def test_each_tool_that_may_do_something_is_about_a_kernel_or_keeps_to_the_sandbox_by_itself() -> None:
    """What a new tool that runs code, writes files or connects to addresses has to decide: by default it is refused in a sandbox."""
    tiers = {"scratch", "run", "all"}
    beyond = {
        declaration.name
        for declaration in TOOLS
        if (callable(declaration.needs) or declaration.needs in tiers)
        and not (declaration.for_a_kernel or declaration.in_sandbox)
    }
    assert beyond == {"connect_to_kernel"}, "joins elsewhere are refused"


def test_a_path_that_is_turned_elsewhere_after_it_was_looked_at_is_not_written_through(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    for made in (folder / "sub", elsewhere):
        made.mkdir()
    with pinned(folder / "sub" / "a.ipynb", folder) as place:
        (folder / "sub").rename(folder / "moved")
        (folder / "sub").symlink_to(elsewhere)
        write_whole(place, "{}", overwrite=False)
    assert [path.name for path in elsewhere.iterdir()] == []
    assert (folder / "moved" / "a.ipynb").read_text() == "{}"
    with pytest.raises(BridgeError, match="is not in") as refused, pinned(folder / "sub" / "b.ipynb", folder):
        raise AssertionError("opened")
    assert refused.value.code == "not_allowed"
    with (
        pytest.raises(BridgeError, match=r"moved/a\.ipynb exists"),
        pinned(folder / "moved/a.ipynb", folder) as place,
    ):
        write_whole(place, "{}", overwrite=False)


def test_a_file_that_has_become_a_link_is_not_read(folder: Path) -> None:
    (folder.parent / "secret.ipynb").write_text("{}")
    (folder / "a.ipynb").symlink_to(folder.parent / "secret.ipynb")
    with pinned(folder / "a.ipynb", folder) as place, pytest.raises(OSError, match="not a regular file"):
        read_bytes(place, 1000, links=False)


def copy(file: Path, output: Path) -> None:
    output.write_text(file.read_text())


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_an_import_in_a_sandbox_is_of_a_copy_and_goes_where_it_was_to_go(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    async def run(_: Any, *arguments: str, bound: float) -> ImportReport:
        assert bound
        seen.append(list(arguments))
        given = Path(arguments[1])
        output = Path(arguments[arguments.index("-o") + 1]) if "-o" in arguments else given.with_suffix(".py")
        copy(given, output)
        return ImportReport(
            str(given),
            str(output),
            written=True,
            complete=True,
            cells=(),
            added=(),
            marimo_check=MarimoCheck(passes=True, findings=()),
        )

    monkeypatch.setattr(imports, "run_command", run)
    (folder / "mine.ipynb").write_text("{}")
    agent = await serve("run", BOX)
    first = await agent("import_notebook", file="mine.ipynb")
    assert (first.data["notebook"], first.data["output"]) == ("mine.ipynb", "mine.py"), first.text
    second = await agent("import_notebook", file="mine.ipynb", output="other.py")
    assert second.data["output"] == str(folder / "other.py"), second.text
    assert (await agent("import_notebook", file="mine.ipynb", output="other.py")).refused("output_exists")
    content = await agent("import_notebook", content=CELLS, format="ipynb", output="third.py")
    assert content.data["output"] == str(folder / "third.py"), content.text
    assert names_in(folder) == ["mine.ipynb", "mine.py", "other.py", "third.py"]
    assert not any(Path(arguments[1]).is_relative_to(folder) for arguments in seen)
