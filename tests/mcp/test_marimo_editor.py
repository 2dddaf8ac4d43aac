"""An agent in a notebook that a person has open in marimo's own editor: a real server, and a person without a browser.

The person does what marimo's page does: a websocket for what is shown, and requests of marimo's page for what is done.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from marimo_kernel_bridge.client.marimo_editor import host

pytestmark = pytest.mark.anyio

BOUND = 60.0
NOTEBOOK = """import marimo

app = marimo.App()


@app.cell
def _():
    x = 1
    return (x,)


@app.cell
def _(x):
    y = x + 1
    print("y is", y)
    return (y,)


if __name__ == "__main__":
    app.run()
"""


class Editor:
    """The process of `marimo edit`, with a password as it has one from the person."""

    def __init__(self, home, stack):
        self.state = home.folder / "state"
        self.file = home.folder / "penguins.py"
        self.file.write_text(NOTEBOOK)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--headless", "--no-skew-protection", "--skip-update-check", "--token-password", "pass"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "marimo", "-q", "edit", *options, "--port", str(self.port), self.file],
            env=home.environment(XDG_STATE_HOME=str(self.state), MARIMO_ENABLE_HOST="1"),
            cwd=home.folder,
        )
        stack.callback(self.end)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(BOUND) is not None

    def ask(self, path, body):
        """Send a request of marimo's page."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            json.dumps(body).encode(),
            {
                "Authorization": "Bearer pass",
                "Marimo-Session-Id": "page-1",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=BOUND) as answer:
            return answer.read()


class Person:
    """A page of marimo's editor: what the server has sent to it."""

    def __init__(self, editor):
        self.editor = editor
        self.codes, self.shown, self.ready = {}, {}, False

    async def open(self):
        url = f"ws://127.0.0.1:{self.editor.port}/ws?session_id=page-1&file={self.editor.file}"
        self.page = await websocket_connect(HTTPRequest(url, headers={"Authorization": "Bearer pass"}))
        self.listening = asyncio.create_task(self.listen())
        await until(lambda: self.ready)

    async def listen(self):
        while (text := await self.page.read_message()) is not None:
            message = json.loads(text)
            match message["op"], message["data"]:
                case "kernel-ready", data:
                    self.codes = dict(zip(data["cell_ids"], data["codes"], strict=True))
                    self.ready = True
                case "cell-op", data if data.get("console"):
                    printed = data["console"] if isinstance(data["console"], list) else [data["console"]]
                    self.shown[data["cell_id"]] = "".join(str(one["data"]) for one in printed)
                case "notebook-document-transaction", data:
                    for change in data["transaction"]["changes"]:
                        if "code" in change:
                            self.codes[change.get("cellId") or change["cell_id"]] = change["code"]

    async def close(self):
        self.listening.cancel()
        self.page.close()
        await asyncio.gather(self.listening, return_exceptions=True)


def refused(answer, code):
    return answer.failed and answer.text.startswith(f"[{code}] ")


async def until(held):
    async with asyncio.timeout(BOUND):
        while not held():  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)


@pytest.fixture
def editor(module_home):
    with ExitStack() as stack:
        yield Editor(module_home, stack)


@pytest.fixture(autouse=True)
def _found(editor, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(editor.state))


async def started(agent, run_id):
    """Wait until a run is no longer queued."""
    async with asyncio.timeout(BOUND):
        while (await agent("read_run", run_id=run_id, timeout=0)).data["status"] == "queued":  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)


