"""The MCP server as a process, spoken to by the SDK's client in both eras of the protocol."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from person import BOUND, refused

pytestmark = pytest.mark.anyio

RED_DOT = "import base64; from IPython.display import Image\ndisplay(Image(base64.b64decode({!r}), format='png'))".format(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def served(request, serve):
    """An MCP client of each era of the protocol: with `server/discover`, and with `initialize`."""
    return await serve(request.param)


def as_written(path: str) -> dict:
    return json.loads(Path(path).read_text())


# What a client sees before it calls anything


def test_the_server_starts_without_marimo_zmq_or_ipython_and_looks_for_garbage_only_once_all_is_imported():
    code = (
        "import gc, sys; from marimo_kernel_bridge.cli.main import main; begun = gc.get_stats()[2]['collections'];"
        "main(['mcp'], standalone_mode=False);"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, gc.get_stats()[2]['collections'] - begun);"
        "import marimo_kernel_bridge.mcp_server.transport.http;"
        "print(sorted({'marimo', 'zmq', 'jupyter_client', 'IPython', 'ipykernel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True True 0", "[]"]


def test_a_server_whose_client_was_killed_ends_without_a_word():
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    server = subprocess.Popen(
        [sys.executable, "-m", "marimo_kernel_bridge", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    server.stdout.close()
    _, told = server.communicate(json.dumps(request) + "\n", timeout=10 * BOUND)
    assert (server.returncode, told) == (0, "")


# Connecting


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "connection_file_missing"),
        ("{", "connection_file_malformed"),
        ("foreign", "connection_file_foreign"),
        ("stale", "connection_file_stale"),
        ("wrong key", "wrong_key"),
    ],
)
async def test_a_bad_connection_file_is_a_tool_error_and_nothing_is_connected(
    agent, plain_kernel, tmp_path, content, code
):
    path = tmp_path / "kernel-bad.json"
    good = as_written(plain_kernel.connection_file)
    if content is not None:
        changed = {
            "stale": good | {"shell_port": 1},
            "wrong key": good | {"key": "another"},
        }.get(content, good)
        path.write_text("{" if content == "{" else json.dumps(changed))
        path.chmod(0o666 if content == "foreign" else 0o600)
    answer = await agent("connect_to_kernel", connection_file=str(path))
    assert refused(answer, code)
    assert good["key"] not in answer.text
    assert refused(await agent("disconnect_kernel"), "not_connected")


# A plain kernel


async def test_code_runs_in_a_plain_kernel(plain):
    answer = await plain("execute_code", code="print('hi'); 6 * 7")
    assert (answer.data["status"], answer.data["outputs"]) == ("ok", "hi\n42")
    assert "hi\n42" in answer.text


async def test_an_image_is_an_image_and_no_text(plain):
    answer = await plain("execute_code", code=RED_DOT)
    (image,) = answer.images
    assert image.mime_type == "image/png"
    assert image.data.startswith("iVBOR")
    assert "iVBOR" not in answer.text + json.dumps(answer.data)
    assert answer.data["images"] == 1


async def test_a_timeout_leaves_the_run_going_and_it_can_be_waited_for(plain, gate):
    first = await plain("execute_code", code=f"print('begun')\n{gate.code}; print('over')", timeout=0.3)
    assert (first.data["status"], first.data["outputs"]) == ("running", "begun")
    assert "The kernel is alive" in first.text
    status = await plain("kernel_status")
    assert status.data["state"] == "busy"
    assert status.data["working_on"][0]["run_id"] == first.data["run_id"]
    gate.open()
    second = await plain("read_run", run_id=first.data["run_id"])
    assert (second.data["status"], second.data["outputs"]) == ("ok", "begun\nover")


async def test_a_run_is_interrupted_on_demand(plain):
    run = await plain("execute_code", code="while True: pass", timeout=0.2)
    answer = await plain("interrupt_run", run_id=run.data["run_id"])
    assert answer.data["status"] == "interrupted"


async def test_cancelling_the_call_stops_the_run(plain):
    await plain("execute_code", code="print('ready')")
    call = asyncio.create_task(plain("execute_code", code="while True: pass", timeout=600))
    async with asyncio.timeout(BOUND):
        while not (await plain("kernel_status")).data.get("our_runs"):
            pass
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    answer = await plain("execute_code", code="'free again'", timeout=BOUND)
    assert answer.data["outputs"] == "'free again'"
