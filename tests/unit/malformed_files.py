"""Malformed files and messages of this machine: what hosts, installers, Jupyter and this package's own processes keep and send.

Each kind is tried as those of `malformed_input` are. A checkout, a shared home or a disk that was full may have left any of them.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import zipfile
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import msgspec
from click.testing import CliRunner

from marimo_kernel_bridge.checkpoints import signing
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.cli import lab_extension
from marimo_kernel_bridge.cli.main import main as command_line
from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.pool import protocol as pool_protocol
from marimo_kernel_bridge.launch.sessions.entries import Session, SessionKernel, id_of
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.launch.viewer import place as viewer
from marimo_kernel_bridge.mcp_server import package_index
from marimo_kernel_bridge.mcp_server.configuration import configuration
from marimo_kernel_bridge.mcp_server.hosts import json_entries, toml_entries, yaml_entries
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.written_texts import document_of_text, format_of_text
from marimo_kernel_bridge.protocol import refused_starts
from marimo_kernel_bridge.protocol.written_bounds import bounds_of, told_of
from marimo_kernel_bridge.sandbox.handed_sockets import connection_in
from marimo_kernel_bridge.sandbox.proxy import RefusedError, destination
from marimo_kernel_bridge.viewing import page_requests
from marimo_kernel_bridge.viewing.tables.files import table_of
from tests.unit.checkpoints.saved import SHELF, save
from tests.unit.malformed import damaged, damaged_bytes, damaged_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Json = Any  # of whatever is damaged


def _tried(seeds: Iterable[int], *tries: Callable[[random.Random], object]) -> list[str]:
    """Try each seed with one of the functions; return what was raised and is no refusal."""
    faults: list[str] = []
    for seed in seeds:
        rng = random.Random(seed)
        attempt = rng.choice(tries)
        try:
            attempt(rng)
        except (BridgeError, json_entries.CannotEditError, RefusedError):
            continue
        except BaseException as error:  # a panic of a library in Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            faults.append(f"{seed}: {attempt} {error!r}"[:500])
    return faults


def _text(right: str, rng: random.Random) -> str:
    return damaged_bytes(right.encode(), rng).decode(errors="replace")


def _sendable(value: Json, rng: random.Random) -> Json:
    try:
        return json.loads(json.dumps(damaged(value, rng)))
    except (ValueError, RecursionError):
        return value


_ENTRY: Final[Json] = {"command": "marimo-kernel-bridge", "args": ["mcp"]}
_SETTINGS: Final = {
    toml_entries: '# mine\nwhen = 2026-01-01T00:00:00Z\n[mcp_servers.other]\nargs = ["x", 1, {a = 1}]\n'
    '[mcp_servers.marimo] # here\ncommand = "old"\n[[list]]\na.b."c d" = 1.5\n',
    yaml_entries: "# mine\nmodel: &a x\nwhen: 2026-01-01\nlist: [1, 0x1f, *a]\nmcp_servers:\n  other:\n    command: a\n"
    "  marimo:\n    command: old\ntext: |\n  hello\n",
    json_entries: '{ // mine\n "mcp_servers": {"other": {"args": ["x", 1.5e3]}, /* z */ "marimo": {"command": "old"},},\n}\n',
}
_ODD_SETTINGS: Final = (
    *("[", "{", "a: [", "- ", "a = [", "[[a]]\n", "&a [", "*a", "? ", "'", '"""', "/*", "<<: 1\n", "a.", "a = {b = "),
    *("9" * 5000, "2026-99-99", "a = 2026-99-99", "!!int 'x'", "!!float x", "!!timestamp z", "!!binary '?'", "a: &a [*a]"),
    *("mcp_servers: 3\n", "mcp_servers = 3\n", '{"mcp_servers": [1]}', "mcp_servers:\n  marimo: 3\n", "a: &a [x]\nb: &b [*a, *a]\n"),
)  # fmt: skip


