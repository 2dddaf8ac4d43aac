"""Malformed input of every kind, and the check that each gets a refusal with a code, or a right answer.

`malformed_files` has more kinds. `make fuzz-input` tries 2,500 inputs of each and prints what went wrong with the seed of the input:

    python -m tests.unit.malformed_input [INPUTS_OF_EACH_KIND] [FIRST_SEED]
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import random
import re
import sys
import tempfile
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import AsyncMock, patch

import msgspec
import pydantic_core
from click.testing import CliRunner
from jupyter_client.session import Session
from mcp import Client, MCPError
from mcp.types import Implementation
from tornado.httpclient import HTTPRequest, HTTPResponse

from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.cli.main import main as command_line
from marimo_kernel_bridge.client.channels import BadSignature, Message
from marimo_kernel_bridge.client.connection import Connection, listens, read_connection
from marimo_kernel_bridge.client.jupyter_server import JupyterServer
from marimo_kernel_bridge.client.marimo_editor.cells import NotebookView
from marimo_kernel_bridge.client.marimo_editor.events import EventReader
from marimo_kernel_bridge.client.marimo_editor.mirror import Mirror
from marimo_kernel_bridge.client.message_contents import check_content
from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.client.websocket_channels import _framed, _parsed, _parsed_json
from marimo_kernel_bridge.client.zmq_channels import ZmqChannels
from marimo_kernel_bridge.errors import CODES, BridgeError
from marimo_kernel_bridge.exporting.pages import to_html
from marimo_kernel_bridge.launch import kernelspecs, owned_kernels
from marimo_kernel_bridge.launch.viewer import client as viewer_client
from marimo_kernel_bridge.mcp_server.sessions.sessions import KernelFunctions
from marimo_kernel_bridge.mcp_server.views import files, imports
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol.deaths import death_of, sentence
from marimo_kernel_bridge.protocol.inspection import UiElement, Variable, VariableContent
from marimo_kernel_bridge.protocol.names import METADATA_KEY
from marimo_kernel_bridge.protocol.notebook import CellError, Death, RunReport
from tests.unit import malformed_files
from tests.unit.checkpoints.saved import SHELF, save
from tests.unit.kernel.notebook_in_memory import KernelInMemory
from tests.unit.malformed import damaged, damaged_bytes, damaged_text
from tests.unit.malformed_samples import (
    BLACK_BOX,
    CALLS,
    CONNECTION_FILES,
    CONTENTS,
    CONTROL,
    EVENTS,
    HEADER,
    MARIMO,
    NOTEBOOKS,
    PARENT,
    RESOURCES,
    SHELL,
)
from tests.unit.mcp_server.agent import Agent, Answer
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, cell_run, result, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

Json = Any  # of whatever is damaged
Faults = list[str]
"""What went wrong, each with its seed."""

_CODE: Final = re.compile(r"\[(\w+)\] ")
_BOUND: Final = 300.0
"""Seconds after which an input counts as a hang."""


# -- what a client reads -----------------------------------------------------------------------------------------------


def connection_files(seeds: Iterable[int], folder: Path) -> Faults:
    """Read damaged connection files, and open channels to what is left of them."""
    path = folder / "kernel-1.json"
    path.touch(0o600)
    return asyncio.run(_connection_files(seeds, path, path.write_bytes))


async def _connection_files(seeds: Iterable[int], path: Path, write: Callable[[bytes], object]) -> Faults:
    faults: Faults = []
    for seed in seeds:
        rng = random.Random(seed)
        write(damaged_text(rng.choice(CONNECTION_FILES), rng))
        try:
            connection = read_connection(path)
            ZmqChannels(connection, "agent").close()
            if connection.transport == "ipc" or connection.ip == "127.0.0.1":
                await listens(connection)
        except BridgeError as refusal:
            if "\n" in str(refusal) or not refusal.hint:
                faults.append(f"{seed}: {refusal}")
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {error!r}")
    return faults


def frames(seeds: Iterable[int], folder: Path) -> Faults:
    """Decode damaged messages of a kernel, signed as its own are, and of a Jupyter server."""
    return asyncio.run(_frames(seeds, folder))


async def _frames(seeds: Iterable[int], folder: Path) -> Faults:
    ports: Any = dict.fromkeys(("shell", "iopub", "control", "hb"), 1)
    connection = Connection(folder / "k.json", "ipc", str(folder / "s"), ports, "hmac-sha256", "k", b"key")
    channels, faults = ZmqChannels(connection, "agent"), []
    for seed in seeds:
        try:
            message = _received(random.Random(seed), channels)
        except (ValueError, BadSignature):
            continue
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {error!r}")
            continue
        texts = (message.msg_type, message.parent_user)
        optional = (message.session, message.parent_id, message.parent_type)
        if not (
            isinstance(message.content, dict)
            and all(isinstance(text, str) for text in texts)
            and all(text is None or isinstance(text, str) for text in optional)
        ):
            faults.append(f"{seed}: {message}")
    channels.close()
    return faults


def _received(rng: random.Random, channels: ZmqChannels) -> Message:
    msg_type, content = rng.choice(CONTENTS)
    header = HEADER | {"msg_type": msg_type, "version": rng.choice(("5.3", "5.3", "4.1"))}
    parts = {"header": header, "parent_header": PARENT, "metadata": {}, "content": content}
    match rng.randrange(3):
        case 0:
            texts = [
                json.dumps(part).encode() if rng.randrange(3) else damaged_text(part, rng)
                for part in parts.values()
            ]
            multipart = [b"<IDS|MSG>", channels._session.sign(texts), *texts]
            if not rng.randrange(6):
                del multipart[rng.randrange(len(multipart))]
            return channels._decode(multipart, "iopub")
        case 1:
            broken = {
                name: part if rng.randrange(3) else _sendable(part, rng) for name, part in parts.items()
            }
            data = _framed("iopub", broken, Session())
            return _parsed(damaged_bytes(data, rng) if rng.randrange(2) else data)[1]
        case _:
            text = damaged_text(parts | {"channel": "iopub", "buffers": []}, rng)
            return _parsed_json(text if rng.randrange(2) else text.decode(errors="replace"))[1]


def _sendable(value: Json, rng: random.Random) -> Json:
    """Return damaged JSON that a program could have written and another one can read."""
    try:
        return read_json(json.dumps(damaged(value, rng)).encode())
    except (ValueError, RecursionError):
        return value


def servers(seeds: Iterable[int], folder: Path) -> Faults:
    """Ask Jupyter servers whose answers are damaged."""
    del folder
    return asyncio.run(_servers(seeds))


async def _servers(seeds: Iterable[int]) -> Faults:
    faults: Faults = []
    body = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        writer.close()

    kernel = {"id": "k-1", "name": "marimo", "execution_state": "idle"}
    sessions = [{"path": "a.ipynb", "type": "notebook", "kernel": kernel}]
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        server = JupyterServer(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "t0ken")
        for seed in seeds:
            rng = random.Random(seed)
            right, ask = rng.choice(
                (
                    (sessions, lambda: server.kernel_of_notebook("a.ipynb")),
                    ([kernel], server.only_kernel),
                    (kernel, lambda: server.has_kernel("k-1")),
                    (kernel, lambda: server.do("k-1", "restart")),
                )
            )
            text = damaged_text(right, rng)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
                text
            )
            if rng.randrange(4):
                body, came = head + text, bool(rng.randrange(8))
            else:
                body, came = damaged_bytes(head + b"{}", rng), False
            arrived = HTTPResponse(HTTPRequest(server.url), 200, buffer=io.BytesIO(text))
            try:
                async with asyncio.timeout(_BOUND):
                    # Without a connection, which takes ten times as long as what is read of it.
                    with (
                        patch.object(JupyterServer, "_ask", AsyncMock(return_value=arrived))
                        if came
                        else nullcontext()
                    ):
                        await ask()
            except BridgeError as refusal:
                if "t0ken" in str(refusal):
                    faults.append(f"{seed}: {refusal}")
            except Exception as error:  # any is a fault
                faults.append(f"{seed}: {error!r}")
    return faults


def marimo_events(seeds: Iterable[int], folder: Path) -> Faults:
    """Read notebooks in marimo's editor whose events are damaged."""
    del folder
    faults: Faults = []
    for seed in seeds:
        rng = random.Random(seed)
        mirror, reader = Mirror(), EventReader()
        try:
            for name, data in EVENTS:
                text = json.dumps(data).encode() if rng.randrange(4) else damaged_text(data, rng)
                event = b"event: %s\ndata: %s\n\n" % (name.encode(), text)
                for told, body in reader.feed(event if rng.randrange(9) else damaged_bytes(event, rng)):
                    with suppress(ValueError, RecursionError):  # the connection is opened again
                        mirror.apply(told, body)
            view = NotebookView(mirror)
            msgspec.json.encode([view.with_outputs(cell) for cell in view.cells])
            msgspec.json.encode((view.runs_in("run-1"), view.below(["Hbol"]), [*view.stale]))
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {error!r}")
    return faults


