"""A tool states itself once, and none reaches a client without the guard: neither ours nor one from elsewhere."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from marimo_kernel_bridge import mcp_tools
from marimo_kernel_bridge.mcp_server.arguments import Ctx  # the SDK looks at annotations
from marimo_kernel_bridge.mcp_server.tool import TIERS, Arguments, Tier, ToolDeclaration, tool
from marimo_kernel_bridge.mcp_server.views.window import Window


def _of_greeting(arguments: Arguments) -> Tier:
    return "all" if arguments["loudly"] else "run"


@tool(
    "Greet", needs=_of_greeting, runs_code=True, audited=lambda arguments: {"greeted": str(arguments["name"])}
)
async def greet(ctx: Ctx, *, name: str, loudly: bool = False) -> Annotated[CallToolResult, Window]:
    """Greet somebody."""
    del ctx, loudly
    return CallToolResult(
        content=[TextContent(type="text", text=f"Hello {name}")], structured_content={"budget": 1}
    )


@pytest.fixture
def audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    return tmp_path / "marimo_kernel_bridge" / "audit.jsonl"


def call(allow: Tier, declaration: ToolDeclaration, **arguments: object) -> CallToolResult:
    """Call one tool of a server that serves only this one."""

    async def called() -> CallToolResult:
        async with Client(mcp_tools.build_server(allow, [declaration])) as client:
            result = await client.call_tool(declaration.name, arguments)
            assert isinstance(result, CallToolResult)
            return result

    return asyncio.run(called())


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("allow", TIERS)
@pytest.mark.parametrize(("loudly", "needs"), [(False, "run"), (True, "all")])
def test_a_tool_from_elsewhere_needs_the_permission_that_it_states(
    audit_log: Path, allow: Tier, loudly: bool, needs: Tier
) -> None:
    result = call(allow, greet, name="Ada", loudly=loudly)
    if TIERS.index(needs) <= TIERS.index(allow):
        assert text_of(result) == "Hello Ada"
    else:
        assert result.is_error
        assert text_of(result).startswith("[not_allowed] ")
        assert f"--allow {needs}" in text_of(result)


def test_its_calls_are_in_the_audit_log_with_what_it_states(audit_log: Path) -> None:
    call("run", greet, name="Ada")
    begun, over = map(json.loads, audit_log.read_text().splitlines())
    assert (begun["tool"], begun["tier"], begun["greeted"], begun["effect"]) == (
        "greet",
        "run",
        "Ada",
        "begins",
    )
    assert over["effect"] == "ok"


def test_secrets_are_taken_out_of_its_answers(audit_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_KEY", "zq81-HUSH-hush-99!")
    assert text_of(call("run", greet, name="zq81-HUSH-hush-99!")) == "Hello <<redacted:DEPLOY_KEY>>"


def test_it_is_described_by_its_docstring_and_its_signature(audit_log: Path) -> None:
    async def listed() -> None:
        async with Client(mcp_tools.build_server("run", [greet])) as client:
            (greeting,) = (await client.list_tools()).tools
        assert (greeting.name, greeting.description) == ("greet", "Greet somebody.")
        assert greeting.input_schema["required"] == ["name"]
        assert greeting.annotations is None, "all hints have the protocol's defaults"

    asyncio.run(listed())


def test_every_function_that_declares_itself_a_tool_is_served_and_no_other() -> None:
    folder = Path(mcp_tools.__file__).parent / "mcp_server" / "tools"
    declared = sum(path.read_text().count("\n@tool(") for path in folder.glob("*.py"))
    names = [declaration.name for declaration in mcp_tools.OWN]
    assert declared == len(names) == len(set(names))


def test_what_only_reads_needs_no_more_than_the_permission_to_read() -> None:
    assert {declaration.tier({}) for declaration in mcp_tools.TOOLS if declaration.reads} == {"read"}
    assert not [
        declaration.name for declaration in mcp_tools.TOOLS if declaration.reads and declaration.changes
    ]
