"""Several kernels, busy, restarted, suspended and killed ones: each reported as what it is."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from person import BOUND, Gate, add, change, refused, suspend, wait_for_ready

pytestmark = pytest.mark.anyio


@contextmanager
def a_file(path: Path, content: str) -> Iterator[None]:
    path.write_text(content)
    path.chmod(0o600)
    try:
        yield
    finally:
        path.unlink()


@pytest.fixture
def own_plain_kernel(start_kernel):
    return start_kernel()


async def test_kernels_are_listed_with_what_they_are(agent, plain_kernel, reactive_kernel, runtime_dir):
    channels = ("shell", "iopub", "stdin", "control", "hb")
    stale = {f"{channel}_port": 1 for channel in channels} | {"ip": "127.0.0.1", "key": "k"}
    with (
        a_file(runtime_dir / "kernel-ended.json", json.dumps(stale)),
        a_file(runtime_dir / "kernel-broken.json", "{"),
    ):
        answer = await agent("list_kernels")
    kernels = {kernel["connection_file"]: kernel for kernel in answer.data["kernels"]}
    for manager, reactive in ((plain_kernel, False), (reactive_kernel, True)):
        assert kernels[Path(manager.connection_file).name]["reactive"] is reactive
    assert "kernel-ended.json" not in kernels
    assert answer.data["ended"] >= 1
    codes = {
        file["connection_file"]: file["code"] for file in answer.data["unusable"]
    }  # a kernel may be starting
    assert codes["kernel-broken.json"] == "connection_file_malformed"
    # The list is short enough to choose from, and its names can be passed on.
    handle = (await agent("connect_to_kernel", connection_file=next(iter(kernels)))).data["kernel"]
    assert f"connected as {handle}" in (await agent("list_kernels")).text


async def until_printed(agent, run_id: str, text: str) -> None:
    """Wait until a run has put out this."""
    async with asyncio.timeout(BOUND):
        while (await agent("read_run", run_id=run_id, timeout=0.1)).data.get("outputs") != text:
            pass


@pytest.mark.parametrize("kind", ["own_plain_kernel", "reactive_kernel"])
async def test_a_kernel_killed_in_mid_run_is_reported_with_what_it_had_printed(agent, request, gate, kind):
    manager = request.getfixturevalue(kind)
    await agent.connect(manager)
    run = await agent("execute_code", code=f"print('last words')\n{gate.code}", timeout=0)
    await until_printed(agent, run.data["run_id"], "last words")
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    answer = await agent("read_run", run_id=run.data["run_id"], timeout=BOUND)
    assert answer.failed
    assert (answer.data["status"], answer.data["outputs"]) == ("lost", "last words")
    assert "ended unexpectedly" in answer.text
    status = await agent("kernel_status")
    assert not status.failed
    assert status.data["state"] == "dead"
    assert refused(await agent("execute_code", code="1"), "kernel_dead")


async def test_connecting_again_after_a_kernels_end_is_a_fresh_start(agent, start_kernel):
    manager = start_kernel()
    await agent.connect(manager)
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    manager.provisioner.process.wait()
    answer = await agent("connect_to_kernel", connection_file=manager.connection_file)
    assert refused(answer, "connection_file_stale")
    await asyncio.to_thread(manager.restart_kernel, now=True)
    await asyncio.to_thread(wait_for_ready, manager)
    await agent.connect(manager)
    assert (await agent("execute_code", code="'new'")).data["outputs"] == "'new'"


async def test_output_of_sixty_megabytes_is_told_as_that_and_the_server_lives_on(agent, reactive_kernel):
    await agent.connect(reactive_kernel)
    code = "print('begun')\nfor _ in range(60):\n    print('x' * 1_000_000)\nprint('over')"
    answer = await agent("execute_code", code=code, timeout=90)
    assert answer.data["status"] == "ok", answer.text[-500:]
    assert len(answer.text) < 10_000
    assert answer.data["outputs"].startswith("begun\nxxx")
    assert "characters of streams were not kept" in answer.text
    cell = await agent("read_cell", cell_id=answer.data["cell_id"])
    middle = await agent("read_cell", cell_id=answer.data["cell_id"], offset=999_000, max_chars=3000)
    told = [line for line in middle.data["outputs"].splitlines() if not line.startswith("x")]
    assert "of 60,000,071 characters are in the kernel …]" in told[0]
    assert cell.data["outputs"].endswith("over")
    assert (await agent("execute_code", code="1 + 1", scratch=True)).data["outputs"] == "2"


async def test_a_suspended_kernel_is_told_with_the_run_that_it_holds_up_and_nothing_is_lost(
    plain, plain_kernel, gate
):
    agent, pid = plain, plain_kernel.provisioner.pid
    run = await agent("execute_code", code=f"print('begun')\n{gate.code}\n'over'", timeout=0)
    await until_printed(agent, run.data["run_id"], "begun")
    suspend(pid)
    try:
        held = await agent("read_run", run_id=run.data["run_id"], timeout=0.1)
        assert held.data["status"] == "running"
        assert held.data["outputs"] == "begun"
        assert "suspended or stuck" in held.data["message"]
        assert (await agent("kernel_status")).data["state"] == "silent"
    finally:
        os.kill(pid, signal.SIGCONT)
    gate.open()
    over = await agent("read_run", run_id=run.data["run_id"], timeout=BOUND)
    assert (over.data["status"], over.data["outputs"]) == ("ok", "begun\n'over'")


async def test_a_kernel_that_is_hung_is_called_silent_and_not_dead(agent, reactive_kernel, gate, tmp_path):
    hang = Gate(tmp_path / "hang")
    await agent.connect(reactive_kernel)
    # PyDLL keeps the interpreter's lock: from there on the kernel's other threads can say nothing.
    code = f"import ctypes\nprint('begun', flush=True)\n{gate.code}\nctypes.PyDLL(None).open({bytes(hang.path)!r}, 0)"
    run_id = (await agent("execute_code", code=code, timeout=0)).data["run_id"]
    await until_printed(agent, run_id, "begun")
    gate.open()
    try:
        async with asyncio.timeout(2 * BOUND):
            while (
                "prevents the kernel from answering"
                not in (held := await agent("read_run", run_id=run_id, timeout=0.1)).text
            ):
                pass
        assert held.data["status"] == "running"
        status = await agent("kernel_status")
        assert status.data["state"] == "silent", status.text
        assert "alive" in status.data["message"]
    finally:
        hang.open()
    over = await agent("read_run", run_id=run_id, timeout=BOUND)
    assert over.data["status"] == "ok"
    assert (await agent("kernel_status")).data["state"] == "idle"


async def test_output_by_display_alone_is_output_of_a_dependent_too(agent, reactive_kernel):
    await agent.connect(reactive_kernel)
    await agent("edit_cells", edits=[add("n = 1")])
    shows = "from IPython.display import display\nfor i in range(n):\n    display({'shown': i})"
    cell = (await agent("edit_cells", edits=[add(shows)])).data["cell_id"]
    source = (await agent("list_cells")).data["cells"][0]["cell_id"]
    answer = await agent("edit_cells", edits=[change(source, 1, "n = 2")])
    assert [(ran["cell_id"], ran["outputs_changed"]) for ran in answer.data["reran"]] == [(cell, True)]
    assert (await agent("read_cell", cell_id=cell)).data["outputs"] == "{'shown': 0}\n{'shown': 1}"


async def test_input_asked_for_in_a_cell_or_in_a_dependent_is_told(agent, reactive_kernel):
    await agent.connect(reactive_kernel)
    asked = await agent("edit_cells", edits=[add("name = input('who? ')")])
    assert asked.data["status"] == "error"
    assert "no one can enter input here" in asked.data["message"]
    await agent("edit_cells", edits=[add("question = ''")])
    dependent = await agent("edit_cells", edits=[add("if question:\n    input(question)")])
    source = (await agent("read_dataflow", cell_id=dependent.data["cell_id"])).data["upstream"][0]["cell_id"]
    answer = await agent("edit_cells", edits=[change(source, 1, "question = 'why? '")])
    assert answer.data["status"] == "ok"
    assert [ran["status"] for ran in answer.data["reran"]] == ["error"]
    assert any(
        "no one can enter input" in error["hint"].lower()
        for error in (await agent("list_errors")).data["errors"]
    )
