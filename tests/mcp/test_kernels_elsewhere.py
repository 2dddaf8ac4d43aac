"""Kernels found by their notebook, reached through a real Jupyter server, restarted by who started them, or started."""

import asyncio
import os
import signal
import sys

import pytest
from environments import make_environment
from person import BOUND, change, refused, until
from server import jupyter_server, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def agent(serve):
    return await serve("auto", "--allow", "all")


@pytest.fixture(scope="module")
async def elsewhere(tmp_path_factory):
    """A Jupyter server of which nothing on this machine tells, with a reactive notebook open: its address, its token."""
    runtime, root = tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("root")
    with jupyter_server(root, runtime):
        server, _ = await opened(runtime, "penguins.ipynb", "marimo")
        yield server


async def connected(agent, server: dict, **arguments):
    answer = await agent("connect_to_kernel", server_url=server["url"], token=server["token"], **arguments)
    assert not answer.failed, answer.text
    return answer


async def restarted(agent) -> str:
    """Wait until the agent is told that the new kernel is there; before, the old one may be called dead."""
    async with asyncio.timeout(BOUND * 2):
        while "restarted since the last call" not in (text := (await agent("kernel_status")).text):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.05)
    return text


async def test_a_kernel_behind_a_server_does_all_that_one_nearby_does(agent, elsewhere):
    answer = await connected(agent, elsewhere, notebook="penguins.ipynb")
    assert (answer.data["reactive"], answer.data["notebook"]) == (True, "penguins.ipynb")
    assert elsewhere["token"] not in answer.text
    await agent("execute_code", code="x = 1")
    ran = await agent("execute_code", code="print('out'); x + 1")
    assert (ran.data["status"], ran.data["outputs"]) == ("ok", "out\n2")
    first = (await agent("list_cells")).data["cells"][0]
    edited = await agent("edit_cells", edits=[change(first["cell_id"], 1, "x = 10")])
    assert [cell["status"] for cell in edited.data["reran"]] == ["ok"]
    slow = await agent("execute_code", code="import time\ntime.sleep(60)", timeout=0.3)
    assert slow.data["status"] == "running"
    assert (await agent("kernel_status")).data["state"] == "busy"
    assert (await agent("read_cell", cell_id=first["cell_id"])).data["code"] == "x = 10"
    assert (await agent("interrupt_run", run_id=slow.data["run_id"])).data["status"] == "interrupted"
    await agent("disconnect_kernel")


async def test_a_kernel_behind_a_server_that_is_restarted_is_told_as_restarted(agent, elsewhere):
    await connected(agent, elsewhere, notebook="penguins.ipynb")
    await agent("execute_code", code="kept = 1")
    answer = await agent("control_kernel", action="restart")
    assert "restarted, empty" in answer.text
    await restarted(agent)
    answer = await agent("execute_code", code="'kept' in globals()", scratch=True)
    assert answer.data.get("outputs") == "False", answer.text
    await agent("disconnect_kernel")


async def test_a_kernel_that_its_server_restarts_after_a_crash_is_told_as_restarted(agent, elsewhere):
    await connected(agent, elsewhere, notebook="penguins.ipynb")
    crash = await agent("execute_code", code="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert crash.data["status"] == "lost"
    await restarted(agent)
    async with asyncio.timeout(BOUND):
        while (await agent("execute_code", code="1 + 1", scratch=True)).data.get("outputs") != "2":
            pass
    await agent("disconnect_kernel")


async def test_a_server_that_is_away_is_not_called_a_kernel_that_is_stuck(agent, tmp_path):
    runtime, root = tmp_path / "runtime", tmp_path / "root"
    for directory in (runtime, root):
        directory.mkdir(mode=0o700)
    with jupyter_server(root, runtime):
        server, _ = await opened(runtime, "away.ipynb", "python3")
        await connected(agent, server, notebook="away.ipynb")
    status = (await agent("kernel_status")).data
    assert status["state"] == "silent"
    assert f"The Jupyter server at {server['url'].rstrip('/')} does not answer" in status["message"]
    assert refused(await agent("execute_code", code="1"), "server_refused")
    await agent("disconnect_kernel")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ({"token": "wrong", "notebook": "penguins.ipynb"}, "server_refused", "refuses the token"),
        ({"notebook": "nosuch.ipynb"}, "server_refused", "penguins.ipynb"),
        ({"connection_file": "no-such-id"}, "server_refused", "has no kernel"),
        ({"server_url": "http://127.0.0.1:1/"}, "server_refused", "does not answer"),
        ({"server_url": "file:///etc/passwd"}, "bad_request", "http"),
    ],
)
async def test_what_a_server_refuses_is_told(agent, elsewhere, arguments, code, told):
    wanted = {"server_url": elsewhere["url"], "token": elsewhere["token"]} | arguments
    answer = await agent("connect_to_kernel", **wanted)
    assert refused(answer, code)
    assert told in answer.text
    assert elsewhere["token"] not in answer.text


# Kernels on this machine


