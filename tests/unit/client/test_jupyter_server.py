"""Addresses of Jupyter servers as people copy them, where their tokens go, and what a server is asked and answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.client import jupyter_server
from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from tests.unit.client.served_kernels import ServedKernels


@pytest.mark.parametrize(
    ("copied", "url", "notebook"),
    [
        (
            "http://localhost:8888/lab/tree/deep/a%20b.ipynb?token=abc",
            "http://localhost:8888",
            "deep/a b.ipynb",
        ),
        ("http://localhost:8888/lab/workspaces/auto-1/tree/a.ipynb", "http://localhost:8888", "a.ipynb"),
        ("http://localhost:8888/notebooks/a.ipynb", "http://localhost:8888", "a.ipynb"),
        ("http://localhost:8888/base/api/kernels", "http://localhost:8888/base", None),
        ("https://hub.example.org/user/ada/lab", "https://hub.example.org/user/ada", None),
        ("https://hub.example.org/user/lab/lab/tree/a.ipynb", "https://hub.example.org/user/lab", "a.ipynb"),
        ("https://hub.example.org/user/treeman/big/tree", "https://hub.example.org/user/treeman/big", None),
        ("http://h:8888/lab/tree/user/ada/a.ipynb", "http://h:8888", "user/ada/a.ipynb"),
        ("http://h:8888/base/notebooks/user/lab/a.ipynb", "http://h:8888/base", "user/lab/a.ipynb"),
        ("http://h:8888/lab/tree/tree/lab/tree/a.ipynb", "http://h:8888", "tree/lab/tree/a.ipynb"),
        ("http://h:8888/doc/workspaces/tree/tree/a.ipynb", "http://h:8888", "a.ipynb"),
        ("https://h/user/ada/lab/tree/user/b/a.ipynb", "https://h/user/ada", "user/b/a.ipynb"),
        ("https://h/hubs/user/user/tree/user/a.ipynb", "https://h/hubs/user/user", "user/a.ipynb"),
    ],
)
def test_the_address_that_a_person_copies_is_understood(copied: str, url: str, notebook: str | None) -> None:
    server = JupyterServer.at(copied, None)
    assert (server.url, server.notebook) == (url, notebook)
    assert server.token == ("abc" if "abc" in copied else "")


def test_the_address_of_the_hub_itself_is_refused_with_how_a_user_s_is_written() -> None:
    with pytest.raises(BridgeError) as refusal:
        JupyterServer.at("https://hub.example.org/hub/home", None)
    assert "https://hub.example.org/user/NAME/" in refusal.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8888",
        "ftp://localhost/",
        "http://",
        "http://ada:secret@localhost/",
        "https://hub.example.org\\@evil.example/user/ada",
        "http://[::1",
        "http://h:x/",
    ],
)
def test_what_is_no_address_of_a_server_is_refused(address: str) -> None:
    with pytest.raises(BridgeError, match="not the address of a Jupyter server") as refusal:
        JupyterServer.at(address, None)
    assert refusal.value.code == "bad_request"


def test_the_configured_token_goes_to_the_configured_server_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "from-environment")
    hub = "https://hub.example.org/user/ada"
    assert JupyterServer.at(hub, None).token == ""
    monkeypatch.setenv("JUPYTER_SERVER_URL", f"{hub}/lab")
    assert JupyterServer.at(f"{hub}/lab/tree/a.ipynb", None).token == "from-environment"
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.delenv("JUPYTER_TOKEN")
    monkeypatch.setenv("JUPYTER_TOKEN_FILE", str(tmp_path / "token"))
    assert JupyterServer.at(hub, None).token == "from-file"
    for other in (
        "https://evil.example.org/user/ada",
        "http://hub.example.org/user/ada",
        "https://hub.example.org/user/eve",
        "https://hub.example.org:444/user/ada",
        "https://hub.example.org/user/ada/../eve",
        "https://hub.example.org/user/%2e%2e/ada",
        "https://hub.example.org/user%2fada",
        "https://hub.example.org.evil.example/user/ada",
        "https://hub.example.org\\.evil.example/user/ada",
    ):
        assert JupyterServer.at(other, None).token == ""
    monkeypatch.setenv("JUPYTER_TOKEN_FILE", str(tmp_path / "nosuch"))
    assert JupyterServer.at(hub, None).token == ""


@pytest.mark.parametrize(
    "path",
    [
        "/user/ada/../eve",
        "/user/ada/%2e%2e/eve",
        "/user/ada%2f..%2feve",
        "/user/ada\\..\\eve",
        "/user/adam",
        "//user/eve/user/ada",
        "@evil.example.org/user/ada",
        ".evil.example.org/user/ada",
        "\r\n.evil.example.org/user/ada",
    ],
)
def test_the_configured_token_goes_to_no_address_that_looks_alike(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = "https://hub.example.org"
    monkeypatch.setenv("JUPYTER_TOKEN", "from-environment")
    monkeypatch.setenv("JUPYTER_SERVER_URL", f"{hub}/user/ada")
    with suppress(BridgeError):  # it may be none of a server
        assert JupyterServer.at(f"{hub}{path}/lab", None).token == ""


@pytest.mark.parametrize("configured", ["http://[bad", "http://[::1", "http://h:x/", "not an address"])
def test_a_configured_address_that_is_none_is_that_of_no_server(
    configured: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "from-environment")
    monkeypatch.setenv("JUPYTER_SERVER_URL", configured)
    assert JupyterServer.at("http://localhost:8888/lab", None).token == ""


def test_a_server_shows_its_token_to_nobody_and_warns_where_others_can_read_it() -> None:
    assert "t0ken" not in repr(JupyterServer.at("http://localhost/", "t0ken"))
    assert JupyterServer.at("https://hub.example.org/", "t").warnings == ()
    assert "encrypted" in JupyterServer.at("http://hub.example.org/", "t").warnings[0]


# Asking a server


async def refusal_of(asking: Awaitable[object]) -> BridgeError:
    with pytest.raises(BridgeError) as refused:
        await asking
    return refused.value


@pytest.mark.anyio
async def test_the_kernel_of_a_notebook_is_found_by_its_path_or_by_the_end_of_it(
    served: ServedKernels,
) -> None:
    served.opened("deep/a.ipynb", "k-1")
    served.opened("a.ipynb", "k-2")
    served.opened("closed.ipynb", None)
    served.opened("deep/b.ipynb", "k-3")
    find = served.server.kernel_of_notebook
    assert await find("/a.ipynb") == ("k-2", "a.ipynb")
    assert await find("deep/a.ipynb") == ("k-1", "deep/a.ipynb")
    assert await find("b.ipynb") == ("k-3", "deep/b.ipynb")
    served.opened("other/b.ipynb", "k-4")
    assert "2 notebooks with a kernel there are called 'b.ipynb'" in str(await refusal_of(find("b.ipynb")))
    missing = await refusal_of(find("closed.ipynb"))
    assert missing.message == "No notebooks with a kernel there are called 'closed.ipynb'."
    assert missing.hint == "Those there are: a.ipynb, deep/a.ipynb, deep/b.ipynb, other/b.ipynb."


@pytest.mark.anyio
async def test_nothing_is_sent_to_a_port_here_on_which_another_user_listens(
    served: ServedKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jupyter_server, "foreign_listener", lambda *_: 4242)
    refused = await refusal_of(served.server.only_kernel())
    assert refused.code == "server_refused"
    assert "User id 4242 listens on port" in refused.message
    assert served.asked == []
    here = (
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    )
    for host in here:
        with pytest.raises(BridgeError, match="listens on port 443"):
            JupyterServer(f"https://{host}/base", "t").require_not_foreign()
    for host in ("203.0.113.7", "hub.example.org", "[2001:db8::1]"):
        JupyterServer(f"https://{host}:8888", "t").require_not_foreign()


@pytest.mark.anyio
async def test_a_server_s_only_kernel_is_taken_and_of_several_one_must_be_named(
    served: ServedKernels,
) -> None:
    assert await served.server.only_kernel() == "k-1"
    served.kernels["k-2"] = {"id": "k-2", "name": "python3"}
    assert (
        "2 kernels: k-1 (marimo), k-2 (python3)." in (await refusal_of(served.server.only_kernel())).message
    )
    served.kernels.clear()
    assert "0 kernels: none." in (await refusal_of(served.server.only_kernel())).message


@pytest.mark.anyio
async def test_a_kernel_that_is_dead_or_unknown_is_not_there(served: ServedKernels) -> None:
    assert await served.server.has_kernel("k-1")
    assert not await served.server.has_kernel("k-2")
    served.kernels["k-1"]["execution_state"] = "dead"
    assert not await served.server.has_kernel("k-1")
    served.answers["GET /api/kernels/k-1"] = (302, "/hub/user/ada/api")
    assert not await served.server.has_kernel("k-1")  # the hub has stopped the user's server


@pytest.mark.anyio
async def test_a_server_interrupts_restarts_and_shuts_down_its_kernel(served: ServedKernels) -> None:
    await served.server.do("k-1", "interrupt")
    await served.server.do("k-1", "restart")
    await served.server.do("k-1", "shut_down")
    assert served.asked == [
        "POST /api/kernels/k-1/interrupt",
        "POST /api/kernels/k-1/restart",
        "DELETE /api/kernels/k-1",
    ]
    gone = await refusal_of(served.server.do("k-1", "restart"))
    assert (gone.code, gone.message) == (
        "server_refused",
        f"The Jupyter server at {served.server.url} has this kernel no more.",
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((403, ""), "refuses the token"),
        ((401, ""), "refuses the token"),
        ((302, "/login?next=%2Fapi"), "refuses the token"),
        ((302, "/hub/user/ada/api/kernels"), "The hub has no server running at"),
        ((424, ""), "The hub has no server running at"),
        ((404, ""), "answered with HTTP 404"),
        ((500, ""), "answered with HTTP 500"),
        ((200, "<html>"), "does not answer as a Jupyter server does"),
        ((200, '{"kernels": []}'), "does not answer as a Jupyter server does"),
        ((200, "\udcff".encode(errors="surrogateescape").decode("latin-1")), "does not answer as a Jupyter"),
    ],
)
async def test_what_a_server_refuses_is_told(
    served: ServedKernels, answer: tuple[int, str], told: str
) -> None:
    served.answers["GET /api/kernels"] = served.answers["GET /api/kernels/k-1"] = answer
    assert told in (await refusal_of(served.server.only_kernel())).message
    if answer[0] == 200 or "refuses" in told:
        assert told in (await refusal_of(served.server.has_kernel("k-1"))).message


@pytest.mark.anyio
async def test_a_server_that_wants_a_token_says_where_there_is_one(served: ServedKernels) -> None:
    refused = await refusal_of(replace(served.server, token="").only_kernel())
    assert "wants a token" in refused.message
    assert "jupyter server list" in refused.hint


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", f"http://{'a' * 64}.example"])
async def test_a_server_that_does_not_answer_is_told(address: str) -> None:
    refused = await refusal_of(JupyterServer(address, "").only_kernel())
    assert (
        refused.code,
        refused.message.startswith(f"The Jupyter server at {address} does not answer: "),
    ) == (
        "server_refused",
        True,
    )


def test_a_kernel_at_a_server_has_an_address_and_the_server_s_warnings() -> None:
    kernel = ServerKernel(JupyterServer("http://hub.example.org", "t0ken"), "k-1")
    assert kernel.name == "kernel k-1 at http://hub.example.org"
    assert kernel.where == "http://hub.example.org/api/kernels/k-1"
    assert "encrypted" in kernel.warnings[0]
