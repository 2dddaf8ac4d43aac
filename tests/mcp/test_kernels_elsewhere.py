"""Kernels found by their notebook, reached through a real Jupyter server, restarted by who started them, or started."""

import asyncio
import os
import sys

import psutil
import pytest
from environments import make_environment
from person import BOUND, change, refused, until
from server import jupyter_server, open_notebook, opened

from marimo_kernel_bridge.client.discovery import connection_file_of, find_kernels, notebooks_by_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def served(serve_here):
    return await serve_here("auto", "all")


@pytest.fixture(scope="module")
async def nearby(runtime_dir, tmp_path_factory):
    """A Jupyter server that announces itself on this machine, and its folder."""
    root = tmp_path_factory.mktemp("nearby")
    with jupyter_server(root, runtime_dir):
        server, _ = await opened(runtime_dir, "penguins.ipynb", "marimo")
        yield server, root


@pytest.fixture
def elsewhere(nearby):
    """The server, for an agent that is told its address and its token only: see `far`."""
    return nearby[0]


@pytest.fixture(scope="module")
async def served_far(serve, tmp_path_factory):
    runtime = tmp_path_factory.mktemp("far")
    return await serve("auto", "--allow", "all", env={"JUPYTER_RUNTIME_DIR": str(runtime)})


@pytest.fixture
async def far(served_far):
    """An agent on a machine where nothing tells of the server or of its kernels."""
    assert (await served_far("list_kernels")).data["kernels"] == []
    yield served_far
    await served_far.leave()


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


async def test_a_kernel_behind_a_server_does_all_that_one_nearby_does(far, elsewhere):
    answer = await connected(far, elsewhere, notebook="penguins.ipynb")
    assert (answer.data["reactive"], answer.data["notebook"]) == (True, "penguins.ipynb")
    assert elsewhere["token"] not in answer.text
    await far("execute_code", code="x = 1")
    ran = await far("execute_code", code="print('out'); x + 1")
    assert (ran.data["status"], ran.data["outputs"]) == ("ok", "out\n2")
    first = (await far("list_cells")).data["cells"][0]
    edited = await far("edit_cells", edits=[change(first["cell_id"], 1, "x = 10")])
    assert [cell.get("status", "ok") for cell in edited.data["reran"]] == ["ok"]
    slow = await far("execute_code", code="import time\ntime.sleep(60)", timeout=0.3)
    assert slow.data["status"] == "running"
    assert (await far("kernel_status")).data["state"] == "busy"
    assert (await far("read_cell", cell_id=first["cell_id"])).data["code"] == "x = 10"
    assert (await far("interrupt_run", run_id=slow.data["run_id"])).data["status"] == "interrupted"


@pytest.mark.long  # the next test has a restart after a crash
async def test_a_kernel_behind_a_server_that_is_restarted_is_told_as_restarted(far, elsewhere):
    await connected(far, elsewhere, notebook="penguins.ipynb")
    await far("execute_code", code="kept = 1")
    answer = await far("control_kernel", action="restart")
    assert "restarted, empty" in answer.text
    await restarted(far)
    answer = await far("execute_code", code="'kept' in globals()", scratch=True)
    assert answer.data.get("outputs") == "False", answer.text


async def test_a_kernel_that_its_server_restarts_after_a_crash_is_told_as_restarted(far, elsewhere):
    await connected(far, elsewhere, notebook="penguins.ipynb")
    crash = await far("execute_code", code="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert crash.data["status"] == "lost"
    await restarted(far)
    async with asyncio.timeout(BOUND):
        while (await far("execute_code", code="1 + 1", scratch=True)).data.get("outputs") != "2":
            pass


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
async def test_what_a_server_refuses_is_told(far, elsewhere, arguments, code, told):
    wanted = {"server_url": elsewhere["url"], "token": elsewhere["token"]} | arguments
    answer = await far("connect_to_kernel", **wanted)
    assert refused(answer, code)
    assert told in answer.text
    assert elsewhere["token"] not in answer.text


# Kernels on this machine


@pytest.mark.long  # the tests around it have each part
async def test_a_kernel_is_found_by_its_notebook_and_restarted_by_its_server(agent, nearby):
    server, root = nearby
    await asyncio.to_thread(open_notebook, server, "found.ipynb")
    async with asyncio.timeout(BOUND):
        while (answer := await agent("connect_to_kernel", notebook="found.ipynb")).failed:
            pass
    assert answer.data["notebook"] == str(root / "found.ipynb")
    await agent("execute_code", code="kept = 1")
    assert "restarted" in (await agent("control_kernel", action="restart")).text
    await restarted(agent)
    assert "NameError" in (await agent("execute_code", code="kept")).data["message"]
    assert "shut down" in (await agent("control_kernel", action="shut_down")).text
    assert refused(await agent("disconnect_kernel"), "not_connected")
    assert refused(await agent("connect_to_kernel", notebook="found.ipynb"), "no_such_notebook")


async def test_the_notebook_of_a_kernel_is_known_from_its_jupyter_server_whether_it_answers_or_not(nearby):
    server, root = nearby
    kernel_id = await asyncio.to_thread(
        open_notebook, server, "penguins.ipynb"
    )  # its session is there already
    assert (await notebooks_by_kernel())[kernel_id] == str(root / "penguins.ipynb")
    async with asyncio.timeout(BOUND):
        while not (found := [one for one in await find_kernels() if one.kernel_id == kernel_id and one.info]):
            pass
    (kernel,) = found
    assert (kernel.notebook, kernel.info.reactive) == (str(root / "penguins.ipynb"), True)
    assert server["token"] not in repr(found)
    processes = psutil.process_iter(["cmdline"])
    (process,) = (one for one in processes if kernel_id in " ".join(one.info["cmdline"] or ()))
    process.suspend()
    try:
        path = await connection_file_of("penguins.ipynb")
    finally:
        process.resume()
    assert kernel_id in path.name


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
    assert refused(await agent("disconnect_kernel"), "not_connected")


@pytest.mark.long  # the two tests before it have what is quick of this
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