async def test_an_agent_and_a_person_share_a_notebook_in_marimos_editor(editor, serve_here, monkeypatch):
    agent, person = await serve_here("auto", name="claude"), Person(editor)
    await until(host.hosts)
    # Nobody has it open yet: no kernel of marimo's runs it.
    early = await agent("connect_to_kernel", notebook="penguins.py")
    assert refused(early, "no_such_notebook"), early.text
    await person.open()
    found = (await agent("list_kernels")).data["kernels"]
    assert [(one["notebook"], one["reactive"]) for one in found] == [(str(editor.file), True)]
    joined = await agent("connect_to_kernel", connection_file=found[0]["connection_file"])
    assert (joined.data["state"], joined.data["front_end"]) == ("idle", "marimo"), joined.text
    a, b = person.codes
    # The agent runs, and the person sees it.
    ran = await agent("run_cells", which="all")
    assert (ran.data["status"], ran.data["outputs"]) == ("ok", f"[cell {b}]\ny is 2"), ran.text
    await until(lambda: person.shown.get(b) == "y is 2\n")
    variables = (await agent("list_variables")).data["variables"]
    assert [(one["name"], one["summary"], one["cell_id"]) for one in variables] == [
        ("x", "1", a),
        ("y", "2", b),
    ]
    assert (await agent("read_variable", variable="y")).data["summary"] == "2"
    assert (await agent("execute_code", code="x + y", scratch=True)).data["outputs"] == "3"
    # The agent edits, and the person sees the text.
    edits = [
        {"action": "change", "cell_id": a, "version": 1, "code": "x = 10"},
        {"action": "add", "code": "z = y * 2\nz", "after": b},
    ]
    edited = await agent("edit_cells", edits=edits)
    assert (edited.data["status"], edited.data["where"]) == ("ok", "document"), edited.text
    (c,) = edited.data["added"]
    assert edited.data["outputs"].endswith("22")
    await until(lambda: person.shown.get(b) == "y is 11\n")
    assert (person.codes[a], person.codes[c]) == ("x = 10", "z = y * 2\nz")
    # The person edits and runs, and the agent, which has read something else, overwrites nothing.
    editor.ask("document/transaction", {"changes": [{"type": "set-code", "cellId": a, "code": "x = 100"}]})
    editor.ask("kernel/run", {"cellIds": [a], "codes": ["x = 100"]})
    await until(lambda: person.shown.get(b) == "y is 101\n")
    late = await agent("edit_cells", edits=[{"action": "delete", "cell_id": a, "version": 2}])
    assert refused(late, "stale_version"), late.text
    assert "x = 100" in late.text
    read = await agent("read_cell", cell_id=a)
    assert (read.data["code"], "run by the person" in read.text) == ("x = 100", True), read.text
    # A long run of the agent is stopped.
    long = await agent(
        "execute_code", code="import time\nprint('begun')\ntime.sleep(60)", scratch=True, timeout=0
    )
    await started(agent, long.data["run_id"])
    stopped = await agent("interrupt_run", run_id=long.data["run_id"])
    assert stopped.data["status"] == "interrupted", stopped.text
    # What marimo has no request for is refused, and says what to do.
    for tool, arguments in (
        ("list_ui_elements", {}),
        ("set_ui_value", {"element": "s", "value": 1}),
        ("execute_code", {"code": "w = 1"}),
        ("propose_edit", {"edits": edits[1:]}),
    ):
        assert refused(await agent(tool, **arguments), "not_offered")
    assert "z = y * 2" not in editor.file.read_text()
    assert not (await agent("save_notebook")).failed
    assert "z = y * 2" in editor.file.read_text()
    # The person closes the session: its variables are gone, and the agent is told.
    editor.ask("kernel/restart_session", {})
    await person.close()
    await until_ended(agent)
    # Another secret in the record is another server's.
    record = next((editor.state / "marimo" / "hosts-v1").glob("*.json"))
    text = record.read_text()
    monkeypatch.setenv("XDG_STATE_HOME", str(copied(record, editor.state / "copy", text)))
    locked_out = await agent("connect_to_kernel", notebook="penguins.py")
    assert refused(locked_out, "no_such_notebook")
    told = "".join(answer.text for answer in (early, joined, edited, late, locked_out))
    assert json.loads(text)["token"] not in told + repr(host.hosts())


def copied(record: Path, folder: Path, text: str) -> Path:
    """Put a record with another secret into a folder."""
    path = folder / "marimo" / "hosts-v1" / record.name
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(json.loads(text) | {"token": "another"}))
    path.chmod(0o600)
    return folder


async def until_ended(agent):
    async with asyncio.timeout(BOUND):
        while (await agent("kernel_status")).data["state"] != "dead":
            pass


async def test_the_end_of_the_server_is_the_end_of_the_kernel(editor, serve_here):
    agent, person = await serve_here("auto", name="claude"), Person(editor)
    await until(host.hosts)
    await person.open()
    page = f"http://localhost:{editor.port}/?file=penguins.py"
    assert not (await agent("connect_to_kernel", server_url=page)).failed
    assert (await agent("connect_to_kernel", notebook="penguins.py")).data["kernel"] == "k1"
    await person.close()
    editor.end()
    await until_ended(agent)
    assert refused(await agent("run_cells", which="all"), "kernel_dead")
    assert refused(await agent("connect_to_kernel", notebook="penguins.py"), "no_such_notebook")
