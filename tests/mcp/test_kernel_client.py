"""The client against real kernels: their messages, and their processes' end. What the client makes of each message is in tests/unit/client."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest
from person import BOUND, Gate, suspend, until, wait_for_ready

from marimo_kernel_bridge.client import link as kernel_link
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.errors import BridgeError

pytestmark = pytest.mark.anyio


async def finished(client: KernelClient, code: str):
    run = await client.execute(code)
    assert await client.runs.wait(run, BOUND), f"{code!r} is {run.status}"
    return run


def texts(run) -> list[str]:
    return [
        output.get("text") or output.get("data", {}).get("text/plain") or output["ename"]
        for output in run.log.outputs()
    ]


# What runs


async def test_streams_results_and_displays_are_collected(plain_kernel, attach):
    client = await attach(plain_kernel)
    run = await finished(client, "print('a'); print('b'); display('shown'); 6 * 7")
    assert run.status == "ok"
    assert texts(run) == ["a\nb\n", "'shown'", "42"]


async def test_display_only_output_is_not_lost(plain_kernel, attach):
    client = await attach(plain_kernel)
    code = "from IPython.display import Image; display(Image(b'\\x89PNG fake', format='png'))"
    run = await finished(client, code)
    (output,) = run.log.outputs()
    assert output["output_type"] == "display_data"
    assert "image/png" in output["data"]


async def test_a_failing_cell_is_data(plain_kernel, attach):
    client = await attach(plain_kernel)
    run = await finished(client, "print('before'); 1/0")
    assert run.status == "error"
    assert texts(run) == ["before\n", "ZeroDivisionError"]


async def test_asking_for_input_fails_instead_of_hanging(plain_kernel, attach):
    client = await attach(plain_kernel)
    assert texts(await finished(client, "input()")) == ["StdinNotImplementedError"]


async def test_the_first_output_is_not_missed_when_iopub_connects_late(plain_kernel, tmp_path):
    connection = read_connection(plain_kernel.connection_file)
    late = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await late.wait()
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", connection.ports["iopub"])
        await asyncio.gather(pipe(reader, their_writer), pipe(their_reader, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        slow = replace(connection, ports=connection.ports | {"iopub": port})
        asyncio.get_running_loop().call_later(0.3, late.set)
        async with await KernelClient.attach(slow) as client:
            assert late.is_set(), "attached before it could hear"
            assert texts(await finished(client, "print('first')")) == ["first\n"]


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_a_run_is_interrupted(plain_kernel, attach):
    client = await attach(plain_kernel)
    run = await client.execute("while True: pass")
    await until(lambda: run.started_at)
    await client.interrupt(run)
    assert await client.runs.wait(run, BOUND)
    assert run.status == "interrupted"
    assert texts(await finished(client, "'usable'")) == ["'usable'"]


# Beside a person


async def test_a_busy_kernel_is_named_with_whose_code_runs(plain_kernel, attach, person_at, gate):
    client, person = await attach(plain_kernel), await person_at(plain_kernel)
    person.send("aaaa", gate.code)
    await until(lambda: client.runs.others and client.runs.others[0].code)
    (work,) = client.runs.others
    assert (work.client, work.code) == ("notebook", gate.code)
    assert not await client.shell_is_free(0.1)

    run = await client.execute("'mine'")
    assert not await client.runs.wait(run, 0.1)
    assert run.status == "queued"
    with pytest.raises(BridgeError) as caught:
        await client.interrupt(run)
    assert caught.value.code == "kernel_busy"

    gate.open()
    await person.until_shown("aaaa", "''")
    assert await client.runs.wait(run, BOUND)
    assert texts(run) == ["'mine'"]
    assert client.runs.others == ()


async def test_work_that_began_before_we_attached_is_noticed(plain_kernel, attach, person_at, gate):
    person = await person_at(plain_kernel)
    message_id = person.send("aaaa", "print('begun')\n" + gate.code)
    await person.until_shown("aaaa", "begun")
    client = await attach(plain_kernel)
    assert client.runs.others == ()
    assert not await client.shell_is_free(0.1)
    gate.open()
    await person.until_idle(message_id)
    assert await client.shell_is_free(BOUND)


async def test_a_run_behind_a_failing_cell_is_aborted_and_says_so(plain_kernel, attach, person_at, gate):
    client, person = await attach(plain_kernel), await person_at(plain_kernel)
    person.send("aaaa", gate.code + "\n1/0")
    await until(lambda: client.runs.others)
    run = await client.execute("'never'")
    assert not await client.runs.wait(run, 0.1)
    gate.open()
    assert await client.runs.wait(run, BOUND)
    assert (run.status, texts(run)) == ("aborted", [])


async def test_our_failure_aborts_nobody_elses_queue(plain_kernel, attach, person_at, gate):
    client, person = await attach(plain_kernel), await person_at(plain_kernel)
    run = await client.execute(gate.code + "\n1/0")
    await until(lambda: run.started_at)
    message_id = person.send("aaaa", "'hers'")
    gate.open()
    await person.until_idle(message_id)
    await until(lambda: run.status != "running")  # the client has sockets of its own
    assert (run.status, person.shown("aaaa")) == ("error", "'hers'")


# The kernel's end


async def test_a_kernel_killed_in_mid_run_is_dead_at_once(reactive_kernel, attach):
    client = await attach(reactive_kernel)
    run = await client.execute("print('begun'); import time; time.sleep(60)")
    await until(run.log.outputs)
    os.kill(reactive_kernel.provisioner.pid, signal.SIGKILL)
    assert await client.runs.wait(run, 2.0), "a dead kernel must not be waited for"
    assert (run.status, run.lost.code, texts(run)) == ("lost", "kernel_dead", ["begun\n"])
    assert await client.liveness() == "dead"
    with pytest.raises(BridgeError) as caught:
        await client.execute("1")
    assert caught.value.code == "kernel_dead"
    assert "unexpectedly" in caught.value.message


async def test_a_kernel_that_was_shut_down_is_told_from_one_that_crashed(reactive_kernel, attach):
    client = await attach(reactive_kernel)
    await asyncio.to_thread(reactive_kernel.shutdown_kernel)
    await until(lambda: client.end)
    with pytest.raises(BridgeError) as caught:
        await client.execute("1")
    assert caught.value.message.startswith("The kernel was shut down.")


async def test_a_suspended_kernel_is_silent_and_not_dead(plain_kernel, attach, monkeypatch):
    monkeypatch.setattr(kernel_link, "HEARTBEAT_BOUND", 0.2)
    client = await attach(plain_kernel)
    pid = plain_kernel.provisioner.pid
    suspend(pid)
    try:
        assert await client.liveness() == "silent"
        run = await client.execute("'later'")
        assert not await client.runs.wait(run, 0.1)
        assert not await client.shell_is_free(0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await client.runs.wait(run, BOUND), "silence is not death: the run goes on"
    assert texts(run) == ["'later'"]
    assert await client.liveness() == "alive"


async def ask_for_ever(client: KernelClient) -> None:
    async with asyncio.timeout(BOUND):
        while True:
            await client.reads.outcome("x", 0.1)


async def test_a_kernel_whose_interpreter_is_held_answers_nothing_and_is_alive(
    reactive_kernel, attach, gate, tmp_path
):
    hang = Gate(tmp_path / "hang")
    client = await attach(reactive_kernel)
    # PyDLL keeps the interpreter's lock: from there on the kernel's other threads can say nothing.
    held = f"ctypes.PyDLL(None).open({bytes(hang.path)!r}, 0)"
    run = await client.execute(f"import ctypes\nprint('begun', flush=True)\n{gate.code}\n{held}")
    await until(run.log.outputs)
    gate.open()
    try:
        with pytest.raises(BridgeError, match="prevents it from answering") as caught:
            await ask_for_ever(client)
        assert caught.value.code == "kernel_silent"
        assert await client.liveness() == "alive"
        assert run.status == "running"
    finally:
        hang.open()
    assert await client.runs.wait(run, BOUND)
    assert run.status == "ok"


async def test_a_restarted_kernel_is_another_one(reactive_kernel, attach, restart):
    client = await attach(reactive_kernel)
    await finished(client, "kept = 1")
    run = await client.execute("import time; time.sleep(60)")
    await until(lambda: run.started_at)
    await asyncio.to_thread(restart, reactive_kernel)
    assert await client.runs.wait(run, BOUND)
    assert (run.status, run.lost.code) == ("lost", "kernel_dead")

    await asyncio.to_thread(wait_for_ready, reactive_kernel)
    assert texts(await finished(client, "'kept' in globals()")) == ["False"]
    assert client.restarts == 1


async def test_a_restart_too_quick_to_be_seen_down_is_noticed(reactive_kernel, attach, restart):
    client = await attach(reactive_kernel)
    # On this thread, so that the client sees nothing of it until the new process listens.
    restart(reactive_kernel)
    wait_for_ready(reactive_kernel)
    await until(lambda: client.end)
    assert "restarted" in client.end.message
    assert texts(await finished(client, "'new'")) == ["'new'"]
    assert client.restarts == 1


async def test_code_is_never_kept_for_the_next_process(reactive_kernel, attach, restart):
    client = await attach(reactive_kernel)
    os.kill(reactive_kernel.provisioner.pid, signal.SIGKILL)
    reactive_kernel.provisioner.process.wait()
    # The client has not yet heard of it, and ZMQ may not have either: then it takes the message, and loses it.
    try:
        run = await client.execute("ran = True")
        assert await client.runs.wait(run, BOUND)
        why = run.lost
    except BridgeError as refusal:
        why = refusal
    assert why.code in {"kernel_dead", "kernel_silent"}
    await asyncio.to_thread(restart, reactive_kernel)
    await asyncio.to_thread(wait_for_ready, reactive_kernel)
    assert texts(await finished(client, "'ran' in globals()")) == ["False"]


async def test_closing_leaves_the_kernel_and_its_run_alone(plain_kernel, attach, person_at, gate):
    person = await person_at(plain_kernel)
    async with await KernelClient.attach(read_connection(plain_kernel.connection_file)) as client:
        run = await client.execute(gate.code + "; went_on = True")
        await until(lambda: run.started_at)
    gate.open()
    await person.run("aaaa", "went_on")
    assert person.shown("aaaa") == "True"
