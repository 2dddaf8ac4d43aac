"""The relay between VS Code's extension and the kernels of its notebooks. The kernels are in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from marimo_kernel_bridge.client import document_relay
from marimo_kernel_bridge.client import relay_lines as lines
from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.client.document_relay import Relay
from marimo_kernel_bridge.protocol.document import DOCUMENT
from tests.unit.client.conftest import FakeChannels
from tests.unit.mcp_server.fake_kernel import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from marimo_kernel_bridge.client.endpoint import Endpoint

pytestmark = pytest.mark.anyio


class Kernels:
    """The connection files and the kernels behind them, and what the relay says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []
        self.channels: dict[str, FakeChannels] = {}
        self.opened: list[str] = []
        self.said: list[Any] = []
        self._news = asyncio.Event()

    def started(self, kernel_id: str, notebook: str | None, **changes: Any) -> FakeChannels:
        path = self._folder / f"kernel-{kernel_id}.json"
        path.touch()
        self.files.insert(0, path)
        channels = self.channels[path.name] = FakeChannels(path.name, **changes)
        self.belongs(channels, notebook)
        return channels

    def belongs(self, channels: FakeChannels, notebook: str | None, pid: int = 1) -> None:
        channels.answers["describe"] = replace(DESCRIPTION, notebook=notebook, pid=pid)

    def say(self, said: lines.Said) -> None:
        self.said.append(json.loads(lines.encoded(said)))
        self._news.set()

    def open_channels(self, endpoint: Endpoint, username: str) -> FakeChannels:
        assert isinstance(endpoint, Connection)
        assert username == ""  # an unnamed client is no agent
        self.opened.append(endpoint.kernel_id)
        return self.channels[endpoint.name]

    def of(self, kind: str) -> list[Any]:
        return [one for one in self.said if one["say"] == kind]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    kernels = Kernels(tmp_path)

    async def listens(connection: Connection) -> bool:
        return kernels.channels[connection.name].there

    def read_connection(path: Path) -> Connection:
        return Connection(path, "tcp", "127.0.0.1", {}, "hmac-sha256", "", b"")

    monkeypatch.setattr(document_relay, "connection_files", lambda: list(kernels.files))
    monkeypatch.setattr(document_relay, "read_connection", read_connection)
    monkeypatch.setattr(document_relay, "listens", listens)
    monkeypatch.setattr(document_relay, "_FIRST_PAUSE", 0.01)
    return kernels


@asynccontextmanager
async def relaying(kernels: Kernels, *notebooks: str) -> AsyncIterator[Relay]:
    async with Relay(kernels.say, kernels.open_channels) as relay:
        for notebook in notebooks:
            relay.take(lines.Watch(notebook))
        yield relay


async def test_the_kernel_that_describes_itself_by_a_notebook_is_the_notebooks(kernels: Kernels) -> None:
    kernels.started("one", "/other.ipynb")
    kernels.started("two", "/n.ipynb")
    async with relaying(kernels, "/n.ipynb"):
        await kernels.until(lambda: kernels.of("kernel"))
    assert kernels.said[0]["say"] == "hello"
    assert kernels.of("kernel") == [
        {"say": "kernel", "notebook": "/n.ipynb", "kernel": "two", "problem": None}
    ]


async def test_a_kernel_that_learns_of_its_notebook_later_is_found_then(kernels: Kernels) -> None:
    one = kernels.started("one", None)
    async with relaying(kernels, "/n.ipynb"):
        await asyncio.sleep(0)
        kernels.belongs(one, "/n.ipynb")
        await kernels.until(lambda: kernels.of("kernel"))
    assert kernels.opened == ["one"]


