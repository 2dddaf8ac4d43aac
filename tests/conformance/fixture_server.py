"""The server as `marimo-kernel-bridge mcp --http` builds it, with the conformance suite's fixtures added.

The suite cannot send a token: this server takes any. Everything else is what people get: `build_server`, the guard
with its Host and Origin checks, the limit on answers, and the way it listens and ends.
"""

from pathlib import Path

from fixtures import add_fixtures

from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, listen
from marimo_kernel_bridge.mcp_server.transport.http import serve_http
from marimo_kernel_bridge.mcp_server.transport.token import Token
from marimo_kernel_bridge.mcp_tools import build_server


class AnyToken(Token):
    """Lets everyone in."""

    def admits(self, authorization: str | None) -> bool:  # noqa: ARG002
        return True


def main() -> None:
    server = build_server()
    add_fixtures(server)
    listening = listen(DEFAULT_HOST, 0)
    serve_http(server, AnyToken(Path(), ""), listening, ready=lambda: print(listening.url, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