# -- what an agent and a kernel send to the MCP server -----------------------------------------------------------------


def arguments(seeds: Iterable[int], folder: Path) -> Faults:
    """Call each tool with damaged arguments."""

    def broken(_: FakeKernel, sent: Json, rng: random.Random) -> Json:
        if rng.randrange(50) or not sent:
            return _sendable(sent, rng)
        return sent | {rng.choice(list(sent)): rng.choice((9**9_999, [1] * 20_000, {"a": 10**5_000}))}

    return asyncio.run(_calls(seeds, folder, broken))


def replies(seeds: Iterable[int], folder: Path) -> Faults:
    """Call each tool about a kernel whose messages are damaged."""

    def undamaged(kernel: FakeKernel, sent: Json, rng: random.Random) -> Json:
        def damage(msg_type: str, content: Json) -> Json:
            if msg_type == "status" or rng.randrange(2):
                return content
            try:
                return check_content(msg_type, _sendable(content, rng))
            except ValueError:  # dropped on arrival: `frames`
                return content

        kernel.damage = damage
        return sent

    return asyncio.run(_calls(seeds, folder, undamaged))


async def _calls(
    seeds: Iterable[int], folder: Path, prepared: Callable[[FakeKernel, Json, random.Random], Json]
) -> Faults:
    kernel, faults = _kernel(), []
    path = folder / "kernel-fake.json"
    path.write_text(json.dumps(CONNECTION_FILES[0]))
    path.chmod(0o600)
    async for agent in _agent(kernel):
        for number, seed in enumerate(seeds):
            rng = random.Random(seed)
            kernel.damage = lambda _, content: content
            if number % 50 == 0:
                await agent("connect_to_kernel", connection_file=str(path))
            tool, sent = rng.choice(CALLS)
            sent = prepared(
                kernel, {key: str(path) if value == "FILE" else value for key, value in sent.items()}, rng
            )
            if not isinstance(sent, dict) or not _arrives(sent):
                continue
            try:
                async with asyncio.timeout(_BOUND):
                    fault = _fault(await agent(tool, **sent))
            except Exception as error:  # any is a fault
                fault = repr(error)
            if fault:
                faults.append(f"{seed}: {tool} {fault}")
    return faults


