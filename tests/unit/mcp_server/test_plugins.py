"""Tools, resources and templates of others: what a plugin may be, which tier gives it what, and that the guard is the server's."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
import textwrap
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, MCPError
from mcp.types import Implementation, TextResourceContents

from marimo_kernel_bridge.mcp_server.plugins.loading import LeftOut, Plugins, load
from marimo_kernel_bridge.mcp_server.plugins.tools import Origin
from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
from marimo_kernel_bridge.mcp_server.tool import TIERS
from marimo_kernel_bridge.mcp_tools import TOOLS, build_server
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.inspection import Variable, VariableContent
from marimo_kernel_bridge.protocol.written_bounds import bounds_of
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import Execution, result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from marimo_kernel_bridge.mcp_server.tool import Tier
    from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

HEAD = """
from pathlib import Path
from typing import Annotated
import asyncio
import base64
import msgspec
from pydantic import Field
from marimo_kernel_bridge.plugins import Kernel, Plugin, PluginResource, PluginTool, Refused
"""

ACME = """
class Sum(msgspec.Struct):
    total: int
    parts: list[int] = []

async def look(kernel: Kernel, *, name: Annotated[str, Field(max_length=20)], rows: int = 5) -> str:
    '''Look at a variable.'''
    return (await kernel.variable(name, rows)).variable.summary

async def count(kernel: Kernel, *, code: str) -> str:
    '''Count something.'''
    return (await kernel.evaluate(f"len({code})")).text

async def repeat(kernel: Kernel, *, name: str) -> str:
    '''Run what a variable holds.'''
    return (await kernel.evaluate((await kernel.variable(name)).variable.summary)).status

async def total(kernel: Kernel, *, parts: list[int]) -> Sum:
    '''Add up.'''
    return Sum(sum(parts), parts)

async def fail(kernel: Kernel, *, how: str = "") -> str:
    '''Fail.'''
    if how == "refuse":
        raise Refused("That makes no sense.", "Ask otherwise.")
    if how == "exit":
        raise SystemExit(3)
    if how == "wrong":
        return 5
    raise ZeroDivisionError(f"no way, {how}")

async def evil(kernel: Kernel) -> str:
    '''Run code, which a tool of this tier may not.'''
    return (await kernel.evaluate("1")).text

async def write(kernel: Kernel) -> str:
    '''Write a cell and run it, which a tool of this tier may not.'''
    return (await kernel.edit([{"action": "add", "code": "x = 1"}], run=True)).status

async def wait(kernel: Kernel) -> str:
    '''Wait without an end.'''
    await kernel.variables()
    await asyncio.Event().wait()

async def names(kernel: Kernel) -> str:
    '''Name the variables.'''
    return ",".join(one.name for one in await kernel.variables())

async def one(kernel: Kernel, *, name: str) -> bytes:
    '''Tell one.'''
    return name.encode()