async def test_of_two_kernels_of_a_file_the_windows_own_is_taken_else_the_newest(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels.belongs(kernels.started("own", None), "/n.ipynb", pid=7)
    kernels.started("newer", "/n.ipynb")
    kernels.started("older", "/m.ipynb")
    kernels.started("newest", "/m.ipynb")
    monkeypatch.setattr(document_relay, "_is_of_our_parent", lambda pid: pid == 7)
    async with relaying(kernels, "/n.ipynb", "/m.ipynb"):
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
    assert {one["notebook"]: one["kernel"] for one in kernels.of("kernel")} == {
        "/n.ipynb": "own",
        "/m.ipynb": "newest",
    }


async def test_a_window_that_starts_a_kernel_of_its_own_gets_that_one_instead_of_another_windows(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels.started("another windows", "/n.ipynb")
    monkeypatch.setattr(document_relay, "_is_of_our_parent", lambda pid: pid == 7)
    async with relaying(kernels, "/n.ipynb") as relay:
        await kernels.until(lambda: kernels.of("kernel"))
        kernels.belongs(kernels.started("own", None), "/n.ipynb", pid=7)
        relay.take(lines.Watch(notebook="/n.ipynb"))
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
    assert [one["kernel"] for one in kernels.of("kernel")] == ["another windows", "own"]


async def test_requests_are_answered_by_the_notebooks_kernel_and_orders_come_from_it(
    kernels: Kernels,
) -> None:
    one = kernels.started("one", "/n.ipynb")
    one.answers["pause"] = {"status": "ok", "op": "noted"}
    async with relaying(kernels, "/n.ipynb") as relay:
        await kernels.until(lambda: kernels.of("kernel"))
        relay.take(lines.Ask(5, "/n.ipynb", {"op": "pause"}))
        one.publish("stream", {"name": "stdout", "text": "not for the extension"})
        one.publish(DOCUMENT, {"kind": "who", "to": None})
        await kernels.until(lambda: kernels.of("reply") and kernels.of("order"))
    assert kernels.of("reply") == [{"say": "reply", "id": 5, "reply": {"status": "ok", "op": "noted"}}]
    assert kernels.of("order") == [
        {"say": "order", "notebook": "/n.ipynb", "order": {"kind": "who", "to": None}}
    ]
    assert one.closed


async def test_a_request_without_a_kernel_is_refused(kernels: Kernels) -> None:
    async with relaying(kernels, "/n.ipynb") as relay:
        relay.take(lines.Ask(1, "/n.ipynb", {"op": "pause"}))
        await kernels.until(lambda: kernels.of("reply"))
    assert kernels.of("reply")[0]["reply"]["code"] == "no_such_notebook"


async def test_the_end_of_a_kernel_is_told_and_the_next_one_found(kernels: Kernels) -> None:
    one = kernels.started("one", "/n.ipynb")
    async with relaying(kernels, "/n.ipynb"):
        await kernels.until(lambda: kernels.of("kernel"))
        one.break_off(there=False)
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
        kernels.started("two", "/n.ipynb")
        await kernels.until(lambda: len(kernels.of("kernel")) == 3)
    assert [said["kernel"] for said in kernels.of("kernel")] == ["one", None, "two"]
    assert "ended" in kernels.of("kernel")[1]["problem"]


async def test_kernels_that_are_not_watched_are_left_alone_and_plain_ones_forgotten(
    kernels: Kernels, tmp_path: Path
) -> None:
    other = kernels.started("other", "/other.ipynb")
    plain = kernels.started("plain", None, implementation="ipython")
    kernels.started("gone", "/n.ipynb", there=False)
    async with relaying(kernels, "/n.ipynb") as relay:
        kernels.started("one", "/n.ipynb")
        await kernels.until(lambda: kernels.of("kernel"))
        assert sorted(kernels.opened) == ["one", "other", "plain"]
        async with asyncio.timeout(5):
            while not (other.closed and plain.closed):  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0)
        kernels.files.remove(tmp_path / "kernel-plain.json")
        kernels.channels["kernel-other.json"] = again = FakeChannels("kernel-other.json")
        kernels.belongs(again, "/other.ipynb")
        relay.take(lines.Watch("/other.ipynb"))
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
    assert kernels.of("kernel")[1]["kernel"] == "other"


async def test_a_renamed_notebook_keeps_its_kernel(kernels: Kernels) -> None:
    one = kernels.started("one", "/n.ipynb")
    async with relaying(kernels, "/n.ipynb") as relay:
        await kernels.until(lambda: kernels.of("kernel"))
        relay.take(lines.Renamed("/n.ipynb", "/m.ipynb"))
        one.publish(DOCUMENT, {"kind": "who"})
        await kernels.until(lambda: kernels.of("order"))
        assert kernels.of("order")[0]["notebook"] == "/m.ipynb"
        relay.take(lines.Watch("/m.ipynb"))
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
        assert kernels.of("kernel")[-1] == {
            "say": "kernel",
            "notebook": "/m.ipynb",
            "kernel": "one",
            "problem": None,
        }


async def test_a_closed_notebook_gets_nothing(kernels: Kernels) -> None:
    one = kernels.started("one", "/n.ipynb")
    kernels.started("two", "/m.ipynb")
    async with relaying(kernels, "/n.ipynb", "/m.ipynb") as relay:
        await kernels.until(lambda: len(kernels.of("kernel")) == 2)
        relay.take(lines.Unwatch("/n.ipynb"))
        one.publish(DOCUMENT, {"kind": "who"})
        kernels.channels["kernel-two.json"].publish(DOCUMENT, {"kind": "who"})
        await kernels.until(lambda: kernels.of("order"))
    assert [said["notebook"] for said in kernels.of("order")] == ["/m.ipynb"]


def test_a_line_that_is_none_is_dropped() -> None:
    asked = lines.Ask(1, "/n.ipynb", {"op": "pause"})
    assert lines.decoded(msgspec.json.encode(asked)) == asked
    for line in (b"{", b"[]", b'{"do": "format the disk"}', b'{"do": "watch"}', b"[" * 100_000):
        assert lines.decoded(line) is None
