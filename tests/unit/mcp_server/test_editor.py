"""marimo's own editor, opened by an agent for the person: the address goes to the person, and not into the answer."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult

from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.protocol import own_browser
from marimo_kernel_bridge.protocol.notebook import EditorLink
from tests.unit.mcp_server.agent import Agent, Answer

if TYPE_CHECKING:
    from typing import Literal

    from tests.unit.mcp_server.conftest import Serve
    from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:1234/?code=a-secret-code"


@pytest.fixture
def shown(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person's browser was given."""
    kernel.replies["open_editor"] = EditorLink(URL, 1234)
    shown: list[str] = []
    monkeypatch.setattr(own_browser, "show", lambda url: not shown.append(url))
    return shown


def tells(answer: Answer, text: str) -> bool:
    assert "a-secret-code" not in answer.text + json.dumps(answer.data)
    return text in answer.text


async def opened(
    kernel: FakeKernel, file: str, action: Literal["accept", "decline"]
) -> tuple[Answer, list[str]]:
    """Open the editor with a client that shows its person addresses. Return the answer, and the addresses."""
    asked: list[str] = []

    async def ask(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestURLParams)
        asked.append(params.url)
        return ElicitResult(action=action)

    server = build_server("run", attach=kernel.attach)
    async with Client(server, mode="legacy", elicitation_callback=ask) as client:
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=file)
        return await agent("open_editor", app=True), asked


async def test_a_client_that_can_shows_the_person_the_address(
    kernel: FakeKernel, connection_file: str, shown: list[str]
) -> None:
    answer, asked = await opened(kernel, connection_file, "accept")
    assert tells(answer, "The person has the notebook as an app")
    assert (asked, shown, kernel.requests[-1].app) == ([URL], [], True)  # type: ignore[union-attr]  # an OpenEditor


async def test_the_person_may_decline(kernel: FakeKernel, connection_file: str, shown: list[str]) -> None:
    answer, _ = await opened(kernel, connection_file, "decline")
    assert tells(answer, "did not open it")
    assert not shown


async def test_else_the_browser_of_the_persons_desktop_shows_it(connected: Agent, shown: list[str]) -> None:
    answer = await connected("open_editor")
    assert tells(answer, "in marimo's editor")
    assert (shown, answer.data["state"]) == ([URL], "opened")


async def test_an_address_that_is_no_page_of_ours_is_shown_to_nobody(
    kernel: FakeKernel, connection_file: str, shown: list[str]
) -> None:
    kernel.replies["open_editor"] = EditorLink("https://203.0.113.7/?code=a-secret-code", 1234)
    answer, asked = await opened(kernel, connection_file, "accept")
    assert answer.refused("not_allowed")
    assert (asked, shown) == ([], [])


async def test_else_the_person_is_to_run_the_magic(
    connected: Agent, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_browser, "show", lambda _: False)
    answer = await connected("open_editor")
    assert tells(answer, "%marimo open")
    assert answer.data["state"] == "not_shown"
    assert not shown


async def test_it_takes_the_permission_to_run(serve: Serve, kernel: FakeKernel, connection_file: str) -> None:
    agent = await serve("scratch")
    await agent("connect_to_kernel", connection_file=connection_file)
    assert (await agent("open_editor")).refused("not_allowed")
    assert "open_editor" not in kernel.asked


def test_the_address_reaches_the_browser_by_a_file_that_only_its_user_can_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(
        own_browser, "_OPEN", f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.argv[1])"
    )
    monkeypatch.setattr(own_browser, "_READ_BY", 0.0)
    kept: list[tuple[int, str]] = []
    monkeypatch.setattr(
        "marimo_kernel_bridge.protocol.own_browser.threading.Timer",
        lambda _, end: _Ended(end, tmp_path / "got", kept),
    )
    assert own_browser.show(URL)
    ((mode, text),) = kept
    assert mode & (stat.S_IRWXG | stat.S_IRWXO) == 0
    assert URL in text
    assert not Path(urlparse((tmp_path / "got").read_text()).path).exists()


class _Ended:
    """A timer that looks at what there is, and then ends it."""

    daemon = False

    def __init__(self, end: object, got: Path, kept: list[tuple[int, str]]) -> None:
        self._end, self._got, self._kept = end, got, kept

    def start(self) -> None:
        page = Path(urlparse(self._got.read_text()).path)
        self._kept.append((page.parent.stat().st_mode, page.read_text()))
        self._end()  # type: ignore[operator]  # a function


def test_no_browser_is_started_without_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    assert not own_browser.show(URL)