async def test_a_kernel_is_found_by_its_notebook_and_restarted_by_its_server(agent, runtime_dir, tmp_path):
    with jupyter_server(tmp_path):
        await opened(runtime_dir, "deep.ipynb")
        async with asyncio.timeout(BOUND):
            while (answer := await agent("connect_to_kernel", notebook="deep.ipynb")).failed:
                pass
        assert answer.data["notebook"] == str(tmp_path / "deep.ipynb")
        await agent("execute_code", code="kept = 1")
        assert "restarted" in (await agent("control_kernel", action="restart")).text
        await restarted(agent)
        assert "NameError" in (await agent("execute_code", code="kept")).data["message"]
        assert "shut down" in (await agent("control_kernel", action="shut_down")).text
        assert refused(await agent("kernel_status"), "not_connected")
        assert refused(await agent("connect_to_kernel", notebook="deep.ipynb"), "no_such_notebook")


async def pid_of(agent) -> int:
    return int((await agent("execute_code", code="import os\nos.getpid()", scratch=True)).data["outputs"])


async def test_a_kernel_nearby_that_is_killed_and_started_again_by_jupyter_is_told_as_both(
    agent, runtime_dir, tmp_path
):
    with jupyter_server(tmp_path):
        _, kernel_id = await opened(runtime_dir, "crash.ipynb", "marimo")
        async with asyncio.timeout(BOUND):
            while (await agent("connect_to_kernel", connection_file=kernel_id)).failed:
                pass  # the kernel still starts
        pid = await pid_of(agent)
        await agent("execute_code", code="kept = 1")
        os.kill(pid, signal.SIGKILL)
        await restarted(agent)
        assert await pid_of(agent) != pid
        assert (await agent("list_cells")).data["cells"] == []
        looked = await agent("execute_code", code="'kept' in globals()", scratch=True)
        assert looked.data["outputs"] == "False"
        await agent("disconnect_kernel")


async def test_a_kernel_that_nobody_would_start_again_is_not_restarted(agent, plain_kernel):
    await agent.connect(plain_kernel)
    answer = await agent("control_kernel", action="restart")
    assert refused(answer, "bad_request")
    assert (await agent("execute_code", code="'alive'")).data["outputs"] == "'alive'"
    await agent("disconnect_kernel")


async def test_an_agent_interrupts_what_a_person_runs_if_it_may(agent, plain_kernel, person_at, gate):
    person = await person_at(plain_kernel)
    await agent.connect(plain_kernel)
    message_id = person.send("aaaa", gate.code)
    await agent.sees_busy()
    await agent("control_kernel", action="interrupt")
    await person.until_idle(message_id)
    assert "KeyboardInterrupt" in person.shown("aaaa")
    await agent("disconnect_kernel")


async def test_a_kernel_is_started_where_it_is_wanted(agent, tmp_path):
    assert refused(await agent("start_kernel", kernelspec="nosuch"), "no_such_kernelspec")
    assert refused(await agent("start_kernel", directory=str(tmp_path / "nosuch")), "bad_request")
    answer = await agent("start_kernel", kernelspec="python3", directory=str(tmp_path))
    assert not answer.failed, answer.text
    ran = await agent("execute_code", code="import os\nprint(os.getcwd()); os.getpid()")
    directory, pid = ran.data["outputs"].split("\n")
    assert directory == str(tmp_path)
    assert "restarted" in (await agent("control_kernel", action="restart")).text
    await restarted(agent)
    again = (await agent("execute_code", code="import os\nos.getpid()")).data["outputs"]
    assert again != pid
    await agent("control_kernel", action="shut_down")
    await until(lambda: not _runs(int(again)))


async def test_kernelspecs_are_listed_with_their_interpreters(agent):
    listed = {one["name"]: one for one in (await agent("list_kernelspecs")).data["kernelspecs"]}
    assert (listed["marimo"]["reactive"], listed["marimo"]["interpreter"]) == (True, sys.executable)
    assert not listed["python3"].get("reactive")


async def test_an_interpreter_without_the_bridge_is_refused_with_how_to_install_it(agent, tmp_path):
    python = make_environment(tmp_path / "env", with_bridge=False)
    answer = await agent("start_kernel", interpreter=str(tmp_path / "env"), directory=str(tmp_path))
    assert refused(answer, "bad_request")
    assert f"{python} -m pip install marimo-kernel-bridge" in answer.text
    assert refused(await agent("start_kernel", interpreter=str(tmp_path)), "bad_request")
    assert refused(await agent("start_kernel", interpreter="/bin/echo"), "bad_request")
    both = await agent("start_kernel", interpreter=str(python), kernelspec="marimo")
    assert refused(both, "bad_request")
    assert refused(await agent("kernel_status"), "not_connected")


async def test_a_kernel_runs_in_the_environment_of_the_interpreter(agent, tmp_path):
    python = make_environment(tmp_path / "env")
    answer = await agent("start_kernel", interpreter=str(tmp_path / "env"), directory=str(tmp_path))
    assert (answer.data["reactive"], answer.data["interpreter"]) == (True, str(python))
    ran = await agent("execute_code", code="import shutil, sys\nprint(sys.prefix); shutil.which('python')")
    assert ran.data["outputs"] == f"{tmp_path / 'env'}\n'{python}'"
    await agent("control_kernel", action="shut_down")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
