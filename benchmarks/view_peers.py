"""The viewers of others in Chromium: how each is served, shows the same Parquet file, and is sorted and filtered."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import psutil

from benchmarks.contenders import BUILD, peer_python
from benchmarks.measuring import UnavailableError, say
from benchmarks.view_pages import BOUND, SIZE, TEXTS, until_shown
from extensions.build import run, with_node

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from benchmarks.view_data import Known


class Peer:
    """A peer's viewer on a page, and its server's process. `holds_data`: the whole table is in its memory."""

    holds_data = True

    def __init__(self, browser: Browser, process: subprocess.Popen[bytes]) -> None:
        self.process = psutil.Process(process.pid)
        self._started = process
        self.page = browser.new_page(viewport=SIZE)

    def open(self, known: Known, first: str) -> None:
        """Show the table and wait for its first row."""
        raise NotImplementedError

    def sort(self, column: str, first: str) -> None:
        del column, first
        raise UnavailableError("its sort has no way to be started from outside")

    def unsort(self, column: str, first: str) -> None:
        """Show the rows in their own order again, where a second sort would be one within the first."""

    def filter(self, column: str, operator: str, value: str, rows: int) -> None:
        del column, operator, value, rows
        raise UnavailableError("it has no such filter")

    def close(self) -> None:
        self.page.close()
        for one in [*self.process.children(recursive=True), self.process]:
            one.kill()
        self._started.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  # a server of ours
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _served(command: list[Any], url: str) -> subprocess.Popen[bytes]:
    home = BUILD / "benchmarks" / "views" / "home"  # where some write without being asked
    home.mkdir(exist_ok=True)
    with (BUILD / "benchmarks" / "views.log").open("ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, env=os.environ | {"HOME": str(home)}
        )
    deadline = time.monotonic() + BOUND / 1000
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(url):
            return process
        time.sleep(0.05)
    process.kill()
    raise UnavailableError("its server did not start")


class Buckaroo(Peer):
    """buckaroo's server for its MCP tool, which reads a Parquet file lazily."""

    holds_data = False
    PORT = 28971

    def __init__(self, browser: Browser) -> None:
        python = peer_python("buckaroo")
        command = [python, "-m", "buckaroo.server", "--port", self.PORT, "--no-browser"]
        super().__init__(browser, _served(command, f"http://127.0.0.1:{self.PORT}/health"))

    def open(self, known: Known, first: str) -> None:
        body = {"session": "s", "path": str(known.parquet), "mode": "lazy", "no_browser": True}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.PORT}/load",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=120).close()  # noqa: S310  # an address of this machine
        self.page.goto(f"http://127.0.0.1:{self.PORT}/s/s", timeout=BOUND)
        until_shown(self.page, first)

    def sort(self, column: str, first: str) -> None:
        heading = self.page.locator(
            f'.ag-header-cell[col-id="{column}"], .ag-header-cell:has-text("{column}")'
        ).first
        heading.click()
        until_shown(self.page, first)


class MarimoTable(Peer):
    """marimo's own table in an app, of a Polars frame."""

    PORT = 28972

    def __init__(self, browser: Browser) -> None:
        app = BUILD / "benchmarks" / "views" / "app.py"
        path = BUILD / "benchmarks" / "views" / "table.parquet"
        app.write_text(
            "import marimo\n\napp = marimo.App(width='full')\n\n\n@app.cell\ndef _():\n"
            "    import marimo as mo\n    import polars as pl\n\n"
            f"    mo.ui.table(pl.read_parquet({str(path)!r}), page_size=20)\n    return\n"
        )
        command = [
            peer_python("marimo"),
            "-m",
            "marimo",
            "run",
            app,
            "--headless",
            "--no-token",
            "--port",
            self.PORT,
        ]
        super().__init__(browser, _served(command, f"http://127.0.0.1:{self.PORT}/health"))

    def open(self, known: Known, first: str) -> None:
        del known
        self.page.goto(f"http://127.0.0.1:{self.PORT}/", timeout=BOUND)
        until_shown(self.page, first)

    def sort(self, column: str, first: str) -> None:
        button = self.page.get_by_test_id("data-table-sort-button").nth(COLUMNS.index(column))
        button.click()
        until_shown(self.page, first)

    def unsort(self, column: str, first: str) -> None:
        button = self.page.get_by_test_id("data-table-sort-button").nth(COLUMNS.index(column))
        button.click()  # the other way round
        button.click()
        until_shown(self.page, first)

    def filter(self, column: str, operator: str, value: str, rows: int) -> None:
        del column, rows
        if operator != "contains":
            raise UnavailableError("it searches in all columns")
        self.page.get_by_placeholder("Search").first.fill(value)
        self.page.wait_for_function(
            f"part => {{ const texts = ({TEXTS})(); return texts.filter(text => text.includes(part)).length > 5; }}",
            arg=value, timeout=BOUND, polling=5,
        )  # fmt: skip


