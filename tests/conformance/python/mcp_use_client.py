"""mcp-use's client: one session for all calls."""

from jobs import play
from mcp_use import MCPClient


async def client(job):
    if job["transport"] == "stdio":
        command, *arguments = job["command"]
        server = {"command": command, "args": arguments, "env": job["env"]}
    else:
        server = {"url": job["url"], "headers": {"Authorization": f"Bearer {job['token']}"}}
    own = MCPClient.from_dict({"mcpServers": {"marimo": server}})
    session = await own.create_session("marimo")
    try:
        tools = [tool.name for tool in await session.list_tools()]
        answers = [await session.call_tool(name, arguments) for name, arguments in job["calls"]]
        return tools, [str(answer.content) for answer in answers]
    finally:
        await own.close_all_sessions()


play(client)