def _host_settings(rng: random.Random) -> None:
    kind = rng.choice(list(_SETTINGS))
    right, odd = _SETTINGS[kind], rng.choice(_ODD_SETTINGS)
    text = rng.choice(
        (_text(right, rng), _text(right, rng), odd * rng.choice((1, 200)), right + odd, odd + right)
    )
    for edit in (partial(kind.with_entry, entry=_ENTRY), kind.without_entry):
        with suppress(json_entries.CannotEditError):
            edit(text, path=("mcp_servers", "marimo"))


def host_settings(seeds: Iterable[int], folder: Path) -> list[str]:
    """Edit the settings of hosts: TOML, YAML and JSON that people and other programs have written."""
    del folder
    return _tried(seeds, _host_settings)


_LIMITS: Final[tuple[Json, ...]] = ("memory=2GB,cell_seconds=30s", {"memory": "2GB", "processes": 64})
_SANDBOXES: Final[tuple[Json, ...]] = (
    *("strict", "network=all,files=read"),
    {"network": ["pypi.org:443"], "writable": ["/tmp"], "packages": True},  # of a sample
)


def _bounds(rng: random.Random) -> None:
    def given(values: tuple[Json, ...]) -> Json:
        value = rng.choice(values)
        if rng.randrange(2):
            return _sendable(value, rng)
        return _text(value if isinstance(value, str) else json.dumps(value), rng)

    limits, sandbox = given(_LIMITS), given(_SANDBOXES)
    told_of(str(limits), str(sandbox))
    for bounds in (partial(bounds_of, limits), partial(bounds_of, None, sandbox)):
        with suppress(BridgeError):
            made = bounds()
            made.told(), made.arguments(), made.stricter(made), made.sandbox and made.sandbox.key


def bounds(seeds: Iterable[int], folder: Path) -> list[str]:
    """Read the bounds of kernels as people and agents write them."""
    del folder
    return _tried(seeds, _bounds)


_TEXTS: Final = (
    "---\na: b\n---\n# T\n\n```python\nx = 1\n```\ntext\n~~~{.python}\nq\n~~~\n",
    '# ---\n# jupyter:\n# ---\n# %% [markdown]\n# # T\n# %%\nx=1\n# %%time\n"""\n',
    json.dumps({"cells": [{"source": "x", "outputs": [{"kind": "stdout", "text": "a"}]}, {"kind": "raw", "source": ["a"]}]}),
    "import marimo\napp = marimo.App()\n\n@app.cell\ndef _():\n    x = 1\n    return\n",
)  # fmt: skip


def texts(seeds: Iterable[int], folder: Path) -> list[str]:
    """Read notebooks that agents send as text: Markdown, percent scripts, JSON."""

    def read(rng: random.Random) -> None:
        text = _text(rng.choice(_TEXTS), rng)
        kind = rng.choice(("md", "markdown", "py", "json", "ipynb", format_of_text(text)))
        parse_notebook(folder / "n.ipynb", document_of_text(text, kind, "content"))

    return _tried(seeds, read)


def manifests(seeds: Iterable[int], folder: Path) -> list[str]:
    """Open checkpoints with a damaged manifest, which has the right signature or another one."""
    store = Store(folder / "checkpoints")
    save(store, "state", small=b"stream", large=b"long stream" * 100, buffers=(b"buffer" * 100,))
    (path,) = store.folder.rglob("state.json")
    key = next(
        one.read_bytes() for one in store.folder.rglob("*") if one.is_file() and one.stat().st_size == 32
    )
    signature, _, body = path.read_bytes().partition(b"\n")

    def opened(rng: random.Random) -> None:
        damage = damaged_text(json.loads(body), rng)
        signed = signing._signature(key, damage) if rng.randrange(3) else signature
        path.write_bytes(signed + b"\n" + damage)
        with store.open(SHELF, "state", verify_buffers=True):
            pass

    return _tried(seeds, opened)


def _written(path: Path, content: bytes) -> Path:
    path.touch(0o600)
    path.write_bytes(content)
    return path