def _perspective_packages() -> Path:
    """Return the folder of the client's packages, fetched from npm if they are missing. Raises `UnavailableError`."""
    folder = BUILD / "peers" / "perspective-js"
    if not (folder / ".installed").exists():
        say(f"Installing Perspective's client into {folder} (once) ...")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        names = (
            f"@perspective-dev/{name}@{_PERSPECTIVE_VERSION}"
            for name in ("client", "viewer", "viewer-datagrid")
        )
        try:
            run(
                ("npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", *names), folder, with_node()
            )
        except SystemExit as problem:
            raise UnavailableError("its packages of npm could not be installed") from problem
        (folder / ".installed").touch()
    return folder / "node_modules"


class Perspective(Peer):
    """Perspective's viewer on a table in its Python server."""

    PORT = 28973

    def __init__(self, browser: Browser) -> None:
        scripts = _perspective_packages()
        server = BUILD / "benchmarks" / "views" / "perspective_server.py"
        server.write_text(_PERSPECTIVE)
        path = BUILD / "benchmarks" / "views" / "table.parquet"
        command = [peer_python("perspective-python"), server, self.PORT, path, scripts]
        super().__init__(browser, _served(command, f"http://127.0.0.1:{self.PORT}/"))

    def open(self, known: Known, first: str) -> None:
        del known
        self.page.goto(f"http://127.0.0.1:{self.PORT}/?load", timeout=BOUND)
        until_shown(self.page, first)

    def sort(self, column: str, first: str) -> None:
        self._restore({"sort": [[column, "asc"]]})
        until_shown(self.page, first)
        self._restore({"sort": []})

    def filter(self, column: str, operator: str, value: str, rows: int) -> None:
        del rows
        self._restore({"filter": [[column, "==" if operator == "=" else operator, value]]})
        self.page.wait_for_function(
            f"part => {{ const texts = ({TEXTS})(); return texts.filter(text => text.includes(part)).length > 5; }}",
            arg=value, timeout=BOUND, polling=5,
        )  # fmt: skip
        self._restore({"filter": []})

    def _restore(self, state: dict[str, Any]) -> None:
        self.page.evaluate("state => document.querySelector('perspective-viewer').restore(state)", state)


COLUMNS: Final = "id number name city flag day at small large price share normal skewed sparse kind".split()  # noqa: SIM905  # in the order of the table

_PERSPECTIVE_VERSION: Final = "5.5.1"
"""Of the client; the server's in `contenders` must be the same."""

_PERSPECTIVE: Final = """\
import sys
import perspective, perspective.handlers.tornado, pyarrow.parquet, pyarrow as pa, tornado.ioloop, tornado.web

port, path, scripts = int(sys.argv[1]), sys.argv[2], sys.argv[3]
PAGE = '''<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/npm/@perspective-dev/viewer/dist/css/themes.css">
<style>perspective-viewer { position: absolute; inset: 0 }</style><perspective-viewer></perspective-viewer>
<script type="module">
import perspective from "/npm/@perspective-dev/client/dist/cdn/perspective.js";
import "/npm/@perspective-dev/viewer/dist/cdn/perspective-viewer.js";
import "/npm/@perspective-dev/viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js";
const socket = await perspective.websocket("ws://" + location.host + "/ws");
const viewer = document.querySelector("perspective-viewer");
await viewer.load(await socket.open_table("table"));
await viewer.restore({plugin: "Datagrid"});
</script>'''
server = perspective.Server()
client = server.new_local_client()
loaded = []


class Page(tornado.web.RequestHandler):
    def get(self):
        if "load" in self.request.arguments and not loaded:  # the reading counts
            table = pyarrow.parquet.read_table(path)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            loaded.append(client.table(sink.getvalue().to_pybytes(), name="table"))
        self.write(PAGE)


tornado.web.Application([
    ("/", Page),
    ("/ws", perspective.handlers.tornado.PerspectiveTornadoHandler, {"perspective_server": server}),
    ("/npm/(.*)", tornado.web.StaticFileHandler, {"path": scripts}),
]).listen(port, "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
"""

PEERS: Final = {"buckaroo": Buckaroo, "marimo's table": MarimoTable, "Perspective": Perspective}
