"""Agents complete code and look names up, at the permission that only reads."""

import pytest

from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio


def scale(value: float, *, factor: float = 2.0) -> float:
    """Multiply.

    A second paragraph.
    """
    return value * factor


@pytest.fixture
async def reader(serve: Serve, kernel: FakeKernel, connection_file: str) -> Agent:
    """An agent that may only read, connected to a kernel with some names."""
    kernel.names |= {"scale": scale, "scaled": 3, "text": "a"}
    agent = await serve("read")
    await agent("connect_to_kernel", connection_file=connection_file)
    return agent


async def test_code_is_completed_with_signatures(reader: Agent) -> None:
    answer = await reader("complete_code", code="x = sca")
    assert answer.text.splitlines() == [
        "scale(value: float, *, factor: float = 2.0) -> float · function",
        "scaled",
    ]
    assert answer.data["part"] == "sca"
    more = await reader("complete_code", code="text.", limit=2)
    assert (len(more.data["completions"]), more.data["total"] > 10) == (2, True)
    assert "more; longer code narrows them." in more.text
    assert "Nothing is known" in (await reader("complete_code", code="text.nothing_of_the_kind")).text


async def test_a_name_is_looked_up_with_its_documentation_up_to_the_budget(reader: Agent) -> None:
    answer = await reader("inspect_code", code="scale")
    first, _, doc = answer.text.partition("\n\n")
    assert first.startswith("scale(value: float, *, factor: float = 2.0) -> float · function · ")
    assert doc == "Multiply.\n\nA second paragraph."
    assert "test_code_help.py:" in answer.data["place"]
    long = await reader("inspect_code", code="text.format", max_chars=200)
    assert not long.failed


async def test_what_cannot_be_known_without_evaluating_is_refused(reader: Agent) -> None:
    answer = await reader("inspect_code", code="text + text")
    assert answer.refused("no_such_variable") or "text" in answer.text
    missing = await reader("inspect_code", code="scael.here")
    assert missing.refused("no_such_variable")
    assert "There is no name 'scael'. Like it: scale" in missing.text


async def test_a_plain_kernel_has_neither(serve: Serve, kernel: FakeKernel, connection_file: str) -> None:
    kernel.reactive = False
    agent = await serve("read")
    await agent("connect_to_kernel", connection_file=connection_file)
    for tool in ("complete_code", "inspect_code"):
        assert (await agent(tool, code="a")).refused("not_reactive")