def own_files(seeds: Iterable[int], folder: Path) -> list[str]:
    """Read files that processes of this package and Jupyter have written for each other."""
    notebook = folder / "a.ipynb"
    kernel = SessionKernel("/c.json", 1, "x")
    session = Session(id=id_of(notebook), path=str(notebook), name="a", created=1.0, used=2.0, kernel=kernel)
    registry, log = Registry(folder / "registry"), AuditLog(folder / "audit.jsonl")
    registry.put(session)
    (entry,) = (folder / "registry").rglob("*.json")
    for number in range(3):
        log.write({"client": "ann", "n": number})
    lines, connection = log.path.read_bytes(), str(folder / "kernel-1.json")

    def sessions(rng: random.Random) -> None:
        _written(entry, damaged_text(msgspec.to_builtins(session), rng))
        for one in registry.all():
            assert isinstance(one.state + one.why_suspended, str)

    def refused(rng: random.Random) -> None:
        right = {"code": "bad_request", "message": "m", "hint": "h"}
        _written(refused_starts._file(connection), damaged_text(right, rng))
        refused_starts.take_refusal(connection)

    def log_lines(rng: random.Random) -> None:
        _written(log.path, damaged_bytes(lines, rng))
        log.problems()
        AuditLog(log.path).write({"client": "bob"})

    def server(rng: random.Random) -> None:
        right = {"pid": os.getpid(), "port": 1, "hostname": "localhost", "base_url": "/", "token": "t"}
        path = _written(folder / "jpserver-1.json", damaged_text(right | {"secure": False}, rng))
        discovery._read_server(path)

    def viewers(rng: random.Random) -> None:
        right = {"pid": os.getpid(), "since": "x", "port": 1, "secret": "s"}
        viewer.running(_written(folder / "view.json", damaged_text(right, rng)))

    def bounded(rng: random.Random) -> None:
        right = {f"{name}_port": 1 for name in ("shell", "iopub", "stdin", "control", "hb")} | {"key": "k"}
        connection_in(str(_written(folder / "kernel-2.json", damaged_text(right, rng))))

    return _tried(seeds, sessions, refused, log_lines, server, viewers, bounded)


_DEEP: Final = b"a = " + b"[" * 5_000


def settings(seeds: Iterable[int], folder: Path) -> list[str]:
    """Read settings of the person's: of this package, of installers, of JupyterLab."""

    def own(rng: random.Random) -> None:
        content = damaged_bytes(b'[mcp]\nplugins = ["a"]\n', rng) if rng.randrange(9) else _DEEP
        configuration(_written(folder / "config.toml", content))

    def uv(rng: random.Random) -> None:
        right = b'index-url = "https://u:p@x/y"\n[[index]]\nurl = "a"\n[pip]\nextra-index-url = ["a"]\n'
        path = _written(folder / "uv.toml", damaged_bytes(right, rng) if rng.randrange(9) else _DEEP)
        list(map(package_index._shown, package_index._of_uv(path)))

    def pip(rng: random.Random) -> None:
        right = b"[global]\nindex-url = https://x\nextra-index-url =\n  a\n[install]\nfind-links=http://[x\n"
        path = _written(folder / "pip.conf", damaged_bytes(right, rng))
        list(map(package_index._shown, package_index._of_pip(path)))

    def lab(rng: random.Random) -> None:
        path = folder / "labconfig/page_config.json"
        path.parent.mkdir(exist_ok=True)
        _written(path, damaged_text({"disabledExtensions": {"x": True, "y": False}}, rng))
        with patch.object(lab_extension, "jupyter_config_path", lambda: [str(folder)]):
            lab_extension.disabled()

    return _tried(seeds, own, uv, pip, lab)


_PAGE: Final[tuple[Json, ...]] = (
    {"do": "rows", "id": 1, "start": 0, "count": 5, "columns": [0], "version": 1},
    {"do": "set", "id": "a", "state": {"sort": [{"column": 0, "descending": True}], "search": "x"}},
    {"do": "export", "id": 2, "format": "csv"},
)
_POOL: Final[Json] = {
    "protocol": 1,
    "kernel": {"arguments": ["-f", "x"], "env": {"A": "b"}, "cwd": "/", "dies_with_requester": True},
}
_POOL_STATE: Final[Json] = {"pid": 1, "python": "x", "preload": [], "modules": 1, "kernels": [2], "forked": 1}
_HEADS: Final = (
    b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://a.b:80/x?y HTTP/1.1\r\nA: b\r\n\r\n",
)


