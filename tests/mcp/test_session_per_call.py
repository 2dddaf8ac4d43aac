"""A client that starts a server for each call, as langchain-mcp-adapters and the Inspector do over stdio."""

import pytest
from mcp import Client
from mcp.types import TextContent

pytestmark = pytest.mark.anyio


async def test_each_call_in_a_session_of_its_own_reaches_the_persons_kernel(reactive_kernel, serving):
    async def once(tool, **arguments):
        async with Client(serving()) as client:
            answer = await client.call_tool(tool, arguments)
        assert isinstance(answer.content[0], TextContent)
        assert not answer.is_error, answer.content[0].text
        return answer.structured_content

    ran = await once("execute_code", code="kept = 6 * 7")
    assert "the only kernel here" in ran["note"]
    file = reactive_kernel.connection_file
    assert (await once("read_variable", variable="kept", kernel=file))["summary"] == "42"
    again = await once("read_run", run_id=ran["run_id"], kernel=file.rsplit("/", 1)[1])
    assert again["status"] == "ok"