def _arrives(sent: Json) -> bool:
    """Whether a client can send it: pydantic's depth is limited."""
    try:
        pydantic_core.to_json(sent)
    except ValueError:
        return False
    return True


def _fault(answer: Answer) -> str:
    code = _CODE.match(answer.text)
    if "Traceback" in answer.text:
        return answer.text[:300]
    if answer.failed and answer.data.get("status") != "lost" and (code is None or code[1] not in CODES):
        return answer.text[:300]
    return ""


async def _agent(kernel: FakeKernel) -> AsyncIterator[Agent]:
    """Serve an agent with all permissions; programs are not started."""

    async def refuse(*_: object, **__: object) -> Any:
        raise BridgeError("bad_request", "No program is started here.")

    def refuse_at_once(*_: object) -> Any:
        raise BridgeError("bad_request", "No program is started here.")

    server = build_server("all", attach=kernel.attach, session_kernels=KernelFunctions(refuse, refuse))
    client = Client(server, client_info=Implementation(name="ann", version="1"))
    with (
        patch.object(files, "run_command", refuse),
        patch.object(imports, "run_command", refuse),
        patch.object(owned_kernels, "manager_for", refuse_at_once),
        patch.object(kernelspecs, "_look", refuse_at_once),
        patch.object(viewer_client, "_start", refuse_at_once),
    ):
        async with client:
            yield Agent(client)


def resources(seeds: Iterable[int], folder: Path) -> Faults:
    """Read resources by damaged URIs, of a kernel some of whose outputs are damaged."""
    return asyncio.run(_resources(seeds, folder))


async def _resources(seeds: Iterable[int], folder: Path) -> Faults:
    kernel, faults = _kernel(), []
    path = folder / "kernel-fake.json"
    path.write_text(json.dumps(CONNECTION_FILES[0]))
    path.chmod(0o600)
    right = kernel.outputs["aaaa"]
    async for agent in _agent(kernel):
        await agent("connect_to_kernel", connection_file=str(path))
        for seed in seeds:
            rng = random.Random(seed)
            kernel.outputs["aaaa"] = right if rng.randrange(3) == 0 else _outputs(right, rng)
            uri = rng.choice(RESOURCES)
            if rng.randrange(3) == 0:
                at = rng.randrange(len("marimo://"), len(uri))
                uri = uri[:at] + rng.choice(("9" * 5000, "-1", "x", "%00", "/", "٣", "")) + uri[at + 1 :]
            try:
                async with asyncio.timeout(_BOUND):
                    await agent.client.read_resource(uri)
            except MCPError as refusal:
                if not (_CODE.match(refusal.message) or refusal.message.startswith("Unknown resource")):
                    faults.append(f"{seed}: {uri[:80]} {refusal.message[:300]}")
            except Exception as error:  # any is a fault
                faults.append(f"{seed}: {uri[:80]} {error!r}")
    return faults


