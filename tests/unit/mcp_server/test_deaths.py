"""What agents are told of a kernel that died: why, in which cell, what is lost; and nothing where somebody ended it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.black_box import BlackBoxWriter
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol.notebook import Cell, Death, RecordedName
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import DESCRIPTION, FakeKernel
from tests.unit.mcp_server.test_resources import subscribed

pytestmark = pytest.mark.anyio

TOLD = "out of memory in cell abcd `big = load()`. Lost: `df`, `x`."
DEATH = Death(
    "out_of_memory",
    "out of memory",
    0.0,
    ran=True,
    cell_id="abcd",
    code="big = load()",
    lost=(RecordedName("df", "DataFrame", "5 x 2", "efgh", 9.0), RecordedName("x", "int")),
    total_lost=2,
)


class Kernel:
    """The parts of a kernel that a black box needs."""

    def call_later(self, _delay: float, _callback: Callable[[], Any]) -> None:
        """Never call back."""

    def snapshot(self) -> list[Cell]:
        return []

    def defined_by(self, _cell_id: str) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def crashed(connection_file: str) -> BlackBoxWriter:
    """The black box of the kernel, in which a cell runs with a token in it."""
    names: dict[str, object] = {}
    writer = BlackBoxWriter(layout.folder_of(connection_file), names, (), Kernel(), Kernel())
    writer.open("")
    names |= {"df": [1, 2], "x": 3}
    writer.write_names()
    writer.other_code("api_key = 'sk-ant-api03-" + "Ab3dEf6h" * 11 + "-AAAA'")
    writer._exit_code = 3
    writer._write_head()
    return writer


async def dead(agent: Agent) -> Any:
    async with asyncio.timeout(10):
        while (status := await agent("kernel_status")).data["state"] != "dead":  # noqa: ASYNC110  # an agent asks
            await asyncio.sleep(0)
    return status


async def test_a_dead_kernel_has_its_cause_its_code_and_its_names_in_the_status_and_in_refusals(
    connected: Agent, kernel: FakeKernel, crashed: BlackBoxWriter
) -> None:
    kernel.die()
    status = await dead(connected)
    death = status.data["death"]
    assert (death["cause"], death["exit_code"]) == ("exit", 3)
    assert death["lost"] == [
        {"name": "df", "type": "list", "size": "2 items"},
        {"name": "x", "type": "int"},
    ]
    assert status.text.count("ended itself with exit code 3") == 1
    for tool, arguments in (("list_errors", {}), ("execute_code", {"code": "x"})):
        refused = await connected(tool, **arguments)
        assert refused.refused("kernel_dead")
        assert "exit code 3" in refused.text
        assert "Lost: `df`, `x`" in refused.text
        assert 'run_cells(which="all")' in refused.text
    assert "sk-ant" not in f"{status.text}{status.data}{refused.text}"


async def test_a_kernel_that_left_nothing_is_dead_without_a_cause(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.die()
    status = await dead(connected)
    assert "death" not in status.data
    assert "ended unexpectedly" in status.text


async def test_a_kernel_that_somebody_shut_down_did_not_die(
    connected: Agent, kernel: FakeKernel, crashed: BlackBoxWriter
) -> None:
    for channels in kernel._channels:
        channels.publish({}, "shutdown_reply", {"restart": False})
    await kernel.heard()
    kernel.die()
    status = await dead(connected)
    assert "death" not in status.data
    assert "was shut down" in status.text


async def test_the_next_kernel_tells_of_the_death_until_what_was_lost_is_there_again(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.description = replace(DESCRIPTION, died=DEATH)
    status = await connected("kernel_status")
    assert status.data["state"] == "idle"
    assert status.data["death"]["cell_id"] == "abcd"
    assert TOLD in status.text
    assert TOLD in (await connected("list_errors")).text
    kernel.add("efgh", "df = load()", defines=("df",))
    assert TOLD in (await connected("list_errors")).text
    kernel.add("ijkl", "x = 1", defines=("x",))
    errors = await connected("list_errors")
    assert "death" not in errors.data
    assert "died" not in errors.text


async def test_a_warning_of_memory_is_in_the_status(connected: Agent, kernel: FakeKernel) -> None:
    kernel.description = replace(DESCRIPTION, memory="10:15 memory: 7.5 GB of 8.0 GB are in use.")
    assert "7.5 GB of 8.0 GB" in (await connected("kernel_status")).text


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_who_joins_is_told_of_memory_and_of_the_death_before_in_words(
    connected: Agent, kernel: FakeKernel, connection_file: str
) -> None:
    kernel.description = replace(DESCRIPTION, memory="memory: 9 of 10 GB are in use.", died=DEATH)
    answer = await connected("connect_to_kernel", connection_file=connection_file)
    assert not answer.data.keys() & {"memory", "death"}
    assert answer.data["warnings"][0] == "memory: 9 of 10 GB are in use."
    assert "out of memory" in answer.data["warnings"][1]
    assert answer.text.count("memory: 9 of 10 GB are in use.") == 1


async def test_a_subscriber_is_notified_of_the_death_and_reads_it(
    kernel: FakeKernel, connection_file: str, crashed: BlackBoxWriter, connected: Agent
) -> None:
    async with subscribed(kernel, connection_file, "marimo://k1/death") as told:
        kernel.die()
        async with asyncio.timeout(10):
            assert await told.get() == "marimo://k1/death"
    await dead(connected)
    (content,) = (await connected.client.read_resource("marimo://k1/death")).contents
    assert json.loads(content.text)["cause"] == "exit"  # type: ignore[union-attr]  # JSON


async def test_without_a_death_the_resource_says_so(connected: Agent, kernel: FakeKernel) -> None:
    (content,) = (await connected.client.read_resource("marimo://k1/death")).contents
    assert json.loads(content.text) is None  # type: ignore[union-attr]  # JSON
