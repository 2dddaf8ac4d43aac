"""Who is let in over HTTP: Host, Origin and the token, and the file that the token is kept in."""

import asyncio
import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from served import BOUND

from marimo_kernel_bridge.client import port_owner
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.transport import address
from marimo_kernel_bridge.mcp_server.transport.http import AccessCheck
from marimo_kernel_bridge.mcp_server.transport.token import Token, kept_token, new_token

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
        "Bearer {long}",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "DELETE", "OPTIONS"])
async def test_without_the_token_nobody_gets_in(server, http, method, authorization):
    value = authorization.format(token=server.token, start=server.token[:-1], long="x" * 50_000)
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
        "http://127.0.0.1:99999",
        "chrome-extension://abcdefghijklmnop",
        "vscode-webview://127.0.0.1.x",
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
        "localhost:99999",
        "localhost.",
        "127.0.0.1.nip.io",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::]",
        "",
    ],
)
async def test_a_name_that_points_here_is_not_ours(server, http, host):
    assert (await ask(server, http, Host=host)).status_code == 421


async def test_looking_for_oauth_finds_none(server, http):
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/"):
        assert (await ask(server, http, "GET", path, token="wrong" * 10)).status_code == 404


async def test_whoever_reaches_the_server_learns_that_it_runs_and_nothing_else(server, http):
    health = server.url.removesuffix("/mcp") + "/health"
    answer = await http.get(health)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    for refused, header in ((421, {"Host": "evil.example"}), (403, {"Origin": "https://evil.example"})):
        assert (await http.get(health, headers=header)).status_code == refused


