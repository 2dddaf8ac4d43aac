"""What each client of another project is told: `python CLIENT.py JSON`, and what it prints. Imports nothing of ours.

The JSON has `transport` (stdio, http), how to reach the server (`command` and `env`, or `url` and `token`), and `calls`: names of
tools and their arguments. The client prints the names of the tools that it was told of, and the answers as it shows them to a model.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable


def play(client: Callable[[dict], Awaitable[tuple[list[str], list[object]]]]) -> None:
    """Run a client on what the command line says."""
    tools, answers = asyncio.run(client(json.loads(sys.argv[1])))
    print(json.dumps({"tools": tools, "answers": answers}, default=str))  # noqa: T201
