"""Which kernel a call means by whatever name, for clients that never connect and open a session for each call."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.client.discovery import FoundKernel
from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.client.life import KernelInfo
from marimo_kernel_bridge.client.notebook_names import is_called, path_in
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.entries import Session, SessionKernel, id_of
from marimo_kernel_bridge.launch.sessions.processes import started
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.mcp_server.attachments import Kernels
from marimo_kernel_bridge.mcp_server.callers import Caller, mark_of
from marimo_kernel_bridge.mcp_server.which_kernel import handle_of
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from marimo_kernel_bridge.mcp_server.tool import Tier
    from tests.unit.mcp_server.conftest import Serve

    Run = Callable[..., Path]

pytestmark = pytest.mark.anyio

INFO = KernelInfo("marimo_kernel_bridge", "1", "python", "3.11", session="process 1")
EMPTY = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
BOUND = 60.0


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Have a kernel run: `run("1234", notebook="/home/ada/a.ipynb")`; returns its connection file."""
    found: list[FoundKernel] = []

    async def find_kernels() -> list[FoundKernel]:
        return list(found)

    async def notebooks_by_kernel() -> dict[str, str]:
        return {one.kernel_id: one.notebook for one in found if one.notebook is not None}

    monkeypatch.setattr(discovery, "find_kernels", find_kernels)
    monkeypatch.setattr(discovery, "notebooks_by_kernel", notebooks_by_kernel)
    with ExitStack() as stack:

        def run(kernel_id: str, notebook: str | None = None, folder: Path | None = None) -> Path:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports = {
                f"{name}_port": listening.getsockname()[1]
                for name in ("shell", "iopub", "stdin", "control", "hb")
            }
            path = (folder or tmp_path / "runtime") / f"kernel-{kernel_id}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(ports | {"ip": "127.0.0.1", "key": "k"}))
            path.chmod(0o600)
            if folder is None:
                found.append(FoundKernel(path.resolve(), kernel_id, notebook, INFO))
            return path

        yield run


# Without a name


async def test_with_one_kernel_nothing_need_be_connected_and_the_first_answer_says_which_it_is(
    serve: Serve, kernel: FakeKernel, run: Run
) -> None:
    run("1234", "/home/ada/orders.ipynb")
    kernel.add("aaaa", "x = 1")
    agent = await serve()
    kernel.executions["1"] = Execution()
    answer = await agent("execute_code", code="1", scratch=True)
    assert "Joined /home/ada/orders.ipynb, the only kernel here, as k1." in answer.text
    again = await agent("execute_code", code="1", scratch=True)
    assert "Joined" not in again.text
    assert [cell["cell_id"] for cell in (await agent("list_cells")).data["cells"]] == ["aaaa"]


async def test_connect_to_kernel_without_arguments_joins_the_only_one(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    joined = await (await serve())("connect_to_kernel")
    assert (joined.data["kernel"], joined.data["notebook"]) == ("k1", "/home/ada/orders.ipynb")


async def test_of_several_kernels_none_is_taken_and_all_are_named(
    serve: Serve, kernel: FakeKernel, run: Run
) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    agent = await serve()
    for tool, arguments in (("list_cells", {}), ("execute_code", {"code": "1"}), ("connect_to_kernel", {})):
        refused = await agent(tool, **arguments)
        assert refused.refused("not_connected")
        assert "/home/ada/orders.ipynb, kernel-5678.json" in refused.text
    assert kernel.asked == []


async def test_of_several_attached_kernels_each_is_named_by_its_notebook(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    agent = await serve()
    for name in ("1234", "5678"):
        await agent("connect_to_kernel", connection_file=name)
    assert "k1 (orders.ipynb), k2 (kernel-5678.json)" in (await agent("list_cells")).text


async def test_an_attached_kernel_is_meant_however_many_others_run(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    agent = await serve()
    await agent("connect_to_kernel", connection_file="5678")
    assert (await agent("kernel_status")).data["connection_file"].endswith("kernel-5678.json")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("control_kernel", {"action": "shut_down"}),
        ("delete_checkpoint", {"name": "a"}),
        ("disconnect_kernel", {}),
    ],
)
async def test_what_ends_or_deletes_something_joins_only_what_it_names(
    serve: Serve, run: Run, tool: str, arguments: dict[str, str]
) -> None:
    run("1234")
    assert (await (await serve("all"))(tool, **arguments)).refused("not_connected")


async def test_what_is_about_a_file_joins_no_kernel(
    serve: Serve, kernel: FakeKernel, run: Run, folder: Path
) -> None:
    run("1234")
    agent = await serve()
    await agent("export_notebook", file="nosuch.ipynb")
    await agent("view_data", data="nosuch.csv")
    assert kernel.asked == []
    assert (await agent("disconnect_kernel")).refused("not_connected")


# By a name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the working directory."""
    folder = tmp_path / "deep"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "1234",
        "kernel-1234.json",
        "{file}",
        "{notebook}",
        "orders.ipynb",
        "./orders.ipynb",
        "deep/orders.ipynb",
        "file://{notebook}",
        "file://localhost{notebook}",
        "FILE:{notebook}",
        "../deep/orders.ipynb",
        " orders.ipynb ",
    ],
)
async def test_a_client_that_opens_a_session_for_each_call_names_the_kernel(
    serve: Serve, kernel: FakeKernel, run: Run, folder: Path, name: str
) -> None:
    notebook = folder / "orders.ipynb"
    file = run("1234", str(notebook))
    run("5678", "/home/ben/other.ipynb")
    kernel.add("aaaa", "x = 1")
    called = name.format(file=file, notebook=notebook)
    for tool, arguments in (("list_cells", {}), ("read_cell", {"cell_id": "aaaa"})):
        answer = await (await serve())(tool, kernel=called, **arguments)
        assert not answer.failed, answer.text