def plugin():
    return Plugin(name="Acme", api=1, tools=[
        PluginTool(look, "Look", tier="read"),
        PluginTool(count, "Count", tier="scratch", runs_code=True),
        PluginTool(repeat, "Repeat", tier="run"),
        PluginTool(total, "Total", tier="read"),
        PluginTool(fail, "Fail", tier="all"),
        PluginTool(evil, "Evil", tier="read"),
        PluginTool(write, "Write", tier="edit"),
        PluginTool(wait, "Wait", tier="read"),
    ], resources=[
        PluginResource("names", names, "Names"),
        PluginResource("one/{name}", one, "One", "application/octet-stream"),
    ])
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Install a distribution into a folder of its own: `install("acme-tools", code)`. Returns its name."""
    made: list[str] = []

    def install(name: str, code: str, points: str = "acme = {module}:plugin", version: str = "1.0") -> str:
        module = (
            f"{name.replace('-', '_')}_of_{tmp_path.name}".replace("-", "_").replace("[", "").replace("]", "")
        )
        folder = tmp_path / name
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(HEAD + textwrap.dedent(code))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(
            f"[marimo_kernel_bridge.plugins]\n{points.format(module=module)}\n"
        )
        monkeypatch.syspath_prepend(str(folder))
        made.append(module)
        return name

    yield install
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
async def serve_with(
    kernel: FakeKernel, connection_file: str
) -> AsyncIterator[Callable[..., Awaitable[Agent]]]:
    """Serve an agent with plugins, connected to the kernel: `await serve_with(plugins, "run")`."""
    async with AsyncExitStack() as stack:

        async def serve(plugins: Plugins, allow: Tier = "run", ceilings: Ceilings | None = None) -> Agent:
            assert not plugins.left_out
            server = build_server(allow, attach=kernel.attach, ceilings=ceilings, plugins=plugins)
            client = Client(server, client_info=Implementation(name="ann", version="1"))
            agent = Agent(await stack.enter_async_context(client), plugins.tools)
            assert not (await agent("connect_to_kernel", connection_file=connection_file)).failed
            kernel.asked.clear()
            return agent

        yield serve


def why_left_out(plugins: Plugins) -> str:
    assert not plugins.loaded
    (left_out,) = plugins.left_out
    return left_out.why


def lines(audit_log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit_log.read_text().splitlines()]


# Which plugins are there


async def test_nothing_of_an_installed_distribution_is_served_or_imported_that_nobody_named(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]], tmp_path: Path
) -> None:
    install("acme-tools", "raise RuntimeError('imported')")
    agent = await serve_with(load([], TOOLS))
    names = {tool.name for tool in (await agent.client.list_tools()).tools}
    assert not {name for name in names if name.startswith("acme_")}
    assert not any("acme_tools" in name for name in sys.modules)


async def test_a_named_plugin_has_its_tools_beside_ours_with_their_schema_and_title(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]]
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
    assert {declaration.name for declaration in TOOLS if declaration.app != "only"} <= set(tools)
    look, count = tools["acme_look"], tools["acme_count"]
    assert (look.title, look.description) == ("Look", "Look at a variable.")
    assert look.input_schema["required"] == ["name"]
    assert look.input_schema["properties"]["name"] == {"type": "string"}
    assert set(look.input_schema["properties"]) == {"name", "rows", "kernel"}
    assert look.annotations is not None
    assert look.annotations.read_only_hint
    assert count.annotations is None, "all hints have the protocol's defaults"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nosuchmodule", "cannot be imported: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("raise SystemExit('no')", "cannot be imported: SystemExit: no"),
        ("def plugin(): 1 / 0", "cannot be made: ZeroDivisionError"),
        ("def plugin(): return 5", "returns a int, and no Plugin"),
        (
            "def plugin(): return Plugin(name='x', api=2)",
            "version 2 of the interface, and this server has 1. Upgrade",
        ),
        (
            "def plugin(): return Plugin(name='x', api=0)",
            "version 0 of the interface, and this server has 1. Look for",
        ),
        (
            "def plugin(): return Plugin(name='x', api=1, tools=[len])",
            "is a builtin_function_or_method, and no PluginTool",
        ),
    ],
)
def test_a_plugin_that_is_none_is_left_out_with_a_sentence(
    install: Callable[..., str], code: str, why: str
) -> None:
    assert why in why_left_out(load([install("acme-tools", code)], TOOLS))


@pytest.mark.parametrize(
    ("function", "tier", "why"),
    [
        ("def f(kernel: Kernel) -> str: 'Do.'", "read", "is not an `async def`"),
        ("async def f() -> str: 'Do.'", "read", "does not take the kernel"),
        ("async def f(kernel: Kernel) -> str: pass", "read", "has no docstring"),
        ("async def f(kernel: Kernel, *, x) -> str: 'Do.'", "read", "x of f has no annotation"),
        ("async def f(kernel: Kernel, *, x: 'Nosuch') -> str: 'Do.'", "read", "cannot be evaluated"),
        ("async def f(kernel: Kernel, **x: str) -> str: 'Do.'", "read", "takes *x"),
        ("async def f(kernel: Kernel, *, ctx: str) -> str: 'Do.'", "read", "cannot have an argument ctx"),
        ("async def f(kernel: Kernel) -> int: 'Do.'", "read", "str, or a msgspec.Struct"),
        (
            "async def f(kernel: Kernel, *, x: Path.__class__) -> str: 'Do.'",
            "everything",
            "the tier of f is 'everything'",
        ),
        ("async def f(kernel: Kernel, *, x: asyncio.Event) -> str: 'Do.'", "read", "without a schema"),
    ],
)
def test_a_tool_that_cannot_be_served_leaves_its_plugin_out(
    install: Callable[..., str], function: str, tier: str, why: str
) -> None:
    code = (
        f"{function}\ndef plugin(): return Plugin(name='x', api=1, tools=[PluginTool(f, 'F', tier={tier!r})])"
    )
    assert why in why_left_out(load([install("acme-tools", code)], TOOLS))


def test_a_tool_has_no_tier_unless_its_author_says_one(install: Callable[..., str]) -> None:
    code = "async def f(kernel: Kernel) -> str: 'Do.'\ndef plugin(): return Plugin(name='x', api=1, tools=[PluginTool(f, 'F')])"
    assert "missing 1 required positional argument: 'tier'" in why_left_out(
        load([install("acme-tools", code)], TOOLS)
    )


def test_no_tool_of_another_is_replaced_and_both_are_named(install: Callable[..., str]) -> None:
    code = "async def cells(kernel: Kernel) -> str: 'Do.'\ndef plugin(): return Plugin(name='x', api=1, tools=[PluginTool(cells, 'F', tier='read')])"
    ours = load([install("one", code, "list = {module}:plugin")], TOOLS)
    assert "its tool list_cells has the name of one of this server" in why_left_out(ours)
    both = load([install("two", code), install("three", code)], TOOLS)
    assert [plugin.origin.distribution for plugin in both.loaded] == ["two"]
    assert "its tool acme_cells has the name of one of two 1.0" in both.left_out[0].why
    assert both.left_out[0].name.startswith("three 1.0")


def test_a_distribution_that_is_not_there_or_no_plugin_is_told(install: Callable[..., str]) -> None:
    assert "pip install no-such-plugin" in why_left_out(load(["no-such-plugin"], TOOLS))
    assert "no entry point of the group" in why_left_out(load(["click"], TOOLS))
    name = install("acme-tools", "def plugin(): return Plugin(name='x', api=1)", "Acme-X = {module}:plugin")
    assert "is none for tools" in why_left_out(load([name], TOOLS))
    assert str(LeftOut("a", "because.")) == "The plugin a is left out: because."


# The guard is that of our own tools


@pytest.mark.parametrize("allow", TIERS)
async def test_each_tool_of_a_plugin_needs_the_tier_that_it_states(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
    kernel: FakeKernel,
    allow: Tier,
) -> None:
    kernel.contents["df"] = VariableContent(Variable("df", "list", "5 items"))
    kernel.executions["len(df)"] = Execution((result("5"),))
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), allow)
    assert (await agent("acme_look", name="df")).text == "5 items"
    counted = await agent("acme_count", code="df")
    if TIERS.index(allow) >= TIERS.index("scratch"):
        assert (counted.text, counted.data) == ("5", {"answer": "5"})
    else:
        assert counted.refused("not_allowed")
        assert "--allow scratch" in counted.text
        assert "execute_request" not in kernel.asked


async def test_arguments_are_checked_strictly(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]]
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS))
    for wrong in ({"name": "df", "rows": "five"}, {"name": "df", "nmae": 1}, {}, {"name": "x" * 21}):
        assert (await agent("acme_look", **wrong)).refused("bad_request")


async def test_secrets_are_taken_out_of_its_answers_and_of_its_failures(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
    kernel: FakeKernel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOY_KEY", "zq81-HUSH-hush-99!")
    kernel.contents["df"] = VariableContent(Variable("df", "str", "zq81-HUSH-hush-99!"))
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    looked = await agent("acme_look", name="df")
    assert (looked.text, looked.data) == ("<<redacted:DEPLOY_KEY>>", {"answer": "<<redacted:DEPLOY_KEY>>"})
    failed = await agent("acme_fail", how="zq81-HUSH-hush-99!")
    assert "no way, <<redacted:DEPLOY_KEY>>" in failed.text
    assert (await agent("acme_count", code="<<redacted:DEPLOY_KEY>>")).refused("redaction_mark")
    kernel.contents["code"] = VariableContent(Variable("code", "str", "key = '<<redacted:DEPLOY_KEY>>'"))
    assert (await agent("acme_repeat", name="code")).refused("redaction_mark")
    assert "execute_request" not in kernel.asked


async def test_what_it_raises_is_told_with_its_name_and_the_server_goes_on(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    with caplog.at_level(logging.ERROR):
        failed = await agent("acme_fail", how="at all")
    assert failed.refused("plugin_failed")
    assert (
        "acme_fail of acme-tools 1.0, entry point acme failed: ZeroDivisionError: no way, at all"
        in failed.text
    )
    assert "Traceback" in caplog.text
    refused = await agent("acme_fail", how="refuse")
    assert refused.text == "[bad_request] That makes no sense. Ask otherwise."
    assert (await agent("acme_fail", how="exit")).refused("plugin_failed")
    wrong = await agent("acme_fail", how="wrong")
    assert wrong.refused("plugin_failed")
    assert "returned a int, and should return a str" in wrong.text
    assert (await agent("acme_total", parts=[1, 2])).data == {"total": 3, "parts": [1, 2]}


async def test_the_kernel_does_for_a_tool_only_what_its_tier_allows(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]], kernel: FakeKernel
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    evil = await agent("acme_evil")
    assert evil.refused("plugin_failed")
    assert "states the tier 'read', and evaluate needs 'scratch'" in evil.text
    written = await agent("acme_write")
    assert written.refused("plugin_failed")
    assert "states the tier 'edit', and edit(run=True) needs 'run'" in written.text
    assert not {"execute_request", "edit_cells", "edit_document"} & set(kernel.asked)


async def test_the_audit_log_names_the_plugin_also_if_it_raises_or_is_cancelled(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
    audit_log: Path,
    kernel: FakeKernel,
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME, version="2.1")], TOOLS), "all")
    await agent("acme_total", parts=[1])
    await agent("acme_fail")
    waiting = asyncio.create_task(agent.client.call_tool("acme_wait", {}))
    before = len(lines(audit_log))
    async with asyncio.timeout(30):
        while "list_variables" not in kernel.asked:  # noqa: ASYNC110  # nothing else tells that the tool has begun
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while len(lines(audit_log)) == before:  # noqa: ASYNC110  # the server is told of the cancellation
            await asyncio.sleep(0)
    own = [line for line in lines(audit_log) if line["tool"].startswith("acme_")]
    assert {(line["plugin"], line["version"]) for line in own} == {("acme-tools", "2.1")}
    assert [(line["tool"], line["effect"]) for line in own] == [
        ("acme_total", "ok"),
        ("acme_fail", "begins"),
        ("acme_fail", "refused: plugin_failed"),
        ("acme_wait", "failed"),
    ]


async def test_its_code_runs_in_the_sandbox_only_where_that_of_agents_does(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]], kernel: FakeKernel
) -> None:
    box = Ceilings(bounds_of(None, "strict"))
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "run", box)
    refused = await agent("acme_count", code="df")
    assert refused.refused("not_allowed")
    assert "sandbox" in refused.text
    assert "execute_request" not in kernel.asked
    assert (await agent("acme_total", parts=[1])).data["total"] == 1


async def test_an_answer_has_a_limit_and_says_what_is_left_out(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]], kernel: FakeKernel
) -> None:
    kernel.contents["df"] = VariableContent(Variable("df", "str", "a" * 30_000 + "z"))
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    text = (await agent("acme_look", name="df")).text
    assert len(text) < 20_100
    assert "10001 characters left out" in text
    assert text.endswith("z")
    summed = await agent("acme_total", parts=list(range(15_000)))
    assert summed.data["total"] == sum(range(15_000))
    assert len(json.dumps(summed.data)) <= 20_000
    assert "entries of long lists are left out" in summed.text


async def test_while_agents_are_paused_its_tools_that_act_are_refused(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
) -> None:
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS), "all")
    pauses.pause(pauses.EVERYTHING)
    assert (await agent("acme_count", code="df")).refused("paused")
    assert (await agent("acme_total", parts=[1])).data["total"] == 1


# Resources and templates


async def test_its_resources_have_addresses_of_its_own_and_are_audited(
    install: Callable[..., str],
    serve_with: Callable[..., Awaitable[Agent]],
    kernel: FakeKernel,
    audit_log: Path,
) -> None:
    kernel.variables = [Variable("df", "DataFrame", ""), Variable("x", "int", "5")]
    agent = await serve_with(load([install("acme-tools", ACME)], TOOLS))
    templates = (await agent.client.list_resource_templates()).resource_templates
    assert {one.uri_template for one in templates if one.uri_template.startswith("plugin:")} == {
        "plugin://acme/{kernel}/names",
        "plugin://acme/{kernel}/one/{name}",
    }
    (names,) = (await agent.client.read_resource("plugin://acme/k1/names")).contents
    assert isinstance(names, TextResourceContents)
    assert names.text == "df,x"
    with pytest.raises(MCPError, match="not_connected"):
        await agent.client.read_resource("plugin://acme/k7/names")
    last = lines(audit_log)[-1]
    assert (last["tool"], last["plugin"]) == ("resource acme_names", "acme-tools")


async def test_its_templates_are_listed_and_used(
    install: Callable[..., str], serve_with: Callable[..., Awaitable[Agent]], tmp_path: Path
) -> None:
    notebook = {
        "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A weekly report"}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "weekly.ipynb").write_text(json.dumps(notebook))
    code = (
        f"def plugin(): return Plugin(name='x', api=1, templates=[Path({str(tmp_path / 'weekly.ipynb')!r})])"
    )
    agent = await serve_with(load([install("acme-tools", code)], TOOLS), "all")
    assert "acme_weekly" in (await agent("list_templates")).text
    assert "A weekly report" in (await agent("list_templates")).text
    gone = "def plugin(): return Plugin(name='x', api=1, templates=[Path('/no/such.ipynb')])"
    assert "no .ipynb or .py file" in why_left_out(load([install("gone", gone)], TOOLS))


def test_origins_are_said_in_one_way() -> None:
    assert Origin("acme", "acme-tools", "1.0").label == "acme-tools 1.0, entry point acme"
    assert Origin("cell").audited({}) == {}


# The plugin that is part of this package


async def test_a_variable_is_drawn_as_a_picture_with_its_specification_by_who_may_only_read(
    serve_with: Callable[..., Awaitable[Agent]], kernel: FakeKernel, audit_log: Path
) -> None:
    kernel.names["df"] = {"city": ["Oslo", "Rome", "Oslo"], "price": [1.0, 2.0, 3.0]}
    agent = await serve_with(Plugins(), "read")
    drawn = await agent("cell_visualize", data="df", options={"title": "Prices"})
    (image,) = drawn.images
    assert image.mime_type == "image/png"
    assert base64.b64decode(image.data).startswith(b"\x89PNG")
    assert drawn.text == "df, dict of lists: bar: mean of price by city. Means of all 3 rows, 2 groups."
    assert drawn.data["spec"]["title"] == "Prices"
    assert drawn.data["spec"]["data"]["values"] == [{"x": "Oslo", "value": 2.0}, {"x": "Rome", "value": 2.0}]
    assert [asked for asked in kernel.asked if asked != "describe"] == ["read_table", "read_table"]
    assert (await agent("cell_visualize", data="nosuch")).refused("no_such_variable")
    assert (await agent("cell_visualize", data="df", options={"mark": "pie"})).refused("bad_request")
    ours = [line for line in lines(audit_log) if line["tool"] == "cell_visualize"]
    assert (ours[0]["tier"], ours[0]["effect"], "plugin" in ours[0]) == ("read", "ok", False)
