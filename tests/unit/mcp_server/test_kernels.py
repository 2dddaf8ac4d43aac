"""Kernels as agents find, join, start, control and leave them; those that run are in memory, and none is started."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.client.discovery import FoundKernel
from marimo_kernel_bridge.client.life import KernelInfo
from marimo_kernel_bridge.client.reads import Reads
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server import attached, attachments
from marimo_kernel_bridge.mcp_server.answers.kernels import KernelspecLine, KernelspecList
from marimo_kernel_bridge.mcp_server.views import kernels
from tests.unit.client.served_kernels import TOKEN, ServedKernels, serving
from tests.unit.mcp_server.fake_kernel import DESCRIPTION, Execution, FakeKernel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.mcp_server.agent import Agent
    from tests.unit.mcp_server.conftest import Serve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def served() -> AsyncIterator[ServedKernels]:
    """A Jupyter server in this process, with one kernel."""
    async with serving() as server:
        yield server


# Listing


async def listed(agent: Agent, monkeypatch: pytest.MonkeyPatch, *found: FoundKernel) -> list[str]:
    async def find_kernels() -> list[FoundKernel]:
        return list(found)

    monkeypatch.setattr(discovery, "find_kernels", find_kernels)
    return (await agent("list_kernels")).text.splitlines()


INFO = KernelInfo("marimo_kernel_bridge", "1", "python", "3.11", session="process 1")


async def test_running_kernels_are_listed_with_what_is_known_of_each(
    connected: Agent, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = replace(DESCRIPTION, busy=True, cells=3)
    lines = await listed(
        connected,
        monkeypatch,
        FoundKernel(
            Path(connection_file), "fake", "/home/ada/a.ipynb", INFO, busy, warnings=("Others may write it.",)
        ),
        FoundKernel(Path("/run/kernel-2.json"), "2", None, replace(INFO, implementation="ipython")),
    )
    ours = "- kernel-fake.json · marimo_kernel_bridge (python 3.11) · reactive · notebook /home/ada/a.ipynb"
    assert lines == [
        "2 running kernels, newest first:",
        f"{ours} · busy · connected as k1 · Others may write it.",
        "- kernel-2.json · ipython (python 3.11) · not reactive · notebook unknown",
    ]


async def test_files_without_a_usable_kernel_are_counted_or_told_with_the_reason(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = BridgeError("connection_file_stale", "gone")
    foreign = BridgeError("connection_file_foreign", "Another user owns it.")
    lines = await listed(
        agent,
        monkeypatch,
        FoundKernel(Path("/run/kernel-1.json"), "1", None, problem=gone),
        FoundKernel(Path("/run/kernel-2.json"), "2", None, problem=foreign),
    )
    assert lines[0].startswith("No running kernel found in ")
    assert lines[1:] == [
        "- kernel-2.json: [connection_file_foreign] Another user owns it.",
        "1 connection file of ended kernels not listed.",
    ]


def test_kernels_that_can_be_started_are_told_with_their_interpreters() -> None:
    specs = (
        KernelspecLine("marimo", "marimo (reactive Python)", "python", "/env/bin/python", reactive=True),
        KernelspecLine("ir", "R", "r"),
    )
    assert KernelspecList(specs).text().splitlines() == [
        "- marimo: marimo (reactive Python) · python · reactive · /env/bin/python",
        "- ir: R · r · not reactive · its program is not there",
    ]
    assert "Give start_kernel an interpreter" in KernelspecList(()).text()


async def test_the_kernels_that_can_be_started_here_are_listed(agent: Agent) -> None:
    names = [spec["name"] for spec in (await agent("list_kernelspecs")).data["kernelspecs"]]
    assert "marimo" in names


# Joining


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"connection_file": "kernel-1.json", "notebook": "a.ipynb"},
            "Give one of connection_file and notebook.",
        ),
        ({"connection_file": "kernel-1.json", "token": TOKEN}, "server_url is missing"),
        ({"server_url": "localhost:8888"}, "not the address of a Jupyter server"),
    ],
)
async def test_arguments_that_name_no_kernel_are_refused(
    agent: Agent, arguments: dict[str, str], told: str
) -> None:
    refused = await agent("connect_to_kernel", **arguments)
    assert refused.refused("bad_request")
    assert told in refused.text


async def test_a_notebook_that_is_not_open_is_told(agent: Agent) -> None:
    refused = await agent("connect_to_kernel", notebook="nosuch.ipynb")
    assert refused.failed
    assert "nosuch.ipynb" in refused.text


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        ("/", {}),
        ("/", {"connection_file": "k-1"}),
        ("/", {"notebook": "a.ipynb"}),
        ("/lab/tree/deep/a.ipynb", {}),
    ],
)
async def test_a_kernel_at_a_server_is_joined_by_what_the_address_or_the_arguments_name(
    agent: Agent, served: ServedKernels, page: str, arguments: dict[str, str]
) -> None:
    served.opened("deep/a.ipynb", "k-1")
    url = f"{served.server.url}{page}?token={TOKEN}"
    joined = await agent("connect_to_kernel", server_url=url, **arguments)
    assert joined.data["connection_file"] == f"{served.server.url}/api/kernels/k-1", joined.text
    assert TOKEN not in joined.text
    notebook = "deep/a.ipynb" if page != "/" or "notebook" in arguments else None
    assert joined.data.get("notebook") == notebook


# Starting


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ({"directory": "/no/such/folder"}, "bad_request", "There is no directory '/no/such/folder'"),
        ({"kernelspec": "nosuch"}, "no_such_kernelspec", "nosuch"),
        (
            {"kernelspec": "marimo", "interpreter": "/bin/python"},
            "bad_request",
            "one of kernelspec and interpreter",
        ),
        ({"interpreter": "/no/such/python"}, "bad_request", "/no/such/python"),
    ],
)
async def test_a_kernel_that_cannot_be_started_is_refused(
    serve: Serve, arguments: dict[str, str], code: str, told: str
) -> None:
    refused = await (await serve("all"))("start_kernel", **arguments)
    assert refused.refused(code), refused.text
    assert told in refused.text


# Controlling and leaving


@pytest.fixture
async def owner(serve: Serve, connection_file: str, kernel: FakeKernel) -> Agent:
    """An agent that may do all, connected to a kernel that somebody else started."""
    agent = await serve("all")
    assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
    kernel.asked.clear()
    return agent


async def test_a_kernel_that_nobody_can_start_again_is_not_restarted(owner: Agent) -> None:
    refused = await owner("control_kernel", action="restart")
    assert refused.refused("bad_request")
    assert "nothing was done" in refused.text


async def test_what_runs_is_interrupted(owner: Agent, kernel: FakeKernel) -> None:
    kernel.executions["slow()"] = Execution(held=True)
    slow = await owner("execute_code", code="slow()", timeout=0.01)
    assert slow.data["status"] == "running"
    answer = await owner("control_kernel", action="interrupt")
    assert answer.text == "k1: Interrupted: the running code got a KeyboardInterrupt."
    assert (await owner("read_run", run_id=slow.data["run_id"])).data["status"] == "interrupted"


async def test_an_idle_kernel_is_not_told_as_interrupted(owner: Agent, kernel: FakeKernel) -> None:
    answer = await owner("control_kernel", action="interrupt")
    assert answer.text == "k1: It is idle: no code is running, and nothing was interrupted."
    assert "interrupt_request" not in kernel.asked


async def test_what_another_client_runs_is_interrupted(owner: Agent, kernel: FakeKernel) -> None:
    kernel.somebody_else_runs("train()")
    await kernel.heard()
    answer = await owner("control_kernel", action="interrupt")
    assert answer.text == "k1: Interrupted: the running code got a KeyboardInterrupt."


@pytest.mark.parametrize("state", [{"busy": True}, {"settling": True}, {"queued": 1}])
async def test_work_that_began_before_the_agent_came_is_interrupted(
    owner: Agent, kernel: FakeKernel, state: dict[str, Any]
) -> None:
    kernel.description = replace(DESCRIPTION, **state)
    answer = await owner("control_kernel", action="interrupt")
    assert answer.text == "k1: Interrupted: the running code got a KeyboardInterrupt."


async def test_a_kernel_that_does_not_say_what_it_does_is_interrupted(
    owner: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: Reads) -> None:
        raise BridgeError("kernel_silent", "The kernel does not answer.")

    monkeypatch.setattr(Reads, "describe", nothing)
    answer = await owner("control_kernel", action="interrupt")
    assert answer.text == "k1: Interrupted: the running code got a KeyboardInterrupt."
    assert "interrupt_request" in kernel.asked


async def test_a_server_restarts_and_shuts_down_its_kernel(serve: Serve, served: ServedKernels) -> None:
    agent = await serve("all")
    url = f"{served.server.url}/?token={TOKEN}"
    assert not (await agent("connect_to_kernel", server_url=url)).failed
    done = await agent("control_kernel", action="restart")
    assert done.text == "k1: The kernel was restarted, empty. All its variables and cells are lost."
    done = await agent("control_kernel", action="shut_down")
    assert done.text == "k1: The kernel was shut down. All its variables and cells are lost."
    assert served.asked[-2:] == ["POST /api/kernels/k-1/restart", "DELETE /api/kernels/k-1"]
    assert (await agent("kernel_status")).refused("not_connected")


async def test_who_leaves_is_told_which_of_its_runs_go_on(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["slow()"] = Execution(held=True)
    run = (await connected("execute_code", code="slow()", timeout=0.01)).data["run_id"]
    left = await connected("disconnect_kernel")
    assert left.text == f"Disconnected from k1; the kernel runs on. Runs that go on in it: {run}."
    assert kernel.busy


# What a kernel is doing


async def test_a_busy_kernel_says_with_whose_request_and_since_when(
    connected: Agent, kernel: FakeKernel
) -> None:
    end = kernel.somebody_else_runs("train(model)\nsave()")
    await kernel.heard()
    busy = await connected("kernel_status")
    assert busy.data["state"] == "busy"
    assert "works on: a request of the person, " in busy.text
    assert "train(model)" in busy.text
    end()
    await kernel.heard()
    assert (await connected("kernel_status")).data["state"] == "idle"


@pytest.mark.parametrize("name", ["", "username", "root", "ada"])
async def test_a_person_is_the_person_everywhere_whatever_the_front_end_calls_them(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("USER", "root")
    kernel.add("aaaa", "train(model)")
    kernel.somebody_else_runs("train(model)", name)
    await kernel.heard()
    busy = await connected("kernel_status")
    assert busy.data["working_on"][0]["client"] == "the person"
    assert "works on: a request of the person, " in busy.text
    queued = await connected("execute_code", code="x", timeout=0.01)
    assert "busy with the person's `train(model)`" in queued.text
    (events,) = (await connected.client.read_resource("marimo://k1/events")).contents
    told = json.loads(getattr(events, "text"))["events"]  # noqa: B009  # a resource of another kind has none
    assert [one["client"] for one in told if one["kind"] == "executing"] == ["the person"]
    assert "run by the person" in (await connected("read_cell", cell_id="aaaa")).text


async def test_an_agent_with_the_accounts_name_is_not_taken_for_the_person(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "ada")
    kernel.somebody_else_runs("train(model)", "ada", agent=True)
    await kernel.heard()
    assert (await connected("kernel_status")).data["working_on"][0]["client"] == "ada"


async def test_work_that_began_before_the_agent_came_is_told_by_the_cell_that_runs(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.description = replace(
        DESCRIPTION, busy=True, running_cell="aaaa", mode="lazy", interpreter="/env/bin/python"
    )
    kernel.add("aaaa", "slow()", stale=True)
    busy = await connected("kernel_status")
    assert "works on: a request of another client, cell aaaa, since before we connected" in busy.text
    assert "1 cell, lazy; stale: aaaa\n" in busy.text
    assert "pid 7, /env/bin/python, in /work" in busy.text


async def test_a_plain_kernel_that_does_not_answer_on_shell_works_for_somebody_else(
    serve: Serve, connection_file: str, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_SHELL_BOUND", 0.02)
    kernel.reactive = False
    agent = await serve()
    assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
    assert (await agent("kernel_status")).data["state"] == "idle"
    end = kernel.somebody_else_runs("slow()")
    busy = await agent("kernel_status")
    assert busy.data["state"] == "busy"
    assert "New requests are queued." in busy.text
    end()


async def test_a_kernel_that_ended_is_told_as_dead(connected: Agent, kernel: FakeKernel) -> None:
    kernel.die()
    async with asyncio.timeout(10):
        while (await connected("kernel_status")).data["state"] != "dead":  # noqa: ASYNC110  # an agent asks
            await asyncio.sleep(0)


async def test_agents_that_the_person_has_paused_are_told_so(connected: Agent, kernel: FakeKernel) -> None:
    kernel.description = replace(DESCRIPTION, agents_paused=True)
    assert "only reading works, until they run `%marimo resume`" in (await connected("kernel_status")).text


@pytest.mark.parametrize("action", ["interrupt", "restart", "shut_down"])
async def test_a_paused_agent_cannot_end_the_pause_by_a_restart(
    serve: Serve, kernel: FakeKernel, connection_file: str, action: str
) -> None:
    agent = await serve("all")
    assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
    kernel.description = replace(DESCRIPTION, agents_paused=True)
    assert (await agent("control_kernel", action=action)).refused("paused")


async def test_of_very_many_attachments_none_that_is_used_is_closed_and_the_new_one_is_refused(
    kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MOST_ATTACHED", 2)
    kernels, endpoint = attachments.Kernels(attach=kernel.attach), read_connection(connection_file)
    ann, ben = [await kernels.connect(endpoint, name) for name in ("ann", "ben")]
    with pytest.raises(BridgeError, match="attached to 2 kernels") as refusal:
        await kernels.connect(endpoint, "cat")
    assert refusal.value.code == "not_connected"
    assert "disconnect_kernel" in refusal.value.hint
    assert [kernels.get(None, name) for name in ("ann", "ben")] == [ann, ben]
    await kernels.disconnect(ann)
    await kernels.connect(endpoint, "cat")
    await kernels.close()


async def test_an_attachment_that_nobody_has_used_for_an_hour_makes_room_unless_a_run_of_it_goes_on(
    kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MOST_ATTACHED", 2)
    kernels, endpoint = attachments.Kernels(attach=kernel.attach), read_connection(connection_file)
    ann, ben = [await kernels.connect(endpoint, name) for name in ("ann", "ben")]
    kernel.executions["held"] = Execution(held=True)
    run = await ann.client.execute("held")
    ann.used -= 2 * attached.UNUSED_AFTER
    ben.used -= attached.UNUSED_AFTER
    cat = await kernels.connect(endpoint, "cat")
    assert [kernels.at(endpoint.where, name) for name in ("ann", "ben", "cat")] == [ann, None, cat]
    with pytest.raises(BridgeError) as refusal:
        kernels.get(None, "ben")
    assert refusal.value.code == "not_connected"
    kernel.release()
    assert await ann.client.runs.wait(run, 5)
    dan = await kernels.connect(endpoint, "dan")
    assert [kernels.at(endpoint.where, name) for name in ("ann", "cat", "dan")] == [None, cat, dan]
    await kernels.close()


@pytest.mark.parametrize(
    "address", ["http://[x]/", "http://[", "http://localhost:99999/", "http://localhost:x/lab"]
)
async def test_what_is_no_address_of_a_server_is_refused(agent: Agent, address: str) -> None:
    for argument in ("server_url", "notebook"):
        answer = await agent("connect_to_kernel", **{argument: address})
        assert answer.failed
        assert answer.text.startswith("[")