async def test_the_status_of_a_named_kernel_has_its_handle_and_its_notebook(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    status = await (await serve())("kernel_status", kernel="1234")
    assert (status.data["kernel"], status.data["notebook"]) == ("k1", "/home/ada/orders.ipynb")


async def test_two_names_of_one_kernel_are_one_attachment(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    agent = await serve()
    names = ["orders.ipynb", "1234", "kernel-1234.json", "file:///home/ada/orders.ipynb", "k1"]
    assert {(await agent("kernel_status", kernel=name)).data["kernel"] for name in names} == {"k1"}


@pytest.mark.parametrize("name", ["k9", "nosuch.ipynb", "kernel-9.json", "9999", "a\0b", "x" * 10_000])
async def test_a_name_that_no_kernel_has_is_refused_with_those_that_there_are(
    serve: Serve, kernel: FakeKernel, run: Run, name: str
) -> None:
    run("1234", "/home/ada/orders.ipynb")
    refused = await (await serve())("list_cells", kernel=name)
    assert refused.refused("not_connected")
    assert "/home/ada/orders.ipynb" in refused.text
    assert len(refused.text) < 1000
    assert kernel.asked == []


async def test_a_name_of_several_notebooks_is_refused(serve: Serve, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678", "/home/ben/orders.ipynb")
    refused = await (await serve())("list_cells", kernel="orders.ipynb")
    assert refused.refused("not_connected")
    assert "/home/ada/orders.ipynb, /home/ben/orders.ipynb" in refused.text


async def test_joining_by_a_name_needs_the_permission_that_connecting_needs(
    serve: Serve, kernel: FakeKernel, run: Run, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = run("1234", folder=elsewhere)
    reader = await serve("read")
    assert (await reader("connect_to_kernel", connection_file=str(file))).refused("not_allowed")
    assert (await reader("list_cells", kernel=str(file))).refused("not_allowed")
    assert (await reader("list_cells", kernel="http://other.invalid:8888/lab/tree/a.ipynb")).refused(
        "not_allowed"
    )
    assert kernel.asked == []
    assert not (await (await serve("run"))("list_cells", kernel=str(file))).failed


async def test_a_session_of_create_notebook_is_called_by_its_id_its_path_or_nothing(
    serve: Serve, kernel: FakeKernel, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "penguins.ipynb"
    path.write_text(EMPTY)
    own = SessionKernel(str(run("1234", str(path)).resolve()), os.getpid(), started(os.getpid()) or "")
    session = Session(id=id_of(path), path=str(path), name="penguins", created=0.0, used=0.0, kernel=own)
    Registry().put(session)
    for name in (None, session.id, str(path), "penguins.ipynb", "penguins"):
        if name is not None:
            run(f"beside {name}".replace("/", " "))
        status = await (await serve())("kernel_status", kernel=name)
        assert status.data["kernel"] == session.id
        assert status.data["notebook"] == str(path)


async def test_a_session_without_a_kernel_is_told_with_how_to_open_it(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "penguins.ipynb"
    session = Session(id=id_of(path), path=str(path), name="penguins", created=0.0, used=0.0)
    Registry().put(session)
    for name in ("penguins", "penguins.ipynb", str(path)):
        refused = await (await serve())("list_cells", kernel=name)
        assert refused.refused("not_connected")
        assert f"open_notebook('{session.id}')" in refused.text


@pytest.mark.parametrize("nothing", ["", "null", "None", " none "])
async def test_what_models_send_for_no_kernel_names_none(serve: Serve, run: Run, nothing: str) -> None:
    run("1234")
    agent = await serve()
    assert (await agent("kernel_status", kernel=nothing)).data["kernel"] == "k1"
    assert not (await agent("disconnect_kernel", kernel=nothing)).failed


async def test_resources_take_each_name_of_a_kernel_too(serve: Serve, kernel: FakeKernel, run: Run) -> None:
    run("1234", "/home/ada/orders.ipynb")
    run("5678")
    kernel.add("aaaa", "x = 1")
    for name in ("1234", "orders.ipynb", "%2Fhome%2Fada%2Forders.ipynb"):
        agent = await serve()
        (content,) = (await agent.client.read_resource(f"marimo://{name}/notebook")).contents
        assert "aaaa" in content.model_dump_json()


# Sessions


def require(_: Tier) -> None:
    """Allow everything."""


async def test_a_handle_is_handed_on_when_its_session_has_ended_to_the_same_program_only(
    kernel: FakeKernel, run: Run
) -> None:
    endpoint = read_connection(run("1234"))
    run("5678")
    kernels = Kernels(attach=kernel.attach)
    ann, other, ben = (
        Caller(f"{name} {mark_of(session)}")
        for name, session in (("mcp", "s1"), ("mcp", "s2"), ("ben", "s3"))
    )
    handle = (await kernels.connect(endpoint, ann.name)).handle

    async def refused(caller: Caller) -> bool:
        with pytest.raises(BridgeError) as refusal:
            await handle_of(kernels, handle, caller, require)
        return refusal.value.code == "not_connected"

    assert await refused(other), "its session is open"
    kernels.end_session("s1")
    async with asyncio.timeout(BOUND):
        while kernels.of(ann.name):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
    assert await refused(ben)
    assert await handle_of(kernels, handle, other, require) == handle
    assert kernels.of(other.name)[0].client.connection == endpoint
    await kernels.close()


async def test_who_comes_back_to_a_kernel_that_was_restarted_meanwhile_is_told_before_code_runs(
    kernel: FakeKernel, run: Run
) -> None:
    kernels = Kernels(attach=kernel.attach)
    first, second = (Caller(f"mcp {mark_of(session)}") for session in ("s1", "s2"))
    handle = (await kernels.connect(read_connection(run("1234")), first.name)).handle
    kernels.end_session("s1")
    async with asyncio.timeout(BOUND):
        while kernels.of(first.name):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
    await kernel.restart()
    await handle_of(kernels, handle, second, require)
    attached = kernels.get(handle, second.name)
    with pytest.raises(BridgeError, match="was restarted since the last call") as refusal:
        await attached.require_known()
    assert refusal.value.code == "kernel_dead"
    await attached.require_known()
    await kernels.close()


async def test_a_session_that_ends_keeps_its_kernel_until_its_run_is_over(
    kernel: FakeKernel, run: Run
) -> None:
    kernels = Kernels(attach=kernel.attach)
    name = f"mcp {mark_of('s1')}"
    attached = await kernels.connect(read_connection(run("1234")), name)
    kernel.executions["held"] = Execution(held=True)
    held = await attached.client.execute("held")
    kernels.end_session("s1")
    for _ in range(100):  # turns of the loop, in which it would be detached
        await asyncio.sleep(0)
    assert kernels.of(name)
    kernel.release()
    async with asyncio.timeout(BOUND):
        assert await attached.client.runs.wait(held, BOUND)
        while kernels.of(name):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)
    await kernels.close()


async def test_more_sessions_than_there_may_be_attachments_follow_each_other(
    kernel: FakeKernel, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.mcp_server.attachments.MOST_ATTACHED", 2)
    endpoint = read_connection(run("1234"))
    kernels = Kernels(attach=kernel.attach)
    async with asyncio.timeout(BOUND):
        for number in range(8):
            name = f"mcp {mark_of(str(number))}"
            await handle_of(kernels, "1234", Caller(name), require)
            assert kernels.at(endpoint.where, name) is not None
            kernels.end_session(str(number))
            while kernels.of(name):  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0)
    await kernels.close()


# Requests without a session

STATELESS = Caller("mcp", in_session=False)


async def test_without_a_session_no_kernel_is_meant_because_of_an_earlier_request(
    kernel: FakeKernel, run: Run
) -> None:
    kernels = Kernels(attach=kernel.attach)
    first, _ = run("1234"), run("5678")
    assert (await kernels.connect(read_connection(first), "mcp")).handle == "k1"
    with pytest.raises(BridgeError, match=r"kernel-1234\.json, kernel-5678\.json") as refusal:
        await handle_of(kernels, None, STATELESS, require)
    assert refusal.value.code == "not_connected"
    assert await handle_of(kernels, "k1", STATELESS, require) == "k1"
    with pytest.raises(BridgeError):
        await handle_of(kernels, None, STATELESS, require, joins=False)
    await kernels.close()


async def test_without_a_session_the_only_kernel_that_is_known_is_meant(
    kernel: FakeKernel, run: Run, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kernels = Kernels(attach=kernel.attach)
    await kernels.connect(read_connection(run("1234", folder=elsewhere)), "mcp")
    assert await handle_of(kernels, None, STATELESS, require) == "k1"
    with pytest.raises(BridgeError, match="does not say which kernel"):
        await handle_of(kernels, None, STATELESS, require, joins=False)
    await kernels.close()


async def test_a_kernel_that_was_reached_with_a_callers_token_is_nobody_elses(
    kernel: FakeKernel,
) -> None:
    kernels = Kernels(attach=kernel.attach)
    endpoint = ServerKernel(JupyterServer("http://hub.invalid", "a token"), "k-1")
    attached = await kernels.connect(endpoint, "mcp", hidden=True)
    assert len(attached.handle) > 16
    assert await handle_of(kernels, None, STATELESS, require) is None
    for named in ("k1", "k-1"):
        with pytest.raises(BridgeError) as refusal:
            await handle_of(kernels, named, STATELESS, require)
        assert attached.handle not in str(refusal.value)
    assert await handle_of(kernels, attached.handle, STATELESS, require) == attached.handle
    in_session = await kernels.connect(endpoint, f"mcp {mark_of('s1')}")
    kernels.end_session("s1")
    assert kernels.handed_on(in_session.handle, "mcp") is None
    await kernels.close()


# Names


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("file:///home/a%20b/x.ipynb", "/home/a b/x.ipynb"),
        ("file://other/x.ipynb", "file://other/x.ipynb"),
        ("file:///x%00.ipynb", "file:///x%00.ipynb"),
        ("file://[x", "file://[x"),
        ("~nobody-of-this-name/x", "~nobody-of-this-name/x"),
        (" x.ipynb\n", "x.ipynb"),
    ],
)
def test_a_name_is_a_path_or_a_uri_of_one_here(name: str, path: str) -> None:
    assert path_in(name) == path


def test_a_name_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert path_in("~/x.ipynb") == "/home/ada/x.ipynb"
    for name in ("~root/x.ipynb", "~nobody-here/x.ipynb", "~x.ipynb", "x~/y.ipynb"):
        assert path_in(name) == name


def test_a_link_to_a_notebook_is_a_name_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").touch()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "x.ipynb")
    assert is_called(str(tmp_path / "x.ipynb"), str(tmp_path / "link.ipynb"))
    assert not is_called(str(tmp_path / "x.ipynb"), "y.ipynb")
    assert not is_called("x.ipynb", "a\0b")


def test_the_path_that_a_kernel_says_is_compared_and_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look reaches what is mounted there, which may be another machine; a megabyte of slashes took minutes."""
    (tmp_path / "x.ipynb").touch()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "x.ipynb")
    looked_at: list[str] = []
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: looked_at.append(path) or real(path))
    name = str(tmp_path / "link.ipynb")
    assert is_called(str(tmp_path / "sub" / ".." / "x.ipynb"), name, looks=False)
    assert not is_called("/net/evil.example/x.ipynb", name, looks=False)
    assert set(looked_at) == {name}
    for path in ("/" * 1_000_000, "/a" * 500_000, "/" + "../" * 300_000):
        assert not is_called(path, "b.ipynb")
        assert not is_called("/a/b.ipynb", path_in(f"file:{path}"))
        assert path_in(f"file:{'%41' * 300_000}").startswith("file:")
