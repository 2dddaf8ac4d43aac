"""pydantic-ai's agent with a model in place of a language model that calls the given tools, one after the other."""

from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from jobs import play
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel


async def client(job):
    if job["transport"] == "stdio":
        command, *arguments = job["command"]
        transport = StdioTransport(command, arguments, env=job["env"])
    else:
        transport = StreamableHttpTransport(job["url"], headers={"Authorization": f"Bearer {job['token']}"})
    calls, tools = list(job["calls"]), []

    def model(messages, info):
        tools[:] = [tool.name for tool in info.function_tools]
        if not calls:
            return ModelResponse(parts=[TextPart("done")])
        name, arguments = calls.pop(0)
        return ModelResponse(parts=[ToolCallPart(name, arguments)])

    done = await Agent(
        FunctionModel(model), toolsets=[MCPToolset(transport, init_timeout=120, read_timeout=120)]
    ).run("Go.")
    parts = [part for message in done.all_messages() for part in message.parts]
    return tools, [str(part.content) for part in parts if isinstance(part, ToolReturnPart)]


play(client)
