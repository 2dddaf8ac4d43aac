"""The example of a plugin, and the one of docs/plugins.md, each built and installed as a distribution of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from mcp.types import Implementation, TextResourceContents

from marimo_kernel_bridge.mcp_server.configuration import Configuration, configuration
from marimo_kernel_bridge.mcp_server.plugins.loading import load
from marimo_kernel_bridge.mcp_tools import TOOLS, build_server
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport
from marimo_kernel_bridge.protocol.inspection import Variable
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from marimo_kernel_bridge.mcp_server.tool import Tier

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/plugins.md").read_text()

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def installed(project: Path, folder: Path) -> Path:
    """Build a project and install it into a folder, without a network."""
    uv = Path(sys.executable).parent / "uv"
    shutil.copytree(project, folder / "project")  # a build may write into it
    offline = {**os.environ, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(folder / "cache")}
    site = folder / "site"
    for command in (
        ["build", "--quiet", "--wheel", "--out-dir", str(folder / "wheel"), str(folder / "project")],
        ["pip", "install", "--quiet", "--no-deps", "--target", str(site), "--python", sys.executable],
    ):
        wheels = [str(path) for path in (folder / "wheel").glob("*.whl")] if command[0] == "pip" else []
        subprocess.run([uv, *command, *wheels], check=True, env=offline, timeout=120)
    return site


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.names["df"] = {"city": ["Oslo", None, "Rome"], "price": [1, 2, None]}
    kernel.variables = [Variable("df", "pandas.DataFrame", ""), Variable("n", "int", "5")]
    return kernel


@pytest.fixture
async def serve(
    kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[str, Tier], Awaitable[Agent]]]:
    """Serve an agent with a plugin, connected to the kernel."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    channels = ("shell", "iopub", "stdin", "control", "hb")
    connection = tmp_path / "runtime" / "kernel-fake.json"
    connection.parent.mkdir(mode=0o700)
    connection.write_text(
        json.dumps({f"{name}_port": 1 for name in channels} | {"ip": "127.0.0.1", "key": "k"})
    )
    connection.chmod(0o600)
    async with AsyncExitStack() as stack:

        async def serve(distribution: str, allow: Tier) -> Agent:
            plugins = load([distribution], TOOLS)
            assert not plugins.left_out
            server = build_server(allow, attach=kernel.attach, plugins=plugins)
            client = Client(server, client_info=Implementation(name="ann", version="1"))
            agent = Agent(await stack.enter_async_context(client), plugins.tools)
            assert not (await agent("connect_to_kernel", connection_file=str(connection))).failed
            return agent

        yield serve


async def test_the_example_works_as_its_page_says(
    serve: Callable[[str, Tier], Awaitable[Agent]],
    kernel: FakeKernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(installed(ROOT / "examples/plugin", tmp_path)))
    assert not load([], TOOLS).loaded
    agent = await serve("notebook-facts", "scratch")
    listed = {tool.name for tool in (await agent.client.list_tools()).tools}
    named = set(re.findall(r"`(facts_\w+)` \| `", (ROOT / "examples/plugin/README.md").read_text()))
    assert {name for name in listed if name.startswith("facts_")} == named
    missing = await agent("facts_missing", table="df")
    assert missing.data == {"rows": 3, "missing": {"city": 1, "price": 1}, "note": ""}
    kernel.executions["__import__('sys').getsizeof(n)"] = Execution((result("28"),))
    assert (await agent("facts_size", variable="n")).text == "n: 28 bytes"
    assert (await agent("facts_size", variable="n); x(")).refused("bad_request")
    kernel.executions["edit_cells"] = Execution(edits=EditReport(applied=True))
    assert not (await agent("facts_note", text="# Look")).failed
    (edit,) = (one for one in kernel.requests if isinstance(one, wire.EditCells))
    assert edit.changes == [AddCell("# Look", type="markdown")]
    assert not edit.run
    (tables,) = (await agent.client.read_resource("plugin://facts/k1/tables")).contents
    assert isinstance(tables, TextResourceContents)
    assert tables.text == "df"
    assert "facts_quality" in (await agent("list_templates")).text


def test_what_the_page_says_of_the_configuration_is_its_format(tmp_path: Path) -> None:
    (block,) = (block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[mcp]" in block)
    path = tmp_path / "config.toml"
    path.write_text(block)
    path.chmod(0o600)
    assert configuration(path).mcp.plugins == ("kernel-dice",)
    assert configuration(tmp_path / "none.toml") == Configuration()


async def test_the_plugin_of_the_page_works_from_zero(
    serve: Callable[[str, Tier], Awaitable[Agent]],
    kernel: FakeKernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = tmp_path / "from-zero"
    for name, block in re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(block)
    assert {path.name for path in project.rglob("*") if path.is_file()} == {
        "pyproject.toml",
        "__init__.py",
        "test_dice.py",
    }
    monkeypatch.syspath_prepend(str(installed(project, tmp_path)))
    agent = await serve("kernel-dice", "run")
    code = "[__import__('random').randint(1, 6) for _ in range(2)]"
    kernel.executions[code] = Execution((result("[4, 2]"),))
    assert (await agent("dice_roll", count=2)).text == "ok: [4, 2]"
    assert (await agent("dice_roll", count="2")).text == "ok: [4, 2]"
    assert (await agent("dice_roll", count="two")).refused("bad_request")
    namespace: dict[str, object] = {}
    exec(code, namespace)
    assert set(namespace) == {"__builtins__"}, "names stay in the kernel, in place of the person's"
    refused = await agent("dice_roll", count=0)
    assert refused.text == "[bad_request] 0 dice cannot be rolled at once. 1 to 20 can."
    assert (await agent("dice_roll", sides=1)).refused("bad_request")
    test = runpy.run_path(str(project / "test_dice.py"))["test_dice_are_rolled"]
    await asyncio.to_thread(test)  # which has a loop of its own
