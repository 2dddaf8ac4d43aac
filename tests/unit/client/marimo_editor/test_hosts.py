"""marimo's servers of this user: which records are taken, and which notebook is meant."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client.marimo_editor import host
from marimo_kernel_bridge.client.marimo_editor.host import Host, MarimoNotebook
from marimo_kernel_bridge.errors import BridgeError
from tests.unit.client.marimo_editor.served_host import NOTEBOOK, TOKEN, ServedHost, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOBODY = 2**22 + 1
"""A process id that no system gives."""


@pytest.fixture
async def served() -> AsyncIterator[ServedHost]:
    async with serving() as served:
        yield served


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


async def test_a_running_notebook_is_found_by_its_path_its_id_and_its_address(
    served: ServedHost, state: Path
) -> None:
    served.record(state)
    (found,) = await host.running_notebooks()
    assert found == served.notebook
    for name in (
        "a.py",
        "plots/a.py",
        "/home/ada/plots/a.py",
        NOTEBOOK,
        f"http://localhost:{served.port}/?access_token=x&file=plots%2Fa.py",
        f"http://127.0.0.1:{served.port}",
    ):
        assert await host.notebook_called(name) == found
    for name in (
        "b.py",
        "nb-1",
        f"http://example.org:{served.port}/",
        f"http://localhost:{served.port}/?file=b.py",
    ):
        assert await host.notebook_called(name) is None


async def test_only_notebooks_that_run_are_found(served: ServedHost, state: Path) -> None:
    served.record(state)
    served.remove("runtime", "rt-1")
    assert await host.running_notebooks() == []


async def test_two_notebooks_of_a_name_are_told_apart_by_their_paths(served: ServedHost, state: Path) -> None:
    served.record(state)
    served.put("notebook", {"id": "nb-2", "project_id": "proj-1", "path": "other/a.py"})
    served.put("runtime", {"id": "rt-2", "notebook_id": "nb-2", "status": "running"})
    with pytest.raises(BridgeError, match=r"other/a\.py, /home/ada/plots/a\.py"):
        await host.notebook_called("a.py")
    assert await host.notebook_called("plots/a.py") == served.notebook


async def test_a_server_that_refuses_the_secret_or_sends_anything_has_no_notebooks(
    served: ServedHost, state: Path
) -> None:
    served.record(state, token="another")
    assert await host.running_notebooks() == []
    served.record(state)
    served.put("notebook", {"id": 3})
    assert await host.running_notebooks() == []


@pytest.mark.parametrize(
    "different",
    [
        {"url": "http://example.org:1/api/marimo/v1"},
        {"url": "https://127.0.0.1:1/api/marimo/v1"},
        {"url": "http://[::1"},
        {"version": 2},
        {"token": ""},
        {"process": {"pid": NOBODY}},
    ],
)
def test_a_record_of_another_kind_is_not_used(state: Path, different: dict[str, Any]) -> None:
    ServedHost(1).record(state, **different)
    assert host.hosts() == []


def test_a_record_that_others_can_read_is_not_used(state: Path) -> None:
    path = ServedHost(1).record(state)
    assert [one.token for one in host.hosts()] == [TOKEN]
    path.chmod(0o644)
    assert host.hosts() == []
    path.chmod(0o600)
    path.write_text("{")
    assert host.hosts() == []


def test_servers_that_cannot_be_joined_are_named(state: Path) -> None:
    folder = state / "marimo" / "servers"
    folder.mkdir(parents=True)
    for port, pid in ((1, os.getpid()), (2, os.getpid()), (3, NOBODY)):
        record = {"pid": pid, "host": "127.0.0.1", "port": port, "base_url": "/x"}
        (folder / f"{port}.json").write_text(json.dumps(record))
    ServedHost(1).record(state)
    assert host.servers_without_host() == ["http://127.0.0.1:2/x"]
    assert "MARIMO_ENABLE_HOST=1" in host.how_to_join("plots/a.py")
    assert host.how_to_join("a.ipynb") == ""


async def test_the_secret_is_in_no_text(served: ServedHost) -> None:
    served.token = "another"
    with pytest.raises(BridgeError) as refusal:
        await served.notebook.host.send("POST", "notebooks/a/save", {})
    shown = f"{refusal.value} {served.notebook!r} {served.notebook.name} {served.notebook.where}"
    assert TOKEN not in shown


async def test_what_is_no_http_and_nobody_there_are_refusals() -> None:
    nobody = Host("http://127.0.0.1:1/api/marimo/v1", 1, TOKEN)
    assert await nobody.answers(5.0) is False
    with pytest.raises(BridgeError, match="does not answer"):
        await nobody.send("POST", "x")
    assert MarimoNotebook(nobody, "nb-1").name == "marimo notebook nb-1 at port 1"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_10.0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a" * 10**6,
        b"",
    ],
)
async def test_another_program_at_the_port_is_a_refusal(answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        other = Host(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x", 1, TOKEN)
        with pytest.raises(BridgeError, match="does not answer"):
            await other.send("POST", "x", {})
        assert await other.answers(5.0) is False


async def test_a_body_that_ends_with_the_connection_is_read_whole() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10**5)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        other = Host(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x", 1, TOKEN)
        assert len(await other.send("GET", "x")) == 10**5