def own_messages(seeds: Iterable[int], folder: Path) -> list[str]:
    """Read messages between this package's processes and pages: of a pool, of a view, of a sandbox's proxy."""
    del folder

    def page(rng: random.Random) -> None:
        text = damaged_text(rng.choice(_PAGE), rng)
        page_requests.id_of(text)
        page_requests.decode(text)

    def pool(rng: random.Random) -> None:
        sending, receiving = socket.socketpair()
        with sending, receiving:
            sending.sendall(damaged_text(_POOL, rng)[:60_000] + b"\n" * rng.randrange(2))
            sending.shutdown(socket.SHUT_WR)
            arriving = pool_protocol.ArrivingRequest()
            while not arriving.receive(receiving):
                pass
        with suppress(ValueError):  # it is told so
            arriving.request()

    def reply(rng: random.Random) -> None:
        with suppress(ValueError):  # as if there were no pool
            pool_protocol._parsed(damaged_text(_POOL_STATE, rng), pool_protocol.PoolState)

    def head(rng: random.Random) -> None:
        destination(damaged_bytes(rng.choice(_HEADS), rng))

    return _tried(seeds, page, pool, reply, head)


_BATCH: Final[tuple[Json, ...]] = (
    {"tool": "list_kernels", "arguments": {}},
    {"tool": "read_cell", "arguments": {"cell_id": "c1"}},
    {"tool": "list_templates"},
)


def batches(seeds: Iterable[int], folder: Path) -> list[str]:
    """Make calls on the command line that a damaged file or standard input names."""

    def called(rng: random.Random) -> None:
        path = folder / "calls.jsonl"
        lines = (damaged_text(one, rng) if rng.randrange(2) else json.dumps(one).encode() for one in _BATCH)
        path.write_bytes(b"\n".join(lines))
        arguments, given = rng.choice(
            (
                (["--batch", str(path), "--keep-going"], b""),
                (["--batch", "-", "--keep-going"], path.read_bytes()),
                (["list_kernels", "--input", "-", "--json"], damaged_text({}, rng)),
            )
        )
        done = CliRunner().invoke(command_line, ["call", *arguments], input=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "Traceback" not in done.output, done.output[-300:]

    return _tried(seeds, called)


def tables(seeds: Iterable[int], folder: Path) -> list[str]:
    """Open damaged files as tables."""
    import polars as pl  # noqa: PLC0415  # slow to import

    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [1.5, 2.5, 3.5]})
    frame.write_csv(folder / "t.csv")
    frame.write_parquet(folder / "t.parquet")
    frame.write_ipc(folder / "t.arrow")
    frame.write_ndjson(folder / "t.jsonl")
    with sqlite3.connect(folder / "t.sqlite") as database:
        database.execute("create table t(a, b)")
        database.execute("insert into t values (1, 'x')")
    database.close()
    _workbook(folder / "t.xlsx")
    right = {path: path.read_bytes() for path in sorted(folder.glob("t.*"))}

    def opened(path: Path, rng: random.Random) -> None:
        path.write_bytes(damaged_bytes(right[path], rng))
        table = table_of(path, "")
        assert table.kind
        table.close()

    return _tried(seeds, *(partial(opened, path) for path in right))


def _workbook(path: Path) -> None:
    main, office = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006",
    )
    related = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    with zipfile.ZipFile(path, "w") as package:
        for name, text in {
            "_rels/.rels": f'<Relationships {related}><Relationship Id="r" Type="{office}/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}/relationships"><sheets><sheet name="S" sheetId="1" r:id="r"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships {related}><Relationship Id="r" Type="{office}/relationships/worksheet" Target="worksheets/s.xml"/></Relationships>',
            "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>',
        }.items():
            package.writestr(name, f'<?xml version="1.0"?>{text}')


KINDS: Final[dict[str, Callable[[Iterable[int], Path], list[str]]]] = {
    "host settings": host_settings,
    "bounds": bounds,
    "texts": texts,
    "manifests": manifests,
    "own files": own_files,
    "settings": settings,
    "own messages": own_messages,
    "batches": batches,
    "tables": tables,
}
