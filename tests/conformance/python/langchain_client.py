"""langchain-mcp-adapters as its documentation has it: `get_tools()`, whose tools open a session for each call."""

from jobs import play
from langchain_mcp_adapters.client import MultiServerMCPClient


async def client(job):
    if job["transport"] == "stdio":
        command, *arguments = job["command"]
        server = {"transport": "stdio", "command": command, "args": arguments, "env": job["env"]}
    else:
        headers = {"Authorization": f"Bearer {job['token']}"}
        server = {"transport": "streamable_http", "url": job["url"], "headers": headers}
    tools = {tool.name: tool for tool in await MultiServerMCPClient({"marimo": server}).get_tools()}
    answers = [await tools[name].ainvoke(arguments) for name, arguments in job["calls"]]
    return list(tools), [str(answer) for answer in answers]


play(client)
