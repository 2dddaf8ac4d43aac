"""A host with MCP Apps: ext-apps' own bridge on a page in Chromium, and this package's MCP server behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import CallToolResult, TextContent, TextResourceContents
from npm_packages import npm_packages

from extensions.build import hash_of, run, with_node

if TYPE_CHECKING:
    from lab_agents import McpAgent
    from playwright.sync_api import BrowserContext, FrameLocator, Page

SOURCE = Path(__file__).with_suffix(".mjs")
ADDRESS = "http://host.invalid/"
PAGES = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
"""What a client says of itself that has pages."""


def script() -> str:
    """Return the script of the host, with what it needs of ext-apps in it."""
    packages = npm_packages()
    built = packages.parent / f"app-host-{hash_of(SOURCE)[:16]}.mjs"
    if not built.exists():
        source = packages.parent / SOURCE.name
        source.write_bytes(SOURCE.read_bytes())
        esbuild = str(packages / ".bin" / "esbuild")
        run(
            (esbuild, str(source), "--bundle", "--format=esm", f"--outfile={built}"),
            packages.parent,
            with_node(),
        )
    return built.read_text(encoding="utf-8")


class AppHost:
    """A host: what its model has seen of the server is in `seen`, and what its page asked for in the page's `log`."""

    def __init__(self, browser: BrowserContext, agent: McpAgent) -> None:
        self.agent = agent
        self.seen: list[str] = []
        self.passed: list[str] = []
        """What came for the page alone."""
        self.requests: list[str] = []
        """Addresses that the pages wanted from anywhere."""
        self.page: Page = browser.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.route("**/*", lambda route: route.abort())
        self.page.route(
            ADDRESS, lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>")
        )
        self.page.expose_function("callTool", self._for_page)
        self.page.goto(ADDRESS)
        self.page.add_script_tag(content=script(), type="module")
        self.page.wait_for_function("globalThis.show !== undefined")

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("iframe").last

    @property
    def log(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("log")
        return found

    def tools(self) -> dict[str, Any]:
        """Return what ext-apps makes of the list of tools."""
        listed = self.agent.listed()
        found: dict[str, Any] = self.page.evaluate("tools => sorted(tools)", [_json(tool) for tool in listed])
        return found

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        """Have the model call a tool."""
        result = self.agent.result(tool, **arguments)
        self.seen.append(_text(result) + str(result.structured_content))
        return result

    def show(self, data: str, theme: str = "light", **arguments: Any) -> str:
        """Have the model show a table, and the host its page. Return what the model reads."""
        arguments = {"data": data, **arguments}
        uri = self.tools()["pages"]["view_data"]
        content = self.agent.read(uri)
        assert isinstance(content, TextResourceContents)
        assert content.mime_type == APP_MIME_TYPE
        result = self.call("view_data", **arguments)
        assert not result.is_error, _text(result)
        self.page.evaluate(
            "([html, args, result, theme]) => show(html, args, result, theme)",
            [content.text, arguments, _json(result), theme],
        )
        return _text(result)

    def close(self) -> None:
        self.page.close()

    def _for_page(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = self.agent.result(tool, **arguments)
        self.passed.append(_text(result))
        return _json(result)


def _json(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _text(result: CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, TextContent))