async def test_a_request_is_refused_before_its_body_is_read(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
    async with asyncio.timeout(BOUND):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


RAW = {
    "two hosts": (400, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n{token}\r\n"),
    "no host": (400, b"POST /mcp HTTP/1.1\r\n{token}\r\n"),
    "no host, HTTP/1.0": (421, b"POST /mcp HTTP/1.0\r\n{token}\r\n"),
    "a proxy's form": (404, b"POST http://localhost/mcp HTTP/1.1\r\nHost: localhost\r\n{token}\r\n"),
    "a cookie": (401, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nCookie: token={value}\r\n\r\n"),
    "a query": (401, b"POST /mcp?token={value} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a second token": (
        401,
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n{token}\r\n",
    ),
    "a websocket": (
        401,
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    "a header of 1 MiB": (
        400,
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{token}X: " + b"x" * 2**20 + b"\r\n\r\n",
    ),
    "no HTTP": (400, b"\x16\x03\x01\x02\r\n\r\n"),
}


@pytest.mark.parametrize("what", RAW)
async def test_a_request_that_no_client_sends_is_refused(server, what):
    status, request = RAW[what]
    request = request.replace(b"{token}", f"Authorization: Bearer {server.token}\r\n".encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.replace(b"{value}", server.token.encode()))
    async with asyncio.timeout(BOUND):
        assert (await reader.readline()).split()[1] == str(status).encode()
    writer.close()


async def test_a_body_that_is_too_long_or_no_message_is_refused_and_the_server_serves_on(server, http):
    async def chunks():
        for _ in range(5):
            yield b" " * 2**20

    headers = {**ACCEPT, **server.authorization, "Content-Type": "application/json"}
    assert (await http.post(server.url, content=chunks(), headers=headers)).status_code == 413
    deep = b"[" * 100_000 + b"]" * 100_000
    assert (await http.post(server.url, content=deep, headers=headers)).status_code == 400
    unknown = {**headers, "Mcp-Session-Id": "0" * 32}
    assert (await http.post(server.url, json=INITIALIZE, headers=unknown)).status_code == 404
    assert (await ask(server, http)).status_code == 200


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


async def test_nothing_but_requests_passes_the_guard_unchecked():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    guard = AccessCheck(app, Token(None, "t" * 43), host="127.0.0.1", loopback=True)
    scope = {"path": "/mcp", "headers": [(b"host", b"localhost")]}
    with pytest.raises(ValueError, match="websocket"):
        await guard(scope | {"type": "websocket"}, None, None)
    await guard({"type": "lifespan"}, None, None)
    assert passed == ["lifespan"]


async def test_a_request_with_two_of_a_header_that_is_checked_is_refused():
    passed, statuses = [], []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    guard = AccessCheck(app, Token(None, "t" * 43), host="127.0.0.1", loopback=True)
    right = [
        (b"host", b"localhost"),
        (b"authorization", b"Bearer " + b"t" * 43),
        (b"origin", b"http://localhost"),
    ]
    for twin in (
        *right,
        (b"authorization", b"Bearer wrong"),
        (b"origin", b"http://evil"),
        (b"host", b"evil"),
    ):
        for headers in ([*right, twin], [twin, *right]):
            await guard({"type": "http", "path": "/mcp", "headers": headers}, None, send)
    assert statuses == [400] * 2 + [401] * 2 + [403] * 2 + [401] * 2 + [403] * 2 + [400] * 2
    assert not passed
    await guard({"type": "http", "path": "/mcp", "headers": right}, None, send)
    assert passed == ["http"]


async def test_to_other_machines_only_its_own_pages_are_no_foreign_pages():
    (own,) = statuses(["192.0.2.7:27180"], "http://192.0.2.7", loopback=False)
    (other,) = statuses(["192.0.2.7:27180"], "http://192.0.2.8", loopback=False)
    (local,) = statuses(["192.0.2.7:27180"], "http://localhost", loopback=False)
    assert [await own, await other, await local] == [200, 403, 403]


# The token, and the files of a server


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    return tmp_path


def test_each_start_makes_a_token_that_no_other_start_accepts(tmp_path):
    before, now = (new_token(tmp_path / "token") for _ in range(2))
    assert (tmp_path / "token").read_text().strip() == now.value
    assert len(now.value) >= 43
    assert now.admits(f"Bearer {now.value}")
    assert not now.admits(f"Bearer {before.value}"), (
        "a client gave it to a program that was no server of ours"
    )


def test_a_token_file_that_is_named_keeps_its_token(tmp_path):
    path = tmp_path / "folder" / "token"
    token = kept_token(path)
    assert token == kept_token(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert [path.name for path in path.parent.iterdir()] == ["token"]
    path.unlink()
    assert kept_token(path) != token


@pytest.mark.parametrize("make", [new_token, kept_token])
def test_a_wide_umask_does_not_open_the_token(tmp_path, make):
    before = os.umask(0)
    try:
        token = make(tmp_path / "token")
    finally:
        os.umask(before)
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600


def test_a_new_token_takes_the_place_of_a_link_and_not_of_its_target(tmp_path):
    (tmp_path / "target").write_text("of somebody")
    (tmp_path / "token").symlink_to(tmp_path / "target")
    new_token(tmp_path / "token")
    assert (tmp_path / "target").read_text() == "of somebody"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_token_that_others_could_reach_is_not_used(tmp_path, mode):
    token = kept_token(tmp_path / "token")
    token.path.chmod(mode)
    with pytest.raises(BridgeError, match=f"mode {mode:o}") as refusal:
        kept_token(token.path)
    assert token.value not in str(refusal.value)


@pytest.mark.parametrize("what", ["link", "empty", "short", "spaces", "fifo", "folder"])
def test_what_is_no_token_file_is_not_used(tmp_path, what):
    path = tmp_path / "token"
    match what:
        case "link":
            target = tmp_path / "elsewhere"
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
        kept_token(path)
    assert refusal.value.code == "bad_request"


def test_a_server_that_was_faster_has_its_token_used(tmp_path, monkeypatch):
    faster = kept_token(tmp_path / "token")
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    assert kept_token(tmp_path / "token") == faster


def test_servers_that_start_at_once_keep_one_token(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(lambda _: kept_token(tmp_path / "token").value, range(8)))
    assert len(tokens) == 1


# The port


def test_a_user_has_a_port_of_their_own_that_stays(data, monkeypatch):
    port = address.own_port()
    another = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: another)
    assert address._free_port() != port
    monkeypatch.undo()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(data))
    with socket.create_server(("127.0.0.1", port)):
        with monkeypatch.context() as patch:
            patch.setattr(address, "_free_port", None)
            assert address.own_port() == port, "a configuration of yesterday has it"
        assert address._free_port() != port
    assert stat.S_IMODE((data / "marimo-kernel-bridge/mcp-port").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "port", "0", "70000", "9" * 1000])
def test_what_is_no_port_is_refused(data, text):
    address.own_port()
    (data / "marimo-kernel-bridge/mcp-port").write_text(text)
    with pytest.raises(BridgeError, match="contains no port"):
        address.own_port()


def test_who_listens_on_a_port_is_read_from_the_system(tmp_path, monkeypatch):
    table = tmp_path / "tcp"
    mine, other = os.getuid(), os.getuid() + 7
    v6, mapped = "0" * 24, "0000000000000000FFFF0000"
    rows = [
        ("0100007F:0001", "0A", mine),
        ("0100007F:0002", "01", other),
        ("0100007F:0003", "0A", other),
        ("0200007F:0004", "0A", other),
        ("00000000:0005", "0A", other),
        (f"{v6}00000000:0006", "0A", other),
        (f"{mapped}00000000:0007", "0A", other),
        (f"{mapped}0100007F:0008", "0A", other),
        (f"{v6}01000000:0009", "0A", other),
    ]
    table.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        + "".join(
            f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 1 1 0 100 0\n"
            for local, state, uid in rows
        )
    )
    monkeypatch.setattr(port_owner, "_TABLES", (table, tmp_path / "absent"))
    monkeypatch.setattr("sys.byteorder", "little")
    wildcards = {5, 6, 7}
    for host, foreign in {
        "127.0.0.1": {3, 8},
        "127.0.0.2": {4},
        "::1": {9},
        "localhost": {3, 8, 9},
        "*": {3, 8},
        "0.0.0.0": {3, 8},  # nothing is bound
        "::": {9},
        "192.0.2.1": set(),
    }.items():
        found = {port for port in range(1, 10) if port_owner.foreign_listener(host, port) == other}
        assert found == foreign | wildcards, host


def test_the_system_names_this_user_for_a_port_of_ours():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert port_owner.foreign_listener("127.0.0.1", listening.getsockname()[1]) is None
