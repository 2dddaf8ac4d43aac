"""Who gets to a view: the person's browser, by an address that works once, and nobody else."""

import asyncio
import re

import pytest
from tornado.httpclient import HTTPClientError

from marimo_kernel_bridge.viewing.server.serving import ViewServer
from tests.unit.viewing.server.view_browser import Browser, opened

pytestmark = pytest.mark.anyio


async def test_an_address_opens_a_page_once(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    first = await browser.get(view.url.removeprefix(f"http://127.0.0.1:{server.port}"))
    assert first.code == 303
    assert first.headers["Location"] == f"/view/{view.description.view}/"
    assert (await browser.visit(first.headers["Location"])).code == 200
    again = Browser(server.port)
    assert (await again.visit(view.url)).code == 403
    assert not again.cookies
    again.close()


async def test_the_cookie_is_the_views_own_and_strict(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    answer = await browser.get(view.url.removeprefix(f"http://127.0.0.1:{server.port}"))
    name = f"marimo-view-{view.description.view}"
    (cookie,) = answer.headers.get_list("Set-Cookie")
    assert re.fullmatch(
        rf"{name}=[\w-]{{43}}; HttpOnly; Path=/view/{view.description.view}/; SameSite=Strict", cookie
    )


async def test_without_the_cookie_there_is_no_page_no_socket_and_no_download(
    server: ViewServer, browser: Browser
) -> None:
    view = await opened(server)
    path = f"/view/{view.description.view}/"
    for below in ("", "?from=here", "ws", "download/abc"):
        answer = await browser.get(f"{path}{below}")
        assert answer.code == 403, below
        assert b"sales" not in answer.body
    with pytest.raises(HTTPClientError, match="403"):
        await browser.connect(view.description.view)


async def test_a_browser_that_comes_from_another_page_is_sent_here_once_more(
    server: ViewServer, browser: Browser
) -> None:
    """It does not send a strict cookie along with a redirect that began elsewhere."""
    view = await opened(server)
    await browser.visit(view.url)
    path = f"/view/{view.description.view}/"
    kept, browser.cookies = browser.cookies, {}
    refused = await browser.get(path)
    assert refused.code == 403
    assert b'http-equiv="refresh" content="0; url=?from=here"' in refused.body
    assert b"refresh" not in (await browser.get(f"{path}?from=here")).body
    browser.cookies = kept
    assert (await browser.get(f"{path}?from=here")).code == 200


async def test_the_cookie_of_one_view_opens_no_other(server: ViewServer, browser: Browser) -> None:
    mine, other = await opened(server), await opened(server, name="other")
    await browser.visit(mine.url)
    ((_, (value, _)),) = browser.cookies.items()
    forged = f"marimo-view-{other.description.view}={value}"
    assert (await browser.get(f"/view/{other.description.view}/", cookie=forged)).code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1:{port}.evil.example", ""]
)
async def test_a_name_that_points_here_reaches_nothing(
    server: ViewServer, browser: Browser, host: str
) -> None:
    """DNS rebinding: the browser believes that the page of evil.example is served here."""
    view = await opened(server)
    await browser.visit(view.url)
    fresh = (await opened(server)).url.removeprefix(f"http://127.0.0.1:{server.port}")
    named = host.format(port=server.port)
    for path in (f"/view/{view.description.view}/", fresh, "/health", "/nothing"):
        assert (await browser.get(path, host=named)).code == 403, path
    with pytest.raises(HTTPClientError, match="403"):
        await browser.connect(view.description.view, host=named)
    assert (await browser.visit(fresh)).code == 200, "the refused requests have used up no code"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://localhost:{port}", ""]
)
async def test_a_foreign_page_gets_no_socket_even_with_the_cookie(
    server: ViewServer, browser: Browser, origin: str
) -> None:
    view = await opened(server)
    await browser.visit(view.url)
    with pytest.raises(HTTPClientError, match="403"):
        await browser.connect(view.description.view, origin=origin.format(port=server.port))


async def test_a_foreign_page_reads_nothing(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    await browser.visit(view.url)
    for path in (f"/view/{view.description.view}/", "/health"):
        assert (await browser.get(path, origin="http://evil.example")).code == 403


@pytest.mark.parametrize("path", ["/load", "/load_compare", "/control", "/", "/s/abc"])
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
async def test_no_address_loads_a_file(server: ViewServer, browser: Browser, path: str, kind: str) -> None:
    """buckaroo's server loads the file that a foreign page names: `/load` takes text/plain, which needs no preflight."""
    answer = await browser.get(
        path,
        method="POST",
        body='{"session": "a", "path": "/etc/passwd"}',
        content_type=kind,
        origin=f"http://127.0.0.1:{server.port}",
    )
    assert answer.code in {404, 405}
    assert not list(server.views)


async def test_a_page_runs_only_our_script_and_is_kept_nowhere(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    first = await browser.visit(view.url)
    second = await browser.get(f"/view/{view.description.view}/")
    policy = dict(part.split(" ", 1) for part in first.headers["Content-Security-Policy"].split("; "))
    nonce = policy["script-src"].strip("'").removeprefix("nonce-")
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'nonce-{nonce}'",
        "img-src": "data:",
        "connect-src": f"'self' ws://127.0.0.1:{server.port}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert f'<script nonce="{nonce}"'.encode() in first.body.replace(b' type="module"', b"")
    assert nonce not in second.headers["Content-Security-Policy"]
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Referrer-Policy"] == "no-referrer"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["X-Frame-Options"] == "DENY"
    assert "Server" not in first.headers


async def test_every_refusal_has_the_same_headers_and_says_nothing(
    server: ViewServer, browser: Browser
) -> None:
    for path in ("/nothing", "/view/abc/", "/open?code=x"):
        answer = await browser.get(path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"Traceback" not in answer.body


async def test_health_says_which_process_serves_and_nothing_of_views(
    server: ViewServer, browser: Browser
) -> None:
    await opened(server)
    assert set(__import__("json").loads((await browser.get("/health")).body)) == {"ok", "version", "pid"}


async def test_an_address_is_forgotten_in_time(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    now = server.views._clock()
    server.views._clock = lambda: now + 601
    assert (await browser.visit(view.url)).code == 403


async def test_strangers_who_hold_connections_are_not_waited_for(server: ViewServer) -> None:
    """More connections than there may be are closed at once, and those that say nothing do not stay."""
    writers = []
    for _ in range(220):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append((reader, writer))
    reader, _ = writers[-1]
    assert await asyncio.wait_for(reader.read(), 30) == b""
    for _, writer in writers:
        writer.close()
