"""openai-agents' runner, with strict schemas, and a model in place of a language model that calls the given tools one after the other."""

import json

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.items import ToolCallOutputItem
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from jobs import play
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

set_tracing_disabled(True)


class Calls(Model):
    """Calls tools."""

    def __init__(self, calls):
        self.calls, self.tools = list(calls), []

    async def get_response(self, system_instructions, input, model_settings, tools, *arguments, **options):  # noqa: A002, ARG002  # its signature
        self.tools = [tool.name for tool in tools]
        if not self.calls:
            text = ResponseOutputText(annotations=[], text="done", type="output_text")
            said = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
            return ModelResponse(output=[said], usage=Usage(), response_id=None)
        name, given = self.calls.pop(0)
        call = ResponseFunctionToolCall(
            arguments=json.dumps(given), call_id=f"c{len(self.calls)}", name=name, type="function_call"
        )
        return ModelResponse(output=[call], usage=Usage(), response_id=None)

    def stream_response(self, *arguments, **options):
        raise NotImplementedError


async def client(job):
    options = {"client_session_timeout_seconds": 120, "cache_tools_list": True}
    if job["transport"] == "stdio":
        command, *arguments = job["command"]
        server = MCPServerStdio({"command": command, "args": arguments, "env": job["env"]}, **options)
    else:
        headers = {"Authorization": f"Bearer {job['token']}"}
        server = MCPServerStreamableHttp({"url": job["url"], "headers": headers, "timeout": 120}, **options)
    model = Calls(job["calls"])
    async with server:
        agent = Agent("a", model=model, mcp_servers=[server], mcp_config={"convert_schemas_to_strict": True})
        done = await Runner.run(agent, "Go.")
    outputs = [item.output for item in done.new_items if isinstance(item, ToolCallOutputItem)]
    return model.tools, [str(output) for output in outputs]


play(client)