def _outputs(right: tuple[Json, ...], rng: random.Random) -> tuple[Json, ...]:
    broken = _sendable(list(right), rng)
    return tuple(broken) if isinstance(broken, list) else right


def _kernel() -> FakeKernel:
    kernel = FakeKernel()
    data = {"text/html": "<b>x</b>", "image/png": "aGk="}
    shown = {"output_type": "display_data", "data": data, "metadata": {METADATA_KEY: {"notice": "edited"}}}
    kernel.add("aaaa", "x = 1", stream("hello"), result("1"), shown)
    kernel.add("bbbb", "y = x", stream("e"), status="error", error=CellError("E", "e", ("a", "b")))
    kernel.variables = [Variable("x", "int", "1"), Variable("df", "DataFrame", "3 rows")]
    kernel.contents = {"x": VariableContent(kernel.variables[0])}
    kernel.elements = [UiElement("x", "slider", "1", "1 to 2", "")]
    kernel.history = [RunReport("r", (), "ada", finished=True, cells=(cell_run("aaaa"),))]
    kernel.executions["1"] = Execution((stream("out"),), ran=(cell_run("aaaa"),))
    return kernel


# -- what front ends and agents send to the kernel ---------------------------------------------------------------------


def requests(seeds: Iterable[int], folder: Path) -> Faults:
    """Send damaged requests to a kernel; whatever has a header and is JSON gets a reply, and the kernel goes on."""
    kernel, faults = KernelInMemory(folder), []
    try:
        front_end = kernel.connect("lab")
        front_end.run("one", "x = 1\nx")
        limits = kernel.kernel.documents.shared.limits
        limits.answer = limits.flush = 0.01  # no front end answers here
        for number, seed in enumerate(seeds):
            rng = random.Random(seed)
            channel = rng.choice(("shell", "shell", "control"))
            msg_type, content = rng.choice(SHELL if channel == "shell" else CONTROL)
            cell = {"cellId": "one", "deletedCells": []} if msg_type == "execute_request" else {}
            message = front_end.session.msg(msg_type, content, metadata=cell)
            header = message["header"] | {"date": "2026-01-01T00:00:00Z"}
            parts = {"header": header, "parent_header": {}, "metadata": cell, "content": content}
            broken = rng.choice(("content", "content", "metadata", "header", "parent_header"))
            answered = broken in {"content", "metadata"} and not msg_type.startswith(("comm_", "input"))
            if answered:
                parts[broken] = _sendable(parts[broken], rng)
            texts = [json.dumps(part).encode() for part in parts.values()]
            if not answered:
                texts[list(parts).index(broken)] = damaged_text(parts[broken], rng)
            multipart = [front_end.ident, b"<IDS|MSG>", front_end.session.sign(texts), *texts]
            (kernel.control if channel == "control" else kernel.send)(multipart)
            front_end.replies.clear() if channel == "shell" else None
            if answered:
                msg_id = header["msg_id"]
                if not kernel.run_until(partial(front_end.replies.__contains__, msg_id)):
                    faults.append(f"{seed}: no reply to {msg_type}")
                    continue
                reply = front_end.replies[msg_id]["content"]
                if "bug" in str(reply.get("hint")):
                    faults.append(f"{seed}: {msg_type}: {reply}")
            if number % 20 == 0 and front_end.run(None, "40 + 2", store_history=False).text != "42":
                faults.append(f"{seed}: the kernel does not go on")
    finally:
        kernel.close()
    return faults


# -- notebooks ---------------------------------------------------------------------------------------------------------


