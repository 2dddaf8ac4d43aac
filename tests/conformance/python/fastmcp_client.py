"""fastmcp's client: one session for all calls."""

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from jobs import play


async def client(job):
    if job["transport"] == "stdio":
        command, *arguments = job["command"]
        transport = StdioTransport(command, arguments, env=job["env"])
    else:
        transport = StreamableHttpTransport(job["url"], auth=BearerAuth(job["token"]))
    async with Client(transport) as session:
        tools = [tool.name for tool in await session.list_tools()]
        answers = [await session.call_tool(name, arguments) for name, arguments in job["calls"]]
        return tools, [str(answer.content) for answer in answers]


play(client)
