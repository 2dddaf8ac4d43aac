"""An agent's session on a notebook: start a kernel over MCP, build cells, change one, see what followed.

    python examples/agent_session.py

Uses the MCP SDK's own client; a host such as Claude Code or Cursor sends the same calls.
"""

import asyncio
import os
import sys

from mcp import Client, StdioServerParameters

from marimo_kernel_bridge.mcp_tools import objects_of

SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "marimo_kernel_bridge", "mcp", "--allow", "all"],
    env=dict(os.environ),  # the SDK passes on only a few variables by itself
)


async def main() -> None:
    async with Client(SERVER) as client:

        async def call(tool: str, **arguments: object) -> dict:
            result = await client.call_tool(tool, arguments)
            print(f"\n> {tool}\n{result.content[0].text}")
            if result.is_error:
                raise SystemExit(1)
            return objects_of(tool, result.structured_content)  # lists of objects are sent as tables

        await call("start_kernel")
        try:
            cells = ("price = 12", "amount = 3", "total = price * amount", "print(f'{total} euros')")
            await call("edit_cells", edits=[{"action": "add", "code": code} for code in cells])
            (price, *_, shown) = (await call("list_cells"))["cells"]
            # The version says which text of the cell this edit is based on; an edit of an older one is refused.
            change = {"action": "change", "cell_id": price["cell_id"], "version": price["version"]}
            run = await call("edit_cells", edits=[{**change, "code": "price = 20"}])
            print(f"\n{len(run['reran'])} cells ran because of the change.")
            await call("read_cell", cell_id=shown["cell_id"])
        finally:
            await call("control_kernel", action="shut_down")


if __name__ == "__main__":
    asyncio.run(main())