def notebooks(seeds: Iterable[int], folder: Path) -> Faults:
    """Import and export damaged notebooks on the command line, as the MCP server does."""
    faults: Faults = []
    for seed in seeds:
        rng = random.Random(seed)
        if rng.randrange(4):
            path, formats = folder / "n.ipynb", ("md", "py", "json", "ipynb")
            path.write_bytes(damaged_text(rng.choice(NOTEBOOKS), rng))
        else:
            path, formats = folder / "n.py", ("md", "script", "json", "ipynb")
            path.write_bytes(damaged_bytes(MARIMO.encode(), rng))
        if path.suffix == ".ipynb" and rng.randrange(2):
            target = rng.choice((("-o", "out.py"), ("--target", "bridge", "-o", "out.ipynb")))
            options = ["import", str(path), "--outputs", "keep", "--force", *target]
        else:
            out = rng.choice(("-", "out"))
            options = ["export", str(path), "--to", rng.choice(formats), "--no-imports", "--force", "-o", out]
        done = CliRunner().invoke(command_line, [*options, *(() if "-" in options else ("--json",))])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            faults.append(f"{seed}: {options[0]} {done.exception!r}")
        elif "Traceback" in done.output or (
            done.exit_code and "--json" in options and not _told(done.stdout)
        ):
            faults.append(f"{seed}: {options[0]} {done.output[:300]}")
    return faults


def pages(seeds: Iterable[int], folder: Path) -> Faults:
    """Make HTML pages of damaged notebooks."""
    faults: Faults = []
    for seed in seeds:
        document = _sendable(NOTEBOOKS[0], random.Random(seed))
        try:
            to_html(parse_notebook(folder / "n.ipynb", document).document, "n", folder)
        except BridgeError:
            continue
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {error!r}")
    return faults


def checkpoints(seeds: Iterable[int], folder: Path) -> Faults:
    """Open checkpoints one file of which is damaged."""
    store = Store(folder / "checkpoints")
    save(store, "state", small=b"stream", large=b"long stream" * 100, buffers=(b"buffer" * 100,))
    files_of_it = sorted(path for path in store.folder.rglob("*") if path.is_file() and path.name != "lock")
    faults: Faults = []
    for seed in seeds:
        chance = random.Random(seed)
        path = chance.choice(files_of_it)
        content = path.read_bytes()
        path.write_bytes(damage := damaged_bytes(content, chance))
        try:
            with store.open(SHELF, "state", verify_buffers=True):
                if damage != content:
                    faults.append(f"{seed}: {path.name} is used")
        except BridgeError:
            pass
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {path.name} {error!r}")
        path.write_bytes(content)
    return faults


def black_boxes(seeds: Iterable[int], folder: Path) -> Faults:
    """Read the damaged black boxes of dead kernels, and say how these died."""
    faults: Faults = []
    box = folder / "box"
    box.mkdir(mode=0o700)
    for seed in seeds:
        rng = random.Random(seed)
        for name, right in BLACK_BOX.items():
            content = damaged_bytes(right, rng) if rng.randrange(2) else right
            if name == layout.NAMES and rng.randrange(2):
                content = damaged_text(json.loads(right), rng)
            if name == layout.NOW and rng.randrange(4):  # else it is hardly ever one
                content = (layout.MAGIC + content[len(layout.MAGIC) :]).ljust(layout.SIZE, b"\0")[
                    : layout.SIZE
                ]
            (box / name).write_bytes(content)
            (box / name).chmod(0o600)
        try:
            found = layout.read(box)
            if found is not None:
                death = death_of(found, rng.randrange(3))
                sentence(death)
                msgspec.convert(msgspec.to_builtins(death), Death)  # as it is sent
        except Exception as error:  # any is a fault
            faults.append(f"{seed}: {error!r}")
    return faults


def _told(printed: str) -> bool:
    report = json.loads(printed)
    return report.get("code", "bad_notebook") in CODES


KINDS: Final[dict[str, Callable[[Iterable[int], Path], Faults]]] = {
    "connection files": connection_files,
    "frames": frames,
    "servers": servers,
    "marimo events": marimo_events,
    **malformed_files.KINDS,
    "arguments": arguments,
    "replies": replies,
    "resources": resources,
    "requests": requests,
    "notebooks": notebooks,
    "pages": pages,
    "checkpoints": checkpoints,
    "black boxes": black_boxes,
}


def main(number: int = 2_500, first: int = 1_000_000) -> int:
    """Try inputs of each kind; return how many of them went wrong."""
    logging.disable()
    os.environ["RUST_BACKTRACE"] = "0"  # of a reader of tables, whose panics are refusals
    wrong = 0
    for name, tried in KINDS.items():
        with tempfile.TemporaryDirectory() as place:
            for variable in ("HOME", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "XDG_CONFIG_HOME"):
                os.environ[variable] = place
            os.chdir(place)
            faults = tried(range(first, first + number), Path(place))
            os.chdir("/")
        print(f"{name}: {number} tried, {len(faults)} wrong", *faults, sep="\n  ")  # noqa: T201  # a program
        wrong += len(faults)
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
