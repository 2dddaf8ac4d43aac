"""VS Code's notebook editor over real sockets: a Run All that begins while a dependent runs, and the extension's relay."""

import asyncio
import json
import os
import shutil
import time

from front_end import BOUND

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import KernelDescription
from marimo_kernel_bridge.protocol.own_python import module_command


def await_a_running_cell(front_end):
    deadline = time.monotonic() + BOUND
    while wire.decode_reply(front_end.ask(wire.Describe()), KernelDescription).running_cell is None:
        assert time.monotonic() < deadline, "no cell ran"
        time.sleep(0.01)  # nothing tells of it


def test_a_run_all_that_begins_while_a_dependent_runs_gets_no_late_message(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "import time; print('begins', a); time.sleep(0.5); print('two', a)")
    code.run("one", "a = 2")
    await_a_running_cell(code)
    assert code.run("one", "a = 3").ok
    assert code.text("two") == "begins 1\ntwo 1"
    code.wait_for("two", "begins 3\ntwo 3")


def test_the_relay_finds_the_kernel_of_a_notebook_and_ends_with_the_extension(connect, kernel, tmp_path):
    notebook = tmp_path / "n.ipynb"
    notebook.touch()
    connect("vscode").run("one", f"__vsc_ipynb_file__ = {str(notebook)!r}")

    shutil.copy(kernel.connection_file, tmp_path / "kernel-1.json")  # as front ends name theirs
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path)}

    async def talk():
        pipe = asyncio.subprocess.PIPE
        relay = await asyncio.create_subprocess_exec(
            *module_command("document-relay"),
            stdin=pipe,
            stdout=pipe,
            stderr=None,
            cwd=tmp_path,
            env=environment,
        )
        try:
            async with asyncio.timeout(BOUND):
                relay.stdin.write(json.dumps({"do": "watch", "notebook": str(notebook)}).encode() + b"\n")
                said = [json.loads(await relay.stdout.readline()) for _ in range(2)]
                relay.stdin.close()
                return said, await relay.wait()
        finally:
            if relay.returncode is None:
                relay.kill()

    (hello, found), exit_code = asyncio.run(talk())
    assert (hello["say"], found["say"], found["notebook"]) == ("hello", "kernel", str(notebook))
    assert exit_code == 0
