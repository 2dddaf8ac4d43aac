"""Who is let in over HTTP: Host, Origin and the token, and the file that the token is kept in."""

import asyncio
import os
import stat

import httpx2
import pytest
from served import BOUND

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.transport.http import AccessCheck
from marimo_kernel_bridge.mcp_server.transport.token import Token, read_or_make_token, token_path

pytestmark = pytest.mark.anyio

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


async def ask(server, http, method="POST", path=None, token=None, **headers):
    url = httpx2.URL(server.url).copy_with(path=path) if path else server.url
    authorization = {"Authorization": f"Bearer {token or server.token}"}
    return await http.request(method, url, json=INITIALIZE, headers={**ACCEPT, **authorization, **headers})


async def test_the_token_lets_in(server, http):
    answer = await ask(server, http)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer wrong",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer {start}",
        "Bearer {token} {token}",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
async def test_without_the_token_nobody_gets_in(server, http, method, authorization):
    value = authorization.format(token=server.token, start=server.token[:-1])
    answer = await ask(server, http, method, Authorization=value)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert server.token[:-1] not in answer.text


async def test_the_newer_protocol_needs_the_token_too(server, http):
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
    assert (await ask(server, http, token="wrong" * 10, **headers)).status_code == 401


async def test_a_session_is_no_way_around_the_token(server, http):
    session = (await ask(server, http)).headers["mcp-session-id"]
    answer = await ask(server, http, token="wrong" * 10, **{"Mcp-Session-Id": session})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example:27180",
        "http://localhost:1@evil.example",
        "http://127.0.0.1:1.evil.example",
        "https://192.0.2.1",
        "file://",
        "",
    ],
)
async def test_a_foreign_page_is_turned_away_even_with_the_token(server, http, origin):
    assert (await ask(server, http, Origin=origin)).status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:6274", "http://[::1]:1"])
async def test_a_page_of_this_machine_may_use_the_token(server, http, origin):
    answer = await ask(server, http, Origin=origin)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:27180",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "192.0.2.1",
        "localhost:x",
    ],
)
async def test_a_name_that_points_here_is_not_ours(server, http, host):
    assert (await ask(server, http, Host=host)).status_code == 421


async def test_looking_for_oauth_finds_none(server, http):
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/"):
        assert (await ask(server, http, "GET", path, token="wrong" * 10)).status_code == 404


async def test_a_request_is_refused_before_its_body_is_read(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
    async with asyncio.timeout(BOUND):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_a_body_of_more_than_four_mebibytes_is_refused(server, http):
    big = INITIALIZE | {"padding": "x" * 2**22}
    answer = await http.post(server.url, json=big, headers={**ACCEPT, **server.authorization})
    assert answer.status_code == 413


async def test_nothing_but_the_configuration_prints_the_token(server, http):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Origin": "http://evil.example"}):
        await ask(server, http, **headers)
    await http.post(server.url, content=b"{", headers={**ACCEPT, **server.authorization})
    assert server.token not in server.printed
    assert server.token not in repr(Token(server.token_file, server.token))


# Serving other machines: the guard alone, as a request from outside cannot be made here


def statuses(hosts, origin=None, *, loopback, served_as="0.0.0.0"):
    async def let_in(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    token = Token(None, "t" * 43)
    guard = AccessCheck(let_in, token, host=served_as, loopback=loopback)

    async def ask(host):
        transport = httpx2.ASGITransport(guard)
        async with httpx2.AsyncClient(transport=transport) as http:
            headers = {"Host": host, "Authorization": "Bearer " + token.value}
            if origin:
                headers["Origin"] = origin
            return (await http.post("http://server/mcp", headers=headers)).status_code

    return [ask(host) for host in hosts]


async def test_to_other_machines_it_answers_by_address_and_by_its_own_name():
    ours = ["192.0.2.7:27180", "[2001:db8::1]:27180", "localhost", "lab.example:27180", "LAB.example"]
    assert [await one for one in statuses(ours, loopback=False, served_as="lab.example")] == [200] * 5
    (foreign,) = statuses(["evil.example"], loopback=False, served_as="lab.example")
    assert await foreign == 421


async def test_to_other_machines_only_its_own_pages_are_no_foreign_pages():
    (own,) = statuses(["192.0.2.7:27180"], "http://192.0.2.7", loopback=False)
    (other,) = statuses(["192.0.2.7:27180"], "http://192.0.2.8", loopback=False)
    (local,) = statuses(["192.0.2.7:27180"], "http://localhost", loopback=False)
    assert [await own, await other, await local] == [200, 403, 403]


# The token's file


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    return tmp_path


def test_the_token_is_made_once_and_only_its_owner_can_read_it(data):
    token = read_or_make_token()
    assert token == read_or_make_token()
    assert len(token.value) >= 43
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.path.parent.stat().st_mode) & 0o077 == 0
    assert [path.name for path in token.path.parent.iterdir()] == ["mcp-token"]
    token.path.unlink()
    assert read_or_make_token() != token


def test_a_wide_umask_does_not_open_the_token(data):
    before = os.umask(0)
    try:
        token = read_or_make_token()
    finally:
        os.umask(before)
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_token_that_others_could_reach_is_not_used(data, mode):
    token = read_or_make_token()
    token.path.chmod(mode)
    with pytest.raises(BridgeError, match=f"mode {mode:o}") as refusal:
        read_or_make_token()
    assert token.value not in str(refusal.value)


@pytest.mark.parametrize("what", ["link", "empty", "short", "spaces", "fifo", "folder"])
def test_what_is_no_token_file_is_not_used(data, what):
    path = token_path()
    path.parent.mkdir(parents=True)
    match what:
        case "link":
            target = data / "elsewhere"
            target.write_text("x" * 43)
            target.chmod(0o600)
            path.symlink_to(target)
        case "fifo":
            os.mkfifo(path, 0o600)
        case "folder":
            path.mkdir()
        case _:
            path.touch(0o600)
            path.write_text({"empty": "", "short": "secret", "spaces": "two words " * 5}[what])
    with pytest.raises(BridgeError) as refusal:
        read_or_make_token()
    assert refusal.value.code == "bad_request"


def test_a_server_that_was_faster_has_its_token_used(data, monkeypatch):
    faster = read_or_make_token()
    monkeypatch.setattr("pathlib.Path.exists", lambda *_, **__: False)
    assert read_or_make_token() == faster
